//! Where traces go: `tracing`, with Kratos' keys.
//! The loader reads it; a binary that was built with the feature `otlp` sends spans there, any other says how to get it.
//! Knows no spans.

use keyward_model::Secret;
use url::Url;

use crate::report::{Report, WarningKind};
use crate::resolve::Reader;

/// An OpenTelemetry collector, and what is told to it about this server.
#[derive(Debug, Clone)]
pub struct Traces {
    /// `tracing.providers.otlp.server_url` as a whole address, with the path `/v1/traces` unless another one is given.
    pub endpoint: String,
    /// `tracing.providers.otlp.authorization_header`: the value of `Authorization`.
    pub authorization_header: Option<Secret<String>>,
    /// `tracing.providers.otlp.sampling.sampling_ratio`: the part of all traces that is sent; all of them by default.
    pub sampling_ratio: f64,
    /// `tracing.service_name`.
    pub service_name: String,
    /// `tracing.deployment_environment`.
    pub deployment_environment: Option<String>,
}

/// Reads the block; `None` when nothing is to be sent.
pub(crate) fn resolve(reader: Reader<'_>, report: &mut Report) -> Option<Traces> {
    const PROVIDER: &str = "tracing.provider";
    const SERVER: &str = "tracing.providers.otlp.server_url";
    match reader.text(PROVIDER)? {
        "otel" => {}
        other => {
            // Whoever configured more of it hears of that block.
            if reader.node(&format!("tracing.providers.{other}")).is_none() {
                let message = format!("{other} is not served yet; the provider otel is");
                report.warn(WarningKind::NotYet, &reader.place(PROVIDER), PROVIDER, message);
            }
            return None;
        }
    }
    let Some(server) = reader.text(SERVER).filter(|server| !server.is_empty()) else {
        report.warn(
            WarningKind::Advice,
            &reader.place(PROVIDER),
            SERVER,
            "is missing, for example localhost:4318; no traces are sent",
        );
        return None;
    };
    let Some(endpoint) = endpoint(server, reader.on("tracing.providers.otlp.insecure", false)) else {
        report.refuse(&reader.place(SERVER), SERVER, "expected a host with a port, or an http or https URL");
        return None;
    };
    Some(Traces {
        endpoint,
        authorization_header: reader.text("tracing.providers.otlp.authorization_header").map(|text| Secret::new(text.to_owned())),
        sampling_ratio: reader.ratio("tracing.providers.otlp.sampling.sampling_ratio", 1.0),
        service_name: reader.owned("tracing.service_name", "Keyward"),
        deployment_environment: reader.text("tracing.deployment_environment").map(str::to_owned),
    })
}

/// `host:port` as Kratos has it, or a whole URL.
fn endpoint(server: &str, insecure: bool) -> Option<String> {
    let scheme = if insecure { "http" } else { "https" };
    let text = if server.contains("://") { server.to_owned() } else { format!("{scheme}://{server}") };
    let mut url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    if url.path() == "/" {
        url.set_path("/v1/traces");
    }
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_become_addresses() {
        for (server, insecure, expected) in [
            ("localhost:4318", true, Some("http://localhost:4318/v1/traces")),
            ("collector.example.org:443", false, Some("https://collector.example.org/v1/traces")),
            ("http://localhost:4318", false, Some("http://localhost:4318/v1/traces")),
            ("https://example.org/otlp/v1/traces", false, Some("https://example.org/otlp/v1/traces")),
            ("ftp://example.org", false, None),
            ("not a host", true, None),
        ] {
            assert_eq!(endpoint(server, insecure).as_deref(), expected, "{server}");
        }
    }
}
