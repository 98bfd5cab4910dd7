//! Compares the acceptance cases of `docs/wire/cases.md` with what the tests say they cover.
//! Called as `cargo xtask cases [--check | --shrink]`; `.ci/run` checks, so that the list of uncovered cases only gets shorter.
//! It reads comments, not tests: whether a test really proves its case is for its reader to judge.

mod id;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::failure::{Failure, Result, during};
use id::CaseId;

const CASES: &str = "docs/wire/cases.md";
const UNCOVERED: &str = "docs/wire/uncovered.txt";
const UNCOVERED_HEAD: &str = "# Acceptance cases (docs/wire/cases.md) that no test covers yet. `cargo xtask cases --check` lets this list only get shorter.\n";

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let mode = match arguments {
        [] => "",
        [flag] if flag == "--check" || flag == "--shrink" => flag,
        _ => return Err(Failure::new("usage: cargo xtask cases [--check | --shrink]")),
    };

    let known = parse_cases(&read(root, CASES)?)?;
    let listed = parse_uncovered(&read(root, UNCOVERED)?)?;
    let markers = scan::markers(root)?;
    let verdict = judge(&known, &listed, &markers);

    match mode {
        "--check" => {
            if !verdict.faults.is_empty() {
                return Err(Failure::new(verdict.faults.join("\n")));
            }
            println!("{}", verdict.summary(&known));
        }
        "--shrink" => {
            let kept: Vec<String> = listed.intersection(&verdict.uncovered).map(CaseId::to_string).collect();
            let text = format!("{UNCOVERED_HEAD}{}\n", kept.join("\n"));
            fs::write(root.join(UNCOVERED), text).map_err(during(format!("writing {UNCOVERED}")))?;
            println!("{UNCOVERED}: {} cases, {} fewer", kept.len(), listed.len() - kept.len());
        }
        _ => {
            for (id, wording) in &known {
                match verdict.covered.get(id) {
                    Some(places) => println!("covered    {id:<7} {wording}\n           {}", places.join(", ")),
                    None => println!("uncovered  {id:<7} {wording}"),
                }
            }
            println!("\n{}", verdict.summary(&known));
            verdict.faults.iter().for_each(|fault| println!("{fault}"));
        }
    }
    Ok(())
}

fn read(root: &Path, file: &str) -> Result<String> {
    fs::read_to_string(root.join(file)).map_err(during(format!("reading {file}")))
}

/// Lines of the form `- S-12: wording`.
fn parse_cases(text: &str) -> Result<BTreeMap<CaseId, String>> {
    let mut cases = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let Some(entry) = line.strip_prefix("- ") else { continue };
        let parsed = entry.split_once(": ").and_then(|(id, wording)| Some((CaseId::parse(id)?, wording)));
        let Some((id, wording)) = parsed else {
            return Err(Failure::new(format!("{CASES}:{}: not of the form `- S-12: wording`", index + 1)));
        };
        if cases.insert(id, wording.to_owned()).is_some() {
            return Err(Failure::new(format!("{CASES}:{}: {id} stands there twice", index + 1)));
        }
    }
    Ok(cases)
}

/// One id a line; `#` starts a comment.
fn parse_uncovered(text: &str) -> Result<BTreeSet<CaseId>> {
    let mut listed = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(id) = CaseId::parse(line) else {
            return Err(Failure::new(format!("{UNCOVERED}:{}: `{line}` is no case id", index + 1)));
        };
        if !listed.insert(id) {
            return Err(Failure::new(format!("{UNCOVERED}:{}: {id} stands there twice", index + 1)));
        }
    }
    Ok(listed)
}

#[derive(Debug, Default)]
struct Verdict {
    /// With the places of the tests that say so.
    covered: BTreeMap<CaseId, Vec<String>>,
    uncovered: BTreeSet<CaseId>,
    faults: Vec<String>,
}

impl Verdict {
    fn summary(&self, known: &BTreeMap<CaseId, String>) -> String {
        format!("{} of {} acceptance cases covered, {} uncovered", self.covered.len(), known.len(), self.uncovered.len())
    }
}

fn judge(known: &BTreeMap<CaseId, String>, listed: &BTreeSet<CaseId>, markers: &[scan::Marker]) -> Verdict {
    let mut verdict = Verdict::default();
    for marker in markers {
        if !marker.in_test_file {
            verdict.faults.push(format!("{}: covers cases in a file without tests", marker.place));
        }
        for word in &marker.words {
            match CaseId::parse(word).filter(|id| known.contains_key(id)) {
                Some(id) => verdict.covered.entry(id).or_default().push(marker.place.clone()),
                None => verdict.faults.push(format!("{}: there is no case `{word}`", marker.place)),
            }
        }
    }
    verdict.uncovered = known.keys().filter(|id| !verdict.covered.contains_key(id)).copied().collect();

    let of = |ids: Vec<String>, what: &str| (!ids.is_empty()).then(|| format!("{what}: {}", ids.join(", ")));
    let names = |ids: &mut dyn Iterator<Item = &CaseId>| ids.map(CaseId::to_string).collect::<Vec<_>>();
    verdict.faults.extend(of(
        names(&mut verdict.uncovered.difference(listed)),
        &format!("no test covers these, and they do not stand in {UNCOVERED}"),
    ));
    verdict.faults.extend(of(
        names(&mut listed.iter().filter(|id| verdict.covered.contains_key(id))),
        &format!("covered, but still listed (run `cargo xtask cases --shrink`) in {UNCOVERED}"),
    ));
    verdict.faults.extend(of(
        names(&mut listed.iter().filter(|id| !known.contains_key(id))),
        &format!("listed in {UNCOVERED}, but no such case"),
    ));
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> BTreeMap<CaseId, String> {
        parse_cases("# Cases\n\nProse.\n- S-1: one\n- S-2: two: with a colon\n- L-1: three\n- AC-07: four\n").ok().unwrap()
    }

    fn listed(text: &str) -> BTreeSet<CaseId> {
        parse_uncovered(text).ok().unwrap()
    }

    fn marker(words: &[&str]) -> scan::Marker {
        scan::Marker {
            place: "a.rs:3".to_owned(),
            words: words.iter().map(|&word| word.to_owned()).collect(),
            in_test_file: true,
        }
    }

    #[test]
    fn cases_are_read_with_their_wording() {
        let known = known();
        assert_eq!(known.keys().map(CaseId::to_string).collect::<Vec<_>>(), ["S-1", "S-2", "L-1", "AC-07"]);
        assert_eq!(known[&CaseId::parse("S-2").unwrap()], "two: with a colon");
    }

    #[test]
    fn malformed_lists_are_refused() {
        assert!(parse_cases("- S-1 one\n").is_err());
        assert!(parse_cases("- S-1: one\n- S-01: again\n").is_err());
        assert!(parse_uncovered("S-1\nS-1\n").is_err());
        assert!(parse_uncovered("one\n").is_err());
    }

    #[test]
    fn a_list_that_says_the_truth_has_no_faults() {
        let verdict = judge(&known(), &listed("# rest\nS-2\nAC-7\n"), &[marker(&["S-1", "L-1"])]);
        assert_eq!(verdict.faults, Vec::<String>::new());
        assert_eq!(verdict.summary(&known()), "2 of 4 acceptance cases covered, 2 uncovered");
    }

    #[test]
    fn every_untruth_is_a_fault() {
        let cases: [(&str, &[&str], &str); 4] = [
            ("S-2\nL-1\n", &["S-1"], "no test covers these, and they do not stand in docs/wire/uncovered.txt: AC-07"),
            (
                "S-1\nS-2\nL-1\nAC-07\n",
                &["S-1"],
                "covered, but still listed (run `cargo xtask cases --shrink`) in docs/wire/uncovered.txt: S-1",
            ),
            ("S-2\nL-1\nAC-07\nS-999\n", &["S-1"], "listed in docs/wire/uncovered.txt, but no such case: S-999"),
            ("S-2\nL-1\nAC-07\n", &["S-1", "S-137"], "a.rs:3: there is no case `S-137`"),
        ];
        for (list, words, fault) in cases {
            assert_eq!(judge(&known(), &listed(list), &[marker(words)]).faults, [fault]);
        }
    }

    #[test]
    fn a_marker_outside_of_tests_is_a_fault() {
        let stray = scan::Marker { in_test_file: false, ..marker(&["S-1"]) };
        let verdict = judge(&known(), &listed("S-2\nL-1\nAC-7\n"), &[stray]);
        assert_eq!(verdict.faults, ["a.rs:3: covers cases in a file without tests"]);
    }
}
