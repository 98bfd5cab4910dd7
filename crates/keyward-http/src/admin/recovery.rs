//! Recovery codes that operators hand over (contract: recovery 2.11).
//! The handler reads the body and calls [`keyward_selfservice::stories::recovery`].
//! Sends nothing: how the code reaches the person is the operator's business.

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use keyward_model::{FlowType, Span};
use keyward_selfservice::stories::recovery;
use keyward_services::admin::Refused;
use serde_json::json;

use super::{answer, bad, identity_id, json_body};
use crate::caller::Caller;
use crate::openapi::Shape::Named;
use crate::openapi::{Operation, refuses, shows};
use crate::public::Called;
use crate::reply::Reply;

pub(super) fn routes() -> Router {
    Router::new().route("/admin/recovery/code", post(code))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[Operation::identity(
    "POST",
    "/admin/recovery/code",
    "createRecoveryCodeForIdentity",
    "Makes a recovery code to hand over.",
)
.body("createRecoveryCodeForIdentityBody")
.answers(&[shows(201, "The code, and the page that takes it.", Named("recoveryCodeForIdentity")), refuses(400), refuses(404)])];

async fn code(Extension(caller): Called, body: Body) -> Response {
    answer(&caller, make(&caller, body).await).await
}

async fn make(caller: &Caller, request_body: Body) -> Result<Reply, Refused> {
    let body = json_body(caller, request_body).await?;
    let body = body.as_object().ok_or_else(|| bad("The body is no JSON object."))?;
    let text = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(value) if value.is_null() || value == "" => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| bad(&format!("{name} is no text."))),
    };
    let identity = identity_id(text("identity_id")?.ok_or_else(|| bad("identity_id is missing."))?)?;
    let flow_type = match text("flow_type")? {
        None | Some("browser") => FlowType::Browser,
        Some("api") => FlowType::Api,
        Some(_) => return Err(bad("flow_type must be browser or api.").into()),
    };
    let lifespan = match text("expires_in")? {
        None => caller.app().config.selfservice.methods.code.lifespan,
        Some(text) => Span::parse(text)
            .filter(|span| *span > Span::seconds(0))
            .ok_or_else(|| bad("expires_in must be a duration above zero, such as 30m."))?,
    };
    let made = recovery::hand_over(caller.app(), &caller.client(), caller.now, identity, flow_type, lifespan).await?;
    let json = json!({ "recovery_link": made.link, "recovery_code": made.code.reveal(), "expires_at": made.expires_at });
    Ok(Reply::json(StatusCode::CREATED, json.to_string()))
}
