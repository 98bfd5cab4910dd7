//! Deleting what is over, by hand.

use super::process::{Folder, base, flows, free_ports, keyward, migrate, run, said};

const DAY: i64 = 24 * 3_600 * 1_000_000;

/// Flows that ended so many days ago.
fn fill(folder: &Folder, days: &[i64]) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(folder.path("keyward.sqlite")).unwrap();
    let now: i64 = database.query_row("SELECT CAST(unixepoch() AS INTEGER) * 1000000", [], |row| row.get(0)).unwrap();
    for (number, day) in days.iter().enumerate() {
        let sql = "INSERT INTO flows (id, kind, flow_type, state, issued_at, expires_at, request_url, form, extra, version) \
            VALUES (?1, 'login', 'api', 'choose_method', 0, ?2, '', '{}', '{}', 1)";
        let mut id = [0_u8; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        database.execute(sql, (id.as_slice(), now - day * DAY)).unwrap();
    }
    database
}

fn left(database: &rusqlite::Connection) -> i64 {
    database.query_row("SELECT COUNT(*) FROM flows", [], |row| row.get(0)).unwrap()
}

// cases: R-102
#[test]
fn rows_that_are_over_go_and_the_last_days_stay_when_asked() {
    let folder = Folder::new();
    let config = folder.write("keyward.yml", &(base(&folder, free_ports()) + &flows(10)));
    migrate(&folder, &config);
    let database = fill(&folder, &[-1, 1, 2, 3, 4, 5]);
    let dsn = format!("sqlite://{}", folder.path("keyward.sqlite").display());

    let output = run(&folder, &["cleanup", "sql", &dsn, "--keep-last", "60h", "--batch-size", "1"]);
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert!(said(&output.stdout).contains("flows: 3 deleted"), "{}", said(&output.stdout));
    assert_eq!(left(&database), 3);

    let output = run(&folder, &["cleanup", "sql", "-c", config.to_str().unwrap()]);
    assert!(said(&output.stdout).contains("flows: 2 deleted"), "{}", said(&output.stderr));
    let output = keyward(&folder, &["cleanup", "sql", "-e", "-b", "10"]).env("DSN", &dsn).output().unwrap();
    assert!(said(&output.stdout).contains("flows: 0 deleted"), "{}", said(&output.stderr));
    assert_eq!(left(&database), 1, "what is not over stays");

    for (arguments, words) in [
        (vec!["cleanup", "sql"], "DSN is not set"),
        (vec!["cleanup", "sql", &dsn, "--keep-last", "tomorrow"], "--keep-last is no duration"),
        (vec!["cleanup", "sql", "sqlite:///nowhere/x.sqlite"], "cannot open the database"),
    ] {
        let output = run(&folder, &arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output.stderr).contains(words), "{}", said(&output.stderr));
    }
}

/// A running server does it without being asked.
#[tokio::test]
async fn a_server_cleans_its_own_database() {
    let folder = Folder::new();
    let ports = free_ports();
    let text = base(&folder, ports)
        + &flows(10)
        + "log: {level: debug}\ndatabase: {cleanup: {batch_size: 2, older_than: 1h, sleep: {tables: 1s}}}\n";
    let config = folder.write("keyward.yml", &text);
    migrate(&folder, &config);
    let database = fill(&folder, &[-1, 1, 2, 3, 4, 5]);
    let mut server = super::process::Server::start(&folder, &text, ports);
    server.wait_for("cleaned");
    assert_eq!(left(&database), 1);
    server.stop();
}
