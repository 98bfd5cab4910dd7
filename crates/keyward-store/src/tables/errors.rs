//! Stored errors: what a browser was sent away with, kept for the page that explains it.
//! `http` stores one before it redirects to the error page, which fetches it by id.
//! The text is the wire's error object and holds nothing secret.

use keyward_model::{ErrorId, Time};

use crate::sql::declare;
use crate::{Batch, Expect, FromRow, Refusal, Row, Store, StoreError, params};

declare! { "errors";
    FIND = "SELECT id, error, created_at, updated_at FROM self_service_errors WHERE id = $1";
    INSERT = "INSERT INTO self_service_errors (id, error, created_at, updated_at) VALUES ($1, $2, $3, $4)";
}

/// A stored error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorRow {
    /// Its id.
    pub id: ErrorId,
    /// The error object, JSON.
    pub error: String,
    /// When it happened.
    pub created_at: Time,
    /// Last changed.
    pub updated_at: Time,
}

impl FromRow for ErrorRow {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self { id: row.get(0)?, error: row.get(1)?, created_at: row.get(2)?, updated_at: row.get(3)? })
    }
}

impl Store {
    /// The error with this id.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_error(&self, id: ErrorId) -> Result<Option<ErrorRow>, StoreError> {
        self.one(&FIND, params![id]).await
    }
}

impl Batch {
    /// Adds an error.
    pub fn insert_error(&mut self, error: &ErrorRow) {
        let values = params![error.id, &error.error, error.created_at, error.updated_at];
        self.push(&INSERT, values, Expect::Rows(1, Refusal::VersionConflict));
    }
}
