//! The verbs: hashing, sealing, schema validation, deriving identities, sessions, continuity, mailed codes, the courier and audit.
//! Stories and the admin API call them with values; each module says what it does not know.
//! Heavy libraries live here, so that the floors above and below build without them.

pub mod admin;
pub mod app;
pub mod attempts;
pub mod audit;
pub mod breach;
pub mod codes;
mod common_passwords;
pub mod continuity;
pub mod courier;
pub mod csrf;
pub mod derive;
pub mod error_store;
pub mod flow_rows;
pub mod hashing;
pub mod keys;
pub mod lookup_codes;
pub mod mailboxes;
pub mod networks;
pub mod oidc;
pub mod outbound;
pub mod password_policy;
pub mod passwords;
pub mod payload;
pub mod phone;
pub mod schema;
pub mod seal;
pub mod session;
pub mod sign_ins;
mod signing_key;
mod storage_problem;
pub mod tokenizer;
pub mod tokens;
pub mod totp;
pub mod typed_codes;
pub mod webauthn;

pub use app::{App, BuildError};
pub use storage_problem::storage_problem;
