//! Databases that need no preparation, and databases that go away.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use keyward_testkit::{Trial, database_test};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

use super::process::{Folder, Server, base, flows, free_ports, plain};

/// How often it is asked again whether the server has recovered, and how long it rests in between: half a minute in all.
const LOOKS: usize = 1_500;
const REST: Duration = Duration::from_millis(20);

async fn get(address: &str) -> (u16, Value) {
    let answer = plain().get(address).header("accept", "application/json").send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn with_dsn(folder: &Folder, ports: (u16, u16), dsn: &str) -> String {
    let text = base(folder, ports) + &flows(10);
    let (_, rest) = text.split_once('\n').unwrap();
    format!("dsn: \"{dsn}\"\n{rest}")
}

// cases: R-101
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_memory_needs_no_preparation() {
    let (folder, ports) = (Folder::new(), free_ports());
    folder.write("keyward.yml", &with_dsn(&folder, ports, "memory"));
    let mut server = Server::start_unprepared(&folder, "keyward.yml", ports);
    assert_eq!(get(&format!("{}/health/ready", server.public)).await, (200, json!({ "status": "ok" })));
    let (status, flow) = get(&format!("{}/self-service/registration/api", server.public)).await;
    assert_eq!(status, 200, "{flow}");
    let fields = json!({ "method": "password", "password": "correct horse 7 battery", "traits": { "email": "ada@example.org" } });
    let action = flow["ui"]["action"].as_str().unwrap();
    let made = plain().post(action).header("accept", "application/json").json(&fields).send().await.unwrap();
    assert_eq!(made.status(), 200);
    assert_eq!(get(&format!("{}/admin/identities", server.admin)).await.1.as_array().map(Vec::len), Some(1));
    server.stop();
}

/// A line to somebody else's port that can be cut.
struct Line {
    address: SocketAddr,
    up: watch::Sender<bool>,
}

impl Line {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (up, is_up) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let mut is_up = is_up.clone();
                if !*is_up.borrow_and_update() {
                    continue;
                }
                tokio::spawn(async move {
                    let mut outer = TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut inner, &mut outer) => {}
                        _ = is_up.changed() => {}
                    }
                });
            }
        });
        Self { address, up }
    }
}

// cases: R-95
#[database_test(postgres)]
async fn without_its_database_the_server_lives_but_is_not_ready(t: Trial) {
    let mut dsn = Url::parse(t.dsn()).unwrap();
    let host = dsn.host_str().unwrap().to_owned();
    let line = Line::to((host, dsn.port().unwrap_or(5432)).to_socket_addrs().unwrap().next().unwrap()).await;
    dsn.set_host(Some("127.0.0.1")).unwrap();
    dsn.set_port(Some(line.address.port())).unwrap();
    let (folder, ports) = (Folder::new(), free_ports());
    folder.write("keyward.yml", &with_dsn(&folder, ports, dsn.as_str()));
    let started = tokio::task::spawn_blocking(move || (Server::start_unprepared(&folder, "keyward.yml", ports), folder));
    let (mut server, _folder) = started.await.unwrap();
    let public = server.public.clone();
    let ready = async || get(&format!("{public}/health/ready")).await;
    assert_eq!(ready().await.0, 200);

    line.up.send(false).unwrap();
    let (status, body) = ready().await;
    assert_eq!((status, &body), (503, &json!({ "errors": { "database": "the check failed" } })), "outside nothing is told");
    let (status, body) = get(&format!("{}/admin/health/ready", server.admin)).await;
    let cause = body["errors"]["database"].as_str().unwrap().to_owned();
    assert!(status == 503 && cause != "the check failed" && !cause.contains(dsn.as_str()), "{status} {body}");
    for base in [&public, &server.admin] {
        assert_eq!(get(&format!("{base}/health/alive")).await, (200, json!({ "status": "ok" })));
    }
    let (status, body) = get(&format!("{public}/self-service/login/api")).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!(503)));
    assert!(!body.to_string().contains(&cause), "{body}");

    line.up.send(true).unwrap();
    let mut back = false;
    for _ in 0..LOOKS {
        back = ready().await.0 == 200;
        if back {
            break;
        }
        tokio::time::sleep(REST).await;
    }
    assert!(back, "it does not recover by itself");
    tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
}
