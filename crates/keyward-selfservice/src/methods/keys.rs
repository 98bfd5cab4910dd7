//! What the methods `passkey` and `webauthn` share: the list of keys, adding one, naming one, and proving something with one.
//! Only those two call it.
//! Which ceremony it is, and which fields and messages it has, they say themselves.

use keyward_config::RelyingParty;
use keyward_model::{
    Attributes, AuthMethod, CredentialType, FormErrors, Group, IdentitySnapshot, Message, Meta, Node, Operation, Script,
};
use keyward_services::audit::{Event, EventKind};
use keyward_services::derive::{CredentialEdit, IdentityEdit};
use keyward_services::payload::Payload;
use keyward_services::webauthn::{
    Assertion, Attestation, Ceremony, Challenge, Key, Keys, Unproven, handle_identifier, key_text, verify_new, verify_use,
};
use keyward_services::{App, attempts, storage_problem};
use keyward_store::Batch;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Change, LoginContext, Proposal, Proven, Refusal, SettingsContext, SettingsStep, Step};
use crate::webauthn_script;

/// Why a key is refused that this account or another one has.
pub(crate) const REGISTERED_ALREADY: &str = "This key is registered already.";

/// The most keys of one kind that an account may have.
const MOST_KEYS: usize = 100;

/// The most characters of a key's name.
const LONGEST_NAME: usize = 128;

/// What a sign-in remembers of a ceremony that it asked for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Asked {
    /// What has to be signed; absent while the person has not said who they are.
    #[serde(default)]
    pub(super) challenge: Option<String>,
    /// Who is meant, where that is known.
    #[serde(default)]
    pub(super) identifier: Option<String>,
    /// The keys that are meant, as `allowCredentials` lists them; empty for any.
    #[serde(default)]
    pub(super) allow: Vec<Value>,
}

impl Asked {
    /// Asks for one of these keys, or for any.
    pub(super) fn anew(app: &App, identifier: Option<String>, allow: Vec<Value>) -> Self {
        Self { challenge: Some(Challenge::draw(app.random()).text()), identifier, allow }
    }

    pub(super) fn read(memory: Option<&Value>) -> Option<Self> {
        Self::deserialize(memory?).ok()
    }

    pub(super) fn challenge(&self) -> Option<Challenge> {
        Challenge::parse(self.challenge.as_deref()?)
    }

    pub(super) fn to_memory(&self) -> Value {
        json!(self)
    }
}

/// Whether a submit brings something in this field.
pub(super) fn brings(body: &Payload, field: &str) -> bool {
    !matches!(body.string(field), Ok(None))
}

/// The script, for pages in browsers.
pub(super) fn script_node(app: &App) -> Node {
    Node {
        kind: "script",
        group: Group::Webauthn,
        attributes: Attributes::Script(Box::new(Script {
            src: format!("{}{}", app.public_base(), webauthn_script::PATH),
            asynchronous: true,
            referrerpolicy: "no-referrer",
            crossorigin: "anonymous",
            integrity: webauthn_script::integrity().to_owned(),
            media_type: "text/javascript",
            id: "webauthn_script",
            nonce: app.random().id::<keyward_model::FlowId>().to_string(),
            node_type: "script",
        })),
        messages: Vec::new(),
        meta: Meta::default(),
    }
}

/// A key in the list, as the button that removes it. Its label tells what people want to know about it (beside the contract's
/// names: when it was last used, its model, whether it is synced, whether it once counted backwards, whether it is a way in by
/// itself).
pub(super) fn remove_node(group: Group, name: &str, label: u32, key: &Key, disabled: bool) -> Node {
    let added_at = key.added_at.unwrap_or_default();
    let mut context = json!({
        "display_name": key.shown_name(),
        "added_at": added_at,
        "added_at_unix": added_at.unix(),
        "last_used_at": key.last_used_at,
        "last_used_at_unix": key.last_used_at.map(keyward_model::Time::unix),
        "synced": key.is_synced(),
    });
    if let Some(model) = key.model() {
        context["model"] = model.into();
    }
    if key.authenticator.clone_warning {
        context["clone_warning"] = true.into();
    }
    // Every passkey is; of security keys nothing else tells.
    if key.is_passwordless && group == Group::Webauthn {
        context["passwordless"] = true.into();
    }
    Node::submit(group, name, key.hex_id(), Message::new(label, context)).with(|input| input.disabled = disabled)
}

/// The name in a field; empty when there is none.
pub(super) fn name(body: &Payload, field: &'static str) -> Result<String, FormErrors> {
    let name = body.string(field)?.unwrap_or_default().trim();
    let length = name.chars().count();
    if length > LONGEST_NAME {
        let context = json!({ "max_length": LONGEST_NAME, "actual_length": length });
        return Err(FormErrors::at(field, Message::new(4_000_017, context)));
    }
    Ok(name.to_owned())
}

/// Verifies a new key that came in the field `field`.
///
/// # Errors
/// When it cannot be read, does not hold, or is registered already, with this account or another one.
pub(super) async fn new_key(
    app: &App,
    field: &'static str,
    sent: &str,
    ceremony: &Ceremony<'_>,
    attested: bool,
    now: keyward_model::Time,
) -> Result<Key, Refusal> {
    let attestation = Attestation::parse(sent).map_err(|error| {
        let reason = format!("This is not what a browser answers for a new key. Parse error for Registration: {error}.");
        FormErrors::global(Message::reason(reason))
    })?;
    let key = verify_new(&attestation, ceremony, attested, now).map_err(|error| {
        tracing::info!(%error, "A new key was refused");
        FormErrors::global(Message::reason(match error {
            Unproven::Unattested => "This key brings no attestation of its model, and here one is asked for.",
            Unproven::Origin | Unproven::CrossOrigin => "Keys cannot be added from this page.",
            _ => "This key could not be confirmed. Try again.",
        }))
    })?;
    if app.store.find_identity_by_key(&key_text(&key.id)).await.map_err(storage_problem)?.is_some() {
        return Err(already_registered(field).into());
    }
    Ok(key)
}

/// Whether one more key may come to these.
pub(super) fn room(keys: &Keys) -> Result<(), FormErrors> {
    if keys.credentials.len() < MOST_KEYS {
        return Ok(());
    }
    let reason = format!("There are {MOST_KEYS} keys already. Remove one that you do not use any more.");
    Err(FormErrors::global(Message::reason(reason)))
}

/// Gives a key another name.
pub(super) struct Rename {
    /// The credential that holds the key.
    pub(super) kind: CredentialType,
    /// The key's id as it was sent.
    pub(super) id: String,
    pub(super) name: String,
    /// What the audit log says of it.
    pub(super) done: EventKind,
}

impl SettingsStep for Rename {
    fn operation(&self) -> Operation {
        Operation::RenameFactor
    }

    fn propose<'a>(&'a self, context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>> {
        Box::pin(async {
            let keys = Keys::read(context.identity.credential(self.kind))?;
            let id = named(&keys, &self.id)?.id.clone();
            let event = Event::done(self.done).detail("key", keyward_model::hex(&id));
            let edit = put(self.kind, &keys.renamed(&id, &self.name), None);
            Ok(Change { events: vec![event], ..Change::of(credential_edit(edit)) }.into())
        })
    }
}

/// Writes the list of keys; `None` keeps the identifiers that the credential has.
pub(super) fn put(kind: CredentialType, keys: &Keys, identifiers: Option<Vec<String>>) -> CredentialEdit {
    CredentialEdit::Put { kind, config: keys.to_config(), identifiers }
}

/// An edit that changes one credential and nothing else.
pub(super) fn credential_edit(edit: CredentialEdit) -> IdentityEdit {
    IdentityEdit { credentials: vec![edit], ..IdentityEdit::default() }
}

fn already_registered(field: &'static str) -> FormErrors {
    FormErrors::at(field, Message::reason(REGISTERED_ALREADY))
}

/// The key that a submit names, to remove or rename it.
pub(super) fn named<'a>(keys: &'a Keys, sent: &str) -> Result<&'a Key, FormErrors> {
    let reason = "There is no such key any more. Look at the list and try again.";
    keys.find_named(sent).ok_or_else(|| FormErrors::global(Message::reason(reason)))
}

/// Reads what a browser answered at sign-in.
pub(super) fn assertion(sent: &str) -> Result<Assertion, FormErrors> {
    Assertion::parse(sent).map_err(|error| {
        let reason = format!("This is not what a browser answers at sign-in. Parse error for Assertion: {error}.");
        FormErrors::global(Message::reason(reason))
    })
}

/// A key that proves something at sign-in.
pub(super) struct Use<'a> {
    /// The method's id, for the audit log.
    pub(super) method: &'static str,
    /// What attempts are counted as.
    pub(super) counted_as: &'static str,
    /// The credential that holds the key.
    pub(super) kind: CredentialType,
    /// The proof that it gives.
    pub(super) proof: AuthMethod,
    /// What it has to satisfy.
    pub(super) ceremony: Ceremony<'a>,
    /// Which of the account's keys count.
    pub(super) counts: fn(&Key) -> bool,
}

/// Verifies that somebody holds one of the account's keys.
///
/// # Errors
/// 4000043 when they do not.
pub(super) async fn prove(
    context: &LoginContext<'_>,
    identity: IdentitySnapshot,
    assertion: &Assertion,
    asked: Use<'_>,
) -> Result<Proven, Refusal> {
    let LoginContext { app, visit, flow } = *context;
    let (id, now) = (identity.identity.id, visit.now);
    let lane = visit.lane(id);
    let subject = attempts::Subject::Identity(id);
    let attempt = attempts::reserve(app, subject, asked.counted_as, &lane, &visit.client, now).await?;
    let wrong = || FormErrors::global(Message::plain(4_000_043));
    if !is_own_handle(&identity, asked.kind, assertion.user_handle()) {
        return Err(wrong().into());
    }
    let row = identity.credential(asked.kind).ok_or_else(wrong)?;
    let mut keys = Keys::read(Some(row))?;
    let place = keys.credentials.iter().position(|key| key.id == assertion.key_id() && (asked.counts)(key)).ok_or_else(wrong)?;
    let used = verify_use(assertion, &asked.ceremony, &keys.credentials[place], now).map_err(|error| {
        tracing::info!(%error, identity.id = %id, "A key was refused at sign-in");
        wrong()
    })?;
    let mut upkeep = Batch::new();
    for (happened, kind) in
        [(used.counted_backwards, EventKind::KeyCountedBackwards), (used.became_backup_eligible, EventKind::KeyBecameSyncable)]
    {
        if happened {
            let event = Event::done(kind).identity(id).flow(flow.id).method(asked.method).detail("key", used.key.hex_id());
            event.write(app, &visit.client, now, &mut upkeep);
        }
    }
    keys.credentials[place] = used.key;
    upkeep.touch_credential_config(row, &keys.to_config(), now);
    Ok(Proven { identity, proof: asked.proof, upkeep, attempt })
}

/// Whether a handle that an authenticator told is this account's. None is told where the account is known (WebAuthn Level 3,
/// section 7.2), and an older one stays good.
pub(super) fn is_own_handle(identity: &IdentitySnapshot, kind: CredentialType, handle: Option<&[u8]>) -> bool {
    let Some(handle) = handle else { return true };
    let row = identity.credential(kind);
    let listed = kind == CredentialType::Passkey && row.is_some_and(|row| row.identifiers.contains(&handle_identifier(handle)));
    listed || Keys::of(row).user_handle == handle || identity.identity.id.0.as_bytes() == handle
}

/// Whether there is another way in than one key of this kind that signs in.
pub(super) fn has_another_way_in(app: &App, identity: &IdentitySnapshot, kind: CredentialType) -> bool {
    let mut left = identity.factors();
    let count = if kind == CredentialType::Passkey { &mut left.passkey } else { &mut left.webauthn_passwordless };
    *count = count.saturating_sub(1);
    left.oidc = super::oidc::usable(app, identity, None);
    app.ways_in(&left) > 0
}

/// What authenticators list an account by: what the person types to sign in, and the readable name. Each stands in for the other,
/// and the relying party's name for both.
pub(super) fn account_names(identity: &IdentitySnapshot, party: &RelyingParty, display_name: Option<String>) -> (String, String) {
    let typed = [CredentialType::Webauthn, CredentialType::Password]
        .into_iter()
        .find_map(|kind| identity.credential(kind)?.identifiers.first().cloned());
    let display_name = display_name.or_else(|| typed.clone()).unwrap_or_else(|| party.display_name.clone());
    (typed.unwrap_or_else(|| display_name.clone()), display_name)
}
