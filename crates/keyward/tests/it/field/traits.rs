//! Profile forms: lists, boxes to tick, and schemas that changed under the accounts they describe.

use keyward_testkit::{ClientKind, PASSWORD, Trial, Value, flow_test};
use serde_json::json;

use super::{MARA, form, page_fields, with_schema};

fn several_addresses() -> Value {
    let address = json!({ "type": "string", "format": "email", "ory.sh/kratos": { "credentials": { "password": { "identifier": true } } } });
    with_schema(&json!({
        "type": "object",
        "properties": { "emails": { "type": "array", "minItems": 1, "items": address } },
        "required": ["emails"],
        "additionalProperties": false,
    }))
}

async fn with_addresses(t: &Trial, emails: &[&str]) -> keyward_testkit::Actor {
    let credentials = json!({ "password": { "config": { "password": PASSWORD } } });
    t.admin().create(&json!({ "schema_id": "person", "traits": { "emails": emails }, "credentials": credentials })).await;
    let mara = t.person();
    mara.sign_in(emails[0], PASSWORD).await.done();
    mara
}

#[flow_test(config = several_addresses())]
async fn trait_01_a_list_of_addresses_has_one_field_for_each(t: Trial) {
    let mara = with_addresses(&t, &["a@example.org"]).await;
    let flow = mara.init("settings", "").await;
    let trait_names = |flow: &keyward_testkit::Flow| -> Vec<String> {
        flow.names().into_iter().filter(|name| name.starts_with("traits")).map(str::to_owned).collect()
    };
    assert_eq!(trait_names(&flow), ["traits.emails.0"]);
    let wrong = ("not-an-address", ["a@example.org", "not-an-address"]);
    let mut shown = Vec::new();
    match t.client {
        ClientKind::Browser => {
            for names in [["traits.emails", "traits.emails"], ["traits.emails.0", "traits.emails.1"]] {
                let fields = [(names[0], wrong.1[0]), (names[1], wrong.1[1]), ("method", "profile")];
                let reply = form(&mara, &flow, &fields).await;
                shown.push(mara.understand(&flow, reply).await.form());
            }
        }
        ClientKind::Api | ClientKind::Spa => {
            let nested = json!({ "method": "profile", "traits": { "emails": wrong.1 } });
            let dotted = json!({ "method": "profile", "traits.emails": wrong.1 });
            let numbered = json!({ "method": "profile", "traits.emails.0": wrong.1[0], "traits.emails.1": wrong.1[1] });
            for fields in [nested, dotted, numbered] {
                shown.push(mara.submit(&flow, fields).await.form());
            }
        }
    }
    for shown in &shown {
        assert_eq!(trait_names(shown), ["traits.emails.0", "traits.emails.1"]);
        assert_eq!((shown.value("traits.emails.0"), shown.value("traits.emails.1")), (json!("a@example.org"), json!(wrong.0)));
        assert_eq!(shown.all_messages(), [("traits.emails.1".to_owned(), 4_000_040)]);
    }
    // The page's own fields, with the one that was wrong put right.
    let shown = shown.pop().unwrap();
    let fields = page_fields(&shown, "profile").into_iter();
    let fields = fields.map(|(name, value)| if value == wrong.0 { (name, "b@example.org".to_owned()) } else { (name, value) });
    let mut body: serde_json::Map<_, _> = fields.map(|(name, value)| (name, Value::from(value))).collect();
    body.insert("method".to_owned(), "profile".into());
    mara.submit(&shown, Value::Object(body)).await.saved();
    for email in ["a@example.org", "b@example.org"] {
        t.signed_in(email).await;
    }
}

#[flow_test(config = several_addresses())]
async fn trait_01_an_empty_list_leaves_one_blank_field(t: Trial) {
    let mara = with_addresses(&t, &["a@example.org"]).await;
    t.reconfigure(&with_schema(&json!({
        "type": "object",
        "properties": { "emails": { "type": "array", "items": { "type": "string", "format": "email" } } },
    })));
    let flow = mara.init("settings", "").await;
    let saved = mara.submit(&flow, json!({ "method": "profile", "traits": { "emails": [] } })).await.saved();
    let names: Vec<_> = saved.names().into_iter().filter(|name| name.starts_with("traits")).collect();
    assert_eq!(names, ["traits.emails"]);
    assert_eq!(saved.value("traits.emails"), Value::Null);
}

fn boxes() -> Value {
    with_schema(&json!({
        "type": "object",
        "properties": {
            "email": { "type": "string", "format": "email", "ory.sh/kratos": { "credentials": { "password": { "identifier": true } } } },
            "newsletter": { "type": "boolean" },
            "terms": { "type": "boolean" },
        },
        "required": ["email", "terms"],
    }))
}

/// What a form or a script sends for a box, what is stored then, and what the form says when nothing is.
#[flow_test(browser, spa, config = boxes())]
async fn trait_03_boxes_are_ticked_and_unticked(t: Trial) {
    let traits = json!({ "email": MARA, "newsletter": true, "terms": true });
    let credentials = json!({ "password": { "config": { "password": PASSWORD } } });
    let made = t.admin().create(&json!({ "schema_id": "person", "traits": traits, "credentials": credentials })).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let mara = t.signed_in(MARA).await;
    let flow = mara.init("settings", "").await;
    let stored = async || t.admin().identity(&id).await["traits"].clone();
    let reset = async || {
        let patch = json!([{ "op": "add", "path": "/traits/newsletter", "value": true }]);
        t.admin().call("PATCH", &format!("/admin/identities/{id}")).json(&patch).await.expect(200);
    };
    const REFUSED: &str = "refused";
    let table: &[(Value, Value)] = if t.client == ClientKind::Browser {
        &[
            (json!([]), Value::Null),
            (json!(["on"]), json!(true)),
            (json!(["false", "true"]), json!(true)),
            (json!(["false"]), json!(false)),
            (json!(["TRUE"]), json!(true)),
            (json!(["maybe"]), json!(REFUSED)),
        ]
    } else {
        &[
            (Value::Null, Value::Null),
            (json!(true), json!(true)),
            (json!(false), json!(false)),
            (json!("true"), json!(REFUSED)),
            (json!(0), json!(REFUSED)),
        ]
    };
    for (sent, expected) in table {
        reset().await;
        let reply = if t.client == ClientKind::Browser {
            let mut fields = vec![("traits.email", MARA), ("traits.terms", "on"), ("method", "profile")];
            fields.extend(sent.as_array().unwrap().iter().map(|value| ("traits.newsletter", value.as_str().unwrap())));
            form(&mara, &flow, &fields).await
        } else {
            let mut traits = json!({ "email": MARA, "terms": true });
            if !sent.is_null() {
                traits["newsletter"] = sent.clone();
            }
            mara.submit_call(&flow, json!({ "method": "profile", "traits": traits })).await
        };
        let submitted = mara.understand(&flow, reply).await;
        if expected == REFUSED {
            assert_eq!(submitted.form().all_messages(), [("traits.newsletter".to_owned(), 4_000_026)], "{sent}");
            assert_eq!(stored().await["newsletter"], true, "{sent}");
            continue;
        }
        let saved = submitted.saved();
        assert_eq!(stored().await.get("newsletter").cloned().unwrap_or_default(), *expected, "{sent}");
        assert_eq!(saved.value("traits.newsletter"), *expected, "{sent}");
        assert_eq!(mara.refetch(&flow).await.value("traits.newsletter"), *expected, "{sent}");
    }
}

/// Required means that there is an answer; that it has to be yes is another rule.
#[flow_test(browser, spa, config = boxes())]
async fn trait_03_a_required_box_may_stay_empty_and_one_that_must_be_ticked_may_not(t: Trial) {
    let traits = json!({ "email": MARA, "terms": true });
    let credentials = json!({ "password": { "config": { "password": PASSWORD } } });
    t.admin().create(&json!({ "schema_id": "person", "traits": traits, "credentials": credentials })).await;
    let mara = t.signed_in(MARA).await;
    let flow = mara.init("settings", "").await;
    let unticked = async || {
        let reply = match t.client {
            ClientKind::Browser => form(&mara, &flow, &[("traits.email", MARA), ("method", "profile")]).await,
            ClientKind::Api | ClientKind::Spa => {
                mara.submit_call(&flow, json!({ "method": "profile", "traits": { "email": MARA, "terms": false } })).await
            }
        };
        mara.understand(&flow, reply).await
    };
    unticked().await.saved();
    assert_eq!(mara.whoami().await["identity"]["traits"]["terms"], false);
    if t.client == ClientKind::Spa {
        let absent = mara.submit(&flow, json!({ "method": "profile", "traits": { "email": MARA } })).await.form();
        assert_eq!(absent.all_messages(), [("traits.terms".to_owned(), 4_000_002)], "a script says what it means");
    }
    let mut config = boxes();
    let schema = &mut config["identity"]["schemas"];
    *schema = with_schema(&json!({
        "type": "object",
        "properties": {
            "email": { "type": "string", "format": "email", "ory.sh/kratos": { "credentials": { "password": { "identifier": true } } } },
            "terms": { "type": "boolean", "const": true },
        },
        "required": ["email", "terms"],
    }))["identity"]["schemas"]
        .clone();
    t.reconfigure(&config);
    assert_eq!(unticked().await.form().all_messages(), [("traits.terms".to_owned(), 4_000_029)]);
}

fn grown_stricter() -> Value {
    with_schema(&json!({
        "type": "object",
        "properties": {
            "email": { "type": "string", "format": "email", "ory.sh/kratos": { "credentials": { "password": { "identifier": true } } } },
            "name": { "type": "string", "minLength": 1 },
        },
        "required": ["email", "name"],
        "additionalProperties": false,
    }))
}

#[flow_test(config = json!({ "selfservice": { "methods": { "totp": { "enabled": true } } } }))]
async fn trait_05_a_stricter_schema_blocks_only_the_profile(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let id = mara.id().await;
    let flow = mara.init("settings", "").await;
    mara.submit(&flow, json!({ "method": "profile", "traits": { "email": MARA, "nickname": "Marika" } })).await.saved();
    t.reconfigure(&grown_stricter());
    mara.whoami().await;
    t.signed_in(MARA).await;

    let new = "staple 9 correct elephant";
    let flow = mara.init("settings", "").await;
    mara.submit(&flow, json!({ "method": "password", "password": new })).await.saved();
    t.person().sign_in(MARA, new).await.done();
    let (_, saved) = super::enrol_app(&t, &mara).await;
    assert_eq!(saved.value("traits.email"), MARA);

    // The page's own fields: the new one is there and empty, and the old one does not stand in the way.
    let flow = mara.init("settings", "").await;
    assert_eq!(flow.value("traits.name"), Value::Null);
    let mut fields: serde_json::Map<_, _> =
        page_fields(&flow, "profile").into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    fields.insert("method".to_owned(), "profile".into());
    let form = mara.submit(&flow, Value::Object(fields.clone())).await.form();
    assert_eq!(form.all_messages(), [("traits.name".to_owned(), 4_000_002)]);
    fields.insert("traits.name".to_owned(), "Mara".into());
    mara.submit(&flow, Value::Object(fields)).await.saved();
    assert_eq!(t.snapshot(id).await.identity.traits, json!({ "email": MARA, "name": "Mara" }));

    // Whoever sends such a field by themselves is told.
    let sent = json!({ "method": "profile", "traits": { "email": MARA, "name": "Mara", "nickname": "Marika" } });
    mara.submit(&flow, sent).await.form();
    let old = json!({ "schema_id": "person", "state": "active", "traits": { "email": MARA, "nickname": "Marika" } });
    let refused = t.admin().call("PUT", &format!("/admin/identities/{id}")).json(&old).await.expect(400).json();
    assert!(refused["error"]["reason"].as_str().unwrap().contains("#/traits"), "{refused}");
}
