//! Requests that the server makes to a gateway: where to, with which header fields, and how it shows who it is.
//! The block `courier` is made of them.
//! Sends nothing; what could never be sent is refused here, so that it does not fail with each message.

use keyward_model::Secret;
use url::Url;

use crate::document::Node;
use crate::report::{Place, Report};
use crate::resolve::{DOCUMENT_URL, is_document_url};
use crate::tokenizer::Document;

/// A request to a gateway.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// Where to; http or https.
    pub url: Secret<String>,
    /// The method.
    pub method: String,
    /// Header fields; `Content-Type` decides on the form of the body.
    pub headers: Vec<(String, Secret<String>)>,
    /// The Jsonnet that makes the body; `None` stands for the built-in one.
    pub body: Option<Document>,
    /// How the server shows who it is.
    pub auth: Option<HttpAuth>,
}

/// How the server shows a gateway who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpAuth {
    /// `basic_auth` (RFC 7617).
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret<String>,
    },
    /// `api_key` in a header field.
    Header {
        /// The field.
        name: String,
        /// Its value.
        value: Secret<String>,
    },
    /// `api_key` in a cookie.
    Cookie {
        /// The cookie.
        name: String,
        /// Its value.
        value: Secret<String>,
    },
}

pub(crate) fn headers(node: Option<&Node>, key: &str, report: &mut Report) -> Vec<(String, Secret<String>)> {
    let mut headers = Vec::new();
    for (name, node) in node.map(Node::entries).unwrap_or_default() {
        let Some(value) = node.as_text() else { continue };
        let key = format!("{key}.{name}");
        if let Some(message) = field_mistake(name, value) {
            report.refuse(&node.at, key, message);
        } else {
            headers.push((name.clone(), Secret::new(value.to_owned())));
        }
    }
    headers
}

/// Why a header field cannot be sent (RFC 9110, sections 5.1 and 5.5); `None` when it can.
fn field_mistake(name: &str, value: &str) -> Option<&'static str> {
    if !is_token(name) {
        return Some("this is no name of a header field");
    }
    value_mistake(value)
}

fn value_mistake(value: &str) -> Option<&'static str> {
    let broken = value.chars().any(|character| character.is_control() && character != '\t');
    broken.then_some("line breaks and other control characters cannot stand in a header field")
}

/// A token (RFC 9110, section 5.6.2): the name of a header field, and that of a cookie (RFC 6265, section 4.1.1).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// How the server shows itself; what cannot be sent is refused, since it would fail with each message.
fn auth(node: &Node, key: &str, report: &mut Report) -> Option<HttpAuth> {
    let at = |last: &str| node.find(last).map_or(&node.at, |node| &node.at);
    let text = |last: &str| node.find(last).and_then(Node::as_text).unwrap_or_default();
    let owned = |last: &str| text(last).to_owned();
    let secret = |last: &str| Secret::new(owned(last));
    let mut refuse = |last: &str, message: &str| report.refuse(at(last), format!("{key}.{last}"), message);
    let (read, fields) = match (text("type"), text("config.in")) {
        ("basic_auth", _) => {
            if text("config.user").contains(':') {
                refuse("config.user", "a user name cannot hold a colon (RFC 7617, section 2)");
            }
            let read = HttpAuth::Basic { user: owned("config.user"), password: secret("config.password") };
            (read, ["config.user", "config.password"])
        }
        ("api_key", place) => {
            let (name, value) = (owned("config.name"), secret("config.value"));
            let read = match place {
                "cookie" => {
                    if !is_token(&name) {
                        refuse("config.name", "this is no name of a cookie");
                    }
                    if text("config.value").contains([';', ',']) {
                        refuse("config.value", "the value of a cookie cannot hold ; and ,");
                    }
                    HttpAuth::Cookie { name, value }
                }
                _ => {
                    if let Some(message) = field_mistake(&name, "") {
                        refuse("config.name", message);
                    }
                    HttpAuth::Header { name, value }
                }
            };
            (read, ["config.name", "config.value"])
        }
        ("", _) => {
            refuse("type", "is required: basic_auth or api_key");
            return None;
        }
        _ => {
            refuse("type", "expected basic_auth or api_key");
            return None;
        }
    };
    for last in fields {
        if let Some(message) = value_mistake(text(last)) {
            refuse(last, message);
        }
    }
    Some(read)
}

/// A request to a gateway; `beside` is where the reader looks when there is none.
pub(crate) fn request(node: Option<&Node>, key: &str, beside: &Place, report: &mut Report) -> Option<HttpRequest> {
    let at = |last: &str| node.and_then(|node| node.find(last)).map_or(beside, |node| &node.at);
    let text = |last: &str| node.and_then(|node| node.find(last)).and_then(Node::as_text);
    let Some(url) = text("url") else {
        report.refuse(beside, format!("{key}.url"), "is required: the address of the gateway");
        return None;
    };
    if !Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        report.refuse(at("url"), format!("{key}.url"), "expected a URL that begins with http:// or https://");
    }
    let method = text("method").unwrap_or("POST");
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        report.refuse(at("method"), format!("{key}.method"), "expected a method such as POST");
    }
    let body = text("body").map(|url| {
        if !is_document_url(url) {
            report.refuse(at("body"), format!("{key}.body"), DOCUMENT_URL);
        }
        Document { key: format!("{key}.body"), at: at("body").clone(), url: Secret::new(url.to_owned()) }
    });
    let auth = node.and_then(|node| node.find("auth")).and_then(|node| auth(node, &format!("{key}.auth"), report));
    Some(HttpRequest {
        url: Secret::new(url.to_owned()),
        method: method.to_ascii_uppercase(),
        headers: headers(node.and_then(|node| node.get("headers")), &format!("{key}.headers"), report),
        body,
        auth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse;

    fn read(text: &str) -> (Option<HttpAuth>, Vec<String>) {
        let node = parse("a.yml", text).unwrap_or_else(|problem| panic!("{problem}"));
        let mut report = Report::default();
        let request = request(Some(&node), "r", &Place::Nowhere, &mut report);
        (request.and_then(|request| request.auth), report.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_shows_who_the_server_is_can_be_sent() {
        let secret = |text: &str| Secret::new(text.to_owned());
        for (auth, expected) in [
            ("~", None),
            (
                "{type: basic_auth, config: {user: u, password: \"p:w\"}}",
                Some(HttpAuth::Basic { user: "u".into(), password: secret("p:w") }),
            ),
            (
                "{type: api_key, config: {name: X-Key, value: v}}",
                Some(HttpAuth::Header { name: "X-Key".into(), value: secret("v") }),
            ),
            (
                "{type: api_key, config: {in: cookie, name: key, value: v}}",
                Some(HttpAuth::Cookie { name: "key".into(), value: secret("v") }),
            ),
        ] {
            assert_eq!(read(&format!("url: https://h/\nauth: {auth}\n")), (expected, Vec::new()), "{auth}");
        }
    }

    #[test]
    fn what_could_never_be_sent_is_refused_at_its_place() {
        for (auth, expected) in [
            ("{config: {name: X-Key, value: v}}", "a.yml:2: r.auth.type: is required: basic_auth or api_key"),
            ("{type: oauth2}", "a.yml:2: r.auth.type: expected basic_auth or api_key"),
            ("{type: api_key, config: {name: \"X Key\", value: v}}", "a.yml:2: r.auth.config.name: this is no name of a header"),
            ("{type: api_key, config: {value: v}}", "a.yml:2: r.auth.config.name: this is no name of a header"),
            ("{type: api_key, config: {name: X, value: \"HUNTER2\\r\\nX: y\"}}", "a.yml:2: r.auth.config.value: line breaks"),
            (
                "{type: api_key, config: {in: cookie, name: \"a=b\", value: v}}",
                "a.yml:2: r.auth.config.name: this is no name of a c",
            ),
            (
                "{type: api_key, config: {in: cookie, name: a, value: \"HUNTER2; b=c\"}}",
                "a.yml:2: r.auth.config.value: the value",
            ),
            (
                "{type: api_key, config: {in: cookie, name: a, value: \"HUNTER2\\0\"}}",
                "a.yml:2: r.auth.config.value: line breaks",
            ),
            ("{type: basic_auth, config: {user: \"a:b\", password: p}}", "a.yml:2: r.auth.config.user: a user name"),
            ("{type: basic_auth, config: {user: \"a\\n\", password: p}}", "a.yml:2: r.auth.config.user: line breaks"),
            ("{type: basic_auth, config: {user: a, password: \"HUNTER2\\n\"}}", "a.yml:2: r.auth.config.password: line breaks"),
        ] {
            let (_, said) = read(&format!("url: https://h/\nauth: {auth}\n"));
            let [mistake] = said.as_slice() else { panic!("{auth}: {said:?}") };
            assert!(mistake.starts_with(expected) && !mistake.contains("HUNTER2"), "{auth}: {mistake}");
        }
    }
}
