//! An answer before it is bytes: status, content, cookies.
//! The answer table and the handlers make replies, [`Reply::send`] writes them down.
//! Knows how things are written (redirect pages, error bodies, cookie headers), not why.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, Method, StatusCode};
use keyward_model::{IdentityId, Secret, Time};
use keyward_services::csrf::CsrfCookie;
use keyward_services::tokens::SessionToken;
use keyward_services::{App, error_store};

use crate::caller::Caller;
use crate::cookies;
use crate::envelope::Failure;
use crate::site::{Site, with_query};

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content: Content,
    pub(crate) session: SessionCookie,
    /// Who has just signed in with this browser, to be remembered in its device cookie.
    pub(crate) remember: Option<IdentityId>,
    /// The CSRF cookie must change.
    pub(crate) rotate_csrf: bool,
    /// Finished `Set-Cookie` values.
    pub(crate) cookies: Vec<HeaderValue>,
    /// Other headers.
    pub(crate) headers: Vec<(HeaderName, String)>,
}

/// What an answer carries.
#[derive(Debug)]
pub(crate) enum Content {
    Nothing,
    Json(String),
    Text(Cow<'static, str>),
    Html(String),
    Redirect(String),
    Failure(Failure),
    /// The failure is stored and the browser is sent to the page that shows it.
    ErrorPage(Failure),
}

/// What becomes of the session cookie.
#[derive(Debug)]
pub(crate) enum SessionCookie {
    Keep,
    Issue {
        /// `None`: the token that the browser showed.
        token: Option<Secret<String>>,
        expires_at: Time,
    },
    Clear,
}

/// On answers that set the CSRF cookie themselves.
#[derive(Clone, Copy)]
pub(crate) struct CsrfRotated;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// Errors carry no charset: clients compare the value (contract: settings 1.1).
const ERROR_JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const ERROR_ID: HeaderName = HeaderName::from_static("ory-error-id");

/// What handlers, [`crate::headers`] and the router add to an answer, so that the map is made in its final size.
const USUAL_HEADERS: usize = 12;

impl Reply {
    pub(crate) const fn new(status: StatusCode, content: Content) -> Self {
        Self {
            status,
            content,
            session: SessionCookie::Keep,
            remember: None,
            rotate_csrf: false,
            cookies: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub(crate) const fn empty(status: StatusCode) -> Self {
        Self::new(status, Content::Nothing)
    }

    pub(crate) const fn json(status: StatusCode, json: String) -> Self {
        Self::new(status, Content::Json(json))
    }

    pub(crate) const fn html(html: String) -> Self {
        Self::new(StatusCode::OK, Content::Html(html))
    }

    pub(crate) const fn redirect(status: StatusCode, location: String) -> Self {
        Self::new(status, Content::Redirect(location))
    }

    pub(crate) const fn failure(failure: Failure) -> Self {
        Self::new(failure.status, Content::Failure(failure))
    }

    /// The answer to an address that does not exist.
    pub(crate) const fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, Content::Text(Cow::Borrowed("404 page not found\n")))
    }

    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Turns what should become of the session into `Set-Cookie` values.
    pub(crate) fn bind_session(&mut self, app: &App, site: &Site, shown: Option<&SessionToken>, conflict: bool, now: Time) {
        let random = app.random();
        match std::mem::replace(&mut self.session, SessionCookie::Keep) {
            SessionCookie::Issue { token, expires_at } => {
                let token = token.as_ref().map(Secret::reveal).or_else(|| shown.map(SessionToken::reveal));
                if let Some(token) = token {
                    self.cookies.push(cookies::session(&app.keys, site, token, expires_at, now, random));
                }
            }
            SessionCookie::Clear => self.cookies.extend(cookies::clear_session(site)),
            SessionCookie::Keep if conflict => self.cookies.extend(cookies::clear_session(site)),
            SessionCookie::Keep => {}
        }
    }

    /// Writes the answer down. Errors for the error page are stored here; when that fails they are told directly.
    pub(crate) async fn send(self, caller: &Caller) -> Response {
        let content = match self.content {
            Content::ErrorPage(failure) => {
                let error = failure.error(caller.request_id());
                // Boxed, because hardly any answer needs it and the futures of all would hold its space.
                match Box::pin(error_store::put(caller.app(), &error, caller.now)).await {
                    Ok(id) => Content::Redirect(with_query(&caller.site().addresses.error_ui, &[("id", &id.to_string())])),
                    Err(error) => {
                        tracing::warn!(%error, "an error could not be stored for its page");
                        Content::Failure(failure)
                    }
                }
            }
            content => content,
        };
        let status = if let Content::Failure(failure) = &content { failure.status } else { self.status };
        let mut response = write(status, content, caller);
        for cookie in self.cookies {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        if self.rotate_csrf {
            let cookie = CsrfCookie::generate(caller.app().random());
            response.headers_mut().append(SET_COOKIE, cookies::csrf(caller.site(), &cookie));
            response.extensions_mut().insert(CsrfRotated);
        }
        for (name, value) in self.headers {
            // Values are built from checked configuration and numbers; what is no header is left out, not sent broken.
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

fn write(status: StatusCode, content: Content, caller: &Caller) -> Response {
    let (kind, body) = match content {
        Content::Nothing => (None, Body::empty()),
        Content::Json(json) => (Some(JSON), Body::from(json)),
        Content::Text(text) => (Some(TEXT), Body::from(text)),
        Content::Html(html) => (Some(HTML), Body::from(html)),
        Content::Redirect(location) => return redirect(status, &location, &caller.method),
        Content::Failure(failure) | Content::ErrorPage(failure) => return fail(&failure, caller.request_id()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().reserve(USUAL_HEADERS);
    if let Some(kind) = kind {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

/// An error body with its headers.
pub(crate) fn fail(failure: &Failure, request_id: Option<&str>) -> Response {
    let mut response = Response::new(Body::from(failure.body(request_id).to_string()));
    *response.status_mut() = failure.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, ERROR_JSON);
    headers.insert(ERROR_ID, HeaderValue::from_static(failure.id.unwrap_or_default()));
    if let Some(seconds) = failure.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A redirect; answers to GET carry a page with the link, others nothing (contract: settings 1.1).
fn redirect(status: StatusCode, location: &str, method: &Method) -> Response {
    let safe = crate::location::printable(location);
    let body = if matches!(*method, Method::GET | Method::HEAD) {
        let reason = status.canonical_reason().unwrap_or("See Other");
        Some(format!("<a href=\"{}\">{reason}</a>.\n\n", crate::location::escaped(&safe)))
    } else {
        None
    };
    let mut response = Response::new(body.clone().map_or_else(Body::empty, Body::from));
    *response.status_mut() = status;
    if body.is_some() {
        response.headers_mut().insert(CONTENT_TYPE, HTML);
    }
    // Only printable ASCII is left.
    if let Ok(value) = HeaderValue::try_from(safe) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}
