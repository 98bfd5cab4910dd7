//! Changing the password.

use keyward_testkit::{PASSWORD, Trial, flow_test};
use serde_json::json;

const NEW: &str = "staple 9 correct elephant";

// cases: S-63
#[flow_test]
async fn the_new_password_signs_in_and_the_old_one_does_not(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    let saved = ada.submit(&flow, json!({ "method": "password", "password": NEW })).await.saved();
    assert_eq!(saved.messages(), [1_050_001]);
    assert!(saved.value("password").is_null());

    let phone = t.person();
    assert_eq!(phone.sign_in("ada@example.org", PASSWORD).await.form().messages(), [4_000_006]);
    phone.sign_in("ada@example.org", NEW).await.done();
    ada.whoami().await;
}

// cases: S-59
#[flow_test]
async fn a_weak_password_is_refused(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    // Too short, and long enough but the first that anybody guesses: the list of those needs no network.
    for (weak, message) in [("short", 4_000_032), ("Password1", 4_000_005), ("qwertyuiop", 4_000_005)] {
        let form = ada.submit(&flow, json!({ "method": "password", "password": weak })).await.form();
        assert_eq!(form.all_messages(), [("password".to_owned(), message)], "{weak}");
        assert!(form.value("password").is_null());
    }
    t.person().sign_in("ada@example.org", PASSWORD).await.done();
}

// cases: S-71
#[flow_test]
async fn a_password_on_the_breach_list_is_refused(t: Trial) {
    // SHA-1 of NEW in two parts, as the range protocol has it.
    let (prefix, suffix) = ("8CBCB", "448FBBA477C70943999BFE4BFF9E1351971");
    let breaches = t.sink(move |_| (200, format!("{suffix}:7\r\n"))).await;
    let config = json!({ "haveibeenpwned_enabled": true, "haveibeenpwned_host": breaches.address() });
    let ada = t.signed_up("ada@example.org").await;
    t.reconfigure(&json!({ "selfservice": { "methods": { "password": { "config": config } } } }));

    let flow = ada.init("settings", "").await;
    let form = ada.submit(&flow, json!({ "method": "password", "password": NEW })).await.form();
    assert_eq!(form.all_messages(), [("password".to_owned(), 4_000_034)]);
    let asked: Vec<_> = breaches.received().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, [format!("/range/{prefix}")]);
    let other = ada.submit(&flow, json!({ "method": "password", "password": "another 5 purple giraffe" })).await;
    other.saved();
}
