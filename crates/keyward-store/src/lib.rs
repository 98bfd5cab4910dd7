//! The database: one set of statements for SQLite and PostgreSQL, and the only place that writes.
