//! Finds the comments in test sources that name the acceptance cases a test covers: `// cases: S-12, L-27, AC-36`.
//! The chore `cases` calls it for the whole checkout.
//! It does not know which ids exist.

use std::fs;
use std::path::Path;

use crate::failure::{Result, during};

/// One comment or attribute that names cases.
pub(crate) struct Marker {
    /// `crates/keyward/tests/it/totp.rs:41`
    pub(crate) place: String,
    /// What looks like ids there, known or not.
    pub(crate) words: Vec<String>,
    /// A marker proves nothing in a file that holds no test.
    pub(crate) in_test_file: bool,
}

/// Where tests live. This crate's own tests are full of made-up ids and are left out.
const FOLDERS: [&str; 3] = ["crates", "tests", "docs/walk"];
const LEFT_OUT: [&str; 3] = ["crates/xtask", "node_modules", "target"];

pub(crate) fn markers(root: &Path) -> Result<Vec<Marker>> {
    let mut markers = Vec::new();
    for folder in FOLDERS {
        if root.join(folder).is_dir() {
            walk(root, folder, &mut markers)?;
        }
    }
    Ok(markers)
}

fn walk(root: &Path, folder: &str, markers: &mut Vec<Marker>) -> Result<()> {
    let reading = || format!("reading {folder}");
    let mut entries = fs::read_dir(root.join(folder))
        .and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>())
        .map_err(during(reading()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let place = format!("{folder}/{name}");
        if LEFT_OUT.iter().any(|&left_out| left_out == name || left_out == place) {
            continue;
        }
        if entry.file_type().map_err(during(reading()))?.is_dir() {
            walk(root, &place, markers)?;
        } else if is_source(&name) {
            let text = fs::read_to_string(entry.path()).map_err(during(format!("reading {place}")))?;
            markers.extend(scan(&place, &text));
        }
    }
    Ok(())
}

fn is_source(name: &str) -> bool {
    [".rs", ".mjs", ".js", ".ts"].iter().any(|&end| name.ends_with(end))
}

fn scan(place: &str, text: &str) -> Vec<Marker> {
    let in_test_file = has_test(place, text);
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| Some(Marker { place: format!("{place}:{}", index + 1), words: words(line)?, in_test_file }))
        .collect()
}

/// An attribute that ends in `test` (`#[test]`, `#[tokio::test]`, `#[flow_test]`, with arguments or without), or a call of `test`.
fn has_test(place: &str, text: &str) -> bool {
    text.lines().map(str::trim_start).any(|line| {
        if place.ends_with(".rs") {
            let Some(attribute) = line.strip_prefix("#[") else { return false };
            let path = attribute.split(['(', ']']).next().unwrap_or_default();
            path.ends_with("test")
        } else {
            ["test(", "it(", "await test(", "await t.test("].iter().any(|&call| line.starts_with(call))
        }
    })
}

/// The ids after `cases:` in a comment or attribute; `None` when the line has no such list.
fn words(line: &str) -> Option<Vec<String>> {
    let (before, after) = line.split_once("cases:")?;
    let before = before.trim_start();
    let in_comment = before.contains("//") || before.starts_with("#[") || before.starts_with('*') || before.starts_with("/*");
    if !in_comment || !before.ends_with([' ', '/', '"', '*', '!']) {
        return None;
    }
    let words: Vec<String> = after
        .split([',', ' '])
        .filter(|word| !word.is_empty())
        .map_while(|word| looks_like_id(word).map(str::to_owned))
        .collect();
    (!words.is_empty()).then_some(words)
}

/// Capital letters, a hyphen and something: also ids that are wrong, so that they are found wrong.
fn looks_like_id(word: &str) -> Option<&str> {
    let word = word.trim_end_matches(['"', ']', ')', '.', ';', '*', '/']);
    let (letters, number) = word.split_once('-')?;
    let plausible = !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_uppercase());
    (plausible && number.bytes().any(|byte| byte.is_ascii_digit())).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_name_cases() {
        for (line, ids) in [
            ("// cases: S-12", &["S-12"][..]),
            ("    // cases: S-12, S-13, L-27, AC-36", &["S-12", "S-13", "L-27", "AC-36"]),
            ("/// Wrong code. cases: S-73", &["S-73"]),
            ("#[doc = \"cases: S-12, AC-01\"]", &["S-12", "AC-01"]),
            ("  ('x', 1), // cases: L-1.", &["L-1"]),
            (" * cases: L-1 and more prose", &["L-1"]),
            ("// cases: S-999, X-1", &["S-999", "X-1"]),
        ] {
            assert_eq!(words(line).as_deref(), Some(&ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>()[..]), "{line}");
        }
    }

    #[test]
    fn lines_that_do_not() {
        for line in
            ["let cases: Vec<u8>", "// two cases: one and two", "// usecases: S-1", "let text = \"cases: S-1\";", "// cases S-1"]
        {
            assert_eq!(words(line), None, "{line}");
        }
    }

    #[test]
    fn files_with_tests() {
        for (place, text) in [
            ("a.rs", "  #[test]\nfn a() {}"),
            ("a.rs", "#[tokio::test(flavor = \"multi_thread\")]"),
            ("a.rs", "#[flow_test]"),
            ("a.rs", "#[flow_test(api)]"),
            ("a.mjs", "test('signs in', async () => {})"),
        ] {
            assert!(has_test(place, text), "{text}");
        }
        for (place, text) in [("a.rs", "#[cfg(test)]\nmod tests;"), ("a.rs", "fn test() {}"), ("a.mjs", "const tested = 1")] {
            assert!(!has_test(place, text), "{text}");
        }
    }

    #[test]
    fn places_count_lines_from_one() {
        let found = scan("a.rs", "#[test]\n// cases: S-1\nfn a() {}\n");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "a.rs:2");
        assert!(found[0].in_test_file);
    }
}
