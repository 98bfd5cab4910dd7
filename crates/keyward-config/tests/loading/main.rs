//! Loading as the binary does it: files, environment and flags in, settings or every mistake out.

mod mistakes;
mod providers;

use std::collections::BTreeMap;

use keyward_config::{
    ClaimsSource, Config, ConfigErrors, DEFAULT_SCHEMA, Flags, HashAlgorithm, Hook, Limits, Loaded, LogFormat, LogLevel,
    Quickstart, Reauthentication, SameSite, Source, SubjectSource, WarningKind, load,
};
use keyward_model::{RequiredAal, Secret, Span};

const BASE: &str = "\
dsn: memory
secrets:
  default: [a-secret-that-only-this-test-knows]
identity:
  schemas: [{id: default, url: \"base64://e30=\"}]
selfservice:
  default_browser_return_url: https://www.example.org/
  flows: {registration: {style: unified}}
";

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn try_load(texts: &[&str], environment: &[(&str, &str)], dev: bool) -> Result<Loaded, ConfigErrors> {
    let sources: Vec<Source> = texts.iter().enumerate().map(|(index, text)| source(&format!("{index}.yml"), text)).collect();
    load(&sources, &variables(environment), &Flags { dev, hostname: Some("box".to_owned()), cpus: 4 })
}

fn loaded(texts: &[&str]) -> Loaded {
    try_load(texts, &[], false).unwrap_or_else(|errors| panic!("{errors}"))
}

fn config(texts: &[&str]) -> Config {
    loaded(texts).config
}

fn mistakes(texts: &[&str], environment: &[(&str, &str)]) -> Vec<String> {
    match try_load(texts, environment, false) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    }
}

fn fixture(name: &str) -> Source {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    source(name, &std::fs::read_to_string(path).unwrap_or_default())
}

#[test]
fn defaults_are_filled_in() {
    let Loaded { config, warnings, generated_secrets_needed, .. } = loaded(&[BASE]);
    assert_eq!(warnings, []);
    assert!(!generated_secrets_needed && !config.dev);
    assert_eq!(config.public.base_url.as_str(), "https://box:4433/");
    assert_eq!((config.public.host.as_str(), config.public.port, config.admin.port), ("0.0.0.0", 4433, 4434));
    assert_eq!(config.public.body_limit, 1 << 20);
    assert!(config.public.cors.is_none());
    let trusts = |address: &str| {
        let address = address.parse().unwrap_or_else(|error| panic!("{error}"));
        config.public.trusted_proxies.iter().any(|network| network.contains(address))
    };
    assert!(trusts("127.0.0.1") && trusts("192.168.3.4") && trusts("::1") && !trusts("203.0.113.9"));
    assert_eq!((config.log.level, config.log.format), (LogLevel::Info, LogFormat::Text));
    assert_eq!((config.hashers.algorithm, config.hashers.bcrypt_cost), (HashAlgorithm::Bcrypt, 12));
    let argon2 = config.hashers.argon2;
    assert_eq!(
        (argon2.memory_kib, argon2.iterations, argon2.parallelism, argon2.salt_length, argon2.key_length),
        (131_072, 1, 8, 16, 32)
    );
    assert_eq!((config.cookies.path.as_str(), config.cookies.same_site, config.cookies.secure), ("/", SameSite::Lax, true));
    assert_eq!(config.session.lifespan, Span::hours(24));
    assert_eq!(config.session.earliest_possible_extend, Span::hours(24));
    assert_eq!(config.session.cookie_name, "ory_kratos_session");
    assert_eq!(config.session.whoami_required_aal, RequiredAal::HighestAvailable);
    assert!(config.session.cookie_persistent && config.session.cookie.secure);
    assert!(config.factor_changes_require_aal2 && !config.mitigate_account_enumeration);
    let flows = &config.selfservice.flows;
    for (url, path) in [
        (&flows.login.ui_url, "login"),
        (&flows.registration.flow.ui_url, "registration"),
        (&flows.settings.flow.ui_url, "settings"),
        (&flows.error_ui_url, "error"),
        (&flows.recovery.flow.ui_url, "recovery"),
        (&flows.verification.flow.ui_url, "verification"),
    ] {
        assert_eq!(url.as_str(), format!("https://box:4433/ui/{path}"));
    }
    assert_eq!((flows.settings.flow.lifespan, flows.settings.privileged_session_max_age), (Span::hours(1), Span::hours(1)));
    assert_eq!(flows.settings.required_aal, RequiredAal::HighestAvailable);
    assert_eq!(flows.settings.reauthentication, Reauthentication::Any);
    assert_eq!(flows.logout.default_browser_return_url, "https://www.example.org/");
    assert!(flows.registration.enabled && !flows.recovery.enabled && !flows.verification.enabled);
    let methods = &config.selfservice.methods;
    assert!(methods.profile_enabled && methods.password.enabled && methods.code.enabled);
    assert!(!methods.totp.enabled && !methods.oidc.enabled && !methods.lookup_secret_enabled && !methods.link.enabled);
    assert_eq!(methods.password.min_password_length, 8);
    assert!(methods.totp.issue_lookup_secrets && methods.webauthn.api_flows && methods.link.confirm);
    assert_eq!(methods.totp.issuer, "box");
    assert_eq!(methods.webauthn.relying_party.origins, ["https://box:4433", "https://box"]);
}

#[test]
fn tokenizer_templates_are_read_and_judged() {
    let text = "\
session: {whoami: {tokenizer: {templates: {
  plain: {jwks_url: 'file:///keys.json'},
  full: {jwks_url: 'base64://Y2FuYXJ5', claims_mapper_url: 'https://a.example/m.jsonnet', ttl: 10m, subject_source: external_id}}}}}
";
    let Loaded { config, warnings, .. } = loaded(&[BASE, text]);
    assert_eq!(warnings, []);
    let [plain, full] = config.session.tokenizers.as_slice() else { panic!("{:?}", config.session.tokenizers) };
    assert_eq!((plain.name.as_str(), plain.ttl, plain.subject_source), ("plain", Span::minutes(1), SubjectSource::Id));
    assert!(plain.claims_mapper.is_none() && plain.jwks.url.reveal() == "file:///keys.json");
    assert_eq!((full.ttl, full.subject_source), (Span::minutes(10), SubjectSource::ExternalId));
    assert_eq!(full.claims_mapper.as_ref().map(|mapper| mapper.url.reveal().as_str()), Some("https://a.example/m.jsonnet"));
    assert!(!format!("{config:?}").contains("Y2FuYXJ5"), "key sets may stand in the address");

    let text = "\
session:
  whoami:
    tokenizer:
      templates:
        a: {ttl: 5m}
        b:
          jwks_url: ftp://a.example/keys
          claims_mapper_url: /etc/mapper.jsonnet
        c: {jwks_url: 'file:///k', subject_source: email, ttl: 0s, mapper: x}
";
    let found = mistakes(&[BASE, text], &[]);
    let key = "session.whoami.tokenizer.templates";
    for start in [
        format!("1.yml:5: {key}.a.jwks_url: is required"),
        format!("1.yml:7: {key}.b.jwks_url: expected a URL that begins with file://"),
        format!("1.yml:8: {key}.b.claims_mapper_url: expected a URL that begins with file://"),
        format!("1.yml:9: {key}.c.subject_source: expected one of id, external_id"),
        format!("1.yml:9: {key}.c.ttl: expected at least one second"),
        format!("1.yml:9: {key}.c.mapper: there is no such key"),
    ] {
        assert!(found.iter().any(|mistake| mistake.starts_with(&start)), "{start}\n{found:#?}");
    }
    assert_eq!(found.len(), 6, "{found:#?}");
}

#[test]
fn limits_are_read() {
    assert_eq!(config(&[BASE]).limits, Limits::default());
    let text = "security: {limits: {sessions_per_identity: 3, url_bytes: 2048, traits_depth: 2}}\n";
    let limits = config(&[BASE, text]).limits;
    let expected = Limits { sessions_per_identity: 3, url_bytes: 2_048, traits_depth: 2, ..Limits::default() };
    assert_eq!(limits, expected);
    let text = "security: {limits: {sessions_per_identity: 0, traits_depth: 17, headers: 1000}}\n";
    assert_eq!(mistakes(&[BASE, text], &[]).len(), 3);
}

#[test]
fn our_own_keys_are_read() {
    let text = "\
serve: {trusted_proxies: [203.0.113.0/24], public: {body_limit: 2048}}
security: {factor_changes_require_aal2: false}
ui: {brand: {name: Blue Garden}}
hashers: {algorithm: argon2, argon2: {memory: 64MB, iterations: 3, parallelism: 2}}
selfservice:
  flows: {settings: {required_aal: aal2, reauthentication: same_aal, privileged_session_max_age: 0s}}
  methods:
    totp: {config: {issue_lookup_secrets: false}}
    webauthn: {config: {api_flows: false}}
    link: {config: {confirm: false}}
";
    let Loaded { config, warnings, .. } = loaded(&[BASE, text]);
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!((warning.kind, warning.key.as_str()), (WarningKind::Advice, "security.factor_changes_require_aal2"));
    assert_eq!(warning.place.to_string(), "1.yml:2");
    assert_eq!(config.public.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["203.0.113.0/24"]);
    assert_eq!((config.public.body_limit, config.brand_name.as_str()), (2048, "Blue Garden"));
    assert!(!config.factor_changes_require_aal2);
    let argon2 = config.hashers.argon2;
    assert_eq!((argon2.memory_kib, argon2.iterations, argon2.parallelism), (65_536, 3, 2));
    let settings = &config.selfservice.flows.settings;
    assert_eq!((settings.required_aal, settings.reauthentication), (RequiredAal::Aal2, Reauthentication::SameAal));
    assert_eq!(settings.privileged_session_max_age, Span::ZERO);
    let methods = &config.selfservice.methods;
    assert!(!methods.totp.issue_lookup_secrets && !methods.webauthn.api_flows && !methods.link.confirm);
}

#[test]
fn later_files_win_key_by_key_and_the_environment_wins_over_all() {
    let first = "log: {level: debug, format: json}\nselfservice: {allowed_return_urls: [\"https://a.example/\", \"https://b.example/\"]}\n";
    let second = "log: {level: error}\nselfservice: {allowed_return_urls: [\"https://c.example/\"]}\nsession: ~\n";
    let merged = config(&[BASE, first, second]);
    assert_eq!((merged.log.level, merged.log.format), (LogLevel::Error, LogFormat::Json));
    let allowed = |config: &Config, url: &str| config.selfservice.return_urls.resolve(Some(url)).is_ok();
    assert!(allowed(&merged, "https://c.example/") && !allowed(&merged, "https://a.example/"));
    let environment = [("LOG_LEVEL", "trace"), ("SELFSERVICE_ALLOWED_RETURN_URLS", ""), ("SESSION_LIFESPAN", "48h")];
    let over = try_load(&[BASE, first, second], &environment, false).unwrap_or_else(|errors| panic!("{errors}")).config;
    assert_eq!((over.log.level, over.session.lifespan), (LogLevel::Trace, Span::hours(48)));
    assert!(!allowed(&over, "https://c.example/"));
    // Files of different languages merge as well.
    let sources = [source("a.yml", BASE), source("b.json", "{\"log\": {\"level\": \"warning\"}}")];
    let mixed = load(&sources, &BTreeMap::new(), &Flags::default()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(mixed.config.log.level, LogLevel::Warn);
    assert_eq!(mixed.config.public.base_url.as_str(), "https://localhost:4433/");
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "\
selfservice:
  flows:
    login: &common {lifespan: 10m}
    settings:
      <<: *common
      privileged_session_max_age: 15m
";
    let flows = config(&[BASE, text]).selfservice.flows;
    assert_eq!((flows.login.lifespan, flows.settings.flow.lifespan), (Span::minutes(10), Span::minutes(10)));
}

#[test]
fn hooks_are_typed_and_kept_out_of_wrong_lists() {
    let path = |list: &str, hooks: &str| {
        let mut text = String::from("selfservice:\n  flows:\n");
        for (depth, segment) in list.split('.').enumerate() {
            text.push_str(&format!("{}{segment}:\n", " ".repeat(4 + 2 * depth)));
        }
        text.push_str(&format!("{}hooks: [{hooks}]\n", " ".repeat(4 + 2 * list.split('.').count())));
        text
    };
    let web_hook = "{hook: web_hook, config: {url: \"http://h/\", method: POST, response: {parse: true}}}";
    for (list, hooks, warnings) in [
        ("registration.after.password", "{hook: session}", 0),
        ("settings.after.password", "{hook: revoke_active_sessions}", 0),
        ("login.after", "{hook: revoke_active_sessions}", 0),
        ("login.after.code", "{hook: verification}", 2),
        ("login.after.password", "{hook: require_verified_address}", 1),
        ("login.after.password", "{hook: show_verification_ui}", 1),
        ("settings.after.profile", "{hook: notify_previous_addresses}", 0),
        ("settings.after.profile", "{hook: verify_new_address}, {hook: notify_previous_addresses, config: {recipients: all}}", 1),
        ("settings.before", web_hook, 1),
        ("registration.after", web_hook, 1),
        ("registration.after", "{hook: b2b_sso, config: {anything: 1}}", 1),
        ("login.after.oidc", "{hook: organization}", 1),
        ("recovery.after", "{hook: revoke_active_sessions}", 0),
    ] {
        let text = path(list, hooks);
        let said = loaded(&[BASE, &text]).warnings;
        assert_eq!(said.len(), warnings, "{text}{said:#?}");
    }
    for (list, hooks, expected) in [
        (
            "settings.after.password",
            "{hook: session}",
            "cannot stand in this list; it takes revoke_active_sessions, verification, verify, web_hook",
        ),
        ("settings.after", "{hook: revoke_active_sessions}", "cannot stand in this list; it takes web_hook"),
        ("login.before", "{hook: session}", "cannot stand"),
        ("login.after.oidc", "{hook: verification}", "cannot stand"),
        ("registration.after.password", "{hook: sesion}", "there is no hook \"sesion\""),
        ("registration.after.password", "{hook: two_step_registration}", "there is no hook"),
        ("registration.after.password", "{hook: session}, {hook: session}", "twice"),
        ("registration.after.password", "session", "expected an object with the key hook, found text"),
        ("registration.after.password", "{hok: session}", "expected an entry with the key hook"),
        ("login.before", "{hook: web_hook, config: {method: POST}}", "a web hook needs this key"),
        ("login.before", "{hook: web_hook, config: {url: a, method: POST, responce: {}}}", "did you mean response?"),
        (
            "login.before",
            "{hook: web_hook, config: {url: a, method: POST, response: {ignore: true, parse: true}}}",
            "at the same time",
        ),
    ] {
        let text = path(list, hooks);
        let found = mistakes(&[BASE, &text], &[]);
        let line = text.lines().count();
        let [mistake] = found.as_slice() else { panic!("{text}{found:#?}") };
        assert!(
            mistake.starts_with(&format!("1.yml:{line}: selfservice.flows.{list}.hooks")) && mistake.contains(expected),
            "{mistake}"
        );
    }
    let text = path("registration.after.password", &format!("{{hook: session}}, {web_hook}"));
    let after = config(&[BASE, &text]).selfservice.flows.registration.flow.after;
    let [Hook::WebHook(raw), Hook::Session] = after.hooks_for("password") else { panic!("{after:?}") };
    assert_eq!(raw.reveal().pointer("/response/parse"), Some(&true.into()));
    assert!(after.hooks_for("oidc").is_empty());
}

#[test]
fn a_method_list_shadows_the_global_one() {
    let text = "\
selfservice:
  flows:
    login:
      after:
        default_browser_return_url: /all
        hooks: [{hook: revoke_active_sessions}]
        password: {hooks: [{hook: require_verified_address}]}
        oidc: {default_browser_return_url: /social}
";
    let after = config(&[BASE, text]).selfservice.flows.login.after;
    assert_eq!(after.hooks_for("password"), [Hook::RequireVerifiedAddress]);
    assert_eq!(after.hooks_for("oidc"), [Hook::RevokeActiveSessions]);
    assert_eq!((after.return_url("oidc"), after.return_url("password")), (Some("/social"), Some("/all")));
}

#[test]
fn base_urls_keep_their_text() {
    for (written, joined) in [
        ("http://localhost:4433/", "http://localhost:4433/self-service/settings"),
        ("http://localhost:4433", "http://localhost:4433/self-service/settings"),
        ("http://localhost:3000/.ory", "http://localhost:3000/.ory/self-service/settings"),
        ("HTTPS://ID.example.org/x/", "HTTPS://ID.example.org/x/self-service/settings"),
    ] {
        let config = config(&[BASE, &format!("serve: {{public: {{base_url: \"{written}\"}}}}\n")]);
        assert_eq!(config.public.base_url.as_str(), written);
        assert_eq!(config.public_url("/self-service/settings"), joined);
        assert_eq!(config.public_url("self-service/settings"), joined);
    }
}

#[test]
fn cookies_fall_back_to_the_shared_block() {
    let text = "\
serve: {public: {base_url: \"https://id.example.org/\"}}
cookies: {domain: example.org, path: /a, same_site: None}
session: {cookie: {name: sid, path: /b, same_site: Strict, secure: \"false\", persistent: false}}
";
    let session = config(&[BASE, text]).session;
    assert_eq!((session.cookie.domain.as_deref(), session.cookie.path.as_str()), (Some("example.org"), "/b"));
    assert_eq!((session.cookie.same_site, session.cookie.secure, session.cookie_persistent), (SameSite::Lax, false, false));
    let foreign = loaded(&[BASE, "serve: {public: {base_url: \"https://id.example.org/\"}}\ncookies: {domain: example.com}\n"]);
    assert_eq!(foreign.warnings.iter().map(|warning| warning.key.as_str()).collect::<Vec<_>>(), ["cookies.domain"]);
}

#[test]
fn the_settings_document_loads() {
    let source = fixture("settings-document.yml");
    let Loaded { config, warnings, .. } =
        load(&[source], &BTreeMap::new(), &Flags::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let settings = &config.selfservice.flows.settings;
    assert_eq!(settings.required_aal, RequiredAal::Aal1);
    assert_eq!(settings.flow.lifespan, Span::hours(1));
    assert_eq!(settings.flow.ui_url.as_str(), "https://your-app.com/settings");
    assert_eq!(settings.flow.after.hooks_for("password"), [Hook::Verification]);
    assert_eq!(settings.flow.after.return_url("password"), Some("https://your-app.com/login"));
    assert_eq!(settings.flow.after.return_url("profile"), Some("https://your-app.com/"));
    // The hook needs mail: one line about the missing courier, one about the hook itself.
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
}

#[test]
fn a_configuration_with_every_method_loads() {
    let source = fixture("all-methods.json");
    let Loaded { config, warnings, .. } =
        load(&[source], &BTreeMap::new(), &Flags { dev: true, ..Flags::default() }).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(warnings.iter().all(|warning| warning.kind == WarningKind::NotYet), "{warnings:#?}");
    assert!(config.courier.delivers());
    assert_eq!(config.hashers.bcrypt_cost, 8);
    assert_eq!(config.public.base_url.as_str(), "http://localhost:4433/");
    assert_eq!(config.public.cors.map(|cors| cors.allowed_origins), Some(vec!["http://localhost:4455".to_owned()]));
    assert_eq!(config.session.whoami_required_aal, RequiredAal::Aal1);
    assert_eq!(config.selfservice.flows.registration.flow.after.hooks_for("oidc"), [Hook::Session]);
    assert!(config.feature_flags.use_continue_with_transitions && config.selfservice.methods.lookup_secret_enabled);
    assert_eq!(config.selfservice.methods.webauthn.relying_party.origins, ["http://localhost:4455"]);
    assert_eq!(config.selfservice.methods.oidc.providers[0].client_secret, Secret::new("walk-secret".to_owned()));
}

#[test]
fn providers_take_their_secrets_from_the_environment() {
    let text = "\
selfservice:
  methods: {oidc: {enabled: true, config: {providers: [{id: google, provider: google, mapper_url: \"base64://\"}]}}}
";
    let prefix = "SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS";
    let names = [format!("{prefix}_0_CLIENT_ID"), format!("{prefix}_0_CLIENT_SECRET"), format!("{prefix}_0_CLAIMS_SOURCE")];
    let environment = [(names[0].as_str(), "abc"), (names[1].as_str(), "s3cr3t"), (names[2].as_str(), "userinfo")];
    let config = try_load(&[BASE, text], &environment, false).unwrap_or_else(|errors| panic!("{errors}")).config;
    let [google] = config.selfservice.methods.oidc.providers.as_slice() else { panic!("one provider") };
    assert_eq!((google.client_id.as_str(), &google.client_secret), ("abc", &Secret::new("s3cr3t".to_owned())));
    assert_eq!(google.claims_source, ClaimsSource::Userinfo);
    assert_eq!(mistakes(&[BASE, text], &environment[1..]).len(), 1);
}

#[test]
fn the_quickstart_loads_without_a_word() {
    let quickstart = Quickstart {
        public_base_url: "http://localhost:4433/".to_owned(),
        public_listen: ("127.0.0.1".to_owned(), 4433),
        admin_base_url: "http://127.0.0.1:4434/".to_owned(),
        admin_listen: ("127.0.0.1".to_owned(), 4434),
        data_dir: "/tmp/a \"folder\": x".to_owned(),
        schema_url: "base64://e30=".to_owned(),
        secret: Secret::new("0123456789abcdef0123456789abcdef".to_owned()),
    };
    let Loaded { config, warnings, generated_secrets_needed, .. } = loaded(&[&quickstart.text()]);
    assert_eq!(warnings, []);
    assert!(!generated_secrets_needed && !config.dev && !config.cookies.secure && !config.session.cookie.secure);
    assert_eq!(config.dsn.reveal(), "sqlite:///tmp/a \"folder\": x/keyward.sqlite?_fk=true");
    assert!(config.mitigate_account_enumeration);
    assert_eq!(config.selfservice.methods.code.lifespan, Span::minutes(15));
    assert_eq!(config.selfservice.methods.link.lifespan, Span::minutes(15));
    let settings = &config.selfservice.flows.settings;
    assert_eq!(settings.reauthentication, Reauthentication::SameAal);
    assert_eq!(settings.flow.after.hooks_for("password"), [Hook::RevokeActiveSessions]);
    assert_eq!(config.selfservice.flows.registration.flow.after.hooks_for("password"), [Hook::Session]);
    assert!(
        config.selfservice.methods.password.haveibeenpwned_enabled && config.selfservice.methods.password.ignore_network_errors
    );
    assert_eq!(config.selfservice.default_browser_return_url.as_str(), "http://localhost:4433/ui/settings");
    assert!(config.selfservice.return_urls.resolve(Some("/ui/settings")).is_ok());
    assert!(!format!("{quickstart:?}").contains("0123456789abcdef"));
    let schema: serde_json::Value = serde_json::from_str(DEFAULT_SCHEMA).unwrap_or_default();
    assert_eq!(schema.pointer("/properties/traits/required/0"), Some(&"email".into()));
}
