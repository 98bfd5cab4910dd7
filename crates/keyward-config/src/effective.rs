//! The configuration as it came out of all files and variables: to be shown without secrets, compared, and named by a hash.
//! The binary shows it with `config show` and asks it on reload whether something changed that cannot change live.
//! Knows from the key table which text is a secret, not what a key means.

use std::fmt::{self, Write as _};

use keyward_model::hex;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::document::Node;
use crate::keys::Kind;
use crate::tree::{Branch, ROOT};

/// What stands in the place of a secret.
const MASK: &str = "***";

/// Parts of the names of query parameters whose values are not shown.
const SECRET_PARAMETERS: &[&str] = &["pass", "secret", "token", "key", "auth", "sig"];

/// Keys that a running server cannot change: it has bound its ports, opened its database and set up its log and its traces.
const FIXED: &[&str] = &["dsn", "log", "serve", "tracing"];

/// Exceptions below [`FIXED`]: these are read anew for every request.
const LIVE: &[&str] = &[
    "serve.public.cors",
    "serve.public.body_limit",
    "serve.public.request_log",
    "serve.admin.request_log",
    "serve.trusted_proxies",
];

/// The merged configuration. Prints as a placeholder, because it holds every secret.
#[derive(Clone, PartialEq)]
pub struct Effective(Value);

impl Effective {
    pub(crate) fn new(root: &Node) -> Self {
        Self(root.to_json())
    }

    /// The configuration with all its secrets. Never pass it to a log.
    pub const fn reveal(&self) -> &Value {
        &self.0
    }

    /// SHA-256 of the configuration in hex. The order of keys does not matter, every value does.
    pub fn fingerprint(&self) -> String {
        let mut text = String::new();
        canonical(&self.0, &mut text);
        hex(&Sha256::digest(text.as_bytes()))
    }

    /// The configuration with `***` in the place of secrets: text that the key table calls secret or does not describe, header
    /// values, keys in `base64://` addresses of key sets, and what [`masked_address`] finds in other text.
    pub fn masked(&self) -> Value {
        masked(&self.0, Some(&ROOT), "")
    }

    /// The keys that differ from `next` and cannot change while a server runs, each with its full dotted name.
    pub fn fixed_changes(&self, next: &Self) -> Vec<String> {
        let mut changed = Vec::new();
        differences(&self.0, &next.0, "", &mut changed);
        let below = |key: &str, above: &str| key.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        changed.retain(|key| FIXED.iter().any(|fixed| below(key, fixed)) && !LIVE.iter().any(|live| below(key, live)));
        changed
    }
}

impl fmt::Debug for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[configuration]")
    }
}

/// JSON text with sorted keys.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (key, value) in sorted {
                let _ = write!(text, "{}:", Value::from(key.as_str()));
                canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

/// `key` is the name below which the value stands.
fn masked(value: &Value, branch: Option<&Branch>, key: &str) -> Value {
    let kind = branch.and_then(|branch| branch.kind);
    match value {
        Value::Object(entries) => {
            let headers = matches!(kind, Some(Kind::TextMap));
            let entries = entries.iter().map(|(name, value)| {
                let shown = if headers && value.is_string() {
                    Value::from(MASK)
                } else {
                    masked(value, branch.and_then(|branch| branch.child(name)), name)
                };
                (name.clone(), shown)
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
        Value::Array(items) if matches!(kind, Some(Kind::Secrets(..))) => {
            Value::Array(items.iter().map(|_| Value::from(MASK)).collect())
        }
        Value::Array(items) => {
            // The items of a list of texts have no branch of their own.
            let below =
                branch.and_then(|branch| branch.items.as_deref().or(matches!(kind, Some(Kind::TextList)).then_some(branch)));
            Value::Array(items.iter().map(|item| masked(item, below, key)).collect())
        }
        Value::String(text) => {
            let odd_dsn = key == "dsn" && text.contains('@') && !text.contains("://");
            if odd_dsn || matches!(kind, None | Some(Kind::SecretText | Kind::Anything)) {
                return Value::from(MASK);
            }
            if key == "jwks_url" && text.starts_with("base64://") {
                return Value::from(format!("base64://{MASK}"));
            }
            Value::from(masked_address(text))
        }
        other => other.clone(),
    }
}

/// An address without the secrets that it may carry; any other text as it is.
fn masked_address(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| *scheme != "base64") else {
        return text.to_owned();
    };
    let (before, fragment) = rest.split_once('#').map_or((rest, None), |(before, after)| (before, Some(after)));
    let (place, query) = before.split_once('?').map_or((before, None), |(place, query)| (place, Some(query)));
    let mut shown = format!("{scheme}://");
    match place.rsplit_once('@') {
        Some((person, host)) => {
            // Without a password the user name itself is often the key.
            let name = person.split_once(':').map(|(name, _)| format!("{name}:")).unwrap_or_default();
            let _ = write!(shown, "{name}{MASK}@{host}");
        }
        None => shown.push_str(place),
    }
    if let Some(query) = query {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if SECRET_PARAMETERS.iter().any(|part| name.to_ascii_lowercase().contains(part)) => {
                format!("{name}={MASK}")
            }
            _ => pair.to_owned(),
        });
        let _ = write!(shown, "?{}", pairs.collect::<Vec<_>>().join("&"));
    }
    if let Some(fragment) = fragment {
        let _ = write!(shown, "#{fragment}");
    }
    shown
}

/// Every dotted key at which two configurations differ; a list counts as one value.
fn differences(left: &Value, right: &Value, path: &str, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
            for name in names {
                let (left, right) = (left.get(name).unwrap_or(&Value::Null), right.get(name).unwrap_or(&Value::Null));
                differences(left, right, &join(path, name), found);
            }
        }
        // An absent block is one without keys.
        (Value::Object(_), Value::Null) => differences(left, &Value::Object(Map::new()), path, found),
        (Value::Null, Value::Object(_)) => differences(&Value::Object(Map::new()), right, path, found),
        _ if left == right => {}
        _ => found.push(path.to_owned()),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_lose_their_secrets() {
        for (text, shown) in [
            ("postgres://me:pw@db/x?sslmode=disable", "postgres://me:***@db/x?sslmode=disable"),
            ("postgres://db/x?user=a&password=b#f", "postgres://db/x?user=a&password=***#f"),
            ("smtp://dev@mail.example.org:pw@smtp.example.org:587", "smtp://dev@mail.example.org:***@smtp.example.org:587"),
            ("https://apikey@hooks.example.org/x", "https://***@hooks.example.org/x"),
            ("https://hooks.example.org/x?access_token=t", "https://hooks.example.org/x?access_token=***"),
            ("sqlite:///var/lib/a.sqlite?_fk=true", "sqlite:///var/lib/a.sqlite?_fk=true"),
            ("me@example.org", "me@example.org"),
        ] {
            assert_eq!(masked_address(text), shown);
        }
    }

    #[test]
    fn no_secret_of_any_key_is_shown() {
        let auth = json!({ "type": "api_key", "config": { "name": "X-Key", "value": "CANARY", "in": "header" } });
        let request = json!({ "url": "https://u:CANARY@h/x", "headers": { "X-Token": "CANARY" }, "auth": auth });
        let basic =
            json!({ "url": "https://h/x", "auth": { "type": "basic_auth", "config": { "user": "u", "password": "CANARY" } } });
        let document = json!({
            "dsn": "postgres://u:CANARY@h/db",
            "secrets": { "default": ["CANARY"], "cookie": ["CANARY"], "cipher": ["CANARY"], "pagination": ["CANARY"] },
            "serve": { "public": { "tls": { "key": { "base64": "CANARY" }, "cert": { "path": "/cert.pem" } } } },
            "courier": { "smtp": { "connection_uri": "smtp://u:CANARY@h", "headers": { "X-Relay": "CANARY" } }, "http": { "request_config": basic } },
            "session": { "whoami": { "tokenizer": { "templates": { "jwt": { "jwks_url": "base64://CANARY" } } } } },
            "oauth2_provider": { "url": "http://h", "headers": { "Authorization": "CANARY" } },
            "tracing": { "providers": { "otlp": { "authorization_header": "CANARY" } } },
            "selfservice": {
                "flows": { "login": { "after": { "hooks": [{ "hook": "web_hook", "config": request }] } } },
                "methods": { "oidc": { "config": { "providers": [{ "id": "a", "scope": ["email"], "client_secret": "CANARY", "apple_private_key": "CANARY",
                    "requested_claims": { "userinfo": "CANARY" } }] } } },
            },
        });
        let shown = Effective(document).masked().to_string();
        assert!(!shown.contains("CANARY"), "{shown}");
        assert!(shown.contains("/cert.pem") && shown.contains("X-Key") && shown.contains("\"id\":\"a\""), "{shown}");
        assert!(shown.contains("\"scope\":[\"email\"]"), "{shown}");
    }

    #[test]
    fn changes_that_need_a_restart_are_named() {
        let before =
            Effective(json!({ "dsn": "memory", "serve": { "public": { "port": 1, "cors": { "enabled": true } } }, "dev": true }));
        let next = |value| before.fixed_changes(&Effective(value));
        assert_eq!(next(json!({ "dsn": "memory", "serve": { "public": { "port": 1 } }, "session": {} })), [""; 0]);
        assert_eq!(
            next(json!({ "dsn": "sqlite://x", "serve": { "public": { "port": 2 } }, "log": { "level": "debug" } })),
            ["dsn", "serve.public.port", "log.level"]
        );
    }

    #[test]
    fn the_fingerprint_follows_values_and_not_the_order_of_keys() {
        let of = |value| Effective(value).fingerprint();
        assert_eq!(of(json!({ "a": 1, "b": [1, 2] })), of(json!({ "b": [1, 2], "a": 1 })));
        assert_ne!(of(json!({ "b": [1, 2] })), of(json!({ "b": [2, 1] })));
        assert_eq!(of(json!({})).len(), 64);
    }
}
