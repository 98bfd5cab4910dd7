//! Batches on PostgreSQL: BEGIN and every statement in one round trip, then the row counts decide between COMMIT and ROLLBACK.
//! A guard that matches no row is no error to the server, so a COMMIT sent along would commit past it.
//! A connection whose state is in doubt is closed, never reused.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use futures_util::TryStreamExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_postgres::Error;

use super::connection::{Connection, Dialer};
use super::{ANSWER_TIMEOUT, TURN_TIMEOUT, failure, values, wants_retry};
use crate::batch::Batch;
use crate::faults::FAULT;
use crate::{Outage, Param, Sql, StoreError};

/// A failed attempt, and whether it surely left no trace and is worth repeating.
pub(super) struct Failure {
    pub(super) error: StoreError,
    pub(super) retry: bool,
}

impl Failure {
    const fn last(error: StoreError) -> Self {
        Self { error, retry: false }
    }

    /// Of an error that happened before anything could be committed.
    fn before_commit(error: &Error, statement: &'static str) -> Self {
        let translated = failure(error, statement);
        Self { retry: wants_retry(error) || translated.is_unreachable(), error: translated }
    }
}

/// Exclusive connections.
#[derive(Clone)]
pub(super) struct Pool {
    dialer: Arc<Dialer>,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(dialer: Arc<Dialer>, size: usize) -> Self {
        Self { dialer, idle: Arc::default(), permits: Arc::new(Semaphore::new(size)) }
    }

    /// One attempt at a batch.
    pub(super) async fn transact(&self, batch: &Batch, fault: Option<usize>) -> Result<Vec<u64>, Failure> {
        let _turn = self.turn().await?;
        let connection = self.take().await?;
        // On any early return `connection` is dropped, which ends the session and with it the transaction.
        let attempt = timeout(ANSWER_TIMEOUT, statements(&connection, batch, fault))
            .await
            .unwrap_or_else(|_| Err(Failure::last(StoreError::outage(Outage::Unreachable("no answer".into())))));
        match attempt {
            Ok(touched) => match timeout(ANSWER_TIMEOUT, connection.client.batch_execute("COMMIT")).await {
                Ok(Ok(())) => {
                    self.give_back(connection);
                    Ok(touched)
                }
                // The server said that it did not commit.
                Ok(Err(error)) if error.as_db_error().is_some() && !failure(&error, "COMMIT").is_unreachable() => {
                    Err(Failure { retry: wants_retry(&error), error: failure(&error, "COMMIT") })
                }
                _ => Err(Failure::last(StoreError::outage(Outage::Unknown))),
            },
            Err(refused) => {
                if !refused.error.is_unreachable()
                    && let Ok(Ok(())) = timeout(ANSWER_TIMEOUT, connection.client.batch_execute("ROLLBACK")).await
                {
                    self.give_back(connection);
                }
                Err(refused)
            }
        }
    }

    /// One attempt at a statement that commits by itself and returns rows.
    pub(super) async fn returning(&self, sql: &'static Sql, params: &[Param]) -> Result<Vec<tokio_postgres::Row>, Failure> {
        let _turn = self.turn().await?;
        let connection = self.take().await?;
        let statement = connection.statement(sql).await.map_err(|error| Failure::before_commit(&error, sql.name))?;
        let work = async {
            let rows = connection.client.query_raw(&statement, values(params)).await?;
            rows.try_collect::<Vec<_>>().await
        };
        match timeout(ANSWER_TIMEOUT, work).await {
            Ok(Ok(rows)) => {
                self.give_back(connection);
                Ok(rows)
            }
            Ok(Err(error)) => match failure(&error, sql.name) {
                // Without an answer the statement may have been committed.
                StoreError::Unavailable(Outage::Unreachable(_)) => Err(Failure::last(StoreError::outage(Outage::Unknown))),
                translated => Err(Failure { retry: wants_retry(&error), error: translated }),
            },
            Err(_) => Err(Failure::last(StoreError::outage(Outage::Unknown))),
        }
    }

    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Failure> {
        match timeout(TURN_TIMEOUT, self.permits.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Failure::last(StoreError::outage(Outage::Busy))),
        }
    }

    async fn take(&self) -> Result<Connection, Failure> {
        while let Some(connection) = self.idle().pop() {
            if !connection.client.is_closed() {
                return Ok(connection);
            }
        }
        self.dialer.connect().await.map_err(Failure::last)
    }

    fn give_back(&self, connection: Connection) {
        self.idle().push(connection);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends BEGIN and all statements, then reads and judges the answers in order.
async fn statements(connection: &Connection, batch: &Batch, fault: Option<usize>) -> Result<Vec<u64>, Failure> {
    let mut prepared = Vec::with_capacity(batch.len());
    for step in &batch.steps {
        let statement = connection.statement(step.sql).await;
        prepared.push(statement.map_err(|error| Failure::before_commit(&error, step.sql.name))?);
    }
    let client = &connection.client;
    let mut sent: Vec<Sent<'_>> = Vec::with_capacity(batch.len() + 2);
    let plain = |text: &'static str| -> Answer<'_> { Box::pin(async move { client.batch_execute(text).await.map(|()| 0) }) };
    sent.push(Sent::new("BEGIN", plain("BEGIN")));
    for (place, (step, statement)) in batch.steps.iter().zip(&prepared).enumerate() {
        if fault == Some(place) {
            sent.push(Sent::new(FAULT.name, plain(FAULT.text)));
        }
        sent.push(Sent::new(step.sql.name, Box::pin(client.execute_raw(statement, values(&step.params)))));
    }
    if fault == Some(batch.len()) {
        sent.push(Sent::new(FAULT.name, plain(FAULT.text)));
    }
    in_order(&mut sent).await;

    let mut steps = batch.steps.iter();
    let mut touched = Vec::with_capacity(batch.len());
    for Sent { statement, answer, .. } in sent {
        let rows = match answer {
            Some(Ok(rows)) => rows,
            Some(Err(error)) => return Err(Failure::before_commit(&error, statement)),
            None => return Err(Failure::last(StoreError::outage(Outage::Unreachable("no answer".into())))),
        };
        if statement != "BEGIN"
            && let Some(step) = steps.next()
        {
            step.expect.check(rows).map_err(|refusal| Failure::last(StoreError::Refused(refusal)))?;
            touched.push(rows);
        }
    }
    Ok(touched)
}

type Answer<'c> = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 'c>>;

struct Sent<'c> {
    statement: &'static str,
    pending: Answer<'c>,
    answer: Option<Result<u64, Error>>,
}

impl<'c> Sent<'c> {
    const fn new(statement: &'static str, pending: Answer<'c>) -> Self {
        Self { statement, pending, answer: None }
    }
}

/// Polls in order until all are answered. A request leaves with its future's first poll, so this order is the order on the
/// wire; general joiners promise none.
async fn in_order(sent: &mut [Sent<'_>]) {
    poll_fn(|cx| {
        let mut waiting = false;
        for one in sent.iter_mut().filter(|one| one.answer.is_none()) {
            match one.pending.as_mut().poll(cx) {
                Poll::Ready(answer) => one.answer = Some(answer),
                Poll::Pending => waiting = true,
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}
