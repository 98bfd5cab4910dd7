//! The OpenAPI document and the routers say the same.
//! Routes and operations stand in two tables of the same file; these tests find what one of them lacks, and that the
//! document holds together.
//! What the answers look like is compared by the binary's own tests, with a running server.

use std::collections::BTreeSet;

use axum::Router;
use serde_json::Value;

use super::{ask, state};
use crate::{admin, admin_router, openapi, public, public_router};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Proxies ask here with the method of the request that they stand for; the document names one.
const EVERY_METHOD: &str = "/sessions/whoami";

type Operations = BTreeSet<(String, String)>;

fn documented(document: &Value, admin: bool) -> Operations {
    let paths = document["paths"].as_object().expect("paths").iter();
    paths
        .filter(|(path, _)| path.starts_with("/admin/") == admin)
        .flat_map(|(path, item)| item.as_object().expect("operations").keys().map(|method| (method.to_uppercase(), path.clone())))
        .collect()
}

/// The paths of a router: it can be asked for them in no other way than by looking at how it shows itself.
fn paths(router: &Router) -> BTreeSet<String> {
    let shown = format!("{router:?}");
    let paths: BTreeSet<String> = shown
        .split("RouteId(")
        .filter_map(|rest| rest.split_once("): \"")?.1.split_once('"'))
        .map(|(path, _)| path.to_owned())
        .filter(|path| path.starts_with('/') && !path.contains("__private__"))
        .collect();
    assert!(paths.len() > 5, "routers show themselves in another way now: {shown}");
    paths
}

/// What a router has handlers for. None of them runs: they all want to know who calls, and nobody does.
async fn routed(router: &Router) -> Operations {
    let mut found = Operations::new();
    for path in paths(router) {
        let asked = path.replace("{*", "{").replace(['{', '}'], "");
        for method in METHODS {
            let status = ask(router, method, &asked, &[], "").await.status().as_u16();
            assert!(matches!(status, 404 | 405 | 500), "{method} {path}: {status}");
            if status == 500 && (path != EVERY_METHOD || method == "GET") {
                found.insert((method.to_owned(), path.clone()));
            }
        }
    }
    found
}

#[tokio::test]
async fn every_route_has_an_operation_and_every_operation_a_route() {
    let document = openapi();
    for (routes, asides, admin) in [(public::routes(), public::asides(), false), (admin::routes(), admin::asides(), true)] {
        let asides = routed(&asides).await;
        let routed: Operations = routed(&routes).await.difference(&asides).cloned().collect();
        assert_eq!(routed, documented(&document, admin));
    }
}

/// What is not described is a page, or leads to the other port.
#[tokio::test]
async fn nothing_else_is_routed_beside_the_document() {
    let pages = |path: &str| path == "/" || path == "/ui" || path.starts_with("/ui/");
    let (public, admin) = (public_router(state().await), admin_router(state().await));
    for (asides, served) in [(public::asides(), public), (admin::asides(), admin)] {
        for (method, path) in routed(&asides).await.into_iter().filter(|(_, path)| !pages(path)) {
            let asked = path.replace("/admin/{*rest}", "/admin/sessions").replace("{*", "{").replace(['{', '}'], "");
            let answer = ask(&served, &method, &asked, &[super::JSON], "").await;
            assert_eq!(answer.status(), 307, "{method} {path}");
        }
    }
}

#[test]
fn operations_have_names_of_their_own_and_every_reference_leads_somewhere() {
    let document = openapi();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no name"));
            assert!(names.insert(name), "two operations are called {name}");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name} says nothing");
            for parameter in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                let described = operation["parameters"].as_array().into_iter().flatten();
                assert!(
                    described.clone().any(|given| given["name"] == parameter && given["in"] == "path"),
                    "{name} does not describe {parameter}"
                );
            }
        }
    }
    let tables = public::operations().chain(admin::operations());
    assert_eq!(names.len(), tables.count(), "two operations share method and path");
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    let defined = document["components"]["schemas"].as_object().expect("schemas");
    for name in &used {
        assert!(defined.contains_key(name), "there is no schema {name}");
    }
    for name in defined.keys() {
        assert!(used.contains(name), "nothing refers to the schema {name}");
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let target = members.get("$ref").and_then(Value::as_str);
            found.extend(target.and_then(|target| target.strip_prefix("#/components/schemas/")).map(str::to_owned));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
