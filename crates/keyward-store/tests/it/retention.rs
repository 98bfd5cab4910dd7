//! What is over goes, oldest first and a few rows at a time; what is not over stays.

use keyward_model::{ErrorId, MessageId, Span, Time};
use keyward_store::{
    AuditEvent, Batch, CodeRow, ContainerRow, ErrorRow, Expect, FlowRow, FromRow, GrantRow, Row, Sql, Stale, Store, StoreError,
    TokenExchangeRow, params,
};

use crate::support::{NOW, Trial, credential, event, id, on_each_database, person, session, token_hash};

on_each_database!(every_table_loses_its_oldest_rows_first, two_nodes_share_the_work, what_is_not_over_stays);

static MESSAGE: Sql = Sql::new(
    "retention_test.MESSAGE",
    "INSERT INTO courier_messages (id, status, type, recipient, template_type, channel, content, send_count, created_at, updated_at) \
        VALUES ($1, 'queued', 'email', 'ada@example.org', 'recovery_invalid', 'email', $2, 0, $3, 1)",
);
static ATTEMPT: Sql = Sql::new(
    "retention_test.ATTEMPT",
    "INSERT INTO attempts (subject, lane, failures, blocked_until, updated_at) VALUES ($1, $2, 1, 0, $3)",
);

/// The ends of what is left, ascending, by table.
macro_rules! ends {
    ($($name:ident $table:literal $end:literal),+) => {
        $(static $name: Sql = Sql::new(concat!("retention_test.", stringify!($name)), concat!("SELECT ", $end, " FROM ", $table, " ORDER BY ", $end));)+
    };
}
ends!(SESSIONS "sessions" "expires_at", CONTAINERS "continuity_containers" "expires_at", GRANTS "grants" "expires_at",
    EXCHANGES "session_token_exchanges" "expires_at", CODES "one_time_codes" "expires_at", FLOWS "flows" "expires_at", ERRORS "self_service_errors" "created_at", ATTEMPTS "attempts" "updated_at", AUDIT "audit_events" "at",
    MESSAGES "courier_messages" "created_at");

struct End(Time);

impl FromRow for End {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.get(0).map(Self)
    }
}

/// Fifty hours before [`NOW`]; rows are over at whole hours after it.
const START: Time = Time::from_unix(1_800_000_000 - 50 * 3_600);

/// Hours from [`START`] of everything that is left in a table.
async fn left(store: &Store, what: Stale) -> Vec<i64> {
    let sql = match what {
        Stale::Sessions => &SESSIONS,
        Stale::Containers => &CONTAINERS,
        Stale::Grants => &GRANTS,
        Stale::TokenExchanges => &EXCHANGES,
        Stale::Codes => &CODES,
        Stale::Flows => &FLOWS,
        Stale::Errors => &ERRORS,
        Stale::Attempts => &ATTEMPTS,
        Stale::Messages => &MESSAGES,
        Stale::AuditEvents => &AUDIT,
    };
    let ends: Vec<End> = store.many(sql, Vec::new()).await.unwrap();
    ends.iter().map(|end| end.0.since(START).as_seconds() / 3_600).collect()
}

/// One row of every kind for each hour.
async fn fill(store: &Store, hours: &[i64]) {
    let owner = person("ada");
    let credential = credential(keyward_model::CredentialType::Password, &["ada@example.org"]);
    let mut batch = Batch::new();
    batch.insert_identity(&owner, &keyward_model::count_factors(std::slice::from_ref(&credential)), 1);
    for hour in hours {
        let over = START + Span::hours(*hour);
        let mut session = session(&owner);
        session.expires_at = over;
        batch.insert_session(&session, &token_hash(), NOW);
        batch.insert_container(&ContainerRow {
            id: id(),
            name: "ory_kratos_settings_password".into(),
            identity_id: Some(owner.id),
            flow_id: id(),
            expires_at: over,
            payload: vec![1],
            created_at: NOW,
        });
        batch.insert_grant(&GrantRow {
            id: id(),
            settings_flow_id: id(),
            identity_id: owner.id,
            session_id: session.id,
            expires_at: over,
            used_at: None,
        });
        batch.insert_flow(&FlowRow {
            id: id(),
            kind: "login".into(),
            flow_type: "api".into(),
            state: "choose_method".into(),
            issued_at: NOW,
            expires_at: over,
            request_url: "http://localhost/".into(),
            identity_id: None,
            session_id: None,
            form: "{}".into(),
            memory: None,
            extra: "{}".into(),
            version: 1,
        });
        batch.insert_token_exchange(&TokenExchangeRow {
            init_code_hash: token_hash(),
            return_to_code_hash: token_hash(),
            flow_kind: "login".into(),
            flow_id: id(),
            expires_at: over,
        });
        batch.insert_code(&CodeRow {
            id: id(),
            purpose: "login".into(),
            flow_id: id(),
            identity_id: Some(owner.id),
            address: None,
            code_hash: vec![1; 32],
            issued_at: NOW,
            expires_at: over,
            used_at: None,
        });
        let error: ErrorId = id();
        batch.insert_error(&ErrorRow { id: error, error: "{}".into(), created_at: over, updated_at: over });
        batch.push(&ATTEMPT, params![error.0.as_bytes().as_slice(), b"lane".as_slice(), over], Expect::Any);
        batch.push(&MESSAGE, params![id::<MessageId>(), b"sealed".as_slice(), over], Expect::Any);
        batch.insert_audit_event(&AuditEvent { at: over, ..event() });
    }
    store.commit(batch).await.unwrap();
}

async fn every_table_loses_its_oldest_rows_first(trial: &Trial) {
    let store = &trial.store;
    fill(store, &[49, 53, 47, 51, 48]).await;
    for what in Stale::ALL {
        assert_eq!(store.purge(what, NOW, 2).await.unwrap(), 2, "{}", what.table());
        assert_eq!(left(store, what).await, [49, 51, 53], "{}", what.table());
        assert_eq!(store.purge(what, NOW, 2).await.unwrap(), 1, "{}", what.table());
        assert_eq!(store.purge(what, NOW, 2).await.unwrap(), 0, "{}", what.table());
        assert_eq!(left(store, what).await, [51, 53], "{}", what.table());
    }
}

async fn what_is_not_over_stays(trial: &Trial) {
    let store = &trial.store;
    fill(store, &[50, 51]).await;
    for what in Stale::ALL {
        assert_eq!(store.purge(what, NOW, 100).await.unwrap(), 0, "{}: the instant itself is not before", what.table());
        assert_eq!(left(store, what).await, [50, 51], "{}", what.table());
    }
}

/// Nodes clean at the same time: every row goes once, and no node fails because of the other.
async fn two_nodes_share_the_work(trial: &Trial) {
    let store = &trial.store;
    let hours: Vec<i64> = (1..=40).collect();
    fill(store, &hours).await;
    for what in Stale::ALL {
        let node = |store: Store| async move {
            let mut taken = 0;
            // Also when the other node was faster each time, so many statements reach the end.
            for _ in 0..40 {
                taken += store.purge(what, NOW, 3).await.unwrap();
            }
            taken
        };
        let (first, second) = tokio::join!(tokio::spawn(node(store.clone())), tokio::spawn(node(store.clone())));
        assert_eq!(first.unwrap() + second.unwrap(), 40, "{}", what.table());
        assert_eq!(left(store, what).await, [0; 0], "{}", what.table());
    }
}
