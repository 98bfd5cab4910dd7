//! The query of a request, decoded once.
//! The caller holds it, handlers ask it for single parameters.
//! Empty parameters count as absent (decisions 8), and what may stand there only once is refused when it stands there twice.

use url::form_urlencoded;

/// Decoded query parameters in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

/// Parameters that decide what a request acts on: two of a kind would let two readers act on different ones (AC-55).
const UNIQUE: [&str; 10] =
    ["return_to", "flow", "id", "csrf_token", "token", "state", "code", "iss", "init_code", "return_to_code"];

impl Query {
    /// Decodes `a=b&c=d` without the question mark (WHATWG URL, form-urlencoded); every text can be decoded.
    pub(crate) fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The first non-empty value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All non-empty values.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All pairs.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The decisive parameter that stands there more than once, if one does.
    pub(crate) fn repeated(&self) -> Option<&'static str> {
        UNIQUE.into_iter().find(|name| self.0.iter().filter(|(key, _)| key == name).count() > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_absent_and_repetition_is_noticed() {
        let query = Query::parse("flow=&return_to=https%3A%2F%2Fa%2F&x=1&x=2&a+b=%ff");
        assert_eq!(query.get("flow"), None);
        assert_eq!(query.get("return_to"), Some("https://a/"));
        assert_eq!(query.all("x").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.get("a b"), Some("\u{fffd}"));
        for (text, repeated) in [
            ("return_to=a&return_to=b", Some("return_to")),
            ("flow=a&x=1&flow=a", Some("flow")),
            ("id=&id=1", Some("id")),
            ("csrf%5Ftoken=1&csrf_token=2", Some("csrf_token")),
            ("x=1&x=2&ids=1&ids=2", None),
            ("", None),
        ] {
            assert_eq!(Query::parse(text).repeated(), repeated, "{text}");
        }
    }
}
