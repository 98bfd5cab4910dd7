//! Wrong attempts on record against an identity, and forgetting them (ours; Kratos counts none).
//! The admin port calls it.
//! What is counted, and what it leads to, stands in `attempts`.

use keyward_model::{IdentityId, Problem};
use keyward_store::Batch;
use serde_json::Value;

use super::Refused;
use crate::audit::{Client, Event, EventKind};
use crate::{App, attempts, storage_problem};

/// What is on record: see [`attempts::on_record`].
///
/// # Errors
/// When there is no such identity.
pub async fn list_attempts(app: &App, id: IdentityId) -> Result<Value, Refused> {
    exists(app, id).await?;
    Ok(attempts::on_record(app, id).await?)
}

/// Lets somebody who was locked out try again at once, with every factor and from every browser.
///
/// # Errors
/// When there is no such identity.
pub async fn forget_attempts(app: &App, client: &Client, id: IdentityId) -> Result<(), Refused> {
    exists(app, id).await?;
    let mut batch = Batch::new();
    attempts::unlock(app, id, &mut batch);
    Event::done(EventKind::AttemptsForgotten).identity(id).detail("by", "admin").write(app, client, app.now(), &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)?;
    Ok(())
}

async fn exists(app: &App, id: IdentityId) -> Result<(), Refused> {
    match app.store.find_identity(id).await.map_err(storage_problem)? {
        Some(_) => Ok(()),
        None => Err(Problem::NotFound { reason: None }.into()),
    }
}
