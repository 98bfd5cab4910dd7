//! The parameter `state` of a round trip (RFC 6749, section 4.1.1): which flow and provider an answer belongs to.
//! Stories seal one when they send a browser away; the callback opens it before anything else is known.
//! Knows no flow and no browser: that the answer came to the browser that asked is shown by comparing the secret.

use keyward_model::{FlowId, Random};
use uuid::Uuid;

use crate::App;
use crate::keys::{KeyUse, Keyring};
use crate::seal::Place;

/// The longest text that is looked at.
const LONGEST: usize = 512;
const PLACE: Place<'_> = Place::Column { table: "oidc", row: b"", column: "state" };

/// The flow that sends a browser away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowKind {
    /// A sign-in.
    Login,
    /// A sign-up.
    Registration,
    /// A link to an account.
    Settings,
}

/// What a provider hands back unread.
#[derive(Clone, PartialEq, Eq)]
pub struct State {
    /// The kind of flow.
    pub kind: FlowKind,
    /// The flow.
    pub flow_id: FlowId,
    /// The id of the provider that was asked.
    pub provider: String,
    /// What the browser's own copy is compared with.
    pub secret: [u8; 16],
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State({:?} {})", self.kind, self.flow_id)
    }
}

impl State {
    /// The parameter: sealed, so that nobody else can make one, and safe in a URL.
    pub fn seal(&self, app: &App) -> String {
        self.seal_with(&app.keys, app.random())
    }

    /// Opens what [`State::seal`] made; `None` for everything else.
    pub fn open(app: &App, text: &str) -> Option<Self> {
        Self::open_with(&app.keys, text)
    }

    fn seal_with(&self, keys: &Keyring, random: &dyn Random) -> String {
        let kind = match self.kind {
            FlowKind::Login => 1,
            FlowKind::Registration => 2,
            FlowKind::Settings => 3,
        };
        let plain = [&[kind][..], self.flow_id.0.as_bytes(), &self.secret, self.provider.as_bytes()].concat();
        keys.seal_text(KeyUse::ProviderState, PLACE, &plain, random)
    }

    fn open_with(keys: &Keyring, text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let plain = keys.open_text(KeyUse::ProviderState, PLACE, text).ok()?;
        let (&[kind], rest) = plain.reveal().split_first_chunk()?;
        let (&flow_id, rest) = rest.split_first_chunk()?;
        let (&secret, provider) = rest.split_first_chunk()?;
        let kind = match kind {
            1 => FlowKind::Login,
            2 => FlowKind::Registration,
            3 => FlowKind::Settings,
            _ => return None,
        };
        let provider = str::from_utf8(provider).ok()?.to_owned();
        Some(Self { kind, flow_id: FlowId(Uuid::from_bytes(flow_id)), provider, secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::{Counting, ring};

    #[test]
    fn a_state_opens_whole_and_unaltered_only() {
        let (keys, random) = (ring(&["generation-one-secret"]), Counting::new());
        let state =
            State { kind: FlowKind::Settings, flow_id: FlowId(Uuid::from_u128(7)), provider: "hub".to_owned(), secret: [9; 16] };
        let text = state.seal_with(&keys, &random);
        assert!(text.len() < 150 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert_eq!(State::open_with(&keys, &text), Some(state.clone()));
        assert_ne!(text, state.seal_with(&keys, &random));
        for end in 0..text.len() {
            assert_eq!(State::open_with(&keys, &text[..end]), None, "cut to {end}");
            let mut altered = text.clone().into_bytes();
            altered[end] = if altered[end] == b'A' { b'Q' } else { b'A' };
            assert_eq!(State::open_with(&keys, &String::from_utf8(altered).unwrap()), None, "altered at {end}");
        }
        assert_eq!(State::open_with(&keys, &format!("{text}A")), None);
        assert_eq!(State::open_with(&keys, &"A".repeat(100_000)), None);
        assert_eq!(State::open_with(&ring(&["generation-two-secret"]), &text), None);
        // A value that was sealed for something else.
        let other = keys.seal_text(KeyUse::Credential, PLACE, &[1; 40], &random);
        assert_eq!(State::open_with(&keys, &other), None);
        assert!(!format!("{state:?}").contains('9'));
    }
}
