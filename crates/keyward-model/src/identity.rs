//! Identities: traits, addresses and credentials, and their public form on the wire.
//! The writer in `services` produces them, the store keeps them, the stories show them.
//! Knows no schema: what traits mean is decided by `services::schema`.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::{AddressId, CredentialId, CredentialType, Factors, IdentityId, Time};

/// Whether an identity may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum IdentityState {
    /// May sign in.
    #[default]
    Active,
    /// Switched off by an operator; sessions of it answer as if they did not exist.
    Inactive,
}

impl IdentityState {
    /// The wire's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }

    /// Reads the wire's word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Inactive].into_iter().find(|state| state.as_str() == text)
    }
}

/// How an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// By mail.
    Email,
    /// By text message.
    Sms,
}

impl Via {
    /// The wire's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
        }
    }

    /// Reads the wire's word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Email, Self::Sms].into_iter().find(|via| via.as_str() == text)
    }
}

/// How far the verification of an address has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum AddressStatus {
    /// Nothing was sent.
    #[default]
    Pending,
    /// A code or link is on its way.
    Sent,
    /// The person proved that the address is theirs.
    Completed,
}

impl AddressStatus {
    /// The wire's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Completed => "completed",
        }
    }

    /// Reads the wire's word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Sent, Self::Completed].into_iter().find(|status| status.as_str() == text)
    }
}

/// An address that can be verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiableAddress {
    /// Row id; survives edits that keep the address.
    pub id: AddressId,
    /// Canonical address.
    pub value: String,
    /// Whether it was proven.
    pub verified: bool,
    /// How it is reached.
    pub via: Via,
    /// Progress of the verification.
    pub status: AddressStatus,
    /// When it was proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Time>,
    /// First seen.
    pub created_at: Time,
    /// Last changed.
    pub updated_at: Time,
}

/// An address that can recover the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryAddress {
    /// Row id; survives edits that keep the address.
    pub id: AddressId,
    /// Canonical address.
    pub value: String,
    /// How it is reached.
    pub via: Via,
    /// First seen.
    pub created_at: Time,
    /// Last changed.
    pub updated_at: Time,
}

/// A person's account without its credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: IdentityId,
    /// An operator's own key for it, unique.
    pub external_id: Option<String>,
    /// Which identity schema its traits follow.
    pub schema_id: String,
    /// Whether it may sign in.
    pub state: IdentityState,
    /// When the state last changed.
    pub state_changed_at: Time,
    /// What the person says about themself; an object.
    pub traits: Value,
    /// Addresses that can be verified, in schema order.
    pub verifiable_addresses: Vec<VerifiableAddress>,
    /// Addresses that can recover the account, in schema order.
    pub recovery_addresses: Vec<RecoveryAddress>,
    /// Operator's data that the person may see.
    pub metadata_public: Option<Value>,
    /// Operator's data that only the admin API shows.
    pub metadata_admin: Option<Value>,
    /// The organization that manages it.
    pub organization_id: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When traits, credentials or state last changed.
    pub updated_at: Time,
}

impl fmt::Debug for Identity {
    // Traits are personal data: a debug print in a log names the identity and nothing else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.id)
    }
}

/// Who looks at an identity: decides whether `metadata_admin` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The person, applications, any public answer.
    Public,
    /// The admin port.
    Admin,
}

/// An identity as it stands in answers (contract: settings 2.1.1), ready for serde.
pub struct WireIdentity<'a> {
    /// What is shown.
    pub identity: &'a Identity,
    /// See [`schema_url`].
    pub schema_url: &'a str,
    /// Who looks.
    pub audience: Audience,
    /// Extra members of the admin answer (`credentials`).
    pub credentials: Option<&'a Value>,
}

impl Serialize for WireIdentity<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let identity = self.identity;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &identity.id)?;
        if let Some(external_id) = &identity.external_id {
            map.serialize_entry("external_id", external_id)?;
        }
        if let Some(credentials) = self.credentials {
            map.serialize_entry("credentials", credentials)?;
        }
        map.serialize_entry("schema_id", &identity.schema_id)?;
        map.serialize_entry("schema_url", self.schema_url)?;
        map.serialize_entry("state", &identity.state)?;
        map.serialize_entry("state_changed_at", &identity.state_changed_at)?;
        map.serialize_entry("traits", &identity.traits)?;
        if !identity.verifiable_addresses.is_empty() {
            map.serialize_entry("verifiable_addresses", &identity.verifiable_addresses)?;
        }
        if !identity.recovery_addresses.is_empty() {
            map.serialize_entry("recovery_addresses", &identity.recovery_addresses)?;
        }
        map.serialize_entry("metadata_public", &identity.metadata_public)?;
        if self.audience == Audience::Admin {
            map.serialize_entry("metadata_admin", &identity.metadata_admin)?;
        }
        map.serialize_entry("created_at", &identity.created_at)?;
        map.serialize_entry("updated_at", &identity.updated_at)?;
        map.serialize_entry("organization_id", &identity.organization_id)?;
        map.end()
    }
}

/// Stands for `serve.public.base_url` in the stored public form: the writer does not know under which address it will be
/// served, and a later change of the address must not need a rewrite of every row.
const PUBLIC_BASE_PLACEHOLDER: &str = "\u{1}";

/// What stands before it in JSON text, and it itself with what follows.
const STORED_SCHEMA_URL: (&str, &str) = ("\"schema_url\":\"", "\\u0001/");

/// `<public>/schemas/<unpadded base64url of the schema id>`.
pub fn schema_url(public_base: &str, schema_id: &str) -> String {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(schema_id);
    format!("{}/schemas/{encoded}", public_base.trim_end_matches('/'))
}

/// Version of the layout that [`wire_json`] writes; rows with another number are rendered anew when read.
pub const WIRE_VERSION: i64 = 1;

/// The public identity as JSON text, as stored beside the row for reads that must be cheap.
/// Its `schema_url` lacks the public address; [`serve_wire_json`] puts it in.
pub fn wire_json(identity: &Identity) -> String {
    let url = schema_url(PUBLIC_BASE_PLACEHOLDER, &identity.schema_id);
    let wire = WireIdentity { identity, schema_url: &url, audience: Audience::Public, credentials: None };
    serde_json::to_string(&wire).unwrap_or_else(|_| "null".to_owned())
}

/// Appends a stored public identity to an answer of the server at `public_base` (no trailing slash, nothing that JSON
/// would escape).
pub fn serve_wire_json(stored: &str, public_base: &str, answer: &mut String) {
    // The members before `schema_url` hold no text that a person chooses freely (`external_id` and `schema_id` are the
    // operator's, and quotes in them are escaped), so the first occurrence is the one that `wire_json` wrote.
    let (member, placeholder) = STORED_SCHEMA_URL;
    // Looking for single backslashes is cheap, and hardly any stand before this one.
    let found = stored.match_indices('\\').find_map(|(at, _)| {
        let (before, rest) = stored.split_at(at);
        rest.strip_prefix(placeholder).filter(|_| before.ends_with(member)).map(|after| (before, after))
    });
    match found {
        Some((before, after)) => {
            answer.push_str(before);
            answer.push_str(public_base.trim_end_matches('/'));
            answer.push('/');
            answer.push_str(after);
        }
        None => answer.push_str(stored),
    }
}

/// A credential row.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Row id.
    pub id: CredentialId,
    /// What kind it is; one row per identity and kind.
    pub kind: CredentialType,
    /// What finds it at sign-in; unique per kind across all identities.
    pub identifiers: Vec<String>,
    /// Kind-specific content (contract: settings 3.0.5). Holds hashes and sealed secrets.
    pub config: Value,
    /// Layout version of `config`.
    pub version: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({} {})", self.kind.as_str(), self.id)
    }
}

/// An identity with everything that belongs to it, as read at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentitySnapshot {
    /// The account.
    pub identity: Identity,
    /// Its credentials.
    pub credentials: Vec<Credential>,
    /// Row version; guards every write (decisions 5.2).
    pub version: i64,
}

impl IdentitySnapshot {
    /// The credential of a kind.
    pub fn credential(&self, kind: CredentialType) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.kind == kind)
    }

    /// Counts what the credentials can prove.
    pub fn factors(&self) -> Factors {
        count_factors(&self.credentials)
    }
}

/// Counts what a list of credentials can prove (contract: settings 3.10).
pub fn count_factors(credentials: &[Credential]) -> Factors {
    let mut factors = Factors::default();
    let length = |list: Option<&Value>| u32::try_from(list.and_then(Value::as_array).map_or(0, Vec::len)).unwrap_or(u32::MAX);
    for credential in credentials {
        let identified = !credential.identifiers.iter().all(String::is_empty);
        let config = &credential.config;
        match credential.kind {
            CredentialType::Password => {
                let usable = config["hashed_password"].as_str().is_some_and(|hash| !hash.is_empty())
                    || config["use_password_migration_hook"].as_bool() == Some(true);
                factors.password = u32::from(identified && usable);
            }
            CredentialType::Totp => factors.totp = u32::from(config["totp_url"].as_str().is_some_and(|url| !url.is_empty())),
            CredentialType::LookupSecret => {
                let unused = config["recovery_codes"]
                    .as_array()
                    .map_or(0, |codes| codes.iter().filter(|code| code["used_at"].is_null()).count());
                let unused = u32::try_from(unused).unwrap_or(u32::MAX);
                if config["issued_with"].as_str() == Some("totp") {
                    factors.companion_codes = unused;
                } else {
                    factors.lookup_secret = unused;
                }
            }
            CredentialType::Webauthn => {
                let total = length(config.get("credentials"));
                let passwordless = config["credentials"]
                    .as_array()
                    .map_or(0, |keys| keys.iter().filter(|key| key["is_passwordless"] == true).count());
                let passwordless = u32::try_from(passwordless).unwrap_or(u32::MAX);
                // A second factor is shown by somebody who is known already, and needs no name to be found by.
                factors.webauthn = total.saturating_sub(passwordless);
                factors.webauthn_passwordless = if identified { passwordless } else { 0 };
            }
            CredentialType::Passkey if identified => factors.passkey = length(config.get("credentials")),
            CredentialType::Passkey => {}
            CredentialType::Oidc | CredentialType::Saml => {
                let linked = config["providers"].as_array().map_or(0, |providers| {
                    providers
                        .iter()
                        .filter(|provider| provider["organization"].as_str().unwrap_or("").is_empty())
                        .filter_map(|provider| {
                            Some(format!("{}:{}", provider["provider"].as_str()?, provider["subject"].as_str()?))
                        })
                        .filter(|identifier| credential.identifiers.contains(identifier))
                        .count()
                });
                factors.oidc += u32::try_from(linked).unwrap_or(u32::MAX);
            }
            CredentialType::Code => factors.code = length(config.get("addresses")),
        }
    }
    factors
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn identity(traits: Value) -> Identity {
        Identity {
            id: IdentityId(uuid::Uuid::nil()),
            external_id: None,
            schema_id: "default".into(),
            state: IdentityState::Active,
            state_changed_at: Time::default(),
            traits,
            verifiable_addresses: vec![],
            recovery_addresses: vec![],
            metadata_public: None,
            metadata_admin: Some(json!({"plan": "secret"})),
            organization_id: None,
            created_at: Time::default(),
            updated_at: Time::default(),
        }
    }

    #[test]
    fn the_stored_form_gets_its_schema_address_when_served_and_traits_cannot_fake_it() {
        let planted = "\",\"schema_url\":\"\u{1}/";
        let stored = wire_json(&identity(json!({"email": planted})));
        assert!(!stored.contains("plan"), "admin metadata must not be in the public form");
        let mut served = String::new();
        serve_wire_json(&stored, "https://id.example/", &mut served);
        let served: Value = serde_json::from_str(&served).unwrap();
        assert_eq!(served["schema_url"], "https://id.example/schemas/ZGVmYXVsdA");
        assert_eq!(served["traits"]["email"], planted);
        assert!(served.get("metadata_admin").is_none());
    }

    #[test]
    fn a_password_without_identifier_or_hash_is_no_factor() {
        let credential = |identifiers: &[&str], config| Credential {
            id: CredentialId(uuid::Uuid::nil()),
            kind: CredentialType::Password,
            identifiers: identifiers.iter().map(|text| (*text).to_owned()).collect(),
            config,
            version: 0,
            created_at: Time::default(),
            updated_at: Time::default(),
        };
        for (identifiers, config, expected) in [
            (&["a@b.example"][..], json!({"hashed_password": "$2a$"}), 1),
            (&["a@b.example"], json!({"use_password_migration_hook": true}), 1),
            (&["a@b.example"], json!({}), 0),
            (&[], json!({"hashed_password": "$2a$"}), 0),
        ] {
            assert_eq!(count_factors(&[credential(identifiers, config)]).password, expected);
        }
    }
}
