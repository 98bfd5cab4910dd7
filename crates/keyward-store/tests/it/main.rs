//! Every test of this crate that needs a database, on SQLite in memory, SQLite in a file, and PostgreSQL.

mod engine;
mod outages;
mod retention;
mod support;
mod tables;
