//! The settings flow.

mod continuity;
mod fetching;
mod password;
mod password_more;
mod plumbing;
mod privilege;
mod profile;
mod profile_more;
mod start;
