//! Configuration and certificates that change while the server runs: watched, judged, and put into force as a whole or not at
//! all.
//! `serve` starts it beside the listeners; SIGHUP makes it look at once.
//! Knows files and the order of steps, not what any key means.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keyward_config::{Effective, Loaded, Source};
use keyward_http::{AppState, ConfigStatus, Telemetry, TlsKeys};
use keyward_model::{Random, Secret};
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecursiveMode, Watcher as _};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::Failure;
use crate::serve;
use crate::system::SystemRandom;

/// Files change in several steps; looking waits until there was quiet for so long …
const QUIET: Duration = Duration::from_millis(100);
/// … but not longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Some file systems tell nobody about changes, and a busy folder can drown a notice; so the files are also looked at unasked.
const UNASKED: Duration = Duration::from_secs(30);

/// Where a configuration comes from; loading again reads the files again.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The files of the command line, in its order.
    pub(crate) files: Vec<PathBuf>,
    /// What wins over the environment.
    pub(crate) overrides: BTreeMap<String, String>,
    /// `--dev`.
    pub(crate) dev: bool,
}

impl Origin {
    /// Loads for the start, and says all that is wrong at once.
    pub(crate) fn load(&self) -> Result<(Vec<Source>, Loaded), Failure> {
        let sources =
            keyward_config::read_files(&self.files).map_err(|error| Failure::new("cannot read the configuration", &error))?;
        let loaded = serve::load(&sources, &self.overrides, self.dev)?;
        Ok((sources, loaded))
    }

    /// Loads again; every mistake is a line.
    fn reload(&self, sources: &[Source]) -> Result<Loaded, Vec<String>> {
        serve::try_load(sources, &self.overrides, self.dev).map_err(|errors| errors.0.iter().map(ToString::to_string).collect())
    }
}

/// Secrets that a development server made for itself stay the same for as long as it runs.
pub(crate) fn complete_secrets(loaded: &mut Loaded, generated: &mut Option<Secret<String>>) {
    if loaded.generated_secrets_needed {
        let random: &dyn Random = &SystemRandom;
        let secret = generated.get_or_insert_with(|| Secret::new(random.alphanumeric(32)));
        loaded.config.secrets.default = vec![secret.clone()];
    }
}

/// What has to be kept between two looks.
pub(crate) struct Reloader {
    pub(crate) origin: Origin,
    pub(crate) state: AppState,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Certificates of the listeners.
    pub(crate) certificates: Vec<Arc<TlsKeys>>,
    /// The files as they were last looked at, good or bad.
    pub(crate) looked_at: Vec<Source>,
    pub(crate) in_force: Effective,
    pub(crate) generated: Option<Secret<String>>,
}

impl Reloader {
    /// Watches for as long as the future is polled.
    pub(crate) async fn run(mut self) {
        let (sender, mut changes) = mpsc::channel(1);
        // Dropping it would end the watch.
        let watching = watch(&self.watched_files(), sender);
        if let Err(error) = &watching {
            tracing::warn!(%error, "configuration files are not watched; they are looked at every half minute");
        }
        let mut hangups = signal(SignalKind::hangup()).ok();
        let hangup = async |hangups: &mut Option<Signal>| match hangups {
            Some(hangups) => hangups.recv().await,
            None => std::future::pending().await,
        };
        loop {
            tokio::select! {
                Some(()) = changes.recv() => self.settled(&mut changes).await,
                Some(()) = hangup(&mut hangups) => self.look(true).await,
                () = tokio::time::sleep(UNASKED) => self.look(false).await,
            }
        }
    }

    async fn settled(&mut self, changes: &mut mpsc::Receiver<()>) {
        let quiet = async { while let Ok(Some(())) = tokio::time::timeout(QUIET, changes.recv()).await {} };
        let _ = tokio::time::timeout(LONGEST_WAIT, quiet).await;
        self.look(false).await;
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        let certificates = self.certificates.iter().flat_map(|keys| keys.files()).map(PathBuf::from);
        self.origin.files.iter().cloned().chain(certificates).collect()
    }

    async fn look(&mut self, forced: bool) {
        for keys in &self.certificates {
            match keys.reload() {
                Ok(true) => tracing::info!("A new certificate is in use"),
                Ok(false) => {}
                Err(error) => {
                    let cause = Failure::new("the certificate in use is kept", &error).to_string();
                    tracing::warn!(cause, "A certificate cannot be used");
                }
            }
        }
        let sources = match keyward_config::read_files(&self.origin.files) {
            Ok(sources) => sources,
            Err(error) => {
                // Whatever can be read next is looked at, even if it is what was looked at before.
                self.looked_at.clear();
                return self.refuse(vec![Failure::new("cannot read the configuration", &error).to_string()]);
            }
        };
        if sources == self.looked_at && !forced {
            return;
        }
        let outcome = self.apply(&sources).await;
        self.looked_at = sources;
        if let Err(mistakes) = outcome {
            self.refuse(mistakes);
        }
    }

    async fn apply(&mut self, sources: &[Source]) -> Result<(), Vec<String>> {
        let mut loaded = self.origin.reload(sources)?;
        let fixed = self.in_force.fixed_changes(&loaded.effective);
        if !fixed.is_empty() {
            let say = |key| format!("{key}: cannot change while the server runs; restart it to use the new value");
            return Err(fixed.into_iter().map(say).collect());
        }
        complete_secrets(&mut loaded, &mut self.generated);
        let Loaded { config, warnings, effective, .. } = loaded;
        let revision = config.revision.clone();
        let current = self.state.load_full();
        // Compiling schemas reads files.
        let built = tokio::task::spawn_blocking(move || current.rebuild(config, serve::cores())).await;
        let next = match built {
            Ok(Ok(next)) => next,
            Ok(Err(error)) => return Err(vec![Failure::new("this configuration cannot be served", &error).to_string()]),
            Err(_) => return Err(vec!["this configuration cannot be served: building it failed unexpectedly".to_owned()]),
        };
        let now = next.now();
        self.state.store(Arc::new(next));
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let hash = effective.fingerprint();
        tracing::info!(hash, "The configuration was reloaded");
        self.in_force = effective;
        let before = self.telemetry.config();
        self.telemetry.set_config(ConfigStatus {
            hash,
            revision,
            reloads: before.reloads + 1,
            refused_reloads: before.refused_reloads,
            ..ConfigStatus::new(now)
        });
        Ok(())
    }

    fn refuse(&self, mistakes: Vec<String>) {
        for mistake in &mistakes {
            tracing::error!("{mistake}");
        }
        tracing::error!(mistakes = mistakes.len(), "The new configuration cannot be used; the running one stays in force");
        let before = self.telemetry.config();
        let refused_reloads = before.refused_reloads + 1;
        self.telemetry.set_config(ConfigStatus { pending_errors: mistakes, refused_reloads, ..ConfigStatus::clone(&before) });
    }
}

/// Watches the folders of the files: editors and Kubernetes replace files and links, and a watch on a file would stay with the
/// old one.
fn watch(files: &[PathBuf], changes: mpsc::Sender<()>) -> notify::Result<notify::RecommendedWatcher> {
    let mut names: BTreeSet<OsString> = BTreeSet::new();
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for file in files {
        let target = std::fs::canonicalize(file).unwrap_or_else(|_| file.clone());
        for path in [file, &target] {
            names.extend(path.file_name().map(OsString::from));
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            folders.insert(folder.unwrap_or(Path::new(".")).to_owned());
        }
    }
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        // Looking at a file is an event as well.
        let is_look = matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
        let concerns = |path: &PathBuf| {
            // Kubernetes swaps a link beside the files whose name begins with two dots.
            path.file_name().is_some_and(|name| names.contains(name) || name.as_encoded_bytes().starts_with(b".."))
        };
        if event.need_rescan() || (!is_look && event.paths.iter().any(concerns)) {
            // A full channel already says that something changed.
            let _ = changes.try_send(());
        }
    })?;
    for folder in folders {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}
