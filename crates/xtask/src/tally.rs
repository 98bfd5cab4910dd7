//! Counts tests from what the runners print: cargo's `test result:` lines and Node's TAP summary.
//! The chore `test` feeds it line by line.
//! It trusts no exit code and starts nothing; the caller adds what a runner's exit code says beyond the lines.

use std::fmt;

/// What ran. An ignored or skipped test counts as failed: a test that nobody runs proves nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// What failed, by name, for the list above the last line.
    pub(crate) failures: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
    }

    /// One failure that no runner counted.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        self.failed += 1;
        self.failures.push(what.into());
    }
}

/// The last line of a test run.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Reads `cargo test`.
#[derive(Default)]
pub(crate) struct CargoLines {
    tally: Tally,
    /// Test programs that said how many tests they run and have not said how it went.
    open: u64,
}

impl CargoLines {
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(count) =
            line.strip_prefix("running ").and_then(|rest| rest.strip_suffix(" tests").or(rest.strip_suffix(" test")))
        {
            self.open += u64::from(count.parse::<u64>().is_ok());
        } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.tally.failures.push(name.to_owned());
        } else if let Some(name) = line.strip_prefix("test ").and_then(ignored_name) {
            self.tally.failures.push(format!("{name} (ignored, so never run)"));
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.open = self.open.saturating_sub(1);
            self.tally.passed += count(result, "passed");
            self.tally.failed += count(result, "failed") + count(result, "ignored");
        }
    }

    /// The sum; a test program that ended without a result (crashed, was killed) is one failure.
    pub(crate) fn finish(mut self, succeeded: bool) -> Tally {
        for _ in 0..self.open {
            self.tally.fail("a test program ended without a result");
        }
        if !succeeded && self.tally.failed == 0 {
            self.tally.fail("cargo test failed before or between the tests");
        }
        self.tally
    }
}

/// `name ... ignored` and `name ... ignored, because`.
fn ignored_name(rest: &str) -> Option<&str> {
    let (name, verdict) = rest.split_once(" ... ")?;
    (verdict == "ignored" || verdict.starts_with("ignored,")).then_some(name)
}

/// The number before `word` in `ok. 5 passed; 0 failed; …`.
fn count(result: &str, word: &str) -> u64 {
    result
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

/// Reads `node --test` with the TAP reporter.
#[derive(Default)]
pub(crate) struct NodeLines {
    tally: Tally,
    summed: bool,
}

impl NodeLines {
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(name) = line.trim_start().strip_prefix("not ok ") {
            // Tests nest, and so do their lines; the sum at the end is what counts.
            let name = name.split_once(" - ").map_or(name, |(_, name)| name);
            self.tally.failures.push(name.to_owned());
            return;
        }
        let Some((word, number)) = line.strip_prefix("# ").and_then(|rest| rest.split_once(' ')) else { return };
        let Ok(number) = number.parse::<u64>() else { return };
        match word {
            "pass" => {
                self.summed = true;
                self.tally.passed += number;
            }
            "fail" | "cancelled" => self.tally.failed += number,
            "skipped" | "todo" if number > 0 => {
                self.tally.failed += number;
                self.tally.failures.push(format!("{number} walks are marked {word}"));
            }
            _ => {}
        }
    }

    pub(crate) fn finish(mut self, succeeded: bool) -> Tally {
        if !self.summed {
            self.tally.fail("node ended without a result");
        } else if !succeeded && self.tally.failed == 0 {
            self.tally.fail("node failed outside its tests");
        }
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cargo(text: &str, succeeded: bool) -> Tally {
        let mut lines = CargoLines::default();
        text.lines().for_each(|line| lines.read(line));
        lines.finish(succeeded)
    }

    fn node(text: &str, succeeded: bool) -> Tally {
        let mut lines = NodeLines::default();
        text.lines().for_each(|line| lines.read(line));
        lines.finish(succeeded)
    }

    fn tally(passed: u64, failed: u64, failures: &[&str]) -> Tally {
        Tally { passed, failed, failures: failures.iter().map(|&name| name.to_owned()).collect() }
    }

    #[test]
    fn cargo_results_add_up() {
        let text = "running 2 tests\ntest a ... ok\ntest b::c ... FAILED\n\
                    test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                    running 1 test\ntest d ... ok\n\
                    test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s\n";
        assert_eq!(cargo(text, false), tally(2, 1, &["b::c"]));
    }

    #[test]
    fn an_ignored_test_is_not_a_passed_one() {
        let text = "running 2 tests\ntest a ... ignored\ntest b ... ignored, needs a moon\n\
                    test result: ok. 0 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(cargo(text, true), tally(0, 2, &["a (ignored, so never run)", "b (ignored, so never run)"]));
    }

    #[test]
    fn a_crashed_program_is_a_failure() {
        let text = "running 1 test\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\nrunning 40 tests\ntest a ... ok\n";
        assert_eq!(cargo(text, false), tally(1, 1, &["a test program ended without a result"]));
    }

    #[test]
    fn code_that_does_not_build_is_a_failure() {
        assert_eq!(cargo("", false), tally(0, 1, &["cargo test failed before or between the tests"]));
        assert_eq!(cargo("", true), tally(0, 0, &[]));
    }

    #[test]
    fn lines_inside_a_tests_output_do_not_count() {
        assert_eq!(cargo("  test result: ok. 9 passed; 0 failed\nrunning late tests\n", true), tally(0, 0, &[]));
    }

    #[test]
    fn node_summary() {
        let text = "TAP version 13\n# Subtest: walk\n    not ok 1 - signs in\nnot ok 1 - walk\n# tests 3\n# suites 0\n# pass 1\n# fail 2\n# cancelled 0\n# skipped 0\n# todo 0\n# duration_ms 12.3\n";
        assert_eq!(node(text, false), tally(1, 2, &["signs in", "walk"]));
    }

    #[test]
    fn a_skipped_walk_is_not_a_passed_one() {
        assert_eq!(node("# pass 2\n# fail 0\n# skipped 1\n# todo 0\n", true), tally(2, 1, &["1 walks are marked skipped"]));
    }

    #[test]
    fn node_without_a_summary_is_a_failure() {
        assert_eq!(node("", true), tally(0, 1, &["node ended without a result"]));
        assert_eq!(node("# pass 2\n# fail 0\n", false), tally(2, 1, &["node failed outside its tests"]));
    }

    #[test]
    fn the_last_line() {
        assert_eq!(tally(12, 0, &[]).to_string(), "12 passed, 0 failed");
    }
}
