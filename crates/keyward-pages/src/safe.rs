//! The gates between foreign text and markup that escaping alone does not close: addresses, images, names.
//! Every builder of a view calls them before a value reaches a template.
//! They know nothing about flows or pages.

/// How many characters of a name that a person chose are shown.
pub(crate) const LONGEST_NAME: usize = 64;
/// How the address of a text file for download begins.
pub(crate) const TEXT_FILE: &str = "data:text/plain;charset=utf-8,";

/// An address that may stand in `href`, `action` or `src`: http, https or relative (RFC 3986 section 4.2), without the control
/// characters and blanks that browsers drop while parsing (WHATWG URL).
pub(crate) fn address(raw: &str) -> Option<&str> {
    if raw.is_empty() || raw.chars().any(|c| c <= ' ' || c == '\u{7f}' || c == '\\') {
        return None;
    }
    let head = raw.split(['/', '?', '#']).next().unwrap_or_default();
    match head.split_once(':') {
        None => Some(raw),
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") => Some(raw),
        Some(_) => None,
    }
}

/// The address of a script: on the origin of the public base, or relative to it (HTML Living Standard section 7.1.1).
pub(crate) fn script<'a>(public_base: &str, raw: &'a str) -> Option<&'a str> {
    let raw = address(raw)?;
    let origin = |url: &str| {
        let (scheme, rest) = url.split_once("://")?;
        Some((scheme.to_ascii_lowercase(), rest.split(['/', '?', '#']).next()?.to_ascii_lowercase()))
    };
    let local = raw.starts_with('/') && !raw.starts_with("//");
    (local || (origin(raw).is_some() && origin(raw) == origin(public_base))).then_some(raw)
}

/// A PNG as a data URI (RFC 2397); every other source is refused.
pub(crate) fn image(raw: &str) -> Option<&str> {
    let data = raw.strip_prefix("data:image/png;base64,")?;
    let plain = data.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
    (plain && !data.is_empty()).then_some(raw)
}

/// A text as an address (RFC 2397) that a link can offer for download, whatever is in it.
pub(crate) fn text_file(text: &str) -> String {
    let mut out = String::from(TEXT_FILE);
    percent_encode(&mut out, text);
    out
}

/// A name that a person or a foreign program chose, cut at 64 characters.
pub(crate) fn cut(raw: &str) -> String {
    let raw = raw.trim();
    if raw.chars().count() <= LONGEST_NAME {
        return raw.to_owned();
    }
    raw.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}

/// A word that may become an element id or a fragment: other characters turn into `-`.
pub(crate) fn anchor(raw: &str) -> String {
    raw.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' }).collect()
}

/// Whether the trigger is a function of the wire's helper script, so that a page never calls another global.
pub(crate) fn trigger(raw: &str) -> bool {
    raw.strip_prefix("ory").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// `address` with one more query parameter, percent-encoded (RFC 3986 section 2.1), before any fragment.
pub(crate) fn with_query(address: &str, name: &str, value: &str) -> String {
    let base = address.split('#').next().unwrap_or_default();
    let joint = if base.contains('?') { '&' } else { '?' };
    let mut out = format!("{base}{joint}{name}=");
    percent_encode(&mut out, value);
    out
}

fn percent_encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_and_relative_addresses_pass() {
        for good in ["https://a.example/x?y=1#z", "HTTP://a.example", "/x", "x/y:z", "?a=b:c", "#top", "//cdn.example/x"] {
            assert_eq!(address(good), Some(good));
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "JaVaScRiPt:1",
            "java\nscript:alert(1)",
            " javascript:1",
            "data:text/html,x",
            "vbscript:x",
            "/a\\b",
        ] {
            assert_eq!(address(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn scripts_come_from_the_public_base_only() {
        let base = "https://ID.example:8443/auth";
        for good in ["https://id.example:8443/.well-known/ory/webauthn.js", "/auth/x.js", "HTTPS://id.example:8443/x"] {
            assert_eq!(script(base, good), Some(good));
        }
        for bad in [
            "https://id.example/x.js",
            "http://id.example:8443/x.js",
            "https://id.example:8443.evil.example/x.js",
            "https://id.example:8443@evil.example/x.js",
            "//evil.example/x.js",
            "x.js",
            "",
            "data:text/javascript,alert(1)",
        ] {
            assert_eq!(script(base, bad), None, "{bad}");
        }
        assert_eq!(script("", "https://id.example/x.js"), None);
    }

    #[test]
    fn only_png_data_passes_as_image() {
        assert!(image("data:image/png;base64,iVBORw0KGgo=").is_some());
        for bad in [
            "https://a.example/x.png",
            "data:image/svg+xml;base64,AAAA",
            "data:image/png;base64,",
            "data:image/png;base64,AA\" x=\"",
        ] {
            assert_eq!(image(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_queries_and_triggers() {
        assert_eq!(cut("  Work laptop "), "Work laptop");
        assert_eq!(cut(&"ä".repeat(70)).chars().count(), 64);
        assert_eq!(
            with_query("/login?a=1#x", "return_to", "https://a.example/?b=c&d"),
            "/login?a=1&return_to=https%3A%2F%2Fa.example%2F%3Fb%3Dc%26d"
        );
        assert_eq!(text_file("a\n\"é#"), "data:text/plain;charset=utf-8,a%0A%22%C3%A9%23");
        assert!(trigger("oryPasskeyLogin"));
        for bad in ["alert", "ory", "oryX()", "eval"] {
            assert!(!trigger(bad), "{bad}");
        }
    }
}
