//! What the configuration changes about signing in and up: methods and flows that are off, hooks, and hash formats.
//! Each test names the acceptance cases that it proves.
//! A reload is what an operator does; tests use it where two configurations meet.

use keyward_model::{CredentialType, IdentityId};
use keyward_testkit::{ClientKind, PASSWORD, Trial, flow_test};
use serde_json::json;

use crate::login_cases::refused;

// cases: L-16
#[flow_test]
async fn a_method_that_is_off(t: Trial) {
    t.signed_up("ada@example.org").await;
    t.reconfigure(&json!({ "selfservice": { "methods": { "password": { "enabled": false } } } }));
    let phone = t.person();
    let flow = phone.init("login", "").await;
    assert_eq!(flow.names(), ["csrf_token"]);
    let fields = json!({ "method": "password", "identifier": "ada@example.org", "password": PASSWORD });
    let error = phone.submit(&flow, fields).await.problem(404);
    assert!(error.get("id").is_none() && error["reason"].is_string(), "{error}");
    phone.try_whoami().await.expect(401);
}

// cases: L-23
#[flow_test(browser, spa)]
async fn a_login_challenge_without_an_oauth2_server(t: Trial) {
    let nobody = t.person();
    refused(&nobody, "login", "login_challenge=abc", 500).await;
    refused(&nobody, "login", "login_challenge=", 400).await;
}

// cases: L-24
#[flow_test(config = json!({ "selfservice": { "flows": { "login": { "after": { "hooks": [{ "hook": "revoke_active_sessions" }] } } } } }))]
async fn a_login_may_end_the_sessions_before_it(t: Trial) {
    let first = t.signed_up("ada@example.org").await;
    let stranger = t.signed_up("bob@example.org").await;
    first.whoami().await;
    let second = t.signed_in("ada@example.org").await;
    first.try_whoami().await.expect(401);
    second.whoami().await;
    stranger.whoami().await;
    // A login that fails ends nothing.
    assert_eq!(t.person().sign_in("ada@example.org", "wrong horse 7 battery").await.form().messages(), [4_000_006]);
    second.whoami().await;
}

/// A hook of a commercial product stands for any list of a method's own: it does nothing.
// cases: L-25
#[flow_test(config = json!({ "selfservice": { "flows": { "login": { "after": {
    "hooks": [{ "hook": "revoke_active_sessions" }],
    "password": { "hooks": [{ "hook": "b2b_sso", "config": {} }] },
} } } } }))]
async fn the_hooks_of_a_method_replace_the_general_ones(t: Trial) {
    let first = t.signed_up("ada@example.org").await;
    t.signed_in("ada@example.org").await;
    first.whoami().await;

    // Neither list is added to the other, whichever way round.
    let swapped = json!({ "hooks": null, "password": { "hooks": [{ "hook": "revoke_active_sessions" }] } });
    t.reconfigure(&json!({ "selfservice": { "flows": { "login": { "after": swapped } } } }));
    t.signed_in("ada@example.org").await;
    first.try_whoami().await.expect(401);
}

/// Cheap parameters: what is tested is the format.
// cases: L-32
#[flow_test]
async fn a_hash_of_another_kind_is_replaced_at_login(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let id = ada.id().await;
    let version = t.snapshot(id).await.version;
    let argon2 = json!({ "algorithm": "argon2", "argon2": { "memory": "1MB", "iterations": 1, "parallelism": 1 } });
    assert!(hash(&t, id).await.starts_with("$2a$04$"), "{}", hash(&t, id).await);
    for (hashers, prefix) in [(argon2, "$argon2id$"), (json!({ "algorithm": "bcrypt" }), "$2a$04$")] {
        let before = hash(&t, id).await;
        t.reconfigure(&json!({ "hashers": hashers }));
        assert_eq!(t.person().sign_in("ada@example.org", "wrong horse 7 battery").await.form().messages(), [4_000_006]);
        assert_eq!(hash(&t, id).await, before, "a wrong password renews nothing");
        t.signed_in("ada@example.org").await;
        let renewed = hash(&t, id).await;
        assert!(renewed.starts_with(prefix), "{renewed}");
        t.signed_in("ada@example.org").await;
        assert_eq!(hash(&t, id).await, renewed, "once is enough");
        assert_eq!(t.person().sign_in("ada@example.org", "wrong horse 7 battery").await.form().messages(), [4_000_006]);
    }
    // Upkeep is no edit of the account.
    assert_eq!(t.snapshot(id).await.version, version);
    let rehashed = t.audit().await.into_iter().filter(|event| event.kind == "password_rehashed").count();
    assert_eq!(rehashed, 2);
}

async fn hash(t: &Trial, id: IdentityId) -> String {
    let snapshot = t.snapshot(id).await;
    let credential = snapshot.credential(CredentialType::Password).expect("a password");
    credential.config["hashed_password"].as_str().expect("a hash").to_owned()
}

// cases: L-76
#[flow_test(config = json!({ "selfservice": { "flows": { "registration": { "enabled": false } } } }))]
async fn registration_that_is_off(t: Trial) {
    let nobody = t.person();
    let error = refused(&nobody, "registration", "", 400).await;
    assert_eq!(error["id"], "self_service_flow_disabled");
    // A flow from before is no way in.
    t.reconfigure(&json!({ "selfservice": { "flows": { "registration": { "enabled": true } } } }));
    let flow = nobody.init("registration", "").await;
    t.reconfigure(&json!({ "selfservice": { "flows": { "registration": { "enabled": false } } } }));
    let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": "ada@example.org" } });
    assert_eq!(nobody.submit(&flow, fields).await.problem(400)["id"], "self_service_flow_disabled");
    let known = t.person_as(ClientKind::Api).sign_in("ada@example.org", PASSWORD).await;
    assert_eq!(known.form().messages(), [4_000_006]);
}
