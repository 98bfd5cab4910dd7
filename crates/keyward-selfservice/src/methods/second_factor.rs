//! What second factors share: whose they are at sign-in, and which backup codes an identity holds.
//! The methods that are second factors call it; `passkey` asks it who confirms themself.
//! Knows credentials by their kind and layout, nothing of forms.

use keyward_model::{Aal, AuthMethod, CredentialType, IdentityId, IdentitySnapshot, Problem, Proof, Time};
use keyward_services::audit::{Event, EventKind};
use keyward_services::storage_problem;

use super::LoginContext;

/// The identity of the session that steps up.
pub(super) async fn signed_in_identity(context: &LoginContext<'_>) -> Result<IdentitySnapshot, Problem> {
    let id = context.visit.identity_id().ok_or(Problem::Aal1Required)?;
    context.app.store.find_identity(id).await.map_err(storage_problem)?.ok_or(Problem::SessionInactive)
}

/// What a session has when a second factor was shown now.
pub(super) fn proof(method: Proof, now: Time) -> AuthMethod {
    AuthMethod::new(method, Aal::Aal2, now)
}

/// Whether there is a set of backup codes, used or not.
pub(super) fn has_codes(identity: &IdentitySnapshot) -> bool {
    let codes = identity.credential(CredentialType::LookupSecret).and_then(|row| row.config["recovery_codes"].as_array());
    codes.is_some_and(|codes| !codes.is_empty())
}

/// Whether the backup codes were handed out with an authenticator app.
pub(super) fn has_companions(identity: &IdentitySnapshot) -> bool {
    identity.credential(CredentialType::LookupSecret).is_some_and(|row| row.config["issued_with"] == "totp")
}

/// A right code that was used before: worth a line of its own in the audit log.
pub(super) async fn note_replay(context: &LoginContext<'_>, identity: IdentityId, method: &'static str) {
    let event = Event::refused(EventKind::LoginFailed, "replay").identity(identity).flow(context.flow.id).method(method);
    crate::stories::note(context.app, &context.visit.client, context.visit.now, event).await;
}
