//! The command line, as types.
//! `main` parses it and hands each command its arguments.
//! Flags that Kratos has and Keyward does not need yet are accepted, so that start scripts keep working.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::identities_arguments::{DeleteWhat, GetWhat, Identities, ImportWhat, ListWhat, ValidateWhat};

/// An identity server: sign-up, sign-in and everything people do to their own account.
#[derive(Debug, Parser)]
#[command(name = "keyward", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a complete server on a new local database: nothing to configure.
    Quickstart(Quickstart),
    /// Serve with a configuration.
    Serve(Serve),
    /// Prepare a database.
    Migrate {
        #[command(subcommand)]
        what: Migrate,
    },
    /// Delete what is over from a database; a server also does so by itself.
    Cleanup {
        #[command(subcommand)]
        what: Cleanup,
    },
    /// Deliver mail and text messages.
    Courier {
        #[command(subcommand)]
        what: Courier,
    },
    /// Judge or show a configuration without starting anything.
    Config {
        #[command(subcommand)]
        what: Config,
    },
    /// Look after identities through a server's admin port.
    #[command(alias = "identity")]
    Identities {
        #[command(subcommand)]
        what: Identities,
    },
    /// Kratos' spelling of `identities get`.
    #[command(hide = true)]
    Get {
        #[command(subcommand)]
        what: GetWhat,
    },
    /// Kratos' spelling of `identities list`.
    #[command(hide = true)]
    List {
        #[command(subcommand)]
        what: ListWhat,
    },
    /// Kratos' spelling of `identities delete`.
    #[command(hide = true)]
    Delete {
        #[command(subcommand)]
        what: DeleteWhat,
    },
    /// Kratos' spelling of `identities import`.
    #[command(hide = true)]
    Import {
        #[command(subcommand)]
        what: ImportWhat,
    },
    /// Kratos' spelling of `identities validate`.
    #[command(hide = true)]
    Validate {
        #[command(subcommand)]
        what: ValidateWhat,
    },
    /// Print a generated document of the repository.
    #[command(hide = true)]
    Generate {
        /// Which one.
        what: Generated,
    },
    /// Evaluate Jsonnet for a server that started this process; its limits hold from the first instant.
    #[command(hide = true)]
    Jsonnet,
    /// Print the version.
    Version,
}

#[derive(Debug, Args)]
pub(crate) struct Quickstart {
    /// Port for people and apps; 4433 at first, then as before.
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Port for administration; 4434 at first, then as before.
    #[arg(long)]
    pub(crate) admin_port: Option<u16>,
    /// Folder for the database, the configuration and the secrets.
    #[arg(long, default_value = "keyward-data")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Accepted for Kratos' `serve all`.
    #[arg(hide = true, value_parser = ["all"])]
    pub(crate) what: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigFiles,
    /// Development mode: cookies without `Secure`, cheap hashing allowed, generated secrets. Never in production.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Deliver mail and text messages from this process; the same as `watch-courier: true`.
    #[arg(long)]
    pub(crate) watch_courier: bool,
    /// Accepted and without effect: Keyward sends nothing home.
    #[arg(long, hide = true)]
    pub(crate) sqa_opt_out: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFiles {
    /// A configuration file (YAML or JSON); later ones win. May be given several times.
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Migrate {
    /// Bring the tables of the database up to this version.
    Sql(MigrateSql),
}

#[derive(Debug, Args)]
pub(crate) struct MigrateSql {
    /// The database, or `up`; without it the configuration or, with -e, the environment says which.
    pub(crate) target: Vec<String>,
    /// Take the database from the environment variable DSN.
    #[arg(short = 'e', long)]
    pub(crate) read_from_env: bool,
    /// Do not ask.
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) config: ConfigFiles,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cleanup {
    /// Delete expired sessions, flows and what belongs to them, a few rows at a time.
    Sql(CleanupSql),
}

#[derive(Debug, Args)]
pub(crate) struct CleanupSql {
    /// The database; without it the configuration or the environment variable DSN says which.
    pub(crate) dsn: Option<String>,
    /// Take the database from the environment variable DSN; this is what happens without any other word about it.
    #[arg(short = 'e', long)]
    pub(crate) read_from_env: bool,
    /// How long rows stay after they ended.
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub(crate) keep_last: String,
    /// The most rows that one statement deletes.
    #[arg(short = 'b', long = "batch-size", alias = "database.cleanup.batch_size", value_name = "ROWS", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) batch_size: u32,
    /// A pause between two tables.
    #[arg(long = "sleep", alias = "database.cleanup.sleep.tables", value_name = "DURATION", default_value = "0s")]
    pub(crate) sleep: String,
    #[command(flatten)]
    pub(crate) config: ConfigFiles,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Courier {
    /// Deliver what waits in the outbox until told to stop. Several processes may do so at once.
    Watch(CourierWatch),
}

#[derive(Debug, Args)]
pub(crate) struct CourierWatch {
    #[command(flatten)]
    pub(crate) config: ConfigFiles,
    /// Judge the configuration as `serve --dev` does.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Accepted and without effect: counts are shown by servers.
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) expose_metrics_port: u16,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Name every mistake with its file and line; exit code 1 when there is one.
    Check(ConfigCheck),
    /// Print what all files and environment variables come to, secrets masked.
    Show(ConfigCheck),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigCheck {
    #[command(flatten)]
    pub(crate) config: ConfigFiles,
    /// Judge as `serve --dev` does.
    #[arg(long)]
    pub(crate) dev: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Generated {
    /// Every message with its id and sentences.
    Messages,
    /// Every configuration key and what becomes of it.
    ConfigKeys,
    /// A JSON Schema of the configuration.
    ConfigSchema,
    /// The endpoints, as an OpenAPI document.
    Openapi,
}
