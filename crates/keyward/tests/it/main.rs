//! The wire, from outside: a real server for every test, each client, each database.
//! One module per flow; each test names the acceptance cases of `docs/wire/cases.md` that it proves.
//! Uses the kit's actors and knows nothing of how the server is built.

mod concurrency;
mod faults_everywhere;
mod login;
mod registration;
mod sessions;
mod settings;
