//! What is refused or warned about, in which words, and that no secret is among them.

use super::*;

#[test]
fn each_mistake_names_its_place_and_what_would_be_right() {
    let table: &[(&str, &str)] = &[
        (
            "selfservice:\n  flows:\n    setings: {}\n",
            "1.yml:3: selfservice.flows.setings: there is no such key; did you mean settings?",
        ),
        ("logg: {level: debug}\n", "1.yml:1: logg: there is no such key; did you mean log?"),
        (
            "selfservice:\n  flows:\n    privileged_session_max_age: 1h\n",
            "1.yml:3: selfservice.flows.privileged_session_max_age: there is no such key; did you mean \
             selfservice.flows.settings.privileged_session_max_age?",
        ),
        (
            "session:\n  lifespan: 3 days\n",
            "1.yml:2: session.lifespan: expected a duration such as 30s, 15m or 1h30m, found \"3 days\"",
        ),
        (
            "session:\n  lifespan: 3600\n",
            "1.yml:2: session.lifespan: expected a duration such as 30s, 15m or 1h30m, found a whole number",
        ),
        ("log: debug\n", "1.yml:1: log: expected an object, found text"),
        (
            "log:\n  level: loud\n",
            "1.yml:2: log.level: expected one of trace, debug, info, warn, warning, error, fatal, panic, found \"loud\"",
        ),
        (
            "serve:\n  public:\n    port: 70000\n",
            "1.yml:3: serve.public.port: expected a whole number from 1 to 65535, found 70000",
        ),
        (
            "serve:\n  public:\n    port: \"80\"\n",
            "1.yml:3: serve.public.port: expected a whole number from 1 to 65535, found text",
        ),
        ("dev: yes\n", "1.yml:1: dev: expected true or false, found text"),
        (
            "selfservice:\n  allowed_return_urls: https://a/\n",
            "1.yml:2: selfservice.allowed_return_urls: expected a list of texts, found text",
        ),
        (
            "selfservice:\n  allowed_return_urls:\n    - 7\n",
            "1.yml:3: selfservice.allowed_return_urls.0: expected text, found a whole number",
        ),
        (
            "secrets:\n  cookie: [12345678901234567]\n",
            "1.yml:2: secrets.cookie.0: expected text, found a whole number; put it in quotes",
        ),
        ("secrets:\n  cookie:\n    - supersecret\n", "1.yml:3: secrets.cookie.0: has 11 characters, at least 16 are needed"),
        (
            "secrets:\n  cipher: [only-31-characters-long-secret!]\n",
            "1.yml:2: secrets.cipher.0: has 31 characters, exactly 32 are needed",
        ),
        (
            "secrets:\n  cookie: [PLEASE-CHANGE-ME-I-AM-VERY-INSECURE]\n",
            "1.yml:2: secrets.cookie.0: this is the placeholder of an example file",
        ),
        ("dsn: mysql://u:p@tcp(h:3306)/db\n", "1.yml:1: dsn: MySQL is not supported"),
        ("dsn: oracle://x\n", "1.yml:1: dsn: expected memory, sqlite://…, or postgres://…"),
        ("hashers: {argon2: {memory: lots}}\n", "1.yml:1: hashers.argon2.memory: expected a size such as 64MB, found \"lots\""),
        ("hashers: {argon2: {memory: 2GB}}\n", "1.yml:1: hashers.argon2.memory: expected a size of at most 1GB"),
        (
            "serve: {public: {base_url: \"https://u:p@id.example.org/\"}}\n",
            "1.yml:1: serve.public.base_url: expected an http or https URL",
        ),
        (
            "serve: {public: {base_url: id.example.org}}\n",
            "1.yml:1: serve.public.base_url: expected an absolute URL, found other text",
        ),
        ("serve: {public: {tls: {cert: {path: a.pem}}}}\n", "1.yml:1: serve.public.tls: certificate and key are needed together"),
        ("serve: {trusted_proxies: [10.0.0.0/40]}\n", "1.yml:1: serve.trusted_proxies.0: expected an IP address or a network"),
        (
            "identity: {default_schema_id: other}\n",
            "1.yml:1: identity.default_schema_id: there is no schema \"other\"; known are default",
        ),
        ("identity: {schemas: [{id: default}]}\n", "1.yml:1: identity.schemas.0.url: is required for every schema"),
        (
            "selfservice: {flows: {login: {ui_url: \"javascript:alert(1)\"}}}\n",
            "1.yml:1: selfservice.flows.login.ui_url: expected",
        ),
        (
            "selfservice: {methods: {code: {passwordless_enabled: true, mfa_enabled: true}}}\n",
            "1.yml:1: selfservice.methods.code.mfa_enabled: a code cannot",
        ),
        (
            "selfservice:\n  methods:\n    oidc:\n      enabled: true\n      config:\n        providers:\n          - id: a\n            provider: google\n            client_id: b\n",
            "1.yml:7: selfservice.methods.oidc.config.providers.0.mapper_url: is required for every provider",
        ),
        ("a: 1\na: 2\n", "1.yml:2: this is not valid YAML"),
        ("- a\n", "1.yml:1: a configuration file is an object of keys"),
    ];
    for (text, expected) in table {
        let found = mistakes(&[BASE, text], &[]);
        let [mistake] = found.as_slice() else { panic!("{text:?}: {found:?}") };
        assert!(mistake.starts_with(expected), "{text:?}\n  {mistake}\n  {expected}");
    }
}

#[test]
fn mistakes_of_the_environment_name_the_variable() {
    for (name, value, expected) in [
        ("SESSION_LIFESPAN", "soon", "session.lifespan: expected a duration"),
        ("SERVE_PUBLIC_PORT", "http", "serve.public.port: expected a whole number"),
        ("COOKIES_SAME_SITE", "none", "cookies.same_site: expected one of Strict, Lax, None, found \"none\""),
        ("SECRETS_DEFAULT", "long-enough-for-a-secret,short", "secrets.default.1: has 5 characters"),
        ("DEV", "maybe", "dev: expected true or false"),
        (
            "SELFSERVICE_FLOWS_SETTINGS_AFTER",
            "{\"pasword\":{}}",
            "selfservice.flows.settings.after.pasword: there is no such key; did you mean password?",
        ),
    ] {
        let found = mistakes(&[BASE], &[(name, value)]);
        let [mistake] = found.as_slice() else { panic!("{name}: {found:?}") };
        assert!(mistake.starts_with(&format!("environment variable {name}: {expected}")), "{mistake}");
    }
}

#[test]
fn all_mistakes_come_at_once_in_the_order_of_the_files() {
    let found =
        mistakes(&["dsn: 5\nlog: {levle: info}\n", "selfservice:\n  flows:\n    login: {lifespan: 1 h}\n"], &[("DEV", "x")]);
    let starts: Vec<&str> = found.iter().map(|line| line.split(": ").nth(1).unwrap_or_default()).collect();
    assert_eq!(
        starts,
        [
            "dsn",
            "log.levle",
            "selfservice.flows.login.lifespan",
            "dev",
            "selfservice.default_browser_return_url",
            "identity.schemas",
            "secrets"
        ],
        "{found:#?}"
    );
    // A skeleton without its variables: both required keys are named together.
    let found =
        mistakes(&["secrets: {cookie: [a-long-enough-secret]}\nidentity: {schemas: [{id: default, url: \"file://x\"}]}\n"], &[]);
    assert!(found.len() == 2 && found[0].contains("dsn") && found[1].contains("default_browser_return_url"), "{found:?}");
}

#[test]
fn keys_without_effect_warn_once_and_only_when_switched_on() {
    let silent = "\
selfservice:
  methods: {link: {enabled: false}, totp: {config: {issuer: x}}, oidc: {enabled: false, config: {providers: []}}}
  flows: {recovery: {enabled: false, ui_url: \"https://a/\"}, verification: {ui_url: \"https://a/\"}}
clients: {http: {disallow_private_ip_ranges: false}}
feature_flags: {cacheable_sessions: false}
log: {leak_sensitive_values: false}
version: v1.0.0
$schema: https://example.org/x
";
    assert_eq!(loaded(&[BASE, silent]).warnings, []);
    let loud = "\
selfservice:
  methods:
    link: {enabled: true}
    b2b: {config: {organizations: [{id: x}]}}
  whitelisted_return_urls: [\"https://old.example/\"]
tracing: {provider: jaeger, providers: {jaeger: {sampling: {trace_id_ratio: 0.5}}}}
log: {leak_sensitive_values: true}
ciphers: {algorithm: noop}
";
    let Loaded { config, warnings, .. } = loaded(&[BASE, loud]);
    let said: Vec<(String, WarningKind, &str)> =
        warnings.iter().map(|warning| (warning.place.to_string(), warning.kind, warning.key.as_str())).collect();
    let expected = [
        ("1.yml:3", WarningKind::NotYet, "selfservice.methods.link"),
        ("1.yml:4", WarningKind::Commercial, "selfservice.methods.b2b"),
        ("1.yml:5", WarningKind::Deprecated, "selfservice.whitelisted_return_urls"),
        ("1.yml:6", WarningKind::NotYet, "tracing.providers.jaeger"),
        ("1.yml:7", WarningKind::Advice, "log.leak_sensitive_values"),
        ("1.yml:8", WarningKind::Advice, "ciphers.algorithm"),
    ];
    assert_eq!(said, expected.map(|(place, kind, key)| (place.to_owned(), kind, key)));
    assert_eq!(
        config.selfservice.return_urls.resolve(Some("https://old.example/x")),
        Ok(Some("https://old.example/x".to_owned()))
    );
}

#[test]
fn development_mode_relaxes_and_says_so() {
    let text = "hashers: {bcrypt: {cost: 4}}\n";
    let Loaded { config, warnings, .. } = loaded(&[BASE, text]);
    assert_eq!(config.hashers.bcrypt_cost, 12);
    assert_eq!(warnings.iter().map(|warning| warning.key.as_str()).collect::<Vec<_>>(), ["hashers.bcrypt.cost"]);
    let by_flag = try_load(&[BASE, text], &[], true).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(by_flag.config.dev && !by_flag.config.cookies.secure && by_flag.warnings.is_empty());
    assert_eq!(by_flag.config.hashers.bcrypt_cost, 4);
    assert_eq!(by_flag.config.public.base_url.as_str(), "http://box:4433/");
    let small = loaded(&[BASE, "hashers: {algorithm: argon2, argon2: {memory: 1MB}}\n"]);
    assert_eq!((small.config.hashers.argon2.memory_kib, small.warnings.len()), (19_456, 1));
    let plain = loaded(&[BASE, "serve: {public: {base_url: \"http://id.example.org/\"}}\n"]);
    assert_eq!(plain.warnings.iter().map(|warning| warning.key.as_str()).collect::<Vec<_>>(), ["serve.public.base_url"]);
    let by_file = loaded(&[BASE, "dev: true\n"]);
    assert!(by_file.config.dev);
    assert_eq!(by_file.warnings.iter().map(|warning| warning.key.as_str()).collect::<Vec<_>>(), ["dev"]);
}

#[test]
fn secrets_may_be_missing_only_in_development() {
    let text = BASE.replace("secrets:\n  default: [a-secret-that-only-this-test-knows]\n", "");
    let found = mistakes(&[&text], &[]);
    assert!(
        matches!(found.as_slice(), [line] if line.starts_with("configuration: secrets: at least one secret is required")),
        "{found:?}"
    );
    let dev = try_load(&[&text], &[], true).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(dev.generated_secrets_needed && dev.config.secrets.is_empty());
    for key in ["SECRETS_DEFAULT", "SECRETS_COOKIE", "SECRETS_CIPHER"] {
        let loaded =
            try_load(&[&text], &[(key, "exactly-32-characters-for-a-test")], false).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(!loaded.generated_secrets_needed, "{key}");
    }
    let placeholder = "secrets: {cookie: [PLEASE-CHANGE-ME-I-AM-VERY-INSECURE]}\n";
    assert!(try_load(&[BASE, placeholder], &[], true).is_ok());
}

#[test]
fn no_secret_is_ever_printed() {
    let text = "\
dsn: postgres://keyward:HUNTER2@db/keyward
secrets: {cookie: [HUNTER2-HUNTER2-HUNTER2], cipher: [HUNTER2-HUNTER2-HUNTER2-HUNTER2-]}
courier: {smtp: {connection_uri: \"smtp://me@example.org:HUNTER2@mail.example.org\"}}
selfservice:
  methods: {oidc: {enabled: true, config: {providers: [{id: a, provider: google, client_id: b, client_secret: HUNTER2, mapper_url: \"base64://\"}]}}}
  flows: {login: {before: {hooks: [{hook: web_hook, config: {url: \"http://h\", method: POST, auth: {type: api_key, config: {name: X, value: HUNTER2, in: header}}}}]}}}
";
    let loaded = loaded(&[BASE, text]);
    let printed = format!("{loaded:?}");
    assert!(!printed.contains("HUNTER2"), "{printed}");
    assert_eq!(loaded.config.dsn.reveal(), "postgres://keyward:HUNTER2@db/keyward");
    assert!(loaded.warnings.iter().any(|warning| warning.message.contains("%40")));
    // Values that ended up in the wrong place are not repeated either.
    for text in [
        "dsn: HUNTER2\n",
        "secrets: {cookie: HUNTER2}\n",
        "secrets: {cookie: [HUNTER2]}\n",
        "serve: {public: {base_url: HUNTER2}}\n",
        "courier: {smtp: {connection_uri: HUNTER2}}\n",
        "log: HUNTER2\n",
        "serve: {public: {cors: {enabled: HUNTER2}}}\n",
    ] {
        let found = mistakes(&[BASE, text], &[]);
        assert!(!found.is_empty() && !found.join("\n").contains("HUNTER2"), "{text}: {found:?}");
    }
}
