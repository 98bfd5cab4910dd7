//! Taking messages out of the outbox: in the background of a server, or as a process of its own with `keyward courier watch`.
//! Any number of processes may do so; the database lets each message be taken by one.
//! Knows when to look and when to stop, and leaves to the services how a message is delivered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keyward_http::AppState;
use keyward_services::App;
use keyward_services::courier::deliver_due_until;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::reload::{Origin, complete_secrets};
use crate::serve::{Start, StopSignals, cores, open};
use crate::system::{SystemClock, SystemRandom};
use crate::{Failure, block_on, cli};

/// However short the configured time is.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// Attempts under way when the process is told to stop may end.
const FAREWELL: Duration = Duration::from_secs(15);

/// A worker in the background.
pub(crate) struct Worker {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Worker {
    /// Starts it. Unless `always`, it only works while the configuration in force says `watch-courier` or is for development.
    pub(crate) fn start(state: AppState, always: bool) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(watch_outbox(state, always, stopped));
        Self { stop, task }
    }

    /// Lets attempts under way end, and gives back what was not begun.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        if tokio::time::timeout(FAREWELL, self.task).await.is_err() {
            tracing::warn!("Messages were still being delivered; they are due again when their lease ends");
        }
    }
}

async fn watch_outbox(state: AppState, always: bool, mut stopped: watch::Receiver<bool>) {
    loop {
        // The configuration may be another one by now.
        let app = state.load_full();
        let wait = app.config.courier.pull_wait.to_std().max(SHORTEST_WAIT);
        if always || watches(&app) {
            let looking = stopped.clone();
            let outcome = deliver_due_until(&app, app.now(), move || *looking.borrow()).await;
            match outcome {
                // There may be more.
                Ok(round) if round.taken >= app.config.courier.pull_count as usize && !*stopped.borrow() => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "The outbox could not be read or written; the next look tries again"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // An error means that the server is gone.
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// Whether a server delivers by itself.
const fn watches(app: &App) -> bool {
    app.config.watch_courier || app.config.dev
}

/// `keyward courier watch`.
pub(crate) fn run(arguments: &cli::CourierWatch) -> Result<(), Failure> {
    let origin = Origin { files: arguments.config.files.clone(), overrides: BTreeMap::new(), dev: arguments.dev };
    let (_, mut loaded) = origin.load()?;
    crate::log::to_stderr(loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if loaded.generated_secrets_needed {
        return Err(Failure::say(
            "without secrets nothing in the outbox can be read: set secrets.default to what the servers have",
        ));
    }
    complete_secrets(&mut loaded, &mut None);
    let config = loaded.config;
    if !config.courier.delivers() {
        return Err(Failure::say("there is nothing that delivers messages: set courier.smtp.connection_uri"));
    }
    block_on(async {
        let signals = StopSignals::catch()?;
        let store = open(&config, Start::Configured).await?;
        let app = App::build(config, store, Arc::new(SystemClock), Arc::new(SystemRandom), cores())
            .map_err(|error| Failure::new("this configuration cannot be used", &error))?;
        let worker = Worker::start(keyward_http::app_state(app), true);
        tracing::info!("Watching the outbox");
        signals.wait().await;
        worker.stop().await;
        Ok(())
    })
}
