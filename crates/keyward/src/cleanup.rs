//! Deleting what is over: in the background of a server, and by hand with `keyward cleanup sql`.
//! Every node does it for itself; rows that another node took first are no harm.
//! Knows how long rows stay, and leaves to the store how they are found.

use std::time::Duration;

use keyward_config::Cleanup;
use keyward_http::AppState;
use keyward_model::{Clock as _, Random, Span, Time};
use keyward_store::{Stale, Store, StoreError};

use crate::system::SystemClock;
use crate::{Failure, block_on, cli, migrate, serve};

/// Long enough to find out what became of a mail, short enough that a stolen database tells little.
const MESSAGES_STAY: Span = Span::hours(7 * 24);
/// Stored errors are for a page that is read at once.
const ERRORS_STAY: Span = Span::hours(7 * 24);
/// After so long without another attempt, wrong ones are forgotten.
const ATTEMPTS_STAY: Span = Span::hours(30 * 24);
/// Statements for each table and round, so that a round ends even on a database that was never cleaned.
const STATEMENTS: usize = 100;
/// Between two statements, so that requests come first.
const PAUSE: Duration = Duration::from_millis(20);
/// However short the configured time is.
const SHORTEST_SLEEP: Span = Span::seconds(1);

/// Cleans for as long as the future is polled.
pub(crate) async fn in_background(state: AppState) {
    loop {
        let app = state.load_full();
        tokio::time::sleep(jittered(app.config.cleanup.sleep, app.random())).await;
        // The configuration may be another one by now.
        let app = state.load_full();
        let rules = app.config.cleanup;
        if rules.enabled {
            round(&app.store, &rules, app.now()).await;
        }
    }
}

/// Between a half and one and a half times as long, so that nodes started together do not work together.
fn jittered(sleep: Span, random: &dyn Random) -> Duration {
    let share = u32::from(u16::from_le_bytes(random.bytes::<2>()));
    let sleep = sleep.max(SHORTEST_SLEEP).to_std();
    sleep / 2 + sleep.checked_mul(share).unwrap_or(Duration::MAX) / u32::from(u16::MAX)
}

/// The instant before which rows are deleted; `None` keeps all.
fn cutoff(what: Stale, rules: &Cleanup, now: Time) -> Option<Time> {
    let stay = match what {
        Stale::Sessions | Stale::Containers | Stale::Grants | Stale::TokenExchanges | Stale::Codes | Stale::Flows => {
            rules.older_than
        }
        Stale::Errors => ERRORS_STAY.max(rules.older_than),
        Stale::Attempts => ATTEMPTS_STAY,
        Stale::Messages => MESSAGES_STAY.max(rules.older_than),
        Stale::AuditEvents => rules.audit_retention?,
    };
    Some(now - stay)
}

async fn round(store: &Store, rules: &Cleanup, now: Time) {
    for what in Stale::ALL {
        match clean(store, what, rules, now, STATEMENTS).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(table = what.table(), rows, "cleaned"),
            Err(error) => return tracing::warn!(table = what.table(), %error, "cleaning failed; the next round tries again"),
        }
    }
}

/// Deletes batch by batch until nothing is left to delete, or so many statements ran.
async fn clean(store: &Store, what: Stale, rules: &Cleanup, now: Time, statements: usize) -> Result<u64, StoreError> {
    let Some(before) = cutoff(what, rules, now) else { return Ok(0) };
    let mut rows = 0;
    for _ in 0..statements {
        let taken = store.purge(what, before, rules.batch_size).await?;
        rows += taken;
        if taken < u64::from(rules.batch_size) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(rows)
}

/// `keyward cleanup sql`.
pub(crate) fn run(arguments: &cli::CleanupSql) -> Result<(), Failure> {
    let span = |name: &str, text: &str| {
        Span::parse(text).ok_or_else(|| Failure::say(format!("{name} is no duration such as 30s, 15m or 24h: {text}")))
    };
    let older_than = span("--keep-last", &arguments.keep_last)?;
    let between_tables = span("--database.cleanup.sleep.tables", &arguments.sleep)?.to_std();
    let configured = if arguments.config.files.is_empty() {
        None
    } else {
        Some(serve::load(&serve::read(&arguments.config)?, &std::collections::BTreeMap::new(), false)?.config)
    };
    let dsn = match (&arguments.dsn, &configured) {
        (Some(dsn), _) => dsn.clone(),
        (None, Some(config)) => config.dsn.reveal().clone(),
        (None, None) => migrate::dsn_from_environment()?,
    };
    let audit_retention = match &configured {
        Some(config) => config.cleanup.audit_retention,
        None => Some(Cleanup::AUDIT_RETENTION),
    };
    let rules = Cleanup { enabled: true, batch_size: arguments.batch_size, sleep: Span::ZERO, older_than, audit_retention };
    block_on(async {
        let store = Store::open(&dsn).await.map_err(|error| Failure::new("cannot open the database", &error))?;
        let pending = store.pending_migrations().await.map_err(|error| Failure::new("cannot look at the database", &error))?;
        if !pending.is_empty() {
            return Err(Failure::say("the database is not prepared for this version: run `keyward migrate sql` first"));
        }
        for (position, what) in Stale::ALL.into_iter().enumerate() {
            if position > 0 {
                tokio::time::sleep(between_tables).await;
            }
            let rows = clean(&store, what, &rules, SystemClock.now(), usize::MAX)
                .await
                .map_err(|error| Failure::new(&format!("cannot clean {}", what.table()), &error))?;
            println!("{}: {rows} deleted", what.table());
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use keyward_model::ErrorId;
    use keyward_store::{Batch, ErrorRow};

    use super::*;
    use crate::system::SystemRandom;

    const NOW: Time = Time::from_unix(1_800_000_000);
    const RULES: Cleanup = Cleanup {
        enabled: true,
        batch_size: 3,
        sleep: Span::minutes(1),
        older_than: Span::hours(24),
        audit_retention: Some(Span::hours(48)),
    };

    #[test]
    fn nodes_wake_at_different_times_within_bounds() {
        for _ in 0..1_000 {
            let sleep = jittered(Span::minutes(1), &SystemRandom);
            assert!(sleep >= Duration::from_secs(30) && sleep <= Duration::from_secs(90), "{sleep:?}");
        }
        assert!(jittered(Span::ZERO, &SystemRandom) >= Duration::from_millis(500));
    }

    #[test]
    fn each_kind_of_row_stays_as_long_as_it_should() {
        for what in Stale::ALL {
            let hours = cutoff(what, &RULES, NOW).map(|before| NOW.since(before).as_seconds() / 3_600);
            let expected = match what {
                Stale::Sessions | Stale::Containers | Stale::Grants | Stale::TokenExchanges | Stale::Codes | Stale::Flows => 24,
                Stale::Errors | Stale::Messages => 7 * 24,
                Stale::Attempts => 30 * 24,
                Stale::AuditEvents => 48,
            };
            assert_eq!(hours, Some(expected), "{}", what.table());
        }
        assert_eq!(cutoff(Stale::AuditEvents, &Cleanup { audit_retention: None, ..RULES }, NOW), None);
    }

    #[tokio::test]
    async fn cleaning_goes_on_batch_by_batch_up_to_its_limit() {
        let store = Store::open("memory").await.expect("a database in memory");
        let random: &dyn Random = &SystemRandom;
        let mut batch = Batch::new();
        for day in 8..18 {
            let at = NOW - Span::hours(day * 24);
            let id: ErrorId = random.id();
            batch.insert_error(&ErrorRow { id, error: "{}".into(), created_at: at, updated_at: at });
        }
        store.commit(batch).await.expect("ten errors");
        assert_eq!(clean(&store, Stale::Errors, &RULES, NOW, 2).await.ok(), Some(6));
        assert_eq!(clean(&store, Stale::Errors, &RULES, NOW, STATEMENTS).await.ok(), Some(4));
        assert_eq!(clean(&store, Stale::Errors, &RULES, NOW, STATEMENTS).await.ok(), Some(0));
    }
}
