//! Flows in the database: typed outside, a row of text and sealed bytes inside.
//! Every story loads and stores its flow here.
//! Knows no story: what a kind remembers is its own type.

use keyward_model::{Flow, FlowId, FlowType, Form, Kind, Memory, Owner};
use keyward_store::{Batch, FlowRow, StoreError};

use crate::App;
use crate::keys::KeyUse;
use crate::seal::Place;

/// Reads a flow. `None` when there is none of this kind and id, or its row cannot be understood (for example because its
/// memory was sealed under a secret that is gone): to a client that is the same.
///
/// # Errors
/// When the database does not answer.
pub async fn find<K: Kind>(app: &App, id: FlowId) -> Result<Option<Flow<K>>, StoreError> {
    let Some(row) = app.store.find_flow(id, K::NAME).await? else { return Ok(None) };
    let flow = read(app, row);
    if flow.is_none() {
        tracing::warn!(flow.id = %id, flow.kind = K::NAME, "A stored flow cannot be read and is treated as missing");
    }
    Ok(flow)
}

/// Adds a new flow to a batch. Of one identity no more flows of a kind are kept than `security.limits` allows.
pub fn insert<K: Kind>(app: &App, flow: &Flow<K>, batch: &mut Batch) {
    let row = row(app, flow);
    batch.insert_flow(&row);
    batch.delete_oldest_flows(&row, app.config.limits.flows_per_identity);
}

/// Adds the flow's new content to a batch, guarded by its version, and counts the version up.
pub fn update<K: Kind>(app: &App, flow: &mut Flow<K>, batch: &mut Batch) {
    batch.update_flow(&row(app, flow));
    flow.version += 1;
}

fn row<K: Kind>(app: &App, flow: &Flow<K>) -> FlowRow {
    let memory = (!flow.memory.0.is_empty()).then(|| {
        let plain = serde_json::to_vec(&flow.memory).unwrap_or_default();
        app.keys.seal(KeyUse::FlowMemory, place(&flow.id), &plain, app.random())
    });
    FlowRow {
        id: flow.id,
        kind: K::NAME.to_owned(),
        flow_type: flow.flow_type.as_str().to_owned(),
        state: text(&flow.state),
        issued_at: flow.issued_at,
        expires_at: flow.expires_at,
        request_url: flow.request_url.clone(),
        identity_id: flow.owner.identity_id,
        session_id: flow.owner.session_id,
        form: text(&flow.form),
        memory,
        extra: text(&flow.extra),
        version: flow.version,
    }
}

fn read<K: Kind>(app: &App, row: FlowRow) -> Option<Flow<K>> {
    let memory = match &row.memory {
        None => Memory::default(),
        Some(sealed) => {
            let plain = app.keys.open(KeyUse::FlowMemory, place(&row.id), sealed).ok()?;
            serde_json::from_slice(plain.reveal()).ok()?
        }
    };
    Some(Flow {
        id: row.id,
        flow_type: if row.flow_type == "api" { FlowType::Api } else { FlowType::Browser },
        state: serde_json::from_str(&row.state).ok()?,
        issued_at: row.issued_at,
        expires_at: row.expires_at,
        request_url: row.request_url,
        form: serde_json::from_str::<Form>(&row.form).ok()?,
        memory,
        extra: serde_json::from_str(&row.extra).ok()?,
        owner: Owner { identity_id: row.identity_id, session_id: row.session_id },
        version: row.version,
    })
}

const fn place(id: &FlowId) -> Place<'_> {
    Place::Column { table: "flows", row: id.0.as_bytes(), column: "memory" }
}

/// States, forms and extras are plain data: writing them cannot fail.
fn text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
