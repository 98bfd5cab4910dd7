//! Files in the shapes that installations really have: each starts, or is refused, with the words that help its operator.

use std::collections::BTreeMap;

use keyward_config::{ConfigErrors, Flags, Loaded, Source, WarningKind, json_schema, load};

fn text_of(name: &str) -> String {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn try_text(name: &str, text: &str, environment: &[(&str, &str)], dev: bool) -> Result<Loaded, ConfigErrors> {
    let source = Source { name: name.to_owned(), text: text.to_owned() };
    let environment: BTreeMap<_, _> = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&[source], &environment, &Flags { dev, hostname: Some("box".to_owned()), cpus: 2 })
}

fn load_fixture(name: &str, environment: &[(&str, &str)], dev: bool) -> Loaded {
    try_text(name, &text_of(name), environment, dev).unwrap_or_else(|errors| panic!("{name}:\n{errors}"))
}

/// Warnings about something that the operator wrote: not what this version does not do yet, and not the note that every file
/// without a registration style gets.
fn advice(loaded: &Loaded) -> Vec<(&str, &str)> {
    let is_about_the_file = |warning: &&keyward_config::Warning| {
        warning.kind != WarningKind::NotYet && warning.key != "selfservice.flows.registration.style"
    };
    let spoken = loaded.warnings.iter().filter(is_about_the_file);
    spoken.map(|warning| (warning.key.as_str(), warning.message.as_str())).collect()
}

fn keys(loaded: &Loaded) -> Vec<&str> {
    advice(loaded).into_iter().map(|(key, _)| key).collect()
}

const ENVIRONMENT: &[(&str, &str)] = &[
    ("DSN", "memory"),
    ("SERVE_PUBLIC_BASE_URL", "https://id.example.org/"),
    ("SELFSERVICE_DEFAULT_BROWSER_RETURN_URL", "https://www.example.org/"),
    ("SELFSERVICE_ALLOWED_RETURN_URLS", "https://www.example.org/"),
    ("SELFSERVICE_FLOWS_SETTINGS_UI_URL", "https://www.example.org/settings"),
    ("SECRETS_COOKIE", "cookie-secret-from-the-environment"),
    ("SECRETS_DEFAULT", "default-secret-from-the-environment"),
    (
        "SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS",
        r#"[{"id":"hub","provider":"generic","client_id":"c1","client_secret":"s1","issuer_url":"https://login.example.net/","mapper_url":"base64://e30=","scope":["openid","email"]}]"#,
    ),
];

#[test]
fn a_tutorial_file_starts_and_its_cheap_hashing_is_raised() {
    let dev = load_fixture("tutorial.yml", &[], true);
    assert_eq!(dev.config.hashers.bcrypt_cost, 8);
    assert!(!keys(&dev).contains(&"hashers.bcrypt.cost"));
    let production = load_fixture("tutorial.yml", &[], false);
    assert_eq!(production.config.hashers.bcrypt_cost, 12);
    assert_eq!(keys(&production).iter().filter(|key| **key == "hashers.bcrypt.cost").count(), 1);
    let methods = &production.config.selfservice.methods;
    assert!(methods.profile_enabled && methods.password.enabled && !methods.totp.enabled && !methods.oidc.enabled);
}

#[test]
fn second_factors_and_their_hooks_are_read() {
    let loaded = load_fixture("second-factors.yml", &[], true);
    let selfservice = &loaded.config.selfservice;
    assert!(selfservice.methods.totp.enabled && selfservice.methods.lookup_secret_enabled && selfservice.methods.code.enabled);
    assert_eq!(selfservice.methods.totp.issuer, "Blue Garden");
    assert_eq!(selfservice.flows.registration.flow.after.hooks_for("password").len(), 2);
}

#[test]
fn a_skeleton_is_completed_by_the_environment() {
    let loaded = load_fixture("environment.yml", ENVIRONMENT, false);
    let methods = &loaded.config.selfservice.methods;
    assert!(!methods.password.enabled && methods.oidc.enabled);
    assert_eq!(loaded.config.session.lifespan, keyward_model::Span::hours(720));
    assert_eq!(loaded.config.public.base_url.as_str(), "https://id.example.org/");
    let shown = loaded.effective.masked().to_string();
    assert!(
        shown.contains("\"client_id\":\"c1\"") && !shown.contains("s1") && !shown.contains("from-the-environment"),
        "{shown}"
    );

    let missing = try_text("environment.yml", &text_of("environment.yml"), &[], false).expect_err("nothing says where to go");
    let keys: Vec<_> = missing.0.iter().map(|problem| problem.key.as_str()).collect();
    assert!(keys.contains(&"dsn") && keys.contains(&"selfservice.default_browser_return_url"), "{keys:?}");
}

#[test]
fn development_mode_in_the_file_is_said_once() {
    let loaded = load_fixture("native-app.yml", &[], false);
    assert!(loaded.config.dev);
    assert_eq!(keys(&loaded).iter().filter(|key| **key == "dev").count(), 1, "{:?}", advice(&loaded));
    let urls = &loaded.config.selfservice.return_urls;
    for (target, allowed) in
        [("exp://localhost:8081/--/Callback", true), ("/dashboard/x", true), ("exp://localhost:8081/--/Callback2", false)]
    {
        assert_eq!(urls.resolve(Some(target)).is_ok(), allowed, "{target}");
    }
}

#[test]
fn a_platform_file_gets_two_hints_and_no_password_back() {
    let loaded = load_fixture("platform.yml", &[("DSN", "memory")], false);
    assert_eq!(keys(&loaded), ["session.cookie.domain", "courier.smtp.connection_uri"], "{:?}", advice(&loaded));
    let said = format!("{:?}", advice(&loaded));
    assert!(said.contains("%40") && !said.contains("password@smtp"), "{said}");
    let mended = text_of("platform.yml").replace("dev@mail.example.org:", "dev%40mail.example.org:");
    let mended = try_text("platform.yml", &mended, &[], false).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(keys(&mended), ["session.cookie.domain"]);
}

#[test]
fn a_file_with_many_hooks_starts_with_its_two_hints() {
    let loaded = load_fixture("hooks.yml", &[], false);
    let said = advice(&loaded);
    assert_eq!(said.iter().filter(|(_, message)| message.contains("legacy_ssl")).count(), 1, "{said:?}");
    assert_eq!(said.iter().filter(|(key, _)| *key == "hashers.argon2").count(), 1, "{said:?}");
    assert_eq!(loaded.config.hashers.algorithm, keyward_config::HashAlgorithm::Bcrypt);
    let after = &loaded.config.selfservice.flows.login.after;
    assert_eq!((after.hooks_for("password").len(), after.hooks_for("oidc").len()), (1, 1));
    assert_ne!(after.hooks_for("password"), after.hooks_for("oidc"));
    assert_eq!(loaded.config.public_url("/self-service/login"), "http://localhost:3000/ory/public/self-service/login");
}

#[test]
fn origins_that_match_nothing_are_named() {
    let loaded = load_fixture("token-clients.yml", &[], true);
    assert_eq!(
        keys(&loaded),
        ["serve.public.cors.allowed_origins.1", "serve.public.cors.allowed_origins.3"],
        "{:?}",
        advice(&loaded)
    );
    assert!(loaded.config.selfservice.flows.error_ui_url.as_str().ends_with("/ui/error"));
}

#[test]
fn the_old_single_origin_still_works() {
    let loaded = load_fixture("behind-ui.yml", &[], true);
    let old: Vec<_> = loaded.warnings.iter().filter(|warning| warning.kind == WarningKind::Deprecated).collect();
    assert_eq!(
        old.iter().map(|warning| warning.key.as_str()).collect::<Vec<_>>(),
        ["selfservice.methods.webauthn.config.rp.origin"]
    );
    assert_eq!(loaded.config.selfservice.methods.webauthn.relying_party.origins, ["http://localhost:3000"]);
    let urls = &loaded.config.selfservice.return_urls;
    for (target, allowed) in [
        ("http://localhost:3000/dashboard", true),
        ("http://localhost:3000/dashboard/x?y=1", true),
        ("http://localhost:3000/dashboards", false),
        ("http://localhost:3000/", false),
    ] {
        assert_eq!(urls.resolve(Some(target)).is_ok(), allowed, "{target}");
    }
}

/// Editors judge by the schema what the checker judges at start, so both have to agree.
#[test]
fn the_schema_accepts_what_starts_and_refuses_what_does_not() {
    let validator = jsonschema::validator_for(&json_schema()).expect("the schema is a schema");
    for name in [
        "tutorial.yml",
        "second-factors.yml",
        "environment.yml",
        "native-app.yml",
        "platform.yml",
        "hooks.yml",
        "token-clients.yml",
        "behind-ui.yml",
        "settings-document.yml",
        "all-methods.json",
    ] {
        let environment = if name == "environment.yml" { ENVIRONMENT } else { &[] };
        let document = load_fixture(name, environment, true).effective.reveal().clone();
        let complaints: Vec<_> =
            validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(complaints, [""; 0], "{name}");
    }
    let base = load_fixture("tutorial.yml", &[], true).effective.reveal().clone();
    for (pointer, value) in [
        ("/serve/public/prot", serde_json::json!(4433)),
        ("/serve/public/port", serde_json::json!(70_000)),
        ("/session", serde_json::json!({ "lifespan": "1 day" })),
        ("/hashers/algorithm", serde_json::json!("md5")),
        ("/secrets/cipher", serde_json::json!(["short"])),
        ("/selfservice/flows/login/after", serde_json::json!({ "hooks": [{ "hok": "session" }] })),
    ] {
        let mut document = base.clone();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let parent = document.pointer_mut(parent).and_then(serde_json::Value::as_object_mut).expect("an object");
        parent.insert(name.to_owned(), value);
        assert!(!validator.is_valid(&document), "{pointer}");
        assert!(try_text("changed.json", &document.to_string(), &[], true).is_err(), "{pointer}");
    }
}
