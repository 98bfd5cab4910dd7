//! An OpenID provider (OpenID Connect Core 1.0, RFC 6749, 7636 and 9207) with accounts of the test's choice: it signs with real
//! keys, dates by the trial's clock, keeps what it was asked, and misbehaves when it is told to.
//! Tests of social sign-in start one with [`crate::Trial::openid_provider`] and walk a person through it with
//! [`OpenIdProvider::consent`].
//! Knows one client, and nothing of the server under test but where it calls back.

mod claims;
mod endpoints;
mod keys;
mod misbehaviour;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyward_model::{Clock, Time};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

use crate::call::{Call, Reply, client, parameter};
use crate::sink::{Received, read_request};

pub use claims::Claims;
use endpoints::Answer;
pub use keys::Signing;
use keys::{Ring, random};
pub use misbehaviour::{Endpoint, IdTokenFault, Misbehaviour};

/// Turns what the provider says into an identity of the trial's schema: name and address, and the address as verified when the
/// provider vouches for it.
const MAPPER: &str = "local claims = { email_verified: false } + std.extVar('claims');
{
  identity: {
    traits: {
      [if 'email' in claims then 'email']: claims.email,
      [if 'given_name' in claims then 'name']: {
        first: claims.given_name,
        [if 'family_name' in claims then 'last']: claims.family_name,
      },
    },
    verified_addresses: if 'email' in claims && claims.email_verified then [{ via: 'email', value: claims.email }] else [],
  },
}";

/// Query or form parameters, by name. A name that comes twice counts by its first value.
pub type Parameters = HashMap<String, String>;

/// A request to the token endpoint.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Its form.
    pub parameters: Parameters,
    /// Its `Authorization` header.
    pub authorization: Option<String>,
}

/// Where the provider sends a person back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackUrl(Url);

impl CallbackUrl {
    /// The whole address, for [`crate::Actor::navigate`].
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// A query parameter: `code`, `state`, `iss`, `error`, `error_description`.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.0.as_str(), name)
    }

    /// The address with another value of a parameter; `None` leaves the parameter out.
    #[must_use]
    pub fn with(&self, name: &str, value: Option<&str>) -> Self {
        let mut url = self.0.clone();
        let others: Vec<_> = self.0.query_pairs().into_owned().filter(|(found, _)| found != name).collect();
        url.query_pairs_mut().clear().extend_pairs(others).extend_pairs(value.map(|value| (name, value)));
        Self(url)
    }
}

/// Who is in front of the provider.
enum Person {
    Nobody,
    Consents(Box<Claims>),
    Denies,
}

/// What a code stands for.
struct Grant {
    claims: Claims,
    redirect_uri: String,
    scope: String,
    nonce: Option<String>,
    challenge: Option<String>,
    expires_at: Time,
}

struct Ledger {
    person: Person,
    redirect_uris: Vec<String>,
    grants: HashMap<String, Grant>,
    /// Who may ask the userinfo endpoint, and about whom.
    access_tokens: HashMap<String, Claims>,
    authorizations: Vec<Parameters>,
    token_requests: Vec<TokenRequest>,
    received: Vec<Received>,
    ring: Ring,
    signing: Signing,
}

/// The provider. It runs as long as the test does.
pub struct OpenIdProvider {
    issuer: String,
    client_id: String,
    client_secret: String,
    public: String,
    clock: Arc<dyn Clock>,
    http: reqwest::Client,
    ledger: Mutex<Ledger>,
    misbehaviour: watch::Sender<Option<Misbehaviour>>,
}

impl OpenIdProvider {
    /// Starts a provider on a free port of this machine. `public` is where the server under test listens, without a trailing
    /// slash.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start(clock: Arc<dyn Clock>, public: &str) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binding the port of an OpenID provider");
        let address = listener.local_addr().expect("the address of an OpenID provider");
        let ledger = Ledger {
            person: Person::Nobody,
            redirect_uris: vec![format!("{public}/self-service/methods/oidc/callback")],
            grants: HashMap::new(),
            access_tokens: HashMap::new(),
            authorizations: Vec::new(),
            token_requests: Vec::new(),
            received: Vec::new(),
            ring: Ring::first(),
            signing: Signing::Rs256,
        };
        let provider = Arc::new(Self {
            issuer: format!("http://{address}"),
            client_id: "keyward at the provider".to_owned(),
            // What RFC 6749 (2.3.1) escapes in a header has to be escaped by the client.
            client_secret: "a secret: 100% of the client's + the provider's".to_owned(),
            public: public.to_owned(),
            clock,
            http: client(),
            ledger: Mutex::new(ledger),
            misbehaviour: watch::Sender::new(None),
        });
        let serving = Arc::clone(&provider);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let provider = Arc::clone(&serving);
                // A client that goes away in the middle is its own business.
                tokio::spawn(async move { provider.serve(stream).await.ok() });
            }
        });
        provider
    }

    /// `http://127.0.0.1:…`, without a trailing slash.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The only client's id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The only client's secret.
    pub fn client_secret(&self) -> &str {
        &self.client_secret
    }

    /// An entry of `selfservice.methods.oidc.config.providers` with this id. The addresses that it is called back at are
    /// registered from now on.
    pub fn provider_config(&self, id: &str) -> Value {
        self.register(&format!("{}/self-service/methods/oidc/callback/{id}", self.public));
        json!({
            "id": id,
            "provider": "generic",
            "label": format!("Provider {id}"),
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "issuer_url": self.issuer,
            "scope": ["openid", "email", "profile"],
            "mapper_url": format!("base64://{}", STANDARD.encode(MAPPER)),
        })
    }

    /// A patch of the configuration that switches the method on with this provider alone.
    pub fn methods(&self, id: &str) -> Value {
        let config = json!({ "providers": [self.provider_config(id)] });
        json!({ "selfservice": { "methods": { "oidc": { "enabled": true, "config": config } } } })
    }

    /// Allows one more address to be called back at, exactly as it stands here.
    pub fn register(&self, redirect_uri: &str) {
        self.ledger().redirect_uris.push(redirect_uri.to_owned());
    }

    /// Who is signed in at the provider, and agrees to whatever is asked, from now on.
    pub fn sign_in_as(&self, person: Claims) {
        self.ledger().person = Person::Consents(Box::new(person));
    }

    /// Whoever is asked says no from now on, until somebody else signs in.
    pub fn deny(&self) {
        self.ledger().person = Person::Denies;
    }

    /// From now on the provider does this wrong, and nothing else.
    pub fn misbehave(&self, misbehaviour: Misbehaviour) {
        self.misbehaviour.send_replace(Some(misbehaviour));
    }

    /// Everything is done right again. Answers that are held back are given now.
    pub fn behave(&self) {
        self.misbehaviour.send_replace(None);
    }

    /// How tokens are signed from now on.
    pub fn sign_with(&self, signing: Signing) {
        self.ledger().signing = signing;
    }

    /// New keys under new ids; the old ones are published no longer.
    pub fn rotate_keys(&self) {
        self.ledger().ring = Ring::generate();
    }

    /// Does at the provider what a browser does there: follows the address and returns where the person is sent back to.
    ///
    /// # Panics
    /// When the provider does not send the person back, as with an unknown client or address.
    pub async fn consent(&self, authorization_url: &str) -> CallbackUrl {
        let reply = self.visit(authorization_url).await.expect(303);
        CallbackUrl(reply.location().parse().unwrap_or_else(|error| panic!("{error}: {reply:?}")))
    }

    /// The raw answer to a browser that follows the address.
    pub async fn visit(&self, authorization_url: &str) -> Reply {
        let endpoint = format!("{}{}?", self.issuer, Endpoint::Authorization.path());
        assert!(authorization_url.starts_with(&endpoint), "{authorization_url} does not lead to {endpoint}");
        Call::new(&self.http, "GET", authorization_url.to_owned(), Box::new(|_| {})).await
    }

    /// An id token for an app that signs people in by itself, with whatever [`IdTokenFault`] the provider has just now.
    pub fn mint_id_token(&self, claims: &Claims, nonce: Option<&str>) -> String {
        self.id_token(&self.ledger(), claims, nonce)
    }

    /// The parameters of every authorization that was asked for, in order.
    pub fn authorizations(&self) -> Vec<Parameters> {
        self.ledger().authorizations.clone()
    }

    /// Every request to the token endpoint, in order, also those that were refused.
    pub fn token_requests(&self) -> Vec<TokenRequest> {
        self.ledger().token_requests.clone()
    }

    /// Everything that arrived at an endpoint, in order.
    pub fn received(&self, endpoint: Endpoint) -> Vec<Received> {
        let at = |request: &&Received| request.path.split('?').next() == Some(endpoint.path());
        self.ledger().received.iter().filter(at).cloned().collect()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self) -> Option<IdTokenFault> {
        match *self.misbehaviour.borrow() {
            Some(Misbehaviour::IdToken(fault)) => Some(fault),
            _ => None,
        }
    }

    fn id_token(&self, ledger: &Ledger, claims: &Claims, nonce: Option<&str>) -> String {
        let fault = self.fault();
        let claims = claims.id_token(&self.issuer, &self.client_id, nonce, self.clock.now(), fault);
        ledger.ring.sign(ledger.signing, &claims, fault, &self.client_secret)
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let Some(request) = read_request(&mut stream).await? else { return Ok(()) };
        let path = request.path.split('?').next().unwrap_or_default();
        let endpoint = Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path);
        self.ledger().received.push(request.clone());
        let answer = match endpoint {
            None => Answer::refused(404, "not_found", "there is no such page"),
            Some(endpoint) => {
                self.hold_back(endpoint, &mut stream).await;
                self.answer(endpoint, &request)
            }
        };
        stream.write_all(&answer.bytes()).await?;
        stream.shutdown().await
    }

    /// Waits as long as the endpoint is slow and somebody waits for its answer.
    async fn hold_back(&self, endpoint: Endpoint, stream: &mut TcpStream) {
        let mut misbehaviour = self.misbehaviour.subscribe();
        let mut nothing = [0];
        tokio::select! {
            _ = misbehaviour.wait_for(|now| *now != Some(Misbehaviour::Slow(endpoint))) => {}
            _ = stream.read(&mut nothing) => {}
        }
    }

    fn answer(&self, endpoint: Endpoint, request: &Received) -> Answer {
        match *self.misbehaviour.borrow() {
            Some(Misbehaviour::Down(down)) if down == endpoint => {
                return Answer::refused(500, "server_error", "the provider is out of order");
            }
            Some(Misbehaviour::Oversize(large)) if large == endpoint => {
                return Answer::json(200, &json!({ "filler": "x".repeat(4 * 1024 * 1024) }));
            }
            Some(Misbehaviour::NoJson(garbled)) if garbled == endpoint => return Answer::text(200, "<!doctype html>"),
            _ => {}
        }
        match endpoint {
            Endpoint::Discovery => self.discovery(),
            Endpoint::Authorization => self.authorize(request),
            Endpoint::Token => self.token(request),
            Endpoint::Userinfo => self.userinfo(request),
            Endpoint::Keys => Answer::json(200, &self.ledger().ring.public()),
        }
    }
}

/// A name that nobody guesses.
fn fresh(prefix: &str) -> String {
    format!("{prefix}-{}", URL_SAFE_NO_PAD.encode(random::<24>()))
}
