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
use crate::public::{Called, health};
use crate::reply::Reply;

type Watched = Extension<Arc<Telemetry>>;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/admin/health/alive", get(health::alive))
        .route("/admin/health/ready", get(ready))
        .route("/admin/health/config", get(config))
        .route("/admin/version", get(health::version))
        .route("/admin/metrics/prometheus", get(metrics))
}

async fn ready(Extension(caller): Called) -> Response {
    health::readiness(&caller, true).await
}

/// Which configuration is in force: its revision or hash as text (contract: admin 13), or everything as JSON for those who
/// ask for it.
async fn config(Extension(caller): Called, Extension(telemetry): Watched) -> Response {
    let status = telemetry.config();
    if !caller.header("accept").is_some_and(|accept| accept.contains("application/json")) {
        let name = status.revision.clone().unwrap_or_else(|| status.hash.clone());
        return text(Reply::json(StatusCode::OK, name).send(&caller).await);
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
    let mut answer = Reply::json(StatusCode::OK, telemetry.render(caller.app())).send(&caller).await;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    answer
}

fn text(mut answer: Response) -> Response {
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
