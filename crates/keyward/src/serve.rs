//! Putting the floors together and serving until told to stop.
//! `keyward serve` and `keyward quickstart` call it with a loaded configuration.
//! Knows nothing of requests: listeners get a router and run.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use keyward_config::{Flags, Loaded, LogFormat, LogLevel, Source};
use keyward_model::{Random, Secret};
use keyward_services::App;
use keyward_store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::Failure;
use crate::cli;
use crate::system::{SystemClock, SystemRandom};

/// `keyward serve`.
pub(crate) fn run(arguments: &cli::Serve) -> Result<(), Failure> {
    let sources = read(&arguments.config)?;
    let loaded = load(&sources, &BTreeMap::new(), arguments.dev)?;
    serve(loaded, Start::Configured, |_| {})
}

/// How a server was started; decides what it may do to its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// By an operator: the database must be prepared.
    Configured,
    /// As a local trial: it prepares its own database.
    Quickstart,
}

/// Where a server can be reached once it listens.
#[derive(Debug)]
pub(crate) struct Ready {
    /// `serve.public.base_url`.
    pub(crate) public: String,
}

/// Reads the configuration files that the command line names.
pub(crate) fn read(files: &cli::ConfigFiles) -> Result<Vec<Source>, Failure> {
    keyward_config::read_files(&files.files).map_err(|error| Failure::new("cannot read the configuration", &error))
}

/// Loads a configuration with the environment's overrides, and `overrides` above them; says all that is wrong at once.
pub(crate) fn load(sources: &[Source], overrides: &BTreeMap<String, String>, dev: bool) -> Result<Loaded, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
    let mut environment: BTreeMap<String, String> = std::env::vars().collect();
    environment.extend(overrides.iter().map(|(name, value)| (name.clone(), value.clone())));
    let flags = Flags { dev, hostname: hostname(), cpus: u32::try_from(cores().get()).unwrap_or(1) };
    keyward_config::load(sources, &environment, &flags)
        .map_err(|errors| Failure::say(format!("the configuration cannot be used:\n{errors}")))
}

/// Serves until the process is told to stop. `ready` runs once both ports listen.
pub(crate) fn serve(mut loaded: Loaded, start: Start, ready: impl FnOnce(&Ready)) -> Result<(), Failure> {
    log_to_stderr(&loaded);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if loaded.generated_secrets_needed {
        tracing::warn!("No secrets are configured: sessions and cookies end with this process");
        let random: &dyn Random = &SystemRandom;
        loaded.config.secrets.default = vec![Secret::new(random.alphanumeric(32))];
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("cannot start the runtime", &error))?;
    runtime.block_on(run_server(loaded, start, ready))
}

async fn run_server(loaded: Loaded, start: Start, ready: impl FnOnce(&Ready)) -> Result<(), Failure> {
    // Caught before anything can be reached, so that a stop right after the start is an orderly one.
    let signals = StopSignals::catch()?;
    let config = loaded.config;
    let store = Store::open(config.dsn.reveal()).await.map_err(|error| Failure::new("cannot open the database (dsn)", &error))?;
    match start {
        Start::Quickstart => {
            store.migrate().await.map_err(|error| Failure::new("cannot prepare the database", &error))?;
        }
        Start::Configured => {
            let pending =
                store.pending_migrations().await.map_err(|error| Failure::new("cannot look at the database", &error))?;
            if !pending.is_empty() {
                let count = pending.len();
                return Err(Failure::say(format!(
                    "the database is not prepared for this version ({count} migrations are missing): run `keyward migrate sql -e --yes` first"
                )));
            }
        }
    }
    let public = bind("public", &config.public.host, config.public.port).await?;
    let admin = bind("admin", &config.admin.host, config.admin.port).await?;
    let base = config.public.base_url.as_str().to_owned();
    let app = App::build(config, store, Arc::new(SystemClock), Arc::new(SystemRandom), cores())
        .map_err(|error| Failure::new("this configuration cannot be served", &error))?;
    let state = keyward_http::app_state(app);
    // Both ports are bound, so clients are queued from now on even where the first one is not accepted yet.
    ready(&Ready { public: base });
    keyward_http::serve(public, admin, state, signals.wait()).await.map_err(|error| Failure::new("cannot serve", &error))
}

async fn bind(which: &str, host: &str, port: u16) -> Result<TcpListener, Failure> {
    TcpListener::bind((host, port)).await.map_err(|error| {
        Failure::new(&format!("cannot listen on serve.{which} ({host}:{port}); is another program using it?"), &error)
    })
}

/// SIGTERM and Ctrl-C, caught from the moment this is made.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn catch() -> Result<Self, Failure> {
        let catch = |kind| signal(kind).map_err(|error| Failure::new("cannot catch signals", &error));
        Ok(Self { interrupt: catch(SignalKind::interrupt())?, terminate: catch(SignalKind::terminate())? })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        tracing::info!("Stopping: open requests are answered first");
    }
}

fn log_to_stderr(loaded: &Loaded) {
    let level = match loaded.config.log.level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    // Libraries speak only when something is wrong: their debug lines may show addresses and headers.
    let filter = EnvFilter::new(format!(
        "warn,keyward={level},keyward_http={level},keyward_selfservice={level},keyward_services={level},keyward_store={level}"
    ));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let outcome = match loaded.config.log.format {
        LogFormat::Json => subscriber.json().try_init(),
        LogFormat::Text => subscriber.try_init(),
    };
    if outcome.is_err() {
        eprintln!("keyward: logging was set up already");
    }
}

/// Cores that this process may use.
fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
