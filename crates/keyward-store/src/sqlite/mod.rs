//! The embedded engine: a few read connections that are called in place, and one thread that writes.
//! `Store` sends point reads, list reads and batches here.
//! Knows statements and parameters, no tables.

mod keeper;
mod writer;

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use crate::batch::{Batch, Step};
use crate::dsn::SqliteFile;
use crate::faults::FAULT;
use crate::{FromRow, Outage, Param, Params, Refusal, Row, Sql, StoreError, UniqueConflict};
use keeper::Keeper;
use writer::Writer;

/// Enough for every statement of the program, so that none is parsed twice.
const PREPARED_STATEMENTS: usize = 256;
/// A reader waits only for a file lock that another process holds; a long wait would stall an async worker.
const READER_BUSY_TIMEOUT: Duration = Duration::from_millis(250);

pub(crate) struct Sqlite {
    writer: Writer,
    /// Point reads, called in place: a hop to another thread costs more than the lookup.
    points: Readers,
    /// Reads of many rows, called from the blocking pool, so that they never hold up point reads.
    lists: Arc<Readers>,
}

impl Sqlite {
    pub(crate) fn memory() -> Result<Self, StoreError> {
        // One connection for everything: an in-memory database cannot use WAL, and a lock is simpler than retries.
        let connection = Connection::open_in_memory().map_err(|error| failure(&error, "open"))?;
        configure(&connection, Duration::ZERO)?;
        let shared = Arc::new(Mutex::new(connection));
        Ok(Self {
            points: Readers(vec![Arc::clone(&shared)]),
            lists: Arc::new(Readers(vec![Arc::clone(&shared)])),
            writer: Writer::start(shared, None)?,
        })
    }

    pub(crate) fn file(file: &SqliteFile) -> Result<Self, StoreError> {
        if file.create {
            create_private(&file.path)?;
        }
        let open = |busy_timeout| {
            // Each connection is guarded by a mutex, so SQLite's own is not needed.
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&file.path, flags).map_err(|error| failure(&error, "open"))?;
            configure(&connection, busy_timeout)?;
            Ok::<_, StoreError>(connection)
        };
        let shared = |busy_timeout| open(busy_timeout).map(|connection| Arc::new(Mutex::new(connection)));
        let writer = shared(file.busy_timeout)?;
        {
            let connection = lock(&writer);
            let mode: String = connection
                .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
                .map_err(|error| failure(&error, "open"))?;
            if mode != "wal" {
                return Err(StoreError::outage(Outage::Storage("the file system does not support WAL".into())));
            }
        }
        let readers = |count| (0..count).map(|_| shared(READER_BUSY_TIMEOUT)).collect::<Result<Vec<_>, _>>().map(Readers);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let (points, lists) = (readers(cores.clamp(2, 16))?, Arc::new(readers(2)?));
        let keeper = Keeper::new(open(Duration::ZERO)?);
        Ok(Self { points, lists, writer: Writer::start(writer, Some(keeper))? })
    }

    /// At most one row, read in place.
    pub(crate) fn one<T: FromRow>(&self, sql: &'static Sql, params: &[Param]) -> Result<Option<T>, StoreError> {
        self.points.with(|connection| {
            let mut found = None;
            query(connection, sql, params, |row| {
                found = Some(T::from_row(row)?);
                Ok(false)
            })?;
            Ok(found)
        })
    }

    /// All rows of a point read that spans a few rows, such as one identity with its credentials.
    pub(crate) fn few<T: FromRow>(&self, sql: &'static Sql, params: &[Param]) -> Result<Vec<T>, StoreError> {
        self.points.with(|connection| collect(connection, sql, params))
    }

    /// All rows of a read that may take long.
    pub(crate) async fn many<T: FromRow + Send + 'static>(
        &self,
        sql: &'static Sql,
        params: Params,
    ) -> Result<Vec<T>, StoreError> {
        let lists = Arc::clone(&self.lists);
        tokio::task::spawn_blocking(move || lists.with(|connection| collect(connection, sql, &params)))
            .await
            .unwrap_or_else(|_| Err(StoreError::outage(Outage::Unreachable("the reader stopped".into()))))
    }

    /// Runs a batch; yields the rows that each statement touched.
    pub(crate) async fn commit(&self, batch: Batch, fault: Option<usize>) -> Result<Vec<u64>, StoreError> {
        self.writer.run(move |connection| run_batch(connection, &batch, fault)).await
    }

    /// Runs one writing statement that returns rows.
    pub(crate) async fn returning<T: FromRow + Send + 'static>(
        &self,
        sql: &'static Sql,
        params: Params,
    ) -> Result<Vec<T>, StoreError> {
        self.writer.run(move |connection| collect(connection, sql, &params)).await
    }

    /// Runs plain work in its own savepoint of the writer, such as a migration.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(work).await
    }

    /// Lets the engine parse a statement, and compares the number and the order of its parameters.
    pub(crate) fn prepare(&self, sql: &'static Sql, params: usize) -> Result<(), StoreError> {
        self.points.with(|connection| {
            let statement = connection.prepare(sql.text).map_err(|error| failure(&error, sql.name))?;
            let refused = |reason: &str| Err(StoreError::Rejected { statement: sql.name, reason: reason.into() });
            if statement.parameter_count() != params {
                return refused("parameter count differs");
            }
            let in_order = |place: usize| statement.parameter_name(place) == Some(format!("${place}").as_str());
            if (1..=params).all(in_order) { Ok(()) } else { refused("parameters do not first appear in ascending order") }
        })
    }
}

struct Readers(Vec<Arc<Mutex<Connection>>>);

impl Readers {
    /// Uses the first free connection, starting at the calling thread's own, so that its caches stay warm.
    fn with<R>(&self, work: impl FnOnce(&Connection) -> R) -> R {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static HOME: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed)));
        let home = HOME.get();
        for step in 0..self.0.len() {
            if let Ok(connection) = self.0[(home + step) % self.0.len()].try_lock() {
                return work(&connection);
            }
        }
        work(&lock(&self.0[home % self.0.len()]))
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a missing database file readable by its owner only; SQLite gives its side files the same mode.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::outage(Outage::Storage(error.kind().to_string()))),
    }
}

fn configure(connection: &Connection, busy_timeout: Duration) -> Result<(), StoreError> {
    let settings = || {
        connection.busy_timeout(busy_timeout)?;
        // Without the plan stability guarantee, a database that was ever analysed parses a statement again on every call.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
        // The log is copied into the file every 32 MiB instead of every 4: ids are random, so many writers meet the same pages, and
        // an import writes a quarter less.
        connection.execute_batch(
            "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192; \
             PRAGMA mmap_size = 1073741824; PRAGMA wal_autocheckpoint = 8000; PRAGMA secure_delete = FAST;",
        )
    };
    settings().map_err(|error| failure(&error, "open"))
}

impl ToSql for Param {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Bool(value) => ValueRef::Integer(i64::from(*value)),
            Self::I64(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
            Self::Uuid(value) => ValueRef::Blob(value.as_bytes()),
            Self::Time(value) => ValueRef::Integer(value.micros()),
        }))
    }
}

/// Feeds rows to `take` until it answers false or they end.
fn query(
    connection: &Connection,
    sql: &'static Sql,
    params: &[Param],
    mut take: impl FnMut(&Row<'_>) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let fail = |error: rusqlite::Error| failure(&error, sql.name);
    let mut statement = connection.prepare_cached(sql.text).map_err(fail)?;
    bind(&mut statement, sql, params)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(fail)? {
        if !take(&Row::sqlite(row, sql.name))? {
            break;
        }
    }
    Ok(())
}

fn collect<T: FromRow>(connection: &Connection, sql: &'static Sql, params: &[Param]) -> Result<Vec<T>, StoreError> {
    let mut all = Vec::new();
    query(connection, sql, params, |row| {
        all.push(T::from_row(row)?);
        Ok(true)
    })?;
    Ok(all)
}

fn run_batch(connection: &Connection, batch: &Batch, fault: Option<usize>) -> Result<Vec<u64>, StoreError> {
    let mut touched = Vec::with_capacity(batch.len());
    for (place, step) in batch.steps.iter().enumerate() {
        if fault == Some(place) {
            collect::<i64>(connection, &FAULT, &[])?;
        }
        let rows = execute(connection, step)?;
        step.expect.check(rows).map_err(StoreError::Refused)?;
        touched.push(rows);
    }
    if fault == Some(batch.len()) {
        collect::<i64>(connection, &FAULT, &[])?;
    }
    Ok(touched)
}

fn execute(connection: &Connection, step: &Step) -> Result<u64, StoreError> {
    let fail = |error: rusqlite::Error| failure(&error, step.sql.name);
    let mut statement = connection.prepare_cached(step.sql.text).map_err(fail)?;
    bind(&mut statement, step.sql, &step.params)?;
    let rows = statement.raw_execute().map_err(fail)?;
    Ok(u64::try_from(rows).unwrap_or(u64::MAX))
}

fn bind(statement: &mut rusqlite::Statement<'_>, sql: &'static Sql, params: &[Param]) -> Result<(), StoreError> {
    if statement.parameter_count() != params.len() {
        return Err(StoreError::Rejected { statement: sql.name, reason: "parameter count differs".into() });
    }
    for (place, param) in params.iter().enumerate() {
        statement.raw_bind_parameter(place + 1, param).map_err(|error| failure(&error, sql.name))?;
    }
    Ok(())
}

/// Translates an engine error. Messages of SQLite name tables and columns, never values.
pub(crate) fn failure(error: &rusqlite::Error, statement: &'static str) -> StoreError {
    let rejected = |reason: String| StoreError::Rejected { statement, reason };
    let (code, message) = match error {
        rusqlite::Error::SqliteFailure(code, message) => (code, message.as_deref().unwrap_or("")),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, msg.as_str()),
        other => return rejected(other.to_string()),
    };
    match code.extended_code {
        rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
        | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | rusqlite::ffi::SQLITE_CONSTRAINT_ROWID => {
            let place = message.rsplit_once(": ").map_or("", |(_, place)| place);
            let table = place.split_once('.').map_or("", |(table, _)| table);
            return StoreError::Unique(UniqueConflict::of(table, place));
        }
        rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => return StoreError::Refused(Refusal::Gone),
        _ => {}
    }
    match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::outage(Outage::Busy),
        ErrorCode::CannotOpen
        | ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::ReadOnly
        | ErrorCode::NotADatabase
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::PermissionDenied
        | ErrorCode::OutOfMemory
        | ErrorCode::FileLockingProtocolFailed => {
            StoreError::outage(Outage::Storage(format!("SQLite error {}", code.extended_code)))
        }
        _ => rejected(format!("SQLite error {}: {message}", code.extended_code)),
    }
}
