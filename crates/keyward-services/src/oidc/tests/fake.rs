//! A small provider inside the test: documents under paths, keys that really sign, and a memory of what it was asked.
//! The tests beside it set its documents and read its memory.
//! Judges nothing: whatever is set is what it answers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_config::{Config, Flags, Source, load};
use keyward_model::Time;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::oidc::{CodeAnswer, OidcError, Provider, Subject, Transaction, exchange};
use crate::outbound::tests::{answer, serve, write};
use crate::outbound::{Outbound, OutboundRules};

pub(super) const NOW: Time = Time::from_unix(1_800_000_000);

static RSA: LazyLock<[RsaKeyPair; 2]> = LazyLock::new(|| [(); 2].map(|()| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));
static EC: LazyLock<EcdsaKeyPair> = LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of the provider.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Rsa(usize),
    Ec,
}

impl Key {
    /// Its public part, named `kid`.
    pub(super) fn jwk(self, kid: &str) -> Value {
        match self {
            Self::Rsa(index) => {
                // `RSAPublicKey` (RFC 8017, A.1.1): nine bytes of heads, then the modulus; the exponent is 65537.
                let der = RSA[index].public_key().as_ref();
                json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": b64(&der[9..9 + 256]), "e": b64([1, 0, 1]) })
            }
            Self::Ec => {
                let (x, y) = EC.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "use": "sig", "alg": "ES256", "kid": kid, "crv": "P-256", "x": b64(x), "y": b64(y) })
            }
        }
    }

    /// A token with this header and these claims.
    pub(super) fn sign(self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(index) => {
                let mut signature = vec![0; RSA[index].public_modulus_len()];
                RSA[index].sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Ec => EC.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{message}.{}", b64(signature))
    }
}

/// One request that arrived.
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) head: String,
    pub(super) body: String,
}

/// The provider.
pub(super) struct Fake {
    pub(super) issuer: String,
    /// Whole answers by path.
    pub(super) answers: Arc<Mutex<HashMap<String, String>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// A provider with metadata and the key `r1`.
    pub(super) async fn start() -> Self {
        let answers: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (known, memory) = (Arc::clone(&answers), Arc::clone(&asked));
        let (address, _heads) = serve(move |mut stream, head| {
            let (known, memory) = (Arc::clone(&known), Arc::clone(&memory));
            async move {
                let field = |name: &str| {
                    head.lines().find_map(|line| line.to_lowercase().strip_prefix(name).map(|value| value.trim().to_owned()))
                };
                let length = field("content-length:").and_then(|value| value.parse().ok()).unwrap_or(0);
                let mut body = vec![0; length];
                let _ = stream.read_exact(&mut body).await;
                let path = head.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
                let found = known.lock().unwrap().get(&path).cloned();
                memory.lock().unwrap().push(Asked { path, head, body: String::from_utf8(body).unwrap() });
                write(stream, found.unwrap_or_else(|| answer("404 Not Found", "{}"))).await;
            }
        })
        .await;
        let fake = Self { issuer: format!("http://{address}"), answers, asked };
        fake.metadata(&json!({ "code_challenge_methods_supported": ["S256"] }));
        fake.keys(&[Key::Rsa(0).jwk("r1")]);
        fake
    }

    pub(super) fn set(&self, path: &str, whole: impl Into<String>) {
        self.answers.lock().unwrap().insert(path.to_owned(), whole.into());
    }

    pub(super) fn says(&self, path: &str, status: &str, value: &Value) {
        self.set(path, answer(status, &value.to_string()));
    }

    pub(super) fn metadata(&self, patch: &Value) {
        let at = |path: &str| format!("{}{path}", self.issuer);
        let mut document = json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/auth?tenant=t"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/me"),
            "jwks_uri": at("/keys"),
        });
        for (name, value) in patch.as_object().unwrap() {
            document[name] = value.clone();
        }
        self.says("/.well-known/openid-configuration", "200 OK", &document);
    }

    pub(super) fn keys(&self, keys: &[Value]) {
        self.says("/keys", "200 OK", &json!({ "keys": keys }));
    }

    /// Claims that are right, with changes; `null` removes one.
    pub(super) fn claims(&self, patch: &Value) -> Value {
        let mut claims = json!({
            "iss": self.issuer, "sub": "ada", "aud": "client", "nonce": "n-1", "email": "ada@example.org", "email_verified": "true",
            "iat": NOW.unix(), "exp": NOW.unix() + 300,
        });
        for (name, value) in patch.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        claims
    }

    /// A token under the key `r1` with claims that are right but for these.
    pub(super) fn token(&self, patch: &Value) -> String {
        Key::Rsa(0).sign(&json!({ "alg": "RS256", "kid": "r1" }), &self.claims(patch))
    }

    /// Codes now stand for this id token.
    pub(super) fn gives(&self, id_token: &str) {
        let tokens = json!({ "access_token": "at-1", "token_type": "Bearer", "id_token": id_token, "refresh_token": "rt-1" });
        self.says("/token", "200 OK", &tokens);
    }

    /// What arrived for a path since it was asked last.
    pub(super) fn asked(&self, path: &str) -> Vec<Asked> {
        let mut asked = self.asked.lock().unwrap();
        let (these, others) = asked.drain(..).partition(|one| one.path == path);
        *asked = others;
        these
    }

    /// A provider of the configuration, with further members of its entry.
    pub(super) fn provider(&self, patch: &Value) -> Provider {
        let mut entry = json!({
            "id": "hub", "provider": "generic", "client_id": "client", "client_secret": "p w:d", "issuer_url": self.issuer,
            "mapper_url": "base64://e30=",
        });
        for (name, value) in patch.as_object().unwrap() {
            entry[name] = value.clone();
        }
        provider(&entry)
    }

    /// Redeems the code `c-1` of a round trip that has no proof key.
    pub(super) async fn redeem(&self, provider: &Provider) -> Result<Subject, OidcError> {
        redeem_at(provider, NOW).await
    }
}

pub(super) fn transaction() -> Transaction {
    Transaction {
        provider: "hub".to_owned(),
        verifier: None,
        nonce: "n-1".to_owned(),
        redirect_uri: "https://id.example.org/callback".to_owned(),
    }
}

pub(super) async fn redeem_at(provider: &Provider, now: Time) -> Result<Subject, OidcError> {
    let transaction = transaction();
    let code = CodeAnswer { code: "c-1", issuer: None, transaction: &transaction };
    exchange::redeem(provider, &open(), &code, now).await
}

/// A client that may call the provider of the test.
pub(super) fn open() -> Outbound {
    Outbound::new(OutboundRules { allow_private: true, ..OutboundRules::default() })
}

/// A configuration whose method oidc has this block.
pub(super) fn configured(method: &Value) -> Config {
    let text = json!({
        "dsn": "memory",
        "secrets": { "default": ["a-secret-that-only-this-test-knows"] },
        "identity": { "schemas": [{ "id": "default", "url": "base64://e30=" }] },
        "serve": { "public": { "base_url": "https://id.example.org/" } },
        "selfservice": { "default_browser_return_url": "https://www.example.org/", "methods": { "oidc": method } },
    });
    let source = Source { name: "a.json".to_owned(), text: text.to_string() };
    load(&[source], &BTreeMap::new(), &Flags::default()).unwrap_or_else(|errors| panic!("{errors}")).config
}

/// The one provider of a configuration.
pub(super) fn provider(entry: &Value) -> Provider {
    let config = configured(&json!({ "enabled": true, "config": { "providers": [entry] } }));
    let settings = &config.selfservice.methods.oidc.providers[0];
    Provider::load(settings, "https://id.example.org").unwrap_or_else(|error| panic!("{error}"))
}
