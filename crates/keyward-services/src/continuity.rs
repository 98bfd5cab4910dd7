//! Pausing a change until the person proved themself again, or came back from a provider, and resuming it (decisions 3).
//! The stories pause and resume; the login story admits the next submit of settings by a grant.
//! The database holds only ciphertext: the key of each paused payload exists in the browser's sealed cookie alone.

use std::collections::BTreeMap;

use keyward_model::{ContainerId, FlowId, IdentityId, Secret, Span, Time};
use keyward_store::{Batch, ContainerRow, StoreError};
use serde::{Deserialize, Serialize};

use crate::App;
use crate::seal::{self, Place};

/// How long a paused payload waits.
const PAUSE: Span = Span::minutes(15);
/// How long a round trip to a provider may take.
const ROUND_TRIP_LASTS: Span = Span::minutes(30);

/// The container of what is kept while the person is at a provider.
pub const ROUND_TRIP: &str = "ory_kratos_oidc_auth_code_session";

/// What a paused payload belongs to; nothing else opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belongs {
    /// The flow.
    pub flow_id: FlowId,
    /// Whose it is, when it was left by somebody who was signed in.
    pub identity_id: Option<IdentityId>,
}

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
/// A second pause under the same name replaces the first: its key is forgotten.
///
/// # Errors
/// When the content cannot be serialised.
pub fn pause<T: Serialize>(
    app: &App,
    belongs: Belongs,
    name: &str,
    content: &T,
    now: Time,
    held: &mut Held,
    batch: &mut Batch,
) -> Result<(), serde_json::Error> {
    let id: ContainerId = app.random().id();
    let content = Secret::new(serde_json::to_vec(content)?);
    let bound_to = binding(id, name, belongs);
    let (key, payload) = seal::seal_under_fresh_key(place(&bound_to), content.reveal(), app.random());
    batch.insert_container(&ContainerRow {
        id,
        name: name.to_owned(),
        identity_id: belongs.identity_id,
        flow_id: belongs.flow_id,
        expires_at: now + if name == ROUND_TRIP { ROUND_TRIP_LASTS } else { PAUSE },
        payload,
        created_at: now,
    });
    if let Some(previous) = held.0.insert(name.to_owned(), Parcel { id, key }) {
        batch.drop_containers(&[previous.id]);
    }
    Ok(())
}

/// Opens what was paused under a name for this flow. `None` when there is nothing, it is too old, it belongs to another
/// flow or identity, or the key does not fit; in each of these cases nothing is revealed.
///
/// # Errors
/// When the database does not answer.
pub async fn open<T: for<'de> Deserialize<'de>>(
    app: &App,
    belongs: Belongs,
    name: &str,
    now: Time,
    held: &Held,
) -> Result<Option<Opened<T>>, StoreError> {
    let Some(parcel) = held.0.get(name) else { return Ok(None) };
    let Some(row) = app.store.find_container(parcel.id).await? else { return Ok(None) };
    let left_by = Belongs { flow_id: row.flow_id, identity_id: row.identity_id };
    if row.expires_at <= now || row.name != name || left_by != belongs {
        return Ok(None);
    }
    let bound_to = binding(row.id, name, belongs);
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
fn binding(id: ContainerId, name: &str, belongs: Belongs) -> String {
    let identity = belongs.identity_id.map(|id| id.to_string()).unwrap_or_default();
    format!("{id}/{identity}/{}/{name}", belongs.flow_id)
}

const fn place(binding: &str) -> Place<'_> {
    Place::Column { table: "continuity_containers", row: binding.as_bytes(), column: "payload" }
}
