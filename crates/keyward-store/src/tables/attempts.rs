//! Attempts to prove something: reserved before each check, so that parallel guesses cannot outrun the count.
//! `services::attempts` reserves and releases them on every path, for known and unknown accounts alike.
//! Knows neither identities nor authenticators: a subject is 32 bytes.

use keyward_model::{Span, Time};

use crate::sql::declare;
use crate::{Batch, Expect, FromRow, Row, Store, StoreError, params};

declare! { "attempts";
    // $4 failures in a row are free; then the wait starts at $5, doubles with each and ends at $6; at $7 nothing helps any more.
    RESERVE = "INSERT INTO attempts (subject, lane, updated_at, failures, blocked_until) \
        VALUES ($1, $2, $3, 1, CASE WHEN CAST($4 AS BIGINT) > 1 THEN 0 ELSE CAST($3 AS BIGINT) + CAST($5 AS BIGINT) END) \
        ON CONFLICT (subject, lane) DO UPDATE SET failures = attempts.failures + 1, updated_at = excluded.updated_at, \
        blocked_until = CASE WHEN attempts.failures + 1 < CAST($4 AS BIGINT) THEN 0 \
        WHEN attempts.failures + 1 - CAST($4 AS BIGINT) > 16 \
        OR CAST($5 AS BIGINT) * (1 << CAST(attempts.failures + 1 - CAST($4 AS BIGINT) AS INTEGER)) > CAST($6 AS BIGINT) \
        THEN excluded.updated_at + CAST($6 AS BIGINT) \
        ELSE excluded.updated_at + CAST($5 AS BIGINT) * (1 << CAST(attempts.failures + 1 - CAST($4 AS BIGINT) AS INTEGER)) END \
        WHERE attempts.blocked_until <= excluded.updated_at AND attempts.failures < $7 RETURNING failures";
    FIND = "SELECT failures, blocked_until FROM attempts WHERE subject = $1 AND lane = $2";
    OF_SUBJECT = "SELECT failures, blocked_until, lane FROM attempts WHERE subject = $1 AND failures > 0 ORDER BY lane";
    // Whoever could reserve was not blocked, and with one failure less it would not be blocked now either.
    GIVE_BACK = "UPDATE attempts SET failures = failures - 1, blocked_until = 0 \
        WHERE subject = $1 AND lane = $2 AND failures > 0";
    RELEASE = "DELETE FROM attempts WHERE subject = $1 AND lane = $2";
    FORGET = "DELETE FROM attempts WHERE subject = $1";
}

/// How often a subject failed in a row in one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failures {
    /// In a row, the attempts under way included.
    pub count: i64,
    /// No further attempt before this.
    pub blocked_until: Time,
}

impl FromRow for Failures {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self { count: row.get(0)?, blocked_until: row.get(1)? })
    }
}

/// How many failures in a row are let pass, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimits {
    /// Failures in a row before the first wait; at least 1.
    pub free: i64,
    /// The first wait; each further one is twice as long.
    pub first_wait: Span,
    /// No wait is longer than this.
    pub longest_wait: Span,
    /// At this many failures in a row no attempt is let through any more.
    pub hard_stop: i64,
}

/// The failures of one lane of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneFailures {
    /// The lane as it was reserved.
    pub lane: Vec<u8>,
    /// What happened in it.
    pub failures: Failures,
}

impl FromRow for LaneFailures {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self { failures: Failures::from_row(row)?, lane: row.get(2)? })
    }
}

impl Store {
    /// Counts an attempt before it is made, in one guarded statement: `None` when the subject has to wait, or failed
    /// as often as is let pass at all. Gives the count with this attempt.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn reserve_attempt(
        &self,
        subject: &[u8; 32],
        lane: &[u8],
        now: Time,
        limits: AttemptLimits,
    ) -> Result<Option<i64>, StoreError> {
        let AttemptLimits { free, first_wait, longest_wait, hard_stop } = limits;
        let (first, longest) = (first_wait.micros(), longest_wait.micros());
        Ok(self.returning::<i64>(&RESERVE, params![subject, lane, now, free, first, longest, hard_stop]).await?.first().copied())
    }

    /// What is on record; `None` when the last attempt was right.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_failures(&self, subject: &[u8; 32], lane: &[u8]) -> Result<Option<Failures>, StoreError> {
        self.one(&FIND, params![subject, lane]).await
    }

    /// What is on record in every lane of a subject.
    ///
    /// # Errors
    /// As [`Store::few`].
    pub async fn list_failures(&self, subject: &[u8; 32]) -> Result<Vec<LaneFailures>, StoreError> {
        self.few(&OF_SUBJECT, params![subject]).await
    }
}

impl Batch {
    /// Takes a reserved attempt back that was never judged: the server was at fault, not the person.
    pub fn give_back_attempt(&mut self, subject: &[u8; 32], lane: &[u8]) {
        self.push(&GIVE_BACK, params![subject, lane], Expect::Any);
    }

    /// Forgets the failures of a lane: the attempt was right.
    pub fn release_attempts(&mut self, subject: &[u8; 32], lane: &[u8]) {
        self.push(&RELEASE, params![subject, lane], Expect::Any);
    }

    /// Forgets the failures of every lane: an operator unlocks the subject.
    pub fn forget_attempts(&mut self, subject: &[u8; 32]) {
        self.push(&FORGET, params![subject], Expect::Any);
    }
}
