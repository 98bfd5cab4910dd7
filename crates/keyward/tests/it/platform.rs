//! What holds for the server as a whole, whatever the flow: its stored refusals, its two ports, the addresses that it may lead
//! back to, and secrets that are changed while people are signed in.

use keyward_testkit::{APP, ClientKind, PASSWORD, Trial, UI, Value, database_test, flow_test};
use serde_json::json;

use crate::second_factor::{code, enabled, enrol, first_step, key, step_up};

const ADA: &str = "ada@example.org";

// cases: R-94
#[flow_test]
async fn error_pages_get_a_sample_and_what_happened_but_nothing_made_up(t: Trial) {
    let person = t.person();
    let read = async |query: &str| person.call("GET", &format!("/self-service/errors?{query}")).await;

    let (first, second) = (read("id=stub:500").await.expect(200).json(), read("error=stub:500").await.expect(200).json());
    assert_eq!((&first["error"]["code"], &first["error"]["status"]), (&json!(500), &json!("Internal Server Error")));
    assert_ne!(first["id"], second["id"], "a sample is made anew each time");
    for time in ["created_at", "updated_at"] {
        assert_eq!(first[time], "0001-01-01T00:00:00Z");
    }
    // A sample is stored nowhere.
    let made = first["id"].as_str().unwrap();
    for unknown in [made, "7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d", "stub:404", "nonsense", ""] {
        assert_eq!(read(&format!("id={unknown}")).await.expect(404).json()["error"]["code"], 404, "{unknown}");
    }
    read("").await.expect(404);

    let refused = person.start("login", "return_to=https://evil.example/").await;
    if t.client == ClientKind::Browser {
        let id = refused.expect(303).location_parameter("id").unwrap();
        let stored = read(&format!("id={id}")).await.expect(200).json();
        assert_eq!((stored["id"].as_str(), &stored["error"]["code"]), (Some(id.as_str()), &json!(400)));
        assert_eq!(stored["error"]["id"], "self_service_flow_return_to_forbidden");
    } else {
        refused.expect(400);
    }
}

// cases: R-99
#[database_test]
async fn each_port_sends_what_is_not_its_own_to_the_other(t: Trial) {
    let outside = t.person_as(ClientKind::Spa);
    for (method, asked, led) in [
        ("GET", "/admin/identities?page_size=1", "/admin/identities?page_size=1"),
        ("POST", "/admin/identities", "/admin/identities"),
        ("GET", "/identities", "/admin/identities"),
    ] {
        let reply = outside.call(method, asked).await.expect(307);
        assert_eq!(reply.location(), format!("{}{led}", t.admin_base()), "{method} {asked}");
        assert!(reply.set_cookies().is_empty(), "{reply:?}");
    }
    for (method, asked, led) in [
        ("GET", "/self-service/login/browser?refresh=true", "/self-service/login/browser?refresh=true"),
        ("POST", "/self-service/settings?flow=1", "/self-service/settings?flow=1"),
        ("GET", "/sessions/whoami", "/sessions/whoami"),
    ] {
        let reply = t.admin().call(method, asked).await.expect(307);
        assert_eq!(reply.location(), format!("{}{led}", t.public()), "{method} {asked}");
    }
    assert_eq!(t.store().count_identities().await.unwrap(), 0);
}

fn wildcard() -> Value {
    json!({ "selfservice": { "allowed_return_urls": [APP, "https://*.shop.example/app"] } })
}

// cases: R-98
#[flow_test(config = wildcard())]
async fn a_wildcard_allows_whole_labels_of_one_host_scheme_and_path(t: Trial) {
    let person = t.person();
    for allowed in ["https://a.shop.example/app", "https://a.b.shop.example/app/x?y=z", "/welcome"] {
        let flow = person.init("login", &format!("return_to={allowed}")).await;
        let kept = flow.json["return_to"].as_str().unwrap();
        assert!(kept == allowed || kept == format!("{APP}{allowed}"), "{kept}");
    }
    for refused in [
        "https://evilshop.example/app",
        "https://shop.example.evil.example/app",
        "https://a.shop.example/apple",
        "https://a.shop.example/",
        "http://a.shop.example/app",
        "https://a.shop.example:8443/app",
    ] {
        let reply = person.start("login", &format!("return_to={refused}")).await;
        if t.client == ClientKind::Browser {
            assert!(reply.expect(303).location().starts_with(&format!("{UI}/error?id=")), "{refused}");
        } else {
            assert_eq!(reply.expect(400).error_id(), "self_service_flow_return_to_forbidden", "{refused}");
        }
    }
}

fn secrets(cookie: &[&str], cipher: &[&str]) -> Value {
    let mut config = enabled();
    config["secrets"] = json!({ "cookie": cookie, "cipher": cipher });
    config
}

const OLD: [&str; 2] = ["the-cookie-secret-of-last-year", "the-cipher-secret-of-last-year-x"];
const NEW: [&str; 2] = ["the-cookie-secret-of-this-year", "the-cipher-secret-of-this-year-x"];

// cases: R-100
#[flow_test(config = secrets(&OLD[..1], &OLD[1..]))]
async fn what_was_sealed_before_new_secrets_came_first_still_opens(t: Trial) {
    let ada = t.signed_up(ADA).await;
    // Half way: a key that is shown and not yet confirmed, a form with its token, a first step without the second.
    let settings = ada.init("settings", "").await;
    let login = t.person();
    let form = login.init("login", "").await;
    let other = t.person();
    other.sign_up("bea@example.org", PASSWORD).await;
    let (enrolled, _) = enrol(&t, &other).await;
    let half = first_step(&t, "bea@example.org").await;

    t.reconfigure(&secrets(&[NEW[0], OLD[0]], &[NEW[1], OLD[1]]));
    ada.whoami().await;
    let shown = key(&ada.refetch(&settings).await);
    assert_eq!(shown.base32(), key(&settings).base32());
    ada.submit(&settings, json!({ "method": "totp", "totp_code": code(&shown, &t) })).await.saved();
    login.submit(&form, json!({ "method": "password", "identifier": ADA, "password": PASSWORD })).await;
    t.clock().advance(keyward_model::Span::seconds(60));
    step_up(&half, json!({ "method": "totp", "totp_code": code(&enrolled, &t) })).await.done();

    // What is made from now on needs the new ones only.
    let late = t.person();
    late.sign_up("cleo@example.org", PASSWORD).await;
    let flow = late.init("settings", "").await;
    t.reconfigure(&secrets(&NEW[..1], &NEW[1..]));
    late.whoami().await;
    assert_eq!(key(&late.refetch(&flow).await).base32(), key(&flow).base32());
    if t.client != ClientKind::Api {
        // A cookie of the first days is nobody's any more; tokens of apps are looked up and sealed by nothing.
        other.try_whoami().await.expect(401);
    }
}
