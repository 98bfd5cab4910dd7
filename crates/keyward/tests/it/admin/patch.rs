//! JSON Patch.

use keyward_testkit::{PASSWORD, Trial, database_test};
use serde_json::{Value, json};

use super::{error, id_of, person};

// cases: R-82
#[database_test]
async fn patches_reach_traits_metadata_state_and_addresses(t: Trial) {
    let admin = t.admin();
    let mut body = person("ada@example.org");
    body["traits"]["name"] = json!({ "first": "Ada" });
    body["credentials"] = json!({ "password": { "config": { "password": PASSWORD } } });
    let id = id_of(&admin.create(&body).await);
    let patch = |operations: Value| {
        let admin = &admin;
        async move { admin.call("PATCH", &format!("/admin/identities/{id}")).json(&operations).await.expect(200).json() }
    };
    for (operation, pointer, expected) in [
        (json!({ "op": "replace", "path": "/traits/name/first", "value": "Augusta" }), "/traits/name/first", json!("Augusta")),
        (json!({ "op": "replace", "path": "/traits/name/last", "value": "King" }), "/traits/name/last", json!("King")),
        (
            json!({ "op": "add", "path": "/metadata_public/plan/name", "value": "free" }),
            "/metadata_public",
            json!({ "plan": { "name": "free" } }),
        ),
        (json!({ "op": "remove", "path": "/metadata_public/plan" }), "/metadata_public", json!({})),
        (json!({ "op": "replace", "path": "/metadata_admin", "value": [1] }), "/metadata_admin", json!([1])),
        (json!({ "op": "replace", "path": "/external_id", "value": "ext-1" }), "/external_id", json!("ext-1")),
        (json!({ "op": "replace", "path": "/external_id", "value": "" }), "/external_id", Value::Null),
        (json!({ "op": "replace", "path": "/state", "value": "inactive" }), "/state", json!("inactive")),
        (json!({ "op": "replace", "path": "/state", "value": "active" }), "/state", json!("active")),
        (json!({ "op": "add", "path": "/region", "value": "eu" }), "/state", json!("active")),
        (
            json!({ "op": "replace", "path": "/verifiable_addresses/0/verified", "value": true }),
            "/verifiable_addresses/0/status",
            json!("completed"),
        ),
        (
            json!({ "op": "replace", "path": "/traits/email", "value": "Lovelace@example.org" }),
            "/credentials/password/identifiers",
            json!(["lovelace@example.org"]),
        ),
    ] {
        t.clock().advance(keyward_model::Span::seconds(1));
        let patched = patch(json!([operation])).await;
        assert_eq!(patched.pointer(pointer).cloned().unwrap_or_default(), expected, "{operation}");
        assert_eq!(admin.identity(id).await, patched, "{operation}");
    }
    t.person().sign_in("lovelace@example.org", PASSWORD).await.done();
    let stored = t.snapshot(id).await;
    assert!(!stored.identity.verifiable_addresses[0].verified, "the new address is another one");
}

// cases: R-83
#[database_test]
async fn a_verified_address_says_since_when_and_credentials_may_be_written(t: Trial) {
    let admin = t.admin();
    let id = id_of(&admin.create(&person("ada@example.org")).await);
    let path = format!("/admin/identities/{id}");
    let verified = json!([{ "op": "replace", "path": "/verifiable_addresses/0/verified", "value": true }]);
    let patched = admin.call("PATCH", &path).json(&verified).await.expect(200).json();
    assert_eq!(patched["verifiable_addresses"][0]["verified_at"], json!(t.now()));
    // SHA-256 of the password with a salt, as a directory exports it.
    let hash = "{SSHA256}Z6RFW4+Ag8nVu3NoLdW3eEB0L78lzq2I7TCDYpvCVZkwMTIzNDU2Nw==";
    let hashed = json!([{ "op": "replace", "path": "/credentials/password/config/hashed_password", "value": hash }]);
    admin.call("PATCH", &path).json(&hashed).await.expect(200);
    t.person().sign_in("ada@example.org", "correct horse").await.done();
    let totp = json!({ "type": "totp", "config": { "totp_url": "otpauth://totp/x?secret=ABCDEFGH" } });
    let added = admin.call("PATCH", &path).json(&json!([{ "op": "add", "path": "/credentials/totp", "value": totp }])).await;
    assert_eq!(added.expect(200).json()["credentials"]["totp"]["identifiers"], json!([id]));
    assert_eq!(t.snapshot(id).await.factors().totp, 1);
    admin.call("PATCH", &path).json(&json!([{ "op": "remove", "path": "/credentials/totp" }])).await.expect(200);
    assert_eq!(t.snapshot(id).await.factors().totp, 0);
    assert_eq!(t.snapshot(id).await.factors().password, 1, "an unrelated patch leaves the others alone");
}

// cases
#[database_test]
async fn patches_that_are_refused_change_nothing(t: Trial) {
    let admin = t.admin();
    admin.create(&person("bob@example.org")).await;
    let made = admin.create(&person("ada@example.org")).await;
    let id = id_of(&made);
    let before = t.snapshot(id).await;
    let other = "7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d";
    let good = json!({ "op": "replace", "path": "/traits/nickname", "value": "Ada" });
    for (operation, status) in [
        (json!({ "op": "replace", "path": "/id", "value": other }), 400),
        (json!({ "op": "replace", "path": "/ID", "value": other }), 400),
        (json!({ "op": "replace", "path": "/stateChangedAt", "value": "2020-01-01T00:00:00Z" }), 400),
        (json!({ "op": "add", "path": "/credentials", "value": {} }), 400),
        (json!({ "op": "add", "path": "/credentials/oidc", "value": { "type": "oidc" } }), 400),
        (json!({ "op": "replace", "path": "/credentials/OIDC/config/providers/0", "value": {} }), 400),
        (json!({ "op": "remove", "path": "/credentials/saml/config" }), 400),
        (json!({ "op": "replace", "path": "", "value": {} }), 400),
        (json!({ "op": "move", "from": "/traits/nickname", "path": "/traits/email" }), 400),
        (json!({ "op": "copy", "from": "/traits/nickname", "path": "/traits/email" }), 400),
        (json!({ "op": "test", "path": "/traits/email", "value": "ada@example.org" }), 400),
        (json!({ "op": "remove", "path": "/traits/nothing" }), 400),
        (json!({ "op": "remove", "path": "/region" }), 400),
        (json!({ "op": "add", "path": "/region", "value": "moon" }), 400),
        (json!({ "op": "replace", "path": "/state", "value": "asleep" }), 400),
        (json!({ "op": "replace", "path": "/schema_id", "value": "nope" }), 400),
        (json!({ "op": "replace", "path": "/traits/email", "value": "nope" }), 400),
        (json!({ "op": "replace", "path": "/traits/email", "value": "bob@example.org" }), 409),
        (json!({ "op": "replace", "path": "/organization_id", "value": other }), 400),
        (json!({ "op": "replace", "path": "/nonsense", "value": 1 }), 400),
        (json!({ "op": "add", "path": "/credentials/totp", "value": { "type": "password" } }), 400),
        (json!({ "op": "add", "path": "/credentials/magic", "value": { "type": "magic" } }), 400),
        (json!({ "op": "replace", "path": "/credentials/password/config/hashed_password", "value": "$what$ever" }), 400),
        (json!({ "op": "replace", "path": "/verifiable_addresses/7/verified", "value": true }), 400),
        (json!({ "op": "replace", "path": "/verifiable_addresses/0/verified", "value": "yes" }), 400),
    ] {
        let reply = admin.call("PATCH", &format!("/admin/identities/{id}")).json(&json!([good, operation])).await;
        assert_eq!(reply.status, status, "{operation}: {reply:?}");
        error(&reply, status);
        assert_eq!(t.snapshot(id).await, before, "{operation}");
    }
    for body in ["", "{", "{}", "7"] {
        error(&admin.call("PATCH", &format!("/admin/identities/{id}")).body("application/json", body).await, 400);
    }
    error(&admin.call("PATCH", &format!("/admin/identities/{other}")).json(&json!([good])).await, 404);
}

/// Everybody patches another member at the same moment: each is told the truth, and nothing that was accepted is lost.
// No case of its own in the list.
#[database_test]
async fn concurrent_patches_do_not_undo_each_other(t: Trial) {
    let admin = t.admin();
    let id = id_of(&admin.create(&person("ada@example.org")).await);
    let tasks = patched_at_once(&t, 12, id).await;
    let stored = t.snapshot(id).await.identity.metadata_admin.unwrap_or_default();
    let (mut done, mut refused) = (0, 0);
    for (key, status) in tasks {
        match status {
            200 => {
                done += 1;
                assert_eq!(stored[&key], true, "{key} was accepted and is lost: {stored}");
            }
            409 => {
                refused += 1;
                assert!(stored.get(&key).is_none(), "{key} was refused and is there: {stored}");
            }
            other => panic!("{key}: {other}"),
        }
    }
    assert!(done >= 1 && done + refused == 12, "{done} done, {refused} refused");
    // Whoever was refused succeeds when alone.
    let again = json!([{ "op": "add", "path": "/metadata_admin/again", "value": true }]);
    admin.call("PATCH", &format!("/admin/identities/{id}")).json(&again).await.expect(200);
}

async fn patched_at_once(t: &Trial, count: usize, id: keyward_model::IdentityId) -> Vec<(String, u16)> {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..count {
        let t = t.clone();
        tasks.spawn(async move {
            let key = format!("k{number}");
            let patch = json!([{ "op": "add", "path": format!("/metadata_admin/{key}"), "value": true }]);
            let status = t.admin().call("PATCH", &format!("/admin/identities/{id}")).json(&patch).await.status;
            (key, status)
        });
    }
    tasks.join_all().await
}
