//! The wire: routes, negotiation, cookies, status codes and redirects of the public and the admin port.
//! The binary builds the two routers and serves them; everything below the stories is called from here with plain values.
//! The only floor that knows requests and answers.

mod accept;
mod admin;
mod answer;
mod body;
mod caller;
mod client;
mod cookies;
mod cors;
mod csrf;
mod envelope;
mod first_bytes;
mod front;
mod headers;
mod location;
mod metrics;
mod multipart;
mod openapi;
mod pace;
mod pagination;
mod public;
mod query;
mod reply;
mod router;
mod serve;
mod site;
mod state;
mod tls;
#[cfg(feature = "traces")]
mod traces;
#[cfg(test)]
mod wire_tests;

pub use metrics::{ConfigStatus, Telemetry};
pub use openapi::openapi;
pub use router::{Routes, admin_router, public_router};
pub use serve::{Listening, serve, serve_with};
pub use state::{AppState, app_state};
pub use tls::{TlsError, TlsKeys};
