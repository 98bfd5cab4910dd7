//! Deleting what is over: expired flows and sessions, unused containers and grants, old mail, old errors, attempts and audit events.
//! The binary calls it in the background and from `cleanup sql`, a bounded number of rows at a time.
//! Knows when a row is over, not how long it should stay after that.

use keyward_model::Time;

use crate::sql::declare;
use crate::{Batch, Expect, Sql, Store, StoreError, params};

/// The oldest rows first, found by an index, so that each statement touches few pages and nodes meet in the same order.
macro_rules! oldest {
    ($table:literal, $key:literal, $end:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE (",
            $key,
            ") IN (SELECT ",
            $key,
            " FROM ",
            $table,
            " WHERE ",
            $end,
            " < $1 ORDER BY ",
            $end,
            " LIMIT $2)"
        )
    };
}

declare! { "retention";
    SESSIONS = oldest!("sessions", "token_hash", "expires_at");
    CONTAINERS = oldest!("continuity_containers", "id", "expires_at");
    GRANTS = oldest!("grants", "id", "expires_at");
    TOKEN_EXCHANGES = oldest!("session_token_exchanges", "init_code_hash, return_to_code_hash", "expires_at");
    CODES = oldest!("one_time_codes", "id", "expires_at");
    FLOWS = oldest!("flows", "id", "expires_at");
    ERRORS = oldest!("self_service_errors", "id", "created_at");
    ATTEMPTS = oldest!("attempts", "subject, lane", "updated_at");
    MESSAGES = oldest!("courier_messages", "id", "created_at");
    AUDIT_EVENTS = oldest!("audit_events", "id", "at");
}

/// A kind of row that is deleted once it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// Sessions, over when they expire. A revoked one stays until then, so that nothing can bring it back meanwhile.
    Sessions,
    /// Continuity containers, over when they expire.
    Containers,
    /// Grants, over when they expire.
    Grants,
    /// Exchanges of codes for a session's token, over when the codes expire.
    TokenExchanges,
    /// Codes sent by mail or text message, over when they expire.
    Codes,
    /// Flows of every kind, over when they expire.
    Flows,
    /// Stored errors, over as soon as they were made.
    Errors,
    /// Counted attempts, over with the last one.
    Attempts,
    /// Mail and text messages with their attempts, over as soon as they were written: nobody waits for an old one.
    Messages,
    /// Audit events, over as soon as they were made.
    AuditEvents,
}

impl Stale {
    /// In the order in which they are cleaned.
    pub const ALL: [Self; 10] = [
        Self::Sessions,
        Self::Containers,
        Self::Grants,
        Self::TokenExchanges,
        Self::Codes,
        Self::Flows,
        Self::Errors,
        Self::Attempts,
        Self::Messages,
        Self::AuditEvents,
    ];

    /// The name of the table.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Containers => "continuity_containers",
            Self::Grants => "grants",
            Self::TokenExchanges => "session_token_exchanges",
            Self::Codes => "one_time_codes",
            Self::Flows => "flows",
            Self::Errors => "self_service_errors",
            Self::Attempts => "attempts",
            Self::Messages => "courier_messages",
            Self::AuditEvents => "audit_events",
        }
    }

    fn statement(self) -> &'static Sql {
        match self {
            Self::Sessions => &SESSIONS,
            Self::Containers => &CONTAINERS,
            Self::Grants => &GRANTS,
            Self::TokenExchanges => &TOKEN_EXCHANGES,
            Self::Codes => &CODES,
            Self::Flows => &FLOWS,
            Self::Errors => &ERRORS,
            Self::Attempts => &ATTEMPTS,
            Self::Messages => &MESSAGES,
            Self::AuditEvents => &AUDIT_EVENTS,
        }
    }
}

impl Store {
    /// Deletes at most `limit` rows that were over before an instant, and says how many. Several nodes may do so at once: a row
    /// that another node took first is not counted here.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn purge(&self, what: Stale, over_before: Time, limit: u32) -> Result<u64, StoreError> {
        let mut batch = Batch::new();
        batch.push(what.statement(), params![over_before, i64::from(limit)], Expect::Any);
        Ok(self.commit_counted(batch).await?.first().copied().unwrap_or_default())
    }
}
