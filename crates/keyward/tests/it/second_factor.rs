//! Authenticator app and backup codes: enrolling, stepping up, losing, removing; and what a first factor alone may not do.

use keyward_model::Span;
use keyward_services::totp::TotpKey;
use keyward_testkit::{Actor, ClientKind, Flow, PASSWORD, Submitted, Trial, flow_test};
use serde_json::{Value, json};

pub(crate) const EMAIL: &str = "ada@example.org";

pub(crate) fn enabled() -> Value {
    json!({ "selfservice": { "methods": { "totp": { "enabled": true, "config": { "issuer": "Test & Söhne" } }, "lookup_secret": { "enabled": true } } } })
}

/// The key that a flow shows, and the code of a moment.
pub(crate) fn key(flow: &Flow) -> TotpKey {
    let base32 = flow.node("totp_secret_key")["attributes"]["text"]["text"].as_str().unwrap().to_owned();
    TotpKey::parse(&format!("otpauth://totp/x?secret={base32}")).unwrap()
}

pub(crate) fn code(key: &TotpKey, t: &Trial) -> String {
    key.code_at(t.now()).unwrap()
}

pub(crate) fn codes(flow: &Flow) -> Vec<String> {
    let secrets = flow.node("lookup_secret_codes")["attributes"]["text"]["context"]["secrets"].as_array().unwrap().clone();
    secrets.iter().filter(|secret| secret["id"] == 1_050_009).map(|secret| secret["text"].as_str().unwrap().to_owned()).collect()
}

/// Enrols an authenticator app; gives its key and the backup codes that came with it.
pub(crate) async fn enrol(t: &Trial, ada: &Actor) -> (TotpKey, Vec<String>) {
    let flow = ada.init("settings", "").await;
    let key = key(&flow);
    let saved = ada.submit(&flow, json!({ "method": "totp", "totp_code": code(&key, t) })).await.saved();
    (key, codes(&saved))
}

/// Another device of somebody who has [`PASSWORD`], with the first factor only; whoever has a second one is asked for it.
pub(crate) async fn first_step(t: &Trial, email: &str) -> Actor {
    let device = t.person();
    let submitted = device.sign_in(email, PASSWORD).await;
    assert!(matches!(submitted.reply.status, 200 | 303 | 422), "{:?}", submitted.reply);
    device
}

pub(crate) async fn step_up(ada: &Actor, fields: Value) -> Submitted {
    let login = ada.init("login", "aal=aal2").await;
    ada.submit(&login, fields).await
}

// cases: S-72, S-76
#[flow_test(config = enabled())]
async fn enrolling_raises_the_session_and_hands_out_backup_codes(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    assert!(flow.node("totp_qr")["attributes"]["src"].as_str().unwrap().starts_with("data:image/png;base64,"));
    assert_eq!(flow.names().iter().filter(|name| name.starts_with("lookup_secret")).count(), 1);
    let saved = ada.submit(&flow, json!({ "method": "totp", "totp_code": code(&key(&flow), &t) })).await.saved();
    let backup = codes(&saved);
    assert_eq!(backup.len(), 12);
    assert!(saved.find("lookup_secret_disable").is_some() && saved.find("lookup_secret_regenerate").is_some(), "S-80");

    let session = ada.whoami().await;
    assert_eq!(session["authenticator_assurance_level"], "aal2");
    assert_eq!(session["authentication_methods"][1]["method"], "totp");
    let fresh = ada.init("settings", "").await;
    assert!(fresh.find("totp_qr").is_none() && fresh.find("totp_unlink").is_some());
    assert!(fresh.find("lookup_secret_codes").is_none(), "a new flow never shows codes by itself");
    assert!(fresh.find("lookup_secret_reveal").is_some());
    let stored = t.snapshot(ada.id().await).await;
    let text = format!("{:?}", stored.credentials.iter().map(|row| row.config.to_string()).collect::<Vec<_>>());
    assert!(backup.iter().all(|code| !text.contains(code.as_str())), "codes are not stored in clear");
    assert!(!text.contains("otpauth"), "nor is the key");
}

// cases: S-73
#[flow_test(config = enabled())]
async fn a_wrong_code_enrols_nothing_and_the_key_stays(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    let shown = key(&flow);
    for (typed, message) in [("12", 4_000_008), ("", 4_000_002)] {
        let form = ada.submit(&flow, json!({ "method": "totp", "totp_code": typed })).await.form();
        assert_eq!(form.messages_at("totp_code"), [message], "{typed:?}");
        assert_eq!(key(&form).base32(), shown.base32());
    }
    assert_eq!(ada.whoami().await["authenticator_assurance_level"], "aal1");
}

// cases: L-43, L-44, AC-40
#[flow_test(config = enabled())]
async fn a_code_counts_once_also_the_one_of_the_enrolment(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (key, _) = enrol(&t, &ada).await;
    let used = code(&key, &t);
    let phone = t.person();
    phone.sign_in(EMAIL, PASSWORD).await;
    let form = step_up(&phone, json!({ "method": "totp", "totp_code": used })).await.form();
    assert_eq!(form.messages(), [4_000_008], "the enrolment used this step up");
    t.clock().advance(Span::seconds(60));
    let fresh = code(&key, &t);
    step_up(&phone, json!({ "method": "totp", "totp_code": fresh.clone() })).await.done();
    assert_eq!(phone.whoami().await["authenticator_assurance_level"], "aal2");

    let tablet = t.person();
    tablet.sign_in(EMAIL, PASSWORD).await;
    step_up(&tablet, json!({ "method": "totp", "totp_code": fresh })).await.form();
    let empty = step_up(&tablet, json!({ "method": "totp", "totp_code": "" })).await.form();
    assert_eq!(empty.messages_at("totp_code"), [4_000_002]);
}

// cases: L-45
#[flow_test(config = enabled())]
async fn a_backup_code_signs_in_once(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (_, backup) = enrol(&t, &ada).await;
    let spaced = format!("{} {}", &backup[0][..4], &backup[0][4..]);
    for (typed, expected) in [(spaced, None), (backup[0].clone(), Some(4_000_012)), ("zzzzzzzz".into(), Some(4_000_016))] {
        let phone = t.person();
        phone.sign_in(EMAIL, PASSWORD).await;
        let submitted = step_up(&phone, json!({ "method": "lookup_secret", "lookup_secret": typed })).await;
        match expected {
            None => {
                submitted.done();
                assert_eq!(phone.whoami().await["authentication_methods"][1]["method"], "lookup_secret");
            }
            Some(message) => assert_eq!(submitted.form().messages(), [message]),
        }
    }
}

// cases: S-8, S-79
#[flow_test(config = enabled())]
async fn one_factor_is_not_enough_for_settings(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    enrol(&t, &ada).await;
    let phone = t.person();
    phone.sign_in(EMAIL, PASSWORD).await;
    let reply = phone.start("settings", "").await;
    match t.client {
        ClientKind::Api | ClientKind::Spa => {
            let reply = reply.expect(403);
            assert_eq!(reply.error_id(), "session_aal2_required");
            assert!(reply.json()["redirect_browser_to"].as_str().unwrap().contains("/self-service/login/browser?aal=aal2"));
        }
        ClientKind::Browser => assert!(reply.expect(303).location().contains("/self-service/login/browser?aal=aal2")),
    }
}

// cases: AC-02, AC-03
#[flow_test(config = json!({
    "session": { "whoami": { "required_aal": "aal1" } },
    "selfservice": {
        "flows": { "settings": { "required_aal": "aal1" } },
        "methods": { "totp": { "enabled": true }, "lookup_secret": { "enabled": true } },
    },
}))]
async fn one_factor_never_touches_the_others_whatever_is_configured(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    enrol(&t, &ada).await;
    let before = t.snapshot(ada.id().await).await;
    let phone = t.person();
    phone.sign_in(EMAIL, PASSWORD).await;
    let flow = phone.init("settings", "").await;
    for fields in [
        json!({ "totp_unlink": true }),
        json!({ "lookup_secret_reveal": true }),
        json!({ "lookup_secret_regenerate": true }),
        json!({ "lookup_secret_disable": true }),
        json!({ "method": "password", "password": "staple 9 correct elephant" }),
        json!({ "method": "profile", "traits": { "email": "mallory@example.org" } }),
    ] {
        phone.submit(&flow, fields).await.login_first("session_aal2_required");
    }
    assert_eq!(t.snapshot(ada.id().await).await, before);
    assert_eq!(phone.whoami().await["authenticator_assurance_level"], "aal1");
    // What neither signs in nor receives messages stays free.
    phone.submit(&flow, json!({ "method": "profile", "traits": { "email": EMAIL, "nickname": "Countess" } })).await.saved();
}

// cases: S-78, S-136
#[flow_test(config = enabled())]
async fn removing_the_app_takes_its_backup_codes_along(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (old, _) = enrol(&t, &ada).await;
    let flow = ada.init("settings", "").await;
    let saved = ada.submit(&flow, json!({ "totp_unlink": true })).await.saved();
    assert_ne!(key(&saved).base32(), old.base32(), "a new key");
    assert!(saved.find("lookup_secret_reveal").is_none() && saved.find("lookup_secret_regenerate").is_some());
    t.person().sign_in(EMAIL, PASSWORD).await.done();
}

// cases: S-80, S-81, S-83, S-85, S-86, S-133
#[flow_test(config = enabled())]
async fn codes_of_ones_own_are_made_confirmed_shown_and_removed(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    assert_eq!(ada.submit(&flow, json!({ "lookup_secret_confirm": true })).await.form().messages(), [4_000_001]);
    ada.submit(&flow, json!({ "lookup_secret_regenerate": true })).await;
    let preview = ada.refetch(&flow).await;
    let first = codes(&preview);
    assert_eq!((first.len(), preview.state().as_str()), (12, "show_form"));
    assert_eq!(ada.whoami().await["authenticator_assurance_level"], "aal1", "a preview is no factor");
    ada.submit(&flow, json!({ "lookup_secret_confirm": true })).await.saved();
    let session = ada.whoami().await;
    assert_eq!(session["authenticator_assurance_level"], "aal2");
    assert_eq!(session["authentication_methods"][1]["method"], "lookup_secret");
    assert_eq!(ada.submit(&flow, json!({ "lookup_secret_confirm": true })).await.form().messages(), [4_000_001], "nothing waits");

    let phone = t.person();
    phone.sign_in(EMAIL, PASSWORD).await;
    step_up(&phone, json!({ "method": "lookup_secret", "lookup_secret": first[3] })).await.done();
    let flow = ada.init("settings", "").await;
    assert!(flow.find("lookup_secret_reveal").is_some() && flow.find("lookup_secret_regenerate").is_none());
    ada.submit(&flow, json!({ "lookup_secret_reveal": true })).await;
    let shown = ada.refetch(&flow).await;
    assert_eq!(codes(&shown).len(), 11, "the used one is marked");
    ada.submit(&flow, json!({ "lookup_secret_disable": true })).await.saved();
    t.person().sign_in(EMAIL, PASSWORD).await.done();
    // Who has none may say so as well, and proves nothing by it.
    let bob = t.signed_up("bob@example.org").await;
    let flow = bob.init("settings", "").await;
    bob.submit(&flow, json!({ "lookup_secret_disable": true })).await.saved();
    assert_eq!(bob.whoami().await["authenticator_assurance_level"], "aal1");
}

// cases: S-84, S-134
#[flow_test(config = enabled())]
async fn old_codes_sign_in_until_new_ones_are_confirmed_and_never_after(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (_, old) = enrol(&t, &ada).await;
    let flow = ada.init("settings", "").await;
    ada.submit(&flow, json!({ "lookup_secret_reveal": true })).await;
    ada.submit(&flow, json!({ "lookup_secret_regenerate": true })).await;
    let fresh = codes(&ada.refetch(&flow).await);
    let lookup = |code: &String| json!({ "method": "lookup_secret", "lookup_secret": code });
    let phone = first_step(&t, EMAIL).await;
    assert_eq!(step_up(&phone, lookup(&fresh[0])).await.form().messages(), [4_000_016], "not yet");
    step_up(&phone, lookup(&old[0])).await.done();

    ada.submit(&flow, json!({ "lookup_secret_confirm": true })).await.saved();
    let tablet = first_step(&t, EMAIL).await;
    assert_eq!(step_up(&tablet, lookup(&old[1])).await.form().messages(), [4_000_016], "no more");
    step_up(&tablet, lookup(&fresh[0])).await.done();
}

// cases: AC-01
#[flow_test(config = json!({
    "session": { "whoami": { "required_aal": "aal1" } },
    "selfservice": {
        "flows": { "settings": { "required_aal": "aal1" } },
        "methods": { "totp": { "enabled": true }, "webauthn": { "enabled": true, "config": { "rp": { "id": "localhost", "display_name": "Test", "origins": ["http://localhost"] } } } },
    },
}))]
async fn an_app_is_not_enrolled_beside_a_security_key_by_one_factor(t: Trial) {
    let keys = json!([{ "id": "AQ==", "public_key": "AAECAw==", "display_name": "key", "is_passwordless": false }]);
    let credentials = json!({
        "password": { "config": { "password": PASSWORD } },
        "webauthn": { "config": { "credentials": keys, "user_handle": "aGFuZGxl" } },
    });
    let body = json!({ "schema_id": "person", "traits": { "email": EMAIL }, "credentials": credentials });
    let made = t.admin().create(&body).await;
    let ada = first_step(&t, EMAIL).await;
    let flow = ada.init("settings", "").await;
    let fields = json!({ "method": "totp", "totp_code": code(&key(&flow), &t) });
    ada.submit(&flow, fields).await.login_first("session_aal2_required");
    let id = keyward_model::IdentityId::parse(made["id"].as_str().unwrap()).unwrap();
    assert_eq!(t.snapshot(id).await.factors().totp, 0);
}

// cases: AC-67
#[flow_test(config = enabled())]
async fn guessing_ends_after_five_tries_and_the_owner_gets_in(t: Trial) {
    t.signed_up(EMAIL).await;
    let owner = t.person();
    owner.sign_in(EMAIL, PASSWORD).await.done();
    let stranger = t.person();
    for _ in 0..5 {
        assert_eq!(stranger.sign_in(EMAIL, "wrong horse 7 battery").await.form().messages(), [4_000_006]);
    }
    let blocked = stranger.sign_in(EMAIL, PASSWORD).await;
    match t.client {
        ClientKind::Browser => assert_eq!(blocked.form().messages(), [7_900_001]),
        ClientKind::Api | ClientKind::Spa => {
            let reply = &blocked.reply;
            assert_eq!((reply.error_id().as_str(), reply.header("retry-after")), ("too_many_attempts", Some("31")));
            blocked.problem(429);
        }
    }
    if t.client != ClientKind::Api {
        // The browser that signed in before has a lane of its own.
        let logout = owner.call("GET", "/self-service/logout/browser").header("accept", "application/json").await.expect(200);
        owner.call("GET", logout.json()["logout_url"].as_str().unwrap()).header("accept", "application/json").await.expect(204);
        owner.sign_in(EMAIL, PASSWORD).await.done();
    }
    t.clock().advance(Span::seconds(31));
    stranger.sign_in(EMAIL, PASSWORD).await.done();
}
