//! The bodies of create and replace requests, read from JSON (contract: admin 8.3, 8.4).
//! Create, batch and replace read them; the command line checks files with the same rules before it sends them.
//! Reads only: what an entry means is decided where it is used.

use keyward_model::{AddressStatus, IdentifierKind, IdentityState, Time, Via, canonical_identifier};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::credentials::{self, GivenCredentials};
use super::{Refused, bad_request};
use crate::derive::{AddressState, is_external_id};

const KEYS: [&str; 11] = [
    "schema_id",
    "traits",
    "credentials",
    "verifiable_addresses",
    "recovery_addresses",
    "metadata_public",
    "metadata_admin",
    "state",
    "organization_id",
    "external_id",
    "region",
];

const REGIONS: [&str; 8] = ["eu-central", "asia-northeast", "us-east", "us-west", "eu", "asia", "us", "global"];

/// A create or replace body.
#[derive(Debug, Deserialize)]
pub(super) struct GivenIdentity {
    #[serde(default)]
    pub(super) schema_id: Option<String>,
    #[serde(default)]
    pub(super) traits: Option<Value>,
    #[serde(default)]
    pub(super) credentials: Option<GivenCredentials>,
    #[serde(default)]
    pub(super) verifiable_addresses: Option<Vec<GivenAddress>>,
    #[serde(default)]
    pub(super) metadata_public: Option<Value>,
    #[serde(default)]
    pub(super) metadata_admin: Option<Value>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    organization_id: Option<Value>,
    #[serde(default)]
    pub(super) region: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct GivenAddress {
    pub(super) value: String,
    pub(super) via: Via,
    #[serde(default)]
    pub(super) verified: bool,
    #[serde(default)]
    pub(super) status: Option<AddressStatus>,
    #[serde(default)]
    pub(super) verified_at: Option<Time>,
}

impl GivenIdentity {
    /// Reads a body of a create request: every key must mean something.
    pub(super) fn strict(body: Value) -> Result<Self, Refused> {
        let members = body.as_object().ok_or_else(|| bad_request("The body must be a JSON object."))?;
        refuse_unknown(members)?;
        Self::read(body)
    }

    /// Reads a body of a replace request: other keys, such as those of an identity that was read before, are passed over.
    pub(super) fn lenient(body: Value) -> Result<Self, Refused> {
        let members = body.as_object().ok_or_else(|| bad_request("The body must be a JSON object."))?;
        if members.is_empty() {
            return Err(bad_request("The body is empty."));
        }
        Self::read(body)
    }

    fn read(mut body: Value) -> Result<Self, Refused> {
        // The reader's words may quote what it found, so it gets no chance to quote secrets.
        let given_credentials = body.as_object_mut().and_then(|members| members.shift_remove("credentials"));
        let mut given: Self = serde_json::from_value(body).map_err(|error| bad_request(error.to_string()))?;
        given.credentials = match given_credentials {
            None | Some(Value::Null) => None,
            Some(value) => Some(credentials::read(value)?),
        };
        if given.organization_id.as_ref().is_some_and(|id| !id.is_null()) {
            return Err(bad_request("Organizations are not supported."));
        }
        check_region(given.region.as_deref())?;
        given.region = given.region.filter(|region| !region.is_empty());
        given.schema_id = given.schema_id.filter(|id| !id.is_empty());
        if given.external_id.as_deref().is_some_and(|id| !id.is_empty() && !is_external_id(id)) {
            return Err(bad_request("The external id may have at most 64 characters, and no zero character."));
        }
        Ok(given)
    }

    /// The state, if one is given.
    pub(super) fn state(&self) -> Result<Option<IdentityState>, Refused> {
        read_state(self.state.as_deref())
    }

    /// The external id; empty means none.
    pub(super) fn external_id(&self) -> Option<String> {
        self.external_id.clone().filter(|id| !id.is_empty())
    }

    /// What is said about verifiable addresses, in their canonical spelling.
    pub(super) fn address_states(&self) -> Vec<AddressState> {
        self.verifiable_addresses.iter().flatten().filter_map(GivenAddress::state).collect()
    }
}

impl GivenAddress {
    /// What is said about it. `None` when it is no address: it cannot be one of the identity's either.
    pub(super) fn state(&self) -> Option<AddressState> {
        let value = match self.via {
            Via::Email => canonical_identifier(IdentifierKind::Email, &self.value),
            Via::Sms => crate::phone::e164(&self.value),
        }?;
        let otherwise = if self.verified { AddressStatus::Completed } else { AddressStatus::Pending };
        Some(AddressState {
            via: self.via,
            value,
            verified: self.verified,
            status: self.status.unwrap_or(otherwise),
            verified_at: self.verified_at,
        })
    }
}

/// A region must be one of those that exist; nothing depends on it.
pub(super) fn check_region(region: Option<&str>) -> Result<(), Refused> {
    match region.filter(|region| !region.is_empty()) {
        Some(region) if !REGIONS.contains(&region) => Err(bad_request(format!("There is no region {region:?}."))),
        _ => Ok(()),
    }
}

/// Reads a state; absent and empty mean none.
pub(super) fn read_state(text: Option<&str>) -> Result<Option<IdentityState>, Refused> {
    match text {
        None | Some("") => Ok(None),
        Some(text) => match IdentityState::parse(text) {
            Some(state) => Ok(Some(state)),
            None => Err(bad_request("The state must be active or inactive.")),
        },
    }
}

/// Checks a body of a create request without doing anything: its keys, states and credentials. Traits are the schema's
/// business.
///
/// # Errors
/// A sentence that names what is wrong.
pub fn check_new_identity(body: &Value) -> Result<(), String> {
    let sentence = |refused| match refused {
        Refused::Problem(keyward_model::Problem::BadRequest { reason }) => reason,
        Refused::UnknownKey(message) => message,
        Refused::Problem(_) | Refused::Taken(_) => "The body cannot be used.".to_owned(),
    };
    let given = GivenIdentity::strict(body.clone()).map_err(sentence)?;
    given.state().map_err(sentence)?;
    match &given.credentials {
        Some(credentials) => credentials.check().map_err(sentence),
        None => Ok(()),
    }
}

fn refuse_unknown(members: &Map<String, Value>) -> Result<(), Refused> {
    let unknown = |path: String| Err(Refused::UnknownKey(format!("The body has an unknown key: {path}.")));
    if let Some(key) = members.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return unknown(key.clone());
    }
    for (kind, credential) in members.get("credentials").and_then(Value::as_object).into_iter().flatten() {
        let Some(known) = credentials::config_keys(kind) else { return unknown(format!("credentials.{kind}")) };
        let Some(credential) = credential.as_object() else { continue };
        if let Some(key) = credential.keys().find(|key| *key != "config") {
            return unknown(format!("credentials.{kind}.{key}"));
        }
        let mut keys = credential.get("config").and_then(Value::as_object).into_iter().flat_map(Map::keys);
        if let Some(key) = keys.find(|key| !known.contains(&key.as_str())) {
            return unknown(format!("credentials.{kind}.config.{key}"));
        }
    }
    Ok(())
}
