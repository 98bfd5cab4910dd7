//! Tells the formats of stored hashes apart and reads those that can be compared with.
//! The hasher parses every stored hash here; imports ask whether a hash is of a known kind.
//! Does not compute anything.

use ::argon2::Algorithm;

use super::HashParameters;
use super::argon2::Argon2Hash;
use super::bcrypt::{self, BcryptHash};
use super::crypt::{CryptHash, Family};
use super::foreign::ForeignHash;

/// A kind of stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `$argon2id$`
    Argon2id,
    /// `$argon2i$`
    Argon2i,
    /// `$2$`, `$2a$`, `$2b$`, `$2y$` or `$2z$`
    Bcrypt,
    /// `$pbkdf2-sha1$`, `$pbkdf2-sha224$` to `$pbkdf2-sha512$`
    Pbkdf2,
    /// `$scrypt$`
    Scrypt,
    /// `$firescrypt$`, Firebase's variant
    Firescrypt,
    /// `{SSHA}`, `{SSHA256}` or `{SSHA512}`
    Ssha,
    /// `$md5$`, `$sha1$`, `$sha256$` or `$sha512$`
    Digest,
    /// `$hmac-md4$` to `$hmac-sha512$`
    Hmac,
    /// `$md5-crypt$` or `$1$`
    Md5Crypt,
    /// `$sha256-crypt$` or `$5$`
    Sha256Crypt,
    /// `$sha512-crypt$` or `$6$`
    Sha512Crypt,
}

/// Why a stored hash cannot be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashRefusal {
    /// No known prefix.
    #[error("unknown hash format")]
    Unknown,
    /// A known prefix, but what follows is no such hash.
    #[error("malformed hash")]
    Malformed,
    /// Its cost is beyond the bounds.
    #[error(
        "the hash demands too much work; the most are a bcrypt cost of 15, a million rounds of crypt, ten million iterations of \
         PBKDF2, N = 131072 of scrypt, and of argon2 a gigabyte"
    )]
    TooExpensive,
    /// `$2x$`: made by an implementation that misread bytes above 127, which a correct one cannot repeat.
    #[error("$2x$ marks hashes of a faulty bcrypt, which cannot be compared with")]
    Faulty,
    /// What `shadow` files hold in place of a hash.
    #[error("this marks a locked account and is no hash; leave the password out")]
    Locked,
}

/// The kind of a hash to be imported, which is read completely: what passes here can be compared with later.
///
/// # Errors
/// Why it cannot be imported.
pub fn recognise(stored: &str) -> Result<Format, HashRefusal> {
    read(stored, None).map(|hash| match hash {
        Stored::Argon2(hash) if matches!(hash.algorithm, Algorithm::Argon2i) => Format::Argon2i,
        Stored::Argon2(_) => Format::Argon2id,
        Stored::Bcrypt(_) => Format::Bcrypt,
        Stored::Foreign(hash) => hash.format(),
        Stored::Crypt(hash) => match hash.family {
            Family::Md5 => Format::Md5Crypt,
            Family::Sha256 => Format::Sha256Crypt,
            Family::Sha512 => Format::Sha512Crypt,
        },
    })
}

/// A stored hash, read and within the bounds.
pub(super) enum Stored {
    Argon2(Argon2Hash),
    Bcrypt(BcryptHash),
    Foreign(Box<ForeignHash>),
    Crypt(CryptHash),
}

pub(super) fn parse(stored: &str, configured: HashParameters) -> Result<Stored, HashRefusal> {
    read(stored, Some(configured))
}

impl Stored {
    /// A hash of the configured cost that was made of no password.
    pub(super) fn never_matching(configured: HashParameters) -> Self {
        match configured {
            HashParameters::Argon2id(argon2) => Self::Argon2(Argon2Hash::never_matching(argon2)),
            HashParameters::Bcrypt { cost } => Self::Bcrypt(BcryptHash::never_matching(cost)),
        }
    }

    pub(super) const fn memory_kib(&self) -> u32 {
        match self {
            Self::Argon2(hash) => hash.parameters.memory_kib,
            Self::Bcrypt(_) => bcrypt::MEMORY_KIB,
            Self::Foreign(hash) => hash.memory_kib(),
            Self::Crypt(_) => 1,
        }
    }

    /// Computes the hash of `password` and compares.
    pub(super) fn fits(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2(hash) => hash.fits(password),
            Self::Bcrypt(hash) => hash.fits(password),
            Self::Foreign(hash) => hash.fits(password),
            Self::Crypt(hash) => hash.fits(password),
        }
    }

    /// Whether a new hash would have the same algorithm and cost.
    pub(super) fn is_current(&self, configured: HashParameters) -> bool {
        match (self, configured) {
            (Self::Argon2(hash), HashParameters::Argon2id(argon2)) => {
                matches!(hash.algorithm, Algorithm::Argon2id) && hash.parameters == argon2
            }
            (Self::Bcrypt(hash), HashParameters::Bcrypt { cost }) => hash.cost == cost,
            _ => false,
        }
    }
}

fn read(stored: &str, configured: Option<HashParameters>) -> Result<Stored, HashRefusal> {
    let own = match configured {
        Some(HashParameters::Argon2id(argon2)) => Some(argon2),
        _ => None,
    };
    for (prefix, algorithm) in [("$argon2id$", Algorithm::Argon2id), ("$argon2i$", Algorithm::Argon2i)] {
        if let Some(rest) = stored.strip_prefix(prefix) {
            return Argon2Hash::parse(algorithm, rest, own).map(Stored::Argon2);
        }
    }
    if stored.starts_with("$2x$") {
        return Err(HashRefusal::Faulty);
    }
    if stored == "x" || stored.starts_with(['!', '*']) {
        return Err(HashRefusal::Locked);
    }
    for prefix in ["$2$", "$2a$", "$2b$", "$2y$", "$2z$"] {
        if let Some(rest) = stored.strip_prefix(prefix) {
            return BcryptHash::parse(rest).map(Stored::Bcrypt);
        }
    }
    // Under Kratos' names, and as they stand in the files of operating systems.
    let families = [
        ("$md5-crypt$", Family::Md5),
        ("$1$", Family::Md5),
        ("$sha256-crypt$", Family::Sha256),
        ("$5$", Family::Sha256),
        ("$sha512-crypt$", Family::Sha512),
        ("$6$", Family::Sha512),
    ];
    for (prefix, family) in families {
        if let Some(rest) = stored.strip_prefix(prefix) {
            return CryptHash::parse(family, rest).map(Stored::Crypt);
        }
    }
    match ForeignHash::parse(stored) {
        Some(parsed) => parsed.map(Box::new).map(Stored::Foreign),
        None => Err(HashRefusal::Unknown),
    }
}
