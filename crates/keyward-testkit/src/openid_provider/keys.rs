//! The keys of an OpenID provider: JSON Web Keys (RFC 7517) to publish, and JSON Web Signatures (RFC 7515) in compact form.
//! The provider signs id tokens with them, and can be told to sign them wrongly.
//! Independent of the code under test: signatures come from the crypto library, the rest is written here.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::misbehaviour::IdTokenFault;

/// How id tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Signing {
    const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// The keys that are published at one time, one for each way of signing.
pub(super) struct Ring {
    id: String,
    rsa: Arc<RsaKeyPair>,
    ecdsa: Arc<EcdsaKeyPair>,
}

/// Making RSA keys takes long, and no test minds what the first one is.
static FIRST_RSA: LazyLock<Arc<RsaKeyPair>> = LazyLock::new(rsa);

fn rsa() -> Arc<RsaKeyPair> {
    Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key"))
}

fn ecdsa() -> Arc<EcdsaKeyPair> {
    Arc::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("an ECDSA key"))
}

/// So many bytes that nobody guesses.
pub(super) fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).expect("randomness");
    bytes
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Ring {
    pub(super) fn first() -> Self {
        Self { id: encode(random::<9>()), rsa: Arc::clone(&FIRST_RSA), ecdsa: ecdsa() }
    }

    pub(super) fn generate() -> Self {
        Self { id: encode(random::<9>()), rsa: rsa(), ecdsa: ecdsa() }
    }

    fn key_id(&self, signing: Signing) -> String {
        format!("{}-{}", signing.name(), self.id)
    }

    /// The key set as published.
    pub(super) fn public(&self) -> Value {
        // RSAPublicKey (RFC 8017, A.1.1): the modulus is an integer of 257 bytes, the first of them zero.
        let rsa = self.rsa.public_key().as_ref();
        // An uncompressed point (SEC 1, 2.3.3): a byte of 4, then both coordinates.
        let (x, y) = self.ecdsa.public_key().as_ref()[1..].split_at(32);
        json!({ "keys": [
            {
                "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.key_id(Signing::Rs256),
                "n": encode(&rsa[9..265]), "e": encode(&rsa[rsa.len() - 3..]),
            },
            {
                "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.key_id(Signing::Es256),
                "x": encode(x), "y": encode(y),
            },
        ] })
    }

    /// Signs claims, rightly or with a fault.
    pub(super) fn sign(
        &self,
        signing: Signing,
        claims: &Map<String, Value>,
        fault: Option<IdTokenFault>,
        client_secret: &str,
    ) -> String {
        let key_id = self.key_id(signing);
        let secret = |secret: &[u8], message: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            hmac::sign(&key, message).as_ref().to_vec()
        };
        match fault {
            Some(IdTokenFault::Unsigned) => compact("none", &key_id, claims, |_| Vec::new()),
            Some(IdTokenFault::ForeignContent) => {
                let signature = self.signature(signing, b"something else");
                compact(signing.name(), &key_id, claims, |_| signature)
            }
            Some(IdTokenFault::ForeignKey) => {
                let other = Self::generate();
                compact(signing.name(), &key_id, claims, |message| other.signature(signing, message))
            }
            Some(IdTokenFault::UnknownKey) => {
                let other = Self::generate();
                compact(signing.name(), &other.key_id(signing), claims, |message| other.signature(signing, message))
            }
            Some(IdTokenFault::ClientSecret) => {
                compact("HS256", &key_id, claims, |message| secret(client_secret.as_bytes(), message))
            }
            Some(IdTokenFault::PublicKeyAsSecret) => {
                let public = match signing {
                    Signing::Rs256 => self.rsa.public_key().as_ref(),
                    Signing::Es256 => self.ecdsa.public_key().as_ref(),
                };
                compact("HS256", &key_id, claims, |message| secret(public, message))
            }
            _ => compact(signing.name(), &key_id, claims, |message| self.signature(signing, message)),
        }
    }

    fn signature(&self, signing: Signing, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match signing {
            Signing::Es256 => self.ecdsa.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Signing::Rs256 => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
                signature
            }
        }
    }
}

fn compact(algorithm: &str, key_id: &str, claims: &Map<String, Value>, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let header = json!({ "alg": algorithm, "kid": key_id, "typ": "JWT" }).to_string();
    let payload = Value::Object(claims.clone()).to_string();
    let message = format!("{}.{}", encode(header), encode(payload));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", encode(signature))
}
