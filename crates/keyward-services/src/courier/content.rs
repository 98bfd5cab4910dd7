//! What a message says, and how it lies sealed in its row.
//! [`super::enqueue`] seals it; the worker, the admin port and the development mailbox open it.
//! Holds codes and links, so its debug form shows nothing.

use keyward_model::MessageId;
use keyward_store::OutboxRow;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::App;
use crate::keys::KeyUse;
use crate::seal::{OpenError, Place};

/// What a message says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// One line; empty for text messages.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// HTML, for mail.
    pub html_body: Option<String>,
    /// What the text was made from.
    pub template_data: Value,
    /// Header fields of the request that caused the message.
    pub request_headers: Map<String, Value>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[content]")
    }
}

impl Content {
    pub(super) fn seal(&self, app: &App, id: MessageId) -> Vec<u8> {
        // Texts and JSON values always have a JSON form.
        let plain = Zeroizing::new(serde_json::to_vec(self).unwrap_or_default());
        app.keys.seal(KeyUse::CourierBody, place(id.0.as_bytes()), &plain, app.random())
    }
}

/// Opens what a message says.
///
/// # Errors
/// See [`OpenError`].
pub fn open(app: &App, row: &OutboxRow) -> Result<Content, OpenError> {
    let plain = app.keys.open(KeyUse::CourierBody, place(row.id.0.as_bytes()), &row.content)?;
    serde_json::from_slice(plain.reveal()).map_err(|_| OpenError::Malformed)
}

const fn place(row: &[u8]) -> Place<'_> {
    Place::Column { table: "courier_messages", row, column: "content" }
}
