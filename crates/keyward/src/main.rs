//! The `keyward` program: serves, prepares the database, or starts a quick local trial.
//! People and process managers call it; its command line follows Kratos', so that start scripts keep working.
//! Knows how to put the floors together and nothing of what they do.

mod check;
mod cleanup;
mod cli;
mod courier;
mod generate;
mod identities;
mod identities_arguments;
mod identities_client;
mod identities_import;
mod identities_rows;
mod log;
mod migrate;
mod quickstart;
mod reload;
mod serve;
mod system;
#[cfg(feature = "otlp")]
mod traces;

use std::process::ExitCode;

use clap::Parser as _;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = cli::Cli::parse().command;
    let outcome = match command {
        cli::Command::Serve(arguments) => serve::run(&arguments),
        cli::Command::Quickstart(arguments) => quickstart::run(&arguments),
        cli::Command::Migrate { what: cli::Migrate::Sql(arguments) } => migrate::run(&arguments),
        cli::Command::Cleanup { what: cli::Cleanup::Sql(arguments) } => cleanup::run(&arguments),
        cli::Command::Courier { what: cli::Courier::Watch(arguments) } => courier::run(&arguments),
        cli::Command::Config { what: cli::Config::Check(arguments) } => check::check(&arguments),
        cli::Command::Config { what: cli::Config::Show(arguments) } => check::show(&arguments),
        cli::Command::Identities { what } => identities::run(what),
        cli::Command::Get { what } => identities::run(what.into()),
        cli::Command::List { what } => identities::run(what.into()),
        cli::Command::Delete { what } => identities::run(what.into()),
        cli::Command::Import { what } => identities::run(what.into()),
        cli::Command::Validate { what } => identities::run(what.into()),
        cli::Command::Generate { what } => generate::run(what),
        cli::Command::Jsonnet => keyward_jsonnet::work().map_err(|error| Failure::new("cannot evaluate Jsonnet", &error)),
        cli::Command::Version => {
            println!("{}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("keyward: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Does the work of a command that serves nobody, on one thread.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new("cannot start the runtime", &error))?.block_on(work)
}

/// A sentence for the person at the terminal. The program ends with it.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// What was tried, and what stood in the way, cause by cause.
    pub(crate) fn new(what: &str, error: &dyn std::error::Error) -> Self {
        let mut text = format!("{what}: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self(text)
    }

    /// A sentence of its own.
    pub(crate) fn say(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
