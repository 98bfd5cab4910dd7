//! The way to a provider: what is drawn for one round trip, and the address that a browser is sent to (RFC 6749, section 4.1.1).
//! Stories begin a transaction, keep it sealed until the provider answers, and hand it back with the answer.
//! Knows no browser and keeps nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_config::{Pkce, ProviderKind};
use keyward_model::{Secret, Time};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use super::kinds::{Client, address};
use super::{OidcError, Provider};
use crate::App;
use crate::outbound::Outbound;

/// What is drawn for one round trip and kept, sealed, until the provider answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Transaction {
    /// The id of the provider.
    pub provider: String,
    /// The proof key (RFC 7636, section 4.1); `None` when none is used.
    #[serde(serialize_with = "revealed", default)]
    pub verifier: Option<Secret<String>>,
    /// What the id token has to repeat (OpenID Connect Core 1.0, section 3.1.2.1).
    pub nonce: String,
    /// Where the provider sends the browser back to; the token endpoint wants to hear it again.
    pub redirect_uri: String,
}

/// Secrets are not serialised by accident; a transaction is sealed as a whole.
fn revealed<S: Serializer>(verifier: &Option<Secret<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    verifier.as_ref().map(Secret::reveal).serialize(serializer)
}

impl Transaction {
    /// Draws what a round trip with this provider needs, and decides whether its code is bound to us by a proof key.
    ///
    /// # Errors
    /// When that depends on the provider's metadata and these cannot be had.
    pub async fn begin(app: &App, provider: &Provider, now: Time) -> Result<Self, OidcError> {
        let proves = proves(provider, &app.oidc.outbound, now).await?;
        let random = app.random();
        Ok(Self {
            provider: provider.id().to_owned(),
            verifier: proves.then(|| Secret::new(random.alphanumeric(64))),
            nonce: random.alphanumeric(32),
            redirect_uri: provider.redirect_uri().to_owned(),
        })
    }
}

/// Whether a proof key is used.
pub(super) async fn proves(provider: &Provider, outbound: &Outbound, now: Time) -> Result<bool, OidcError> {
    match (provider.settings.pkce, &provider.client) {
        (Pkce::Never, _) => Ok(false),
        (Pkce::Force, _) => Ok(true),
        (Pkce::Auto, Client::OpenId(client)) if client.facts.only_secrets_in_body => Ok(false),
        (Pkce::Auto, Client::OpenId(client)) => Ok(client.metadata(outbound, now).await?.takes_proof_keys),
        (Pkce::Auto, Client::Plain(client)) => Ok(client.facts.takes_proof_keys),
    }
}

/// What a browser is sent to a provider with.
#[derive(Clone, Copy)]
pub struct AuthorizationRequest<'a> {
    /// What was drawn.
    pub transaction: &'a Transaction,
    /// The sealed state.
    pub state: &'a str,
    /// What the client wants the provider to hear.
    pub upstream: &'a UpstreamParameters,
    /// The person has to show again who they are (`prompt=login`).
    pub login_again: bool,
}

/// What came back with a browser.
#[derive(Clone, Copy)]
pub struct CodeAnswer<'a> {
    /// The code (RFC 6749, section 4.1.2).
    pub code: &'a str,
    /// The parameter `iss` (RFC 9207).
    pub issuer: Option<&'a str>,
    /// What was drawn for this round trip.
    pub transaction: &'a Transaction,
}

impl std::fmt::Debug for CodeAnswer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CodeAnswer({})", self.transaction.provider)
    }
}

/// Parameters of a client that the provider may hear: `hd`, `prompt`, `auth_type` and `acr_values`, nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamParameters(Vec<(&'static str, String)>);

/// The longest value that is passed on.
const LONGEST_PARAMETER: usize = 256;

impl UpstreamParameters {
    /// Reads the member `upstream_parameters` of a submit; what may not be passed on is dropped.
    pub fn read(value: Option<&Value>) -> Self {
        let text = |name: &'static str| {
            let text = value?.get(name)?.as_str().filter(|text| !text.is_empty() && text.len() <= LONGEST_PARAMETER)?;
            Some((name, text.to_owned()))
        };
        Self(["hd", "prompt", "auth_type", "acr_values"].into_iter().filter_map(text).collect())
    }
}

/// The address of the authorization request.
pub(super) async fn authorize(
    provider: &Provider,
    outbound: &Outbound,
    request: &AuthorizationRequest<'_>,
    now: Time,
) -> Result<Url, OidcError> {
    let settings = &provider.settings;
    let transaction = request.transaction;
    if transaction.provider != settings.id {
        return Err(OidcError::OtherProvider);
    }
    let mut url = match (&settings.auth_url, &provider.client) {
        (Some(url), _) => url.clone(),
        (None, Client::OpenId(client)) => client.metadata(outbound, now).await?.authorization_endpoint.clone(),
        (None, Client::Plain(client)) => address(&client.authorization_endpoint)?,
    };
    let mut parameters: Vec<(&str, String)> = vec![
        ("client_id", settings.client_id.clone()),
        ("redirect_uri", transaction.redirect_uri.clone()),
        ("response_type", "code".to_owned()),
        ("state", request.state.to_owned()),
    ];
    let mut scope = settings.scope.clone();
    if provider.open_id().is_some() {
        if !scope.iter().any(|scope| scope == "openid") {
            scope.insert(0, "openid".to_owned());
        }
        parameters.push(("nonce", transaction.nonce.clone()));
    }
    if settings.kind == ProviderKind::Google && scope.iter().any(|scope| scope == "offline_access") {
        // Google has a parameter in the place of this scope.
        scope.retain(|scope| scope != "offline_access");
        parameters.push(("access_type", "offline".to_owned()));
    }
    if settings.kind == ProviderKind::Apple && scope.iter().any(|scope| matches!(scope.as_str(), "email" | "name")) {
        // Apple tells names and addresses in no other way.
        parameters.push(("response_mode", "form_post".to_owned()));
    }
    if !scope.is_empty() {
        parameters.push(("scope", scope.join(" ")));
    }
    if let Some(verifier) = &transaction.verifier {
        parameters.push(("code_challenge", URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.reveal()))));
        parameters.push(("code_challenge_method", "S256".to_owned()));
    }
    if let Some(claims) = &settings.requested_claims {
        parameters.push(("claims", claims.to_string()));
    }
    // Whoever has to sign in again is not let off by what a client asks for.
    let again = request.login_again.then_some(provider.client.login_again());
    if let Some((name, value)) = again {
        parameters.push((name, value.to_owned()));
    }
    let wished = request.upstream.0.iter().filter(|(name, _)| again.is_none_or(|(again, _)| again != *name));
    parameters.extend(wished.map(|(name, value)| (*name, value.clone())));
    // What an operator wrote into the address stays, but never beside a second value of the same name.
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !parameters.iter().any(|(ours, _)| ours == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(parameters);
    Ok(url)
}
