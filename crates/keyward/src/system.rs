//! The clock and the generator of the operating system: the only place in Keyward that reads either.
//! `serve` hands them to the services; tests hand in their own.
//! Knows nothing of what they are used for.

use keyward_model::{Clock, Random, Time};

/// The system clock, in microseconds.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system clock")]
    fn now(&self) -> Time {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Time::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The operating system's generator.
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the operating system for randomness")]
    fn fill(&self, buffer: &mut [u8]) {
        // Weak randomness would be worse than no server: every token and key depends on it.
        if getrandom::fill(buffer).is_err() {
            eprintln!("keyward: the operating system gives no randomness");
            std::process::abort();
        }
    }
}
