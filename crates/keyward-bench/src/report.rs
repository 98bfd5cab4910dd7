//! Turns rounds into figures with minimum, median and maximum, and prints them as a table or as JSON.
//! The runner hands over what it measured.
//! It judges nothing: a goal stands beside its figure, and a missed one fails no run.

use std::fmt::Write as _;

use serde::Serialize;

use crate::load::Round;
use crate::machine::Machine;

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) run: Run,
    pub(crate) figures: Vec<Figure>,
}

/// How the run was made.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) connections: usize,
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) identities: usize,
    pub(crate) generator_threads: usize,
    /// Bytes of the body of the answer that the bare handler returns.
    pub(crate) answer_bytes: usize,
    /// The PostgreSQL server; absent when that half was left out.
    pub(crate) postgres: Option<String>,
    /// Share of the machine's cores that other programs used during the rounds, in percent.
    pub(crate) taken_by_others: Spread,
}

/// Above this median share of the machine, figures per second say little. Percent.
const BUSY: f64 = 5.0;

/// The smallest, the middle and the largest of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one value; the median of an even number is the mean of the middle two.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let count = values.len();
        let median =
            if count.is_multiple_of(2) { (at(count / 2) + at((count / 2).saturating_sub(1))) / 2.0 } else { at(count / 2) };
        Self { min: at(0), median, max: at(count.saturating_sub(1)) }
    }
}

/// One line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    /// What was done: `whoami`, `settings`, `memory`, `start`.
    pub(crate) what: &'static str,
    /// What did it: `bare handler`, `SQLite`, `PostgreSQL`.
    pub(crate) subject: String,
    pub(crate) figure: &'static str,
    #[serde(flatten)]
    pub(crate) spread: Spread,
    /// What the project aims at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<Goal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn told(self, median: f64) -> String {
        let (sign, bound, reached) = match self {
            Self::AtLeast(bound) => ("≥", bound, median >= bound),
            Self::AtMost(bound) => ("≤", bound, median <= bound),
        };
        format!("goal {sign} {bound}: {}", if reached { "reached" } else { "missed" })
    }
}

/// The rounds of one server in one scenario, beside those of the bare handler with the same numbers.
pub(crate) struct Rounds<'a> {
    pub(crate) what: &'static str,
    pub(crate) subject: &'a str,
    pub(crate) rounds: &'a [Round],
    /// Absent for the bare handler itself.
    pub(crate) bare: Option<&'a [Round]>,
    /// Requests of one operation.
    pub(crate) requests: f64,
    pub(crate) threads: usize,
    /// For the share of the bare handler's requests per second.
    pub(crate) goal: Option<Goal>,
}

/// The lines of one scenario.
pub(crate) fn figures(of: &Rounds<'_>) -> Vec<Figure> {
    let figure = |figure, values: Vec<f64>| Figure {
        what: of.what,
        subject: of.subject.to_owned(),
        figure,
        spread: Spread::of(values),
        goal: None,
    };
    let each = |measure: &dyn Fn(&Round) -> f64| of.rounds.iter().map(measure).collect::<Vec<_>>();
    let milliseconds = |micros: u64| micros as f64 / 1_000.0;

    let mut lines = vec![figure("requests/s", each(&|round| per_second(round) * of.requests))];
    if let Some(bare) = of.bare {
        let pairs = || of.rounds.iter().zip(bare);
        let share = pairs().map(|(round, bare)| per_second(round) * of.requests / per_second(bare) * 100.0).collect();
        lines.push(Figure { goal: of.goal, ..figure("% of the bare handler's requests/s", share) });
        lines.push(figure("server CPU µs/request", each(&|round| server_cost(round) / of.requests)));
        let times = pairs().map(|(round, bare)| server_cost(round) / of.requests / server_cost(bare)).collect();
        lines.push(figure("× the bare handler's CPU/request", times));
    } else {
        lines.push(figure("server CPU µs/request", each(&server_cost)));
    }
    let postgres: Vec<f64> =
        of.rounds.iter().filter_map(|round| Some(round.postgres? as f64 / round.operations as f64 / of.requests)).collect();
    if !postgres.is_empty() {
        lines.push(figure("PostgreSQL CPU µs/request", postgres));
    }
    lines.push(figure("p50 ms", each(&|round| milliseconds(round.p50))));
    lines.push(figure("p90 ms", each(&|round| milliseconds(round.p90))));
    lines.push(figure("p99 ms", each(&|round| milliseconds(round.p99))));
    lines.push(figure("longest ms", each(&|round| milliseconds(round.longest))));
    let load = each(&|round| round.generator as f64 / round.elapsed as f64 / of.threads as f64 * 100.0);
    lines.push(figure("load generator busy %", load));
    lines
}

/// Operations per second.
fn per_second(round: &Round) -> f64 {
    round.operations as f64 / (round.elapsed as f64 / 1_000_000.0)
}

/// Microseconds of the server's processor time per operation.
fn server_cost(round: &Round) -> f64 {
    round.server as f64 / round.operations as f64
}

impl Report {
    /// The report for a terminal.
    pub(crate) fn text(&self) -> String {
        let (machine, run) = (&self.machine, &self.run);
        let mut text = String::new();
        let mut line = |words: String| {
            text.push_str(&words);
            text.push('\n');
        };
        line(format!("machine    {} cores, {}", machine.cores, machine.processor));
        line(format!("system     Linux {}, {}, files on {}", machine.kernel, machine.rustc, machine.file_system));
        line(format!("commit     {}", machine.commit));
        let about = run.postgres.as_deref().unwrap_or("LEFT OUT: no server was given (--postgres or KEYWARD_TEST_POSTGRES)");
        line(format!("postgres   {about}"));
        line(format!(
            "run        {} rounds of {} s, {} connections, {} identities, {} generator thread(s), answer of {} bytes",
            run.rounds, run.seconds, run.connections, run.identities, run.generator_threads, run.answer_bytes
        ));
        let others = run.taken_by_others;
        let noise = if others.median > BUSY { ": A BUSY MACHINE, figures per second are too low" } else { "" };
        line(format!("others     used {:.0} / {:.0} / {:.0} % of all cores{noise}", others.min, others.median, others.max));
        line(String::new());

        let widths = self.figures.iter().fold((0, 0), |(subject, figure), row| {
            (subject.max(row.subject.chars().count()), figure.max(row.figure.chars().count()))
        });
        let head = format!("{:8} {:<w0$} {:<w1$}", "", "", "", w0 = widths.0, w1 = widths.1);
        line(format!("{head} {:>10} {:>10} {:>10}", "min", "median", "max"));
        let mut group = ("", "");
        for row in &self.figures {
            if (row.what, row.subject.as_str()) != group && !group.0.is_empty() && row.what != "memory" && row.what != "start" {
                line(String::new());
            }
            group = (row.what, &row.subject);
            let goal = row.goal.map(|goal| format!("  {}", goal.told(row.spread.median))).unwrap_or_default();
            line(format!(
                "{:8} {:<w0$} {:<w1$} {:>10} {:>10} {:>10}{goal}",
                row.what,
                row.subject,
                row.figure,
                short(row.spread.min),
                short(row.spread.median),
                short(row.spread.max),
                w0 = widths.0,
                w1 = widths.1
            ));
        }
        text
    }
}

/// As many digits as a measurement bears.
fn short(value: f64) -> String {
    let mut text = String::new();
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let _ = write!(text, "{value:.digits$}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(operations: u64, server: u64) -> Round {
        Round {
            operations,
            elapsed: 2_000_000,
            server,
            postgres: Some(operations * 30),
            generator: 1_000_000,
            others: 0,
            p50: 500,
            p90: 900,
            p99: 2_000,
            longest: 9_000,
        }
    }

    fn medians(of: &Rounds<'_>) -> Vec<(&'static str, f64)> {
        figures(of).iter().map(|line| (line.figure, line.spread.median)).collect()
    }

    #[test]
    fn spreads() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Spread { min: 1.0, median: 2.0, max: 3.0 });
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), Spread { min: 1.0, median: 2.5, max: 4.0 });
        assert_eq!(spread(&[7.0]), Spread { min: 7.0, median: 7.0, max: 7.0 });
        assert!(spread(&[]).median.is_nan());
    }

    #[test]
    fn ratios_are_taken_within_a_round_and_per_request() {
        // The machine slows down threefold in the second round; the ratio must not notice.
        let bare = [round(90_000, 900_000), round(30_000, 300_000)];
        let mine = [round(22_500, 1_800_000), round(7_500, 600_000)];
        let of = |requests| Rounds {
            what: "whoami",
            subject: "SQLite",
            rounds: &mine,
            bare: Some(&bare),
            requests,
            threads: 1,
            goal: Some(Goal::AtLeast(40.0)),
        };
        let lines = figures(&of(1.0));
        let share = &lines[1];
        assert_eq!(share.spread, Spread { min: 25.0, median: 25.0, max: 25.0 });
        assert_eq!(share.goal, Some(Goal::AtLeast(40.0)));
        let one = medians(&of(1.0));
        assert!(one.contains(&("server CPU µs/request", 80.0)), "{one:?}");
        assert!(one.contains(&("× the bare handler's CPU/request", 8.0)), "{one:?}");
        assert!(one.contains(&("PostgreSQL CPU µs/request", 30.0)), "{one:?}");
        assert!(one.contains(&("load generator busy %", 50.0)), "{one:?}");
        let two = medians(&of(2.0));
        assert!(two.contains(&("requests/s", 15_000.0)), "{two:?}");
        assert!(two.contains(&("% of the bare handler's requests/s", 50.0)), "{two:?}");
        assert!(two.contains(&("× the bare handler's CPU/request", 4.0)), "{two:?}");
    }

    #[test]
    fn goals() {
        for (goal, median, expected) in [
            (Goal::AtLeast(40.0), 40.0, "goal ≥ 40: reached"),
            (Goal::AtLeast(40.0), 39.9, "goal ≥ 40: missed"),
            (Goal::AtMost(30.0), 30.1, "goal ≤ 30: missed"),
            (Goal::AtMost(30.0), 12.0, "goal ≤ 30: reached"),
        ] {
            assert_eq!(goal.told(median), expected);
        }
    }

    #[test]
    fn digits() {
        assert_eq!([12_345.6, 12.34, 1.234, 0.0].map(short), ["12346", "12.3", "1.23", "0.00"]);
    }
}
