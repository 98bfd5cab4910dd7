//! The words of Keyward: identities, sessions, flows, nodes, messages and the rules between them.
//! Every other floor speaks them. This crate does no I/O, reads no clock and draws no randomness.

mod chance;
mod id;
mod secret;
mod time;

pub use chance::{Clock, Random};
pub use id::{AddressId, ContainerId, CredentialId, DeviceId, ErrorId, EventId, FlowId, GrantId, IdentityId, SessionId};
pub use secret::Secret;
pub use time::{Span, Time};
