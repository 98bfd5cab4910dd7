//! An authenticator in process: makes keys and uses them as a browser with a security key or a password manager would.
//! Tests register and sign in with it, and bend single parts of its answers before they are sent.
//! Independent of the code under test: CBOR is written by hand, signatures come from the crypto library.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// User present.
pub const UP: u8 = 0x01;
/// User verified.
pub const UV: u8 = 0x04;
/// Backup eligible.
pub const BE: u8 = 0x08;
/// Backup state.
pub const BS: u8 = 0x10;
/// Attested credential data follows.
pub const AT: u8 = 0x40;
/// Extension data follows.
pub const ED: u8 = 0x80;

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    Rs256,
}

impl Algorithm {
    /// All that a server may offer.
    pub const ALL: [Self; 3] = [Self::Es256, Self::Es384, Self::Rs256];

    /// The COSE number.
    pub const fn cose(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::Es384 => -35,
            Self::Rs256 => -257,
        }
    }
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// One key, as its authenticator keeps it. Everything that it tells of itself can be changed.
pub struct SoftKey {
    /// The credential id.
    pub id: Vec<u8>,
    /// What it remembers the account by.
    pub user_handle: Vec<u8>,
    /// How often it says that it was used; each use adds one unless it is zero.
    pub sign_count: u32,
    /// Its flags, beside those of the ceremony.
    pub flags: u8,
    /// Its model.
    pub aaguid: [u8; 16],
    /// How it is reached.
    pub transports: Option<Vec<String>>,
    /// Where the person is.
    pub origin: String,
    algorithm: Algorithm,
    pair: Pair,
}

impl SoftKey {
    /// A key that is not made yet, in a browser at `origin`.
    pub fn new(algorithm: Algorithm, origin: &str) -> Self {
        let pair = match algorithm {
            Algorithm::Es256 => Pair::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key")),
            Algorithm::Es384 => Pair::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).expect("a key")),
            Algorithm::Rs256 => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")),
        };
        let mut id = vec![0; 32];
        aws_lc_rs::rand::fill(&mut id).expect("randomness");
        Self {
            id,
            user_handle: Vec::new(),
            sign_count: 0,
            flags: UP | UV,
            aaguid: [0; 16],
            transports: Some(vec!["internal".to_owned()]),
            origin: origin.to_owned(),
            algorithm,
            pair,
        }
    }

    /// How it signs.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key as COSE_Key.
    pub fn cose(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.pair {
            Pair::Ecdsa(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                map(&mut out, 5);
                for (label, value) in [(1, 2), (3, self.algorithm.cose())] {
                    integer(&mut out, label);
                    integer(&mut out, value);
                }
                integer(&mut out, -1);
                integer(&mut out, if self.algorithm == Algorithm::Es384 { 2 } else { 1 });
                integer(&mut out, -2);
                bytes(&mut out, x);
                integer(&mut out, -3);
                bytes(&mut out, y);
            }
            Pair::Rsa(pair) => {
                // RSAPublicKey (RFC 8017, A.1.1): the modulus is an integer of 257 bytes, the first of them zero.
                let der = pair.public_key().as_ref();
                map(&mut out, 4);
                for (label, value) in [(1, 3), (3, self.algorithm.cose())] {
                    integer(&mut out, label);
                    integer(&mut out, value);
                }
                integer(&mut out, -1);
                bytes(&mut out, &der[9..265]);
                integer(&mut out, -2);
                bytes(&mut out, &der[der.len() - 3..]);
            }
        }
        out
    }

    /// Signs anything.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
                signature
            }
        }
    }

    /// Makes the key for the options of a page (`{"publicKey": …}`), without attestation.
    pub fn create(&mut self, options: &Value) -> Creation {
        let options = &options["publicKey"];
        self.user_handle = decode(&options["user"]["id"]);
        Creation {
            client_data: client_data("webauthn.create", options, &self.origin),
            data: AuthenticatorData {
                rp_id_hash: sha256(options["rp"]["id"].as_str().unwrap_or_default().as_bytes()),
                flags: self.flags | AT,
                sign_count: self.sign_count,
                attested: Some(Attested { aaguid: self.aaguid, id: self.id.clone(), cose: self.cose() }),
                rest: Vec::new(),
            },
            format: "none".to_owned(),
            statement: vec![0xa0],
            raw_id: self.id.clone(),
            transports: self.transports.clone(),
        }
    }

    /// Uses the key for the options of a page.
    pub fn get(&mut self, options: &Value) -> Use {
        let options = &options["publicKey"];
        self.sign_count += u32::from(self.sign_count > 0);
        Use {
            client_data: client_data("webauthn.get", options, &self.origin),
            data: AuthenticatorData {
                rp_id_hash: sha256(options["rpId"].as_str().unwrap_or_default().as_bytes()),
                flags: self.flags,
                sign_count: self.sign_count,
                attested: None,
                rest: Vec::new(),
            },
            raw_id: self.id.clone(),
            user_handle: Some(self.user_handle.clone()),
            signature: None,
        }
    }
}

fn client_data(kind: &str, options: &Value, origin: &str) -> Value {
    json!({ "type": kind, "challenge": options["challenge"], "origin": origin, "crossOrigin": false })
}

/// The signed bytes, in parts.
#[derive(Clone, Debug)]
pub struct AuthenticatorData {
    /// SHA-256 of the relying party's id.
    pub rp_id_hash: [u8; 32],
    /// [`UP`] and its like.
    pub flags: u8,
    /// The count.
    pub sign_count: u32,
    /// The new key.
    pub attested: Option<Attested>,
    /// What follows: extensions, or what does not belong there.
    pub rest: Vec<u8>,
}

/// The part about a new key.
#[derive(Clone, Debug)]
pub struct Attested {
    /// The model.
    pub aaguid: [u8; 16],
    /// The id.
    pub id: Vec<u8>,
    /// The public key.
    pub cose: Vec<u8>,
}

impl AuthenticatorData {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.rp_id_hash.to_vec();
        out.push(self.flags);
        out.extend(self.sign_count.to_be_bytes());
        if let Some(attested) = &self.attested {
            out.extend(attested.aaguid);
            out.extend(u16::try_from(attested.id.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend(&attested.id);
            out.extend(&attested.cose);
        }
        out.extend(&self.rest);
        out
    }
}

/// The answer for a new key.
#[derive(Clone, Debug)]
pub struct Creation {
    /// What the browser adds.
    pub client_data: Value,
    /// What the authenticator signs.
    pub data: AuthenticatorData,
    /// The format of the attestation.
    pub format: String,
    /// The attestation statement, in CBOR.
    pub statement: Vec<u8>,
    /// The id as the browser tells it.
    pub raw_id: Vec<u8>,
    /// As the browser tells them.
    pub transports: Option<Vec<String>>,
}

impl Creation {
    /// With an attestation that the key gives for itself (WebAuthn Level 3, section 8.2).
    #[must_use]
    pub fn attested_by(mut self, key: &SoftKey) -> Self {
        let mut message = self.data.encode();
        message.extend(sha256(self.client_data.to_string().as_bytes()));
        let mut statement = Vec::new();
        map(&mut statement, 2);
        text(&mut statement, "alg");
        integer(&mut statement, key.algorithm.cose());
        text(&mut statement, "sig");
        bytes(&mut statement, &key.sign(&message));
        "packed".clone_into(&mut self.format);
        self.statement = statement;
        self
    }

    /// The attestation object.
    pub fn object(&self) -> Vec<u8> {
        let mut out = Vec::new();
        map(&mut out, 3);
        text(&mut out, "fmt");
        text(&mut out, &self.format);
        text(&mut out, "attStmt");
        out.extend(&self.statement);
        text(&mut out, "authData");
        bytes(&mut out, &self.data.encode());
        out
    }

    /// The credential as a page sends it.
    pub fn credential(&self) -> Value {
        let mut response = json!({
            "clientDataJSON": encode(self.client_data.to_string().as_bytes()),
            "attestationObject": encode(&self.object()),
        });
        if let Some(transports) = &self.transports {
            response["transports"] = json!(transports);
        }
        json!({ "id": encode(&self.raw_id), "rawId": encode(&self.raw_id), "type": "public-key", "response": response })
    }

    /// The same as text, for the field of a form.
    pub fn text(&self) -> String {
        self.credential().to_string()
    }
}

/// The answer of a key that is used.
#[derive(Clone, Debug)]
pub struct Use {
    /// What the browser adds.
    pub client_data: Value,
    /// What the authenticator signs.
    pub data: AuthenticatorData,
    /// The id.
    pub raw_id: Vec<u8>,
    /// Whose key it is; `None` leaves it out.
    pub user_handle: Option<Vec<u8>>,
    /// Another signature than the right one.
    pub signature: Option<Vec<u8>>,
}

impl Use {
    /// The credential as a page sends it, signed by `key`.
    pub fn credential(&self, key: &SoftKey) -> Value {
        let (data, client_data) = (self.data.encode(), self.client_data.to_string());
        let mut message = data.clone();
        message.extend(sha256(client_data.as_bytes()));
        let signature = self.signature.clone().unwrap_or_else(|| key.sign(&message));
        let mut response = json!({
            "clientDataJSON": encode(client_data.as_bytes()),
            "authenticatorData": encode(&data),
            "signature": encode(&signature),
        });
        if let Some(handle) = &self.user_handle {
            response["userHandle"] = encode(handle).into();
        }
        json!({ "id": encode(&self.raw_id), "rawId": encode(&self.raw_id), "type": "public-key", "response": response })
    }

    /// The same as text, for the field of a form.
    pub fn text(&self, key: &SoftKey) -> String {
        self.credential(key).to_string()
    }
}

/// Unpadded base64url.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap_or_default()).unwrap_or_default()
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().try_into().expect("32 bytes")
}

// --- CBOR (RFC 8949), as much as keys need ---

fn head(out: &mut Vec<u8>, major: u8, number: u64) {
    let major = major << 5;
    match number {
        0..=23 => out.push(major | u8::try_from(number).unwrap_or_default()),
        24..=0xff => out.extend([major | 24, u8::try_from(number).unwrap_or_default()]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend(u16::try_from(number).unwrap_or_default().to_be_bytes());
        }
        _ => {
            out.push(major | 26);
            out.extend(u32::try_from(number).unwrap_or_default().to_be_bytes());
        }
    }
}

/// A map of so many entries begins.
pub fn map(out: &mut Vec<u8>, entries: u64) {
    head(out, 5, entries);
}

/// An integer.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    match u64::try_from(value) {
        Ok(value) => head(out, 0, value),
        Err(_) => head(out, 1, value.unsigned_abs() - 1),
    }
}

/// A byte string.
pub fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    head(out, 2, value.len() as u64);
    out.extend(value);
}

/// A text.
pub fn text(out: &mut Vec<u8>, value: &str) {
    head(out, 3, value.len() as u64);
    out.extend(value.as_bytes());
}
