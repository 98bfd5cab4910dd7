//! Connecting an account once its person is back from the provider (contract: settings 3.7.5).
//! The provider story comes here; the change goes the way of every other.
//! Speaks to no provider.

use keyward_model::{Flow, FlowId, FormErrors, Problem, Settings};
use keyward_services::App;

use super::contributions::refused;
use super::{Changed, Refused, Source, Submit, change, find, identity, refuse, ui_url};
use crate::gate;
use crate::methods::oidc::{Arrival, Oidc};
use crate::methods::{Refusal, SettingsMethod};
use crate::outcome::{Outcome, SettingsOutcome};
use crate::visit::Visit;

/// Connects the account that somebody came back with from a provider (contract: settings 3.7.5).
///
/// # Errors
/// Everything that is not shown on the form itself.
pub(in crate::stories) async fn arrive(
    app: &App,
    visit: &Visit,
    mut flow: Flow<Settings>,
    arrival: &Arrival,
) -> Result<SettingsOutcome, Problem> {
    let active = gate::session(visit)?.clone();
    let (identity, schema) = identity(app, &active).await?;
    let submit = Submit { app, visit, active: &active, method: &Oidc, source: Source::Returned(arrival) };
    match change(&submit, &mut flow, &identity, schema).await {
        Ok(Changed::Saved(saved)) => Ok(Outcome::Done(saved)),
        // Connecting an account neither keeps, holds nor leads anywhere.
        Ok(Changed::Kept(_) | Changed::Held { .. } | Changed::Departing(_)) => Err(Problem::Internal),
        Err(Refusal::Problem(problem)) => Err(refused(&submit, flow.id, problem).await),
        Err(Refusal::Form(errors)) => refuse(app, visit, flow, &identity, schema, Refused::form(Some(Oidc.id()), errors)).await,
    }
}

/// A flow whose round trip came back, and what is wrong with it.
///
/// # Errors
/// When the database does not answer.
pub(in crate::stories) async fn refuse_arrival(
    app: &App,
    visit: &Visit,
    flow: Flow<Settings>,
    errors: FormErrors,
) -> Result<SettingsOutcome, Problem> {
    let active = gate::session(visit)?.clone();
    let (identity, schema) = identity(app, &active).await?;
    refuse(app, visit, flow, &identity, schema, Refused::form(Some("oidc"), errors)).await
}

/// The flow from which somebody left, if it is theirs and still open.
///
/// # Errors
/// As [`fetch`].
pub(in crate::stories) async fn find_left(app: &App, visit: &mut Visit, id: FlowId) -> Result<Flow<Settings>, Problem> {
    let active = gate::session(visit)?.clone();
    let flow = find(app, id).await?;
    visit.flow_type = Some(flow.flow_type);
    gate::ownership(&flow, active.session.identity_id)?;
    let (identity, _) = identity(app, &active).await?;
    gate::level(app, &active, &identity, Some(gate::page_url(ui_url(app), flow.id)))?;
    if flow.is_expired(visit.now) {
        return Err(Problem::FlowGone { flow_type: flow.flow_type, return_to: flow.query("return_to") });
    }
    Ok(flow)
}
