//! A database that is locked, gone, restarted or cut off in the middle: the answer is honest and comes in bounded time.

use std::time::Duration;

use keyward_model::ErrorId;
use keyward_store::{Batch, Expect, Outage, Refusal, Sql, Store, StoreError, params};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::support::{NOW, Trial, administer, id, postgres_server};

static ADD: Sql =
    Sql::new("test.ADD", "INSERT INTO self_service_errors (id, error, created_at, updated_at) VALUES ($1, $2, $3, $3)");
static TOUCH: Sql = Sql::new("test.TOUCH", "UPDATE self_service_errors SET updated_at = updated_at + 1 WHERE id = $1");
static COUNT: Sql = Sql::new("test.COUNT", "SELECT COUNT(*) FROM self_service_errors");

fn add() -> Batch {
    let mut batch = Batch::new();
    batch.push(&ADD, params![id::<ErrorId>(), "{}", NOW], Expect::Rows(1, Refusal::Gone));
    batch
}

fn outage<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> Outage {
    match outcome {
        Err(StoreError::Unavailable(outage)) => outage,
        other => panic!("expected an outage, got {other:?}"),
    }
}

async fn count(store: &Store) -> i64 {
    store.one::<i64>(&COUNT, params![]).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_another_process_is_an_outage_and_reads_go_on_sqlite() {
    let trial = Trial::sqlite().await;
    let store = Store::open(&trial.address_with("_busy_timeout=30")).await.unwrap();
    let other = rusqlite::Connection::open(trial.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(add()).await })
        })
        .collect();
    for task in waiting {
        assert_eq!(outage(task.await.unwrap()), Outage::Busy);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "waiting jobs must not queue up behind the lock");
    assert_eq!(count(&store).await, 0);
    other.execute_batch("COMMIT").unwrap();
    store.commit(add()).await.unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_a_database_is_an_outage_sqlite() {
    let missing = Store::open("sqlite:///nonexistent/folder/x.sqlite").await;
    assert!(matches!(missing.err(), Some(StoreError::Unavailable(Outage::Storage(_)))));
    let trial = Trial::sqlite().await;
    let other = trial.path().with_extension("text");
    std::fs::write(&other, "this is a text file, and it is long enough to have a header".repeat(20)).unwrap();
    let garbage = Store::open(&format!("sqlite://{}", other.display())).await;
    std::fs::remove_file(&other).unwrap();
    assert!(matches!(garbage.err(), Some(StoreError::Unavailable(Outage::Storage(_)))));
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_belongs_to_its_owner_only_sqlite() {
    use std::os::unix::fs::PermissionsExt as _;
    let trial = Trial::sqlite().await;
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", trial.path().display());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_dropped_store_has_written_everything_sqlite() {
    let trial = Trial::sqlite().await;
    let store = Store::open(&trial.address).await.unwrap();
    let pending = store.commit(add());
    let answer = tokio::time::timeout(Duration::ZERO, pending).await;
    drop(store);
    // Whether or not the caller waited for the answer, the batch was handed over and ran.
    assert!(answer.is_err() || matches!(answer, Ok(Ok(()))));
    assert_eq!(count(&trial.store).await, 1);
}

/// The read that stays open between commits must not keep the log from starting over.
#[tokio::test]
async fn the_log_starts_over_sqlite() {
    let trial = Trial::sqlite().await;
    let large = "x".repeat(100_000);
    for _ in 0..900 {
        let mut batch = Batch::new();
        batch.push(&ADD, params![id::<ErrorId>(), large.as_str(), NOW], Expect::Rows(1, Refusal::Gone));
        trial.store.commit(batch).await.unwrap();
    }
    assert_eq!(count(&trial.store).await, 900);
    let log = std::fs::metadata(format!("{}-wal", trial.path().display())).unwrap().len();
    // It is copied into the database every 32 MB.
    assert!(log < 50_000_000, "90 MB were written, and the log has {log} bytes");
}

#[tokio::test]
async fn a_server_that_refuses_is_an_outage_at_once_postgres() {
    // A port that was just free.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let store = Store::open(&format!("postgres://u:hunter2@127.0.0.1:{port}/db")).await.unwrap();
    let begun = Instant::now();
    for _ in 0..20 {
        for outcome in [store.ping().await, store.commit(add()).await] {
            let error = outcome.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"));
            assert!(matches!(outage(Err::<(), _>(error)), Outage::Unreachable(_)));
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_an_outage_postgres() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let store = Store::open(&format!("postgres://u@127.0.0.1:{port}/db?connect_timeout=1")).await.unwrap();
    let begun = Instant::now();
    assert!(matches!(outage(store.ping().await), Outage::Unreachable(_)));
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_are_replaced_postgres() {
    let Some(trial) = Trial::postgres().await else { return };
    let store = &trial.store;
    for round in 1..=3 {
        store.commit(add()).await.unwrap();
        assert_eq!(count(store).await, round);
        let server = postgres_server().unwrap();
        let name = url::Url::parse(&trial.address).unwrap().path().trim_start_matches('/').to_owned();
        administer(&server, &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")).await;
        assert_eq!(count(store).await, round, "a read is repeated on a fresh connection");
    }
    trial.discard().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlocks_are_run_again_postgres() {
    let Some(trial) = Trial::postgres().await else { return };
    let store = Store::open(&trial.address_with("options=-c%20deadlock_timeout%3D10ms")).await.unwrap();
    let rows: [ErrorId; 2] = [id(), id()];
    let mut batch = Batch::new();
    rows.iter().for_each(|row| batch.push(&ADD, params![*row, "{}", NOW], Expect::Any));
    store.commit(batch).await.unwrap();
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            let store = store.clone();
            let order = if number % 2 == 0 { [rows[0], rows[1]] } else { [rows[1], rows[0]] };
            tokio::spawn(async move {
                let mut batch = Batch::new();
                order.iter().for_each(|row| batch.push(&TOUCH, params![*row], Expect::Rows(1, Refusal::Gone)));
                store.commit(batch).await
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => done += 1,
            // Bounded: a batch that keeps losing is told so.
            other => assert_eq!(outage(other), Outage::Busy),
        }
    }
    assert!(done > 0);
    static SUM: Sql = Sql::new("test.SUM", "SELECT CAST(SUM(updated_at - created_at) AS BIGINT) FROM self_service_errors");
    assert_eq!(store.one::<i64>(&SUM, params![]).await.unwrap(), Some(done * 2), "each batch counted once in both rows");
    trial.discard().await;
}

/// Forwards to the server until the client sends `COMMIT`; then it cuts both sides, before or after forwarding it.
async fn cut_at_commit(server: String, forward: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let answers = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                    if buffer[..length].windows(6).any(|window| window == b"COMMIT") {
                        // First the way back, so that no answer can slip through.
                        answers.abort();
                        let _ = answers.await;
                        if forward {
                            to_server.write_all(&buffer[..length]).await.unwrap();
                        }
                        return;
                    }
                    to_server.write_all(&buffer[..length]).await.unwrap();
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_never_a_success_postgres() {
    let Some(trial) = Trial::postgres().await else { return };
    for forward in [false, true] {
        let mut address = url::Url::parse(&trial.address).unwrap();
        let server = format!("{}:{}", address.host_str().unwrap(), address.port().unwrap_or(5432));
        let port = cut_at_commit(server, forward).await;
        address.set_host(Some("127.0.0.1")).unwrap();
        address.set_port(Some(port)).unwrap();
        address.set_query(Some("sslmode=disable"));
        let store = Store::open(address.as_str()).await.unwrap();
        assert_eq!(outage(store.commit(add()).await), Outage::Unknown);
    }
    trial.discard().await;
}
