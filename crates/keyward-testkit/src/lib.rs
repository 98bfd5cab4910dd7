//! A real server on a real port for each test, with a manual clock, seeded randomness, either database, and actors that speak to
//! it as API clients, browsers and scripts do.
//! Integration tests use it; `#[flow_test]` turns one body into six named tests that differ only in the [`Trial`] they get.
//! Nothing here knows what a right answer is beyond the transport: what a test is about, the test says.
//!
//! ```ignore
//! // cases: <the ids from docs/wire/cases.md>
//! #[flow_test(config = json!({ "selfservice": { "flows": { "settings": { "privileged_session_max_age": "1h" } } } }))]
//! async fn a_free_trait_changes(t: Trial) {
//!     let ada = t.signed_up("ada@example.org").await;
//!     t.clock().advance(Span::hours(2));
//!     let flow = ada.init("settings", "").await;
//!     let fields = json!({ "method": "profile", "traits": { "email": "ada@example.org", "nickname": "Ada" } });
//!     let saved = ada.submit(&flow, fields).await.done();
//!     assert_eq!(saved.flow.unwrap().value("traits.nickname"), "Ada");
//! }
//! ```
//!
//! **What differs between clients** is asserted by the actors: statuses, redirects and their targets, cookies that must or must
//! not come. A test that is about such a difference matches on [`Trial::client`] and uses [`Actor::start`], [`Actor::call`] and
//! [`Submitted::reply`].
//!
//! **Time** stands still at [`START`] until [`ManualClock::advance`]; cookies expire by it. Two events at the same instant have
//! no order, so a test that reads the audit log in order advances the clock between its steps.
//!
//! **PostgreSQL**: `KEYWARD_TEST_POSTGRES` names a server where databases can be created. Without it the `postgres::` tests fail
//! and say so. With `KEYWARD_TEST_ONLY=sqlite` they do not exist: the attributes leave them out when they are compiled, because
//! a test that returns early would be counted as passed, and the tally of a run would not be true.

mod actor;
mod admin;
pub mod authenticator;
mod call;
mod config;
mod database;
mod flow;
mod jar;
mod mail_server;
mod manual;
mod openid_provider;
mod sink;
mod trial;

pub use actor::{Actor, PASSWORD};
pub use admin::Admin;
pub use call::{Call, Reply, parameter};
pub use config::{APP, UI, merge, schema_url};
pub use database::DatabaseKind;
pub use flow::{Done, Flow, Said, Submitted};
pub use jar::SetCookie;
pub use keyward_testkit_macros::{database_test, flow_test};
pub use mail_server::{MailReply, MailRules, MailServer, MailTls, ReceivedMail};
pub use manual::{ManualClock, START, SeededRandom};
pub use openid_provider::{
    CallbackUrl, Claims, Endpoint, IdTokenFault, Misbehaviour, OpenIdProvider, Parameters, Signing, TokenRequest,
};
pub use serde_json::Value;
pub use sink::{Received, Sink};
pub use trial::{Case, ClientKind, Mailed, Trial, run};
