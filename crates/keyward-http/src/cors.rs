//! Cross-origin requests of scripts (WHATWG Fetch, CORS protocol), as `serve.public.cors` allows them.
//! [`crate::front`] asks before anything else happens and decorates every answer.
//! An allowed origin is echoed, never answered with `*`, because cookies come along (contract: admin 16.2).

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use keyward_config::Cors;

/// The answer to a preflight; `None` when the request is none or its origin is not allowed.
pub(crate) fn preflight(cors: &Cors, method: &Method, headers: &HeaderMap) -> Option<Response> {
    let wanted = headers.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| *method == Method::OPTIONS)?;
    let origin = allowed_origin(cors, headers)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    answer.insert(VARY, HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"));
    let names = headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
    if !is_allowed_method(cors, wanted) || !are_allowed_headers(cors, names) {
        return Some(response);
    }
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, wanted.clone());
    if let Some(names) = names {
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    if cors.allow_credentials {
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    if cors.max_age > 0 {
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age));
    }
    Some(response)
}

/// Lets the script of an allowed origin read an answer.
pub(crate) fn decorate(cors: &Cors, request: &HeaderMap, answer: &mut HeaderMap) {
    let Some(origin) = allowed_origin(cors, request) else { return };
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if cors.allow_credentials {
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    if let Ok(names) = HeaderValue::try_from(cors.exposed_headers.join(", "))
        && !names.is_empty()
    {
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names);
    }
}

/// Whether the operator lets scripts of this request's origin act with cookies. Everybody's `*` is nobody's.
pub(crate) fn vouches(cors: &Cors, headers: &HeaderMap) -> bool {
    let named = || cors.allowed_origins.iter().filter(|pattern| *pattern != "*");
    cors.allow_credentials && headers.get(ORIGIN).is_some_and(|origin| matches_any(named(), origin))
}

fn allowed_origin(cors: &Cors, headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(ORIGIN).filter(|origin| matches_any(cors.allowed_origins.iter(), origin)).cloned()
}

fn matches_any<'a>(mut patterns: impl Iterator<Item = &'a String>, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str().map(str::to_ascii_lowercase) else { return false };
    patterns.any(|pattern| is_match(&pattern.to_ascii_lowercase(), &origin))
}

/// `*` alone matches everything; inside a pattern it stands for at least one character that is no slash.
fn is_match(pattern: &str, origin: &str) -> bool {
    let pattern = pattern.trim_end_matches('/');
    match pattern.split_once('*') {
        None => pattern == origin,
        Some(("", "")) => true,
        Some((head, tail)) => {
            let inner = origin.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
            inner.is_some_and(|inner| !inner.is_empty() && !inner.contains('/'))
        }
    }
}

fn is_allowed_method(cors: &Cors, wanted: &HeaderValue) -> bool {
    wanted
        .to_str()
        .is_ok_and(|wanted| cors.allowed_methods.iter().any(|method| method == "*" || method.eq_ignore_ascii_case(wanted)))
}

fn are_allowed_headers(cors: &Cors, names: Option<&HeaderValue>) -> bool {
    let Some(names) = names else { return true };
    let allowed = |name: &str| {
        // Scripts may always send these (Fetch, CORS-safelisted request headers).
        ["accept", "accept-language", "content-language", "origin"].iter().any(|safe| name.eq_ignore_ascii_case(safe))
            || cors.allowed_headers.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(name))
    };
    names.to_str().is_ok_and(|names| names.split(',').map(str::trim).filter(|name| !name.is_empty()).all(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(origins: &[&str]) -> Cors {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Cors {
            allowed_origins: owned(origins),
            allowed_methods: owned(&["POST", "GET"]),
            allowed_headers: owned(&["Content-Type", "X-Session-Token"]),
            exposed_headers: owned(&["Content-Type"]),
            allow_credentials: true,
            max_age: 5,
        }
    }

    #[test]
    fn origins_match_exactly_or_by_their_wildcard() {
        for (pattern, origin, matches) in [
            ("https://app.example", "https://app.example", true),
            ("https://app.example/", "https://app.example", true),
            ("https://App.example", "https://app.example", true),
            ("https://app.example", "https://app.example.evil", false),
            ("https://app.example", "http://app.example", false),
            ("https://*.example", "https://a.b.example", true),
            ("https://*.example", "https://.example", false),
            ("https://*.example", "https://evil/x.example", false),
            ("https://*.example", "https://evilexample", false),
            ("*", "https://anything", true),
            ("http://localhost:*", "http://localhost:3000", true),
        ] {
            let mut request = HeaderMap::new();
            request.insert(ORIGIN, HeaderValue::from_static(origin));
            let mut answer = HeaderMap::new();
            decorate(&rules(&[pattern]), &request, &mut answer);
            assert_eq!(answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), matches, "{pattern} {origin}");
            assert!(answer.values().all(|value| value != "*"));
        }
    }

    #[test]
    fn preflights_are_answered_with_what_was_asked_for_and_allowed() {
        let cors = rules(&["https://app.example"]);
        for (method, names, allowed) in [
            ("POST", Some("content-type, x-session-token"), true),
            ("GET", None, true),
            ("DELETE", None, false),
            ("POST", Some("x-other"), false),
        ] {
            let mut request = HeaderMap::new();
            request.insert(ORIGIN, HeaderValue::from_static("https://app.example"));
            request.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static(method));
            if let Some(names) = names {
                request.insert(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static(names));
            }
            let answer = preflight(&cors, &Method::OPTIONS, &request).expect("a preflight");
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
            assert_eq!(answer.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), allowed, "{method} {names:?}");
        }
        let mut plain = HeaderMap::new();
        plain.insert(ORIGIN, HeaderValue::from_static("https://app.example"));
        assert!(preflight(&cors, &Method::OPTIONS, &plain).is_none());
    }
}
