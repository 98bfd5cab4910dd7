//! Decides whether a form was really sent from our own pages: the cookie, the masked form token and the browser's headers.
//! Pages render tokens with it and submits are checked by it; all functions are pure.
//! Does not know requests, cookies jars or answers, only the values that were read from them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyward_model::{Random, SessionId};
use sha2::{Digest, Sha256};
use url::Url;

use crate::keys::{KeyUse, Keyring};

/// The name of the CSRF cookie: `csrf_token_` and the SHA-256, in lower-case hexadecimal, of the public base URL exactly
/// as configured (a trailing slash makes another name).
pub fn csrf_cookie_name(base_url: &str) -> String {
    let mut name = String::from("csrf_token_");
    for byte in Sha256::digest(base_url) {
        for nibble in [byte >> 4, byte & 15] {
            name.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
    }
    name
}

/// The content of the CSRF cookie: 32 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct CsrfCookie([u8; 32]);

impl std::fmt::Debug for CsrfCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CsrfCookie([secret])")
    }
}

impl CsrfCookie {
    /// Draws a new one, for a browser that has none, at sign-in as another identity, and at logout.
    pub fn generate(random: &dyn Random) -> Self {
        Self(random.bytes())
    }

    /// Reads a cookie value; `None` unless it is standard base64 of exactly 32 bytes.
    pub fn parse(value: &str) -> Option<Self> {
        STANDARD.decode(value).ok()?.try_into().ok().map(Self)
    }

    /// The cookie value: standard base64 with padding, 44 characters.
    pub fn value(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// SHA-256 of the cookie, for a flow to remember which browser it was made in.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

/// Whom a form token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CsrfBinding {
    /// A browser without a session.
    Anonymous,
    /// A browser with this session.
    Session(SessionId),
}

/// A form token for this cookie: base64(pad ‖ pad XOR secret), 88 characters, different at every call and good as long
/// as cookie, session and keys stay.
pub fn csrf_token(keys: &Keyring, cookie: &CsrfCookie, binding: CsrfBinding, random: &dyn Random) -> String {
    let secret = with_parts(cookie, binding, |parts| keys.sign(KeyUse::Csrf, parts));
    let pad: [u8; 32] = random.bytes();
    let mut raw = [0; 64];
    raw[..32].copy_from_slice(&pad);
    for ((out, pad), secret) in raw[32..].iter_mut().zip(pad).zip(secret) {
        *out = pad ^ secret;
    }
    STANDARD.encode(raw)
}

/// Whether `token` was made by [`csrf_token`] for this cookie and binding, under any accepted key. The secret without
/// its mask (32 bytes) is accepted as well. Compares in constant time.
pub fn is_csrf_token(keys: &Keyring, cookie: &CsrfCookie, binding: CsrfBinding, token: &str) -> bool {
    // 64 bytes are 88 characters: what is longer needs no decoding.
    if token.len() > 88 {
        return false;
    }
    let Ok(raw) = STANDARD.decode(token) else { return false };
    let presented: [u8; 32] = if let Ok(bare) = <[u8; 32]>::try_from(raw.as_slice()) {
        bare
    } else if let Ok(masked) = <[u8; 64]>::try_from(raw.as_slice()) {
        std::array::from_fn(|i| masked[i] ^ masked[i + 32])
    } else {
        return false;
    };
    with_parts(cookie, binding, |parts| keys.verify(KeyUse::Csrf, parts, &presented))
}

fn with_parts<T>(cookie: &CsrfCookie, binding: CsrfBinding, then: impl FnOnce(&[&[u8]]) -> T) -> T {
    // The cookie has a fixed length, and no session id is four bytes long, so the concatenation is unambiguous.
    match binding {
        CsrfBinding::Anonymous => then(&[&cookie.0, b"anon"]),
        CsrfBinding::Session(id) => then(&[&cookie.0, id.0.as_bytes()]),
    }
}

/// The origins that may send forms to us.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    own: Vec<url::Origin>,
    trusted: Vec<url::Origin>,
}

impl Origins {
    /// `own`: the public base URLs. `trusted`: URLs of the configured user interfaces and allowed CORS origins.
    /// Of each only scheme, host and port count.
    pub fn new<'a>(own: impl IntoIterator<Item = &'a Url>, trusted: impl IntoIterator<Item = &'a Url>) -> Self {
        Self { own: own.into_iter().map(Url::origin).collect(), trusted: trusted.into_iter().map(Url::origin).collect() }
    }

    /// Judges a state-changing request by its `Origin` and `Sec-Fetch-Site` headers (`None`: the header is absent).
    ///
    /// A browser sends `Origin: null` for an ordinary form on a page whose referrer policy is `no-referrer`; that is
    /// accepted only when the same browser vouches with `Sec-Fetch-Site: same-origin`, which an opaque origin never gets.
    ///
    /// # Errors
    /// Why the request is refused.
    pub fn check(&self, origin: Option<&str>, sec_fetch_site: Option<&str>) -> Result<(), OriginRefusal> {
        let site = sec_fetch_site.map(str::trim);
        let Some(origin) = origin else {
            return if site == Some("cross-site") { Err(OriginRefusal::CrossSite) } else { Ok(()) };
        };
        if origin == "null" {
            return if site == Some("same-origin") { Ok(()) } else { Err(OriginRefusal::Opaque) };
        }
        let origin = parse_origin(origin).ok_or(OriginRefusal::Foreign)?;
        if self.own.contains(&origin) {
            // Our own page is never on another site: headers that say so contradict each other.
            return if site == Some("cross-site") { Err(OriginRefusal::CrossSite) } else { Ok(()) };
        }
        if self.trusted.contains(&origin) { Ok(()) } else { Err(OriginRefusal::Foreign) }
    }
}

/// Why the browser's headers speak against a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginRefusal {
    /// `Sec-Fetch-Site: cross-site` without an origin that is trusted.
    #[error("the request was started by another site")]
    CrossSite,
    /// `Origin: null`.
    #[error("the request comes from an opaque origin")]
    Opaque,
    /// An origin that is neither our own nor trusted, or no origin at all.
    #[error("the request comes from a foreign origin")]
    Foreign,
}

/// Takes scheme, host and optional port (RFC 6454 section 7), nothing else, and only of http and https.
fn parse_origin(text: &str) -> Option<url::Origin> {
    let url = Url::parse(text).ok()?;
    let has_host_only = url.path() == "/" && !text.ends_with('/') && url.query().is_none() && url.fragment().is_none();
    let has_nobody = url.username().is_empty() && url.password().is_none() && !text.contains(['@', ' ', '\\']);
    (matches!(url.scheme(), "http" | "https") && has_host_only && has_nobody).then(|| url.origin())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::{Counting, ring};

    const OLD: &str = "generation-one-secret";
    const NEW: &str = "generation-two-secret";

    fn session(id: u128) -> CsrfBinding {
        CsrfBinding::Session(SessionId(uuid::Uuid::from_u128(id)))
    }

    #[test]
    fn the_cookie_is_named_after_the_base_url() {
        // printf %s http://127.0.0.1:4433/ | sha256sum
        let with_slash = csrf_cookie_name("http://127.0.0.1:4433/");
        assert_eq!(with_slash, "csrf_token_806060ca5bf70dff3caa0e5c860002aade9d470a5a4dce73bcfa7ba10778f481");
        assert_ne!(with_slash, csrf_cookie_name("http://127.0.0.1:4433"));
    }

    #[test]
    fn cookies_are_32_bytes_of_standard_base64() {
        let cookie = CsrfCookie::generate(&Counting::new());
        let value = cookie.value();
        assert_eq!(value.len(), 44);
        assert_eq!(CsrfCookie::parse(&value), Some(cookie));
        for bad in [
            "",
            " ",
            "null",
            &value[..43],
            &value[1..],
            &format!("{value}="),
            &format!(" {value}"),
            &STANDARD.encode([0; 31]),
            &STANDARD.encode([0; 33]),
        ] {
            assert_eq!(CsrfCookie::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn tokens_fit_one_cookie_one_session_and_known_keys() {
        let random = Counting::new();
        let (ours, planted) = (CsrfCookie::generate(&random), CsrfCookie::generate(&random));
        let (before, between, after) = (ring(&[OLD]), ring(&[NEW, OLD]), ring(&[NEW]));
        for made_for in [CsrfBinding::Anonymous, session(1)] {
            let token = csrf_token(&before, &ours, made_for, &random);
            assert_eq!(token.len(), 88);
            assert_ne!(token, csrf_token(&before, &ours, made_for, &random));
            for (keys, cookie, binding, known) in [
                (&before, &ours, CsrfBinding::Anonymous, true),
                (&before, &ours, session(1), true),
                (&before, &ours, session(2), true),
                (&between, &ours, made_for, true),
                (&after, &ours, made_for, false),
                (&before, &planted, made_for, false),
            ] {
                let expected = known && binding == made_for;
                assert_eq!(is_csrf_token(keys, cookie, binding, &token), expected, "{binding:?} {made_for:?}");
            }
        }
    }

    #[test]
    fn the_mask_hides_a_secret_that_is_also_accepted_bare_but_the_cookie_is_not() {
        let (random, keys) = (Counting::new(), ring(&[NEW]));
        let cookie = CsrfCookie::generate(&random);
        let raw = STANDARD.decode(csrf_token(&keys, &cookie, session(1), &random)).expect("base64");
        let secret: Vec<u8> = raw[..32].iter().zip(&raw[32..]).map(|(pad, masked)| pad ^ masked).collect();
        assert!(is_csrf_token(&keys, &cookie, session(1), &STANDARD.encode(&secret)));
        assert!(!is_csrf_token(&keys, &cookie, session(2), &STANDARD.encode(&secret)));
        // The plain double-submit that a planted cookie would allow, bare and masked.
        assert!(!is_csrf_token(&keys, &cookie, session(1), &cookie.value()));
        let masked: Vec<u8> = [0; 32].into_iter().chain(cookie.0).collect();
        assert!(!is_csrf_token(&keys, &cookie, CsrfBinding::Anonymous, &STANDARD.encode(masked)));
    }

    #[test]
    fn altered_cut_and_blank_tokens_are_refused() {
        let (random, keys) = (Counting::new(), ring(&[NEW]));
        let cookie = CsrfCookie::generate(&random);
        let token = csrf_token(&keys, &cookie, CsrfBinding::Anonymous, &random);
        let refused = |text: &str| assert!(!is_csrf_token(&keys, &cookie, CsrfBinding::Anonymous, text), "{text}");
        for length in 0..token.len() {
            refused(&token[..length]);
        }
        let raw = STANDARD.decode(&token).expect("base64");
        for position in 0..raw.len() {
            let mut altered = raw.clone();
            altered[position] ^= 1;
            refused(&STANDARD.encode(altered));
        }
        for extra in ["=", "A", " ", "\n", "AAAA"] {
            refused(&format!("{token}{extra}"));
            refused(&format!("{extra}{token}"));
        }
        for text in [" ", "0", "null", "[]", &STANDARD.encode([0; 32]), &STANDARD.encode([0; 64]), &"A".repeat(100_000)] {
            refused(text);
        }
    }

    #[test]
    fn origins_and_fetch_metadata() {
        use OriginRefusal::{CrossSite, Foreign, Opaque};
        let url = |text| Url::parse(text).expect("url");
        let (base, ui) = (url("https://auth.example.com/path/"), url("https://app.example.com/settings?x"));
        let local = url("http://127.0.0.1:4433/");
        let origins = Origins::new([&base, &local], [&ui]);
        let ok = Ok(());
        let sites = [None, Some("same-origin"), Some("same-site"), Some("none"), Some("cross-site"), Some("new-value")];
        #[rustfmt::skip]
        let table = [
            // Origin                                   absent        same-origin   same-site     none          cross-site      unknown
            (None,                                     [ok,           ok,           ok,           ok,           Err(CrossSite), ok]),
            (Some("https://auth.example.com"),         [ok,           ok,           ok,           ok,           Err(CrossSite), ok]),
            (Some("https://auth.example.com:443"),     [ok,           ok,           ok,           ok,           Err(CrossSite), ok]),
            (Some("https://AUTH.example.com"),         [ok,           ok,           ok,           ok,           Err(CrossSite), ok]),
            (Some("http://127.0.0.1:4433"),            [ok,           ok,           ok,           ok,           Err(CrossSite), ok]),
            (Some("https://app.example.com"),          [ok,           ok,           ok,           ok,           ok,             ok]),
            (Some("null"),                             [Err(Opaque),  ok,           Err(Opaque),  Err(Opaque),  Err(Opaque),    Err(Opaque)]),
        ];
        for (origin, row) in table {
            for (site, expected) in sites.into_iter().zip(row) {
                assert_eq!(origins.check(origin, site), expected, "{origin:?} {site:?}");
            }
        }
        for foreign in [
            "http://auth.example.com",
            "http://app.example.com",
            "https://127.0.0.1:4433",
            "http://127.0.0.1",
            "http://localhost:4433",
            "https://auth.example.com:8443",
            "https://example.com",
            "https://auth.example.com.evil.example",
            "https://evil.example",
            "https://auth.example.com@evil.example",
            "https://x@auth.example.com",
            "https://auth.example.com/",
            "https://auth.example.com/path",
            "https://auth.example.com?",
            "https://auth.example.com#",
            "https:\\\\auth.example.com",
            "https://auth.example.com https://evil.example",
            "auth.example.com",
            "file://",
            "Null",
            "",
            " ",
        ] {
            for site in sites {
                assert_eq!(origins.check(Some(foreign), site), Err(Foreign), "{foreign:?} {site:?}");
            }
        }
    }
}
