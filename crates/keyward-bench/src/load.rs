//! The load generator: a process of its own that drives one server for one round and reports what it saw.
//! The runner starts it with a plan on standard input and reads one JSON object from its standard output.
//! It asserts no times; an answer outside 2xx ends the run.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::connection::{Connection, get, post};
use crate::failure::{Failure, Result, during};
use crate::histogram::Histogram;
use crate::process::{self, Ticks};

/// What to do in one round.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The server's public port.
    pub(crate) address: SocketAddr,
    pub(crate) scenario: Scenario,
    /// Signed-in people; connections share them out among themselves, and none is used by two.
    pub(crate) people: Vec<Person>,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    /// Milliseconds before counting starts.
    pub(crate) warm_up: u64,
    /// Milliseconds of counting.
    pub(crate) duration: u64,
    /// The server under test.
    pub(crate) server: u32,
    /// The process whose children are the PostgreSQL processes, if it runs on this machine.
    pub(crate) postmaster: Option<u32>,
}

/// What one operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scenario {
    /// `GET /sessions/whoami` with the token of the next person.
    Whoami,
    /// `GET /self-service/settings/api`, then a change of the name through the flow that it made: two requests.
    Settings,
}

/// Somebody with a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) token: String,
}

/// What one round showed. Times in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    pub(crate) operations: u64,
    pub(crate) elapsed: u64,
    /// Processor time of the server.
    pub(crate) server: u64,
    /// Processor time of all PostgreSQL processes, where they can be seen.
    pub(crate) postgres: Option<u64>,
    /// Processor time of the generator itself.
    pub(crate) generator: u64,
    /// Processor time that anything else on the machine took.
    pub(crate) others: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) longest: u64,
}

/// Reads a plan, carries it out and prints the round.
pub(crate) fn run() -> Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(during("reading the plan"))?;
    let plan: Plan = serde_json::from_str(&text).map_err(during("reading the plan"))?;
    let round = drive(&plan)?;
    println!("{}", serde_json::to_string(&round).map_err(during("writing the round"))?);
    Ok(())
}

/// Drives the server from as many threads as the plan says, each with connections and a runtime of its own, so that
/// the generator spends its time on requests and not on moving tasks between cores.
fn drive(plan: &Plan) -> Result<Round> {
    let threads = plan.threads.clamp(1, plan.connections.max(1));
    let mut shares: Vec<Vec<Worker>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, worker) in workers(plan)?.into_iter().enumerate() {
        shares[index % threads].push(worker);
    }
    let ready = Barrier::new(threads + 1);
    let go = Barrier::new(threads + 1);

    std::thread::scope(|scope| {
        let (ready, go) = (&ready, &go);
        let handles: Vec<_> = shares.into_iter().map(|share| scope.spawn(move || thread(plan, share, ready, go))).collect();
        ready.wait();
        let before = Sample::take(plan);
        let start = Instant::now();
        go.wait();
        let outcomes: Vec<Result<Histogram>> = handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|_| Err(Failure::new("a thread of the load generator panicked"))))
            .collect();
        let elapsed = start.elapsed();
        let after = Sample::take(plan);

        let mut latencies = Histogram::new();
        for outcome in outcomes {
            latencies.merge(&outcome?);
        }
        round(&before?, &after?, elapsed, &latencies)
    })
}

/// Meets both barriers whatever happens, because the others wait there.
fn thread(plan: &Plan, mut workers: Vec<Worker>, ready: &Barrier, go: &Barrier) -> Result<Histogram> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(during("starting a runtime"));
    let warm = runtime.and_then(|runtime| {
        let outcome = run_all(&runtime, plan, &mut workers, Duration::from_millis(plan.warm_up));
        outcome.map(|_| runtime)
    });
    ready.wait();
    go.wait();
    run_all(&warm?, plan, &mut workers, Duration::from_millis(plan.duration))
}

fn run_all(runtime: &Runtime, plan: &Plan, workers: &mut Vec<Worker>, duration: Duration) -> Result<Histogram> {
    runtime.block_on(async {
        let (scenario, address) = (plan.scenario, plan.address);
        let tasks: Vec<_> = workers
            .drain(..)
            .map(|mut worker| {
                tokio::spawn(async move {
                    let histogram = worker.run(scenario, address, duration).await?;
                    Ok::<_, Failure>((worker, histogram))
                })
            })
            .collect();
        let mut total = Histogram::new();
        for task in tasks {
            let (worker, histogram) = task.await.map_err(during("waiting for a connection"))??;
            workers.push(worker);
            total.merge(&histogram);
        }
        Ok(total)
    })
}

fn workers(plan: &Plan) -> Result<Vec<Worker>> {
    if plan.people.len() < plan.connections {
        return Err(Failure::new("there are fewer people than connections"));
    }
    let share = |index| plan.people.iter().skip(index).step_by(plan.connections).cloned().collect();
    Ok((0..plan.connections).map(|index| Worker { connection: None, people: share(index), turn: 0 }).collect())
}

/// One connection and the people who use it.
struct Worker {
    connection: Option<Connection>,
    people: Vec<Person>,
    /// Operations so far.
    turn: usize,
}

impl Worker {
    async fn run(&mut self, scenario: Scenario, address: SocketAddr, duration: Duration) -> Result<Histogram> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(address).await.map_err(during("connecting to the server"))?,
        };
        let connection = self.connection.insert(connection);
        let requests: Vec<Vec<u8>> = self.people.iter().map(|person| first_request(scenario, address, person)).collect();

        let mut latencies = Histogram::new();
        let mut start = Instant::now();
        let end = start + duration;
        while start < end {
            let index = self.turn % requests.len();
            let answer = connection.succeed(&requests[index]).await?;
            if scenario == Scenario::Settings {
                let flow = flow_id(answer.body)?;
                let request = submission(address, &self.people[index], &flow, self.turn);
                connection.succeed(&request).await?;
            }
            self.turn += 1;
            let now = Instant::now();
            latencies.record(now - start);
            start = now;
        }
        Ok(latencies)
    }
}

fn first_request(scenario: Scenario, address: SocketAddr, person: &Person) -> Vec<u8> {
    let path = match scenario {
        Scenario::Whoami => "/sessions/whoami",
        Scenario::Settings => "/self-service/settings/api",
    };
    get(address, path, Some(&person.token))
}

/// The name changes with every turn, so that the server cannot find that nothing is to be done.
fn submission(address: SocketAddr, person: &Person, flow: &str, turn: usize) -> Vec<u8> {
    let traits = serde_json::json!({ "email": person.email, "name": { "first": format!("Turn {turn}"), "last": "Bench" } });
    let body = serde_json::json!({ "method": "profile", "traits": traits }).to_string();
    post(address, &format!("/self-service/settings?flow={flow}"), Some(&person.token), &body)
}

/// The id of the flow that an answer describes.
pub(crate) fn flow_id(body: &[u8]) -> Result<String> {
    #[derive(Deserialize)]
    struct Flow {
        id: String,
    }
    let flow: Flow = serde_json::from_slice(body).map_err(during("reading a flow"))?;
    Ok(flow.id)
}

/// Processor times at one moment, in clock ticks.
struct Sample {
    server: u64,
    postgres: Option<BTreeMap<u32, u64>>,
    generator: u64,
    machine: u64,
}

impl Sample {
    fn take(plan: &Plan) -> Result<Self> {
        Ok(Self {
            server: process::stat(plan.server)?.ticks,
            postgres: plan.postmaster.map(process::children),
            generator: process::stat(std::process::id())?.ticks,
            machine: process::machine_busy()?,
        })
    }
}

fn round(before: &Sample, after: &Sample, elapsed: Duration, latencies: &Histogram) -> Result<Round> {
    if latencies.count() == 0 {
        return Err(Failure::new("no operation ended within a round"));
    }
    let ticks = Ticks::per_second();
    let server = after.server.saturating_sub(before.server);
    let generator = after.generator.saturating_sub(before.generator);
    let postgres = match (&before.postgres, &after.postgres) {
        (Some(before), Some(after)) => Some(process::added(before, after)),
        _ => None,
    };
    let ours = server + generator + postgres.unwrap_or(0);
    let others = after.machine.saturating_sub(before.machine).saturating_sub(ours);
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let quantile = |share| micros(latencies.quantile(share));
    Ok(Round {
        operations: latencies.count(),
        elapsed: micros(elapsed),
        server: micros(ticks.time(server)),
        postgres: postgres.map(|spent| micros(ticks.time(spent))),
        generator: micros(ticks.time(generator)),
        others: micros(ticks.time(others)),
        p50: quantile(0.5),
        p90: quantile(0.9),
        p99: quantile(0.99),
        longest: quantile(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn people(count: usize) -> Vec<Person> {
        (0..count).map(|n| Person { email: format!("{n}@example.org"), token: format!("token-{n}") }).collect()
    }

    fn plan(address: SocketAddr, connections: usize) -> Plan {
        Plan {
            address,
            scenario: Scenario::Whoami,
            people: people(10),
            connections,
            threads: 2,
            warm_up: 1,
            duration: 20,
            server: std::process::id(),
            postmaster: None,
        }
    }

    /// A server on a thread of its own that answers every request with the same bytes.
    fn server(answer: &'static str) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((mut stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let mut request = [0; 2048];
                        while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                            if stream.write_all(answer.as_bytes()).await.is_err() {
                                return;
                            }
                        }
                    });
                }
            });
        });
        address
    }

    #[test]
    fn people_are_shared_out_without_overlap() {
        let plan = plan("127.0.0.1:1".parse().unwrap(), 3);
        let mut tokens: Vec<String> =
            workers(&plan).unwrap().into_iter().flat_map(|worker| worker.people).map(|person| person.token).collect();
        tokens.sort();
        let mut all: Vec<String> = people(10).into_iter().map(|person| person.token).collect();
        all.sort();
        assert_eq!(tokens, all);
        assert!(workers(&self::plan(plan.address, 11)).is_err());
    }

    #[test]
    fn a_round_counts_answers() {
        let address = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        let round = drive(&plan(address, 4)).unwrap();
        assert!(round.operations >= 4 && round.elapsed >= 20_000, "{round:?}");
        assert!(round.p50 <= round.p90 && round.p90 <= round.p99 && round.p99 <= round.longest, "{round:?}");
    }

    #[test]
    fn a_refusal_fails_the_round() {
        let address = server("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno");
        let failure = drive(&plan(address, 4)).unwrap_err().to_string();
        assert!(failure.contains("401"), "{failure}");
    }

    #[test]
    fn a_settings_operation_is_two_requests() {
        let address = server("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"id\":\"f1\"}");
        let round = drive(&Plan { scenario: Scenario::Settings, ..plan(address, 2) }).unwrap();
        assert!(round.operations >= 2);
        let request = String::from_utf8(submission(address, &people(1)[0], "f1", 7)).unwrap();
        assert!(request.starts_with("POST /self-service/settings?flow=f1 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("Turn 7") && request.contains("0@example.org"), "{request}");
    }
}
