//! The settings flow.

mod faults;
mod password;
mod privilege;
mod profile;
mod start;
