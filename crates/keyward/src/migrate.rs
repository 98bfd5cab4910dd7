//! `keyward migrate sql`: brings the tables of a database up to this version.
//! Operators run it before `serve`, by hand or from a deployment; running it again changes nothing.
//! Prints what it is about to do and asks, unless told not to.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

use keyward_store::Store;

use crate::{Failure, block_on, cli, serve};

/// Runs the command.
pub(crate) fn run(arguments: &cli::MigrateSql) -> Result<(), Failure> {
    let dsn = dsn(arguments)?;
    block_on(async {
        let store = Store::open(&dsn).await.map_err(|error| Failure::new("cannot open the database", &error))?;
        let pending = store.pending_migrations().await.map_err(|error| Failure::new("cannot look at the database", &error))?;
        if pending.is_empty() {
            println!("The database is up to date.");
            return Ok(());
        }
        println!("These migrations will be applied:");
        for name in &pending {
            println!("  {name}");
        }
        if !arguments.yes && !confirmed()? {
            return Err(Failure::say("nothing was changed"));
        }
        let applied = store.migrate().await.map_err(|error| Failure::new("cannot prepare the database", &error))?;
        println!("Done: {} applied.", applied.len());
        Ok(())
    })
}

fn dsn(arguments: &cli::MigrateSql) -> Result<String, Failure> {
    let named = arguments.target.iter().find(|word| *word != "up");
    if let Some(dsn) = named {
        return Ok(dsn.clone());
    }
    if arguments.read_from_env && arguments.config.files.is_empty() {
        return dsn_from_environment();
    }
    if arguments.config.files.is_empty() {
        return Err(Failure::say("name the database: `keyward migrate sql <dsn>`, or -c <file>, or -e to read the variable DSN"));
    }
    let loaded = serve::load(&serve::read(&arguments.config)?, &BTreeMap::new(), false)?;
    Ok(loaded.config.dsn.reveal().clone())
}

/// The environment variable DSN.
pub(crate) fn dsn_from_environment() -> Result<String, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
    let dsn = std::env::var("DSN").ok().filter(|dsn| !dsn.is_empty());
    dsn.ok_or_else(|| Failure::say("the environment variable DSN is not set"))
}

fn confirmed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::say("nobody can be asked here; add --yes to apply them"));
    }
    print!("Apply them? [y/N] ");
    let failed = |error: std::io::Error| Failure::new("cannot ask", &error);
    std::io::stdout().flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
