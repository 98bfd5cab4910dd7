//! Changing traits.

use keyward_testkit::{ClientKind, Trial, UI, flow_test};
use serde_json::json;

// cases: S-31, S-39, S-50
#[flow_test]
async fn valid_values_are_stored_with_their_types(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let traits = json!({ "email": "ada@example.org", "nickname": "Ada", "age": 36, "newsletter": true });
    let submitted = ada.submit(&flow, json!({ "method": "profile", "traits": traits })).await;
    assert_eq!(submitted.reply.set_cookie("ory_kratos_session").is_some(), t.client != ClientKind::Api);
    let done = submitted.done();
    let saved = done.flow.unwrap();
    assert_eq!(saved.id(), flow.id());
    assert_eq!((saved.state().as_str(), saved.all_messages()), ("success", vec![(String::new(), 1_050_001)]));
    for (name, value) in [("nickname", json!("Ada")), ("age", json!(36)), ("newsletter", json!(true))] {
        assert_eq!(saved.value(&format!("traits.{name}")), value);
        assert_eq!(saved.json["identity"]["traits"][name], value);
    }
    let page = format!("{UI}/settings?flow={}", flow.id());
    match t.client {
        ClientKind::Api => assert!(done.body.get("continue_with").is_none()),
        ClientKind::Browser => assert_eq!(done.location, Some(page)),
        ClientKind::Spa => {
            let expected = json!([{ "action": "redirect_browser_to", "redirect_browser_to": page }]);
            assert_eq!(done.body["continue_with"], expected);
        }
    }
    assert_eq!(ada.whoami().await["identity"]["traits"]["age"], 36);
}

// cases: S-34, S-48
#[flow_test]
async fn a_number_below_its_minimum_stays_in_the_form(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let traits = json!({ "email": "ada@example.org", "age": 17, "nickname": "Ada" });
    let submitted = ada.submit(&flow, json!({ "method": "profile", "traits": traits })).await;
    assert_eq!(submitted.reply.status, if t.client == ClientKind::Browser { 303 } else { 400 });
    let form = submitted.form();
    assert_eq!(form.all_messages(), [("traits.age".to_owned(), 4_000_018)]);
    assert_eq!((form.value("traits.age"), form.value("traits.nickname")), (json!(17), json!("Ada")));
    assert_eq!(form.state(), "show_form");
    assert!(ada.whoami().await["identity"]["traits"].get("nickname").is_none());
}

// cases: S-45
#[flow_test]
async fn a_foreign_csrf_token_is_refused(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let traits = json!({ "email": "ada@example.org", "nickname": "Ada" });
    for token in [json!("bm90IGEgdG9rZW4="), json!(null)] {
        let fields = json!({ "method": "profile", "traits": traits, "csrf_token": token });
        let submitted = ada.submit(&flow, fields).await;
        if t.client == ClientKind::Api {
            submitted.saved();
            continue;
        }
        let error = submitted.problem(403);
        assert_eq!(error["id"], "security_csrf_violation");
        assert!(ada.whoami().await["identity"]["traits"].get("nickname").is_none());
    }
}

// cases: S-46, AC-37
#[flow_test(api)]
async fn an_api_flow_refuses_what_only_browsers_send(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let fields = json!({ "method": "profile", "traits": { "email": "ada@example.org", "nickname": "Ada" } });
    for (name, value) in [("Origin", UI), ("Cookie", "theme=dark")] {
        let reply = ada.submit_call(&flow, fields.clone()).header(name, value).await.expect(400);
        let form = ada.understand(&flow, reply).await.form();
        assert_eq!(form.all_messages(), [(String::new(), 4_000_001)]);
        let reason = form.json["ui"]["messages"][0]["context"]["reason"].as_str().unwrap();
        assert!(reason.contains(name), "{reason}");
    }
    assert!(ada.whoami().await["identity"]["traits"].get("nickname").is_none());
    // What a content network adds on its way is no browser's.
    let reply = ada.submit_call(&flow, fields).header("Cookie", "__cf_bm=1").await;
    ada.understand(&flow, reply).await.saved();
}
