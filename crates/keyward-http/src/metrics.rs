//! What operators can see of a running server: counts and times of requests, the state of its queues, and which configuration
//! is in force.
//! [`crate::serve`] makes one [`Telemetry`] for both ports; the middleware here feeds it, the admin port shows it.
//! Handles are made once for each route, so that a request costs a look-up and a few atomic operations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use keyward_model::Time;
use keyward_services::App;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::time::Instant;

/// Upper bounds in seconds: from a row that was at hand to a password that had to wait.
const BUCKETS: &[f64] = &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

const REQUESTS: &str = "http_requests_total";
const DURATION: &str = "http_requests_duration_seconds";
const SIGN_INS: &str = "keyward_sign_ins_total";
const MESSAGES: &str = "keyward_courier_messages_total";
const WAITING: &str = "keyward_password_queue_waiting";
const HASHING: &str = "keyward_password_queue_busy";
const DATABASE_ERRORS: &str = "keyward_database_errors_total";
const RELOADS: &str = "keyward_config_reloads_total";
const LOADED_AT: &str = "keyward_config_loaded_timestamp_seconds";

/// Which configuration is in force, and whether a newer one waits for its mistakes to be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigStatus {
    /// When the configuration in force was loaded.
    pub loaded_at: Time,
    /// SHA-256 of it in hex.
    pub hash: String,
    /// The operator's own name for it.
    pub revision: Option<String>,
    /// Why a newer one was refused, one sentence for each mistake and none with a secret; empty when the newest is in force.
    pub pending_errors: Vec<String>,
    /// Reloads that took effect.
    pub reloads: u64,
    /// Reloads that were refused.
    pub refused_reloads: u64,
}

impl ConfigStatus {
    /// A configuration that was just put into force.
    pub const fn new(loaded_at: Time) -> Self {
        Self { loaded_at, hash: String::new(), revision: None, pending_errors: Vec::new(), reloads: 0, refused_reloads: 0 }
    }
}

/// Counts and states of one server.
pub struct Telemetry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    routes: [ArcSwap<HashMap<String, Arc<RouteHandles>>>; 2],
    growing: Mutex<()>,
    config: ArcSwap<ConfigStatus>,
}

/// The port that a request came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Public,
    Admin,
}

impl Port {
    const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Admin => "admin",
        }
    }
}

struct RouteHandles {
    classes: [Counter; CLASSES.len()],
    duration: Histogram,
}

impl Telemetry {
    /// Starts counting for a server that runs with this configuration.
    pub fn new(config: ConfigStatus) -> Self {
        // Only an empty list of buckets is refused.
        let builder = PrometheusBuilder::new().set_buckets(BUCKETS).unwrap_or_default();
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let telemetry = Self {
            recorder,
            handle,
            routes: Default::default(),
            growing: Mutex::default(),
            config: ArcSwap::from_pointee(config),
        };
        telemetry.describe();
        telemetry
    }

    /// Which configuration is in force.
    pub fn config(&self) -> Arc<ConfigStatus> {
        self.config.load_full()
    }

    /// Another configuration is in force, or one was refused.
    pub fn set_config(&self, status: ConfigStatus) {
        self.config.store(Arc::new(status));
    }

    /// Sorts what was measured into its buckets. Called every few seconds, so that nothing piles up where nobody asks.
    pub(crate) fn tidy(&self) {
        self.handle.run_upkeep();
    }

    /// The Prometheus text format, version 0.0.4.
    pub(crate) fn render(&self, app: &App) -> String {
        for (method, result, count) in app.sign_ins.counts() {
            self.counter(SIGN_INS, &[("method", method), ("result", result)]).absolute(count);
        }
        for (channel, result, count) in app.messages.counts() {
            self.counter(MESSAGES, &[("channel", channel), ("result", result)]).absolute(count);
        }
        let load = app.hasher.load();
        self.gauge(WAITING, &[("lane", "public")]).set(load.waiting_public as f64);
        self.gauge(WAITING, &[("lane", "signed_in")]).set(load.waiting_signed_in as f64);
        self.gauge(HASHING, &[]).set(load.busy as f64);
        self.counter(DATABASE_ERRORS, &[]).absolute(app.store.failures());
        let config = self.config();
        self.counter(RELOADS, &[("result", "done")]).absolute(config.reloads);
        self.counter(RELOADS, &[("result", "refused")]).absolute(config.refused_reloads);
        self.gauge(LOADED_AT, &[]).set(config.loaded_at.unix() as f64);
        self.handle.render()
    }

    fn describe(&self) {
        let counter = |name: &'static str, text: &'static str| {
            self.recorder.describe_counter(KeyName::from(name), None, SharedString::from(text));
        };
        let gauge = |name: &'static str, text: &'static str| {
            self.recorder.describe_gauge(KeyName::from(name), None, SharedString::from(text));
        };
        counter(REQUESTS, "Answered requests by port, route and class of the status.");
        self.recorder.describe_histogram(
            KeyName::from(DURATION),
            Some(Unit::Seconds),
            SharedString::from("Time from the head of a request to the head of its answer, in seconds."),
        );
        counter(SIGN_INS, "Sign-ins by method and result.");
        counter(MESSAGES, "Messages queued, delivered and given up, and attempts that failed, by channel.");
        gauge(WAITING, "Passwords that wait to be hashed or compared, by lane.");
        gauge(HASHING, "Passwords being hashed or compared.");
        counter(DATABASE_ERRORS, "Failed calls of the database.");
        counter(RELOADS, "Reloads of the configuration by result.");
        gauge(LOADED_AT, "When the configuration in force was loaded, in seconds since the Unix epoch.");
    }

    fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        self.recorder.register_counter(&key(name, labels), &METADATA)
    }

    fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        self.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    /// The handles of a route. Routes are those of the program, so there are never many.
    fn route(&self, port: Port, route: &str) -> Arc<RouteHandles> {
        let Some(known) = self.routes.get(port as usize) else { return Arc::new(self.handles(port, route)) };
        if let Some(handles) = known.load().get(route) {
            return Arc::clone(handles);
        }
        let _alone = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut more = HashMap::clone(&known.load());
        let handles = Arc::clone(more.entry(route.to_owned()).or_insert_with(|| Arc::new(self.handles(port, route))));
        known.store(Arc::new(more));
        handles
    }

    fn handles(&self, port: Port, route: &str) -> RouteHandles {
        let port = port.name();
        RouteHandles {
            classes: CLASSES.map(|class| self.counter(REQUESTS, &[("port", port), ("route", route), ("status", class)])),
            duration: self.recorder.register_histogram(&key(DURATION, &[("port", port), ("route", route)]), &METADATA),
        }
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("config", &self.config.load()).finish_non_exhaustive()
    }
}

static METADATA: Metadata<'static> = Metadata::new("keyward_http", Level::INFO, None);

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(name, labels)
}

/// What a router measures with.
#[derive(Clone)]
pub(crate) struct Measuring {
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) port: Port,
}

/// Counts and times an answer. Lies outside of everything else around the routes, inside the same layer as
/// [`crate::front`]: a layer of its own would cost every request a few allocations.
pub(crate) async fn measure<F>(measuring: &Measuring, request: Request, answer: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let started = Instant::now();
    // Known paths only: what strangers type must not become a label.
    let handles = match request.extensions().get::<MatchedPath>() {
        Some(path) => measuring.telemetry.route(measuring.port, path.as_str()),
        None => measuring.telemetry.route(measuring.port, "none"),
    };
    let answer = answer(request).await;
    let class = usize::from(answer.status().as_u16() / 100).wrapping_sub(1);
    if let Some(counter) = handles.classes.get(class) {
        counter.increment(1);
    }
    handles.duration.record(started.elapsed());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_a_route_are_made_once() {
        let telemetry = Telemetry::new(ConfigStatus::new(Time::from_unix(0)));
        let first = telemetry.route(Port::Public, "/sessions/whoami");
        assert!(Arc::ptr_eq(&first, &telemetry.route(Port::Public, "/sessions/whoami")));
        assert!(!Arc::ptr_eq(&first, &telemetry.route(Port::Admin, "/sessions/whoami")));
        first.classes[1].increment(2);
        first.duration.record(0.003);
        telemetry.tidy();
        let text = telemetry.handle.render();
        for line in [
            "http_requests_total{port=\"public\",route=\"/sessions/whoami\",status=\"2xx\"} 2",
            "http_requests_duration_seconds_bucket{port=\"public\",route=\"/sessions/whoami\",le=\"0.0025\"} 0",
            "http_requests_duration_seconds_bucket{port=\"public\",route=\"/sessions/whoami\",le=\"0.005\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
