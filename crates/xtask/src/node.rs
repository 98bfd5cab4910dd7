//! Finds Node for the browser walks and installs what they need from the lock file.
//! The chores `test` and `screens` call it.
//! It knows nothing about the walks themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result, during};
use crate::{machine, step};

const OLDEST: u32 = 20;
/// Copy of the lock file that `node_modules` was installed from.
const STAMP: &str = "node_modules/.installed-from-lock";

/// A Node that is new enough: `KEYWARD_TEST_NODE`, PATH, or Debian's package.
pub(crate) fn find() -> Result<PathBuf> {
    if let Some(given) = machine::setting("KEYWARD_TEST_NODE") {
        let node = PathBuf::from(given);
        return match major_of(&node) {
            Some(major) if major >= OLDEST => Ok(node),
            Some(major) => Err(Failure::new(format!("KEYWARD_TEST_NODE is Node {major}; the walks need {OLDEST} or newer"))),
            None => Err(Failure::new(format!("KEYWARD_TEST_NODE: {} does not answer `--version`", node.display()))),
        };
    }
    if let Some(node) = new_enough() {
        return Ok(node);
    }
    if machine::apt_install(&["nodejs", "npm"])?
        && let Some(node) = new_enough()
    {
        return Ok(node);
    }
    Err(Failure::new(format!(
        "Node {OLDEST} or newer is missing. Run this and try again (or set KEYWARD_TEST_NODE, or use --only sqlite):\n\n    \
         sudo apt-get update && sudo apt-get install -y nodejs npm"
    )))
}

/// Runs `npm ci` in `project` unless its `node_modules` came from the very lock file that stands there.
pub(crate) fn install(node: &Path, project: &Path) -> Result<()> {
    let lock_file = project.join("package-lock.json");
    let lock = fs::read(&lock_file).map_err(during(format!("reading {}", lock_file.display())))?;
    if fs::read(project.join(STAMP)).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    step::run(npm(node)?.arg("ci").current_dir(project))?;
    fs::write(project.join(STAMP), lock).map_err(during("marking node_modules as installed"))
}

/// npm beside the chosen Node, else the one on PATH, else Debian's.
pub(crate) fn npm(node: &Path) -> Result<Command> {
    let beside = node.with_file_name("npm");
    let found = if machine::is_executable(&beside) { Some(beside) } else { machine::on_path("npm") };
    let npm = match found {
        Some(npm) => npm,
        None if machine::apt_install(&["npm"])? => PathBuf::from("npm"),
        None => return Err(Failure::new("npm is missing. Run this and try again:\n\n    sudo apt-get install -y npm")),
    };
    let mut command = Command::new(npm);
    command.stdin(Stdio::null());
    Ok(command)
}

fn new_enough() -> Option<PathBuf> {
    let node = machine::on_path("node").or_else(|| machine::on_path("nodejs"))?;
    (major_of(&node)? >= OLDEST).then_some(node)
}

fn major_of(node: &Path) -> Option<u32> {
    parse_major(&machine::answer_of(Command::new(node).arg("--version"))?)
}

fn parse_major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(parse_major("v20.20.2"), Some(20));
        assert_eq!(parse_major("v8.0.0-pre"), Some(8));
        assert_eq!(parse_major("20.1.0"), None);
        assert_eq!(parse_major("node"), None);
    }
}
