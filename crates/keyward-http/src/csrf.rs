//! The wire's side of CSRF protection: which paths the outer layer leaves to the flows, and what a request's headers and
//! token amount to (contract: settings 1.10, login 4).
//! [`crate::front`] applies the outer layer, [`crate::caller`] fills the guard that flows look at.
//! The cryptography stands in [`keyward_services::csrf`].

use http::{HeaderMap, Method};
use keyward_model::{CsrfFailure, SessionId};
use keyward_selfservice::ForbiddenHeader;
use keyward_services::csrf::{CsrfBinding, CsrfCookie, is_csrf_token};

use crate::client::text;
use crate::query::Query;
use crate::state::Known;
use crate::{cookies, cors};

/// Whether a request follows the link of a message: the browser that does so goes on with the flow and needs a cookie for it.
pub(crate) fn is_mailed_link(method: &Method, path: &str, query: &Query) -> bool {
    *method == Method::GET && path == "/self-service/verification" && query.get("code").is_some_and(|code| !code.is_empty())
}

/// Whether the outer layer leaves a path alone: it sets no cookie there and checks no token. Flow submits check themselves,
/// because API clients share their addresses with browsers; sessions are ended by scripts with methods that forms cannot send.
pub(crate) fn is_exempt(path: &str) -> bool {
    const FLOWS: [&str; 5] = ["login", "registration", "settings", "recovery", "verification"];
    if let Some(rest) = path.strip_prefix("/self-service/") {
        return match rest.split_once('/') {
            None => FLOWS.contains(&rest),
            Some((flow, "api")) => FLOWS.contains(&flow) || flow == "logout",
            Some(("login", "test")) => true,
            // Providers may answer with a form; it is only asked for once more, and the round trip has a secret of its own.
            Some(("methods", rest)) => {
                rest == "oidc/callback" || rest.starts_with("oidc/callback/") || rest.starts_with("oidc/organization/")
            }
            Some(_) => false,
        };
    }
    matches!(path, "/sessions" | "/version" | "/.well-known/webauthn" | "/.well-known/ory/webauthn.js")
        || ["/sessions/", "/identities", "/admin/", "/health/", "/schemas/", "/metrics/", "/ui/assets/"]
            .iter()
            .any(|prefix| path.starts_with(prefix))
}

/// Whether a method changes nothing (RFC 9110 section 9.2.1).
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// Whether one of the cookies `sent`, token, session and origin of a request fit together.
///
/// # Errors
/// The first thing that does not.
pub(crate) fn verdict(
    known: &Known,
    headers: &HeaderMap,
    sent: &[CsrfCookie],
    session: Option<SessionId>,
    token: Option<&str>,
) -> Result<(), CsrfFailure> {
    if !known.site.cors.as_ref().is_some_and(|rules| cors::vouches(rules, headers)) {
        let origin = headers.get(http::header::ORIGIN).map(|value| value.to_str().unwrap_or("unreadable"));
        known.site.origins.check(origin, text(headers, "sec-fetch-site")).map_err(|_| CsrfFailure::CrossSite)?;
    }
    if !headers.contains_key(http::header::COOKIE) {
        return Err(CsrfFailure::NoCookies);
    }
    if sent.is_empty() {
        return Err(CsrfFailure::NoCsrfCookie);
    }
    let token = token.ok_or(CsrfFailure::NoToken)?;
    let fits = |cookie| is_csrf_token(&known.app.keys, cookie, binding(session), token);
    // One that was left on the parent domain may stand before or after the right one.
    if sent.iter().any(fits) { Ok(()) } else { Err(CsrfFailure::Mismatch) }
}

/// Whom tokens of this request are good for.
pub(crate) const fn binding(session: Option<SessionId>) -> CsrfBinding {
    match session {
        Some(id) => CsrfBinding::Session(id),
        None => CsrfBinding::Anonymous,
    }
}

/// Cookies that are named in a refusal, and how many characters of each name.
const MOST_NAMES: usize = 8;
const LONGEST_NAME: usize = 64;

/// The header that gives away a browser on an API flow. Cookies of content delivery networks do not count.
///
/// # Errors
/// Which one it is.
pub(crate) fn api_guard(headers: &HeaderMap) -> Result<(), ForbiddenHeader> {
    if headers.get(http::header::ORIGIN).is_some_and(|value| !value.is_empty()) {
        return Err(ForbiddenHeader::Origin);
    }
    let of_network = |name: &str| ["__cf", "_cf", "cf_"].iter().any(|prefix| name.starts_with(prefix));
    let pairs = cookies::pairs(headers.get_all(http::header::COOKIE).iter());
    let names = pairs.map(|(name, _)| name).filter(|name| !of_network(name)).take(MOST_NAMES);
    let names: Vec<_> = names.map(|name| name.chars().take(LONGEST_NAME).collect()).collect();
    if names.is_empty() { Ok(()) } else { Err(ForbiddenHeader::Cookie(names)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_exempt_paths() {
        for (path, exempt) in [
            ("/self-service/settings", true),
            ("/self-service/settings/api", true),
            ("/self-service/settings/browser", false),
            ("/self-service/settings/flows", false),
            ("/self-service/login", true),
            ("/self-service/logout", false),
            ("/self-service/logout/browser", false),
            ("/self-service/logout/api", true),
            ("/self-service/errors", false),
            ("/self-service/methods/oidc/callback/op", true),
            ("/self-service/methods/oidc/callback", true),
            ("/self-service/methods/oidc/callbacks", false),
            ("/self-service/methods/oidc/organization/o/callback/op", true),
            ("/sessions", true),
            ("/sessions/whoami", true),
            ("/sessionsx", false),
            ("/schemas", false),
            ("/schemas/default", true),
            ("/health/alive", true),
            ("/.well-known/change-password", false),
            ("/ui/sessions/end-others", false),
            ("/ui/assets/keyward.css", true),
            ("/no-such-route", false),
        ] {
            assert_eq!(is_exempt(path), exempt, "{path}");
        }
    }

    #[test]
    fn browsers_are_recognised_on_api_flows() {
        for (name, value, verdict) in [
            ("accept", "*/*", Ok(())),
            ("origin", "https://ui.example", Err(ForbiddenHeader::Origin)),
            ("origin", "", Ok(())),
            ("cookie", "__cf_bm=1; _cfuvid=2; cf_clearance=3", Ok(())),
            ("cookie", "__cf_bm=1; theme=dark", Err(ForbiddenHeader::Cookie(vec!["theme".to_owned()]))),
            ("cookie", "CF_clearance=1", Err(ForbiddenHeader::Cookie(vec!["CF_clearance".to_owned()]))),
            ("cookie", ";;;", Ok(())),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_static(value));
            assert_eq!(api_guard(&headers), verdict, "{name}: {value}");
        }
    }
}
