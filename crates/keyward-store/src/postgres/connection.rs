//! Connections: dialling with back-off, prepared statements per connection, and the shared ones that many reads pipeline on.
//! The engine's reads and its pool of exclusive connections use them.
//! Knows nothing of transactions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::{Client, Config, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure;
use crate::{Outage, Sql, StoreError};

/// Ends statements that run away and transactions whose client went silent while it held locks.
const LIMITS: &str = "SET statement_timeout = 10000; SET idle_in_transaction_session_timeout = 15000";
/// For the whole handshake, when the address says nothing else.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A connection with the statements prepared on it.
pub(super) struct Connection {
    pub(super) client: Client,
    prepared: Mutex<HashMap<&'static str, Statement>>,
}

impl Connection {
    /// The prepared form of a statement; the first use on this connection costs a round trip.
    pub(super) async fn statement(&self, sql: &'static Sql) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(sql.name) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql.for_postgres()).await?;
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).insert(sql.name, statement.clone());
        Ok(statement)
    }
}

/// Opens connections, and refuses to for a while after failures, so that an outage costs callers no waiting.
pub(super) struct Dialer {
    config: Config,
    tls: MakeRustlsConnect,
    pause: Mutex<Option<Pause>>,
}

#[derive(Clone, Copy)]
struct Pause {
    length: Duration,
    until: Instant,
}

impl Dialer {
    pub(super) const fn new(config: Config, tls: MakeRustlsConnect) -> Self {
        Self { config, tls, pause: Mutex::new(None) }
    }

    pub(super) async fn connect(&self) -> Result<Connection, StoreError> {
        let pause = *self.pause();
        if pause.is_some_and(|pause| pause.until > Instant::now()) {
            return Err(StoreError::outage(Outage::Unreachable("waiting before the next attempt".into())));
        }
        // The client's own connect timeout covers the first packet only.
        let limit = self.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        let outcome = tokio::time::timeout(limit, self.dial())
            .await
            .unwrap_or_else(|_| Err(StoreError::outage(Outage::Unreachable("no answer to the handshake".into()))));
        *self.pause() = match &outcome {
            Ok(_) => None,
            Err(error) => {
                let length = pause.map_or(FIRST_PAUSE, |pause| (pause.length * 2).min(LONGEST_PAUSE));
                tracing::warn!(%error, pause_ms = length.as_millis(), "cannot connect to PostgreSQL");
                Some(Pause { length, until: Instant::now() + length })
            }
        };
        outcome
    }

    async fn dial(&self) -> Result<Connection, StoreError> {
        let fail = |error: tokio_postgres::Error| failure(&error, "open");
        let (client, driver) = self.config.connect(self.tls.clone()).await.map_err(fail)?;
        tokio::spawn(async move {
            // The clients of the connection learn of its end by themselves.
            if let Err(error) = driver.await {
                tracing::debug!(error = %failure(&error, "connection"), "a connection to PostgreSQL ended");
            }
        });
        client.batch_execute(LIMITS).await.map_err(fail)?;
        Ok(Connection { client, prepared: Mutex::default() })
    }

    fn pause(&self) -> std::sync::MutexGuard<'_, Option<Pause>> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that many callers use at once, opened anew when it broke.
pub(super) struct SharedConnection {
    dialer: Arc<Dialer>,
    current: RwLock<Option<Arc<Connection>>>,
    dialling: tokio::sync::Mutex<()>,
}

impl SharedConnection {
    pub(super) fn new(dialer: Arc<Dialer>) -> Self {
        Self { dialer, current: RwLock::new(None), dialling: tokio::sync::Mutex::new(()) }
    }

    pub(super) async fn get(&self) -> Result<Arc<Connection>, StoreError> {
        if let Some(connection) = self.live() {
            return Ok(connection);
        }
        // One caller dials, the others wait for it.
        let _dialling = self.dialling.lock().await;
        if let Some(connection) = self.live() {
            return Ok(connection);
        }
        let connection = Arc::new(self.dialer.connect().await?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Drops a connection that broke, unless it was replaced already.
    pub(super) fn forget(&self, broken: &Arc<Connection>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, broken)) {
            *current = None;
        }
    }

    fn live(&self) -> Option<Arc<Connection>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|connection| !connection.client.is_closed()).map(Arc::clone)
    }
}
