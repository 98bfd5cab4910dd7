//! The admin port: identities, credentials and sessions from an operator's side, and the command line that speaks to it.

mod batch;
mod cli;
mod create;
mod credentials;
mod hashes;
mod list;
mod patch;
mod replace;
mod sessions;

pub(crate) use cli::run;
use keyward_model::IdentityId;
use serde_json::{Value, json};

/// A create body for a person.
fn person(email: &str) -> Value {
    json!({ "schema_id": "person", "traits": { "email": email } })
}

fn id_of(identity: &Value) -> IdentityId {
    identity["id"].as_str().and_then(IdentityId::parse).expect("an identity with an id")
}

/// The error of an envelope: status and code agree, and there is always a message.
#[track_caller]
fn error(reply: &keyward_testkit::Reply, status: u16) -> Value {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"), "{reply:?}");
    let error = reply.json()["error"].clone();
    assert_eq!(error["code"], status, "{reply:?}");
    assert!(error["message"].is_string(), "{reply:?}");
    error
}
