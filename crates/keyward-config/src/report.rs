//! What loading has to say: errors that stop the start and warnings that do not, each with its place.
//! The loader collects them all before it answers, so that one run shows every mistake.
//! Never holds the value of a secret.

use std::fmt;
use std::sync::Arc;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of a configuration file, counted from one.
    File {
        /// The name under which the file was handed in.
        name: Arc<str>,
        /// The line of the key or list item.
        line: u64,
    },
    /// An environment variable.
    Variable(String),
    /// An option of the command line.
    Flag(&'static str),
    /// Nowhere: the mistake is that something is missing, or the value is a default.
    Nowhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "option {name}"),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// One mistake that stops the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub place: Place,
    /// The dotted key; empty when the whole file is meant.
    pub key: String,
    /// What is wrong and what would be right, without the value of a secret.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(place: Place, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place, key: key.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, &self.place, &self.key, &self.message)
    }
}

/// Every mistake of one load, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(
    /// At least one.
    pub Vec<Problem>,
);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// Why a warning is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarningKind {
    /// The key is known but this version does nothing with it.
    NotYet,
    /// The key or hook belongs to a commercial product and does nothing here.
    Commercial,
    /// An older name or form that still works.
    Deprecated,
    /// The setting works, but probably not as intended, or it weakens protection.
    Advice,
}

/// Something that the operator should know, although the start goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Its class.
    pub kind: WarningKind,
    /// Where the key was written.
    pub place: Place,
    /// The dotted key.
    pub key: String,
    /// One sentence.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, &self.place, &self.key, &self.message)
    }
}

fn line(f: &mut fmt::Formatter<'_>, place: &Place, key: &str, message: &str) -> fmt::Result {
    if key.is_empty() { write!(f, "{place}: {message}") } else { write!(f, "{place}: {key}: {message}") }
}

/// The collection that every step of a load writes to.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
}

impl Report {
    /// The first mistake of a key stays; what later steps say about the same key is a consequence of it.
    pub(crate) fn refuse(&mut self, place: &Place, key: impl Into<String>, message: impl Into<String>) {
        let problem = Problem::new(place.clone(), key, message);
        if !self.problems.iter().any(|known| known.key == problem.key && !known.key.is_empty()) {
            self.problems.push(problem);
        }
    }

    pub(crate) fn warn(&mut self, kind: WarningKind, place: &Place, key: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(Warning { kind, place: place.clone(), key: key.into(), message: message.into() });
    }
}
