//! The PostgreSQL engine: two shared, pipelined connections for reads and a small pool of exclusive ones for batches.
//! `Store` sends reads and batches here.
//! Knows statements and parameters, no tables.

mod connection;
mod tls;
mod transaction;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::batch::Batch;
use crate::dsn::PostgresServer;
use crate::{FromRow, Outage, Param, Params, Refusal, Row, Sql, StoreError, UniqueConflict};
use connection::{Connection, Dialer, SharedConnection};
use transaction::{Failure, Pool};

/// Two shared connections measured best: one leaves a core idle, four lose packets' worth of batching.
const SHARED: usize = 2;
/// Reads in flight on one shared connection; its own queue has no bound.
const IN_FLIGHT: usize = 256;
/// How long a call waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// A little above the server's own statement timeout, for connections that died silently.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);
const ATTEMPTS: u32 = 6;

pub(crate) struct Postgres {
    shared: Vec<(SharedConnection, Semaphore)>,
    next: AtomicUsize,
    pool: Pool,
    dialer: Arc<Dialer>,
}

impl Postgres {
    /// Prepares for connecting; the server may still be down.
    pub(crate) fn new(server: PostgresServer) -> Result<Self, StoreError> {
        let tls = tls::connector(server.verify, server.root_certificates.as_deref())?;
        let dialer = Arc::new(Dialer::new(server.config, tls));
        Ok(Self {
            shared: (0..SHARED).map(|_| (SharedConnection::new(Arc::clone(&dialer)), Semaphore::new(IN_FLIGHT))).collect(),
            next: AtomicUsize::new(0),
            pool: Pool::new(Arc::clone(&dialer), server.connections),
            dialer,
        })
    }

    /// All rows of a read. Runs once more on a fresh connection when the first one broke.
    pub(crate) async fn rows<T: FromRow>(&self, sql: &'static Sql, params: &[Param]) -> Result<Vec<T>, StoreError> {
        let (shared, permits) = &self.shared[self.next.fetch_add(1, Ordering::Relaxed) % SHARED];
        let Ok(Ok(_turn)) = timeout(TURN_TIMEOUT, permits.acquire()).await else {
            return Err(StoreError::outage(Outage::Busy));
        };
        let mut last = None;
        for _ in 0..2 {
            let connection = shared.get().await?;
            match answered(query(&connection, sql, params)).await {
                Err(error) if error.is_unreachable() => {
                    shared.forget(&connection);
                    last = Some(error);
                }
                outcome => return outcome,
            }
        }
        Err(last.unwrap_or(StoreError::outage(Outage::Busy)))
    }

    /// Runs a batch; yields the rows that each statement touched. Dropping the future does not stop it half-way.
    pub(crate) async fn commit(&self, batch: Batch, fault: Option<usize>) -> Result<Vec<u64>, StoreError> {
        let pool = self.pool.clone();
        // A task of its own: the caller's connection may close at any time, and a batch whose guards held should end in COMMIT.
        let task = tokio::spawn(async move {
            let mut retry = Retry::new();
            let mut fault = fault;
            loop {
                match pool.transact(&batch, fault.take()).await {
                    Ok(touched) => return Ok(touched),
                    Err(Failure { error, retry: true }) => retry.after(error).await?,
                    Err(Failure { error, .. }) => return Err(error),
                }
            }
        });
        task.await.unwrap_or_else(|_| Err(StoreError::outage(Outage::Unknown)))
    }

    /// Runs one writing statement that returns rows, committed by itself.
    pub(crate) async fn returning<T: FromRow + Send + 'static>(
        &self,
        sql: &'static Sql,
        params: Params,
    ) -> Result<Vec<T>, StoreError> {
        let mut retry = Retry::new();
        loop {
            match self.pool.returning(sql, &params).await {
                Ok(rows) => return rows.iter().map(|row| T::from_row(&Row::postgres(row, sql.name))).collect(),
                Err(Failure { error, retry: true }) => retry.after(error).await?,
                Err(Failure { error, .. }) => return Err(error),
            }
        }
    }

    /// A connection of its own without a statement timeout, for migrations.
    pub(crate) async fn dedicated(&self) -> Result<tokio_postgres::Client, StoreError> {
        let connection = self.dialer.connect().await?;
        connection.client.batch_execute("SET statement_timeout = 0").await.map_err(|error| failure(&error, "open"))?;
        Ok(connection.client)
    }

    /// Lets the engine parse a statement and compares its parameter count.
    pub(crate) async fn prepare(&self, sql: &'static Sql, params: usize) -> Result<(), StoreError> {
        let connection = self.shared[0].0.get().await?;
        let statement = connection.statement(sql).await.map_err(|error| failure(&error, sql.name))?;
        if statement.params().len() == params {
            Ok(())
        } else {
            Err(StoreError::Rejected { statement: sql.name, reason: "parameter count differs".into() })
        }
    }
}

/// Counts attempts and spaces them out. The delays differ per attempt, which is enough to part two rivals.
struct Retry(u32);

impl Retry {
    const fn new() -> Self {
        Self(0)
    }

    async fn after(&mut self, error: StoreError) -> Result<(), StoreError> {
        self.0 += 1;
        if self.0 >= ATTEMPTS {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(2 << self.0)).await;
        Ok(())
    }
}

async fn answered<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let silent = |_| Err(StoreError::outage(Outage::Unreachable("no answer".into())));
    timeout(ANSWER_TIMEOUT, work).await.unwrap_or_else(silent)
}

async fn query<T: FromRow>(connection: &Connection, sql: &'static Sql, params: &[Param]) -> Result<Vec<T>, StoreError> {
    let fail = |error: tokio_postgres::Error| failure(&error, sql.name);
    let statement = connection.statement(sql).await.map_err(fail)?;
    let rows = connection.client.query_raw(&statement, values(params)).await.map_err(fail)?;
    let mut rows = std::pin::pin!(rows);
    let mut all = Vec::new();
    while let Some(row) = rows.try_next().await.map_err(fail)? {
        all.push(T::from_row(&Row::postgres(&row, sql.name))?);
    }
    Ok(all)
}

/// Parameters in the form that the client wants.
fn values(params: &[Param]) -> impl ExactSizeIterator<Item = &(dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync))
}

impl ToSql for Param {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        fn whole(number: i64, ty: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
            match *ty {
                Type::INT8 => number.to_sql(ty, out),
                Type::INT4 => i32::try_from(number)?.to_sql(ty, out),
                _ => Err(format!("a whole number for {ty}").into()),
            }
        }
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Bool(value), &Type::BOOL) => value.to_sql(ty, out),
            (Self::I64(value), _) => whole(*value, ty, out),
            (Self::Time(value), _) => whole(value.micros(), ty, out),
            (Self::Text(value), &Type::TEXT | &Type::VARCHAR) => value.to_sql(ty, out),
            (Self::Bytes(value), &Type::BYTEA) => value.to_sql(ty, out),
            (Self::Uuid(value), &Type::UUID) => value.to_sql(ty, out),
            _ => Err(format!("{self:?} for {ty}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl StoreError {
    fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unavailable(Outage::Unreachable(_)))
    }
}

/// Translates an engine error. Only the code is kept, and the message where it can only speak of the statement's text:
/// others repeat values.
fn failure(error: &tokio_postgres::Error, statement: &'static str) -> StoreError {
    let Some(answer) = error.as_db_error() else {
        // A parameter that does not fit its place is a defect; everything else without a code is the connection.
        let text = error.to_string();
        return if ["error serializing", "expected", "invalid column"].iter().any(|start| text.starts_with(start)) {
            StoreError::Rejected { statement, reason: text }
        } else {
            StoreError::outage(Outage::Unreachable(text))
        };
    };
    let code = answer.code().code();
    match code {
        "23505" => {
            let (table, constraint) = (answer.table().unwrap_or(""), answer.constraint().unwrap_or(""));
            StoreError::Unique(UniqueConflict::of(table, constraint))
        }
        "23503" => StoreError::Refused(Refusal::Gone),
        "40001" | "40P01" | "55P03" | "57014" => StoreError::outage(Outage::Busy),
        _ => match &code[..2.min(code.len())] {
            "08" | "57" | "28" | "3D" => StoreError::outage(Outage::Unreachable(format!("SQLSTATE {code}"))),
            "53" | "58" | "25" => StoreError::outage(Outage::Storage(format!("SQLSTATE {code}"))),
            "42" => StoreError::Rejected { statement, reason: format!("SQLSTATE {code}: {}", answer.message()) },
            _ => StoreError::Rejected { statement, reason: format!("SQLSTATE {code}") },
        },
    }
}

/// Whether the server asks to run the transaction again.
fn wants_retry(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| matches!(code.code(), "40001" | "40P01"))
}
