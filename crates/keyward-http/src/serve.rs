//! Listening: connections in, requests to the router, and an orderly end.
//! The binary and the tests call [`serve`] once for both ports.
//! Knows HTTP/1.1 and HTTP/2 with and without TLS, no route, and of the configuration only where the public port begins.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;

use crate::client::Peer;
use crate::first_bytes::FirstBytes;
use crate::metrics::Telemetry;
use crate::router::{Routes, admin_router_with, public_router_with, unwatched};
use crate::state::AppState;
use crate::tls::TlsKeys;

/// More than the router admits, so that it is the one that refuses; the protocol layer sets up space for so many with
/// every request.
const MOST_FIELDS: usize = 129;
/// How long a connection may take to show which HTTP it speaks, and then for the head of each request.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
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
    let config = &state.load().config;
    let (public_places, admin_places) = (config.public.connections, config.admin.connections);
    let public_routes = public_router_with(AppState::clone(&state), Arc::clone(&telemetry));
    let admin_routes = admin_router_with(AppState::clone(&state), Arc::clone(&telemetry));
    let public = accept(public, public_routes, public_places, until(stopped.clone()));
    let admin = accept(admin, admin_routes, admin_places, until(stopped.clone()));
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
/// No more than `places` are open at once; whoever comes then waits in the system's queue.
///
/// Header blocks above 64 KiB are refused by the protocol layer with 431, those above `security.limits` by the router
/// with an error body.
async fn accept(port: Listening, routes: Routes, places: usize, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let Listening { listener, tls } = port;
    let address = listener.local_addr()?;
    tracing::info!(%address, tls = tls.is_some(), "listening");
    let places = Arc::new(Semaphore::new(places));
    let builder = builder();
    let graceful = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    let mut was_full = false;
    loop {
        let is_full = places.available_permits() == 0;
        if is_full && !was_full {
            tracing::warn!(%address, "every connection that this port may have is in use: new ones wait");
        }
        was_full = is_full;
        let (place, stream, peer) = tokio::select! {
            accepted = next(&listener, &places) => match accepted {
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
        let (builder, routes, watcher, tls) = (builder.clone(), routes.clone(), graceful.watcher(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => converse(builder, stream, peer, routes, watcher).await,
                Some(keys) => match keys.accept(stream).await {
                    Ok(stream) => converse(builder, stream, peer, routes, watcher).await,
                    Err(error) => tracing::debug!(%error, %peer, "a client did not agree on TLS"),
                },
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(FAREWELL, graceful.shutdown()).await.is_err() {
        tracing::warn!(%address, "requests were still open at the end");
    }
    Ok(())
}

/// The next connection, once there is a place for it.
async fn next(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((place, stream, peer))
}

/// Answers everything that one connection asks.
async fn converse<S>(builder: Builder<TokioExecutor>, stream: S, peer: SocketAddr, routes: Routes, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        routes.clone().oneshot(request)
    });
    let stream = TokioIo::new(FirstBytes::within(stream, HEAD_PATIENCE));
    let connection = builder.serve_connection_with_upgrades(stream, service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_headers(MOST_FIELDS).max_buf_size(64 * 1_024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(64 * 1_024)
        .max_concurrent_streams(128)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}
