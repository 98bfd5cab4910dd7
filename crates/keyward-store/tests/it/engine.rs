//! What every engine promises, whatever the tables: atomic batches, guards under load, faults at every place, migrations.

use keyward_model::{
    ContainerId, Credential, CredentialType, ErrorId, FlowId, GrantId, IdentityId, IdentitySnapshot, SessionId, Span,
    count_factors,
};
use keyward_store::{
    AuditEvent, Batch, ContainerRow, ErrorRow, Expect, Faults, FlowRow, GrantRow, Params, Refusal, SessionRow, Sql, Store,
    StoreError, params, statements,
};

use serde_json::json;

use crate::support::{NOW, Trial, credential, event, id, on_each_database, person, session, token_hash};

on_each_database!(
    every_statement_is_understood,
    a_grant_admits_one_of_two_hundred,
    a_batch_that_fails_anywhere_leaves_no_trace,
    a_failing_batch_leaves_its_neighbours_alone,
    rows_of_another_kind_are_errors,
    a_wrong_number_of_parameters_is_an_error,
    one_statement_can_write_and_return,
    migrating_twice_changes_nothing,
    keys_of_an_older_schema_are_found,
);

async fn every_statement_is_understood(trial: &Trial) {
    let mut count = 0;
    for sql in statements() {
        trial.store.check_statement(sql).await.unwrap_or_else(|error| panic!("{}: {error}", sql.name));
        count += 1;
    }
    assert!(count > 30, "the registry lost its statements");
    trial.store.ping().await.unwrap();
}

async fn a_grant_admits_one_of_two_hundred(trial: &Trial) {
    let ada = person("ada");
    let grant = GrantRow {
        id: id(),
        settings_flow_id: id(),
        identity_id: ada.id,
        session_id: id(),
        expires_at: NOW + Span::minutes(10),
        used_at: None,
    };
    let mut batch = Batch::new();
    batch.insert_identity(&ada, &count_factors(&[]), 1);
    batch.insert_grant(&grant);
    trial.store.commit(batch).await.unwrap();

    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let store = trial.store.clone();
            let grant = grant.clone();
            tokio::spawn(async move {
                let mut batch = Batch::new();
                batch.consume_grant(grant.id, NOW);
                let outcome = store.commit(batch).await;
                // Whoever is refused sees what refused them.
                let left = store.find_unused_grant(grant.settings_flow_id, grant.session_id, NOW).await.unwrap();
                assert_eq!(left, None);
                outcome
            })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => admitted += 1,
            Err(StoreError::Refused(Refusal::AlreadyUsed)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(admitted, 1);
}

/// Everything that [`everything`] writes, as it stands in the database.
#[derive(PartialEq)]
struct Stand {
    identity: Option<IdentitySnapshot>,
    session: Option<SessionRow>,
    flow: Option<FlowRow>,
    container: Option<ContainerRow>,
    grant: Option<GrantRow>,
    error: Option<ErrorRow>,
    events: Vec<AuditEvent>,
}

struct Ids {
    identity: IdentityId,
    token: [u8; 32],
    session: SessionId,
    flow: FlowId,
    container: ContainerId,
    grant: GrantId,
    error: ErrorId,
}

async fn stand(store: &Store, ids: &Ids) -> Stand {
    Stand {
        identity: store.find_identity(ids.identity).await.unwrap(),
        session: store.find_session(&ids.token).await.unwrap(),
        flow: store.find_flow(ids.flow, "settings").await.unwrap(),
        container: store.find_container(ids.container).await.unwrap(),
        grant: store.find_unused_grant(ids.flow, ids.session, NOW).await.unwrap(),
        error: store.find_error(ids.error).await.unwrap(),
        events: store.list_audit_events(None, None, 100).await.unwrap(),
    }
}

/// Two changes that together use every writer: one that creates, one that changes and removes.
fn everything() -> (Ids, [Batch; 2]) {
    let ada = person("ada");
    let own = session(&ada);
    let ids =
        Ids { identity: ada.id, token: token_hash(), session: own.id, flow: id(), container: id(), grant: id(), error: id() };
    let password = credential(CredentialType::Password, &["ada", "ada@example.org"]);
    let flow = FlowRow {
        id: ids.flow,
        kind: "settings".into(),
        flow_type: "api".into(),
        state: "show_form".into(),
        issued_at: NOW,
        expires_at: NOW + Span::hours(1),
        request_url: "https://id.example/".into(),
        identity_id: Some(ada.id),
        session_id: Some(own.id),
        form: "{}".into(),
        memory: None,
        extra: "{}".into(),
        version: 1,
    };
    let container = ContainerRow {
        id: ids.container,
        name: "ory_kratos_settings_profile".into(),
        identity_id: Some(ada.id),
        flow_id: ids.flow,
        expires_at: NOW + Span::minutes(15),
        payload: vec![5],
        created_at: NOW,
    };
    let grant = GrantRow {
        id: ids.grant,
        settings_flow_id: ids.flow,
        identity_id: ada.id,
        session_id: own.id,
        expires_at: NOW + Span::minutes(10),
        used_at: None,
    };
    let mut create = Batch::new();
    create.insert_identity(&ada, &count_factors(std::slice::from_ref(&password)), 1);
    create.put_credential(ada.id, &password);
    create.insert_session(&own, &ids.token, NOW);
    create.insert_flow(&flow);
    create.insert_container(&container);
    create.insert_grant(&grant);
    create.insert_error(&ErrorRow { id: ids.error, error: "{}".into(), created_at: NOW, updated_at: NOW });
    create.insert_audit_event(&event());

    let before = IdentitySnapshot { identity: ada.clone(), credentials: vec![password.clone()], version: 1 };
    let mut after = ada;
    after.verifiable_addresses.remove(0);
    after.recovery_addresses.clear();
    let mut change = Batch::new();
    change.update_identity(&before, &after, &count_factors(&[]));
    change.drop_credential(after.id, password.id);
    change.put_credential(after.id, &credential(CredentialType::Totp, &[]));
    change.extend_session(own.id, NOW + Span::hours(48), NOW);
    change.raise_session(&own, NOW);
    change.update_flow(&flow);
    change.consume_container(&container, NOW);
    change.consume_grant(grant.id, NOW);
    change.insert_audit_event(&event());
    change.revoke_session(after.id, own.id, NOW);
    (ids, [create, change])
}

async fn a_batch_that_fails_anywhere_leaves_no_trace(trial: &Trial) {
    let faults = Faults::new();
    let store = trial.store.with_faults(faults.clone());
    let (ids, changes) = everything();
    for change in changes {
        let before = stand(&store, &ids).await;
        for place in 0..=change.len() {
            faults.fail_at(place);
            match store.commit(change.clone()).await {
                Err(StoreError::Rejected { statement: "faults.FAULT", .. }) => {}
                other => panic!("statement {place} of {}: {other:?}", change.len()),
            }
            assert!(stand(&store, &ids).await == before, "statement {place} of {} left a trace", change.len());
        }
        store.commit(change).await.unwrap();
        assert!(stand(&store, &ids).await != before);
    }
}

static ADD_ERROR: Sql =
    Sql::new("test.ADD_ERROR", "INSERT INTO self_service_errors (id, error, created_at, updated_at) VALUES ($1, $2, $3, $3)");
static COUNT_ERRORS: Sql = Sql::new("test.COUNT_ERRORS", "SELECT COUNT(*) FROM self_service_errors");

fn error_values(id: ErrorId) -> Params {
    params![id, "{}", NOW]
}

async fn a_failing_batch_leaves_its_neighbours_alone(trial: &Trial) {
    let taken: ErrorId = id();
    let mut batch = Batch::new();
    batch.push(&ADD_ERROR, error_values(taken), Expect::Any);
    trial.store.commit(batch).await.unwrap();
    let tasks: Vec<_> = (0..300)
        .map(|number| {
            let store = trial.store.clone();
            tokio::spawn(async move {
                let mut batch = Batch::new();
                batch.push(&ADD_ERROR, error_values(id()), Expect::Rows(1, Refusal::Gone));
                match number % 3 {
                    0 => batch.push(&ADD_ERROR, error_values(taken), Expect::Any),
                    1 => batch.push(&ADD_ERROR, error_values(id()), Expect::Rows(2, Refusal::VersionConflict)),
                    _ => {}
                }
                (number % 3, store.commit(batch).await)
            })
        })
        .collect();
    for task in tasks {
        match task.await.unwrap() {
            (0, Err(StoreError::Unique(_))) | (1, Err(StoreError::Refused(Refusal::VersionConflict))) | (2, Ok(())) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(trial.store.one::<i64>(&COUNT_ERRORS, params![]).await.unwrap(), Some(101));
}

async fn rows_of_another_kind_are_errors(trial: &Trial) {
    static TEXT: Sql = Sql::new("test.TEXT", "SELECT CAST('x' AS TEXT)");
    match trial.store.one::<i64>(&TEXT, params![]).await {
        Err(StoreError::Corrupt { statement: "test.TEXT", column: 0, expected: "a whole number" }) => {}
        other => panic!("{other:?}"),
    }
}

async fn a_wrong_number_of_parameters_is_an_error(trial: &Trial) {
    for values in [params![], params![NOW, NOW, NOW, NOW]] {
        assert!(matches!(trial.store.one::<i64>(&ADD_ERROR, values.clone()).await, Err(StoreError::Rejected { .. })));
        let mut batch = Batch::new();
        batch.push(&ADD_ERROR, values, Expect::Any);
        assert!(matches!(trial.store.commit(batch).await, Err(StoreError::Rejected { .. })));
    }
    assert_eq!(trial.store.one::<i64>(&COUNT_ERRORS, params![]).await.unwrap(), Some(0));
}

async fn one_statement_can_write_and_return(trial: &Trial) {
    static CLAIM: Sql = Sql::new(
        "test.CLAIM",
        "INSERT INTO self_service_errors (id, error, created_at, updated_at) VALUES ($1, $2, $3, $3) \
         ON CONFLICT (id) DO UPDATE SET updated_at = self_service_errors.updated_at + 1 RETURNING updated_at",
    );
    let claimed: ErrorId = id();
    for expected in 0..3 {
        let rows: Vec<i64> = trial.store.returning(&CLAIM, error_values(claimed)).await.unwrap();
        assert_eq!(rows, [NOW.micros() + expected]);
    }
}

async fn migrating_twice_changes_nothing(trial: &Trial) {
    static FORGE: Sql = Sql::new("test.FORGE", "UPDATE keyward_migrations SET checksum = $1");
    assert_eq!(trial.store.pending_migrations().await.unwrap(), [""; 0]);
    assert_eq!(trial.store.migrate().await.unwrap(), [""; 0]);
    let mut batch = Batch::new();
    batch.push(&FORGE, params!["other"], Expect::Any);
    trial.store.commit(batch).await.unwrap();
    assert!(matches!(trial.store.pending_migrations().await, Err(StoreError::Schema(_))));
    assert!(matches!(trial.store.migrate().await, Err(StoreError::Schema(_))));
}

/// Keys that were stored before there was a table for them are found after it came; what holds no keys is no obstacle.
async fn keys_of_an_older_schema_are_found(trial: &Trial) {
    static DROP: Sql = Sql::new("test.DROP_KEYS", "DROP TABLE credential_keys");
    static FORGET: Sql = Sql::new("test.FORGET_KEYS", "DELETE FROM keyward_migrations WHERE id = 3");
    let held = |config| Credential { config, ..credential(CredentialType::Passkey, &[]) };
    let stored = [
        json!({ "credentials": [{ "id": "AQ==" }, { "id": "Ag==" }], "user_handle": "" }),
        json!({ "credentials": [{ "id": "Ag==" }, { "name": "no id" }] }),
        json!({ "credentials": 7 }),
        json!({ "credentials": ["text", 7, null] }),
        json!({ "credentials": null }),
        json!({}),
    ];
    for (number, config) in stored.into_iter().enumerate() {
        let one = person(&format!("person-{number}"));
        let mut batch = Batch::new();
        batch.insert_identity(&one, &count_factors(&[]), 1);
        // As an older server did, which had no eye for keys.
        let kind = CredentialType::Code;
        batch.put_credential(one.id, &Credential { kind, ..held(config) });
        trial.store.commit(batch).await.unwrap();
    }
    static RELABEL: Sql = Sql::new("test.RELABEL", "UPDATE credentials SET type = 'passkey' WHERE type = 'code'");
    let mut batch = Batch::new();
    for statement in [&RELABEL, &DROP, &FORGET] {
        batch.push(statement, params![], Expect::Any);
    }
    trial.store.commit(batch).await.unwrap();
    assert_eq!(trial.store.migrate().await.unwrap(), ["0003_keys"]);
    for id in ["AQ==", "Ag=="] {
        assert!(trial.store.find_identity_by_key(id).await.unwrap().is_some(), "{id}");
    }
}

const ALL_MIGRATIONS: [&str; 7] =
    ["0001_init", "0002_attempts", "0003_keys", "0004_codes", "0005_courier", "0006_pending_traits", "0007_token_exchanges"];

/// Four nodes start at once on an empty database.
async fn migrate_together(trial: &Trial) {
    assert_eq!(trial.store.pending_migrations().await.unwrap(), ALL_MIGRATIONS);
    let mut nodes = Vec::new();
    for _ in 0..4 {
        let store = Store::open(&trial.address).await.unwrap();
        nodes.push(tokio::spawn(async move { store.migrate().await }));
    }
    let mut applied = Vec::new();
    for node in nodes {
        applied.extend(node.await.unwrap().unwrap());
    }
    // Which node applied which is chance.
    applied.sort_unstable();
    assert_eq!(applied, ALL_MIGRATIONS);
    assert_eq!(trial.store.pending_migrations().await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_migrate_together_apply_each_once_sqlite() {
    migrate_together(&Trial::sqlite_unmigrated().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_migrate_together_apply_each_once_postgres() {
    if let Some(trial) = Trial::postgres_unmigrated().await {
        migrate_together(&trial).await;
        trial.discard().await;
    }
}

#[tokio::test]
async fn point_reads_search_by_index_sqlite() {
    let trial = Trial::sqlite().await;
    let connection = rusqlite::Connection::open(trial.path()).unwrap();
    let mut checked = 0;
    // Pages and operators' bulk actions walk an index in order and stop at their limit.
    let walks = |name: &str| name.starts_with("snapshots.PAGE") || name.ends_with("_SOME");
    for sql in statements().filter(|sql| sql.text.contains("WHERE") && !walks(sql.name)) {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.text)).unwrap();
        let steps: Vec<String> = plan.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>().unwrap();
        let scans: Vec<_> = steps.iter().filter(|step| step.starts_with("SCAN") && !step.contains("chosen")).collect();
        assert!(scans.is_empty(), "{}: {steps:?}", sql.name);
        checked += 1;
    }
    assert!(checked > 20);
}

/// Handlers move between threads while they wait: a future that cannot would only be noticed floors above.
#[tokio::test]
async fn every_call_can_wait_on_any_thread_memory() {
    fn sendable<T>(future: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
        future
    }
    let store = Trial::memory().await.store.clone();
    let task = tokio::spawn(async move {
        let ids = [id::<IdentityId>()];
        assert!(sendable(store.find_identities(&ids)).await.unwrap().is_empty());
        assert!(sendable(store.find_identity(ids[0])).await.unwrap().is_none());
        assert!(sendable(store.find_session(&token_hash())).await.unwrap().is_none());
        sendable(store.commit(Batch::new())).await.unwrap();
        sendable(store.migrate()).await.unwrap();
    });
    task.await.unwrap();
}
