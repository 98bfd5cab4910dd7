//! Changes of traits that wait until their new address is confirmed: at most one of an account, the latest.
//! The settings story writes them, the verification story finds and applies them.
//! Traits arrive sealed; what they mean is the stories' business.

use keyward_model::{FlowId, IdentityId, SessionId, Time, TraitsChangeId, Via};

use crate::sql::declare;
use crate::{Batch, Expect, FromRow, Refusal, Row, Store, StoreError, params};

declare! { "pending_traits";
    FIND = "SELECT identity_id, id, session_id, settings_flow_id, verification_flow_id, via, address, traits_hash, \
        proposed_traits, created_at FROM pending_traits_changes WHERE verification_flow_id = $1";
    /// The account's earlier one is over with it, also where two are asked for at once.
    PUT = "INSERT INTO pending_traits_changes (identity_id, id, session_id, settings_flow_id, verification_flow_id, via, address, \
        traits_hash, proposed_traits, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
        ON CONFLICT (identity_id) DO UPDATE SET id = excluded.id, session_id = excluded.session_id, \
        settings_flow_id = excluded.settings_flow_id, verification_flow_id = excluded.verification_flow_id, via = excluded.via, \
        address = excluded.address, traits_hash = excluded.traits_hash, proposed_traits = excluded.proposed_traits, \
        created_at = excluded.created_at";
    /// Only while the session that asked for it is alive.
    TAKE = "DELETE FROM pending_traits_changes WHERE identity_id = $1 AND id = $2 AND EXISTS (SELECT 1 FROM sessions \
        WHERE sessions.id = pending_traits_changes.session_id AND sessions.active AND sessions.expires_at > $3)";
}

/// A change that waits.
#[derive(Clone, PartialEq, Eq)]
pub struct PendingTraitsRow {
    /// Whose traits.
    pub identity_id: IdentityId,
    /// Its id.
    pub id: TraitsChangeId,
    /// The session that asked for it.
    pub session_id: SessionId,
    /// The settings flow that it was asked for in.
    pub settings_flow_id: FlowId,
    /// The flow that takes the code.
    pub verification_flow_id: FlowId,
    /// The new address, which the code goes to.
    pub address: (Via, String),
    /// Hash of the traits that were there, in hex.
    pub traits_hash: String,
    /// The traits that will be there, sealed.
    pub proposed_traits: Vec<u8>,
    /// When it was asked for.
    pub created_at: Time,
}

impl std::fmt::Debug for PendingTraitsRow {
    // Addresses are personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PendingTraitsRow({} of {})", self.id, self.identity_id)
    }
}

impl FromRow for PendingTraitsRow {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let via: String = row.get(5)?;
        let via = if via == "sms" { Via::Sms } else { Via::Email };
        Ok(Self {
            identity_id: row.get(0)?,
            id: row.get(1)?,
            session_id: row.get(2)?,
            settings_flow_id: row.get(3)?,
            verification_flow_id: row.get(4)?,
            address: (via, row.get(6)?),
            traits_hash: row.get(7)?,
            proposed_traits: row.get(8)?,
            created_at: row.get(9)?,
        })
    }
}

impl Store {
    /// The change that waits for the code of a verification flow.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_pending_traits(&self, verification_flow: FlowId) -> Result<Option<PendingTraitsRow>, StoreError> {
        self.one(&FIND, params![verification_flow]).await
    }
}

impl Batch {
    /// Lets a change wait, in the place of an earlier one of the same account.
    pub fn put_pending_traits(&mut self, change: &PendingTraitsRow) {
        let (via, address) = &change.address;
        let values = params![
            change.identity_id,
            change.id,
            change.session_id,
            change.settings_flow_id,
            change.verification_flow_id,
            via.as_str(),
            address,
            &change.traits_hash,
            change.proposed_traits.as_slice(),
            change.created_at,
        ];
        self.push(&PUT, values, Expect::Rows(1, Refusal::VersionConflict));
    }

    /// Takes a change out, to apply it. Refused with [`Refusal::AlreadyUsed`] when a later one took its place, it was applied
    /// before, or the session that asked for it has ended.
    pub fn take_pending_traits(&mut self, change: &PendingTraitsRow, now: Time) {
        self.push(&TAKE, params![change.identity_id, change.id, now], Expect::Rows(1, Refusal::AlreadyUsed));
    }
}
