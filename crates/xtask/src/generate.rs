//! Writes the files that the server's own tables produce, or checks that the ones in git are what it would write.
//! Called as `cargo xtask generate [--check]`, by people after changing a table and by `.ci/run`.
//! It knows which words make the server print a file and where that file lies, not what is in it.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::failure::{Failure, Result, during};
use crate::step;

/// Arguments for the `keyward` binary, which prints the file, and the file's place below the root.
type Generated = (&'static [&'static str], &'static str);

/// One line for each file: `(&["generate", "messages"], "docs/reference/messages.md")`.
const GENERATED: &[Generated] = &[
    (&["generate", "messages"], "docs/reference/messages.md"),
    (&["generate", "config-keys"], "docs/reference/config-keys.md"),
    (&["generate", "config-schema"], "docs/reference/config.schema.json"),
    (&["generate", "openapi"], "docs/reference/openapi.json"),
];

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err(Failure::new("usage: cargo xtask generate [--check]")),
    };

    let mut stale = Vec::new();
    for (words, place) in GENERATED {
        let made = print_by_server(root, words)?;
        if !settle(&root.join(place), &made, check)? {
            stale.push(*place);
        }
    }
    if !stale.is_empty() {
        return Err(Failure::new(format!(
            "not what the code produces; run `cargo xtask generate` and commit: {}",
            stale.join(", ")
        )));
    }
    println!("{} generated files {}", GENERATED.len(), if check { "are as the code produces them" } else { "written" });
    Ok(())
}

fn print_by_server(root: &Path, words: &[&str]) -> Result<Vec<u8>> {
    let mut command = step::cargo();
    command.current_dir(root).args(["run", "--quiet", "--locked", "--package", "keyward", "--"]).args(words);
    let shown = step::words(&command);
    let output = command.stderr(Stdio::inherit()).output().map_err(during(format!("running `{shown}`")))?;
    if output.status.success() { Ok(output.stdout) } else { Err(Failure::new(format!("`{shown}` failed: {}", output.status))) }
}

/// Writes `made` to `file`, or only compares; answers whether the file now holds it.
fn settle(file: &Path, made: &[u8], check: bool) -> Result<bool> {
    let same = fs::read(file).is_ok_and(|found| found == made);
    if same || check {
        return Ok(same);
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(during(format!("making {}", folder.display())))?;
    }
    fs::write(file, made).map_err(during(format!("writing {}", file.display())))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_only_compares_and_writing_settles() {
        let folder = std::env::temp_dir().join(format!("keyward-generate-{}", std::process::id()));
        let file = folder.join("deep/table.md");
        assert!(!settle(&file, b"new", true).unwrap());
        assert!(!file.exists());
        assert!(settle(&file, b"new", false).unwrap());
        assert!(settle(&file, b"new", true).unwrap());
        assert!(!settle(&file, b"newer", true).unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        fs::remove_dir_all(folder).unwrap();
    }
}
