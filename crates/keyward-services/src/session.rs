//! Sessions as services see them: found by token, issued, shown.
//! Stories ask here who is signed in; `http` passes tokens in and never looks at rows.
//! Knows no cookies: a token is a token, wherever it travelled.

use std::borrow::Cow;
use std::fmt::Write as _;

use keyward_model::{Aal, CredentialType, IdentityState, JsonList, Session, SessionId, Time, serve_wire_json};
use keyward_store::{Batch, SessionRow, StoreError};

use crate::tokens::SessionToken;
use crate::{App, mailboxes};

/// A usable session with what is known about its identity: everything a gate needs, read in one statement.
#[derive(Clone)]
pub struct ActiveSession {
    /// The session.
    pub session: Session,
    /// The identity's public form as stored; see [`keyward_model::serve_wire_json`].
    pub wire_json: String,
    /// As [`SessionRow::further_credential`].
    pub further_credential: Option<CredentialType>,
}

impl std::fmt::Debug for ActiveSession {
    // The public identity is personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ActiveSession({} of {})", self.session.id, self.session.identity_id)
    }
}

/// Finds the session of a token. `None` when the token is unknown, revoked or expired, or the identity is switched off:
/// callers cannot tell these apart, and neither can clients.
///
/// # Errors
/// When the database does not answer.
pub async fn find_active(app: &App, token: &SessionToken, now: Time) -> Result<Option<ActiveSession>, StoreError> {
    Ok(app.store.find_session(&token.digest()).await?.and_then(|row| usable(row, now)))
}

/// Reads a session anew that was found by its token before.
///
/// # Errors
/// When the database does not answer.
pub async fn find_active_by_id(app: &App, id: SessionId, now: Time) -> Result<Option<ActiveSession>, StoreError> {
    Ok(app.store.find_session_by_id(id).await?.and_then(|row| usable(row, now)))
}

fn usable(row: SessionRow, now: Time) -> Option<ActiveSession> {
    let usable = row.session.is_live(now) && row.identity_state == IdentityState::Active;
    let SessionRow { session, wire_json, further_credential, .. } = row;
    usable.then_some(ActiveSession { session, wire_json, further_credential })
}

/// Whether the person could show a second factor in the configuration in force. The credentials alone decide; they are read
/// only where one of them could be such a factor, and most people have none.
///
/// # Errors
/// When the database does not answer.
pub async fn has_second_factor(app: &App, active: &ActiveSession) -> Result<bool, StoreError> {
    let possible = match active.further_credential {
        None => false,
        Some(CredentialType::Code) => app.code_use().mfa,
        Some(_) => true,
    };
    if !possible {
        return Ok(false);
    }
    let identity = app.store.find_identity(active.session.identity_id).await?;
    Ok(identity.is_some_and(|identity| mailboxes::available(app, &identity, &active.session.methods.items()) >= Aal::Aal2))
}

/// Adds a new session to a batch. Of one identity no more sessions stay alive than `security.limits` allows: the oldest end in
/// the same commit.
pub fn insert(app: &App, session: &Session, token: &SessionToken, now: Time, batch: &mut Batch) {
    batch.insert_session(session, &token.digest(), now);
    batch.revoke_oldest_sessions(session, app.config.limits.sessions_per_identity, now);
}

/// A stored public identity as answers of the server at `public_base` show it.
pub fn serve_identity(stored: &str, public_base: &str) -> String {
    let mut json = String::with_capacity(stored.len() + public_base.len());
    serve_wire_json(stored, public_base, &mut json);
    json
}

/// Writes a session as answers show it (contract: login 13.1), without a detour over a value tree.
/// `identity` is the stored public form; `None` gives `null` (a session too weak to show whose it is).
/// `active` is what the caller found out: the stored flag, expiry and the identity's state together.
pub fn session_json(session: &Session, active: bool, identity: Option<&str>, public_base: &str) -> String {
    let Session { id, expires_at, authenticated_at, issued_at, .. } = session;
    let aal = session.aal.as_str();
    let (methods, devices) = (shown_methods(session), session.devices.json());
    let fixed = 384 + public_base.len();
    let mut json = String::with_capacity(fixed + methods.len() + devices.len() + identity.map_or(0, str::len));
    // Ids, times and levels hold nothing that JSON escapes, and writing to a string cannot fail.
    let _ = write!(json, r#"{{"id":"{id}","active":{active},"expires_at":"{expires_at}","#);
    let _ = write!(json, r#""authenticated_at":"{authenticated_at}","authenticator_assurance_level":"{aal}","#);
    let _ = write!(json, r#""authentication_methods":{methods},"issued_at":"{issued_at}","identity":"#);
    match identity {
        Some(stored) => serve_wire_json(stored, public_base, &mut json),
        None => json.push_str("null"),
    }
    json.push_str(",\"devices\":");
    json.push_str(devices);
    json.push('}');
    json
}

/// The proofs as clients see them: without the mailboxes, which most sessions have none of.
fn shown_methods(session: &Session) -> Cow<'_, str> {
    let stored = session.methods.json();
    if !stored.contains("\"mailbox\":") {
        return Cow::Borrowed(stored);
    }
    let mut methods = session.methods.items();
    for method in &mut methods {
        method.mailbox = None;
    }
    Cow::Owned(JsonList::of(&methods).json().to_owned())
}
