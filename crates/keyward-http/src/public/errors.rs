//! The errors that browsers were sent to look at (contract: admin 5).
//! Error pages fetch them here by id.
//! Whoever knows the id may read it: it holds nothing that a JSON client would not have been told.

use axum::Router;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use keyward_model::{ErrorId, Problem};
use keyward_services::{error_store, storage_problem};
use serde_json::json;

use super::Called;
use crate::envelope::Failure;
use crate::openapi::Shape::{Named, Text};
use crate::openapi::{Operation, in_query, refuses, shows};
use crate::reply::Reply;

pub(super) fn routes() -> Router {
    Router::new().route("/self-service/errors", get(read))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] =
    &[Operation::frontend("GET", "/self-service/errors", "getFlowError", "Shows a refusal that a browser was sent to look at.")
        .takes(&[in_query("id", Text, "Its id; `stub:500` gives a sample.").required()])
        .answers(&[shows(200, "The refusal.", Named("flowError")), refuses(404)])];

async fn read(Extension(caller): Called) -> Response {
    let id = caller.query.get("error").or_else(|| caller.query.get("id"));
    if id == Some("stub:500") {
        let id: ErrorId = caller.app().random().id();
        let error = Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "A sample, for building error pages.").error(None);
        let epoch = "0001-01-01T00:00:00Z";
        let body = json!({ "id": id, "error": error, "created_at": epoch, "updated_at": epoch });
        return Reply::json(StatusCode::OK, body.to_string()).send(&caller).await;
    }
    let found = match id.and_then(ErrorId::parse) {
        Some(id) => error_store::find(caller.app(), id).await.map_err(storage_problem),
        None => Ok(None),
    };
    match found {
        Ok(Some(error)) => Reply::json(StatusCode::OK, error.to_string()).send(&caller).await,
        Ok(None) => caller.refuse_json(Problem::NotFound { reason: None }).await,
        Err(problem) => caller.refuse_json(problem).await,
    }
}
