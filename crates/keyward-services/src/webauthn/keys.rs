//! The keys of an account as they are stored: the config of the credentials `webauthn` and `passkey` (contract: settings 3.5.5).
//! Methods add, rename, remove and use keys here; the admin API imports them.
//! Keeps what it does not know, so that keys of another server survive every change.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_model::{Credential, Problem, Time, hex};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::credential::{BASE64URL, LONGEST_KEY_ID};

/// One key. Byte strings are standard base64 with padding.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// The credential id.
    #[serde(with = "base64_text")]
    pub id: Vec<u8>,
    /// The public key, a COSE_Key (RFC 9053).
    #[serde(with = "base64_text")]
    pub public_key: Vec<u8>,
    /// The format of the attestation that came with it.
    #[serde(default = "no_attestation")]
    pub attestation_type: String,
    /// What the authenticator tells of itself.
    #[serde(default, deserialize_with = "or_default")]
    pub authenticator: Authenticator,
    /// What the person calls it.
    #[serde(default, deserialize_with = "or_default")]
    pub display_name: String,
    /// When it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Time>,
    /// Whether it signs in by itself; otherwise it is a second factor.
    #[serde(default)]
    pub is_passwordless: bool,
    /// Absent for keys of servers that did not keep them; filled in at the first use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<Flags>,
    /// How the browser can reach it: hints, in the browser's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Vec<String>>,
    /// When it last signed somebody in (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Time>,
    /// What else is stored with it, such as the attestation of another server.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What an authenticator tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Authenticator {
    /// Its model, 16 bytes or none.
    #[serde(default, with = "base64_text")]
    pub aaguid: Vec<u8>,
    /// How often it says that it was used; 0 when it does not count.
    #[serde(default)]
    pub sign_count: u32,
    /// It once counted backwards: there may be a copy of it.
    #[serde(default)]
    pub clone_warning: bool,
    /// What else is stored about it, such as how it was attached.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The flags of the authenticator data (WebAuthn Level 3, section 6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "these are the authenticator's flags, one by one")]
pub struct Flags {
    /// Somebody touched it.
    #[serde(default)]
    pub user_present: bool,
    /// It knew who.
    #[serde(default)]
    pub user_verified: bool,
    /// It may be copied to other devices.
    #[serde(default)]
    pub backup_eligible: bool,
    /// It is.
    #[serde(default)]
    pub backup_state: bool,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", hex(&self.id))
    }
}

impl Key {
    /// The id in the wire's form for nodes.
    pub fn hex_id(&self) -> String {
        hex(&self.id)
    }

    /// What people read: its name, or that it has none.
    pub fn shown_name(&self) -> &str {
        if self.display_name.is_empty() { "unnamed" } else { &self.display_name }
    }

    /// The model's name, when it is known.
    pub fn model(&self) -> Option<&'static str> {
        super::models::model(&self.authenticator.aaguid)
    }

    /// Whether it is kept on several devices.
    pub fn is_synced(&self) -> bool {
        self.flags.is_some_and(|flags| flags.backup_state)
    }

    /// The key as an entry of `allowCredentials` or `excludeCredentials`.
    pub fn descriptor(&self) -> Value {
        let mut descriptor = bare_descriptor(&self.id);
        if let Some(transports) = self.transport.as_ref().filter(|transports| !transports.is_empty()) {
            descriptor["transports"] = json!(transports);
        }
        descriptor
    }
}

/// An entry of `allowCredentials` without hints.
pub fn bare_descriptor(id: &[u8]) -> Value {
    json!({ "type": "public-key", "id": BASE64URL.encode(id) })
}

/// The keys of one credential.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Keys {
    /// In the order in which they were added.
    #[serde(default, deserialize_with = "or_default")]
    pub credentials: Vec<Key>,
    /// What authenticators remember the account by; standard base64.
    #[serde(default, with = "base64_text")]
    pub user_handle: Vec<u8>,
    /// What else is stored with them.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Keys {
    /// Reads the config of a credential, to change it or to prove something with it; no keys when there is none.
    ///
    /// # Errors
    /// When it holds something else: writing over it would lose it.
    pub fn read(credential: Option<&Credential>) -> Result<Self, Problem> {
        let Some(credential) = credential else { return Ok(Self::default()) };
        Self::deserialize(&credential.config).map_err(|error| {
            // There are no secrets among keys: public keys, names and counts.
            tracing::error!(credential.id = %credential.id, %error, "The keys of a credential cannot be read");
            Problem::Internal
        })
    }

    /// The keys to show; none where they cannot be read.
    pub fn of(credential: Option<&Credential>) -> Self {
        Self::read(credential).unwrap_or_default()
    }

    /// The config to store.
    pub fn to_config(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The key with this id.
    pub fn find(&self, id: &[u8]) -> Option<&Key> {
        self.credentials.iter().find(|key| key.id == id)
    }

    /// The key with an id as a client names it: lower-case hex first, base64url when no key has it in hex (decisions 1).
    pub fn find_named(&self, name: &str) -> Option<&Key> {
        self.credentials.iter().find(|key| key.hex_id() == name).or_else(|| self.find(&BASE64URL.decode(name).ok()?))
    }

    /// The same with another name for one key.
    #[must_use]
    pub fn renamed(&self, id: &[u8], name: &str) -> Self {
        let mut renamed = self.clone();
        for key in renamed.credentials.iter_mut().filter(|key| key.id == id) {
            name.clone_into(&mut key.display_name);
        }
        renamed
    }

    /// The same without one key; `None` when it was the only one.
    #[must_use]
    pub fn without(&self, id: &[u8]) -> Option<Self> {
        let mut rest = self.clone();
        rest.credentials.retain(|key| key.id != id);
        (!rest.credentials.is_empty()).then_some(rest)
    }
}

/// What finds a passkey at sign-in: the user handle as text. Handles of this server and its model are text; others are found by
/// their base64 form, which databases can hold.
pub fn handle_identifier(handle: &[u8]) -> String {
    match std::str::from_utf8(handle) {
        Ok(text) if !text.contains('\0') => text.to_owned(),
        _ => STANDARD.encode(handle),
    }
}

/// A key's id as the database knows it.
pub fn key_text(id: &[u8]) -> String {
    STANDARD.encode(id)
}

/// Whether the key's id has a length that authenticators may choose.
pub const fn is_key_id(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= LONGEST_KEY_ID
}

/// Null is as good as absent.
fn or_default<'de, T: Default + Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn no_attestation() -> String {
    "none".to_owned()
}

/// Bytes as standard base64 text; absent and null are no bytes.
mod base64_text {
    use base64::Engine as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::STANDARD;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        STANDARD.decode(text).map_err(|_| serde::de::Error::custom("expected standard base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Value {
        json!({
            "credentials": [{
                "id": "AQID", "public_key": "BAUG", "attestation_type": "none",
                "authenticator": { "aaguid": "AAAAAAAAAAAAAAAAAAAAAA==", "sign_count": 4, "clone_warning": false },
                "display_name": "", "added_at": "2026-01-01T00:00:00Z", "is_passwordless": true,
                "transport": ["usb", "telepathy"], "attestation": { "object": "AA==" },
            }],
            "user_handle": "aGFuZGxl", "from": "elsewhere",
        })
    }

    #[test]
    fn what_another_server_stored_is_read_and_kept() {
        let keys: Keys = serde_json::from_value(stored()).expect("keys");
        let [key] = &keys.credentials[..] else { panic!("one key") };
        assert_eq!((key.hex_id().as_str(), key.shown_name(), key.flags), ("010203", "unnamed", None));
        assert_eq!(key.descriptor(), json!({ "type": "public-key", "id": "AQID", "transports": ["usb", "telepathy"] }));
        let again = keys.to_config();
        assert_eq!(again["credentials"][0]["attestation"], json!({ "object": "AA==" }));
        assert_eq!((&again["from"], &again["user_handle"]), (&json!("elsewhere"), &json!("aGFuZGxl")));
    }

    #[test]
    fn keys_are_named_in_hex_and_else_in_base64url() {
        let keys: Keys = serde_json::from_value(stored()).expect("keys");
        for (name, found) in [("010203", true), ("AQID", true), ("AQIE", false), ("", false), ("01020", false), ("\u{e9}", false)]
        {
            assert_eq!(keys.find_named(name).is_some(), found, "{name}");
        }
        assert!(keys.without(&[1, 2, 3]).is_none());
        assert_eq!(keys.without(&[9]).expect("the other").credentials.len(), 1);
    }

    #[test]
    fn handles_that_are_no_text_are_found_by_their_base64() {
        assert_eq!(handle_identifier(b"abc"), "abc");
        assert_eq!(handle_identifier(&[0xff, 0]), "/wA=");
        assert_eq!(handle_identifier(b"a\0b"), "YQBi");
    }
}
