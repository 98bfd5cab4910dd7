//! Social accounts: signing in and up through an OpenID provider, and connecting one in settings.
//! The stories ask it like every other method, and `stories::provider` brings back whoever comes from a provider.
//! Speaks to no provider itself (`keyward_services::oidc` does) and makes no session.

mod login;
mod registration;
mod settings;

use keyward_model::{
    Aal, AuthMethod, Flow, FlowId, FlowType, FormErrors, IdentityId, Kind, Message, Problem, Proof, Secret, Time,
};
use keyward_services::App;
use keyward_services::oidc::{
    AuthorizationRequest, FlowKind, IdTokenError, OidcError, Provider, State, Subject, Tokens, Transaction, UpstreamParameters,
};
use keyward_services::payload::Payload;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;
use url::Url;

pub(crate) use login::recognise;
pub(crate) use registration::{COMPLETING, Offered, applicant};
pub(crate) use settings::{Connect, usable};

use super::Refusal;
use crate::stories::is_begun;
use crate::visit::Visit;

/// The method.
pub struct Oidc;

/// A round trip to a provider that begins now.
pub struct Departure {
    /// Where the browser goes.
    pub location: Url,
    /// What is kept, sealed, until it comes back.
    pub kept: RoundTrip,
}

impl std::fmt::Debug for Departure {
    // The address carries the state.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Departure({:?})", self.kept)
    }
}

/// What is kept while somebody is at a provider.
#[derive(Clone, Serialize, Deserialize)]
pub struct RoundTrip {
    /// Stands in the `state` as well; the two belong together.
    secret: [u8; 16],
    /// What the provider's answer is checked against.
    pub transaction: Transaction,
    /// The traits that were typed before; they win over what the provider says.
    traits: Option<Value>,
    transient_payload: Option<Map<String, Value>>,
}

impl std::fmt::Debug for RoundTrip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RoundTrip({})", self.transaction.provider)
    }
}

impl RoundTrip {
    /// Whether this is what a `state` was made with.
    pub(crate) fn belongs_to(&self, state: &State) -> bool {
        bool::from(self.secret.ct_eq(&state.secret)) && self.transaction.provider == state.provider
    }

    /// Somebody came back.
    pub(crate) fn arrival(self, subject: Subject) -> Arrival {
        let Self { transaction, traits, transient_payload, .. } = self;
        Arrival { provider: transaction.provider, subject, traits, transient_payload }
    }
}

/// Somebody whom a provider vouched for.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "KeptArrival", into = "KeptArrival")]
pub struct Arrival {
    /// The provider's id.
    pub(crate) provider: String,
    /// Who they are there.
    pub(crate) subject: Subject,
    /// The traits that they typed; they win over what the provider says.
    pub(crate) traits: Option<Value>,
    /// What their client sent along.
    pub(crate) transient_payload: Option<Map<String, Value>>,
}

impl std::fmt::Debug for Arrival {
    // Claims are personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Arrival({})", self.provider)
    }
}

impl Arrival {
    /// What a session has when this person signed in now. It is a second factor only where the operator named what the provider
    /// says so with, and a token that was verified says it.
    pub(crate) fn proof(&self, app: &App, now: Time) -> AuthMethod {
        let aal = if self.subject.is_aal2 { Aal::Aal2 } else { Aal::Aal1 };
        AuthMethod {
            provider: Some(self.provider.clone()),
            organization: app.oidc.get(&self.provider).and_then(|provider| provider.settings().organization_id.clone()),
            upstream_acr: self.subject.acr.clone(),
            upstream_amr: self.subject.amr.clone(),
            ..AuthMethod::new(Proof::Oidc, aal, now)
        }
    }

    /// What a session has when this account was connected now: it raises nobody, because whose it is was not known before.
    pub(crate) fn link_proof(&self, app: &App, now: Time) -> AuthMethod {
        AuthMethod { aal: Aal::Aal1, ..self.proof(app, now) }
    }
}

/// An [`Arrival`] in the sealed memory of a flow.
#[derive(Serialize, Deserialize)]
struct KeptArrival {
    provider: String,
    subject: String,
    claims: Value,
    acr: Option<String>,
    amr: Vec<String>,
    is_aal2: bool,
    id_token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    traits: Option<Value>,
    transient_payload: Option<Map<String, Value>>,
}

impl From<Arrival> for KeptArrival {
    fn from(arrival: Arrival) -> Self {
        let Arrival { provider, subject, traits, transient_payload } = arrival;
        let Subject { subject, claims, acr, amr, is_aal2, tokens } = subject;
        let text = |token: Option<Secret<String>>| token.map(|token| token.reveal().clone());
        let (id_token, access_token, refresh_token) = (text(tokens.id), text(tokens.access), text(tokens.refresh));
        Self { provider, subject, claims, acr, amr, is_aal2, id_token, access_token, refresh_token, traits, transient_payload }
    }
}

impl From<KeptArrival> for Arrival {
    fn from(kept: KeptArrival) -> Self {
        let KeptArrival { provider, subject, claims, acr, amr, is_aal2, traits, transient_payload, .. } = kept;
        let tokens = Tokens {
            id: kept.id_token.map(Secret::new),
            access: kept.access_token.map(Secret::new),
            refresh: kept.refresh_token.map(Secret::new),
        };
        Self { provider, subject: Subject { subject, claims, acr, amr, is_aal2, tokens }, traits, transient_payload }
    }
}

/// Where a round trip begins.
pub(super) struct Leaving<'a> {
    pub(super) kind: FlowKind,
    pub(super) flow_id: FlowId,
    /// The traits that were typed.
    pub(super) traits: Option<Value>,
    /// Somebody confirms themself, so the provider asks them again.
    pub(super) again: bool,
    pub(super) body: &'a Payload,
}

/// Draws what a round trip needs and works out where the browser goes.
async fn depart(app: &App, visit: &Visit, provider: &Provider, from: Leaving<'_>) -> Result<Departure, Refusal> {
    let Leaving { kind, flow_id, traits, again, body } = from;
    let upstream = UpstreamParameters::read(body.object("upstream_parameters")?.map(Value::Object).as_ref());
    let transient_payload = body.transient_payload(app.config.limits.transient_payload_bytes)?;
    if traits.as_ref().is_some_and(|traits| traits.to_string().len() > app.config.limits.traits_bytes) {
        return Err(FormErrors::at("traits", Message::reason("What was entered is too long altogether.")).into());
    }
    let failed = |error: OidcError| Refusal::from(refused(provider, &error));
    let transaction = Transaction::begin(app, provider, visit.now).await.map_err(failed)?;
    let secret = app.random().bytes();
    let state = State { kind, flow_id, provider: provider.id().to_owned(), secret }.seal(app);
    let request = AuthorizationRequest { transaction: &transaction, state: &state, upstream: &upstream, login_again: again };
    let location = provider.authorize(app, &request, visit.now).await.map_err(failed)?;
    Ok(Departure { location, kept: RoundTrip { secret, transaction, traits, transient_payload } })
}

/// What a form says about a provider that did not go along.
pub(crate) fn refused(provider: &Provider, error: &OidcError) -> FormErrors {
    tracing::info!(provider = provider.id(), error = error as &dyn std::error::Error, "A provider did not vouch for anybody");
    FormErrors::global(Message::reason(error.to_string()))
}

/// The provider that a submit names, if it is for everybody.
fn named<'a>(app: &'a App, id: &str) -> Result<&'a Provider, FormErrors> {
    let provider = app.oidc.get(id).filter(|provider| provider.is_for_everybody());
    provider.ok_or_else(|| FormErrors::global(Message::reason("There is no such provider to sign in with.")))
}

/// Somebody whom a native app already has a token of. `None` where the submit brings none.
async fn native(
    app: &App,
    visit: &Visit,
    provider: &Provider,
    body: &Payload,
    traits: Option<Value>,
) -> Result<Option<Arrival>, Refusal> {
    let Some(token) = body.string("id_token")? else { return Ok(None) };
    let nonce = body.string("id_token_nonce")?;
    let transient_payload = body.transient_payload(app.config.limits.transient_payload_bytes)?;
    match provider.verify_id_token(app, token, nonce, visit.now).await {
        Ok(subject) => Ok(Some(Arrival { provider: provider.id().to_owned(), subject, traits, transient_payload })),
        Err(error) => {
            tracing::info!(provider = provider.id(), error = &error as &dyn std::error::Error, "A native token was refused");
            let reason = error.to_string();
            Err(match error {
                IdTokenError::Invalid(_) => Problem::Forbidden { reason },
                _ => Problem::Upstream { reason },
            }
            .into())
        }
    }
}

/// An app's flow goes on where the app is, not in a browser that anybody may use: it has to be begun so (contract: login 13.9).
fn app_waits<K: Kind>(flow: &Flow<K>) -> Result<(), FormErrors> {
    if flow.flow_type == FlowType::Browser || is_begun(flow) {
        return Ok(());
    }
    let reason = "An app goes to a provider with a flow that was begun with return_session_token_exchange_code=true, or brings an id_token.";
    Err(FormErrors::global(Message::reason(reason)))
}

/// The node of a button for a provider.
fn button(provider: &Provider, label: u32) -> keyward_model::Node {
    let context = json!({ "provider": provider.label(), "provider_id": provider.id() });
    keyward_model::Node::submit(keyward_model::Group::Oidc, "provider", provider.id(), Message::new(label, context))
}

/// Whether a submit of an entry flow names a provider and no other method.
fn names_a_provider(body: &Payload) -> bool {
    body.text("provider").is_some() && body.method().is_none_or(|method| method == "oidc")
}

/// What somebody is told whose account at the provider is not theirs here.
fn foreign(provider: &str, own: IdentityId) -> FormErrors {
    tracing::info!(provider, identity.id = %own, "A provider vouched for somebody else");
    FormErrors::global(Message::reason("This is not an account that you connected. Use the one that you connected here."))
}
