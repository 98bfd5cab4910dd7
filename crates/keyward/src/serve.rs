//! Putting the floors together and serving until told to stop.
//! `keyward serve` and `keyward quickstart` call it with a loaded configuration.
//! Knows nothing of requests: listeners get a router and run.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use keyward_config::{Config, ConfigErrors, Flags, Loaded, Source, Tls};
use keyward_http::{ConfigStatus, Listening, Telemetry, TlsKeys};
use keyward_model::Secret;
use keyward_services::App;
use keyward_store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::courier::Worker;
use crate::reload::{Origin, Reloader, complete_secrets};
use crate::system::{SystemClock, SystemRandom};
use crate::{Failure, cleanup, cli};

/// `keyward serve`.
pub(crate) fn run(arguments: &cli::Serve) -> Result<(), Failure> {
    let origin = Origin { files: arguments.config.files.clone(), overrides: BTreeMap::new(), dev: arguments.dev };
    serve(origin, Start::Configured, arguments.watch_courier, |_| {})
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
    try_load(sources, overrides, dev).map_err(|errors| Failure::say(format!("the configuration cannot be used:\n{errors}")))
}

/// As [`load`], with the mistakes one by one.
pub(crate) fn try_load(sources: &[Source], overrides: &BTreeMap<String, String>, dev: bool) -> Result<Loaded, ConfigErrors> {
    #[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
    let mut environment: BTreeMap<String, String> = std::env::vars().collect();
    environment.extend(overrides.iter().map(|(name, value)| (name.clone(), value.clone())));
    let flags = Flags { dev, hostname: hostname(), cpus: u32::try_from(cores().get()).unwrap_or(1) };
    keyward_config::load(sources, &environment, &flags)
}

/// Serves until the process is told to stop. `ready` runs once both ports listen.
/// `watch_courier`: deliver mail, whatever the configuration says about it.
pub(crate) fn serve(origin: Origin, start: Start, watch_courier: bool, ready: impl FnOnce(&Ready)) -> Result<(), Failure> {
    let (sources, mut loaded) = origin.load()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("cannot start the runtime", &error))?;
    #[cfg(feature = "otlp")]
    let watching = crate::traces::Watching::start(&loaded.config, runtime.handle())?;
    #[cfg(not(feature = "otlp"))]
    crate::log::to_stderr(loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    #[cfg(not(feature = "otlp"))]
    if loaded.config.traces.is_some() {
        let how = "build one with `cargo build --release -p keyward --features otlp`";
        tracing::warn!("tracing.provider: this binary sends no traces; {how}");
    }
    let mut generated = None;
    complete_secrets(&mut loaded, &mut generated);
    if generated.is_some() {
        tracing::warn!("No secrets are configured: sessions and cookies end with this process");
    }
    let outcome = runtime.block_on(run_server(Given { origin, sources, loaded, generated, watch_courier }, start, ready));
    #[cfg(feature = "otlp")]
    watching.end();
    outcome
}

/// What a server starts from, and comes back to when a file changes.
struct Given {
    origin: Origin,
    sources: Vec<Source>,
    loaded: Loaded,
    generated: Option<Secret<String>>,
    watch_courier: bool,
}

async fn run_server(given: Given, start: Start, ready: impl FnOnce(&Ready)) -> Result<(), Failure> {
    // Caught before anything can be reached, so that a stop right after the start is an orderly one.
    let signals = StopSignals::catch()?;
    let Given { origin, sources, loaded, generated, watch_courier } = given;
    let Loaded { config, effective, .. } = loaded;
    let public_tls = certificate("public", config.public.tls.as_ref())?;
    let admin_tls = certificate("admin", config.admin.tls.as_ref())?;
    let store = open(&config, start).await?;
    let public = bind("public", &config.public.host, config.public.port).await?;
    let admin = bind("admin", &config.admin.host, config.admin.port).await?;
    let base = config.public.base_url.as_str().to_owned();
    let revision = config.revision.clone();
    let app = App::build(config, store, Arc::new(SystemClock), Arc::new(SystemRandom), cores())
        .map_err(|error| Failure::new("this configuration cannot be served", &error))?;
    if (watch_courier || app.config.watch_courier) && !app.config.courier.delivers() && !app.config.mailbox {
        tracing::warn!("There is no courier to watch: messages wait in the outbox until courier.smtp.connection_uri is set");
    }
    let status = ConfigStatus { hash: effective.fingerprint(), revision, ..ConfigStatus::new(app.now()) };
    let telemetry = Arc::new(Telemetry::new(status));
    let state = keyward_http::app_state(app);
    let reloader = Reloader {
        origin,
        state: Arc::clone(&state),
        telemetry: Arc::clone(&telemetry),
        certificates: public_tls.iter().chain(&admin_tls).cloned().collect(),
        looked_at: sources,
        in_force: effective,
        generated,
    };
    // Both ports are bound, so clients are queued from now on even where the first one is not accepted yet.
    ready(&Ready { public: base });
    let (public, admin) = (Listening { listener: public, tls: public_tls }, Listening { listener: admin, tls: admin_tls });
    let worker = Worker::start(Arc::clone(&state), watch_courier || start == Start::Quickstart);
    let serving = keyward_http::serve_with(public, admin, Arc::clone(&state), telemetry, signals.wait());
    let outcome = tokio::select! {
        outcome = serving => outcome.map_err(|error| Failure::new("cannot serve", &error)),
        () = reloader.run() => Err(Failure::say("the watch over the configuration ended unexpectedly")),
        () = cleanup::in_background(state) => Err(Failure::say("cleaning ended unexpectedly")),
    };
    worker.stop().await;
    outcome
}

/// Opens the database, which has to be prepared unless this start may do so.
pub(crate) async fn open(config: &Config, start: Start) -> Result<Store, Failure> {
    let store = Store::open(config.dsn.reveal()).await.map_err(|error| Failure::new("cannot open the database (dsn)", &error))?;
    match start {
        Start::Quickstart => {
            store.migrate().await.map_err(|error| Failure::new("cannot prepare the database", &error))?;
        }
        Start::Configured => {
            let pending =
                store.pending_migrations().await.map_err(|error| Failure::new("cannot look at the database (dsn)", &error))?;
            if !pending.is_empty() {
                let count = pending.len();
                return Err(Failure::say(format!(
                    "the database is not prepared for this version ({count} migrations are missing): run `keyward migrate sql -e --yes` first"
                )));
            }
        }
    }
    Ok(store)
}

fn certificate(which: &str, tls: Option<&Tls>) -> Result<Option<Arc<TlsKeys>>, Failure> {
    let load = |tls: &Tls| TlsKeys::load(tls.clone()).map(Arc::new);
    tls.map(load).transpose().map_err(|error| Failure::new(&format!("serve.{which}.tls"), &error))
}

async fn bind(which: &str, host: &str, port: u16) -> Result<TcpListener, Failure> {
    TcpListener::bind((host, port)).await.map_err(|error| {
        Failure::new(&format!("cannot listen on serve.{which} ({host}:{port}); is another program using it?"), &error)
    })
}

/// SIGTERM and Ctrl-C, caught from the moment this is made.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    pub(crate) fn catch() -> Result<Self, Failure> {
        let catch = |kind| signal(kind).map_err(|error| Failure::new("cannot catch signals", &error));
        Ok(Self { interrupt: catch(SignalKind::interrupt())?, terminate: catch(SignalKind::terminate())? })
    }

    pub(crate) async fn wait(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        tracing::info!("Stopping: open requests are answered first");
    }
}

/// Cores that this process may use.
pub(crate) fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
