//! Making identities, one at a time or a thousand (contract: admin 8.3, 8.6).
//! The admin port calls it. Each entry of a batch succeeds or fails by itself, but they are written many to a commit.
//! Everything is validated by the writer of identities, exactly as a sign-up is.

use futures_util::{StreamExt as _, stream};
use keyward_model::{IdentityId, IdentityState, Problem};
use keyward_store::{Batch, StoreError, UniqueConflict};
use serde_json::{Value, json};

use super::bodies::GivenIdentity;
use super::{Refused, Taken, answer_form, bad_request, find_schema, invalid, taken, words};
use crate::audit::{Client, Event, EventKind};
use crate::derive::{Bounds, Derived, IdentityEdit, derive};
use crate::{App, storage_problem};

/// The most entries of a batch.
pub const MOST_BATCH_ENTRIES: usize = 1_000;
/// The most entries of a batch whose passwords have to be hashed.
pub const MOST_BATCH_PASSWORDS: usize = 200;
/// Identities of a batch in one commit: few enough that other writers wait only milliseconds.
const PER_COMMIT: usize = 100;
/// Passwords of a batch that are hashed at once; the others wait here instead of filling the queue.
const HASHED_AT_ONCE: usize = 4;

/// Makes an identity, with the credentials that the body has. Gives its admin form.
///
/// # Errors
/// For unknown keys, invalid traits, unusable credentials (400) and taken identifiers (409).
pub async fn create_identity(app: &App, client: &Client, body: Value) -> Result<(IdentityId, Value), Refused> {
    let given = GivenIdentity::strict(body)?;
    let region = given.region.clone();
    let derived = made(app, given).await?;
    let mut batch = Batch::new();
    write(app, client, &derived, &mut batch);
    match app.store.commit(batch).await {
        Ok(()) => {}
        Err(StoreError::Unique(conflict)) => return Err(taken(app, &derived, conflict).await),
        Err(other) => return Err(storage_problem(other).into()),
    }
    let mut form = answer_form(app, &derived.snapshot(), region.as_deref());
    // As in the reference server, whose imports are brought to the current layout only when they are read.
    for kind in ["password", "webauthn"] {
        if let Some(credential) = form["credentials"].get_mut(kind) {
            credential["version"] = 0.into();
        }
    }
    Ok((derived.identity.id, form))
}

/// One entry of a batch.
#[derive(Debug)]
pub struct BatchEntry {
    /// The body of a create request; without one there is nothing to do.
    pub create: Option<Value>,
}

/// What became of one entry.
#[derive(Debug)]
pub enum BatchResult {
    /// There was nothing to do.
    Nothing,
    /// An identity was made.
    Created(IdentityId),
    /// It was refused; no other entry is concerned.
    Refused(Refused),
}

enum Row {
    Ready(Box<Derived>),
    Over(BatchResult),
}

/// Makes many identities; the answers stand in the order of the entries. Of two entries with the same identifier the first
/// one wins.
///
/// # Errors
/// When there are more than [`MOST_BATCH_ENTRIES`], or more than [`MOST_BATCH_PASSWORDS`] whose passwords are to be hashed.
pub async fn create_batch(app: &App, client: &Client, entries: Vec<BatchEntry>) -> Result<Vec<BatchResult>, Refused> {
    if entries.len() > MOST_BATCH_ENTRIES {
        return Err(bad_request(format!("A batch has at most {MOST_BATCH_ENTRIES} entries.")));
    }
    let read: Vec<Option<Result<GivenIdentity, Refused>>> =
        entries.into_iter().map(|entry| entry.create.map(GivenIdentity::strict)).collect();
    let plain = read.iter().flatten().filter(|given| {
        let credentials = given.as_ref().ok().and_then(|given| given.credentials.as_ref());
        credentials.is_some_and(super::credentials::GivenCredentials::has_plain_password)
    });
    if plain.count() > MOST_BATCH_PASSWORDS {
        return Err(bad_request(format!("A batch has at most {MOST_BATCH_PASSWORDS} passwords that are not hashed yet.")));
    }
    let rows = stream::iter(read).map(|given| async move {
        match given {
            None => Row::Over(BatchResult::Nothing),
            Some(Err(refused)) => Row::Over(BatchResult::Refused(refused)),
            Some(Ok(given)) => match made(app, given).await {
                Ok(derived) => Row::Ready(Box::new(derived)),
                Err(refused) => Row::Over(BatchResult::Refused(refused)),
            },
        }
    });
    let mut rows: Vec<Row> = rows.buffered(HASHED_AT_ONCE).collect().await;
    let ready: Vec<usize> = (0..rows.len()).filter(|at| matches!(rows[*at], Row::Ready(_))).collect();
    for chunk in ready.chunks(PER_COMMIT) {
        commit_chunk(app, client, &mut rows, chunk).await;
    }
    Ok(rows
        .into_iter()
        .map(|row| match row {
            Row::Over(result) => result,
            Row::Ready(_) => BatchResult::Refused(Problem::Internal.into()),
        })
        .collect())
}

/// Commits the rows at these places together. When that is refused, those whose names are held already are found by reading,
/// and the rest is halved until the culprits are found: equals within the chunk, or somebody who was faster.
async fn commit_chunk(app: &App, client: &Client, rows: &mut [Row], chunk: &[usize]) {
    let mut looked = false;
    let mut waiting = vec![chunk.to_vec()];
    while let Some(places) = waiting.pop() {
        let mut batch = Batch::new();
        for place in &places {
            if let Row::Ready(derived) = &rows[*place] {
                write(app, client, derived, &mut batch);
            }
        }
        let refused = match app.store.commit(batch).await {
            Ok(()) => {
                for place in places {
                    if let Row::Ready(derived) = &rows[place] {
                        rows[place] = Row::Over(BatchResult::Created(derived.identity.id));
                    }
                }
                continue;
            }
            Err(StoreError::Unique(_)) if places.len() > 1 => {
                let free = if looked { places } else { free(app, rows, places).await };
                looked = true;
                // The left half is tried first: of two equals the earlier one wins.
                let (left, right) = free.split_at(free.len() / 2);
                waiting.extend([right, left].into_iter().filter(|half| !half.is_empty()).map(<[usize]>::to_vec));
                continue;
            }
            Err(StoreError::Unique(conflict)) => taken_in_batch(conflict),
            Err(other) => storage_problem(other).into(),
        };
        for place in places {
            rows[place] = Row::Over(BatchResult::Refused(refused.clone()));
        }
    }
}

/// Refuses the rows whose names somebody has; yields the places of the others. An import that is repeated finds everybody
/// there, and reading that is much cheaper than trying.
async fn free(app: &App, rows: &mut [Row], places: Vec<usize>) -> Vec<usize> {
    let mut free = Vec::with_capacity(places.len());
    for place in places {
        let Row::Ready(derived) = &rows[place] else { continue };
        match held(app, derived).await {
            Some(conflict) => rows[place] = Row::Over(BatchResult::Refused(taken_in_batch(conflict))),
            None => free.push(place),
        }
    }
    free
}

/// Whether somebody has a name of this new identity. What cannot be read, the commit decides.
async fn held(app: &App, derived: &Derived) -> Option<UniqueConflict> {
    let found = |holder: Result<Option<_>, StoreError>| holder.is_ok_and(|holder| holder.is_some());
    for row in &derived.credentials {
        for identifier in &row.identifiers {
            if found(app.store.find_identity_by_identifier(row.kind, identifier).await) {
                return Some(UniqueConflict::Identifier);
            }
        }
    }
    if let Some(id) = &derived.identity.external_id
        && found(app.store.find_identity_by_external_id(id).await)
    {
        return Some(UniqueConflict::ExternalId);
    }
    for address in &derived.identity.verifiable_addresses {
        if found(app.store.find_identity_by_verifiable_address(address.via, &address.value).await) {
            return Some(UniqueConflict::VerifiableAddress);
        }
    }
    None
}

fn taken_in_batch(conflict: UniqueConflict) -> Refused {
    let (what, reason) = words(conflict);
    Refused::Taken(Taken { reason, what, credential_types: Vec::new() })
}

/// Derives the identity that a body describes.
async fn made(app: &App, given: GivenIdentity) -> Result<Derived, Refused> {
    let schema_id = given.schema_id.clone().unwrap_or_else(|| app.schemas.default_schema().schema.id().to_owned());
    let schema = find_schema(app, &schema_id)?;
    let now = app.now();
    let mut edit = IdentityEdit {
        state: Some(given.state()?.unwrap_or(IdentityState::Active)),
        external_id: Some(given.external_id()),
        address_states: given.address_states(),
        traits: Some(given.traits.filter(|traits| !traits.is_null()).unwrap_or_else(|| json!({}))),
        metadata_public: Some(given.metadata_public),
        metadata_admin: Some(given.metadata_admin),
        schema_id: Some(schema_id),
        ..IdentityEdit::default()
    };
    if let Some(credentials) = given.credentials {
        edit.credentials = credentials.prepare(app).await?.edits(None, now)?;
    }
    edit.bounds = Bounds::IMPORT;
    derive(schema, None, &edit, now, app.random()).map_err(|errors| invalid(&errors))
}

fn write(app: &App, client: &Client, derived: &Derived, batch: &mut Batch) {
    derived.write(batch);
    let event = Event::done(EventKind::IdentityCreated).identity(derived.identity.id).detail("by", "admin");
    event.write(app, client, app.now(), batch);
}
