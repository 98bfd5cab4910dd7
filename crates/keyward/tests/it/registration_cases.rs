//! The unified registration form: what it shows, what it refuses, and who may not register.
//! Each test names the acceptance cases that it proves.
//! Says nothing of what an account looks like afterwards; `registration` does.

use keyward_testkit::{APP, ClientKind, PASSWORD, Trial, Value, flow_test, schema_url};
use serde_json::json;

// cases: L-65
#[flow_test(config = json!({ "selfservice": { "flows": { "registration": { "style": "unified" } } } }))]
async fn traits_and_password_stand_in_one_form(t: Trial) {
    let nobody = t.person();
    let flow = nobody.init("registration", "").await;
    assert_eq!(flow.state(), "choose_method");
    let names = [
        "csrf_token",
        "traits.email",
        "password",
        "traits.nickname",
        "traits.age",
        "traits.newsletter",
        "traits.name.first",
        "traits.name.last",
        "method",
    ];
    assert_eq!(flow.names(), names);
    assert_eq!((flow.value("method"), &flow.node("method")["meta"]["label"]["id"]), (json!("password"), &json!(1_040_001)));
    let groups: Vec<_> = flow.nodes().iter().map(|node| &node["group"]).collect();
    assert_eq!(groups.iter().filter(|group| **group == "password").count(), 2);
    assert_eq!(groups.iter().filter(|group| **group == "default").count(), 7);
    let password = &flow.node("password")["attributes"];
    assert_eq!((&password["autocomplete"], password.get("value")), (&json!("new-password"), None));
}

// cases: L-66
#[flow_test]
async fn a_password_that_is_not_good_enough(t: Trial) {
    // SHA-1 of a leaked password in two parts, as the range protocol has it.
    let (leaked, prefix, suffix) = ("staple 9 correct elephant", "8CBCB", "448FBBA477C70943999BFE4BFF9E1351971");
    let breaches =
        t.sink(move |asked| (200, if asked.path.ends_with(prefix) { format!("{suffix}:7\r\n") } else { String::new() })).await;
    let config = json!({ "haveibeenpwned_enabled": true, "haveibeenpwned_host": breaches.address() });
    t.reconfigure(&json!({ "selfservice": { "methods": { "password": { "config": config } } } }));

    let nobody = t.person();
    let flow = nobody.init("registration", "").await;
    let traits = json!({ "email": "ada@example.org", "nickname": "Ada", "age": 36 });
    let submit = async |password: &str| {
        nobody.submit(&flow, json!({ "method": "password", "password": password, "traits": traits })).await
    };
    for (password, message) in [
        ("short 7", 4_000_032),
        ("", 4_000_002),
        ("ada@example.org", 4_000_031),
        ("ADA@example.org1", 4_000_031),
        ("1q2w3e4r5t", 4_000_005),
        (leaked, 4_000_034),
    ] {
        let submitted = submit(password).await;
        assert_eq!(submitted.reply.status, if t.client == ClientKind::Browser { 302 } else { 400 });
        let form = submitted.form();
        assert_eq!(form.all_messages(), [("password".to_owned(), message)], "{password}");
        assert!(form.value("password").is_null());
        for (name, value) in traits.as_object().unwrap() {
            assert_eq!(form.value(&format!("traits.{name}")), *value, "{name}");
        }
    }
    assert_eq!(t.store().list_identities(keyward_store::PageStart::Offset(0), 9).await.unwrap().len(), 0);
    submit(PASSWORD).await.done();
}

// cases: L-67
#[flow_test(config = json!({ "selfservice": { "flows": { "registration": { "login_hints": true } } } }))]
async fn an_address_that_is_taken_comes_with_a_hint_where_that_is_wanted(t: Trial) {
    t.signed_up("ada@example.org").await;
    let nobody = t.person();
    let flow = nobody.init("registration", "").await;
    let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": "Ada@example.org" } });
    let form = nobody.submit(&flow, fields).await.form();
    assert_eq!(form.messages(), [4_000_028]);
    let context = &form.json["ui"]["messages"][0]["context"];
    assert_eq!(context["available_credential_types"], json!(["password"]));
    assert_eq!(
        (&context["available_oidc_providers"], &context["credential_identifier_hint"]),
        (&json!([]), &json!("ada@example.org"))
    );
}

// cases: L-67
#[flow_test]
async fn an_address_that_is_taken(t: Trial) {
    t.signed_up("ada@example.org").await;
    let nobody = t.person();
    let flow = nobody.init("registration", "").await;
    for email in ["ada@example.org", " ADA@Example.ORG "] {
        let traits = json!({ "email": email, "nickname": "Other" });
        let form = nobody.submit(&flow, json!({ "method": "password", "password": PASSWORD, "traits": traits })).await.form();
        assert_eq!(form.all_messages(), [(String::new(), 4_000_007)]);
        assert_eq!(form.value("traits.nickname"), "Other");
        assert!(form.value("password").is_null());
    }
    nobody.try_whoami().await.expect(401);
}

// cases: L-74
#[flow_test]
async fn registering_while_signed_in(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let (id, phone) = (ada.id().await, t.person());
    let flow = phone.init("registration", "").await;
    phone.sign_in("ada@example.org", PASSWORD).await.done();
    let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": "bob@example.org" } });
    let reply = phone.submit_call(&flow, fields).await;
    let init = phone.start("registration", "").await;
    if t.client == ClientKind::Browser {
        assert_eq!(reply.expect(302).location(), format!("{APP}/"));
        assert_eq!(init.expect(303).location(), format!("{APP}/"));
    } else {
        assert_eq!(reply.clone().expect(400).error_id(), "session_already_available");
        assert!(reply.json().get("ui").is_none());
        assert_eq!(init.expect(400).error_id(), "session_already_available");
    }
    assert_eq!(phone.id().await, id);
    let unknown = t.person().sign_in("bob@example.org", PASSWORD).await;
    assert_eq!(unknown.form().messages(), [4_000_006]);
}

/// One property of each kind that a form can show.
fn every_kind() -> Value {
    json!({
        "$id": "https://schemas.invalid/kinds.json",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": { "traits": {
            "type": "object",
            "properties": {
                "email": {
                    "type": "string", "format": "email", "title": "Your mail",
                    "ory.sh/kratos": { "credentials": { "password": { "identifier": true } } },
                },
                "phone": { "type": "string", "format": "tel" },
                "born": { "type": "string", "format": "date" },
                "at": { "type": "string", "format": "date-time" },
                "site": { "type": "string", "format": "uri" },
                "zip": { "type": "string", "pattern": "^[0-9]{5}$", "title": "Post code" },
                "size": { "type": "string", "enum": ["small", "large"] },
                "steps": { "type": "integer", "enum": [1, 2] },
                "height": { "type": "number" },
                "agreed": { "type": "boolean" },
                "tags": { "type": "array", "items": { "type": "string" } },
                "name": {
                    "type": "object",
                    "properties": { "first": { "type": "string" }, "last": { "type": "string" } },
                    "required": ["last"],
                },
            },
            "required": ["email", "agreed"],
            "additionalProperties": false,
        } },
    })
}

// cases: L-75
#[flow_test(config = json!({ "identity": { "schemas": [{ "id": "person", "url": schema_url(&every_kind()) }] } }))]
async fn the_schema_makes_the_form(t: Trial) {
    let flow = t.person().init("registration", "").await;
    for (name, kind, extra) in [
        ("email", "email", json!({ "required": true, "autocomplete": "email" })),
        ("phone", "tel", json!({ "autocomplete": "tel" })),
        ("born", "date", json!({})),
        ("at", "datetime-local", json!({})),
        ("site", "url", json!({ "autocomplete": "url" })),
        ("zip", "text", json!({ "pattern": "^[0-9]{5}$" })),
        ("size", "text", json!({ "options": [{ "value": "small" }, { "value": "large" }] })),
        ("steps", "number", json!({ "options": [{ "value": 1 }, { "value": 2 }] })),
        ("height", "number", json!({})),
        ("agreed", "checkbox", json!({ "required": true })),
        ("tags", "text", json!({})),
        ("name.first", "text", json!({})),
        ("name.last", "text", json!({ "required": true })),
    ] {
        let name = format!("traits.{name}");
        let mut attributes = json!({ "name": name, "type": kind, "disabled": false, "node_type": "input" });
        attributes.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let node = flow.node(&name);
        assert_eq!(node["attributes"], attributes);
        assert_eq!((&node["type"], &node["group"], &node["messages"]), (&json!("input"), &json!("default"), &json!([])));
        let title = match name.as_str() {
            "traits.email" => Some("Your mail"),
            "traits.zip" => Some("Post code"),
            _ => None,
        };
        let label = &node["meta"]["label"];
        match title {
            None => assert_eq!(node["meta"], json!({})),
            Some(title) => {
                assert_eq!((&label["id"], &label["type"], &label["text"]), (&json!(1_070_002), &json!("info"), &json!(title)));
                assert_eq!(label["context"], json!({ "name": name, "title": title }));
            }
        }
    }
    assert!(flow.find("traits.name").is_none(), "an object has no field of its own");
    // The title of the only identifier is the label of the login field.
    let login = t.person().init("login", "").await;
    let label = &login.node("identifier")["meta"]["label"];
    assert_eq!((&label["id"], &label["text"]), (&json!(1_070_002), &json!("Your mail")));
}
