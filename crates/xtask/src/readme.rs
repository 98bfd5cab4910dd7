//! Does what README.md tells a newcomer: takes both commands from it, runs the first in an empty folder, signs up, signs in.
//! Called as `cargo xtask readme`, by `.ci/run` after the tests (which are the second command).
//! It knows the public API only from outside, as any client does.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::failure::{Failure, Result, during};
use crate::http::{self, Address, Answer};
use crate::json::{Json, quoted};
use crate::machine::{self, Stopwatch};
use crate::step;

const COMMANDS: [&str; 2] = ["cargo run --release -- quickstart", "cargo xtask test"];
/// From the started program to its first line with an address; building does not count.
const UNTIL_READY: Duration = Duration::from_secs(60);
const UNTIL_STOPPED: Duration = Duration::from_secs(20);

pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    crate::no_arguments("readme", arguments)?;
    let text = fs::read_to_string(root.join("README.md")).map_err(during("reading README.md"))?;
    let commands =
        two_commands(&text).ok_or_else(|| Failure::new("README.md has no fenced block under a heading `Two commands`"))?;
    if commands != COMMANDS {
        return Err(Failure::new(format!("README.md promises {commands:?}, and this chore knows how to try {COMMANDS:?}")));
    }
    println!("README.md: both commands found");

    // Built first, so that the bound on the start measures the start.
    let manifest = root.join("Cargo.toml");
    step::run(step::cargo().current_dir(root).args(["build", "--release", "--locked"]))?;

    let folder = EmptyFolder::make()?;
    let server = Server::start(&manifest, &folder.0)?;
    let outcome = walk(&server.address);
    let stopped = server.stop();
    outcome?;
    stopped?;
    println!("README.md keeps its word");
    Ok(())
}

/// The lines of the first fenced block below the heading `Two commands`, without their comments.
fn two_commands(text: &str) -> Option<Vec<String>> {
    let mut lines =
        text.lines().skip_while(|line| !(line.starts_with('#') && line.to_lowercase().contains("two commands"))).skip(1);
    // The block must belong to this heading, not to a later one.
    lines.by_ref().take_while(|line| !line.starts_with('#')).find(|line| line.starts_with("```"))?;
    let block = lines.take_while(|line| !line.starts_with("```"));
    Some(
        block.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned()).filter(|line| !line.is_empty()).collect(),
    )
}

/// Sign-in page, registration, sign-in and whoami, as a newcomer and as a native client.
fn walk(sign_in: &Address) -> Result<()> {
    let page = follow_redirects(sign_in)?;
    if page.status != 200 || !page.body.contains("<form") {
        return Err(Failure::new(format!(
            "the sign-in page answered {} without a form:\n{}",
            page.status,
            machine::tail(&page.body, 10)
        )));
    }
    println!("GET {} → 200, a form", sign_in.target);

    let email = format!("newcomer-{}@example.org", machine::random_hex(4)?);
    let password = machine::random_hex(12)?;
    let registration =
        format!(r#"{{"method":"password","password":{},"traits":{{"email":{}}}}}"#, quoted(&password), quoted(&email));
    let answer = submit(sign_in, "registration", &registration)?;
    expect(&answer, &["identity", "id"])?;
    println!("registered {email}");

    let login = format!(r#"{{"method":"password","password":{},"identifier":{}}}"#, quoted(&password), quoted(&email));
    let answer = submit(sign_in, "login", &login)?;
    let token = expect(&answer, &["session_token"])?;
    println!("signed in through the API");

    let whoami = sign_in.join("/sessions/whoami").ok_or_else(|| Failure::new("no address for whoami"))?;
    let answer = http::send("GET", &whoami, &[("X-Session-Token", &token), ("Accept", "application/json")], None)?;
    let found = expect(&answer, &["identity", "traits", "email"])?;
    if found != email {
        return Err(Failure::new(format!("whoami says {found}, but {email} signed in")));
    }
    println!("whoami says {found}");
    Ok(())
}

/// Opens an API flow and submits one body to its `ui.action`.
fn submit(base: &Address, flow: &str, body: &str) -> Result<Answer> {
    let init = base.join(&format!("/self-service/{flow}/api")).ok_or_else(|| Failure::new("no address for the flow"))?;
    let answer = http::send("GET", &init, &[("Accept", "application/json")], None)?;
    let action = expect(&answer, &["ui", "action"])?;
    let action = base.join(&action).ok_or_else(|| Failure::new(format!("`ui.action` is no plain http address: {action}")))?;
    http::send("POST", &action, &[("Accept", "application/json"), ("Content-Type", "application/json")], Some(body))
}

/// The text at `path` of a 200 answer.
fn expect(answer: &Answer, path: &[&str]) -> Result<String> {
    let value = Json::parse(&answer.body);
    match value.as_ref().and_then(|value| value.text_at(path)) {
        Some(text) if answer.status == 200 => Ok(text.to_owned()),
        _ => Err(Failure::new(format!("expected 200 with `{}`, got {}:\n{}", path.join("."), answer.status, answer.body))),
    }
}

/// As a browser: with cookies, at most five redirects.
fn follow_redirects(start: &Address) -> Result<Answer> {
    let mut cookies: Vec<(String, String)> = Vec::new();
    let mut address = start.clone();
    for _ in 0..6 {
        let header = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let mut headers = vec![("Accept", "text/html")];
        if !header.is_empty() {
            headers.push(("Cookie", &header));
        }
        let answer = http::send("GET", &address, &headers, None)?;
        for cookie in answer.all("set-cookie") {
            if let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) {
                cookies.retain(|(known, _)| known != name);
                cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        if !matches!(answer.status, 302 | 303 | 307) {
            return Ok(answer);
        }
        let location = answer.all("location").next().unwrap_or_default();
        address = address.join(location).ok_or_else(|| Failure::new(format!("a redirect to `{location}` leads nowhere")))?;
    }
    Err(Failure::new(format!("GET {} redirects without end", start.target)))
}

/// The first address in a line that speaks of signing in.
fn sign_in_address(line: &str) -> Option<Address> {
    let lower = line.to_lowercase();
    if !lower.contains("sign in") && !lower.contains("sign-in") {
        return None;
    }
    let start = line.find("http://")?;
    Address::parse(line[start..].split_whitespace().next()?)
}

/// A started `quickstart`. Dropping it kills it.
struct Server {
    child: Child,
    address: Address,
}

impl Server {
    fn start(manifest: &Path, folder: &Path) -> Result<Self> {
        let mut command = step::cargo();
        command
            .current_dir(folder)
            .args(["run", "--release", "--locked", "--manifest-path"])
            .arg(manifest)
            .args(["--", "quickstart"]);
        println!("· {} (in an empty folder)", step::words(&command));
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(during("starting quickstart"))?;
        let output = child.stdout.take();
        // Address to be filled in below; from here on the program is stopped whatever happens.
        let mut server = Self { child, address: Address::parse("http://127.0.0.1/").ok_or_else(|| Failure::new("no loopback"))? };

        let (sender, lines) = mpsc::channel();
        if let Some(output) = output {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    println!("  {line}");
                    // Read on without a listener: a full pipe would stop the server.
                    let _ = sender.send(line);
                }
            });
        }
        let watch = Stopwatch::start();
        while let Ok(line) = lines.recv_timeout(watch.left_of(UNTIL_READY)) {
            if let Some(address) = sign_in_address(&line) {
                println!("ready after {} ms", watch.elapsed().as_millis());
                server.address = address;
                return Ok(server);
            }
        }
        Err(Failure::new(format!("quickstart printed no sign-in address within {} s", UNTIL_READY.as_secs())))
    }

    /// Asks by pid to stop, and wants it to end by itself. `cargo run` replaces itself by the program, so the pid is the server's.
    fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        step::run(Command::new("kill").args(["-TERM", &pid]))?;
        let watch = Stopwatch::start();
        while !watch.left_of(UNTIL_STOPPED).is_zero() {
            if let Some(status) = self.child.try_wait().map_err(during("waiting for quickstart"))? {
                println!("stopped after {} ms: {status}", watch.elapsed().as_millis());
                return if status.success() {
                    Ok(())
                } else {
                    Err(Failure::new(format!("quickstart did not stop cleanly: {status}")))
                };
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(Failure::new(format!("quickstart still runs {} s after SIGTERM", UNTIL_STOPPED.as_secs())))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A new folder, removed at the end.
struct EmptyFolder(PathBuf);

impl EmptyFolder {
    fn make() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("keyward-readme-{}", machine::random_hex(8)?));
        fs::create_dir(&folder).map_err(during(format!("making {}", folder.display())))?;
        Ok(Self(folder))
    }
}

impl Drop for EmptyFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_taken_from_their_heading() {
        let text = "# Keyward\n```\nother\n```\n## Two commands\nProse.\n\n```sh\ncargo a -- b   # builds\n\ncargo c\n```\n## More\n```\nd\n```\n";
        assert_eq!(two_commands(text).unwrap(), ["cargo a -- b", "cargo c"]);
        assert_eq!(two_commands("## Two commands\nnone\n## Next\n```\nx\n```\n"), None);
        assert_eq!(two_commands("nothing"), None);
    }

    #[test]
    fn the_sign_in_line_is_recognised() {
        let address = sign_in_address("  Sign in   http://127.0.0.1:4455/login  (any browser)").unwrap();
        assert_eq!(Some(address), Address::parse("http://127.0.0.1:4455/login"));
        assert_eq!(sign_in_address("Mailbox http://127.0.0.1:4455/mailbox"), None);
        assert_eq!(sign_in_address("Sign in somewhere"), None);
    }

    #[test]
    fn only_a_200_with_the_member_is_good() {
        let answer = |status: u16, body: &str| http::Answer::for_test(status, body);
        assert_eq!(expect(&answer(200, r#"{"a":{"b":"c"}}"#), &["a", "b"]).unwrap(), "c");
        assert!(expect(&answer(400, r#"{"a":{"b":"c"}}"#), &["a", "b"]).is_err());
        assert!(expect(&answer(200, r#"{"a":{}}"#), &["a", "b"]).is_err());
        assert!(expect(&answer(200, "<html>"), &["a"]).is_err());
    }
}
