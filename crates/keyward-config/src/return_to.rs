//! Decides where a browser may be sent: the rules of `selfservice.allowed_return_urls`.
//! Flows call it when they begin and again when they end; the text it returns is the only one that may be put into a redirect.
//! Pure; it knows neither requests nor flows.
//!
//! Stricter than Kratos where that closes a hole: paths are compared by whole segments, wildcards stand for whole labels above
//! a registrable domain, and anything that parsers read differently is refused.

use url::{Host, Url};

use crate::settings::{After, BaseUrl};

/// The return address is not one that the configuration allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReturnToForbidden {
    /// It is no URL, or one that programs read in different ways.
    #[error("the return address is not a plain URL")]
    Malformed,
    /// It is a URL, but outside of `selfservice.allowed_return_urls`.
    #[error("the return address is not allowed")]
    NotAllowed,
}

/// The allow list, parsed, with the server's own pages.
#[derive(Debug, Clone)]
pub struct ReturnUrls {
    default: Url,
    allowed: Vec<Rule>,
    /// As they were written.
    entries: Vec<String>,
}

#[derive(Debug, Clone)]
struct Rule {
    scheme: String,
    host: HostRule,
    port: Option<u16>,
    path: String,
    decoded_path: String,
}

#[derive(Debug, Clone)]
enum HostRule {
    /// The very host; empty for schemes without one.
    Exact(String),
    /// Any host below this domain.
    Below(String),
    /// Anything between two texts; only with `legacy_allow_insecure_origins`.
    Loose(String, String),
}

/// Schemes that run or read something instead of leading somewhere.
const NEVER: &[&str] =
    &["javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source", "ftp", "ws", "wss"];

/// Longer return addresses are refused, in bytes.
const LONGEST: usize = 8_192;

impl ReturnUrls {
    /// An empty list: only `<public>/self-service` is allowed. Relative values are completed from `default`.
    pub(crate) fn new(default: Url, public: &BaseUrl) -> Self {
        let own = Url::parse(&public.join("/self-service")).unwrap_or_else(|_| public.url().clone());
        Self { default, allowed: vec![Rule::exact(&own)], entries: Vec::new() }
    }

    /// Adds an entry of the list; the error says why it cannot be obeyed.
    pub(crate) fn allow(&mut self, entry: &str, insecure: bool) -> Result<(), String> {
        let rule = Rule::parse(entry, &self.default, insecure)?;
        self.allowed.push(rule);
        self.entries.push(entry.to_owned());
        Ok(())
    }

    /// The entries of the list as the operator wrote them.
    pub fn entries(&self) -> &[String] {
        &self.entries
    }

    /// The address to use for a `return_to` parameter: `None` when there was none (or an empty one), the absolute URL when it
    /// is allowed. Query and fragment are kept.
    ///
    /// # Errors
    /// When the value is not a plain URL or not on the list; the wire answers 400 `self_service_flow_return_to_forbidden`.
    pub fn resolve(&self, return_to: Option<&str>) -> Result<Option<String>, ReturnToForbidden> {
        let Some(candidate) = return_to.filter(|text| !text.is_empty()) else { return Ok(None) };
        let url = self.parse(candidate).ok_or(ReturnToForbidden::Malformed)?;
        let decoded = decoded_path(&url).ok_or(ReturnToForbidden::Malformed)?;
        if !self.allowed.iter().any(|rule| rule.admits(&url, &decoded)) {
            return Err(ReturnToForbidden::NotAllowed);
        }
        // What the parser made of it is what was judged. Only the slash that it adds to a bare host may be left out again.
        let serialized = String::from(url);
        let bare = serialized.strip_suffix('/').is_some_and(|shorter| shorter == candidate);
        Ok(Some(if bare { candidate.to_owned() } else { serialized }))
    }

    /// The target after success, first hit wins: an allowed `return_to`, the method's configured target, the flow's.
    /// `None` leaves the choice to the flow (settings stays on its page, others use `selfservice.default_browser_return_url`).
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn target(&self, return_to: Option<&str>, after: &After, method: &str) -> Result<Option<String>, ReturnToForbidden> {
        Ok(self.resolve(return_to)?.or_else(|| after.return_url(method).map(str::to_owned)))
    }

    fn parse(&self, candidate: &str) -> Option<Url> {
        if candidate.len() > LONGEST || candidate.chars().any(is_deceptive) {
            return None;
        }
        if candidate.starts_with('/') {
            return if candidate.starts_with("//") { None } else { self.default.join(candidate).ok() };
        }
        let (scheme, rest) = candidate.split_once(':')?;
        let well_formed = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !well_formed || !rest.starts_with('/') {
            return None;
        }
        let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let authority = rest.strip_prefix("//").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        if authority.unwrap_or_default().contains(['@', '%', '*']) || (web && authority.unwrap_or_default().is_empty()) {
            return None;
        }
        let url = Url::parse(candidate).ok()?;
        let plain_host = match url.host() {
            // Octal, hexadecimal and shortened addresses are the same host in disguise.
            Some(Host::Ipv4(address)) => without_port(authority?) == address.to_string(),
            Some(Host::Ipv6(_)) => true,
            Some(Host::Domain(name)) => name.split('.').all(is_label),
            None => true,
        };
        (plain_host && !url.cannot_be_a_base()).then_some(url)
    }
}

/// What somebody meant who wrote a star into a path, where it stands for itself: everything below the last slash before it.
/// `None` when there is no such star.
pub(crate) fn meant_by_star(entry: &str) -> Option<&str> {
    let path = entry.find("://").map_or(0, |end| entry[end + 3..].find('/').map_or(entry.len(), |at| end + 3 + at));
    let star = path + entry[path..].split(['?', '#']).next()?.find('*')?;
    entry[..star].rfind('/').map(|slash| &entry[..=slash])
}

fn without_port(authority: &str) -> &str {
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// No empty label, hence no trailing dot either.
fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Characters that parsers drop, that look like nothing, or that browsers read as a slash.
fn is_deceptive(c: char) -> bool {
    c == '\\'
        || c.is_control()
        || c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// The path as a server may see it after decoding it any number of times; `None` when that contains a trick.
fn decoded_path(url: &Url) -> Option<String> {
    let mut path = url.path().to_owned();
    for _ in 0..4 {
        let decoded = percent_decoded(&path);
        if decoded == path {
            let path = decoded.replace('\\', "/");
            let climbs = path.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")));
            let clean = !climbs && !path.starts_with("//") && !path.chars().any(is_deceptive_when_decoded);
            return clean.then_some(if path.is_empty() { "/".to_owned() } else { path });
        }
        path = decoded;
    }
    None
}

fn is_deceptive_when_decoded(c: char) -> bool {
    c.is_control()
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        let digit = |offset: usize| bytes.get(position + offset).and_then(|b| char::from(*b).to_digit(16));
        match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                position += 3;
            }
            _ => {
                decoded.push(byte);
                position += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

impl Rule {
    fn exact(url: &Url) -> Self {
        Self::with_host(url, HostRule::Exact(url.host_str().unwrap_or_default().to_ascii_lowercase()))
    }

    fn with_host(url: &Url, host: HostRule) -> Self {
        let path = if url.path().is_empty() { "/" } else { url.path() };
        Self {
            scheme: url.scheme().to_owned(),
            host,
            port: url.port_or_known_default(),
            path: path.to_owned(),
            decoded_path: percent_decoded(path),
        }
    }

    fn parse(entry: &str, default: &Url, insecure: bool) -> Result<Self, String> {
        if entry.is_empty() || entry.chars().any(is_deceptive) {
            return Err("expected a URL without spaces, backslashes and control characters".to_owned());
        }
        if entry.starts_with('/') && !entry.starts_with("//") {
            return default.join(entry).map(|url| Self::exact(&url)).map_err(|error| format!("this is not a URL ({error})"));
        }
        let (scheme, rest) =
            entry.split_once(':').ok_or("expected a URL that begins with a scheme, or a path that begins with /")?;
        let authority = rest.strip_prefix("//").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        let authority = authority.unwrap_or_default();
        if NEVER.contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(format!("addresses of the scheme {} are never allowed", scheme.to_ascii_lowercase()));
        }
        if authority.contains('@') {
            return Err("a return address has no user name and no password".to_owned());
        }
        let parse = |text: &str| Url::parse(text).map_err(|error| format!("this is not a URL ({error})"));
        if authority.contains('*') {
            return Self::wildcard(scheme, authority, &rest[2 + authority.len()..], insecure);
        }
        let url = parse(entry)?;
        if url.cannot_be_a_base() {
            return Err(format!("expected {scheme}:/ and a path, or {scheme}:// and a host"));
        }
        Ok(Self::exact(&url))
    }

    fn wildcard(scheme: &str, authority: &str, tail: &str, insecure: bool) -> Result<Self, String> {
        let unsafe_form = "this wildcard is not safe: write * as the whole first label above a domain that one owner has \
                           registered, such as https://*.example.com";
        let (before, after) = authority.split_once('*').unwrap_or((authority, ""));
        if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") || after.contains('*') {
            return Err(unsafe_form.to_owned());
        }
        if let Some(domain) = after.strip_prefix('.').filter(|_| before.is_empty())
            && let Ok(url) = Url::parse(&format!("{scheme}://{domain}{tail}"))
            && let Some(Host::Domain(name)) = url.host()
            && name.split('.').all(is_label)
            && psl::domain_str(name).is_some()
        {
            let host = HostRule::Below(format!(".{name}"));
            return Ok(Self::with_host(&url, host));
        }
        if !insecure {
            return Err(unsafe_form.to_owned());
        }
        let url = Url::parse(&format!("{scheme}://{before}x{after}{tail}")).map_err(|_| unsafe_form.to_owned())?;
        let after = without_port(after).to_ascii_lowercase();
        Ok(Self::with_host(&url, HostRule::Loose(before.to_ascii_lowercase(), after)))
    }

    fn admits(&self, url: &Url, decoded_path: &str) -> bool {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let host_fits = match &self.host {
            HostRule::Exact(name) => host == *name,
            HostRule::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            HostRule::Loose(before, after) => {
                host.len() >= before.len() + after.len() && host.starts_with(before.as_str()) && host.ends_with(after.as_str())
            }
        };
        let path = if url.path().is_empty() { "/" } else { url.path() };
        url.scheme() == self.scheme
            && host_fits
            && url.port_or_known_default() == self.port
            && url.username().is_empty()
            && url.password().is_none()
            && is_below(path, &self.path)
            && is_below(decoded_path, &self.decoded_path)
    }
}

/// Whether a path is the other one or lies below it, by whole segments.
fn is_below(path: &str, prefix: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::meant_by_star;

    #[test]
    fn a_star_in_a_path_is_recognised() {
        for (entry, meant) in [
            ("https://app.example.org/*", Some("https://app.example.org/")),
            ("https://app.example.org/a/b*", Some("https://app.example.org/a/")),
            ("https://*.example.org/a/*", Some("https://*.example.org/a/")),
            ("/dashboard/*", Some("/dashboard/")),
            ("https://*.example.org", None),
            ("https://app.example.org/?x=*", None),
            ("https://app.example.org", None),
        ] {
            assert_eq!(meant_by_star(entry), meant, "{entry}");
        }
    }
}
