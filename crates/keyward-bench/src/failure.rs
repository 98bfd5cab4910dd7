//! Why the benchmark stopped, as one text for the person at the terminal.
//! Every module here returns it.
//! It knows no kinds: nobody in this crate reacts to a failure other than by printing it.

use std::fmt;

/// A sentence that says what went wrong.
#[derive(Debug)]
pub(crate) struct Failure(String);

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Names what was being done when something refused, with all of its causes.
pub(crate) fn during<E: std::error::Error>(what: impl Into<String>) -> impl FnOnce(E) -> Failure {
    let mut text = what.into();
    move |error| {
        let mut next: Option<&dyn std::error::Error> = Some(&error);
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        Failure(text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
