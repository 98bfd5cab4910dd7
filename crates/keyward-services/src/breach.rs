//! Asks a range service how often a password appeared in known breaches, without ever telling it the password.
//! Every path on which people set a password themselves calls it after the policy and before hashing.
//! Does not know who sets the password; only five hexadecimal digits of its SHA-1 leave the server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use keyward_model::{Clock, Secret, Span, Time};
use reqwest::header::HeaderValue;
use sha1::{Digest, Sha1};
use url::Url;

use crate::outbound::{Outbound, OutboundError, OutboundRequest};

/// How breached passwords are judged.
#[derive(Debug, Clone)]
pub struct BreachRules {
    /// Host of the range service, as `host[:port]` (spoken to over https), or with `http://` or `https://` before it.
    pub host: String,
    /// How many appearances are tolerated.
    pub max_breaches: u64,
    /// Whether a password passes when the service cannot be asked.
    pub ignore_network_errors: bool,
}

/// What is known about a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreachVerdict {
    /// Not seen more often than tolerated.
    Acceptable,
    /// Seen this often, which is more than tolerated.
    Breached {
        /// The appearances that the service counts.
        breaches: u64,
    },
    /// The service could not be asked, and the rules say to go on.
    Unchecked,
}

/// Why a password could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum BreachError {
    /// The service could not be reached or did not answer in a second.
    #[error("the breach service cannot be reached")]
    Upstream(#[source] OutboundError),
    /// The service answered with another status than 200.
    #[error("the breach service answered with status {0}")]
    Status(u16),
    /// The answer does not hold what a range answer holds.
    #[error("the breach service's answer is unreadable")]
    Unreadable,
}

/// The configured host is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host of the breach service is not a valid host")]
pub struct BadBreachHost;

/// The longest a lookup may take.
const BUDGET: Span = Span::seconds(1);
/// How long an answer is good for.
const KEPT: Span = Span::hours(1);
/// An answer takes about 32 KiB.
const MOST_KEPT: usize = 128;

/// The first five hexadecimal digits of a SHA-1, upper case.
type Prefix = [u8; 5];
/// The other 35 digits.
type Suffix = [u8; 35];

/// The lookup with its memory of recent answers.
pub struct BreachLookup {
    base: Url,
    rules: BreachRules,
    outbound: Arc<Outbound>,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<Prefix, (Time, Arc<Range>)>>,
}

impl std::fmt::Debug for BreachLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BreachLookup").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl BreachLookup {
    /// A lookup at the configured service. A service at a private address must be allowed by the rules of `outbound`.
    ///
    /// # Errors
    /// When the host is not valid.
    pub fn new(rules: BreachRules, outbound: Arc<Outbound>, clock: Arc<dyn Clock>) -> Result<Self, BadBreachHost> {
        let base = base_url(&rules.host).ok_or(BadBreachHost)?;
        Ok(Self { base, rules, outbound, clock, kept: Mutex::default() })
    }

    /// Judges a password. Takes a second at most.
    ///
    /// # Errors
    /// When the service cannot be asked and the rules do not say to ignore that.
    pub async fn check(&self, password: &Secret<String>) -> Result<BreachVerdict, BreachError> {
        match self.breaches(password).await {
            Ok(breaches) if breaches > self.rules.max_breaches => Ok(BreachVerdict::Breached { breaches }),
            Ok(_) => Ok(BreachVerdict::Acceptable),
            Err(error) if self.rules.ignore_network_errors => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a password was accepted without the breach lookup");
                Ok(BreachVerdict::Unchecked)
            }
            Err(error) => Err(error),
        }
    }

    async fn breaches(&self, password: &Secret<String>) -> Result<u64, BreachError> {
        let (prefix, suffix) = digits(password.reveal());
        if let Some(range) = self.recall(prefix) {
            return Ok(range.breaches(&suffix).unwrap_or(0));
        }
        let range = self.ask(prefix).await?;
        match range.breaches(&suffix) {
            // A damaged answer may still say enough to refuse, never enough to accept.
            None if range.damaged => Err(BreachError::Unreadable),
            found => {
                if !range.damaged {
                    self.keep(prefix, range);
                }
                Ok(found.unwrap_or(0))
            }
        }
    }

    async fn ask(&self, prefix: Prefix) -> Result<Range, BreachError> {
        let mut url = self.base.clone();
        url.set_path(&format!("/range/{}", prefix.map(char::from).iter().collect::<String>()));
        let mut request = OutboundRequest::get(url);
        request.budget = BUDGET;
        // Fills the answer up with made-up lines, so that its length does not tell which range was asked for.
        request.headers.insert("add-padding", HeaderValue::from_static("true"));
        let answer = self.outbound.send(request).await.map_err(BreachError::Upstream)?;
        if answer.status != 200 {
            return Err(BreachError::Status(answer.status));
        }
        Ok(Range::parse(&answer.body))
    }

    fn recall(&self, prefix: Prefix) -> Option<Arc<Range>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, range) = kept.get(&prefix)?;
        (self.clock.now() < *until).then(|| Arc::clone(range))
    }

    fn keep(&self, prefix: Prefix, range: Range) {
        let now = self.clock.now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT && !kept.contains_key(&prefix) {
            kept.retain(|_, (until, _)| now < *until);
            if kept.len() >= MOST_KEPT
                && let Some(oldest) = kept.iter().min_by_key(|(_, (until, _))| *until).map(|(prefix, _)| *prefix)
            {
                kept.remove(&oldest);
            }
        }
        kept.insert(prefix, (now + KEPT, Arc::new(range)));
    }
}

/// The service's answer for one prefix.
struct Range {
    /// Sorted by suffix; lines that count nothing are left out.
    entries: Vec<(Suffix, u64)>,
    /// Something in it was not of the form `SUFFIX:COUNT`.
    damaged: bool,
}

impl Range {
    fn parse(body: &[u8]) -> Self {
        let mut entries = Vec::new();
        let mut damaged = false;
        for line in body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            match parse_line(line) {
                Some((_, 0)) => {}
                Some(entry) => entries.push(entry),
                None => damaged = true,
            }
        }
        entries.sort_unstable();
        Self { entries, damaged }
    }

    fn breaches(&self, suffix: &Suffix) -> Option<u64> {
        let found = self.entries.binary_search_by_key(suffix, |(suffix, _)| *suffix).ok()?;
        Some(self.entries[found].1)
    }
}

fn parse_line(line: &[u8]) -> Option<(Suffix, u64)> {
    let (suffix, rest) = line.split_first_chunk::<35>()?;
    let [b':', digits @ ..] = rest else { return None };
    let digits = digits.trim_ascii();
    if digits.is_empty() || !suffix.iter().all(u8::is_ascii_hexdigit) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits.iter().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some((suffix.to_ascii_uppercase().try_into().ok()?, count))
}

fn digits(password: &str) -> (Prefix, Suffix) {
    let digest = Sha1::digest(password);
    let digit = |position: usize| {
        let byte = digest[position / 2];
        b"0123456789ABCDEF"[usize::from(if position.is_multiple_of(2) { byte >> 4 } else { byte & 15 })]
    };
    (std::array::from_fn(digit), std::array::from_fn(|position| digit(position + 5)))
}

fn base_url(host: &str) -> Option<Url> {
    let has_scheme = host.starts_with("http://") || host.starts_with("https://");
    let url = Url::parse(&if has_scheme { host.to_owned() } else { format!("https://{host}") }).ok()?;
    let is_host_only = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    (is_host_only && url.username().is_empty() && url.password().is_none()).then_some(url)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::outbound::OutboundRules;
    use crate::outbound::tests::{answer, serve, write};

    #[derive(Default)]
    struct ManualClock(AtomicI64);

    impl Clock for ManualClock {
        fn now(&self) -> Time {
            Time::from_micros(self.0.load(Ordering::Relaxed))
        }
    }

    impl ManualClock {
        fn advance(&self, span: Span) {
            self.0.fetch_add(span.micros(), Ordering::Relaxed);
        }
    }

    // SHA-1 of "password".
    const PREFIX: &str = "5BAA6";
    const SUFFIX: &str = "1E4C9B93F3F0682250B6CF8331B7EE68FD8";
    const OTHER: &str = "0018A45C4D1DEF81644B54AB7F969B88D65";

    fn lookup(host: impl ToString, clock: &Arc<ManualClock>, change: impl FnOnce(&mut BreachRules)) -> BreachLookup {
        let mut rules = BreachRules { host: host.to_string(), max_breaches: 0, ignore_network_errors: false };
        change(&mut rules);
        let outbound = Outbound::new(OutboundRules { allow_private: true, ..OutboundRules::default() });
        BreachLookup::new(rules, Arc::new(outbound), Arc::clone(clock) as Arc<dyn Clock>).expect("a valid host")
    }

    async fn check(lookup: &BreachLookup, password: &str) -> Result<BreachVerdict, BreachError> {
        lookup.check(&Secret::new(password.to_owned())).await
    }

    #[test]
    fn the_digest_is_split_after_five_digits() {
        let (prefix, suffix) = digits("password");
        assert_eq!((&prefix[..], &suffix[..]), (PREFIX.as_bytes(), SUFFIX.as_bytes()));
    }

    #[tokio::test]
    async fn only_the_prefix_leaves_and_answers_are_kept_for_an_hour() {
        let body = format!("{OTHER}:3\r\n{SUFFIX}:12345\r\n{}:0", "0".repeat(35));
        let (address, mut heads) = serve(move |stream, _| write(stream, answer("200 OK", &body))).await;
        let clock = Arc::new(ManualClock::default());
        let lookup = lookup(format!("http://{address}"), &clock, |_| {});
        let breached = BreachVerdict::Breached { breaches: 12_345 };

        assert_eq!(check(&lookup, "password").await.ok(), Some(breached));
        let head = heads.recv().await.expect("asked").to_lowercase();
        assert!(head.starts_with("get /range/5baa6 http/1.1\r\n") && head.contains("add-padding: true\r\n"), "{head}");
        assert!(!head.contains("1e4c9"), "{head}");

        clock.advance(Span::from_micros(Span::hours(1).micros() - 1));
        assert_eq!(check(&lookup, "password").await.ok(), Some(breached));
        assert!(heads.try_recv().is_err(), "answered from memory");
        clock.advance(Span::from_micros(1));
        assert_eq!(check(&lookup, "password").await.ok(), Some(breached));
        assert!(heads.try_recv().is_ok(), "asked again");
        assert_eq!(check(&lookup, "another password").await.ok(), Some(BreachVerdict::Acceptable));
        assert!(heads.try_recv().is_ok(), "another prefix is another question");
    }

    #[tokio::test]
    async fn counts_are_compared_with_what_is_tolerated() {
        for (count, max, expected) in [
            ("0", 0, BreachVerdict::Acceptable),
            ("1", 0, BreachVerdict::Breached { breaches: 1 }),
            ("5", 5, BreachVerdict::Acceptable),
            ("6", 5, BreachVerdict::Breached { breaches: 6 }),
            ("0000000000000000000000000007", 5, BreachVerdict::Breached { breaches: 7 }),
            ("99999999999999999999999999", 5, BreachVerdict::Breached { breaches: u64::MAX }),
        ] {
            let body = format!("{}:{count}", SUFFIX.to_lowercase());
            let (address, _heads) = serve(move |stream, _| write(stream, answer("200 OK", &body))).await;
            let lookup = lookup(format!("http://{address}"), &Arc::default(), |rules| rules.max_breaches = max);
            assert_eq!(check(&lookup, "password").await.ok(), Some(expected), "{count} {max}");
        }
    }

    #[tokio::test]
    async fn damaged_answers_refuse_but_never_accept() {
        let html = "<html><body>Sign in to this network</body></html>".to_owned();
        for (body, expected) in [
            (String::new(), Some(BreachVerdict::Acceptable)),
            ("\r\n\r\n".into(), Some(BreachVerdict::Acceptable)),
            (format!("{OTHER}:1\n"), Some(BreachVerdict::Acceptable)),
            (html.clone(), None),
            (format!("{OTHER}:1\r\n{}", &SUFFIX[..20]), None),
            (SUFFIX.to_owned(), None),
            (format!("{SUFFIX}:"), None),
            (format!("{SUFFIX}:-1"), None),
            (format!("{SUFFIX}:many"), None),
            (format!("{SUFFIX};5"), None),
            (format!("{SUFFIX}0:5"), None),
            (format!("{SUFFIX}:5\r\n{html}"), Some(BreachVerdict::Breached { breaches: 5 })),
            (format!("\u{fffd}\0\r\n{SUFFIX}:5"), Some(BreachVerdict::Breached { breaches: 5 })),
        ] {
            let sent = body.clone();
            let (address, mut heads) = serve(move |stream, _| write(stream, answer("200 OK", &sent))).await;
            let lookup = lookup(format!("http://{address}"), &Arc::default(), |_| {});
            for _ in 0..2 {
                match (check(&lookup, "password").await, expected) {
                    (Ok(verdict), Some(expected)) => assert_eq!(verdict, expected, "{body}"),
                    (Err(BreachError::Unreadable), None) => {}
                    (other, _) => panic!("{body}: {other:?}"),
                }
            }
            let is_damaged = expected.is_none() || body.contains('\u{fffd}') || body.contains("html");
            heads.recv().await.expect("asked once");
            assert_eq!(heads.try_recv().is_ok(), is_damaged, "only whole answers are kept: {body}");
        }
    }

    #[tokio::test]
    async fn an_unreachable_service_counts_as_the_rules_say() {
        let (closing, _heads) = serve(|stream, _| async move { drop(stream) }).await;
        let (busy, _heads) = serve(|stream, _| write(stream, answer("503 Service Unavailable", ""))).await;
        let (moved, _heads) = serve(|stream, _| write(stream, answer("302 Found\r\nlocation: /", ""))).await;
        let (cut, _heads) = serve(|stream, _| {
            write(stream, format!("HTTP/1.1 200 OK\r\ncontent-length: 9000\r\nconnection: close\r\n\r\n{OTHER}:1\r\n"))
        })
        .await;
        for address in [closing, busy, moved, cut] {
            let strict = lookup(format!("http://{address}"), &Arc::default(), |_| {});
            assert!(check(&strict, "password").await.is_err(), "{address}");
            let lenient = lookup(format!("http://{address}"), &Arc::default(), |rules| rules.ignore_network_errors = true);
            assert_eq!(check(&lenient, "password").await.ok(), Some(BreachVerdict::Unchecked), "{address}");
        }
    }

    #[tokio::test]
    async fn a_private_service_must_be_allowed() {
        let rules = BreachRules { host: "http://127.0.0.1:9".into(), max_breaches: 0, ignore_network_errors: false };
        let lookup = BreachLookup::new(rules, Arc::default(), Arc::new(ManualClock::default())).expect("a valid host");
        assert!(matches!(check(&lookup, "password").await, Err(BreachError::Upstream(OutboundError::PrivateAddress))));
    }

    #[test]
    fn the_memory_is_bounded() {
        let clock = Arc::new(ManualClock::default());
        let lookup = lookup("http://127.0.0.1:9", &clock, |_| {});
        let prefix = |number: usize| -> Prefix { format!("{number:05X}").into_bytes().try_into().expect("five digits") };
        for number in 0..3 * MOST_KEPT {
            clock.advance(Span::seconds(1));
            lookup.keep(prefix(number), Range::parse(b""));
        }
        assert_eq!(lookup.kept.lock().expect("whole").len(), MOST_KEPT);
        assert!(lookup.recall(prefix(3 * MOST_KEPT - 1)).is_some());
        assert!(lookup.recall(prefix(2 * MOST_KEPT)).is_some());
        assert!(lookup.recall(prefix(2 * MOST_KEPT - 1)).is_none());
        clock.advance(Span::hours(2));
        lookup.keep(prefix(0), Range::parse(b""));
        assert_eq!(lookup.kept.lock().expect("whole").len(), 1);
    }

    #[test]
    fn hosts() {
        for (host, expected) in [
            ("api.pwnedpasswords.com", Some("https://api.pwnedpasswords.com/")),
            ("range.internal:8443", Some("https://range.internal:8443/")),
            ("http://127.0.0.1:4000", Some("http://127.0.0.1:4000/")),
            ("https://range.internal/", Some("https://range.internal/")),
            ("", None),
            ("range.internal/path", None),
            ("range.internal?x", None),
            ("user@range.internal", None),
            ("a b", None),
        ] {
            assert_eq!(base_url(host).as_ref().map(Url::as_str), expected, "{host}");
        }
    }
}
