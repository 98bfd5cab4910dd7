//! Signing out: a link for browsers, a call for apps (contract: login 12).
//! The handlers tell [`keyward_selfservice::stories::logout`] and forget the cookies.
//! What may be signed out is the story's business.

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::{delete, get};
use http::{HeaderName, StatusCode};
use keyward_model::Problem;
use keyward_selfservice::stories::logout;
use serde::Deserialize;
use serde_json::json;

use super::{Called, visit};
use crate::body;
use crate::openapi::Shape::{Named, Text};
use crate::openapi::{BY_COOKIE, Operation, RETURN_TO, in_query, leads, nothing, refuses, shows};
use crate::reply::{Reply, SessionCookie};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/self-service/logout/browser", get(prepare))
        .route("/self-service/logout", get(finish))
        .route("/self-service/logout/api", delete(native))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::frontend(
        "GET",
        "/self-service/logout/browser",
        "createBrowserLogoutFlow",
        "Makes the address that signs a browser out.",
    )
    .takes(&[RETURN_TO, BY_COOKIE])
    .signed_in_by_cookie()
    .answers(&[shows(200, "Where to go.", Named("logoutFlow")), leads(303), refuses(400), refuses(401)]),
    Operation::frontend("GET", "/self-service/logout", "updateLogoutFlow", "Signs a browser out.")
        .takes(&[in_query("token", Text, "From the logout address."), RETURN_TO, BY_COOKIE])
        .signed_in_by_cookie()
        .answers(&[nothing("A script is signed out."), leads(303), refuses(400), refuses(401), refuses(403)]),
    Operation::frontend("DELETE", "/self-service/logout/api", "performNativeLogout", "Signs an app out.")
        .body("performNativeLogoutBody")
        .answers(&[nothing("Signed out."), refuses(400), refuses(403)]),
];

async fn prepare(Extension(caller): Called) -> Result<Response, Response> {
    let call = visit(caller).await?;
    match logout::prepare(call.caller.app(), &call.visit, call.caller.query.get("return_to")) {
        Ok(link) => {
            let body = json!({ "logout_url": link.url.reveal(), "logout_token": link.token.reveal() });
            Ok(call.send(Reply::json(StatusCode::OK, body.to_string())).await)
        }
        Err(problem) => Ok(call.refuse(problem).await),
    }
}

async fn finish(Extension(caller): Called) -> Result<Response, Response> {
    let call = visit(caller).await?;
    let query = &call.caller.query;
    let location = match logout::finish(call.caller.app(), &call.visit, query.get("token"), query.get("return_to")).await {
        Ok(location) => location,
        Err(problem) => return Ok(call.refuse(problem).await),
    };
    let reply = if call.caller.wants().json {
        Reply::empty(StatusCode::NO_CONTENT)
    } else {
        Reply::redirect(StatusCode::SEE_OTHER, location)
    };
    let reply = Reply { session: SessionCookie::Clear, rotate_csrf: true, ..reply };
    let clears = call.caller.app().config.selfservice.flows.logout.clear_browser_data && call.caller.site().https;
    let reply = if clears {
        reply.with(HeaderName::from_static("clear-site-data"), "\"cookies\", \"storage\", \"cache\"")
    } else {
        reply
    };
    Ok(call.send(reply).await)
}

#[derive(Deserialize)]
struct NativeLogout {
    #[serde(default)]
    session_token: String,
}

async fn native(Extension(caller): Called, request_body: Body) -> Result<Response, Response> {
    let parsed = match body::read(&caller, request_body).await {
        Ok(bytes) => serde_json::from_slice::<NativeLogout>(&bytes)
            .map_err(|_| Problem::BadRequest { reason: "The body must be a JSON object with the key session_token.".to_owned() }),
        Err(problem) => Err(problem),
    };
    let wanted = match parsed {
        Ok(wanted) => wanted,
        Err(problem) => return Ok(caller.refuse_json(problem).await),
    };
    let call = visit(caller).await?;
    match logout::native(call.caller.app(), &call.visit, &wanted.session_token).await {
        Ok(()) => Ok(Reply::empty(StatusCode::NO_CONTENT).send(&call.caller).await),
        Err(problem) => Ok(call.refuse_json(problem).await),
    }
}
