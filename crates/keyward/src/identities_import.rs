//! `keyward identities import`: rows of files become batches for the admin API, a few under way at a time.
//! A file of any size is read as far as the server has answered; what was refused is named with its line as it happens.
//! Resumable in two ways: after a line (`--resume-after`), or by passing over what exists (`--skip-existing`).

use std::collections::VecDeque;
use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::Failure;
use crate::identities::write;
use crate::identities_arguments::Import;
use crate::identities_client::{Client, told};
use crate::identities_rows::{self, Row};

/// Bounds of a batch: what Kratos takes, too.
const MOST_ROWS: usize = 500;
const MOST_PASSWORDS: usize = 200;
const MOST_BYTES: usize = 700_000;
/// Rows that are read ahead.
const READ_AHEAD: usize = 500;

/// Runs the command.
pub(crate) async fn run(client: Client, arguments: Import) -> Result<(), Failure> {
    if arguments.resume_after > 0 && arguments.files.len() > 1 {
        return Err(Failure::say("--resume-after needs a single file, since every file counts its own lines"));
    }
    let progress = progress(&arguments);
    let mut tally = Tally { progress, skip_existing: arguments.skip_existing, ..Tally::default() };
    let (sender, mut rows) = mpsc::channel::<Row>(READ_AHEAD);
    let (files, resume_after) = (arguments.files, arguments.resume_after);
    let reading = tokio::task::spawn_blocking(move || {
        identities_rows::read(&files, |row| row.line <= resume_after || sender.blocking_send(row).is_ok())
    });
    let mut under_way: VecDeque<Sent> = VecDeque::new();
    let mut next = Chunk::default();
    let mut outcome = Ok(());
    loop {
        let row = rows.recv().await;
        let ended = row.is_none();
        if let Some(row) = row {
            let size = row.json.as_ref().map_or(0, |json| json.get().len());
            let has_password = row.json.as_ref().is_ok_and(|json| has_plain_password(json.get()));
            if next.is_full(size, has_password) {
                under_way.push_back(std::mem::take(&mut next).send(&client));
            }
            next.push(row, size, has_password);
        } else if !next.rows.is_empty() {
            under_way.push_back(std::mem::take(&mut next).send(&client));
        }
        while under_way.len() > if ended { 0 } else { usize::from(arguments.concurrency) } {
            let Some(sent) = under_way.pop_front() else { break };
            outcome = tally.take(sent).await;
            if outcome.is_err() {
                break;
            }
        }
        if ended || outcome.is_err() {
            break;
        }
    }
    // Without a receiver the reader stops at its next row. What is under way may still be written by the server.
    drop(rows);
    let read = reading.await.map_err(|error| Failure::new("cannot read the rows", &error))?;
    tally.progress.finish_and_clear();
    tally.report(arguments.remote.output.format);
    outcome.and(read).map_err(|failure| tally.resumable(&failure))?;
    if tally.refused > 0 {
        return Err(Failure::say(format!("{} rows were refused", tally.refused)));
    }
    Ok(())
}

/// Whether the server will have to hash a password for this row.
fn has_plain_password(json: &str) -> bool {
    #[derive(Deserialize)]
    struct Identity {
        #[serde(default)]
        credentials: Option<Credentials>,
    }
    #[derive(Deserialize)]
    struct Credentials {
        #[serde(default)]
        password: Option<Credential>,
    }
    #[derive(Deserialize)]
    struct Credential {
        #[serde(default)]
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        password: Option<IgnoredAny>,
    }
    let read: Option<Identity> = serde_json::from_str(json).ok();
    let config = read.and_then(|identity| identity.credentials?.password?.config);
    config.is_some_and(|config| config.password.is_some())
}

/// Rows on their way into one request.
#[derive(Default)]
struct Chunk {
    rows: Vec<Row>,
    bytes: usize,
    passwords: usize,
}

impl Chunk {
    fn is_full(&self, size: usize, has_password: bool) -> bool {
        !self.rows.is_empty()
            && (self.rows.len() >= MOST_ROWS
                || self.bytes + size > MOST_BYTES
                || (has_password && self.passwords >= MOST_PASSWORDS))
    }

    fn push(&mut self, row: Row, size: usize, has_password: bool) {
        self.rows.push(row);
        self.bytes += size;
        self.passwords += usize::from(has_password);
    }

    fn send(self, client: &Client) -> Sent {
        let mut body = String::with_capacity(self.bytes + 16 * self.rows.len() + 32);
        body.push_str("{\"identities\":[");
        for json in self.rows.iter().filter_map(|row| row.json.as_ref().ok()) {
            if !body.ends_with('[') {
                body.push(',');
            }
            body.push_str("{\"create\":");
            body.push_str(json.get());
            body.push('}');
        }
        body.push_str("]}");
        let client = client.clone();
        let answer = tokio::spawn(async move {
            let answer = client.send(Method::PATCH, "/admin/identities", Some(body)).await?.done()?;
            match answer {
                Value::Object(mut answer) => Ok(answer.remove("identities").unwrap_or_default()),
                _ => Err(Failure::say("the answer of the server is not that of an admin port")),
            }
        });
        // The JSON went into the body; what stays are the places of the rows.
        let rows =
            self.rows.into_iter().map(|row| Place { shown: row.place(), line: row.line, failed: row.json.err() }).collect();
        Sent { rows, bytes: self.bytes, answer }
    }
}

struct Place {
    shown: String,
    line: u64,
    failed: Option<String>,
}

struct Sent {
    rows: Vec<Place>,
    bytes: usize,
    answer: JoinHandle<Result<Value, Failure>>,
}

/// What has become of the rows so far.
struct Tally {
    imported: u64,
    skipped: u64,
    refused: u64,
    /// Every row up to this line is answered.
    last_line: u64,
    skip_existing: bool,
    progress: ProgressBar,
}

impl Default for Tally {
    fn default() -> Self {
        Self { imported: 0, skipped: 0, refused: 0, last_line: 0, skip_existing: false, progress: ProgressBar::hidden() }
    }
}

impl Tally {
    async fn take(&mut self, sent: Sent) -> Result<(), Failure> {
        let answer = sent.answer.await.map_err(|error| Failure::new("a request broke off", &error))?;
        let answer = answer.map_err(|failure| match (sent.rows.first(), sent.rows.last()) {
            (Some(first), Some(last)) => Failure::say(format!("{} to {}: {failure}", first.shown, last.shown)),
            _ => failure,
        })?;
        let results = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let expected = sent.rows.iter().filter(|row| row.failed.is_none()).count();
        if results.len() != expected {
            return Err(Failure::say("the server did not answer every row"));
        }
        let mut results = results.iter();
        for row in &sent.rows {
            if let Some(reason) = &row.failed {
                self.refuse(row, reason);
                continue;
            }
            let Some(result) = results.next() else { break };
            match (result["action"].as_str(), result["error"]["code"].as_u64()) {
                (Some("create"), _) => self.imported += 1,
                (_, Some(409)) if self.skip_existing => self.skipped += 1,
                (_, code) => {
                    let code = code.and_then(|code| u16::try_from(code).ok()).unwrap_or(0);
                    self.refuse(row, &told(code, &result["error"]));
                }
            }
        }
        self.last_line = sent.rows.last().map_or(self.last_line, |row| row.line);
        self.progress.inc(sent.bytes as u64);
        self.progress.set_message(format!("{} imported, {} refused", self.imported, self.refused));
        Ok(())
    }

    fn refuse(&mut self, row: &Place, reason: &str) {
        self.refused += 1;
        self.progress.suspend(|| eprintln!("{}: {reason}", row.shown));
    }

    fn report(&self, format: crate::identities_arguments::Format) {
        let Self { imported, skipped, refused, last_line, .. } = self;
        let summary = json!({ "imported": imported, "skipped": skipped, "refused": refused, "last_line": last_line });
        write(format, &summary, || {
            println!("{imported} identities were imported, {skipped} existed already, {refused} were refused.");
        });
    }

    /// Adds how to go on.
    fn resumable(&self, failure: &Failure) -> Failure {
        if self.last_line == 0 {
            return Failure::say(failure.to_string());
        }
        let line = self.last_line;
        Failure::say(format!(
            "{failure}\nEvery row up to line {line} was answered. Go on with `--resume-after {line} --skip-existing`: rows after it may have been written, too."
        ))
    }
}

fn progress(arguments: &Import) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let sizes = arguments.files.iter().map(|file| std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file));
    let total = sizes.map(|size| size.map(|size| size.len())).sum::<Option<u64>>().filter(|total| *total > 0);
    match total {
        Some(total) => {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% {msg}, {eta} to go") {
                bar.set_style(style);
            }
            bar
        }
        None => {
            let spinner = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                spinner.set_style(style);
            }
            spinner
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_passwords_are_noticed() {
        for (json, plain) in [
            (r#"{"credentials":{"password":{"config":{"password":"x"}}}}"#, true),
            (r#"{"credentials":{"password":{"config":{"hashed_password":"x"}}}}"#, false),
            (r#"{"traits":{"password":"x"}}"#, false),
            (r#"{"credentials":null}"#, false),
            ("7", false),
        ] {
            assert_eq!(has_plain_password(json), plain, "{json}");
        }
    }

    #[test]
    fn a_batch_stays_within_its_bounds() {
        let row = || Row { file: "".into(), line: 1, json: Err(String::new()) };
        let mut chunk = Chunk::default();
        assert!(!chunk.is_full(MOST_BYTES * 2, true), "a row that is too large alone is sent alone");
        for _ in 0..MOST_PASSWORDS {
            assert!(!chunk.is_full(10, true));
            chunk.push(row(), 10, true);
        }
        assert!(chunk.is_full(10, true) && !chunk.is_full(10, false) && chunk.is_full(MOST_BYTES, false));
        while chunk.rows.len() < MOST_ROWS {
            chunk.push(row(), 10, false);
        }
        assert!(chunk.is_full(0, false));
    }
}
