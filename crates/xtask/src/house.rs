//! Keeps the direction of the floors: a crate may depend only on crates to its left (ARCHITECTURE.md).
//! Runs as a test, so that a dependency in the wrong direction never lands.
//! Knows names of crates, nothing of what is in them.

#![cfg(test)]

use std::process::Command;

use crate::json::Json;

/// Each crate with the crates of this workspace that it may use. A new crate needs a row, and with it a reason.
const MAY_USE: &[(&str, &[&str])] = &[
    ("keyward-model", &[]),
    ("keyward-config", &["keyward-model"]),
    ("keyward-store", &["keyward-model"]),
    ("keyward-jsonnet", &[]),
    ("keyward-services", &["keyward-model", "keyward-config", "keyward-store", "keyward-jsonnet"]),
    ("keyward-selfservice", &["keyward-model", "keyward-config", "keyward-store", "keyward-services"]),
    ("keyward-pages", &["keyward-model"]),
    (
        "keyward-http",
        &["keyward-model", "keyward-config", "keyward-store", "keyward-services", "keyward-selfservice", "keyward-pages"],
    ),
    ("keyward", &["keyward-model", "keyward-config", "keyward-store", "keyward-services", "keyward-http", "keyward-jsonnet"]),
    (
        "keyward-testkit",
        &[
            "keyward-model",
            "keyward-config",
            "keyward-store",
            "keyward-services",
            "keyward-selfservice",
            "keyward-http",
            "keyward-jsonnet",
            "keyward-testkit-macros",
        ],
    ),
    ("keyward-testkit-macros", &[]),
    ("keyward-bench", &[]),
    ("xtask", &[]),
];

#[test]
fn floors_use_only_floors_to_their_left() {
    let metadata = cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata = Json::parse(&metadata).expect("cargo metadata prints JSON");
    let packages = list(&metadata, "packages");
    let mut seen = 0;
    for package in packages {
        let name = package.text_at(&["name"]).expect("a name");
        let (_, allowed) =
            MAY_USE.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name} has no row in MAY_USE"));
        for dependency in list(package, "dependencies") {
            let used = dependency.text_at(&["name"]).expect("a name");
            let kind = dependency.text_at(&["kind"]);
            // Tests of a floor may use the testkit and their own neighbours.
            let ours = MAY_USE.iter().any(|(known, _)| *known == used);
            if ours && kind != Some("dev") {
                assert!(allowed.contains(&used), "{name} must not use {used}");
            }
        }
        seen += 1;
    }
    assert_eq!(seen, MAY_USE.len(), "every row is a crate");
}

fn list<'a>(value: &'a Json, name: &str) -> &'a [Json] {
    match value.at(&[name]) {
        Some(Json::List(items)) => items,
        _ => panic!("cargo metadata has no list {name}"),
    }
}

#[test]
fn one_provider_of_cryptography_and_no_openssl() {
    let tree = cargo(&["tree", "--workspace", "--offline", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]);
    assert!(tree.lines().any(|line| line.starts_with("aws-lc-rs ")), "the tree of crates was read");
    for banned in ["ring ", "openssl-sys ", "native-tls "] {
        assert!(!tree.lines().any(|line| line.starts_with(banned)), "{banned}is built");
    }
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
