//! Evaluates Jsonnet snippets in worker processes, so that neither an endless loop nor a memory bomb in one touches the server.
//! Whoever has a snippet of the operator (the session tokenizer, web hooks, claim mappers) hands in text and JSON and gets JSON
//! back; the program calls [`work`] when it was started as a worker.
//! Knows nothing of identities, sessions or configuration, and gives snippets no files, no environment and no network.

mod evaluate;
mod frame;
mod pool;
mod worker;

use serde::{Deserialize, Serialize};

pub use pool::{Jsonnet, LONGEST_EVALUATION, LONGEST_OUTPUT};
pub use worker::work;

/// What is to be evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The snippet.
    pub snippet: String,
    /// External variables by name, for `std.extVar`; each is JSON.
    pub variables: Vec<(String, String)>,
    /// When the snippet is a function: its arguments by name; each is JSON.
    pub arguments: Vec<(String, String)>,
}

/// Why there is no value.
#[derive(Debug, thiserror::Error)]
pub enum JsonnetError {
    /// The snippet said `error …`; the text is what it said.
    #[error("the snippet ended with an error of its own: {0}")]
    Raised(String),
    /// The snippet is no Jsonnet, or does something that cannot be done.
    #[error("the snippet cannot be evaluated: {0}")]
    Invalid(String),
    /// It was not done after [`LONGEST_EVALUATION`].
    #[error("the snippet took longer than a second")]
    TooSlow,
    /// The value has more bytes than [`LONGEST_OUTPUT`].
    #[error("the value of the snippet has more than 256 KiB")]
    TooLong,
    /// The worker process ended, most likely because the snippet wanted more memory than it may have.
    #[error("the snippet needs more memory than it may have")]
    Ended,
    /// Every worker was busy for too long.
    #[error("every worker is busy")]
    Busy,
    /// No worker could be started.
    #[error("no worker process can be started")]
    NoWorker(#[source] std::io::Error),
}
