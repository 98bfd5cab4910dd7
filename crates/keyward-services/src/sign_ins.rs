//! How sign-ins ended so far, counted by method and result for the operator's metrics.
//! The audit log counts each event that it is given; the admin port reads.
//! Knows no person and keeps nothing beyond this process.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::audit::EventKind;

/// Methods that are counted by their own name; the last one takes the rest.
const METHODS: [&str; 8] = ["password", "code", "totp", "lookup_secret", "webauthn", "passkey", "oidc", "other"];
const RESULTS: [&str; 4] = ["succeeded", "refreshed", "refused", "throttled"];

/// The counts. They are made when an event is put into a batch: a submit that had to be decided again, because another change
/// came first, counts each time, and so does one whose commit fails.
#[derive(Debug, Default)]
pub struct SignIns([[AtomicU64; RESULTS.len()]; METHODS.len()]);

impl SignIns {
    pub(crate) fn count(&self, kind: EventKind, method: Option<&str>) {
        let result = match kind {
            EventKind::LoginSucceeded | EventKind::AalUpgraded => 0,
            EventKind::RefreshSucceeded => 1,
            EventKind::LoginFailed => 2,
            EventKind::ThrottleEngaged => 3,
            _ => return,
        };
        let position = METHODS.iter().position(|known| Some(*known) == method).unwrap_or(METHODS.len() - 1);
        if let Some(count) = self.0.get(position).and_then(|results| results.get(result)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Method, result and count, zeros included.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        METHODS.iter().zip(&self.0).flat_map(|(method, results)| {
            RESULTS.iter().zip(results).map(|(result, count)| (*method, *result, count.load(Ordering::Relaxed)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_count_by_method_and_result() {
        let sign_ins = SignIns::default();
        sign_ins.count(EventKind::LoginSucceeded, Some("password"));
        sign_ins.count(EventKind::LoginFailed, Some("password"));
        sign_ins.count(EventKind::LoginFailed, None);
        sign_ins.count(EventKind::RefreshSucceeded, Some("totp"));
        sign_ins.count(EventKind::ThrottleEngaged, Some("password"));
        sign_ins.count(EventKind::LoggedOut, Some("password"));
        let counted: Vec<_> = sign_ins.counts().filter(|(.., count)| *count > 0).collect();
        assert_eq!(
            counted,
            [
                ("password", "succeeded", 1),
                ("password", "refused", 1),
                ("password", "throttled", 1),
                ("totp", "refreshed", 1),
                ("other", "refused", 1)
            ]
        );
    }
}
