//! Many identities in one request.

use keyward_testkit::{PASSWORD, Trial, database_test};
use serde_json::{Value, json};

use super::{error, id_of, person};

fn entry(number: u32, create: Value) -> Value {
    json!({ "patch_id": format!("00000000-0000-4000-8000-{number:012}"), "create": create })
}

// cases: R-79
#[database_test]
async fn every_entry_is_answered_in_its_place_and_fails_alone(t: Trial) {
    let admin = t.admin();
    admin.create(&person("taken@example.org")).await;
    let mut hooked = person("eve@example.org");
    hooked["credentials"] = json!({ "password": { "config": { "password": PASSWORD } } });
    let entries = json!([
        entry(0, person("ada@example.org")),
        entry(1, person("taken@example.org")),
        entry(2, json!({ "traits": { "email": "nope" } })),
        { "patch_id": "00000000-0000-4000-8000-000000000003" },
        entry(4, json!({ "traits": { "email": "x@example.org" }, "id": "x" })),
        { "create": person("bob@example.org") },
        // The same again: the first one wins.
        entry(6, person("ADA@example.org")),
        entry(7, hooked),
    ]);
    let answer = admin.call("PATCH", "/admin/identities").json(&json!({ "identities": entries })).await.expect(200).json();
    let results = answer["identities"].as_array().unwrap();
    assert_eq!(results.len(), 8);
    for at in [0, 5, 7] {
        let id = results[at]["identity"].as_str().unwrap_or_else(|| panic!("{at}: {answer}"));
        assert_eq!(results[at]["action"], "create");
        admin.identity(id).await;
    }
    assert_eq!(results[3], Value::Null);
    assert!(results[5].get("patch_id").is_none());
    for (at, code) in [(1, 409), (2, 400), (4, 400), (6, 409)] {
        assert_eq!(results[at]["action"], "error");
        assert_eq!(results[at]["patch_id"], format!("00000000-0000-4000-8000-{at:012}"));
        assert_eq!(results[at]["error"]["code"], code, "{answer}");
        assert_eq!(results[at]["error"]["reason"].is_string(), at == 2, "{answer}");
    }
    assert_eq!(t.store().count_identities().await.unwrap(), 4);
    let events = t.audit().await;
    assert_eq!(events.iter().filter(|event| event.kind == "identity_created").count(), 4);
    t.person().sign_in("eve@example.org", PASSWORD).await.done();
}

// cases: R-80
#[database_test]
async fn a_batch_has_bounds(t: Trial) {
    let admin = t.admin();
    let many = |count: u32, create: Value| {
        let entries: Vec<_> = (0..count).map(|number| entry(number, create.clone())).collect();
        json!({ "identities": entries })
    };
    let plain = json!({ "traits": {}, "credentials": { "password": { "config": { "password": PASSWORD } } } });
    for body in [
        many(1_001, json!({})),
        many(201, plain),
        json!({ "identities": [{ "patch_id": "nope" }] }),
        json!({ "identities": {} }),
        json!({}),
        json!([]),
    ] {
        error(&admin.call("PATCH", "/admin/identities").json(&body).await, 400);
    }
    assert_eq!(
        admin.call("PATCH", "/admin/identities").json(&json!({ "identities": [] })).await.expect(200).json(),
        json!({ "identities": [] })
    );
}

/// Conflicts are found wherever they stand among entries that are written together, and cost only themselves.
// cases: R-78
#[database_test]
async fn conflicts_inside_a_large_batch_are_singled_out(t: Trial) {
    let admin = t.admin();
    let taken = [0_u32, 1, 99, 100, 163, 249];
    for number in taken {
        admin.create(&person(&format!("p{number}@example.org"))).await;
    }
    let entries: Vec<_> = (0..250).map(|number| entry(number, person(&format!("p{number}@example.org")))).collect();
    let answer = admin.call("PATCH", "/admin/identities").json(&json!({ "identities": entries })).await.expect(200).json();
    for (number, result) in (0_u32..).zip(answer["identities"].as_array().unwrap()) {
        let expected = if taken.contains(&number) { "error" } else { "create" };
        assert_eq!(result["action"], expected, "{number}: {result}");
    }
    assert_eq!(t.store().count_identities().await.unwrap(), 250);
    let last = answer["identities"][248]["identity"].clone();
    assert_eq!(id_of(&json!({ "id": last })), id_of(&admin.identity(last.as_str().unwrap()).await));
}
