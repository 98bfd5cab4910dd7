//! Connecting a social account in settings, and taking it away (contract: settings 3.7).
//! The settings story asks it, and hands it whoever came back from a provider.
//! Never maps claims to traits: connecting changes how somebody signs in, not who they are.

use keyward_config::Config;
use keyward_model::{CredentialType, FlowType, FormErrors, Group, IdentitySnapshot, Message, Node, Operation, Problem};
use keyward_services::App;
use keyward_services::audit::{Event, EventKind};
use keyward_services::oidc::{FlowKind, Links, Provider};
use keyward_services::payload::Payload;
use serde_json::json;

use super::{Arrival, Leaving, Oidc, depart, native};
use crate::methods::keys::credential_edit;
use crate::methods::{Change, Proposal, Refusal, SettingsContext, SettingsMethod, SettingsStep, Step};

impl SettingsMethod for Oidc {
    fn id(&self) -> &'static str {
        "oidc"
    }

    fn group(&self) -> Group {
        Group::Oidc
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.oidc.enabled
    }

    fn claims(&self, body: &Payload) -> bool {
        body.text("link").is_some() || body.text("unlink").is_some() || body.method().is_some_and(|method| method == "oidc")
    }

    fn nodes(&self, context: &SettingsContext<'_>) -> Vec<Node> {
        let SettingsContext { app, identity, .. } = *context;
        let links = links(identity);
        let node = |provider: &Provider| {
            let (name, label) = match links.find(provider.id()) {
                Some(_) if has_another_way_in(app, identity, provider.id()) => ("unlink", 1_050_003),
                // What may not be taken away has no button.
                Some(_) => return None,
                None if !provider.is_for_everybody() => return None,
                None => ("link", 1_050_002),
            };
            let label = Message::new(label, json!({ "provider": provider.label() }));
            Some(Node::submit(Group::Oidc, name, provider.id(), label))
        };
        app.oidc.iter().filter_map(node).collect()
    }

    fn decode(&self, context: &SettingsContext<'_>, body: &Payload) -> Result<Box<dyn SettingsStep>, FormErrors> {
        match (body.string("link")?, body.string("unlink")?) {
            (None, None) => Err(FormErrors::global(Message::plain(4_010_004))),
            (Some(_), Some(_)) => {
                Err(FormErrors::global(Message::reason("Connect one account or disconnect one, not both at once.")))
            }
            (None, Some(provider)) => Ok(Box::new(Disconnect { provider: provider.to_owned() })),
            (Some(provider), None) => {
                linkable(context, provider)?;
                Ok(Box::new(Leave { provider: provider.to_owned(), body: body.clone() }))
            }
        }
    }
}

/// A provider that can be connected: known, for everybody, and not connected yet.
fn linkable<'a>(context: &SettingsContext<'a>, id: &str) -> Result<&'a Provider, FormErrors> {
    let provider = context.app.oidc.get(id).filter(|one| one.is_for_everybody());
    provider.filter(|_| links(context.identity).find(id).is_none()).ok_or_else(|| {
        FormErrors::global(Message::reason("There is no such provider, or an account there is connected already."))
    })
}

/// Sends somebody to the provider whose account they want to connect.
struct Leave {
    provider: String,
    body: Payload,
}

impl SettingsStep for Leave {
    fn operation(&self) -> Operation {
        Operation::Link
    }

    fn propose<'a>(&'a self, context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>> {
        Box::pin(async {
            let SettingsContext { app, visit, flow, .. } = *context;
            let provider = linkable(context, &self.provider)?;
            // An app that has a token already needs no browser that is signed in as well.
            if flow.flow_type == FlowType::Api
                && let Some(arrival) = native(app, visit, provider, &self.body, None).await?
            {
                return connect(context, &arrival);
            }
            let from = Leaving { kind: FlowKind::Settings, flow_id: flow.id, traits: None, again: false, body: &self.body };
            Ok(Proposal::Depart(Box::new(depart(app, visit, provider, from).await?)))
        })
    }
}

/// Connects the account that somebody came back with.
pub(crate) struct Connect(pub(crate) Arrival);

impl SettingsStep for Connect {
    fn operation(&self) -> Operation {
        Operation::Link
    }

    fn propose<'a>(&'a self, context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>> {
        Box::pin(async { connect(context, &self.0) })
    }
}

fn connect(context: &SettingsContext<'_>, arrival: &Arrival) -> Result<Proposal, Refusal> {
    let SettingsContext { app, visit, identity, .. } = *context;
    let provider = linkable(context, &arrival.provider)?;
    let mut links = links(identity);
    links.add(app, provider, &arrival.subject, app.random());
    let event = Event::done(EventKind::ProviderLinked).detail("provider", provider.id());
    let change = Change::of(credential_edit(links.edit()));
    Ok(Change { proofs: vec![arrival.link_proof(app, visit.now)], events: vec![event], ..change }.into())
}

struct Disconnect {
    provider: String,
}

impl SettingsStep for Disconnect {
    fn operation(&self) -> Operation {
        Operation::Unlink
    }

    fn propose<'a>(&'a self, context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>> {
        Box::pin(async {
            let SettingsContext { app, identity, .. } = *context;
            if identity.credential(CredentialType::Oidc).is_none() {
                let reason = "No account of any provider is connected.".to_owned();
                return Err(Problem::NotFound { reason: Some(reason) }.into());
            }
            let mut links = links(identity);
            let known = app.oidc.get(&self.provider).and_then(|_| links.find(&self.provider)).is_some();
            if !has_another_way_in(app, identity, &self.provider) {
                let reason = "This is your only way in, so it can't be disconnected. Set a password or add a passkey first.";
                return Err(FormErrors::global(Message::reason(reason)).into());
            }
            if !known {
                let reason = "There is no such provider, or no account there is connected.";
                return Err(FormErrors::global(Message::reason(reason)).into());
            }
            links.remove(&self.provider);
            let event = Event::done(EventKind::ProviderUnlinked).detail("provider", self.provider.as_str());
            Ok(Change { events: vec![event], ..Change::of(credential_edit(links.edit())) }.into())
        })
    }
}

/// Whether somebody can still sign in once their accounts at a provider are disconnected.
fn has_another_way_in(app: &App, identity: &IdentitySnapshot, provider: &str) -> bool {
    let mut left = identity.factors();
    left.oidc = usable(app, identity, Some(provider));
    app.ways_in(&left) > 0
}

/// How many connected accounts sign in today, without those at one provider: a provider that is not configured any more lets nobody in.
pub(crate) fn usable(app: &App, identity: &IdentitySnapshot, without: Option<&str>) -> u32 {
    let links = links(identity);
    let counts = |provider: &str| app.oidc.get(provider).is_some_and(Provider::is_for_everybody) && Some(provider) != without;
    u32::try_from(links.iter().filter(|link| counts(&link.provider)).count()).unwrap_or(u32::MAX)
}

fn links(identity: &IdentitySnapshot) -> Links {
    Links::of(identity.credential(CredentialType::Oidc))
}
