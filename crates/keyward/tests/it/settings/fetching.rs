//! Reading a settings flow: whose schema it shows, when it is gone, and whom it is shown to; and where it may lead back to.

use keyward_model::Span;
use keyward_testkit::{APP, ClientKind, PASSWORD, Trial, UI, flow_test};
use serde_json::json;

/// `http://127.0.0.1:4456/back` as a query parameter.
const BACK: &str = "return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fback";

// cases: S-11
#[flow_test]
async fn an_identity_of_the_second_schema_sees_its_own_traits(t: Trial) {
    let credentials = json!({ "password": { "config": { "password": PASSWORD } } });
    let traits = json!({ "contact": "office@example.org", "company": "Analytical Engines" });
    t.admin().create(&json!({ "schema_id": "company", "traits": traits, "credentials": credentials })).await;
    let office = t.signed_in("office@example.org").await;
    let flow = office.init("settings", "").await;
    let names: Vec<_> = flow.group("profile").iter().map(|node| node["attributes"]["name"].clone()).collect();
    assert_eq!(names, ["traits.contact", "traits.company", "method"]);
    assert_eq!(flow.value("traits.company"), "Analytical Engines");
    assert_eq!(flow.json["identity"]["schema_id"], "company");

    // Somebody of the first schema sees the first one's, on the same server.
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    assert!(flow.find("traits.company").is_none() && flow.find("traits.nickname").is_some());
}

// cases: S-15, S-16, S-17
#[flow_test]
async fn an_expired_flow_is_gone_and_says_where_to_start_again(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let (plain, returning) = (ada.init("settings", "").await, ada.init("settings", BACK).await);
    t.clock().advance(Span::seconds(3_599));
    ada.refetch(&plain).await;
    t.clock().advance(Span::seconds(1));

    let init = format!("{}/self-service/settings", t.public());
    let mut details = Vec::new();
    for flow in [plain, returning] {
        let body = ada.fetch("settings", &flow.id()).await.expect(410).json();
        assert_eq!(body["error"]["code"], 410);
        assert!(body["error"].get("id").is_none(), "only submits have an id here: {body:#}");
        details.push(body["error"]["details"].clone());
    }
    let (plain, returning) = (&details[0], &details[1]);
    if t.client == ClientKind::Api {
        assert_eq!(*plain, json!({ "api": format!("{init}/api") }));
        assert_eq!(returning, plain);
        return;
    }
    assert_eq!(*plain, json!({ "redirect_to": format!("{init}/browser"), "return_to": "" }));
    let again = format!("{init}/browser?{BACK}");
    assert_eq!(*returning, json!({ "redirect_to": again, "return_to": format!("{APP}/back") }));
    let fresh = ada.init_at(&again).await;
    assert_eq!(fresh.json["return_to"], format!("{APP}/back"));
}

/// Ownership comes before expiry: a stranger does not even learn that the flow is over.
// cases: S-18
#[flow_test]
async fn a_flow_is_shown_to_its_owner_alone(t: Trial) {
    let (ada, ben) = (t.signed_up("ada@example.org").await, t.signed_up("ben@example.org").await);
    let flow = ada.init("settings", "").await;
    for pass in [Span::seconds(1), Span::hours(2)] {
        t.clock().advance(pass);
        let reply = ben.fetch("settings", &flow.id()).await.expect(403);
        assert_eq!(reply.error_id(), "security_identity_mismatch");
        assert!(!reply.text().contains("ada@example.org"), "{reply:?}");
    }
}

// cases: S-20
#[flow_test(browser, spa)]
async fn password_managers_find_the_settings_page(t: Trial) {
    for person in [t.person(), t.signed_up("ada@example.org").await] {
        let reply = person.call("GET", "/.well-known/change-password").await.expect(303);
        assert_eq!(reply.location(), format!("{UI}/settings"));
    }
}

// cases: S-20
#[flow_test(browser, spa, config = json!({ "selfservice": { "flows": { "settings": { "ui_url": null } } } }))]
async fn without_a_page_password_managers_are_led_to_a_new_flow(t: Trial) {
    let reply = t.person().call("GET", "/.well-known/change-password").await.expect(303);
    assert_eq!(reply.location(), format!("{}/self-service/settings/browser", t.public()));
}

/// A path as page stays a path: the browser finds it on the host that it is on.
// cases: S-7, S-12
#[flow_test(browser, config = json!({ "selfservice": { "flows": { "settings": { "ui_url": "/account?tab=1" } } } }))]
async fn a_page_can_be_a_path(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let reply = ada.start("settings", "").await.expect(303);
    let id = reply.location_parameter("flow").unwrap();
    let location = reply.location();
    assert_eq!(location, format!("/account?tab=1&flow={id}"));
}

// cases: S-21
#[flow_test]
async fn a_return_to_that_is_not_allowed_starts_nothing(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    for target in [
        "https%3A%2F%2Fevil.example%2F",
        "http%3A%2F%2F127.0.0.1%3A4456%40evil.example%2F",
        "http%3A%2F%2F127.0.0.1%3A44567%2F",
        "javascript%3Aalert%281%29",
        "%2F%2Fevil.example%2F",
    ] {
        let query = format!("return_to={target}");
        let error = match t.client {
            ClientKind::Browser => ada.navigate(&format!("/self-service/settings/browser?{query}")).await.problem(400),
            ClientKind::Api | ClientKind::Spa => ada.start("settings", &query).await.expect(400).json()["error"].clone(),
        };
        assert_eq!(error["id"], "self_service_flow_return_to_forbidden", "{target}");
        assert_eq!(error["code"], 400, "{target}");
    }
}

// cases: S-22
#[flow_test]
async fn the_servers_own_flows_need_no_entry_in_the_list(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let own = format!("{}/self-service/login/browser?refresh=true", t.public());
    let query = format!("return_to={}", own.replace(':', "%3A").replace('/', "%2F").replace('?', "%3F").replace('=', "%3D"));
    let flow = ada.init("settings", &query).await;
    assert_eq!(flow.json["return_to"], own);
    // Only what is below it: a neighbour of the same beginning is somebody else's.
    let neighbour = query.replace("self-service%2F", "self-service-evil%2F");
    let reply = ada.start("settings", &neighbour).await;
    assert_eq!(reply.status, if t.client == ClientKind::Browser { 303 } else { 400 }, "{reply:?}");
    if t.client == ClientKind::Browser {
        assert!(reply.location().starts_with(&format!("{UI}/error?")), "{reply:?}");
    }
}
