//! The one writer of identities: what an edit makes of an account, computed without a database.
//! Settings, registration, recovery, verification, admin and import describe an edit; `derive` answers with the whole new
//! identity and credentials, and [`Derived::write`] puts the difference into a batch.
//! Knows the identity schema and the previous snapshot; who may make the edit, and with what proof, is decided elsewhere.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use keyward_config::Limits;
use keyward_model::{
    AddressStatus, Credential, CredentialType, Factors, FormErrors, Identity, IdentityId, IdentitySnapshot, IdentityState,
    Message, Random, RecoveryAddress, Time, VerifiableAddress, Via, count_factors,
};
use keyward_store::Batch;

use crate::schema::{IdentitySchema, MAX_TRAIT_DEPTH, TraitUse, distinct_addresses, distinct_values};

/// Longest external id, in characters.
const MAX_EXTERNAL_ID: usize = 64;

/// The version of a row that is written for the first time.
const FIRST_VERSION: i64 = 1;

/// What to change about an account. Everything that is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct IdentityEdit {
    /// All traits anew; they replace the old ones.
    pub traits: Option<Value>,
    /// Credentials to put or drop.
    pub credentials: Vec<CredentialEdit>,
    /// Switch the account on or off.
    pub state: Option<IdentityState>,
    /// The operator's data that the person may see; `Some(None)` removes it.
    pub metadata_public: Option<Option<Value>>,
    /// The operator's data that only the admin API shows; `Some(None)` removes it.
    pub metadata_admin: Option<Option<Value>>,
    /// The operator's own key; `Some(None)` removes it.
    pub external_id: Option<Option<String>>,
    /// Move the account to another schema, which is the one passed to [`derive()`].
    pub schema_id: Option<String>,
    /// Addresses that were proven to be the person's.
    pub addresses: Vec<AddressProof>,
    /// What an operator says about addresses; wins over what is stored.
    pub address_states: Vec<AddressState>,
    /// Bounds on the new traits.
    pub bounds: Bounds,
}

/// How large traits may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of an identifier in its canonical spelling.
    pub identifier_bytes: usize,
    /// Bytes of all traits as JSON.
    pub traits_bytes: usize,
    /// Objects and lists inside each other.
    pub traits_depth: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}

impl From<&Limits> for Bounds {
    /// What people may bring themselves.
    fn from(limits: &Limits) -> Self {
        let Limits { identifier_bytes, traits_bytes, traits_depth, .. } = *limits;
        Self { identifier_bytes, traits_bytes, traits_depth }
    }
}

impl Bounds {
    /// What operators may bring, who import what other systems allowed: only forms that could not be shown are refused.
    pub const IMPORT: Self = Self { identifier_bytes: usize::MAX, traits_bytes: usize::MAX, traits_depth: MAX_TRAIT_DEPTH };
}

/// One change of a credential.
#[derive(Clone)]
pub enum CredentialEdit {
    /// Add or replace the credential of a kind.
    Put {
        /// The kind.
        kind: CredentialType,
        /// Its content (contract: settings 3.0.5).
        config: Value,
        /// What finds it, where the traits do not say (OIDC subjects, passkey handles). `None` keeps what is there, or the
        /// identity's own id for authenticator apps and backup codes.
        identifiers: Option<Vec<String>>,
    },
    /// Remove the credential of a kind.
    Drop(CredentialType),
}

impl std::fmt::Debug for CredentialEdit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Put { kind, .. } => write!(f, "Put({})", kind.as_str()),
            Self::Drop(kind) => write!(f, "Drop({})", kind.as_str()),
        }
    }
}

impl CredentialEdit {
    const fn kind(&self) -> CredentialType {
        match self {
            Self::Put { kind, .. } | Self::Drop(kind) => *kind,
        }
    }
}

/// An address that the person showed to be theirs, by opening a mail or typing a code.
#[derive(Clone, PartialEq, Eq)]
pub struct AddressProof {
    /// How it was reached.
    pub via: Via,
    /// The address that the code went to; counts only while the account still has exactly this one.
    pub value: String,
}

/// How far an address is, as an operator says. Counts only while the account has exactly this address.
#[derive(Clone, PartialEq, Eq)]
pub struct AddressState {
    /// How it is reached.
    pub via: Via,
    /// The canonical address.
    pub value: String,
    /// Whether it counts as proven.
    pub verified: bool,
    /// Progress of the verification.
    pub status: AddressStatus,
    /// When it was proven; `None` with `verified` means now.
    pub verified_at: Option<Time>,
}

impl std::fmt::Debug for AddressState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AddressState({} {})", self.via.as_str(), self.status.as_str())
    }
}

impl std::fmt::Debug for AddressProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AddressProof({})", self.via.as_str())
    }
}

/// The account after an edit, with all that is needed to write it.
#[derive(Clone, Debug)]
pub struct Derived {
    /// The account as it will be.
    pub identity: Identity,
    /// Its credentials as they will be.
    pub credentials: Vec<Credential>,
    /// What they can prove.
    pub factors: Factors,
    before: Option<IdentitySnapshot>,
    touches_protected: bool,
}

/// Computes what an edit makes of an account. `before` is `None` for a new one; `schema` is the one that it will follow.
///
/// Traits are judged only when the edit touches them or the schema, so that a schema that became stricter never blocks
/// another change. Ids are drawn for what is new, everything that stays keeps its row.
///
/// # Errors
/// What is wrong with the traits, each at its node; 4000009 when a password or security key has no identifier to go with.
pub fn derive(
    schema: &IdentitySchema,
    before: Option<&IdentitySnapshot>,
    edit: &IdentityEdit,
    now: Time,
    random: &dyn Random,
) -> Result<Derived, FormErrors> {
    let edits_traits = before.is_none() || edit.traits.is_some() || edit.schema_id.is_some();
    let mut identity = match before {
        Some(before) => before.identity.clone(),
        None => blank(schema, random.id(), now),
    };
    if let Some(traits) = &edit.traits {
        check_size(traits, edit.bounds)?;
        identity.traits = traits.clone();
    }
    if edit.schema_id.is_some() {
        schema.id().clone_into(&mut identity.schema_id);
    }
    if edits_traits {
        identity.traits = schema.normalise(std::mem::take(&mut identity.traits));
        schema.validate(&identity.traits).into_result()?;
    }
    let uses = schema.uses(&identity.traits);
    if edits_traits {
        check_identifiers(&uses, edit.bounds.identifier_bytes)?;
    }
    apply_fields(&mut identity, edit, now)?;
    identity.verifiable_addresses = verifiable(&identity.verifiable_addresses, &uses, edit, now, random);
    identity.recovery_addresses = recovery(&identity.recovery_addresses, &uses, now, random);
    let known = before.map(|before| before.credentials.as_slice()).unwrap_or_default();
    let credentials = credentials(&identity, known, &uses, edit, now, random)?;
    identity.updated_at = now;
    let factors = count_factors(&credentials);
    // Both sides by today's schema, so that a schema that was changed since the last write is nobody's protected edit.
    let touches_protected =
        before.is_none_or(|before| protected(&schema.uses(&before.identity.traits)) != protected(&schema.uses(&identity.traits)));
    Ok(Derived { identity, credentials, factors, before: before.cloned(), touches_protected })
}

fn blank(schema: &IdentitySchema, id: IdentityId, now: Time) -> Identity {
    Identity {
        id,
        external_id: None,
        schema_id: schema.id().to_owned(),
        state: IdentityState::Active,
        state_changed_at: now,
        traits: json!({}),
        verifiable_addresses: Vec::new(),
        recovery_addresses: Vec::new(),
        metadata_public: None,
        metadata_admin: None,
        organization_id: None,
        created_at: now,
        updated_at: now,
    }
}

fn check_size(traits: &Value, bounds: Bounds) -> Result<(), FormErrors> {
    let refuse = |sentence: &'static str| Err(FormErrors::at("traits", Message::reason(sentence)));
    if !is_shallow(traits, bounds.traits_depth.min(MAX_TRAIT_DEPTH)) {
        return refuse("What was entered is nested too deeply.");
    }
    if traits.to_string().len() > bounds.traits_bytes {
        return refuse("What was entered is too long altogether.");
    }
    Ok(())
}

/// Whether a value nests at most `levels` objects and lists. Looks no deeper than that.
fn is_shallow(value: &Value, levels: usize) -> bool {
    match value {
        Value::Object(members) => levels > 0 && members.values().all(|member| is_shallow(member, levels - 1)),
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_shallow(item, levels - 1)),
        _ => true,
    }
}

fn check_identifiers(uses: &[TraitUse], most: usize) -> Result<(), FormErrors> {
    let mut errors = FormErrors::default();
    for one in uses {
        if one.value.len() > most {
            let context = json!({ "max_length": most, "actual_length": one.value.len() });
            errors.push(one.node.clone(), Message::new(4_000_017, context));
        } else if !one.is_canonical {
            let sentence = "This cannot be used to sign in or to reach you. Check how it is written.";
            errors.push(one.node.clone(), Message::reason(sentence));
        }
    }
    errors.into_result()
}

/// Whether a text can be somebody's external id. PostgreSQL keeps no text with a zero character in it.
pub(crate) fn is_external_id(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MAX_EXTERNAL_ID && !text.contains('\0')
}

fn apply_fields(identity: &mut Identity, edit: &IdentityEdit, now: Time) -> Result<(), FormErrors> {
    if let Some(external_id) = &edit.external_id {
        if !external_id.as_deref().is_none_or(is_external_id) {
            let sentence = "The external id must have 1 to 64 characters, and none of them may be zero.";
            return Err(FormErrors::global(Message::reason(sentence)));
        }
        identity.external_id.clone_from(external_id);
    }
    if let Some(metadata) = &edit.metadata_public {
        identity.metadata_public.clone_from(metadata);
    }
    if let Some(metadata) = &edit.metadata_admin {
        identity.metadata_admin.clone_from(metadata);
    }
    if let Some(state) = edit.state.filter(|state| *state != identity.state) {
        identity.state = state;
        identity.state_changed_at = now;
    }
    Ok(())
}

fn verifiable(
    known: &[VerifiableAddress],
    uses: &[TraitUse],
    edit: &IdentityEdit,
    now: Time,
    random: &dyn Random,
) -> Vec<VerifiableAddress> {
    let mut rows = Vec::new();
    for (via, value) in distinct_addresses(uses, |one| one.extension.verification) {
        let mut row = match known.iter().find(|row| row.via == via && row.value == value) {
            Some(row) => row.clone(),
            None => VerifiableAddress {
                id: random.id(),
                value,
                verified: false,
                via,
                status: AddressStatus::Pending,
                verified_at: None,
                created_at: now,
                updated_at: now,
            },
        };
        if !row.verified && edit.addresses.iter().any(|proof| proof.via == row.via && proof.value == row.value) {
            row.verified = true;
            row.status = AddressStatus::Completed;
            row.verified_at = Some(now);
            row.updated_at = now;
        }
        if let Some(state) = edit.address_states.iter().find(|state| state.via == row.via && state.value == row.value) {
            let verified_at = state.verified_at.or_else(|| state.verified.then_some(now));
            if (row.verified, row.status, row.verified_at) != (state.verified, state.status, verified_at) {
                (row.verified, row.status, row.verified_at) = (state.verified, state.status, verified_at);
                row.updated_at = now;
            }
        }
        rows.push(row);
    }
    rows
}

fn recovery(known: &[RecoveryAddress], uses: &[TraitUse], now: Time, random: &dyn Random) -> Vec<RecoveryAddress> {
    let row = |(via, value)| match known.iter().find(|row| row.via == via && row.value == value) {
        Some(row) => row.clone(),
        None => RecoveryAddress { id: random.id(), value, via, created_at: now, updated_at: now },
    };
    distinct_addresses(uses, |one| one.extension.recovery).into_iter().map(row).collect()
}

/// A credential on its way: what it will hold, before it is known whether anything changed.
struct Draft {
    config: Value,
    identifiers: Vec<String>,
    version: i64,
}

fn credentials(
    identity: &Identity,
    known: &[Credential],
    uses: &[TraitUse],
    edit: &IdentityEdit,
    now: Time,
    random: &dyn Random,
) -> Result<Vec<Credential>, FormErrors> {
    let mut rows = Vec::new();
    for kind in CredentialType::ALL {
        let old = known.iter().find(|row| row.kind == kind);
        let last_edit = edit.credentials.iter().rev().find(|edit| edit.kind() == kind);
        let edited = match last_edit {
            Some(CredentialEdit::Put { config, identifiers, .. }) => {
                let identifiers = match identifiers {
                    Some(given) => given.clone(),
                    None => own_identifiers(kind, old, identity, config),
                };
                Some(Draft { config: config.clone(), identifiers, version: version_of(kind) })
            }
            Some(CredentialEdit::Drop(_)) => None,
            None => {
                old.map(|old| Draft { config: old.config.clone(), identifiers: old.identifiers.clone(), version: old.version })
            }
        };
        let draft = follow_traits(kind, edited, uses);
        let is_put = matches!(last_edit, Some(CredentialEdit::Put { .. }));
        let by_traits = matches!(kind, CredentialType::Password | CredentialType::Webauthn);
        // Keys that are there may be named and removed, also after the schema forgot what they belong to.
        let keys = |config: &Value| config["credentials"].as_array().map_or(0, Vec::len);
        let known = old.map_or(0, |old| keys(&old.config));
        let adds = |draft: &Draft| kind == CredentialType::Password || known == 0 || keys(&draft.config) > known;
        if is_put && by_traits && draft.as_ref().is_none_or(|draft| draft.identifiers.is_empty() && adds(draft)) {
            return Err(FormErrors::global(Message::plain(4_000_009)));
        }
        let Some(draft) = draft else { continue };
        rows.push(match old {
            Some(old) if old.config == draft.config && old.identifiers == draft.identifiers => old.clone(),
            _ => Credential {
                id: old.map_or_else(|| random.id(), |old| old.id),
                kind,
                identifiers: draft.identifiers,
                config: draft.config,
                version: draft.version,
                created_at: old.map_or(now, |old| old.created_at),
                updated_at: now,
            },
        });
    }
    Ok(rows)
}

/// Where identifiers come from traits, the traits decide. A row without content keeps the identifiers of every method taken,
/// so that whichever way an account comes in, the same names are reserved.
fn follow_traits(kind: CredentialType, edited: Option<Draft>, uses: &[TraitUse]) -> Option<Draft> {
    let flagged = match kind {
        CredentialType::Password => distinct_values(uses, |one| one.extension.password_identifier),
        CredentialType::Webauthn => distinct_values(uses, |one| one.extension.webauthn_identifier),
        CredentialType::Code => {
            let receivers = distinct_addresses(uses, |one| one.extension.code);
            let list: Vec<_> =
                receivers.iter().map(|(via, address)| json!({ "address": address, "channel": via.as_str() })).collect();
            let mut identifiers: Vec<String> = Vec::new();
            for (_, address) in receivers {
                if !identifiers.contains(&address) {
                    identifiers.push(address);
                }
            }
            let version = version_of(kind);
            return (!list.is_empty()).then(|| Draft { config: json!({ "addresses": list }), identifiers, version });
        }
        _ => return edited,
    };
    let empty = Draft { config: json!({}), identifiers: Vec::new(), version: version_of(kind) };
    let draft = Draft { identifiers: flagged, ..edited.unwrap_or(empty) };
    let is_empty = draft.config.as_object().is_none_or(serde_json::Map::is_empty);
    (!draft.identifiers.is_empty() || !is_empty).then_some(draft)
}

/// Identifiers of a credential that traits say nothing about.
fn own_identifiers(kind: CredentialType, old: Option<&Credential>, identity: &Identity, config: &Value) -> Vec<String> {
    match kind {
        CredentialType::Totp | CredentialType::LookupSecret => vec![identity.id.to_string()],
        CredentialType::Oidc | CredentialType::Saml => {
            let providers = config["providers"].as_array().map(Vec::as_slice).unwrap_or_default();
            let link = |one: &Value| Some(format!("{}:{}", one["provider"].as_str()?, one["subject"].as_str()?));
            providers.iter().filter_map(link).collect()
        }
        _ => old.map(|old| old.identifiers.clone()).unwrap_or_default(),
    }
}

/// The layout of each kind's config (contract: recovery 12.3).
const fn version_of(kind: CredentialType) -> i64 {
    match kind {
        CredentialType::Password | CredentialType::Webauthn | CredentialType::Passkey | CredentialType::Code => 1,
        CredentialType::Totp | CredentialType::LookupSecret | CredentialType::Oidc | CredentialType::Saml => 0,
    }
}

impl Derived {
    /// Whether the edit changes what finds the account or receives its messages: login identifiers, verifiable or recovery
    /// addresses. Always so for a new account.
    pub const fn touches_protected(&self) -> bool {
        self.touches_protected
    }

    /// The names of the traits that changed, in the order of their names; never their values.
    pub fn changed_traits(&self) -> Vec<String> {
        let nothing = json!({});
        let before = self.before.as_ref().map_or(&nothing, |before| &before.identity.traits);
        let mut names = BTreeSet::new();
        crate::schema::changed_names("traits", before, &self.identity.traits, &mut names);
        names.into_iter().collect()
    }

    /// The account as it was; `None` for a new one.
    pub const fn before(&self) -> Option<&IdentitySnapshot> {
        self.before.as_ref()
    }

    /// The snapshot that a read after the commit will give.
    pub fn snapshot(&self) -> IdentitySnapshot {
        let version = self.before.as_ref().map_or(FIRST_VERSION, |before| before.version + 1);
        IdentitySnapshot { identity: self.identity.clone(), credentials: self.credentials.clone(), version }
    }

    /// Notes that a code is on its way to an address of the account: from pending it goes to sent, and else stays as it is.
    pub fn mark_sent(&mut self, via: Via, value: &str) {
        let now = self.identity.updated_at;
        let rows = self.identity.verifiable_addresses.iter_mut();
        for row in rows.filter(|row| row.via == via && row.value == value) {
            if row.status == AddressStatus::Pending && !row.verified {
                row.status = AddressStatus::Sent;
                row.updated_at = now;
            }
        }
    }

    /// Appends the rows that differ: the identity row (an insert, or an update guarded by the version that was read), its
    /// addresses, and credentials that were added, changed or removed.
    pub fn write(&self, batch: &mut Batch) {
        let id = self.identity.id;
        match &self.before {
            None => batch.insert_identity(&self.identity, &self.factors, FIRST_VERSION),
            Some(before) => batch.update_identity(before, &self.identity, &self.factors),
        }
        let known = self.before.as_ref().map(|before| before.credentials.as_slice()).unwrap_or_default();
        for gone in known.iter().filter(|old| self.credentials.iter().all(|new| new.id != old.id)) {
            batch.drop_credential(id, gone.id);
        }
        for row in self.credentials.iter().filter(|row| !known.contains(row)) {
            batch.put_credential(id, row);
        }
    }
}

type Protected = [BTreeSet<(Option<Via>, String)>; 5];

fn protected(uses: &[TraitUse]) -> Protected {
    let addressed = |via: fn(&TraitUse) -> Option<Via>| {
        distinct_addresses(uses, via).into_iter().map(|(via, value)| (Some(via), value)).collect::<BTreeSet<_>>()
    };
    let named = |flagged: fn(&TraitUse) -> bool| {
        distinct_values(uses, flagged).into_iter().map(|value| (None, value)).collect::<BTreeSet<_>>()
    };
    [
        named(|one| one.extension.password_identifier),
        named(|one| one.extension.webauthn_identifier),
        addressed(|one| one.extension.code),
        addressed(|one| one.extension.verification),
        addressed(|one| one.extension.recovery),
    ]
}

#[cfg(test)]
mod tests;
