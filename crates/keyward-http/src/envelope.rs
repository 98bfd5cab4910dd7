//! The JSON in which every refusal is told: `{"error":{…}}`, with our own sentences (contract: settings 1.8.1, admin 1.2).
//! The answer table fills a [`Failure`], [`crate::reply`] sends it or stores it for the error page.
//! Knows which words belong to which status, not when a status is due.

use std::borrow::Cow;

use http::StatusCode;
use keyward_model::CsrfFailure;
use serde_json::{Map, Value, json};

/// A refusal, ready to be written down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    /// Always equal to `error.code`.
    pub(crate) status: StatusCode,
    /// `error.id`, and the header `Ory-Error-Id`.
    pub(crate) id: Option<&'static str>,
    /// `error.reason`: what was wrong this time.
    pub(crate) reason: Option<Cow<'static, str>>,
    /// `error.message`, where it is not the one of the status.
    pub(crate) message: Option<String>,
    /// `error.details`; left out when empty.
    pub(crate) details: Map<String, Value>,
    /// Keys beside `error`.
    pub(crate) beside: Map<String, Value>,
    /// Seconds for `Retry-After`.
    pub(crate) retry_after: Option<u32>,
}

impl Failure {
    /// A refusal that has nothing but its status.
    pub(crate) fn bare(status: StatusCode) -> Self {
        Self { status, id: None, reason: None, message: None, details: Map::new(), beside: Map::new(), retry_after: None }
    }

    /// A refusal with a sentence for developers.
    pub(crate) fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: Some(reason.into()), ..Self::bare(status) }
    }

    /// A refusal that clients know by its id.
    pub(crate) fn named(status: StatusCode, id: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { id: Some(id), ..Self::new(status, reason) }
    }

    /// Adds a key beside `error`.
    #[must_use]
    pub(crate) fn beside(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.beside.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a key inside `error.details`.
    #[must_use]
    pub(crate) fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// Adds the address that a browser has to go to, beside `error`.
    #[must_use]
    pub(crate) fn leading_to(self, location: &str) -> Self {
        self.beside("redirect_browser_to", location)
    }

    /// The whole body.
    pub(crate) fn body(&self, request_id: Option<&str>) -> Value {
        let mut body = Map::new();
        body.insert("error".to_owned(), self.error(request_id));
        body.extend(self.beside.clone());
        Value::Object(body)
    }

    /// The object `error` alone, as the error page fetches it later.
    pub(crate) fn error(&self, request_id: Option<&str>) -> Value {
        let mut error = Map::new();
        let mut put = |key: &str, value: Value| {
            error.insert(key.to_owned(), value);
        };
        if let Some(id) = self.id {
            put("id", json!(id));
        }
        put("code", json!(self.status.as_u16()));
        put("status", json!(self.status.canonical_reason().unwrap_or_default()));
        if let Some(request_id) = request_id {
            put("request", json!(request_id));
        }
        if let Some(reason) = &self.reason {
            put("reason", json!(reason));
        }
        if !self.details.is_empty() {
            put("details", Value::Object(self.details.clone()));
        }
        put("message", json!(self.message.as_deref().unwrap_or_else(|| message(self.status))));
        Value::Object(error)
    }
}

/// One summary for each status.
fn message(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "The request is not valid.",
        401 => "The request is not signed in.",
        403 => "The requested action is not allowed.",
        404 => "There is no such resource.",
        405 => "The resource does not know this method.",
        408 => "The request took too long.",
        409 => "The resource is in conflict with another one.",
        410 => "The resource is no longer available.",
        413 => "The request body is too large.",
        414 => "The request address is too long.",
        422 => "The request cannot be completed here.",
        429 => "There were too many attempts.",
        431 => "The request headers are too large.",
        502 => "Another service did not answer as expected.",
        503 => "The service cannot answer right now.",
        _ => "Something went wrong on the server.",
    }
}

/// `details` of a CSRF refusal (contract: settings 1.10.2). `scripted`: the request came from a script.
pub(crate) fn csrf_details(failure: CsrfFailure, scripted: bool) -> Map<String, Value> {
    let hint = match (failure, scripted) {
        (CsrfFailure::NoToken, _) => "The form was sent without its csrf_token field.",
        (_, true) => "Scripts must send cookies along: set credentials to include, and use the same site for page and API.",
        (_, false) => "Cookies must be allowed, and a server that forwards the form must forward the cookies too.",
    };
    let reason = match failure {
        CsrfFailure::NoCookies => "The request carries no cookies.",
        CsrfFailure::NoCsrfCookie => "The request carries cookies, but not the one that belongs to the form.",
        CsrfFailure::NoToken => "The body has no csrf_token.",
        CsrfFailure::Mismatch => "The form's token belongs to another cookie or another session.",
        CsrfFailure::CrossSite => "The request was started by a page of another site.",
    };
    let mut details = Map::new();
    details.insert("docs".to_owned(), json!("docs/csrf.md"));
    details.insert("hint".to_owned(), json!(hint));
    details.insert("reject_reason".to_owned(), json!(reason));
    details
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_the_order_of_the_contract_and_absent_ones_are_left_out() {
        let bare = Failure::bare(StatusCode::NOT_FOUND);
        assert_eq!(
            bare.body(None).to_string(),
            r#"{"error":{"code":404,"status":"Not Found","message":"There is no such resource."}}"#
        );
        let full = Failure::named(StatusCode::FORBIDDEN, "session_aal2_required", "why").detail("a", 1).leading_to("https://id/");
        assert_eq!(
            full.body(Some("r-1")).to_string(),
            concat!(
                r#"{"error":{"id":"session_aal2_required","code":403,"status":"Forbidden","request":"r-1","reason":"why","#,
                r#""details":{"a":1},"message":"The requested action is not allowed."},"redirect_browser_to":"https://id/"}"#
            )
        );
    }
}
