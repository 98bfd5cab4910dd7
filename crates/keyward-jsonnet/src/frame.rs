//! How server and worker talk: a length of four bytes, big end first, and so many bytes of JSON.
//! The pool writes jobs and reads verdicts, the worker does the reverse.
//! Knows no Jsonnet.

use std::io;

use serde::{Deserialize, Serialize};

/// The most bytes of a job. Snippets and sessions are far smaller; this only keeps a mistake from filling the pipe.
pub(crate) const LONGEST_JOB: usize = 4 << 20;

/// How an evaluation ended inside the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// The value as JSON.
    Value(String),
    /// See [`crate::JsonnetError::Raised`].
    Raised(String),
    /// See [`crate::JsonnetError::Invalid`].
    Invalid(String),
    /// See [`crate::JsonnetError::TooLong`].
    TooLong,
}

/// A message ready to be written.
pub(crate) fn frame<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut bytes = Vec::with_capacity(json.len() + 4);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&json);
    Ok(bytes)
}

/// The length that four bytes announce, if it may be so long.
pub(crate) fn length(head: [u8; 4], most: usize) -> io::Result<usize> {
    let length = usize::try_from(u32::from_be_bytes(head)).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    if length > most { Err(io::ErrorKind::InvalidData.into()) } else { Ok(length) }
}
