//! Apple's client secret: a short-lived token that the operator's key signs anew for each exchange.
//! Providers load the key at start, the exchange asks for secrets.
//! Knows no request.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use keyward_config::AppleKey;
use keyward_model::{Secret, Span, Time};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use super::OidcError;
use crate::signing_key::KeySetError;
use crate::tokenizer::{BadDocument, DocumentError};

/// How long a secret is valid.
const LIFETIME: Span = Span::minutes(5);
const AUDIENCE: &str = "https://appleid.apple.com";

/// The operator's key.
pub(super) struct ClientKey {
    team_id: String,
    header: Header,
    key: EncodingKey,
}

impl std::fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientKey({:?})", self.header.kid)
    }
}

impl ClientKey {
    /// Reads the key.
    pub(super) fn load(settings: &AppleKey) -> Result<Self, BadDocument> {
        let key = read(settings.private_key.reveal()).ok_or_else(|| {
            let reason = "it is not a P-256 key as PEM text that begins with -----BEGIN PRIVATE KEY-----".to_owned();
            let why = DocumentError::Keys(KeySetError::NoKey(vec![reason]));
            BadDocument { at: settings.at.clone(), key: settings.key.clone(), why }
        })?;
        let header = Header { kid: Some(settings.key_id.clone()), ..Header::new(Algorithm::ES256) };
        Ok(Self { team_id: settings.team_id.clone(), header, key })
    }

    /// A secret for this client.
    pub(super) fn secret(&self, client_id: &str, now: Time) -> Result<Secret<String>, OidcError> {
        let claims = json!({
            "iss": self.team_id,
            "sub": client_id,
            "aud": AUDIENCE,
            "iat": now.unix(),
            "exp": (now + LIFETIME).unix(),
        });
        jsonwebtoken::encode(&self.header, &claims, &self.key).map(Secret::new).map_err(|_| OidcError::ClientSecret)
    }
}

/// PKCS#8 in PEM (RFC 7468, section 10). In variables of the environment line breaks are often written as `\n`.
fn read(pem: &str) -> Option<EncodingKey> {
    let pem = Secret::new(pem.replace("\\n", "\n"));
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.reveal().as_bytes()).ok()?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der()).ok()?;
    Some(EncodingKey::from_ec_der(der.secret_pkcs8_der()))
}
