//! The crypt(3) families that other systems export: MD5-crypt, SHA-256-crypt and SHA-512-crypt.
//! The hasher compares with them on its threads; nothing new is ever hashed so.
//! Does not know Kratos' prefixes: it gets what follows them.

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::format::HashRefusal;

/// Which family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Md5,
    Sha256,
    Sha512,
}

/// A parsed hash within the bounds.
pub(super) struct CryptHash {
    pub(super) family: Family,
    rounds: u32,
    salt: String,
    /// As it stands in the text, in the families' own base64.
    digest: String,
}

const DEFAULT_ROUNDS: u32 = 5_000;
const LEAST_ROUNDS: u32 = 1_000;
/// A million rounds take about half a second.
const MOST_ROUNDS: u32 = 1_000_000;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl CryptHash {
    /// `rest`: `[rounds=<n>$]<salt>$<digest>`; only the SHA families have rounds.
    pub(super) fn parse(family: Family, rest: &str) -> Result<Self, HashRefusal> {
        let malformed = HashRefusal::Malformed;
        let (rounds, rest) = match rest.strip_prefix("rounds=").filter(|_| family != Family::Md5) {
            None => (DEFAULT_ROUNDS, rest),
            Some(rest) => {
                let (rounds, rest) = rest.split_once('$').ok_or(malformed)?;
                let digits = !rounds.is_empty() && rounds.len() <= 9 && rounds.bytes().all(|byte| byte.is_ascii_digit());
                (rounds.parse().ok().filter(|_| digits).ok_or(malformed)?, rest)
            }
        };
        if rounds < LEAST_ROUNDS {
            return Err(malformed);
        }
        if rounds > MOST_ROUNDS {
            return Err(HashRefusal::TooExpensive);
        }
        let (salt, digest) = rest.split_once('$').ok_or(malformed)?;
        let (longest_salt, length) = match family {
            Family::Md5 => (8, 22),
            Family::Sha256 => (16, 43),
            Family::Sha512 => (16, 86),
        };
        if salt.len() > longest_salt || digest.len() != length || !digest.bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Err(malformed);
        }
        Ok(Self { family, rounds, salt: salt.to_owned(), digest: digest.to_owned() })
    }

    pub(super) fn fits(&self, password: &[u8]) -> bool {
        let salt = self.salt.as_bytes();
        let made = match self.family {
            Family::Md5 => md5_crypt(password, salt),
            Family::Sha256 | Family::Sha512 => {
                let Ok(params) = sha_crypt::Params::new(self.rounds) else { return false };
                if self.family == Family::Sha256 {
                    encode(&sha_crypt::sha256_crypt(password, salt, params), &SHA256_ORDER)
                } else {
                    encode(&sha_crypt::sha512_crypt(password, salt, params), &SHA512_ORDER)
                }
            }
        };
        made.as_bytes().ct_eq(self.digest.as_bytes()).into()
    }
}

/// Poul-Henning Kamp's function of FreeBSD 2, with its thousand rounds.
fn md5_crypt(password: &[u8], salt: &[u8]) -> String {
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut start = Md5::new().chain_update(password).chain_update(b"$1$").chain_update(salt);
    let mut left = password.len();
    while left > 0 {
        start.update(&inner[..left.min(16)]);
        left = left.saturating_sub(16);
    }
    let mut bits = password.len();
    while bits != 0 {
        start.update(if bits & 1 == 1 { &[0] } else { password.get(..1).unwrap_or_default() });
        bits >>= 1;
    }
    let mut digest: Zeroizing<[u8; 16]> = Zeroizing::new(start.finalize().into());
    for round in 0..1_000 {
        let mut next = Md5::new();
        let mut add = |own: bool| if own { next.update(password) } else { next.update(*digest) };
        add(round % 2 == 1);
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        let mut add = |own: bool| if own { next.update(password) } else { next.update(*digest) };
        add(round % 2 == 0);
        digest = Zeroizing::new(next.finalize().into());
    }
    encode(&*digest, &MD5_ORDER)
}

/// Writes bytes in the families' base64: three at a time in their order, the lowest six bits first.
fn encode(digest: &[u8], order: &[&[u8]]) -> String {
    let mut text = String::with_capacity(86);
    for group in order {
        let mut word = group.iter().fold(0_u32, |word, place| (word << 8) | u32::from(digest[usize::from(*place)]));
        for _ in 0..=group.len() {
            text.push(char::from(ALPHABET[(word & 63) as usize]));
            word >>= 6;
        }
    }
    text
}

const MD5_ORDER: [&[u8]; 6] = [&[0, 6, 12], &[1, 7, 13], &[2, 8, 14], &[3, 9, 15], &[4, 10, 5], &[11]];

const SHA256_ORDER: [&[u8]; 11] = [
    &[0, 10, 20],
    &[21, 1, 11],
    &[12, 22, 2],
    &[3, 13, 23],
    &[24, 4, 14],
    &[15, 25, 5],
    &[6, 16, 26],
    &[27, 7, 17],
    &[18, 28, 8],
    &[9, 19, 29],
    &[31, 30],
];

const SHA512_ORDER: [&[u8]; 22] = [
    &[0, 21, 42],
    &[22, 43, 1],
    &[44, 2, 23],
    &[3, 24, 45],
    &[25, 46, 4],
    &[47, 5, 26],
    &[6, 27, 48],
    &[28, 49, 7],
    &[50, 8, 29],
    &[9, 30, 51],
    &[31, 52, 10],
    &[53, 11, 32],
    &[12, 33, 54],
    &[34, 55, 13],
    &[56, 14, 35],
    &[15, 36, 57],
    &[37, 58, 16],
    &[59, 17, 38],
    &[18, 39, 60],
    &[40, 61, 19],
    &[62, 20, 41],
    &[63],
];
