//! Runs one command of a chore in the open: what is run, and a failure that names it.
//! Chores with several commands call it.
//! It does not read what the command prints.

use std::process::{Command, Stdio};

use crate::failure::{Failure, Result, during};
use crate::machine::setting;

/// The cargo that started this chore, so that the same toolchain builds everything.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(setting("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    command.stdin(Stdio::null());
    command
}

/// Runs to the end with inherited output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let words = words(command);
    println!("· {words}");
    let status = command.status().map_err(during(format!("running `{words}`")))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{words}` failed: {status}"))) }
}

/// The command as a person would type it, without the folder of the program.
pub(crate) fn words(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut words = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        words.push(' ');
        words.push_str(&argument.to_string_lossy());
    }
    words
}
