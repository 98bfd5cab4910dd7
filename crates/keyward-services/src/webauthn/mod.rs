//! WebAuthn (W3C Level 3): options for a ceremony, and the verdict on what an authenticator answers.
//! The methods `webauthn` and `passkey` call it in settings, at sign-in and at sign-up.
//! The only place that knows the library which verifies; it knows no flows, no rows and no forms.

mod credential;
mod keys;
mod models;
mod options;

use std::time::Duration;

use base64::Engine as _;
use keyward_config::{RelyingParty, UserVerification};
use keyward_model::Time;
use serde_json::json;
use subtle::ConstantTimeEq as _;
use url::Url;
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{
    AttestationFormat, AuthenticationState, AuthenticatorAssertionResponseRaw, AuthenticatorAttestationResponseRaw, COSEKey,
    Credential, ParsedAttestation, ParsedAttestationData, PublicKeyCredential, RegisterPublicKeyCredential, RegisteredExtensions,
    RegistrationState, UserVerificationPolicy,
};

pub use self::credential::{Assertion, Attestation, LONGEST_KEY_ID, Malformed};
use self::credential::{BACKUP_ELIGIBLE, BACKUP_STATE, BASE64URL, ClientData, USER_PRESENT, USER_VERIFIED};
pub use self::keys::{Authenticator, Flags, Key, Keys, bare_descriptor, handle_identifier, is_key_id, key_text};
pub use self::options::{Challenge, Creation, ResidentKey, UserEntity, request_options};

/// What a ceremony was begun with.
#[derive(Clone, Copy, Debug)]
pub struct Ceremony<'a> {
    /// Whose keys.
    pub party: &'a RelyingParty,
    /// What had to be signed.
    pub challenge: &'a Challenge,
    /// Whether the authenticator had to know the person.
    pub user_verification: UserVerification,
}

/// Why an answer proves nothing. Told to logs, not to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// Of the other ceremony.
    #[error("it belongs to another kind of ceremony")]
    Kind,
    /// Signed for another challenge.
    #[error("the challenge is another one")]
    Challenge,
    /// Made on a page that may not.
    #[error("the origin is not one of the configured ones")]
    Origin,
    /// Made inside a frame of another page.
    #[error("it was made in a frame of another page")]
    CrossOrigin,
    /// Flags that contradict each other, or lack what was asked for.
    #[error("the flags of the authenticator are not acceptable")]
    Flags,
    /// An attestation was asked for, and none came but the key's own.
    #[error("there is no attestation")]
    Unattested,
    /// The key, its algorithm, the attestation, the relying party or the signature.
    #[error("the signed data does not hold")]
    Signature,
}

/// Verifies a new key (WebAuthn Level 3, section 7.1). Whether it is known already is the caller's to ask.
///
/// `attested`: the operator asks for an attestation by somebody else than the key itself, so keys without one are refused. Who
/// gave it is not asked: there are no roots to trust.
///
/// # Errors
/// Why it cannot be trusted.
pub fn verify_new(attestation: &Attestation, ceremony: &Ceremony<'_>, attested: bool, now: Time) -> Result<Key, Unproven> {
    let core = check_client_data(&attestation.client_data, "webauthn.create", ceremony)?;
    let data = attestation.data;
    if !data.has(USER_PRESENT) || (data.has(BACKUP_STATE) && !data.has(BACKUP_ELIGIBLE)) {
        return Err(Unproven::Flags);
    }
    let state = json!({
        "policy": ceremony.user_verification.as_str(),
        "exclude_credentials": [],
        "challenge": ceremony.challenge.text(),
        "credential_algorithms": options::ALGORITHMS.map(|(name, _)| name),
        "require_resident_key": false,
        "authenticator_attachment": null,
        "extensions": {},
        "allow_synchronised_authenticators": true,
    });
    let state: RegistrationState = serde_json::from_value(state).map_err(|_| Unproven::Signature)?;
    // Hints and unsigned extensions are left out: the library refuses names that it does not know.
    let answer = RegisterPublicKeyCredential {
        id: BASE64URL.encode(&attestation.attested.id),
        raw_id: attestation.attested.id.clone(),
        response: AuthenticatorAttestationResponseRaw {
            attestation_object: attestation.object.clone(),
            client_data_json: attestation.client_data_json.clone(),
            transports: None,
        },
        type_: "public-key".to_owned(),
        extensions: serde_json::from_value(json!({})).map_err(|_| Unproven::Signature)?,
    };
    let verified = core.register_credential(&answer, &state, None).map_err(refused)?;
    if attested && matches!(verified.attestation.data, ParsedAttestationData::None | ParsedAttestationData::Self_) {
        return Err(Unproven::Unattested);
    }
    Ok(Key {
        id: attestation.attested.id.clone(),
        public_key: attestation.attested.public_key.clone(),
        attestation_type: attestation.format.clone(),
        authenticator: Authenticator {
            aaguid: attestation.attested.aaguid.to_vec(),
            sign_count: data.sign_count,
            clone_warning: false,
            other: serde_json::Map::new(),
        },
        display_name: String::new(),
        added_at: Some(now.truncated_to_seconds()),
        is_passwordless: false,
        flags: Some(flags(data)),
        transport: (!attestation.transports.is_empty()).then(|| attestation.transports.clone()),
        last_used_at: None,
        other: serde_json::Map::new(),
    })
}

/// What the use of a key changed about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Used {
    /// The key with its new count and flags.
    pub key: Key,
    /// It counted backwards this time: there may be a copy of it. A signal and no refusal (WebAuthn Level 3, section 6.1.1).
    pub counted_backwards: bool,
    /// It may be copied to other devices from now on, and was not before.
    pub became_backup_eligible: bool,
}

/// Verifies the use of a stored key (WebAuthn Level 3, section 7.2). Whether the key is the account's, and the account the one
/// that is meant, is the caller's to ask.
///
/// # Errors
/// Why it proves nothing.
pub fn verify_use(assertion: &Assertion, ceremony: &Ceremony<'_>, key: &Key, now: Time) -> Result<Used, Unproven> {
    let core = check_client_data(&assertion.client_data, "webauthn.get", ceremony)?;
    let data = assertion.data;
    if !data.has(USER_PRESENT) || (data.has(BACKUP_STATE) && !data.has(BACKUP_ELIGIBLE)) {
        return Err(Unproven::Flags);
    }
    // Flags that nobody kept are taken as they are now. That a key may be copied from now on is no reason to lock its owner out;
    // that it may not any more is a contradiction.
    let was_eligible = key.flags.map(|flags| flags.backup_eligible);
    if was_eligible == Some(true) && !data.has(BACKUP_ELIGIBLE) {
        return Err(Unproven::Flags);
    }
    let cose: serde_cbor_2::Value = serde_cbor_2::from_slice(&key.public_key).map_err(|_| Unproven::Signature)?;
    // The count is judged here: the library refuses where a signal is wanted, and asks for verification on its own account.
    let stored = Credential {
        cred_id: key.id.clone(),
        cred: COSEKey::try_from(&cose).map_err(refused)?,
        counter: 0,
        transports: None,
        user_verified: false,
        backup_eligible: data.has(BACKUP_ELIGIBLE),
        backup_state: data.has(BACKUP_STATE),
        registration_policy: UserVerificationPolicy::Discouraged_DO_NOT_USE,
        extensions: RegisteredExtensions::none(),
        attestation: ParsedAttestation::default(),
        attestation_format: AttestationFormat::None,
    };
    let state = json!({
        "credentials": [],
        "policy": ceremony.user_verification.as_str(),
        "challenge": ceremony.challenge.text(),
        "appid": null,
        "allow_backup_eligible_upgrade": false,
    });
    let state: AuthenticationState = serde_json::from_value(state).map_err(|_| Unproven::Signature)?;
    let answer = PublicKeyCredential {
        id: BASE64URL.encode(assertion.key_id()),
        raw_id: assertion.key_id().to_owned(),
        response: AuthenticatorAssertionResponseRaw {
            authenticator_data: assertion.authenticator_data.clone(),
            client_data_json: assertion.client_data_json.clone(),
            signature: assertion.signature.clone(),
            user_handle: None,
        },
        extensions: serde_json::from_value(json!({})).map_err(|_| Unproven::Signature)?,
        type_: "public-key".to_owned(),
    };
    core.authenticate_single_credential(&answer, &state, &stored).map_err(refused)?;

    let known = key.authenticator.sign_count;
    let counted_backwards = (data.sign_count > 0 || known > 0) && data.sign_count <= known;
    let mut key = key.clone();
    key.authenticator.sign_count = known.max(data.sign_count);
    key.authenticator.clone_warning |= counted_backwards;
    key.flags = Some(flags(data));
    key.last_used_at = Some(now);
    Ok(Used { key, counted_backwards, became_backup_eligible: was_eligible == Some(false) && data.has(BACKUP_ELIGIBLE) })
}

/// Checks what the library would judge more loosely, or cannot judge: origins are compared as they are written, since those of
/// apps are no addresses. Gives the library set up for this one origin.
fn check_client_data(client_data: &ClientData, kind: &str, ceremony: &Ceremony<'_>) -> Result<WebauthnCore, Unproven> {
    if client_data.kind != kind {
        return Err(Unproven::Kind);
    }
    let challenge = BASE64URL.decode(&client_data.challenge).map_err(|_| Unproven::Challenge)?;
    if !bool::from(challenge.ct_eq(ceremony.challenge.bytes())) {
        return Err(Unproven::Challenge);
    }
    if !ceremony.party.origins.contains(&client_data.origin) {
        return Err(Unproven::Origin);
    }
    if client_data.cross_origin == Some(true) || client_data.top_origin.is_some() {
        return Err(Unproven::CrossOrigin);
    }
    let origin = Url::parse(&client_data.origin).map_err(|_| Unproven::Origin)?;
    let RelyingParty { id, display_name, .. } = ceremony.party;
    Ok(WebauthnCore::new_unsafe_experts_only(display_name, id, vec![origin], Duration::ZERO, Some(false), Some(false)))
}

fn flags(data: credential::AuthenticatorData) -> Flags {
    Flags {
        user_present: data.has(USER_PRESENT),
        user_verified: data.has(USER_VERIFIED),
        backup_eligible: data.has(BACKUP_ELIGIBLE),
        backup_state: data.has(BACKUP_STATE),
    }
}

fn refused(error: WebauthnError) -> Unproven {
    match error {
        WebauthnError::UserNotVerified | WebauthnError::UserNotPresent => Unproven::Flags,
        _ => Unproven::Signature,
    }
}
