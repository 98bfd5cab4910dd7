//! Database addresses, in the forms that Kratos configurations use.
//! `Store::open` parses one; nothing else looks at the text.
//! Errors and debug prints never contain the address, since it may hold a password.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::SslMode;

use crate::StoreError;

const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_CONNECTIONS: usize = 10;

/// A parsed database address.
pub(crate) enum Dsn {
    /// A private database in memory, gone with its store.
    Memory,
    /// A SQLite file.
    File(SqliteFile),
    /// A PostgreSQL server.
    Postgres(Box<PostgresServer>),
}

pub(crate) struct SqliteFile {
    pub(crate) path: PathBuf,
    /// Whether a missing file is made.
    pub(crate) create: bool,
    /// How long a writer waits for another process.
    pub(crate) busy_timeout: Duration,
}

pub(crate) struct PostgresServer {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) verify: Verify,
    /// PEM file of the authorities to trust instead of the public ones.
    pub(crate) root_certificates: Option<PathBuf>,
    /// Connections for batches; two more serve reads.
    pub(crate) connections: usize,
}

/// How much of the server's certificate is checked (libpq `sslmode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Nothing: `disable`, `allow`, `prefer` and `require` only choose whether to encrypt.
    Nothing,
    /// The chain, not the host name: `verify-ca`.
    Chain,
    /// Chain and host name: `verify-full`.
    Full,
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::File(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        })
    }
}

fn refuse(sentence: impl Into<String>) -> StoreError {
    StoreError::Dsn(sentence.into())
}

impl Dsn {
    /// Reads an address.
    pub(crate) fn parse(text: &str) -> Result<Self, StoreError> {
        if text == "memory" {
            return Ok(Self::Memory);
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(refuse("the database address has no scheme; use sqlite://… or postgres://…"));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" | "sqlite3" => sqlite(rest),
            "postgres" | "postgresql" => postgres(rest),
            "cockroach" | "cockroachdb" | "crdb" => {
                tracing::warn!("CockroachDB is spoken to as PostgreSQL; this combination is not tested");
                postgres(rest)
            }
            "mysql" => Err(refuse("MySQL is not supported; use PostgreSQL (postgres://…) or SQLite (sqlite://…)")),
            _ => Err(refuse("the database address has an unknown scheme; use sqlite://… or postgres://…")),
        }
    }
}

fn sqlite(rest: &str) -> Result<Dsn, StoreError> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.strip_prefix("file:").unwrap_or(path);
    let mut file = SqliteFile { path: PathBuf::from(percent_decoded(path)), create: true, busy_timeout: DEFAULT_BUSY_TIMEOUT };
    let mut memory = path.is_empty() || path.contains(":memory:");
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match (key.as_ref(), value.as_ref()) {
            ("mode", "memory") => memory = true,
            ("mode", "rw") => file.create = false,
            ("mode", "ro") => return Err(refuse("mode=ro: the server must be able to write to its database")),
            ("_busy_timeout" | "_timeout", millis) => {
                let millis = millis.parse().map_err(|_| refuse("_busy_timeout is no number of milliseconds"))?;
                file.busy_timeout = Duration::from_millis(millis);
            }
            // Foreign keys are always enforced, and one writer with its own readers makes pool sizes meaningless.
            _ => {}
        }
    }
    Ok(if memory { Dsn::Memory } else { Dsn::File(file) })
}

fn postgres(rest: &str) -> Result<Dsn, StoreError> {
    let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut kept = url::form_urlencoded::Serializer::new(String::new());
    let (mut ssl, mut verify, mut root_certificates) = (SslMode::Prefer, Verify::Nothing, None);
    let mut connections = DEFAULT_CONNECTIONS;
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "sslmode" => {
                (ssl, verify) = match value.as_ref() {
                    "disable" | "allow" => (SslMode::Disable, Verify::Nothing),
                    "prefer" => (SslMode::Prefer, Verify::Nothing),
                    "require" => (SslMode::Require, Verify::Nothing),
                    "verify-ca" => (SslMode::Require, Verify::Chain),
                    "verify-full" => (SslMode::Require, Verify::Full),
                    _ => return Err(refuse("sslmode must be disable, prefer, require, verify-ca or verify-full")),
                }
            }
            "sslrootcert" => root_certificates = Some(PathBuf::from(value.as_ref())),
            "sslcert" | "sslkey" | "sslpassword" => return Err(refuse("client certificates for the database are not supported")),
            "max_conns" => {
                connections = value
                    .parse()
                    .ok()
                    .filter(|count| (1..=1_000).contains(count))
                    .ok_or_else(|| refuse("max_conns must be a number from 1 to 1000"))?;
            }
            "application_name"
            | "options"
            | "connect_timeout"
            | "target_session_attrs"
            | "channel_binding"
            | "host"
            | "port"
            | "user"
            | "password"
            | "dbname" => {
                kept.append_pair(&key, &value);
            }
            "max_idle_conns" | "max_conn_lifetime" | "max_conn_idle_time" | "max_idle_conn_time" => {}
            other => tracing::warn!(parameter = other, "the database address has a parameter that has no effect"),
        }
    }
    // `Serializer` writes spaces as `+`, which this grammar does not know.
    let kept = kept.finish().replace('+', "%20");
    let mut config: tokio_postgres::Config = format!("postgresql:{base}?{kept}")
        .parse()
        .map_err(|_| refuse("the database address is not of the form postgres://user:password@host:port/database"))?;
    if config.get_hosts().is_empty() {
        return Err(refuse("the database address names no host"));
    }
    config.ssl_mode(ssl);
    if config.get_application_name().is_none() {
        config.application_name("keyward");
    }
    config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(Duration::from_secs(15));
    Ok(Dsn::Postgres(Box::new(PostgresServer { config, verify, root_certificates, connections })))
}

/// Decodes `%XX`; anything that is no such escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| text_hex(after.get(..2)?)).flatten();
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn text_hex(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u8::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_addresses() {
        for memory in ["memory", "sqlite::memory:", "sqlite://:memory:", "sqlite://file::memory:?_fk=true&cache=shared"] {
            assert!(matches!(Dsn::parse(memory), Ok(Dsn::Memory)), "{memory}");
        }
        for (text, path, create, millis) in [
            ("sqlite:///var/lib/keyward.sqlite?_fk=true&mode=rwc&max_conns=1", "/var/lib/keyward.sqlite", true, 5_000),
            ("sqlite://data/a%20b%zz.db?mode=rw", "data/a b%zz.db", false, 5_000),
            ("sqlite3:x.db?_busy_timeout=20", "x.db", true, 20),
        ] {
            let Ok(Dsn::File(file)) = Dsn::parse(text) else { panic!("{text}") };
            assert_eq!((file.path, file.create), (PathBuf::from(path), create), "{text}");
            assert_eq!(file.busy_timeout, Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn postgres_addresses() {
        for (text, ssl, verify, connections) in [
            ("postgres://u:p@h/db", SslMode::Prefer, Verify::Nothing, 10),
            ("postgresql://u@h:5433/db?sslmode=disable&max_conns=20&max_idle_conns=4", SslMode::Disable, Verify::Nothing, 20),
            ("cockroach://root@h:26257/db?sslmode=require", SslMode::Require, Verify::Nothing, 10),
            ("postgres://u@h/db?sslmode=verify-full&sslrootcert=/ca.pem", SslMode::Require, Verify::Full, 10),
            ("postgres://u@h/db?sslmode=verify-ca", SslMode::Require, Verify::Chain, 10),
        ] {
            let Ok(Dsn::Postgres(server)) = Dsn::parse(text) else { panic!("{text}") };
            assert_eq!((server.config.get_ssl_mode(), server.verify, server.connections), (ssl, verify, connections), "{text}");
            assert_eq!(server.config.get_dbname(), Some("db"), "{text}");
        }
    }

    #[test]
    fn bad_addresses_are_refused_without_being_repeated() {
        for text in [
            "mysql://root:hunter2@tcp(h)/db",
            "postgres://u:hunter2@h:port/db",
            "postgres://u:hunter2@h/db?sslmode=maybe",
            "postgres://u:hunter2@h/db?sslcert=c",
            "postgres://u:hunter2@h/db?max_conns=0",
            "oracle://hunter2",
            "hunter2",
            "sqlite:///hunter2?mode=ro",
        ] {
            let error = Dsn::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        assert!(Dsn::parse("mysql://x").unwrap_err().to_string().contains("MySQL"));
    }
}
