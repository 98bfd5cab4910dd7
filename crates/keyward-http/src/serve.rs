//! Listening: connections in, requests to the router, and an orderly end.
//! The binary and the tests call [`serve`] once for both ports.
//! Knows HTTP/1.1 and HTTP/2 with and without TLS, no route, and of the configuration only where the public port begins.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Uri;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::client::Peer;
use crate::metrics::Telemetry;
use crate::router::{admin_router_with, below_base, public_router_with, unwatched};
use crate::state::AppState;
use crate::tls::TlsKeys;

/// More than the router admits, so that it is the one that refuses; the protocol layer sets up space for so many with
/// every request.
const MOST_FIELDS: usize = 129;
const HEADER_PATIENCE: Duration = Duration::from_secs(5);
/// How long open requests may take to finish once the end was announced.
const FAREWELL: Duration = Duration::from_secs(120);
/// A pause after a failed accept: such failures (no file handles left) do not go away at once.
const BREATH: Duration = Duration::from_millis(50);
/// Between two times that the measurements are sorted.
const TIDYING: Duration = Duration::from_secs(5);

/// A bound port, and how to end TLS on it.
#[derive(Debug)]
pub struct Listening {
    /// The bound port.
    pub listener: TcpListener,
    /// Certificate and key; without them the port speaks plain HTTP.
    pub tls: Option<Arc<TlsKeys>>,
}

impl From<TcpListener> for Listening {
    fn from(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }
}

/// Serves both ports in plain HTTP until `shutdown` completes, then lets open requests finish, for two minutes at most.
///
/// # Errors
/// When a listener is unusable.
pub async fn serve(
    public: TcpListener,
    admin: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let telemetry = unwatched(&state);
    serve_with(public.into(), admin.into(), state, telemetry, shutdown).await
}

/// As [`serve`], over TLS where there is a certificate, and with counts that the caller can feed too.
///
/// # Errors
/// When a listener is unusable.
pub async fn serve_with(
    public: Listening,
    admin: Listening,
    state: AppState,
    telemetry: Arc<Telemetry>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (stop, stopped) = watch::channel(());
    let until = |mut stopped: watch::Receiver<()>| async move {
        // An error means that the sender is gone, which is the sign.
        while stopped.changed().await.is_ok() {}
    };
    let public_routes = public_router_with(AppState::clone(&state), Arc::clone(&telemetry));
    let shorten: Prepare = Arc::new({
        let state = AppState::clone(&state);
        move |uri| below_base(&state, uri)
    });
    let public = accept(public, public_routes, shorten, until(stopped.clone()));
    let admin = accept(admin, admin_router_with(state, Arc::clone(&telemetry)), Arc::new(|_| ()), until(stopped.clone()));
    let tidying = async {
        let mut stopped = std::pin::pin!(until(stopped));
        loop {
            tokio::select! {
                () = tokio::time::sleep(TIDYING) => telemetry.tidy(),
                () = &mut stopped => return Ok(()),
            }
        }
    };
    let ending = async {
        shutdown.await;
        drop(stop);
        Ok(())
    };
    tokio::try_join!(public, admin, tidying, ending).map(|_| ())
}

/// Accepts connections on one port until `shutdown` completes, then lets open requests finish, for two minutes at most.
///
/// Header blocks above 64 KiB are refused by the protocol layer with 431, those above `security.limits` by the router
/// with an error body.
///
/// # Errors
/// When the listener has no address, which means that it is unusable.
pub async fn serve_router(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    accept(listener.into(), router, Arc::new(|_| ()), shutdown).await
}

/// What is done to the address of a request before a route is chosen for it.
type Prepare = Arc<dyn Fn(&mut Uri) + Send + Sync>;

async fn accept(port: Listening, router: Router, prepare: Prepare, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let Listening { listener, tls } = port;
    let address = listener.local_addr()?;
    tracing::info!(%address, tls = tls.is_some(), "listening");
    let builder = builder();
    let graceful = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        // Answers are small and should not wait for more.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no delay could not be set");
        }
        let (builder, watcher) = (builder.clone(), graceful.watcher());
        let routes = (router.clone(), Arc::clone(&prepare));
        match &tls {
            None => drop(tokio::spawn(converse(builder, stream, peer, routes, watcher))),
            Some(keys) => {
                let keys = Arc::clone(keys);
                tokio::spawn(async move {
                    match keys.accept(stream).await {
                        Ok(stream) => converse(builder, stream, peer, routes, watcher).await,
                        Err(error) => tracing::debug!(%error, %peer, "a client did not agree on TLS"),
                    }
                });
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(FAREWELL, graceful.shutdown()).await.is_err() {
        tracing::warn!(%address, "requests were still open at the end");
    }
    Ok(())
}

/// Answers everything that one connection asks.
async fn converse<S>(
    builder: Builder<TokioExecutor>,
    stream: S,
    peer: SocketAddr,
    (router, prepare): (Router, Prepare),
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        prepare(request.uri_mut());
        router.clone().oneshot(request)
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_PATIENCE)
        .max_headers(MOST_FIELDS)
        .max_buf_size(64 * 1_024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(64 * 1_024)
        .max_concurrent_streams(128)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}
