//! Requests that no client sends: disguised, monstrous and oversized bodies and headers, garbage where a value belongs.
//! Each is refused by the layers in front of the flows, echoes nothing and leaves what is stored as it was.
//! Who a well-formed request may act for stands in [`abuse`](super::abuse).

use std::io::{Read as _, Write as _};

use keyward_testkit::{ClientKind, Trial, database_test, flow_test};
use serde_json::json;

const ADA: &str = "ada@example.org";

/// One parser for each content type; what says one thing and is another, or says two things, is refused.
// cases: AC-107, AC-114
#[flow_test(api, spa)]
async fn disguised_and_monstrous_bodies_are_refused(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let flow = ada.init("settings", "").await;
    let before = t.snapshot(ada.id().await).await;
    let token = flow.csrf_token().unwrap_or_default();
    let good = json!({ "method": "profile", "traits": { "email": ADA, "nickname": "Mallory" }, "csrf_token": token }).to_string();
    let twice = good.replacen('{', "{\"method\":\"password\",", 1);
    let inner = good.replacen("\"nickname\"", "\"email\":\"owned@example.org\",\"nickname\"", 1);
    let nested =
        |depth: usize| format!("{{\"method\":\"profile\",\"traits\":{}1{}}}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let many = |separator: &str| (0..100_000).map(|number| format!("a{number}=1")).collect::<Vec<_>>().join(separator);
    let form = |field: &str| format!("method=profile&traits.email=ada%40example.org&traits.nickname=Mallory&{field}");
    let json_type = "application/json";
    let form_type = "application/x-www-form-urlencoded";
    for (kind, body) in [
        ("text/plain", good.clone()),
        ("text/plain; application/json", good.clone()),
        ("application/jsonp", good.clone()),
        (form_type, good.clone()),
        ("multipart/form-data; boundary=x", good.clone()),
        (json_type, form("x=1")),
        (json_type, twice),
        (json_type, inner),
        (json_type, format!("[{good}]")),
        (json_type, format!("{good}{good}")),
        (json_type, "\u{feff}{".to_owned()),
        (json_type, "null".to_owned()),
        (json_type, nested(17)),
        (json_type, nested(10_000)),
        (json_type, "[".repeat(100_000)),
        (form_type, format!("{}&{}", form("x=1"), many("&"))),
        (form_type, format!("method=profile&{}=1", vec!["traits"; 10_000].join("."))),
    ] {
        let call = ada.submit_call(&flow, json!({})).body(kind, body.clone());
        let reply = call.await;
        let start: String = body.chars().take(60).collect();
        assert!(matches!(reply.status, 400 | 403 | 413 | 415), "{kind} {start}: {reply:?}");
    }
    // Method overrides and sparse lists mean nothing.
    for field in ["_method=DELETE", "traits%5B999999999%5D=1", "traits.999999999=1", "traits.tags.999999999=1"] {
        let reply = ada.submit_call(&flow, json!({})).body(form_type, form(field)).await;
        assert!(reply.status < 500 && reply.body.len() < 100_000, "{field}: {}", reply.status);
        if t.client == ClientKind::Spa {
            assert!(matches!(reply.status, 400 | 403), "there is no token in it: {reply:?}");
        }
    }
    if t.client == ClientKind::Spa {
        assert_eq!(t.snapshot(ada.id().await).await, before);
    }
    // An override of the method by a header is none either.
    let reply = ada.call("POST", "/sessions").header("x-http-method-override", "DELETE").await;
    assert!(matches!(reply.status, 403..=405), "{reply:?}");
    ada.whoami().await;
}

// cases: AC-109
#[database_test(sqlite)]
async fn oversized_headers_are_refused_and_not_echoed(t: Trial) {
    let nobody = t.person();
    for path in ["/sessions/whoami", "/self-service/login/browser", "/ui/login", "/health/alive"] {
        for size in [20_000, 50_000] {
            let value = format!("a={}", "canary".repeat(size / 6));
            let reply = nobody.call("GET", path).header("cookie", &value).await;
            assert!(matches!(reply.status, 400 | 431), "{path}: {}", reply.status);
            assert!(!reply.text().contains("canary"), "{path}");
        }
        let mut call = nobody.call("GET", path);
        for number in 0..98 {
            call = call.header(&format!("x-header-{number}"), "canary").another_header("x-more", "canary");
        }
        let reply = call.await;
        assert!(matches!(reply.status, 400 | 431) && !reply.text().contains("canary"), "{path}: {reply:?}");
        let reply = nobody.call("GET", &format!("{path}?a={}", "canary".repeat(2_000))).await;
        assert!(matches!(reply.status, 400 | 414) && !reply.text().contains("canary"), "{path}: {}", reply.status);
    }
}

// cases: AC-111
#[database_test(sqlite)]
async fn garbage_in_headers_is_never_our_fault(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let token = ada.token().unwrap();
    let garbage: &[&[u8]] = &[
        b"",
        b" ",
        b",",
        b";",
        b"=",
        b"\"",
        b"%",
        b"%zz",
        b"\xff\xfe",
        b"\xc3\x28",
        b"Basic",
        b"Bearer",
        b"Bearer ",
        b"Basic !!!",
        b"(",
        b"\\",
        b"text/html;q=x,*/*;q=-1",
        b"a=b=c;;=;d",
        b"for=\"[::1",
        b"-1",
        b"1e999",
        b"bytes=9-1",
        b"/../..",
        b"http://[",
        b"null",
        b"\t\x0b",
    ];
    let names = [
        "Accept",
        "Accept-Language",
        "Authorization",
        "Content-Type",
        "Cookie",
        "Forwarded",
        "If-None-Match",
        "Origin",
        "Range",
        "Referer",
        "Sec-Fetch-Mode",
        "Sec-Fetch-Site",
        "User-Agent",
        "X-CSRF-Token",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Request-Id",
        "X-Session-Token",
        "True-Client-Ip",
        "Cf-Ipcountry",
        "Host",
    ];
    let address = t.public().strip_prefix("http://").unwrap().to_owned();
    let requests: Vec<Vec<u8>> = ["/sessions/whoami", "/self-service/settings/browser", "/ui/login"]
        .iter()
        .flat_map(|path| names.iter().map(move |name| (path, name)))
        .flat_map(|(path, name)| garbage.iter().map(move |value| (path, name, *value)))
        .map(|(path, name, value)| {
            let host = if *name == "Host" { "" } else { "Host: id.example\r\n" };
            let mut bytes = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n{name}: ").into_bytes();
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n\r\n");
            bytes
        })
        .collect();
    let statuses = tokio::task::spawn_blocking(move || {
        requests.into_iter().map(|request| (raw_status(&address, &request), request)).collect::<Vec<_>>()
    });
    for (status, request) in statuses.await.unwrap() {
        assert!((200..500).contains(&status), "{status}: {}", String::from_utf8_lossy(&request));
    }
    ada.set_token(Some(&token));
    ada.whoami().await;
}

/// PostgreSQL keeps no text with a zero in it; SQLite does. On both it finds nobody and is stored nowhere but inside of JSON.
#[database_test]
async fn a_zero_byte_is_a_mistake_of_the_client(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let (id, admin) = (ada.id().await, t.admin());
    for path in [
        "/admin/identities/by/external/a%00b".to_owned(),
        "/admin/identities?credentials_identifier=a%00b".to_owned(),
        "/admin/identities?credentials_identifier=ada%00@example.org".to_owned(),
        "/admin/identities?preview_credentials_identifier_similar=a%00b".to_owned(),
        "/admin/identities?page_token=a%00b".to_owned(),
        "/admin/sessions?page_token=YQBi".to_owned(),
        format!("/admin/identities/{id}?include_credential=a%00b"),
    ] {
        let reply = admin.call("GET", &path).await;
        assert!(matches!(reply.status, 200 | 400 | 404) && !reply.text().contains(ADA), "{path}: {reply:?}");
    }
    for (status, body) in [
        (400, json!({ "schema_id": "person", "traits": { "email": "a@example.org" }, "external_id": "a\0b" })),
        (400, json!({ "schema_id": "a\0b", "traits": { "email": "b@example.org" } })),
        (400, json!({ "schema_id": "person", "traits": { "email": "c\0@example.org" } })),
        (
            201,
            json!({ "schema_id": "person", "traits": { "email": "d@example.org", "nickname": "a\0b" }, "metadata_public": "\0" }),
        ),
    ] {
        admin.call("POST", "/admin/identities").json(&body).await.expect(status);
    }
    let put = json!({ "schema_id": "person", "traits": { "email": ADA }, "state": "active", "external_id": "\0" });
    admin.call("PUT", &format!("/admin/identities/{id}")).json(&put).await.expect(400);
    let patch = json!([{ "op": "add", "path": "/external_id", "value": "a\0b" }]);
    admin.call("PATCH", &format!("/admin/identities/{id}")).json(&patch).await.expect(400);
    let oidc = admin.call("DELETE", &format!("/admin/identities/{id}/credentials/oidc?identifier=a%00b")).await;
    assert!(matches!(oidc.status, 400 | 404), "{oidc:?}");
    let nobody = t.person();
    for identifier in ["\0", "a\0b", "ada\0@example.org", "ada@example.org\0"] {
        let flow = nobody.init("login", "").await;
        let fields = json!({ "method": "password", "identifier": identifier, "password": "a\0b" });
        nobody.submit(&flow, fields).await.form();
    }
}

/// Sends bytes as they are and yields the status of the answer.
fn raw_status(address: &str, request: &[u8]) -> u16 {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no answer: {text:?}"))
}
