//! One run from build to report: databases, starts, people, interleaved rounds.
//! `main` calls it with the options.
//! It decides the order of things; how each is done stands in the other modules.

use std::fs::{self, DirBuilder};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::Options;
use crate::bare::Recorded;
use crate::connection::{Connection, get};
use crate::failure::{Failure, Result, during};
use crate::load::{Person, Plan, Round, Scenario};
use crate::machine::Machine;
use crate::people;
use crate::postgres::Database;
use crate::process;
use crate::report::{self, Figure, Goal, Report, Rounds, Run, Spread};
use crate::response::headers;
use crate::server::{self, Mode, Server, Setup};

const WARM_UP: Duration = Duration::from_millis(500);
/// How long a fresh server is left alone before its memory counts as idle.
const SETTLE: Duration = Duration::from_secs(2);

/// Makes a run and prints its report on standard output.
pub(crate) fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(during("starting the runtime"))?;
    runtime.block_on(async {
        let binary = binary(options.surroundings.server.as_deref()).await?;
        let folder = Folder::create(options.surroundings.folder.as_deref())?;
        let database = match options.surroundings.postgres() {
            Some(url) => Some(Database::create(url).await?),
            None => None,
        };
        let outcome = interruptible(measure(options, &binary, &folder.0, database.as_ref())).await;
        // The servers are gone by now, whatever the outcome.
        if let Some(database) = database {
            database.drop_it().await?;
        }
        let report = outcome?;
        if options.surroundings.json {
            println!("{}", serde_json::to_string_pretty(&report).map_err(during("writing the report"))?);
        } else {
            print!("{}", report.text());
        }
        Ok(())
    })
}

/// The work, or the news that it was interrupted.
pub(crate) async fn interruptible<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        outcome = work => outcome,
        stopped = told_to_stop() => Err(stopped),
    }
}

/// Resolves on Ctrl-C and SIGTERM, so that servers, folder and database go before this program does.
async fn told_to_stop() -> Failure {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
    Failure::new("interrupted")
}

fn note(text: &str) {
    eprintln!("· {text}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."))
}

/// The server's binary, built now unless one was named.
pub(crate) async fn binary(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(named) = named {
        return std::path::absolute(named).map_err(during("finding the server's binary"));
    }
    #[expect(clippy::disallowed_methods, reason = "a binary reads its environment; cargo tells its own place there")]
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    note("building the server");
    let status = Command::new(cargo)
        .current_dir(root())
        .args(["build", "--release", "--locked", "--package", "keyward"])
        .stdin(Stdio::null())
        .status()
        .await
        .map_err(during("starting cargo"))?;
    if !status.success() {
        return Err(Failure::new("the server could not be built"));
    }
    // This program lies in <target>/release or <target>/debug.
    let program = std::env::current_exe().map_err(during("finding this program"))?;
    let target = program.ancestors().nth(2).ok_or_else(|| Failure::new("this program lies in no target folder"))?;
    Ok(target.join("release/keyward"))
}

/// A folder of our own that disappears with its value.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn create(within: Option<&Path>) -> Result<Self> {
        let within = within.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let path = within.join(format!("keyward-bench-{}", std::process::id()));
        let path = std::path::absolute(path).map_err(during("making a folder"))?;
        DirBuilder::new().mode(0o700).create(&path).map_err(during(format!("making {}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One database with its server.
struct Target {
    name: &'static str,
    setup: Setup,
    postmaster: Option<u32>,
    goal: Goal,
}

/// A target that serves, with the people in its database.
struct Serving {
    server: Server,
    people: Vec<Person>,
    whoami: Vec<Round>,
    settings: Vec<Round>,
}

async fn measure(options: &Options, binary: &Path, folder: &Path, database: Option<&Database>) -> Result<Report> {
    let setup =
        |name: &str, dsn: String| Setup { binary: binary.to_owned(), folder: folder.to_owned(), name: name.to_owned(), dsn };
    let mut targets = vec![Target {
        name: "SQLite",
        setup: setup("sqlite", format!("sqlite://{}?_fk=true", folder.join("bench.sqlite").display())),
        postmaster: None,
        goal: Goal::AtLeast(40.0),
    }];
    match database {
        Some(database) => targets.push(Target {
            name: "PostgreSQL",
            setup: setup("postgres", database.dsn.clone()),
            postmaster: database.postmaster,
            goal: Goal::AtLeast(20.0),
        }),
        None => note("PostgreSQL is left out: give a server with --postgres or KEYWARD_TEST_POSTGRES"),
    }
    for target in &targets {
        target.setup.migrate().await?;
    }
    let mut fresh = starts(options, binary, folder, &targets).await?;

    let count = (options.identities as usize).max(usize::from(options.connections));
    let mut serving = Vec::new();
    for target in &targets {
        note(&format!("{}: {count} people register", target.name));
        let mut filling = target.setup.serve(Mode::Filling)?;
        filling.healthy().await?;
        let people = people::register(filling.public, count).await?;
        filling.stop().await?;
        let mut server = target.setup.serve(Mode::Measured)?;
        server.healthy().await?;
        serving.push(Serving { server, people, whoami: Vec::new(), settings: Vec::new() });
    }
    let first = serving.first().ok_or_else(|| Failure::new("there is nothing to measure"))?;
    let recorded = record(first.server.public, &first.people).await?;
    let answer_bytes = recorded.body.len();
    let answer = folder.join("answer.json");
    let text = serde_json::to_string(&recorded).map_err(during("writing the answer to give"))?;
    fs::write(&answer, text).map_err(during("writing the answer to give"))?;
    let mut bare = server::bare(folder, &answer)?;
    bare.healthy().await?;

    let threads = options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from) / 2).max(1);
    let plan = |server: &Server, people: &[Person], scenario, postmaster| Plan {
        address: server.public,
        scenario,
        people: people.to_vec(),
        connections: usize::from(options.connections),
        threads,
        warm_up: WARM_UP.as_millis() as u64,
        duration: u64::from(options.seconds) * 1_000,
        server: server.pid,
        postmaster,
    };
    let mut bare_rounds = Vec::new();
    for number in 1..=options.rounds {
        note(&format!("round {number} of {}", options.rounds));
        bare_rounds.push(drive(&plan(&bare, &serving[0].people, Scenario::Whoami, None)).await?);
        for (target, serving) in targets.iter().zip(&mut serving) {
            let plan = plan(&serving.server, &serving.people, Scenario::Whoami, target.postmaster);
            serving.whoami.push(drive(&plan).await?);
        }
        for (target, serving) in targets.iter().zip(&mut serving) {
            let plan = plan(&serving.server, &serving.people, Scenario::Settings, target.postmaster);
            serving.settings.push(drive(&plan).await?);
        }
    }

    let mut figures = report::figures(&Rounds {
        what: "whoami",
        subject: "bare handler",
        rounds: &bare_rounds,
        bare: None,
        requests: 1.0,
        threads,
        goal: None,
    });
    for (target, serving) in targets.iter().zip(&serving) {
        let rounds = Rounds {
            what: "whoami",
            subject: target.name,
            rounds: &serving.whoami,
            bare: Some(&bare_rounds),
            requests: 1.0,
            threads,
            goal: Some(target.goal),
        };
        figures.extend(report::figures(&rounds));
    }
    for (target, serving) in targets.iter().zip(&serving) {
        let rounds = Rounds {
            what: "settings",
            subject: target.name,
            rounds: &serving.settings,
            bare: Some(&bare_rounds),
            requests: 2.0,
            threads,
            goal: None,
        };
        figures.extend(report::figures(&rounds));
    }
    figures.append(&mut fresh);
    let bare_memory = process::memory(bare.pid)?;
    figures.push(single("memory", "bare handler", "MB peak", megabytes(bare_memory.peak)));
    for (target, serving) in targets.iter().zip(&serving) {
        let memory = process::memory(serving.server.pid)?;
        figures.push(single("memory", target.name, "MB after the load", megabytes(memory.resident)));
        figures.push(single("memory", target.name, "MB peak", megabytes(memory.peak)));
    }

    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let all = bare_rounds.iter().chain(serving.iter().flat_map(|serving| serving.whoami.iter().chain(&serving.settings)));
    let taken_by_others = Spread::of(all.map(|round| round.others as f64 / round.elapsed as f64 / cores as f64 * 100.0));
    bare.stop().await?;
    for serving in serving {
        serving.server.stop().await?;
    }
    Ok(Report {
        machine: Machine::describe(root(), folder),
        run: Run {
            connections: usize::from(options.connections),
            rounds: usize::from(options.rounds),
            seconds: u64::from(options.seconds),
            identities: count,
            generator_threads: threads,
            answer_bytes,
            postgres: database.map(|database| database.about.clone()),
            taken_by_others,
        },
        figures,
    })
}

/// Times starts on prepared, empty databases, and looks at the memory of servers that nobody has asked anything.
async fn starts(options: &Options, binary: &Path, folder: &Path, targets: &[Target]) -> Result<Vec<Figure>> {
    note(&format!("{} starts", options.starts));
    let mut times = vec![Vec::new(); targets.len()];
    let mut idle = vec![Vec::new(); targets.len()];
    let mut quickstarts = Vec::new();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
    for number in 0..options.starts {
        for (index, target) in targets.iter().enumerate() {
            let mut server = target.setup.serve(Mode::Measured)?;
            times[index].push(milliseconds(server.healthy().await?));
            server.stop().await?;
        }
        let mut server = server::quickstart(binary, folder, &format!("quickstart-{number}"))?;
        quickstarts.push(milliseconds(server.healthy().await?));
        server.stop().await?;
        for (index, target) in targets.iter().enumerate() {
            let mut server = target.setup.serve(Mode::Measured)?;
            tokio::time::sleep(SETTLE).await;
            idle[index].push(megabytes(process::memory(server.pid)?.resident));
            // Had it not come up, its memory would say nothing.
            server.healthy().await?;
            server.stop().await?;
        }
    }
    let mut figures = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        let goal = (target.name == "SQLite").then_some(Goal::AtMost(300.0));
        let start = Figure { goal, ..many("start", target.name, "ms to healthy, empty migrated database", &times[index]) };
        figures.push(start);
    }
    figures.push(many("start", "SQLite", "ms to healthy, first quickstart", &quickstarts));
    for (index, target) in targets.iter().enumerate() {
        let goal = Some(Goal::AtMost(30.0));
        figures.push(Figure { goal, ..many("memory", target.name, "MB idle, 2 s after start", &idle[index]) });
    }
    Ok(figures)
}

fn many(what: &'static str, subject: &str, figure: &'static str, values: &[f64]) -> Figure {
    Figure { what, subject: subject.to_owned(), figure, spread: Spread::of(values.iter().copied()), goal: None }
}

fn single(what: &'static str, subject: &str, figure: &'static str, value: f64) -> Figure {
    many(what, subject, figure, &[value])
}

/// 10⁶ bytes, from KiB.
fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1_024.0 / 1_000_000.0
}

/// Asks the server once, for the bytes that the bare handler is to return.
async fn record(address: SocketAddr, people: &[Person]) -> Result<Recorded> {
    let person = people.first().ok_or_else(|| Failure::new("nobody has registered"))?;
    let mut connection = Connection::open(address).await.map_err(during("connecting to the server"))?;
    let answer = connection.succeed(&get(address, "/sessions/whoami", Some(&person.token))).await?;
    let body = String::from_utf8(answer.body.to_vec()).map_err(during("reading the answer of whoami"))?;
    if !body.contains(&person.email) {
        return Err(Failure::new("whoami does not tell whose session it is"));
    }
    Ok(Recorded { status: answer.status, headers: headers(answer.head), body })
}

/// Runs the load generator for one round, as a process of its own.
async fn drive(plan: &Plan) -> Result<Round> {
    let program = std::env::current_exe().map_err(during("finding this program"))?;
    let mut child = Command::new(program)
        .arg("load")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(during("starting the load generator"))?;
    let text = serde_json::to_string(plan).map_err(during("writing the plan"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).await.map_err(during("handing over the plan"))?;
    }
    let bound = Duration::from_millis(plan.warm_up + plan.duration) + Duration::from_secs(60);
    let output = tokio::time::timeout(bound, child.wait_with_output())
        .await
        .map_err(during("waiting for the load generator"))?
        .map_err(during("waiting for the load generator"))?;
    if !output.status.success() {
        return Err(Failure::new("the load generator failed; its reason stands above"));
    }
    serde_json::from_slice(&output.stdout).map_err(during("reading the round"))
}
