//! Starting and fetching a settings flow.

use keyward_model::{Span, Time};
use keyward_testkit::{ClientKind, START, Trial, UI, flow_test};
use serde_json::json;

// cases: S-1, S-2, S-3
#[flow_test]
async fn without_a_session(t: Trial) {
    let nobody = t.person();
    let reply = nobody.start("settings", "").await;
    match t.client {
        ClientKind::Api | ClientKind::Spa => {
            assert_eq!(reply.clone().expect(401).error_id(), "session_inactive");
            let beside = (t.client == ClientKind::Spa).then(|| json!(false));
            assert_eq!(reply.json().get("CredentialsMissing"), beside.as_ref());
        }
        ClientKind::Browser => {
            let login = reply.expect(303).location().to_owned();
            assert_eq!(login, format!("{}/self-service/login/browser", t.public()));
            assert_eq!(nobody.init_at(&login).await.state(), "choose_method");
        }
    }
}

// cases: S-4
#[flow_test(browser)]
async fn without_a_session_the_login_remembers_where_to_go(t: Trial) {
    let nobody = t.person();
    let login =
        nobody.start("settings", "return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fback").await.expect(303).location().to_owned();
    let flow = nobody.init_at(&login).await;
    assert!(flow.json["request_url"].as_str().unwrap().ends_with("?return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fback"));
    assert_eq!(flow.json["return_to"], "http://127.0.0.1:4456/back");
}

// cases: S-5, S-6, S-7
#[flow_test]
async fn with_a_session(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let reply = ada.start("settings", "").await;
    match t.client {
        ClientKind::Api => assert_eq!(reply.expect(200).set_cookies(), []),
        ClientKind::Spa => assert_eq!(reply.expect(200).json()["type"], "browser"),
        ClientKind::Browser => {
            let id = reply.location_parameter("flow").unwrap();
            assert_eq!(reply.expect(303).location(), format!("{UI}/settings?flow={id}"));
        }
    }

    let flow = ada.init("settings", "").await;
    assert_eq!(flow.state(), "show_form");
    assert_eq!(flow.json["identity"]["traits"]["email"], "ada@example.org");
    assert_eq!(flow.json["ui"]["action"], format!("{}/self-service/settings?flow={}", t.public(), flow.id()));
    assert_eq!(flow.names()[0], "csrf_token");
    assert_eq!(flow.csrf_token().unwrap().is_empty(), t.client == ClientKind::Api);
    let time = |key: &str| Time::parse(flow.json[key].as_str().unwrap()).unwrap();
    assert_eq!((time("issued_at"), time("expires_at")), (START, START + Span::hours(1)));
}

// cases: S-13, S-14
#[flow_test]
async fn fetching_what_is_not_there(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    for id in ["4ed32dc4-4ee7-4ff5-9bc9-8a2a8b4e6a2f", "", "not-a-uuid"] {
        let reply = ada.fetch("settings", id).await;
        assert_eq!(reply.status, 404, "{reply:?}");
        assert_eq!(reply.json()["error"]["code"], 404);
    }
}
