//! Where time and randomness come from: two small traits, so that tests own both.
//! The binary passes the system's clock and generator, tests pass a manual clock and a seeded generator.
//! Knows nothing of what the values are used for.

use uuid::Uuid;

use crate::Time;

/// Tells the time. Implementations truncate to microseconds.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Time;
}

/// Fills buffers with unpredictable bytes.
pub trait Random: Send + Sync + 'static {
    /// Overwrites `buffer` completely. Implementations abort the process rather than return weak bytes.
    fn fill(&self, buffer: &mut [u8]);
}

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl dyn Random {
    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut buffer = [0; N];
        self.fill(&mut buffer);
        buffer
    }

    /// A random UUID version 4 (RFC 9562 section 5.4), as any of the id types.
    pub fn id<T: From<Uuid>>(&self) -> T {
        T::from(uuid::Builder::from_random_bytes(self.bytes()).into_uuid())
    }

    /// A UUID version 7 (RFC 9562 section 5.7): sorts by time, for rows that are only appended.
    pub fn ordered_id<T: From<Uuid>>(&self, now: Time) -> T {
        let millis = u64::try_from(now.micros() / 1_000).unwrap_or(0);
        T::from(uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid())
    }

    /// `length` characters of `[A-Za-z0-9]`, each equally likely (5.95 bits a character).
    pub fn alphanumeric(&self, length: usize) -> String {
        self.letters(ALPHANUMERIC, length)
    }

    /// `length` characters of an ASCII alphabet of at most 256, each equally likely.
    pub fn letters(&self, alphabet: &[u8], length: usize) -> String {
        // What lies above the largest multiple of the alphabet's size in a byte would favour the first letters.
        let limit = 256 - 256 % alphabet.len();
        let mut text = String::with_capacity(length);
        let mut buffer = [0; 64];
        while text.len() < length {
            self.fill(&mut buffer);
            let drawn = buffer.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < limit);
            text.extend(drawn.take(length - text.len()).map(|byte| char::from(alphabet[byte % alphabet.len()])));
        }
        text
    }
}
