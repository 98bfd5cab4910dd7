//! The wire, from outside: a real server for every test, each client, each database.
//! One module per flow; each test names the acceptance cases of `docs/wire/cases.md` that it proves.
//! Uses the kit's actors and knows nothing of how the server is built.

mod abuse;
mod abuse_passwords;
mod abuse_redirects;
mod abuse_requests;
mod admin;
mod attempts;
mod code;
mod code_registration;
mod code_second;
mod concurrency;
mod config_cases;
mod courier;
mod demand;
mod enumeration;
mod factors;
mod faults_everywhere;
mod field;
mod foreign_addresses;
mod limits;
mod login;
mod login_cases;
mod mail;
mod operations;
mod passkey;
mod platform;
mod program;
mod recovery;
mod registration;
mod registration_cases;
mod requests_by_document;
mod second_factor;
mod second_factor_cases;
mod second_factor_races;
mod session_cases;
mod sessions;
mod settings;
mod settings_matrix;
mod tokenizer;
mod verification;
mod verification_after;
mod webauthn;
mod webauthn_abuse;
mod wire_shapes;
