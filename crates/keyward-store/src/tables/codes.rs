//! One-time codes: what was sent by mail or text message, as keyed hashes bound to a purpose and a flow.
//! `services::codes` writes, finds and consumes them, and counts how many were tried on a flow.
//! Knows neither the codes nor how they are hashed.

use keyward_model::{CodeId, FlowId, IdentityId, Time, Via};

use crate::sql::declare;
use crate::{Batch, Expect, FromRow, Refusal, Row, Store, StoreError, params};

declare! { "codes";
    OF_FLOW = "SELECT id, purpose, flow_id, identity_id, via, address, code_hash, issued_at, expires_at, used_at \
        FROM one_time_codes WHERE flow_id = $1 AND purpose = $2 ORDER BY issued_at DESC, id";
    INSERT = "INSERT INTO one_time_codes (id, purpose, flow_id, identity_id, via, address, code_hash, issued_at, expires_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    CONSUME = "UPDATE one_time_codes SET used_at = $1 WHERE id = $2 AND used_at IS NULL AND expires_at > $3";
    FORGET = "DELETE FROM one_time_codes WHERE flow_id = $1 AND purpose = $2";
    COUNT_SUBMISSION = "UPDATE flows SET submissions = submissions + 1 WHERE id = $1 AND submissions < $2 RETURNING submissions";
}

/// A code as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeRow {
    /// Its id.
    pub id: CodeId,
    /// What it may be used for.
    pub purpose: String,
    /// The flow that it was sent for.
    pub flow_id: FlowId,
    /// The account that it was sent for, once there is one.
    pub identity_id: Option<IdentityId>,
    /// Where it was sent; `None` where an operator handed it over.
    pub address: Option<(Via, String)>,
    /// Its keyed hash.
    pub code_hash: Vec<u8>,
    /// When it was sent.
    pub issued_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// When it was used.
    pub used_at: Option<Time>,
}

impl std::fmt::Debug for CodeRow {
    // Addresses are personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CodeRow({} {})", self.purpose, self.id)
    }
}

impl FromRow for CodeRow {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let via: Option<String> = row.get(4)?;
        let address: Option<String> = row.get(5)?;
        Ok(Self {
            id: row.get(0)?,
            purpose: row.get(1)?,
            flow_id: row.get(2)?,
            identity_id: row.get(3)?,
            address: via.as_deref().and_then(Via::parse).zip(address),
            code_hash: row.get(6)?,
            issued_at: row.get(7)?,
            expires_at: row.get(8)?,
            used_at: row.get(9)?,
        })
    }
}

impl Store {
    /// The codes of a flow for one purpose, the latest first.
    ///
    /// # Errors
    /// As [`Store::few`].
    pub async fn list_codes(&self, flow: FlowId, purpose: &str) -> Result<Vec<CodeRow>, StoreError> {
        self.few(&OF_FLOW, params![flow, purpose]).await
    }

    /// Counts a code that is tried on a flow, before it is compared: `false` once `most` were tried, or the flow is gone.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn count_code_submission(&self, flow: FlowId, most: u32) -> Result<bool, StoreError> {
        Ok(!self.returning::<i64>(&COUNT_SUBMISSION, params![flow, i64::from(most)]).await?.is_empty())
    }
}

impl Batch {
    /// Adds an unused code.
    pub fn insert_code(&mut self, code: &CodeRow) {
        let (via, address) = match &code.address {
            Some((via, address)) => (Some(via.as_str()), Some(address.as_str())),
            None => (None, None),
        };
        let values = params![
            code.id,
            &code.purpose,
            code.flow_id,
            code.identity_id,
            via,
            address,
            code.code_hash.as_slice(),
            code.issued_at,
            code.expires_at,
        ];
        self.push(&INSERT, values, Expect::Rows(1, Refusal::AlreadyUsed));
    }

    /// Uses a code up. Refused with [`Refusal::AlreadyUsed`] when it was used, replaced by a later one, or has expired.
    pub fn consume_code(&mut self, id: CodeId, now: Time) {
        self.push(&CONSUME, params![now, id, now], Expect::Rows(1, Refusal::AlreadyUsed));
    }

    /// Deletes the codes of a flow for one purpose: later ones take their place.
    pub fn forget_codes(&mut self, flow: FlowId, purpose: &str) {
        self.push(&FORGET, params![flow, purpose], Expect::Any);
    }
}
