//! Finds Python for the test of Ory's Python client and installs that client into an environment of its own.
//! The chore `test` calls it.
//! It knows nothing about the test itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result, during};
use crate::{machine, step};

/// The client needs it.
const OLDEST: (u32, u32) = (3, 9);
/// Copy of the list that the environment was installed from.
const STAMP: &str = ".installed-from-list";

/// A Python in `target/python` that has what `requirements` lists; made anew when the list changed.
pub(crate) fn environment(root: &Path, requirements: &Path) -> Result<PathBuf> {
    let list = fs::read(requirements).map_err(during(format!("reading {}", requirements.display())))?;
    let folder = root.join("target/python");
    let python = folder.join("bin/python");
    if fs::read(folder.join(STAMP)).is_ok_and(|installed| installed == list) && version_of(&python).is_some() {
        return Ok(python);
    }
    let base = find()?;
    step::run(Command::new(base).args(["-m", "venv", "--clear"]).arg(&folder).stdin(Stdio::null()))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    step::run(Command::new(&python).args(install).arg(requirements).stdin(Stdio::null()))?;
    fs::write(folder.join(STAMP), list).map_err(during("marking the Python environment as installed"))?;
    Ok(python)
}

/// A Python that is new enough and can make environments: `KEYWARD_TEST_PYTHON`, PATH, or Debian's packages.
fn find() -> Result<PathBuf> {
    if let Some(given) = machine::setting("KEYWARD_TEST_PYTHON") {
        return Ok(PathBuf::from(given));
    }
    if let Some(python) = usable() {
        return Ok(python);
    }
    if machine::apt_install(&["python3", "python3-venv"])?
        && let Some(python) = usable()
    {
        return Ok(python);
    }
    let (major, minor) = OLDEST;
    Err(Failure::new(format!(
        "Python {major}.{minor} or newer with venv is missing. Run this and try again (or set KEYWARD_TEST_PYTHON, or use --only sqlite):\n\n    \
         sudo apt-get update && sudo apt-get install -y python3 python3-venv"
    )))
}

fn usable() -> Option<PathBuf> {
    let python = machine::on_path("python3")?;
    let makes_environments = machine::answer_of(Command::new(&python).args(["-c", "import venv, ensurepip; print('yes')"]))?;
    (version_of(&python)? >= OLDEST && makes_environments.trim() == "yes").then_some(python)
}

fn version_of(python: &Path) -> Option<(u32, u32)> {
    parse(&machine::answer_of(Command::new(python).arg("--version"))?)
}

fn parse(answer: &str) -> Option<(u32, u32)> {
    let mut parts = answer.strip_prefix("Python ")?.trim().split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(parse("Python 3.11.7\n"), Some((3, 11)));
        assert_eq!(parse("Python 3.9"), Some((3, 9)));
        assert_eq!(parse("Python 2.7.18+"), Some((2, 7)));
        assert_eq!(parse("3.11.7"), None);
    }
}
