//! Admin addresses on the public port: 307 to the admin port (contract: admin 1.1).
//! Helps clients that were given the wrong base URL.
//! Does nothing that the client could not do itself: the admin port has to be reachable for it.

use axum::Router;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::any;
use http::StatusCode;

use super::Called;
use crate::reply::Reply;

const FAMILIES: [&str; 5] = ["identities", "sessions", "courier", "recovery", "test-login-flows"];

pub(super) fn routes() -> Router {
    Router::new()
        .route("/admin/{*rest}", any(to_admin))
        .route("/identities", any(to_admin))
        .route("/identities/{*rest}", any(to_admin))
}

async fn to_admin(Extension(caller): Called) -> Response {
    let asked = caller.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let rest = asked.strip_prefix("/admin").unwrap_or(asked);
    let family = rest.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
    if !FAMILIES.contains(&family) {
        return Reply::not_found().send(&caller).await;
    }
    let location = format!("{}/admin{rest}", caller.site().addresses.admin);
    Reply::redirect(StatusCode::TEMPORARY_REDIRECT, location).send(&caller).await
}
