//! A database of our own on a PostgreSQL server that somebody else runs.
//! The runner makes one for a run and drops it at the end.
//! It also finds the server's parent process, so that its processor time can be counted.

use tokio_postgres::{Client, NoTls};
use url::Url;

use crate::failure::{Failure, Result, during};
use crate::process;

/// A database that exists until [`Database::drop_it`].
pub(crate) struct Database {
    client: Client,
    name: String,
    /// Its address for the server under test.
    pub(crate) dsn: String,
    /// The parent of all PostgreSQL processes, if they run on this machine.
    pub(crate) postmaster: Option<u32>,
    /// Version and the settings that decide what a commit costs.
    pub(crate) about: String,
}

impl Database {
    /// Connects without TLS to the maintenance database of `url` and makes a database next to it.
    pub(crate) async fn create(url: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(during("connecting to PostgreSQL"))?;
        // Ends with the client; its error would be that of the statement that then fails.
        tokio::spawn(connection);
        let name = format!("keyward_bench_{}", std::process::id());
        let dsn = with_database(url, &name)?;
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await.map_err(during("removing an old database"))?;
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.map_err(during("making a database"))?;
        let postmaster = match one(&client, "SELECT pg_backend_pid()::text").await?.parse() {
            Ok(pid) => process::stat(pid).ok().filter(|stat| stat.name.starts_with("postgres")).map(|stat| stat.parent),
            Err(_) => None,
        };
        let mut about = format!("PostgreSQL {}", one(&client, "SHOW server_version").await?);
        for setting in ["fsync", "synchronous_commit"] {
            about.push_str(&format!(", {setting} {}", one(&client, &format!("SHOW {setting}")).await?));
        }
        Ok(Self { client, name, dsn, postmaster, about })
    }

    /// Removes the database with everything in it.
    pub(crate) async fn drop_it(self) -> Result<()> {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        self.client.batch_execute(&statement).await.map_err(during("removing the database"))
    }
}

async fn one(client: &Client, statement: &str) -> Result<String> {
    let row = client.query_one(statement, &[]).await.map_err(during(format!("asking PostgreSQL `{statement}`")))?;
    row.try_get(0).map_err(during(format!("asking PostgreSQL `{statement}`")))
}

/// The same address with another database.
fn with_database(url: &str, name: &str) -> Result<String> {
    let mut url = Url::parse(url).map_err(during("reading the address of PostgreSQL"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") || url.host().is_none() {
        return Err(Failure::new("the address of PostgreSQL is not of the form postgres://user:password@host:port/database"));
    }
    url.set_path(name);
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_changes() {
        for (url, expected) in [
            ("postgres://u:p%40@h:5433/postgres", Some("postgres://u:p%40@h:5433/mine")),
            ("postgresql://u@h?sslmode=disable", Some("postgresql://u@h/mine?sslmode=disable")),
            ("postgres:///postgres", None),
            ("mysql://h/x", None),
            ("host=h", None),
        ] {
            assert_eq!(with_database(url, "mine").ok().as_deref(), expected, "{url}");
        }
    }
}
