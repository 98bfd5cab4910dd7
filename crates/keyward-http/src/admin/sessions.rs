//! The sessions of an identity, for operators (contract: admin 9).
//! The handlers call [`keyward_services::admin`].
//! The list shows whose sessions they are; an unknown identity has none.

use axum::Router;
use axum::extract::{Extension, Path};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use keyward_model::{IdentityId, Problem};
use keyward_services::admin;

use crate::caller::Caller;
use crate::pagination::PageQuery;
use crate::public::{Called, sessions::listed};
use crate::reply::Reply;

pub(super) fn routes() -> Router {
    Router::new().route("/admin/identities/{id}/sessions", get(list).delete(end_all))
}

async fn list(Extension(caller): Called, Path(id): Path<String>) -> Response {
    match listing(&caller, &id).await {
        Ok(reply) => reply.send(&caller).await,
        Err(problem) => caller.refuse_json(problem).await,
    }
}

async fn listing(caller: &Caller, id: &str) -> Result<Reply, Problem> {
    let bad = |reason: &str| Problem::BadRequest { reason: reason.to_owned() };
    let id = identity_id(id)?;
    let page = PageQuery::read(&caller.query).map_err(bad)?;
    let active = match caller.query.get("active") {
        None => None,
        Some("true" | "1") => Some(true),
        Some("false" | "0") => Some(false),
        Some(_) => return Err(bad("The parameter active must be true or false.")),
    };
    let rows = page.rows();
    let (sessions, total) = admin::identity_sessions(caller.app(), id, active, (rows.offset, rows.limit)).await?;
    Ok(listed(caller.uri.path(), &caller.query, page, &sessions, total))
}

async fn end_all(Extension(caller): Called, Path(id): Path<String>) -> Response {
    let ended = match identity_id(&id) {
        Ok(id) => admin::delete_identity_sessions(caller.app(), &caller.client(), id).await,
        Err(problem) => Err(problem),
    };
    match ended {
        Ok(()) => Reply::empty(StatusCode::NO_CONTENT).send(&caller).await,
        Err(problem) => caller.refuse_json(problem).await,
    }
}

/// Reads an identity id from a path.
///
/// # Errors
/// 400 when it is none.
pub(super) fn identity_id(text: &str) -> Result<IdentityId, Problem> {
    IdentityId::parse(text).ok_or_else(|| Problem::BadRequest { reason: "The id is not a UUID.".to_owned() })
}
