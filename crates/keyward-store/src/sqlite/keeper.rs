//! One read that stays open between commits, so that all other reads get by without asking the kernel for file locks.
//! The writer lets go of it before each commit and opens it again after; what it reads is of no interest.
//! Changes nothing about what other connections see: each of their statements still begins a read of its own.

use std::time::Duration;

use rusqlite::Connection;

/// A reader of the log holds a shared lock on the place up to which it reads (SQLite, WAL-mode file format, 2.3). SQLite counts
/// such locks by process: the first one locks the file, the last one unlocks it, and both do so inside a mutex of all
/// connections. With few readers every statement is the first and the last one, and they wait for each other. While the keeper
/// holds the lock, the others only count.
pub(super) struct Keeper(Connection);

impl Keeper {
    /// Works with a connection of its own.
    pub(super) fn new(connection: Connection) -> Self {
        // Holding is a convenience, and never worth a pause of the writer.
        let _ = connection.busy_timeout(Duration::ZERO);
        let keeper = Self(connection);
        keeper.hold();
        keeper
    }

    /// Opens the read at the latest commit. Where that fails, reads cost what they cost without it.
    pub(super) fn hold(&self) {
        // A transaction reads from its first statement on.
        if self.run("BEGIN").is_ok() && self.run("SELECT 1 FROM sqlite_schema LIMIT 1").is_err() {
            self.release();
        }
    }

    /// Ends the read. Belongs before a commit: a checkpoint stops at the oldest open read, and the log starts over only when
    /// nobody reads from it.
    pub(super) fn release(&self) {
        let _ = self.run("ROLLBACK");
    }

    fn run(&self, text: &str) -> rusqlite::Result<()> {
        self.0.prepare_cached(text)?.raw_query().next().map(drop)
    }
}
