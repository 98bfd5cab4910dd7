//! Bounds on what a request may bring and on what one identity may pile up, and the switches for them.
//! Headers, addresses and bodies without switches are tested with the abuse corpus.

use keyward_model::Span;
use keyward_testkit::{ClientKind, PASSWORD, Trial, Value, database_test, flow_test};
use serde_json::json;

fn limits(limits: &Value) -> Value {
    json!({ "security": { "limits": limits } })
}

#[flow_test(config = limits(&json!({ "sessions_per_identity": 3 })))]
async fn a_new_session_ends_the_oldest(t: Trial) {
    let bob = t.signed_up("bob@example.org").await;
    let mut devices = vec![t.signed_up("ada@example.org").await];
    for _ in 0..4 {
        t.clock().advance(Span::seconds(1));
        devices.push(t.signed_in("ada@example.org").await);
    }
    for (position, device) in devices.iter().enumerate() {
        device.try_whoami().await.expect(if position < 2 { 401 } else { 200 });
    }
    let listed = devices[4].call("GET", "/sessions").await.expect(200);
    assert_eq!(listed.header("x-total-count"), Some("2"));
    bob.whoami().await;

    // The newest stays whatever the order of events at one instant, and one that ended by itself takes nobody's place.
    devices[3].call("DELETE", "/sessions").await.expect(200);
    let newest = t.signed_in("ada@example.org").await;
    let another = t.signed_in("ada@example.org").await;
    for device in [&devices[3], &newest, &another] {
        device.whoami().await;
    }
    t.reconfigure(&limits(&json!({ "sessions_per_identity": 1 })));
    let last = t.signed_in("ada@example.org").await;
    for device in [&devices[3], &newest, &another] {
        device.try_whoami().await.expect(401);
    }
    last.whoami().await;
}

#[flow_test(config = limits(&json!({ "flows_per_identity": 2 })))]
async fn a_new_flow_removes_an_expired_one_or_the_oldest(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let bob = t.signed_up("bob@example.org").await;
    let other = bob.init("settings", "").await;
    let mut flows = Vec::new();
    for _ in 0..3 {
        flows.push(ada.init("settings", "").await);
        t.clock().advance(Span::seconds(1));
    }
    ada.fetch("settings", &flows[0].id()).await.expect(404);
    for flow in &flows[1..] {
        ada.fetch("settings", &flow.id()).await.expect(200);
    }
    // Flows of another kind and of somebody else do not count.
    ada.init("login", "refresh=true").await;
    ada.refetch(&flows[1]).await;
    bob.refetch(&other).await;

    // An expired one goes before an older one that is still open.
    t.reconfigure(&json!({ "selfservice": { "flows": { "settings": { "lifespan": "10s" } } } }));
    let short = ada.init("settings", "").await;
    t.clock().advance(Span::seconds(30));
    ada.fetch("settings", &short.id()).await.expect(410);
    let last = ada.init("settings", "").await;
    ada.fetch("settings", &short.id()).await.expect(404);
    ada.fetch("settings", &flows[2].id()).await.expect(200);
    let fields = json!({ "method": "profile", "traits": { "email": "ada@example.org", "nickname": "Ada" } });
    ada.submit(&last, fields).await.saved();
}

#[database_test]
async fn cookies_headers_and_addresses_have_bounds_with_switches(t: Trial) {
    let nobody = t.person();
    let cookies = |count: usize| (0..count).map(|number| format!("c{number}=canary")).collect::<Vec<_>>().join("; ");
    let ask = async |path: &str, cookies: &str| nobody.call("GET", path).header("cookie", cookies).await;
    ask("/health/alive", &cookies(50)).await.expect(200);
    let refused = ask("/health/alive", &cookies(51)).await.expect(431);
    assert!(!refused.text().contains("canary"), "{refused:?}");
    let long = format!("/health/alive?x={}", "x".repeat(1_500));
    ask(&long, "a=b").await.expect(200);
    let many = async || {
        let mut call = nobody.call("GET", "/health/alive");
        for number in 0..40 {
            call = call.header(&format!("x-{number}"), "x");
        }
        call.await.status
    };
    assert_eq!(many().await, 200);
    t.reconfigure(&limits(&json!({ "cookies": 60, "url_bytes": 1_024, "headers": 30 })));
    ask("/health/alive", &cookies(51)).await.expect(200);
    ask(&long, "a=b").await.expect(414);
    assert_eq!(many().await, 431);
    t.reconfigure(&limits(&json!({ "header_bytes": 1_024 })));
    ask("/health/alive", &cookies(60)).await.expect(200);
    let large = format!("a={}", "x".repeat(1_100));
    ask("/health/alive", &large).await.expect(431);
}

#[flow_test(config = limits(&json!({ "traits_bytes": 80, "identifier_bytes": 64 })))]
async fn traits_have_bounds_for_people_and_not_for_operators(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let long = format!("{}@example.org", "x".repeat(60));
    let nickname = "nickname-of-20-chars";
    let cases = [json!({ "email": format!("{}@example.org", "a".repeat(40)), "nickname": nickname }), json!({ "email": long })];
    for traits in &cases {
        let flow = ada.init("settings", "").await;
        let form = ada.submit(&flow, json!({ "method": "profile", "traits": traits })).await.form();
        assert_eq!(form.messages_at("traits"), [4_000_001], "{traits}");
        let nobody = t.person();
        let flow = nobody.init("registration", "").await;
        let fields = json!({ "method": "password", "password": PASSWORD, "traits": traits });
        let form = nobody.submit(&flow, fields).await.form();
        assert_eq!(form.messages_at("traits"), [4_000_001], "{traits}");
        nobody.try_whoami().await.expect(401);
    }
    t.reconfigure(&limits(&json!({ "traits_bytes": 200, "traits_depth": 1 })));
    let nobody = t.person();
    let flow = nobody.init("registration", "").await;
    let traits = json!({ "email": "bob@example.org", "name": { "first": "Bob" } });
    let fields = json!({ "method": "password", "password": PASSWORD, "traits": traits });
    let form = nobody.submit(&flow, fields.clone()).await.form();
    assert_eq!(form.messages_at("traits"), [4_000_001]);
    t.reconfigure(&limits(&json!({ "traits_depth": 2 })));
    nobody.submit(&form, fields).await.done();
    let flow = ada.init("settings", "").await;
    let form = ada.submit(&flow, json!({ "method": "profile", "traits": { "email": long } })).await.form();
    assert_eq!(form.messages_at("traits.email"), [4_000_017]);
    for traits in &cases {
        let made = t.admin().create(&json!({ "schema_id": "person", "traits": traits })).await;
        assert_eq!(&made["traits"], traits);
    }
}

#[flow_test]
async fn a_typed_identifier_has_a_bound_and_an_imported_one_signs_in(t: Trial) {
    let long = format!("{}@example.org", "x".repeat(400));
    t.admin().create_person(&long).await;
    t.person().sign_in(&long, PASSWORD).await.done();
    let endless = "x".repeat(5_000);
    let form = t.person().sign_in(&endless, PASSWORD).await.form();
    assert_eq!(form.messages_at("identifier"), [4_000_017]);
    assert_ne!(form.value("identifier"), endless.as_str(), "it is not kept");
}

#[flow_test]
async fn a_transient_payload_has_a_bound_in_every_flow(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let payload = |bytes: usize| json!({ "a": "x".repeat(bytes) });
    // Forms have no objects; browsers send such data as JSON in one field.
    let field = |bytes: usize| match t.client {
        ClientKind::Browser => json!(payload(bytes).to_string()),
        ClientKind::Api | ClientKind::Spa => payload(bytes),
    };
    let settings = |bytes: usize| {
        let traits = json!({ "email": "ada@example.org", "nickname": "Ada" });
        json!({ "method": "profile", "traits": traits, "transient_payload": field(bytes) })
    };
    let flow = ada.init("settings", "").await;
    let form = ada.submit(&flow, settings(9_000)).await.form();
    assert_eq!(form.messages_at("transient_payload"), [4_000_001]);
    assert!(ada.whoami().await["identity"]["traits"].get("nickname").is_none());
    ada.submit(&form, settings(8_000)).await.saved();

    let fields = |bytes: usize| json!({ "method": "password", "identifier": "ada@example.org", "password": PASSWORD, "transient_payload": field(bytes) });
    let device = t.person();
    let flow = device.init("login", "").await;
    let form = device.submit(&flow, fields(9_000)).await.form();
    assert_eq!(form.messages_at("transient_payload"), [4_000_001]);
    device.submit(&form, fields(8_000)).await.done();

    let fields = |bytes: usize| {
        let traits = json!({ "email": "bob@example.org" });
        json!({ "method": "password", "password": PASSWORD, "traits": traits, "transient_payload": field(bytes) })
    };
    let bob = t.person();
    let flow = bob.init("registration", "").await;
    let form = bob.submit(&flow, fields(9_000)).await.form();
    assert_eq!(form.messages_at("transient_payload"), [4_000_001]);
    t.reconfigure(&limits(&json!({ "transient_payload_bytes": 10_000 })));
    bob.submit(&form, fields(9_000)).await.done();
}
