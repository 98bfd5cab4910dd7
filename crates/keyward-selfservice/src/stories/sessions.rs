//! One's own sessions: which there are, and ending them (contract: login 13.8).
//! `http` tells it for `/sessions…` and for the devices page.
//! Never shows a session of somebody else, and never says whether one exists.

use keyward_model::{Aal, Problem, SessionId, flow_admits};
use keyward_services::audit::{Event, EventKind};
use keyward_services::session::{ActiveSession, has_second_factor, session_json};
use keyward_services::{App, storage_problem};
use keyward_store::{Batch, Liveness};

use crate::visit::Visit;

/// A piece of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// How many to skip.
    pub offset: u32,
    /// How many to give, at most.
    pub limit: u32,
}

/// Whether a session is strong enough to show whose it is (`session.whoami.required_aal`).
///
/// # Errors
/// When a second factor is wanted first.
pub async fn whoami_level(app: &App, active: &ActiveSession) -> Result<(), Problem> {
    if is_weak(app, active).await? { Err(Problem::Aal2Required { return_to: None, enrol: false }) } else { Ok(()) }
}

/// Whether a session is taken nowhere before its second step.
pub(super) async fn is_weak(app: &App, active: &ActiveSession) -> Result<bool, Problem> {
    let admits = |available| flow_admits(active.session.aal, available, app.config.session.whoami_required_aal);
    // Boxed, because hardly anybody's credentials are read and the futures of all would hold its space.
    Ok(!admits(Aal::Aal2) && Box::pin(has_second_factor(app, active)).await.map_err(storage_problem)?)
}

/// The other active sessions, newest first, as JSON; and how many there are in all.
///
/// # Errors
/// Without a session, or with one that is too weak.
pub async fn list(app: &App, visit: &Visit, page: Page) -> Result<(Vec<String>, u64), Problem> {
    let active = visit.session.as_ref().ok_or(Problem::SessionInactive)?;
    whoami_level(app, active).await?;
    let own = &active.session;
    let (sessions, total) = app
        .store
        .list_sessions(own.identity_id, (Liveness::Live, visit.now), Some(own.id), (page.offset, page.limit))
        .await
        .map_err(storage_problem)?;
    let identity = active.wire_json.as_str();
    let sessions =
        sessions.iter().map(|session| session_json(session, session.is_live(visit.now), Some(identity), app.public_base()));
    Ok((sessions.collect(), u64::try_from(total).unwrap_or(0)))
}

/// Ends every other session; says how many were active.
///
/// # Errors
/// Without a session.
pub async fn revoke_others(app: &App, visit: &Visit) -> Result<u64, Problem> {
    let active = visit.session.as_ref().ok_or(Problem::SessionInactive)?;
    let own = &active.session;
    let mut batch = Batch::new();
    batch.revoke_other_sessions(own.identity_id, own.id, visit.now);
    let event = Event::done(EventKind::SessionsRevoked).identity(own.identity_id).session(own.id);
    event.write(app, &visit.client, visit.now, &mut batch);
    let counts = app.store.commit_counted(batch).await.map_err(storage_problem)?;
    Ok(counts.first().copied().unwrap_or(0))
}

/// Ends one other session. Unknown, foreign and already ended ones are answered alike.
///
/// # Errors
/// Without a session, for a malformed id, and for the session in use: that is what signing out is for.
pub async fn revoke(app: &App, visit: &Visit, id: Option<SessionId>) -> Result<(), Problem> {
    let active = visit.session.as_ref().ok_or(Problem::SessionInactive)?;
    let id = id.ok_or_else(|| Problem::BadRequest { reason: "The session id is not a UUID.".to_owned() })?;
    let own = &active.session;
    if id == own.id {
        return Err(Problem::SessionInUse);
    }
    let mut batch = Batch::new();
    batch.revoke_session(own.identity_id, id, visit.now);
    let event = Event::done(EventKind::SessionRevoked).identity(own.identity_id).session(id);
    event.write(app, &visit.client, visit.now, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)
}
