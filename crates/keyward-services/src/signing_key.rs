//! Private keys out of a JSON Web Key Set (RFC 7517): the first that can sign, in the form that the JWT library takes.
//! The session tokenizer loads its key sets here.
//! Knows keys and algorithms (RFC 7518), not what is signed.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use keyward_model::Secret;
use serde::{Deserialize, Serialize};

/// Why a key set has no key that signs. Says which key, never what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not a key set.
    #[error("this is not a JSON Web Key Set: an object with a list of keys is expected")]
    NotAKeySet,
    /// No key of the set can sign; why, key by key.
    #[error("no key of the set can sign: {}", .0.join("; "))]
    NoKey(Vec<String>),
}

/// A private key with the name and the algorithm that verifiers find its public part by.
#[derive(Clone)]
pub(crate) struct SigningKey {
    header: Header,
    key: EncodingKey,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({:?})", self.header.alg)
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// The members of a private key that are looked at (RFC 7518, 6).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<Secret<String>>,
    k: Option<Secret<String>>,
    n: Option<String>,
    e: Option<String>,
    p: Option<Secret<String>>,
    q: Option<Secret<String>>,
    dp: Option<Secret<String>>,
    dq: Option<Secret<String>>,
    qi: Option<Secret<String>>,
}

impl SigningKey {
    /// The first key of a set that can sign: private, with `kid` and `alg`, and not meant for something else.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub(crate) fn first_of(document: &str) -> Result<Self, KeySetError> {
        let set: KeySet = serde_json::from_str(document).map_err(|_| KeySetError::NotAKeySet)?;
        let mut refused = Vec::new();
        for (position, jwk) in set.keys.into_iter().enumerate() {
            let read = serde_json::from_value(jwk).map_err(|_| "it is not a JSON Web Key");
            match read.and_then(|jwk: Jwk| Self::read(&jwk)) {
                Ok(key) => return Ok(key),
                Err(reason) => refused.push(format!("key {}: {reason}", position + 1)),
            }
        }
        if refused.is_empty() {
            refused.push("it is empty".to_owned());
        }
        Err(KeySetError::NoKey(refused))
    }

    fn read(jwk: &Jwk) -> Result<Self, &'static str> {
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err("its use is not sig");
        }
        if jwk.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|operation| operation == "sign")) {
            return Err("its key_ops do not name sign");
        }
        let kid = jwk.kid.clone().filter(|kid| !kid.is_empty()).ok_or("it has no kid")?;
        let alg = jwk.alg.as_deref().ok_or("it has no alg")?;
        let alg: Algorithm = alg.parse().map_err(|_| "its alg is not one that can be signed with")?;
        let key = match (jwk.kty.as_str(), alg) {
            ("oct", Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) => {
                // RFC 7518, 3.2: at least as long as the hash.
                let shortest = match alg {
                    Algorithm::HS256 => 32,
                    Algorithm::HS384 => 48,
                    _ => 64,
                };
                let secret = private(jwk.k.as_ref())?;
                if secret.reveal().len() < shortest {
                    return Err("its secret is shorter than the hash");
                }
                EncodingKey::from_secret(secret.reveal())
            }
            (
                "RSA",
                Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512,
            ) => rsa(jwk)?,
            ("EC", Algorithm::ES256) => ec(jwk, "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING)?,
            ("EC", Algorithm::ES384) => ec(jwk, "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING)?,
            ("OKP", Algorithm::EdDSA) => ed25519(jwk)?,
            _ => return Err("its kty and alg do not belong together"),
        };
        Ok(Self { header: Header { kid: Some(kid), ..Header::new(alg) }, key })
    }

    /// A signed token in the compact form (RFC 7515, 7.1).
    ///
    /// # Errors
    /// When the library refuses, which it does not with a key that was loaded here.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&self.header, claims, &self.key)
    }
}

const BROKEN: &str = "it is broken or its parts do not belong together";

fn private(text: Option<&Secret<String>>) -> Result<Secret<Vec<u8>>, &'static str> {
    let text = text.ok_or("it has no private part, or not all of it")?;
    URL_SAFE_NO_PAD.decode(text.reveal().trim_end_matches('=')).map(Secret::new).map_err(|_| BROKEN)
}

fn public(text: Option<&String>) -> Result<Vec<u8>, &'static str> {
    let text = text.ok_or("it has not all of its public part")?;
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| BROKEN)
}

fn ec(jwk: &Jwk, curve: &str, algorithm: &'static EcdsaSigningAlgorithm) -> Result<EncodingKey, &'static str> {
    if jwk.crv.as_deref() != Some(curve) {
        return Err("its crv and alg do not belong together");
    }
    let secret = private(jwk.d.as_ref())?;
    // An uncompressed point (SEC 1, 2.3.3).
    let point = [vec![4], public(jwk.x.as_ref())?, public(jwk.y.as_ref())?].concat();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, secret.reveal(), &point).map_err(|_| BROKEN)?;
    pair.to_pkcs8v1().map(|document| EncodingKey::from_ec_der(document.as_ref())).map_err(|_| BROKEN)
}

fn ed25519(jwk: &Jwk) -> Result<EncodingKey, &'static str> {
    if jwk.crv.as_deref() != Some("Ed25519") {
        return Err("its crv and alg do not belong together");
    }
    let seed = private(jwk.d.as_ref())?;
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed.reveal(), &public(jwk.x.as_ref())?).map_err(|_| BROKEN)?;
    pair.to_pkcs8v1().map(|document| EncodingKey::from_ed_der(document.as_ref())).map_err(|_| BROKEN)
}

/// Writes the key as `RSAPrivateKey` (RFC 8017, A.1.2) and lets the library of cryptography judge it.
fn rsa(jwk: &Jwk) -> Result<EncodingKey, &'static str> {
    let mut content = Secret::new(Vec::new());
    let mut numbers = vec![Secret::new(vec![0]), Secret::new(public(jwk.n.as_ref())?), Secret::new(public(jwk.e.as_ref())?)];
    for part in [&jwk.d, &jwk.p, &jwk.q, &jwk.dp, &jwk.dq, &jwk.qi] {
        numbers.push(private(part.as_ref())?);
    }
    for number in &numbers {
        let longer = [content.reveal().as_slice(), der_integer(number.reveal()).reveal()].concat();
        content = Secret::new(longer);
    }
    let document = Secret::new([der_head(0x30, content.reveal().len()).as_slice(), content.reveal()].concat());
    RsaKeyPair::from_der(document.reveal()).map_err(|_| BROKEN)?;
    Ok(EncodingKey::from_rsa_der(document.reveal()))
}

/// A non-negative number in DER (X.690, 8.3): no leading zero but one that keeps it from being negative.
fn der_integer(number: &[u8]) -> Secret<Vec<u8>> {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let digits = &number[start..];
    let pad: &[u8] = if digits.first().is_none_or(|byte| *byte >= 0x80) { &[0] } else { &[] };
    Secret::new([der_head(0x02, pad.len() + digits.len()).as_slice(), pad, digits].concat())
}

/// Tag and length in DER (X.690, 8.1.3).
fn der_head(tag: u8, length: usize) -> Vec<u8> {
    let bytes = length.to_be_bytes();
    let digits = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len())..];
    match digits {
        [] => vec![tag, 0],
        [short] if *short < 0x80 => vec![tag, *short],
        // At most eight digits, so the sum fits.
        digits => [&[tag, 0x80 | u8::try_from(digits.len()).unwrap_or_default()], digits].concat(),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::KeyPair as _;
    use jsonwebtoken::jwk::Jwk as PublicJwk;
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::{Value, json};

    use super::*;

    fn b64(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn elliptic(algorithm: &'static EcdsaSigningAlgorithm, curve: &str, alg: &str) -> Value {
        use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let secret: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().unwrap();
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        json!({ "kty": "EC", "kid": "e", "alg": alg, "crv": curve, "x": b64(x), "y": b64(y), "d": b64(secret.as_ref()) })
    }

    fn edwards() -> Value {
        let pair = Ed25519KeyPair::generate().unwrap();
        let seed = pair.seed().unwrap();
        let seed: aws_lc_rs::encoding::Curve25519SeedBin<'_> = {
            use aws_lc_rs::encoding::AsBigEndian as _;
            seed.as_be_bytes().unwrap()
        };
        json!({ "kty": "OKP", "kid": "o", "alg": "EdDSA", "crv": "Ed25519", "x": b64(pair.public_key()), "d": b64(seed.as_ref()) })
    }

    /// The numbers of `RSAPrivateKey`, found in a PKCS#8 document by walking through it.
    fn rsa_numbers() -> Vec<Vec<u8>> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let document: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let value = |bytes: &[u8]| -> (usize, usize) {
            match bytes[1] {
                short @ 0..0x80 => (2, usize::from(short)),
                long => {
                    let count = usize::from(long & 0x7f);
                    (2 + count, bytes[2..2 + count].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
                }
            }
        };
        let enter = |bytes: &[u8]| {
            let (head, length) = value(bytes);
            bytes[head..head + length].to_vec()
        };
        let skip = |bytes: &[u8]| {
            let (head, length) = value(bytes);
            bytes[head + length..].to_vec()
        };
        let outer = enter(document.as_ref());
        let mut rest = enter(&enter(&skip(&skip(&outer))));
        let mut numbers = Vec::new();
        while !rest.is_empty() {
            numbers.push(enter(&rest).into_iter().skip_while(|byte| *byte == 0).collect());
            rest = skip(&rest);
        }
        numbers
    }

    fn rivest(alg: &str) -> Value {
        let numbers = rsa_numbers();
        let mut jwk = json!({ "kty": "RSA", "kid": "r", "alg": alg });
        for (name, number) in ["n", "e", "d", "p", "q", "dp", "dq", "qi"].iter().zip(&numbers[1..]) {
            jwk[*name] = json!(b64(number));
        }
        jwk
    }

    fn set(keys: &[Value]) -> String {
        json!({ "keys": keys }).to_string()
    }

    #[test]
    fn every_kind_of_key_signs_what_its_public_part_verifies() {
        let secret = json!({ "kty": "oct", "kid": "h", "alg": "HS256", "k": b64([7; 32]) });
        for jwk in [
            elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", "ES256"),
            elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", "ES384"),
            edwards(),
            rivest("RS256"),
            rivest("PS512"),
            secret,
        ] {
            let key = SigningKey::first_of(&set(std::slice::from_ref(&jwk))).unwrap_or_else(|error| panic!("{error}"));
            let token = key.sign(&json!({ "exp": 4_000_000_000_u64, "a": "b" })).unwrap();
            let header = jsonwebtoken::decode_header(&token).unwrap();
            assert_eq!((header.kid.as_deref(), header.typ.as_deref()), (jwk["kid"].as_str(), Some("JWT")));
            let public: PublicJwk = serde_json::from_value(jwk.clone()).unwrap();
            let decoding = DecodingKey::from_jwk(&public).unwrap();
            let validation = Validation::new(jwk["alg"].as_str().unwrap().parse().unwrap());
            let claims = jsonwebtoken::decode::<Value>(&token, &decoding, &validation).unwrap().claims;
            assert_eq!(claims["a"], "b", "{jwk}");
            assert!(!format!("{key:?}").contains("d\":"));
        }
    }

    #[test]
    fn the_first_key_that_can_sign_is_taken() {
        let good = edwards();
        let changed = |changes: Value| {
            let mut jwk = good.clone();
            for (name, value) in changes.as_object().unwrap() {
                jwk[name] = value.clone();
            }
            jwk
        };
        let mut public = good.clone();
        public.as_object_mut().unwrap().remove("d");
        let refused = [
            (public, "no private part"),
            (changed(json!({ "use": "enc" })), "use is not sig"),
            (changed(json!({ "key_ops": ["verify"] })), "do not name sign"),
            (changed(json!({ "kid": null })), "no kid"),
            (changed(json!({ "alg": null })), "no alg"),
            (changed(json!({ "alg": "none" })), "not one that can be signed with"),
            (changed(json!({ "alg": "RS256" })), "do not belong together"),
            (changed(json!({ "crv": "X25519" })), "do not belong together"),
            (changed(json!({ "d": "AAAA" })), "broken"),
            (changed(json!({ "x": b64([1; 32]) })), "broken"),
            (json!({ "kty": "oct", "kid": "h", "alg": "HS256", "k": "c2hvcnQ" }), "shorter than the hash"),
            (json!("key"), "not a JSON Web Key"),
        ];
        for (jwk, reason) in &refused {
            let error = SigningKey::first_of(&set(std::slice::from_ref(jwk))).unwrap_err().to_string();
            assert!(error.contains("key 1: ") && error.contains(reason), "{error}");
            let secret = good["d"].as_str().unwrap();
            assert!(!error.contains(secret), "{error}");
        }
        let all: Vec<Value> = refused.iter().map(|(jwk, _)| jwk.clone()).chain([changed(json!({ "kid": "last" }))]).collect();
        assert_eq!(SigningKey::first_of(&set(&all)).unwrap().header.kid.as_deref(), Some("last"));
        assert_eq!(SigningKey::first_of("[]").unwrap_err(), KeySetError::NotAKeySet);
        assert!(SigningKey::first_of(r#"{"keys":[]}"#).unwrap_err().to_string().contains("it is empty"));
    }
}
