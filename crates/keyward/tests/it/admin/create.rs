//! Making and deleting one identity.

use keyward_testkit::{PASSWORD, Trial, database_test};
use serde_json::{Value, json};

use super::{error, id_of, person};

// cases: R-93
#[database_test]
async fn an_identity_is_made_with_everything_and_read_back(t: Trial) {
    let admin = t.admin();
    let body = json!({
        "schema_id": "person",
        "traits": { "email": "Ada@Example.org", "nickname": "Ada" },
        "credentials": { "password": { "config": { "password": PASSWORD } } },
        "verifiable_addresses": [{ "value": "ADA@example.org", "via": "email", "verified": true }],
        "metadata_public": { "plan": "free" },
        "metadata_admin": { "note": "n" },
        "external_id": "ext-1",
        "region": "eu",
    });
    let reply = admin.call("POST", "/admin/identities").json(&body).await.expect(201);
    let made = reply.json();
    let id = id_of(&made);
    assert_eq!(reply.header("location"), Some(format!("{}/identities/{id}", t.admin_base()).as_str()));
    assert_eq!(made["region"], "eu");
    assert_eq!(made["credentials"]["password"]["version"], 0, "as the reference server answers a create");
    assert!(made["credentials"]["password"].get("config").is_none(), "{made}");

    let read = admin.identity(id).await;
    assert_eq!(read["state"], "active");
    assert_eq!(read["external_id"], "ext-1");
    assert_eq!(read["metadata_admin"], json!({ "note": "n" }));
    assert_eq!(read["organization_id"], Value::Null);
    let address = &read["verifiable_addresses"][0];
    assert_eq!((&address["value"], &address["status"]), (&json!("ada@example.org"), &json!("completed")));
    assert!(address["verified_at"].is_string());
    for kind in ["password", "webauthn", "code"] {
        assert_eq!(read["credentials"][kind]["identifiers"], json!(["ada@example.org"]), "{kind}");
        assert_eq!(read["credentials"][kind]["version"], 1, "{kind}");
    }
    let by_external_id = admin.call("GET", "/admin/identities/by/external/ext-1").await.expect(200).json();
    assert_eq!(by_external_id, read);
    let with_config = admin.call("GET", &format!("/admin/identities/{id}?include_credential=password")).await.expect(200).json();
    assert!(with_config["credentials"]["password"]["config"]["hashed_password"].as_str().unwrap().starts_with("$2a$04$"));
    t.person().sign_in("ada@example.org", PASSWORD).await.done();

    let bare = admin.create(&person("bob@example.org")).await;
    assert!(bare.get("metadata_admin").is_none(), "{bare}");
    assert_eq!(admin.identity(id_of(&bare)).await["metadata_admin"], Value::Null);
}

// cases
#[database_test]
async fn what_cannot_be_made_says_why(t: Trial) {
    let admin = t.admin();
    let password =
        |config: Value| json!({ "traits": { "email": "a@example.org" }, "credentials": { "password": { "config": config } } });
    for (body, word) in [
        (json!({ "schema_id": "nope", "traits": {} }), "nope"),
        (json!({ "traits": { "email": "nope" } }), "I[#/traits/email]"),
        (json!({ "traits": {} }), "I[#/traits/email]"),
        (json!({}), "I[#/traits/email]"),
        (json!({ "traits": { "email": "a@example.org" }, "state": "asleep" }), "state"),
        (json!({ "traits": { "email": "a@example.org" }, "region": "moon" }), "moon"),
        (
            json!({ "traits": { "email": "a@example.org" }, "organization_id": "7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d" }),
            "Organizations",
        ),
        (json!({ "traits": { "email": "a@example.org" }, "external_id": "x".repeat(65) }), "external id"),
        (password(json!({ "hashed_password": "$what$ever" })), "unknown hash format"),
        (
            password(
                json!({ "hashed_password": "$pbkdf2-sha256$i=10000001,l=32$MDEy$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M" }),
            ),
            "too much work",
        ),
        (password(json!({ "password": 7 })), "credentials"),
        (password(json!({ "password": "x".repeat(73) })), "72"),
        (json!([]), "object"),
    ] {
        let reply = admin.call("POST", "/admin/identities").json(&body).await;
        let told = error(&reply, 400);
        assert!(told["reason"].as_str().is_some_and(|reason| reason.contains(word)), "{word}: {told}");
    }
    for (body, key) in [
        (json!({ "traits": { "email": "a@example.org" }, "id": "7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d" }), "id"),
        (json!({ "schema_url": "x" }), "schema_url"),
        (json!({ "credentials": { "code": {} } }), "credentials.code"),
        (json!({ "credentials": { "password": { "type": "password" } } }), "credentials.password.type"),
        (password(json!({ "hash": "x" })), "credentials.password.config.hash"),
    ] {
        let told = error(&admin.call("POST", "/admin/identities").json(&body).await, 400);
        assert!(told.get("reason").is_none(), "{told}");
        assert!(told["message"].as_str().unwrap().contains(key), "{told}");
    }
    error(&admin.call("POST", "/admin/identities").body("application/json", "{").await, 400);
    assert_eq!(t.store().count_identities().await.unwrap(), 0);
}

// cases: R-78
#[database_test]
async fn taken_values_are_named(t: Trial) {
    let admin = t.admin();
    let mut first = person("ada@example.org");
    first["external_id"] = "ext-1".into();
    admin.create(&first).await;
    let told = error(&admin.call("POST", "/admin/identities").json(&person("ada@example.org")).await, 409);
    assert_eq!(told["details"]["conflict"], "identifier", "{told}");
    assert_eq!(told["details"]["credential_types"], json!(["password", "webauthn", "code"]));
    let mut second = person("bob@example.org");
    second["external_id"] = "ext-1".into();
    let told = error(&admin.call("POST", "/admin/identities").json(&second).await, 409);
    assert_eq!(told["details"], json!({ "conflict": "external_id" }));
    assert_eq!(t.store().count_identities().await.unwrap(), 1);
}

// No case of its own in the list.
#[database_test]
async fn a_deleted_identity_is_gone_with_its_sessions(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let id = ada.id().await;
    let admin = t.admin();
    assert_eq!(admin.call("DELETE", &format!("/admin/identities/{id}")).await.expect(204).body, b"");
    ada.try_whoami().await.expect(401);
    for (method, path) in [("GET", format!("/admin/identities/{id}")), ("DELETE", format!("/admin/identities/{id}"))] {
        assert!(error(&admin.call(method, &path).await, 404).get("reason").is_none());
    }
    error(&admin.call("GET", "/admin/identities/nope").await, 400);
    error(&admin.call("GET", "/admin/identities/by/external/nope").await, 404);
    error(&admin.call("GET", &format!("/admin/identities/{id}?include_credential=foo")).await, 400);
    let kinds: Vec<_> = t.audit().await.into_iter().map(|event| event.kind).collect();
    assert!(kinds.contains(&"identity_deleted".to_owned()), "{kinds:?}");
}
