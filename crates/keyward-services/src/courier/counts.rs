//! What became of messages so far, counted by channel and result for the operator's metrics.
//! Queueing and the worker count; the admin port reads.
//! Knows no message and keeps nothing beyond this process.

use std::sync::atomic::{AtomicU64, Ordering};

use keyward_model::Via;

const CHANNELS: [Via; 2] = [Via::Email, Via::Sms];
const RESULTS: [&str; 4] = ["queued", "sent", "failed", "abandoned"];

/// The counts. A message counts as queued when it is put into a batch, also when that is refused afterwards; every failed
/// attempt counts, and the last one also as abandoned.
#[derive(Debug, Default)]
pub struct Counts([[AtomicU64; RESULTS.len()]; CHANNELS.len()]);

impl Counts {
    pub(super) fn queued(&self, via: Via) {
        self.count(via, 0);
    }

    pub(super) fn sent(&self, via: Via) {
        self.count(via, 1);
    }

    pub(super) fn failed(&self, via: Via) {
        self.count(via, 2);
    }

    pub(super) fn abandoned(&self, via: Via) {
        self.count(via, 3);
    }

    fn count(&self, via: Via, result: usize) {
        let channel = CHANNELS.iter().position(|known| *known == via);
        if let Some(count) = channel.and_then(|channel| self.0.get(channel)).and_then(|results| results.get(result)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Channel, result and count, zeros included.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        CHANNELS.iter().zip(&self.0).flat_map(|(via, results)| {
            RESULTS.iter().zip(results).map(|(result, count)| (via.as_str(), *result, count.load(Ordering::Relaxed)))
        })
    }
}
