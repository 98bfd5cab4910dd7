//! Health, version, metrics and the configuration in force, on the admin port, where the reason of a failure is told.
//! Operators, orchestrators and Prometheus ask.
//! The checks themselves stand beside the public handlers, the counts in [`crate::metrics`].

use std::sync::Arc;

use axum::Router;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;

use crate::metrics::Telemetry;
use crate::openapi::Shape::Named;
use crate::openapi::{Operation, plain, shows};
use crate::public::{Called, health};
use crate::reply::{Content, Reply};

type Watched = Extension<Arc<Telemetry>>;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/admin/health/alive", get(health::alive))
        .route("/admin/health/ready", get(ready))
        .route("/admin/health/config", get(config))
        .route("/admin/version", get(health::version))
        .route("/admin/metrics/prometheus", get(metrics))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::metadata("GET", "/admin/health/alive", "isAdminAlive", "Says that the server lives.").answers(&[shows(200, "It lives.", Named("healthStatus"))]),
    Operation::metadata("GET", "/admin/version", "getAdminVersion", "Says which version the server has.").answers(&[shows(200, "The version.", Named("version"))]),
    Operation::metadata("GET", "/admin/health/ready", "isAdminReady", "Says whether the server can work, and what keeps it from doing so.").answers(&[shows(200, "It can.", Named("healthStatus")), shows(503, "It cannot.", Named("healthNotReadyStatus"))]),
    Operation::metadata("GET", "/admin/health/config", "getConfigurationStatus", "Which configuration is in force: its revision or hash as text (contract: admin 13), or everything as JSON for those who ask for it.").answers(&[shows(200, "Everything, or its revision or hash alone.", Named("configurationStatus")).or_text()]),
    Operation::metadata("GET", "/admin/metrics/prometheus", "getPrometheusMetrics", "Shows the counts of both ports to Prometheus.").answers(&[plain("In Prometheus' text format.")]),
];

async fn ready(Extension(caller): Called) -> Response {
    health::readiness(&caller, true).await
}

/// Which configuration is in force: its revision or hash as text (contract: admin 13), or everything as JSON for those who
/// ask for it.
async fn config(Extension(caller): Called, Extension(telemetry): Watched) -> Response {
    let status = telemetry.config();
    if !caller.wants().json {
        let name = status.revision.clone().unwrap_or_else(|| status.hash.clone());
        return Reply::new(StatusCode::OK, Content::Text(name.into())).send(&caller).await;
    }
    let body = json!({
        "status": if status.pending_errors.is_empty() { "ok" } else { "refused" },
        "loaded_at": status.loaded_at,
        "hash": status.hash,
        "revision": status.revision,
        "errors": status.pending_errors,
        "reloads": status.reloads,
        "refused_reloads": status.refused_reloads,
    });
    Reply::json(StatusCode::OK, body.to_string()).send(&caller).await
}

async fn metrics(Extension(caller): Called, Extension(telemetry): Watched) -> Response {
    let mut answer = Reply::new(StatusCode::OK, Content::Text(telemetry.render(caller.app()).into())).send(&caller).await;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    answer
}
