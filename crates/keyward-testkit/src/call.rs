//! One HTTP request and its answer, without redirects being followed or cookies being kept behind anybody's back.
//! Actors and the admin make [`Call`]s with their credentials on them; tests change what they are about and send them.
//! Knows no flow.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::jar::SetCookie;

/// A client that follows nothing and keeps nothing.
#[expect(clippy::disallowed_methods, reason = "tests stand outside of the server and are no calls of it to the outside")]
pub(crate) fn client() -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("a TLS configuration that no test uses")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // Well below the server's patience with idle connections: a request must not meet the end of its connection.
        .pool_idle_timeout(std::time::Duration::from_secs(1))
        .no_proxy()
        .referer(false)
        .build()
        .expect("building the HTTP client of a test")
}

/// What happens with the answer before the test sees it: a browser keeps its cookies.
pub(crate) type Keep<'a> = Box<dyn Fn(&Reply) + Send + Sync + 'a>;

/// A request that can still be changed; `.await` sends it.
#[must_use = "a call is sent when it is awaited"]
pub struct Call<'a> {
    http: &'a reqwest::Client,
    method: reqwest::Method,
    url: String,
    headers: HeaderMap,
    body: Vec<u8>,
    keep: Keep<'a>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(http: &'a reqwest::Client, method: &str, url: String, keep: Keep<'a>) -> Self {
        let method = method.parse().expect("an HTTP method");
        Self { http, method, url, headers: HeaderMap::new(), body: Vec::new(), keep }
    }

    /// Sets a header in place of the one that the client would send.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(header_name(name), HeaderValue::from_str(value).expect("a header value"));
        self
    }

    /// Adds a header beside one of the same name.
    pub fn another_header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(header_name(name), HeaderValue::from_str(value).expect("a header value"));
        self
    }

    /// Leaves out a header that the client would send, such as `Cookie` or `X-Session-Token`.
    pub fn no_header(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// A JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// A form, as browsers send it.
    pub fn form(self, fields: &[(String, String)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// Any body.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }
}

fn header_name(name: &str) -> HeaderName {
    name.parse().expect("a header name")
}

impl<'a> IntoFuture for Call<'a> {
    type Output = Reply;
    type IntoFuture = Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let asked = format!("{} {}", self.method, self.url);
            let has_body = !self.body.is_empty() || !matches!(self.method.as_str(), "GET" | "HEAD" | "DELETE");
            let mut request = self.http.request(self.method, &self.url).headers(self.headers);
            if has_body {
                request = request.body(self.body);
            }
            let answer = request.send().await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let body = answer.bytes().await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
            let reply = Reply { asked, status, headers, body: body.to_vec() };
            (self.keep)(&reply);
            reply
        })
    }
}

/// An answer, complete.
#[derive(Clone)]
pub struct Reply {
    asked: String,
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Asserts the status and yields the answer.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The body as JSON. Its content type must say so.
    #[track_caller]
    pub fn json(&self) -> Value {
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/json"), "an answer in JSON was expected: {self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `Location`; the answer must have one.
    #[track_caller]
    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("a redirect was expected: {self:?}"))
    }

    /// A query parameter of `Location`.
    #[track_caller]
    pub fn location_parameter(&self, name: &str) -> Option<String> {
        parameter(self.location(), name)
    }

    /// `error.id` of an envelope; empty when it has none.
    #[track_caller]
    pub fn error_id(&self) -> String {
        self.json()["error"]["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Every `Set-Cookie`, in order.
    pub fn set_cookies(&self) -> Vec<SetCookie> {
        let values = self.headers.get_all("set-cookie").iter();
        values.map(|value| SetCookie::parse(value.to_str().expect("a cookie in ASCII"))).collect()
    }

    /// The last `Set-Cookie` of a name.
    pub fn set_cookie(&self, name: &str) -> Option<SetCookie> {
        self.set_cookies().into_iter().rfind(|cookie| cookie.name == name)
    }
}

/// For messages of failed assertions: what was asked, and all of the answer.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} → {}", self.asked, self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        write!(f, "\n{}", self.text())
    }
}

/// A query parameter of an address, absolute or not.
pub fn parameter(address: &str, name: &str) -> Option<String> {
    let query = address.split_once('?')?.1.split('#').next()?;
    url::form_urlencoded::parse(query.as_bytes()).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}
