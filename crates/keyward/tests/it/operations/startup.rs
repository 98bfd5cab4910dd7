//! What stops a start is said in one go, with file and line where there is one, exit code 1, and without a secret.

use std::net::TcpListener;

use super::process::{Folder, base, flows, free_ports, keyward, migrate, run, said};

const CANARY: &str = "hunter2canary";

#[test]
fn each_mistake_ends_the_start_with_its_sentence() {
    let folder = Folder::new();
    let good = base(&folder, free_ports()) + &flows(10);
    let dsn = good.lines().next().unwrap().to_owned();
    let with_dsn = |address: &str| good.replace(&dsn, &format!("dsn: \"{address}\""));
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = occupied.local_addr().unwrap().port();
    let in_use = base(&folder, (port, free_ports().1)) + &flows(10);
    let prepared = folder.write("prepared.yml", &good);

    // An unprepared database comes first, because preparing it changes the folder.
    let cases = [
        ("unprepared", good.clone(), vec!["not prepared", "keyward migrate sql"]),
        ("broken", format!("dsn: memory\nsecrets:\n  default: [{CANARY}\n"), vec!["broken.yml:", "not valid YAML"]),
        (
            "unknown",
            format!("{good}sesion: {{lifespan: 1h}}\nsession: {{lifespan: tomorrow}}\n"),
            vec!["unknown.yml:", "sesion", "did you mean session?", "session.lifespan", "expected a duration"],
        ),
        ("scheme", with_dsn(&format!("mysql://me:{CANARY}@db/x")), vec!["scheme.yml:1: dsn:", "MySQL is not supported"]),
        (
            "server",
            with_dsn(&format!("postgres://me:{CANARY}@127.0.0.1:1/x")),
            vec!["cannot look at the database", "no connection"],
        ),
        ("folder", with_dsn("sqlite:///nowhere/at/all/x.sqlite"), vec!["cannot open the database"]),
        ("port", in_use, vec!["cannot listen on serve.public", &*Box::leak(port.to_string().into_boxed_str())]),
        (
            "certificate",
            good.replace(
                "host: 127.0.0.1, port",
                "tls: {cert: {path: /no/cert.pem}, key: {path: /no/key.pem}}, host: 127.0.0.1, port",
            ),
            vec!["serve.public.tls", "/no/cert.pem cannot be read"],
        ),
        ("schema", good.replace("base64://", "file:///no/schema.json#"), vec!["identity.schemas", "default"]),
    ];
    for (name, text, expected) in cases {
        if name == "port" {
            migrate(&folder, &prepared);
        }
        let file = folder.write(&format!("{name}.yml"), &text);
        let output = run(&folder, &["serve", "-c", file.to_str().unwrap()]);
        let stderr = said(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {stderr}");
        for words in expected {
            assert!(stderr.contains(words), "{name}: no {words:?} in: {stderr}");
        }
        assert!(!stderr.contains(CANARY), "{name}: {stderr}");
        assert!(!stderr.contains("panicked") && stderr.matches("keyward: ").count() == 1, "{name}: {stderr}");
    }

    let output = run(&folder, &["serve", "-c", "absent.yml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stderr).contains("absent.yml cannot be read"), "{}", said(&output.stderr));
}

#[test]
fn a_locked_database_is_said_to_be_busy() {
    let folder = Folder::new();
    let config = folder.write("keyward.yml", &(base(&folder, free_ports()) + &flows(10)));
    migrate(&folder, &config);
    let other = rusqlite::Connection::open(folder.path("keyward.sqlite")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let output = run(&folder, &["serve", "-c", config.to_str().unwrap()]);
    let stderr = said(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("database") && stderr.contains("busy"), "{stderr}");
}

#[test]
fn checking_names_every_mistake_and_starts_nothing() {
    let folder = Folder::new();
    let good = base(&folder, free_ports()) + &flows(10);
    let file = folder.write("good.yml", &good);
    let output = run(&folder, &["config", "check", "-c", file.to_str().unwrap()]);
    let stdout = said(&output.stdout);
    assert!(output.status.success(), "{stdout} {}", said(&output.stderr));
    assert!(stdout.contains("warning: ") && stdout.contains("hashers.bcrypt.cost") && stdout.contains("can be used"), "{stdout}");
    assert!(!folder.path("keyward.sqlite").exists(), "no database is made");

    let secrets = good.replace("[a-secret-for-tests-that-protects-nothing]", &format!("[{CANARY}]"));
    let bad = folder.write("bad.yml", &format!("{secrets}sesion: 1\nlog: {{level: loud}}\n"));
    let output = run(&folder, &["config", "check", "-c", bad.to_str().unwrap()]);
    let stderr = said(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    for mistake in ["sesion", "log.level", "secrets."] {
        assert!(stderr.lines().any(|line| line.contains("bad.yml:") && line.contains(mistake)), "{mistake}: {stderr}");
    }
    assert!(!stderr.contains(CANARY), "{stderr}");

    let schema = folder.write("schema.yml", &good.replace("base64://", "base64://e30="));
    let output = run(&folder, &["config", "check", "-c", schema.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "a schema that cannot be used is a mistake");
}

#[test]
fn showing_masks_secrets_and_says_what_came_from_where() {
    let folder = Folder::new();
    let file = folder.write("keyward.yml", &(base(&folder, free_ports()) + &flows(10)));
    let mut command = keyward(&folder, &["config", "show", "-c", file.to_str().unwrap()]);
    command.env("DSN", format!("postgres://me:{CANARY}@db/x")).env("SECRETS_COOKIE", format!("{CANARY}-and-more"));
    let output = command.output().unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["dsn"], "postgres://me:***@db/x");
    assert_eq!(shown["secrets"], serde_json::json!({ "default": ["***"], "cookie": ["***"] }));
    assert_eq!(shown["selfservice"]["flows"]["login"]["lifespan"], "10m");
    assert!(!said(&output.stdout).contains(CANARY));
}

/// A file that sends traces starts, and says once what is missing.
#[cfg(not(feature = "otlp"))]
#[test]
fn a_binary_without_traces_says_how_to_get_one_with_them() {
    let (folder, ports) = (Folder::new(), free_ports());
    let traces = "tracing: {provider: otel, service_name: x, providers: {otlp: {server_url: \"127.0.0.1:1\", insecure: true, \
                  authorization_header: hunter2canary, sampling: {sampling_ratio: 0.5}}}}\n";
    let mut server = super::process::Server::start(&folder, &(base(&folder, ports) + &flows(10) + traces), ports);
    server.stop();
    let told: Vec<_> = server.log.iter().filter(|line| line.contains("tracing")).collect();
    assert!(matches!(*told, [line] if line.contains("--features otlp")), "{told:?}");
    assert!(!server.log.iter().any(|line| line.contains(CANARY)));
}
