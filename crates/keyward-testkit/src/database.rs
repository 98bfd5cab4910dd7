//! A migrated and empty database for each test, copied from a template that is made once in a process.
//! [`crate::run`] takes one before a test and gives it back afterwards.
//! Knows how databases are copied, emptied and dropped, not what is in them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use keyward_store::Store;
use tokio_postgres::NoTls;
use url::Url;

/// Which database a trial runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file.
    Sqlite,
    /// A database on the server that `KEYWARD_TEST_POSTGRES` names.
    Postgres,
}

/// A database that belongs to one test.
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres { server: &'static PostgresServer, name: String },
}

const WITHOUT_POSTGRES: &str = "this test needs PostgreSQL: run `cargo xtask test`, or set KEYWARD_TEST_POSTGRES to the URL of a \
    server where databases can be created, or leave PostgreSQL out knowingly with `cargo xtask test --only sqlite`";

impl Database {
    /// Copies the template.
    pub(crate) fn create(kind: DatabaseKind) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        match kind {
            DatabaseKind::Sqlite => {
                let template = &SQLITE.get_or_init(SqliteTemplate::create).file;
                let file = template.with_file_name(format!("{number}.sqlite"));
                for suffix in ["", "-wal"] {
                    let from = with_suffix(template, suffix);
                    if from.exists() {
                        std::fs::copy(&from, with_suffix(&file, suffix)).expect("copying the template of the database");
                    }
                }
                Self::Sqlite(file)
            }
            DatabaseKind::Postgres => {
                let server = POSTGRES.get_or_init(PostgresServer::prepare);
                let free = server.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let name = free.unwrap_or_else(|| {
                    let PostgresServer { owner, strategy, .. } = server;
                    let name = format!("keyward_test_{owner}_{number}");
                    let sql = format!("CREATE DATABASE {name} TEMPLATE keyward_template_{owner} {strategy}");
                    wait(administer(&server.url, &sql));
                    name
                });
                Self::Postgres { server, name }
            }
        }
    }

    /// The address for `dsn`.
    pub(crate) fn dsn(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite://{}?_fk=true", file.display()),
            Self::Postgres { server, name } => address(&server.url, name),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        match self {
            Self::Sqlite(file) => {
                for suffix in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(with_suffix(file, suffix));
                }
            }
            // Copying costs ten times what emptying does, so the next test gets this one.
            Self::Postgres { server, name } => match wait(empty(&server.url, name)) {
                Ok(()) => server.free.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(name)),
                Err(_) => wait(administer(&server.url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))),
            },
        }
    }
}

fn with_suffix(file: &std::path::Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", file.display()))
}

struct SqliteTemplate {
    file: PathBuf,
    /// Stays open and idle, so that file and log do not change while they are copied.
    _store: Store,
}

static SQLITE: OnceLock<SqliteTemplate> = OnceLock::new();

impl SqliteTemplate {
    fn create() -> Self {
        // In memory where the system has such a folder: what these files hold need not survive a power cut.
        let shared_memory = PathBuf::from("/dev/shm");
        let base = if shared_memory.is_dir() { shared_memory } else { std::env::temp_dir() };
        remove_leftovers(&base);
        let folder = base.join(format!("{FOLDER}{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("making the folder of the test databases");
        let file = folder.join("template.sqlite");
        let dsn = format!("sqlite://{}", file.display());
        let store = wait(async move {
            let store = Store::open(&dsn).await.expect("opening the template of the database");
            store.migrate().await.expect("migrating the template of the database");
            store
        });
        Self { file, _store: store }
    }
}

const FOLDER: &str = "keyward-tests-";

/// The test harness ends the process without running destructors, so each run removes what dead ones left.
fn remove_leftovers(base: &std::path::Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(FOLDER).and_then(|id| id.parse::<u32>().ok());
        if process.is_some_and(|id| !PathBuf::from(format!("/proc/{id}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The server of this run, with a migrated template and the databases that no test uses at the moment.
pub(crate) struct PostgresServer {
    url: Url,
    /// The process id of a session on the server that lives as long as this process: names of databases carry it, so that a
    /// later run can tell what a dead one left.
    owner: i32,
    /// Only since version 15 there is a choice; before, copying files was the only way.
    strategy: &'static str,
    free: Mutex<Vec<String>>,
}

static POSTGRES: OnceLock<PostgresServer> = OnceLock::new();

/// What marks the session that owns databases.
const OWNER: &str = "keyward-tests";

const LEFTOVERS: &str = "SELECT datname::TEXT FROM pg_database WHERE datname ~ '^keyward_(test|template)_[0-9]+' AND NOT EXISTS \
    (SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND pid = substring(datname FROM '[0-9]+')::INT)";

impl PostgresServer {
    fn prepare() -> Self {
        let url = server();
        let owner = own(&url);
        wait(async {
            let client = connect(&url).await;
            let leftovers = client.query(LEFTOVERS, &[&OWNER]).await.expect("looking for what earlier runs left");
            for row in leftovers {
                // Another run may clean up at the same time.
                let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", row.get::<_, String>(0))).await;
            }
            let version = client.query_one("SELECT current_setting('server_version_num')::INT", &[]).await;
            let version: i32 = version.expect("asking the server for its version").get(0);
            let template = format!("keyward_template_{owner}");
            client.batch_execute(&format!("CREATE DATABASE {template}")).await.expect("making the template database");
            let store = Store::open(&address(&url, &template)).await.expect("opening the template database");
            store.migrate().await.expect("migrating the template database");
            let strategy = if version >= 150_000 { "STRATEGY FILE_COPY" } else { "" };
            Self { url: url.clone(), owner, strategy, free: Mutex::default() }
        })
    }
}

/// Opens a session that ends with this process, and yields its id on the server.
fn own(url: &Url) -> i32 {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair("application_name", OWNER);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        wait(async {
            let client = connect(&url).await;
            let row = client.query_one("SELECT pg_backend_pid()", &[]).await.expect("asking for the id of a session");
            let _ = tell.send(row.get::<_, i32>(0));
            std::future::pending::<()>().await;
        });
    });
    told.recv().expect("the session that owns the databases of this run")
}

/// Removes every row of a database, past all triggers, when nobody uses it any more.
async fn empty(server: &Url, name: &str) -> Result<(), tokio_postgres::Error> {
    const OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
        AND pid <> pg_backend_pid()";
    const TABLES: &str = "SELECT format('DELETE FROM %I', tablename) FROM pg_tables WHERE schemaname = 'public' \
        AND tablename <> 'keyward_migrations'";
    let mut url = server.clone();
    url.set_path(name);
    let client = connect(&url).await;
    client.batch_execute(OTHERS).await?;
    let tables = client.query(TABLES, &[]).await?;
    let deletes: Vec<String> = tables.iter().map(|row| row.get(0)).collect();
    client.batch_execute(&format!("BEGIN; SET LOCAL session_replication_role = replica; {}; COMMIT", deletes.join("; "))).await
}

#[expect(clippy::disallowed_methods, reason = "the test run names its server in the environment")]
fn server() -> Url {
    let text = std::env::var("KEYWARD_TEST_POSTGRES").unwrap_or_else(|_| panic!("{WITHOUT_POSTGRES}"));
    Url::parse(&text).expect("KEYWARD_TEST_POSTGRES is no URL")
}

/// Few connections: many tests share one server.
fn address(server: &Url, database: &str) -> String {
    let mut address = server.clone();
    address.set_path(database);
    address.query_pairs_mut().append_pair("max_conns", "4");
    address.into()
}

async fn connect(server: &Url) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(server.as_str(), NoTls)
        .await
        .unwrap_or_else(|error| panic!("connecting to the server of KEYWARD_TEST_POSTGRES: {error}"));
    tokio::spawn(connection);
    client
}

async fn administer(server: &Url, sql: &str) {
    connect(server).await.batch_execute(sql).await.unwrap_or_else(|error| panic!("`{sql}`: {error}"));
}

/// Runs to the end on a thread and runtime of its own: the caller may be inside of a runtime that must not block.
fn wait<T: Send>(work: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("starting a runtime").block_on(work)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
