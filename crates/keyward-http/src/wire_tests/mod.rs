//! The routers as clients meet them, over an app with a database in memory: everything that is true of every endpoint.
//! What happens inside of flows is tested by the binary's own tests.
//! Time stands still here.

mod described;
mod mailbox;
mod people;
mod transport;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, Request};
use keyward_config::{Flags, Source, load};
use keyward_model::{Clock, Random, Time};
use keyward_services::App;
use keyward_store::Store;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use crate::AppState;

const BASE: &str = "http://id.test";

struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        Time::from_unix(1_767_225_600)
    }
}

/// Counts upwards: every call gives other bytes, every run the same.
#[derive(Default)]
struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let digest = Sha256::digest(self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            chunk.copy_from_slice(&digest[..chunk.len()]);
        }
    }
}

async fn app(patch: impl FnOnce(&mut Value)) -> App {
    let schema = json!({ "type": "object", "properties": { "traits": { "type": "object", "properties": {
        "email": { "type": "string", "format": "email", "ory.sh/kratos": { "credentials": { "password": { "identifier": true } } } }
    } } } });
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, schema.to_string());
    let ui = |name: &str| json!({ "ui_url": format!("http://ui.test/{name}") });
    let mut document = json!({
        "dsn": "memory",
        "serve": {
            "public": { "base_url": BASE, "body_limit": 2_000, "cors": { "enabled": true, "allowed_origins": ["http://app.test"], "allow_credentials": true } },
            "admin": { "base_url": "http://admin.test" },
        },
        "secrets": { "default": ["a-secret-for-tests-only"] },
        "hashers": { "algorithm": "bcrypt", "bcrypt": { "cost": 4 } },
        "identity": { "schemas": [{ "id": "default", "url": format!("base64://{encoded}") }] },
        "selfservice": {
            "default_browser_return_url": "http://app.test/",
            "flows": { "login": ui("login"), "registration": ui("registration"), "settings": ui("settings"), "error": ui("error") },
            "methods": { "password": { "enabled": true, "config": { "haveibeenpwned_enabled": false } } },
        },
    });
    patch(&mut document);
    let source = Source { name: "test.json".to_owned(), text: document.to_string() };
    let loaded = load(&[source], &BTreeMap::new(), &Flags { dev: true, hostname: None, cpus: 1 })
        .unwrap_or_else(|error| panic!("{error}"));
    let store = Store::open(loaded.config.dsn.reveal()).await.expect("a database in memory");
    store.migrate().await.expect("an empty database can be prepared");
    App::build(loaded.config, store, Arc::new(Still), Arc::new(Counting::default()), NonZeroUsize::MIN)
        .expect("a usable configuration")
}

async fn state() -> AppState {
    crate::app_state(app(|_| {}).await)
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Body::from(body.to_owned())).expect("a request")
}

async fn ask<S>(router: &S, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response
where
    S: tower::Service<Request<Body>, Response = Response, Error = Infallible> + Clone,
{
    router.clone().oneshot(request(method, path, headers, body)).await.expect("routers do not fail")
}

async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

async fn error(response: Response) -> Value {
    let status = response.status();
    let id = response.headers()["ory-error-id"].to_str().expect("text").to_owned();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    let body: Value = serde_json::from_str(&text(response).await).expect("JSON");
    assert_eq!(body["error"]["code"], status.as_u16(), "status and code agree");
    assert_eq!(body["error"]["id"].as_str().unwrap_or_default(), id);
    body
}

fn set_cookies(headers: &HeaderMap) -> Vec<String> {
    headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().expect("text").to_owned()).collect()
}

const JSON: (&str, &str) = ("accept", "application/json");
