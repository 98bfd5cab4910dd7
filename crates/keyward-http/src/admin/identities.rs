//! Identities, for operators: make, read, list, change, delete (contract: admin 8).
//! The handlers call [`keyward_services::admin`].
//! Reads paths and bodies; what an identity is stands below.

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path};
use axum::response::Response;
use axum::routing::{delete as on_delete, get};
use http::StatusCode;
use http::header::LOCATION;
use keyward_services::admin::{self, Refused};
use serde_json::Value;

use super::list::{included, read_list, show};
use super::{answer, identity_id, json_body};
use crate::caller::Caller;
use crate::openapi::Shape::{List, Named, Text, Uuid};
use crate::openapi::{
    IDENTITY, INCLUDE_CREDENTIAL, Operation, PAGE, PAGE_SIZE, PAGE_TOKEN, PER_PAGE, in_path, in_query, nothing, refuses, shows,
};
use crate::public::Called;
use crate::reply::Reply;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/admin/identities", get(list).post(create).patch(super::batch::create_many))
        .route("/admin/identities/{id}", get(read).put(replace).patch(patch).delete(delete))
        .route("/admin/identities/by/external/{externalID}", get(read_by_external_id))
        .route("/admin/identities/{id}/credentials/{type}", on_delete(delete_credential))
        .route("/admin/identities/{id}/attempts", get(attempts).delete(unlock))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::identity("POST", "/admin/identities", "createIdentity", "Makes an identity.")
        .body("createIdentityBody")
        .answers(&[shows(201, "It was made.", Named("identity")), refuses(400), refuses(409)]),
    Operation::identity("GET", "/admin/identities/{id}", "getIdentity", "Shows an identity.")
        .takes(&[IDENTITY, INCLUDE_CREDENTIAL])
        .answers(&[shows(200, "The identity.", Named("identity")), refuses(400), refuses(404)]),
    Operation::identity(
        "GET",
        "/admin/identities/by/external/{externalID}",
        "getIdentityByExternalID",
        "Shows the identity with an id of the operator's.",
    )
    .takes(&[in_path("externalID", Text, "The operator's id."), INCLUDE_CREDENTIAL])
    .answers(&[shows(200, "The identity.", Named("identity")), refuses(400), refuses(404)]),
    Operation::identity("PUT", "/admin/identities/{id}", "updateIdentity", "Replaces an identity.")
        .takes(&[IDENTITY])
        .body("updateIdentityBody")
        .answers(&[shows(200, "The new state.", Named("identity")), refuses(400), refuses(404), refuses(409)]),
    Operation::identity("PATCH", "/admin/identities/{id}", "patchIdentity", "Changes parts of an identity.")
        .takes(&[IDENTITY])
        .body("jsonPatchDocument")
        .answers(&[shows(200, "The new state.", Named("identity")), refuses(400), refuses(404), refuses(409)]),
    Operation::identity(
        "DELETE",
        "/admin/identities/{id}",
        "deleteIdentity",
        "Deletes an identity with everything that belongs to it.",
    )
    .takes(&[IDENTITY])
    .answers(&[nothing("It is gone."), refuses(400), refuses(404)]),
    Operation::identity(
        "DELETE",
        "/admin/identities/{id}/credentials/{type}",
        "deleteIdentityCredentials",
        "Deletes a credential of an identity.",
    )
    .takes(&[
        IDENTITY,
        in_path("type", Text, "The type of the credential."),
        in_query("identifier", Text, "Which one, where there are several."),
    ])
    .answers(&[nothing("It is gone."), refuses(400), refuses(404)]),
    Operation::identity("GET", "/admin/identities", "listIdentities", "Lists identities.")
        .takes(&[
            in_query("ids", List(&Uuid), "At most 500; only one of these four filters can be used."),
            in_query("credentials_identifier", Text, "Who signs in with exactly this."),
            in_query("preview_credentials_identifier_similar", Text, "Who signs in with something that begins so."),
            in_query("organization_id", Uuid, "Members of an organisation."),
            INCLUDE_CREDENTIAL,
            PAGE_SIZE,
            PAGE_TOKEN,
            PER_PAGE,
            PAGE,
        ])
        .answers(&[shows(200, "A page of them.", List(&Named("identity"))), refuses(400)]),
    Operation::identity(
        "GET",
        "/admin/identities/{id}/attempts",
        "listIdentityAttempts",
        "Lists wrong attempts on record against an identity.",
    )
    .takes(&[IDENTITY])
    .answers(&[shows(200, "All of them.", List(&Named("identityAttempts"))), refuses(400), refuses(404)]),
    Operation::identity(
        "DELETE",
        "/admin/identities/{id}/attempts",
        "deleteIdentityAttempts",
        "Forgets wrong attempts, so that somebody who was locked out gets in.",
    )
    .takes(&[IDENTITY])
    .answers(&[nothing("They are forgotten."), refuses(400), refuses(404)]),
];

fn shown(identity: &Value) -> Reply {
    Reply::json(StatusCode::OK, identity.to_string())
}

async fn create(Extension(caller): Called, request_body: Body) -> Response {
    answer(&caller, creation(&caller, request_body).await).await
}

async fn creation(caller: &Caller, request_body: Body) -> Result<Reply, Refused> {
    let given = json_body(caller, request_body).await?;
    let (id, identity) = admin::create_identity(caller.app(), &caller.client(), given).await?;
    let location = format!("{}/identities/{id}", caller.site().addresses.admin);
    Ok(Reply::json(StatusCode::CREATED, identity.to_string()).with(LOCATION, location))
}

async fn read(Extension(caller): Called, Path(id): Path<String>) -> Response {
    let reading = async {
        let include = included(&caller.query)?;
        admin::get_identity(caller.app(), identity_id(&id)?, &include).await.map(|identity| shown(&identity))
    };
    answer(&caller, reading.await).await
}

async fn read_by_external_id(Extension(caller): Called, Path(id): Path<String>) -> Response {
    let reading = async {
        let include = included(&caller.query)?;
        admin::get_identity_by_external_id(caller.app(), &id, &include).await.map(|identity| shown(&identity))
    };
    answer(&caller, reading.await).await
}

async fn replace(Extension(caller): Called, Path(id): Path<String>, request_body: Body) -> Response {
    let replacing = async {
        let (id, given) = (identity_id(&id)?, json_body(&caller, request_body).await?);
        admin::replace_identity(caller.app(), &caller.client(), id, given).await.map(|identity| shown(&identity))
    };
    answer(&caller, replacing.await).await
}

async fn patch(Extension(caller): Called, Path(id): Path<String>, request_body: Body) -> Response {
    let patching = async {
        let (id, given) = (identity_id(&id)?, json_body(&caller, request_body).await?);
        admin::patch_identity(caller.app(), &caller.client(), id, &given).await.map(|identity| shown(&identity))
    };
    answer(&caller, patching.await).await
}

async fn delete(Extension(caller): Called, Path(id): Path<String>) -> Response {
    let deleting = async {
        admin::delete_identity(caller.app(), &caller.client(), identity_id(&id)?).await?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    };
    answer(&caller, deleting.await).await
}

async fn delete_credential(Extension(caller): Called, Path((id, kind)): Path<(String, String)>) -> Response {
    let deleting = async {
        let identifier = caller.query.get("identifier");
        admin::delete_credential(caller.app(), &caller.client(), identity_id(&id)?, &kind, identifier).await?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    };
    answer(&caller, deleting.await).await
}

async fn list(Extension(caller): Called) -> Response {
    let listing = async {
        let query = read_list(&caller.query)?;
        let page = (query.offset, query.limit);
        admin::list_identities(caller.app(), query).await.map(|listed| show(&caller.query, page, listed))
    };
    answer(&caller, listing.await).await
}

async fn attempts(Extension(caller): Called, Path(id): Path<String>) -> Response {
    let reading = async { admin::list_attempts(caller.app(), identity_id(&id)?).await.map(|found| shown(&found)) };
    answer(&caller, reading.await).await
}

async fn unlock(Extension(caller): Called, Path(id): Path<String>) -> Response {
    let unlocking = async {
        admin::forget_attempts(caller.app(), &caller.client(), identity_id(&id)?).await?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    };
    answer(&caller, unlocking.await).await
}
