//! The command line of `keyward identities`, as types, in our spelling and in Kratos'.
//! `cli` takes them into the tree of commands, `identities` runs them.
//! Both spellings take the same flags.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Identities {
    /// Show identities.
    Get(Get),
    /// List identities, a page at a time.
    #[command(alias = "ls")]
    List(List),
    /// Delete identities, with everything that belongs to them.
    Delete(Delete),
    /// Let identities try again at once that guessed wrong too often, or for whom somebody else did.
    Unlock(Unlock),
    /// Import identities from JSON files or the standard input: one object, a list, or an object on every line.
    Import(Import),
    /// Check a file before it is imported: its keys, and with an endpoint its traits, too.
    Validate(Validate),
}

macro_rules! kratos {
    ($($name:ident($arguments:ident), $word:literal, $alias:literal;)+) => {$(
        /// Kratos puts the verb first.
        #[derive(Debug, Subcommand)]
        pub(crate) enum $name {
            #[command(name = $word, alias = $alias, about = "The same as under `identities`.")]
            Identity($arguments),
        }

        impl From<$name> for Identities {
            fn from($name::Identity(arguments): $name) -> Self {
                Self::$arguments(arguments)
            }
        }
    )+};
}

kratos! {
    GetWhat(Get), "identity", "identities";
    ListWhat(List), "identities", "identity";
    DeleteWhat(Delete), "identity", "identities";
    ImportWhat(Import), "identities", "identity";
    ValidateWhat(Validate), "identity", "identities";
}

/// Which server, and how to answer.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// The address of the admin port.
    #[arg(short = 'e', long, env = "KRATOS_ADMIN_URL", value_name = "URL")]
    pub(crate) endpoint: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Output {
    /// How to write the answer.
    #[arg(short = 'f', long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table or a sentence.
    #[value(alias = "table", alias = "default")]
    Text,
    /// JSON on one line.
    Json,
    /// JSON on many lines.
    JsonPretty,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Their ids.
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// The ids are external ids.
    #[arg(long)]
    pub(crate) external_id: bool,
    /// Show the config of credentials of this type.
    #[arg(short = 'i', long, value_name = "TYPE", value_delimiter = ',')]
    pub(crate) include_credentials: Vec<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Identities on a page.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) page_size: u32,
    /// Where the page starts; the page before it says so.
    #[arg(long, value_name = "TOKEN")]
    pub(crate) page_token: Option<String>,
    /// Accepted for Kratos' sake: every read is up to date.
    #[arg(long, hide = true)]
    pub(crate) consistency: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Their ids.
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Unlock {
    /// Their ids.
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Files; the standard input without any, or for `-`.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Pass over the rows that end on or before this line: where an earlier run of the same file ended.
    #[arg(long, value_name = "LINE", default_value_t = 0)]
    pub(crate) resume_after: u64,
    /// Pass over rows whose identifier, address or external id exists already, so that a file may be imported again.
    #[arg(long)]
    pub(crate) skip_existing: bool,
    /// Requests under way at once.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) concurrency: u8,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Files; the standard input without any, or for `-`.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The address of the admin port, whose identity schemas judge the traits. Without it only the keys are checked.
    #[arg(short = 'e', long, env = "KRATOS_ADMIN_URL", value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}
