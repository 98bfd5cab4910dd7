//! Hashes and verifies passwords on threads of its own, behind a bounded queue, so that a flood of sign-ins can neither
//! exhaust memory nor stall the server. Registration, login, settings and import call it.
//! Does not know identities, attempts or policies: it answers whether a password fits a stored hash.

mod argon2;
mod bcrypt;
mod crypt;
mod foreign;
mod format;
mod queue;

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::Arc;

use keyward_model::{Random, Secret};
use tokio::sync::oneshot;
use unicode_normalization::{UnicodeNormalization, is_nfc};

pub use self::argon2::Argon2Parameters;
use self::format::Stored;
pub use self::format::{Format, HashRefusal, recognise};
pub use self::queue::Lane;
use self::queue::{Queue, Refused};

/// The most bytes a password may have, whatever the algorithm.
pub const LONGEST_PASSWORD: usize = 1024;

/// The algorithm and cost of new hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashParameters {
    /// Argon2id, version 1.3 (RFC 9106).
    Argon2id(Argon2Parameters),
    /// bcrypt with this logarithmic cost, 4 to 15.
    Bcrypt {
        /// The number of rounds is 2 to this power.
        cost: u32,
    },
}

/// How much hashing may go on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCapacity {
    /// Threads, normally the number of cores.
    pub threads: NonZeroUsize,
    /// Passwords that may wait in [`Lane::Public`].
    pub queue: usize,
    /// Passwords that may wait in [`Lane::SignedIn`], beside the others.
    pub reserved: usize,
    /// The most memory in KiB that all hashes under way may use together; at least what one hash needs.
    pub memory_kib: u32,
}

/// How much the hash service has to do at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HashLoad {
    /// Passwords that wait in [`Lane::Public`].
    pub waiting_public: usize,
    /// Passwords that wait in [`Lane::SignedIn`].
    pub waiting_signed_in: usize,
    /// Passwords being hashed or compared.
    pub busy: usize,
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The password fits.
    pub matches: bool,
    /// It fits, but the stored hash is not what [`Hasher::hash`] would make of it today.
    pub needs_rehash: bool,
}

/// Why a password was not hashed or compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many passwords wait already; worth another try after about a second.
    #[error("too many passwords are being checked")]
    Busy,
    /// More bytes than allowed; found before any work.
    #[error("the password has {actual} of at most {max} bytes")]
    TooLong {
        /// The most bytes allowed.
        max: usize,
        /// The bytes the password has.
        actual: usize,
    },
    /// The stored hash cannot be compared with; no time was spent, so a caller that must not tell makes a
    /// [`Hasher::dummy`] instead.
    #[error("the stored hash cannot be used")]
    Unusable(#[from] HashRefusal),
    /// The hasher is shutting down.
    #[error("password hashing has stopped")]
    Stopped,
}

/// Why no hasher could be made.
#[derive(Debug, thiserror::Error)]
pub enum HasherError {
    /// A cost outside the limits.
    #[error("{0}")]
    Parameters(&'static str),
    /// The operating system gave no thread.
    #[error("cannot start a thread for password hashing")]
    Thread(#[source] std::io::Error),
}

/// The hash service; dropping it ends its threads.
pub struct Hasher {
    parameters: HashParameters,
    queue: Queue,
    random: Arc<dyn Random>,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

impl Hasher {
    /// Checks the parameters and starts the threads.
    ///
    /// # Errors
    /// When a parameter is outside its limits, does not fit the memory, or a thread cannot be started.
    pub fn new(parameters: HashParameters, capacity: HashCapacity, random: Arc<dyn Random>) -> Result<Self, HasherError> {
        match parameters {
            HashParameters::Argon2id(argon2) => argon2.check().map_err(HasherError::Parameters)?,
            HashParameters::Bcrypt { cost } if !(bcrypt::LEAST_COST..=bcrypt::GREATEST_COST).contains(&cost) => {
                return Err(HasherError::Parameters("the bcrypt cost must lie between 4 and 15"));
            }
            HashParameters::Bcrypt { .. } => {}
        }
        if memory_of(parameters) > capacity.memory_kib {
            return Err(HasherError::Parameters("one hash needs more memory than all together may use"));
        }
        let queue = Queue::start(&capacity).map_err(HasherError::Thread)?;
        Ok(Self { parameters, queue, random })
    }

    /// The algorithm and cost of new hashes.
    pub const fn parameters(&self) -> HashParameters {
        self.parameters
    }

    /// What waits and what is under way.
    pub fn load(&self) -> HashLoad {
        self.queue.load()
    }

    /// Whether the password could be set: costs nothing, so it can be asked before the expensive checks.
    ///
    /// # Errors
    /// [`HashError::TooLong`]: over [`LONGEST_PASSWORD`] bytes as typed, or over the 72 bytes that bcrypt reads.
    pub fn check_length(&self, password: &Secret<String>) -> Result<(), HashError> {
        self.prepare_new(password).map(drop)
    }

    /// Hashes a password to be stored, with a fresh salt.
    ///
    /// # Errors
    /// [`HashError::TooLong`], [`HashError::Busy`] or [`HashError::Stopped`].
    pub async fn hash(&self, password: &Secret<String>, lane: Lane) -> Result<String, HashError> {
        let prepared = self.prepare_new(password)?;
        let salt = self.salt();
        let parameters = self.parameters;
        self.run(lane, memory_of(parameters), move || make(parameters, prepared.reveal(), &salt)).await
    }

    /// Compares a password with a stored hash of any format that [`recognise`] knows, in constant time.
    ///
    /// # Errors
    /// [`HashError::TooLong`], [`HashError::Unusable`], [`HashError::Busy`] or [`HashError::Stopped`].
    pub async fn verify(&self, password: &Secret<String>, stored: &str, lane: Lane) -> Result<Verdict, HashError> {
        within(LONGEST_PASSWORD, password.reveal().len())?;
        let stored = format::parse(stored, self.parameters)?;
        if stored.memory_kib() > self.queue.memory_kib() {
            return Err(HashRefusal::TooExpensive.into());
        }
        let (prepared, typed) = spellings(password);
        let current = stored.is_current(self.parameters);
        self.run(lane, stored.memory_kib(), move || {
            // Both spellings are always tried, so that the time tells nothing about which one fits.
            let fits_prepared = stored.fits(prepared.reveal());
            let fits_typed = typed.is_some_and(|typed| stored.fits(typed.reveal()));
            let matches = fits_prepared || fits_typed;
            Verdict { matches, needs_rehash: matches && !(current && fits_prepared) }
        })
        .await
    }

    /// Takes as long as a comparison of this password with a hash of the configured parameters, and answers nothing:
    /// for identifiers that are unknown or have no password.
    ///
    /// # Errors
    /// As [`Hasher::verify`], so that an unknown identifier is refused in the same cases as a known one.
    pub async fn dummy(&self, password: &Secret<String>, lane: Lane) -> Result<(), HashError> {
        within(LONGEST_PASSWORD, password.reveal().len())?;
        let (prepared, typed) = spellings(password);
        let stored = Stored::never_matching(self.parameters);
        self.run(lane, stored.memory_kib(), move || {
            std::hint::black_box(stored.fits(prepared.reveal()));
            if let Some(typed) = typed {
                std::hint::black_box(stored.fits(typed.reveal()));
            }
        })
        .await
    }

    fn prepare_new(&self, password: &Secret<String>) -> Result<Secret<Vec<u8>>, HashError> {
        within(LONGEST_PASSWORD, password.reveal().len())?;
        let (prepared, _) = spellings(password);
        if matches!(self.parameters, HashParameters::Bcrypt { .. }) {
            within(bcrypt::LONGEST_PASSWORD, prepared.reveal().len())?;
        }
        Ok(prepared)
    }

    fn salt(&self) -> Vec<u8> {
        let length = match self.parameters {
            HashParameters::Argon2id(argon2) => argon2.salt_length as usize,
            HashParameters::Bcrypt { .. } => bcrypt::SALT,
        };
        let mut salt = vec![0; length];
        self.random.fill(&mut salt);
        salt
    }

    /// Runs `work` on a hash thread. When the caller has gone before its turn, the work is skipped.
    async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        memory_kib: u32,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let (answer, result) = oneshot::channel();
        let job = Box::new(move || {
            if !answer.is_closed() {
                let _ = answer.send(work());
            }
        });
        self.queue.push(lane, memory_kib, job).map_err(|refused| match refused {
            Refused::Full => HashError::Busy,
            Refused::Stopped => HashError::Stopped,
        })?;
        result.await.map_err(|_| HashError::Stopped)
    }
}

fn within(max: usize, actual: usize) -> Result<(), HashError> {
    if actual > max { Err(HashError::TooLong { max, actual }) } else { Ok(()) }
}

const fn memory_of(parameters: HashParameters) -> u32 {
    match parameters {
        HashParameters::Argon2id(argon2) => argon2.memory_kib,
        HashParameters::Bcrypt { .. } => bcrypt::MEMORY_KIB,
    }
}

fn make(parameters: HashParameters, password: &[u8], salt: &[u8]) -> String {
    match parameters {
        HashParameters::Argon2id(argon2) => argon2::make(argon2, password, salt),
        HashParameters::Bcrypt { cost } => bcrypt::make(cost, password, salt),
    }
}

/// The password as it is hashed (RFC 8265 section 4.2: other spaces become U+0020, then NFC), and as it was typed when
/// that differs: hashes made elsewhere may be of that.
fn spellings(password: &Secret<String>) -> (Secret<Vec<u8>>, Option<Secret<Vec<u8>>>) {
    let typed = password.reveal();
    if typed.is_ascii() || (is_nfc(typed) && !typed.contains(is_other_space)) {
        return (Secret::new(typed.clone().into_bytes()), None);
    }
    let spaced: Cow<'_, str> =
        if typed.contains(is_other_space) { typed.replace(is_other_space, " ").into() } else { typed.into() };
    let prepared: String = spaced.nfc().collect();
    if let Cow::Owned(mut text) = spaced {
        zeroize::Zeroize::zeroize(&mut text);
    }
    (Secret::new(prepared.into_bytes()), Some(Secret::new(typed.clone().into_bytes())))
}

/// Unicode's space separators (category Zs) except U+0020.
const fn is_other_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

#[cfg(test)]
mod foreign_tests;
#[cfg(test)]
mod tests;
