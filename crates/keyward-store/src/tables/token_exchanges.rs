//! Token exchanges: what a browser did for an app at a provider, and the two codes with which the app takes it up, once.
//! The story of a provider's answer writes them, `GET /sessions/token-exchange` uses them up.
//! Knows digests only, neither codes nor sessions.

use keyward_model::{FlowId, Time};

use crate::sql::declare;
use crate::{Batch, Expect, FromRow, Refusal, Row, Store, StoreError, params};

declare! { "token_exchanges";
    FIND = "SELECT init_code_hash, return_to_code_hash, flow_kind, flow_id, expires_at FROM session_token_exchanges \
        WHERE init_code_hash = $1 AND return_to_code_hash = $2";
    INSERT = "INSERT INTO session_token_exchanges (init_code_hash, return_to_code_hash, flow_kind, flow_id, expires_at) \
        VALUES ($1, $2, $3, $4, $5)";
    CONSUME = "DELETE FROM session_token_exchanges WHERE init_code_hash = $1 AND return_to_code_hash = $2 AND expires_at > $3";
}

/// An exchange as stored. Its columns never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenExchangeRow {
    /// SHA-256 of the code that the app got when it began the flow.
    pub init_code_hash: [u8; 32],
    /// SHA-256 of the code that the browser brought back to the app.
    pub return_to_code_hash: [u8; 32],
    /// `login` or `registration`.
    pub flow_kind: String,
    /// The flow that the app began.
    pub flow_id: FlowId,
    /// When it ends.
    pub expires_at: Time,
}

impl FromRow for TokenExchangeRow {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            init_code_hash: row.get(0)?,
            return_to_code_hash: row.get(1)?,
            flow_kind: row.get(2)?,
            flow_id: row.get(3)?,
            expires_at: row.get(4)?,
        })
    }
}

impl Store {
    /// The exchange of two codes, given by their SHA-256, expired or not.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_token_exchange(
        &self,
        init_code_hash: &[u8; 32],
        return_to_code_hash: &[u8; 32],
    ) -> Result<Option<TokenExchangeRow>, StoreError> {
        self.one(&FIND, params![init_code_hash, return_to_code_hash]).await
    }
}

impl Batch {
    /// Adds an exchange.
    pub fn insert_token_exchange(&mut self, row: &TokenExchangeRow) {
        let values = params![&row.init_code_hash, &row.return_to_code_hash, &row.flow_kind, row.flow_id, row.expires_at];
        self.push(&INSERT, values, Expect::Rows(1, Refusal::AlreadyUsed));
    }

    /// Uses an exchange up. Refused with [`Refusal::AlreadyUsed`] when it was used or is too old.
    pub fn consume_token_exchange(&mut self, row: &TokenExchangeRow, now: Time) {
        let codes = params![&row.init_code_hash, &row.return_to_code_hash, now];
        self.push(&CONSUME, codes, Expect::Rows(1, Refusal::AlreadyUsed));
    }
}
