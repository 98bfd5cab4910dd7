//! What a stranger can make of an authenticator's answer: client data, attestation objects and authenticator data of any bytes.
//! The fuzz target feeds it, and a test of `keyward-services` replays the corpus.
//! Nothing may panic, hang or use more memory than the input is worth; what is accepted is no question here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_config::{RelyingParty, UserVerification};
use keyward_model::Time;
use keyward_services::webauthn::{Assertion, Attestation, Ceremony, Challenge, Key, verify_new, verify_use};
use serde_json::json;

/// The challenge that seeds were made for.
pub(crate) const CHALLENGE: [u8; 32] = [7; 32];
/// The page that seeds were made on.
pub(crate) const ORIGIN: &str = "https://login.example.org";

/// The id of the key that seeds tell of.
pub(crate) const ID: [u8; 16] = [1; 16];

/// One input: a byte that says which ceremony, two bytes for the length of the client data (big-endian), the client data, and the
/// rest. For a registration the rest is the attestation object; for a use it is one byte for the length of the authenticator data
/// over 37, two bytes for the length of the stored public key, these two, and the signature.
pub(crate) fn judge(input: &[u8]) {
    let Some((&kind, rest)) = input.split_first() else { return };
    let Some((length, rest)) = rest.split_first_chunk::<2>() else { return };
    let Some((client_data, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { return };
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let party =
        RelyingParty { id: "login.example.org".to_owned(), display_name: "x".to_owned(), origins: vec![ORIGIN.to_owned()] };
    let Some(challenge) = Challenge::parse(&encode(&CHALLENGE)) else { return };
    let ceremony = Ceremony { party: &party, challenge: &challenge, user_verification: UserVerification::Preferred };
    if kind & 1 == 0 {
        let sent = json!({
            "rawId": encode(&ID), "type": "public-key",
            "response": { "clientDataJSON": encode(client_data), "attestationObject": encode(rest) },
        });
        if let Ok(attestation) = Attestation::parse(&sent.to_string()) {
            let _ = verify_new(&attestation, &ceremony, false, Time::default());
        }
        return;
    }
    let Some((&extra, rest)) = rest.split_first() else { return };
    let Some((key_length, rest)) = rest.split_first_chunk::<2>() else { return };
    let Some((data, rest)) = rest.split_at_checked(37 + usize::from(extra)) else { return };
    let Some((public_key, signature)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*key_length))) else { return };
    let sent = json!({
        "rawId": encode(&ID), "type": "public-key",
        "response": {
            "clientDataJSON": encode(client_data), "authenticatorData": encode(data), "signature": encode(signature),
            "userHandle": encode(signature.get(..8).unwrap_or_default()),
        },
    });
    let stored = json!({ "id": "AQEBAQEBAQEBAQEBAQEBAQ==", "public_key": "" });
    let (Ok(assertion), Ok(stored)) = (Assertion::parse(&sent.to_string()), serde_json::from_value::<Key>(stored)) else {
        return;
    };
    let stored = Key { public_key: public_key.to_vec(), ..stored };
    let _ = verify_use(&assertion, &ceremony, &stored, Time::default());
}
