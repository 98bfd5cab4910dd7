//! A server in a process of its own, in a folder that goes away with it.
//! The tests beside this file write its configuration, wait for lines of its log and send it signals.
//! Waiting means reading: nothing here sleeps.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder for one test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("keyward-operations-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Replaces a file in one step, as careful tools do.
    pub(crate) fn swap(&self, name: &str, text: &str) {
        let next = self.write(&format!("{name}.next"), text);
        std::fs::rename(next, self.path(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Ports that were free a moment ago.
pub(crate) fn free_ports() -> (u16, u16) {
    let (public, admin) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    (public.local_addr().unwrap().port(), admin.local_addr().unwrap().port())
}

/// The program, without whatever this machine's environment says about configuration.
pub(crate) fn keyward(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.args(arguments).current_dir(&folder.0).env_clear().stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(folder: &Folder, arguments: &[&str]) -> Output {
    keyward(folder, arguments).output().unwrap()
}

pub(crate) fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A configuration with SQLite in the folder, cheap hashing and no calls to anybody. `more` is YAML that is merged over it.
pub(crate) fn base(folder: &Folder, ports: (u16, u16)) -> String {
    let (public, admin) = ports;
    let database = folder.path("keyward.sqlite");
    let schema = keyward_testkit::schema_url(&serde_json::json!({
        "type": "object", "properties": { "traits": { "type": "object", "properties": {
            "email": { "type": "string", "format": "email", "title": "E-mail",
                "ory.sh/kratos": { "credentials": { "password": { "identifier": true } } } },
        } } },
    }));
    format!(
        "dsn: sqlite://{}\nserve:\n  public: {{base_url: \"http://127.0.0.1:{public}/\", host: 127.0.0.1, port: {public}}}\n  \
         admin: {{base_url: \"http://127.0.0.1:{admin}/\", host: 127.0.0.1, port: {admin}}}\n\
         secrets: {{default: [a-secret-for-tests-that-protects-nothing]}}\nhashers: {{algorithm: bcrypt, bcrypt: {{cost: 4}}}}\n\
         identity: {{schemas: [{{id: default, url: \"{schema}\"}}]}}\n",
        database.display()
    )
}

/// The block `selfservice` of a configuration whose login and registration flows live so many minutes.
pub(crate) fn flows(minutes: u32) -> String {
    format!(
        "selfservice:\n  default_browser_return_url: http://127.0.0.1/\n  methods: {{password: {{config: {{haveibeenpwned_enabled: false}}}}}}\n  flows:\n    \
         login: {{lifespan: {minutes}m, ui_url: \"http://127.0.0.1/in/{minutes}\"}}\n    \
         registration: {{style: unified, lifespan: {minutes}m, ui_url: \"http://127.0.0.1/up/{minutes}\", after: {{password: {{hooks: [{{hook: session}}]}}}}}}\n"
    )
}

/// Prepares the database of a configuration.
pub(crate) fn migrate(folder: &Folder, config: &Path) {
    let output = run(folder, &["migrate", "sql", "--yes", "-c", config.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output.stderr));
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    lines: Receiver<String>,
    /// Everything that it wrote to standard error and that was read so far.
    pub(crate) log: Vec<String>,
    pub(crate) public: String,
    pub(crate) admin: String,
}

impl Server {
    /// Prepares the database, starts the server in development mode and waits until both ports listen.
    pub(crate) fn start(folder: &Folder, text: &str, ports: (u16, u16)) -> Self {
        folder.write("keyward.yml", text);
        Self::start_with(folder, "keyward.yml", ports)
    }

    /// The same with a file that stands there.
    pub(crate) fn start_with(folder: &Folder, name: &str, ports: (u16, u16)) -> Self {
        migrate(folder, &folder.path(name));
        Self::start_unprepared(folder, name, ports)
    }

    /// The same with a database that is as it is.
    pub(crate) fn start_unprepared(folder: &Folder, name: &str, ports: (u16, u16)) -> Self {
        let config = folder.path(name);
        let mut command = keyward(folder, &["serve", "--dev", "-c", config.to_str().unwrap()]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let address = |port| format!("http://127.0.0.1:{port}");
        let mut server = Self { child, lines, log: Vec::new(), public: address(ports.0), admin: address(ports.1) };
        server.wait_for("listening");
        server.wait_for("listening");
        server
    }

    /// Reads the log until a line holds the text, and yields that line.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no line with {text:?} in:\n{}", self.log.join("\n"))
            };
            self.log.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end of the process and of its log.
    pub(crate) fn end(&mut self) -> ExitStatus {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.log.push(line);
        }
        self.child.wait().unwrap()
    }

    /// Asks for an orderly end and checks that it comes.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        let status = self.end();
        assert!(status.success(), "{status}:\n{}", self.log.join("\n"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that follows nothing and trusts the given certificates.
#[expect(clippy::disallowed_methods, reason = "tests stand outside of the server and are no calls of it to the outside")]
pub(crate) fn client(roots: rustls::RootCertStore) -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls).redirect(reqwest::redirect::Policy::none());
    builder.no_proxy().timeout(PATIENCE).build().unwrap()
}

/// A client for plain HTTP.
pub(crate) fn plain() -> reqwest::Client {
    client(rustls::RootCertStore::empty())
}
