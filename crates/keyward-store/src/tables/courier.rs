//! The outbox: messages that wait, are being delivered or are over, and one row for each attempt.
//! `services::courier` queues messages in the batch of whatever causes them, and its worker leases and finishes them.
//! Content arrives sealed; when to try again and when to give up is for the worker to say.

use keyward_model::{DispatchId, MessageId, Time, Via};
use uuid::Uuid;

use crate::sql::declare;
use crate::{Batch, Expect, FromRow, Refusal, Row, Store, StoreError, params};

macro_rules! message_columns {
    () => {
        "id, status, type, recipient, template_type, channel, content, send_count, due_at, created_at, updated_at"
    };
}

/// `$1`, `$2` the place after which the page starts; further placeholders in the condition.
macro_rules! page {
    ($condition:literal, $limit:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            " FROM courier_messages WHERE (created_at, id) < ($1, $2)",
            $condition,
            " ORDER BY created_at DESC, id DESC LIMIT ",
            $limit
        )
    };
}

declare! { "courier";
    INSERT = concat!("INSERT INTO courier_messages (", message_columns!(), ") \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
    FIND = concat!("SELECT ", message_columns!(), " FROM courier_messages WHERE id = $1");
    PAGE = page!("", "$3");
    PAGE_OF_STATUS = page!(" AND status = $3", "$4");
    PAGE_OF_RECIPIENT = page!(" AND recipient = $3", "$4");
    PAGE_OF_BOTH = page!(" AND status = $3 AND recipient = $4", "$5");
    /// The condition stands twice: a worker that waited for another one's lock looks at the row again and finds the new lease.
    CLAIM = concat!("UPDATE courier_messages SET status = 'processing', due_at = $1, updated_at = $2 WHERE id IN \
        (SELECT id FROM courier_messages WHERE due_at <= $2 AND channel <> $3 ORDER BY due_at, id LIMIT $4) AND due_at <= $2 \
        RETURNING ", message_columns!());
    BEGIN = "UPDATE courier_messages SET send_count = send_count + 1, due_at = $1, updated_at = $2 \
        WHERE id = $3 AND status = 'processing' AND due_at = $4";
    /// Whoever holds the lease by now: a message that is out must not go out again.
    SENT = "UPDATE courier_messages SET status = 'sent', due_at = NULL, finished_at = $1, updated_at = $1 \
        WHERE id = $2 AND due_at IS NOT NULL";
    RETRY = "UPDATE courier_messages SET status = 'queued', due_at = $1, updated_at = $2 \
        WHERE id = $3 AND status = 'processing' AND due_at = $4";
    ABANDON = "UPDATE courier_messages SET status = 'abandoned', due_at = NULL, finished_at = $1, updated_at = $1 \
        WHERE id = $2 AND status = 'processing' AND due_at = $3";
    INSERT_DISPATCH = "INSERT INTO courier_dispatches (id, message_id, status, error, created_at, updated_at) \
        VALUES ($1, $2, $3, $4, $5, $5)";
    DISPATCHES = "SELECT id, message_id, status, error, created_at, updated_at FROM courier_dispatches \
        WHERE message_id = $1 ORDER BY created_at DESC, id DESC";
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageStatus {
    /// It waits for its first or next attempt.
    Queued,
    /// A worker has it on lease.
    Processing,
    /// It was handed over.
    Sent,
    /// It was given up.
    Abandoned,
}

impl MessageStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Processing, Self::Sent, Self::Abandoned];

    /// The wire's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Sent => "sent",
            Self::Abandoned => "abandoned",
        }
    }

    /// Reads the wire's word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A message as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its id.
    pub id: MessageId,
    /// How far it has come.
    pub status: MessageStatus,
    /// Mail or text message.
    pub via: Via,
    /// Whom it is for.
    pub recipient: String,
    /// What it is about, such as `recovery_code_valid`.
    pub template_type: String,
    /// The channel that delivers it.
    pub channel: String,
    /// What it says, sealed.
    pub content: Vec<u8>,
    /// Attempts so far, the one under way included.
    pub send_count: i64,
    /// When a worker may take it; `None` once it is over.
    pub due_at: Option<Time>,
    /// When it was queued.
    pub created_at: Time,
    /// When it was last touched.
    pub updated_at: Time,
}

impl std::fmt::Debug for OutboxRow {
    // The recipient is personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutboxRow({} {} {} {})", self.template_type, self.id, self.status.as_str(), self.send_count)
    }
}

impl FromRow for OutboxRow {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            status: row.word(1, MessageStatus::parse)?,
            via: row.word(2, Via::parse)?,
            recipient: row.get(3)?,
            template_type: row.get(4)?,
            channel: row.get(5)?,
            content: row.get(6)?,
            send_count: row.get(7)?,
            due_at: row.get(8)?,
            created_at: row.get(9)?,
            updated_at: row.get(10)?,
        })
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DispatchStatus {
    /// The message was handed over.
    Success,
    /// It was not.
    Failed,
}

impl DispatchStatus {
    /// The wire's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    /// Reads the wire's word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Success, Self::Failed].into_iter().find(|status| status.as_str() == text)
    }
}

/// An attempt that ended. Rows never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispatchRow {
    /// Its id.
    pub id: DispatchId,
    /// The message.
    pub message_id: MessageId,
    /// How it ended.
    pub status: DispatchStatus,
    /// Why it failed, as JSON.
    pub error: Option<String>,
    /// When it ended.
    pub created_at: Time,
    /// The same.
    pub updated_at: Time,
}

impl FromRow for DispatchRow {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            message_id: row.get(1)?,
            status: row.word(2, DispatchStatus::parse)?,
            error: row.get(3)?,
            created_at: row.get(4)?,
            updated_at: row.get(5)?,
        })
    }
}

/// Which messages a list is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Only those that have come so far.
    pub status: Option<MessageStatus>,
    /// Only those for exactly this address.
    pub recipient: Option<String>,
}

impl Store {
    /// Takes up to `limit` messages that are due, the longest waiting first, on a lease that ends at `lease_end`: until then no
    /// other worker gets them. Who did not finish one by then has lost it to whoever asks next. Those of the channel `except` stay.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn claim_messages(
        &self,
        now: Time,
        lease_end: Time,
        except: Option<Via>,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let except = except.map_or("", Via::as_str);
        let mut claimed = self.returning::<OutboxRow>(&CLAIM, params![lease_end, now, except, i64::from(limit)]).await?;
        claimed.sort_by_key(|row| (row.created_at, row.id));
        Ok(claimed)
    }

    /// The message with this id.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_message(&self, id: MessageId) -> Result<Option<OutboxRow>, StoreError> {
        self.one(&FIND, params![id]).await
    }

    /// Messages, newest first, after the given place.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn list_messages(
        &self,
        filter: &MessageFilter,
        after: Option<(Time, MessageId)>,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let (created_at, id) = after.unwrap_or((Time::from_micros(i64::MAX), MessageId(Uuid::max())));
        let (mut values, limit) = (params![created_at, id], i64::from(limit));
        let sql = match (filter.status, filter.recipient.as_deref()) {
            (None, None) => {
                values.extend(params![limit]);
                &PAGE
            }
            (Some(status), None) => {
                values.extend(params![status.as_str(), limit]);
                &PAGE_OF_STATUS
            }
            (None, Some(recipient)) => {
                values.extend(params![recipient, limit]);
                &PAGE_OF_RECIPIENT
            }
            (Some(status), Some(recipient)) => {
                values.extend(params![status.as_str(), recipient, limit]);
                &PAGE_OF_BOTH
            }
        };
        self.many(sql, values).await
    }

    /// The attempts of a message, newest first.
    ///
    /// # Errors
    /// As [`Store::few`].
    pub async fn list_dispatches(&self, message: MessageId) -> Result<Vec<DispatchRow>, StoreError> {
        self.few(&DISPATCHES, params![message]).await
    }
}

impl Batch {
    /// Queues a message.
    pub fn insert_message(&mut self, message: &OutboxRow) {
        let values = params![
            message.id,
            message.status.as_str(),
            message.via.as_str(),
            &message.recipient,
            &message.template_type,
            &message.channel,
            message.content.as_slice(),
            message.send_count,
            message.due_at,
            message.created_at,
            message.updated_at,
        ];
        self.push(&INSERT, values, Expect::Rows(1, Refusal::Gone));
    }

    /// Counts an attempt before it is made, and renews the lease that ended at `lease`. Refused with [`Refusal::Gone`] when
    /// another worker took the message meanwhile.
    pub fn begin_delivery(&mut self, id: MessageId, lease: Time, new_lease: Time, now: Time) {
        self.push(&BEGIN, params![new_lease, now, id, lease], Expect::Rows(1, Refusal::Gone));
    }

    /// Records that a message was handed over, whoever holds the lease by now.
    pub fn message_sent(&mut self, id: MessageId, now: Time) {
        self.push(&SENT, params![now, id], Expect::Any);
    }

    /// Puts a message back until `due_at`, unless another worker took it meanwhile.
    pub fn retry_message(&mut self, id: MessageId, lease: Time, due_at: Time, now: Time) {
        self.push(&RETRY, params![due_at, now, id, lease], Expect::Any);
    }

    /// Gives a message up, unless another worker took it meanwhile.
    pub fn abandon_message(&mut self, id: MessageId, lease: Time, now: Time) {
        self.push(&ABANDON, params![now, id, lease], Expect::Any);
    }

    /// Adds an attempt that ended.
    pub fn insert_dispatch(&mut self, dispatch: &DispatchRow) {
        let values =
            params![dispatch.id, dispatch.message_id, dispatch.status.as_str(), dispatch.error.as_deref(), dispatch.created_at,];
        self.push(&INSERT_DISPATCH, values, Expect::Rows(1, Refusal::Gone));
    }
}
