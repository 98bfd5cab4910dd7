//! More about passwords: who must prove themself again, what is refused, and where it leads.

use keyward_model::{CredentialType, Span};
use keyward_store::Batch;
use keyward_testkit::{APP, ClientKind, Flow, PASSWORD, Trial, UI, flow_test, schema_url};
use serde_json::{Value, json};

const NEW: &str = "staple 9 correct elephant";

fn change(password: &str) -> Value {
    json!({ "method": "password", "password": password })
}

fn settings(values: Value) -> Value {
    json!({ "selfservice": { "flows": { "settings": values } } })
}

/// For each age of privilege: a session beyond it is asked to sign in again, and the login that was asked for admits one
/// submit on this flow, within ten minutes. With an hour the sign-in itself is privilege enough for more.
// cases: S-38, S-60, AC-88
#[flow_test]
async fn what_a_login_that_was_asked_for_admits(t: Trial) {
    for (age, person) in [("0s", "nil"), ("1ns", "nano"), ("1s", "second"), ("1h", "hour")] {
        t.reconfigure(&settings(json!({ "privileged_session_max_age": age })));
        let ada = t.signed_up(&format!("{person}@example.org")).await;
        let lasting = age == "1h";
        t.clock().advance(Span::seconds(3_601));
        let (flow, other) = (ada.init("settings", "").await, ada.init("settings", "").await);
        let address = format!("{}/self-service/settings?flow={}", t.public(), flow.id());

        let submitted = ada.submit(&flow, change(NEW)).await;
        if t.client != ClientKind::Browser {
            let body = submitted.reply.json();
            let keys: Vec<_> = body.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["error", "redirect_browser_to"], "{age}");
            assert_eq!((&body["error"]["code"], &body["error"]["status"]), (&json!(403), &json!("Forbidden")), "{age}");
        }
        let login = submitted.login_first("session_refresh_required");
        let prefix = format!("{}/self-service/login/browser?refresh=true&return_to=", t.public());
        assert!(login.starts_with(&prefix) && login.ends_with(&flow.id()), "{age}: {login}");
        let back = ada.sign_in_again(&login, PASSWORD).await.location;
        assert_eq!(back, (t.client != ClientKind::Api).then_some(address.clone()), "{age}");

        // Ten minutes are nearly over, and only this flow was meant.
        t.clock().advance(Span::seconds(599));
        if !lasting {
            ada.submit(&other, change(NEW)).await.login_first("session_refresh_required");
        }
        let saved = ada.submit(&flow, change(NEW)).await.saved();
        assert_eq!((saved.id(), saved.messages()), (flow.id(), vec![1_050_001]), "{age}");

        let again = ada.submit(&flow, change("another 5 purple giraffe")).await;
        if lasting {
            again.saved();
            continue;
        }
        let login = again.login_first("session_refresh_required");
        // A free trait is never in the way of this.
        let email = format!("{person}@example.org");
        let free = json!({ "method": "profile", "traits": { "email": email, "nickname": "Ada" } });
        ada.submit(&flow, free).await.saved();
        // Too late: the login admitted something for ten minutes.
        ada.sign_in_again(&login, NEW).await;
        t.clock().advance(Span::minutes(10));
        ada.submit(&flow, change("another 5 purple giraffe")).await.login_first("session_refresh_required");
        t.person().sign_in(&email, NEW).await.done();
    }
}

/// With any age the browser is led back and finds the change done: the login before it does not have to be repeated.
// cases: S-52, S-60, AC-88
#[flow_test(browser, spa)]
async fn going_back_is_enough_at_any_age(t: Trial) {
    for (age, person) in [("0s", "nil"), ("1ns", "nano"), ("1s", "second"), ("1h", "hour")] {
        t.reconfigure(&settings(json!({ "privileged_session_max_age": age })));
        let ada = t.signed_up(&format!("{person}@example.org")).await;
        t.clock().advance(Span::seconds(3_601));
        let flow = ada.init("settings", "").await;
        let login = ada.submit(&flow, change(NEW)).await.login_first("session_refresh_required");
        let back = ada.sign_in_again(&login, PASSWORD).await.location.unwrap();
        t.clock().advance(Span::seconds(2));
        let done = ada.navigate(&back).await.done();
        assert_eq!(done.location, Some(format!("{UI}/settings?flow={}", flow.id())), "{age}");
        assert_eq!(done.flow.unwrap().messages(), [1_050_001], "{age}");
        t.person().sign_in(&format!("{person}@example.org"), NEW).await.done();
        // And it was admitted once.
        if age != "1h" {
            ada.submit(&flow, change("another 5 purple giraffe")).await.login_first("session_refresh_required");
        }
    }
}

// cases: S-61
#[flow_test(browser, spa)]
async fn a_weak_password_is_refused_after_the_login(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    t.clock().advance(Span::hours(2));
    let flow = ada.init("settings", "").await;
    let login = ada.submit(&flow, change("short")).await.login_first("session_refresh_required");
    let back = ada.sign_in_again(&login, PASSWORD).await.location.unwrap();
    let form = ada.navigate(&back).await.form();
    assert_eq!((form.id(), form.all_messages()), (flow.id(), vec![("password".to_owned(), 4_000_032)]));
    assert!(form.value("password").is_null());
    // It was replayed once; what is typed now counts.
    assert_eq!(ada.navigate(&back).await.form().all_messages(), [(String::new(), 4_000_001)]);
    ada.submit(&flow, change(NEW)).await.saved();
    t.person().sign_in("ada@example.org", NEW).await.done();
}

// cases: S-62
#[flow_test]
async fn the_current_password_is_no_new_one(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let form = ada.submit(&flow, change(PASSWORD)).await.form();
    assert_eq!(form.all_messages(), [("password".to_owned(), 4_000_039)]);
    assert!(form.value("password").is_null());
    ada.submit(&flow, change(NEW)).await.saved();
    assert_eq!(ada.submit(&flow, change(NEW)).await.form().messages_at("password"), [4_000_039]);
}

// cases: S-64
#[flow_test]
async fn a_foreign_csrf_token_changes_no_password(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    for token in [json!("bm90IGEgdG9rZW4="), json!(null)] {
        let fields = json!({ "method": "password", "password": format!("{NEW} {token}"), "csrf_token": token });
        let submitted = ada.submit(&flow, fields).await;
        if t.client == ClientKind::Api {
            submitted.saved();
            continue;
        }
        let error = submitted.problem(403);
        assert_eq!(error["id"], "security_csrf_violation");
        let hint = error["details"]["hint"].as_str().unwrap();
        let expected = match (token.is_null(), t.client) {
            (true, _) => "csrf_token",
            (false, ClientKind::Spa) => "credentials",
            (false, _) => "forward",
        };
        assert!(hint.contains(expected), "{hint}");
    }
    if t.client != ClientKind::Api {
        t.person().sign_in("ada@example.org", PASSWORD).await.done();
    }
}

/// CSRF comes before the pause: a forged submit leaves nothing that a later visit could set free.
// cases: S-64
#[flow_test(browser, spa)]
async fn a_forged_submit_is_not_paused(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    t.clock().advance(Span::hours(2));
    let flow = ada.init("settings", "").await;
    let fields = json!({ "method": "password", "password": NEW, "csrf_token": "bm90IGEgdG9rZW4=" });
    let submitted = ada.submit(&flow, fields).await;
    assert_eq!(submitted.reply.set_cookie("ory_kratos_continuity"), None);
    assert_eq!(submitted.problem(403)["id"], "security_csrf_violation");
}

// cases: S-66
#[flow_test]
async fn a_first_password_finds_its_identifiers_in_the_traits(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let id = ada.id().await;
    // As somebody has it who signed up by other means.
    let mut batch = Batch::new();
    batch.drop_credential(id, t.snapshot(id).await.credential(CredentialType::Password).unwrap().id);
    t.store().commit(batch).await.unwrap();
    assert_eq!(t.person().sign_in("ada@example.org", PASSWORD).await.form().messages(), [4_000_006]);

    let flow = ada.init("settings", "").await;
    assert!(flow.find("password").is_some());
    ada.submit(&flow, change(NEW)).await.saved();
    let stored = t.snapshot(id).await;
    let credential = stored.credential(CredentialType::Password).unwrap();
    assert_eq!(credential.identifiers, ["ada@example.org"]);
    t.person().sign_in("ada@example.org", NEW).await.done();
}

// cases: S-67
#[flow_test(config = settings(json!({ "after": {
    "default_browser_return_url": format!("{APP}/after"),
    "password": { "default_browser_return_url": format!("{APP}/login") },
} })))]
async fn the_methods_own_return_address(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let submitted = ada.submit(&flow, change(NEW)).await;
    let status = submitted.reply.status;
    let done = submitted.done();
    match t.client {
        ClientKind::Api => assert!(done.body.get("continue_with").is_none()),
        ClientKind::Browser => assert_eq!((status, done.location), (303, Some(format!("{APP}/login")))),
        ClientKind::Spa => {
            let expected = json!([{ "action": "redirect_browser_to", "redirect_browser_to": format!("{APP}/login") }]);
            assert_eq!(done.body["continue_with"], expected);
        }
    }
}

// cases: S-69
#[flow_test]
async fn a_schema_without_identifiers_takes_no_password(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let plain = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": { "traits": { "type": "object", "properties": { "email": { "type": "string" } } } },
    });
    t.reconfigure(&json!({ "identity": { "schemas": [{ "id": "person", "url": schema_url(&plain) }] } }));
    let flow = ada.init("settings", "").await;
    let form = ada.submit(&flow, change(NEW)).await.form();
    assert_eq!(form.all_messages(), [(String::new(), 4_000_009)]);
    assert!(form.value("password").is_null());
}

// cases: S-70
#[flow_test]
async fn a_password_like_the_address_is_refused(t: Trial) {
    let ada = t.signed_up("ada.lovelace@example.org").await;
    let flow = ada.init("settings", "").await;
    let refused = |form: &Flow| (form.all_messages(), form.value("password"));
    for like in ["ada.lovelace@example.org", "ADA.lovelace@EXAMPLE.org", "ada.lovelace@example.com", "1ada.lovelace2"] {
        let form = ada.submit(&flow, change(like)).await.form();
        assert_eq!(refused(&form), (vec![("password".to_owned(), 4_000_031)], Value::Null), "{like}");
    }
    let off = json!({ "password": { "config": { "identifier_similarity_check_enabled": false } } });
    t.reconfigure(&json!({ "selfservice": { "methods": off } }));
    ada.submit(&flow, change("ada.lovelace@example.com")).await.saved();
}
