//! A transaction as data: named statements, each with the number of rows it must touch.
//! The files under `tables/` fill it, `Store::commit` runs it whole or not at all.
//! Holds no connection and does nothing by itself.

use crate::{Params, Refusal, Sql};

/// What must be true of a statement's row count for the batch to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Any number of rows.
    Any,
    /// Exactly so many rows, else the whole batch is refused with this answer.
    Rows(u64, Refusal),
}

impl Expect {
    pub(crate) fn check(self, rows: u64) -> Result<(), Refusal> {
        match self {
            Self::Rows(wanted, refusal) if wanted != rows => Err(refusal),
            _ => Ok(()),
        }
    }
}

/// One statement of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) sql: &'static Sql,
    pub(crate) params: Params,
    pub(crate) expect: Expect,
}

/// Everything that one change writes, in order. Runs atomically; may run more than once when the engine asks for a retry,
/// so ids, versions and times are made by the caller and are part of the data.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) steps: Vec<Step>,
}

impl Batch {
    /// An empty batch; committing it does nothing.
    pub const fn new() -> Self {
        Self { steps: Vec::new() }
    }

    /// Appends a statement.
    pub fn push(&mut self, sql: &'static Sql, params: Params, expect: Expect) {
        self.steps.push(Step { sql, params, expect });
    }

    /// Appends everything of another batch.
    pub fn append(&mut self, mut other: Self) {
        self.steps.append(&mut other.steps);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many statements it has.
    pub fn len(&self) -> usize {
        self.steps.len()
    }
}
