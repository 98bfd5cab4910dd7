//! The identity schemas, for user interfaces that draw forms from them (contract: admin 11.1).
//! Public: schemas hold no secrets.
//! Serves the documents as they were loaded.

use axum::Router;
use axum::extract::{Extension, Path};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use keyward_model::Problem;
use serde_json::json;

use super::Called;
use super::sessions::listed;
use crate::openapi::Shape::{List, Named, Text};
use crate::openapi::{Operation, PAGE, PAGE_SIZE, PAGE_TOKEN, PER_PAGE, in_path, refuses, shows};
use crate::pagination::PageQuery;
use crate::reply::Reply;

pub(super) fn routes() -> Router {
    Router::new().route("/schemas", get(list)).route("/schemas/{id}", get(one))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::identity("GET", "/schemas", "listIdentitySchemas", "Lists the identity schemas.")
        .takes(&[PAGE_SIZE, PAGE_TOKEN, PER_PAGE, PAGE])
        .answers(&[shows(200, "A page of them.", List(&Named("identitySchemaContainer"))), refuses(400)]),
    Operation::identity("GET", "/schemas/{id}", "getIdentitySchema", "Shows an identity schema.")
        .takes(&[in_path("id", Text, "Its id, as it is or in base64url.")])
        .answers(&[shows(200, "The schema.", Named("identitySchema")), refuses(404)]),
];

async fn list(Extension(caller): Called) -> Response {
    let page = match PageQuery::read(&caller.query) {
        Ok(page) => page,
        Err(problem) => return caller.refuse_json(problem).await,
    };
    let entries = caller.app().schemas.entries();
    let rows = page.rows();
    let items: Vec<String> = entries
        .iter()
        .skip(rows.offset as usize)
        .take(rows.limit as usize)
        .map(|entry| format!("{{\"id\":{},\"schema\":{}}}", json!(entry.schema.id()), entry.document.trim()))
        .collect();
    listed("/schemas", &caller.query, page, &items, entries.len() as u64).send(&caller).await
}

async fn one(Extension(caller): Called, Path(id): Path<String>) -> Response {
    match caller.app().schemas.find(&id) {
        Some(entry) => Reply::json(StatusCode::OK, entry.document.to_string()).send(&caller).await,
        None => {
            let reason = Some("There is no identity schema with this id.".to_owned());
            caller.refuse_json(Problem::NotFound { reason }).await
        }
    }
}
