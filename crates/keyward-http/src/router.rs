//! The two routers, each with everything around it that a request passes.
//! The binary and the tests hand them to [`crate::serve`].
//! Lists of paths stand beside their handlers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::uri::{PathAndQuery, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::{Method, StatusCode};
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
        .fallback(not_found_outside)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Entry::new(state, telemetry, Port::Public), enter_public))
}

/// Takes the path of the public base URL off, for proxies that leave it on. Without it every path is served as well, for
/// proxies that take it off.
pub(crate) fn below_base(state: &AppState, uri: &mut Uri) {
    let app = state.load();
    let base = app.config.public.base_url.url().path().trim_end_matches('/');
    if base.is_empty() {
        return;
    }
    let text = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let rest = text.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let path = rest.map(|rest| if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") });
    let mut parts = uri.clone().into_parts();
    if let Some(below) = path.and_then(|path| path.parse().ok()) {
        parts.path_and_query = Some(below);
        // Only the path changed, so the parts still fit together.
        if let Ok(whole) = Uri::from_parts(parts) {
            *uri = whole;
        }
    }
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

/// A slash too many leads to where it is not, by a relative address: what stands before the path outside, only a proxy knows.
async fn not_found_outside(Extension(caller): Extension<Arc<Caller>>) -> Response {
    let path = caller.uri.path().strip_suffix('/').filter(|path| caller.method == Method::GET && path.len() > 1);
    match path.and_then(|path| path.rsplit('/').next()).filter(|last| !last.is_empty()) {
        Some(last) => {
            let query = caller.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            Reply::redirect(StatusCode::PERMANENT_REDIRECT, format!("../{last}{query}")).send(&caller).await
        }
        None => Reply::not_found().send(&caller).await,
    }
}

async fn wrong_method(Extension(caller): Extension<Arc<Caller>>) -> Response {
    Reply::new(StatusCode::METHOD_NOT_ALLOWED, Content::Text("405 method not allowed\n".into())).send(&caller).await
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
