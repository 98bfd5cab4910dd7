//! The outbox as operators see it: a page of messages, or one with its attempts (contract: admin 6.1).
//! The admin port calls it.
//! What a message says is shown by development servers only; elsewhere not even an operator reads codes.

use keyward_model::{MessageId, Problem, Time};
use keyward_store::{DispatchRow, MessageFilter, OutboxRow};
use serde_json::{Value, json};

use super::Refused;
use crate::courier::open;
use crate::{App, storage_problem};

const REDACTED: &str = "<redacted-unless-dev-mode>";
/// Sealed under a secret that is no longer configured.
const UNREADABLE: &str = "<unreadable>";

/// The place of a message in the list: the next page starts after it.
pub type MessagePlace = (Time, MessageId);

/// A page of messages.
#[derive(Debug)]
pub struct ListedMessages {
    /// The messages.
    pub messages: Vec<Value>,
    /// Where the next page starts, when there is one.
    pub next: Option<MessagePlace>,
}

/// Messages, newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn list_messages(
    app: &App,
    filter: &MessageFilter,
    after: Option<MessagePlace>,
    limit: u32,
) -> Result<ListedMessages, Refused> {
    // Nobody's address has a zero character in it, and PostgreSQL cannot be asked for one.
    if filter.recipient.as_deref().is_some_and(|recipient| recipient.contains('\0')) {
        return Ok(ListedMessages { messages: Vec::new(), next: None });
    }
    let mut rows = app.store.list_messages(filter, after, limit.saturating_add(1)).await.map_err(storage_problem)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|last| (last.created_at, last.id));
    Ok(ListedMessages { messages: rows.iter().map(|row| form(app, row, None)).collect(), next })
}

/// One message with its attempts, newest first.
///
/// # Errors
/// When there is none.
pub async fn get_message(app: &App, id: MessageId) -> Result<Value, Refused> {
    let row = app.store.find_message(id).await.map_err(storage_problem)?.ok_or(Problem::NotFound { reason: None })?;
    let dispatches = app.store.list_dispatches(id).await.map_err(storage_problem)?;
    Ok(form(app, &row, Some(&dispatches)))
}

fn form(app: &App, row: &OutboxRow, dispatches: Option<&[DispatchRow]>) -> Value {
    let (body, subject) = if app.config.dev {
        let unreadable = || (UNREADABLE.to_owned(), UNREADABLE.to_owned());
        open(app, row).map_or_else(|_| unreadable(), |content| (content.body, content.subject))
    } else {
        (REDACTED.to_owned(), REDACTED.to_owned())
    };
    let mut form = json!({
        "id": row.id,
        "status": row.status.as_str(),
        "type": row.via.as_str(),
        "recipient": row.recipient,
        "body": body,
        "subject": subject,
        "template_type": row.template_type,
        "channel": row.channel,
        "send_count": row.send_count,
    });
    if let Some(dispatches) = dispatches {
        form["dispatches"] = dispatches.iter().map(dispatch_form).collect();
    }
    form["created_at"] = json!(row.created_at);
    form["updated_at"] = json!(row.updated_at);
    form
}

fn dispatch_form(dispatch: &DispatchRow) -> Value {
    let error: Option<Value> = dispatch.error.as_deref().and_then(|error| serde_json::from_str(error).ok());
    json!({
        "id": dispatch.id,
        "message_id": dispatch.message_id,
        "status": dispatch.status.as_str(),
        "error": error,
        "created_at": dispatch.created_at,
        "updated_at": dispatch.updated_at,
    })
}
