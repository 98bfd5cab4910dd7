//! Sessions: the read behind every request, and updates that each change a few columns only.
//! Stories open, raise and revoke them; `whoami` reads one row.
//! Nothing here ever sets a session active again, and no token is stored, only its SHA-256.

use keyward_model::{Aal, CredentialType, IdentityId, IdentityState, JsonList, Session, SessionId, Time};
use uuid::Uuid;

use crate::sql::declare;
use crate::{Batch, Expect, FromRow, Refusal, Row, Store, StoreError, params};

/// The session's own columns, in the order that [`read_session`] expects.
macro_rules! session_columns {
    () => {
        "s.id, s.identity_id, s.active, s.aal, s.authenticated_at, s.issued_at, s.expires_at, s.amr, s.devices, s.version"
    };
}

/// One of the identity's credentials of the types that do more than start a session, `code` only where there is no other: of
/// all it comes first by name. A row without content only reserves names. Comparisons, because SQLite builds a table for every list that `IN` looks into.
macro_rules! further_credential {
    () => {
        "(SELECT c.type FROM credentials c WHERE c.identity_id = s.identity_id AND c.type <> 'password' AND c.type <> 'passkey' \
        AND c.type <> 'oidc' AND c.type <> 'saml' AND c.config <> '{}' ORDER BY c.type DESC LIMIT 1)"
    };
}

macro_rules! with_identity {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            session_columns!(),
            ", i.wire_json, i.wire_version, i.state, i.version, ",
            further_credential!(),
            " FROM sessions s JOIN identities i ON i.id = s.identity_id WHERE ",
            $condition
        )
    };
}

/// `$1` 0 for all, 1 for live, 2 for the others; `$2` now.
macro_rules! liveness {
    () => {
        "($1 = 0 OR ($1 = 1) = (s.active AND s.expires_at > $2))"
    };
}

declare! { "sessions";
    /// The hot read: one row by its key, the identity by its key.
    BY_TOKEN = with_identity!("s.token_hash = $1");
    BY_ID = with_identity!("s.id = $1");
    OF_IDENTITY = concat!("SELECT ", session_columns!(), " FROM sessions s WHERE ", liveness!(),
        " AND s.identity_id = $3 AND s.id <> $4 ORDER BY s.created_at DESC, s.id DESC LIMIT $5 OFFSET $6");
    COUNT_OF_IDENTITY = concat!("SELECT COUNT(*) FROM sessions s WHERE ", liveness!(),
        " AND s.identity_id = $3 AND s.id <> $4");
    PAGE = concat!("SELECT ", session_columns!(), ", s.created_at, i.state FROM sessions s \
        JOIN identities i ON i.id = s.identity_id WHERE ", liveness!(),
        " AND (s.created_at, s.id) < ($3, $4) ORDER BY s.created_at DESC, s.id DESC LIMIT $5");
    INSERT = "INSERT INTO sessions (token_hash, id, identity_id, active, aal, authenticated_at, issued_at, expires_at, amr, devices, \
        version, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    RAISE = "UPDATE sessions SET amr = $1, aal = $2, authenticated_at = $3, expires_at = $4, updated_at = $5, \
        version = version + 1 WHERE id = $6 AND version = $7 AND active";
    EXTEND = "UPDATE sessions SET expires_at = $1, updated_at = $2 WHERE id = $3 AND active AND expires_at > $2 AND expires_at < $1";
    REVOKE = "UPDATE sessions SET active = FALSE, updated_at = $1 WHERE id = $2 AND identity_id = $3 AND active";
    REVOKE_OTHERS = "UPDATE sessions SET active = FALSE, updated_at = $1 WHERE identity_id = $2 AND id <> $3 AND active";
    /// Engines differ in how a limit is left out, and nobody has a million sessions.
    REVOKE_OLDEST = "UPDATE sessions SET active = FALSE, updated_at = $1 WHERE identity_id = $2 AND active AND id IN \
        (SELECT id FROM sessions WHERE identity_id = $2 AND active AND expires_at > $1 AND id <> $3 \
        ORDER BY created_at DESC, id DESC LIMIT 1000000 OFFSET $4)";
    DELETE = "DELETE FROM sessions WHERE id = $1 AND identity_id = $2";
    DELETE_ALL = "DELETE FROM sessions WHERE identity_id = $1";
    REVOKE_SOME = "UPDATE sessions SET active = FALSE, updated_at = $1 WHERE id IN \
        (SELECT id FROM sessions WHERE active ORDER BY created_at, id LIMIT $2)";
    DELETE_SOME = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions ORDER BY created_at, id LIMIT $1)";
}

/// A session with what a request needs to know of its identity.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// The session itself.
    pub session: Session,
    /// Whether the identity may sign in.
    pub identity_state: IdentityState,
    /// The public identity as [`keyward_model::wire_json`] wrote it; [`keyward_model::serve_wire_json`] completes it.
    pub wire_json: String,
    /// The layout of `wire_json`; another number than [`keyward_model::WIRE_VERSION`] asks for rendering anew.
    pub wire_version: i64,
    /// The type of a credential beyond those that only start a session; `code` when there is no other one.
    pub further_credential: Option<CredentialType>,
    /// Row version of the identity.
    pub identity_version: i64,
}

impl std::fmt::Debug for SessionRow {
    // The public identity is personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionRow({} of {})", self.session.id, self.session.identity_id)
    }
}

fn read_session(row: &Row<'_>) -> Result<Session, StoreError> {
    Ok(Session {
        id: row.get(0)?,
        identity_id: row.get(1)?,
        active: row.get(2)?,
        aal: row.word(3, Aal::parse)?,
        authenticated_at: row.get(4)?,
        issued_at: row.get(5)?,
        expires_at: row.get(6)?,
        methods: JsonList::stored(row.get(7)?),
        devices: JsonList::stored(row.get(8)?),
        version: row.get(9)?,
    })
}

impl FromRow for SessionRow {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            session: read_session(row)?,
            wire_json: row.get(10)?,
            wire_version: row.get(11)?,
            identity_state: row.word(12, IdentityState::parse)?,
            identity_version: row.get(13)?,
            further_credential: row.optional_word(14, CredentialType::parse)?,
        })
    }
}

/// A session of a list.
struct Listed(Session);

impl FromRow for Listed {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        read_session(row).map(Self)
    }
}

/// A session of the list of all, with its place in that list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSession {
    /// The session.
    pub session: Session,
    /// When its row was made; with the id it is the place where the next page starts.
    pub created_at: Time,
    /// Whether its identity may sign in.
    pub identity_state: IdentityState,
}

impl FromRow for ListedSession {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let identity_state = row.word(11, IdentityState::parse)?;
        Ok(Self { session: read_session(row)?, created_at: row.get(10)?, identity_state })
    }
}

/// Which sessions of a list count, judged at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Liveness {
    /// All.
    #[default]
    Any,
    /// Neither revoked nor expired.
    Live,
    /// Revoked or expired.
    Dead,
}

impl Liveness {
    const fn number(self) -> i64 {
        match self {
            Self::Any => 0,
            Self::Live => 1,
            Self::Dead => 2,
        }
    }
}

impl Store {
    /// The session of a token, with its identity: one statement, one row, no write. `token_hash` is the token's SHA-256.
    /// Whether it is live is for the caller to judge.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_session(&self, token_hash: &[u8; 32]) -> Result<Option<SessionRow>, StoreError> {
        self.one(&BY_TOKEN, params![token_hash]).await
    }

    /// The session with this id, with its identity.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_session_by_id(&self, id: SessionId) -> Result<Option<SessionRow>, StoreError> {
        self.one(&BY_ID, params![id]).await
    }

    /// Sessions of an identity, newest first, without `except`: one page, and how many there are in all.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn list_sessions(
        &self,
        identity: IdentityId,
        (liveness, now): (Liveness, Time),
        except: Option<SessionId>,
        (offset, limit): (u32, u32),
    ) -> Result<(Vec<Session>, i64), StoreError> {
        // No session has the nil id, so it excludes none.
        let except = except.map_or(Uuid::nil(), |id| id.0);
        let mut values = params![liveness.number(), now, identity, except];
        let total = self.many::<i64>(&COUNT_OF_IDENTITY, values.clone()).await?.first().copied().unwrap_or(0);
        values.extend(params![i64::from(limit), i64::from(offset)]);
        let page = self.many::<Listed>(&OF_IDENTITY, values).await?;
        Ok((page.into_iter().map(|listed| listed.0).collect(), total))
    }

    /// Sessions of all identities, newest first, after the given place.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn list_all_sessions(
        &self,
        (liveness, now): (Liveness, Time),
        after: Option<(Time, SessionId)>,
        limit: u32,
    ) -> Result<Vec<ListedSession>, StoreError> {
        let (created_at, id) = after.unwrap_or((Time::from_micros(i64::MAX), SessionId(Uuid::max())));
        self.many(&PAGE, params![liveness.number(), now, created_at, id, i64::from(limit)]).await
    }
}

impl Batch {
    /// Adds a session. `token_hash` is the SHA-256 of its token.
    pub fn insert_session(&mut self, session: &Session, token_hash: &[u8; 32], now: Time) {
        let values = params![
            token_hash,
            session.id,
            session.identity_id,
            session.active,
            session.aal.as_str(),
            session.authenticated_at,
            session.issued_at,
            session.expires_at,
            session.methods.json(),
            session.devices.json(),
            session.version,
            now,
            now,
        ];
        self.push(&INSERT, values, Expect::Rows(1, Refusal::Gone));
    }

    /// Revokes the oldest live sessions of the identity beyond so many; `newest` is always one of those that stay.
    pub fn revoke_oldest_sessions(&mut self, newest: &Session, most: u32, now: Time) {
        let others = i64::from(most.max(1)) - 1;
        self.push(&REVOKE_OLDEST, params![now, newest.identity_id, newest.id, others], Expect::Any);
    }

    /// Records further proofs: a refresh or a step-up. `raised` holds the new proofs, level and times, and the version that
    /// was read. Refused with [`Refusal::Gone`] when the session was revoked or changed in the meantime.
    pub fn raise_session(&mut self, raised: &Session, now: Time) {
        let values = params![
            raised.methods.json(),
            raised.aal.as_str(),
            raised.authenticated_at,
            raised.expires_at,
            now,
            raised.id,
            raised.version,
        ];
        self.push(&RAISE, values, Expect::Rows(1, Refusal::Gone));
    }

    /// Moves a session's end to a later one. Refused with [`Refusal::Gone`] when it was revoked, is over, or ends then already.
    pub fn extend_session(&mut self, id: SessionId, expires_at: Time, now: Time) {
        self.push(&EXTEND, params![expires_at, now, id], Expect::Rows(1, Refusal::Gone));
    }

    /// Revokes a session of an identity; revoking twice is no error.
    pub fn revoke_session(&mut self, identity: IdentityId, id: SessionId, now: Time) {
        self.push(&REVOKE, params![now, id, identity], Expect::Any);
    }

    /// Revokes every session of an identity but `keep`. The count of `commit_counted` says how many were active.
    pub fn revoke_other_sessions(&mut self, identity: IdentityId, keep: SessionId, now: Time) {
        self.push(&REVOKE_OTHERS, params![now, identity, keep], Expect::Any);
    }

    /// Revokes every session of an identity.
    pub fn revoke_sessions(&mut self, identity: IdentityId, now: Time) {
        self.push(&REVOKE_OTHERS, params![now, identity, Uuid::nil()], Expect::Any);
    }

    /// Deletes a session row of an identity; deleting what is gone is no error.
    pub fn delete_session(&mut self, identity: IdentityId, id: SessionId) {
        self.push(&DELETE, params![id, identity], Expect::Any);
    }

    /// Revokes the oldest active sessions, at most so many. The count of `commit_counted` says how many there were.
    pub fn revoke_some_sessions(&mut self, limit: u32, now: Time) {
        self.push(&REVOKE_SOME, params![now, i64::from(limit)], Expect::Any);
    }

    /// Deletes the oldest session rows, at most so many. The count of `commit_counted` says how many there were.
    pub fn delete_some_sessions(&mut self, limit: u32) {
        self.push(&DELETE_SOME, params![i64::from(limit)], Expect::Any);
    }

    /// Deletes every session row of an identity.
    pub fn delete_sessions(&mut self, identity: IdentityId) {
        self.push(&DELETE_ALL, params![identity], Expect::Any);
    }
}
