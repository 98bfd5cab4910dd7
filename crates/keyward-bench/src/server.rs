//! Starts and stops the processes under test: the server's binary with a configuration, and the bare handler.
//! The runner calls it; every process dies with the value that stands for it.
//! It knows the command line and the configuration, not what is measured.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::connection::{Connection, get};
use crate::failure::{Failure, Result, during};

/// How long a start may take before it counts as failed.
const START_BOUND: Duration = Duration::from_secs(30);

/// A running process with a public port.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    pub(crate) pid: u32,
    pub(crate) public: SocketAddr,
    started: Instant,
}

/// Whether a server is prepared for people at low cost, or serves as in production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `--dev`: accepts a cheap password hash. Only for filling the database.
    Filling,
    /// What is measured.
    Measured,
}

/// How to start the server for one database.
pub(crate) struct Setup {
    /// The server's binary.
    pub(crate) binary: PathBuf,
    /// A folder of our own.
    pub(crate) folder: PathBuf,
    /// Names the files in it.
    pub(crate) name: String,
    pub(crate) dsn: String,
}

impl Setup {
    /// `keyward migrate sql --yes <dsn>`.
    pub(crate) async fn migrate(&self) -> Result<()> {
        let output = Command::new(&self.binary)
            .args(["migrate", "sql", "--yes", &self.dsn])
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(during(format!("starting {}", self.binary.display())))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Failure::new(format!("the migration failed: {}\n{}", output.status, tail(&said))))
    }

    /// Starts `keyward serve` on free ports of 127.0.0.1, without waiting for it.
    pub(crate) fn serve(&self, mode: Mode) -> Result<Server> {
        let (public, admin) = (free_address()?, free_address()?);
        let file = self.folder.join(format!("{}.json", self.name));
        write_private(&file, &configuration(&self.dsn, public, admin))?;
        let mut command = Command::new(&self.binary);
        command.arg("serve").arg("-c").arg(&file);
        if mode == Mode::Filling {
            command.arg("--dev");
        }
        start(command, &self.folder.join(format!("{}.log", self.name)), public)
    }
}

/// Starts `keyward quickstart` in a folder that does not exist yet: it makes files, secrets and tables.
pub(crate) fn quickstart(binary: &Path, folder: &Path, name: &str) -> Result<Server> {
    let (public, admin) = (free_address()?, free_address()?);
    let mut command = Command::new(binary);
    command.arg("quickstart").arg("--data").arg(folder.join(name));
    command.args(["--port", &public.port().to_string(), "--admin-port", &admin.port().to_string()]);
    start(command, &folder.join(format!("{name}.log")), public)
}

/// Starts this program's bare handler.
pub(crate) fn bare(folder: &Path, answer: &Path) -> Result<Server> {
    let public = free_address()?;
    let program = std::env::current_exe().map_err(during("finding this program"))?;
    let mut command = Command::new(program);
    command.arg("bare").arg("--answer").arg(answer).args(["--port", &public.port().to_string()]);
    start(command, &folder.join("bare.log"), public)
}

fn start(mut command: Command, log: &Path, public: SocketAddr) -> Result<Server> {
    let out = File::create(log).map_err(during(format!("making {}", log.display())))?;
    let err = out.try_clone().map_err(during(format!("opening {}", log.display())))?;
    command.stdin(Stdio::null()).stdout(out).stderr(err).kill_on_drop(true);
    let started = Instant::now();
    let child = command.spawn().map_err(during(format!("starting {}", command.as_std().get_program().display())))?;
    let pid = child.id().ok_or_else(|| Failure::new("a process ended at once"))?;
    Ok(Server { child, log: log.to_owned(), pid, public, started })
}

impl Server {
    /// Waits for the first 200 of `GET /health/alive`; the time since the process was started.
    pub(crate) async fn healthy(&mut self) -> Result<Duration> {
        let request = get(self.public, "/health/alive", None);
        loop {
            if let Ok(mut connection) = Connection::open(self.public).await
                && connection.exchange(&request).await.is_ok_and(|answer| answer.status == 200)
            {
                return Ok(self.started.elapsed());
            }
            let ended = self.child.try_wait().map_err(during("looking after a server"))?;
            if ended.is_some() || self.started.elapsed() > START_BOUND {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                let what =
                    ended.map_or("a server did not become healthy".to_owned(), |status| format!("a server ended: {status}"));
                return Err(Failure::new(format!("{what}\n{}", tail(&said))));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Asks the process to end, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        // The standard library can only kill; the server shall close its database in order.
        let asked = Command::new("kill").args(["-TERM", &self.pid.to_string()]).status().await;
        let ended = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
        match (asked, ended) {
            (Ok(_), Ok(Ok(_))) => Ok(()),
            _ => self.child.kill().await.map_err(during("ending a server")),
        }
    }
}

/// Only what differs from the defaults, so that a server like most people's is measured.
fn configuration(dsn: &str, public: SocketAddr, admin: SocketAddr) -> String {
    json!({
        "dsn": dsn,
        "secrets": {
            "default": ["benchmark-only-secret-0123456789"],
            "cookie": ["benchmark-only-cookie-0123456789"],
            "cipher": ["benchmark-cipher-0123456789abcde"],
        },
        "ciphers": { "algorithm": "xchacha20-poly1305" },
        "serve": {
            "public": { "base_url": format!("http://{public}/"), "host": "127.0.0.1", "port": public.port() },
            "admin": { "base_url": format!("http://{admin}/"), "host": "127.0.0.1", "port": admin.port() },
        },
        "identity": {
            "default_schema_id": "default",
            "schemas": [{ "id": "default", "url": format!("base64://{}", STANDARD.encode(SCHEMA)) }],
        },
        // Outside --dev the server raises the cost again; passwords are hashed only while the database is filled.
        "hashers": { "algorithm": "bcrypt", "bcrypt": { "cost": 4 } },
        "selfservice": {
            "default_browser_return_url": format!("http://{public}/"),
            "flows": {
                "registration": { "after": { "password": { "hooks": [{ "hook": "session" }] } } },
                "recovery": { "enabled": true },
                "verification": { "enabled": true },
            },
            "methods": {
                "password": { "enabled": true, "config": { "haveibeenpwned_enabled": false } },
                "profile": { "enabled": true },
            },
        },
    })
    .to_string()
}

const SCHEMA: &str = r#"{
  "$id": "https://keyward.invalid/schemas/benchmark.json",
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "properties": {
    "traits": {
      "type": "object",
      "properties": {
        "email": {
          "type": "string",
          "format": "email",
          "ory.sh/kratos": {
            "credentials": { "password": { "identifier": true } },
            "verification": { "via": "email" },
            "recovery": { "via": "email" }
          }
        },
        "name": {
          "type": "object",
          "properties": { "first": { "type": "string" }, "last": { "type": "string" } }
        }
      },
      "required": ["email"],
      "additionalProperties": false
    }
  }
}"#;

/// Another program may take the port before the server binds it; then the start fails and says so.
fn free_address() -> Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(during("looking for a free port"))
}

/// The file holds the database's address, so only its owner may read it.
fn write_private(file: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(during(format!("writing {}", file.display())))
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_both_ports_and_carries_the_schema() {
        let (public, admin) = (free_address().unwrap(), free_address().unwrap());
        let text = configuration("sqlite:///x", public, admin);
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["serve"]["public"]["port"], public.port());
        assert_eq!(parsed["serve"]["admin"]["port"], admin.port());
        assert_eq!(parsed["secrets"]["cipher"][0].as_str().unwrap().len(), 32, "a cipher secret has exactly 32 characters");
        let url = parsed["identity"]["schemas"][0]["url"].as_str().unwrap();
        let schema = STANDARD.decode(url.strip_prefix("base64://").unwrap()).unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(&schema).is_ok());
    }

    #[tokio::test]
    async fn a_process_that_ends_is_no_healthy_server() {
        let log = std::env::temp_dir().join(format!("keyward-bench-test-{}.log", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "echo why; exit 3"]);
        let mut server = start(command, &log, free_address().unwrap()).unwrap();
        let failure = server.healthy().await.unwrap_err().to_string();
        fs::remove_file(&log).unwrap();
        assert!(failure.contains("exit status: 3") && failure.ends_with("why"), "{failure}");
    }
}
