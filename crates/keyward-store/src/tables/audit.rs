//! The audit log: what happened to whom, written in the same commit as the change itself.
//! Plans add events; the security history and the admin console read them.
//! The database refuses to change an event; only retention may delete.

use keyward_model::{EventId, FlowId, IdentityId, Time};

use crate::sql::declare;
use crate::{Batch, Expect, FromRow, Refusal, Row, Store, StoreError, params};

declare! { "audit";
    INSERT = "INSERT INTO audit_events (id, at, kind, result, identity_id, session_id_hash, flow_id, method, client_ip, user_agent, \
        request_id, reason, details) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    OF_IDENTITY = "SELECT id, at, kind, result, identity_id, session_id_hash, flow_id, method, client_ip, user_agent, request_id, \
        reason, details FROM audit_events WHERE identity_id = $1 AND (at, id) < ($2, $3) ORDER BY at DESC, id DESC LIMIT $4";
    LATEST = "SELECT id, at, kind, result, identity_id, session_id_hash, flow_id, method, client_ip, user_agent, request_id, \
        reason, details FROM audit_events WHERE (at, id) < ($1, $2) ORDER BY at DESC, id DESC LIMIT $3";
}

/// One event. `kind`, `result` and `reason` are words of the event table, `details` is a JSON object without secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its id, a UUID version 7.
    pub id: EventId,
    /// When it happened.
    pub at: Time,
    /// What happened.
    pub kind: String,
    /// How it ended.
    pub result: String,
    /// To whom.
    pub identity_id: Option<IdentityId>,
    /// SHA-256 of the id of the session that acted.
    pub session_id_hash: Option<Vec<u8>>,
    /// In which flow.
    pub flow_id: Option<FlowId>,
    /// By which method.
    pub method: Option<String>,
    /// From which address.
    pub client_ip: Option<String>,
    /// With which program.
    pub user_agent: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Why it was refused.
    pub reason: Option<String>,
    /// What else is worth knowing, JSON.
    pub details: String,
}

impl std::fmt::Debug for AuditEvent {
    // Addresses and details are personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuditEvent({} {} {})", self.kind, self.result, self.id)
    }
}

impl FromRow for AuditEvent {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            at: row.get(1)?,
            kind: row.get(2)?,
            result: row.get(3)?,
            identity_id: row.get(4)?,
            session_id_hash: row.get(5)?,
            flow_id: row.get(6)?,
            method: row.get(7)?,
            client_ip: row.get(8)?,
            user_agent: row.get(9)?,
            request_id: row.get(10)?,
            reason: row.get(11)?,
            details: row.get(12)?,
        })
    }
}

impl Store {
    /// At most `limit` events, newest first: of one identity or of all, and only those before the event `before`.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn list_audit_events(
        &self,
        identity: Option<IdentityId>,
        before: Option<(Time, EventId)>,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let (at, id) = before.unwrap_or((Time::from_micros(i64::MAX), EventId(uuid::Uuid::max())));
        match identity {
            Some(identity) => self.many(&OF_IDENTITY, params![identity, at, id, i64::from(limit)]).await,
            None => self.many(&LATEST, params![at, id, i64::from(limit)]).await,
        }
    }
}

impl Batch {
    /// Adds an event.
    pub fn insert_audit_event(&mut self, event: &AuditEvent) {
        let values = params![
            event.id,
            event.at,
            &event.kind,
            &event.result,
            event.identity_id,
            event.session_id_hash.as_deref(),
            event.flow_id,
            event.method.as_ref(),
            event.client_ip.as_ref(),
            event.user_agent.as_ref(),
            event.request_id.as_ref(),
            event.reason.as_ref(),
            &event.details,
        ];
        self.push(&INSERT, values, Expect::Rows(1, Refusal::VersionConflict));
    }
}
