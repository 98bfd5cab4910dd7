//! Typed identifiers: a session id can never be passed where an identity id is wanted.
//! Every floor uses them; they are UUID version 4 on the wire because widely used clients refuse others.
//! Nothing here draws randomness: ids are made by [`crate::Random`] and handed in.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Parses the hyphenated text form (RFC 9562 section 4); `None` for anything else.
            pub fn parse(text: &str) -> Option<Self> {
                // `Uuid::parse_str` also takes braces, URNs and bare hex; the wire knows one form.
                (text.len() == 36).then(|| Uuid::parse_str(text).ok()).flatten().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self { Self(id) }
        }
    )+};
}

ids! {
    /// A person's account.
    IdentityId,
    /// A signed-in device.
    SessionId,
    /// A self-service flow of any kind.
    FlowId,
    /// A credential row of an identity.
    CredentialId,
    /// A verifiable or recovery address row.
    AddressId,
    /// A device entry inside a session.
    DeviceId,
    /// A paused payload waiting for a re-login (continuity container).
    ContainerId,
    /// One admission of a submit after a re-login.
    GrantId,
    /// A mailed or texted code.
    CodeId,
    /// A stored error that the error page fetches.
    ErrorId,
    /// A row of the audit log.
    EventId,
    /// A mail or text message in the outbox.
    MessageId,
    /// One attempt to deliver a message.
    DispatchId,
    /// A change of traits that waits until its new address is confirmed.
    TraitsChangeId,
}
