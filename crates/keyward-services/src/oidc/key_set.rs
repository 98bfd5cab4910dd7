//! The public keys of a provider (RFC 7517), and the signatures that they verify (RFC 7515).
//! Id tokens are verified with them; a token under a key that is not known has the set fetched again, once a minute at most.
//! Only asymmetric algorithms are taken: with a shared secret, everybody who knows it could make tokens.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use keyward_model::Time;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::OidcError;
use super::cached::Cached;
use super::discovery::PATIENCE;
use crate::outbound::{Outbound, OutboundRequest};

/// The algorithms of signatures that are believed.
const ALGORITHMS: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The most keys of a set that are looked at.
const MOST_KEYS: usize = 100;
/// The longest id token that is looked at, in bytes.
const LONGEST_TOKEN: usize = 64 * 1024;

/// The keys of one provider, as they were fetched last.
#[derive(Debug, Default)]
pub(super) struct Keys {
    kept: Cached<KeySet>,
}

/// The usable keys of a set.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    key: DecodingKey,
    /// Whose tokens it signs, where one set serves several issuers (Microsoft).
    issuer: Option<String>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?})", self.id)
    }
}

/// A token whose signature is right.
pub(super) struct Signed {
    pub(super) claims: Map<String, Value>,
    /// Whose tokens the key signs, where that is said.
    pub(super) key_issuer: Option<String>,
}

/// Why a signature is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsigned {
    /// Not a token in the compact form, or under an algorithm that is not taken.
    Malformed(&'static str),
    /// No known key fits: the provider may have a new one.
    NoKey(&'static str),
}

impl Keys {
    /// The claims of a token that one of the provider's keys signed.
    pub(super) async fn verify(&self, outbound: &Outbound, url: &Url, token: &str, now: Time) -> Result<Signed, Failure> {
        let set = self.kept.get(now, || fetch(outbound, url)).await.map_err(Failure::Provider)?;
        match set.verify(token) {
            Ok(signed) => Ok(signed),
            Err(Unsigned::Malformed(why)) => Err(Failure::Token(why)),
            Err(Unsigned::NoKey(why)) => match self.kept.newer(&set, now, || fetch(outbound, url)).await {
                Ok(Some(newer)) => newer.verify(token).map_err(|error| Failure::Token(error.why())),
                // The old set is still there and says what there is to say.
                Ok(None) | Err(_) => Err(Failure::Token(why)),
            },
        }
    }
}

/// Why a token is not believed, or cannot be judged.
#[derive(Debug)]
pub(super) enum Failure {
    Token(&'static str),
    Provider(OidcError),
}

impl Unsigned {
    const fn why(self) -> &'static str {
        match self {
            Self::Malformed(why) | Self::NoKey(why) => why,
        }
    }
}

async fn fetch(outbound: &Outbound, url: &Url) -> Result<KeySet, OidcError> {
    let request = OutboundRequest { budget: PATIENCE, ..OutboundRequest::get(url.clone()) };
    let answer = outbound.send(request).await?;
    if answer.status != 200 {
        return Err(OidcError::Status { what: "its keys", status: answer.status });
    }
    KeySet::read(&answer.body).ok_or(OidcError::Unusable("its keys are no JSON Web Key Set"))
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Keys that cannot verify are skipped: a set may hold keys of any kind.
    fn read(body: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(body).ok()?;
        Some(Self(document.keys.into_iter().take(MOST_KEYS).filter_map(Key::read).collect()))
    }

    /// The claims of a token that one of these keys signed.
    pub(super) fn verify(&self, token: &str) -> Result<Signed, Unsigned> {
        if token.len() > LONGEST_TOKEN {
            return Err(Unsigned::Malformed("it is too long"));
        }
        // An algorithm that the library does not know, `none` among them, is refused here.
        let header = decode_header(token).map_err(|_| Unsigned::Malformed("it is no signed token"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Unsigned::Malformed("its algorithm is not taken"));
        }
        // RFC 7515, section 4.1.11: what has to be understood and is not.
        if header.crit.is_some() {
            return Err(Unsigned::Malformed("its header asks for an extension"));
        }
        let name = format!("{:?}", header.alg);
        let fitting = self.0.iter().filter(|key| {
            header.kid.as_ref().is_none_or(|id| key.id.as_ref() == Some(id))
                && key.algorithm.as_ref().is_none_or(|algorithm| *algorithm == name)
                && key.key.family() == header.alg.family()
        });
        let mut why = "it is signed with a key that the provider does not have";
        for key in fitting {
            if let Ok(decoded) = decode::<Map<String, Value>>(token, &key.key, &signature_only(header.alg)) {
                return Ok(Signed { claims: decoded.claims, key_issuer: key.issuer.clone() });
            }
            why = "its signature is wrong";
        }
        Err(Unsigned::NoKey(why))
    }
}

/// The library judges the signature; the claims are judged against a clock that is handed in.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

impl Key {
    fn read(jwk: Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).map(str::to_owned);
        if text("kty").as_deref() == Some("oct") || text("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        let operations = jwk.get("key_ops").and_then(Value::as_array);
        if operations.is_some_and(|operations| !operations.iter().any(|operation| operation == "verify")) {
            return None;
        }
        let (id, algorithm, issuer) = (text("kid"), text("alg"), text("issuer"));
        let jwk: Jwk = serde_json::from_value(jwk).ok()?;
        Some(Self { id, algorithm, key: DecodingKey::from_jwk(&jwk).ok()?, issuer })
    }
}
