//! Traces for an OpenTelemetry collector: spans leave over OTLP (HTTP and protobuf), as `tracing` of the configuration says.
//! `serve` starts them together with the log and flushes them at its end.
//! Knows where spans go, not what stands in them: those who make them keep secrets out, as they do for log lines.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use keyward_config::{Config, Traces};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::{Failure, identities_client, log};

/// How long one export may take, and the flush at the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer to an export says next to nothing.
const LONGEST_ANSWER: usize = 64 * 1_024;

/// Lines that are written, and spans that are sent if the configuration names a collector.
pub(crate) struct Watching(Option<Exporting>);

impl Watching {
    /// Starts both.
    pub(crate) fn start(config: &Config, runtime: &Handle) -> Result<Self, Failure> {
        let exporting = config.traces.as_ref().map(|traces| Exporting::start(traces, runtime.clone())).transpose()?;
        match &exporting {
            Some(exporting) => log::to_stderr_beside(config.log, exporting.layer()),
            None => log::to_stderr(config.log),
        }
        Ok(Self(exporting))
    }

    /// Sends what is left.
    pub(crate) fn end(self) {
        if let Some(exporting) = self.0 {
            exporting.flush();
        }
    }
}

/// Spans on their way out. Whatever is not flushed when it goes is lost.
struct Exporting(SdkTracerProvider);

impl Exporting {
    /// Prepares exports; they are sent on this runtime.
    fn start(traces: &Traces, runtime: Handle) -> Result<Self, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::new("cannot set up tracing.providers.otlp", error);
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client { http: identities_client::operators_server(PATIENCE)?, runtime })
            .with_endpoint(&traces.endpoint)
            .with_timeout(PATIENCE);
        if let Some(value) = &traces.authorization_header {
            exporter = exporter.with_headers([("authorization".to_owned(), value.reveal().clone())].into());
        }
        let mut resource = Resource::builder_empty()
            .with_service_name(traces.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        if let Some(name) = &traces.deployment_environment {
            resource = resource.with_attribute(KeyValue::new("deployment.environment.name", name.clone()));
        }
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(traces.sampling_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter.build().map_err(|error| failed(&error))?)
            .with_sampler(sampler)
            .with_resource(resource.build())
            .build();
        Ok(Self(provider))
    }

    /// What hands spans over. Only our own, from `info` on, whatever the log is set to.
    fn layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(&self) -> impl Layer<S> + use<S> {
        let ours = Targets::new().with_targets(log::OURS.iter().map(|name| (*name, LevelFilter::INFO)));
        // Nobody asks for a context of OpenTelemetry, and a span that was made one has its name for good.
        tracing_opentelemetry::layer()
            .with_context_activation(false)
            .with_tracer(self.0.tracer("keyward"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(ours)
    }

    fn flush(self) {
        if let Err(error) = self.0.shutdown_with_timeout(PATIENCE) {
            eprintln!("keyward: the last traces could not be sent: {error}");
        }
    }
}

/// Sends on the server's runtime, because the exporter's own thread has none.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Client {
    fn send_bytes<'life0, 'async_trait>(&'life0 self, request: Request<Bytes>) -> Sending<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let http = self.http.clone();
        let sending = self.runtime.spawn(async move {
            let mut answer = http.execute(request.try_into()?).await?;
            let status = answer.status();
            let mut body = Vec::new();
            while let Some(piece) = answer.chunk().await? {
                if body.len() + piece.len() > LONGEST_ANSWER {
                    return Err("the answer of the collector is too long".into());
                }
                body.extend_from_slice(&piece);
            }
            let mut whole = Response::new(Bytes::from(body));
            *whole.status_mut() = status;
            Ok(whole)
        });
        Box::pin(async move { sending.await? })
    }
}
