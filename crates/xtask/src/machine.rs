//! What this machine has and what it lets us do: environment, PATH, root, package manager, random bytes.
//! The chores that look for PostgreSQL, Node and Chromium ask here.
//! It knows no tool by name, only how tools are found and installed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result, during};

/// An environment variable; an empty one counts as absent.
#[expect(
    clippy::disallowed_methods,
    reason = "the chores are configured by the environment, as binaries are; this is their one reader"
)]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A monotonic clock for bounds and for the elapsed times that the chores print.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "chores measure real time; nothing of the product depends on it")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// What is left of `bound`; zero once it has passed.
    pub(crate) fn left_of(&self, bound: Duration) -> Duration {
        bound.saturating_sub(self.elapsed())
    }
}

/// The first executable of that name on PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = setting("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| is_executable(file))
}

pub(crate) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Standard output of a short command, trimmed; `None` when it cannot be run or fails.
pub(crate) fn answer_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(crate) fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| answer_of(Command::new("id").arg("-u")).as_deref() == Some("0"))
}

/// Lower-case hex of `count` bytes from the system's random source.
pub(crate) fn random_hex(count: usize) -> Result<String> {
    let mut bytes = vec![0; count];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes)).map_err(during("reading /dev/urandom"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Installs Debian packages, as root or with a sudo that asks no password.
///
/// `Ok(false)` means that this machine does not let us (no apt-get, no privilege); a refused installation is an error.
pub(crate) fn apt_install(packages: &[&str]) -> Result<bool> {
    if on_path("apt-get").is_none() {
        return Ok(false);
    }
    let Some(privilege) = privilege() else { return Ok(false) };

    // Lists of a fresh machine are empty or old; once per run is enough.
    static UPDATED: OnceLock<()> = OnceLock::new();
    if UPDATED.get().is_none() {
        println!("· apt-get update");
        apt(&privilege, &["update", "-qq"])?;
        let _ = UPDATED.set(());
    }
    println!("· apt-get install {}", packages.join(" "));
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&privilege, &arguments)?;
    Ok(true)
}

/// The words to put before a command that needs root: none as root, `sudo -n` where that works.
pub(crate) fn privilege() -> Option<Vec<&'static str>> {
    if is_root() {
        return Some(Vec::new());
    }
    on_path("sudo")?;
    answer_of(Command::new("sudo").args(["-n", "true"])).map(|_| vec!["sudo", "-n"])
}

fn apt(privilege: &[&str], arguments: &[&str]) -> Result<()> {
    let words = [privilege, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"], arguments].concat();
    let output = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .output()
        .map_err(during(format!("running `{}`", words.join(" "))))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("`{}` failed:\n{}", words.join(" "), tail(&String::from_utf8_lossy(&output.stderr), 15))))
}

/// The last lines of a log, for an error that has to explain itself.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_keeps_the_end() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a\n", 2), "a");
        assert_eq!(tail("", 2), "");
    }

    #[test]
    fn programs_are_found_by_their_executable_bit() {
        assert!(on_path("sh").is_some_and(|shell| is_executable(&shell)));
        assert_eq!(on_path("no-program-has-this-name"), None);
        assert!(!is_executable(Path::new("/")));
    }
}
