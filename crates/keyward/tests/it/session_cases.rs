//! Sessions from their owner's side: listing and ending them, leaving with a place to go, and the cookie that carries one.
//! Each test names the acceptance cases that it proves.
//! Operators' views of sessions are tested elsewhere.

use keyward_model::Span;
use keyward_testkit::{Actor, ClientKind, PASSWORD, Trial, flow_test};
use serde_json::json;

use crate::login_cases::{give_totp, with_totp};

// cases: L-83
#[flow_test(browser, spa)]
async fn logout_goes_where_it_was_told(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let prepare = async |query: &str| {
        let path = format!("/self-service/logout/browser?return_to={query}");
        ada.call("GET", &path).header("accept", "application/json").await
    };
    let refused = prepare("https%3A%2F%2Fevil.example").await.expect(400);
    assert_eq!(refused.error_id(), "self_service_flow_return_to_forbidden");
    let logout = prepare("http%3A%2F%2F127.0.0.1%3A4456%2Fbye").await.expect(200).json();
    let (url, token) = (logout["logout_url"].as_str().unwrap(), logout["logout_token"].as_str().unwrap());
    let expected = format!("{}/self-service/logout?token={token}&return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fbye", t.public());
    assert_eq!(url, expected);
    let reply = ada.call("GET", url).await;
    match t.client {
        ClientKind::Browser => assert_eq!(reply.expect(303).location(), "http://127.0.0.1:4456/bye"),
        ClientKind::Api | ClientKind::Spa => assert_eq!(reply.expect(204).body, b""),
    }
    ada.try_whoami().await.expect(401);
}

// cases: L-87, AC-15
#[flow_test(config = with_totp())]
async fn whoami_wants_the_second_factor_that_is_there(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    give_totp(&t, &ada).await;
    for path in ["/sessions/whoami", "/sessions"] {
        let reply = ada.call("GET", path).await.expect(403);
        assert_eq!(reply.error_id(), "session_aal2_required");
        let body = reply.json();
        let login = format!("{}/self-service/login/browser?aal=aal2", t.public());
        assert_eq!(body["redirect_browser_to"], login);
        assert_eq!(body["error"]["details"]["redirect_browser_to"], login);
        assert!(reply.header("x-kratos-authenticated-identity-id").is_none());
    }
    t.reconfigure(&json!({ "session": { "whoami": { "required_aal": "aal1" } } }));
    assert_eq!(ada.whoami().await["authenticator_assurance_level"], "aal1");
}

async fn session_id(person: &Actor) -> String {
    person.whoami().await["id"].as_str().unwrap().to_owned()
}

async fn others(person: &Actor) -> Vec<String> {
    let reply = person.call("GET", "/sessions").await.expect(200);
    let listed: Vec<_> =
        reply.json().as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reply.header("x-total-count"), Some(listed.len().to_string().as_str()));
    listed
}

// cases: L-90
#[flow_test]
async fn the_other_sessions(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let bob = t.signed_up("bob@example.org").await;
    let mut devices = vec![ada];
    for _ in 0..2 {
        // Newest first needs a difference.
        t.clock().advance(Span::seconds(1));
        devices.push(t.signed_in("ada@example.org").await);
    }
    let mut ids = Vec::new();
    for device in &devices {
        ids.push(session_id(device).await);
    }
    assert_eq!(others(&devices[0]).await, [ids[2].clone(), ids[1].clone()]);
    assert_eq!(others(&bob).await, [] as [String; 0]);

    let end = async |id: &str| devices[0].call("DELETE", &format!("/sessions/{id}")).await.status;
    assert_eq!(end(&ids[0]).await, 400, "the session in use");
    assert_eq!(end("not-a-uuid").await, 400);
    assert_eq!(end(&session_id(&bob).await).await, 204, "somebody else's");
    assert_eq!(end("4ed32dc4-4ee7-4ff5-9bc9-8a2a8b4e6a2f").await, 204, "nobody's");
    bob.whoami().await;
    assert_eq!(others(&devices[0]).await.len(), 2);

    let ended = devices[0].call("DELETE", "/sessions").await.expect(200).json();
    assert_eq!(ended, json!({ "count": 2 }));
    for device in &devices[1..] {
        device.try_whoami().await.expect(401);
    }
    assert_eq!(session_id(&devices[0]).await, ids[0]);
    bob.whoami().await;
    // Only what was alive is counted (decisions 8).
    let again = devices[0].call("DELETE", "/sessions").await.expect(200).json();
    assert_eq!(again, json!({ "count": 0 }));

    let later = t.signed_in("ada@example.org").await;
    assert_eq!(end(&session_id(&later).await).await, 204);
    later.try_whoami().await.expect(401);
    let nobody = t.person();
    for (method, path) in [("GET", "/sessions"), ("DELETE", "/sessions"), ("DELETE", "/sessions/not-a-uuid")] {
        assert_eq!(nobody.call(method, path).await.expect(401).error_id(), "session_inactive", "{method} {path}");
    }
}

// cases: L-94
#[flow_test(browser, spa)]
async fn every_issue_of_the_cookie_differs(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let mut cookies = vec![ada.cookie("ory_kratos_session").unwrap()];
    let id = session_id(&ada).await;
    for _ in 0..2 {
        let flow = ada.init("login", "refresh=true").await;
        let fields = json!({ "method": "password", "identifier": "ada@example.org", "password": PASSWORD });
        ada.submit(&flow, fields).await.done();
        let cookie = ada.cookie("ory_kratos_session").unwrap();
        assert!(!cookies.contains(&cookie));
        cookies.push(cookie);
        assert_eq!(session_id(&ada).await, id);
    }
    // Each of them is the same session.
    for cookie in cookies {
        ada.set_cookie("ory_kratos_session", &cookie);
        assert_eq!(session_id(&ada).await, id);
    }
}

/// The edge may keep an answer as long as the session or the configured age lasts, whichever ends first.
// cases: L-88
#[flow_test(config = json!({ "feature_flags": { "cacheable_sessions": true, "cacheable_sessions_max_age": "5m" } }))]
async fn an_edge_is_told_how_long_it_may_keep_an_answer(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let kept = async || ada.try_whoami().await.expect(200).header("ory-session-cache-for").map(str::to_owned);
    assert_eq!(kept().await.as_deref(), Some("300"));
    t.clock().advance(Span::from_micros(24 * 3_600_000_000 - 7_500_000));
    assert_eq!(kept().await.as_deref(), Some("7"));
    let nobody = t.person().call("GET", "/sessions/whoami").header("accept", "application/json").await.expect(401);
    assert_eq!(nobody.header("ory-session-cache-for"), Some("60"));
    let tokenized = ada.call("GET", "/sessions/whoami?tokenize_as=none").header("accept", "application/json").await;
    assert_eq!(tokenized.expect(400).header("ory-session-cache-for"), None);
}
