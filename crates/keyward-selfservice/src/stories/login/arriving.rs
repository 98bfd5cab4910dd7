//! Signing in where something else began: back from a provider, or in place of a sign-up.
//! The provider story and the registration story come here.
//! Judges nobody: that is the login story's.

use keyward_model::{Flow, Login, Problem, Registration};
use keyward_services::{App, flow_rows, storage_problem};
use keyward_store::Batch;

use super::{Asked, Evidence, begin, conclude, remember, view};
use crate::methods::oidc::{Arrival, Oidc};
use crate::outcome::{Entry, LoginOutcome, Outcome};
use crate::stories::exchange;
use crate::stories::linking::{self, PendingLink};
use crate::visit::Visit;

/// Goes on with a flow from which somebody left to a provider who vouches for them now.
pub(in crate::stories) async fn arrive(
    app: &App,
    visit: &mut Visit,
    flow: Flow<Login>,
    arrival: &Arrival,
) -> Result<Entry, Problem> {
    conclude(app, visit, flow, &Oidc, Evidence::Arrived(arrival)).await
}

/// Signs somebody in who wanted to sign up at a provider, and has an account already.
pub(in crate::stories) async fn welcome(
    app: &App,
    visit: &mut Visit,
    from: &Flow<Registration>,
    arrival: &Arrival,
) -> Result<Entry, Problem> {
    let flow = in_place_of(app, visit, from);
    let mut batch = Batch::new();
    flow_rows::insert(app, &flow, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)?;
    conclude(app, visit, flow, &Oidc, Evidence::Arrived(arrival)).await
}

/// Asks the owner of an address to sign in, so that a social account with this address is connected.
pub(in crate::stories) async fn ask_owner(
    app: &App,
    visit: &Visit,
    from: &Flow<Registration>,
    arrival: Arrival,
    owner: &linking::Owner,
) -> Result<LoginOutcome, Problem> {
    let mut flow = in_place_of(app, visit, from);
    PendingLink::keep(app, &mut flow, arrival, owner, visit.now);
    flow.extra.active = Some("oidc".to_owned());
    let mut batch = Batch::new();
    flow_rows::insert(app, &flow, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)?;
    let location = linking::page(app, flow.id);
    Ok(Outcome::SentOn { view: view(app, visit, &flow), location })
}

/// A login that goes on where a registration ends.
fn in_place_of(app: &App, visit: &Visit, from: &Flow<Registration>) -> Flow<Login> {
    let asked = Asked::plain(from.extra.identity_schema.clone());
    let mut flow = begin(app, visit, from.flow_type, &from.request_url, &asked, false);
    flow.extra.organization_id.clone_from(&from.extra.organization_id);
    flow.extra.browser.clone_from(&from.extra.browser);
    remember(app, visit, &mut flow, None);
    exchange::hand_on(from, &mut flow);
    flow
}
