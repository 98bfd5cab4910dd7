//! What happens to a submit whatever its method is: who may, to which flow, and where it ends.

use keyward_model::{Span, Time};
use keyward_testkit::{APP, Actor, Call, ClientKind, Flow, PASSWORD, Trial, UI, flow_test};
use serde_json::{Value, json};

/// A harmless change.
fn nickname(text: &str) -> Value {
    json!({ "method": "profile", "traits": { "email": "ada@example.org", "nickname": text } })
}

/// A submit of [`nickname`] to any address of this client's way of speaking.
fn post<'a>(ada: &'a Actor, address: &str) -> Call<'a> {
    let call = ada.call("POST", address);
    match ada.client {
        ClientKind::Api | ClientKind::Spa => call.json(&nickname("Ada")),
        ClientKind::Browser => call.form(&[("method".to_owned(), "profile".to_owned())]),
    }
}

async fn untouched(ada: &Actor) {
    assert!(ada.whoami().await["identity"]["traits"].get("nickname").is_none());
}

// cases: S-23
#[flow_test]
async fn without_a_session_nothing_is_submitted(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let call = ada.submit_call(&flow, nickname("Ada"));
    let call = match t.client {
        ClientKind::Api => call.no_header("x-session-token"),
        ClientKind::Browser | ClientKind::Spa => {
            let csrf = ada.cookie_names().into_iter().find(|name| name.starts_with("csrf_token_")).unwrap();
            let kept = format!("{csrf}={}", ada.cookie(&csrf).unwrap());
            call.header("cookie", &kept)
        }
    };
    let reply = call.await;
    match t.client {
        ClientKind::Browser => assert_eq!(reply.expect(302).location(), format!("{UI}/login")),
        ClientKind::Api | ClientKind::Spa => {
            let reply = reply.expect(401);
            assert_eq!(reply.error_id(), "session_inactive");
            assert_eq!(reply.set_cookie("ory_kratos_continuity"), None);
            if t.client == ClientKind::Api {
                assert_eq!(reply.set_cookies(), []);
            }
        }
    }
    untouched(&ada).await;
    assert_eq!(ada.refetch(&flow).await.all_messages(), []);
}

// cases: S-24, S-25, S-26, S-37
#[flow_test]
async fn a_flow_that_is_not_named_or_not_there(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    for (query, code) in [
        ("", 400),
        ("?flow=", 400),
        ("?flow=not-a-uuid", 400),
        ("?flow=4ed32dc4-4ee7-4ff5-9bc9-8a2a8b4e6a2f", 404),
        // A flow of another kind is no settings flow.
        (&format!("?flow={}", t.person().init("login", "").await.id()), 404),
    ] {
        let address = format!("/self-service/settings{query}");
        let reply = post(&ada, &address).await;
        let error = ada.understand(&flow, reply).await.problem(code);
        if code == 400 {
            assert!(error["reason"].as_str().unwrap().contains("flow"), "{query}: {error:#}");
        }
        // Whoever asks for JSON gets JSON, a form or not.
        let reply = post(&ada, &address).header("accept", "application/json").await.expect(code);
        assert_eq!(reply.json()["error"], error, "{query}");
    }
    untouched(&ada).await;
}

// cases: S-27, S-28
#[flow_test]
async fn an_expired_flow_is_replaced(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fback").await;
    t.clock().advance(Span::seconds(3_690));
    let submitted = ada.submit(&flow, nickname("Ada")).await;
    let fresh = if t.client == ClientKind::Browser {
        let fresh = submitted.form();
        assert_eq!(fresh.all_messages(), [(String::new(), 4_050_001)]);
        fresh
    } else {
        let body = submitted.reply.json();
        assert_eq!(submitted.problem(410)["id"], "self_service_flow_expired");
        assert_eq!(body["since"], 90_000_000_000_u64);
        let expired_at = Time::parse(body["expired_at"].as_str().unwrap());
        assert_eq!(expired_at, Time::parse(flow.json["expires_at"].as_str().unwrap()));
        let id = body["use_flow_id"].as_str().unwrap();
        Flow { kind: "settings".to_owned(), json: ada.fetch("settings", id).await.expect(200).json() }
    };
    assert_ne!(fresh.id(), flow.id());
    assert_eq!(fresh.json["type"], flow.json["type"]);
    assert_eq!(fresh.json["return_to"], format!("{APP}/back"));
    untouched(&ada).await;
    assert_eq!(ada.submit(&fresh, nickname("Ada")).await.saved().id(), fresh.id());
}

/// Before and after its expiry, and with a session that is too old: the owner comes first.
// cases: S-30
#[flow_test]
async fn somebody_elses_flow_is_refused(t: Trial) {
    let (ada, ben) = (t.signed_up("ada@example.org").await, t.signed_up("ben@example.org").await);
    let flow = ada.init("settings", "").await;
    let fields = json!({ "method": "profile", "traits": { "email": "mallory@example.org" } });
    for pass in [Span::seconds(1), Span::hours(2)] {
        t.clock().advance(pass);
        let submitted = ben.submit(&flow, fields.clone()).await;
        assert_eq!(submitted.reply.set_cookie("ory_kratos_continuity"), None);
        let error = submitted.problem(403);
        assert_eq!(error["id"], "security_identity_mismatch");
        assert!(error["reason"].as_str().unwrap().contains("another"), "{error:#}");
    }
    assert_eq!(ada.whoami().await["identity"]["traits"]["email"], "ada@example.org");
    assert_eq!(ben.whoami().await["identity"]["traits"]["email"], "ben@example.org");
}

// cases: S-32
#[flow_test]
async fn the_second_schema_judges_its_own_identities(t: Trial) {
    let credentials = json!({ "password": { "config": { "password": PASSWORD } } });
    let traits = json!({ "contact": "office@example.org", "company": "Analytical Engines" });
    t.admin().create(&json!({ "schema_id": "company", "traits": traits, "credentials": credentials })).await;
    let office = t.signed_in("office@example.org").await;
    let flow = office.init("settings", "").await;
    let fields =
        |company: &str| json!({ "method": "profile", "traits": { "contact": "office@example.org", "company": company } });
    let form = office.submit(&flow, fields("abc")).await.form();
    assert_eq!(form.all_messages(), [("traits.company".to_owned(), 4_000_003)]);
    assert_eq!(form.value("traits.company"), "abc");
    // Required there, and unknown to the other schema.
    let form = office.submit(&flow, json!({ "method": "profile", "traits": { "contact": "office@example.org" } })).await.form();
    assert_eq!(form.all_messages(), [("traits.company".to_owned(), 4_000_002)]);
    assert_eq!(office.submit(&flow, fields("abcd")).await.saved().value("traits.company"), "abcd");
}

// cases: S-33
#[flow_test]
async fn a_submit_that_no_method_claims(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    for fields in [json!({ "method": "foo" }), json!({ "traits": { "email": "ada@example.org" } }), json!({ "method": "" })] {
        let submitted = ada.submit(&flow, fields.clone()).await;
        assert_eq!(submitted.reply.status, if t.client == ClientKind::Browser { 303 } else { 400 }, "{fields}");
        assert_eq!(submitted.form().all_messages(), [(String::new(), 4_010_004)], "{fields}");
    }
}

/// The three places that a browser can be sent to, each beating the ones after it.
// cases: S-39, S-41, S-42, S-67
#[flow_test]
async fn where_a_change_leads(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let after = json!({
        "default_browser_return_url": format!("{APP}/after"),
        "profile": { "default_browser_return_url": format!("{APP}/after-profile") },
    });
    t.reconfigure(&json!({ "selfservice": { "flows": { "settings": { "after": after } } } }));
    let password = json!({ "method": "password", "password": "staple 9 correct elephant" });
    let asked = "return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fback%3Fa%3Db";
    for (query, fields, place) in
        [(asked, nickname("Ada"), "/back?a=b"), ("", nickname("Lady"), "/after-profile"), ("", password, "/after")]
    {
        let flow = ada.init("settings", query).await;
        let done = ada.submit(&flow, fields).await.done();
        let expected = (t.client != ClientKind::Api).then(|| format!("{APP}{place}"));
        assert_eq!(done.location, expected);
        if t.client == ClientKind::Api {
            assert!(done.body.get("continue_with").is_none(), "{}", done.body);
        }
    }
}

/// What was allowed when the flow began and is not any more does not lead anywhere, and stores nothing.
// cases: S-41
#[flow_test]
async fn a_return_to_is_judged_again_at_the_end(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fback").await;
    t.reconfigure(&json!({ "selfservice": { "allowed_return_urls": ["http://127.0.0.1:4457"] } }));
    let form = ada.submit(&flow, nickname("Ada")).await.form();
    assert_eq!(form.all_messages(), [(String::new(), 4_000_001)]);
    untouched(&ada).await;
}
