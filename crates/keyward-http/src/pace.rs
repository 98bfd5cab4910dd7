//! Answers that must not tell by their time what was found: they are given in steps of time, counted from the request.
//! The doors of recovery and verification lead their submits through [`evenly`].
//! Knows nothing of what is done meanwhile.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// Longer than the work for an address that has an account, and for one that has none.
const STEP: Duration = Duration::from_millis(20);

/// Does the work, and waits for the end of the step in which it ended.
pub(crate) async fn evenly<T>(work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = work.await;
    tokio::time::sleep_until(begun + end_of_step(begun.elapsed())).await;
    done
}

/// When the step ends in which something ended that took so long.
fn end_of_step(taken: Duration) -> Duration {
    let steps = taken.as_nanos() / STEP.as_nanos() + 1;
    STEP * u32::try_from(steps).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_different_length_ends_at_the_same_time() {
        for (taken, end) in [(0, 20), (1, 20), (19, 20), (20, 40), (25, 40), (100, 120)] {
            assert_eq!(end_of_step(Duration::from_millis(taken)), Duration::from_millis(end));
        }
    }
}
