//! Configuration files and environments as operators really have them, and the program's word on each.

use crate::program::{Answer, Folder, ask, free_ports, top};

const DSN: &str = "dsn: memory\n";

/// A complete file: the top that every one has, in memory, and what a test is about.
fn file(folder: &Folder, ports: (u16, u16), rest: &str) -> String {
    let top = top(folder, ports);
    let rest_of_top = top.split_once('\n').map_or("", |(_, rest)| rest);
    format!("{DSN}{rest_of_top}{rest}")
}

const SELFSERVICE: &str = "selfservice:
  default_browser_return_url: https://your-app.com/
";

fn check(folder: &Folder, text: &str, flags: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    folder.write("keyward.yml", text);
    let arguments: Vec<_> = ["config", "check", "-c", "keyward.yml"].iter().chain(flags).copied().collect();
    folder.run(&arguments, environment)
}

fn show(folder: &Folder, environment: &[(&str, &str)]) -> String {
    let (code, written) = folder.run(&["config", "show", "-c", "keyward.yml"], environment);
    assert_eq!(code, Some(0), "{written}");
    written
}

/// The client secret is nowhere in the file, and nowhere in what is printed.
#[test]
fn conf_01_the_secrets_of_a_list_come_from_the_environment() {
    let folder = Folder::new("conf-01");
    let ports = free_ports();
    let provider = "{ id: google, provider: google, mapper_url: \"base64://e30=\" }";
    let oidc = format!("{SELFSERVICE}  methods: {{ oidc: {{ enabled: true, config: {{ providers: [{provider}] }} }} }}\n");
    let text = file(&folder, ports, &oidc);
    let variable = |index: usize, last: &str| format!("SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS_{index}_{last}");
    let names = ["CLIENT_ID", "CLIENT_SECRET", "CLAIMS_SOURCE"].map(|last| variable(0, last));
    let by_index: Vec<_> = names.iter().map(String::as_str).zip(["abc", "s3cr3t", "userinfo"]).collect();
    let whole = r#"[{"id":"google","provider":"google","mapper_url":"base64://e30=","client_id":"abc","client_secret":"s3cr3t","claims_source":"userinfo"}]"#;
    let whole = [("SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS", whole)];
    for environment in [by_index.as_slice(), &whole] {
        let (code, written) = check(&folder, &text, &[], environment);
        assert_eq!(code, Some(0), "{written}");
        let shown = show(&folder, environment);
        assert!(shown.contains("\"client_id\": \"abc\"") && shown.contains("\"claims_source\": \"userinfo\""), "{shown}");
        assert!(!shown.contains("s3cr3t") && !written.contains("s3cr3t"), "{shown}{written}");
        let mut server = folder.spawn(&["serve", "-c", "keyward.yml"], environment);
        server.ready(ports.0);
        assert_eq!(server.terminate().code(), Some(0));
        assert!(!server.written().contains("s3cr3t"));
    }
    // The next place is one more; a later one would leave a hole.
    let mut environment = by_index.clone();
    let hole = variable(5, "CLIENT_SECRET");
    let next = ["ID", "PROVIDER", "CLIENT_ID", "CLIENT_SECRET", "MAPPER_URL"].map(|last| variable(1, last));
    environment.extend(next.iter().map(String::as_str).zip(["hub", "github", "def", "s3cr3t", "base64://e30="]));
    assert!(show(&folder, &environment).contains("\"id\": \"hub\""));
    let (code, written) = check(&folder, &text, &[], &[(&hole, "s3cr3t")]);
    assert_eq!(code, Some(1));
    assert!(written.contains(&hole) && !written.contains("s3cr3t"), "{written}");
}

/// A start that a secret forbids: the file, the environment, and the words that help.
#[test]
fn conf_03_a_secret_that_is_none_is_named_without_being_shown() {
    let folder = Folder::new("conf-03");
    let ports = free_ports();
    let with = |secrets: &str| {
        let text = file(&folder, ports, SELFSERVICE);
        let start = text.find("secrets:\n").unwrap();
        let end = start + text[start..].find("serve:").unwrap();
        format!("{}secrets: {secrets}\n{}", &text[..start], &text[end..])
    };
    let placeholder = "PLEASE-CHANGE-ME-I-AM-VERY-INSECURE";
    for (secrets, environment, secret, words) in [
        ("{ default: [supersecret] }", None, "supersecret", vec!["secrets.default.0", "11", "16", "openssl rand -hex"]),
        (
            "{ cipher: [\"only-31-characters-long-secret!\"] }",
            None,
            "only-31",
            vec!["secrets.cipher.0", "31", "32", "openssl rand -hex"],
        ),
        (&format!("{{ cookie: [{placeholder}] }}"), None, placeholder, vec!["secrets.cookie.0", "openssl rand -hex"]),
        ("{}", Some("canary-one,canary-two"), "canary", vec!["secrets.default.0", "secrets.default.1", "SECRETS_DEFAULT"]),
    ] {
        let environment: Vec<_> = environment.map(|value| ("SECRETS_DEFAULT", value)).into_iter().collect();
        folder.write("keyward.yml", &with(secrets));
        let (code, written) = folder.run(&["serve", "-c", "keyward.yml"], &environment);
        assert_eq!(code, Some(1), "{secrets}: {written}");
        for word in words {
            assert!(written.contains(word), "{secrets}: `{word}` does not stand in: {written}");
        }
        assert!(!written.contains(secret), "{written}");
    }
    // Trying things out is another matter.
    let (code, written) = check(&folder, &with(&format!("{{ cookie: [{placeholder}] }}")), &["--dev"], &[]);
    assert_eq!(code, Some(0), "{written}");
    // One secret for everything is good enough: keys are derived for each use.
    let one = "one-secret-of-exactly-32-letters";
    let (code, written) = check(&folder, &with(&format!("{{ cookie: [{one}], cipher: [{one}] }}")), &[], &[]);
    assert_eq!(code, Some(0), "{written}");
    // Two in one variable are two.
    let two = ("SECRETS_DEFAULT", "the-first-of-two-secrets, the-second-of-two-secrets");
    let (code, written) = check(&folder, &with("{}"), &[], &[two]);
    assert_eq!(code, Some(0), "{written}");
    let shown: serde_json::Value = serde_json::from_str(&show(&folder, &[two])).unwrap();
    assert_eq!(shown["secrets"]["default"].as_array().map(Vec::len), Some(2), "{shown:#}");
}

const RETURN_URLS: &str = "SELFSERVICE_ALLOWED_RETURN_URLS";

#[test]
fn conf_05_one_variable_is_a_list() {
    let folder = Folder::new("conf-05");
    let ports = free_ports();
    folder.write(
        "keyward.yml",
        &file(&folder, ports, &format!("{SELFSERVICE}  allowed_return_urls: [\"https://file.example.org/\"]\n")),
    );
    let none: [&str; 0] = [];
    for (value, allowed, refused) in [
        ("https://app.example.org/", ["https://app.example.org/x"].as_slice(), ["https://file.example.org/"].as_slice()),
        (
            "https://a.example.org/, https://b.example.org/",
            &["https://a.example.org/", "https://b.example.org/"],
            &["https://c.example.org/"],
        ),
        ("[\"https://a.example.org/\"]", &["https://a.example.org/"], &["https://b.example.org/"]),
        (
            "[\"https://a.example.org/x,y\"]",
            &["https://a.example.org/x,y"],
            &["https://a.example.org/x", "https://a.example.org/"],
        ),
        ("", &none, &["https://file.example.org/"]),
    ] {
        let mut server = folder.spawn(&["serve", "-c", "keyward.yml"], &[(RETURN_URLS, value)]);
        server.ready(ports.0);
        let start = |target: &str| -> Answer {
            let target: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
            ask(ports.0, "GET", &format!("/self-service/login/api?return_to={target}"), &[("Accept", "application/json")], "")
        };
        for target in allowed {
            assert_eq!(start(target).status, 200, "{value}: {target}");
        }
        for target in refused {
            let answer = start(target);
            assert_eq!(
                (answer.status, answer.json()["error"]["id"].as_str()),
                (400, Some("self_service_flow_return_to_forbidden"))
            );
        }
        assert_eq!(server.terminate().code(), Some(0));
    }
    let (code, written) = folder.run(&["serve", "-c", "keyward.yml"], &[(RETURN_URLS, "[\"https://a.example.org/")]);
    assert!(code == Some(1) && written.contains(RETURN_URLS), "{written}");
}

#[test]
fn ret_03_a_star_in_a_path_is_reported_with_the_plain_form() {
    let folder = Folder::new("ret-03");
    let text =
        file(&folder, free_ports(), &format!("{SELFSERVICE}  allowed_return_urls:\n    - \"https://app.example.org/*\"\n"));
    let (code, written) = check(&folder, &text, &[], &[]);
    assert_eq!(code, Some(0), "{written}");
    let line = text.lines().position(|line| line.contains("/*")).unwrap() + 1;
    let warnings: Vec<_> = written.lines().filter(|line| line.contains("selfservice.allowed_return_urls")).collect();
    let [warning] = warnings[..] else { panic!("{written}") };
    for word in [format!("keyward.yml:{line}").as_str(), "selfservice.allowed_return_urls.0", "https://app.example.org/ "] {
        assert!(warning.contains(word), "{word}: {warning}");
    }
    let plain = text.replace("/*", "/");
    assert!(!check(&folder, &plain, &[], &[]).1.contains("allowed_return_urls"));
}

#[test]
fn edge_05_same_site_none_wants_secure() {
    let folder = Folder::new("edge-05");
    for (block, key) in [
        ("cookies: { same_site: None, secure: false }", "cookies.same_site"),
        ("session: { cookie: { same_site: None, secure: false } }", "session.cookie.same_site"),
        ("cookies: { same_site: None, secure: true }\nsession: { cookie: { secure: false } }", "session.cookie.secure"),
    ] {
        let text = file(&folder, free_ports(), &format!("{SELFSERVICE}{block}\n"));
        let (code, written) = check(&folder, &text, &[], &[]);
        assert!(code == Some(1) && written.contains(key), "{block}: {written}");
        let (code, written) = check(&folder, &text, &["--dev"], &[]);
        assert_eq!(code, Some(0), "{written}");
        assert_eq!(written.lines().filter(|line| line.contains("SameSite")).count(), 1, "{written}");
        assert!(written.contains(key) && written.contains("Lax"), "{written}");
    }
    let good = file(&folder, free_ports(), &format!("{SELFSERVICE}cookies: {{ same_site: None }}\n"));
    let (code, written) = check(&folder, &good, &[], &[]);
    assert!(code == Some(0) && !written.contains("SameSite"), "{written}");
}
