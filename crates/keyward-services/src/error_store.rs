//! Errors that a browser is sent to look at: stored once, fetched by the error page.
//! `http` stores one when it cannot answer an HTML request with JSON.
//! Stores exactly what a JSON client would have received, so nothing internal and nothing secret.

use keyward_model::{ErrorId, Time};
use keyward_store::{Batch, ErrorRow, StoreError};
use serde_json::{Value, json};

use crate::App;

/// Stores the `error` object of an envelope.
///
/// # Errors
/// When the database does not answer.
pub async fn put(app: &App, error: &Value, now: Time) -> Result<ErrorId, StoreError> {
    let id: ErrorId = app.random().id();
    let mut batch = Batch::new();
    batch.insert_error(&ErrorRow { id, error: error.to_string(), created_at: now, updated_at: now });
    app.store.commit(batch).await?;
    Ok(id)
}

/// The stored error as `GET /self-service/errors` answers it.
///
/// # Errors
/// When the database does not answer.
pub async fn find(app: &App, id: ErrorId) -> Result<Option<Value>, StoreError> {
    let row = app.store.find_error(id).await?;
    Ok(row.map(|row| {
        let error: Value = serde_json::from_str(&row.error).unwrap_or(Value::Null);
        json!({ "id": row.id, "error": error, "created_at": row.created_at, "updated_at": row.updated_at })
    }))
}
