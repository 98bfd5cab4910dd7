//! Rows of both engines behind one cheap accessor.
//! The files under `tables/` read their structs from it.
//! A value of the wrong kind is an error that names statement and column, never a panic.

use keyward_model::{
    AddressId, CodeId, ContainerId, CredentialId, DeviceId, DispatchId, ErrorId, EventId, FlowId, GrantId, IdentityId, MessageId,
    SessionId, Time, TraitsChangeId,
};
use serde::de::DeserializeOwned;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use crate::StoreError;

/// A row while it is being read.
pub struct Row<'r> {
    cells: Cells<'r>,
    statement: &'static str,
}

enum Cells<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

/// A struct that is read from the columns of a row.
pub trait FromRow: Sized {
    /// Reads the columns in the order of the statement.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a column is missing or of another kind.
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError>;
}

/// One stored value, borrowed from its row.
#[derive(Clone, Copy)]
pub enum Value<'r> {
    /// SQL `NULL`.
    Null,
    /// A truth value; SQLite stores it as 0 or 1 and yields [`Value::I64`].
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// Text.
    Text(&'r str),
    /// Bytes; SQLite also yields ids so.
    Bytes(&'r [u8]),
    /// An id of PostgreSQL.
    Uuid(Uuid),
}

/// A type that can be read from one stored value.
pub trait FromValue<'r>: Sized {
    /// What to call it in an error.
    const KIND: &'static str;
    /// `None` when the value is of another kind.
    fn from_value(value: Value<'r>) -> Option<Self>;
}

impl<'r> Row<'r> {
    pub(crate) const fn sqlite(row: &'r rusqlite::Row<'r>, statement: &'static str) -> Self {
        Self { cells: Cells::Sqlite(row), statement }
    }

    pub(crate) const fn postgres(row: &'r tokio_postgres::Row, statement: &'static str) -> Self {
        Self { cells: Cells::Postgres(row), statement }
    }

    /// Reads a zero-based column.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the column does not exist or holds another kind of value.
    pub fn get<T: FromValue<'r>>(&self, column: usize) -> Result<T, StoreError> {
        self.value(column).and_then(T::from_value).ok_or_else(|| self.corrupt(column, T::KIND))
    }

    /// Reads a column of JSON text.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is no text, no JSON or of another shape.
    pub fn json<T: DeserializeOwned>(&self, column: usize) -> Result<T, StoreError> {
        serde_json::from_str(self.get(column)?).map_err(|_| self.corrupt(column, "JSON of the expected shape"))
    }

    /// Reads a column of JSON text that may be `NULL`.
    ///
    /// # Errors
    /// As [`Row::json`].
    pub fn optional_json<T: DeserializeOwned>(&self, column: usize) -> Result<Option<T>, StoreError> {
        match self.get::<Option<&str>>(column)? {
            None => Ok(None),
            Some(_) => self.json(column).map(Some),
        }
    }

    /// Reads a column that holds one word of a closed list.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when `parse` does not know the word.
    pub fn word<T>(&self, column: usize, parse: fn(&str) -> Option<T>) -> Result<T, StoreError> {
        parse(self.get(column)?).ok_or_else(|| self.corrupt(column, "a known word"))
    }

    /// Reads a column that holds one word of a closed list, or `NULL`.
    ///
    /// # Errors
    /// As [`Row::word`].
    pub fn optional_word<T>(&self, column: usize, parse: fn(&str) -> Option<T>) -> Result<Option<T>, StoreError> {
        match self.get::<Option<&str>>(column)? {
            None => Ok(None),
            Some(_) => self.word(column, parse).map(Some),
        }
    }

    /// The error for a column that holds something unexpected.
    pub fn corrupt(&self, column: usize, expected: &'static str) -> StoreError {
        StoreError::Corrupt { statement: self.statement, column, expected }
    }

    fn value(&self, column: usize) -> Option<Value<'r>> {
        match self.cells {
            Cells::Sqlite(row) => match row.get_ref(column).ok()? {
                rusqlite::types::ValueRef::Null => Some(Value::Null),
                rusqlite::types::ValueRef::Integer(number) => Some(Value::I64(number)),
                rusqlite::types::ValueRef::Text(text) => std::str::from_utf8(text).ok().map(Value::Text),
                rusqlite::types::ValueRef::Blob(bytes) => Some(Value::Bytes(bytes)),
                rusqlite::types::ValueRef::Real(_) => None,
            },
            Cells::Postgres(row) => row.try_get(column).ok(),
        }
    }
}

impl<'r> FromSql<'r> for Value<'r> {
    fn from_sql(ty: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *ty {
            Type::BOOL => Self::Bool(bool::from_sql(ty, raw)?),
            Type::INT4 => Self::I64(i64::from(i32::from_sql(ty, raw)?)),
            Type::INT8 => Self::I64(i64::from_sql(ty, raw)?),
            Type::BYTEA => Self::Bytes(raw),
            Type::UUID => Self::Uuid(Uuid::from_sql(ty, raw)?),
            _ => Self::Text(<&str>::from_sql(ty, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::BOOL | Type::INT4 | Type::INT8 | Type::BYTEA | Type::UUID | Type::TEXT | Type::VARCHAR)
    }
}

macro_rules! readable {
    ($($target:ty, $kind:literal: $($pattern:pat => $value:expr),+;)+) => {$(
        impl<'r> FromValue<'r> for $target {
            const KIND: &'static str = $kind;
            fn from_value(value: Value<'r>) -> Option<Self> {
                match value { $($pattern => $value,)+ _ => None }
            }
        }
    )+};
}

readable! {
    bool, "a truth value": Value::Bool(value) => Some(value), Value::I64(0) => Some(false), Value::I64(1) => Some(true);
    i64, "a whole number": Value::I64(value) => Some(value);
    &'r str, "text": Value::Text(value) => Some(value);
    String, "text": Value::Text(value) => Some(value.to_owned());
    Vec<u8>, "bytes": Value::Bytes(value) => Some(value.to_vec());
    [u8; 32], "32 bytes": Value::Bytes(value) => value.try_into().ok();
    Uuid, "an id": Value::Uuid(value) => Some(value), Value::Bytes(value) => Uuid::from_slice(value).ok();
    Time, "an instant": Value::I64(value) => Some(Time::from_micros(value));
}

macro_rules! readable_ids {
    ($($id:ident),+) => {$(
        impl<'r> FromValue<'r> for $id {
            const KIND: &'static str = "an id";
            fn from_value(value: Value<'r>) -> Option<Self> { Uuid::from_value(value).map(Self) }
        }
    )+};
}

readable_ids!(
    IdentityId,
    SessionId,
    FlowId,
    CredentialId,
    AddressId,
    DeviceId,
    ContainerId,
    GrantId,
    CodeId,
    MessageId,
    DispatchId,
    TraitsChangeId,
    ErrorId,
    EventId
);

impl<'r, T: FromValue<'r>> FromValue<'r> for Option<T> {
    const KIND: &'static str = T::KIND;
    fn from_value(value: Value<'r>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl FromRow for i64 {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.get(0)
    }
}
