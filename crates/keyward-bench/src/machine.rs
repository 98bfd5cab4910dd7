//! Describes the machine and the tools of a run, for the head of the report.
//! The runner calls it once.
//! It measures nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// Where a run was made. Unknown parts are empty.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Cores that a process may use.
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    /// Short id of the commit, with `+` when files differ from it.
    pub(crate) commit: String,
    /// File system below the SQLite file.
    pub(crate) file_system: String,
}

impl Machine {
    pub(crate) fn describe(root: &Path, folder: &Path) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: model(&read("/proc/cpuinfo")),
            kernel: read("/proc/sys/kernel/osrelease"),
            rustc: answer_of(Command::new("rustc").arg("--version").current_dir(root)),
            commit: commit(root),
            file_system: answer_of(Command::new("stat").args(["-f", "-c", "%T"]).arg(folder)),
        }
    }
}

fn commit(root: &Path) -> String {
    let mut id = answer_of(Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(root));
    if !id.is_empty() && !answer_of(Command::new("git").args(["status", "--porcelain"]).current_dir(root)).is_empty() {
        id.push('+');
    }
    id
}

fn model(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim().to_owned()).unwrap_or_default()
}

fn answer_of(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors() {
        assert_eq!(model("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: other\n"), "Some CPU @ 2 GHz");
        assert_eq!(model("CPU architecture: 8\n"), "");
    }
}
