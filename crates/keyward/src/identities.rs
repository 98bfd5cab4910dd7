//! `keyward identities`: reading, deleting, importing and checking identities through the admin API, as Kratos' commands do.
//! Operators and their scripts call it; answers go to the standard output, everything else to the standard error.
//! Works with any server that speaks that API, here or elsewhere.

use std::collections::HashMap;

use keyward_services::admin::check_new_identity;
use keyward_services::schema::IdentitySchema;
use reqwest::Method;
use serde_json::{Value, json};

use crate::identities_arguments::{Format, Get, Identities, List, Remote, Validate};
use crate::identities_client::{Client, segment};
use crate::identities_import;
use crate::identities_rows::{self, Row};
use crate::{Failure, block_on};

/// Runs one of the commands.
pub(crate) fn run(what: Identities) -> Result<(), Failure> {
    block_on(async {
        match what {
            Identities::Get(arguments) => get(&arguments).await,
            Identities::List(arguments) => list(&arguments).await,
            Identities::Delete(arguments) => remove(&arguments.remote, &arguments.ids, "", "deleted").await,
            Identities::Unlock(arguments) => remove(&arguments.remote, &arguments.ids, "/attempts", "unlocked").await,
            Identities::Import(arguments) => identities_import::run(Client::new(&arguments.remote.endpoint)?, arguments).await,
            Identities::Validate(arguments) => validate(&arguments).await,
        }
    })
}

/// Writes an answer: as JSON, or as `text` does it.
pub(crate) fn write(format: Format, answer: &Value, text: impl FnOnce()) {
    match format {
        Format::Text => text(),
        Format::Json => println!("{answer}"),
        Format::JsonPretty => println!("{answer:#}"),
    }
}

async fn get(arguments: &Get) -> Result<(), Failure> {
    let client = Client::new(&arguments.remote.endpoint)?;
    let query: Vec<String> =
        arguments.include_credentials.iter().map(|kind| format!("include_credential={}", segment(kind))).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let mut found = Vec::new();
    let mut failed = 0;
    for id in &arguments.ids {
        let path = if arguments.external_id { "by/external/" } else { "" };
        let answer = client.send(Method::GET, &format!("/admin/identities/{path}{}{query}", segment(id)), None).await?;
        match answer.done() {
            Ok(identity) => found.push(identity),
            Err(failure) => {
                eprintln!("{id}: {failure}");
                failed += 1;
            }
        }
    }
    let answer = if let [one] = found.as_slice() { one.clone() } else { json!(found) };
    if !found.is_empty() {
        write(arguments.remote.output.format, &answer, || print_table(&found));
    }
    all_done(failed)
}

async fn list(arguments: &List) -> Result<(), Failure> {
    let client = Client::new(&arguments.remote.endpoint)?;
    let mut path = format!("/admin/identities?page_size={}", arguments.page_size);
    if let Some(token) = &arguments.page_token {
        path.push_str("&page_token=");
        path.push_str(&segment(token));
    }
    let answer = client.send(Method::GET, &path, None).await?;
    let next = answer.next_page();
    let identities = answer.done()?;
    let rows = identities.as_array().cloned().unwrap_or_default();
    let answer = json!({ "identities": identities, "next_page_token": next, "is_last_page": next.is_none() });
    write(arguments.remote.output.format, &answer, || {
        print_table(&rows);
        match &next {
            Some(token) => println!("\nThere are more: --page-token {token}"),
            None => println!("\nThis is the last page."),
        }
    });
    Ok(())
}

/// Deletes each identity, or what stands below it, and says which were `done`.
async fn remove(remote: &Remote, ids: &[String], below: &str, done: &str) -> Result<(), Failure> {
    let client = Client::new(&remote.endpoint)?;
    let mut removed = Vec::new();
    let mut failed = 0;
    for id in ids {
        match client.send(Method::DELETE, &format!("/admin/identities/{}{below}", segment(id)), None).await?.done() {
            Ok(_) => removed.push(id),
            Err(failure) => {
                eprintln!("{id}: {failure}");
                failed += 1;
            }
        }
    }
    write(remote.output.format, &json!({ done: removed }), || {
        for id in &removed {
            println!("{id}");
        }
    });
    all_done(failed)
}

fn all_done(failed: usize) -> Result<(), Failure> {
    if failed == 0 { Ok(()) } else { Err(Failure::say(format!("{failed} requests were refused"))) }
}

async fn validate(arguments: &Validate) -> Result<(), Failure> {
    let schemas = match &arguments.endpoint {
        Some(endpoint) => Some(schemas(&Client::new(endpoint)?).await?),
        None => None,
    };
    let (mut valid, mut invalid) = (0_u64, 0_u64);
    identities_rows::read(&arguments.files, |row| {
        match check(&row, schemas.as_ref()) {
            Ok(()) => valid += 1,
            Err(reason) => {
                eprintln!("{}: {reason}", row.place());
                invalid += 1;
            }
        }
        true
    })?;
    write(arguments.output.format, &json!({ "valid": valid, "invalid": invalid }), || {
        println!("{valid} rows can be imported, {invalid} cannot.");
    });
    if invalid > 0 { Err(Failure::say(format!("{invalid} rows cannot be imported"))) } else { Ok(()) }
}

fn check(row: &Row, schemas: Option<&HashMap<String, IdentitySchema>>) -> Result<(), String> {
    let json = row.json.as_ref().map_err(Clone::clone)?;
    let identity: Value = serde_json::from_str(json.get()).map_err(|_| "no JSON")?;
    check_new_identity(&identity)?;
    let Some(schemas) = schemas else { return Ok(()) };
    let schema = match identity["schema_id"].as_str().filter(|id| !id.is_empty()) {
        Some(id) => schemas.get(id).ok_or_else(|| format!("the server has no identity schema {id:?}"))?,
        None if schemas.len() == 1 => schemas.values().next().ok_or("the server has no identity schema")?,
        None => return Err("the server has several identity schemas: name one with schema_id".to_owned()),
    };
    let traits = schema.normalise(identity["traits"].clone());
    let errors = schema.validate(&traits);
    if errors.0.is_empty() {
        return Ok(());
    }
    let told = errors.0.iter().map(|error| match &error.node {
        Some(node) => format!("{node}: {}", error.message.text),
        None => error.message.text.clone(),
    });
    Err(told.collect::<Vec<_>>().join("; "))
}

async fn schemas(client: &Client) -> Result<HashMap<String, IdentitySchema>, Failure> {
    let list = client.send(Method::GET, "/admin/schemas", None).await?.done()?;
    let mut schemas = HashMap::new();
    for entry in list.as_array().into_iter().flatten() {
        let Some(id) = entry["id"].as_str() else { continue };
        let schema = IdentitySchema::compile_value(id, &entry["schema"])
            .map_err(|error| Failure::new(&format!("the server's identity schema {id:?} cannot be used"), &error))?;
        schemas.insert(id.to_owned(), schema);
    }
    Ok(schemas)
}

const COLUMNS: [&str; 6] = ["ID", "EXTERNAL ID", "VERIFIED ADDRESSES", "RECOVERY ADDRESSES", "SCHEMA ID", "SCHEMA URL"];

/// Kratos' columns, each as wide as its longest cell.
fn print_table(identities: &[Value]) {
    let mut rows: Vec<[String; 6]> = vec![COLUMNS.map(str::to_owned)];
    for identity in identities {
        let text = |name: &str| identity[name].as_str().unwrap_or_default().to_owned();
        let addresses = |name: &str, wanted: fn(&Value) -> bool| {
            let list = identity[name].as_array().map(Vec::as_slice).unwrap_or_default();
            let values = list.iter().filter(|address| wanted(address)).filter_map(|address| address["value"].as_str());
            values.collect::<Vec<_>>().join(", ")
        };
        rows.push([
            text("id"),
            text("external_id"),
            addresses("verifiable_addresses", |address| address["verified"] == true),
            addresses("recovery_addresses", |_| true),
            text("schema_id"),
            text("schema_url"),
        ]);
    }
    let widths: [usize; 6] = std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default());
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
}
