//! Documents of the repository that are written from the code, so that they cannot say something else than it does.
//! `cargo xtask generate` stores them and checks that they are clean.
//! Prints to standard output and touches no file.

use std::fmt::Write as _;

use crate::Failure;
use crate::cli::Generated;

/// Prints one of them.
#[expect(clippy::unnecessary_wraps, reason = "every command may fail")]
pub(crate) fn run(what: Generated) -> Result<(), Failure> {
    match what {
        Generated::Messages => print!("{}", messages()),
        Generated::ConfigKeys => print!("{}", config_keys()),
        Generated::Openapi => println!("{:#}", keyward_http::openapi()),
        Generated::ConfigSchema => println!("{:#}", keyward_config::json_schema()),
    }
    Ok(())
}

fn messages() -> String {
    let mut text = String::from(
        "# Messages\n\nWritten by `keyward generate messages`. Clients rely on the number and the names of the values, never on the sentence.\n\n| Id | Type | English | German |\n|---|---|---|---|\n",
    );
    for row in keyward_model::messages() {
        let kind = format!("{:?}", row.kind).to_lowercase();
        let _ = writeln!(text, "| {} | {kind} | {} | {} |", row.id, row.en, row.de);
    }
    text
}

fn config_keys() -> String {
    let mut text = String::from(
        "# Configuration keys\n\nWritten by `keyward generate config-keys`; [a JSON Schema](config.schema.json) says the same to editors.\n\n\
         `{a,b}` stands for several names, `[]` for the items of a list, `<>` for any name. `used`: it has its effect. `not yet`: accepted, and \
         named once at start. A key with a description is one that only Keyward has, or one with a value that only Keyward takes.\n\n\
         | Key | Value | Default | State | Description |\n|---|---|---|---|---|\n",
    );
    for row in keyward_config::key_reference() {
        let default = row.default.map(|default| format!("`{default}`")).unwrap_or_default();
        let _ = writeln!(
            text,
            "| `{}` | {} | {default} | {} | {} |",
            row.pattern,
            row.kind,
            row.state,
            row.description.unwrap_or_default()
        );
    }
    text
}
