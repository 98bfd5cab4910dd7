//! bcrypt hashes in the modular crypt format, made and compared with own parsing and bounds.
//! The hasher calls it on its threads.
//! Does not know queues or passwords' rules.

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::format::HashRefusal;

pub(super) const LEAST_COST: u32 = 4;
pub(super) const GREATEST_COST: u32 = 15;
/// bcrypt reads no byte beyond these.
pub(super) const LONGEST_PASSWORD: usize = 72;
pub(super) const SALT: usize = 16;
/// The Blowfish state, generously.
pub(super) const MEMORY_KIB: u32 = 8;

const KEY: usize = 23;

// 22 characters carry four bits more than a salt has; some implementations leave them set.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// `salt` has [`SALT`] bytes, `password` at most [`LONGEST_PASSWORD`].
pub(super) fn make(cost: u32, password: &[u8], salt: &[u8]) -> String {
    let salt: [u8; SALT] = std::array::from_fn(|i| salt.get(i).copied().unwrap_or(0));
    let key = compute(cost, salt, password);
    format!("$2a${cost:02}${}{}", BASE64.encode(salt), BASE64.encode(*key))
}

/// A parsed hash within the bounds.
pub(super) struct BcryptHash {
    pub(super) cost: u32,
    salt: [u8; SALT],
    key: [u8; KEY],
}

impl BcryptHash {
    /// `rest`: what follows the second `$`, that is cost, `$`, salt and key.
    pub(super) fn parse(rest: &str) -> Result<Self, HashRefusal> {
        let bytes = rest.as_bytes();
        let [tens @ b'0'..=b'9', units @ b'0'..=b'9', b'$', encoded @ ..] = bytes else {
            return Err(HashRefusal::Malformed);
        };
        let (Some((salt, key)), 53) = (encoded.split_at_checked(22), encoded.len()) else {
            return Err(HashRefusal::Malformed);
        };
        let decode = |text: &[u8]| BASE64.decode(text).map_err(|_| HashRefusal::Malformed);
        let salt = decode(salt)?.try_into().map_err(|_| HashRefusal::Malformed)?;
        let key = decode(key)?.try_into().map_err(|_| HashRefusal::Malformed)?;
        let cost = u32::from(tens - b'0') * 10 + u32::from(units - b'0');
        if cost < LEAST_COST {
            return Err(HashRefusal::Malformed);
        }
        if cost > GREATEST_COST {
            return Err(HashRefusal::TooExpensive);
        }
        Ok(Self { cost, salt, key })
    }

    /// A hash made of no password: salt and key are zero.
    pub(super) const fn never_matching(cost: u32) -> Self {
        Self { cost, salt: [0; SALT], key: [0; KEY] }
    }

    /// Longer passwords than bcrypt reads never fit: two of them may agree in all that bcrypt reads. They cost the same.
    pub(super) fn fits(&self, password: &[u8]) -> bool {
        let key = compute(self.cost, self.salt, password);
        let same: bool = key.as_slice().ct_eq(&self.key).into();
        same && password.len() <= LONGEST_PASSWORD
    }
}

fn compute(cost: u32, salt: [u8; SALT], password: &[u8]) -> Zeroizing<[u8; KEY]> {
    // The password counts with a closing zero byte, as far as there is room for it.
    let mut block = Zeroizing::new([0; LONGEST_PASSWORD]);
    let length = password.len().min(LONGEST_PASSWORD);
    block[..length].copy_from_slice(&password[..length]);
    let used = (length + 1).min(LONGEST_PASSWORD);
    let full = Zeroizing::new(::bcrypt::bcrypt(cost, salt, &block[..used]));
    Zeroizing::new(std::array::from_fn(|i| full[i]))
}
