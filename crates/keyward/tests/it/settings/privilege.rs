//! Changes that need a fresh session: pause, sign in once more, resume.

use keyward_model::Span;
use keyward_testkit::{ClientKind, PASSWORD, Trial, flow_test};
use serde_json::json;

// cases: S-38, S-47, S-52
#[flow_test]
async fn a_stale_session_signs_in_once_more(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    t.clock().advance(Span::seconds(3_601));
    let flow = ada.init("settings", "").await;
    let fields = json!({ "method": "profile", "traits": { "email": "lovelace@example.org" } });

    let submitted = ada.submit(&flow, fields.clone()).await;
    let held = submitted.reply.set_cookie("ory_kratos_continuity");
    assert_eq!(held.is_some(), t.client != ClientKind::Api, "only browsers pause");
    let login = submitted.login_first("session_refresh_required");
    assert_eq!(ada.whoami().await["identity"]["traits"]["email"], "ada@example.org");

    let session = ada.whoami().await["id"].clone();
    let done = ada.sign_in_again(&login, PASSWORD).await;
    let saved = match t.client {
        // The payload was not kept: the app sends it again.
        ClientKind::Api => ada.submit(&flow, fields).await.saved(),
        // The payload was kept: going back is enough.
        ClientKind::Browser | ClientKind::Spa => {
            let back = done.location.unwrap();
            assert_eq!(back, format!("{}/self-service/settings?flow={}", t.public(), flow.id()));
            ada.navigate(&back).await.saved()
        }
    };
    assert_eq!((saved.id(), saved.value("traits.email")), (flow.id(), json!("lovelace@example.org")));
    let after = ada.whoami().await;
    assert_eq!((&after["id"], &after["identity"]["traits"]["email"]), (&session, &json!("lovelace@example.org")));
    t.person().sign_in("lovelace@example.org", PASSWORD).await.done();
}

// cases: S-53
#[flow_test]
async fn a_free_trait_needs_no_fresh_session(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    t.clock().advance(Span::hours(2));
    let flow = ada.init("settings", "").await;
    let fields = json!({ "method": "profile", "traits": { "email": "ada@example.org", "nickname": "Countess" } });
    assert_eq!(ada.submit(&flow, fields).await.saved().value("traits.nickname"), "Countess");
}

/// With a maximum age of next to nothing the session is always too old; the login that was asked for admits one submit.
// cases: S-60, AC-10, AC-88
#[flow_test(api, spa, config = json!({ "selfservice": { "flows": { "settings": { "privileged_session_max_age": "1ns" } } } }))]
async fn the_login_that_was_asked_for_admits_one_submit(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    t.clock().advance(Span::seconds(1));
    let flow = ada.init("settings", "").await;
    let change = |password: &str| json!({ "method": "password", "password": password });
    let login = ada.submit(&flow, change("staple 9 correct elephant")).await.login_first("session_refresh_required");
    ada.sign_in_again(&login, PASSWORD).await;
    t.clock().advance(Span::seconds(1));
    ada.submit(&flow, change("staple 9 correct elephant")).await.saved();
    ada.submit(&flow, change("another 5 purple giraffe")).await.login_first("session_refresh_required");
    t.person().sign_in("ada@example.org", "staple 9 correct elephant").await.done();
}
