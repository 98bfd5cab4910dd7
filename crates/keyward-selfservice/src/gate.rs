//! The gate of the flows: who may open one, and who may submit what.
//! The settings story passes through all of it before anything is worked out, login and registration through [`guard`].
//! Pure checks and reads; it changes nothing.

use keyward_config::Reauthentication;
use keyward_model::{
    Aal, AuthMethod, CsrfFailure, Demand, Flow, FlowType, FormErrors, GrantId, IdentityId, IdentitySnapshot, Message, Operation,
    Problem, Settings, Span, demand, flow_admits,
};
use keyward_services::payload::Payload;
use keyward_services::session::ActiveSession;
use keyward_services::{App, mailboxes, storage_problem};

use crate::methods::Refusal;
use crate::visit::{ForbiddenHeader, Visit};

/// The signed-in session, or the refusal that every settings endpoint gives without one.
pub(crate) fn session(visit: &Visit) -> Result<&ActiveSession, Problem> {
    visit.session.as_ref().ok_or(Problem::SessionInactive)
}

/// Whether the session's level is enough for the flow as a whole. `return_to`: where the second-factor login leads back to.
pub(crate) fn level(
    app: &App,
    active: &ActiveSession,
    identity: &IdentitySnapshot,
    return_to: Option<String>,
) -> Result<(), Problem> {
    let required = app.settings_rules().required_aal;
    if flow_admits(active.session.aal, mailboxes::available(app, identity, &active.session.methods.items()), required) {
        return Ok(());
    }
    Err(Problem::Aal2Required { return_to, enrol: false })
}

/// Whether the flow is the session's own.
pub(crate) fn ownership(flow: &Flow<Settings>, identity: IdentityId) -> Result<(), Problem> {
    if flow.extra.identity_id == identity { Ok(()) } else { Err(Problem::IdentityMismatch) }
}

/// CSRF protection in browser flows, the header guard in API flows (contract: settings 1.10).
pub(crate) fn guard(flow_type: FlowType, visit: &Visit) -> Result<(), Refusal> {
    match flow_type {
        FlowType::Browser => visit.guard.browser.map_err(|failure| Problem::Csrf(failure).into()),
        FlowType::Api => match &visit.guard.api {
            Ok(()) => Ok(()),
            Err(header) => Err(FormErrors::global(not_for_browsers(header)).into()),
        },
    }
}

/// As [`guard`], for a submit of a method: going to a provider needs no token in JSON, which no page of another site can send unasked.
/// Older clients send none (contract: settings 3.7.3).
pub(crate) fn guard_submit(flow_type: FlowType, visit: &Visit, method: &str, body: &Payload) -> Result<(), Refusal> {
    let leaves = method == "oidc" && body.text("unlink").is_none();
    let is_exempt = leaves
        && flow_type == FlowType::Browser
        && body.is_json()
        && body.csrf_token().is_none()
        && visit.guard.browser != Err(CsrfFailure::CrossSite);
    if is_exempt { Ok(()) } else { guard(flow_type, visit) }
}

/// Names what gave the browser away, because stacks and web views add headers that nobody wrote.
fn not_for_browsers(header: &ForbiddenHeader) -> Message {
    let advice = "Send requests of an app without it, or start a browser flow (docs/csrf.md).";
    match header {
        ForbiddenHeader::Origin => {
            Message::reason(format!("This flow is for apps, and the header Origin comes from a browser. {advice}"))
        }
        ForbiddenHeader::Cookie(names) => {
            let found = names.join(", ");
            Message::reason(format!(
                "This flow is for apps, and the header Cookie comes from a browser; found cookies: {found}. {advice}"
            ))
        }
    }
}

/// How long a completed re-login admits one submit of the settings flow that asked for it (decisions 3).
pub(crate) const GRANT: Span = Span::minutes(10);

/// How freshness was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Nothing had to be shown, or the session is young enough.
    Privileged,
    /// By a grant, to be consumed with the change.
    Grant(GrantId),
}

/// Whether the session may do this now.
pub(crate) async fn admit(
    app: &App,
    visit: &Visit,
    active: &ActiveSession,
    flow: &Flow<Settings>,
    operation: Operation,
    identity: &IdentitySnapshot,
) -> Result<Admission, Problem> {
    let factors = app.usable(identity.factors());
    let needed: Demand = demand(operation, &factors, flow.extra.origin, &app.settings_rules());
    let return_to = submit_url(app, flow);
    if active.session.aal < needed.aal {
        // Whoever can have a code sent need not enrol anything.
        let reachable = mailboxes::available(app, identity, &active.session.methods.items()) >= Aal::Aal2;
        return Err(Problem::Aal2Required { return_to: Some(return_to), enrol: needed.enrol_instead && !reachable });
    }
    if !needed.fresh || is_privileged(app, active, needed.aal, visit) {
        return Ok(Admission::Privileged);
    }
    let aal = if wants_second_factor(app, needed.aal) { Aal::Aal2 } else { Aal::Aal1 };
    let grant = app.store.find_unused_grant(flow.id, active.session.id, visit.now).await.map_err(storage_problem)?;
    // A re-login with the first factor alone earns nothing where the second one has to be fresh.
    let grant = grant.filter(|grant| {
        let earned_at_earliest = |proof: AuthMethod| proof.completed_at + GRANT >= grant.expires_at;
        aal == Aal::Aal1 || second_proofs(active).any(earned_at_earliest)
    });
    grant.map(|grant| Admission::Grant(grant.id)).ok_or(Problem::RefreshRequired { return_to, aal })
}

/// What somebody is told whose grant was used up by another request at the same moment.
pub(crate) fn refresh_again(app: &App, active: &ActiveSession, flow: &Flow<Settings>) -> Problem {
    let aal = if wants_second_factor(app, active.session.aal) { Aal::Aal2 } else { Aal::Aal1 };
    Problem::RefreshRequired { return_to: submit_url(app, flow), aal }
}

/// With `same_aal`, what needs a second factor needs a fresh second factor, not just any fresh proof.
fn wants_second_factor(app: &App, needed: Aal) -> bool {
    app.config.selfservice.flows.settings.reauthentication == Reauthentication::SameAal && needed >= Aal::Aal2
}

fn second_proofs(active: &ActiveSession) -> impl Iterator<Item = AuthMethod> {
    active.session.methods.items().into_iter().filter(|proof| proof.aal == Aal::Aal2)
}

fn is_privileged(app: &App, active: &ActiveSession, needed: Aal, visit: &Visit) -> bool {
    let max_age = app.config.selfservice.flows.settings.privileged_session_max_age;
    active.session.is_privileged(max_age, visit.now)
        && (!wants_second_factor(app, needed) || second_proofs(active).any(|proof| proof.completed_at + max_age > visit.now))
}

/// Where the flow is submitted; a re-login leads back here.
pub(crate) fn submit_url(app: &App, flow: &Flow<Settings>) -> String {
    format!("{}/self-service/settings?flow={}", app.public_base(), flow.id)
}

/// The settings page with the flow.
pub(crate) fn page_url(ui_url: &str, flow: impl std::fmt::Display) -> String {
    let separator = if ui_url.contains('?') { '&' } else { '?' };
    format!("{ui_url}{separator}flow={flow}")
}
