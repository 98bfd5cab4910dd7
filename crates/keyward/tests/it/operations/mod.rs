//! The program as operators meet it: real processes, real files, real signals.
//! Each test starts the binary in a folder of its own and reads what it writes.

mod cleanup;
mod database;
mod logs;
mod metrics;
pub(crate) mod process;
mod reload;
mod shutdown;
mod startup;
mod tls;
#[cfg(feature = "otlp")]
mod traces;
