//! `keyward-bench`: how much the server costs, beside a handler that does nothing, in one run on one machine.
//! Called as `cargo xtask bench`; docs/performance.md says what the figures mean.
//! It treats the server as a program with ports: nothing here links against it.

mod bare;
mod connection;
mod enumeration;
mod failure;
mod histogram;
mod load;
mod machine;
mod people;
mod postgres;
mod process;
mod report;
mod response;
mod run;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

// The bare handler gets the allocator that the server has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure the server against a bare handler that returns the same bytes.
#[derive(Debug, Parser)]
#[command(name = "keyward-bench", max_term_width = 100, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Keep-alive connections that send at the same time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) connections: u16,
    /// Seconds of one round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) seconds: u16,
    /// Rounds; in each one all servers get their turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
    /// Identities with a session each; at least as many as connections are made.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) identities: u32,
    /// Starts that are timed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) starts: u16,
    /// Threads of the load generator. Default: half of the cores.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) surroundings: Surroundings,
}

/// What every measurement needs to know.
#[derive(Debug, Args)]
pub(crate) struct Surroundings {
    /// Address of a PostgreSQL server's maintenance database, with the right to create databases. Nobody else should be
    /// using the server meanwhile.
    #[arg(long, env = "KEYWARD_TEST_POSTGRES", hide_env_values = true)]
    pub(crate) postgres: Option<String>,
    /// Folder for the databases, instead of the system's temporary one.
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
    /// Measure this binary instead of building one.
    #[arg(long)]
    pub(crate) server: Option<PathBuf>,
    /// Print the figures as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Surroundings {
    /// The PostgreSQL server; an empty address is none.
    pub(crate) fn postgres(&self) -> Option<&str> {
        self.postgres.as_deref().filter(|url| !url.is_empty())
    }
}

/// Other things to measure, and the processes that a run starts from this program.
#[derive(Debug, Subcommand)]
enum Part {
    /// Measure whether the time of a refused sign-in tells if the account exists.
    Enumeration(enumeration::Options),
    /// Serve a recorded answer.
    #[command(hide = true)]
    Bare {
        /// File with the answer.
        #[arg(long)]
        answer: PathBuf,
        /// Port on 127.0.0.1.
        #[arg(long)]
        port: u16,
    },
    /// Carry out the plan on standard input.
    #[command(hide = true)]
    Load,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.part {
        Some(Part::Bare { answer, port }) => bare::run(&answer, port),
        Some(Part::Load) => load::run(),
        Some(Part::Enumeration(options)) => enumeration::run(&options),
        None => run::run(&cli.options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("keyward-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}
