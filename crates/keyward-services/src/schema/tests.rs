//! Tables of the contract for schemas: nodes, decoding, messages, drafts and what a document may not say.

use keyward_model::{Attributes, FormErrors, Group, Input, Message, Via};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{IdentitySchema, SchemaEntry, SchemaError, SchemaSource, Schemas, load_document};
use crate::payload::Payload;

/// A schema whose traits are these.
fn traits(properties: Value) -> IdentitySchema {
    with(json!({ "type": "object", "properties": properties }))
}

fn with(traits: Value) -> IdentitySchema {
    let document =
        json!({ "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": { "traits": traits } });
    IdentitySchema::compile("default", &document.to_string()).unwrap()
}

fn form(pairs: &[(&str, &str)]) -> Payload {
    Payload::from_form(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))).unwrap()
}

fn json_body(body: &Value) -> Payload {
    Payload::from_json(body.to_string().as_bytes()).unwrap()
}

fn inputs(schema: &IdentitySchema, values: &Value) -> Vec<Input> {
    let nodes = schema.trait_nodes(Group::Profile, values);
    nodes
        .into_iter()
        .map(|node| match node.attributes {
            Attributes::Input(input) => *input,
            other => panic!("no input: {other:?}"),
        })
        .collect()
}

fn names(inputs: &[Input]) -> Vec<&str> {
    inputs.iter().map(|input| input.name.as_str()).collect()
}

/// Node, id and context of each refusal.
fn refusals(errors: &FormErrors) -> Vec<(Option<&str>, u32, Value)> {
    errors.0.iter().map(|one| (one.node.as_deref(), one.message.id, Value::Object(one.message.context.clone()))).collect()
}

#[test]
fn every_feature_of_a_schema_shows_on_its_node() {
    for (property, value, expected) in [
        (json!({"type": "string"}), json!("x"), json!({"type": "text", "value": "x"})),
        (json!({"type": "string"}), json!(""), json!({"type": "text", "value": ""})),
        (json!({"type": "number"}), json!(0), json!({"type": "number", "value": 0})),
        (json!({"type": "integer"}), json!(7), json!({"type": "number", "value": 7})),
        (json!({"type": "boolean"}), json!(false), json!({"type": "checkbox", "value": false})),
        (json!({"type": "string", "format": "email"}), Value::Null, json!({"type": "email", "autocomplete": "email"})),
        (json!({"type": "string", "format": "tel"}), Value::Null, json!({"type": "tel", "autocomplete": "tel"})),
        (json!({"type": "string", "format": "uri"}), json!(7), json!({"type": "url", "autocomplete": "url", "value": 7})),
        (json!({"type": "string", "format": "date"}), Value::Null, json!({"type": "date"})),
        (json!({"type": "string", "format": "date-time"}), Value::Null, json!({"type": "datetime-local"})),
        (json!({"type": "string", "format": "regex"}), Value::Null, json!({"type": "text"})),
        (json!({"type": "string", "pattern": "^a$"}), Value::Null, json!({"type": "text", "pattern": "^a$"})),
        (
            json!({"type": "string", "enum": ["a", 1, true, ["no"], null]}),
            Value::Null,
            json!({"type": "text", "options": [{"value": "a"}, {"value": 1}, {"value": true}]}),
        ),
        (
            json!({"type": "string", "maxLength": 3, "minLength": 1, "default": "x", "description": "y"}),
            Value::Null,
            json!({"type": "text"}),
        ),
        (json!({"type": "number", "minimum": 3, "const": 4}), Value::Null, json!({"type": "number"})),
        (json!({"type": "array", "items": {"type": "string", "format": "email"}}), Value::Null, json!({"type": "text"})),
        (json!({"type": "string", "disableFormField": true}), Value::Null, json!({"type": "text", "disabled": true})),
        (json!({}), Value::Null, json!({"type": "text"})),
    ] {
        let schema = traits(json!({ "it": property }));
        let values = if value.is_null() { json!({}) } else { json!({ "it": value }) };
        let found = inputs(&schema, &values);
        let mut expected = expected;
        expected["name"] = json!("traits.it");
        expected["node_type"] = json!("input");
        if expected.get("disabled").is_none() {
            expected["disabled"] = json!(false);
        }
        assert_eq!(serde_json::to_value(&found).unwrap(), json!([expected]), "{property}");
    }
}

#[test]
fn names_labels_and_requirements_follow_the_document() {
    let schema = with(json!({
        "type": "object",
        "required": ["z", "name"],
        "properties": {
            "z": {"type": "string", "title": "Last letter"},
            "name": {"type": "object", "required": ["first"], "properties": {
                "last": {"type": "string"},
                "first": {"type": "string"},
                "dotted.key": {"type": "string"},
            }},
            "password": {"type": "string"},
            "people": {"type": "array", "items": {"type": "object", "properties": {"nick": {"type": "string"}}}},
            "a": {"type": "string"},
        },
    }));
    let found = inputs(&schema, &json!({}));
    let expected =
        ["traits.z", "traits.name.last", "traits.name.first", "traits.name.dotted\\.key", "traits.password", "traits.a"];
    assert_eq!(names(&found), expected);
    assert_eq!(schema.node_keys(), expected);
    let required: Vec<_> = found.iter().filter(|input| input.required).map(|input| input.name.as_str()).collect();
    assert_eq!(required, ["traits.z", "traits.name.first"]);
    let nodes = schema.trait_nodes(Group::Default, &json!({}));
    assert_eq!(nodes[0].meta.label, Some(Message::title("Last letter", "traits.z")));
    assert_eq!(nodes[1].meta.label, None);
    assert_eq!(serde_json::to_value(&nodes[4]).unwrap()["attributes"]["type"], "password");
}

#[test]
fn lists_show_their_entries_and_undeclared_values_are_shown_too() {
    let schema = traits(json!({
        "emails": {"type": "array", "items": {"type": "string", "format": "email"}},
        "name": {"type": "string"},
    }));
    for (values, expected) in [
        (json!({}), vec!["traits.emails", "traits.name"]),
        (json!({"emails": []}), vec!["traits.emails", "traits.name"]),
        (json!({"emails": ["a", "b"]}), vec!["traits.emails.0", "traits.emails.1", "traits.name"]),
        (
            json!({"nope": 1, "name": "x", "more": {"a": true}}),
            vec!["traits.emails", "traits.name", "traits.nope", "traits.more.a"],
        ),
    ] {
        let found = inputs(&schema, &values);
        assert_eq!(names(&found), expected, "{values}");
    }
    assert_eq!(inputs(&schema, &json!({"emails": ["a"]}))[0].value, Some(json!("a")));
    let closed = json!({"properties": {"name": {"type": "string"}, "more": {"properties": {"a": {"type": "string"}}}}, "additionalProperties": false});
    let closed = IdentitySchema::compile("closed", &json!({"properties": {"traits": closed}}).to_string()).unwrap();
    let found = inputs(&closed, &json!({"nope": 1, "name": "x", "more": {"a": "y", "b": true}}));
    assert_eq!(names(&found), ["traits.name", "traits.more.a", "traits.more.b"]);
    let many: Vec<_> = (0..501).collect();
    assert!(inputs(&traits(json!({"n": {"enum": many}})), &json!({}))[0].options.is_empty());
    let fewer: Vec<_> = (0..500).collect();
    assert_eq!(inputs(&traits(json!({"n": {"enum": fewer}})), &json!({}))[0].options.len(), 500);
}

#[test]
fn references_and_combinations_are_followed_and_recursion_ends() {
    let document = json!({
        "$id": "https://example.org/person.json",
        "definitions": {
            "mail": {"type": "string", "format": "email", "title": "Mail"},
            "tree": {"type": "object", "properties": {"leaf": {"type": "string"}, "tree": {"$ref": "#/definitions/tree"}}},
        },
        "properties": {"traits": {"type": "object",
            "properties": {
                "email": {"$ref": "https://example.org/person.json#/definitions/mail"},
                "tree": {"$ref": "#/definitions/tree"},
            },
            "allOf": [{"required": ["email"], "properties": {"extra": {"type": "boolean"}}}],
            "if": {"properties": {"email": {"const": "x"}}}, "then": {"properties": {"only": {"type": "object", "properties": {"a": {"type": "string"}}}}},
        }},
    });
    let schema = IdentitySchema::compile("default", &document.to_string()).unwrap();
    assert_eq!(schema.node_keys(), ["traits.email", "traits.tree.leaf", "traits.extra", "traits.only.a"]);
    let found = inputs(&schema, &json!({}));
    assert!(found[0].required, "an unconditional branch requires");
    assert_eq!(schema.decode_traits(&form(&[])), json!({"tree": {}}), "a conditional object is not filled in");
}

const PERSON: &str = r#"{
    "email": {"type": "string", "format": "email"}, "age": {"type": "number"}, "count": {"type": "integer"},
    "ok": {"type": "boolean"}, "must": {"type": "boolean"}, "tags": {"type": "array", "items": {"type": "string"}},
    "sizes": {"type": "array", "items": {"type": "integer"}}, "either": {"type": ["number", "null"]},
    "name": {"type": "object", "properties": {"first": {"type": "string"}, "deep": {"type": "object", "properties": {"n": {"type": "number"}}}}},
    "list": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "number"}}}}
}"#;

fn person() -> IdentitySchema {
    let properties: Value = serde_json::from_str(PERSON).unwrap();
    with(json!({ "type": "object", "properties": properties, "required": ["must"] }))
}

#[test]
fn form_fields_are_typed_by_the_schema() {
    for (pairs, expected) in [
        (vec![], json!({})),
        (vec![("traits.email", "a@b.example"), ("method", "profile"), ("email", "no")], json!({"email": "a@b.example"})),
        (vec![("traits.email", "")], json!({})),
        (vec![("traits.email", "a"), ("traits.email", "b")], json!({"email": "b"})),
        (vec![("traits.age", "30")], json!({"age": 30})),
        (vec![("traits.age", "-1.5e3")], json!({"age": -1500.0})),
        (vec![("traits.age", "thirty")], json!({"age": "thirty"})),
        (vec![("traits.age", "NaN")], json!({"age": "NaN"})),
        (vec![("traits.count", "18446744073709551615")], json!({"count": 18_446_744_073_709_551_615_u64})),
        (vec![("traits.either", "5")], json!({"either": 5})),
        (vec![("traits.ok", "on")], json!({"ok": true})),
        (vec![("traits.ok", "TRUE")], json!({"ok": true})),
        (vec![("traits.ok", "false"), ("traits.ok", "true")], json!({"ok": true})),
        (vec![("traits.ok", "false")], json!({"ok": false})),
        (vec![("traits.ok", "maybe")], json!({"ok": "maybe"})),
        (vec![("traits.tags", "a"), ("traits.tags", "b")], json!({"tags": ["a", "b"]})),
        (vec![("traits.tags.1", "b"), ("traits.tags.0", "a")], json!({"tags": ["a", "b"]})),
        (vec![("traits.tags.999999999999", "z")], json!({"tags": ["z"]})),
        (vec![("traits[999999999]", "z"), ("traits.tags[9]", "y")], json!({"tags[9]": "y"})),
        (vec![("traits.tags", "")], json!({})),
        (vec![("traits.sizes", "1"), ("traits.sizes", "x")], json!({"sizes": [1, "x"]})),
        (vec![("traits.list.1.n", "2"), ("traits.list.0.n", "1")], json!({"list": [{"n": 1}, {"n": 2}]})),
        (vec![("traits.name.first", "A")], json!({"name": {"first": "A"}})),
        (vec![("traits.name.deep.n", "4")], json!({"name": {"deep": {"n": 4}}})),
        (vec![("traits.name", "text"), ("traits.name.first", "A")], json!({"name": {"first": "A"}})),
        (vec![("traits.unknown", "1"), ("traits.a\\.b", "2")], json!({"unknown": "1", "a.b": "2"})),
    ] {
        let mut expected = expected;
        if expected.get("name").is_none() {
            expected["name"] = json!({});
        }
        if expected["name"].get("deep").is_none() {
            expected["name"]["deep"] = json!({});
        }
        if expected.get("must").is_none() {
            expected["must"] = json!(false);
        }
        assert_eq!(person().decode_traits(&form(&pairs)), expected, "{pairs:?}");
    }
}

#[test]
fn nested_json_keeps_its_types_and_dotted_keys_are_converted() {
    for (body, expected) in [
        (json!({"traits": {"age": "42", "ok": "true", "email": 7}}), json!({"age": "42", "ok": "true", "email": 7})),
        (json!({"traits": {"email": "", "tags": [""]}}), json!({"email": "", "tags": [""]})),
        (
            json!({"traits.age": "30", "traits.ok": "true", "traits.name.first": "A"}),
            json!({"age": 30, "ok": true, "name": {"first": "A"}}),
        ),
        (
            json!({"traits": {"age": 1, "name": {"first": "A"}}, "traits.name.deep.n": "2"}),
            json!({"age": 1, "name": {"first": "A", "deep": {"n": 2}}}),
        ),
        (json!({"traits.email": "", "traits.tags": ["a", 1]}), json!({"tags": ["a", 1]})),
        (json!({"traits.email": 5}), json!({"email": "5"})),
        (json!({"traits": ""}), json!({})),
        (json!({"traits": null}), json!({})),
        (json!({}), json!({})),
        (json!({"traits": {"unknown": [1]}}), json!({"unknown": [1]})),
    ] {
        let mut expected = expected;
        if expected.get("name").is_none() {
            expected["name"] = json!({});
        }
        if expected["name"].get("deep").is_none() {
            expected["name"]["deep"] = json!({});
        }
        assert_eq!(person().decode_traits(&json_body(&body)), expected, "{body}");
    }
    assert_eq!(person().decode_traits(&json_body(&json!({"traits": [1]}))), json!([1]), "left for the validator to refuse");
}

#[test]
fn each_keyword_has_its_message_on_the_node_of_its_value() {
    let long = "\u{1f600}".repeat(4);
    for (property, value, expected) in [
        (json!({"minLength": 5}), json!(long), vec![(4_000_003, json!({"min_length": 5, "actual_length": 4}))]),
        (json!({"minLength": 4}), json!(long), vec![]),
        (json!({"maxLength": 3}), json!(long), vec![(4_000_017, json!({"max_length": 3, "actual_length": 4}))]),
        (json!({"pattern": "^a+$"}), json!("b"), vec![(4_000_004, json!({"pattern": "^a+$"}))]),
        (json!({"minimum": 3}), json!(2), vec![(4_000_018, json!({"minimum": 3, "actual": 2}))]),
        (json!({"exclusiveMinimum": 3}), json!(3), vec![(4_000_019, json!({"minimum": 3, "actual": 3}))]),
        (json!({"maximum": 3}), json!(3.5), vec![(4_000_020, json!({"maximum": 3, "actual": 3.5}))]),
        (json!({"exclusiveMaximum": 3}), json!(3), vec![(4_000_021, json!({"maximum": 3, "actual": 3}))]),
        (json!({"multipleOf": 2}), json!(3), vec![(4_000_022, json!({"base": 2, "actual": 3}))]),
        (json!({"multipleOf": 0.5}), json!(0.75), vec![(4_000_022, json!({"base": 0.5, "actual": 0.75}))]),
        (json!({"maxItems": 1}), json!([1, 2]), vec![(4_000_023, json!({"max_items": 1, "actual_items": 2}))]),
        (json!({"minItems": 1}), json!([]), vec![(4_000_024, json!({"min_items": 1, "actual_items": 0}))]),
        (json!({"uniqueItems": true}), json!([1, 2, 3, 2]), vec![(4_000_025, json!({"index_a": 1, "index_b": 3}))]),
        (json!({"type": "string"}), json!(7), vec![(4_000_026, json!({"allowed_types": ["string"], "actual_type": "number"}))]),
        (
            json!({"type": "boolean"}),
            json!("maybe"),
            vec![(4_000_026, json!({"allowed_types": ["boolean"], "actual_type": "string"}))],
        ),
        (json!({"type": "number"}), json!(""), vec![(4_000_026, json!({"allowed_types": ["number"], "actual_type": "string"}))]),
        (json!({"const": true}), json!(false), vec![(4_000_029, json!({"expected": true}))]),
        (json!({"const": ["a"]}), json!("b"), vec![(4_000_030, json!({}))]),
        (json!({"format": "email"}), json!("nope"), vec![(4_000_040, json!({"value": "nope"}))]),
        (json!({"format": "email"}), json!("a b@example.org"), vec![(4_000_040, json!({"value": "a b@example.org"}))]),
        (
            json!({"format": "email"}),
            json!("m\u{202e}a@example.org"),
            vec![(4_000_040, json!({"value": "m\u{202e}a@example.org"}))],
        ),
        (json!({"format": "email"}), json!(" mara@example.org\u{a0}"), vec![]),
        (json!({"format": "email"}), json!("mara+x@sub.example.org"), vec![]),
        (json!({"format": "email_loose"}), json!("nope"), vec![(4_000_040, json!({"value": "nope"}))]),
        (json!({"format": "tel"}), json!("030 1"), vec![(4_000_041, json!({"value": "030 1"}))]),
        (json!({"format": "tel"}), json!(""), vec![(4_000_041, json!({"value": ""}))]),
        (json!({"format": "tel"}), json!("+1 650-253-0000"), vec![]),
        (json!({"format": "no-validate"}), json!("any thing"), vec![]),
        (json!({"type": "string"}), json!(""), vec![]),
    ] {
        let schema = traits(json!({ "it": property }));
        let errors = schema.validate(&json!({ "it": value }));
        let expected: Vec<_> = expected.into_iter().map(|(id, context)| (Some("traits.it"), id, context)).collect();
        assert_eq!(refusals(&errors), expected, "{property} {value}");
    }
}

#[test]
fn everything_else_is_the_general_message_with_a_reason() {
    for (schema, values, nodes) in [
        (json!({"properties": {"it": {"enum": ["a"]}}}), json!({"it": ""}), vec!["traits.it"]),
        (json!({"properties": {"it": {"format": "date"}}}), json!({"it": "tomorrow"}), vec!["traits.it"]),
        (json!({"properties": {"it": {"format": "date-time"}}}), json!({"it": "tomorrow"}), vec!["traits.it"]),
        (json!({"properties": {"it": {"format": "uri"}}}), json!({"it": "tomorrow"}), vec!["traits.it"]),
        (json!({"properties": {"it": {"format": "email"}}}), json!({"it": ""}), vec!["traits.it"]),
        (json!({"properties": {"it": {"not": {"const": 1}}}}), json!({"it": 1}), vec!["traits.it"]),
        (json!({"properties": {"it": false}}), json!({"it": 1}), vec!["traits.it"]),
        (json!({"properties": {"it": {"contains": {"const": 1}}}}), json!({"it": [2]}), vec!["traits.it"]),
        (json!({"properties": {"it": {"items": [true], "additionalItems": false}}}), json!({"it": [2, 3]}), vec!["traits.it"]),
        (json!({"properties": {}, "additionalProperties": false}), json!({"nope": 1}), vec!["traits"]),
        (json!({"properties": {}, "maxProperties": 0}), json!({"nope": 1}), vec!["traits"]),
        (json!({"properties": {}, "propertyNames": {"maxLength": 2}}), json!({"nope": 1}), vec!["traits"]),
    ] {
        let mut traits = schema.clone();
        traits["type"] = json!("object");
        let errors = with(traits).validate(&values);
        let found: Vec<_> = errors.0.iter().map(|one| one.node.as_deref().unwrap_or("#")).collect();
        assert_eq!(found, nodes, "{schema}");
        for error in &errors.0 {
            assert_eq!(error.message.id, 4_000_001, "{schema}");
            assert!(error.message.context["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{schema}");
        }
    }
}

#[test]
fn missing_values_nested_causes_and_several_messages_land_where_they_belong() {
    let required = with(json!({"type": "object", "required": ["email", "a.b"], "properties": {
        "email": {"type": "string"},
        "name": {"type": "object", "required": ["first"], "properties": {"first": {"type": "string"}}},
    }}));
    assert_eq!(
        refusals(&required.validate(&json!({"name": {}}))),
        [
            (Some("traits.email"), 4_000_002, json!({"property": "email"})),
            (Some("traits.a\\.b"), 4_000_002, json!({"property": "a.b"})),
            (Some("traits.name.first"), 4_000_002, json!({"property": "first"})),
        ]
    );

    let both = traits(json!({"email": {"type": "string", "format": "email", "minLength": 6}}));
    let mut ids: Vec<_> = both.validate(&json!({"email": "nope"})).0.iter().map(|one| one.message.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [4_000_003, 4_000_040]);
    let mut ids: Vec<_> = both.validate(&json!({"email": ""})).0.iter().map(|one| one.message.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [4_000_001, 4_000_003]);

    for combination in ["anyOf", "oneOf"] {
        let schema = traits(
            json!({"it": {combination: [{"type": "string", "minLength": 9}, {"type": "object", "properties": {"n": {"maximum": 1}}}]}}),
        );
        let short = schema.validate(&json!({"it": "short"}));
        assert_eq!(
            short.0.iter().map(|one| (one.node.as_deref(), one.message.id)).collect::<Vec<_>>(),
            [(Some("traits.it"), 4_000_003), (Some("traits.it"), 4_000_026)]
        );
        let deep = schema.validate(&json!({"it": {"n": 5}}));
        assert!(deep.0.iter().any(|one| one.node.as_deref() == Some("traits.it.n") && one.message.id == 4_000_020), "{deep:?}");
    }
    let branches = with(json!({"type": "object", "properties": {"kind": {"type": "string"}, "tax": {"type": "string"}},
        "if": {"properties": {"kind": {"const": "company"}}}, "then": {"required": ["tax"]}}));
    assert_eq!(
        refusals(&branches.validate(&json!({"kind": "company"}))),
        [(Some("traits.tax"), 4_000_002, json!({"property": "tax"}))]
    );

    let list = traits(json!({"emails": {"type": "array", "items": {"type": "string", "format": "email"}}}));
    assert_eq!(
        list.validate(&json!({"emails": ["a@b.example", "not-an-address"]})).0[0].node.as_deref(),
        Some("traits.emails.1")
    );

    let root = IdentitySchema::compile(
        "x",
        &json!({"type": "object", "maxProperties": 0, "properties": {"traits": {"type": "object"}}}).to_string(),
    )
    .unwrap();
    assert_eq!(root.validate(&json!({})).0[0].node, None, "the root is the form itself");
    assert_eq!(refusals(&root.validate(&json!([])))[0].1, 4_000_026);
}

#[test]
fn flagged_traits_must_be_reachable_even_without_a_format() {
    for (extension, value, expected) in [
        (json!({"verification": {"via": "email"}}), "nope", Some(4_000_040)),
        (json!({"recovery": {"via": "email"}}), "a@b.example", None),
        (json!({"verification": {"via": "sms"}}), "030", Some(4_000_041)),
        (json!({"verification": {"via": "sms"}}), "+1 650 253 0000", None),
        (json!({"credentials": {"password": {"identifier": true}}}), "ma\u{200d}ra", Some(4_000_001)),
        (json!({"credentials": {"password": {"identifier": true}}}), "\u{200b}mara ", None),
        (json!({"credentials": {"totp": {"account_name": true}}}), "ma\u{200d}ra", None),
    ] {
        let schema = traits(json!({"it": {"type": "string", "ory.sh/kratos": extension}}));
        let errors = schema.validate(&json!({"it": value}));
        assert_eq!(errors.0.first().map(|one| one.message.id), expected, "{extension} {value:?}");
    }
}

#[test]
fn each_draft_is_understood_in_its_own_way() {
    for (draft, minimum, definitions) in [
        (Some("http://json-schema.org/draft-04/schema#"), json!({"minimum": 3, "exclusiveMinimum": true}), "definitions"),
        (Some("http://json-schema.org/draft-06/schema#"), json!({"exclusiveMinimum": 3}), "definitions"),
        (Some("https://json-schema.org/draft-07/schema"), json!({"exclusiveMinimum": 3}), "definitions"),
        (Some("https://json-schema.org/draft/2019-09/schema"), json!({"exclusiveMinimum": 3}), "$defs"),
        (Some("https://json-schema.org/draft/2020-12/schema"), json!({"exclusiveMinimum": 3}), "$defs"),
        (None, json!({"exclusiveMinimum": 3}), "definitions"),
    ] {
        let mut document = json!({
            "type": "object",
            definitions: {"mail": {"type": "string", "format": "email"}},
            "properties": {"traits": {"type": "object", "properties": {
                "n": minimum, "email": {"$ref": format!("#/{definitions}/mail")},
            }}},
        });
        if let Some(draft) = draft {
            document["$schema"] = json!(draft);
        }
        let schema = IdentitySchema::compile("x", &document.to_string()).unwrap();
        let errors = schema.validate(&json!({"n": 3, "email": "nope"}));
        let mut found: Vec<_> = errors.0.iter().map(|one| (one.node.as_deref().unwrap(), one.message.id)).collect();
        found.sort_unstable();
        assert_eq!(found, [("traits.email", 4_000_040), ("traits.n", 4_000_019)], "{draft:?}");
        assert_eq!(schema.node_keys(), ["traits.n", "traits.email"], "{draft:?}");
    }
}

#[test]
fn what_a_document_may_not_say_is_named_with_its_place() {
    let ext = |extension: Value| {
        json!({"properties": {"traits": {"type": "object", "properties": {"e": {"ory.sh/kratos": extension}}}}}).to_string()
    };
    let at = "#/properties/traits/properties/e/ory.sh~1kratos";
    let extension =
        |tail: &str, expected: &str| SchemaError::Extension { path: format!("{at}{tail}"), expected: expected.to_owned() };
    for (document, expected) in [
        (ext(json!(true)), extension("", "an object")),
        (
            ext(json!({"credentials": {"password": {"identifier": "yes"}}})),
            extension("/credentials/password/identifier", "true or false"),
        ),
        (ext(json!({"verification": {"via": "pigeon"}})), extension("/verification/via", "email or sms")),
        (
            ext(json!({"credentials": {"code": {"identifier": true, "via": 1}}})),
            extension("/credentials/code/via", "email or sms"),
        ),
        (
            ext(json!({"verificaton": {"via": "email"}})),
            extension("/verificaton", "no such key; known here: credentials, verification, recovery, organizations"),
        ),
        (
            json!({"$schema": "https://example.org/mine", "properties": {"traits": {"type": "object"}}}).to_string(),
            SchemaError::Draft { path: "#/$schema".into(), found: "https://example.org/mine".into() },
        ),
        (" ".repeat(super::MAX_DOCUMENT + 1), SchemaError::TooLarge),
    ] {
        assert_eq!(IdentitySchema::compile("x", &document).unwrap_err(), expected);
    }
    for (document, part) in [
        ("{", "not valid JSON"),
        ("{}", "#/properties/traits"),
        (r#"{"properties":{"traits":{"type":"string"}}}"#, "#/properties/traits"),
        (
            r#"{"properties":{"traits":{"type":"object","properties":{"a":{"type":"text"}}}}}"#,
            "#/properties/traits/properties/a/type",
        ),
        (
            r#"{"properties":{"traits":{"type":"object","properties":{"a":{"$ref":"https://example.org/a.json"}}}}}"#,
            "https://example.org/a.json",
        ),
        (r##"{"properties":{"traits":{"type":"object","properties":{"a":{"$ref":"#/definitions/none"}}}}}"##, "none"),
        (r#"{"properties":{"traits":{"type":"object","properties":{"a":{"pattern":"(?=a)b"}}}}}"#, "pattern"),
    ] {
        let error = IdentitySchema::compile("x", document).unwrap_err().to_string();
        assert!(error.contains(part), "{document}: {error}");
    }
    let many: serde_json::Map<_, _> = (0..1_001).map(|number| (format!("t{number}"), json!({}))).collect();
    let document = json!({"properties": {"traits": {"type": "object", "properties": many}}}).to_string();
    assert_eq!(IdentitySchema::compile("x", &document).unwrap_err(), SchemaError::TooManyTraits { limit: 1_000 });
    // Values and property names that look like the keyword are none.
    let harmless = json!({"properties": {"ory.sh/kratos": {"type": "string"}, "traits": {"type": "object", "default": {"ory.sh/kratos": 1}}}});
    assert!(IdentitySchema::compile("x", &harmless.to_string()).is_ok());
}

#[test]
fn the_extension_says_what_a_trait_is_for() {
    let schema = traits(json!({
        "email": {"type": "string", "format": "email", "title": "E-Mail", "ory.sh/kratos": {
            "credentials": {"password": {"identifier": true}, "webauthn": {"identifier": true}, "passkey": {"display_name": true},
                "totp": {"account_name": true}, "code": {"identifier": true, "via": "email"}},
            "verification": {"via": "email"}, "recovery": {"via": "email"}}},
        "phone": {"type": "string", "format": "tel", "ory.sh/kratos": {"credentials": {"code": {"identifier": true}}, "verification": {"via": "sms"}}},
    }));
    assert_eq!(schema.identifier_title(), Some(("E-Mail", "traits.email")));
    assert_eq!(schema.traits()[1].extension.code, Some(Via::Sms), "by format where no channel is named");
    let values = json!({"email": "mara@example.org", "phone": "+16502530000"});
    assert_eq!(schema.totp_account_name(&values).as_deref(), Some("mara@example.org"));
    assert_eq!(schema.passkey_display_name(&values).as_deref(), Some("mara@example.org"));
    assert_eq!(schema.passkey_display_name(&json!({})), None);
    let flag = json!({"credentials": {"password": {"identifier": true}}});
    let two = traits(json!({"a": {"title": "A", "ory.sh/kratos": flag}, "b": {"title": "B", "ory.sh/kratos": flag}}));
    assert_eq!(two.identifier_title(), None);
}

#[test]
fn schemas_are_loaded_by_url_and_found_by_either_id() {
    use base64::Engine as _;
    let document = json!({"properties": {"traits": {"type": "object"}}}).to_string();
    let inline = format!("base64://{}", base64::engine::general_purpose::STANDARD.encode(&document));
    let source = |id, url| SchemaSource { id, url, selfservice_selectable: true };
    let schemas = Schemas::load("b", [source("a", &*inline), source("b", &*inline)]).unwrap();
    assert_eq!(schemas.default_schema().schema.id(), "b");
    assert_eq!(schemas.find("YQ").map(|entry| entry.schema.id()), Some("a"));
    let raw = |entry: &SchemaEntry| entry.document.to_string();
    assert_eq!(schemas.find("a").map(raw), Some(document.clone()));
    assert!(schemas.find("c").is_none());

    let file = std::env::temp_dir().join(format!("keyward-schema-{}.json", std::process::id()));
    std::fs::write(&file, &document).unwrap();
    assert_eq!(load_document(&format!("file://{}", file.display())), Ok(document));
    std::fs::remove_file(&file).unwrap();
    let mut errors = Schemas::load(
        "none",
        [
            source("web", "https://example.org/s.json"),
            source("gone", "file:///nowhere/s.json"),
            source("bad", "base64://%%%"),
            source("none-at-all", "s.json"),
        ],
    )
    .unwrap_err();
    assert_eq!(errors.remove(0), ("web".to_owned(), SchemaError::Scheme { scheme: "https".to_owned() }));
    assert!(errors.iter().any(|(id, error)| id == "gone" && error.to_string().contains("/nowhere/s.json")));
    assert_eq!(errors.last().map(|(id, _)| id.as_str()), Some("none"));
    assert_eq!(errors.len(), 4);
    let twice = Schemas::load("a", [source("a", &*inline), source("a", &*inline)]).unwrap_err();
    assert_eq!(twice.len(), 1);
}

#[test]
fn a_hostile_pattern_or_value_costs_linear_time() {
    let schema = traits(json!({"it": {"type": "string", "pattern": "^(a+)+$"}}));
    assert_eq!(schema.validate(&json!({"it": format!("{}!", "a".repeat(100_000))})).0.len(), 1);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("(email|name|first|tags|list|n|age|[a-z.\\\\]{0,4})", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn decoding_and_validating_never_panic(
        pairs in proptest::collection::vec(("traits(\\.(email|name|first|tags|list|n|[0-9]{1,3}|[a-z.\\\\\\[\\]]{0,4})){0,4}", "\\PC{0,8}"), 0..12),
        body in any_json(),
    ) {
        let schema = person();
        let payload = Payload::from_form(pairs).unwrap();
        let decoded = schema.decode_traits(&payload);
        let _ = schema.validate(&decoded);
        let _ = schema.trait_nodes(Group::Profile, &decoded);
        let body = json!({ "traits": body });
        if let Ok(payload) = Payload::from_json(body.to_string().as_bytes()) {
            let decoded = schema.decode_traits(&payload);
            let _ = schema.validate(&decoded);
            let _ = schema.trait_nodes(Group::Profile, &decoded);
            prop_assert_eq!(schema.normalise(schema.normalise(decoded.clone())), schema.normalise(decoded));
        }
    }
}
