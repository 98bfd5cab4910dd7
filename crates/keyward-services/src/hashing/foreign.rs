//! Hashes that other systems made and operators import (contract: login 14.3): PBKDF2, scrypt, Firebase's scrypt, LDAP's
//! salted SHA, plain digests with a template, and HMACs. The hasher compares with them; the first sign-in replaces them.
//! Parses and bounds every field itself, because what an import may contain is this program's decision and not a library's.

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use md4::Md4;
use md5::Md5;
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use sha3::{Sha3_224, Sha3_384};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::format::{Format, HashRefusal};

/// Exporters differ in whether they pad.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

const MOST_ITERATIONS: u32 = 10_000_000;
const MOST_LOG_N: u8 = 17;
const MOST_R: u32 = 8;
const MOST_P: u32 = 10;
/// A key of few bytes would be matched by chance, an empty one by everything; each further block costs all iterations.
const KEY_LENGTHS: std::ops::RangeInclusive<usize> = 10..=128;
const LONGEST_FIELD: usize = 1_024;

/// A parsed hash within the bounds.
pub(super) enum ForeignHash {
    Pbkdf2 {
        digest: Prf,
        iterations: u32,
        salt: Vec<u8>,
        key: Vec<u8>,
    },
    Scrypt {
        cost: Scrypt,
        salt: Vec<u8>,
        key: Vec<u8>,
    },
    /// Firebase's: the scrypt key encrypts the project's signer key, and that is the hash.
    Firescrypt {
        cost: Scrypt,
        salt: Vec<u8>,
        signer: Vec<u8>,
        hash: Vec<u8>,
    },
    /// A digest of the password in a template; LDAP's `{SSHA}` is the template password, then salt.
    Digest {
        digest: Plain,
        template: Vec<u8>,
        salt: Vec<u8>,
        hash: Vec<u8>,
        format: Format,
    },
    /// `mac` is the hexadecimal text.
    Hmac {
        digest: Keyed,
        mac: Vec<u8>,
        key: Vec<u8>,
    },
}

/// The pseudorandom function of PBKDF2. The reference server takes SHA-3 where the name says sha224 or sha384, so hashes that
/// sign in there are made with these.
#[derive(Clone, Copy)]
pub(super) enum Prf {
    Sha1,
    Sha3_224,
    Sha256,
    Sha3_384,
    Sha512,
}

#[derive(Clone, Copy)]
pub(super) enum Plain {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Clone, Copy)]
pub(super) enum Keyed {
    Md4,
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Copy)]
pub(super) struct Scrypt {
    log_n: u8,
    r: u32,
    p: u32,
}

impl ForeignHash {
    /// Reads a stored hash; `None` when the prefix is none of these.
    pub(super) fn parse(stored: &str) -> Option<Result<Self, HashRefusal>> {
        for (prefix, digest) in [("{SSHA}", Plain::Sha1), ("{SSHA256}", Plain::Sha256), ("{SSHA512}", Plain::Sha512)] {
            if let Some(rest) = stored.strip_prefix(prefix) {
                return Some(salted(digest, rest));
            }
        }
        let (name, rest) = stored.strip_prefix('$')?.split_once('$')?;
        let pbkdf2 = |digest| Some(pbkdf2(digest, rest));
        let keyed = |digest| Some(keyed(digest, rest));
        match name {
            "pbkdf2-sha1" => pbkdf2(Prf::Sha1),
            "pbkdf2-sha224" => pbkdf2(Prf::Sha3_224),
            "pbkdf2-sha256" => pbkdf2(Prf::Sha256),
            "pbkdf2-sha384" => pbkdf2(Prf::Sha3_384),
            "pbkdf2-sha512" => pbkdf2(Prf::Sha512),
            "scrypt" => Some(scrypt(rest)),
            "firescrypt" => Some(firescrypt(rest)),
            "md5" => Some(if rest.starts_with("pf=") { templated(Plain::Md5, rest) } else { bare_md5(rest) }),
            "sha1" => Some(templated(Plain::Sha1, rest)),
            "sha256" => Some(templated(Plain::Sha256, rest)),
            "sha512" => Some(templated(Plain::Sha512, rest)),
            "hmac-md4" => keyed(Keyed::Md4),
            "hmac-md5" => keyed(Keyed::Md5),
            "hmac-sha1" => keyed(Keyed::Sha1),
            "hmac-sha224" => keyed(Keyed::Sha224),
            "hmac-sha256" => keyed(Keyed::Sha256),
            "hmac-sha384" => keyed(Keyed::Sha384),
            "hmac-sha512" => keyed(Keyed::Sha512),
            _ => None,
        }
    }

    pub(super) const fn format(&self) -> Format {
        match self {
            Self::Pbkdf2 { .. } => Format::Pbkdf2,
            Self::Scrypt { .. } => Format::Scrypt,
            Self::Firescrypt { .. } => Format::Firescrypt,
            Self::Digest { format, .. } => *format,
            Self::Hmac { .. } => Format::Hmac,
        }
    }

    /// What a comparison needs: scrypt works on 128 · N · r bytes, the others on next to nothing.
    pub(super) const fn memory_kib(&self) -> u32 {
        match self {
            Self::Scrypt { cost, .. } | Self::Firescrypt { cost, .. } => (cost.r << cost.log_n) / 8 + cost.r * cost.p / 8 + 1,
            Self::Pbkdf2 { .. } | Self::Digest { .. } | Self::Hmac { .. } => 1,
        }
    }

    pub(super) fn fits(&self, password: &[u8]) -> bool {
        match self {
            Self::Pbkdf2 { digest, iterations, salt, key } => {
                let mut made = Zeroizing::new(vec![0; key.len()]);
                match digest {
                    Prf::Sha1 => pbkdf2_hmac::<Sha1>(password, salt, *iterations, &mut made),
                    Prf::Sha3_224 => pbkdf2_hmac::<Sha3_224>(password, salt, *iterations, &mut made),
                    Prf::Sha256 => pbkdf2_hmac::<Sha256>(password, salt, *iterations, &mut made),
                    Prf::Sha3_384 => pbkdf2_hmac::<Sha3_384>(password, salt, *iterations, &mut made),
                    Prf::Sha512 => pbkdf2_hmac::<Sha512>(password, salt, *iterations, &mut made),
                }
                same(&made, key)
            }
            Self::Scrypt { cost, salt, key } => {
                let mut made = Zeroizing::new(vec![0; key.len()]);
                cost.compute(password, salt, &mut made) && same(&made, key)
            }
            Self::Firescrypt { cost, salt, signer, hash } => {
                let mut key = Zeroizing::new([0; 32]);
                cost.compute(password, salt, key.as_mut()) && encrypt(&key, signer).is_some_and(|made| same(&made, hash))
            }
            Self::Digest { digest, template, salt, hash, .. } => {
                let text = Zeroizing::new(fill(template, salt, password));
                match digest {
                    Plain::Md5 => same(&Md5::digest(&*text), hash),
                    Plain::Sha1 => same(&Sha1::digest(&*text), hash),
                    Plain::Sha256 => same(&Sha256::digest(&*text), hash),
                    Plain::Sha512 => same(&Sha512::digest(&*text), hash),
                }
            }
            Self::Hmac { digest, mac, key } => match digest {
                Keyed::Md4 => fits_mac::<Hmac<Md4>>(key, password, mac),
                Keyed::Md5 => fits_mac::<Hmac<Md5>>(key, password, mac),
                Keyed::Sha1 => fits_mac::<Hmac<Sha1>>(key, password, mac),
                Keyed::Sha224 => fits_mac::<Hmac<Sha224>>(key, password, mac),
                Keyed::Sha256 => fits_mac::<Hmac<Sha256>>(key, password, mac),
                Keyed::Sha384 => fits_mac::<Hmac<Sha384>>(key, password, mac),
                Keyed::Sha512 => fits_mac::<Hmac<Sha512>>(key, password, mac),
            },
        }
    }
}

impl Scrypt {
    /// Reads `ln=…,r=…,p=…`; `log_n` tells what `ln` means.
    fn parse(text: &str, log_n: impl Fn(u32) -> Option<u8>) -> Result<Self, HashRefusal> {
        let [n, r, p] = numbers(text, ["ln=", "r=", "p="])?;
        let Some(log_n) = log_n(n) else { return Err(HashRefusal::Malformed) };
        if log_n > MOST_LOG_N || r > MOST_R || p > MOST_P {
            return Err(HashRefusal::TooExpensive);
        }
        ::scrypt::Params::new(log_n, r, p).map_err(|_| HashRefusal::Malformed)?;
        Ok(Self { log_n, r, p })
    }

    fn compute(self, password: &[u8], salt: &[u8], key: &mut [u8]) -> bool {
        ::scrypt::Params::new(self.log_n, self.r, self.p)
            .is_ok_and(|params| ::scrypt::scrypt(password, salt, &params, key).is_ok())
    }
}

fn pbkdf2(digest: Prf, rest: &str) -> Result<ForeignHash, HashRefusal> {
    let [costs, salt, key] = fields(rest)?;
    // The length of the key is the key's own; not every exporter writes it down as well.
    let [iterations] = match costs.split_once(',') {
        Some(_) => numbers(costs, ["i=", "l="]).map(|[iterations, _length]| [iterations])?,
        None => numbers(costs, ["i="])?,
    };
    let (salt, key) = (decode(salt)?, decode(key)?);
    if iterations == 0 || !KEY_LENGTHS.contains(&key.len()) {
        return Err(HashRefusal::Malformed);
    }
    if iterations > MOST_ITERATIONS {
        return Err(HashRefusal::TooExpensive);
    }
    Ok(ForeignHash::Pbkdf2 { digest, iterations, salt, key })
}

fn scrypt(rest: &str) -> Result<ForeignHash, HashRefusal> {
    let [costs, salt, key] = fields(rest)?;
    let power = |n: u32| (n > 1 && n.is_power_of_two()).then(|| u8::try_from(n.trailing_zeros()).ok()).flatten();
    let cost = Scrypt::parse(costs, power)?;
    let (salt, key) = (decode(salt)?, decode(key)?);
    if !KEY_LENGTHS.contains(&key.len()) {
        return Err(HashRefusal::Malformed);
    }
    Ok(ForeignHash::Scrypt { cost, salt, key })
}

fn firescrypt(rest: &str) -> Result<ForeignHash, HashRefusal> {
    let [costs, salt, hash, separator, signer] = fields(rest)?;
    let cost = Scrypt::parse(costs, |log_n| u8::try_from(log_n).ok().filter(|log_n| *log_n > 0))?;
    let (mut salt, hash, signer) = (decode(salt)?, decode(hash)?, decode(signer)?);
    salt.extend(decode(separator)?);
    if hash.len() != signer.len() || !KEY_LENGTHS.contains(&hash.len()) {
        return Err(HashRefusal::Malformed);
    }
    Ok(ForeignHash::Firescrypt { cost, salt, signer, hash })
}

/// AES-256 in counter mode from a zero block; the same in both directions.
fn encrypt(key: &[u8; 32], plain: &[u8]) -> Option<Vec<u8>> {
    let key = DecryptingKey::ctr(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
    let mut text = plain.to_vec();
    key.decrypt(&mut text, DecryptionContext::Iv128(FixedLength::from([0; 16]))).ok()?;
    Some(text)
}

/// LDAP's: digest, then salt, in one piece.
fn salted(digest: Plain, rest: &str) -> Result<ForeignHash, HashRefusal> {
    let decoded = decode(rest)?;
    let (hash, salt) = decoded.split_at_checked(length(digest)).ok_or(HashRefusal::Malformed)?;
    Ok(ForeignHash::Digest {
        digest,
        template: b"{PASSWORD}{SALT}".to_vec(),
        salt: salt.to_vec(),
        hash: hash.to_vec(),
        format: Format::Ssha,
    })
}

fn bare_md5(rest: &str) -> Result<ForeignHash, HashRefusal> {
    digest(Plain::Md5, b"{PASSWORD}".to_vec(), Vec::new(), decode(rest)?)
}

fn templated(kind: Plain, rest: &str) -> Result<ForeignHash, HashRefusal> {
    let [template, salt, hash] = fields(rest)?;
    let template = decode(template.strip_prefix("pf=").ok_or(HashRefusal::Malformed)?)?;
    // A template that leaves the password out would admit everybody.
    if !template.windows(PASSWORD.len()).any(|window| window == PASSWORD) {
        return Err(HashRefusal::Malformed);
    }
    digest(kind, template, decode(salt)?, decode(hash)?)
}

fn digest(digest: Plain, template: Vec<u8>, salt: Vec<u8>, hash: Vec<u8>) -> Result<ForeignHash, HashRefusal> {
    if hash.len() != length(digest) {
        return Err(HashRefusal::Malformed);
    }
    Ok(ForeignHash::Digest { digest, template, salt, hash, format: Format::Digest })
}

const PASSWORD: &[u8] = b"{PASSWORD}";
const SALT: &[u8] = b"{SALT}";

/// Puts salt and password into their places; what they contain is not looked at again.
fn fill(template: &[u8], salt: &[u8], password: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(template.len() + 2 * (salt.len() + password.len()));
    let mut rest = template;
    while let Some(first) = rest.first() {
        if let Some(after) = rest.strip_prefix(PASSWORD) {
            text.extend_from_slice(password);
            rest = after;
        } else if let Some(after) = rest.strip_prefix(SALT) {
            text.extend_from_slice(salt);
            rest = after;
        } else {
            text.push(*first);
            rest = &rest[1..];
        }
    }
    text
}

fn keyed(digest: Keyed, rest: &str) -> Result<ForeignHash, HashRefusal> {
    let [mac, key] = fields(rest)?;
    let (mut mac, key) = (decode(mac)?, decode(key)?);
    mac.make_ascii_lowercase();
    let length = match digest {
        Keyed::Md4 | Keyed::Md5 => 32,
        Keyed::Sha1 => 40,
        Keyed::Sha224 => 56,
        Keyed::Sha256 => 64,
        Keyed::Sha384 => 96,
        Keyed::Sha512 => 128,
    };
    if mac.len() != length || !mac.iter().all(u8::is_ascii_hexdigit) {
        return Err(HashRefusal::Malformed);
    }
    Ok(ForeignHash::Hmac { digest, mac, key })
}

fn fits_mac<M: Mac + KeyInit>(key: &[u8], password: &[u8], mac: &[u8]) -> bool {
    let Ok(keyed) = <M as KeyInit>::new_from_slice(key) else { return false };
    let made = keyed.chain_update(password).finalize().into_bytes();
    let hexadecimal: Vec<u8> =
        made.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| DIGITS[usize::from(digit)]).collect();
    same(&hexadecimal, mac)
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

const fn length(digest: Plain) -> usize {
    match digest {
        Plain::Md5 => 16,
        Plain::Sha1 => 20,
        Plain::Sha256 => 32,
        Plain::Sha512 => 64,
    }
}

fn same(made: &[u8], stored: &[u8]) -> bool {
    made.ct_eq(stored).into()
}

/// Exactly `N` fields between dollar signs.
fn fields<const N: usize>(text: &str) -> Result<[&str; N], HashRefusal> {
    let all: Vec<&str> = text.split('$').collect();
    all.try_into().map_err(|_| HashRefusal::Malformed)
}

fn decode(text: &str) -> Result<Vec<u8>, HashRefusal> {
    if text.len() > LONGEST_FIELD {
        return Err(HashRefusal::Malformed);
    }
    BASE64.decode(text).map_err(|_| HashRefusal::Malformed)
}

/// Plain decimal numbers behind these names, separated by commas.
fn numbers<const N: usize>(text: &str, names: [&str; N]) -> Result<[u32; N], HashRefusal> {
    let mut parts = text.split(',');
    let mut all = [0; N];
    for (name, number) in names.into_iter().zip(&mut all) {
        let digits = parts.next().and_then(|part| part.strip_prefix(name)).ok_or(HashRefusal::Malformed)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(HashRefusal::Malformed);
        }
        // What fits no number is beyond every bound.
        *number = digits.parse().map_err(|_| HashRefusal::TooExpensive)?;
    }
    if parts.next().is_some() { Err(HashRefusal::Malformed) } else { Ok(all) }
}
