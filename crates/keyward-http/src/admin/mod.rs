//! The endpoints of the admin port; the prefix `/admin` was added before if it was missing.
//! [`crate::router`] merges them.
//! Nobody is asked who they are here: whoever reaches this port may do everything.

mod batch;
mod courier;
mod health;
mod identities;
mod list;
mod recovery;
mod redirects;
mod sessions;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use keyward_model::{IdentityId, Problem};
use keyward_services::admin::Refused;
use serde_json::Value;

use crate::answer;
use crate::body;
use crate::caller::Caller;
use crate::envelope::Failure;
use crate::openapi::Operation;
use crate::reply::Reply;

/// Operators' bodies may be larger than people's: a thousand identities stand in one.
const LARGEST_BODY: usize = 32 << 20;

pub(crate) fn routes() -> Router {
    Router::new()
        .merge(identities::routes())
        .merge(sessions::routes())
        .merge(recovery::routes())
        .merge(courier::routes())
        .merge(health::routes())
        .merge(asides())
}

/// What is for those who came to the wrong port.
pub(crate) fn asides() -> Router {
    redirects::routes()
}

/// What all routes but the asides are for programs.
pub(crate) fn operations() -> impl Iterator<Item = &'static Operation> {
    [
        identities::OPERATIONS,
        batch::OPERATIONS,
        sessions::OPERATIONS,
        recovery::OPERATIONS,
        courier::OPERATIONS,
        health::OPERATIONS,
    ]
    .into_iter()
    .flatten()
}

/// Sends what a handler found, or why it found nothing.
async fn answer(caller: &Caller, outcome: Result<Reply, Refused>) -> Response {
    match outcome {
        Ok(reply) => reply.send(caller).await,
        Err(Refused::Problem(problem)) => caller.refuse_json(problem).await,
        Err(refused) => Reply::failure(told(caller, &refused)).send(caller).await,
    }
}

/// How a refusal is told.
fn told(caller: &Caller, refused: &Refused) -> Failure {
    answer::told(&caller.site().addresses, caller.now, refused)
}

/// Reads a JSON body.
async fn json_body(caller: &Caller, request_body: Body) -> Result<Value, Problem> {
    let limit = caller.app().config.public.body_limit.max(LARGEST_BODY);
    let bytes = body::read_up_to(caller, request_body, limit).await?;
    // The position is told, the text is not: it may hold a password.
    serde_json::from_slice(&bytes)
        .map_err(|error| bad(&format!("The body is no JSON (line {}, column {}).", error.line(), error.column())))
}

/// Reads an identity id from a path.
///
/// # Errors
/// 400 when it is none.
fn identity_id(text: &str) -> Result<IdentityId, Problem> {
    IdentityId::parse(text).ok_or_else(|| bad("The id is not a UUID."))
}

fn bad(reason: &str) -> Problem {
    Problem::BadRequest { reason: reason.to_owned() }
}
