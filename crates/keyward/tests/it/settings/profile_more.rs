//! More about changing traits: what the form shows, what is refused, and what belongs to somebody else.

use keyward_testkit::{ClientKind, PASSWORD, Trial, UI, flow_test};
use serde_json::{Value, json};

fn traits(more: Value) -> Value {
    let mut traits = json!({ "email": "ada@example.org" });
    traits.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "method": "profile", "traits": traits })
}

// cases: S-44
#[flow_test]
async fn trait_nodes_stand_in_schema_order_with_what_is_stored(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let stored = json!({ "age": 30, "newsletter": false, "name": { "last": "King", "first": "Ada" }, "nickname": "Countess" });
    ada.submit(&flow, traits(stored)).await.saved();

    let flow = ada.init("settings", "").await;
    let shown: Vec<_> = flow
        .group("profile")
        .iter()
        .map(|node| &node["attributes"])
        .map(|input| (input["name"].clone(), input["type"].clone(), input["value"].clone()))
        .collect();
    let expected = [
        (json!("traits.email"), json!("email"), json!("ada@example.org")),
        (json!("traits.nickname"), json!("text"), json!("Countess")),
        (json!("traits.age"), json!("number"), json!(30)),
        (json!("traits.newsletter"), json!("checkbox"), json!(false)),
        (json!("traits.name.first"), json!("text"), json!("Ada")),
        (json!("traits.name.last"), json!("text"), json!("King")),
        (json!("method"), json!("submit"), json!("profile")),
    ];
    assert_eq!(shown, expected);
    assert_eq!(flow.names()[0], "csrf_token");
    assert_eq!(flow.csrf_token().unwrap().is_empty(), t.client == ClientKind::Api);
    assert_eq!(flow.node("traits.email")["attributes"]["required"], true);
}

/// The two ways in which a browser sends a form get the hint that helps them.
// cases: S-45
#[flow_test(browser, spa)]
async fn a_csrf_refusal_says_what_to_do(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let scripted = t.client == ClientKind::Spa;
    // Another browser's token is well formed, and still not this one's.
    let foreign = t.signed_up("ben@example.org").await.init("settings", "").await.csrf_token().unwrap();
    for token in ["bm90IGEgdG9rZW4=".to_owned(), foreign] {
        let mut fields = traits(json!({ "nickname": "Ada" }));
        fields["csrf_token"] = json!(token);
        let error = ada.submit(&flow, fields).await.problem(403);
        assert_eq!(error["id"], "security_csrf_violation");
        let hint = error["details"]["hint"].as_str().unwrap();
        assert_eq!(hint.contains("credentials"), scripted, "{hint}");
        assert!(error["details"]["reject_reason"].as_str().unwrap().contains("token"), "{error:#}");
    }
    // Without the cookie the token proves nothing.
    let session = format!("ory_kratos_session={}", ada.cookie("ory_kratos_session").unwrap());
    let reply = ada.submit_call(&flow, traits(json!({ "nickname": "Ada" }))).header("cookie", &session).await;
    let error = ada.understand(&flow, reply).await.problem(403);
    assert!(error["details"]["reject_reason"].as_str().unwrap().contains("cookies"), "{error:#}");
    assert!(ada.whoami().await["identity"]["traits"].get("nickname").is_none());
}

// cases: S-49
#[flow_test]
async fn every_refused_value_is_named_and_earlier_messages_are_gone(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let form = ada.submit(&flow, traits(json!({ "nickname": "A", "age": "many" }))).await.form();
    let refused = [("traits.nickname".to_owned(), 4_000_003), ("traits.age".to_owned(), 4_000_026)];
    assert_eq!(form.all_messages(), refused);
    assert_eq!((form.value("traits.nickname"), form.value("traits.age")), (json!("A"), json!("many")));

    let form = ada.submit(&flow, traits(json!({ "nickname": "Ada", "age": 3 }))).await.form();
    assert_eq!(form.all_messages(), [("traits.age".to_owned(), 4_000_018)]);
    assert_eq!(form.messages_at("traits.nickname"), [] as [u64; 0]);
    let saved = ada.submit(&flow, traits(json!({ "nickname": "Ada", "age": 33 }))).await.saved();
    assert_eq!(saved.all_messages(), [(String::new(), 1_050_001)]);
}

// cases: S-51
#[flow_test]
async fn a_new_flow_starts_over_after_a_success(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let first = ada.init("settings", "").await;
    ada.submit(&first, traits(json!({ "age": 33 }))).await.saved();
    let second = ada.init("settings", "").await;
    let form = ada.submit(&second, traits(json!({ "age": 3 }))).await.form();
    assert_eq!((form.state().as_str(), form.messages_at("traits.age")), ("show_form", vec![4_000_018]));
    assert_eq!(ada.refetch(&first).await.state(), "success");
    assert_eq!(ada.whoami().await["identity"]["traits"]["age"], 33);
}

// cases: S-54
#[flow_test]
async fn an_address_changes_with_a_fresh_session(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let saved = ada.submit(&flow, json!({ "method": "profile", "traits": { "email": "lovelace@example.org" } })).await.saved();
    assert_eq!(saved.value("traits.email"), "lovelace@example.org");
    let addresses = &saved.json["identity"]["verifiable_addresses"];
    assert_eq!(addresses.as_array().map(Vec::len), Some(1));
    assert_eq!((&addresses[0]["value"], &addresses[0]["verified"]), (&json!("lovelace@example.org"), &json!(false)));
    assert_eq!(saved.json["identity"]["recovery_addresses"][0]["value"], "lovelace@example.org");
    // The identifier went with it.
    t.person().sign_in("lovelace@example.org", PASSWORD).await.done();
    assert_eq!(t.person().sign_in("ada@example.org", PASSWORD).await.form().messages(), [4_000_006]);
}

// cases: S-57
#[flow_test]
async fn a_switched_off_method_is_not_there(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    t.reconfigure(&json!({ "selfservice": { "methods": { "profile": { "enabled": false } } } }));
    let error = ada.submit(&flow, traits(json!({ "nickname": "Ada" }))).await.problem(404);
    assert_eq!(error["code"], 404);
    assert!(ada.init("settings", "").await.group("profile").is_empty());
    assert!(ada.whoami().await["identity"]["traits"].get("nickname").is_none());
    // The other methods stay.
    let change = json!({ "method": "password", "password": "staple 9 correct elephant" });
    ada.submit(&flow, change).await.saved();
}

// cases: S-58
#[flow_test]
async fn an_address_that_somebody_else_has_is_refused(t: Trial) {
    let (ada, ben) = (t.signed_up("ada@example.org").await, t.signed_up("ben@example.org").await);
    let flow = ada.init("settings", "").await;
    let before = t.snapshot(ada.id().await).await;
    for address in ["ben@example.org", "BEN@Example.org"] {
        let form = ada.submit(&flow, json!({ "method": "profile", "traits": { "email": address } })).await.form();
        assert_eq!(form.all_messages(), [(String::new(), 4_000_007)], "{address}");
        assert_eq!(form.value("traits.email"), address);
        assert_eq!(form.state(), "show_form");
    }
    assert_eq!(t.snapshot(ada.id().await).await, before);
    assert_eq!(ben.whoami().await["identity"]["traits"]["email"], "ben@example.org");
    t.person().sign_in("ada@example.org", PASSWORD).await.done();
}

/// The cookie of a content network passes, a page's origin does not, whatever the method.
// cases: S-46, S-65
#[flow_test(api)]
async fn no_method_of_an_api_flow_takes_what_a_browser_sends(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let new = json!({ "method": "password", "password": "staple 9 correct elephant" });
    for fields in [traits(json!({ "nickname": "Ada" })), new] {
        for (name, value) in [("Origin", UI), ("Origin", "null"), ("Cookie", "name=bar"), ("Cookie", "__cf_bm=1; name=bar")] {
            let reply = ada.submit_call(&flow, fields.clone()).header(name, value).await.expect(400);
            let form = ada.understand(&flow, reply).await.form();
            assert_eq!(form.all_messages(), [(String::new(), 4_000_001)], "{name}: {value}");
            let reason = form.json["ui"]["messages"][0]["context"]["reason"].as_str().unwrap();
            assert!(reason.contains(name), "{reason}");
        }
    }
    assert!(ada.whoami().await["identity"]["traits"].get("nickname").is_none());
    t.person().sign_in("ada@example.org", PASSWORD).await.done();
}
