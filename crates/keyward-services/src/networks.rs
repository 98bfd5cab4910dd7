//! Guesses by client network, counted in memory: one machine that tries many accounts slows itself down.
//! `attempts` asks before each attempt and hands back what turned out right, so that a busy office is not slowed.
//! Knows no accounts, forgets on restart, and says nothing about private addresses: behind a proxy that names nobody they are
//! everybody.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyward_model::{Span, Time};
use quick_cache::sync::Cache;

/// Networks that are remembered; the ones that were quiet longest are forgotten first.
const MOST: usize = 100_000;
/// A network earns one attempt back in this time.
const EARN: Span = Span::seconds(1);
/// The wide network around it (a /24, or a /48 of IPv6) may do four times as much.
const WIDE: i64 = 4;
/// So many accounts tried without success within [`MEMORY`] are a list of stolen passwords being tried.
const STUFFING: usize = 30;
const MEMORY: Span = Span::minutes(10);
/// Each attempt of such a network counts as ten.
const SLOWED: i64 = 10;

/// The counts of all networks.
pub struct Networks(Cache<Network, Arc<Mutex<Count>>>);

/// The leading bits of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Network {
    bits: u128,
    length: u8,
}

#[derive(Debug)]
struct Count {
    /// When everything that was tried so far is earned back (the generic cell rate algorithm's arrival time).
    earned_at: Time,
    /// Accounts tried without success since then.
    subjects: HashSet<[u8; 8]>,
    since: Time,
}

/// An attempt that was let through.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    networks: [Network; 2],
    costs: [Span; 2],
    subject: [u8; 8],
}

impl Default for Networks {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Networks {
    /// Counts an attempt on a subject from an address; `Ok(None)` for addresses that are not counted.
    ///
    /// # Errors
    /// How long the network has to wait.
    pub(crate) fn admit(&self, address: IpAddr, subject: &[u8; 32], burst: u32, now: Time) -> Result<Option<Admitted>, Span> {
        let address = address.to_canonical();
        if burst == 0 || is_private(address) {
            return Ok(None);
        }
        let subject = shorten(subject);
        let networks = around(address);
        let [near, far] = networks.map(|network| self.count(network, now));
        let (mut near, mut far) = (lock(&near), lock(&far));
        if now.since(near.since) > MEMORY {
            near.subjects.clear();
            near.since = now;
        }
        let slowed = near.subjects.len() >= STUFFING && !near.subjects.contains(&subject);
        let cost = if slowed { EARN.micros() * SLOWED } else { EARN.micros() };
        let costs = [cost, cost / WIDE].map(Span::from_micros);
        // At least one attempt, however dear, so that a small burst slows and never shuts out.
        let room = Span::from_micros((EARN.micros() * i64::from(burst)).max(cost));
        let after = [&near.earned_at, &far.earned_at].map(|earned_at| now.max(*earned_at));
        let after = [after[0] + costs[0], after[1] + costs[1]];
        let wait = after.iter().map(|after| after.since(now).micros() - room.micros()).max().unwrap_or(0);
        if wait > 0 {
            return Err(Span::from_micros(wait));
        }
        [near.earned_at, far.earned_at] = after;
        near.subjects.insert(subject);
        Ok(Some(Admitted { networks, costs, subject }))
    }

    /// The attempt was right, or could not be judged.
    pub(crate) fn give_back(&self, admitted: &Admitted, now: Time) {
        for (network, cost) in admitted.networks.iter().zip(admitted.costs) {
            let count = self.count(*network, now);
            let mut count = lock(&count);
            count.earned_at = Time::from_micros(count.earned_at.micros() - cost.micros());
            count.subjects.remove(&admitted.subject);
        }
    }

    fn count(&self, network: Network, now: Time) -> Arc<Mutex<Count>> {
        let fresh = || Arc::new(Mutex::new(Count { earned_at: now, subjects: HashSet::new(), since: now }));
        let made: Result<_, std::convert::Infallible> = self.0.get_or_insert_with(&network, || Ok(fresh()));
        match made {
            Ok(count) => count,
        }
    }
}

impl std::fmt::Debug for Networks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Networks").field("counted", &self.0.len()).finish()
    }
}

/// A count is consistent after each step, so a panic elsewhere does not spoil it.
fn lock(count: &Mutex<Count>) -> MutexGuard<'_, Count> {
    count.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Loopback, private and link-local addresses (RFC 1122, 1918, 3927, 4193, 4291).
const fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// The network of one subscriber, and the one around it.
fn around(address: IpAddr) -> [Network; 2] {
    let (bits, width, lengths) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32, [32, 24]),
        IpAddr::V6(v6) => (v6.to_bits(), 128, [64, 48]),
    };
    // IPv4 and IPv6 never meet: no length is used by both.
    lengths.map(|length| Network { bits: bits >> (width - length), length })
}

fn shorten(subject: &[u8; 32]) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&subject[..8]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix(1_767_225_600 + seconds)
    }

    fn subject(number: u8) -> [u8; 32] {
        [number; 32]
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_a_burst_and_earns_one_a_second() {
        let networks = Networks::default();
        let client = ip("198.51.100.7");
        for _ in 0..5 {
            assert!(networks.admit(client, &subject(1), 5, at(0)).unwrap().is_some());
        }
        assert_eq!(networks.admit(client, &subject(1), 5, at(0)).unwrap_err(), Span::seconds(1));
        assert!(networks.admit(client, &subject(1), 5, at(1)).is_ok());
        assert!(networks.admit(client, &subject(1), 5, at(1)).is_err());
        assert!(networks.admit(ip("198.51.100.8"), &subject(1), 5, at(1)).is_ok(), "the neighbour pays nothing");
    }

    #[test]
    fn what_was_right_costs_nothing() {
        let networks = Networks::default();
        for _ in 0..1_000 {
            let admitted = networks.admit(ip("2001:db8::1"), &subject(1), 5, at(0)).unwrap().unwrap();
            networks.give_back(&admitted, at(0));
        }
    }

    // cases: AC-72
    #[test]
    fn a_network_is_a_subscriber_and_its_surroundings_have_four_times_as_much() {
        let networks = Networks::default();
        let spent = |addresses: &dyn Fn(u32) -> String| {
            (0..1_000).take_while(|&number| networks.admit(ip(&addresses(number)), &subject(1), 5, at(0)).is_ok()).count()
        };
        assert_eq!(spent(&|number| format!("203.0.113.{}", number % 250)), 20, "a /24");
        assert_eq!(spent(&|number| format!("2001:db8:1:2::{number:x}")), 5, "a /64");
        assert_eq!(spent(&|number| format!("2001:db8:3:{number:x}::1")), 20, "a /48");
    }

    #[test]
    fn who_tries_many_accounts_is_slowed_tenfold() {
        let networks = Networks::default();
        let client = ip("192.0.2.9");
        for number in 0..30 {
            assert!(networks.admit(client, &subject(number), 100, at(0)).is_ok());
        }
        let more = (30..100).take_while(|&number| networks.admit(client, &subject(number), 100, at(0)).is_ok()).count();
        assert_eq!(more, 7, "70 are left, at ten each");
        assert!(networks.admit(client, &subject(99), 100, at(601)).is_ok());
    }

    #[test]
    fn private_addresses_and_a_burst_of_none_count_nothing() {
        let networks = Networks::default();
        for _ in 0..10 {
            for (address, burst) in [("127.0.0.1", 1), ("10.1.2.3", 1), ("::ffff:192.168.0.1", 1), ("198.51.100.1", 0)] {
                assert!(networks.admit(ip(address), &subject(1), burst, at(0)).unwrap().is_none(), "{address}");
            }
        }
    }
}
