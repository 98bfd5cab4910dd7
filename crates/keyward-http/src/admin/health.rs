//! Health and version on the admin port, where the reason of a failure is told.
//! Operators and orchestrators ask.
//! The checks themselves stand beside the public handlers.

use axum::Router;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;

use crate::public::{Called, health};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/admin/health/alive", get(health::alive))
        .route("/admin/health/ready", get(ready))
        .route("/admin/version", get(health::version))
}

async fn ready(Extension(caller): Called) -> Response {
    health::readiness(&caller, true).await
}
