//! What operators do with identities: make, read, list and delete them, and look after their sessions.
//! The admin port calls it; who may reach that port is decided outside of Keyward.
//! Uses the same one writer as everybody else: nothing here invents rows of its own.

use keyward_model::{
    Audience, CredentialType, IdentityId, IdentitySnapshot, IdentityState, Problem, Secret, Session, Time, Via, WireIdentity,
    schema_url,
};
use keyward_store::{Batch, Liveness, PageStart, Refusal, StoreError, UniqueConflict};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::audit::{Client, Event, EventKind};
use crate::derive::{AddressProof, CredentialEdit, IdentityEdit, derive};
use crate::passwords::{self, Lane, PasswordError};
use crate::session::session_json;
use crate::{App, hashing, storage_problem};

/// The body of `POST /admin/identities` (contract: admin 8.3). Unknown keys are refused by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewIdentity {
    #[serde(default)]
    schema_id: Option<String>,
    #[serde(default)]
    traits: Option<Value>,
    #[serde(default)]
    credentials: Option<Credentials>,
    #[serde(default)]
    verifiable_addresses: Vec<GivenAddress>,
    #[serde(default)]
    recovery_addresses: Vec<Value>,
    #[serde(default)]
    metadata_public: Option<Value>,
    #[serde(default)]
    metadata_admin: Option<Value>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    organization_id: Option<Value>,
    #[serde(default)]
    region: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[serde(default)]
    password: Option<PasswordCredential>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct PasswordCredential {
    #[serde(default)]
    config: PasswordConfig,
}

#[derive(Debug, Default, Deserialize)]
struct PasswordConfig {
    #[serde(default)]
    password: Option<Secret<String>>,
    #[serde(default)]
    hashed_password: Option<Secret<String>>,
}

#[derive(Debug, Deserialize)]
struct GivenAddress {
    value: String,
    via: Via,
    #[serde(default)]
    verified: bool,
}

/// Makes an identity, with a password in clear or as a hash if the body has one. Gives its admin form.
///
/// # Errors
/// For unknown keys, invalid traits, unusable hashes (400) and taken identifiers (409).
pub async fn create_identity(app: &App, client: &Client, body: Value) -> Result<(IdentityId, Value), Problem> {
    let given: NewIdentity = serde_json::from_value(body).map_err(|error| bad_request(error.to_string()))?;
    if !given.recovery_addresses.is_empty() || given.region.is_some_and(|value| !value.is_null()) {
        tracing::info!("Given recovery addresses and regions are not stored: addresses follow from the traits");
    }
    if given.organization_id.is_some_and(|value| !value.is_null()) {
        return Err(bad_request("Organizations are not supported."));
    }
    let schema_id = given.schema_id.filter(|id| !id.is_empty());
    let schema_id = schema_id.unwrap_or_else(|| app.schemas.default_schema().schema.id().to_owned());
    let schema = app.schemas.get(&schema_id).map(|entry| &entry.schema);
    let schema = schema.ok_or_else(|| bad_request(format!("There is no identity schema with the id {schema_id:?}.")))?;
    let state = match given.state.as_deref() {
        None | Some("") => IdentityState::Active,
        Some(text) => IdentityState::parse(text).ok_or_else(|| bad_request("The state must be active or inactive."))?,
    };
    if given.external_id.as_ref().is_some_and(|id| id.is_empty() || id.chars().count() > 64) {
        return Err(bad_request("The external id must have 1 to 64 characters."));
    }
    let credentials = match given.credentials {
        None => Vec::new(),
        Some(credentials) => {
            if let Some(kind) = credentials.others.keys().next() {
                return Err(bad_request(format!("Credentials of the type {kind:?} cannot be imported yet.")));
            }
            match credentials.password {
                Some(password) => password_edit(app, password.config).await?,
                None => Vec::new(),
            }
        }
    };
    let edit = IdentityEdit {
        traits: Some(given.traits.unwrap_or_else(|| json!({}))),
        credentials,
        state: Some(state),
        metadata_public: Some(given.metadata_public),
        metadata_admin: Some(given.metadata_admin),
        external_id: Some(given.external_id),
        schema_id: Some(schema_id),
        addresses: given
            .verifiable_addresses
            .into_iter()
            .filter(|address| address.verified)
            .map(|address| AddressProof { via: address.via, value: address.value })
            .collect(),
    };
    let now = app.now();
    let derived = derive(schema, None, edit, now, app.random()).map_err(|errors| {
        let first = errors.0.into_iter().next();
        bad_request(first.map_or_else(String::new, |error| match error.node {
            Some(node) => format!("{node}: {}", error.message.text),
            None => error.message.text,
        }))
    })?;
    let made = derived.snapshot();
    let mut batch = Batch::new();
    derived.write(&mut batch);
    Event::done(EventKind::IdentityCreated).identity(made.identity.id).detail("by", "admin").write(app, client, now, &mut batch);
    app.store.commit(batch).await.map_err(|error| match error {
        StoreError::Unique(conflict) => Problem::Conflict { reason: taken(conflict).to_owned() },
        other => storage_problem(other),
    })?;
    Ok((made.identity.id, admin_form(app, &made, &[], true)))
}

async fn password_edit(app: &App, config: PasswordConfig) -> Result<Vec<CredentialEdit>, Problem> {
    let hash = match (config.password, config.hashed_password) {
        (Some(password), _) => passwords::hash(app, &password, Lane::SignedIn).await.map_err(|error| match error {
            PasswordError::Refused(message) => bad_request(message.text),
            PasswordError::Problem(problem) => problem,
        })?,
        (None, Some(hash)) => {
            hashing::recognise(hash.reveal())
                .map_err(|refusal| bad_request(format!("The password hash cannot be used: {refusal}.")))?;
            hash
        }
        (None, None) => return Ok(Vec::new()),
    };
    let config = json!({ "hashed_password": hash.reveal() });
    Ok(vec![CredentialEdit::Put { kind: CredentialType::Password, config, identifiers: None }])
}

/// One identity in its admin form; the config of the credentials in `include` is shown.
///
/// # Errors
/// When there is none.
pub async fn get_identity(app: &App, id: IdentityId, include: &[CredentialType]) -> Result<Value, Problem> {
    let found = app.store.find_identity(id).await.map_err(storage_problem)?.ok_or(Problem::NotFound { reason: None })?;
    Ok(admin_form(app, &found, include, true))
}

/// What a list of identities asks for; at most one of the filters.
#[derive(Debug, Default)]
pub struct ListQuery {
    /// Only these.
    pub ids: Vec<IdentityId>,
    /// Only the one that signs in with this.
    pub credentials_identifier: Option<String>,
    /// Show the config of these credentials.
    pub include: Vec<CredentialType>,
    /// Where the page starts: the last identity of the previous one.
    pub after: Option<IdentityId>,
    /// Legacy pagination: so many rows are skipped.
    pub offset: Option<u32>,
    /// At most so many.
    pub limit: u32,
}

/// A page of identities in their admin form.
#[derive(Debug)]
pub struct ListedIdentities {
    /// The identities.
    pub identities: Vec<Value>,
    /// The last one's id, when there may be more.
    pub next: Option<IdentityId>,
    /// How many there are in all; only with legacy pagination.
    pub total: Option<u64>,
}

/// Lists identities in the order in which they were made.
///
/// # Errors
/// For a page token that names no identity.
pub async fn list_identities(app: &App, query: ListQuery) -> Result<ListedIdentities, Problem> {
    let mut total = None;
    let found = if let Some(identifier) = &query.credentials_identifier {
        let mut found = Vec::new();
        for candidate in crate::phone::login_candidates(identifier) {
            found = app.store.find_identities_by_any_identifier(&candidate).await.map_err(storage_problem)?;
            if !found.is_empty() {
                break;
            }
        }
        found
    } else if !query.ids.is_empty() {
        app.store.find_identities(&query.ids).await.map_err(storage_problem)?
    } else {
        let start = match (query.after, query.offset) {
            (None, None) => PageStart::Offset(0),
            (None, Some(offset)) => {
                let count = app.store.count_identities().await.map_err(storage_problem)?;
                total = Some(u64::try_from(count).unwrap_or(0));
                PageStart::Offset(offset)
            }
            (Some(last), _) => {
                let last = app.store.find_identity(last).await.map_err(storage_problem)?;
                let last = last.ok_or_else(|| bad_request("The page token is no longer valid."))?.identity;
                PageStart::After(last.created_at, last.id)
            }
        };
        app.store.list_identities(start, query.limit).await.map_err(storage_problem)?
    };
    let full = u32::try_from(found.len()).unwrap_or(u32::MAX) >= query.limit;
    let next = found
        .last()
        .map(|last| last.identity.id)
        .filter(|_| full && query.ids.is_empty() && query.credentials_identifier.is_none());
    let with_credentials = !query.include.is_empty() || query.credentials_identifier.is_some();
    let identities = found.iter().map(|identity| admin_form(app, identity, &query.include, with_credentials)).collect();
    Ok(ListedIdentities { identities, next, total })
}

/// Deletes an identity with its sessions, credentials and addresses.
///
/// # Errors
/// When there is none.
pub async fn delete_identity(app: &App, client: &Client, id: IdentityId) -> Result<(), Problem> {
    let mut batch = Batch::new();
    batch.delete_identity(id);
    Event::done(EventKind::IdentityDeleted).identity(id).detail("by", "admin").write(app, client, app.now(), &mut batch);
    gone_is_not_found(app.store.commit(batch).await)
}

/// A page of an identity's sessions, as JSON texts, and how many there are in all. An unknown identity has none.
///
/// # Errors
/// When the database does not answer.
pub async fn identity_sessions(
    app: &App,
    id: IdentityId,
    active: Option<bool>,
    page: (u32, u32),
) -> Result<(Vec<String>, u64), Problem> {
    let now = app.now();
    let liveness = match active {
        None => Liveness::Any,
        Some(true) => Liveness::Live,
        Some(false) => Liveness::Dead,
    };
    let Some(identity) = app.store.find_identity(id).await.map_err(storage_problem)? else { return Ok((Vec::new(), 0)) };
    let (sessions, total) = app.store.list_sessions(id, (liveness, now), None, page).await.map_err(storage_problem)?;
    let form = admin_form(app, &identity, &[], false).to_string();
    let json = |session: &Session| session_json(session, is_active(session, &identity, now), Some(&form), app.public_base());
    Ok((sessions.iter().map(json).collect(), u64::try_from(total).unwrap_or(0)))
}

/// Deletes every session of an identity.
///
/// # Errors
/// When there was none.
pub async fn delete_identity_sessions(app: &App, client: &Client, id: IdentityId) -> Result<(), Problem> {
    let mut batch = Batch::new();
    batch.delete_sessions(id);
    Event::done(EventKind::SessionsRevoked).identity(id).detail("by", "admin").write(app, client, app.now(), &mut batch);
    let counts = app.store.commit_counted(batch).await.map_err(storage_problem)?;
    if counts.first().copied().unwrap_or(0) == 0 { Err(Problem::NotFound { reason: None }) } else { Ok(()) }
}

fn is_active(session: &Session, identity: &IdentitySnapshot, now: Time) -> bool {
    session.is_live(now) && identity.identity.state == IdentityState::Active
}

/// The admin form of an identity (contract: admin 10.1). The config of a credential shows only when asked for.
fn admin_form(app: &App, snapshot: &IdentitySnapshot, include: &[CredentialType], with_credentials: bool) -> Value {
    let mut credentials = Map::new();
    for credential in &snapshot.credentials {
        let mut shown = json!({ "type": credential.kind.as_str(), "identifiers": credential.identifiers });
        if include.contains(&credential.kind) {
            shown["config"] = credential.config.clone();
        }
        shown["version"] = credential.version.into();
        shown["created_at"] = json!(credential.created_at);
        shown["updated_at"] = json!(credential.updated_at);
        credentials.insert(credential.kind.as_str().to_owned(), shown);
    }
    let credentials = Value::Object(credentials);
    let wire = WireIdentity {
        identity: &snapshot.identity,
        schema_url: &schema_url(app.public_base(), &snapshot.identity.schema_id),
        audience: Audience::Admin,
        credentials: with_credentials.then_some(&credentials),
    };
    serde_json::to_value(wire).unwrap_or_default()
}

const fn taken(conflict: UniqueConflict) -> &'static str {
    match conflict {
        UniqueConflict::ExternalId => "The external id is already used by another identity.",
        _ => "An identifier or address is already used by another identity.",
    }
}

fn gone_is_not_found(result: Result<(), StoreError>) -> Result<(), Problem> {
    result.map_err(|error| match error {
        StoreError::Refused(Refusal::Gone) => Problem::NotFound { reason: None },
        other => storage_problem(other),
    })
}

fn bad_request(reason: impl Into<String>) -> Problem {
    Problem::BadRequest { reason: reason.into() }
}
