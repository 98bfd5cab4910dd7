//! Grants: one admission of a submit on a settings flow, earned by signing in again, used at most once.
//! The login story writes them, the settings gate finds them, the settings plan consumes them in its commit.
//! Knows nothing of why a grant was needed.

use keyward_model::{FlowId, GrantId, IdentityId, SessionId, Time};

use crate::sql::declare;
use crate::{Batch, Expect, FromRow, Refusal, Row, Store, StoreError, params};

declare! { "grants";
    FIND = "SELECT id, settings_flow_id, identity_id, session_id, expires_at, used_at FROM grants \
        WHERE settings_flow_id = $1 AND session_id = $2 AND used_at IS NULL AND expires_at > $3 \
        ORDER BY expires_at DESC, id LIMIT 1";
    INSERT = "INSERT INTO grants (id, settings_flow_id, identity_id, session_id, expires_at) VALUES ($1, $2, $3, $4, $5)";
    CONSUME = "UPDATE grants SET used_at = $1 WHERE id = $2 AND used_at IS NULL AND expires_at > $3";
}

/// A grant as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// Its id.
    pub id: GrantId,
    /// The settings flow that it admits to.
    pub settings_flow_id: FlowId,
    /// Who earned it.
    pub identity_id: IdentityId,
    /// The session that earned it.
    pub session_id: SessionId,
    /// When it ends.
    pub expires_at: Time,
    /// When it was used.
    pub used_at: Option<Time>,
}

impl FromRow for GrantRow {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            settings_flow_id: row.get(1)?,
            identity_id: row.get(2)?,
            session_id: row.get(3)?,
            expires_at: row.get(4)?,
            used_at: row.get(5)?,
        })
    }
}

impl Store {
    /// A grant of this session for this settings flow that can still be used at `now`.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_unused_grant(
        &self,
        settings_flow: FlowId,
        session: SessionId,
        now: Time,
    ) -> Result<Option<GrantRow>, StoreError> {
        self.one(&FIND, params![settings_flow, session, now]).await
    }
}

impl Batch {
    /// Adds an unused grant.
    pub fn insert_grant(&mut self, grant: &GrantRow) {
        let values = params![grant.id, grant.settings_flow_id, grant.identity_id, grant.session_id, grant.expires_at];
        self.push(&INSERT, values, Expect::Rows(1, Refusal::AlreadyUsed));
    }

    /// Uses a grant up. Refused with [`Refusal::AlreadyUsed`] when it was used or has expired.
    pub fn consume_grant(&mut self, id: GrantId, now: Time) {
        self.push(&CONSUME, params![now, id, now], Expect::Rows(1, Refusal::AlreadyUsed));
    }
}
