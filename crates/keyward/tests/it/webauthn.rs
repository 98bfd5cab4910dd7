//! Security keys: as a second factor, and instead of a password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_model::{CredentialType, Span};
use keyward_testkit::authenticator::{Algorithm, SoftKey, encode};
use keyward_testkit::{Actor, ClientKind, Flow, PASSWORD, Submitted, Trial, database_test, flow_test};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use crate::passkey::{browser_key, listed};
use crate::second_factor::{EMAIL, first_step};

pub(crate) fn enabled() -> Value {
    json!({ "selfservice": { "methods": { "webauthn": { "enabled": true } } } })
}

pub(crate) fn passwordless() -> Value {
    json!({ "selfservice": {
        "flows": { "registration": { "after": { "webauthn": { "hooks": [{ "hook": "session" }] } } } },
        "methods": { "webauthn": { "enabled": true, "config": { "passwordless": true } } },
    } })
}

/// The options in a node, read.
#[track_caller]
pub(crate) fn options(flow: &Flow, node: &str) -> Value {
    let text = flow.value(node);
    serde_json::from_str(text.as_str().expect("a text")).expect("options in JSON")
}

async fn register(ada: &Actor, key: &mut SoftKey, name: &str) -> Submitted {
    let flow = ada.init("settings", "").await;
    let sent = key.create(&options(&flow, "webauthn_register_trigger")).text();
    ada.submit(&flow, json!({ "method": "webauthn", "webauthn_register": sent, "webauthn_register_displayname": name })).await
}

/// Adds a key in settings.
pub(crate) async fn add(t: &Trial, ada: &Actor) -> SoftKey {
    let mut key = browser_key(t, Algorithm::Es256);
    key.flags = keyward_testkit::authenticator::UP;
    register(ada, &mut key, "blue key").await.saved();
    key
}

/// Adds a key that signs in after a name.
pub(crate) async fn add_passwordless(t: &Trial, ada: &Actor) -> SoftKey {
    let mut key = browser_key(t, Algorithm::Es256);
    register(ada, &mut key, "blue key").await.saved();
    key
}

/// Shows a key as the second step.
pub(crate) async fn step_up(device: &Actor, key: &mut SoftKey) -> Submitted {
    let login = device.init("login", "aal=aal2").await;
    let sent = key.get(&options(&login, "webauthn_login_trigger")).text(key);
    let identifier = login.value("identifier");
    device.submit(&login, json!({ "method": "webauthn", "identifier": identifier, "webauthn_login": sent })).await
}

// cases: S-87, S-88, S-93, S-94, S-96, S-97, L-47, AC-16
#[flow_test(config = enabled())]
async fn a_key_is_added_used_as_second_factor_named_and_removed(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    let asked = options(&flow, "webauthn_register_trigger");
    assert!(asked["publicKey"]["excludeCredentials"].is_null());
    assert_eq!(asked["publicKey"]["user"]["name"], EMAIL);
    assert_eq!(asked["publicKey"]["timeout"], 120_000);
    assert_eq!(flow.find("webauthn_script").is_none(), t.client == ClientKind::Api, "S-87");

    let mut key = add(&t, &ada).await;
    let session = ada.whoami().await;
    assert_eq!(session["authenticator_assurance_level"], "aal2");
    assert_eq!(session["authentication_methods"][1]["method"], "webauthn");
    let flow = ada.init("settings", "").await;
    let exclude = &options(&flow, "webauthn_register_trigger")["publicKey"]["excludeCredentials"];
    assert_eq!(exclude[0]["id"], encode(&key.id));
    let again = register(&ada, &mut key, "again").await.form();
    assert_eq!(again.messages_at("webauthn_register"), [4_000_001]);
    assert_eq!(again.value("webauthn_register_displayname"), "again", "what was typed is shown");

    let phone = first_step(&t, EMAIL).await;
    let login = phone.init("login", "aal=aal2").await;
    assert_eq!(login.value("identifier"), EMAIL);
    assert_eq!(login.node("webauthn_login_trigger")["attributes"]["onclickTrigger"], "oryWebAuthnLogin");
    assert_eq!(options(&login, "webauthn_login_trigger")["publicKey"]["userVerification"], "discouraged");
    t.clock().advance(Span::minutes(1));
    step_up(&phone, &mut key).await.done();
    let session = phone.whoami().await;
    assert_eq!(session["authenticator_assurance_level"], "aal2");
    assert_eq!(session["authentication_methods"][1]["aal"], "aal2");

    let flow = ada.init("settings", "").await;
    let [(id, about)] = &listed(&flow, "webauthn_remove")[..] else { panic!("one key") };
    assert_eq!((&about["display_name"], &about["last_used_at"]), (&json!("blue key"), &json!(t.now())));
    assert_eq!(flow.node("webauthn_remove")["attributes"]["disabled"], false, "a second factor may always go");
    let fields = json!({ "method": "webauthn", "webauthn_rename": id, "webauthn_register_displayname": "red key" });
    let saved = ada.submit(&flow, fields).await.saved();
    assert_eq!(listed(&saved, "webauthn_remove")[0].1["display_name"], "red key");
    let saved = ada.submit(&saved, json!({ "method": "webauthn", "webauthn_remove": id })).await.saved();
    assert!(saved.find("webauthn_remove").is_none());
    // The row that reserves the names stays, without a key.
    let left = t.snapshot(ada.id().await).await;
    assert_eq!(left.credential(CredentialType::Webauthn).unwrap().config, json!({}));
    t.person().sign_in(EMAIL, PASSWORD).await.done();
}

// cases: S-88, S-89, S-91
#[flow_test(config = enabled())]
async fn what_cannot_be_read_or_found_is_told(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let first = add(&t, &ada).await;
    let mut second = browser_key(&t, Algorithm::Rs256);
    let saved = register(&ada, &mut second, "second").await.saved();
    let ids: Vec<_> = listed(&saved, "webauthn_remove").into_iter().map(|(id, _)| id).collect();
    let mut expected = vec![keyward_model::hex(&first.id), keyward_model::hex(&second.id)];
    expected.sort();
    assert_eq!(ids, expected, "sorted by their ids");
    assert_eq!(options(&saved, "webauthn_register_trigger")["publicKey"]["excludeCredentials"].as_array().unwrap().len(), 2);

    let flow = ada.init("settings", "").await;
    let sent = second.create(&options(&flow, "webauthn_register_trigger")).text();
    let nameless = ada.submit(&flow, json!({ "method": "webauthn", "webauthn_register": sent })).await.form();
    assert_eq!(nameless.all_messages(), [("webauthn_register_displayname".to_owned(), 4_000_002)]);
    let fields = json!({ "webauthn_register": "garbage", "webauthn_register_displayname": "x" });
    let garbage = ada.submit(&flow, fields).await.form();
    assert_eq!(garbage.messages(), [4_000_001]);
    assert!(garbage.json["ui"]["messages"][0]["text"].as_str().unwrap().contains("Parse error for Registration"));
    for fields in [json!({ "webauthn_remove": "00" }), json!({ "webauthn_rename": "00", "webauthn_register_displayname": "x" })] {
        assert_eq!(ada.submit(&flow, fields.clone()).await.form().messages(), [4_000_001], "{fields}");
    }
    assert_eq!(ada.submit(&flow, json!({ "method": "webauthn" })).await.form().messages(), [4_010_004]);
}

// cases: S-87
#[flow_test(api, config = json!({ "selfservice": { "methods": { "webauthn": { "enabled": true, "config": { "api_flows": false } } } } }))]
async fn apps_can_be_left_out(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    assert!(flow.group("webauthn").is_empty());
    let fields = json!({ "webauthn_register": "{}", "webauthn_register_displayname": "x" });
    assert_eq!(ada.submit(&flow, fields).await.form().messages(), [4_010_004]);
}

// cases: L-47, L-49, AC-24
#[flow_test(config = enabled())]
async fn the_second_step_takes_ones_own_key_and_no_other(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let mut hers = add(&t, &ada).await;
    let bob = t.signed_up("bob@example.org").await;
    let mut his = add(&t, &bob).await;
    let phone = first_step(&t, EMAIL).await;
    let login = phone.init("login", "aal=aal2").await;
    let asked = options(&login, "webauthn_login_trigger");
    let fields = |sent: String| json!({ "method": "webauthn", "identifier": EMAIL, "webauthn_login": sent });
    let refused = phone.submit(&login, fields(his.get(&asked).text(&his))).await.form();
    assert_eq!(refused.messages(), [4_000_043]);
    let mut swapped = hers.get(&asked);
    swapped.user_handle = Some(his.user_handle.clone());
    assert_eq!(phone.submit(&login, fields(swapped.text(&hers))).await.form().messages(), [4_000_043]);
    let nameless = json!({ "method": "webauthn", "webauthn_login": hers.get(&asked).text(&hers) });
    assert_eq!(phone.submit(&login, nameless).await.form().messages_at("identifier"), [4_000_002]);
    assert_eq!(phone.submit(&login, fields("garbage".into())).await.form().messages(), [4_000_001]);
    phone.submit(&login, fields(hers.get(&asked).text(&hers))).await.done();
    assert_eq!(phone.whoami().await["authenticator_assurance_level"], "aal2");
}

// cases: S-95, S-96
#[flow_test(config = passwordless())]
async fn the_only_way_in_stays(t: Trial) {
    let ada = t.person();
    let flow = ada.init("registration", "").await;
    let mut key = browser_key(&t, Algorithm::Es256);
    let sent = key.create(&options(&flow, "webauthn_register_trigger")).text();
    let fields = json!({ "method": "webauthn", "webauthn_register": sent, "traits": { "email": EMAIL } });
    ada.submit(&flow, fields).await.done();
    let flow = ada.init("settings", "").await;
    assert_eq!(flow.node("webauthn_remove")["attributes"]["disabled"], true);
    let form = ada.submit(&flow, json!({ "webauthn_remove": flow.value("webauthn_remove") })).await.form();
    assert_eq!(form.messages_at("webauthn_remove"), [4_000_001]);
    assert_eq!(t.snapshot(ada.id().await).await.factors().webauthn_passwordless, 1);
}

// cases: L-48, L-49, L-78
#[flow_test(config = passwordless())]
async fn a_key_signs_up_and_in_after_a_name(t: Trial) {
    let ada = t.person();
    let flow = ada.init("registration", "").await;
    let names: Vec<_> = flow.group("webauthn").iter().map(|node| name(node)).collect();
    let mut expected = vec!["webauthn_register_displayname", "webauthn_register", "webauthn_register_trigger"];
    if t.client != ClientKind::Api {
        expected.push("webauthn_script");
    }
    assert_eq!(names, expected);
    let mut key = browser_key(&t, Algorithm::Es256);
    let sent = key.create(&options(&flow, "webauthn_register_trigger")).text();
    let fields = json!({
        "method": "webauthn", "webauthn_register": sent, "webauthn_register_displayname": "blue", "traits": { "email": EMAIL },
    });
    ada.submit(&flow, fields).await.done();
    assert_eq!(ada.whoami().await["authentication_methods"][0]["aal"], "aal1");

    let phone = t.person();
    let login = phone.init("login", "").await;
    assert_eq!(login.node("identifier")["attributes"]["autocomplete"], "username webauthn");
    let unknown = phone.submit(&login, json!({ "method": "webauthn", "identifier": "nobody@example.org" })).await.form();
    assert_eq!(unknown.messages(), [4_000_015]);
    let empty = phone.submit(&login, json!({ "method": "webauthn", "identifier": "" })).await.form();
    assert_eq!(empty.messages(), [4_000_001]);
    let asked = ask(&t, &phone, &login, EMAIL).await;
    assert_eq!(asked.messages(), [1_010_012]);
    assert!(asked.find("password").is_none(), "one thing at a time");
    let fields = json!({ "method": "webauthn", "identifier": "nobody@example.org", "webauthn_login": key.get(&options(&asked, "webauthn_login_trigger")).text(&key) });
    phone.submit(&asked, fields).await.done();
    assert_eq!(phone.id().await, ada.id().await, "whoever was asked, not whoever the submit names");
    let session = phone.whoami().await;
    assert_eq!(session["authentication_methods"][0]["method"], "webauthn");
    assert_eq!(session["authenticator_assurance_level"], "aal1");
}

/// Names somebody, and gives the flow that asks for their key.
async fn ask(t: &Trial, phone: &Actor, login: &Flow, email: &str) -> Flow {
    let reply = phone.submit(login, json!({ "method": "webauthn", "identifier": email })).await.reply;
    match t.client {
        ClientKind::Browser => assert!(reply.expect(303).location().contains(&login.id())),
        ClientKind::Spa => {
            let reply = reply.expect(422);
            assert_eq!(reply.error_id(), "browser_location_change_required");
            assert!(reply.json()["redirect_browser_to"].as_str().unwrap().contains(&login.id()));
        }
        ClientKind::Api => drop(reply.expect(400)),
    }
    phone.refetch(login).await
}

fn name(node: &Value) -> &str {
    let attributes = &node["attributes"];
    attributes["name"].as_str().or_else(|| attributes["id"].as_str()).unwrap()
}

/// Where accounts are not to be told apart, everybody has a key to be asked for.
#[flow_test(config = {
    let mut config = passwordless();
    config["security"] = json!({ "account_enumeration": { "mitigate": true } });
    config
})]
async fn nobody_is_told_who_has_a_key(t: Trial) {
    t.signed_up(EMAIL).await;
    let mut seen = Vec::new();
    for email in [EMAIL, "nobody@example.org", "nobody@example.org"] {
        let phone = t.person();
        let login = phone.init("login", "").await;
        let asked = ask(&t, &phone, &login, email).await;
        let options = options(&asked, "webauthn_login_trigger");
        seen.push(options["publicKey"]["allowCredentials"].clone());
        let mut key = browser_key(&t, Algorithm::Es256);
        let sent = key.get(&options).text(&key);
        let fields = json!({ "method": "webauthn", "identifier": email, "webauthn_login": sent });
        assert_eq!(phone.submit(&asked, fields).await.form().messages(), [4_000_043]);
    }
    assert_ne!(seen[0], seen[1]);
    assert_eq!(seen[1], seen[2], "the same answer every time");
}

/// A key that signs in is asked for on a refresh, also after new ones became second factors.
#[flow_test(config = passwordless())]
async fn a_refresh_asks_for_keys_that_sign_in(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let mut key = browser_key(&t, Algorithm::Es256);
    register(&ada, &mut key, "blue").await.saved();
    assert_eq!(ada.whoami().await["authenticator_assurance_level"], "aal1");
    t.reconfigure(&json!({ "selfservice": { "methods": { "webauthn": { "config": { "passwordless": false } } } } }));
    let refresh = ada.init("login", "refresh=true").await;
    let sent = key.get(&options(&refresh, "webauthn_login_trigger")).text(&key);
    let fields = json!({ "method": "webauthn", "identifier": refresh.value("identifier"), "webauthn_login": sent });
    t.clock().advance(Span::minutes(5));
    ada.submit(&refresh, fields).await.done();
    assert_eq!(ada.whoami().await["authenticated_at"], json!(t.now()));
}

/// Pages load the script by its hash, from whatever origin they are.
#[flow_test(browser, spa, config = enabled())]
async fn the_script_is_the_one_that_pages_are_told_of(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    let script = &flow.node("webauthn_script")["attributes"];
    let address = script["src"].as_str().unwrap();
    assert_eq!(address, format!("{}/.well-known/ory/webauthn.js", t.public().trim_end_matches('/')));
    let reply = t.person().call("GET", address).header("origin", "https://elsewhere.example").await.expect(200);
    assert!(reply.header("content-type").unwrap().starts_with("text/javascript"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let hash = STANDARD.encode(Sha512::digest(reply.text().as_bytes()));
    assert_eq!(script["integrity"], format!("sha512-{hash}"));
    for function in [
        "oryWebAuthnRegistration",
        "oryWebAuthnLogin",
        "oryPasskeyLogin",
        "oryPasskeyLoginAutocompleteInit",
        "oryPasskeyRegistration",
        "oryPasskeySettingsRegistration",
    ] {
        assert!(reply.text().contains(function), "{function}");
    }
    let tag = reply.header("etag").unwrap().to_owned();
    t.person().call("GET", address).header("if-none-match", &tag).await.expect(304);
    assert_ne!(
        flow.node("webauthn_script")["attributes"]["nonce"],
        ada.refetch(&flow).await.node("webauthn_script")["attributes"]["nonce"]
    );
}

/// Web sites that share keys are told to browsers, apps are not (WebAuthn Level 3, section 5.11).
#[database_test(config = enabled())]
async fn related_origins_are_told_where_there_are_several(t: Trial) {
    let address = "/.well-known/webauthn";
    t.person().call("GET", address).await.expect(404);
    let party = |origins: Value| json!({ "selfservice": { "methods": { "webauthn": { "config": { "rp": { "id": "example.org", "origins": origins } } } } } });
    t.reconfigure(&party(json!(["https://example.org", "https://login.example.org", "android:apk-key-hash:abc"])));
    t.person().call("GET", address).await.expect(404);
    t.reconfigure(&party(json!(["https://example.org/", "https://example.com:8443", "android:apk-key-hash:abc"])));
    let told = t.person().call("GET", address).await.expect(200);
    assert_eq!(told.json(), json!({ "origins": ["https://example.org", "https://example.com:8443"] }));
    assert!(told.header("content-type").unwrap().starts_with("application/json"));
    // One that is alone outside, and a name that only ends alike.
    t.reconfigure(&party(json!(["https://badexample.org"])));
    let told = t.person().call("GET", address).await.expect(200);
    assert_eq!(told.json(), json!({ "origins": ["https://badexample.org"] }));
    // Of two names the server answers for the first.
    let other = json!({ "enabled": true, "config": { "rp": { "id": "example.net", "origins": ["https://example.net"] } } });
    t.reconfigure(&json!({ "selfservice": { "methods": { "passkey": other } } }));
    t.person().call("GET", address).await.expect(404);
}
