//! `/sessions/whoami`: most of all traffic, hence its own short way: token → digest → one row → one string.
//! Reverse proxies and apps call it with every method there is.
//! Sets no cookie unless the session now lives longer than the cookie says, and writes nothing; only a request that carries
//! the cookies of two people loses them and leaves an audit event.

use axum::Router;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::any;
use http::StatusCode;
use http::header::HeaderName;
use keyward_model::Problem;
use keyward_selfservice::stories::sessions::whoami_level;
use keyward_services::session::session_json;
use keyward_services::{storage_problem, tokenizer};

use super::Called;
use crate::caller::{Caller, Source, Who};
use crate::envelope::Failure;
use crate::openapi::Shape::{Named, Text};
use crate::openapi::{BY_COOKIE, BY_TOKEN, Operation, in_query, refuses, shows};
use crate::reply::{Reply, SessionCookie};

const IDENTITY_ID: HeaderName = HeaderName::from_static("x-kratos-authenticated-identity-id");
const CACHE_FOR: HeaderName = HeaderName::from_static("ory-session-cache-for");
/// Seconds for which an edge may remember that nothing was sent.
const ANONYMOUS_CACHE: &str = "60";

pub(super) fn routes() -> Router {
    Router::new().route("/sessions/whoami", any(whoami))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] =
    &[Operation::frontend("GET", "/sessions/whoami", "toSession", "Says who is signed in.")
        .takes(&[in_query("tokenize_as", Text, "A template for a token."), BY_TOKEN, BY_COOKIE])
        .signed_in()
        .answers(&[shows(200, "The session.", Named("session")), refuses(400), refuses(401), refuses(403)])];

async fn whoami(Extension(caller): Called) -> Response {
    let who = match caller.who().await {
        Ok(who) => who,
        Err(error) => return caller.refuse_json(storage_problem(error)).await,
    };
    let conflict = who.conflict;
    let mut reply = match answer(&caller, &who).await {
        Ok(reply) => reply,
        Err(problem) => return caller.refuse_json(problem).await,
    };
    reply.bind_session(caller.app(), caller.site(), who.token.as_ref(), conflict, caller.now);
    reply.send(&caller).await
}

async fn answer(caller: &Caller, who: &Who) -> Result<Reply, Problem> {
    let app = caller.app();
    let flags = &app.config.feature_flags;
    let Some(active) = &who.active else {
        // Unlike other endpoints this one names no error id (contract: login 13.8).
        let reply = Reply::failure(Failure::new(StatusCode::UNAUTHORIZED, "No valid session cookie or token was sent."));
        let cacheable = flags.cacheable_sessions && who.source == Source::Nowhere;
        return Ok(if cacheable { reply.with(CACHE_FOR, ANONYMOUS_CACHE) } else { reply });
    };
    whoami_level(app, active).await?;
    let template = caller.query.get("tokenize_as");
    let session = &active.session;
    let mut json = session_json(session, true, Some(&active.wire_json), app.public_base());
    if let Some(template) = template {
        // Rare, so its size should not weigh on every other request.
        let token = Box::pin(tokenizer::tokenize(app, template, active, &json, caller.now)).await.map_err(Problem::from)?;
        // The token is base64url and dots (RFC 7515, 3.1): nothing in it needs an escape.
        json.truncate(json.len() - 1);
        json.push_str(",\"tokenized\":\"");
        json.push_str(&token);
        json.push_str("\"}");
    }
    let mut reply = Reply::json(StatusCode::OK, json).with(IDENTITY_ID, session.identity_id.to_string());
    if who.cookie_expires_at.is_some_and(|end| session.expires_at.truncated_to_seconds() > end) {
        reply.session = SessionCookie::Issue { token: None, expires_at: session.expires_at };
    }
    if flags.cacheable_sessions && template.is_none() {
        let rest = session.expires_at.since(caller.now);
        let rest = flags.cacheable_sessions_max_age.map_or(rest, |most| rest.min(most));
        reply = reply.with(CACHE_FOR, rest.as_seconds().max(0).to_string());
    }
    Ok(reply)
}
