//! Credentials that operators bring along and take away.

use keyward_testkit::{PASSWORD, Trial, database_test};
use serde_json::{Value, json};

use super::{error, id_of, person};

fn key(id: &str, is_passwordless: bool) -> Value {
    json!({ "id": id, "public_key": "AAECAw==", "display_name": "key", "is_passwordless": is_passwordless })
}

/// Everything that can be imported.
fn everything() -> Value {
    json!({
        "password": { "config": { "password": PASSWORD } },
        "oidc": { "config": { "providers": [
            { "provider": "google", "subject": "1", "use_auto_link": true },
            { "provider": "github", "subject": "2" },
        ] } },
        "totp": { "config": { "totp_url": "otpauth://totp/x?secret=ABCDEFGH" } },
        "lookup_secret": { "config": { "codes": [{ "code": "abc" }, { "code": "def", "used_at": "2026-01-01T00:00:00Z" }] } },
        "webauthn": { "config": { "credentials": [key("AQ==", false), key("Ag==", true)], "user_handle": "aGFuZGxl" } },
        "passkey": { "config": { "credentials": [key("Aw==", true)], "user_handle": "aGFuZGxl" } },
    })
}

// No case of its own in the list.
#[database_test]
async fn every_kind_of_credential_can_be_imported(t: Trial) {
    let admin = t.admin();
    let mut body = person("ada@example.org");
    body["credentials"] = everything();
    let id = id_of(&admin.create(&body).await);
    let factors = t.snapshot(id).await.factors();
    assert_eq!((factors.password, factors.totp, factors.lookup_secret), (1, 1, 1));
    assert_eq!((factors.webauthn, factors.webauthn_passwordless, factors.passkey, factors.oidc), (1, 1, 1, 2));
    let kinds = ["password", "oidc", "totp", "lookup_secret", "webauthn", "passkey"];
    let query = kinds.map(|kind| format!("include_credential={kind}")).join("&");
    let read = admin.call("GET", &format!("/admin/identities/{id}?{query}")).await.expect(200).json();
    let credentials = &read["credentials"];
    for (pointer, expected) in [
        ("/oidc/identifiers", json!(["google:1", "github:2"])),
        (
            "/oidc/config/providers/0",
            json!({
                "subject": "1", "provider": "google", "initial_id_token": "", "initial_access_token": "", "initial_refresh_token": "",
                "use_auto_link": true,
            }),
        ),
        ("/totp/identifiers", json!([id])),
        ("/totp/config", json!({ "totp_url": "otpauth://totp/x?secret=ABCDEFGH" })),
        ("/lookup_secret/identifiers", json!([id])),
        (
            "/lookup_secret/config",
            json!({ "recovery_codes": [{ "code": "abc" }, { "code": "def", "used_at": "2026-01-01T00:00:00Z" }] }),
        ),
        ("/webauthn/identifiers", json!(["ada@example.org"])),
        ("/webauthn/config/user_handle", json!("aGFuZGxl")),
        ("/webauthn/config/credentials/0/id", json!("AQ==")),
        ("/webauthn/config/credentials/0/authenticator", json!({ "aaguid": "", "sign_count": 0, "clone_warning": false })),
        ("/webauthn/config/credentials/0/added_at", json!(t.now())),
        ("/passkey/identifiers", json!(["handle"])),
    ] {
        assert_eq!(credentials.pointer(pointer), Some(&expected), "{pointer} of {credentials}");
    }
}

// No case of its own in the list.
#[database_test(config = crate::second_factor::enabled())]
async fn imported_backup_codes_work_once(t: Trial) {
    let mut body = person("ada@example.org");
    let codes =
        json!([{ "code": "Abcd-1234" }, { "code": "AQIDBAUGBwgJ" }, { "code": "used5678", "used_at": "2026-01-01T00:00:00Z" }]);
    body["credentials"] =
        json!({ "password": { "config": { "password": PASSWORD } }, "lookup_secret": { "config": { "codes": codes } } });
    t.admin().create(&body).await;
    let lookup = |code: &str| json!({ "method": "lookup_secret", "lookup_secret": code });
    for code in ["abcd1234", "AQIDBAUGBwgJ"] {
        let phone = crate::second_factor::first_step(&t, "ada@example.org").await;
        crate::second_factor::step_up(&phone, lookup(code)).await.done();
        let tablet = crate::second_factor::first_step(&t, "ada@example.org").await;
        assert_eq!(crate::second_factor::step_up(&tablet, lookup(code)).await.form().messages(), [4_000_012], "{code}");
    }
    let phone = crate::second_factor::first_step(&t, "ada@example.org").await;
    assert_eq!(crate::second_factor::step_up(&phone, lookup("used5678")).await.form().messages(), [4_000_012]);
}

// No case of its own in the list.
#[database_test]
async fn unusable_credentials_are_refused(t: Trial) {
    for (kind, config) in [
        ("oidc", json!({ "providers": [{ "provider": "google", "subject": "" }] })),
        ("oidc", json!({ "providers": [{ "provider": "google" }] })),
        ("totp", json!({ "totp_url": "https://example.org" })),
        ("totp", json!({})),
        ("lookup_secret", json!({ "codes": [{ "code": "" }] })),
        ("webauthn", json!({ "credentials": [{ "id": "!", "public_key": "AA==" }] })),
        ("webauthn", json!({ "credentials": [{ "id": "AA==" }] })),
        ("passkey", json!({ "credentials": [], "user_handle": "aGFuZGxl" })),
        ("passkey", json!({ "credentials": [key("AQ==", true)] })),
        ("passkey", json!({ "credentials": [key("AQ==", true)], "user_handle": "%" })),
    ] {
        let mut body = person("ada@example.org");
        body["credentials"] = json!({ kind: { "config": config } });
        let told = error(&t.admin().call("POST", "/admin/identities").json(&body).await, 400);
        assert!(told["reason"].is_string(), "{kind}: {told}");
    }
    assert_eq!(t.store().count_identities().await.unwrap(), 0);
}

// No case of its own in the list.
#[database_test]
async fn a_replacement_joins_credentials_as_their_kind_wants(t: Trial) {
    let admin = t.admin();
    let mut body = person("ada@example.org");
    body["credentials"] = everything();
    let id = id_of(&admin.create(&body).await);
    let renamed = json!({ "id": "AQ==", "public_key": "AAECAw==", "display_name": "renamed" });
    body["credentials"] = json!({
        "password": { "config": { "password": "another horse 8 battery" } },
        "oidc": { "config": { "providers": [{ "provider": "google", "subject": "1" }, { "provider": "gitlab", "subject": "3" }] } },
        "totp": { "config": { "totp_url": "otpauth://totp/y?secret=HGFEDCBA" } },
        "lookup_secret": { "config": { "codes": [{ "code": "ghi" }] } },
        "webauthn": { "config": { "credentials": [renamed, key("BA==", false)] } },
    });
    admin.call("PUT", &format!("/admin/identities/{id}")).json(&body).await.expect(200);
    let stored = t.snapshot(id).await;
    let config = |kind| stored.credential(kind).map(|row| row.config.clone()).unwrap_or_default();
    use keyward_model::CredentialType::{LookupSecret, Oidc, Passkey, Totp, Webauthn};
    assert_eq!(stored.credential(Oidc).unwrap().identifiers, ["google:1", "github:2", "gitlab:3"]);
    assert_eq!(config(Totp), json!({ "totp_url": "otpauth://totp/y?secret=HGFEDCBA" }));
    assert_eq!(config(LookupSecret)["recovery_codes"].as_array().map(Vec::len), Some(3));
    let keys = config(Webauthn);
    let names: Vec<_> = keys["credentials"].as_array().unwrap().iter().map(|key| key["display_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["renamed", "key", "key"]);
    assert_eq!(keys["user_handle"], "aGFuZGxl");
    assert_eq!(config(Passkey)["credentials"].as_array().map(Vec::len), Some(1));
    t.person().sign_in("ada@example.org", PASSWORD).await.form();
}

// cases
#[database_test]
async fn credentials_can_be_taken_away_but_not_the_last_first_factor(t: Trial) {
    let admin = t.admin();
    let mut body = person("ada@example.org");
    body["credentials"] = everything();
    let id = id_of(&admin.create(&body).await);
    let delete = async |path: &str| t.admin().call("DELETE", &format!("/admin/identities/{id}/credentials/{path}")).await;
    for (path, status) in [
        ("passkey", 400),
        ("code", 400),
        ("magic", 404),
        ("saml", 404),
        ("oidc", 400),
        ("oidc?identifier=google%3A9", 404),
        ("oidc?identifier=google%3A1", 204),
        ("oidc?identifier=github%3A2", 204),
        ("oidc?identifier=github%3A2", 404),
        ("totp", 204),
        ("totp", 404),
        ("lookup_secret", 204),
        ("webauthn", 204),
        ("password", 204),
        ("password", 404),
    ] {
        let reply = delete(path).await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
        if status != 204 {
            error(&reply, status);
        }
    }
    let stored = t.snapshot(id).await;
    assert_eq!((stored.factors().webauthn, stored.factors().webauthn_passwordless), (0, 1), "passwordless keys stay");
    let password = stored.credential(keyward_model::CredentialType::Password).expect("a row");
    assert_eq!((password.identifiers.as_slice(), &password.config), (&["ada@example.org".to_owned()][..], &json!({})));

    let bob = id_of(&admin.create_person("bob@example.org").await);
    error(&admin.call("DELETE", &format!("/admin/identities/{bob}/credentials/password")).await, 400);
    t.person().sign_in("bob@example.org", PASSWORD).await.done();
    let nobody = "/admin/identities/7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d/credentials/totp";
    error(&admin.call("DELETE", nobody).await, 404);
}
