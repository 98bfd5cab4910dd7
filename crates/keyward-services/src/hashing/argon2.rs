//! Argon2 hashes in the PHC string format, made and compared with own parsing and bounds.
//! The hasher calls it on its threads.
//! Does not know queues or passwords' rules.

use ::argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keyward_model::Secret;
use subtle::ConstantTimeEq;

use super::format::HashRefusal;

/// Cost and lengths of Argon2id hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Parameters {
    /// Memory in KiB; at least 8 per lane of parallelism.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes. They are computed one after the other, so they cost no extra threads.
    pub parallelism: u32,
    /// Bytes of salt, 8 to 512.
    pub salt_length: u32,
    /// Bytes of the result, 16 to 512.
    pub key_length: u32,
}

impl Argon2Parameters {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if !(8..=512).contains(&self.salt_length) {
            return Err("the argon2 salt must have 8 to 512 bytes");
        }
        if !(16..=512).contains(&self.key_length) {
            return Err("the argon2 key must have 16 to 512 bytes");
        }
        self.core().map(drop).ok_or("the argon2 memory must be at least 8 KiB per lane, iterations and lanes at least 1")
    }

    fn core(&self) -> Option<Params> {
        // The allocation is the memory's size whatever the number of lanes, so lanes have no bound of their own here.
        Params::new(self.memory_kib, self.iterations, self.parallelism, Some(self.key_length as usize)).ok()
    }
}

// What a stored hash may demand; a configuration that demands more raises the bound for itself.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_ITERATIONS: u32 = 10;
const MOST_PARALLELISM: u32 = 16;

pub(super) fn make(parameters: Argon2Parameters, password: &[u8], salt: &[u8]) -> String {
    let key = compute(Algorithm::Argon2id, parameters, password, salt).expect("parameters were checked when the hasher was made");
    format!(
        "$argon2id$v=19$m={},t={},p={}${}${}",
        parameters.memory_kib,
        parameters.iterations,
        parameters.parallelism,
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(key.reveal())
    )
}

/// A parsed hash within the bounds.
pub(super) struct Argon2Hash {
    pub(super) algorithm: Algorithm,
    pub(super) parameters: Argon2Parameters,
    salt: Vec<u8>,
    key: Vec<u8>,
}

impl Argon2Hash {
    /// `rest`: what follows `$argon2id$` or `$argon2i$`.
    pub(super) fn parse(algorithm: Algorithm, rest: &str, configured: Option<Argon2Parameters>) -> Result<Self, HashRefusal> {
        let mut fields = rest.split('$');
        let mut next = || fields.next().ok_or(HashRefusal::Malformed);
        let (version, costs, salt, key) = (next()?, next()?, next()?, next()?);
        if fields.next().is_some() || version != "v=19" {
            return Err(HashRefusal::Malformed);
        }
        let mut costs = costs.split(',');
        let mut cost = |name| number(costs.next()?.strip_prefix(name)?);
        let (Some(memory_kib), Some(iterations), Some(parallelism)) = (cost("m="), cost("t="), cost("p=")) else {
            return Err(HashRefusal::Malformed);
        };
        if costs.next().is_some() {
            return Err(HashRefusal::Malformed);
        }
        let decode = |text| STANDARD_NO_PAD.decode(text).map_err(|_| HashRefusal::Malformed);
        let (salt, key) = (decode(salt)?, decode(key)?);
        // A key of few bytes would be matched by chance, an empty one by everything.
        if !(8..=512).contains(&salt.len()) || !(10..=512).contains(&key.len()) {
            return Err(HashRefusal::Malformed);
        }
        let bound = |most: u32, own: fn(&Argon2Parameters) -> u32| configured.as_ref().map_or(most, |c| most.max(own(c)));
        if memory_kib > bound(MOST_MEMORY_KIB, |c| c.memory_kib)
            || iterations > bound(MOST_ITERATIONS, |c| c.iterations)
            || parallelism > bound(MOST_PARALLELISM, |c| c.parallelism)
        {
            return Err(HashRefusal::TooExpensive);
        }
        let parameters = Argon2Parameters {
            memory_kib,
            iterations,
            parallelism,
            salt_length: salt.len() as u32,
            key_length: key.len() as u32,
        };
        parameters.core().ok_or(HashRefusal::Malformed)?;
        Ok(Self { algorithm, parameters, salt, key })
    }

    /// A hash made of no password: the key is zero.
    pub(super) fn never_matching(parameters: Argon2Parameters) -> Self {
        Self {
            algorithm: Algorithm::Argon2id,
            parameters,
            salt: vec![0; parameters.salt_length as usize],
            key: vec![0; parameters.key_length as usize],
        }
    }

    pub(super) fn fits(&self, password: &[u8]) -> bool {
        compute(self.algorithm, self.parameters, password, &self.salt)
            .is_some_and(|key| key.reveal().as_slice().ct_eq(&self.key).into())
    }
}

fn compute(algorithm: Algorithm, parameters: Argon2Parameters, password: &[u8], salt: &[u8]) -> Option<Secret<Vec<u8>>> {
    let mut key = vec![0; parameters.key_length as usize];
    Argon2::new(algorithm, Version::V0x13, parameters.core()?).hash_password_into(password, salt, &mut key).ok()?;
    Some(Secret::new(key))
}

/// Plain decimal digits without sign or leading zeros.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}
