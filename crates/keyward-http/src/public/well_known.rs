//! Addresses that other programs know by heart (RFC 8615).
//! Password managers ask for the place to change a password, browsers for the origins that share keys, pages for the script that
//! talks to authenticators.
//! What is told here is the same for everybody.

use axum::Router;
use axum::extract::Extension;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use keyward_config::Methods;
use keyward_selfservice::webauthn_script;
use serde_json::json;
use url::Url;

use super::Called;
use crate::openapi::Shape::Named;
use crate::openapi::{Operation, leads, plain, script, shows};
use crate::reply::Reply;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/.well-known/change-password", get(change_password))
        .route("/.well-known/webauthn", get(related_origins))
        .route(webauthn_script::PATH, get(webauthn_js))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::frontend(
        "GET",
        "/.well-known/change-password",
        "getChangePasswordUrl",
        "Leads password managers to where a password is changed.",
    )
    .answers(&[leads(303)]),
    Operation::frontend(
        "GET",
        "/.well-known/webauthn",
        "getWebAuthnRelatedOrigins",
        "Tells browsers which web sites share their keys with this one.",
    )
    .answers(&[shows(200, "The origins.", Named("webAuthnRelatedOrigins")), plain("There is only one.").with_status(404)]),
    Operation::frontend(
        "GET",
        webauthn_script::PATH,
        "getWebAuthnJavaScript",
        "Answers with the script that talks to authenticators.",
    )
    .answers(&[script("JavaScript.")]),
];

async fn change_password(Extension(caller): Called) -> Response {
    let addresses = &caller.site().addresses;
    // The built-in settings page cannot show anything without a flow.
    let location = if caller.site().built_in_pages || addresses.settings_ui.is_empty() {
        addresses.init(crate::answer::Kind::Settings, &[])
    } else {
        addresses.settings_ui.clone()
    };
    Reply::redirect(StatusCode::SEE_OTHER, location).send(&caller).await
}

/// Related origins (WebAuthn Level 3, section 5.11): served where web sites outside a relying party's name use its keys.
async fn related_origins(Extension(caller): Called) -> Response {
    match related(&caller.app().config.selfservice.methods) {
        Some(origins) => Reply::json(StatusCode::OK, json!({ "origins": origins }).to_string()).send(&caller).await,
        None => Reply::not_found().send(&caller).await,
    }
}

/// The web sites that use the keys of one relying party although they lie outside its name, with those inside; `None` when there is
/// nobody outside, because browsers ask only then. A server answers for one name: the first method that is on says which.
fn related(methods: &Methods) -> Option<Vec<&str>> {
    let parties =
        [(methods.passkey.enabled, &methods.passkey.relying_party), (methods.webauthn.enabled, &methods.webauthn.relying_party)];
    let parties = || parties.into_iter().filter(|(is_on, _)| *is_on).map(|(_, party)| party);
    let id = parties().next()?.id.as_str();
    let mut origins = Vec::new();
    for origin in parties().filter(|party| party.id == id).flat_map(|party| &party.origins).map(String::as_str) {
        // Apps prove their link to the site in ways of their own, and browsers take only secure origins.
        if origin.starts_with("https://") && !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins.iter().any(|origin| is_outside(origin, id)).then_some(origins)
}

/// Whether a web site is neither called like a relying party nor below its name (WebAuthn Level 3, section 5.1.3).
fn is_outside(origin: &str, id: &str) -> bool {
    let host = Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    host != id && !host.strip_suffix(id).is_some_and(|rest| rest.ends_with('.'))
}

/// The script. Pages of every origin load it with its hash, so it is readable for all; it changes only with this program, and the
/// browser asks whether it did.
async fn webauthn_js(Extension(caller): Called) -> Response {
    let tag = format!("\"{}\"", webauthn_script::integrity());
    let common = [(CACHE_CONTROL, "public, no-cache"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (ETAG, tag.as_str())];
    if caller.headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], common, webauthn_script::SOURCE).into_response()
}
