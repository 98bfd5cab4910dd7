//! Backup codes: making a set, keeping it sealed, and using one code once.
//! The methods `lookup_secret` and `totp` call it in settings, `lookup_secret` at sign-in.
//! Knows the layout of the credential's config and nothing of flows.

use keyward_model::{IdentityId, Random, Secret, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::keys::{KeyUse, Keyring};
use crate::seal::{OpenError, Place};
use crate::typed_codes::bare;

/// Codes in a set.
pub const SET: usize = 12;
/// Characters in a code, of `[a-z0-9]`: 41 bits.
const LENGTH: usize = 8;

/// One code of a set.
#[derive(Clone, Debug)]
pub struct LookupCode {
    /// What the person types.
    pub code: Secret<String>,
    /// When it was used.
    pub used_at: Option<Time>,
}

/// How a set came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssuedWith {
    /// Handed out with an authenticator app; goes when the last other second factor goes.
    Totp,
}

/// A set as stored.
#[derive(Clone, Debug)]
pub struct LookupCodes {
    /// The codes, in the order in which they were shown.
    pub codes: Vec<LookupCode>,
    /// How the set came about; `None` when the person asked for it.
    pub issued_with: Option<IssuedWith>,
    /// The place of each code in the stored list, which may hold some that cannot be read any more.
    places: Vec<usize>,
}

/// What became of a typed code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redemption {
    /// It is good; its place in the stored list.
    Good(usize),
    /// It was used before.
    Used,
    /// There is no such code.
    Unknown,
}

/// A new set of unused codes.
pub fn generate(random: &dyn Random) -> Vec<Secret<String>> {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut codes = Vec::with_capacity(SET);
    while codes.len() < SET {
        let code = Secret::new(random.letters(LETTERS, LENGTH));
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    codes
}

impl LookupCodes {
    /// A set of unused codes.
    pub fn fresh(codes: Vec<Secret<String>>, issued_with: Option<IssuedWith>) -> Self {
        let places = (0..codes.len()).collect();
        Self { codes: codes.into_iter().map(|code| LookupCode { code, used_at: None }).collect(), places, issued_with }
    }

    /// The config of the credential (contract: settings 3.0.5), each code sealed for its identity.
    pub fn to_config(&self, keys: &Keyring, identity: IdentityId, random: &dyn Random) -> Value {
        let codes: Vec<Value> = self
            .codes
            .iter()
            .map(|code| {
                let sealed = keys.seal_text(KeyUse::Credential, place(&identity), code.code.reveal().as_bytes(), random);
                json!({ "code": sealed, "used_at": code.used_at })
            })
            .collect();
        let mut config = json!({ "recovery_codes": codes });
        if let Some(issued_with) = self.issued_with {
            config["issued_with"] = json!(issued_with);
        }
        config
    }

    /// Reads a config; a code that cannot be opened (its secret is gone) is left out. Imported codes stand there in clear.
    pub fn from_config(keys: &Keyring, identity: IdentityId, config: &Value) -> Self {
        let codes = config["recovery_codes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let read = codes.iter().enumerate().filter_map(|(place_in_set, code)| {
            let stored = code["code"].as_str()?;
            let text = match keys.open_text(KeyUse::Credential, place(&identity), stored) {
                Ok(plain) => String::from_utf8(plain.reveal().clone()).ok()?,
                Err(OpenError::Malformed) => stored.to_owned(),
                Err(OpenError::UnknownKey | OpenError::Forged) => return None,
            };
            Some((LookupCode { code: text.into(), used_at: used_at(&code["used_at"]) }, place_in_set))
        });
        let (codes, places) = read.unzip();
        Self { codes, places, issued_with: serde_json::from_value(config["issued_with"].clone()).ok() }
    }

    /// Looks a typed code up; spaces, hyphens and capitals do not count, on neither side, since imported codes may have them.
    /// Compares with every code of the set in constant time.
    pub fn redeem(&self, typed: &str) -> Redemption {
        let typed = plain(typed);
        if typed.is_empty() {
            return Redemption::Unknown;
        }
        let mut found = Redemption::Unknown;
        for (place, code) in self.codes.iter().enumerate() {
            if bool::from(plain(code.code.reveal()).as_bytes().ct_eq(typed.as_bytes())) {
                found = if code.used_at.is_some() { Redemption::Used } else { Redemption::Good(self.places[place]) };
            }
        }
        found
    }

    /// How many can still be used.
    pub fn left(&self) -> usize {
        self.codes.iter().filter(|code| code.used_at.is_none()).count()
    }
}

/// When a code was used; what cannot be read is no reason to take it again.
fn used_at(stored: &Value) -> Option<Time> {
    if stored.is_null() {
        return None;
    }
    Some(stored.as_str().and_then(Time::parse).unwrap_or(Time::from_unix(0)))
}

/// A code without what was added for the eye, and without capitals.
fn plain(code: &str) -> Zeroizing<String> {
    Zeroizing::new(bare(code).to_lowercase())
}

const fn place(identity: &IdentityId) -> Place<'_> {
    Place::Column { table: "credentials", row: identity.0.as_bytes(), column: "recovery_codes" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_twelve_different_codes_and_each_is_found_however_it_is_typed() {
        struct Counting(std::sync::atomic::AtomicU32);
        impl Random for Counting {
            fn fill(&self, buffer: &mut [u8]) {
                for byte in buffer {
                    let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    *byte = number.wrapping_mul(2_654_435_761).to_be_bytes()[0];
                }
            }
        }
        let random = Counting(std::sync::atomic::AtomicU32::new(0));
        let codes = generate(&random);
        assert_eq!(codes.len(), SET);
        let mut set = LookupCodes::fresh(codes, Some(IssuedWith::Totp));
        set.codes[3].used_at = Some(Time::from_unix(1));
        let code = set.codes[5].code.reveal().clone();
        let spaced = format!(" {}-{} ", &code[..4], &code[4..]);
        assert_eq!(set.redeem(&code), Redemption::Good(5));
        assert_eq!(set.redeem(&spaced), Redemption::Good(5));
        assert_eq!(set.redeem(set.codes[3].code.reveal()), Redemption::Used);
        assert_eq!(set.redeem(&code.to_uppercase()), Redemption::Good(5));
        set.codes[6].code = "ABCD-efgh".to_owned().into();
        assert_eq!(set.redeem("abcdefgh"), Redemption::Good(6));
        for wrong in ["", "-", &code[..7], &format!("{code}a")] {
            assert_eq!(set.redeem(wrong), Redemption::Unknown, "{wrong}");
        }
        assert_eq!(set.left(), SET - 1);
    }

    #[test]
    fn unreadable_entries_neither_move_the_others_nor_count_as_unused() {
        let set = LookupCodes {
            codes: vec![LookupCode { code: Secret::new("abcd1234".to_owned()), used_at: None }],
            issued_with: None,
            places: vec![2],
        };
        assert_eq!(set.redeem("abcd1234"), Redemption::Good(2));
        assert_eq!(used_at(&json!(null)), None);
        assert!(used_at(&json!("not a time")).is_some() && used_at(&json!(7)).is_some());
    }
}
