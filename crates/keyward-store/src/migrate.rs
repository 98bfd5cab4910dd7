//! Brings a database to the schema of this program: numbered pairs of scripts, applied in order, each exactly once.
//! The command line calls it; a database in memory migrates itself when it is opened.
//! Several nodes may start at once: a lock row lets one of them work, since not every relative of PostgreSQL has advisory locks.

use keyward_model::hex;
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::postgres::Postgres;
use crate::sqlite::{self, Sqlite};
use crate::{Outage, StoreError};

/// One step of the schema, in both dialects.
struct Migration {
    id: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migrations {
    ($($id:literal $name:literal),+ $(,)?) => {
        &[$(Migration {
            id: $id,
            name: $name,
            sqlite: include_str!(concat!("../migrations/", $name, ".sqlite.sql")),
            postgres: include_str!(concat!("../migrations/", $name, ".postgres.sql")),
        }),+]
    };
}

/// In the order of their ids. A released script never changes: the test below pins it.
static MIGRATIONS: &[Migration] = migrations![1 "0001_init", 2 "0002_attempts", 3 "0003_keys", 4 "0004_codes", 5 "0005_courier", 6 "0006_pending_traits", 7 "0007_token_exchanges"];

const BOOKKEEPING: &str = "
    CREATE TABLE IF NOT EXISTS keyward_migrations (id BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS keyward_migration_lock (id BIGINT PRIMARY KEY);
    INSERT INTO keyward_migration_lock (id) VALUES (1) ON CONFLICT (id) DO NOTHING";
const BOOKKEEPING_TABLES: &str = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'keyward_migrations'";
const APPLIED: &str = "SELECT checksum FROM keyward_migrations WHERE id = $1";
const RECORD: &str = "INSERT INTO keyward_migrations (id, name, checksum) VALUES ($1, $2, $3)";

/// SHA-256 of a script, in hex.
fn checksum(script: &str) -> String {
    hex(&Sha256::digest(script.as_bytes()))
}

/// Compares what was applied with what this program would apply.
fn is_applied(migration: &Migration, script: &str, recorded: Option<&str>) -> Result<bool, StoreError> {
    match recorded {
        None => Ok(false),
        Some(recorded) if recorded == checksum(script) => Ok(true),
        Some(_) => Err(StoreError::Schema(format!(
            "the migration {} in the database is not the one of this program; it was made by a different build",
            migration.name
        ))),
    }
}

/// Applies what is missing; yields the names of what was applied.
pub(crate) async fn migrate_sqlite(database: &Sqlite) -> Result<Vec<&'static str>, StoreError> {
    database
        .write(|connection| {
            connection.execute_batch(BOOKKEEPING).map_err(|error| sqlite::failure(&error, "migrate"))?;
            let pending = pending_in(connection)?;
            for migration in &pending {
                let run = || {
                    connection.execute_batch(migration.sqlite)?;
                    connection.execute(RECORD, (migration.id, migration.name, checksum(migration.sqlite)))
                };
                run().map_err(|error| sqlite::failure(&error, migration.name))?;
            }
            Ok(pending.iter().map(|migration| migration.name).collect())
        })
        .await
}

/// Names of what is missing.
pub(crate) async fn pending_sqlite(database: &Sqlite) -> Result<Vec<&'static str>, StoreError> {
    database
        .write(|connection| {
            // Asked of the file: the connection's own picture of the schema may be older than another process's migration.
            let tables = connection.query_row(BOOKKEEPING_TABLES, [], |row| row.get::<_, i64>(0));
            let tables = tables.map_err(|error| sqlite::failure(&error, "migrate"))?;
            let pending = if tables > 0 { pending_in(connection)? } else { MIGRATIONS.iter().collect() };
            Ok(pending.iter().map(|migration| migration.name).collect())
        })
        .await
}

fn pending_in(connection: &Connection) -> Result<Vec<&'static Migration>, StoreError> {
    let mut pending = Vec::new();
    for migration in MIGRATIONS {
        let recorded = match connection.query_row(APPLIED, [migration.id], |row| row.get::<_, String>(0)) {
            Ok(recorded) => Some(recorded),
            Err(rusqlite::Error::QueryReturnedNoRows) => None,
            Err(error) => return Err(sqlite::failure(&error, "migrate")),
        };
        if !is_applied(migration, migration.sqlite, recorded.as_deref())? {
            pending.push(migration);
        }
    }
    Ok(pending)
}

/// Applies what is missing; yields the names of what was applied.
pub(crate) async fn migrate_postgres(database: &Postgres) -> Result<Vec<&'static str>, StoreError> {
    let client = database.dedicated().await?;
    // Two nodes that create the same table at once can still collide in the catalogue; the loser finds it on its next try.
    let mut outcome = client.batch_execute(BOOKKEEPING).await;
    for _ in 0..3 {
        if outcome.is_ok() {
            break;
        }
        outcome = client.batch_execute(BOOKKEEPING).await;
    }
    outcome.map_err(|error| script_failure(&error, "the bookkeeping tables"))?;
    let mut applied = Vec::new();
    for migration in MIGRATIONS {
        let fail = |error: tokio_postgres::Error| script_failure(&error, migration.name);
        client.batch_execute("BEGIN").await.map_err(fail)?;
        client.execute("SELECT id FROM keyward_migration_lock WHERE id = 1 FOR UPDATE", &[]).await.map_err(fail)?;
        let recorded = client.query_opt(APPLIED, &[&migration.id]).await.map_err(fail)?;
        let recorded = recorded.map(|row| row.try_get::<_, String>(0)).transpose().map_err(fail)?;
        if !is_applied(migration, migration.postgres, recorded.as_deref())? {
            client.batch_execute(migration.postgres).await.map_err(fail)?;
            client.execute(RECORD, &[&migration.id, &migration.name, &checksum(migration.postgres)]).await.map_err(fail)?;
            applied.push(migration.name);
        }
        client.batch_execute("COMMIT").await.map_err(fail)?;
    }
    Ok(applied)
}

/// Names of what is missing.
pub(crate) async fn pending_postgres(database: &Postgres) -> Result<Vec<&'static str>, StoreError> {
    let client = database.dedicated().await?;
    let mut pending = Vec::new();
    for migration in MIGRATIONS {
        let recorded = match client.query_opt(APPLIED, &[&migration.id]).await {
            Ok(row) => row.map(|row| row.try_get::<_, String>(0)).transpose(),
            // Undefined table: nothing was ever applied.
            Err(error) if error.code().is_some_and(|code| code.code() == "42P01") => Ok(None),
            Err(error) => Err(error),
        };
        let recorded = recorded.map_err(|error| script_failure(&error, migration.name))?;
        if !is_applied(migration, migration.postgres, recorded.as_deref())? {
            pending.push(migration.name);
        }
    }
    Ok(pending)
}

fn script_failure(error: &tokio_postgres::Error, name: &str) -> StoreError {
    match error.as_db_error() {
        // Scripts hold no personal data, so the server's message may be shown.
        Some(answer) => StoreError::Schema(format!(
            "{name}: the database refused it (SQLSTATE {}): {}",
            answer.code().code(),
            answer.message()
        )),
        None => StoreError::Unavailable(Outage::Unreachable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line per released script: id, SQLite, PostgreSQL.
    const RELEASED: &[(i64, &str, &str)] = &[(
        1,
        "4e246ce234b183eb0699dfc0dc46b8155c04192472a74a6ec6c6d66e2a25a16f",
        "e217f2eb7238906de9e36dc8c4a233229056234ff9b6f6e6d0f0867657cd4c4a",
    )];

    #[test]
    fn released_migrations_never_change() {
        for (id, sqlite, postgres) in RELEASED {
            let migration = MIGRATIONS.iter().find(|migration| migration.id == *id).expect("a released migration is missing");
            assert_eq!(checksum(migration.sqlite), *sqlite, "{}: add a new migration instead", migration.name);
            assert_eq!(checksum(migration.postgres), *postgres, "{}: add a new migration instead", migration.name);
        }
    }

    #[test]
    fn migrations_are_numbered_from_one_without_gaps() {
        for (place, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(migration.id), Ok(place + 1));
            assert!(migration.name.starts_with(&format!("{:04}_", migration.id)), "{}", migration.name);
        }
    }
}
