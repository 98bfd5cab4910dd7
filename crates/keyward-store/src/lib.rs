//! The database: one set of statements for SQLite and PostgreSQL, and the only place that writes.
//! Services and stories read rows through [`Store`] and write a [`Batch`] with [`Store::commit`].
//! Knows nothing of flows' meaning, of requests or of configuration.

mod batch;
mod dsn;
mod error;
mod faults;
mod migrate;
mod postgres;
mod row;
mod sql;
mod sqlite;
mod store;
mod tables;

pub use batch::{Batch, Expect};
pub use error::{Outage, Refusal, StoreError, UniqueConflict};
pub use faults::Faults;
pub use row::{FromRow, FromValue, Row, Value};
pub use sql::{Param, Params, Sql, statements};
pub use store::{Database, Store};
pub use tables::attempts::{AttemptLimits, Failures, LaneFailures};
pub use tables::audit::AuditEvent;
pub use tables::codes::CodeRow;
pub use tables::continuity::ContainerRow;
pub use tables::courier::{DispatchRow, DispatchStatus, MessageFilter, MessageStatus, OutboxRow};
pub use tables::errors::ErrorRow;
pub use tables::flows::FlowRow;
pub use tables::grants::GrantRow;
pub use tables::pending_traits::PendingTraitsRow;
pub use tables::retention::Stale;
pub use tables::sessions::{ListedSession, Liveness, SessionRow};
pub use tables::snapshots::PageStart;
pub use tables::token_exchanges::TokenExchangeRow;
