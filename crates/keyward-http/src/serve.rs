//! Listening: connections in, requests to the router, and an orderly end.
//! The binary and the tests call [`serve`] once for both ports.
//! Knows HTTP/1.1 and HTTP/2, no route and no configuration.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::client::Peer;
use crate::router::{admin_router, public_router};
use crate::state::AppState;

const HEADER_PATIENCE: Duration = Duration::from_secs(5);
/// How long open requests may take to finish once the end was announced.
const FAREWELL: Duration = Duration::from_secs(120);
/// A pause after a failed accept: such failures (no file handles left) do not go away at once.
const BREATH: Duration = Duration::from_millis(50);

/// Serves both ports until `shutdown` completes, then lets open requests finish, for two minutes at most.
///
/// # Errors
/// When a listener is unusable.
pub async fn serve(
    public: TcpListener,
    admin: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (stop, stopped) = watch::channel(());
    let until = |mut stopped: watch::Receiver<()>| async move {
        // An error means that the sender is gone, which is the sign.
        while stopped.changed().await.is_ok() {}
    };
    let public = serve_router(public, public_router(AppState::clone(&state)), until(stopped.clone()));
    let admin = serve_router(admin, admin_router(state), until(stopped));
    let ending = async {
        shutdown.await;
        drop(stop);
        Ok(())
    };
    tokio::try_join!(public, admin, ending).map(|_| ())
}

/// Accepts connections on one port until `shutdown` completes, then lets open requests finish, for two minutes at most.
///
/// Header blocks above 64 KiB are refused by the protocol layer with 431, those above 16 KiB or 100 fields by the router
/// with an error body.
///
/// # Errors
/// When the listener has no address, which means that it is unusable.
async fn serve_router(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
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
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            router.clone().oneshot(request)
        });
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(FAREWELL, graceful.shutdown()).await.is_err() {
        tracing::warn!(%address, "requests were still open at the end");
    }
    Ok(())
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_PATIENCE).max_headers(256).max_buf_size(64 * 1_024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(64 * 1_024)
        .max_concurrent_streams(128)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}
