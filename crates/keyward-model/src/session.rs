//! Sessions: a signed-in device, what it proved and when.
//! The stories create and raise them, the store keeps them, whoami shows them.
//! Never holds a token: the database knows only its hash, the client only the token.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
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
    pub methods: JsonList<AuthMethod>,
    /// The last proof that counts for privilege.
    pub authenticated_at: Time,
    /// When it was opened.
    pub issued_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// Where it was opened.
    pub devices: JsonList<Device>,
    /// Row version; guards upgrades.
    pub version: i64,
}

/// A list as the JSON text of its column. Most requests only pass it on, so nobody takes it apart before it is asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonList<T> {
    json: String,
    items: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> JsonList<T> {
    /// The list of these.
    pub fn of(items: &[T]) -> Self {
        // Plain structs of texts and numbers always have a JSON form.
        Self::stored(serde_json::to_string(items).unwrap_or_default())
    }

    /// The list that was stored as [`JsonList::json`] gives it.
    pub const fn stored(json: String) -> Self {
        Self { json, items: PhantomData }
    }

    /// The text.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// What stands in it. A damaged text holds nothing: what cannot be read proves nothing.
    pub fn items(&self) -> Vec<T> {
        serde_json::from_str(&self.json).unwrap_or_default()
    }

    /// Appends an item.
    pub fn push(&mut self, item: T) {
        let mut items = self.items();
        items.push(item);
        *self = Self::of(&items);
    }
}

impl<T: Serialize + DeserializeOwned + std::fmt::Debug> std::fmt::Debug for JsonList<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.items().fmt(f)
    }
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
    fn lists_keep_their_text_and_a_damaged_one_proves_nothing() {
        let proof = AuthMethod::password(Time::from_unix(1_000));
        let mut list = JsonList::of(&[]);
        assert_eq!(list.json(), "[]");
        list.push(proof.clone());
        assert_eq!(JsonList::stored(list.json().to_owned()), list);
        assert_eq!(list.items(), [proof]);
        for damaged in ["", "null", "{}", "[", "[{}]"] {
            assert!(JsonList::<AuthMethod>::stored(damaged.to_owned()).items().is_empty(), "{damaged}");
        }
    }

    #[test]
    fn privilege_ends_exactly_at_its_age_and_zero_means_never() {
        let at = Time::from_unix(1_000);
        let session = Session {
            id: SessionId(uuid::Uuid::nil()),
            identity_id: IdentityId(uuid::Uuid::nil()),
            active: true,
            aal: Aal::Aal1,
            methods: JsonList::of(&[]),
            authenticated_at: at,
            issued_at: at,
            expires_at: at + Span::hours(1),
            devices: JsonList::of(&[]),
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
