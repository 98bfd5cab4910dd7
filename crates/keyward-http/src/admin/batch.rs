//! Many identities in one request (contract: admin 8.6).
//! Imports send them by the thousand; [`keyward_services::admin::create_batch`] does the work.
//! Every entry is answered in its place, with the error that a request of its own would have got.

use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use http::StatusCode;
use keyward_services::admin::{self, BatchEntry, BatchResult, Refused};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{answer, bad, json_body, told};
use crate::caller::Caller;
use crate::openapi::Shape::Named;
use crate::openapi::{Operation, refuses, shows};
use crate::public::Called;
use crate::reply::Reply;

/// Its route stands in [`super::identities`].
pub(super) const OPERATIONS: &[Operation] =
    &[Operation::identity("PATCH", "/admin/identities", "batchPatchIdentities", "Makes many identities, each by itself.")
        .body("patchIdentitiesBody")
        .answers(&[shows(200, "What became of each.", Named("batchPatchIdentitiesResponse")), refuses(400)])];

pub(super) async fn create_many(Extension(caller): Called, request_body: Body) -> Response {
    answer(&caller, creation(&caller, request_body).await).await
}

async fn creation(caller: &Caller, request_body: Body) -> Result<Reply, Refused> {
    let mut given = json_body(caller, request_body).await?;
    let Some(Value::Array(list)) = given.get_mut("identities").map(Value::take) else {
        return Err(bad("The body must have a list of identities.").into());
    };
    let mut entries = Vec::with_capacity(list.len());
    let mut patch_ids = Vec::with_capacity(list.len());
    for mut entry in list {
        patch_ids.push(match entry.get("patch_id") {
            None | Some(Value::Null) => None,
            Some(id) => {
                let id = id.as_str().filter(|id| Uuid::parse_str(id).is_ok());
                Some(id.ok_or_else(|| bad("A patch_id is not a UUID."))?.to_owned())
            }
        });
        let create = entry.get_mut("create").map(Value::take).filter(|create| !create.is_null());
        entries.push(BatchEntry { create });
    }
    let results = admin::create_batch(caller.app(), &caller.client(), entries).await?;
    let shown: Vec<Value> = results.into_iter().zip(patch_ids).map(|(result, patch_id)| show(caller, result, patch_id)).collect();
    Ok(Reply::json(StatusCode::OK, json!({ "identities": shown }).to_string()))
}

fn show(caller: &Caller, result: BatchResult, patch_id: Option<String>) -> Value {
    let mut shown = match result {
        BatchResult::Nothing => return Value::Null,
        BatchResult::Created(id) => json!({ "action": "create", "identity": id }),
        BatchResult::Refused(refused) => {
            let mut failure = told(caller, &refused);
            if matches!(refused, Refused::Taken(_)) {
                failure.reason = None;
                failure.details.clear();
            }
            json!({ "action": "error", "error": failure.error(None) })
        }
    };
    if let Some(id) = patch_id {
        shown["patch_id"] = id.into();
    }
    shown
}
