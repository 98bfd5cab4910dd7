//! Attacks on keys: challenges of other people and other flows, keys of others, doors that stand beside the right one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_model::{CredentialType, Span};
use keyward_testkit::authenticator::{Algorithm, SoftKey};
use keyward_testkit::{Actor, ClientKind, Flow, PASSWORD, Said, Trial, Value, database_test, flow_test};
use serde_json::json;

use crate::passkey::{browser_key, sign_in};
use crate::second_factor::{EMAIL, enrol, first_step};
use crate::webauthn::{options, step_up};

fn both() -> Value {
    let mut config = crate::second_factor::enabled();
    config["selfservice"]["methods"]["passkey"] = json!({ "enabled": true });
    config["selfservice"]["methods"]["webauthn"] = json!({ "enabled": true });
    config
}

/// What a flow asks for, and the field that answers it.
const WAYS: [(&str, &str); 2] =
    [("passkey_create_data", "passkey_settings_register"), ("webauthn_register_trigger", "webauthn_register")];

fn answer(key: &mut SoftKey, flow: &Flow, (data, field): (&str, &str)) -> Value {
    json!({ field: key.create(&options(flow, data)).text(), "webauthn_register_displayname": "key" })
}

// cases: AC-21
#[flow_test(config = both())]
async fn a_challenge_is_good_for_one_flow_of_one_person(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let eve = t.signed_up("eve@example.org").await;
    for way in WAYS {
        let hers = ada.init("settings", "").await;
        let other = ada.init("settings", "").await;
        let eves = eve.init("settings", "").await;
        let mut key = browser_key(&t, Algorithm::Es256);
        let fields = answer(&mut key, &hers, way);
        for (person, flow) in [(&ada, &other), (&eve, &eves)] {
            assert_eq!(person.submit(flow, fields.clone()).await.form().messages(), [4_000_001], "{way:?}");
        }
        // In her own flow by Eve: it is not Eve's.
        let mut forged = fields.clone();
        forged["csrf_token"] = json!(eves.csrf_token());
        assert_eq!(eve.submit(&hers, forged).await.problem(403)["id"], "security_identity_mismatch");
        let saved = ada.submit(&hers, fields).await.saved();
        assert_ne!(options(&saved, way.0)["publicKey"]["challenge"], options(&hers, way.0)["publicKey"]["challenge"]);
        // Used up: another key for the same challenge is none.
        let mut late = browser_key(&t, Algorithm::Es256);
        assert_eq!(ada.submit(&hers, answer(&mut late, &hers, way)).await.form().messages(), [4_000_001], "{way:?}");
    }
    assert_eq!(t.snapshot(eve.id().await).await.factors().passkey, 0);
}

/// The challenges of sign-in, sign-up and settings are not those of each other, and neither are those of the two methods.
// cases: AC-21, AC-20
#[flow_test(config = both())]
async fn a_ceremony_cannot_stand_in_for_another(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let mut passkey = crate::passkey::add(&t, &ada).await;
    let mut key = crate::webauthn::add(&t, &ada).await;
    let phone = first_step(&t, EMAIL).await;
    let second = phone.init("login", "aal=aal2").await;
    // The passkey in place of the security key.
    let sent = passkey.get(&options(&second, "webauthn_login_trigger")).text(&passkey);
    let fields = json!({ "method": "webauthn", "identifier": EMAIL, "webauthn_login": sent });
    assert_eq!(phone.submit(&second, fields).await.form().messages(), [4_000_043]);
    let sent = passkey.get(&options(&second, "webauthn_login_trigger")).text(&passkey);
    let fields = json!({ "method": "passkey", "passkey_login": sent });
    assert_eq!(phone.submit(&second, fields).await.form().messages(), [4_010_002], "a passkey is no second step");
    // The security key in place of the passkey.
    let tablet = t.person();
    let first = tablet.init("login", "").await;
    let mut one = key.get(&options(&first, "passkey_challenge"));
    one.user_handle = Some(passkey.user_handle.clone());
    let fields = json!({ "method": "passkey", "passkey_login": one.text(&key) });
    assert_eq!(tablet.submit(&first, fields).await.form().messages(), [4_000_043]);
    // An answer to the first step of one flow in another one.
    let elsewhere = t.person().init("login", "").await;
    let sent = passkey.get(&options(&elsewhere, "passkey_challenge")).text(&passkey);
    let fields = json!({ "method": "passkey", "passkey_login": sent });
    assert_eq!(tablet.submit(&first, fields).await.form().messages(), [4_000_043]);
    // A second step that nobody began.
    let fields = json!({ "method": "webauthn", "identifier": EMAIL, "webauthn_login": sent });
    assert_eq!(tablet.submit(&first, fields).await.form().messages(), [4_000_015], "keys do not sign in here");
    tablet.try_whoami().await.expect(401);
    step_up(&phone, &mut key).await.done();
}

// cases: AC-25
#[flow_test(config = both())]
async fn nobody_adds_a_key_without_a_session_of_the_account(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    for way in WAYS {
        let flow = ada.init("settings", "").await;
        let fields = answer(&mut browser_key(&t, Algorithm::Es256), &flow, way);
        let stranger = t.person();
        let submitted = stranger.submit(&flow, fields.clone()).await;
        match t.client {
            ClientKind::Browser => assert!(matches!(submitted.said, Said::Leave(_)), "{:?}", submitted.said),
            ClientKind::Api | ClientKind::Spa => assert_eq!(submitted.problem(401)["id"], "session_inactive"),
        }
        // Nor does a sign-up with an address that is taken.
        let entry = stranger.init("registration", "").await;
        let mut key = browser_key(&t, Algorithm::Es256);
        let sent = key.create(&options(&entry, "passkey_create_data")["credentialOptions"]).text();
        let fields = json!({ "method": "passkey", "passkey_register": sent, "traits": { "email": EMAIL } });
        assert_eq!(stranger.submit(&entry, fields).await.form().messages(), [4_000_007]);
    }
    let stored = t.snapshot(ada.id().await).await;
    assert_eq!((stored.factors().passkey, stored.factors().webauthn), (0, 0));
}

/// Whoever has a second factor shows it before keys come or go.
// cases: AC-01, AC-02
#[flow_test(config = {
    let mut config = both();
    config["session"]["whoami"]["required_aal"] = json!("aal1");
    config["selfservice"]["flows"]["settings"]["required_aal"] = json!("aal1");
    config
})]
async fn one_factor_adds_and_removes_no_key(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let key = crate::webauthn::add(&t, &ada).await;
    let passkey = crate::passkey::add(&t, &ada).await;
    let before = t.snapshot(ada.id().await).await;
    let phone = t.person();
    phone.sign_in(EMAIL, PASSWORD).await;
    let flow = phone.init("settings", "").await;
    let mut attempts = vec![
        json!({ "webauthn_remove": keyward_model::hex(&key.id) }),
        json!({ "webauthn_rename": keyward_model::hex(&key.id), "webauthn_register_displayname": "x" }),
        json!({ "passkey_remove": keyward_model::hex(&passkey.id) }),
        json!({ "passkey_rename": keyward_model::hex(&passkey.id), "passkey_display_name": "x" }),
    ];
    attempts.extend(WAYS.map(|way| answer(&mut browser_key(&t, Algorithm::Es256), &flow, way)));
    for fields in attempts {
        phone.submit(&flow, fields).await.login_first("session_aal2_required");
    }
    assert_eq!(t.snapshot(ada.id().await).await, before);
}

/// Between the factors nobody is more than half signed in, whichever key it is.
// cases: AC-11, AC-16
#[flow_test(config = both())]
async fn a_passkey_alone_is_one_factor(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let mut passkey = crate::passkey::add(&t, &ada).await;
    let (_, codes) = enrol(&t, &ada).await;
    let (phone, submitted) = sign_in(&t, &mut passkey).await;
    assert!(matches!(submitted.reply.status, 200 | 303 | 422), "{:?}", submitted.reply);
    let refused = phone.try_whoami().await.expect(403);
    assert_eq!(refused.error_id(), "session_aal2_required");
    let login = phone.init("login", "aal=aal2").await;
    assert!(login.find("passkey_challenge").is_none());
    phone.submit(&login, json!({ "method": "lookup_secret", "lookup_secret": codes[0] })).await.done();
    assert_eq!(phone.whoami().await["authenticator_assurance_level"], "aal2");
}

/// Wrong keys are counted like wrong passwords; other methods are not touched by it.
// cases: AC-13
#[flow_test(config = both())]
async fn wrong_keys_are_counted(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let mut key = crate::webauthn::add(&t, &ada).await;
    let phone = first_step(&t, EMAIL).await;
    let login = phone.init("login", "aal=aal2").await;
    let mut one = key.get(&options(&login, "webauthn_login_trigger"));
    one.signature = Some(vec![0; 64]);
    let fields = json!({ "method": "webauthn", "identifier": EMAIL, "webauthn_login": one.text(&key) });
    for _ in 0..5 {
        assert_eq!(phone.submit(&login, fields.clone()).await.form().messages(), [4_000_043]);
    }
    let waiting = phone.submit(&login, fields.clone()).await;
    assert!(matches!(waiting.reply.status, 429 | 303), "{:?}", waiting.reply);
    t.clock().advance(Span::hours(1));
    step_up(&phone, &mut key).await.done();
}

/// Names are text, wherever they are shown (AC-29; the pages have their own test).
// cases: AC-29
#[flow_test(config = both())]
async fn names_are_kept_as_they_are_written(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let markup = "</script><img src=x onerror=alert(1)>\u{202e}\"';--";
    for (data, field, name, list) in [
        ("passkey_create_data", "passkey_settings_register", "passkey_display_name", "passkey_remove"),
        ("webauthn_register_trigger", "webauthn_register", "webauthn_register_displayname", "webauthn_remove"),
    ] {
        let flow = ada.init("settings", "").await;
        let mut key = browser_key(&t, Algorithm::Es256);
        let fields = json!({ field: key.create(&options(&flow, data)).text(), name: markup });
        let saved = ada.submit(&flow, fields).await.saved();
        assert_eq!(saved.node(list)["meta"]["label"]["context"]["display_name"], markup);
    }
}

/// A schema that does not say what a key belongs to (S-98), and one that does not say how a passkey is called.
// cases: S-98, L-77
#[flow_test(config = {
    let mut config = both();
    let schema = json!({
        "$id": "https://schemas.invalid/person.json", "type": "object",
        "properties": { "traits": { "type": "object", "properties": {
            "email": {
                "type": "string", "format": "email",
                "ory.sh/kratos": { "credentials": { "password": { "identifier": true } } },
            },
        } } },
    });
    config["identity"] = json!({ "schemas": [{ "id": "person", "url": keyward_testkit::schema_url(&schema) }] });
    config
})]
async fn without_a_name_there_is_no_key(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    assert_eq!(flow.messages(), [4_000_009], "told when the flow begins");
    assert!(flow.group("passkey").is_empty());
    let mut key = browser_key(&t, Algorithm::Es256);
    let fields = answer(&mut key, &flow, WAYS[1]);
    assert_eq!(ada.submit(&flow, fields).await.form().messages(), [4_000_009]);
    let fields = json!({ "passkey_settings_register": "{}" });
    assert_eq!(ada.submit(&flow, fields).await.form().messages(), [4_000_009]);
    assert!(t.person().init("registration", "").await.group("passkey").is_empty());
}

/// Without a relying party in the configuration it is the public host.
// cases: S-99
#[flow_test(config = both())]
async fn the_relying_party_is_the_public_host(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    for (data, _) in WAYS {
        assert_eq!(options(&flow, data)["publicKey"]["rp"], json!({ "name": "127.0.0.1", "id": "127.0.0.1" }));
    }
}

// cases: S-90, S-92
#[flow_test(spa, browser, config = both())]
async fn a_security_key_needs_a_token_and_a_fresh_session(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    t.clock().advance(Span::hours(2));
    let flow = ada.init("settings", "").await;
    let mut fields = answer(&mut browser_key(&t, Algorithm::Es256), &flow, WAYS[1]);
    fields["csrf_token"] = json!("forged");
    let Said::Problem { status: 403, .. } = ada.submit(&flow, fields.clone()).await.said else { panic!("refused") };
    fields["csrf_token"] = json!(flow.csrf_token());
    let login = ada.submit(&flow, fields).await.login_first("session_refresh_required");
    let back = ada.sign_in_again(&login, PASSWORD).await;
    ada.navigate(&back.location.expect("a way back")).await.done();
    assert_eq!(t.snapshot(ada.id().await).await.factors().webauthn, 1);
}

/// A key of an imported account is known by its id, so that nobody registers it again; one account per key at import as well.
// cases: AC-28
#[database_test(config = both())]
async fn imported_keys_are_unique(t: Trial) {
    let key = json!({ "id": "AQIDBA==", "public_key": "AAECAw==", "is_passwordless": true });
    let person = |email: &str| {
        json!({
            "schema_id": "person", "traits": { "email": email },
            "credentials": { "passkey": { "config": { "credentials": [key], "user_handle": STANDARD.encode(email) } } },
        })
    };
    t.admin().call("POST", "/admin/identities").json(&person(EMAIL)).await.expect(201);
    let refused = t.admin().call("POST", "/admin/identities").json(&person("eve@example.org")).await.expect(409);
    assert_eq!(refused.json()["error"]["details"]["conflict"], "key", "{}", refused.text());
    assert!(t.store().find_identity_by_key("AQIDBA==").await.unwrap().is_some());
    let long = STANDARD.encode([1; 1_024]);
    let mut body = person("bob@example.org");
    body["credentials"]["passkey"]["config"]["credentials"][0]["id"] = json!(long);
    t.admin().call("POST", "/admin/identities").json(&body).await.expect(400);
}

/// A key that an account held belongs to nobody once the account is removed.
#[database_test(config = both())]
async fn a_removed_account_frees_its_keys(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let mut key = crate::passkey::add(&t, &ada).await;
    t.admin().call("DELETE", &format!("/admin/identities/{}", ada.id().await)).await.expect(204);
    let again: Actor = t.signed_up(EMAIL).await;
    let flow = again.init("settings", "").await;
    again.submit(&flow, answer(&mut key, &flow, WAYS[0])).await.saved();
    assert!(t.snapshot(again.id().await).await.credential(CredentialType::Passkey).is_some());
}

/// Nobody piles up keys without end.
#[flow_test(config = both())]
async fn an_account_has_room_for_a_hundred_keys(t: Trial) {
    let keys: Vec<_> = (0..100_u8)
        .map(|number| json!({ "id": STANDARD.encode([number; 16]), "public_key": "AAECAw==", "is_passwordless": true }))
        .collect();
    let config = json!({ "credentials": keys, "user_handle": STANDARD.encode("handle") });
    let credentials = json!({ "password": { "config": { "password": PASSWORD } }, "passkey": { "config": config } });
    let body = json!({ "schema_id": "person", "traits": { "email": EMAIL }, "credentials": credentials });
    t.admin().create(&body).await;
    let ada = t.signed_in(EMAIL).await;
    let flow = ada.init("settings", "").await;
    let mut key = browser_key(&t, Algorithm::Es256);
    assert_eq!(ada.submit(&flow, answer(&mut key, &flow, WAYS[0])).await.form().messages(), [4_000_001]);
    let saved = ada.submit(&flow, json!({ "passkey_remove": keyward_model::hex(&[7; 16]) })).await.saved();
    ada.submit(&saved, answer(&mut key, &saved, WAYS[0])).await.saved();
}

/// A schema that forgot what keys belong to takes nobody's keys hostage.
#[flow_test(config = both())]
async fn keys_can_be_named_and_removed_under_another_schema(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let first = crate::webauthn::add(&t, &ada).await;
    crate::webauthn::add(&t, &ada).await;
    let schema = json!({
        "$id": "https://schemas.invalid/person.json", "type": "object",
        "properties": { "traits": { "type": "object", "properties": {
            "email": {
                "type": "string", "format": "email",
                "ory.sh/kratos": { "credentials": { "password": { "identifier": true } } },
            },
        } } },
    });
    t.reconfigure(&json!({ "identity": { "schemas": [{ "id": "person", "url": keyward_testkit::schema_url(&schema) }] } }));
    let flow = ada.init("settings", "").await;
    let id = keyward_model::hex(&first.id);
    let saved = ada.submit(&flow, json!({ "webauthn_rename": id, "webauthn_register_displayname": "x" })).await.saved();
    ada.submit(&saved, json!({ "webauthn_remove": id })).await.saved();
}

fn passwordless(mitigate: bool) -> Value {
    let mut config = both();
    config["selfservice"]["methods"]["webauthn"]["config"] = json!({ "passwordless": true });
    config["security"] = json!({ "account_enumeration": { "mitigate": mitigate } });
    config
}

/// Shows a key of nobody after a name, until somebody has to wait; gives the number of tries.
async fn tries_until_told_to_wait(t: &Trial, email: &str) -> usize {
    let eve = t.person();
    let login = eve.init("login", "").await;
    eve.submit(&login, json!({ "method": "webauthn", "identifier": email })).await;
    let asked = eve.refetch(&login).await;
    let mut key = browser_key(t, Algorithm::Es256);
    let sent = key.get(&options(&asked, "webauthn_login_trigger")).text(&key);
    let fields = json!({ "method": "webauthn", "identifier": email, "webauthn_login": sent });
    for tried in 0..20 {
        let submitted = eve.submit(&asked, fields.clone()).await;
        let told = submitted.reply.status == 429 || eve.refetch(&asked).await.messages() == [7_900_001];
        if told {
            return tried;
        }
    }
    panic!("nobody was told to wait");
}

/// Waiting tells nobody who has an account.
#[flow_test(config = passwordless(true))]
async fn unknown_names_wait_like_known_ones(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    crate::webauthn::add_passwordless(&t, &ada).await;
    assert_eq!(tries_until_told_to_wait(&t, EMAIL).await, tries_until_told_to_wait(&t, "nobody@example.org").await);
}

/// Whoever knows a name keeps nobody from their second step.
#[flow_test(config = both())]
async fn outsiders_block_no_second_step(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let mut key = crate::webauthn::add(&t, &ada).await;
    t.reconfigure(&passwordless(true));
    tries_until_told_to_wait(&t, EMAIL).await;
    let phone = first_step(&t, EMAIL).await;
    step_up(&phone, &mut key).await.done();
}

/// What operators add or change leaves the passkeys that are there a way in.
#[database_test(config = both())]
async fn imported_handles_join_those_that_are_there(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let mut own = crate::passkey::add(&t, &ada).await;
    let mut imported = browser_key(&t, Algorithm::Rs256);
    imported.user_handle = b"another".to_vec();
    // Without the flag that says what a passkey is anyway.
    let patch = json!([{
        "op": "add", "path": "/credentials/passkey/config/credentials/-",
        "value": { "id": STANDARD.encode(&imported.id), "public_key": STANDARD.encode(imported.cose()) },
    }, {
        "op": "replace", "path": "/credentials/passkey/config/user_handle", "value": STANDARD.encode("another"),
    }]);
    let path = format!("/admin/identities/{}", ada.id().await);
    t.admin().call("PATCH", &path).json(&patch).await.expect(200);
    for key in [&mut own, &mut imported] {
        let (device, submitted) = sign_in(&t, key).await;
        submitted.done();
        assert_eq!(device.id().await, ada.id().await);
    }
}
