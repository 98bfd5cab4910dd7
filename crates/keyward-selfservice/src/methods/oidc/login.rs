//! Signing in with a social account.
//! The login story asks it; whoever is not known yet is handed back to it, and becomes a registration.
//! Knows no cookies, and no passwords of other places.

use keyward_config::Config;
use keyward_model::{Aal, CredentialType, Flow, FlowType, FormErrors, IdentitySnapshot, Login, Node};
use keyward_services::attempts::Reserved;
use keyward_services::audit::{Event, EventKind};
use keyward_services::derive::{Bounds, IdentityEdit, derive};
use keyward_services::oidc::{FlowKind, identifier};
use keyward_services::payload::Payload;
use keyward_services::{mailboxes, storage_problem};
use keyward_store::Batch;
use serde_json::{Value, json};

use super::{Arrival, Leaving, Oidc, app_waits, button, depart, foreign, named, names_a_provider, native};
use crate::methods::second_factor::signed_in_identity;
use crate::methods::{LoginContext, LoginMethod, LoginProposal, Proven, Refusal, Step};
use crate::stories::{PendingLink, owner_of};

impl LoginMethod for Oidc {
    fn id(&self) -> &'static str {
        "oidc"
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.oidc.enabled
    }

    fn claims(&self, flow: &Flow<Login>, body: &Payload) -> bool {
        flow.extra.requested_aal == Aal::Aal1 && names_a_provider(body)
    }

    /// On a refresh: with which providers the person can confirm themself.
    fn remember(&self, context: &LoginContext<'_>, identity: Option<&IdentitySnapshot>) -> Option<Value> {
        if context.flow.extra.requested_aal != Aal::Aal1 || !context.flow.extra.refresh {
            return None;
        }
        Some(json!({ "connected": context.app.oidc.connected(identity?.credential(CredentialType::Oidc)) }))
    }

    fn nodes(&self, context: &LoginContext<'_>) -> Vec<Node> {
        let LoginContext { app, flow, .. } = *context;
        if flow.extra.requested_aal != Aal::Aal1 {
            return Vec::new();
        }
        let pending = PendingLink::of(flow);
        let connected = flow.memory.0.get("oidc").and_then(|memory| memory["connected"].as_array());
        let is_offered = |id: &str| {
            connected.is_none_or(|connected| connected.iter().any(|one| one == id))
                && pending.as_ref().is_none_or(|pending| pending.offers(id))
        };
        let label = if pending.is_some() { 1_010_018 } else { 1_010_002 };
        let shown = app.oidc.iter().filter(|one| one.is_for_everybody() && is_offered(one.id()));
        shown.map(|provider| button(provider, label)).collect()
    }

    fn prove<'a>(&'a self, context: &'a LoginContext<'a>, body: &'a Payload) -> Step<'a, Result<LoginProposal, Refusal>> {
        Box::pin(async {
            let LoginContext { app, visit, flow } = *context;
            let provider = named(app, body.string("provider")?.unwrap_or_default())?;
            // The traits are for an account that may have to be made.
            let traits = body.object("traits")?.map(Value::Object);
            if flow.flow_type == FlowType::Api
                && let Some(arrival) = native(app, visit, provider, body, traits.clone()).await?
            {
                return recognise(context, &arrival).await;
            }
            app_waits(flow)?;
            let from = Leaving { kind: FlowKind::Login, flow_id: flow.id, traits, again: flow.extra.refresh, body };
            Ok(LoginProposal::Depart(Box::new(depart(app, visit, provider, from).await?)))
        })
    }

    fn echo(&self, _body: &Payload) -> Vec<(String, Value)> {
        Vec::new()
    }
}

/// Whose social account it is. On a refresh it has to be the signed-in person's own.
pub(crate) async fn recognise(context: &LoginContext<'_>, arrival: &Arrival) -> Result<LoginProposal, Refusal> {
    let LoginContext { app, visit, flow } = *context;
    let found_by = identifier(&arrival.provider, &arrival.subject.subject);
    let found = app.store.find_identity_by_identifier(CredentialType::Oidc, &found_by).await.map_err(storage_problem)?;
    if flow.extra.refresh {
        let own = signed_in_identity(context).await?.identity.id;
        if found.as_ref().is_none_or(|found| found.identity.id != own) {
            return Err(foreign(&arrival.provider, own).into());
        }
    }
    let Some(identity) = found else { return Ok(LoginProposal::Unknown(Box::new(arrival.clone()))) };
    let mut upkeep = Batch::new();
    let identity = renew(context, identity, arrival, &mut upkeep).await?;
    let proof = arrival.proof(app, visit.now);
    Ok(Proven { identity, proof, upkeep, attempt: Reserved::UNCOUNTED }.into())
}

/// With `update_identity_on_login: automatic` the account follows what the provider says today. What cannot be taken over is left
/// as it was: nobody is shut out because of a changed claim.
async fn renew(
    context: &LoginContext<'_>,
    identity: IdentitySnapshot,
    arrival: &Arrival,
    upkeep: &mut Batch,
) -> Result<IdentitySnapshot, Refusal> {
    let LoginContext { app, visit, .. } = *context;
    let Some(provider) = app.oidc.get(&arrival.provider).filter(|one| one.settings().update_identity_on_login) else {
        return Ok(identity);
    };
    let Some(entry) = app.schemas.get(&identity.identity.schema_id) else { return Ok(identity) };
    let left = |reason: &str| {
        tracing::warn!(provider = provider.id(), identity.id = %identity.identity.id, reason, "An account was not updated");
    };
    let Ok(mapped) = provider.map(app, &arrival.subject, visit.now).await else {
        left("the mapper failed");
        return Ok(identity);
    };
    let mut traits = identity.identity.traits.clone();
    super::registration::lay_over(&mut traits, mapped.traits);
    if traits == identity.identity.traits {
        return Ok(identity);
    }
    if owner_of(app, &entry.schema, &traits, Some(identity.identity.id)).await?.is_some() {
        left("an address belongs to somebody else");
        return Ok(identity);
    }
    let edit = IdentityEdit {
        traits: Some(traits),
        addresses: super::registration::proofs(mapped.verified_addresses),
        bounds: Bounds::from(&app.config.limits),
        ..IdentityEdit::default()
    };
    match derive(&entry.schema, Some(&identity), &edit, visit.now, app.random()) {
        // Whoever has a second factor needs it to change how they sign in or are reached (R1), and has not shown it yet.
        Ok(derived) if derived.touches_protected() && mailboxes::available(app, &identity, &[]) >= Aal::Aal2 => {
            left("the second factor was not shown");
            Ok(identity)
        }
        Ok(derived) => {
            let event = Event::done(EventKind::TraitsChanged).identity(identity.identity.id).flow(context.flow.id).method("oidc");
            event.detail("traits", derived.changed_traits()).write(app, &visit.client, visit.now, upkeep);
            derived.write(upkeep);
            Ok(derived.snapshot())
        }
        Err(FormErrors(_)) => {
            left("the traits do not fit the schema");
            Ok(identity)
        }
    }
}
