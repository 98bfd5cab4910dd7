//! Address changes that wait until the new address is confirmed (hook `verify_new_address`, contract: recovery 3.5).
//! Settings holds a change back here, verification applies it with the right code, in the commit that uses the code up.
//! Nothing of the account changes before: the old address goes on to receive what is sent to the account.

use keyward_config::Hook;
use keyward_model::{
    ContinueWith, Flow, FlowId, FormErrors, IdentitySnapshot, Message, Problem, SessionId, TraitsChangeId, VerifiableAddress,
    Verification, Via, hex,
};
use keyward_services::derive::{AddressProof, Bounds, Derived, IdentityEdit, derive};
use keyward_services::keys::KeyUse;
use keyward_services::seal::Place;
use keyward_services::session::find_active_by_id;
use keyward_services::{App, storage_problem};
use keyward_store::{Batch, PendingTraitsRow};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::mailed;
use super::previous_addresses;
use super::verification_after::{self, Begun, Cause};
use crate::methods::Refusal;
use crate::visit::Visit;

/// The method whose hooks this is about.
const METHOD: &str = "profile";

/// The member of a verification flow's memory with the id of the change that waits for its code.
const PENDING: &str = "pending";

fn hooks(app: &App) -> &[Hook] {
    app.config.selfservice.flows.settings.flow.after.hooks_for(METHOD)
}

/// The addresses of a change that the account did not have, where they have to be confirmed first.
pub(super) fn new_addresses<'a>(
    app: &App,
    method: &str,
    before: &IdentitySnapshot,
    derived: &'a Derived,
) -> Vec<&'a VerifiableAddress> {
    if method != METHOD || !hooks(app).contains(&Hook::VerifyNewAddress) {
        return Vec::new();
    }
    let known = &before.identity.verifiable_addresses;
    let is_new = |one: &&VerifiableAddress| known.iter().all(|known| (known.via, &known.value) != (one.via, &one.value));
    derived.identity.verifiable_addresses.iter().filter(is_new).collect()
}

/// A change that is held back, with the flow that takes its code; not written yet.
pub(super) struct Held {
    begun: Begun,
    row: PendingTraitsRow,
}

/// A change that somebody asks for.
pub(super) struct Asked<'a> {
    /// Their session.
    pub(super) session: SessionId,
    /// The flow in which they ask.
    pub(super) settings_flow: FlowId,
    /// The account as it is.
    pub(super) before: &'a IdentitySnapshot,
    /// As it shall be.
    pub(super) derived: &'a Derived,
}

/// Holds a change back.
///
/// # Errors
/// 4000007 when another account has the address; otherwise when addresses are not verified here, or the database does not answer.
pub(super) async fn hold(
    app: &App,
    visit: &Visit,
    cause: &Cause<'_>,
    asked: &Asked<'_>,
    address: &VerifiableAddress,
) -> Result<Held, Refusal> {
    let Asked { session, settings_flow, before, derived } = *asked;
    if !verification_after::is_on(app) {
        let reason = "The hook verify_new_address needs selfservice.flows.verification.enabled and the method code.";
        return Err(Problem::Misconfigured { reason: reason.to_owned() }.into());
    }
    let to = (address.via, address.value.clone());
    free(app, before, &to).await?;
    let id: TraitsChangeId = app.random().id();
    let begun =
        verification_after::begin_one(app, visit, cause, before, address).await?.keeping(PENDING, Value::from(id.to_string()));
    let row = PendingTraitsRow {
        identity_id: before.identity.id,
        id,
        session_id: session,
        settings_flow_id: settings_flow,
        verification_flow_id: begun.id(),
        address: to,
        traits_hash: hash(&before.identity.traits),
        proposed_traits: app.keys.seal(
            KeyUse::PendingTraits,
            place(&id),
            derived.identity.traits.to_string().as_bytes(),
            app.random(),
        ),
        created_at: visit.now,
    };
    Ok(Held { begun, row })
}

impl Held {
    /// Adds the change and its flow to a commit.
    pub(super) fn write(&self, app: &App, batch: &mut Batch) {
        self.begun.write(app, batch);
        batch.put_pending_traits(&self.row);
    }

    /// What the client does next.
    pub(super) fn next(&self, app: &App) -> ContinueWith {
        self.begun.next(app)
    }

    /// The page that takes the code.
    pub(super) fn page(&self, app: &App) -> String {
        self.begun.page(app)
    }

    /// The commit came to nothing.
    pub(super) async fn give_back(self, app: &App) {
        verification_after::give_back(app, vec![self.begun]).await;
    }
}

/// Whether a verification flow waits for the code of a change.
pub(super) fn is_for_change(flow: &Flow<Verification>) -> bool {
    flow.memory.0.contains_key(PENDING)
}

/// The change that a verification flow waits for, as long as it can still be applied: it is the account's latest one, the session
/// that asked for it is alive, and the traits are those that it was made from.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn waiting(
    app: &App,
    visit: &Visit,
    flow: &Flow<Verification>,
) -> Result<Option<(PendingTraitsRow, IdentitySnapshot)>, Problem> {
    let row = app.store.find_pending_traits(mailed::origin(flow)).await.map_err(storage_problem)?;
    let is_meant =
        |row: &PendingTraitsRow| flow.memory.0.get(PENDING).and_then(Value::as_str) == Some(row.id.to_string().as_str());
    let Some(row) = row.filter(is_meant) else { return Ok(None) };
    let session = find_active_by_id(app, row.session_id, visit.now).await.map_err(storage_problem)?;
    if session.is_none_or(|active| active.session.identity_id != row.identity_id) {
        return Ok(None);
    }
    let before = app.store.find_identity(row.identity_id).await.map_err(storage_problem)?;
    Ok(before.filter(|before| hash(&before.identity.traits) == row.traits_hash).map(|before| (row, before)))
}

/// Refuses an address that another account has.
///
/// # Errors
/// 4000007, or when the database does not answer.
pub(super) async fn free(app: &App, own: &IdentitySnapshot, address: &(Via, String)) -> Result<(), Refusal> {
    let owner = app.store.find_identity_by_verifiable_address(address.0, &address.1).await.map_err(storage_problem)?;
    if owner.is_some_and(|owner| owner.identity.id != own.identity.id) {
        return Err(FormErrors::global(Message::plain(4_000_007)).into());
    }
    Ok(())
}

/// Adds a change, now that its address is confirmed, to the commit that uses the code up, with what follows a change in settings.
///
/// # Errors
/// What is wrong with the traits when the schema became stricter meanwhile.
pub(super) fn apply(
    app: &App,
    visit: &Visit,
    flow: &Flow<Verification>,
    row: &PendingTraitsRow,
    before: &IdentitySnapshot,
    batch: &mut Batch,
) -> Result<Derived, Refusal> {
    let traits = app.keys.open(KeyUse::PendingTraits, place(&row.id), &row.proposed_traits).ok();
    let traits = traits.and_then(|plain| serde_json::from_slice(plain.reveal()).ok()).ok_or_else(|| {
        tracing::error!(flow.id = %flow.id, "A change that waits cannot be opened; the secrets were changed");
        Problem::Internal
    })?;
    let (via, value) = row.address.clone();
    let edit = IdentityEdit {
        traits: Some(traits),
        addresses: vec![AddressProof { via, value }],
        bounds: Bounds::from(&app.config.limits),
        ..IdentityEdit::default()
    };
    let derived = derive(super::schema_of(app, before)?, Some(before), &edit, visit.now, app.random())?;
    batch.take_pending_traits(row, visit.now);
    derived.write(batch);
    for hook in hooks(app) {
        if let Hook::NotifyPreviousAddresses(recipients) = hook {
            previous_addresses::notify(app, visit, &derived, *recipients, &flow.request_url, None, batch);
        }
    }
    Ok(derived)
}

/// Hash of traits, so that a change is applied only to those that it was made from.
fn hash(traits: &Value) -> String {
    hex(&Sha256::digest(traits.to_string()))
}

const fn place(id: &TraitsChangeId) -> Place<'_> {
    Place::Column { table: "pending_traits_changes", row: id.0.as_bytes(), column: "proposed_traits" }
}
