//! The real program, as people and process managers run it: starting, refusing to start, preparing databases, stopping, and what
//! it writes where.
//! Each test runs the built binary in a folder of its own with an empty environment and speaks plain HTTP to it.
//! Waits are polls with a bound.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// How often something is looked at before a test gives up, and how long it rests in between: half a minute in all.
const LOOKS: usize = 1_500;
const REST: Duration = Duration::from_millis(20);

/// Stands in the configuration of every test here and must never be printed.
const SECRET: &str = "canary-secret-that-nobody-may-see";

/// A folder that goes when the test does.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("program-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command.args(arguments).current_dir(&self.0).env_clear().stdin(Stdio::null());
        command
    }

    /// Runs a command to its end; what it wrote to both outputs comes back as one text.
    pub(crate) fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut running = self.spawn(arguments, environment);
        let status = running.end();
        (status.code(), running.written())
    }

    pub(crate) fn spawn(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        let file = |name: &str| fs::File::create(self.0.join(name)).unwrap();
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied()).stdout(file("stdout")).stderr(file("stderr"));
        Running { child: command.spawn().unwrap(), folder: self.0.clone() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that runs. Ends with the test, whatever happens.
pub(crate) struct Running {
    child: Child,
    folder: PathBuf,
}

impl Running {
    pub(crate) fn written(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap();
        read("stdout") + &read("stderr")
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(&mut self) -> ExitStatus {
        poll(|| self.child.try_wait().unwrap()).unwrap_or_else(|| panic!("it does not end: {}", self.written()))
    }

    /// Waits until the public port answers.
    pub(crate) fn ready(&mut self, port: u16) {
        let alive = poll(|| {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended: {}", self.written());
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        assert!(alive.is_some(), "nothing listens: {}", self.written());
        assert_eq!(ask(port, "GET", "/health/alive", &[], "").status, 200);
    }

    /// What process managers do.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn poll<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return Some(found);
        }
        std::thread::sleep(REST);
    }
    None
}

/// Two ports that nobody uses at the moment.
pub(crate) fn free_ports() -> (u16, u16) {
    let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (first, second) = (bind(), bind());
    (first.local_addr().unwrap().port(), second.local_addr().unwrap().port())
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.head, self.body))
    }

    fn cookies(&self) -> Vec<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let set = lines.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        set.filter_map(|(_, value)| value.split(';').next()).map(str::to_owned).collect()
    }
}

/// One request on a connection of its own.
pub(crate) fn ask(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    if !body.is_empty() {
        let _ = write!(text, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    let _ = write!(text, "\r\n{body}");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {method} {path}: {answer}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// The top of a complete configuration, up to what a test is about.
pub(crate) fn top(folder: &Folder, ports: (u16, u16)) -> String {
    folder.write("person.json", keyward_config::DEFAULT_SCHEMA);
    let (folder, (public, admin)) = (folder.0.display(), ports);
    format!(
        "dsn: sqlite://{folder}/identities.sqlite
secrets:
  default: [{SECRET}]
serve:
  public: {{ base_url: \"http://127.0.0.1:{public}/\", host: 127.0.0.1, port: {public} }}
  admin: {{ base_url: \"http://127.0.0.1:{admin}/\", host: 127.0.0.1, port: {admin} }}
hashers: {{ algorithm: bcrypt, bcrypt: {{ cost: 12 }} }}
identity:
  default_schema_id: person
  schemas: [{{ id: person, url: \"file://{folder}/person.json\" }}]
"
    )
}

/// The settings flow as its first user described it, completed by what every configuration needs.
const DOCUMENT: &str = "selfservice:
  default_browser_return_url: https://your-app.com/
  flows:
    settings:
      required_aal: aal1
      lifespan: 1h
      ui_url: https://your-app.com/settings
      after:
        default_browser_return_url: https://your-app.com/
        password:
          default_browser_return_url: https://your-app.com/login
          hooks:
            - hook: verify
";

fn prepare(folder: &Folder) {
    let dsn = format!("sqlite://{}/identities.sqlite", folder.0.display());
    let (code, written) = folder.run(&["migrate", "sql", "-e", "--yes"], &[("DSN", &dsn)]);
    assert_eq!(code, Some(0), "{written}");
}

// No case of its own in the list.
#[test]
fn the_database_is_prepared_once() {
    let folder = Folder::new("migrate");
    let dsn = format!("sqlite://{}/identities.sqlite", folder.0.display());
    let (code, first) = folder.run(&["migrate", "sql", "-e", "--yes"], &[("DSN", &dsn)]);
    assert_eq!(code, Some(0), "{first}");
    assert!(first.contains("applied"), "{first}");
    for arguments in
        [&["migrate", "sql", "-e", "--yes"] as &[&str], &["migrate", "sql", "up", "-e", "-y"], &["migrate", "sql", &dsn]]
    {
        let (code, again) = folder.run(arguments, &[("DSN", &dsn)]);
        assert_eq!((code, again.as_str()), (Some(0), "The database is up to date.\n"), "{arguments:?}");
    }
    // Nobody can be asked, so nothing happens.
    let other = format!("sqlite://{}/other.sqlite", folder.0.display());
    let (code, written) = folder.run(&["migrate", "sql", &other], &[]);
    assert!(code == Some(1) && written.contains("--yes"), "{written}");
    let (code, written) = folder.run(&["migrate", "sql", "-e", "--yes"], &[]);
    assert!(code == Some(1) && written.contains("DSN"), "{written}");
}

// No case of its own in the list.
#[test]
fn the_document_of_the_first_user_starts_and_stops() {
    let folder = Folder::new("document");
    let ports = free_ports();
    folder.write("keyward.yml", &(top(&folder, ports) + DOCUMENT));
    prepare(&folder);
    let mut server = folder.spawn(&["serve", "-c", "keyward.yml"], &[]);
    server.ready(ports.0);
    assert_eq!(ask(ports.0, "GET", "/health/ready", &[], "").status, 200);
    assert_eq!(ask(ports.1, "GET", "/admin/health/alive", &[], "").status, 200);
    let answer = ask(ports.0, "GET", "/self-service/settings/api", &[("Accept", "application/json")], "");
    assert_eq!((answer.status, answer.json()["error"]["id"].as_str()), (401, Some("session_inactive")));
    assert_eq!(server.terminate().code(), Some(0), "{}", server.written());
    assert!(!server.written().contains(SECRET));
    assert!(TcpStream::connect(("127.0.0.1", ports.0)).is_err(), "the port is free again");
}

/// Later files win over earlier ones, the environment wins over all.
// cases: R-97
#[test]
fn files_and_the_environment_are_laid_over_each_other() {
    let folder = Folder::new("overrides");
    let (nowhere, (public, admin), (by_file, _)) = (free_ports(), free_ports(), free_ports());
    folder.write("first.yml", &(top(&folder, nowhere) + DOCUMENT));
    let second = format!("serve: {{ public: {{ port: {by_file} }}, admin: {{ port: {admin} }} }}\n");
    folder.write("second.yml", &second);
    prepare(&folder);
    let files = ["serve", "-c", "first.yml", "--config", "second.yml"];

    let mut server = folder.spawn(&files, &[]);
    server.ready(by_file);
    assert_eq!(ask(admin, "GET", "/admin/health/alive", &[], "").status, 200);
    assert_eq!(server.terminate().code(), Some(0));

    let mut server = folder.spawn(&files, &[("SERVE_PUBLIC_PORT", &public.to_string())]);
    server.ready(public);
    assert!(TcpStream::connect(("127.0.0.1", by_file)).is_err(), "the variable wins");
    assert_eq!(server.terminate().code(), Some(0));
}

/// Without secrets only a development server starts, and says what that means.
// No case of its own in the list.
#[test]
fn development_mode_needs_no_secrets() {
    let folder = Folder::new("dev");
    let ports = free_ports();
    let without = (top(&folder, ports) + DOCUMENT).replace(&format!("secrets:\n  default: [{SECRET}]\n"), "");
    folder.write("keyward.yml", &without);
    prepare(&folder);
    let mut server = folder.spawn(&["serve", "all", "-c", "keyward.yml", "--dev", "--sqa-opt-out", "--watch-courier"], &[]);
    server.ready(ports.0);
    assert!(server.written().contains("No secrets are configured"), "{}", server.written());
    assert_eq!(server.terminate().code(), Some(0));
}

/// A start that cannot succeed: what the file says, what the environment says, and words of the message.
struct Refused {
    name: &'static str,
    text: String,
    environment: Vec<(&'static str, String)>,
    words: Vec<String>,
}

// cases: AC-51
#[test]
fn what_cannot_start_says_why_and_where() {
    let folder = Folder::new("refused");
    let ports = free_ports();
    let good = top(&folder, ports) + DOCUMENT;
    let refused = |name, text: String, words: &[&str]| Refused {
        name,
        text,
        environment: Vec::new(),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    };
    let line = |text: &str, wanted: &str| text.lines().position(|line| line.contains(wanted)).unwrap() + 1;
    let at = |text: &str, wanted: &str| format!("keyward.yml:{}", line(text, wanted));
    let edited = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let dsn = |address: &str| edited(&good.lines().next().unwrap()["dsn: ".len()..], address);

    let mut cases = Vec::new();
    let broken = good.clone() + "broken: [1, 2\n  nonsense: }\n";
    cases.push(refused("broken YAML", broken, &["keyward.yml:"]));
    let unknown = edited("lifespan: 1h", "lifespam: 1h");
    let place = at(&unknown, "lifespam");
    cases.push(refused("unknown key", unknown, &[&place, "lifespam", "lifespan"]));
    let bad = edited("lifespan: 1h", "lifespan: soon");
    let place = at(&bad, "lifespan");
    cases.push(refused("bad value", bad, &[&place, "selfservice.flows.settings.lifespan"]));
    let hook = edited("hook: verify", "hook: verifi");
    let place = at(&hook, "verifi");
    cases.push(refused("unknown hook", hook, &[&place, "verifi"]));
    let secret = edited(&format!("secrets:\n  default: [{SECRET}]\n"), "");
    cases.push(refused("missing secret", secret, &["secrets"]));
    let short = edited(SECRET, "canary-short");
    let place = at(&short, "canary-short");
    cases.push(refused("short secret", short, &[&place, "secrets.default"]));
    cases.push(refused("unprepared database", good.clone(), &["keyward migrate sql"]));
    let (closed, _) = free_ports();
    let address = format!("postgres://keyward:canary-password@127.0.0.1:{closed}/keyward?sslmode=disable");
    cases.push(refused("unreachable PostgreSQL", dsn(&address), &["database"]));
    let mysql = dsn("mysql://keyward:canary-password@127.0.0.1/keyward");
    cases.push(refused("MySQL", mysql, &["MySQL"]));
    for wildcard in ["https://*foo.com", "https://*.com", "https://foo.*.com", "https://*"] {
        let list = format!("https://your-app.com/\n  allowed_return_urls:\n    - \"{wildcard}\"\n  flows:");
        let wide = edited("https://your-app.com/\n  flows:", &list);
        let place = at(&wide, wildcard);
        cases.push(refused("overbroad wildcard", wide, &[&place, "allowed_return_urls"]));
    }
    let mut variable = refused("bad variable", good.clone(), &["SERVE_PUBLIC_PORT"]);
    variable.environment.push(("SERVE_PUBLIC_PORT", "many".to_owned()));
    cases.push(variable);

    for Refused { name, text, environment, words } in cases {
        folder.write("keyward.yml", &text);
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (code, written) = folder.run(&["serve", "-c", "keyward.yml"], &environment);
        assert_eq!(code, Some(1), "{name}: {written}");
        assert_eq!(written.matches("keyward: ").count(), 1, "{name}: one message was expected: {written}");
        for word in words {
            assert!(written.contains(&word), "{name}: `{word}` does not stand in: {written}");
        }
        assert!(!written.contains("canary") && !written.contains("panicked"), "{name}: {written}");
    }

    let (code, written) = folder.run(&["serve", "-c", "nowhere.yml"], &[]);
    assert!(code == Some(1) && written.contains("nowhere.yml"), "{written}");
}

// No case of its own in the list.
#[test]
fn every_mistake_of_a_file_is_named_at_once() {
    let folder = Folder::new("mistakes");
    let text = (top(&folder, free_ports()) + DOCUMENT).replace("lifespan: 1h", "lifespan: soon").replace("aal1", "aal9");
    folder.write("keyward.yml", &text);
    let (code, written) = folder.run(&["serve", "-c", "keyward.yml"], &[]);
    assert_eq!(code, Some(1));
    for word in ["required_aal", "lifespan"] {
        assert!(written.lines().any(|line| line.contains("keyward.yml:") && line.contains(word)), "{word}: {written}");
    }
}

// No case of its own in the list.
#[test]
fn a_port_in_use_is_named() {
    let folder = Folder::new("port");
    let ports = free_ports();
    folder.write("keyward.yml", &(top(&folder, ports) + DOCUMENT));
    prepare(&folder);
    for (which, port) in [("public", ports.0), ("admin", ports.1)] {
        let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let (code, written) = folder.run(&["serve", "-c", "keyward.yml"], &[]);
        drop(taken);
        assert_eq!(code, Some(1), "{written}");
        assert!(written.contains(&format!("serve.{which}")) && written.contains(&port.to_string()), "{written}");
        assert!(!written.contains("canary") && !written.contains("panicked"), "{written}");
    }
}

/// A first start makes everything, a second one finds it; nobody else on the machine can read any of it.
// cases: AC-87
#[test]
fn quickstart_keeps_what_it_made() {
    let folder = Folder::new("quickstart");
    let (public, admin) = free_ports();
    let data = folder.0.join("keyward-data");
    let ports = (public.to_string(), admin.to_string());
    let arguments = ["quickstart", "--port", &ports.0, "--admin-port", &ports.1];

    let mut server = folder.spawn(&arguments, &[]);
    server.ready(public);
    assert!(server.written().contains(&format!("http://localhost:{public}/ui/login")), "{}", server.written());
    let body = json!({ "schema_id": "default", "traits": { "email": "ada@example.org" } }).to_string();
    let made = ask(admin, "POST", "/admin/identities", &[], &body);
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_private(&data);
    assert_eq!(server.terminate().code(), Some(0), "{}", server.written());
    let config = fs::read_to_string(data.join("keyward.yml")).unwrap();

    // The ports of the first run are remembered.
    let mut server = folder.spawn(&["quickstart"], &[]);
    server.ready(public);
    assert_eq!(fs::read_to_string(data.join("keyward.yml")).unwrap(), config);
    let found = ask(admin, "GET", &format!("/admin/identities/{id}"), &[], "");
    assert_eq!((found.status, found.json()["traits"]["email"].as_str()), (200, Some("ada@example.org")));
    assert_private(&data);
    assert_eq!(server.terminate().code(), Some(0), "{}", server.written());
    let secret =
        config.lines().skip_while(|line| *line != "secrets:").nth(2).unwrap().trim_start_matches([' ', '-']).trim_matches('"');
    assert!(secret.len() >= 32, "a generated secret");
    assert!(!server.written().contains(secret));
}

fn assert_private(data: &Path) {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(data), 0o700, "{}", data.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    for name in ["keyward.yml", "identity.schema.json", "keyward.sqlite"] {
        assert!(names.iter().any(|found| found == name), "{name} is missing among {names:?}");
    }
}

/// A whole run at the noisiest level, with marked secrets in every place where a client can put one. Nothing of them reaches the
/// log, and no client can start a line of its own.
// cases: AC-34, AC-101
#[test]
fn the_log_of_a_run_holds_no_secret_and_no_forged_line() {
    let folder = Folder::new("log");
    let ports = free_ports();
    let log = "log: { level: trace, format: json, leak_sensitive_values: true }\n";
    let methods = "  methods: { password: { config: { haveibeenpwned_enabled: false } } }\n";
    folder.write("keyward.yml", &(top(&folder, ports) + DOCUMENT + methods + log));
    prepare(&folder);
    let mut server = folder.spawn(&["serve", "-c", "keyward.yml"], &[]);
    let port = ports.0;
    server.ready(port);

    let mut planted = vec![SECRET.to_owned()];
    let mut plant = |text: &str| {
        planted.push(text.to_owned());
        text.to_owned()
    };
    let data = ("Accept", "application/json");
    let start = |path: &str, headers: &[(&str, &str)]| {
        let answer = ask(port, "GET", path, headers, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer
    };
    let submit = |flow: &Value, headers: &[(&str, &str)], body: &Value| {
        let action = flow["ui"]["action"].as_str().unwrap();
        let path = action.strip_prefix(&format!("http://127.0.0.1:{port}")).unwrap();
        ask(port, "POST", path, headers, &body.to_string())
    };

    // An app: sign-up, a wrong and a right sign-in, and settings.
    let password = plant("canary-first-password-7");
    let flow = start("/self-service/registration/api", &[data]).json();
    let body = json!({ "method": "password", "password": password, "traits": { "email": "ada@example.org" } });
    let answer = submit(&flow, &[data], &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let flow = start("/self-service/login/api", &[data]).json();
    let body = json!({ "method": "password", "password": plant("canary-wrong-password-7"), "identifier": "ada@example.org" });
    assert_eq!(submit(&flow, &[data], &body).status, 400);
    let body = json!({ "method": "password", "password": password, "identifier": "ada@example.org" });
    let answer = submit(&flow, &[data], &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = plant(answer.json()["session_token"].as_str().unwrap());
    let signed_in = ("X-Session-Token", token.as_str());
    assert_eq!(ask(port, "GET", "/sessions/whoami", &[signed_in], "").status, 200);
    let flow = start("/self-service/settings/api", &[data, signed_in]).json();
    let body = json!({ "method": "password", "password": plant("canary-second-password-8") });
    assert_eq!(submit(&flow, &[data, signed_in], &body).status, 200);

    // A browser: cookies, CSRF tokens and a logout link.
    let first = start("/self-service/login/browser", &[data]);
    let (csrf_cookie, flow) = (first.cookies().join("; "), first.json());
    plant(csrf_cookie.split_once('=').unwrap().1);
    let nodes = flow["ui"]["nodes"].as_array().unwrap();
    let csrf = nodes.iter().find(|node| node["attributes"]["name"] == "csrf_token").unwrap();
    let csrf = plant(csrf["attributes"]["value"].as_str().unwrap());
    let body = json!({ "method": "password", "identifier": "ada@example.org", "password": "canary-second-password-8", "csrf_token": csrf });
    let answer = submit(&flow, &[data, ("Cookie", &csrf_cookie)], &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let cookies = answer.cookies();
    for cookie in &cookies {
        plant(cookie.split_once('=').unwrap().1);
    }
    let session = cookies.iter().find(|cookie| cookie.starts_with("ory_kratos_session=")).unwrap();
    let logout = start("/self-service/logout/browser", &[data, ("Cookie", session)]).json();
    let logout_token = plant(logout["logout_token"].as_str().unwrap());
    let path = format!("/self-service/logout?token={logout_token}");
    assert_eq!(ask(port, "GET", &path, &[data, ("Cookie", session)], "").status, 204);

    // What does not belong where it stands.
    let query = plant("canary-query-password-9");
    let path = format!("/self-service/settings?flow={}&method=password&password={query}", flow["id"].as_str().unwrap());
    for method in ["GET", "POST"] {
        assert_eq!(ask(port, method, &path, &[data, signed_in], "").status, 400);
    }
    let broken = plant("canary-broken-body-9");
    let answer = ask(port, "POST", &path, &[data, signed_in], &format!("{{\"password\": \"{broken}"));
    assert_eq!(answer.status, 400);
    let bearer = format!("Bearer {}", plant("ory_st_canarycanarycanarycanarycanary12"));
    assert_eq!(ask(port, "GET", "/sessions/whoami", &[("Authorization", &bearer)], "").status, 401);
    let basic = format!("Basic {}", plant("Y2FuYXJ5OmNhbmFyeQ=="));
    assert_eq!(ask(port, "GET", "/sessions/whoami", &[("Authorization", &basic)], "").status, 401);
    let hostile = "x\u{1b}[2J\t{\"level\":\"ERROR\",\"forged\":true}";
    ask(
        port,
        "GET",
        "/%0a%7b%22forged%22:true%7d%0d%0a?a=%0aforged",
        &[("User-Agent", "forged"), ("X-Request-Id", "forged\t\"")],
        "",
    );
    let headers = [("User-Agent", hostile), ("X-Forwarded-For", hostile), ("X-Request-Id", hostile)];
    assert!(ask(port, "GET", "/sessions/whoami", &headers, "").status < 500);
    // And what operators send.
    let imported = plant("canary-imported-password-5");
    let credentials = json!({ "password": { "config": { "password": imported } } });
    let body = json!({ "schema_id": "person", "traits": { "email": "bob@example.org" }, "credentials": credentials });
    assert_eq!(ask(ports.1, "POST", "/admin/identities", &[], &body.to_string()).status, 201);
    assert_eq!(ask(ports.1, "POST", "/admin/identities", &[], &body.to_string()).status, 409);

    assert_eq!(server.terminate().code(), Some(0));
    let written = server.written();
    assert!(written.contains("/self-service/settings"), "this log says too little to prove anything: {written}");
    for secret in planted {
        assert!(!written.contains(&secret), "{secret} stands in the log: {written}");
    }
    for line in written.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(entry["level"].is_string() && entry.get("forged").is_none(), "{line}");
    }
}
