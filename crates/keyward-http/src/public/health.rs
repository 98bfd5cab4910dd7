//! Whether the server lives, whether it can work, and which version it is (contract: admin 13).
//! Load balancers and operators ask, on both ports.
//! On the public port the reason of a failure is hidden.

use axum::Router;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde_json::json;

use super::Called;
use crate::caller::Caller;
use crate::openapi::Shape::Named;
use crate::openapi::{Operation, shows};
use crate::reply::Reply;

pub(super) fn routes() -> Router {
    Router::new().route("/health/alive", get(alive)).route("/health/ready", get(ready)).route("/version", get(version))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::metadata("GET", "/health/alive", "isAlive", "Says that the server lives.").answers(&[shows(
        200,
        "It lives.",
        Named("healthStatus"),
    )]),
    Operation::metadata("GET", "/health/ready", "isReady", "Says whether the server can work.")
        .answers(&[shows(200, "It can.", Named("healthStatus")), shows(503, "It cannot.", Named("healthNotReadyStatus"))]),
    Operation::metadata("GET", "/version", "getVersion", "Says which version the server has.").answers(&[shows(
        200,
        "The version.",
        Named("version"),
    )]),
];

pub(crate) async fn alive(Extension(caller): Called) -> Response {
    Reply::json(StatusCode::OK, json!({ "status": "ok" }).to_string()).send(&caller).await
}

async fn ready(Extension(caller): Called) -> Response {
    readiness(&caller, false).await
}

pub(crate) async fn version(Extension(caller): Called) -> Response {
    Reply::json(StatusCode::OK, json!({ "version": env!("CARGO_PKG_VERSION") }).to_string()).send(&caller).await
}

/// 200 when the database answers and has every migration, 503 with the failed checks otherwise.
pub(crate) async fn readiness(caller: &Caller, with_causes: bool) -> Response {
    let store = &caller.app().store;
    let failed = match store.ping().await {
        Err(error) => Some(("database", error.to_string())),
        Ok(()) => match store.pending_migrations().await {
            Err(error) => Some(("migrations", error.to_string())),
            Ok(pending) if !pending.is_empty() => Some(("migrations", format!("{} migrations are pending", pending.len()))),
            Ok(_) => None,
        },
    };
    let Some((check, cause)) = failed else {
        return Reply::json(StatusCode::OK, json!({ "status": "ok" }).to_string()).send(caller).await;
    };
    tracing::warn!(check, cause, "not ready");
    let cause = if with_causes { cause } else { "the check failed".to_owned() };
    Reply::json(StatusCode::SERVICE_UNAVAILABLE, json!({ "errors": { check: cause } }).to_string()).send(caller).await
}
