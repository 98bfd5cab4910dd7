//! Sessions as operators see them: all of them, those of one identity, one (contract: admin 9).
//! The admin port calls it.
//! Ends and prolongs sessions, never opens one and never sets one active again.

use std::collections::HashMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use keyward_model::{IdentityId, IdentitySnapshot, IdentityState, Problem, Session, SessionId, Time};
use keyward_store::{Batch, Liveness, Refusal, SessionRow, StoreError};
use serde_json::{Value, json};

use super::{Refused, Show, admin_form};
use crate::audit::{Client, Event, EventKind};
use crate::session::session_json;
use crate::{App, storage_problem};

/// Rows that one call for all sessions handles.
const WILDCARD_ROWS: u32 = 5_000;

/// What to show of a session beside itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expand {
    /// Whose it is.
    pub identity: bool,
    /// Where it was opened.
    pub devices: bool,
}

/// The place of a session in the list of all: the next page starts after it.
pub type SessionPlace = (Time, SessionId);

/// A page of the list of all sessions.
#[derive(Debug)]
pub struct ListedSessions {
    /// The sessions.
    pub sessions: Vec<Value>,
    /// Where the next page starts, when there is one.
    pub next: Option<SessionPlace>,
}

/// Sessions of everybody, newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn list_sessions(
    app: &App,
    active: Option<bool>,
    expand: Expand,
    after: Option<SessionPlace>,
    limit: u32,
) -> Result<ListedSessions, Refused> {
    let now = app.now();
    let mut rows =
        app.store.list_all_sessions((liveness(active), now), after, limit.saturating_add(1)).await.map_err(storage_problem)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|last| (last.created_at, last.session.id));
    let mut identities: HashMap<IdentityId, IdentitySnapshot> = HashMap::new();
    if expand.identity {
        let mut ids: Vec<_> = rows.iter().map(|row| row.session.identity_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = app.store.find_identities(&ids).await.map_err(storage_problem)?;
        identities.extend(found.into_iter().map(|snapshot| (snapshot.identity.id, snapshot)));
    }
    let sessions = rows.iter().map(|row| {
        let active = row.session.is_live(now) && row.identity_state == IdentityState::Active;
        let devices = if expand.devices { json!(row.session.devices.items()) } else { Value::Null };
        form(app, &row.session, active, identities.get(&row.session.identity_id), devices)
    });
    Ok(ListedSessions { sessions: sessions.collect(), next })
}

/// One session.
///
/// # Errors
/// When there is none.
pub async fn get_session(app: &App, id: SessionId, expand: Expand) -> Result<Value, Refused> {
    let row = find(app, id).await?;
    one(app, &row, expand).await
}

/// Ends a session; the row stays. Ending it twice is no error.
///
/// # Errors
/// When there is none.
pub async fn revoke_session(app: &App, client: &Client, id: SessionId) -> Result<(), Refused> {
    let row = find(app, id).await?;
    let now = app.now();
    let identity = row.session.identity_id;
    let mut batch = Batch::new();
    batch.revoke_session(identity, id, now);
    let event = Event::done(EventKind::SessionRevoked).identity(identity).session(id).detail("by", "admin");
    event.write(app, client, now, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)?;
    Ok(())
}

/// Moves a session's end as far as a new one's would be, if it is near enough (`session.earliest_possible_extend`) and the
/// session still counts. Gives the session either way.
///
/// # Errors
/// When there is none.
pub async fn extend_session(app: &App, client: &Client, id: SessionId) -> Result<Value, Refused> {
    let mut row = find(app, id).await?;
    let now = app.now();
    let settings = &app.config.session;
    let is_near = row.session.expires_at.since(now) <= settings.earliest_possible_extend;
    let end = now + settings.lifespan;
    if row.session.is_live(now) && is_near && end > row.session.expires_at {
        let mut batch = Batch::new();
        batch.extend_session(id, end, now);
        let event = Event::done(EventKind::SessionExtended).identity(row.session.identity_id).session(id).detail("by", "admin");
        event.write(app, client, now, &mut batch);
        match app.store.commit(batch).await {
            Ok(()) => row.session.expires_at = end,
            // Revoked or prolonged in the meantime: it stays so.
            Err(StoreError::Refused(Refusal::Gone)) => row = find(app, id).await?,
            Err(other) => return Err(storage_problem(other).into()),
        }
    }
    one(app, &row, Expand { identity: true, devices: false }).await
}

/// A page of an identity's sessions, as JSON texts, and how many there are in all. An unknown identity has none.
///
/// # Errors
/// When the database does not answer.
pub async fn identity_sessions(
    app: &App,
    id: IdentityId,
    active: Option<bool>,
    page: (u32, u32),
) -> Result<(Vec<String>, u64), Refused> {
    let now = app.now();
    let Some(identity) = app.store.find_identity(id).await.map_err(storage_problem)? else { return Ok((Vec::new(), 0)) };
    let (sessions, total) = app.store.list_sessions(id, (liveness(active), now), None, page).await.map_err(storage_problem)?;
    let shown = admin_form(app, &identity, Show::Nothing).to_string();
    let is_active = identity.identity.state == IdentityState::Active;
    let json = |session: &Session| session_json(session, session.is_live(now) && is_active, Some(&shown), app.public_base());
    Ok((sessions.iter().map(json).collect(), u64::try_from(total).unwrap_or(0)))
}

/// Deletes every session of an identity.
///
/// # Errors
/// When there was none.
pub async fn delete_identity_sessions(app: &App, client: &Client, id: IdentityId) -> Result<(), Refused> {
    let now = app.now();
    let (_, total) = app.store.list_sessions(id, (Liveness::Any, now), None, (0, 1)).await.map_err(storage_problem)?;
    if total == 0 {
        return Err(Problem::NotFound { reason: None }.into());
    }
    let mut batch = Batch::new();
    batch.delete_sessions(id);
    Event::done(EventKind::SessionsRevoked).identity(id).detail("by", "admin").write(app, client, now, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)?;
    Ok(())
}

/// What to do with many sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkAction {
    /// End them; the rows stay.
    Disable,
    /// Delete the rows.
    Delete,
}

/// Which sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkTarget {
    /// All of these identities.
    Identities(Vec<IdentityId>),
    /// These.
    Sessions(Vec<SessionId>),
    /// Everybody's, some thousand for each call.
    Everyone,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkDone {
    /// Rows that were changed or deleted.
    pub processed: u64,
    /// Whether another call would find more.
    pub more: bool,
}

/// Ends or deletes many sessions in one commit.
///
/// # Errors
/// When the database does not answer.
pub async fn act_on_sessions(app: &App, client: &Client, action: BulkAction, target: BulkTarget) -> Result<BulkDone, Refused> {
    let now = app.now();
    let is_everyone = target == BulkTarget::Everyone;
    let word = match action {
        BulkAction::Disable => "disable",
        BulkAction::Delete => "delete",
    };
    let done = || Event::done(EventKind::SessionsRevoked).detail("by", "admin").detail("action", word);
    let mut batch = Batch::new();
    let mut events = Vec::new();
    match target {
        BulkTarget::Everyone => {
            match action {
                BulkAction::Disable => batch.revoke_some_sessions(WILDCARD_ROWS, now),
                BulkAction::Delete => batch.delete_some_sessions(WILDCARD_ROWS),
            }
            events.push(done());
        }
        BulkTarget::Identities(ids) => {
            for id in ids {
                match action {
                    BulkAction::Disable => batch.revoke_sessions(id, now),
                    BulkAction::Delete => batch.delete_sessions(id),
                }
                events.push(done().identity(id));
            }
        }
        BulkTarget::Sessions(ids) => {
            let reads = stream::iter(ids).map(|id| app.store.find_session_by_id(id)).buffered(16);
            let rows: Vec<Option<SessionRow>> = reads.try_collect().await.map_err(storage_problem)?;
            for session in rows.into_iter().flatten().map(|row| row.session) {
                match action {
                    BulkAction::Disable => batch.revoke_session(session.identity_id, session.id, now),
                    BulkAction::Delete => batch.delete_session(session.identity_id, session.id),
                }
                events.push(done().identity(session.identity_id).session(session.id));
            }
        }
    }
    let statements = batch.len();
    for event in events {
        event.write(app, client, now, &mut batch);
    }
    let counts = app.store.commit_counted(batch).await.map_err(storage_problem)?;
    let processed = counts.iter().take(statements).sum();
    Ok(BulkDone { processed, more: is_everyone && processed == u64::from(WILDCARD_ROWS) })
}

async fn find(app: &App, id: SessionId) -> Result<SessionRow, Refused> {
    let found = app.store.find_session_by_id(id).await.map_err(storage_problem)?;
    Ok(found.ok_or(Problem::NotFound { reason: None })?)
}

async fn one(app: &App, row: &SessionRow, expand: Expand) -> Result<Value, Refused> {
    let identity =
        if expand.identity { app.store.find_identity(row.session.identity_id).await.map_err(storage_problem)? } else { None };
    let active = row.session.is_live(app.now()) && row.identity_state == IdentityState::Active;
    let devices = if expand.devices { json!(row.session.devices.items()) } else { json!([]) };
    Ok(form(app, &row.session, active, identity.as_ref(), devices))
}

fn form(app: &App, session: &Session, active: bool, identity: Option<&IdentitySnapshot>, devices: Value) -> Value {
    let json = session_json(session, active, None, app.public_base());
    let mut form: Value = serde_json::from_str(&json).unwrap_or_default();
    form["devices"] = devices;
    form["identity"] = identity.map_or(Value::Null, |identity| admin_form(app, identity, Show::Nothing));
    form
}

const fn liveness(active: Option<bool>) -> Liveness {
    match active {
        None => Liveness::Any,
        Some(true) => Liveness::Live,
        Some(false) => Liveness::Dead,
    }
}
