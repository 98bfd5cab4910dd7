//! Public addresses on the admin port: 307 to the public one, without the prefix (contract: admin 1.1).
//! Helps clients that were given the wrong base URL.
//! Redirects only.

use axum::Router;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::{any, delete};
use http::StatusCode;

use crate::public::Called;
use crate::reply::Reply;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/admin/self-service/{*rest}", any(to_public))
        .route("/admin/schemas", any(to_public))
        .route("/admin/schemas/{id}", any(to_public))
        .route("/admin/sessions/whoami", any(to_public))
        .route("/admin/sessions", delete(to_public))
        .route("/admin/.well-known/{*rest}", any(to_public))
}

async fn to_public(Extension(caller): Called) -> Response {
    let asked = caller.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let location = format!("{}{}", caller.site().addresses.public, asked.strip_prefix("/admin").unwrap_or(asked));
    Reply::redirect(StatusCode::TEMPORARY_REDIRECT, location).send(&caller).await
}
