//! The headers that every answer carries: nothing is kept by caches, framed, or guessed at (security 6.1, AC-59, AC-102).
//! [`crate::front`] adds them last, so that no handler can forget them.
//! A handler that sets one of them itself is left alone.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

const NO_STORE: HeaderValue = HeaderValue::from_static("private, no-cache, no-store, must-revalidate");
const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// Completes an answer of the public port. `https`: clients may be told to stay with it.
pub(crate) fn finish_public(headers: &mut HeaderMap, https: bool) {
    // What may be cached is the same for everybody, and does not depend on cookies.
    if !headers.contains_key(CACHE_CONTROL) {
        headers.append(VARY, HeaderValue::from_static("Origin, Cookie"));
    }
    finish_admin(headers);
    if https {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000; includeSubDomains"));
    }
    if is_page(headers) {
        headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(
            PERMISSIONS,
            HeaderValue::from_static(
                "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()",
            ),
        );
    }
}

/// Completes an answer of the admin port.
pub(crate) fn finish_admin(headers: &mut HeaderMap) {
    put(headers, CACHE_CONTROL, NO_STORE);
    put(headers, CONTENT_SECURITY_POLICY, DATA_POLICY);
    put(headers, X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    put(headers, X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not `no-referrer`: with it browsers send forms of our own pages with `Origin: null`, and that header is what tells
    // them from forged ones.
    put(headers, REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}

fn is_page(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_private_unless_they_say_otherwise() {
        let mut plain = HeaderMap::new();
        finish_public(&mut plain, true);
        assert_eq!(plain[CACHE_CONTROL], NO_STORE);
        assert_eq!(plain[VARY], "Origin, Cookie");
        assert!(plain.contains_key(STRICT_TRANSPORT_SECURITY) && !plain.contains_key(OPENER_POLICY));

        let mut asset = HeaderMap::new();
        asset.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        finish_public(&mut asset, false);
        assert_eq!(asset[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert!(!asset.contains_key(VARY) && asset[X_CONTENT_TYPE_OPTIONS] == "nosniff");

        let mut page = HeaderMap::new();
        page.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        finish_public(&mut page, false);
        assert!(page.contains_key(PERMISSIONS) && page[X_FRAME_OPTIONS] == "DENY");
    }
}
