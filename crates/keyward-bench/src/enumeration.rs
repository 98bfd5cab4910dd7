//! Whether the time of an answer tells if an account exists: wrong passwords, recoveries and verifications for people who are there and
//! for people who are not, in turns, and how well a guesser could tell both apart.
//! Called as `cargo xtask bench enumeration`; that the answers are the same to the byte is what the tests assert.
//! It judges nothing: the goal stands beside the figure.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use crate::Surroundings;
use crate::connection::{Connection, get};
use crate::failure::{Failure, Result, during};
use crate::load::flow_id;
use crate::people;
use crate::postgres::Database;
use crate::run::{Folder, binary, interruptible};
use crate::server::{Mode, Setup};

/// A guesser who is right more often than this has learned something. A coin has 0.5.
const GOAL: f64 = 0.55;
/// Pairs that are sent before anything is measured.
const WARM_UP: usize = 50;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Samples of each class.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub(crate) samples: u32,
    /// Hash as cheaply as a server in development mode may. What differs beside the hash then shows most; no server in production is
    /// as quick as that.
    #[arg(long)]
    pub(crate) cheap_hash: bool,
    #[command(flatten)]
    pub(crate) surroundings: Surroundings,
}

/// What a guesser asks, with an address of which they want to know whether it has an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Question {
    /// To be signed in, with a wrong password.
    Login,
    /// For a recovery code.
    Recovery,
    /// For a verification code.
    Verification,
}

impl Question {
    const ALL: [Self; 3] = [Self::Login, Self::Recovery, Self::Verification];

    const fn flow(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Recovery => "recovery",
            Self::Verification => "verification",
        }
    }

    fn body(self, address: &str) -> serde_json::Value {
        match self {
            Self::Login => {
                serde_json::json!({ "method": "password", "identifier": address, "password": "Wrong-Otter-0000000" })
            }
            Self::Recovery | Self::Verification => serde_json::json!({ "method": "code", "email": address }),
        }
    }

    /// The status of the answer that says nothing.
    const fn status(self) -> u16 {
        match self {
            Self::Login => 400,
            Self::Recovery | Self::Verification => 200,
        }
    }
}

/// What was found on one database.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    pub(crate) database: &'static str,
    pub(crate) question: Question,
    pub(crate) samples: usize,
    /// Whether passwords were hashed as cheaply as in development mode.
    pub(crate) cheap_hash: bool,
    /// The share of pairs that a guesser who knows the better rule tells apart: 0.5 tells nothing, 1 tells all.
    pub(crate) auc: f64,
    pub(crate) goal: f64,
    pub(crate) known_median_us: f64,
    pub(crate) unknown_median_us: f64,
}

/// Measures on every database that there is, and prints a line for each.
pub(crate) fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(during("starting the runtime"))?;
    runtime.block_on(async {
        let binary = binary(options.surroundings.server.as_deref()).await?;
        let folder = Folder::create(options.surroundings.folder.as_deref())?;
        let setup =
            |name: &str, dsn: String| Setup { binary: binary.clone(), folder: folder.0.clone(), name: name.to_owned(), dsn };
        let sqlite = format!("sqlite://{}?_fk=true", folder.0.join("enumeration.sqlite").display());
        let mut all = interruptible(measure("SQLite", &setup("sqlite", sqlite), options)).await?;
        if let Some(url) = options.surroundings.postgres() {
            let database = Database::create(url).await?;
            let setup = setup("postgres", database.dsn.clone());
            let found = interruptible(measure("PostgreSQL", &setup, options)).await;
            database.drop_it().await?;
            all.extend(found?);
        }
        if options.surroundings.json {
            println!("{}", serde_json::to_string_pretty(&all).map_err(during("writing the figures"))?);
        } else {
            for found in all {
                println!("{}", found.text());
            }
        }
        Ok(())
    })
}

impl Found {
    fn text(&self) -> String {
        let Self { database, question, samples, cheap_hash, auc, goal, known_median_us, unknown_median_us } = self;
        let asked = question.flow();
        let hash = if *cheap_hash { "the cheapest hash" } else { "the hash of a production server" };
        format!(
            "{database}, {asked}, {hash}: AUC {auc:.3} (goal: at most {goal}) over {samples} samples of each class; \
             median {known_median_us:.0} µs where the account exists, {unknown_median_us:.0} µs where it does not"
        )
    }
}

async fn measure(database: &'static str, setup: &Setup, options: &Options) -> Result<Vec<Found>> {
    let (samples, cheap_hash) = (options.samples as usize, options.cheap_hash);
    setup.migrate().await?;
    // The same server registers people and refuses them: a hash of another cost would tell by itself.
    let mut server = setup.serve(if cheap_hash { Mode::Filling } else { Mode::Measured })?;
    server.healthy().await?;
    let address = server.public;
    people::register(address, samples + WARM_UP).await?;
    let mut connection = Connection::open(address).await.map_err(during("connecting to the server"))?;
    let mut all = Vec::new();
    for question in Question::ALL {
        let (mut known, mut unknown) = (Vec::with_capacity(samples), Vec::with_capacity(samples));
        for number in 0..samples + WARM_UP {
            // Everybody is named once for each question, so no attempt waits for another; names and networks are of one length.
            let mut pair = [Duration::ZERO; 2];
            let order = if number % 2 == 0 { [0, 1] } else { [1, 0] };
            for class in order {
                pair[class] = attempt(&mut connection, address, question, ["person", "nobody"][class], number).await?;
            }
            if number >= WARM_UP {
                known.push(micros(pair[0]));
                unknown.push(micros(pair[1]));
            }
        }
        all.push(Found {
            database,
            question,
            samples,
            cheap_hash,
            auc: auc(&known, &unknown),
            goal: GOAL,
            known_median_us: median(&mut known),
            unknown_median_us: median(&mut unknown),
        });
    }
    server.stop().await?;
    Ok(all)
}

/// How long an answer takes.
async fn attempt(
    connection: &mut Connection,
    address: SocketAddr,
    question: Question,
    name: &str,
    number: usize,
) -> Result<Duration> {
    let kind = question.flow();
    let answer = connection.succeed(&get(address, &format!("/self-service/{kind}/api"), None)).await?;
    let flow = flow_id(answer.body)?;
    let body = question.body(&format!("{name}-{number:07}@example.org")).to_string();
    // Each from a network of its own: wrong attempts of one network, or of the wide one around it, would be slowed down.
    let network = format!("198.{}.{}.{}", 50 + question as usize, 100 + number / 100 % 100, 100 + number % 100);
    let request = format!(
        "POST /self-service/{kind}?flow={flow} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\n\
         user-agent: keyward-bench\r\nx-forwarded-for: {network}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let start = Instant::now();
    let status = connection.exchange(request.as_bytes()).await?.status;
    let taken = start.elapsed();
    if status == question.status() {
        Ok(taken)
    } else {
        Err(Failure::new(format!("{kind} of {name} {number} was answered with status {status}")))
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// The area under the curve of the better of both rules, "slower means known" and "slower means unknown" (Mann-Whitney).
fn auc(known: &[f64], unknown: &[f64]) -> f64 {
    let mut slower = 0.0;
    for known in known {
        for unknown in unknown {
            slower += match known.total_cmp(unknown) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    let share = slower / (known.len() * unknown.len()) as f64;
    share.max(1.0 - share)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_that_of_the_better_rule() {
        let same = [1.0, 2.0, 3.0, 4.0];
        assert!((auc(&same, &same) - 0.5).abs() < 1e-9);
        assert!((auc(&[5.0, 6.0], &[1.0, 2.0]) - 1.0).abs() < 1e-9);
        assert!((auc(&[1.0, 2.0], &[5.0, 6.0]) - 1.0).abs() < 1e-9, "faster tells as much as slower");
        assert!((auc(&[1.0, 3.0], &[2.0, 4.0]) - 0.75).abs() < 1e-9);
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    }
}
