//! Flows of every kind in one table; what they mean is the stories' business.
//! `selfservice` loads and saves them here.
//! Form and extra are JSON text, memory is sealed before it arrives.

use keyward_model::{FlowId, IdentityId, SessionId, Time};

use crate::sql::declare;
use crate::{Batch, Expect, FromRow, Refusal, Row, Store, StoreError, params};

declare! { "flows";
    FIND = "SELECT id, kind, flow_type, state, issued_at, expires_at, request_url, identity_id, session_id, form, memory, extra, \
        version FROM flows WHERE id = $1 AND kind = $2";
    INSERT = "INSERT INTO flows (id, kind, flow_type, state, issued_at, expires_at, request_url, identity_id, session_id, form, \
        memory, extra, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    UPDATE = "UPDATE flows SET state = $1, expires_at = $2, identity_id = $3, session_id = $4, form = $5, memory = $6, \
        extra = $7, version = version + 1 WHERE id = $8 AND kind = $9 AND version = $10";
    /// Expired ones come last and therefore go first. Engines differ in how a limit is left out, and nobody has a million flows.
    DELETE_OLDEST = "DELETE FROM flows WHERE id IN (SELECT id FROM flows WHERE identity_id = $1 AND kind = $2 AND id <> $3 \
        ORDER BY CASE WHEN expires_at > $4 THEN 0 ELSE 1 END, issued_at DESC, id DESC LIMIT 1000000 OFFSET $5)";
}

/// A flow as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct FlowRow {
    /// Its id.
    pub id: FlowId,
    /// `settings`, `login`, `registration`, `recovery` or `verification`.
    pub kind: String,
    /// `browser` or `api`.
    pub flow_type: String,
    /// The wire's state word.
    pub state: String,
    /// When it began.
    pub issued_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// The address that began it.
    pub request_url: String,
    /// Whose it is, once known.
    pub identity_id: Option<IdentityId>,
    /// The session that it belongs to.
    pub session_id: Option<SessionId>,
    /// Messages and echoed values, JSON.
    pub form: String,
    /// What methods remember, sealed.
    pub memory: Option<Vec<u8>>,
    /// What only this kind has, JSON.
    pub extra: String,
    /// Row version; guards every update.
    pub version: i64,
}

impl std::fmt::Debug for FlowRow {
    // Echoed values are personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FlowRow({} {})", self.kind, self.id)
    }
}

impl FromRow for FlowRow {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            kind: row.get(1)?,
            flow_type: row.get(2)?,
            state: row.get(3)?,
            issued_at: row.get(4)?,
            expires_at: row.get(5)?,
            request_url: row.get(6)?,
            identity_id: row.get(7)?,
            session_id: row.get(8)?,
            form: row.get(9)?,
            memory: row.get(10)?,
            extra: row.get(11)?,
            version: row.get(12)?,
        })
    }
}

impl Store {
    /// The flow of this kind with this id.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_flow(&self, id: FlowId, kind: &str) -> Result<Option<FlowRow>, StoreError> {
        self.one(&FIND, params![id, kind]).await
    }
}

impl Batch {
    /// Adds a flow.
    pub fn insert_flow(&mut self, flow: &FlowRow) {
        let values = params![
            flow.id,
            &flow.kind,
            &flow.flow_type,
            &flow.state,
            flow.issued_at,
            flow.expires_at,
            &flow.request_url,
            flow.identity_id,
            flow.session_id,
            &flow.form,
            flow.memory.as_deref(),
            &flow.extra,
            flow.version,
        ];
        self.push(&INSERT, values, Expect::Rows(1, Refusal::VersionConflict));
    }

    /// Deletes flows beyond so many that belong to the same identity and are of the same kind as `newest`: expired ones first,
    /// then the oldest. `newest` stays. A flow that belongs to nobody yet makes nothing go.
    pub fn delete_oldest_flows(&mut self, newest: &FlowRow, most: u32) {
        if let Some(identity) = newest.identity_id {
            let others = i64::from(most.max(1)) - 1;
            self.push(&DELETE_OLDEST, params![identity, &newest.kind, newest.id, newest.issued_at, others], Expect::Any);
        }
    }

    /// Replaces what can change of a flow, if its version still is `flow.version`, and moves the version on by one.
    /// Refused with [`Refusal::VersionConflict`] else.
    pub fn update_flow(&mut self, flow: &FlowRow) {
        let values = params![
            &flow.state,
            flow.expires_at,
            flow.identity_id,
            flow.session_id,
            &flow.form,
            flow.memory.as_deref(),
            &flow.extra,
            flow.id,
            &flow.kind,
            flow.version,
        ];
        self.push(&UPDATE, values, Expect::Rows(1, Refusal::VersionConflict));
    }
}
