//! Makes the database fail at a chosen statement, so that "all or nothing" can be tested for every place.
//! Only a [`crate::Store`] built with `Store::with_faults` ever asks here.
//! The failing statement is sent to the engine for real, so that the engine's own error handling is what is tested.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::Sql;

/// A planned failure, shared between a test and its store.
#[derive(Clone, Debug)]
pub struct Faults(Arc<AtomicI64>);

/// Overflows in both engines when it runs.
pub(crate) static FAULT: Sql = Sql::new("faults.FAULT", "SELECT abs(-9223372036854775807 - 1)");

const NONE: i64 = -1;

impl Default for Faults {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(NONE)))
    }
}

impl Faults {
    /// Plans nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next batch fails in place of its zero-based `statement`; at its length it fails after the last one, before the
    /// commit. A batch that is shorter than that runs as if nothing was planned.
    pub fn fail_at(&self, statement: usize) {
        self.0.store(i64::try_from(statement).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Takes the planned place.
    pub(crate) fn take(&self) -> Option<usize> {
        usize::try_from(self.0.swap(NONE, Ordering::SeqCst)).ok()
    }
}
