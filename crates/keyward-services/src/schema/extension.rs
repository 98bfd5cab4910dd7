//! The keyword `ory.sh/kratos`: what a trait is used for besides being stored.
//! `compile` checks every occurrence in a document here, `shape` reads the ones that belong to traits.
//! Knows the keyword's own form and nothing of the schema around it (contract: recovery 11.2).

use keyward_model::Via;
use serde_json::{Map, Value};

use super::SchemaError;

/// The keyword.
pub(crate) const KEYWORD: &str = "ory.sh/kratos";

/// What a trait is used for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    /// `credentials.password.identifier`: signs in with a password.
    pub password_identifier: bool,
    /// `credentials.webauthn.identifier`: signs in with a WebAuthn key.
    pub webauthn_identifier: bool,
    /// `credentials.passkey.display_name`: what an authenticator calls the account.
    pub passkey_display_name: bool,
    /// `credentials.totp.account_name`: what an authenticator app calls the account.
    pub totp_account_name: bool,
    /// `credentials.code`: receives sign-in codes over this channel.
    pub code: Option<Via>,
    /// `verification.via`: can be verified.
    pub verification: Option<Via>,
    /// `recovery.via`: can recover the account.
    pub recovery: Option<Via>,
}

impl Extension {
    /// Whether the value finds the account or receives messages.
    pub const fn is_flagged(&self) -> bool {
        self.password_identifier
            || self.webauthn_identifier
            || self.code.is_some()
            || self.verification.is_some()
            || self.recovery.is_some()
    }

    /// The channel that the trait names first, if any.
    pub(crate) fn via(&self) -> Option<Via> {
        self.verification.or(self.recovery).or(self.code)
    }

    /// Reads the keyword's value; `format` decides the channel where `credentials.code` names none.
    pub(crate) fn read(value: &Value, format: Option<&str>) -> Self {
        let flag = |kind: &str, name: &str| value["credentials"][kind][name] == true;
        let via = |value: &Value| value["via"].as_str().and_then(Via::parse);
        let by_format = if format == Some("tel") { Via::Sms } else { Via::Email };
        Self {
            password_identifier: flag("password", "identifier"),
            webauthn_identifier: flag("webauthn", "identifier"),
            passkey_display_name: flag("passkey", "display_name"),
            totp_account_name: flag("totp", "account_name"),
            code: flag("code", "identifier").then(|| via(&value["credentials"]["code"]).unwrap_or(by_format)),
            verification: via(&value["verification"]),
            recovery: via(&value["recovery"]),
        }
    }

    /// Adds what another occurrence for the same trait says.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.password_identifier |= other.password_identifier;
        self.webauthn_identifier |= other.webauthn_identifier;
        self.passkey_display_name |= other.passkey_display_name;
        self.totp_account_name |= other.totp_account_name;
        self.code = self.code.or(other.code);
        self.verification = self.verification.or(other.verification);
        self.recovery = self.recovery.or(other.recovery);
    }
}

/// What may stand under a key of the keyword.
enum Form {
    Flag,
    OneOf(&'static [&'static str]),
    Object(&'static [(&'static str, Form)]),
}

const VIA: Form = Form::OneOf(&["email", "sms"]);

const ROOT: Form = Form::Object(&[
    (
        "credentials",
        Form::Object(&[
            ("password", Form::Object(&[("identifier", Form::Flag)])),
            ("webauthn", Form::Object(&[("identifier", Form::Flag)])),
            ("passkey", Form::Object(&[("display_name", Form::Flag)])),
            ("totp", Form::Object(&[("account_name", Form::Flag)])),
            ("code", Form::Object(&[("identifier", Form::Flag), ("via", VIA)])),
        ]),
    ),
    ("verification", Form::Object(&[("via", VIA)])),
    ("recovery", Form::Object(&[("via", VIA)])),
    ("organizations", Form::Object(&[("matcher", Form::OneOf(&["email_domain"]))])),
]);

/// Checks every occurrence of the keyword in a document.
pub(crate) fn check_document(value: &Value, path: &mut Vec<String>) -> Result<(), SchemaError> {
    match value {
        Value::Object(map) => check_members(map, path),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            path.push(index.to_string());
            check_document(item, path)?;
            path.pop();
            Ok(())
        }),
        _ => Ok(()),
    }
}

fn check_members(map: &Map<String, Value>, path: &mut Vec<String>) -> Result<(), SchemaError> {
    for (key, member) in map {
        // Below these stand plain values, which may contain anything.
        if matches!(key.as_str(), "enum" | "const" | "default" | "examples") && !in_properties(path) {
            continue;
        }
        path.push(key.clone());
        if key == KEYWORD && !in_properties(&path[..path.len() - 1]) {
            check(&ROOT, member, path)?;
        } else {
            check_document(member, path)?;
        }
        path.pop();
    }
    Ok(())
}

/// Whether the members of the object at `path` are names of properties and not keywords.
fn in_properties(path: &[String]) -> bool {
    let maps = |key: &str| matches!(key, "properties" | "patternProperties" | "definitions" | "$defs" | "dependentSchemas");
    // `properties` below `properties` is a property of that name, so the path has to be read from its start.
    path.iter().fold(false, |names, key| !names && maps(key))
}

fn check(form: &Form, value: &Value, path: &mut Vec<String>) -> Result<(), SchemaError> {
    let wrong = |expected: String, path: &[String]| Err(SchemaError::Extension { path: pointer(path), expected });
    match form {
        Form::Flag if value.is_boolean() => Ok(()),
        Form::Flag => wrong("true or false".to_owned(), path),
        Form::OneOf(words) if value.as_str().is_some_and(|text| words.contains(&text)) => Ok(()),
        Form::OneOf(words) => wrong(words.join(" or "), path),
        Form::Object(known) => {
            let Some(members) = value.as_object() else { return wrong("an object".to_owned(), path) };
            for (key, member) in members {
                path.push(key.clone());
                let Some((_, form)) = known.iter().find(|(name, _)| name == key) else {
                    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                    return wrong(format!("no such key; known here: {}", names.join(", ")), path);
                };
                check(form, member, path)?;
                path.pop();
            }
            Ok(())
        }
    }
}

/// A JSON pointer in a URI fragment's place (RFC 6901), the way schema authors read it.
fn pointer(path: &[String]) -> String {
    path.iter().fold("#".to_owned(), |text, part| text + "/" + &part.replace('~', "~0").replace('/', "~1"))
}
