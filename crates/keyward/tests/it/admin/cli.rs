//! `keyward identities …` against a running server.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use keyward_testkit::{PASSWORD, Trial, database_test};
use serde_json::{Value, json};

use super::person;

/// Runs the program on a thread of its own; the server answers meanwhile.
pub(crate) async fn run(t: &Trial, arguments: &[&str], input: String) -> Output {
    let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    let endpoint = t.admin_base();
    let running = tokio::task::spawn_blocking(move || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_keyward"))
            .args(arguments)
            .env("KRATOS_ADMIN_URL", endpoint)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starting the program");
        let mut stdin = program.stdin.take().expect("its input");
        let writing = std::thread::spawn(move || {
            let _ = stdin.write_all(input.as_bytes());
        });
        let output = program.wait_with_output().expect("its end");
        writing.join().expect("writing its input");
        output
    });
    running.await.expect("running the program")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

// cases: R-103
#[database_test]
async fn a_file_is_imported_and_what_is_refused_is_named(t: Trial) {
    let mut with_password = person("p1@example.org");
    with_password["credentials"] = json!({ "password": { "config": { "password": PASSWORD } } });
    let rows = format!(
        "{}\n{}\nnonsense\n{}\n\n{}\n",
        with_password,
        person("p2@example.org"),
        json!({ "traits": { "email": "nope" } }),
        person("p2@example.org"),
    );
    let output = run(&t, &["identities", "import", "--format", "json"], rows.clone()).await;
    assert!(!output.status.success());
    assert_eq!(json_of(&output), json!({ "imported": 2, "skipped": 0, "refused": 3, "last_line": 6 }));
    let told = text(&output.stderr);
    for expected in ["line 3: no JSON", "line 4: 400 Bad Request: I[#/traits/email]", "line 6: 409 Conflict"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    t.person().sign_in("p1@example.org", PASSWORD).await.done();

    // The same file again: what exists is passed over; and from where it ended there is nothing.
    let again = run(&t, &["import", "identities", "--skip-existing", "--format", "json"], rows.clone()).await;
    assert_eq!(json_of(&again), json!({ "imported": 0, "skipped": 3, "refused": 2, "last_line": 6 }));
    let rest = run(&t, &["identities", "import", "--resume-after", "6", "--format", "json"], rows).await;
    assert_eq!(json_of(&rest)["imported"], 0);
    assert!(rest.status.success(), "{rest:?}");
}

// cases: R-103
#[database_test]
async fn a_list_of_many_is_imported_in_batches_and_found_again(t: Trial) {
    let list: Vec<Value> = (0..1_203)
        .map(|number| {
            let mut body = person(&format!("p{number:04}@example.org"));
            body["external_id"] = format!("ext-{number}").into();
            body
        })
        .collect();
    let output = run(&t, &["identities", "import"], format!("{:#}", json!(list))).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), "1203 identities were imported, 0 existed already, 0 were refused.\n");
    assert_eq!(t.store().count_identities().await.unwrap(), 1_203);

    let page = run(&t, &["identities", "list", "--page-size", "500", "--format", "json"], String::new()).await;
    let first = json_of(&page);
    assert_eq!((first["identities"].as_array().map(Vec::len), &first["is_last_page"]), (Some(500), &json!(false)));
    let token = first["next_page_token"].as_str().unwrap();
    let page = run(&t, &["list", "identities", "--page-size", "500", "--page-token", token], String::new()).await;
    assert_eq!(text(&page.stdout).lines().filter(|line| line.contains("ext-")).count(), 500);

    let found = run(&t, &["get", "identity", "--external-id", "ext-7", "--format", "json"], String::new()).await;
    let found = json_of(&found);
    assert_eq!(found["traits"]["email"], "p0007@example.org");
    let id = found["id"].as_str().unwrap();
    let table = text(&run(&t, &["identities", "get", id], String::new()).await.stdout);
    assert!(table.starts_with("ID") && table.contains("EXTERNAL ID") && table.contains("p0007@example.org"), "{table}");

    let unknown = "7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d";
    let deleted = run(&t, &["identities", "delete", unknown, id], String::new()).await;
    assert!(!deleted.status.success());
    assert_eq!(text(&deleted.stdout).trim(), id);
    assert!(text(&deleted.stderr).contains(unknown));
    assert_eq!(t.store().count_identities().await.unwrap(), 1_202);
    assert!(!run(&t, &["identities", "get", id], String::new()).await.status.success());
}

// cases: R-103
#[database_test]
async fn files_are_checked_before_they_are_imported(t: Trial) {
    let rows = format!(
        "{}\n{}\n{}\n{}\n",
        person("ada@example.org"),
        json!({ "schema_id": "person", "traits": { "email": "nope" } }),
        json!({ "schema_id": "person", "traits": { "email": "a@example.org" }, "identifier": 1 }),
        json!({ "schema_id": "person", "traits": { "email": "a@example.org" },
            "credentials": { "password": { "config": { "hashed_password": "$what$ever" } } } }),
    );
    let output = run(&t, &["identities", "validate", "--format", "json"], rows).await;
    assert!(!output.status.success());
    assert_eq!(json_of(&output), json!({ "valid": 1, "invalid": 3 }), "{output:?}");
    let told = text(&output.stderr);
    for expected in ["line 2: traits.email", "line 3: The body has an unknown key: identifier.", "line 4: The password hash"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(t.store().count_identities().await.unwrap(), 0);
}

#[database_test(sqlite)]
async fn an_unreachable_server_is_named_with_what_to_do(t: Trial) {
    for (endpoint, expected) in [("ftp://x", "must begin with http"), ("nonsense", "must begin with http")] {
        let output = run(&t, &["identities", "list", "--endpoint", endpoint], String::new()).await;
        assert!(!output.status.success() && text(&output.stderr).contains(expected), "{output:?}");
    }
}
