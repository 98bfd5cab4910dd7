//! Why a chore stopped, as one text for a person at a terminal.
//! Every module here returns it.
//! It knows no kinds: nobody in this crate reacts to a failure other than by printing it.

use std::fmt;
use std::io;

/// A sentence that says what went wrong and, where there is one, what to do about it.
pub(crate) struct Failure(String);

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Names what was being done when the system refused: `fs::read(p).map_err(during("reading the lock file"))`.
pub(crate) fn during(what: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
    let what = what.into();
    move |error| Failure(format!("{what}: {error}"))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
