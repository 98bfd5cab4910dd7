//! The options that a page hands to the browser: what to sign, for whom, and which keys are meant (WebAuthn Level 3, section 5).
//! The methods `webauthn` and `passkey` put them into nodes, in the very order of members that clients have come to know.
//! Pure: the challenge is drawn by the caller and kept in the flow's sealed memory.

use base64::Engine as _;
use keyward_config::{RelyingParty, UserVerification};
use keyward_model::{Random, Span};
use serde_json::{Map, Value, json};

use super::credential::BASE64URL;
use super::keys::Key;

/// What is offered, and nothing that could not be verified: name for the library, and COSE number (RFC 9053, RFC 8812).
pub(super) const ALGORITHMS: [(&str, i32); 3] = [("ES256", -7), ("ES384", -35), ("RS256", -257)];

const CHALLENGE_BYTES: usize = 32;

/// Random bytes that an authenticator signs, good for one ceremony.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge(Vec<u8>);

impl std::fmt::Debug for Challenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Challenge")
    }
}

impl Challenge {
    /// A new one.
    pub fn draw(random: &dyn Random) -> Self {
        Self(random.bytes::<CHALLENGE_BYTES>().to_vec())
    }

    /// Reads [`Challenge::text`] back.
    pub fn parse(text: &str) -> Option<Self> {
        BASE64URL.decode(text).ok().filter(|bytes| bytes.len() == CHALLENGE_BYTES).map(Self)
    }

    /// Unpadded base64url, as options carry it.
    pub fn text(&self) -> String {
        BASE64URL.encode(&self.0)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// For whom a key is made (WebAuthn Level 3, section 5.4.3).
#[derive(Clone, Copy, Debug)]
pub struct UserEntity<'a> {
    /// What the authenticator remembers the account by.
    pub handle: &'a [u8],
    /// What the person types to sign in: tells two accounts apart in the list of an authenticator.
    pub name: &'a str,
    /// What people read.
    pub display_name: &'a str,
}

/// Wishes about the key of a passkey.
#[derive(Clone, Copy, Debug)]
pub struct ResidentKey<'a> {
    /// `platform` or `cross-platform`.
    pub attachment: Option<&'a str>,
    /// `required`, `preferred` or `discouraged`.
    pub resident_key: &'a str,
    /// How much the authenticator shall tell of itself.
    pub attestation: &'a str,
}

/// What a key is to be made with.
#[derive(Clone, Copy, Debug)]
pub struct Creation<'a> {
    /// Whose keys.
    pub party: &'a RelyingParty,
    /// For whom.
    pub user: UserEntity<'a>,
    /// What to sign.
    pub challenge: &'a Challenge,
    /// How long the browser waits.
    pub timeout: Span,
    /// Keys that must not be made again.
    pub exclude: &'a [Key],
    /// Whether the authenticator has to know the person.
    pub user_verification: UserVerification,
    /// For passkeys.
    pub resident: Option<ResidentKey<'a>>,
}

impl Creation<'_> {
    /// `CredentialCreationOptions` in JSON, byte strings in base64url.
    pub fn options(&self) -> Value {
        let mut public_key = Map::new();
        let mut put = |name: &str, value: Value| public_key.insert(name.to_owned(), value);
        put("rp", json!({ "name": self.party.display_name, "id": self.party.id }));
        let UserEntity { handle, name, display_name } = self.user;
        put("user", json!({ "name": name, "displayName": display_name, "id": BASE64URL.encode(handle) }));
        put("challenge", self.challenge.text().into());
        put("pubKeyCredParams", ALGORITHMS.iter().map(|(_, alg)| json!({ "type": "public-key", "alg": alg })).collect());
        put("timeout", milliseconds(self.timeout));
        if !self.exclude.is_empty() {
            put("excludeCredentials", self.exclude.iter().map(Key::descriptor).collect());
        }
        let mut selection = Map::new();
        if let Some(resident) = &self.resident {
            if let Some(attachment) = resident.attachment {
                selection.insert("authenticatorAttachment".to_owned(), attachment.into());
            }
            selection.insert("requireResidentKey".to_owned(), (resident.resident_key == "required").into());
            selection.insert("residentKey".to_owned(), resident.resident_key.into());
        }
        selection.insert("userVerification".to_owned(), self.user_verification.as_str().into());
        put("authenticatorSelection", selection.into());
        if let Some(resident) = &self.resident {
            put("attestation", resident.attestation.into());
        }
        json!({ "publicKey": public_key })
    }
}

/// `CredentialRequestOptions` in JSON. Without `allow` the person picks among the keys that their authenticator has.
pub fn request_options(
    party: &RelyingParty,
    challenge: &Challenge,
    timeout: Span,
    allow: &[Value],
    user_verification: UserVerification,
) -> Value {
    let mut public_key = Map::new();
    public_key.insert("challenge".to_owned(), challenge.text().into());
    public_key.insert("timeout".to_owned(), milliseconds(timeout));
    public_key.insert("rpId".to_owned(), party.id.as_str().into());
    if !allow.is_empty() {
        public_key.insert("allowCredentials".to_owned(), allow.into());
    }
    public_key.insert("userVerification".to_owned(), user_verification.as_str().into());
    json!({ "publicKey": public_key })
}

fn milliseconds(span: Span) -> Value {
    (span.as_seconds() * 1_000).into()
}
