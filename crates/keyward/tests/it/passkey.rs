//! Passkeys: adding, naming, removing, signing in and up with them, by every kind of client.

use keyward_model::{CredentialType, Span};
use keyward_testkit::authenticator::{Algorithm, BE, BS, SoftKey};
use keyward_testkit::{Actor, ClientKind, Flow, PASSWORD, Said, Submitted, Trial, flow_test};
use serde_json::{Value, json};

use crate::second_factor::EMAIL;
use crate::webauthn::options;

pub(crate) fn enabled() -> Value {
    json!({ "selfservice": {
        "flows": { "registration": { "after": { "passkey": { "hooks": [{ "hook": "session" }] } } } },
        "methods": { "passkey": { "enabled": true } },
    } })
}

/// A key in a browser that shows the server's own pages.
pub(crate) fn browser_key(t: &Trial, algorithm: Algorithm) -> SoftKey {
    SoftKey::new(algorithm, t.public().trim_end_matches('/'))
}

/// Adds a passkey in settings.
pub(crate) async fn add(t: &Trial, ada: &Actor) -> SoftKey {
    let mut key = browser_key(t, Algorithm::Es256);
    register(ada, &mut key).await.saved();
    key
}

async fn register(ada: &Actor, key: &mut SoftKey) -> Submitted {
    let flow = ada.init("settings", "").await;
    let sent = key.create(&options(&flow, "passkey_create_data")).text();
    ada.submit(&flow, json!({ "method": "passkey", "passkey_settings_register": sent })).await
}

/// Signs in with a key on another device.
pub(crate) async fn sign_in(t: &Trial, key: &mut SoftKey) -> (Actor, Submitted) {
    let device = t.person();
    let login = device.init("login", "").await;
    let sent = key.get(&options(&login, "passkey_challenge")).text(key);
    let submitted = device.submit(&login, json!({ "method": "passkey", "passkey_login": sent })).await;
    (device, submitted)
}

/// The names, in the list of a settings flow.
pub(crate) fn listed(flow: &Flow, node: &str) -> Vec<(String, Value)> {
    let rows = flow.nodes().iter().filter(|one| one["attributes"]["name"] == node);
    rows.map(|one| (one["attributes"]["value"].as_str().unwrap().to_owned(), one["meta"]["label"]["context"].clone())).collect()
}

// cases: S-100, S-103, S-106, L-50
#[flow_test(config = enabled())]
async fn a_passkey_is_added_used_named_and_removed(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    let names: Vec<_> = flow.group("passkey").iter().map(|node| node["attributes"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["passkey_register_trigger", "passkey_settings_register", "passkey_create_data"]);
    let trigger = &flow.node("passkey_register_trigger")["attributes"];
    assert_eq!(trigger["onclickTrigger"], "oryPasskeySettingsRegistration");
    let is_app = t.client == ClientKind::Api;
    assert_eq!(flow.find("webauthn_script").is_none() && trigger["onclick"].is_null(), is_app, "S-100");

    let mut key = browser_key(&t, Algorithm::Es256);
    key.aaguid = *uuid::Uuid::parse_str("bada5566-a7aa-401f-bd96-45619a55120d").unwrap().as_bytes();
    key.flags |= BE | BS;
    let saved = register(&ada, &mut key).await.saved();
    let [(id, about)] = &listed(&saved, "passkey_remove")[..] else { panic!("one passkey") };
    assert_eq!(*id, keyward_model::hex(&key.id));
    assert_eq!(
        (&about["display_name"], &about["model"], &about["synced"]),
        (&json!("1Password"), &json!("1Password"), &json!(true))
    );
    assert!(about["last_used_at"].is_null() && about["added_at_unix"].is_number());
    let session = ada.whoami().await;
    assert_eq!(session["authenticator_assurance_level"], "aal1");
    assert_eq!(session["authentication_methods"][1]["method"], "passkey");
    assert_eq!(session["authentication_methods"][1]["aal"], "aal1");
    let stored = t.snapshot(ada.id().await).await;
    let row = stored.credential(CredentialType::Passkey).unwrap();
    assert_eq!(row.identifiers, [String::from_utf8(key.user_handle.clone()).unwrap()]);
    assert_eq!(key.user_handle.len(), 64);
    assert_eq!(row.config["credentials"][0]["is_passwordless"], true);

    t.clock().advance(Span::minutes(1));
    let (phone, submitted) = sign_in(&t, &mut key).await;
    submitted.done();
    let session = phone.whoami().await;
    assert_eq!(session["authentication_methods"][0]["method"], "passkey");
    assert_eq!(session["authentication_methods"][0]["aal"], "aal1");

    let flow = ada.init("settings", "").await;
    let [(id, about)] = &listed(&flow, "passkey_remove")[..] else { panic!("one passkey") };
    assert_eq!(about["last_used_at"], json!(t.now()));
    let fields = json!({ "method": "passkey", "passkey_rename": id, "passkey_display_name": "Kitchen <b>tablet</b>" });
    let saved = ada.submit(&flow, fields).await.saved();
    let [(id, about)] = &listed(&saved, "passkey_remove")[..] else { panic!("one passkey") };
    assert_eq!(about["display_name"], "Kitchen <b>tablet</b>");

    let saved = ada.submit(&saved, json!({ "method": "passkey", "passkey_remove": id })).await.saved();
    assert!(saved.find("passkey_remove").is_none());
    assert!(t.snapshot(ada.id().await).await.credential(CredentialType::Passkey).is_none(), "the whole row goes");
    let (_, submitted) = sign_in(&t, &mut key).await;
    assert_eq!(submitted.form().messages(), [4_000_015]);
    let kinds = t.audit().await.into_iter().map(|event| event.kind);
    let noted: std::collections::BTreeSet<_> = kinds.filter(|kind| kind.starts_with("passkey_")).collect();
    assert_eq!(noted.into_iter().collect::<Vec<_>>(), ["passkey_added", "passkey_removed", "passkey_renamed"]);
}

// cases: S-104, S-106, AC-28
#[flow_test(config = enabled())]
async fn a_second_one_is_added_beside_the_first_and_the_same_never_twice(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let mut first = add(&t, &ada).await;
    let flow = ada.init("settings", "").await;
    let exclude = &options(&flow, "passkey_create_data")["publicKey"]["excludeCredentials"];
    assert_eq!(
        *exclude,
        json!([{ "type": "public-key", "id": keyward_testkit::authenticator::encode(&first.id), "transports": ["internal"] }])
    );

    let again = register(&ada, &mut first).await.form();
    assert_eq!(again.messages_at("passkey_settings_register"), [4_000_001]);
    let bob = t.signed_up("bob@example.org").await;
    let stolen = register(&bob, &mut first).await.form();
    assert_eq!(stolen.messages_at("passkey_settings_register"), [4_000_001], "nor by somebody else");

    let mut second = browser_key(&t, Algorithm::Rs256);
    // The handle that the first key remembers came from another flow.
    let handle = t.snapshot(ada.id().await).await.credential(CredentialType::Passkey).unwrap().identifiers[0].clone();
    let saved = register(&ada, &mut second).await.saved();
    assert_eq!(second.user_handle, handle.as_bytes(), "one account is one entry in an authenticator");
    assert_eq!(listed(&saved, "passkey_remove").len(), 2);
    first.user_handle = handle.into_bytes();
    for key in [&mut first, &mut second] {
        let (device, submitted) = sign_in(&t, key).await;
        submitted.done();
        assert_eq!(device.id().await, ada.id().await);
    }
    ada.submit(&saved, json!({ "passkey_remove": keyward_model::hex(&first.id) })).await.saved();
    let (_, submitted) = sign_in(&t, &mut first).await;
    assert_eq!(submitted.form().messages(), [4_000_043]);
    sign_in(&t, &mut second).await.1.done();
}

// cases: S-105
#[flow_test(config = enabled())]
async fn the_only_way_in_stays(t: Trial) {
    let ada = t.person();
    let flow = ada.init("registration", "").await;
    let mut key = browser_key(&t, Algorithm::Es256);
    let sent = key.create(&options(&flow, "passkey_create_data")["credentialOptions"]).text();
    ada.submit(&flow, json!({ "method": "passkey", "passkey_register": sent, "traits": { "email": EMAIL } })).await.done();
    let flow = ada.init("settings", "").await;
    assert_eq!(flow.node("passkey_remove")["attributes"]["disabled"], true);
    let id = flow.value("passkey_remove");
    let form = ada.submit(&flow, json!({ "passkey_remove": id })).await.form();
    assert_eq!((form.messages(), form.state().as_str()), (vec![4_000_001], "show_form"));
    assert!(form.messages_at("passkey_remove").is_empty());

    // With a password there is another way, unless passwords are switched off.
    ada.submit(&form, json!({ "method": "password", "password": PASSWORD })).await.saved();
    t.reconfigure(&json!({ "selfservice": { "methods": { "password": { "enabled": false } } } }));
    let flow = ada.init("settings", "").await;
    assert_eq!(flow.node("passkey_remove")["attributes"]["disabled"], true, "nobody could use the password");
    assert_eq!(ada.submit(&flow, json!({ "passkey_remove": id })).await.form().messages(), [4_000_001]);
    t.reconfigure(&json!({ "selfservice": { "methods": { "password": { "enabled": true } } } }));
    let flow = ada.init("settings", "").await;
    assert_eq!(flow.node("passkey_remove")["attributes"]["disabled"], false);
    ada.submit(&flow, json!({ "passkey_remove": id })).await.saved();
}

// cases: S-102, S-107, AC-22
#[flow_test(config = enabled())]
async fn what_cannot_be_read_or_found_is_told(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let bob = t.signed_up("bob@example.org").await;
    let bobs = add(&t, &bob).await;
    let before = t.snapshot(bob.id().await).await;
    let flow = ada.init("settings", "").await;
    for (fields, message) in [
        (json!({ "method": "passkey" }), 4_010_004),
        (json!({ "method": "passkey", "passkey_settings_register": "garbage" }), 4_000_001),
        (json!({ "method": "passkey", "passkey_settings_register": "{}" }), 4_000_001),
        (json!({ "passkey_remove": "00" }), 4_000_001),
        (json!({ "passkey_remove": keyward_model::hex(&bobs.id) }), 4_000_001),
        (json!({ "passkey_rename": keyward_model::hex(&bobs.id), "passkey_display_name": "mine" }), 4_000_001),
    ] {
        assert_eq!(ada.submit(&flow, fields.clone()).await.form().messages(), [message], "{fields}");
    }
    let form = ada.submit(&flow, json!({ "method": "passkey", "passkey_settings_register": "garbage" })).await.form();
    let text = form.json["ui"]["messages"][0]["text"].as_str().unwrap();
    assert!(text.contains("Parse error for Registration"), "{text}");
    let nameless = ada.submit(&flow, json!({ "passkey_rename": "00" })).await.form();
    assert_eq!(nameless.all_messages(), [("passkey_display_name".to_owned(), 4_000_002)]);
    let long = ada.submit(&flow, json!({ "passkey_rename": "00", "passkey_display_name": "x".repeat(129) })).await.form();
    assert_eq!(long.all_messages(), [("passkey_display_name".to_owned(), 4_000_017)]);
    assert_eq!(t.snapshot(bob.id().await).await, before, "what is Bob's stays as it is");

    let stranger = t.person();
    let login = stranger.init("login", "").await;
    for sent in ["garbage", "{}"] {
        let form = stranger.submit(&login, json!({ "method": "passkey", "passkey_login": sent })).await.form();
        assert_eq!(form.messages(), [4_000_001], "{sent}");
    }
}

// cases: S-101
#[flow_test(spa, browser, config = enabled())]
async fn a_forged_form_adds_nothing(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    let mut key = browser_key(&t, Algorithm::Es256);
    let sent = key.create(&options(&flow, "passkey_create_data")).text();
    let fields = json!({ "method": "passkey", "passkey_settings_register": sent, "csrf_token": "forged" });
    let Said::Problem { status, .. } = ada.submit(&flow, fields).await.said else { panic!("refused") };
    assert_eq!(status, 403);
    assert!(t.snapshot(ada.id().await).await.credential(CredentialType::Passkey).is_none());
}

/// The payload of the user's own document: both names are aliases (decisions 1), and the name is kept.
#[flow_test(config = enabled())]
async fn the_documented_names_of_fields_are_understood(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    let mut key = browser_key(&t, Algorithm::Es384);
    let sent = key.create(&options(&flow, "passkey_create_data")).text();
    let fields = json!({ "method": "passkey", "passkey_register": sent, "passkey_display_name": "Kitchen tablet" });
    let saved = ada.submit(&flow, fields).await.saved();
    let [(id, about)] = &listed(&saved, "passkey_remove")[..] else { panic!("one passkey") };
    assert_eq!(about["display_name"], "Kitchen tablet");
    // base64url, where no key has this id in hex.
    let named = keyward_testkit::authenticator::encode(&key.id);
    assert_ne!(*id, named);
    ada.submit(&saved, json!({ "method": "passkey", "passkey_remove": named })).await.saved();
}

// cases: L-77
#[flow_test(config = enabled())]
async fn people_sign_up_with_a_passkey(t: Trial) {
    let ada = t.person();
    let flow = ada.init("registration", "").await;
    let names: Vec<_> = flow.group("passkey").iter().map(|node| node["attributes"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["passkey_register_trigger", "passkey_register", "passkey_create_data"]);
    let data = options(&flow, "passkey_create_data");
    assert_eq!(data["displayNameFieldName"], "traits.email");
    assert_eq!(data["displayNameFieldNames"], json!(["traits.email"]));
    let mut key = browser_key(&t, Algorithm::Es256);
    let sent = key.create(&data["credentialOptions"]).text();

    let missing = ada.submit(&flow, json!({ "method": "passkey", "traits": { "email": EMAIL } })).await.form();
    assert_eq!(missing.messages_at("passkey_register"), [4_000_002]);
    let nameless = ada.submit(&flow, json!({ "method": "passkey", "passkey_register": sent, "traits": {} })).await.form();
    assert_eq!(nameless.messages_at("traits.email"), [4_000_002]);
    assert_eq!(nameless.value("passkey_create_data"), flow.value("passkey_create_data"), "the challenge stays until it is used");
    ada.submit(&flow, json!({ "method": "passkey", "passkey_register": sent, "traits": { "email": EMAIL } })).await.done();
    let session = ada.whoami().await;
    assert_eq!(session["authentication_methods"][0]["method"], "passkey");
    let (device, submitted) = sign_in(&t, &mut key).await;
    submitted.done();
    assert_eq!(device.id().await, ada.id().await);

    // The address is taken, whichever way the account came in.
    let bob = t.person();
    let taken = bob.init("registration", "").await;
    let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": EMAIL } });
    assert_eq!(bob.submit(&taken, fields).await.form().messages(), [4_000_007]);
    // And so is the key.
    let mut stolen = key;
    let sent = stolen.create(&options(&taken, "passkey_create_data")["credentialOptions"]).text();
    let fields = json!({ "method": "passkey", "passkey_register": sent, "traits": { "email": "bob@example.org" } });
    assert_eq!(bob.submit(&taken, fields).await.form().messages_at("passkey_register"), [4_000_001]);
}

#[flow_test(config = enabled())]
async fn a_flow_without_an_answer_leads_to_its_page(t: Trial) {
    t.signed_up(EMAIL).await;
    let device = t.person();
    let login = device.init("login", "").await;
    let reply = device.submit(&login, json!({ "method": "passkey" })).await.reply;
    match t.client {
        ClientKind::Browser => assert!(reply.expect(303).location().contains(&login.id())),
        ClientKind::Spa | ClientKind::Api => {
            let reply = reply.expect(422);
            assert_eq!(reply.error_id(), "browser_location_change_required");
            assert!(reply.json()["redirect_browser_to"].as_str().unwrap().contains(&login.id()));
        }
    }
}

// cases: AC-24
#[flow_test(config = enabled())]
async fn a_refresh_takes_the_signed_in_persons_keys_only(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let mut hers = add(&t, &ada).await;
    let bob = t.signed_up("bob@example.org").await;
    let mut his = add(&t, &bob).await;
    let refresh = ada.init("login", "refresh=true").await;
    let asked = options(&refresh, "passkey_challenge");
    assert_eq!(asked["publicKey"]["allowCredentials"].as_array().unwrap().len(), 1);
    assert_eq!(refresh.value("identifier"), EMAIL);
    assert!(refresh.node("passkey_login")["attributes"]["onloadTrigger"].is_null());
    let sent = his.get(&asked).text(&his);
    let refused = ada.submit(&refresh, json!({ "method": "passkey", "passkey_login": sent })).await.form();
    assert_eq!(refused.messages(), [4_000_043]);
    // His key with her handle, and hers with his.
    let mut forged = his.get(&asked);
    forged.user_handle = Some(hers.user_handle.clone());
    let refused = ada.submit(&refresh, json!({ "method": "passkey", "passkey_login": forged.text(&his) })).await.form();
    assert_eq!(refused.messages(), [4_000_043]);
    t.clock().advance(Span::minutes(5));
    let sent = hers.get(&asked).text(&hers);
    ada.submit(&refresh, json!({ "method": "passkey", "passkey_login": sent })).await.done();
    let session = ada.whoami().await;
    assert_eq!(session["authenticated_at"], json!(t.now()));
    // Who has none is offered none.
    let carol = t.signed_up("carol@example.org").await;
    assert!(carol.init("login", "refresh=true").await.find("passkey_challenge").is_none());
}

// cases: S-92
#[flow_test(spa, browser, config = enabled())]
async fn a_stale_session_confirms_and_the_passkey_is_there(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    t.clock().advance(Span::hours(2));
    let flow = ada.init("settings", "").await;
    let mut key = browser_key(&t, Algorithm::Es256);
    let sent = key.create(&options(&flow, "passkey_create_data")).text();
    let submitted = ada.submit(&flow, json!({ "method": "passkey", "passkey_settings_register": sent })).await;
    let login = submitted.login_first("session_refresh_required");
    let back = ada.sign_in_again(&login, PASSWORD).await;
    let resumed = ada.navigate(&back.location.expect("a way back")).await.done().flow.expect("the flow");
    assert_eq!(listed(&resumed, "passkey_remove").len(), 1);
    sign_in(&t, &mut key).await.1.done();
}
