//! The two routers, each with everything around it that a request passes.
//! The binary and the tests hand them to [`crate::serve`].
//! Lists of paths stand beside their handlers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::uri::{PathAndQuery, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::StatusCode;
use tower::ServiceExt;

use crate::caller::Caller;
use crate::metrics::{ConfigStatus, Measuring, Port, Telemetry, measure};
use crate::reply::{Content, Reply};
use crate::state::{AppState, Front};
use crate::{admin, front, public};

/// Everything that browsers and apps may ask.
pub fn public_router(state: AppState) -> Router {
    let telemetry = unwatched(&state);
    public_router_with(state, telemetry)
}

/// As [`public_router`], counted.
pub(crate) fn public_router_with(state: AppState, telemetry: Arc<Telemetry>) -> Router {
    public::routes()
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Entry::new(state, telemetry, Port::Public), enter_public))
}

/// Everything that operators may ask. Never reachable from outside: nobody is asked who they are here.
/// `/identities` and `/admin/identities` are the same.
pub fn admin_router(state: AppState) -> Router {
    let telemetry = unwatched(&state);
    admin_router_with(state, telemetry)
}

/// As [`admin_router`], counted, and showing the counts of both ports.
pub(crate) fn admin_router_with(state: AppState, telemetry: Arc<Telemetry>) -> Router {
    let routes = admin::routes()
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Entry::new(state, Arc::clone(&telemetry), Port::Admin), enter_admin))
        .layer(Extension(telemetry));
    // The path has to be complete before a route is chosen.
    Router::new().fallback_service(routes.map_request(complete_path))
}

/// What the one layer around all routes of a port works with.
#[derive(Clone)]
struct Entry {
    front: Arc<Front>,
    measuring: Measuring,
}

impl Entry {
    fn new(state: AppState, telemetry: Arc<Telemetry>, port: Port) -> Self {
        Self { front: Front::new(state), measuring: Measuring { telemetry, port } }
    }
}

async fn enter_public(State(entry): State<Entry>, request: Request, next: Next) -> Response {
    measure(&entry.measuring, request, |request| front::public(State(entry.front.clone()), request, next)).await
}

async fn enter_admin(State(entry): State<Entry>, request: Request, next: Next) -> Response {
    measure(&entry.measuring, request, |request| front::admin(State(entry.front.clone()), request, next)).await
}

/// Counts that nobody else sees.
pub(crate) fn unwatched(state: &AppState) -> Arc<Telemetry> {
    Arc::new(Telemetry::new(ConfigStatus::new(state.load().now())))
}

async fn not_found(Extension(caller): Extension<Arc<Caller>>) -> Response {
    Reply::not_found().send(&caller).await
}

async fn wrong_method(Extension(caller): Extension<Arc<Caller>>) -> Response {
    Reply::new(StatusCode::METHOD_NOT_ALLOWED, Content::Text("405 method not allowed\n")).send(&caller).await
}

fn complete_path<B>(mut request: http::Request<B>) -> http::Request<B> {
    let path = request.uri().path();
    if path != "/admin" && !path.starts_with("/admin/") {
        let text = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        // The path was valid before, and a longer one is refused later.
        if let Ok(uri) = format!("/admin{text}").parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    request
}
