//! Limits, headers, cookies, redirects and refusals that do not depend on who is asking.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::response::Response;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use keyward_model::Random;
use keyward_services::csrf::{CsrfBinding, CsrfCookie, csrf_cookie_name, csrf_token};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{BASE, Counting, JSON, app, ask, error, request, set_cookies, state, text};
use crate::{admin_router, app_state, public_router};

#[tokio::test]
async fn unknown_and_ambiguous_addresses_are_404_as_plain_text() {
    let public = public_router(state().await);
    for path in ["/no-such-route", "/self-service//settings/browser", "//sessions/whoami", "/self-service/settings/nope", "/"] {
        let answer = ask(&public, "GET", path, &[JSON], "").await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(answer.headers()["cache-control"], "private, no-cache, no-store, must-revalidate");
        assert_eq!(answer.headers()["vary"], "Origin, Cookie");
        assert_eq!(text(answer).await, "404 page not found\n");
    }
    assert_eq!(ask(&public, "PUT", "/sessions", &[JSON], "").await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_csrf_cookie_is_set_on_every_answer_of_a_guarded_path_and_nowhere_else() {
    let public = public_router(state().await);
    for (path, guarded) in [
        ("/no-such-route", true),
        ("/self-service/settings/browser", true),
        ("/self-service/settings/flows?id=x", true),
        ("/self-service/errors?id=stub:500", true),
        ("/schemas", true),
        ("/schemas/nope", false),
        ("/self-service/settings/api", false),
        ("/self-service/settings?flow=x", false),
        ("/sessions/whoami", false),
        ("/sessions", false),
        ("/health/alive", false),
    ] {
        let answer = ask(&public, "GET", path, &[JSON], "").await;
        let cookies = set_cookies(answer.headers());
        let expected = csrf_cookie_name(BASE);
        assert_eq!(cookies.iter().any(|cookie| cookie.starts_with(&expected)), guarded, "{path}: {cookies:?}");
        if let Some(cookie) = cookies.first() {
            assert!(
                cookie.contains("HttpOnly") && cookie.contains("Max-Age=31536000") && cookie.contains("SameSite=Lax"),
                "{cookie}"
            );
            assert!(CsrfCookie::parse(cookie[expected.len() + 1..].split(';').next().expect("a value")).is_some(), "{cookie}");
        }
    }
    // Who has one keeps it.
    let app = app(|_| {}).await;
    let pair = format!("{}={}", csrf_cookie_name(BASE), CsrfCookie::generate(app.random()).value());
    let answer = ask(&public, "GET", "/no-such-route", &[("cookie", &pair)], "").await;
    assert!(set_cookies(answer.headers()).is_empty());
    let answer = ask(&public, "GET", "/no-such-route", &[("cookie", &format!("{}=broken", csrf_cookie_name(BASE)))], "").await;
    assert_eq!(set_cookies(answer.headers()).len(), 1);
}

#[tokio::test]
async fn refusals_are_json_for_programs_and_a_stored_error_for_browsers() {
    let public = public_router(state().await);
    let answer = ask(&public, "POST", "/self-service/login", &[JSON, ("x-request-id", "r-7")], "").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let told = error(answer).await;
    assert_eq!(told["error"]["request"], "r-7");

    let headers = [("accept", "text/html"), ("x-request-id", "r-7")];
    let answer = ask(&public, "POST", "/self-service/login", &headers, "").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let location = answer.headers()[LOCATION].to_str().expect("text").to_owned();
    let id = location.strip_prefix("http://ui.test/error?id=").expect("the error page");
    assert_eq!(text(answer).await, "", "answers to POST carry no page");
    let stored = ask(&public, "GET", &format!("/self-service/errors?id={id}"), &[JSON], "").await;
    let stored: Value = serde_json::from_str(&text(stored).await).expect("JSON");
    assert_eq!(stored["error"], told["error"], "the page is shown what a program is told");
    assert_eq!(stored["id"], id);

    let answer = ask(&public, "GET", "/self-service/errors?id=00000000-0000-4000-8000-000000000001", &[JSON], "").await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(error(answer).await["error"].get("reason").is_none());
}

#[tokio::test]
async fn who_is_not_signed_in_learns_it_in_the_way_of_each_endpoint() {
    let public = public_router(state().await);
    let flow = "00000000-0000-4000-8000-000000000001";
    for (method, path, accept, status, expected) in [
        ("GET", "/sessions/whoami", "application/json", 401, ""),
        ("DELETE", "/sessions/whoami", "text/html", 401, ""),
        ("GET", "/sessions", "text/html", 401, "session_inactive"),
        ("DELETE", "/sessions/nope", "application/json", 401, "session_inactive"),
        ("GET", "/self-service/settings/api", "text/html", 401, "session_inactive"),
        ("GET", "/self-service/settings/browser", "application/json", 401, "session_inactive"),
        (
            "GET",
            "/self-service/settings/browser?return_to=http%3A%2F%2Fapp.test%2F",
            "text/html",
            303,
            "http://id.test/self-service/login/browser?return_to=http%3A%2F%2Fapp.test%2F",
        ),
        ("GET", &format!("/self-service/settings/flows?id={flow}"), "text/html", 302, "http://ui.test/login"),
        ("GET", &format!("/self-service/settings/flows?id={flow}"), "application/json", 401, "session_inactive"),
        ("POST", &format!("/self-service/settings?flow={flow}"), "text/html", 302, "http://ui.test/login"),
        ("GET", "/self-service/logout/browser", "application/json", 401, "session_inactive"),
    ] {
        let answer = ask(&public, method, path, &[("accept", accept)], "").await;
        assert_eq!(answer.status(), status, "{method} {path}");
        if let Some(location) = answer.headers().get(LOCATION) {
            assert_eq!(location, expected, "{method} {path}");
        } else {
            let told = error(answer).await;
            assert_eq!(told["error"]["id"].as_str().unwrap_or_default(), expected, "{method} {path}");
            let wrapped = path.starts_with("/self-service/settings/browser");
            assert_eq!(told.get("CredentialsMissing"), wrapped.then_some(&Value::Bool(false)), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn limits_are_kept_with_an_error_body() {
    let public = public_router(state().await);
    let long = format!("/self-service/errors?id={}", "x".repeat(9_000));
    assert_eq!(ask(&public, "GET", &long, &[], "").await.status(), StatusCode::URI_TOO_LONG);
    let big = "y".repeat(17_000);
    let answer = ask(&public, "GET", "/sessions/whoami", &[("cookie", &big)], "").await;
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(!text(answer).await.contains("yyy"), "nothing is echoed");
    let names: Vec<String> = (0..101).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(ask(&public, "GET", "/sessions/whoami", &many, "").await.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let body = format!("{{\"password\":\"{}\"}}", "z".repeat(3_000));
    let headers = [JSON, ("content-type", "application/json")];
    let answer = ask(&public, "POST", "/self-service/login?flow=00000000-0000-4000-8000-000000000001", &headers, &body).await;
    assert_eq!(error(answer).await["error"]["code"], 413);
}

#[tokio::test]
async fn what_must_stand_once_or_never_in_a_query_is_refused() {
    let public = public_router(state().await);
    let flow = "00000000-0000-4000-8000-000000000001";
    for query in [
        format!("flow={flow}&flow={flow}"),
        format!("flow={flow}&return_to=a&return_to=b"),
        format!("flow={flow}&csrf_token=a&csrf_token=b"),
        format!("flow={flow}&method=password&password=secret"),
        format!("flow={flow}&totp_code=123456"),
        format!("flow={flow}&passkey_login={{}}").replace(['{', '}'], "%7B"),
    ] {
        for method in ["GET", "POST"] {
            let answer = ask(&public, method, &format!("/self-service/login?{query}"), &[JSON], "").await;
            let told = error(answer).await;
            assert_eq!(told["error"]["code"], 400, "{method} {query}");
            assert!(!told.to_string().contains("secret"), "credentials are not echoed");
        }
    }
}

#[tokio::test]
async fn forms_outside_of_flows_need_cookie_token_and_origin() {
    let app = app(|_| {}).await;
    let cookie = CsrfCookie::generate(app.random());
    let pair = format!("{}={}", csrf_cookie_name(BASE), cookie.value());
    let token = csrf_token(&app.keys, &cookie, CsrfBinding::Anonymous, app.random());
    let other = csrf_token(&app.keys, &CsrfCookie::generate(app.random()), CsrfBinding::Anonymous, app.random());
    let form = |token: &str| url::form_urlencoded::Serializer::new(String::new()).append_pair("csrf_token", token).finish();
    let public = public_router(app_state(app));
    let path = "/ui/sessions/end-others";
    for (headers, body, passes) in [
        (vec![("cookie", pair.as_str())], form(&token), true),
        (vec![("cookie", &pair), ("origin", BASE)], form(&token), true),
        (vec![("cookie", &pair), ("origin", "http://ui.test")], form(&token), true),
        (vec![("cookie", &pair), ("x-csrf-token", &token)], String::new(), true),
        (vec![("cookie", &pair), ("origin", "https://id.test")], form(&token), false),
        (vec![("cookie", &pair), ("origin", "http://evil.test")], form(&token), false),
        (vec![("cookie", &pair), ("sec-fetch-site", "cross-site")], form(&token), false),
        (vec![("cookie", &pair), ("origin", "null")], form(&token), false),
        (vec![("cookie", &pair)], form(&other), false),
        (vec![("cookie", &pair)], String::new(), false),
        (vec![("cookie", "a=b")], form(&token), false),
        (vec![], form(&token), false),
    ] {
        let mut headers = headers;
        headers.extend([JSON, ("content-type", "application/x-www-form-urlencoded")]);
        let answer = ask(&public, "POST", path, &headers, &body).await;
        if passes {
            // Nobody is signed in, so the page leads to the sign-in.
            assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{headers:?}");
        } else {
            assert_eq!(error(answer).await["error"]["id"], "security_csrf_violation", "{headers:?}");
        }
    }
}

#[tokio::test]
async fn the_two_ports_send_strangers_to_each_other() {
    let state = state().await;
    let (public, admin) = (public_router(Arc::clone(&state)), admin_router(state));
    for (router, method, path, location) in [
        (&public, "GET", "/admin/identities?page_size=1", "http://admin.test/admin/identities?page_size=1"),
        (&public, "DELETE", "/identities/1/sessions", "http://admin.test/admin/identities/1/sessions"),
        (&admin, "GET", "/self-service/login/browser?refresh=true", "http://id.test/self-service/login/browser?refresh=true"),
        (&admin, "POST", "/admin/self-service/settings?flow=1", "http://id.test/self-service/settings?flow=1"),
        (&admin, "GET", "/admin/sessions/whoami", "http://id.test/sessions/whoami"),
        (&admin, "DELETE", "/sessions", "http://id.test/sessions"),
        (&admin, "GET", "/schemas/default", "http://id.test/schemas/default"),
    ] {
        let answer = ask(router, method, path, &[JSON], "").await;
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT, "{method} {path}");
        assert_eq!(answer.headers()[LOCATION], location);
        assert!(set_cookies(answer.headers()).is_empty(), "{path}");
        let page = if method == "GET" { format!("<a href=\"{location}\">Temporary Redirect</a>.\n\n") } else { String::new() };
        assert_eq!(text(answer).await, page);
    }
    assert_eq!(ask(&public, "GET", "/admin/health/ready", &[], "").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn health_version_and_schemas_are_there_on_their_ports() {
    let state = state().await;
    let (public, admin) = (public_router(Arc::clone(&state)), admin_router(state));
    for (router, path) in [(&public, ""), (&admin, ""), (&admin, "/admin")] {
        for (name, body) in [("alive", "{\"status\":\"ok\"}"), ("ready", "{\"status\":\"ok\"}")] {
            let answer = ask(router, "GET", &format!("{path}/health/{name}"), &[], "").await;
            assert_eq!((answer.status(), text(answer).await.as_str()), (StatusCode::OK, body));
        }
        let answer = ask(router, "GET", &format!("{path}/version"), &[], "").await;
        assert_eq!(text(answer).await, json!({ "version": env!("CARGO_PKG_VERSION") }).to_string());
    }
    let answer = ask(&public, "GET", "/schemas", &[], "").await;
    assert_eq!(answer.headers()["x-total-count"], "1");
    assert!(answer.headers()["link"].to_str().expect("text").ends_with("rel=\"first\""));
    let list: Value = serde_json::from_str(&text(answer).await).expect("JSON");
    assert_eq!(list[0]["id"], "default");
    for id in ["default", "ZGVmYXVsdA"] {
        let answer = ask(&public, "GET", &format!("/schemas/{id}"), &[], "").await;
        let schema: Value = serde_json::from_str(&text(answer).await).expect("JSON");
        assert_eq!(schema, list[0]["schema"]);
    }
    assert_eq!(error(ask(&public, "GET", "/schemas/nope", &[], "").await).await["error"]["code"], 404);
    let answer = ask(&public, "GET", "/.well-known/change-password", &[], "").await;
    assert_eq!(
        (answer.status(), &answer.headers()[LOCATION]),
        (StatusCode::SEE_OTHER, &HeaderValue::from_static("http://ui.test/settings"))
    );
}

#[tokio::test]
async fn allowed_origins_may_read_answers_and_others_may_not() {
    let public = public_router(state().await);
    for (origin, allowed) in [("http://app.test", true), ("http://evil.test", false)] {
        let answer = ask(&public, "GET", "/sessions/whoami", &[("origin", origin)], "").await;
        assert_eq!(answer.headers().get("access-control-allow-origin").is_some_and(|value| value == origin), allowed);
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        let answer = ask(&public, "OPTIONS", "/self-service/login", &headers, "").await;
        assert_eq!(answer.headers().contains_key("access-control-allow-methods"), allowed);
    }
}

#[tokio::test]
async fn a_reload_reaches_the_next_request() {
    let state = state().await;
    let public = public_router(Arc::clone(&state));
    let location = |answer: Response| answer.headers()[LOCATION].clone();
    assert_eq!(location(ask(&public, "GET", "/.well-known/change-password", &[], "").await), "http://ui.test/settings");
    let renewed = app(|document| document["selfservice"]["flows"]["settings"]["ui_url"] = json!("http://new.test/account")).await;
    state.store(Arc::new(renewed));
    assert_eq!(location(ask(&public, "GET", "/.well-known/change-password", &[], "").await), "http://new.test/account");
}

#[tokio::test]
async fn the_built_in_pages_are_served_under_their_policy() {
    let built_in = app(|document| {
        document["selfservice"]["flows"] = json!({ "error": { "ui_url": "http://id.test/ui/error" } });
    })
    .await;
    let public = public_router(app_state(built_in));
    let answer = ask(&public, "GET", "/", &[], "").await;
    assert_eq!(answer.headers()[LOCATION], "http://id.test/ui/");
    for (path, status) in [("/ui/", 200), ("/ui/nope", 404), ("/ui/error?id=nope", 404), ("/ui/signed-out", 200)] {
        let answer = ask(&public, "GET", path, &[("accept", "text/html")], "").await;
        assert_eq!(answer.status(), status, "{path}");
        let headers = answer.headers();
        assert_eq!(headers[CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
        let policy = headers["content-security-policy"].to_str().expect("text");
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self' http://app.test http://id.test"),
            "{policy}"
        );
        assert!(headers.contains_key("permissions-policy") && headers["x-frame-options"] == "DENY");
    }
    // A page without a flow starts one, a new flow is drawn.
    let answer = ask(&public, "GET", "/ui/login", &[("accept", "text/html")], "").await;
    assert_eq!(answer.headers()[LOCATION], "http://id.test/self-service/login/browser");
    let answer = ask(&public, "GET", "/self-service/login/browser", &[("accept", "text/html")], "").await;
    let page = answer.headers()[LOCATION].to_str().expect("text").strip_prefix(BASE).expect("our own page").to_owned();
    assert!(page.starts_with("/ui/login?flow="));
    let cookie = set_cookies(answer.headers()).remove(0);
    let pair = cookie.split(';').next().expect("a pair");
    let answer = ask(&public, "GET", &page, &[("accept", "text/html"), ("cookie", pair)], "").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(text(answer).await.contains("csrf_token"));
    // Another browser gets a flow of its own; one that keeps no cookies is not sent in circles.
    let stranger =
        format!("{}={}", csrf_cookie_name(BASE), CsrfCookie::generate(&Counting(AtomicU64::new(9_000)) as &dyn Random).value());
    let answer = ask(&public, "GET", &page, &[("accept", "text/html"), ("cookie", &stranger)], "").await;
    assert_eq!(answer.headers()[LOCATION], "http://id.test/self-service/login/browser");
    let answer = ask(&public, "GET", &page, &[("accept", "text/html")], "").await;
    assert!(answer.headers()[LOCATION].to_str().expect("text").starts_with("http://id.test/ui/error?id="));
    let asset = format!("/ui/assets/{}", keyward_pages::stylesheet_name());
    let answer = ask(&public, "GET", &asset, &[], "").await;
    assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable");
    assert!(set_cookies(answer.headers()).is_empty() && !answer.headers().contains_key("vary"));
}

/// Headers that the server reads, and one that it does not.
const READ: [&str; 14] = [
    "accept",
    "content-type",
    "cookie",
    "authorization",
    "x-session-token",
    "origin",
    "sec-fetch-site",
    "sec-fetch-mode",
    "accept-language",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-request-id",
    "content-length",
    "x-other",
];

#[test]
fn garbage_in_headers_and_queries_is_never_our_fault() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let state = runtime.block_on(state());
    let public = public_router(state);
    let header = (0..READ.len(), prop::collection::vec(prop_oneof![32..=126_u8, 128..=255_u8, Just(b'\t')], 0..80));
    let path = prop::sample::select(vec![
        "/sessions/whoami",
        "/self-service/settings/browser",
        "/self-service/login/browser",
        "/self-service/login",
        "/self-service/logout/browser",
        "/self-service/errors",
        "/sessions",
        "/schemas",
        "/ui/login",
        "/nope",
    ]);
    let known = "[ -~]{0,40}";
    let inputs =
        (path, prop::collection::vec(header, 0..6), known, prop::sample::select(vec!["GET", "POST", "DELETE"]), "[ -~]{0,60}");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&inputs, |(path, headers, query, method, body)| {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", &query).finish();
        let mut asked = request(method, &format!("{path}?{query}"), &[], &body);
        *asked.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
        for (name, value) in headers {
            asked.headers_mut().append(HeaderName::from_static(READ[name]), HeaderValue::from_bytes(&value).expect("a value"));
        }
        let status = runtime.block_on(public.clone().oneshot(asked)).expect("routers do not fail").status();
        prop_assert!(!status.is_server_error(), "{method} {path}: {status}");
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test]
async fn a_panic_costs_its_own_request_only() {
    async fn broken() {
        panic!("on purpose");
    }
    let front = crate::state::Front::new(state().await);
    let router = Router::new()
        .route("/broken", axum::routing::get(broken))
        .route("/sound", axum::routing::get(|| async { "sound" }))
        .layer(axum::middleware::from_fn_with_state(front, crate::front::public));
    let told = error(ask(&router, "GET", "/broken", &[("x-request-id", "r-1")], "").await).await;
    assert_eq!((&told["error"]["code"], &told["error"]["request"]), (&json!(500), &json!("r-1")));
    assert!(!told.to_string().contains("on purpose"));
    assert_eq!(ask(&router, "GET", "/sound", &[], "").await.status(), StatusCode::OK);
}

/// A server on two real ports; the public one admits so many connections.
async fn served(connections: u64) -> (std::net::SocketAddr, tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listen = || tokio::net::TcpListener::bind("127.0.0.1:0");
    let (public, admin) = (listen().await.expect("a port"), listen().await.expect("a port"));
    let address = public.local_addr().expect("an address");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let state = app_state(app(|document| document["serve"]["public"]["connections"] = connections.into()).await);
    let serving = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        crate::serve(public, admin, state, stopped).await.expect("an orderly end");
    });
    (address, stop, serving)
}

#[tokio::test]
async fn whoever_does_not_say_which_http_it_is_is_not_waited_for() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (address, stop, serving) = served(100).await;
    let started = tokio::time::Instant::now();
    let ends = ["", "P", "PRI * HTTP/2.0\r\n", "GET /health/alive HTT"].map(|begun| async move {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        stream.write_all(begun.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        // Closed with or without a word; what was sent and not read makes it a reset.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "), "{begun:?}: {}", String::from_utf8_lossy(&answer));
    });
    futures_util::future::join_all(ends).await;
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
    stop.send(()).expect("still serving");
    serving.await.expect("no panic");
}

#[tokio::test]
async fn a_connection_too_many_waits_for_a_place() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (address, stop, serving) = served(2).await;
    let ask = async || {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        stream.write_all(b"GET /health/alive HTTP/1.1\r\nhost: id.test\r\n\r\n").await.expect("sent");
        stream
    };
    let (mut first, mut second) = (ask().await, ask().await);
    let mut answer = [0; 15];
    for open in [&mut first, &mut second] {
        open.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
    }
    let mut third = ask().await;
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), third.read_exact(&mut answer)).await;
    assert!(early.is_err(), "answered although every place is taken");
    drop(first);
    third.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    drop((second, third));
    stop.send(()).expect("still serving");
    serving.await.expect("no panic");
}

#[tokio::test]
async fn a_server_on_a_real_port_answers_and_stops() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listen = || tokio::net::TcpListener::bind("127.0.0.1:0");
    let (public, admin) = (listen().await.expect("a port"), listen().await.expect("a port"));
    let address = public.local_addr().expect("an address");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(crate::serve(public, admin, state().await, async {
        let _ = stopped.await;
    }));
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    stream.write_all(b"GET /health/alive HTTP/1.1\r\nhost: id.test\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("{\"status\":\"ok\"}"), "{answer}");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    let bomb = format!("GET / HTTP/1.1\r\nhost: id.test\r\ncookie: {}\r\n\r\n", "x".repeat(100 * 1_024));
    // The server may close before it has read everything.
    let _ = stream.write_all(bomb.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    stop.send(()).expect("still serving");
    serving.await.expect("no panic").expect("an orderly end");
}
