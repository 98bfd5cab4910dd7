//! What a trace tells of a request: its method, the route that was chosen for it, and the status of the answer.
//! [`crate::front`] calls it in builds with the feature `traces`, whose binary sends spans to a collector.
//! Never an address as it was asked, a header or a body: they may hold secrets. Names are OpenTelemetry's for HTTP servers.

use axum::extract::MatchedPath;
use axum::response::Response;
use http::{Extensions, Method};
use tracing::Span;
use tracing::field::Empty;

/// The span of a request.
pub(crate) fn span(method: &Method, id: &str) -> Span {
    let method = known(method);
    tracing::info_span!(
        "request",
        id,
        otel.name = method,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = Empty,
        http.response.status_code = Empty,
    )
}

/// Adds the route to the span around this call, as a pattern without values.
pub(crate) fn routed(method: &Method, extensions: &Extensions) {
    if let Some(route) = extensions.get::<MatchedPath>().map(MatchedPath::as_str) {
        let span = Span::current();
        span.record("http.route", route);
        span.record("otel.name", format!("{} {route}", known(method)));
    }
}

/// Adds the status of the answer to the span around this call.
pub(crate) fn answered(answer: &Response) {
    let status = answer.status();
    let span = Span::current();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// A method may be any word of the client's.
fn known(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS => {
            method.as_str()
        }
        _ => "_OTHER",
    }
}
