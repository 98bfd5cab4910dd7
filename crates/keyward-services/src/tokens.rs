//! Makes and reads the opaque tokens of sessions: the session token that is stored as a digest only, and the logout
//! token that is not stored at all. The session verbs and the logout endpoint call it.
//! Does not know whether a session exists.

use keyward_model::{Random, Secret, SessionId};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::keys::{KeyUse, Keyring};

const SESSION_PREFIX: &str = "ory_st_";
const LOGOUT_PREFIX: &str = "ory_lo_";
const LENGTH: usize = 32;

/// A session token: `ory_st_` and 32 characters of `[A-Za-z0-9]` (190 bits).
#[derive(Debug, Clone)]
pub struct SessionToken(Secret<String>);

impl SessionToken {
    /// Draws a new token.
    pub fn generate(random: &dyn Random) -> Self {
        Self(Secret::new(format!("{SESSION_PREFIX}{}", random.alphanumeric(LENGTH))))
    }

    /// Takes exactly the form that [`SessionToken::generate`] gives: nothing is trimmed, no part may miss or be added.
    pub fn parse(text: &str) -> Option<Self> {
        has_form(text, SESSION_PREFIX).then(|| Self(Secret::new(text.to_owned())))
    }

    /// SHA-256 of the whole token: the only form in which it is stored and looked up.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.reveal()).into()
    }

    /// The token itself, for the one answer that hands it out.
    pub const fn reveal(&self) -> &String {
        self.0.reveal()
    }
}

/// The logout token of a session: `ory_lo_` and 32 characters derived from the session's id, the same at every call.
pub fn logout_token(keys: &Keyring, session: SessionId) -> Secret<String> {
    let mac = keys.sign(KeyUse::LogoutToken, &[session.0.as_bytes()]);
    Secret::new(logout_text(&mac))
}

/// Whether `presented` is the logout token of this session under any accepted key. Compares in constant time.
pub fn is_logout_token(keys: &Keyring, session: SessionId, presented: &str) -> bool {
    if !has_form(presented, LOGOUT_PREFIX) {
        return false;
    }
    let mut found = Choice::from(0);
    for mac in keys.sign_with_all(KeyUse::LogoutToken, &[session.0.as_bytes()]) {
        let expected = Secret::new(logout_text(&mac));
        found |= expected.reveal().as_bytes().ct_eq(presented.as_bytes());
    }
    found.into()
}

fn has_form(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.len() == LENGTH && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The MAC as a number in base 62, lowest digit first. 32 digits carry 190 of its 256 bits, practically without bias.
fn logout_text(mac: &[u8; 32]) -> String {
    let mut number = *mac;
    let mut text = String::with_capacity(LOGOUT_PREFIX.len() + LENGTH);
    text.push_str(LOGOUT_PREFIX);
    for _ in 0..LENGTH {
        let mut remainder = 0_u16;
        for byte in &mut number {
            let dividend = remainder << 8 | u16::from(*byte);
            // The remainder is below 62, so the quotient is below 256.
            *byte = (dividend / 62) as u8;
            remainder = dividend % 62;
        }
        text.push(char::from(ALPHANUMERIC[usize::from(remainder)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::{Counting, ring};

    const OLD: &str = "generation-one-secret";
    const NEW: &str = "generation-two-secret";

    fn session(last: u128) -> SessionId {
        SessionId(uuid::Uuid::from_u128(last))
    }

    /// Every way to present a token that is nearly right.
    fn near_misses(token: &str, prefix: &str) -> Vec<String> {
        let body = &token[prefix.len()..];
        let mut texts: Vec<String> =
            ["", " ", "0", "null", "undefined", "[]", "{}", "\0", "%", prefix].map(str::to_owned).to_vec();
        texts.extend((0..token.len()).map(|end| token[..end].to_owned()));
        texts.extend((1..token.len()).map(|start| token[start..].to_owned()));
        texts.extend(
            ["0", " ", "\0", "\n", "=", "é"].iter().flat_map(|extra| [format!("{token}{extra}"), format!("{extra}{token}")]),
        );
        texts.push(token.to_uppercase());
        texts.push(format!("{prefix}{}", "é".repeat(16)));
        texts.push(format!("{prefix}{}", " ".repeat(32)));
        texts.push(format!("{prefix}{}", "-".repeat(32)));
        texts.push(format!("{prefix}{prefix}{}", &body[7..]));
        texts.push(format!("{prefix}{body}{body}"));
        texts.push(format!("ory_xx_{body}"));
        texts.push(body.to_owned());
        texts
    }

    #[test]
    fn session_tokens_have_the_wires_form_and_differ() {
        let random = Counting::new();
        let (first, second) = (SessionToken::generate(&random), SessionToken::generate(&random));
        assert_eq!(first.reveal().len(), 39);
        assert!(first.reveal().starts_with("ory_st_"));
        assert_ne!(first.reveal(), second.reveal());
        assert_ne!(first.digest(), second.digest());
        assert_eq!(SessionToken::parse(first.reveal()).map(|token| token.digest()), Some(first.digest()));
        assert!(!format!("{first:?}").contains(&first.reveal()[7..]));
    }

    #[test]
    fn the_digest_is_plain_sha_256_of_the_text() {
        let token = SessionToken::parse(&format!("ory_st_{}", "a".repeat(32))).expect("well formed");
        assert_eq!(token.digest(), <[u8; 32]>::from(Sha256::digest(b"ory_st_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
    }

    #[test]
    fn nearly_right_session_tokens_never_match() {
        let token = SessionToken::generate(&Counting::new());
        for text in near_misses(token.reveal(), SESSION_PREFIX) {
            let matches = SessionToken::parse(&text).is_some_and(|parsed| parsed.digest() == token.digest());
            assert!(!matches, "{text:?}");
            if text.len() != 39 {
                assert!(SessionToken::parse(&text).is_none(), "{text:?}");
            }
        }
    }

    #[test]
    fn logout_tokens_are_stable_per_session_and_survive_rotation() {
        let (before, between, after) = (ring(&[OLD]), ring(&[NEW, OLD]), ring(&[NEW]));
        let token = logout_token(&before, session(1));
        assert!(has_form(token.reveal(), "ory_lo_"));
        assert_eq!(token.reveal(), logout_token(&before, session(1)).reveal());
        assert_ne!(token.reveal(), logout_token(&between, session(1)).reveal());
        for (keys, id, accepted) in
            [(&before, 1, true), (&between, 1, true), (&after, 1, false), (&before, 2, false), (&between, 2, false)]
        {
            assert_eq!(is_logout_token(keys, session(id), token.reveal()), accepted);
        }
    }

    #[test]
    fn nearly_right_logout_tokens_never_match() {
        let keys = ring(&[NEW]);
        let token = logout_token(&keys, session(1));
        for text in near_misses(token.reveal(), LOGOUT_PREFIX) {
            assert!(!is_logout_token(&keys, session(1), &text), "{text:?}");
        }
        for position in LOGOUT_PREFIX.len()..token.reveal().len() {
            let mut altered = token.reveal().clone().into_bytes();
            altered[position] = if altered[position] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).expect("ASCII");
            assert!(!is_logout_token(&keys, session(1), &altered), "{altered}");
        }
    }

    #[test]
    fn the_digits_of_the_mac_are_those_of_long_division() {
        assert_eq!(logout_text(&[0; 32]), format!("ory_lo_{}", "A".repeat(32)));
        let mut mac = [0; 32];
        // 62² · 3 + 62 · 2 + 61 = 11717
        mac[30..].copy_from_slice(&11_717_u16.to_be_bytes());
        assert_eq!(logout_text(&mac), format!("ory_lo_9CD{}", "A".repeat(29)));
    }
}
