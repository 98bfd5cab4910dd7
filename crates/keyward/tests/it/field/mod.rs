//! What people who run or integrate identity servers have reported, one input and one right answer each.
//! One module per area; the name of a test begins with the number of the report that it keeps from coming true here.
//! Each is one of a family: what is mended is the class, and the test is its witness.

mod assurance;
mod codes;
mod configuration;
mod identifiers;
mod imports;
mod keys;
mod passwords;
mod redirects;
mod sessions;
mod tabs;
mod totp;
mod traits;

use keyward_model::Time;
use keyward_services::totp::TotpKey;
use keyward_testkit::{Actor, Call, Flow, Trial, Value, schema_url};
use serde_json::json;

use crate::second_factor::{codes as shown_codes, key as shown_key, step_up};

const MARA: &str = "mara@example.org";

/// Both second factors that an account can have at the moment, beside what a test is about.
fn second_factors() -> Value {
    json!({ "selfservice": { "methods": { "totp": { "enabled": true, "config": { "issuer": "Blue Garden" } }, "lookup_secret": { "enabled": true } } } })
}

/// One schema in place of the kit's, under the id that identities are made with.
fn with_schema(traits: &Value) -> Value {
    let schema = json!({
        "$id": "https://schemas.invalid/person.json",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": { "traits": traits },
    });
    json!({ "identity": { "schemas": [{ "id": "person", "url": schema_url(&schema) }] } })
}

fn code_at(key: &TotpKey, at: Time) -> String {
    key.code_at(at).unwrap()
}

/// Enrols an authenticator app; gives its key and the flow afterwards.
async fn enrol_app(t: &Trial, person: &Actor) -> (TotpKey, Flow) {
    let flow = person.init("settings", "").await;
    let key = shown_key(&flow);
    let saved = person.submit(&flow, json!({ "method": "totp", "totp_code": code_at(&key, t.now()) })).await.saved();
    (key, saved)
}

/// Makes backup codes of one's own.
async fn make_codes(person: &Actor) -> Vec<String> {
    let flow = person.init("settings", "").await;
    person.submit(&flow, json!({ "lookup_secret_regenerate": true })).await;
    let codes = shown_codes(&person.refetch(&flow).await);
    person.submit(&flow, json!({ "lookup_secret_confirm": true })).await.saved();
    codes
}

/// A form as a browser sends it, field by field and with the flow's token.
fn form<'a>(person: &'a Actor, flow: &Flow, fields: &[(&str, &str)]) -> Call<'a> {
    let token = flow.csrf_token().unwrap_or_default();
    let own = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let fields: Vec<_> = own.chain([("csrf_token".to_owned(), token)]).collect();
    person.call("POST", flow.json["ui"]["action"].as_str().unwrap()).form(&fields)
}

/// Everything that the page of a flow sends when a button of a group is pressed: the group's fields with their values.
fn page_fields(flow: &Flow, group: &str) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let nodes = flow.group(group).into_iter().map(|node| &node["attributes"]).filter(|input| input["type"] != "submit");
    // A box that is not ticked sends nothing.
    let sent = nodes.filter(|input| input["type"] != "checkbox" || input["value"] == true);
    sent.filter_map(|input| Some((input["name"].as_str()?.to_owned(), text(&input["value"])))).collect()
}
