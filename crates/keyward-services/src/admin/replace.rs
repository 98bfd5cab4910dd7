//! Replacing what an identity consists of (contract: admin 8.4).
//! The admin port calls it for PUT.
//! Fields that the body leaves out are cleared, except the state and the credentials.

use keyward_model::IdentityId;
use serde_json::{Value, json};

use super::bodies::GivenIdentity;
use super::{Refused, answer_form, change};
use crate::App;
use crate::audit::Client;
use crate::derive::IdentityEdit;

/// Replaces an identity and gives its admin form.
///
/// # Errors
/// When there is none (404), the body is empty or invalid (400), something is taken or others write all the time (409).
pub async fn replace_identity(app: &App, client: &Client, id: IdentityId, body: Value) -> Result<Value, Refused> {
    let mut given = GivenIdentity::lenient(body)?;
    let state = given.state()?;
    let prepared = match given.credentials.take() {
        Some(credentials) => Some(credentials.prepare(app).await?),
        None => None,
    };
    let traits = given.traits.clone().filter(|traits| !traits.is_null()).unwrap_or_else(|| json!({}));
    let replaced = change(app, client, id, |before| {
        let credentials = match &prepared {
            Some(prepared) => prepared.edits(Some(before), app.now())?,
            None => Vec::new(),
        };
        Ok(IdentityEdit {
            traits: Some(traits.clone()),
            credentials,
            state,
            metadata_public: Some(given.metadata_public.clone()),
            metadata_admin: Some(given.metadata_admin.clone()),
            external_id: Some(given.external_id()),
            schema_id: given.schema_id.clone().filter(|schema| *schema != before.identity.schema_id),
            address_states: given.address_states(),
            ..IdentityEdit::default()
        })
    })
    .await?;
    Ok(answer_form(app, &replaced, given.region.as_deref()))
}
