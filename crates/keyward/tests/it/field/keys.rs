//! Reports about security keys and passkeys.

use base64::Engine as _;
use keyward_model::CredentialType;
use keyward_testkit::authenticator::{Algorithm, BE, BS, SoftKey, UP, encode};
use keyward_testkit::{Submitted, Trial, Value, flow_test};
use serde_json::json;

use super::MARA;
use crate::passkey::{browser_key, listed, sign_in};
use crate::second_factor::first_step;
use crate::webauthn::options;

fn keys() -> Value {
    json!({ "selfservice": { "methods": { "passkey": { "enabled": true }, "webauthn": { "enabled": true } } } })
}

#[flow_test(config = keys())]
async fn key_01_an_empty_user_handle_is_none(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let mut key = crate::webauthn::add(&t, &mara).await;
    let mut passkey = crate::passkey::add(&t, &mara).await;
    for handle in [json!(""), json!(null), json!("absent")] {
        let phone = first_step(&t, MARA).await;
        let login = phone.init("login", "aal=aal2").await;
        let mut credential = key.get(&options(&login, "webauthn_login_trigger")).credential(&key);
        if handle == "absent" {
            credential["response"].as_object_mut().unwrap().remove("userHandle");
        } else {
            credential["response"]["userHandle"] = handle.clone();
        }
        let fields = json!({ "method": "webauthn", "identifier": MARA, "webauthn_login": credential.to_string() });
        phone.submit(&login, fields).await.done();
        assert_eq!(phone.whoami().await["authenticator_assurance_level"], "aal2", "{handle}");
    }
    let phone = t.person();
    let login = phone.init("login", "").await;
    let mut one = passkey.get(&options(&login, "passkey_challenge"));
    one.user_handle = Some(Vec::new());
    let fields = json!({ "method": "passkey", "passkey_login": one.text(&passkey) });
    assert_eq!(phone.submit(&login, fields).await.form().messages(), [4_000_015]);
}

#[flow_test(config = keys())]
async fn key_03_flags_that_change_lock_nobody_out(t: Trial) {
    for (email, flags) in [(MARA, json!({ "backup_eligible": false })), ("bea@example.org", json!(null))] {
        let mut key = browser_key(&t, Algorithm::Es256);
        key.user_handle = email.as_bytes().to_vec();
        let stored = json!({
            "id": base64(&key.id), "public_key": base64(&key.cose()), "is_passwordless": true, "flags": flags,
        });
        let config = json!({ "credentials": [stored], "user_handle": base64(&key.user_handle) });
        let body =
            json!({ "schema_id": "person", "traits": { "email": email }, "credentials": { "passkey": { "config": config } } });
        let id = t.admin().create(&body).await["id"].as_str().unwrap().to_owned();
        let mut malformed = key.flags;
        malformed |= BS;
        key.flags = malformed;
        let (_, submitted) = sign_in(&t, &mut key).await;
        assert_eq!(submitted.form().messages(), [4_000_043], "backed up and not eligible");
        key.flags |= BE;
        let (_, submitted) = sign_in(&t, &mut key).await;
        submitted.done();
        let shown = t.admin().call("GET", &format!("/admin/identities/{id}?include_credential=passkey")).await.expect(200).json();
        let flags = &shown["credentials"]["passkey"]["config"]["credentials"][0]["flags"];
        assert_eq!((&flags["backup_eligible"], &flags["backup_state"]), (&json!(true), &json!(true)), "{email}");
        let noted = t.audit().await.iter().filter(|event| event.kind == "key_became_syncable").count();
        assert_eq!(noted, 1, "known for the first, unknown for the second");
    }
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[flow_test(config = keys())]
async fn key_05_unknown_transports_are_kept_and_told(t: Trial) {
    let names = ["cable", "internal", "hybrid", "smart-card", "telepathy"].map(str::to_owned).to_vec();
    let mara = t.signed_up(MARA).await;
    for transports in [Some(names.clone()), Some(Vec::new()), None] {
        for (data, field, name) in [
            ("passkey_create_data", "passkey_settings_register", "passkey_display_name"),
            ("webauthn_register_trigger", "webauthn_register", "webauthn_register_displayname"),
        ] {
            let flow = mara.init("settings", "").await;
            let mut key = browser_key(&t, Algorithm::Es256);
            key.transports.clone_from(&transports);
            let fields = json!({ field: key.create(&options(&flow, data)).text(), name: "key" });
            let saved = mara.submit(&flow, fields).await.saved();
            let excluded = options(&saved, data)["publicKey"]["excludeCredentials"].as_array().unwrap().clone();
            let own = excluded.iter().find(|one| one["id"] == encode(&key.id)).expect("the key");
            let told = transports.as_ref().filter(|names| !names.is_empty());
            assert_eq!(own["transports"], told.map_or(Value::Null, |names| json!(names)));
        }
    }
    let refresh = mara.init("login", "refresh=true&aal=aal2").await;
    let allowed = &options(&refresh, "webauthn_login_trigger")["publicKey"]["allowCredentials"];
    assert!(allowed.as_array().unwrap().iter().any(|one| one["transports"] == json!(names)));
    mara.whoami().await;
    t.admin().identity(mara.id().await).await;
}

#[flow_test(config = keys())]
async fn key_07_long_ids_work_from_end_to_end(t: Trial) {
    let mara = t.signed_up(MARA).await;
    for length in [16, 255, 528, 1_023] {
        let mut key = browser_key(&t, Algorithm::Es256);
        key.id = vec![u8::try_from(length % 251).unwrap(); length];
        let flow = mara.init("settings", "").await;
        let fields = json!({ "passkey_settings_register": key.create(&options(&flow, "passkey_create_data")).text() });
        let saved = mara.submit(&flow, fields).await.saved();
        sign_in(&t, &mut key).await.1.done();
        let [(id, _)] = &listed(&saved, "passkey_remove")[..] else { panic!("one passkey") };
        assert_eq!(id.len(), 2 * length);
        mara.submit(&saved, json!({ "passkey_remove": id })).await.saved();
    }
    let mut key = browser_key(&t, Algorithm::Es256);
    key.id = vec![1; 1_024];
    let flow = mara.init("settings", "").await;
    let fields = json!({ "passkey_settings_register": key.create(&options(&flow, "passkey_create_data")).text() });
    assert_eq!(mara.submit(&flow, fields).await.form().messages(), [4_000_001]);
    assert!(t.snapshot(mara.id().await).await.credential(CredentialType::Passkey).is_none());
}

const APP: &str = "android:apk-key-hash:-2AMDOS0HZpZowxPbSqjXBQeD8dMh5Vlp11F3ZEJbz4";

#[flow_test(api, config = json!({ "selfservice": { "methods": { "passkey": { "enabled": true, "config": { "rp": {
    "id": "id.example.org", "origins": ["https://id.example.org", APP],
} } } } } }))]
async fn key_09_the_origin_of_an_app_is_a_text(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let register = async |origin: &str| -> (SoftKey, Submitted) {
        let flow = mara.init("settings", "").await;
        let mut key = SoftKey::new(Algorithm::Es256, origin);
        let fields = json!({ "passkey_settings_register": key.create(&options(&flow, "passkey_create_data")).text() });
        let submitted = mara.submit(&flow, fields).await;
        (key, submitted)
    };
    for wrong in [APP.to_lowercase(), APP.replace("-2A", "-3A"), format!("{APP}/")] {
        assert_eq!(register(&wrong).await.1.form().messages(), [4_000_001], "{wrong}");
    }
    let (mut key, submitted) = register(APP).await;
    submitted.saved();
    sign_in(&t, &mut key).await.1.done();
    key.origin = APP.to_lowercase();
    assert_eq!(sign_in(&t, &mut key).await.1.form().messages(), [4_000_043]);
}

#[flow_test(config = keys())]
async fn key_11_what_is_offered_is_what_works(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let flow = mara.init("settings", "").await;
    for data in ["passkey_create_data", "webauthn_register_trigger"] {
        let offered = options(&flow, data)["publicKey"]["pubKeyCredParams"].clone();
        let offered: Vec<_> = offered.as_array().unwrap().iter().map(|one| one["alg"].as_i64().unwrap()).collect();
        assert_eq!(offered, Algorithm::ALL.map(Algorithm::cose), "{data}");
    }
    for algorithm in Algorithm::ALL {
        let mut key = browser_key(&t, algorithm);
        let flow = mara.init("settings", "").await;
        let fields = json!({ "passkey_settings_register": key.create(&options(&flow, "passkey_create_data")).text() });
        mara.submit(&flow, fields).await.saved();
        sign_in(&t, &mut key).await.1.done();
    }
}

#[flow_test(config = {
    let mut config = keys();
    let schema = json!({
        "$id": "https://schemas.invalid/person.json", "type": "object",
        "properties": { "traits": { "type": "object", "properties": {
            "email": {
                "type": "string", "format": "email",
                "ory.sh/kratos": { "credentials": { "password": { "identifier": true }, "webauthn": { "identifier": true } } },
            },
            "called": { "type": "string", "ory.sh/kratos": { "credentials": { "passkey": { "display_name": true } } } },
        } } },
    });
    config["identity"] = json!({ "schemas": [{ "id": "person", "url": keyward_testkit::schema_url(&schema) }] });
    config
})]
async fn key_13_authenticators_name_the_account_and_not_the_device(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let flow = mara.init("settings", "").await;
    let fields = json!({ "method": "profile", "traits": { "email": MARA, "called": "Mara Winter" } });
    let flow = mara.submit(&flow, fields).await.saved();
    for data in ["passkey_create_data", "webauthn_register_trigger"] {
        let user = &options(&flow, data)["publicKey"]["user"];
        assert_eq!((&user["name"], &user["displayName"]), (&json!(MARA), &json!("Mara Winter")), "{data}");
    }
    let mut key = browser_key(&t, Algorithm::Es256);
    key.flags = UP;
    let sent = key.create(&options(&flow, "passkey_create_data")).text();
    let fields = json!({ "passkey_settings_register": sent, "passkey_display_name": "Kitchen tablet" });
    let saved = mara.submit(&flow, fields).await.saved();
    assert_eq!(listed(&saved, "passkey_remove")[0].1["display_name"], "Kitchen tablet");
}
