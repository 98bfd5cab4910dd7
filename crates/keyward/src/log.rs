//! Where log lines go and what they look like, and which crates are listened to.
//! `serve` sets it up once, from the configuration; nothing can change it while the program runs.
//! Decides which crates may speak, not what they say.

use keyward_config::{Log, LogFormat, LogLevel};
use tracing_subscriber::EnvFilter;

/// The crates whose lines and spans are of interest.
pub(crate) const OURS: [&str; 5] = ["keyward", "keyward_http", "keyward_selfservice", "keyward_services", "keyward_store"];

/// Writes lines to standard error from now on.
pub(crate) fn to_stderr(log: Log) {
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter(log)).with_ansi(colours()).with_writer(std::io::stderr);
    let outcome = match log.format {
        LogFormat::Json => subscriber.json().try_init(),
        LogFormat::Text => subscriber.try_init(),
    };
    if outcome.is_err() {
        eprintln!("keyward: logging was set up already");
    }
}

/// As [`to_stderr`], with another listener that has a filter of its own.
#[cfg(feature = "otlp")]
pub(crate) fn to_stderr_beside(log: Log, other: impl tracing_subscriber::Layer<tracing_subscriber::Registry> + Send + Sync) {
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
    use tracing_subscriber::util::SubscriberInitExt as _;

    let lines = tracing_subscriber::fmt::layer().with_ansi(colours()).with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Json => lines.json().boxed(),
        LogFormat::Text => lines.boxed(),
    };
    if tracing_subscriber::registry().with(other).with(lines.with_filter(filter(log))).try_init().is_err() {
        eprintln!("keyward: logging was set up already");
    }
}

fn colours() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

fn filter(log: Log) -> EnvFilter {
    let level = match log.level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    // Libraries speak only when something is wrong: their debug lines may show addresses and headers.
    let ours: String = OURS.iter().map(|name| format!(",{name}={level}")).collect();
    EnvFilter::new(format!("warn{ours}"))
}
