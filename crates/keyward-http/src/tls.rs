//! Ending TLS: certificate and key from the configuration become what connections are accepted with.
//! The binary makes one [`TlsKeys`] for each listener that has a certificate, and reloads it when a file changed.
//! Knows no port and no route.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use keyward_config::{Pem, Tls};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take to agree on keys.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a certificate cannot be used. Never holds anything of the key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{what} {path} cannot be read")]
    Unreadable {
        /// `certificate` or `key`.
        what: &'static str,
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not what it should be.
    #[error("the {what} is not {expected}")]
    Malformed {
        /// `certificate` or `key`.
        what: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// Certificate and key do not make a server.
    #[error("certificate and key cannot be used together")]
    Unusable(#[source] rustls::Error),
}

/// The certificate and key that new connections are accepted with; connections already open keep theirs.
pub struct TlsKeys {
    source: Tls,
    current: ArcSwap<Current>,
}

struct Current {
    chain: Vec<CertificateDer<'static>>,
    config: Arc<ServerConfig>,
}

impl std::fmt::Debug for TlsKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsKeys").field("source", &self.source).finish_non_exhaustive()
    }
}

impl TlsKeys {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// When they cannot be read or do not fit.
    pub fn load(source: Tls) -> Result<Self, TlsError> {
        let current = ArcSwap::from_pointee(read(&source)?);
        Ok(Self { source, current })
    }

    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        [&self.source.cert, &self.source.key].into_iter().filter_map(|pem| match pem {
            Pem::Path(path) => Some(path.as_str()),
            Pem::Base64(_) => None,
        })
    }

    /// Reads the files again, and says whether there is another certificate. On an error the old one stays in use.
    ///
    /// # Errors
    /// As [`TlsKeys::load`].
    pub fn reload(&self) -> Result<bool, TlsError> {
        let next = read(&self.source)?;
        let is_new = next.chain != self.current.load().chain;
        if is_new {
            // What is in use keeps its resumable sessions otherwise; another key of the same certificate is the same key.
            self.current.store(Arc::new(next));
        }
        Ok(is_new)
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.current.load().config));
        tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await?
    }
}

fn read(source: &Tls) -> Result<Current, TlsError> {
    let chain = text(&source.cert, "certificate")?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::Malformed { what: "certificate", expected: "PEM text" })?;
    if chain.is_empty() {
        return Err(TlsError::Malformed { what: "certificate", expected: "PEM text with at least one certificate" });
    }
    let key = PrivateKeyDer::from_pem_slice(&text(&source.key, "key")?)
        .map_err(|_| TlsError::Malformed { what: "key", expected: "PEM text with a private key that needs no passphrase" })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain.clone(), key))
        .map_err(TlsError::Unusable)?;
    // RFC 7301: the first that both know.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Current { chain, config: Arc::new(config) })
}

fn text(pem: &Pem, what: &'static str) -> Result<Vec<u8>, TlsError> {
    match pem {
        Pem::Path(path) => std::fs::read(path).map_err(|source| TlsError::Unreadable { what, path: path.clone(), source }),
        Pem::Base64(text) => {
            let joined: String = text.reveal().split_whitespace().collect();
            base64::engine::general_purpose::STANDARD
                .decode(joined)
                .map_err(|_| TlsError::Malformed { what, expected: "PEM text in base64" })
        }
    }
}

#[cfg(test)]
mod tests {
    use keyward_model::Secret;

    use super::*;

    fn generated() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn inline(text: &str) -> Pem {
        Pem::Base64(Secret::new(base64::engine::general_purpose::STANDARD.encode(text)))
    }

    #[test]
    fn mistakes_are_told_apart_and_show_no_key() {
        let (cert, key) = generated();
        let (_, other_key) = generated();
        for (cert, key, expected) in [
            (inline(&cert), inline(&key), ""),
            (Pem::Path("/nowhere/cert.pem".into()), inline(&key), "certificate /nowhere/cert.pem cannot be read"),
            (inline("nothing"), inline(&key), "at least one certificate"),
            (inline(&cert), inline("nothing"), "the key is not PEM text"),
            (inline(&cert), Pem::Base64(Secret::new("!".into())), "the key is not PEM text in base64"),
            (inline(&cert), inline(&other_key), "cannot be used together"),
        ] {
            let said = TlsKeys::load(Tls { cert, key }).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{said} instead of {expected}");
        }
    }
}
