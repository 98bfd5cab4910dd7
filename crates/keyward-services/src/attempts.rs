//! The brute-force shield: every attempt to prove something is counted before it is made (decisions 5.6).
//! Methods reserve before they compare; stories release in the commit of a success.
//! Stores keyed hashes only: the table tells neither accounts nor identifiers.

use std::net::{IpAddr, SocketAddr};

use keyward_model::{IdentityId, Problem, Span, Time};
use keyward_store::{AttemptLimits, Batch};
use serde_json::{Value, json};

use crate::audit::Client;
use crate::keys::KeyUse;
use crate::networks::Admitted;
use crate::{App, storage_problem};

/// The authenticators whose attempts are counted, in the wire's words. Keys that sign in after a name are counted apart from those
/// that are shown inside a session, so that outsiders keep nobody from their second step.
pub const AUTHENTICATORS: [&str; 7] =
    ["password", "code", "totp", "passkey", "webauthn", "webauthn_passwordless", "lookup_secret"];

/// Codes that were sent: to sign in, up, or to get back in, and to confirm an address. The latter count under the address.
const SENT: [&str; 2] = ["code", "verification"];

/// Messages to an address count like guesses, under the address and with limits of their own.
pub(crate) const MESSAGE: &str = "message";

/// Messages that a person's own sign-up, sign-in or change causes. They count apart: only addresses with an account get them, so
/// the other count would tell who has one.
pub(crate) const NOTICE: &str = "notice";

/// A few messages in a row are sent at once; then the wait doubles from five minutes to an hour. A right code forgets them.
const MESSAGES: AttemptLimits =
    AttemptLimits { free: 5, first_wait: Span::minutes(5), longest_wait: Span::hours(1), hard_stop: i64::MAX };

/// Whose attempts are counted.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// An account.
    Identity(IdentityId),
    /// A typed identifier that no account has, or an address whoever has it, in canonical form.
    Unknown(&'a str),
}

/// Who attempts: a browser that once signed in as this identity has a lane of its own, so that outsiders cannot lock its
/// owner out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Everybody.
    Public,
    /// The browser with this device id.
    Device([u8; 16]),
}

/// An attempt that was counted before it is made.
#[derive(Clone, Debug)]
#[must_use = "an attempt that is not released counts as wrong"]
pub struct Reserved {
    /// The subject and the lane; `None` where the operator switched the counting off.
    row: Option<([u8; 32], Vec<u8>)>,
    network: Option<Admitted>,
}

/// Counts an attempt with `authenticator` (one of [`AUTHENTICATORS`], or what else is counted: codes of a
/// verification, [`MESSAGE`] and [`NOTICE`]) before it is made.
///
/// # Errors
/// [`Problem::TooManyAttempts`] while the subject or the client's network has to wait; otherwise when the database does not
/// answer.
pub async fn reserve(
    app: &App,
    subject: Subject<'_>,
    authenticator: &str,
    lane: &Lane,
    client: &Client,
    now: Time,
) -> Result<Reserved, Problem> {
    let rules = &app.config.attempts;
    if !rules.enabled {
        return Ok(Reserved::UNCOUNTED);
    }
    let subject = key(app, subject, authenticator);
    let network = match address(client) {
        Some(address) => {
            app.networks.admit(address, &subject, rules.network_burst, now).map_err(|wait| told(wait.as_seconds()))?
        }
        None => None,
    };
    let limits = if matches!(authenticator, MESSAGE | NOTICE) {
        MESSAGES
    } else {
        AttemptLimits {
            free: rules.free,
            first_wait: rules.first_wait,
            longest_wait: rules.longest_wait,
            // Guesses at codes are bounded by their flows and by the messages to an address: no outsider ends them for good.
            hard_stop: if SENT.contains(&authenticator) { i64::MAX } else { rules.hard_stop },
        }
    };
    let lane = lane.bytes();
    let counted = app.store.reserve_attempt(&subject, &lane, now, limits).await.map_err(storage_problem)?;
    if counted.is_some() {
        return Ok(Reserved { row: Some((subject, lane)), network });
    }
    let failures = app.store.find_failures(&subject, &lane).await.map_err(storage_problem)?;
    Err(told(failures.map_or(0, |failures| {
        if failures.count >= limits.hard_stop {
            // Waiting does not help before the row is purged; the person has to find another way, or an operator.
            limits.longest_wait.as_seconds()
        } else {
            failures.blocked_until.since(now).as_seconds()
        }
    })))
}

/// A wait in whole seconds, rounded up.
fn told(seconds: i64) -> Problem {
    Problem::TooManyAttempts { retry_after: u32::try_from(seconds + 1).unwrap_or(1) }
}

impl Reserved {
    /// What proves somebody without anything that could be guessed here.
    pub const UNCOUNTED: Self = Self { row: None, network: None };

    /// The attempt was right: forgets the failures of its lane, in the commit of the success.
    pub fn release(&self, batch: &mut Batch) {
        if let Some((subject, lane)) = &self.row {
            batch.release_attempts(subject, lane);
        }
    }

    /// After the commit of the success: the client's network earns its attempt back.
    pub fn refund(&self, app: &App) {
        if let Some(network) = &self.network {
            app.networks.give_back(network, app.now());
        }
    }

    /// The attempt was never judged, or right in vain: the server was at fault, or another request was faster. Only this one
    /// is forgotten, so that nobody wipes out failures by provoking errors. A database that does not answer here either
    /// leaves it counted.
    pub async fn give_back(self, app: &App) {
        self.refund(app);
        if let Some((subject, lane)) = &self.row {
            let mut batch = Batch::new();
            batch.give_back_attempt(subject, lane);
            if let Err(error) = app.store.commit(batch).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "an attempt could not be given back");
            }
        }
    }
}

/// Gives several back, as [`Reserved::give_back`] does one.
pub async fn give_back_all(app: &App, all: Vec<Reserved>) {
    for reserved in all {
        reserved.give_back(app).await;
    }
}

/// Forgets the messages that went to an address: the person there has read them.
pub(crate) fn forget_messages(app: &App, address: &str, batch: &mut Batch) {
    for counted in [MESSAGE, NOTICE] {
        batch.forget_attempts(&key(app, Subject::Unknown(address), counted));
    }
}

/// What is on record against an identity, for operators: a list of objects with `authenticator`, `lane` (`public`, or `device`
/// for a browser that it signed in with before), `failures`, `blocked_until` (or null).
///
/// # Errors
/// When the database does not answer.
pub async fn on_record(app: &App, identity: IdentityId) -> Result<Value, Problem> {
    let mut found = Vec::new();
    for authenticator in AUTHENTICATORS {
        let lanes =
            app.store.list_failures(&key(app, Subject::Identity(identity), authenticator)).await.map_err(storage_problem)?;
        found.extend(lanes.into_iter().map(|lane| {
            let blocked_until = lane.failures.blocked_until;
            json!({
                "authenticator": authenticator,
                "lane": if lane.lane.is_empty() { "public" } else { "device" },
                "failures": lane.failures.count,
                "blocked_until": (blocked_until > Time::from_micros(0)).then_some(blocked_until),
            })
        }));
    }
    Ok(Value::Array(found))
}

/// Forgets what is on record against an identity, for every authenticator and in every lane.
pub fn unlock(app: &App, identity: IdentityId, batch: &mut Batch) {
    for authenticator in AUTHENTICATORS {
        batch.forget_attempts(&key(app, Subject::Identity(identity), authenticator));
    }
}

fn address(client: &Client) -> Option<IpAddr> {
    let text = client.address.as_deref()?;
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|peer| peer.ip()))
}

impl Lane {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Public => Vec::new(),
            Self::Device(id) => id.to_vec(),
        }
    }
}

fn key(app: &App, subject: Subject<'_>, authenticator: &str) -> [u8; 32] {
    let parts: [&[u8]; 3] = match &subject {
        Subject::Identity(id) => [b"identity", id.0.as_bytes(), authenticator.as_bytes()],
        Subject::Unknown(identifier) => [b"identifier", identifier.as_bytes(), authenticator.as_bytes()],
    };
    app.keys.sign(KeyUse::AttemptSubject, &parts)
}
