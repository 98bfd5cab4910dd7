//! The audit log: who did what, written in the same commit as the change itself.
//! Stories and the admin API add events to their batch; nothing ever updates one.
//! Holds names of traits and methods, never values, secrets or codes (decisions 5.14).

use keyward_model::{EventId, FlowId, IdentityId, SessionId, Time};
use keyward_store::{AuditEvent, Batch};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::App;

/// Where a request came from.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The client's address after trusted proxies, with its port when it is the peer itself.
    pub address: Option<String>,
    /// The raw `User-Agent`, cut at 512 bytes.
    pub user_agent: Option<String>,
    /// Place from the edge's headers; empty when unknown.
    pub location: String,
    /// `X-Request-Id`.
    pub request_id: Option<String>,
}

/// What happened, in the past tense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants say it")]
pub enum EventKind {
    RegistrationSucceeded,
    RegistrationFailed,
    LoginSucceeded,
    LoginFailed,
    RefreshSucceeded,
    RecoveryRequested,
    RecoverySucceeded,
    RecoveryFailed,
    VerificationRequested,
    VerificationSucceeded,
    VerificationFailed,
    SettingsSucceeded,
    SettingsFailed,
    SettingsPaused,
    PasswordSet,
    PasswordChanged,
    PasswordRehashed,
    TraitsChanged,
    TotpAdded,
    TotpRemoved,
    PasskeyAdded,
    PasskeyRenamed,
    PasskeyRemoved,
    WebauthnAdded,
    WebauthnRenamed,
    WebauthnRemoved,
    ProviderLinked,
    ProviderUnlinked,
    KeyCountedBackwards,
    KeyBecameSyncable,
    LookupCodesGenerated,
    LookupCodesConfirmed,
    LookupCodesRevealed,
    LookupCodesRemoved,
    LookupCodeUsed,
    AalUpgraded,
    ThrottleEngaged,
    AttemptsForgotten,
    SessionIssued,
    TokenExchanged,
    SessionRevoked,
    SessionsRevoked,
    SessionExtended,
    LoggedOut,
    CsrfRefused,
    IdentityMismatch,
    ConflictingSessionCookies,
    IdentityCreated,
    IdentityUpdated,
    IdentityDeleted,
}

impl EventKind {
    /// The word in the `kind` column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RegistrationSucceeded => "registration_succeeded",
            Self::RegistrationFailed => "registration_failed",
            Self::LoginSucceeded => "login_succeeded",
            Self::LoginFailed => "login_failed",
            Self::RefreshSucceeded => "refresh_succeeded",
            Self::RecoveryRequested => "recovery_requested",
            Self::RecoverySucceeded => "recovery_succeeded",
            Self::RecoveryFailed => "recovery_failed",
            Self::VerificationRequested => "verification_requested",
            Self::VerificationSucceeded => "verification_succeeded",
            Self::VerificationFailed => "verification_failed",
            Self::SettingsSucceeded => "settings_succeeded",
            Self::SettingsFailed => "settings_failed",
            Self::SettingsPaused => "settings_paused",
            Self::PasswordSet => "password_set",
            Self::PasswordChanged => "password_changed",
            Self::PasswordRehashed => "password_rehashed",
            Self::TraitsChanged => "traits_changed",
            Self::TotpAdded => "totp_added",
            Self::TotpRemoved => "totp_removed",
            Self::PasskeyAdded => "passkey_added",
            Self::PasskeyRenamed => "passkey_renamed",
            Self::PasskeyRemoved => "passkey_removed",
            Self::WebauthnAdded => "webauthn_added",
            Self::WebauthnRenamed => "webauthn_renamed",
            Self::WebauthnRemoved => "webauthn_removed",
            Self::ProviderLinked => "provider_linked",
            Self::ProviderUnlinked => "provider_unlinked",
            Self::KeyCountedBackwards => "key_counted_backwards",
            Self::KeyBecameSyncable => "key_became_syncable",
            Self::LookupCodesGenerated => "lookup_codes_generated",
            Self::LookupCodesConfirmed => "lookup_codes_confirmed",
            Self::LookupCodesRevealed => "lookup_codes_revealed",
            Self::LookupCodesRemoved => "lookup_codes_removed",
            Self::LookupCodeUsed => "lookup_code_used",
            Self::AalUpgraded => "aal_upgraded",
            Self::ThrottleEngaged => "throttle_engaged",
            Self::AttemptsForgotten => "attempts_forgotten",
            Self::TokenExchanged => "token_exchanged",
            Self::SessionIssued => "session_issued",
            Self::SessionRevoked => "session_revoked",
            Self::SessionsRevoked => "sessions_revoked",
            Self::SessionExtended => "session_extended",
            Self::LoggedOut => "logged_out",
            Self::CsrfRefused => "csrf_refused",
            Self::IdentityMismatch => "identity_mismatch",
            Self::ConflictingSessionCookies => "conflicting_session_cookies",
            Self::IdentityCreated => "identity_created",
            Self::IdentityUpdated => "identity_updated",
            Self::IdentityDeleted => "identity_deleted",
        }
    }
}

/// One event before it becomes a row.
#[derive(Clone, Debug)]
pub struct Event {
    kind: EventKind,
    ok: bool,
    identity_id: Option<IdentityId>,
    session_id: Option<SessionId>,
    flow_id: Option<FlowId>,
    method: Option<&'static str>,
    reason: Option<String>,
    details: Map<String, Value>,
}

impl Event {
    /// Something was done.
    pub fn done(kind: EventKind) -> Self {
        Self::new(kind, true)
    }

    /// Something was refused.
    pub fn refused(kind: EventKind, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::new(kind, false) }
    }

    fn new(kind: EventKind, ok: bool) -> Self {
        Self { kind, ok, identity_id: None, session_id: None, flow_id: None, method: None, reason: None, details: Map::new() }
    }

    /// Whose account.
    #[must_use]
    pub const fn identity(mut self, id: IdentityId) -> Self {
        self.identity_id = Some(id);
        self
    }

    /// Through which session; stored as a hash.
    #[must_use]
    pub const fn session(mut self, id: SessionId) -> Self {
        self.session_id = Some(id);
        self
    }

    /// In which flow.
    #[must_use]
    pub const fn flow(mut self, id: FlowId) -> Self {
        self.flow_id = Some(id);
        self
    }

    /// By which method.
    #[must_use]
    pub const fn method(mut self, method: &'static str) -> Self {
        self.method = Some(method);
        self
    }

    /// A named fact; never a secret and never a trait's value.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the event to the commit that it describes.
    pub fn write(self, app: &App, client: &Client, now: Time, batch: &mut Batch) {
        app.sign_ins.count(self.kind, self.method);
        let id: EventId = app.random().ordered_id(now);
        batch.insert_audit_event(&AuditEvent {
            id,
            at: now,
            kind: self.kind.as_str().to_owned(),
            result: if self.ok { "ok" } else { "refused" }.to_owned(),
            identity_id: self.identity_id,
            session_id_hash: self.session_id.map(|id| Sha256::digest(id.0.as_bytes()).to_vec()),
            flow_id: self.flow_id,
            method: self.method.map(str::to_owned),
            client_ip: client.address.clone(),
            user_agent: client.user_agent.clone(),
            request_id: client.request_id.clone(),
            reason: self.reason,
            details: Value::Object(self.details).to_string(),
        });
    }
}
