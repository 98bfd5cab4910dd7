//! A cookie jar that expires by the trial's clock, and the attributes of a `Set-Cookie` header (RFC 6265).
//! Each browser actor has one; tests look at [`SetCookie`] when an attribute is what they are about.
//! Holds what one host set: domains are kept for assertions and not compared.

use std::collections::BTreeMap;

use keyward_model::{Span, Time};

/// A `Set-Cookie` header.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SetCookie {
    /// Its name.
    pub name: String,
    /// Its value, as it came.
    pub value: String,
    /// `Max-Age` in seconds.
    pub max_age: Option<i64>,
    /// `Expires`, as it came.
    pub expires: Option<String>,
    /// `Path`.
    pub path: Option<String>,
    /// `Domain`.
    pub domain: Option<String>,
    /// `SameSite`.
    pub same_site: Option<String>,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `Secure`.
    pub secure: bool,
}

impl SetCookie {
    pub(crate) fn parse(header: &str) -> Self {
        let mut parts = header.split(';').map(str::trim);
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).unwrap_or_default();
        let mut cookie = Self { name: name.to_owned(), value: value.to_owned(), ..Self::default() };
        for part in parts {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            let text = || Some(value.to_owned());
            match attribute.to_ascii_lowercase().as_str() {
                "max-age" => cookie.max_age = value.parse().ok(),
                "expires" => cookie.expires = text(),
                "path" => cookie.path = text(),
                "domain" => cookie.domain = text(),
                "samesite" => cookie.same_site = text(),
                "httponly" => cookie.http_only = true,
                "secure" => cookie.secure = true,
                _ => {}
            }
        }
        cookie
    }

    /// Whether it removes the cookie.
    pub fn is_removal(&self) -> bool {
        self.max_age.is_some_and(|age| age <= 0)
    }
}

/// What one browser keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar(BTreeMap<String, Kept>);

#[derive(Clone, Debug)]
struct Kept {
    value: String,
    /// `None`: as long as the browser runs.
    until: Option<Time>,
}

impl Jar {
    pub(crate) fn take(&mut self, cookie: &SetCookie, now: Time) {
        assert!(
            cookie.expires.is_none() || cookie.max_age.is_some(),
            "a cookie with `Expires` alone ends by the machine's clock, not by the trial's: {cookie:?}"
        );
        if cookie.is_removal() {
            self.0.remove(&cookie.name);
        } else {
            let until = cookie.max_age.map(|age| now + Span::seconds(age));
            self.0.insert(cookie.name.clone(), Kept { value: cookie.value.clone(), until });
        }
    }

    pub(crate) fn get(&self, name: &str, now: Time) -> Option<&str> {
        self.live(now).find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    pub(crate) fn names(&self, now: Time) -> Vec<String> {
        self.live(now).map(|(name, _)| name.to_owned()).collect()
    }

    pub(crate) fn put(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), Kept { value: value.to_owned(), until: None });
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The `Cookie` header, if there is anything to send.
    pub(crate) fn header(&self, now: Time) -> Option<String> {
        let pairs: Vec<_> = self.live(now).map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn live(&self, now: Time) -> impl Iterator<Item = (&str, &str)> {
        let is_live = move |kept: &Kept| kept.until.is_none_or(|until| until > now);
        self.0.iter().filter(move |(_, kept)| is_live(kept)).map(|(name, kept)| (name.as_str(), kept.value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::START;

    #[test]
    fn cookies_end_by_the_clock_they_are_shown() {
        let mut jar = Jar::default();
        jar.take(&SetCookie::parse("a=1; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"), START);
        jar.take(&SetCookie::parse("b=x=y"), START);
        assert_eq!(jar.header(START).as_deref(), Some("a=1; b=x=y"));
        assert_eq!(jar.header(START + Span::seconds(60)).as_deref(), Some("b=x=y"));
        jar.take(&SetCookie::parse("b=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), START);
        assert_eq!(jar.header(START + Span::seconds(60)), None);
        assert_eq!(jar.get("a", START), Some("1"));
    }
}
