//! JSON Patch on an identity (RFC 6902, as far as contract admin 8.5 allows it).
//! The admin port calls it for PATCH; each attempt is applied to the newest version, so that no two patches undo each other.
//! The patch changes the admin form of the identity, and what came out of it is read as an edit.

use std::collections::HashSet;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, RemoveOperation, ReplaceOperation};
use keyward_model::{CredentialType, IdentityId, IdentitySnapshot, Time};
use serde_json::{Map, Value};

use super::bodies::{GivenAddress, read_state};
use super::{Refused, Show, admin_form, bad_request, change, credentials};
use crate::App;
use crate::audit::Client;
use crate::derive::{AddressState, CredentialEdit, IdentityEdit};

/// Most operations of one patch.
const MOST_OPERATIONS: usize = 1_000;

/// Applies a patch and gives the identity's admin form.
///
/// # Errors
/// When there is no such identity (404), the patch is none or not allowed, or what came out is invalid (400), something is taken
/// or others write all the time (409). Nothing is changed then.
pub async fn patch_identity(app: &App, client: &Client, id: IdentityId, patch: &Value) -> Result<Value, Refused> {
    let operations = read(patch)?;
    let patched = change(app, client, id, |before| {
        let document = document(app, before);
        let mut after = document.clone();
        for operation in &operations {
            operation.apply(&mut after)?;
        }
        edit(before, &document, &after, app.now())
    })
    .await?;
    Ok(admin_form(app, &patched, Show::With(&[])))
}

/// The document that a patch sees.
fn document(app: &App, before: &IdentitySnapshot) -> Value {
    admin_form(app, before, Show::With(&CredentialType::ALL))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Add,
    Remove,
    Replace,
}

struct Operation {
    verb: Verb,
    path: PointerBuf,
    tokens: Vec<String>,
    value: Value,
}

fn read(patch: &Value) -> Result<Vec<Operation>, Refused> {
    let list = patch.as_array().ok_or_else(|| bad_request("The body must be a JSON Patch: a list of operations."))?;
    if list.len() > MOST_OPERATIONS {
        return Err(bad_request("The patch has too many operations."));
    }
    list.iter().map(Operation::read).collect()
}

impl Operation {
    fn read(given: &Value) -> Result<Self, Refused> {
        let verb = match given["op"].as_str() {
            Some("add") => Verb::Add,
            Some("remove") => Verb::Remove,
            Some("replace") => Verb::Replace,
            Some(other) => return Err(bad_request(format!("The operation {other:?} is not supported."))),
            None => return Err(bad_request("Every operation needs an op.")),
        };
        let Some(text) = given["path"].as_str() else { return Err(bad_request("Every operation needs a path.")) };
        let path = PointerBuf::parse(text).map_err(|_| bad_request(format!("The path {text:?} is no JSON pointer.")))?;
        let tokens: Vec<String> = path.tokens().map(|token| token.decoded().into_owned()).collect();
        let value = match (given.get("value"), verb) {
            (Some(value), _) => value.clone(),
            (None, Verb::Remove) => Value::Null,
            (None, Verb::Add | Verb::Replace) => return Err(bad_request("This operation needs a value.")),
        };
        if is_denied(&tokens) {
            return Err(bad_request(format!("The path {text:?} cannot be patched.")));
        }
        if let [first] = tokens.as_slice()
            && first == "region"
            && verb == Verb::Remove
        {
            return Err(bad_request("The region cannot be removed."));
        }
        if let [first, kind] = tokens.as_slice()
            && first == "credentials"
            && verb != Verb::Remove
            && value["type"].as_str() != Some(kind)
        {
            return Err(bad_request(format!("The type of the credential must be {kind:?}, as in its path.")));
        }
        Ok(Self { verb, path, tokens, value })
    }

    fn apply(&self, document: &mut Value) -> Result<(), Refused> {
        let operation = match self.verb {
            Verb::Remove => PatchOperation::Remove(RemoveOperation { path: self.path.clone() }),
            Verb::Add | Verb::Replace => {
                let in_list = self.make_parents(document)?;
                if self.verb == Verb::Replace && in_list {
                    PatchOperation::Replace(ReplaceOperation { path: self.path.clone(), value: self.value.clone() })
                } else {
                    // A member that is not there yet may be replaced, too; adding does the same to one that is.
                    PatchOperation::Add(AddOperation { path: self.path.clone(), value: self.value.clone() })
                }
            }
        };
        json_patch::patch(document, &[operation])
            .map_err(|_| bad_request(format!("The path {:?} does not lead anywhere.", self.path.as_str())))
    }

    /// Makes the objects on the way to the last member that are missing. Whether that member is one of a list.
    fn make_parents(&self, document: &mut Value) -> Result<bool, Refused> {
        let nowhere = || bad_request(format!("The path {:?} does not lead anywhere.", self.path.as_str()));
        let mut at = document;
        for token in &self.tokens[..self.tokens.len().saturating_sub(1)] {
            at = match at {
                Value::Object(members) => {
                    let member = members.entry(token.clone()).or_insert(Value::Null);
                    if member.is_null() {
                        *member = Value::Object(Map::new());
                    }
                    member
                }
                Value::Array(items) => token.parse::<usize>().ok().and_then(|at| items.get_mut(at)).ok_or_else(nowhere)?,
                _ => return Err(nowhere()),
            };
        }
        Ok(at.is_array())
    }
}

/// What stands beside the traits and is not to be touched this way, whatever its case.
fn is_denied(tokens: &[String]) -> bool {
    let lower: Vec<String> = tokens.iter().map(|token| token.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    matches!(lower.as_slice(), [] | ["id" | "credentials" | "statechangedat"] | ["credentials", "oidc" | "saml", ..])
}

/// Members that a patch may leave behind. What is not an edit's business is passed over.
const MEMBERS: [&str; 16] = [
    "id",
    "external_id",
    "credentials",
    "schema_id",
    "schema_url",
    "state",
    "state_changed_at",
    "traits",
    "verifiable_addresses",
    "recovery_addresses",
    "metadata_public",
    "metadata_admin",
    "created_at",
    "updated_at",
    "organization_id",
    "region",
];

/// Reads what a patch made of the document as an edit of the identity.
fn edit(before: &IdentitySnapshot, old: &Value, new: &Value, now: Time) -> Result<IdentityEdit, Refused> {
    let members = new.as_object().ok_or_else(|| bad_request("An identity is an object."))?;
    if let Some(unknown) = members.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        return Err(bad_request(format!("An identity has no member {unknown:?}.")));
    }
    let text = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(bad_request(format!("The member {name:?} must be a text."))),
    };
    if text("organization_id")? != before.identity.organization_id.as_deref() {
        return Err(bad_request("Organizations are not supported."));
    }
    super::bodies::check_region(text("region")?)?;
    let state = match text("state")? {
        Some(state) => read_state(Some(state))?,
        None => None,
    };
    let changed = |name: &str| (old.get(name) != new.get(name)).then(|| new.get(name).cloned().unwrap_or_default());
    let optional = |name: &str| changed(name).map(|value| Some(value).filter(|value| !value.is_null()));
    let external_id = text("external_id")?.filter(|id| !id.is_empty()).map(str::to_owned);
    let schema_id = text("schema_id")?.filter(|id| !id.is_empty() && *id != before.identity.schema_id);
    Ok(IdentityEdit {
        traits: changed("traits"),
        credentials: credential_edits(before, old, new, now)?,
        state,
        metadata_public: optional("metadata_public"),
        metadata_admin: optional("metadata_admin"),
        external_id: (external_id != before.identity.external_id).then_some(external_id),
        schema_id: schema_id.map(str::to_owned),
        address_states: match changed("verifiable_addresses") {
            Some(list) => address_states(&list, before, now)?,
            None => Vec::new(),
        },
        ..IdentityEdit::default()
    })
}

fn credential_edits(before: &IdentitySnapshot, old: &Value, new: &Value, now: Time) -> Result<Vec<CredentialEdit>, Refused> {
    let (old, new) = (&old["credentials"], &new["credentials"]);
    if let Some(kind) = new.as_object().into_iter().flat_map(Map::keys).find(|kind| CredentialType::parse(kind).is_none()) {
        return Err(bad_request(format!("There is no credential type {kind:?}.")));
    }
    let mut edits = Vec::new();
    for kind in CredentialType::ALL {
        let name = kind.as_str();
        match (old.get(name), new.get(name)) {
            (Some(_), None | Some(Value::Null)) => edits.push(CredentialEdit::Drop(kind)),
            (old, Some(credential)) if old != Some(credential) => {
                if credential["type"].as_str() != Some(name) {
                    return Err(bad_request(format!("The type of the credential must be {name:?}.")));
                }
                let config = match &credential["config"] {
                    Value::Null => Value::Object(Map::new()),
                    config @ Value::Object(_) => config.clone(),
                    _ => return Err(bad_request("The config of a credential must be an object.")),
                };
                if old.is_some_and(|old| old["config"] == config && old["identifiers"] == credential["identifiers"]) {
                    continue;
                }
                if kind == CredentialType::Password {
                    credentials::check_password_config(&config)?;
                }
                edits.push(credentials::patched(kind, config, before, now)?);
            }
            _ => {}
        }
    }
    Ok(edits)
}

/// What a patched list says about the addresses that the identity has.
fn address_states(list: &Value, before: &IdentitySnapshot, now: Time) -> Result<Vec<AddressState>, Refused> {
    let wrong = |_| bad_request("The verifiable addresses are not in the form in which they are shown.");
    let given: Option<Vec<GivenAddress>> = serde_json::from_value(list.clone()).map_err(wrong)?;
    let mut seen = HashSet::new();
    let mut states = Vec::new();
    for address in given.into_iter().flatten() {
        let known = before.identity.verifiable_addresses.iter().find(|row| row.via == address.via && row.value == address.value);
        let Some(mut state) = address.state() else { continue };
        if let Some(row) = known {
            // Only the flag was flipped: the rest follows it.
            if row.verified != state.verified && address.status == Some(row.status) {
                state.status = GivenAddress { status: None, ..address }.state().map_or(row.status, |state| state.status);
            }
            if !state.verified {
                state.verified_at = None;
            } else if state.verified_at.is_none() {
                state.verified_at = Some(row.verified_at.unwrap_or(now));
            }
        }
        if seen.insert((state.via, state.value.clone())) {
            states.push(state);
        }
    }
    Ok(states)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apply(document: &Value, patch: &Value) -> Result<Value, String> {
        let mut document = document.clone();
        let tell = |refused: Refused| format!("{refused:?}");
        for operation in read(patch).map_err(tell)? {
            operation.apply(&mut document).map_err(tell)?;
        }
        Ok(document)
    }

    #[test]
    fn what_is_denied_stays_denied_however_it_is_written() {
        for path in [
            "",
            "/id",
            "/ID",
            "/stateChangedAt",
            "/StateChangedAt",
            "/credentials",
            "/Credentials",
            "/credentials/oidc",
            "/credentials/OIDC/config",
            "/credentials/saml",
            "/credentials/saml/config/providers/0",
        ] {
            for op in ["add", "replace", "remove"] {
                let refused = apply(&json!({}), &json!([{ "op": op, "path": path, "value": {} }])).unwrap_err();
                assert!(refused.contains("cannot be patched"), "{op} {path}: {refused}");
            }
        }
    }

    #[test]
    fn operations_reach_what_is_there_and_make_what_is_missing() {
        let document = json!({ "traits": { "a": 1, "list": [1, 2] }, "metadata_public": null });
        for (op, path, expected) in [
            ("replace", "/traits/a", json!({ "traits": { "a": 9, "list": [1, 2] }, "metadata_public": null })),
            ("replace", "/traits/b", json!({ "traits": { "a": 1, "list": [1, 2], "b": 9 }, "metadata_public": null })),
            ("replace", "/traits/c/d", json!({ "traits": { "a": 1, "list": [1, 2], "c": { "d": 9 } }, "metadata_public": null })),
            ("add", "/metadata_public/plan", json!({ "traits": { "a": 1, "list": [1, 2] }, "metadata_public": { "plan": 9 } })),
            ("add", "/traits/list/-", json!({ "traits": { "a": 1, "list": [1, 2, 9] }, "metadata_public": null })),
            ("add", "/traits/list/0", json!({ "traits": { "a": 1, "list": [9, 1, 2] }, "metadata_public": null })),
            ("replace", "/traits/list/1", json!({ "traits": { "a": 1, "list": [1, 9] }, "metadata_public": null })),
            ("remove", "/traits/list/0", json!({ "traits": { "a": 1, "list": [2] }, "metadata_public": null })),
            ("remove", "/traits/a", json!({ "traits": { "list": [1, 2] }, "metadata_public": null })),
        ] {
            let patched = apply(&document, &json!([{ "op": op, "path": path, "value": 9 }]));
            assert_eq!(patched, Ok(expected), "{op} {path}");
        }
        for (op, path) in [
            ("replace", "/traits/list/2"),
            ("replace", "/traits/list/x"),
            ("add", "/traits/list/4"),
            ("add", "/traits/list/7/b"),
            ("remove", "/traits/b"),
            ("add", "/traits/a/b"),
            ("move", "/traits/a"),
            ("copy", "/traits/a"),
            ("test", "/traits/a"),
            ("add", "traits"),
        ] {
            assert!(apply(&document, &json!([{ "op": op, "path": path, "value": 9 }])).is_err(), "{op} {path}");
        }
        for patch in [json!({}), json!([{}]), json!([{ "op": "add", "path": "/a" }]), json!([1]), json!("x")] {
            assert!(apply(&document, &patch).is_err(), "{patch}");
        }
    }

    #[test]
    fn a_whole_credential_names_its_type() {
        for (value, fits) in [(json!({ "type": "totp" }), true), (json!({ "type": "password" }), false), (json!(7), false)] {
            let patch = json!([{ "op": "add", "path": "/credentials/totp", "value": value }]);
            assert_eq!(apply(&json!({}), &patch).is_ok(), fits, "{patch}");
        }
    }
}
