//! What operators do: make, read, change and delete identities, many at once if need be, and look after sessions.
//! The admin port and the import call it; who may reach that port is decided outside of Keyward.
//! Uses the same one writer as everybody else: nothing here invents rows of its own.

mod attempts;
mod bodies;
mod create;
mod credentials;
mod list;
mod messages;
mod patch;
mod remove;
mod replace;
mod sessions;

use keyward_model::{Audience, CredentialType, FormErrors, IdentityId, IdentitySnapshot, Problem, WireIdentity, schema_url};
use keyward_store::{Batch, Refusal, StoreError, UniqueConflict};
use serde_json::{Map, Value, json};

pub use self::attempts::{forget_attempts, list_attempts};
pub use self::bodies::check_new_identity;
pub use self::create::{BatchEntry, BatchResult, MOST_BATCH_ENTRIES, MOST_BATCH_PASSWORDS, create_batch, create_identity};
pub use self::list::{Filter, ListQuery, ListedIdentities, get_identity, get_identity_by_external_id, list_identities};
pub use self::messages::{ListedMessages, MessagePlace, get_message, list_messages};
pub use self::patch::patch_identity;
pub use self::remove::{delete_credential, delete_identity};
pub use self::replace::replace_identity;
pub use self::sessions::{
    BulkAction, BulkDone, BulkTarget, Expand, ListedSessions, SessionPlace, act_on_sessions, delete_identity_sessions,
    extend_session, get_session, identity_sessions, list_sessions, revoke_session,
};

use crate::audit::{Client, Event, EventKind};
use crate::derive::{Bounds, Derived, IdentityEdit, derive};
use crate::schema::IdentitySchema;
use crate::{App, storage_problem};

/// Why an operator's request was not done.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// As anywhere else.
    Problem(Problem),
    /// The body has a key that means nothing here; told in `message`, without a reason (contract: admin 8.3).
    UnknownKey(String),
    /// Another identity has an identifier, address or external id already.
    Taken(Taken),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// What is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// A sentence for developers.
    pub reason: &'static str,
    /// What kind of value it is: `identifier`, `verifiable_address`, `recovery_address` or `external_id`.
    pub what: &'static str,
    /// Credential types whose identifiers another identity signs in with.
    pub credential_types: Vec<CredentialType>,
}

/// How often a change is derived again when somebody else was faster (decisions 5.2).
const RETRIES: u32 = 3;

/// Changes an identity: reads it, asks what is to be done, derives, and commits if it still is what was read.
/// Gives what it is afterwards.
async fn change(
    app: &App,
    client: &Client,
    id: IdentityId,
    mut edit_of: impl FnMut(&IdentitySnapshot) -> Result<IdentityEdit, Refused>,
) -> Result<IdentitySnapshot, Refused> {
    let mut attempt = 0;
    loop {
        let found = app.store.find_identity(id).await.map_err(storage_problem)?;
        let before = found.ok_or(Problem::NotFound { reason: None })?;
        let edit = IdentityEdit { bounds: Bounds::IMPORT, ..edit_of(&before)? };
        let schema = find_schema(app, edit.schema_id.as_deref().unwrap_or(&before.identity.schema_id))?;
        let now = app.now();
        let derived = derive(schema, Some(&before), &edit, now, app.random()).map_err(|errors| invalid(&errors))?;
        let mut batch = Batch::new();
        derived.write(&mut batch);
        let kinds = changed_credentials(&derived);
        let mut event = Event::done(EventKind::IdentityUpdated).identity(id).detail("by", "admin");
        if !derived.changed_traits().is_empty() {
            event = event.detail("traits", derived.changed_traits());
        }
        if !kinds.is_empty() {
            event = event.detail("credentials", kinds);
        }
        if before.identity.state != derived.identity.state {
            event = event.detail("state", derived.identity.state.as_str());
        }
        event.write(app, client, now, &mut batch);
        match app.store.commit(batch).await {
            Ok(()) => return Ok(derived.snapshot()),
            Err(StoreError::Refused(Refusal::VersionConflict)) if attempt < RETRIES => attempt += 1,
            Err(StoreError::Refused(Refusal::VersionConflict)) => {
                let reason = "The identity was changed by others at the same moment; send the request again.";
                return Err(Problem::Conflict { reason: reason.to_owned() }.into());
            }
            Err(StoreError::Unique(conflict)) => return Err(taken(app, &derived, conflict).await),
            Err(other) => return Err(storage_problem(other).into()),
        }
    }
}

/// Names of the credential types whose content an edit changed.
fn changed_credentials(derived: &Derived) -> Vec<&'static str> {
    let before = |kind| derived.before().and_then(|before| before.credential(kind)).map(|row| &row.config);
    let after = |kind| derived.credentials.iter().find(|row| row.kind == kind).map(|row| &row.config);
    let changed = CredentialType::ALL.into_iter().filter(|kind| before(*kind) != after(*kind));
    changed.map(CredentialType::as_str).collect()
}

fn find_schema<'a>(app: &'a App, id: &str) -> Result<&'a IdentitySchema, Refused> {
    match app.schemas.get(id) {
        Some(entry) => Ok(&entry.schema),
        None => Err(bad_request(format!("There is no identity schema with the id {id:?}."))),
    }
}

/// Every fault of the traits, each with its place as a JSON pointer.
fn invalid(errors: &FormErrors) -> Refused {
    let told = errors.0.iter().map(|error| match &error.node {
        Some(node) => format!("I[#/{}] {}", node.replace('.', "/"), error.message.text),
        None => error.message.text.clone(),
    });
    bad_request(told.collect::<Vec<_>>().join("; "))
}

/// The refusal for a taken value, with the credential types that collide.
async fn taken(app: &App, derived: &Derived, conflict: UniqueConflict) -> Refused {
    let mut credential_types = Vec::new();
    if conflict != UniqueConflict::ExternalId {
        for row in &derived.credentials {
            for identifier in &row.identifiers {
                let holder = app.store.find_identity_by_identifier(row.kind, identifier).await;
                let other = holder.is_ok_and(|holder| holder.is_some_and(|holder| holder.identity.id != derived.identity.id));
                if other && !credential_types.contains(&row.kind) {
                    credential_types.push(row.kind);
                }
            }
        }
    }
    // Which of several taken values the database meets first is its own affair; what people sign in with says the most.
    let (what, reason) = words(if credential_types.is_empty() { conflict } else { UniqueConflict::Identifier });
    Refused::Taken(Taken { reason, what, credential_types })
}

const fn words(conflict: UniqueConflict) -> (&'static str, &'static str) {
    match conflict {
        UniqueConflict::ExternalId => ("external_id", "The external id is already used by another identity."),
        UniqueConflict::Key => ("key", "A key is already registered with another identity."),
        UniqueConflict::VerifiableAddress => ("verifiable_address", "An address is already used by another identity."),
        UniqueConflict::RecoveryAddress => ("recovery_address", "An address is already used by another identity."),
        UniqueConflict::Identifier | UniqueConflict::Other => {
            ("identifier", "An identifier is already used by another identity.")
        }
    }
}

/// What of the credentials an admin form shows.
#[derive(Clone, Copy)]
enum Show<'a> {
    /// No credentials.
    Nothing,
    /// All, and the config of these.
    With(&'a [CredentialType]),
}

/// The admin form of an identity (contract: admin 10.1).
fn admin_form(app: &App, snapshot: &IdentitySnapshot, show: Show<'_>) -> Value {
    let credentials = match show {
        Show::Nothing => None,
        Show::With(include) => {
            let mut credentials = Map::new();
            let mut rows: Vec<_> = snapshot.credentials.iter().collect();
            rows.sort_by_key(|row| row.kind.as_str());
            for credential in rows {
                let mut shown = json!({ "type": credential.kind.as_str(), "identifiers": credential.identifiers });
                if include.contains(&credential.kind) {
                    shown["config"] = credentials::shown(app, credential.kind, &credential.config);
                }
                shown["version"] = credential.version.into();
                shown["created_at"] = json!(credential.created_at);
                shown["updated_at"] = json!(credential.updated_at);
                credentials.insert(credential.kind.as_str().to_owned(), shown);
            }
            Some(Value::Object(credentials))
        }
    };
    let wire = WireIdentity {
        identity: &snapshot.identity,
        schema_url: &schema_url(app.public_base(), &snapshot.identity.schema_id),
        audience: Audience::Admin,
        credentials: credentials.as_ref(),
    };
    serde_json::to_value(wire).unwrap_or_default()
}

/// The form in answers to a create or replace: what was not sent is not there (contract: admin 8.3).
fn answer_form(app: &App, snapshot: &IdentitySnapshot, region: Option<&str>) -> Value {
    let mut form = admin_form(app, snapshot, Show::With(&[]));
    if let Some(members) = form.as_object_mut() {
        if snapshot.identity.metadata_admin.is_none() {
            members.shift_remove("metadata_admin");
        }
        if let Some(region) = region {
            members.insert("region".to_owned(), region.into());
        }
    }
    form
}

fn bad_request(reason: impl Into<String>) -> Refused {
    Problem::BadRequest { reason: reason.into() }.into()
}

fn not_found(reason: &str) -> Refused {
    Problem::NotFound { reason: Some(reason.to_owned()) }.into()
}
