//! Runs every test: finds or installs what they need, starts a private PostgreSQL, runs cargo's tests, then the browser walks.
//! Called as `cargo xtask test [--only sqlite] [-- FILTER]`, by people and by `.ci/run`.
//! Tells the tests what there is through `KEYWARD_TEST_*` and knows nothing about what they check.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::failure::{Failure, Result, during};
use crate::machine::Stopwatch;
use crate::postgres::{self, Cluster, Found};
use crate::tally::{CargoLines, NodeLines, Tally};
use crate::{chromium, node, python, step};

#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    only_sqlite: bool,
    /// Handed to both runners as the part of a name that a test must contain.
    filter: Option<String>,
}

/// The last line is the tally, whatever happened.
pub(crate) fn run(root: &Path, arguments: &[String]) -> ExitCode {
    let watch = Stopwatch::start();
    let mut tally = Tally::default();
    match Request::parse(arguments) {
        Ok(request) => {
            let result = run_all(root, &request, &mut tally);
            if let Err(failure) = result {
                println!("{failure}");
                tally.fail("the run could not be completed, see above");
            } else if tally.passed + tally.failed == 0 && request.filter.is_none() {
                tally.fail("no test ran");
            }
            if request.only_sqlite {
                println!("\nonly sqlite: tests on PostgreSQL and the browser walks were left out");
            }
        }
        Err(failure) => tally.fail(failure.to_string()),
    }
    if !tally.failures.is_empty() {
        println!("\nfailed:");
        tally.failures.iter().for_each(|name| println!("  {name}"));
    }
    println!("\ntook {} s", watch.elapsed().as_secs());
    println!("{tally}");
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A program beside this one: cargo puts everything that it builds in one profile into one folder.
pub(crate) fn built(program: &str) -> PathBuf {
    std::env::current_exe().map(|own| own.with_file_name(program)).unwrap_or_else(|_| PathBuf::from(program))
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self> {
        const USAGE: &str = "usage: cargo xtask test [--only sqlite] [-- FILTER]";
        let mut request = Self::default();
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(argument) = rest.next() {
            match argument {
                "--only" => match rest.next() {
                    Some("sqlite") => request.only_sqlite = true,
                    _ => return Err(Failure::new(format!("`--only` knows `sqlite`\n{USAGE}"))),
                },
                "--" => {
                    request.filter = rest.next().map(str::to_owned);
                    if let Some(second) = rest.next() {
                        return Err(Failure::new(format!("one filter is enough, `{second}` is a second one\n{USAGE}")));
                    }
                }
                other => return Err(Failure::new(format!("`{other}` is no option of this chore\n{USAGE}"))),
            }
        }
        Ok(request)
    }
}

fn run_all(root: &Path, request: &Request, tally: &mut Tally) -> Result<()> {
    if request.only_sqlite {
        println!("only sqlite: no PostgreSQL, Node, Python or Chromium");
        let mut command = cargo_test(root, request);
        command.env("KEYWARD_TEST_ONLY", "sqlite").env_remove("KEYWARD_TEST_POSTGRES");
        return run_cargo(&mut command, tally);
    }

    // Everything is found before the first test runs: a missing tool shows in seconds, not after minutes.
    let found = postgres::find(root)?;
    let node = node::find()?;
    let chromium = chromium::find()?;
    let walks = root.join("tests/browser");
    node::install(&node, &walks)?;
    let python = python::environment(root, &walks.join("requirements.txt"))?;

    let watch = Stopwatch::start();
    let cluster = Cluster::start(&found)?;
    let url = match (&found, &cluster) {
        (Found::Running(url), _) => {
            println!("· PostgreSQL of KEYWARD_TEST_POSTGRES");
            url.as_str()
        }
        (Found::Programs(bin) | Found::Portable(bin), Some(cluster)) => {
            println!("· private PostgreSQL from {}, started in {} ms", bin.display(), watch.elapsed().as_millis());
            cluster.url()
        }
        (Found::Programs(_) | Found::Portable(_), None) => return Err(Failure::new("PostgreSQL was found but not started")),
    };

    let surroundings = |command: &mut Command| {
        command
            .env_remove("KEYWARD_TEST_ONLY")
            .env("KEYWARD_TEST_POSTGRES", url)
            .env("KEYWARD_TEST_NODE", &node)
            .env("KEYWARD_TEST_PYTHON", &python)
            .env("KEYWARD_TEST_CHROMIUM", &chromium)
            .env("KEYWARD_TEST_SERVER", built("keyward"));
    };
    let mut command = cargo_test(root, request);
    surroundings(&mut command);
    run_cargo(&mut command, tally)?;

    let files = walk_files(&walks)?;
    if files.is_empty() {
        println!("there are no browser walks yet (tests/browser/*.test.mjs)");
        return Ok(());
    }
    let mut command = Command::new(&node);
    command.current_dir(&walks).stdin(Stdio::null());
    // TAP for the tally, the readable form for people; one file at a time, since they share one browser's worth of machine.
    command.args(["--test", "--test-concurrency=1", "--test-reporter=tap", "--test-reporter-destination=stdout"]);
    command.args(["--test-reporter=spec", "--test-reporter-destination=stderr"]);
    if let Some(filter) = &request.filter {
        command.arg(format!("--test-name-pattern={filter}"));
    }
    command.args(files);
    surroundings(&mut command);
    run_node(&mut command, tally)
}

/// One invocation for the whole workspace: features are unified once, so nothing is built twice.
fn cargo_test(root: &Path, request: &Request) -> Command {
    let mut command = step::cargo();
    command.current_dir(root).args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    if let Some(filter) = &request.filter {
        command.args(["--", filter]);
    }
    command
}

fn run_cargo(command: &mut Command, tally: &mut Tally) -> Result<()> {
    let mut lines = CargoLines::default();
    let succeeded = follow(command, |line| {
        println!("{line}");
        lines.read(line);
    })?;
    tally.add(lines.finish(succeeded));
    Ok(())
}

fn run_node(command: &mut Command, tally: &mut Tally) -> Result<()> {
    let mut lines = NodeLines::default();
    let succeeded = follow(command, |line| lines.read(line))?;
    tally.add(lines.finish(succeeded));
    Ok(())
}

/// Runs to the end and hands over each line of standard output as it comes; answers whether the command succeeded.
fn follow(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool> {
    let words = step::words(command);
    println!("· {words}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(during(format!("running `{words}`")))?;
    if let Some(output) = child.stdout.take() {
        // Tests may print bytes that are no text; they must not end the reading.
        for line in BufReader::new(output).split(b'\n') {
            let line = line.map_err(during(format!("reading from `{words}`")))?;
            each(String::from_utf8_lossy(&line).trim_end_matches('\r'));
        }
    }
    let status = child.wait().map_err(during(format!("waiting for `{words}`")))?;
    Ok(status.success())
}

fn walk_files(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(during(format!("reading {}", folder.display())))?;
    let mut files: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".test.mjs"))
        .collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Option<Request> {
        Request::parse(&arguments.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()).ok()
    }

    #[test]
    fn requests() {
        let filter = Some("totp".to_owned());
        assert_eq!(parse(&[]), Some(Request::default()));
        assert_eq!(parse(&["--only", "sqlite"]), Some(Request { only_sqlite: true, filter: None }));
        assert_eq!(parse(&["--only", "sqlite", "--", "totp"]), Some(Request { only_sqlite: true, filter: filter.clone() }));
        assert_eq!(parse(&["--", "totp"]), Some(Request { only_sqlite: false, filter }));
        assert_eq!(parse(&["--"]), Some(Request::default()));
    }

    #[test]
    fn requests_that_are_refused() {
        for arguments in [&["--only"][..], &["--only", "postgres"], &["--fast"], &["totp"], &["--", "a", "b"]] {
            assert_eq!(parse(arguments), None, "{arguments:?}");
        }
    }

    #[test]
    fn lines_are_followed_to_the_end() {
        let mut seen = Vec::new();
        let succeeded =
            follow(Command::new("sh").args(["-c", "printf 'one\\ntwo'; exit 3"]), |line| seen.push(line.to_owned())).unwrap();
        assert!(!succeeded);
        assert_eq!(seen, ["one", "two"]);
    }
}
