//! The repository's chores: test, cases, generate, readme, screens, bench.
//! People and `.ci/run` call it as `cargo xtask <chore>`; it uses the standard library only, so that it builds in seconds on a fresh machine.
//! It knows where things lie and how to start them, and nothing about what the server does inside.

mod bench;
mod cases;
mod chromium;
mod failure;
mod generate;
mod house;
mod http;
mod json;
mod machine;
mod node;
mod postgres;
mod python;
mod readme;
mod screens;
mod step;
mod tally;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use failure::{Failure, Result};

const USAGE: &str = "\
usage: cargo xtask <chore>

  test [--only sqlite] [-- FILTER]  run every test; last line: `N passed, N failed`
  cases [--check | --shrink]        which acceptance cases of docs/wire/cases.md the tests cover
  generate [--check]                write, or compare, the files that the server's tables produce
  readme                            run both commands of README.md as a newcomer would
  screens [PAGE...]                 photograph every page into docs/screens and check accessibility
  bench [ARGS...]                   run the benchmarks; arguments go to keyward-bench";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let chore = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let root = root();

    let result = match chore.as_str() {
        // Prints its own failures, because the tally has to be the last line in any case.
        "test" => return test::run(&root, &rest),
        "cases" => cases::run(&root, &rest),
        "generate" => generate::run(&root, &rest),
        "readme" => readme::run(&root, &rest),
        "screens" => screens::run(&root, &rest),
        "bench" => bench::run(&root, &rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        "" => Err(Failure::new(USAGE)),
        other => Err(Failure::new(format!("there is no chore `{other}`\n\n{USAGE}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// The checkout's root: two folders above this crate.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

/// Refuses arguments that a chore without options was given.
fn no_arguments(chore: &str, arguments: &[String]) -> Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => Err(Failure::new(format!("`{chore}` takes no `{argument}`\n\n{USAGE}"))),
    }
}
