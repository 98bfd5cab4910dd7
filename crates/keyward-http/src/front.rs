//! What every request passes on its way in and out: limits, cross-origin rules, the outer CSRF layer, the safety net for
//! panics, and the headers that every answer carries.
//! [`crate::router`] lays it around all routes; it makes the [`Caller`] that handlers receive.
//! Knows paths only to tell which are exempt from the CSRF layer.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderMap, StatusCode, Uri};
use keyward_config::Limits;
use keyward_model::{CsrfFailure, Problem};
use keyward_services::storage_problem;
use tracing::Instrument as _;

use crate::caller::Caller;
use crate::client::{Peer, request_id, text};
use crate::envelope::Failure;
use crate::reply::{CsrfRotated, Reply, fail};
use crate::state::Front;
use crate::{body, cookies, cors, csrf, headers};

/// Operators may name five hundred ids in one address.
const LONGEST_ADMIN_ADDRESS: usize = 32 * 1_024;

/// Lies around the public routes.
pub(crate) async fn public(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let known = front.enter();
    let (mut parts, request_body) = request.into_parts();
    if let Some(answer) = known.site.cors.as_ref().and_then(|rules| cors::preflight(rules, &parts.method, &parts.headers)) {
        return answer;
    }
    let limits = &known.app.config.limits;
    if let Some(failure) = too_large(&parts.uri, &parts.headers, limits, limits.url_bytes) {
        return finish(fail(&failure, request_id(&parts.headers)), known.site.https);
    }
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
    let caller =
        Caller::new(Arc::clone(&known), parts.method.clone(), parts.uri.clone(), std::mem::take(&mut parts.headers), peer);
    let caller = Arc::new(caller);
    parts.extensions.insert(Arc::clone(&caller));
    let answering = async {
        #[cfg(feature = "traces")]
        crate::traces::routed(&caller.method, &parts.extensions);
        match admit(&caller, request_body).await {
            Ok(request_body) => next.run(Request::from_parts(parts, request_body)).await,
            Err(answer) => answer,
        }
    };
    let mut answer = guarded(&caller, known.app.config.public.quiet_health_log, answering).await;
    if answer.extensions().get::<CsrfRotated>().is_none()
        && let Some(cookie) = caller.missing_csrf_cookie()
    {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
    if let Some(rules) = &known.site.cors {
        cors::decorate(rules, &caller.headers, answer.headers_mut());
    }
    finish(answer, known.site.https)
}

/// Lies around the admin routes: no cookies, no CSRF, no cross-origin requests.
pub(crate) async fn admin(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let known = front.enter();
    let (mut parts, request_body) = request.into_parts();
    let mut answer = if let Some(failure) = too_large(&parts.uri, &parts.headers, &known.app.config.limits, LONGEST_ADMIN_ADDRESS)
    {
        fail(&failure, request_id(&parts.headers))
    } else {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
        let headers = std::mem::take(&mut parts.headers);
        let caller = Arc::new(Caller::new(Arc::clone(&known), parts.method.clone(), parts.uri.clone(), headers, peer));
        parts.extensions.insert(Arc::clone(&caller));
        let answering = async {
            #[cfg(feature = "traces")]
            crate::traces::routed(&caller.method, &parts.extensions);
            next.run(Request::from_parts(parts, request_body)).await
        };
        guarded(&caller, known.app.config.admin.quiet_health_log, answering).await
    };
    headers::finish_admin(answer.headers_mut());
    answer
}

fn finish(mut answer: Response, https: bool) -> Response {
    headers::finish_public(answer.headers_mut(), https);
    answer
}

fn too_large(uri: &Uri, headers: &HeaderMap, limits: &Limits, longest_address: usize) -> Option<Failure> {
    if uri.path_and_query().is_some_and(|text| text.as_str().len() > longest_address) {
        return Some(Failure::bare(StatusCode::URI_TOO_LONG));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let cookies = || cookies::pairs(headers.get_all(COOKIE).iter()).count();
    let large = headers.len() > limits.headers || bytes > limits.header_bytes || cookies() > limits.cookies;
    large.then(|| Failure::bare(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE))
}

/// What is refused before any route is looked at. Gives the body back, read or not.
async fn admit(caller: &Caller, request_body: Body) -> Result<Body, Response> {
    if caller.uri.path().as_bytes().windows(2).any(|pair| pair == b"//") {
        return Err(Reply::not_found().send(caller).await);
    }
    if let Some(name) = caller.query.repeated() {
        let reason = format!("The query parameter {name} stands there more than once.");
        return Err(caller.refuse(Problem::BadRequest { reason }).await);
    }
    if caller.exempt || csrf::is_safe(&caller.method) {
        return Ok(request_body);
    }
    let bytes = match body::read(caller, request_body).await {
        Ok(bytes) => bytes,
        Err(problem) => return Err(caller.refuse(problem).await),
    };
    let payload = body::parse(text(&caller.headers, CONTENT_TYPE).unwrap_or_default(), &bytes).ok();
    let token = caller.header("x-csrf-token").or_else(|| payload.as_ref().and_then(|payload| payload.csrf_token()));
    match check(caller, token).await {
        Ok(()) => Ok(Body::from(bytes)),
        Err(problem) => Err(caller.refuse(problem).await),
    }
}

async fn check(caller: &Caller, token: Option<&str>) -> Result<(), Problem> {
    if !caller.headers.contains_key(COOKIE) {
        return Err(Problem::Csrf(CsrfFailure::NoCookies));
    }
    let who = caller.who().await.map_err(storage_problem)?;
    caller.check_csrf(&who, token).map_err(Problem::Csrf)
}

/// Runs what answers a request, and writes its line. A panic costs its own request only, and every line that is written on
/// the way carries the id of the request.
async fn guarded(caller: &Caller, quiet_health: bool, answering: impl Future<Output = Response>) -> Response {
    let id = caller.request_id().map_or_else(|| Cow::Owned(next_id()), Cow::Borrowed);
    #[cfg(not(feature = "traces"))]
    let span = tracing::info_span!("request", id = &*id);
    #[cfg(feature = "traces")]
    let span = crate::traces::span(&caller.method, &id);
    let guarded = async {
        let answer = AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|_| {
            // The panic hook has written the cause.
            tracing::error!(method = %caller.method, path = caller.uri.path(), "a request panicked");
            fail(&Failure::bare(StatusCode::INTERNAL_SERVER_ERROR), caller.request_id())
        });
        log(caller, &answer, quiet_health);
        #[cfg(feature = "traces")]
        crate::traces::answered(&answer);
        answer
    };
    guarded.instrument(span).await
}

/// Tells the log lines of one process's requests apart; no secret, so counting is enough and costs no system call.
fn next_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Asking for the process's number is a system call.
    static PROCESS: LazyLock<String> = LazyLock::new(|| format!("{:x}-", std::process::id()));
    let mut id = String::with_capacity(32);
    id.push_str(&PROCESS);
    // Writing to a string cannot fail.
    let _ = write!(id, "{:x}", COUNT.fetch_add(1, Ordering::Relaxed));
    id
}

/// One line for each request. Never the query: it may hold tokens.
fn log(caller: &Caller, answer: &Response, quiet_health: bool) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let path = caller.uri.path();
    if quiet_health && path.contains("/health/") {
        return;
    }
    tracing::debug!(method = %caller.method, path, status = answer.status().as_u16(), "answered");
}
