//! The two routers, each with everything around it that a request passes.
//! The binary and the tests hand them to [`crate::serve`].
//! Lists of paths stand beside their handlers.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::uri::{PathAndQuery, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::future::RouteFuture;
use http::{Method, StatusCode};
use tower::Service;

use crate::caller::Caller;
use crate::metrics::{ConfigStatus, Measuring, Port, Telemetry, measure};
use crate::reply::{Content, Reply};
use crate::state::{AppState, Front};
use crate::{admin, front, public};

/// The routes of a port, and what is done to the address of a request before one is chosen for it.
#[derive(Clone)]
pub struct Routes {
    routes: Router,
    beginning: Beginning,
}

/// Where the addresses of a port begin.
#[derive(Clone)]
enum Beginning {
    /// At the path of the public base URL, which proxies may leave on or take off.
    PublicBase(AppState),
    /// At `/admin`, which clients may leave out.
    Admin,
}

impl Service<Request> for Routes {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.routes, context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let begun = match &self.beginning {
            Beginning::PublicBase(state) => below_base(state, request.uri()),
            Beginning::Admin => below_admin(request.uri()),
        };
        if let Some(uri) = begun {
            *request.uri_mut() = uri;
        }
        self.routes.call(request)
    }
}

/// Everything that browsers and apps may ask.
pub fn public_router(state: AppState) -> Routes {
    let telemetry = unwatched(&state);
    public_router_with(state, telemetry)
}

/// As [`public_router`], counted.
pub(crate) fn public_router_with(state: AppState, telemetry: Arc<Telemetry>) -> Routes {
    let beginning = Beginning::PublicBase(Arc::clone(&state));
    let routes = public::routes()
        .fallback(not_found_outside)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Entry::new(state, telemetry, Port::Public), enter_public));
    Routes { routes, beginning }
}

/// The address without the path of the public base URL, for proxies that leave it on; `None` when there is nothing to take off.
/// Without that path everything is served as well, for proxies that take it off.
fn below_base(state: &AppState, uri: &Uri) -> Option<Uri> {
    let app = state.load();
    let base = app.config.public.base_url.url().path().trim_end_matches('/');
    if base.is_empty() {
        return None;
    }
    let rest = path_and_query(uri).strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']))?;
    with_path(uri, if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") })
}

/// The address with the `/admin` that the client left out.
fn below_admin(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let is_complete = path == "/admin" || path.starts_with("/admin/");
    if is_complete { None } else { with_path(uri, format!("/admin{}", path_and_query(uri))) }
}

fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", PathAndQuery::as_str)
}

/// The path was valid before and only its beginning changes, so this fails for none but the longest, which are refused later.
fn with_path(uri: &Uri, path: String) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Everything that operators may ask. Never reachable from outside: nobody is asked who they are here.
/// `/identities` and `/admin/identities` are the same.
pub fn admin_router(state: AppState) -> Routes {
    let telemetry = unwatched(&state);
    admin_router_with(state, telemetry)
}

/// As [`admin_router`], counted, and showing the counts of both ports.
pub(crate) fn admin_router_with(state: AppState, telemetry: Arc<Telemetry>) -> Routes {
    let routes = admin::routes()
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Entry::new(state, Arc::clone(&telemetry), Port::Admin), enter_admin))
        .layer(Extension(telemetry));
    Routes { routes, beginning: Beginning::Admin }
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
