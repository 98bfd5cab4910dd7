//! What goes along with a change: hooks, the raised session, the audit log.
//! The settings story adds them to its commit, and notes here what was refused.
//! Decides nothing.

use keyward_config::Hook;
use keyward_model::{AuthMethod, Flow, FlowId, JsonList, Operation, Problem, Session, Settings, Time, session_aal};
use keyward_services::audit::{Event, EventKind};
use keyward_services::derive::Derived;
use keyward_store::Batch;
use serde_json::{Map, Value};

use super::Submit;
use crate::methods::Change;
use crate::stories::{note, previous_addresses};

/// What built-in hooks add to the commit (decisions 6). The verification flow of a new address is there without one.
pub(super) fn contribute(
    submit: &Submit<'_>,
    derived: &Derived,
    flow: &Flow<Settings>,
    transient: Option<&Map<String, Value>>,
    batch: &mut Batch,
) {
    let Submit { app, visit, active, method, .. } = *submit;
    let own = &active.session;
    let hooks = app.config.selfservice.flows.settings.flow.after.hooks_for(method.id());
    for hook in hooks {
        if let Hook::NotifyPreviousAddresses(recipients) = hook {
            previous_addresses::notify(app, visit, derived, *recipients, &flow.request_url, transient, batch);
        }
    }
    if hooks.contains(&Hook::RevokeActiveSessions) {
        batch.revoke_other_sessions(own.identity_id, own.id, visit.now);
        let event = Event::done(EventKind::SessionsRevoked).identity(own.identity_id).session(own.id);
        event.write(app, &visit.client, visit.now, batch);
    }
}

/// The session with further proofs: enrolling a factor proves it, so the person is not asked for it at once.
pub(super) fn raise(session: &Session, operation: Operation, proofs: &[AuthMethod], now: Time) -> Option<Session> {
    if proofs.is_empty() {
        return None;
    }
    let mut raised = session.clone();
    let methods = [raised.methods.items().as_slice(), proofs].concat();
    raised.aal = session_aal(&methods);
    raised.methods = JsonList::of(&methods);
    if operation != Operation::Link {
        // An account that is connected proves nothing of whose session it is.
        raised.authenticated_at = now;
    }
    Some(raised)
}

/// Adds to the audit log what was changed, and that it was changed here.
pub(super) fn note_success(submit: &Submit<'_>, flow: FlowId, change: &Change, changed_traits: &[String], batch: &mut Batch) {
    let mut events = change.events.clone();
    if !changed_traits.is_empty() {
        events.push(Event::done(EventKind::TraitsChanged).detail("traits", changed_traits.to_vec()));
    }
    if session_aal(&[submit.active.session.methods.items().as_slice(), &change.proofs].concat()) > submit.active.session.aal {
        events.push(Event::done(EventKind::AalUpgraded).detail("from", submit.active.session.aal.as_str()));
    }
    events.push(Event::done(EventKind::SettingsSucceeded));
    for event in events {
        note_change(submit, flow, event, batch);
    }
}

pub(super) fn note_change(submit: &Submit<'_>, flow: FlowId, event: Event, batch: &mut Batch) {
    let Submit { app, visit, active, method, .. } = *submit;
    let event = event.identity(active.session.identity_id).session(active.session.id).flow(flow).method(method.id());
    event.write(app, &visit.client, visit.now, batch);
}

/// Notes a refused submit that the flow itself does not show.
pub(super) async fn refused(submit: &Submit<'_>, flow: FlowId, problem: Problem) -> Problem {
    let Submit { app, visit, active, method, .. } = *submit;
    let (kind, reason) = match &problem {
        Problem::Csrf(_) => (EventKind::CsrfRefused, "csrf"),
        Problem::Aal2Required { .. } => (EventKind::SettingsFailed, "aal2_required"),
        Problem::RefreshRequired { .. } => (EventKind::SettingsFailed, "refresh_required"),
        Problem::MethodDisabled => (EventKind::SettingsFailed, "method_disabled"),
        _ => return problem,
    };
    let event = Event::refused(kind, reason).identity(active.session.identity_id).session(active.session.id);
    note(app, &visit.client, visit.now, event.flow(flow).method(method.id())).await;
    problem
}
