//! The configuration that every trial starts from: a small one, as an operator would write it, with cheap hashing.
//! A [`crate::Trial`] lays the test's own values over it and loads the result as the binary does.
//! Leaves every default alone that a test can live with, so that defaults are what is tested.

use base64::Engine as _;
use keyward_config::{Config, Flags, Source, load};
use serde_json::{Value, json};

/// Where the person's pages are. Nothing listens there: actors read the address and fetch the flow as those pages would.
/// Same site as the server, as `SameSite` cookies want it, and another origin.
pub const UI: &str = "http://127.0.0.1:4455";

/// The application that people come from and return to.
pub const APP: &str = "http://127.0.0.1:4456";

/// What differs between two trials.
pub(crate) struct Place<'a> {
    pub(crate) dsn: &'a str,
    pub(crate) public_port: u16,
    pub(crate) admin_port: u16,
}

/// The base configuration with a JSON merge patch (RFC 7396) applied, loaded. A configuration that cannot be loaded is the
/// test's mistake and ends it.
pub(crate) fn configure(place: &Place<'_>, patch: &Value) -> Config {
    let mut document = base(place);
    merge(&mut document, patch);
    let source = Source { name: "trial.json".to_owned(), text: document.to_string() };
    let flags = Flags { dev: true, hostname: Some("localhost".to_owned()), cpus: 2 };
    match load(&[source], &std::collections::BTreeMap::new(), &flags) {
        Ok(loaded) => loaded.config,
        Err(errors) => panic!("the configuration of this test cannot be loaded:\n{errors}"),
    }
}

fn base(place: &Place<'_>) -> Value {
    let listener = |port| json!({ "base_url": format!("http://127.0.0.1:{port}/"), "host": "127.0.0.1", "port": port });
    json!({
        "dsn": place.dsn,
        "serve": { "public": listener(place.public_port), "admin": listener(place.admin_port) },
        "secrets": { "default": ["a-secret-for-tests-that-protects-nothing"] },
        "hashers": { "algorithm": "bcrypt", "bcrypt": { "cost": 4 } },
        "identity": {
            "default_schema_id": "person",
            "schemas": [
                { "id": "person", "url": schema_url(&person()) },
                { "id": "company", "url": schema_url(&company()), "selfservice_selectable": true },
            ],
        },
        "selfservice": {
            "default_browser_return_url": format!("{APP}/"),
            "allowed_return_urls": [APP],
            "flows": {
                "error": { "ui_url": format!("{UI}/error") },
                "login": { "ui_url": format!("{UI}/login") },
                "registration": {
                    "ui_url": format!("{UI}/registration"),
                    "after": { "password": { "hooks": [{ "hook": "session" }] } },
                },
                "settings": { "ui_url": format!("{UI}/settings") },
                "recovery": { "ui_url": format!("{UI}/recovery") },
                "verification": { "ui_url": format!("{UI}/verification") },
            },
            "methods": {
                "profile": { "enabled": true },
                // The breach service is far away.
                "password": { "enabled": true, "config": { "haveibeenpwned_enabled": false } },
            },
        },
    })
}

/// Every type of trait that a settings form can show. `email` identifies, everything else is free.
fn person() -> Value {
    json!({
        "$id": "https://schemas.invalid/person.json",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Person",
        "type": "object",
        "properties": { "traits": {
            "type": "object",
            "properties": {
                "email": {
                    "type": "string", "format": "email", "title": "E-mail", "minLength": 3,
                    "ory.sh/kratos": {
                        "credentials": {
                            "password": { "identifier": true },
                            "webauthn": { "identifier": true },
                            "passkey": { "display_name": true },
                            "totp": { "account_name": true },
                            "code": { "identifier": true, "via": "email" },
                        },
                        "verification": { "via": "email" },
                        "recovery": { "via": "email" },
                    },
                },
                "nickname": { "type": "string", "title": "Nickname", "minLength": 2, "maxLength": 20 },
                "age": { "type": "integer", "title": "Age", "minimum": 18 },
                "newsletter": { "type": "boolean", "title": "Newsletter" },
                "name": {
                    "type": "object",
                    "properties": {
                        "first": { "type": "string", "title": "First name" },
                        "last": { "type": "string", "title": "Last name" },
                    },
                    "additionalProperties": false,
                },
            },
            "required": ["email"],
            "additionalProperties": false,
        } },
    })
}

/// A second schema, for identities of another kind.
fn company() -> Value {
    json!({
        "$id": "https://schemas.invalid/company.json",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Company",
        "type": "object",
        "properties": { "traits": {
            "type": "object",
            "properties": {
                "contact": {
                    "type": "string", "format": "email", "title": "Contact",
                    "ory.sh/kratos": {
                        "credentials": { "password": { "identifier": true } },
                        "verification": { "via": "email" },
                        "recovery": { "via": "email" },
                    },
                },
                "company": { "type": "string", "title": "Company", "minLength": 4 },
            },
            "required": ["contact", "company"],
            "additionalProperties": false,
        } },
    })
}

/// An identity schema as the `url` of an entry of `identity.schemas`.
pub fn schema_url(schema: &Value) -> String {
    format!("base64://{}", base64::engine::general_purpose::STANDARD.encode(schema.to_string()))
}

/// RFC 7396: objects merge, `null` removes, everything else replaces.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        if !patch.is_null() {
            *target = patch.clone();
        }
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(members) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            members.shift_remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_merge_replace_and_remove() {
        let mut target = json!({ "a": { "b": 1, "c": 2 }, "d": [1, 2], "e": 3 });
        merge(&mut target, &json!({ "a": { "b": null, "x": { "y": 1 } }, "d": [3], "e": { "f": 1 } }));
        assert_eq!(target, json!({ "a": { "c": 2, "x": { "y": 1 } }, "d": [3], "e": { "f": 1 } }));
        merge(&mut target, &Value::Null);
        assert_eq!(target["d"], json!([3]));
    }
}
