//! The way to a provider and back: what a flow keeps while somebody is there, and whose answer it takes (contract: settings 3.7.4,
//! 3.7.5, login 7.8).
//! The stories send people away with [`leave`], `http` tells [`callback`] when they come back.
//! An answer counts once, and only in the browser that was sent away: what is kept opens with a key that this browser holds. An app's
//! flow keeps it itself, because the browser that the app opens is not known before, and only the app goes on from there.

use keyward_model::{Flow, FlowType, FormErrors, IdentityId, Kind, Message, Problem, Settings};
use keyward_services::audit::{Event, EventKind};
use keyward_services::continuity::{self, Belongs, Opened, ROUND_TRIP};
use keyward_services::oidc::{CodeAnswer, FlowKind, OidcError, State};
use keyward_services::{App, flow_rows, storage_problem};
use keyward_store::{Batch, Refusal as Guarded, StoreError};

use super::{exchange, login, note, registration, return_to, same_browser, settings};
use crate::methods::oidc::{Arrival, Departure, Oidc, RoundTrip, refused};
use crate::outcome::{Entry, Outcome, Returned, SettingsOutcome};
use crate::visit::Visit;

/// The member of an app's flow that keeps what a browser would.
const MEMORY: &str = "oidc_round_trip";

/// What a provider sent back through the browser.
#[derive(Clone, Copy, Default)]
pub struct Answer<'a> {
    /// The path that it came to.
    pub path: &'a str,
    /// `state`
    pub state: Option<&'a str>,
    /// `code`
    pub code: Option<&'a str>,
    /// `iss` (RFC 9207)
    pub issuer: Option<&'a str>,
    /// `error`
    pub error: Option<&'a str>,
    /// `error_description`
    pub error_description: Option<&'a str>,
    /// `user`, the name that one provider sends beside the code
    pub user: Option<&'a str>,
}

impl std::fmt::Debug for Answer<'_> {
    // Codes are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({})", self.path)
    }
}

/// Keeps what has to be there when the person comes back, together with `batch`, and sends the browser away.
pub(super) async fn leave<K: Kind, V, S>(
    app: &App,
    visit: &mut Visit,
    mut flow: Flow<K>,
    departure: Departure,
    mut batch: Batch,
) -> Result<Outcome<V, S>, Problem> {
    let Departure { location, kept } = departure;
    if keeps_itself(&flow) {
        flow.memory.0.insert(MEMORY.to_owned(), serde_json::to_value(&kept).unwrap_or_default());
        flow_rows::update(app, &mut flow, &mut batch);
    } else {
        let belongs = belongs(&flow);
        let now = visit.now;
        continuity::pause(app, belongs, ROUND_TRIP, &kept, now, &mut visit.held, &mut batch).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "What a round trip needs could not be written down");
            Problem::Internal
        })?;
    }
    match app.store.commit(batch).await {
        Ok(()) => Ok(Outcome::SentAway { flow_type: flow.flow_type, location: location.into() }),
        Err(StoreError::Refused(Guarded::VersionConflict | Guarded::AlreadyUsed)) => {
            Err(Problem::Conflict { reason: "Another request changed this flow at the same moment; try again.".to_owned() })
        }
        Err(error) => Err(storage_problem(error)),
    }
}

/// An app has no browser that could hold a key; connecting an account takes one that is signed in.
fn keeps_itself<K: Kind>(flow: &Flow<K>) -> bool {
    flow.flow_type == FlowType::Api && K::NAME != Settings::NAME
}

fn belongs<K: Kind>(flow: &Flow<K>) -> Belongs {
    // Who signs in or up is not known before they are back.
    let identity_id: Option<IdentityId> = if K::NAME == Settings::NAME { flow.owner.identity_id } else { None };
    Belongs { flow_id: flow.id, identity_id }
}

/// Takes a provider's answer and goes on with the flow that it belongs to.
///
/// # Errors
/// When its `state` is not one of this server.
pub async fn callback(app: &App, visit: &mut Visit, answer: &Answer<'_>) -> Result<Returned, Problem> {
    let state = answer.state.and_then(|text| State::open(app, text)).ok_or_else(untrusted)?;
    let provider = app.oidc.get(&state.provider).ok_or(Problem::MethodDisabled)?;
    // Each provider has a path of its own, so that none can answer for another.
    if !provider.redirect_uri().ends_with(answer.path) {
        return Err(untrusted());
    }
    Ok(match state.kind {
        FlowKind::Settings => Returned::Settings(to_settings(app, visit, &state, answer).await),
        FlowKind::Login => Returned::Login(to_login(app, visit, &state, answer).await),
        FlowKind::Registration => Returned::Registration(to_registration(app, visit, &state, answer).await),
    })
}

fn untrusted() -> Problem {
    let reason = "This answer of a provider belongs to nothing that this browser began. Begin again.";
    Problem::BadRequest { reason: reason.to_owned() }
}

async fn to_settings(app: &App, visit: &mut Visit, state: &State, answer: &Answer<'_>) -> Result<SettingsOutcome, Problem> {
    let mut flow = settings::find_left(app, visit, state.flow_id).await?;
    let kept = take(app, visit, &mut flow, state).await?;
    match redeem(app, visit, state, kept, answer).await? {
        Ok(arrival) => settings::arrive(app, visit, flow, &arrival).await,
        Err(errors) => settings::refuse_arrival(app, visit, flow, errors).await,
    }
}

async fn to_login(app: &App, visit: &mut Visit, state: &State, answer: &Answer<'_>) -> Result<Entry, Problem> {
    let mut flow = login::find(app, state.flow_id).await?;
    visit.flow_type = Some(flow.flow_type);
    let is_apps = flow.flow_type == FlowType::Api;
    if !is_apps {
        same_browser(flow.flow_type, flow.extra.browser.as_deref(), visit).map_err(|_| untrusted())?;
        if visit.session.is_some() && !flow.extra.refresh {
            return Err(Problem::SessionAlreadyAvailable { location: after(app, &flow)? });
        }
        if flow.is_expired(visit.now) {
            return Err(login::expire(app, visit, &flow).await);
        }
    }
    let kept = take(app, visit, &mut flow, state).await?;
    let redeemed = redeem(app, visit, state, kept, answer).await?;
    if is_apps {
        return to_app(app, visit, flow, redeemed).await.map(Entry::Login);
    }
    match redeemed {
        Ok(arrival) => login::arrive(app, visit, flow, &arrival).await,
        Err(errors) => login::refuse(app, visit, flow, Some(&Oidc), errors, Vec::new()).await.map(Entry::Login),
    }
}

async fn to_registration(app: &App, visit: &mut Visit, state: &State, answer: &Answer<'_>) -> Result<Entry, Problem> {
    let mut flow = registration::find(app, state.flow_id).await?;
    visit.flow_type = Some(flow.flow_type);
    let is_apps = flow.flow_type == FlowType::Api;
    if !is_apps {
        same_browser(flow.flow_type, flow.extra.browser.as_deref(), visit).map_err(|_| untrusted())?;
        if visit.session.is_some() {
            return Err(Problem::SessionAlreadyAvailable { location: after(app, &flow)? });
        }
        if flow.is_expired(visit.now) {
            return Err(registration::expire(app, visit, &flow).await);
        }
    }
    let kept = take(app, visit, &mut flow, state).await?;
    let redeemed = redeem(app, visit, state, kept, answer).await?;
    if is_apps {
        return to_app(app, visit, flow, redeemed).await.map(Entry::Registration);
    }
    match redeemed {
        Ok(arrival) => registration::arrive(app, visit, flow, arrival).await,
        Err(errors) => registration::refuse(app, visit, flow, Some(&Oidc), errors, Vec::new()).await.map(Entry::Registration),
    }
}

/// Where a browser goes from a flow when there is nothing to do.
fn after<K: Kind>(app: &App, flow: &Flow<K>) -> Result<String, Problem> {
    Ok(return_to(app, flow.query("return_to").as_deref())?.unwrap_or_else(|| super::default_location(app)))
}

/// Sends the browser back to the app that waits: whatever becomes of the flow becomes of it there.
async fn to_app<K: Kind, V, S>(
    app: &App,
    visit: &Visit,
    mut flow: Flow<K>,
    redeemed: Result<Arrival, FormErrors>,
) -> Result<Outcome<V, S>, Problem> {
    let location = after(app, &flow)?;
    if let Err(errors) = &redeemed {
        flow.form.clear();
        flow.form.refuse(errors.clone());
    }
    let location = exchange::hand_over(app, flow, &location, redeemed.as_ref().ok(), visit.now).await?;
    Ok(Outcome::HandedOver { location })
}

/// Uses up what was kept for this answer: it counts once, whatever becomes of it.
async fn take<K: Kind>(app: &App, visit: &mut Visit, flow: &mut Flow<K>, state: &State) -> Result<RoundTrip, Problem> {
    let mut batch = Batch::new();
    let kept = if keeps_itself(flow) {
        let kept = flow.memory.0.remove(MEMORY).and_then(|kept| serde_json::from_value::<RoundTrip>(kept).ok());
        flow_rows::update(app, flow, &mut batch);
        kept
    } else {
        let opened = continuity::open::<RoundTrip>(app, belongs(flow), ROUND_TRIP, visit.now, &visit.held).await;
        opened.map_err(storage_problem)?.map(|Opened { container, content }| {
            batch.consume_container(&container, visit.now);
            content
        })
    };
    let in_browser = !keeps_itself(flow);
    let Some(kept) = kept.filter(|kept| kept.belongs_to(state)) else {
        let event = Event::refused(EventKind::CsrfRefused, "foreign_provider_answer").flow(flow.id).method("oidc");
        note(app, &visit.client, visit.now, event).await;
        return Err(untrusted());
    };
    if in_browser {
        visit.held.0.remove(ROUND_TRIP);
    }
    match app.store.commit(batch).await {
        Ok(()) => Ok(kept),
        Err(StoreError::Refused(Guarded::AlreadyUsed | Guarded::VersionConflict)) => Err(untrusted()),
        Err(error) => Err(storage_problem(error)),
    }
}

/// Asks the provider whom its answer is about. `Err` inside: what the form says.
async fn redeem(
    app: &App,
    visit: &Visit,
    state: &State,
    kept: RoundTrip,
    answer: &Answer<'_>,
) -> Result<Result<Arrival, FormErrors>, Problem> {
    let provider = app.oidc.get(&state.provider).ok_or(Problem::MethodDisabled)?;
    if let Some(error) = answer.error {
        // An app's flow is shown to whoever has its id, and whoever has the state can say what they like.
        let description = answer.error_description.filter(|_| visit.flow_type != Some(FlowType::Api));
        return Ok(Err(refused(provider, &OidcError::refused(error, description))));
    }
    let Some(code) = answer.code.filter(|code| !code.is_empty()) else {
        return Ok(Err(FormErrors::global(Message::reason("The provider sent no code along."))));
    };
    let user = answer.user;
    let answer = CodeAnswer { code, issuer: answer.issuer, transaction: &kept.transaction };
    Ok(match provider.redeem(app, &answer, visit.now).await {
        Ok(mut subject) => {
            if let Some(user) = user {
                subject.add_name_from_form(user);
            }
            Ok(kept.arrival(subject))
        }
        Err(error) => Err(refused(provider, &error)),
    })
}
