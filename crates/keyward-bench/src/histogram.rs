//! Counts how long operations took, in buckets that grow with the value.
//! Each thread of the load generator fills one and the generator merges them at the end of a round.
//! It knows nothing of what is timed.

use std::time::Duration;

/// Buckets per doubling; a percentile is at most one part in this many too high.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Values below `STEPS` have a bucket each, all larger ones share `STEPS` per doubling.
const BUCKETS: usize = ((64 - STEP_BITS + 1) as usize) << STEP_BITS;

/// A histogram of durations with nanosecond input and a relative error below 1/64.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, longest: 0 }
    }

    /// Adds one duration; more than 584 years count as that.
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.longest = self.longest.max(nanos);
    }

    /// Adds everything the other one holds.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    /// How many durations were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// The shortest duration, rounded up to its bucket, that at least this share (0 to 1) of all do not exceed.
    /// Zero when there are none.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        // A count that needs more than 53 bits is out of reach of a run.
        let wanted = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper_bound(index).min(self.longest));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    // The highest bit says which doubling, the bits right below it which step.
    let doubling = nanos.ilog2() - STEP_BITS;
    let step = (nanos >> doubling) - STEPS;
    ((u64::from(doubling + 1) << STEP_BITS) + step) as usize
}

/// The largest value that falls into the bucket.
fn upper_bound(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS {
        return index;
    }
    let doubling = (index >> STEP_BITS) - 1;
    let first = (STEPS + (index & (STEPS - 1))) << doubling;
    first + ((1 << doubling) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for value in (0..4_000).chain((0..63).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1])).chain([u64::MAX]) {
            let index = bucket(value);
            let top = upper_bound(index);
            assert!(value <= top, "{value} is above {top}");
            assert!(index == 0 || value > upper_bound(index - 1), "{value} belongs into an earlier bucket");
            assert!(top - value <= value / STEPS, "{value} is reported as {top}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let mut histogram = Histogram::new();
        let mut values: Vec<u64> = (1..=1_000).map(|n| n * n * 17 % 1_000_003).collect();
        for value in &values {
            histogram.record(Duration::from_nanos(*value));
        }
        values.sort_unstable();
        for (share, index) in [(0.0, 0), (0.5, 499), (0.9, 899), (0.99, 989), (0.999, 998), (1.0, 999)] {
            let exact = values[index];
            let told = histogram.quantile(share).as_nanos() as u64;
            assert!(told >= exact && told - exact <= exact / STEPS, "{share}: {told} for {exact}");
        }
    }

    #[test]
    fn merging_is_recording_both() {
        let (mut left, mut right, mut both) = (Histogram::new(), Histogram::new(), Histogram::new());
        for n in 0..500u64 {
            let duration = Duration::from_micros(n * 7);
            if n % 3 == 0 { &mut left } else { &mut right }.record(duration);
            both.record(duration);
        }
        left.merge(&right);
        assert_eq!(left.count(), 500);
        for share in [0.1, 0.5, 0.99, 1.0] {
            assert_eq!(left.quantile(share), both.quantile(share));
        }
    }

    #[test]
    fn nothing_takes_no_time() {
        assert_eq!(Histogram::new().quantile(0.99), Duration::ZERO);
    }
}
