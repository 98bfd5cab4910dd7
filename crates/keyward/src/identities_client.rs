//! A thin client of the admin API.
//! The commands under `keyward identities` send their requests here.
//! Knows addresses and error bodies, not what is asked for.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::Failure;

/// Hashing the passwords of a full request may take a while.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a request is tried when the server cannot be reached or says that it is busy, and the first pause between.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// The client; clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

/// What the server said.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// `Link`, if there is one.
    pub(crate) link: Option<String>,
    /// `null` when the answer has no body.
    pub(crate) body: Value,
}

impl Client {
    /// A client of the admin port at this address.
    pub(crate) fn new(endpoint: &str) -> Result<Self, Failure> {
        let http = operators_server(PATIENCE)?;
        let base = endpoint.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(Failure::say(format!("the endpoint {base:?} must begin with http:// or https://")));
        }
        Ok(Self { http, base })
    }

    /// Sends a request and reads the whole answer. When the server cannot be reached or is busy, it is tried again.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<String>) -> Result<Answer, Failure> {
        let mut attempt = 1;
        loop {
            let outcome = self.try_once(method.clone(), path, body.clone()).await;
            let again = match &outcome {
                Ok(answer) => matches!(answer.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS),
                Err(error) => error.is_connect(),
            };
            if !again || attempt == ATTEMPTS {
                return outcome.map_err(|error| Failure::new("the server cannot be reached", &error.without_url()));
            }
            tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
            attempt += 1;
        }
    }

    async fn try_once(&self, method: Method, path: &str, body: Option<String>) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).header("accept", "application/json");
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let link = answer.headers().get("link").and_then(|link| link.to_str().ok()).map(str::to_owned);
        let bytes = answer.bytes().await?;
        Ok(Answer { status, link, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }
}

/// A client for a server of the operator's own, wherever it stands.
#[expect(clippy::disallowed_methods, reason = "the operator's own server is called, at the address that they gave")]
pub(crate) fn operators_server(patience: Duration) -> Result<reqwest::Client, Failure> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new("cannot set up TLS", &error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(patience);
    builder.build().map_err(|error| Failure::new("cannot set up the HTTP client", &error))
}

impl Answer {
    /// The body, when the request was done.
    pub(crate) fn done(self) -> Result<Value, Failure> {
        if self.status.is_success() { Ok(self.body) } else { Err(Failure::say(told(self.status.as_u16(), &self.body["error"]))) }
    }

    /// The `page_token` of the next page.
    pub(crate) fn next_page(&self) -> Option<String> {
        let link = self.link.as_deref()?.split(',').find(|link| link.contains("rel=\"next\""))?;
        let token = link.split("page_token=").nth(1)?.split(['&', '>']).next()?;
        Some(token.to_owned())
    }
}

/// An error object in one sentence.
pub(crate) fn told(status: u16, error: &Value) -> String {
    let word = error["status"].as_str().unwrap_or("refused");
    let reason = error["reason"].as_str().or_else(|| error["message"].as_str()).unwrap_or("the server gave no reason");
    format!("{status} {word}: {reason}")
}

/// A text as one segment of a path (RFC 3986 section 3.3).
pub(crate) fn segment(text: &str) -> String {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_read_from_its_link() {
        let answer = |link: &str| Answer { status: StatusCode::OK, link: Some(link.to_owned()), body: Value::Null };
        let first = "</admin/identities?page_size=1&page_token=0>; rel=\"first\"";
        assert_eq!(answer(first).next_page(), None);
        let both = format!("{first},</admin/identities?page_size=1&page_token=a-b>; rel=\"next\"");
        assert_eq!(answer(&both).next_page().as_deref(), Some("a-b"));
        assert_eq!(segment("a b/ä"), "a%20b%2F%C3%A4");
    }
}
