//! The database as the rest of the program sees it: reads by statement, writes by batch.
//! Services and stories call it; the files under `tables/` add typed reads and writes.
//! The only place that knows which engine runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::dsn::Dsn;
use crate::faults::Faults;
use crate::migrate;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::{Batch, FromRow, Params, Sql, StoreError};

/// A handle to the database; clones share it.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
    faults: Option<Faults>,
    failures: Arc<AtomicU64>,
}

// What waits for PostgreSQL is boxed where it is called: unboxed it would add four kilobytes to every future up to that of
// the request, which has to be moved about even when SQLite runs.
#[derive(Clone)]
enum Engine {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

/// Which engine a store runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// The embedded one.
    Sqlite,
    /// PostgreSQL or a relative of it.
    Postgres,
}

static PING: Sql = Sql::new("store.PING", "SELECT 1");

impl Store {
    /// Opens `memory`, `sqlite://…` or `postgres://…`. A server that is down is no error here: the first use tells.
    /// A database in memory is migrated at once, others wait for [`Store::migrate`].
    ///
    /// # Errors
    /// [`StoreError::Dsn`] when the address cannot be used, [`StoreError::Unavailable`] when the file cannot be opened.
    pub async fn open(address: &str) -> Result<Self, StoreError> {
        let (engine, in_memory) = match Dsn::parse(address)? {
            Dsn::Memory => (Engine::Sqlite(Arc::new(Sqlite::memory()?)), true),
            Dsn::File(file) => (Engine::Sqlite(Arc::new(Sqlite::file(&file)?)), false),
            Dsn::Postgres(server) => (Engine::Postgres(Arc::new(Postgres::new(*server)?)), false),
        };
        let store = Self { engine, faults: None, failures: Arc::default() };
        if in_memory {
            store.migrate().await?;
        }
        Ok(store)
    }

    /// The same database, failing where `faults` says. For tests.
    #[must_use]
    pub fn with_faults(&self, faults: Faults) -> Self {
        Self { engine: self.engine.clone(), faults: Some(faults), failures: Arc::clone(&self.failures) }
    }

    /// Which engine runs.
    pub const fn database(&self) -> Database {
        match self.engine {
            Engine::Sqlite(_) => Database::Sqlite,
            Engine::Postgres(_) => Database::Postgres,
        }
    }

    /// How many calls failed so far. Refused guards and taken values are answers, not failures.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn counted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if outcome.as_ref().is_err_and(|error| !matches!(error, StoreError::Refused(_) | StoreError::Unique(_))) {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    /// Answers when the database does.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.one::<i64>(&PING, Vec::new()).await.map(drop)
    }

    /// The first row of a read, if any.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], or [`StoreError::Corrupt`] when the row is not what `T` expects.
    pub async fn one<T: FromRow>(&self, sql: &'static Sql, params: Params) -> Result<Option<T>, StoreError> {
        self.counted(match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.one(sql, &params),
            Engine::Postgres(postgres) => Box::pin(postgres.rows(sql, &params)).await.map(|rows| rows.into_iter().next()),
        })
    }

    /// Every row of a read that finds a handful by an index.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn few<T: FromRow>(&self, sql: &'static Sql, params: Params) -> Result<Vec<T>, StoreError> {
        self.counted(match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.few(sql, &params),
            Engine::Postgres(postgres) => Box::pin(postgres.rows(sql, &params)).await,
        })
    }

    /// Every row of a read that may take a while, such as a page of a list.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn many<T: FromRow + Send + 'static>(&self, sql: &'static Sql, params: Params) -> Result<Vec<T>, StoreError> {
        self.counted(match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.many(sql, params).await,
            Engine::Postgres(postgres) => Box::pin(postgres.rows(sql, &params)).await,
        })
    }

    /// Writes a batch as a whole or not at all. Once called, it runs to its end even when the caller goes away.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when a guard did not hold, [`StoreError::Unique`] when a value is taken,
    /// [`StoreError::Unavailable`] when the database did not answer; only with [`crate::Outage::Unknown`] may the batch
    /// have been written all the same.
    pub async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.commit_counted(batch).await.map(drop)
    }

    /// As [`Store::commit`]; yields how many rows each statement touched.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn commit_counted(&self, batch: Batch) -> Result<Vec<u64>, StoreError> {
        let fault = self.faults.as_ref().and_then(Faults::take);
        if batch.is_empty() && fault.is_none() {
            return Ok(Vec::new());
        }
        self.counted(match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.commit(batch, fault).await,
            Engine::Postgres(postgres) => Box::pin(postgres.commit(batch, fault)).await,
        })
    }

    /// Runs one writing statement with `RETURNING`, committed by itself; yields its rows.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn returning<T: FromRow + Send + 'static>(&self, sql: &'static Sql, params: Params) -> Result<Vec<T>, StoreError> {
        self.counted(match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.returning(sql, params).await,
            Engine::Postgres(postgres) => Box::pin(postgres.returning(sql, params)).await,
        })
    }

    /// Applies the migrations that are missing; yields their names. Safe to run on several nodes at once.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when a script fails or an applied one differs from this program's.
    pub async fn migrate(&self) -> Result<Vec<&'static str>, StoreError> {
        match &self.engine {
            Engine::Sqlite(sqlite) => migrate::migrate_sqlite(sqlite).await,
            Engine::Postgres(postgres) => migrate::migrate_postgres(postgres).await,
        }
    }

    /// Names of the migrations that are missing. Migrations of a newer program do no harm and are not looked at.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when an applied one differs from this program's.
    pub async fn pending_migrations(&self) -> Result<Vec<&'static str>, StoreError> {
        match &self.engine {
            Engine::Sqlite(sqlite) => migrate::pending_sqlite(sqlite).await,
            Engine::Postgres(postgres) => migrate::pending_postgres(postgres).await,
        }
    }

    /// Lets the engine parse a statement, and checks that it takes as many parameters as its text shows.
    ///
    /// # Errors
    /// [`StoreError::Rejected`] when it does not.
    pub async fn check_statement(&self, sql: &'static Sql) -> Result<(), StoreError> {
        let params = crate::sql::placeholders(sql.text)
            .ok_or_else(|| StoreError::Rejected { statement: sql.name, reason: "placeholders do not ascend".into() })?;
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.prepare(sql, params),
            Engine::Postgres(postgres) => postgres.prepare(sql, params).await,
        }
    }
}
