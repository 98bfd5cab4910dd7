//! Signing up with a social account: the provider says who somebody is, and the operator's mapper makes traits of it.
//! The registration story asks it; what the provider did not say is asked for on the form, and the round trip is made once more.
//! Knows no cookies and makes no session.

use keyward_config::Config;
use keyward_model::{FlowType, FormErrors, IdentifierKind, Node, Via, canonical_identifier};
use keyward_services::App;
use keyward_services::derive::{AddressProof, IdentityEdit};
use keyward_services::oidc::{FlowKind, Links, OidcError, Provider};
use keyward_services::payload::Payload;
use serde_json::{Map, Value};

use super::{Arrival, Leaving, Oidc, app_waits, button, depart, named, names_a_provider, native};
use crate::methods::{Applicant, Refusal, RegistrationContext, RegistrationMethod, RegistrationProposal, Step};
use crate::visit::Visit;

/// The member of the method's memory that names the provider whose missing traits are asked for.
pub(crate) const COMPLETING: &str = "completing";

impl RegistrationMethod for Oidc {
    fn id(&self) -> &'static str {
        "oidc"
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.oidc.enabled
    }

    fn claims(&self, body: &Payload) -> bool {
        names_a_provider(body)
    }

    fn brings_traits(&self) -> bool {
        true
    }

    fn nodes(&self, context: &RegistrationContext<'_>) -> Vec<Node> {
        let RegistrationContext { app, flow, .. } = *context;
        let completing = flow.memory.0.get("oidc").and_then(|memory| memory[COMPLETING].as_str());
        let label = if completing.is_some() { 1_040_003 } else { 1_040_002 };
        let offered = |one: &&Provider| match completing {
            Some(id) => one.id() == id,
            None => one.is_for_everybody(),
        };
        app.oidc.iter().filter(offered).map(|provider| button(provider, label)).collect()
    }

    fn check(&self, _body: &Payload) -> FormErrors {
        FormErrors::default()
    }

    fn apply<'a>(
        &'a self,
        context: &'a RegistrationContext<'a>,
        body: &'a Payload,
        traits: Value,
    ) -> Step<'a, Result<RegistrationProposal, Refusal>> {
        Box::pin(async move {
            let RegistrationContext { app, visit, flow, .. } = *context;
            let provider = named(app, body.string("provider")?.unwrap_or_default())?;
            let traits = Some(traits).filter(|traits| traits.as_object().is_some_and(|traits| !traits.is_empty()));
            if flow.flow_type == FlowType::Api
                && let Some(arrival) = native(app, visit, provider, body, traits.clone()).await?
            {
                return Ok(RegistrationProposal::Arrived(Box::new(arrival)));
            }
            app_waits(flow)?;
            let from = Leaving { kind: FlowKind::Registration, flow_id: flow.id, traits, again: false, body };
            Ok(RegistrationProposal::Depart(Box::new(depart(app, visit, provider, from).await?)))
        })
    }
}

/// An account that somebody from a provider asks for.
pub(crate) struct Offered {
    /// The account.
    pub(crate) applicant: Applicant,
    /// The traits that the provider told, without those that were typed.
    pub(crate) told: Value,
}

/// The account that somebody from a provider asks for. What they typed wins over what the provider says.
///
/// # Errors
/// When the operator's mapper fails.
pub(crate) async fn applicant(app: &App, visit: &Visit, provider: &Provider, arrival: &Arrival) -> Result<Offered, OidcError> {
    let mapped = provider.map(app, &arrival.subject, visit.now).await?;
    let told = mapped.traits;
    let mut traits = told.clone();
    if let Some(typed) = &arrival.traits {
        lay_over(&mut traits, typed.clone());
    }
    let mut links = Links::of(None);
    links.add(app, provider, &arrival.subject, app.random());
    let edit = IdentityEdit {
        traits: Some(traits),
        credentials: vec![links.edit()],
        metadata_public: mapped.metadata_public.map(Some),
        metadata_admin: mapped.metadata_admin.map(Some),
        addresses: proofs(mapped.verified_addresses),
        ..IdentityEdit::default()
    };
    Ok(Offered { applicant: Applicant::new(edit, arrival.proof(app, visit.now)), told })
}

/// Addresses that the operator's mapper vouches for, each in its one spelling.
pub(super) fn proofs(addresses: Vec<(Via, String)>) -> Vec<AddressProof> {
    let proof = |(via, written): (Via, String)| {
        let kind = if via == Via::Email { IdentifierKind::Email } else { IdentifierKind::Phone };
        Some(AddressProof { via, value: canonical_identifier(kind, &written)? })
    };
    addresses.into_iter().filter_map(proof).collect()
}

/// Puts every member of `over` into `under`, objects member by member; a member that is empty adds nothing.
pub(super) fn lay_over(under: &mut Value, over: Value) {
    let over = match over {
        Value::Object(over) => over,
        Value::Null => return,
        other => {
            *under = other;
            return;
        }
    };
    if !under.is_object() {
        *under = Value::Object(Map::new());
    }
    let Some(members) = under.as_object_mut() else { return };
    for (name, value) in over {
        lay_over(members.entry(name).or_insert(Value::Null), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_typed_wins_member_by_member() {
        let mut traits = json!({ "email": "a@example.org", "name": { "first": "Ada", "last": "Byron" }, "tags": [1] });
        lay_over(
            &mut traits,
            json!({ "name": { "last": "Lovelace" }, "tags": [2, 3], "website": "https://example.org", "email": null }),
        );
        let expected = json!({
            "email": "a@example.org", "name": { "first": "Ada", "last": "Lovelace" }, "tags": [2, 3], "website": "https://example.org"
        });
        assert_eq!(traits, expected);
        lay_over(&mut traits, json!({ "name": {} }));
        assert_eq!(traits, expected);
    }
}
