//! Delivers what is due: takes messages on a lease, counts each attempt before it is made, and records how it ended.
//! The binary calls it again and again, tests call it with an instant of their own; any number of nodes may do so at once.
//! Nobody is sent a message twice while a lease is alive, and none is lost when a worker dies: its lease ends.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use keyward_config::EmailChannel;
use keyward_model::{Span, Time, Via};
use keyward_store::{Batch, DispatchRow, DispatchStatus, OutboxRow, Refusal, StoreError};
use serde_json::json;

use super::{Content, http, is_recipient, open, smtp};
use crate::App;

/// How long a message belongs to a worker; longer than any attempt.
const LEASE: Span = Span::seconds(90);
/// The longest attempt.
const PATIENCE: Duration = Duration::from_secs(60);
/// Attempts at the same time.
const ABREAST: usize = 4;
/// The wait after the first failed attempt; each further one is three times as long.
const FIRST_WAIT: Span = Span::seconds(5);
const LONGEST_WAIT: Span = Span::hours(1);

/// What one look into the outbox led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Messages that were taken.
    pub taken: usize,
    /// Messages that were handed over.
    pub sent: usize,
    /// Attempts that failed and will be made again.
    pub failed: usize,
    /// Messages that were given up.
    pub abandoned: usize,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// Where; may be logged.
    step: &'static str,
    /// The server's number; may be logged.
    status: Option<String>,
    /// For the operator who looks at the message: may hold the server's own words.
    reason: String,
    /// The server says that it will never be otherwise.
    permanent: bool,
    /// There is no use in trying again.
    is_final: bool,
}

impl Failure {
    /// The next attempt may succeed.
    pub(super) fn later(step: &'static str, reason: impl Into<String>) -> Self {
        Self { step, status: None, reason: reason.into(), permanent: false, is_final: false }
    }

    /// No attempt will ever succeed.
    pub(super) fn never(step: &'static str, reason: impl Into<String>) -> Self {
        Self { is_final: true, ..Self::later(step, reason) }
    }

    pub(super) fn with_status(self, status: Option<String>, permanent: bool) -> Self {
        Self { status, permanent, ..self }
    }

    /// With a sentence of ours instead of the server's words.
    pub(super) fn without_words(self, reason: &str) -> Self {
        Self { reason: reason.to_owned(), ..self }
    }

    /// What the server refuses for good here, it refuses because of this very message.
    pub(super) fn final_when_permanent(self) -> Self {
        Self { is_final: self.permanent, ..self }
    }

    fn json(&self) -> String {
        json!({ "message": self.reason, "step": self.step, "status": self.status }).to_string()
    }
}

/// Delivers up to `courier.worker.pull_count` messages that are due at `now`. Without a channel nothing is touched.
///
/// # Errors
/// When the database does not answer; what was taken is due again when its lease ends.
pub async fn deliver_due(app: &App, now: Time) -> Result<Round, StoreError> {
    deliver_due_until(app, now, || false).await
}

/// As [`deliver_due`]; once `stopping` says so no further attempt begins, and what was taken for one is given back.
///
/// # Errors
/// As [`deliver_due`].
pub async fn deliver_due_until(app: &App, now: Time, stopping: impl Fn() -> bool + Sync) -> Result<Round, StoreError> {
    let courier = &app.config.courier;
    let except = match (&courier.email, &courier.sms) {
        (None, None) => return Ok(Round::default()),
        (Some(_), Some(_)) => None,
        (Some(_), None) => Some(Via::Sms),
        (None, Some(_)) => Some(Via::Email),
    };
    let taken = app.store.claim_messages(now, now + LEASE, except, courier.pull_count).await?;
    let mut round = Round { taken: taken.len(), ..Round::default() };
    let stopping = &stopping;
    let mut attempts = stream::iter(taken).map(|row| deliver(app, row, now, stopping)).buffer_unordered(ABREAST);
    let mut outcome = Ok(());
    // One message that cannot be written does not keep the others from being delivered.
    while let Some(ended) = attempts.next().await {
        match ended {
            Ok(Ended::Sent) => round.sent += 1,
            Ok(Ended::Failed) => round.failed += 1,
            Ok(Ended::Abandoned) => round.abandoned += 1,
            Ok(Ended::Untouched) => {}
            Err(error) => outcome = Err(error),
        }
    }
    drop(attempts);
    outcome.map(|()| round)
}

enum Ended {
    Sent,
    Failed,
    Abandoned,
    /// Somebody else has it by now, or it was given back.
    Untouched,
}

async fn deliver(app: &App, row: OutboxRow, now: Time, stopping: &(impl Fn() -> bool + Sync)) -> Result<Ended, StoreError> {
    let Some(lease) = row.due_at else { return Ok(Ended::Untouched) };
    let present = || app.now().max(now);
    let retries = app.config.courier.message_retries;
    let mut batch = Batch::new();
    if stopping() {
        batch.retry_message(row.id, lease, now, now);
        app.store.commit(batch).await?;
        return Ok(Ended::Untouched);
    }
    if row.send_count > retries {
        // The worker that made the last attempt did not live to say how it ended.
        batch.abandon_message(row.id, lease, present());
        app.store.commit(batch).await?;
        return Ok(abandoned(app, &row));
    }
    let started = present();
    let attempt_lease = started + LEASE;
    batch.begin_delivery(row.id, lease, attempt_lease, started);
    match app.store.commit(batch).await {
        Ok(()) => {}
        Err(StoreError::Refused(Refusal::Gone)) => return Ok(Ended::Untouched),
        Err(error) => return Err(error),
    }
    let outcome = tokio::time::timeout(PATIENCE, attempt(app, &row, started)).await;
    let outcome = outcome.unwrap_or_else(|_| Err(Failure::later("attempt", "it took too long")));
    finish(app, &row, attempt_lease, outcome, present()).await
}

async fn attempt(app: &App, row: &OutboxRow, now: Time) -> Result<(), Failure> {
    // Also what was queued by another version, or put there by other means.
    if !is_recipient(row.via, &row.recipient) {
        return Err(Failure::never("recipient", "the recipient is no well-formed address"));
    }
    let content: Content = open(app, row).map_err(|error| Failure::later("open", error.to_string()))?;
    let valid_for = content.template_data["expires_in_minutes"].as_i64().filter(|minutes| *minutes > 0);
    if valid_for.is_some_and(|minutes| row.created_at + Span::minutes(minutes) <= now) {
        return Err(Failure::never("expired", "what the message says is not valid any more"));
    }
    let courier = &app.config.courier;
    match (row.via, &courier.email, &courier.sms) {
        (Via::Email, Some(EmailChannel::Smtp(server)), _) => smtp::deliver(app, server, row, &content).await,
        (Via::Email, Some(EmailChannel::Http(gateway)), _) | (Via::Sms, _, Some(gateway)) => {
            http::deliver(app, gateway, row, &content, now).await
        }
        _ => Err(Failure::later("channel", "no channel is configured for this message")),
    }
}

async fn finish(app: &App, row: &OutboxRow, lease: Time, outcome: Result<(), Failure>, now: Time) -> Result<Ended, StoreError> {
    let attempts = row.send_count + 1;
    let mut batch = Batch::new();
    let mut dispatch = DispatchRow {
        id: app.random().id(),
        message_id: row.id,
        status: DispatchStatus::Success,
        error: None,
        created_at: now,
        updated_at: now,
    };
    let Err(failure) = outcome else {
        batch.message_sent(row.id, now);
        batch.insert_dispatch(&dispatch);
        app.store.commit(batch).await?;
        app.messages.sent(row.via);
        return Ok(Ended::Sent);
    };
    dispatch.status = DispatchStatus::Failed;
    dispatch.error = Some(failure.json());
    let give_up = failure.is_final || attempts > app.config.courier.message_retries;
    if give_up {
        batch.abandon_message(row.id, lease, now);
    } else {
        batch.retry_message(row.id, lease, now + wait(attempts), now);
    }
    batch.insert_dispatch(&dispatch);
    app.store.commit(batch).await?;
    app.messages.failed(row.via);
    // Neither the address nor the server's words: those stand in the outbox.
    tracing::warn!(
        message = %row.id, template = row.template_type, attempts, step = failure.step, status = failure.status,
        "A message could not be delivered"
    );
    Ok(if give_up { abandoned(app, row) } else { Ended::Failed })
}

fn abandoned(app: &App, row: &OutboxRow) -> Ended {
    app.messages.abandoned(row.via);
    tracing::error!(message = %row.id, template = row.template_type, "A message was given up");
    Ended::Abandoned
}

/// The wait after so many failed attempts.
fn wait(attempts: i64) -> Span {
    let times = u32::try_from(attempts.saturating_sub(1)).ok().and_then(|doublings| 3_i64.checked_pow(doublings));
    let micros = times.and_then(|times| FIRST_WAIT.micros().checked_mul(times));
    micros.map_or(LONGEST_WAIT, Span::from_micros).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_an_hour() {
        for (attempts, seconds) in [(1, 5), (2, 15), (3, 45), (4, 135), (5, 405), (7, 3_600), (1_000, 3_600), (i64::MAX, 3_600)] {
            assert_eq!(wait(attempts), Span::seconds(seconds), "{attempts}");
        }
    }
}
