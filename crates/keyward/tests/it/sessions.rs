//! Who am I, and signing out.

use keyward_testkit::{ClientKind, PASSWORD, Trial, database_test, flow_test};
use serde_json::json;

// cases: L-85
#[database_test]
async fn whoami_accepts_header_cookie_and_bearer(t: Trial) {
    let phone = t.signed_up("ada@example.org").await;
    let browser = t.person_as(ClientKind::Browser);
    browser.sign_in("ada@example.org", PASSWORD).await.done();
    let id = phone.id().await.to_string();
    let token = phone.token().unwrap();

    let nobody = t.person();
    let by_header = nobody.call("GET", "/sessions/whoami").header("x-session-token", &token).await;
    let by_bearer = nobody.call("GET", "/sessions/whoami").header("authorization", &format!("Bearer {token}")).await;
    let by_cookie = browser.try_whoami().await;
    for reply in [by_header, by_bearer, by_cookie] {
        let reply = reply.expect(200);
        assert_eq!(reply.header("x-kratos-authenticated-identity-id"), Some(id.as_str()));
        assert_eq!(reply.json()["identity"]["id"], id.as_str());
        assert_eq!(reply.set_cookies(), []);
    }
    nobody.try_whoami().await.expect(401);
}

// cases: L-86
#[database_test]
async fn a_wrong_token_is_not_rescued_by_a_cookie(t: Trial) {
    t.signed_up("ada@example.org").await;
    let browser = t.person_as(ClientKind::Browser);
    browser.sign_in("ada@example.org", PASSWORD).await.done();
    browser.call("GET", "/sessions/whoami").header("x-session-token", "ory_st_wrong").await.expect(401);
    browser.try_whoami().await.expect(200);
}

// cases: L-80, L-81
#[flow_test(browser, spa)]
async fn the_logout_address_ends_the_session(t: Trial) {
    let nobody = t.person();
    let refused = nobody.call("GET", "/self-service/logout/browser").header("accept", "application/json").await.expect(401);
    assert_eq!(refused.error_id(), "session_inactive");

    let ada = t.signed_up("ada@example.org").await;
    let other = t.signed_in("ada@example.org").await;
    let logout = ada.call("GET", "/self-service/logout/browser").header("accept", "application/json").await.expect(200).json();
    let (url, token) = (logout["logout_url"].as_str().unwrap(), logout["logout_token"].as_str().unwrap());
    assert_eq!(url, format!("{}/self-service/logout?token={token}", t.public()));
    assert_eq!(token.len(), "ory_lo_".len() + 32);

    let csrf = |person: &keyward_testkit::Actor| person.cookie(&csrf_cookie(person));
    let before = csrf(&ada);
    let reply = ada.call("GET", url).await;
    match t.client {
        ClientKind::Browser => assert_eq!(reply.clone().expect(303).location(), "http://127.0.0.1:4456/"),
        ClientKind::Api | ClientKind::Spa => assert_eq!(reply.clone().expect(204).body, b""),
    }
    assert!(reply.set_cookie("ory_kratos_session").is_some_and(|cookie| cookie.is_removal()));
    assert!(before.is_some());
    assert_ne!(csrf(&ada), before);
    ada.try_whoami().await.expect(401);
    other.whoami().await;
}

/// The name is derived from the public base URL.
fn csrf_cookie(person: &keyward_testkit::Actor) -> String {
    person.cookie_names().into_iter().find(|name| name.starts_with("csrf_token_")).unwrap_or_default()
}

// cases: L-82
#[flow_test(browser, spa)]
async fn a_logout_needs_its_token(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    for (query, status) in [("", 400), ("?token=ory_lo_wrong", 403)] {
        let reply = ada.call("GET", &format!("/self-service/logout{query}")).header("accept", "application/json").await;
        assert_eq!(reply.status, status, "{reply:?}");
    }
    ada.whoami().await;
}

// cases: L-84
#[flow_test(api)]
async fn a_native_logout_may_be_repeated(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let other = t.signed_in("ada@example.org").await;
    let token = ada.token();
    let logout = |token: serde_json::Value| {
        ada.call("DELETE", "/self-service/logout/api").no_header("x-session-token").json(&json!({ "session_token": token }))
    };
    logout(json!(token)).await.expect(204);
    ada.try_whoami().await.expect(401);
    logout(json!(token)).await.expect(204);
    logout(json!("ory_st_unknown")).await.expect(403);
    logout(json!(format!("ory_st_{}", "a".repeat(32)))).await.expect(403);
    other.whoami().await;
}
