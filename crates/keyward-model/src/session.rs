//! Sessions: a signed-in device, what it proved and when.
//! The stories create and raise them, the store keeps them, whoami shows them.
//! Never holds a token: the database knows only its hash, the client only the token.

use serde::{Deserialize, Serialize};

use crate::{Aal, AuthMethod, DeviceId, IdentityId, SessionId, Span, Time};

/// Where a session was opened from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Entry id.
    pub id: DeviceId,
    /// Client address; on the wire with the port when it is the peer's own.
    pub ip_address: Option<String>,
    /// The raw `User-Agent` header, cut at 512 bytes.
    pub user_agent: Option<String>,
    /// Coarse place from the edge's headers; empty when unknown.
    pub location: Option<String>,
}

/// A session row without the identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub identity_id: IdentityId,
    /// The stored flag: false once revoked, and never true again.
    pub active: bool,
    /// What the proofs add up to.
    pub aal: Aal,
    /// The proofs, oldest first.
    pub methods: Vec<AuthMethod>,
    /// The last proof that counts for privilege.
    pub authenticated_at: Time,
    /// When it was opened.
    pub issued_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// Where it was opened.
    pub devices: Vec<Device>,
    /// Row version; guards upgrades.
    pub version: i64,
}

impl Session {
    /// Whether the session can be used at `now`, as far as the session itself knows.
    pub fn is_live(&self, now: Time) -> bool {
        self.active && self.expires_at > now
    }

    /// Whether the last proof is younger than `max_age` (decisions 3: at zero nothing is, a grant admits instead).
    pub fn is_privileged(&self, max_age: Span, now: Time) -> bool {
        self.authenticated_at + max_age > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privilege_ends_exactly_at_its_age_and_zero_means_never() {
        let at = Time::from_unix(1_000);
        let session = Session {
            id: SessionId(uuid::Uuid::nil()),
            identity_id: IdentityId(uuid::Uuid::nil()),
            active: true,
            aal: Aal::Aal1,
            methods: vec![],
            authenticated_at: at,
            issued_at: at,
            expires_at: at + Span::hours(1),
            devices: vec![],
            version: 1,
        };
        for (age, later, privileged) in [
            (Span::ZERO, 0, false),
            (Span::from_micros(1), 0, true),
            (Span::from_micros(1), 1, false),
            (Span::seconds(1), 999_999, true),
            (Span::hours(1), 3_600_000_000, false),
        ] {
            assert_eq!(session.is_privileged(age, at + Span::from_micros(later)), privileged, "{age:?} after {later}us");
        }
        assert!(session.is_live(at) && !session.is_live(at + Span::hours(1)));
    }
}
