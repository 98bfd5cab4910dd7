//! Delivery to HTTP gateways: text messages always, mail with `courier.delivery_strategy: http`.
//! The worker calls it with an opened message; the body comes from the operator's Jsonnet, or is the built-in one.
//! Knows one attempt; what a failure leads to is for the worker.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_config::{Config, EmailChannel, HttpAuth, HttpRequest};
use keyward_jsonnet::Job;
use keyward_model::{Secret, Span, Time, Via};
use keyward_store::OutboxRow;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::Content;
use super::worker::Failure;
use crate::App;
use crate::app::outbound_rules;
use crate::outbound::{Outbound, OutboundRequest};
use crate::tokenizer::{BadDocument, Origin, snippet};

/// The longest an attempt may take.
const PATIENCE: Span = Span::seconds(10);
const FORM: &str = "application/x-www-form-urlencoded";

/// The snippets of all gateways and the client that calls them.
#[derive(Debug)]
pub struct Gateways {
    email: Option<Origin<String>>,
    sms: Option<Origin<String>>,
    outbound: Outbound,
}

impl Gateways {
    /// Loads every snippet that needs no network; the others are fetched with the first message. Blocks on files.
    ///
    /// # Errors
    /// Every snippet that cannot be read.
    pub fn load(config: &Config) -> Result<Self, Vec<BadDocument>> {
        let mut errors = Vec::new();
        let mut load = |request: Option<&HttpRequest>| {
            let body = request.and_then(|request| request.body.as_ref())?;
            Origin::load(body, snippet).map_err(|error| errors.push(error)).ok()
        };
        let email = load(match &config.courier.email {
            Some(EmailChannel::Http(request)) => Some(request),
            _ => None,
        });
        let sms = load(config.courier.sms.as_ref());
        let outbound = Outbound::new(outbound_rules(config));
        if errors.is_empty() { Ok(Self { email, sms, outbound }) } else { Err(errors) }
    }
}

/// Makes one attempt.
pub(super) async fn deliver(
    app: &App,
    request: &HttpRequest,
    row: &OutboxRow,
    content: &Content,
    now: Time,
) -> Result<(), Failure> {
    let url = Url::parse(request.url.reveal()).map_err(|_| Failure::later("address", "the address is none"))?;
    let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| Failure::later("method", "the method is none"))?;
    let mut headers = headers(request).ok_or_else(|| Failure::later("headers", "a header field cannot be sent"))?;
    let is_form = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with(FORM));
    let value = match if row.via == Via::Sms { &app.gateways.sms } else { &app.gateways.email } {
        None => built_in(row, content),
        Some(origin) => {
            let snippet = origin.get(&app.gateways.outbound, now).await;
            let snippet = snippet.map_err(|error| Failure::later("snippet", error.to_string()))?;
            let context = context(row, content).to_string();
            let job = Job { snippet: snippet.to_string(), variables: Vec::new(), arguments: vec![("ctx".to_owned(), context)] };
            // What the snippet says about itself may hold what it was given.
            let json = app.jsonnet.evaluate(&job).await;
            let json = json.map_err(|_| Failure::later("snippet", "the snippet could not be evaluated"))?;
            serde_json::from_str(&json).map_err(|_| Failure::later("snippet", "the snippet gave no JSON"))?
        }
    };
    let body = if is_form {
        form(&value).ok_or_else(|| Failure::later("snippet", "a form needs an object of texts"))?
    } else {
        value.to_string()
    };
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    let sent =
        app.gateways.outbound.send(OutboundRequest { method, url, headers, body: Some(body.into_bytes()), budget: PATIENCE });
    let answer = sent.await.map_err(|error| Failure::later("request", error.to_string()))?;
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    Err(Failure::later("answer", format!("the gateway answered with status {}", answer.status)))
}

fn headers(request: &HttpRequest) -> Option<HeaderMap> {
    let value = |secret: &Secret<String>| {
        let mut value = HeaderValue::from_str(secret.reveal()).ok()?;
        value.set_sensitive(true);
        Some(value)
    };
    let mut headers = HeaderMap::new();
    for (name, text) in &request.headers {
        headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, value(text)?);
    }
    match &request.auth {
        None => {}
        Some(HttpAuth::Basic { user, password }) => {
            let pair = Secret::new(format!("{user}:{}", password.reveal()));
            headers.insert(AUTHORIZATION, value(&Secret::new(format!("Basic {}", STANDARD.encode(pair.reveal()))))?);
        }
        Some(HttpAuth::Header { name, value: text }) => {
            headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, value(text)?);
        }
        Some(HttpAuth::Cookie { name, value: text }) => {
            headers.insert(COOKIE, value(&Secret::new(format!("{name}={}", text.reveal())))?);
        }
    }
    Some(headers)
}

/// What snippets are given as `ctx`.
fn context(row: &OutboxRow, content: &Content) -> Value {
    let mut context = json!({
        "recipient": row.recipient,
        "subject": content.subject,
        "body": content.body,
        "template_type": row.template_type,
        "template_data": content.template_data,
        "message_type": row.via.as_str(),
        "request_headers": content.request_headers,
    });
    if let (Some(html), Some(context)) = (&content.html_body, context.as_object_mut()) {
        context.insert("html_body".to_owned(), json!(html));
    }
    context
}

fn built_in(row: &OutboxRow, content: &Content) -> Value {
    let data = |name: &str| content.template_data.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "recipient": row.recipient,
        "template_type": row.template_type,
        "to": data("to"),
        "recovery_code": data("recovery_code"),
        "recovery_url": data("recovery_url"),
        "verification_url": data("verification_url"),
        "verification_code": data("verification_code"),
        "subject": content.subject,
        "body": content.body,
    })
}

fn form(value: &Value) -> Option<String> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in value.as_object()? {
        form.append_pair(name, value.as_str()?);
    }
    Some(form.finish())
}
