//! Replacing an identity.

use keyward_testkit::{PASSWORD, Trial, database_test};
use serde_json::{Value, json};

use super::{error, id_of, person};

// cases: R-93
#[database_test]
async fn what_is_left_out_is_cleared_except_state_and_credentials(t: Trial) {
    let admin = t.admin();
    let mut body = person("ada@example.org");
    body["credentials"] = json!({ "password": { "config": { "password": PASSWORD } } });
    body["metadata_public"] = json!({ "plan": "free" });
    body["metadata_admin"] = json!({ "note": "n" });
    body["external_id"] = "ext-1".into();
    body["state"] = "inactive".into();
    let made = admin.create(&body).await;
    let path = format!("/admin/identities/{}", id_of(&made));

    t.clock().advance(keyward_model::Span::hours(1));
    let mut same = made.clone();
    same["traits"] = json!({ "email": "lovelace@example.org" });
    for member in ["metadata_public", "metadata_admin", "external_id", "credentials", "state"] {
        same.as_object_mut().unwrap().remove(member);
    }
    let replaced = admin.call("PUT", &path).json(&same).await.expect(200).json();
    assert_eq!(replaced["traits"], json!({ "email": "lovelace@example.org" }));
    assert_eq!((&replaced["state"], &replaced["state_changed_at"]), (&json!("inactive"), &made["state_changed_at"]));
    assert_eq!(replaced["metadata_public"], Value::Null);
    assert!(replaced.get("metadata_admin").is_none() && replaced.get("external_id").is_none(), "{replaced}");
    assert_eq!(replaced["credentials"]["password"]["identifiers"], json!(["lovelace@example.org"]));
    let mut heir = person("heir@example.org");
    heir["external_id"] = "ext-1".into();
    admin.create(&heir).await;

    let active = json!({ "schema_id": "person", "traits": { "email": "ada@example.org" }, "state": "active" });
    let active = admin.call("PUT", &path).json(&active).await.expect(200).json();
    assert_ne!(active["state_changed_at"], made["state_changed_at"]);
    t.person().sign_in("ada@example.org", PASSWORD).await.done();

    let moved = json!({ "schema_id": "company", "traits": { "contact": "ada@example.org", "company": "Analytical" } });
    assert_eq!(admin.call("PUT", &path).json(&moved).await.expect(200).json()["schema_id"], "company");
    t.person().sign_in("ada@example.org", PASSWORD).await.done();
}

// cases: R-84
#[database_test]
async fn what_cannot_be_replaced_stays(t: Trial) {
    let admin = t.admin();
    admin.create(&person("bob@example.org")).await;
    let made = admin.create(&person("ada@example.org")).await;
    let path = format!("/admin/identities/{}", id_of(&made));
    let before = t.snapshot(id_of(&made)).await;
    for (body, status) in [
        (json!({}), 400),
        (json!([]), 400),
        (json!({ "traits": { "email": "nope" } }), 400),
        (json!({ "schema_id": "nope", "traits": { "email": "ada@example.org" } }), 400),
        (json!({ "traits": { "email": "ada@example.org" }, "state": "asleep" }), 400),
        (json!({ "traits": { "email": "bob@example.org" } }), 409),
    ] {
        error(&admin.call("PUT", &path).json(&body).await, status);
    }
    assert_eq!(t.snapshot(id_of(&made)).await, before);
    let unknown = "/admin/identities/7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d";
    error(&admin.call("PUT", unknown).json(&person("eve@example.org")).await, 404);
    error(&admin.call("PUT", "/admin/identities/nope").json(&person("eve@example.org")).await, 400);
}
