//! Pausing a change until the person proved themself again, and resuming it (decisions 3).
//! The settings story pauses and resumes; the login story admits the next submit by a grant.
//! The database holds only ciphertext: the key of each paused payload exists in the browser's sealed cookie alone.

use std::collections::BTreeMap;

use keyward_model::{ContainerId, Flow, Secret, Settings, Span, Time};
use keyward_store::{Batch, ContainerRow, StoreError};
use serde::{Deserialize, Serialize};

use crate::App;
use crate::seal::{self, Place};

/// How long a paused payload waits.
pub const PAUSE: Span = Span::minutes(15);

/// What the browser holds of its paused payloads: container name → where it is and what opens it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held(pub BTreeMap<String, Parcel>);

/// One paused payload, seen from the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The container row.
    pub id: ContainerId,
    /// Opens its payload.
    pub key: Secret<[u8; 32]>,
}

/// A paused payload that was opened; consume it in the batch that acts on it.
#[derive(Debug)]
pub struct Opened<T> {
    /// The row to consume.
    pub container: ContainerRow,
    /// What was paused.
    pub content: T,
}

/// The container name of a settings method: `ory_kratos_settings_<method>`.
pub fn container_name(method: &str) -> String {
    format!("ory_kratos_settings_{method}")
}

/// Seals `content`, adds its row to `batch` and hands the key to the browser's `held`.
/// A second pause of the same method replaces the first: its key is forgotten.
///
/// # Errors
/// When the content cannot be serialised.
pub fn pause<T: Serialize>(
    app: &App,
    flow: &Flow<Settings>,
    method: &str,
    content: &T,
    now: Time,
    held: &mut Held,
    batch: &mut Batch,
) -> Result<(), serde_json::Error> {
    let id: ContainerId = app.random().id();
    let name = container_name(method);
    let content = Secret::new(serde_json::to_vec(content)?);
    let bound_to = binding(id, &name, flow);
    let (key, payload) = seal::seal_under_fresh_key(place(&bound_to), content.reveal(), app.random());
    batch.insert_container(&ContainerRow {
        id,
        name: name.clone(),
        identity_id: Some(flow.extra.identity_id),
        flow_id: flow.id,
        expires_at: now + PAUSE,
        payload,
        created_at: now,
    });
    if let Some(previous) = held.0.insert(name, Parcel { id, key }) {
        batch.drop_containers(&[previous.id]);
    }
    Ok(())
}

/// Opens what was paused for `method` on this flow. `None` when there is nothing, it is too old, it belongs to another
/// flow or identity, or the key does not fit; in each of these cases nothing is revealed.
///
/// # Errors
/// When the database does not answer.
pub async fn open<T: for<'de> Deserialize<'de>>(
    app: &App,
    flow: &Flow<Settings>,
    method: &str,
    now: Time,
    held: &Held,
) -> Result<Option<Opened<T>>, StoreError> {
    let name = container_name(method);
    let Some(parcel) = held.0.get(&name) else { return Ok(None) };
    let Some(row) = app.store.find_container(parcel.id).await? else { return Ok(None) };
    let identity_id = flow.extra.identity_id;
    if row.expires_at <= now || row.name != name || row.flow_id != flow.id || row.identity_id != Some(identity_id) {
        return Ok(None);
    }
    let bound_to = binding(row.id, &name, flow);
    let opened = seal::open_under_fresh_key(&parcel.key, place(&bound_to), &row.payload).ok();
    let content = opened.and_then(|plain| serde_json::from_slice(plain.reveal()).ok());
    Ok(content.map(|content| Opened { container: row, content }))
}

/// Forgets every paused settings payload of this browser: a new settings flow starts clean.
pub fn abort_all(held: &mut Held, batch: &mut Batch) {
    let names: Vec<_> = held.0.keys().filter(|name| name.starts_with("ory_kratos_settings_")).cloned().collect();
    for name in names {
        if let Some(parcel) = held.0.remove(&name) {
            batch.drop_containers(&[parcel.id]);
        }
    }
}

/// What the ciphertext is bound to: its row, and through it identity, flow and method.
fn binding(id: ContainerId, name: &str, flow: &Flow<Settings>) -> String {
    format!("{id}/{}/{}/{name}", flow.extra.identity_id, flow.id)
}

const fn place(binding: &str) -> Place<'_> {
    Place::Column { table: "continuity_containers", row: binding.as_bytes(), column: "payload" }
}
