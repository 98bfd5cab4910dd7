//! Where log lines go and what they look like.
//! `serve` sets it up once, from the configuration; nothing can change it while the program runs.
//! Decides which crates may speak, not what they say.

use keyward_config::{Log, LogFormat, LogLevel};
use tracing_subscriber::EnvFilter;

/// Writes lines to standard error from now on.
pub(crate) fn to_stderr(log: Log) {
    let level = match log.level {
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
    let outcome = match log.format {
        LogFormat::Json => subscriber.json().try_init(),
        LogFormat::Text => subscriber.try_init(),
    };
    if outcome.is_err() {
        eprintln!("keyward: logging was set up already");
    }
}
