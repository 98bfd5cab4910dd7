//! Statements and parameters: one text for both engines, with the rare exception written beside it.
//! Every file under `tables/` declares its statements with the `declare!` macro, which also registers them.
//! Knows no engine: binding is done by `sqlite` and `postgres`.

use std::fmt;

use keyward_model::{
    AddressId, CodeId, ContainerId, CredentialId, DeviceId, DispatchId, ErrorId, EventId, FlowId, GrantId, IdentityId, MessageId,
    SessionId, Time, TraitsChangeId,
};
use uuid::Uuid;

/// A statement in the subset of SQL that SQLite and PostgreSQL share.
///
/// Placeholders are `$1..$n` and *first appear in ascending order*, because SQLite numbers them by first appearance.
#[derive(Debug)]
pub struct Sql {
    /// Unique name, `table.VERB`; what errors and traces show.
    pub name: &'static str,
    /// The text for both engines.
    pub text: &'static str,
    /// The text for PostgreSQL where it cannot be the same; such exceptions are counted by a test.
    pub postgres: Option<&'static str>,
}

impl Sql {
    /// A statement with one text for both engines.
    pub const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, postgres: None }
    }

    /// The text that PostgreSQL gets.
    pub const fn for_postgres(&self) -> &'static str {
        match self.postgres {
            Some(text) => text,
            None => self.text,
        }
    }
}

/// A value bound to a placeholder. Prints only its kind, since values may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Param {
    /// SQL `NULL` of whatever type the place has.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An id: 16 bytes in SQLite, `UUID` in PostgreSQL.
    Uuid(Uuid),
    /// An instant: microseconds since the Unix epoch in a `BIGINT`.
    Time(Time),
}

impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Bool(_) => "Bool",
            Self::I64(_) => "I64",
            Self::Text(_) => "Text",
            Self::Bytes(_) => "Bytes",
            Self::Uuid(_) => "Uuid",
            Self::Time(_) => "Time",
        })
    }
}

/// The values of a statement, in the order of its placeholders.
pub type Params = Vec<Param>;

/// Builds [`Params`] from anything that converts into a [`Param`].
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { ::std::vec![$($crate::Param::from($value)),*] };
}

macro_rules! from {
    ($($source:ty => |$value:ident| $param:expr),+ $(,)?) => {$(
        impl From<$source> for Param {
            fn from($value: $source) -> Self { $param }
        }
    )+};
}

from! {
    bool => |value| Self::Bool(value),
    i64 => |value| Self::I64(value),
    String => |value| Self::Text(value),
    &str => |value| Self::Text(value.to_owned()),
    &String => |value| Self::Text(value.clone()),
    Vec<u8> => |value| Self::Bytes(value),
    &[u8] => |value| Self::Bytes(value.to_vec()),
    &[u8; 32] => |value| Self::Bytes(value.to_vec()),
    Uuid => |value| Self::Uuid(value),
    Time => |value| Self::Time(value),
    IdentityId => |value| Self::Uuid(value.0),
    SessionId => |value| Self::Uuid(value.0),
    FlowId => |value| Self::Uuid(value.0),
    CredentialId => |value| Self::Uuid(value.0),
    AddressId => |value| Self::Uuid(value.0),
    DeviceId => |value| Self::Uuid(value.0),
    ContainerId => |value| Self::Uuid(value.0),
    CodeId => |value| Self::Uuid(value.0),
    GrantId => |value| Self::Uuid(value.0),
    ErrorId => |value| Self::Uuid(value.0),
    EventId => |value| Self::Uuid(value.0),
    MessageId => |value| Self::Uuid(value.0),
    DispatchId => |value| Self::Uuid(value.0),
    TraitsChangeId => |value| Self::Uuid(value.0),
}

impl<T> From<Option<T>> for Param
where
    Self: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

/// Declares the statements of one table group and the list `ALL` of them, so that none can miss its registration.
macro_rules! declare {
    ($group:literal; $($(#[$doc:meta])* $name:ident = $text:expr $(, postgres: $postgres:expr)?;)+) => {
        $(
            $(#[$doc])*
            static $name: $crate::Sql = {
                #[allow(unused_mut, unused_assignments, reason = "only exceptions have a second text")]
                let mut postgres = None;
                $(postgres = Some($postgres);)?
                $crate::Sql { name: concat!($group, ".", stringify!($name)), text: $text, postgres }
            };
        )+
        /// Every statement of this file.
        pub(crate) static ALL: &[&$crate::Sql] = &[$(&$name),+];
    };
}
pub(crate) use declare;

/// Every statement of the program, so that a test can prepare each on both engines.
pub fn statements() -> impl Iterator<Item = &'static Sql> {
    crate::tables::REGISTRY.iter().flat_map(|group| group.iter().copied())
}

/// How many parameters a text takes, or `None` when first appearances do not ascend from `$1`.
pub(crate) fn placeholders(text: &str) -> Option<usize> {
    let mut highest = 0;
    for (at, _) in text.match_indices('$') {
        let digits: String = text[at + 1..].chars().take_while(char::is_ascii_digit).collect();
        let number: usize = digits.parse().ok()?;
        if number > highest + 1 || number == 0 {
            return None;
        }
        highest = highest.max(number);
    }
    Some(highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_first_appear_in_ascending_order() {
        for (text, count) in
            [("SELECT 1", Some(0)), ("a = $1 AND b = $2 OR a = $1", Some(2)), ("a = $2 AND b = $1", None), ("a = $0", None)]
        {
            assert_eq!(placeholders(text), count, "{text}");
        }
    }

    #[test]
    fn registered_statements_have_unique_names_portable_placeholders_and_few_exceptions() {
        let mut names: Vec<_> = statements().map(|sql| sql.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "two statements share a name");
        for sql in statements() {
            assert!(placeholders(sql.text).is_some(), "{}", sql.name);
            assert_eq!(placeholders(sql.text), placeholders(sql.for_postgres()), "{}", sql.name);
        }
        let exceptions: Vec<_> = statements().filter(|sql| sql.postgres.is_some()).map(|sql| sql.name).collect();
        assert_eq!(exceptions, [""; 0], "every exception costs a second text to keep true");
    }

    #[test]
    fn parameters_print_no_values() {
        assert_eq!(format!("{:?}", params!["hunter2", Some(7_i64), None::<bool>]), "[Text, I64, Null]");
    }
}
