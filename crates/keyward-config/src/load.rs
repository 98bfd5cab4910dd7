//! Loading: files in order, then flags, then the environment, one check over the merged result, typed settings.
//! The binary calls it at start and again when a file changed; everything it needs is handed in as text.
//! Reads no clock, no environment and (but for [`read_files`]) no disk.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::document::{Node, parse};
use crate::effective::Effective;
use crate::report::{ConfigErrors, Place, Report, Warning};
use crate::settings::Config;
use crate::{check, env, resolve};

/// One configuration file; the ending of its name decides between YAML (`.yml`, `.yaml`, none) and JSON (`.json`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The name that messages use, usually the path as given on the command line.
    pub name: String,
    /// The text of the file.
    pub text: String,
}

/// What the command line and the machine say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags {
    /// `--dev`: development mode, whatever the files say.
    pub dev: bool,
    /// The name of this machine, for base URLs that nobody configured; `localhost` when unknown.
    pub hostname: Option<String>,
    /// How many processors there are, for the default of `hashers.argon2.parallelism`; zero counts as one.
    pub cpus: u32,
}

/// A configuration that may be started.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What the operator should know, in the order of the files.
    pub warnings: Vec<Warning>,
    /// What was loaded, all files and variables together, to be shown, compared and named by a hash.
    pub effective: Effective,
    /// Development mode without any secret: the caller has to put random ones into `config.secrets`.
    pub generated_secrets_needed: bool,
}

/// A file of the configuration could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the configuration file {} cannot be read", path.display())]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Reads files for [`load`], in the given order.
///
/// # Errors
/// The first file that is missing, unreadable or not UTF-8.
pub fn read_files<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<Source>, Unreadable> {
    paths
        .iter()
        .map(|path| {
            let path = path.as_ref();
            let text = std::fs::read_to_string(path).map_err(|source| Unreadable { path: path.to_owned(), source })?;
            Ok(Source { name: path.display().to_string(), text })
        })
        .collect()
}

/// Loads a configuration: later sources win over earlier ones, the environment wins over all.
///
/// # Errors
/// Every mistake that was found, each with file and line or variable.
pub fn load(sources: &[Source], environment: &BTreeMap<String, String>, flags: &Flags) -> Result<Loaded, ConfigErrors> {
    let mut report = Report::default();
    let mut root = Node::empty();
    for source in sources {
        match parse(&source.name, &source.text) {
            Ok(node) => root.merge(node),
            Err(problem) => report.problems.push(problem),
        }
    }
    if !report.problems.is_empty() {
        // With a file missing, every other complaint would be a guess.
        return Err(ConfigErrors(report.problems));
    }
    env::apply(&mut root, environment, &mut report);
    check::check(&root, &mut report);
    let config = resolve::resolve(&root, flags, &mut report);
    let order = |place: &Place| match place {
        Place::File { name, line } => (0, sources.iter().position(|source| *source.name == **name).unwrap_or(0), *line),
        Place::Variable(_) | Place::Flag(_) => (1, 0, 0),
        Place::Nowhere => (2, 0, 0),
    };
    match config {
        Some(config) if report.problems.is_empty() => {
            let mut warnings = report.warnings;
            warnings.sort_by_key(|warning| order(&warning.place));
            let generated_secrets_needed = config.secrets.is_empty();
            Ok(Loaded { config, warnings, effective: Effective::new(&root), generated_secrets_needed })
        }
        _ => {
            report.problems.sort_by_key(|problem| order(&problem.place));
            Err(ConfigErrors(report.problems))
        }
    }
}
