//! Typed reads and writes, one file per group of tables: `Store` reads rows, `Batch` gathers writes.
//! Services and stories call them with ids, versions and times of their own making.
//! A new table is one migration pair, one file here and one line in the registry below.

pub(crate) mod attempts;
pub(crate) mod audit;
pub(crate) mod codes;
pub(crate) mod continuity;
pub(crate) mod courier;
pub(crate) mod credentials;
pub(crate) mod errors;
pub(crate) mod flows;
pub(crate) mod grants;
pub(crate) mod identities;
pub(crate) mod pending_traits;
pub(crate) mod retention;
pub(crate) mod sessions;
pub(crate) mod snapshots;
pub(crate) mod token_exchanges;

use serde::Serialize;

use crate::Sql;

/// Every statement of every group.
pub(crate) static REGISTRY: &[&[&Sql]] = &[
    attempts::ALL,
    audit::ALL,
    codes::ALL,
    continuity::ALL,
    courier::ALL,
    credentials::ALL,
    errors::ALL,
    flows::ALL,
    grants::ALL,
    identities::ALL,
    pending_traits::ALL,
    retention::ALL,
    sessions::ALL,
    snapshots::ALL,
    token_exchanges::ALL,
];

/// JSON text of a value whose serialization cannot fail: plain structs and values with text keys.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// Positions in lists are stored, so that what is read has the order in which it was written.
fn position(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}
