//! A social account whose address belongs to somebody already: nothing is merged by itself, the owner signs in and so connects it
//! (contract: login 7.8).
//! The registration story offers it in place of a second account, the login story completes it.
//! Never says more about an account than that the address the provider vouched for has one.

use keyward_model::{
    Aal, Attributes, AuthMethod, CredentialType, EntryState, Flow, FlowId, Group, IdentityId, IdentitySnapshot, InputType, Login,
    Message, Node, Problem, Span, Time,
};
use keyward_services::derive::{IdentityEdit, derive};
use keyward_services::oidc::Links;
use keyward_services::schema::IdentitySchema;
use keyward_services::{App, flow_rows, storage_problem};
use keyward_store::Batch;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::schema_of;
use crate::gate;
use crate::methods::Refusal;
use crate::methods::oidc::Arrival;
use crate::visit::Visit;

/// The member of a login flow's memory that holds the account to be connected.
const MEMORY: &str = "account_link";
/// How long it waits for its owner.
const LASTS: Span = Span::hours(1);

/// A social account that is connected once its owner has signed in.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PendingLink {
    arrival: Arrival,
    /// When it came back from the provider.
    since: Time,
    /// The address or name that is taken.
    identifier: String,
    /// How its owner signs in, where the operator wants that to be told (`login_hints`).
    hints: Option<Hints>,
}

/// How somebody signs in.
#[derive(Clone, Serialize, Deserialize)]
struct Hints {
    methods: Vec<String>,
    providers: Vec<String>,
}

/// Whom an address or name belongs to.
pub(crate) struct Owner {
    /// The account.
    pub(crate) identity: IdentitySnapshot,
    /// The address or name.
    pub(crate) identifier: String,
}

/// The first account that traits would collide with, other than `own`.
pub(crate) async fn owner_of(
    app: &App,
    schema: &IdentitySchema,
    traits: &Value,
    own: Option<IdentityId>,
) -> Result<Option<Owner>, Problem> {
    let is_another = |identity: &IdentitySnapshot| Some(identity.identity.id) != own;
    for identifier in schema.identifiers(traits) {
        let owners = app.store.find_identities_by_any_identifier(&identifier).await.map_err(storage_problem)?;
        if let Some(identity) = owners.into_iter().find(is_another) {
            return Ok(Some(Owner { identity, identifier }));
        }
    }
    for (via, address) in schema.contact_addresses(traits) {
        let owner = app.store.find_identity_by_verifiable_address(via, &address).await.map_err(storage_problem)?;
        let owner = match owner {
            None => app.store.find_identity_by_recovery_address(via, &address).await.map_err(storage_problem)?,
            found => found,
        };
        if let Some(identity) = owner.filter(is_another) {
            return Ok(Some(Owner { identity, identifier: address }));
        }
    }
    Ok(None)
}

impl PendingLink {
    /// What waits in a flow.
    pub(crate) fn of(flow: &Flow<Login>) -> Option<Self> {
        // A flow that took many another one's place has waited long enough.
        let pending: Self = serde_json::from_value(flow.memory.0.get(MEMORY)?.clone()).ok()?;
        (flow.issued_at < pending.since + LASTS).then_some(pending)
    }

    /// Lets a new login flow wait for its owner.
    pub(super) fn keep(app: &App, flow: &mut Flow<Login>, arrival: Arrival, owner: &Owner, now: Time) {
        let hints = app.config.selfservice.flows.registration.login_hints.then(|| hints(app, &owner.identity));
        let pending = Self { arrival, since: now, identifier: owner.identifier.clone(), hints };
        flow.memory.0.insert(MEMORY.to_owned(), serde_json::to_value(pending).unwrap_or_default());
    }

    /// What the page says, as long as it waits: nobody connects an account without being told.
    pub(super) fn message(&self, app: &App) -> Message {
        let Self { arrival, identifier, hints, .. } = self;
        let label = app.oidc.get(&arrival.provider).map_or_else(|| arrival.provider.clone(), |one| one.label().to_owned());
        let page = app.config.selfservice.flows.login.ui_url.as_str();
        let page = page.split('?').next().unwrap_or(page);
        let (methods, providers) =
            hints.as_ref().map(|hints| (hints.methods.clone(), hints.providers.clone())).unwrap_or_default();
        Message::new(
            1_010_016,
            json!({
                "available_credential_types": methods,
                "available_providers": providers,
                "duplicateIdentifier": identifier,
                "duplicate_identifier": identifier,
                "newLoginUrl": page,
                "new_login_url": page,
                "provider": label,
            }),
        )
    }

    /// Hands it on to the flow of the second step: the one that the session of this browser came from has it.
    pub(super) async fn take_over(app: &App, visit: &Visit, from: FlowId, to: &mut Flow<Login>) -> Result<(), Problem> {
        let Some(active) = &visit.session else { return Ok(()) };
        let Some(flow) = flow_rows::find::<Login>(app, from).await.map_err(storage_problem)? else { return Ok(()) };
        let is_its_own = flow.owner.session_id == Some(active.session.id) && flow.state == EntryState::PassedChallenge;
        if is_its_own
            && !flow.is_expired(visit.now)
            && let Some(pending) = flow.memory.0.get(MEMORY)
        {
            to.memory.0.insert(MEMORY.to_owned(), pending.clone());
        }
        Ok(())
    }

    /// A flow that takes another one's place waits for the same.
    pub(super) fn hand_on(from: &Flow<Login>, to: &mut Flow<Login>) {
        if let Some(kept) = from.memory.0.get(MEMORY) {
            to.memory.0.insert(MEMORY.to_owned(), kept.clone());
        }
    }

    /// It is connected: nothing waits any more.
    pub(super) fn forget(flow: &mut Flow<Login>) {
        flow.memory.0.remove(MEMORY);
    }

    /// Whether its owner may sign in with this provider instead.
    pub(crate) fn offers(&self, provider: &str) -> bool {
        provider != self.arrival.provider
            && self.hints.as_ref().is_none_or(|hints| hints.providers.iter().any(|known| known == provider))
    }

    /// Whether the address that it is about is this account's.
    pub(super) fn is_for(&self, identity: &IdentitySnapshot) -> bool {
        let known = &identity.identity;
        identity.credentials.iter().any(|one| one.identifiers.contains(&self.identifier))
            || known.verifiable_addresses.iter().any(|one| one.value == self.identifier)
            || known.recovery_addresses.iter().any(|one| one.value == self.identifier)
    }

    /// The provider's id.
    pub(super) fn provider(&self) -> &str {
        &self.arrival.provider
    }

    /// What the session has by it.
    pub(super) fn proof(&self, app: &App) -> AuthMethod {
        self.arrival.link_proof(app, self.since)
    }

    /// Whether there is something to connect: no account of this provider is connected, and the provider is still there.
    pub(super) fn is_open(&self, app: &App, identity: &IdentitySnapshot) -> bool {
        let links = Links::of(identity.credential(CredentialType::Oidc));
        app.oidc.get(&self.arrival.provider).is_some() && links.find(&self.arrival.provider).is_none()
    }

    /// Connects it, in the commit of the sign-in. Yields the account as it is then.
    ///
    /// # Errors
    /// When the account's schema is gone.
    pub(super) fn attach(
        &self,
        app: &App,
        identity: IdentitySnapshot,
        now: Time,
        batch: &mut Batch,
    ) -> Result<IdentitySnapshot, Refusal> {
        let mut links = Links::of(identity.credential(CredentialType::Oidc));
        let Some(provider) = app.oidc.get(&self.arrival.provider) else { return Ok(identity) };
        links.add(app, provider, &self.arrival.subject, app.random());
        let edit = IdentityEdit { credentials: vec![links.edit()], ..IdentityEdit::default() };
        let derived = derive(schema_of(app, &identity)?, Some(&identity), &edit, now, app.random())?;
        derived.write(batch);
        Ok(derived.snapshot())
    }

    /// Shows the sign-in as what it is for: whom it asks for is settled.
    pub(super) fn show(&self, nodes: Vec<Node>) -> Vec<Node> {
        let is_offered = |node: &Node| match (&self.hints, node.group) {
            (None, _) | (_, Group::Default | Group::Oidc) => true,
            (Some(hints), group) => {
                serde_json::to_value(group).is_ok_and(|group| hints.methods.iter().any(|one| group == one.as_str()))
            }
        };
        nodes.into_iter().filter(is_offered).map(|node| self.settle(node)).collect()
    }

    fn settle(&self, node: Node) -> Node {
        let asks = matches!(&node.attributes, Attributes::Input(input) if input.name == "identifier");
        let signs_in = node.meta.label.as_ref().is_some_and(|label| label.id == 1_010_001);
        match (asks, signs_in) {
            (true, _) => node.value(self.identifier.as_str().into()).with(|input| input.input_type = InputType::Hidden),
            (_, true) => node.label(Message::plain(1_010_017)),
            _ => node,
        }
    }
}

fn hints(app: &App, identity: &IdentitySnapshot) -> Hints {
    let providers = app.oidc.connected(identity.credential(CredentialType::Oidc));
    Hints { methods: super::ways_in(app, identity), providers }
}

/// The second step that has to come before an account is connected, keeping what waits.
pub(super) fn second_step_url(app: &App, flow: &Flow<Login>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("aal", Aal::Aal2.as_str()).append_pair("account_link", &flow.id.to_string());
    if let Some(target) = flow.query("return_to") {
        query.append_pair("return_to", &target);
    }
    format!("{}/self-service/login/browser?{}", app.public_base(), query.finish())
}

/// The login page of a flow that waits for an owner; pages of organizations have nothing to do with it.
pub(super) fn page(app: &App, flow: FlowId) -> String {
    format!("{}&no_org_ui=true", gate::page_url(app.config.selfservice.flows.login.ui_url.as_str(), flow))
}
