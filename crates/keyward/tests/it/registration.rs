//! Signing up.

use keyward_testkit::{ClientKind, PASSWORD, Trial, flow_test};
use serde_json::json;

/// What comes after depends on the client: a token, or a cookie and a place to go.
// cases: L-68
#[flow_test]
async fn signs_up_and_in(t: Trial) {
    let ada = t.person();
    let flow = ada.init("registration", "").await;
    let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": "Ada@example.org ", "age": 36 } });
    let submitted = ada.submit(&flow, fields).await;
    let cookies = submitted.reply.set_cookies();
    let done = submitted.done();
    match t.client {
        ClientKind::Api => {
            assert_eq!(cookies, []);
            assert_eq!(ada.token().map(|token| token.len()), Some("ory_st_".len() + 32));
            let last = done.body["continue_with"].as_array().and_then(|items| items.last().cloned());
            let expected = json!({ "action": "set_ory_session_token", "ory_session_token": ada.token() });
            assert_eq!(last, Some(expected));
        }
        ClientKind::Browser | ClientKind::Spa => {
            assert!(cookies.iter().any(|cookie| cookie.name == "ory_kratos_session" && cookie.http_only));
            assert_eq!(done.location.as_deref(), Some("http://127.0.0.1:4456/"));
        }
    }

    let session = ada.whoami().await;
    assert_eq!(session["authenticator_assurance_level"], "aal1");
    assert_eq!(session["authentication_methods"][0]["method"], "password");
    assert_eq!(session["identity"]["traits"]["age"], 36);
    let address = &session["identity"]["verifiable_addresses"][0];
    assert_eq!((&address["value"], &address["verified"]), (&json!("ada@example.org"), &json!(false)));
    let mut events: Vec<_> = t.audit().await.into_iter().map(|event| (event.kind, event.result)).collect();
    events.sort();
    assert_eq!(events, [("registration_succeeded".to_owned(), "ok".to_owned()), ("session_issued".to_owned(), "ok".to_owned())]);
}

// cases: L-69
#[flow_test(config = json!({ "selfservice": { "flows": { "registration": { "after": null } } } }))]
async fn without_the_session_hook_nobody_is_signed_in(t: Trial) {
    let ada = t.person();
    let flow = ada.init("registration", "").await;
    let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": "ada@example.org" } });
    let submitted = ada.submit(&flow, fields).await;
    assert_eq!(submitted.reply.set_cookie("ory_kratos_session"), None);
    let done = submitted.done();
    if t.client != ClientKind::Browser {
        assert_eq!(done.body["identity"]["traits"]["email"], "ada@example.org");
        assert!(done.body.get("session").is_none() && done.body.get("session_token").is_none());
    }
    ada.try_whoami().await.expect(401);
    ada.sign_in("ada@example.org", PASSWORD).await.done();
}
