//! A clock that stands still and randomness that repeats: what makes a test's run the same every time.
//! A [`crate::Trial`] hands both to its server.
//! Neither is fit for anything but tests.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use keyward_model::{Clock, Random, Span, Time};

/// The instant at which every trial starts: 2027-01-15T08:00:00Z.
pub const START: Time = Time::from_unix(1_800_000_000);

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl Default for ManualClock {
    fn default() -> Self {
        Self(AtomicI64::new(START.micros()))
    }
}

impl ManualClock {
    /// Moves forward.
    pub fn advance(&self, span: Span) {
        self.0.fetch_add(span.micros(), Ordering::SeqCst);
    }

    /// Moves back, as the clock of a machine does that is corrected.
    pub fn set_back(&self, span: Span) {
        self.0.fetch_sub(span.micros(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// SplitMix64 over a counter: the same sequence for the same seed, and no block of it twice.
#[derive(Debug)]
pub struct SeededRandom(AtomicU64);

/// The increment of SplitMix64: odd, so that the counter visits every state.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl SeededRandom {
    /// Seeded by a text, such as the name of a test.
    pub fn new(seed: &str) -> Self {
        // FNV-1a, 64 bits.
        let hash = seed
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self(AtomicU64::new(hash))
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let mut state = self.0.fetch_add(GAMMA, Ordering::Relaxed);
            state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(state ^ (state >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_no_block_twice() {
        let draw = |seed| {
            let random = SeededRandom::new(seed);
            (0..1_000).map(|_| (&random as &dyn Random).bytes::<8>()).collect::<Vec<_>>()
        };
        let first = draw("a");
        assert_eq!(first, draw("a"));
        assert_ne!(first, draw("b"));
        assert_eq!(first.iter().collect::<std::collections::BTreeSet<_>>().len(), 1_000);
    }

    #[test]
    fn the_clock_moves_only_when_told() {
        let clock = ManualClock::default();
        assert_eq!(clock.now(), START);
        clock.advance(Span::minutes(5));
        assert_eq!(clock.now(), START + Span::minutes(5));
    }
}
