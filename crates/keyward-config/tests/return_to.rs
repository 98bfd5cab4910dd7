//! Where browsers may be sent: listed addresses and generated tricks, and not one that leads elsewhere.

use std::collections::BTreeMap;

use keyward_config::{Config, Flags, ReturnToForbidden, Source, load};
use url::Url;

fn config(list: &[&str], extra: &str) -> Result<Config, String> {
    let list: Vec<String> = list.iter().map(|entry| serde_json::Value::from(*entry).to_string()).collect();
    let text = format!(
        "dsn: memory\nsecrets: {{default: [a-secret-that-only-this-test-knows]}}\n\
         identity: {{schemas: [{{id: default, url: \"base64://e30=\"}}]}}\n\
         serve: {{public: {{base_url: \"https://id.example.org/auth/\"}}}}\n\
         selfservice: {{default_browser_return_url: \"https://www.example.org/home\", allowed_return_urls: [{}]}}\n{extra}",
        list.join(", ")
    );
    let source = Source { name: "a.yml".to_owned(), text };
    load(&[source], &BTreeMap::new(), &Flags::default()).map(|loaded| loaded.config).map_err(|errors| errors.to_string())
}

const LIST: &[&str] = &[
    "https://www.example.org",
    "https://app.example.net/app",
    "https://app.example.net/dir/",
    "https://*.tenants.example.com/in",
    "http://127.0.0.1:3000",
    "http://[::1]:3000/x",
    "/dashboard",
    "exp://localhost:8081/--/Callback",
    "com.example.app:/signed-in",
    "https://bücher.example/",
];

fn standard() -> Config {
    config(LIST, "").unwrap_or_else(|errors| panic!("{errors}"))
}

/// Allowed candidates and the text that goes into the redirect.
const ALLOWED: &[(&str, &str)] = &[
    ("https://www.example.org", "https://www.example.org"),
    ("https://www.example.org/", "https://www.example.org/"),
    ("https://www.example.org/a/b?c=d#e", "https://www.example.org/a/b?c=d#e"),
    ("https://www.example.org?x=1", "https://www.example.org/?x=1"),
    ("HTTPS://WWW.EXAMPLE.ORG/A", "https://www.example.org/A"),
    ("https://www.example.org:443/a", "https://www.example.org/a"),
    ("https://www.example.org/a?next=https://evil.example/", "https://www.example.org/a?next=https://evil.example/"),
    ("https://www.example.org/a#@evil.example", "https://www.example.org/a#@evil.example"),
    ("https://www.example.org/%E2%82%AC", "https://www.example.org/%E2%82%AC"),
    ("https://www.example.org/a%2Fb", "https://www.example.org/a%2Fb"),
    ("https://www.example.org/a/../b", "https://www.example.org/b"),
    ("https://app.example.net/app", "https://app.example.net/app"),
    ("https://app.example.net/app/", "https://app.example.net/app/"),
    ("https://app.example.net/app/x?y#z", "https://app.example.net/app/x?y#z"),
    ("https://app.example.net/app?x", "https://app.example.net/app?x"),
    ("https://app.example.net/dir/", "https://app.example.net/dir/"),
    ("https://app.example.net/dir/x", "https://app.example.net/dir/x"),
    ("https://a.tenants.example.com/in", "https://a.tenants.example.com/in"),
    ("https://a.b.tenants.example.com/in/x", "https://a.b.tenants.example.com/in/x"),
    ("https://A.Tenants.Example.Com/in", "https://a.tenants.example.com/in"),
    ("http://127.0.0.1:3000/x", "http://127.0.0.1:3000/x"),
    ("http://[::1]:3000/x/y", "http://[::1]:3000/x/y"),
    ("/dashboard", "https://www.example.org/dashboard"),
    ("/dashboard/x?y=1#z", "https://www.example.org/dashboard/x?y=1#z"),
    ("/", "https://www.example.org/"),
    ("exp://localhost:8081/--/Callback", "exp://localhost:8081/--/Callback"),
    ("exp://localhost:8081/--/Callback/x?y", "exp://localhost:8081/--/Callback/x?y"),
    ("com.example.app:/signed-in", "com.example.app:/signed-in"),
    ("com.example.app:/signed-in?code=1", "com.example.app:/signed-in?code=1"),
    ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
    ("https://xn--bcher-kva.example/x", "https://xn--bcher-kva.example/x"),
    ("https://id.example.org/auth/self-service/settings/browser", "https://id.example.org/auth/self-service/settings/browser"),
    ("https://id.example.org/auth/self-service", "https://id.example.org/auth/self-service"),
];

#[test]
fn listed_addresses_pass() {
    let config = standard();
    for (candidate, expected) in ALLOWED {
        assert_eq!(config.selfservice.return_urls.resolve(Some(candidate)), Ok(Some((*expected).to_owned())), "{candidate}");
    }
    assert_eq!(config.selfservice.return_urls.resolve(None), Ok(None));
    assert_eq!(config.selfservice.return_urls.resolve(Some("")), Ok(None));
}

/// Refused as text: programs read these differently, or they lead nowhere.
const MALFORMED: &[&str] = &[
    "//evil.example",
    "//evil.example/dashboard",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    " //evil.example",
    " https://www.example.org/",
    "https://www.example.org/ ",
    "https://www.example.org/\r\nSet-Cookie: a=b",
    "https://www.example.org/\0",
    "https://www.example.org/\u{7f}",
    "https://www.example.org/a b",
    "ht\ntps://www.example.org/",
    "https:evil.example",
    "https:www.example.org",
    "https:/www.example.org",
    "https:///www.example.org",
    "https:\\\\www.example.org",
    "https://www.example.org\\@evil.example",
    "https://www.example.org\\.evil.example",
    "https://evil.example\\www.example.org",
    "https://user@www.example.org/",
    "https://user:pass@www.example.org/",
    "https://www.example.org@evil.example/",
    "https://www.example.org:pass@evil.example/",
    "https://@www.example.org/",
    "https://:@www.example.org/",
    "https://www.example.org%40evil.example/",
    "https://www%2eexample.org/",
    "https://www.example.org%2f.evil.example/",
    "https://www.example.org%00.evil.example/",
    "https://*.tenants.example.com/in",
    "https://www.example.org./",
    "https://.tenants.example.com/in",
    "https://a..tenants.example.com/in",
    "https://a$.tenants.example.com/in",
    "https://",
    "https://?",
    "https://#",
    "https://www.example.org:99999/",
    "https://www.example.org:abc/",
    "http://0x7f.0.0.1:3000/",
    "http://127.1:3000/",
    "http://2130706433:3000/",
    "http://0177.0.0.1:3000/",
    "http://127.0.0.1.:3000/",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "javascript:https://www.example.org/",
    "java\tscript:alert(1)",
    "javascript://www.example.org/%0aalert(1)",
    "data:text/html,x",
    "vbscript:x",
    "mailto:a@example.org",
    "about:blank",
    "blob:https://www.example.org/x",
    "com.example.app:signed-in",
    "dashboard",
    "dashboard/x",
    "?x=1",
    "#x",
    ".",
    "..",
    "./dashboard",
    "../dashboard",
    ":",
    "://www.example.org",
    "1https://www.example.org/",
    "https//www.example.org",
    "www.example.org",
    "evil.example",
    "[::1]",
    "https://[::1/",
    "https://www.example.org/\u{2028}",
    "https://www.example.org/\u{200b}",
    "https://www.example.org/\u{202e}",
    "https://www\u{ad}.example.org/",
    "/dashboard/..%2f..%2fadmin",
    "/dashboard/%2e%2e%2fadmin",
    "/dashboard/..%5cadmin",
    "/dashboard/..;/admin",
    "/dashboard/%2e%2e;x/admin",
    "/dashboard/%252e%252e%252fadmin",
    "/dashboard/%25252e%25252e%25252fadmin",
    "/dashboard/%0d%0aSet-Cookie:x",
    "/dashboard/%00",
    "/%2fevil.example",
    "/%5cevil.example",
    "https://www.example.org//evil.example",
    "https://www.example.org/%2fevil.example",
    "https://www.example.org/.//evil.example",
    "https://app.example.net/app/..%2fadmin",
    "https://app.example.net/app/%2e%2e%5cadmin",
];

/// Well-formed, but outside of the list.
const OUTSIDE: &[&str] = &[
    "https://evil.example/dashboard",
    "https://evil.example:443/dashboard",
    "https://www.example.com/",
    "https://www.example.orgg/",
    "https://ww.example.org/",
    "https://app.example.net.evil.example/app",
    "https://app.example.net:80/app",
    "https://app.example.net/app%2Dx/../../x",
    "https://app.example.net/./admin",
    "https://app.example.net/;/app",
    "https://a.tenants.example.org/in",
    "https://tenants.example.com.in/in",
    "http://www.example.org:443/",
    "exp://localhost/--/Callback",
    "myapp://callback",
    "https://evil.example/",
    "http://www.example.org/",
    "https://www.example.org:444/",
    "https://www.example.org.evil.example/",
    "https://evilwww.example.org/",
    "https://example.org/",
    "https://a.www.example.org/",
    "https://www-example.org/",
    "https://evil.example/?https://www.example.org/",
    "https://evil.example/#https://www.example.org/",
    "https://evil.example/www.example.org",
    "https://app.example.net/",
    "https://app.example.net/ap",
    "https://app.example.net/app-evil",
    "https://app.example.net/app.evil",
    "https://app.example.net/appx/y",
    "https://app.example.net/APP",
    "https://app.example.net/app/../admin",
    "https://app.example.net/app/%2e%2e/admin",
    "https://app.example.net/app/.%2E/admin",
    "https://app.example.net/%61dmin",
    "https://app.example.net/dir",
    "https://app.example.net/dirx/",
    "https://tenants.example.com/in",
    "https://eviltenants.example.com/in",
    "https://a.tenants.example.com/",
    "https://a.tenants.example.com/inn",
    "https://a.tenants.example.com:8443/in",
    "http://a.tenants.example.com/in",
    "https://a.tenants.example.com.evil.example/in",
    "http://127.0.0.1/",
    "http://127.0.0.1:3001/",
    "http://127.0.0.2:3000/",
    "https://127.0.0.1:3000/",
    "http://localhost:3000/",
    "http://[::1]:3000/",
    "http://[::1]:3000/xy",
    "http://[::1]/x",
    "http://[::ffff:127.0.0.1]:3000/",
    "exp://localhost:8081/--/Callback2",
    "exp://localhost:8081/--/callback",
    "exp://localhost:8082/--/Callback",
    "exp://evil:8081/--/Callback",
    "exps://localhost:8081/--/Callback",
    "com.example.app:/signed-in2",
    "com.example.app:/",
    "com.example.app://evil.example/signed-in",
    "com.example.app2:/signed-in",
    "javascript://www.example.org/alert(1)",
    "data://www.example.org/",
    "file:///etc/passwd",
    "ftp://www.example.org/",
    "ws://www.example.org/",
    "https://xn--bucher-kva.example/",
    "https://bucher.example/",
    "https://b\u{fc}cher.example.evil.example/",
    "https://www.ex\u{430}mple.org/",
    "https://id.example.org/",
    "https://id.example.org/auth/",
    "https://id.example.org/self-service/settings",
    "https://id.example.org/auth/self-service-evil",
    "https://id.example.org/auth/self-service/../admin",
    "https://id.example.org:4433/auth/self-service",
    "http://id.example.org/auth/self-service",
];

#[test]
fn tricks_and_strangers_are_refused() {
    let config = standard();
    let resolve = |candidate: &str| config.selfservice.return_urls.resolve(Some(candidate));
    for candidate in MALFORMED {
        assert_eq!(resolve(candidate), Err(ReturnToForbidden::Malformed), "{candidate:?}");
    }
    for candidate in OUTSIDE {
        assert_eq!(resolve(candidate), Err(ReturnToForbidden::NotAllowed), "{candidate:?}");
    }
    assert_eq!(resolve(&format!("https://www.example.org/{}", "a".repeat(9_000))), Err(ReturnToForbidden::Malformed));
    assert!(MALFORMED.len() + OUTSIDE.len() + ALLOWED.len() >= 200);
}

/// Every mixture of a good and a foreign host with the characters that parsers quarrel about. Whatever passes must, read by the
/// parser that browsers use, stay on the good host.
#[test]
fn no_combination_escapes() {
    let config = standard();
    let glue = [
        "", "/", "//", "\\", "@", ":", ":@", "#", "?", ".", ";", "%2f", "%5c", "%40", "%23", "%00", "%09", "\t", "\n", "\0", " ",
        "/.", "/..", "/%2e%2e/", "&", "\u{3002}", "\u{ff0f}", "\u{ff20}", "|", "[", "]", "*",
    ];
    let prefixes = ["https://", "HTTPS://", "https:", "https:/", "https:///", "//", "/\\", "/", "", "http://", "javascript:"];
    let (mut tried, mut passed) = (0, 0);
    for prefix in prefixes {
        for first in ["www.example.org", "evil.example", ""] {
            for middle in glue {
                for second in ["www.example.org", "evil.example", "evil.example/dashboard", ""] {
                    let candidate = format!("{prefix}{first}{middle}{second}");
                    tried += 1;
                    if let Ok(Some(target)) = config.selfservice.return_urls.resolve(Some(&candidate)) {
                        passed += 1;
                        let url = Url::parse(&target).unwrap_or_else(|error| panic!("{candidate:?} -> {target:?}: {error}"));
                        assert_eq!(
                            (url.scheme(), url.host_str(), url.port()),
                            ("https", Some("www.example.org"), None),
                            "{candidate:?}"
                        );
                        assert!(
                            url.username().is_empty() && url.password().is_none() && !url.path().starts_with("//"),
                            "{candidate:?}"
                        );
                        assert!(target.bytes().all(|byte| byte.is_ascii_graphic()) && !target.contains('\\'), "{candidate:?}");
                    }
                }
            }
        }
    }
    assert!(tried > 4_000 && passed > 20, "{tried} tried, {passed} passed");
}

#[test]
fn unsafe_entries_stop_the_start() {
    for entry in [
        "https://*",
        "https://*/",
        "https://*.com",
        "https://*.co.uk/",
        "https://*.github.io/",
        "https://*foo.com",
        "https://foo*.example.com",
        "https://foo.*.com",
        "https://*.*.example.com",
        "https://*.localhost",
        "http://*.127.0.0.1:3000",
        "https://*.127.1",
        "exp://*.example.com",
        "https://user@example.com",
        "javascript:alert(1)",
        "javascript://example.com/",
        "data:text/html,x",
        "//example.com",
        "example.com",
        "app:callback",
        "https://exa mple.com",
        "https://example.com\\x",
        "",
    ] {
        let error = config(&[entry], "").err().unwrap_or_else(|| panic!("{entry:?} was accepted"));
        assert!(error.starts_with("a.yml:5: selfservice.allowed_return_urls.0: "), "{entry:?}: {error}");
    }
    for entry in ["https://*.example.com", "https://*.example.co.uk:8443/a", "https://*.me.github.io/", "http://*.corp.internal"]
    {
        assert!(config(&[entry], "").is_ok(), "{entry}");
    }
}

#[test]
fn the_legacy_flag_obeys_unsafe_wildcards_with_a_warning() {
    let legacy = config(&["https://*foo.com/a", "https://*.co.uk"], "feature_flags: {legacy_allow_insecure_origins: true}\n")
        .unwrap_or_else(|errors| panic!("{errors}"));
    let resolve = |candidate: &str| legacy.selfservice.return_urls.resolve(Some(candidate)).is_ok();
    assert!(resolve("https://evilfoo.com/a") && resolve("https://shop.co.uk/"));
    assert!(!resolve("https://foo.org/a") && !resolve("https://evilfoo.com/b") && !resolve("http://shop.co.uk/"));
}

#[test]
fn an_empty_list_allows_only_our_own_pages() {
    let config = config(&[], "").unwrap_or_else(|errors| panic!("{errors}"));
    let resolve = |candidate: &str| config.selfservice.return_urls.resolve(Some(candidate));
    assert_eq!(resolve("https://www.example.org/home"), Err(ReturnToForbidden::NotAllowed));
    assert!(resolve("https://id.example.org/auth/self-service/login/browser").is_ok());
}

#[test]
fn the_target_after_success_is_the_first_that_is_set() {
    let text = "\
selfservice:
  default_browser_return_url: https://www.example.org/home
  allowed_return_urls: [\"https://www.example.org\"]
  flows: {settings: {after: {default_browser_return_url: /flow, password: {default_browser_return_url: /method}}}}
";
    let base = "dsn: memory\nsecrets: {default: [a-secret-that-only-this-test-knows]}\nidentity: {schemas: [{id: default, url: \"file://x\"}]}\n";
    let source = Source { name: "a.yml".to_owned(), text: format!("{base}{text}") };
    let config = load(&[source], &BTreeMap::new(), &Flags::default()).unwrap_or_else(|errors| panic!("{errors}")).config;
    let after = &config.selfservice.flows.settings.flow.after;
    let urls = &config.selfservice.return_urls;
    assert_eq!(urls.target(Some("/x"), after, "password"), Ok(Some("https://www.example.org/x".to_owned())));
    assert_eq!(urls.target(None, after, "password"), Ok(Some("/method".to_owned())));
    assert_eq!(urls.target(None, after, "totp"), Ok(Some("/flow".to_owned())));
    assert_eq!(urls.target(None, &config.selfservice.flows.login.after, "password"), Ok(None));
    assert_eq!(urls.target(Some("https://evil.example/"), after, "password"), Err(ReturnToForbidden::NotAllowed));
}
