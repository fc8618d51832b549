//! Listening: connections with their limits, and an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::layers::Edge;

/// How long a client may take to send a request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(15);
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How long running requests may take once the end was asked for.
const LAST_REQUESTS: Duration = Duration::from_secs(8);
/// How many connections are held at a time, files permitting; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: u64 = 16_384;
/// Files that are kept for the database and the like.
const OTHER_FILES: u64 = 128;

/// Serves `edge` on `listener` until `stop` is done; then accepts nothing more and waits for what runs.
pub(crate) async fn serve(listener: TcpListener, edge: Edge, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    let places = Arc::new(Semaphore::new(max_connections()));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = &mut stop => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: a pause lets some be given back.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        // Answers are small and whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let connection = connection(stream, peer, edge.clone());
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = watched.await {
                tracing::trace!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(LAST_REQUESTS, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
}

/// Takes as many files as the system lets this process have, and says how many connections that gives.
fn max_connections() -> usize {
    let allowed = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: allowed, maximum: allowed });
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = files.saturating_sub(OTHER_FILES).clamp(64, MAX_CONNECTIONS);
    usize::try_from(most).unwrap_or(usize::MAX)
}

fn connection(
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    edge: Edge,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        edge.call(peer, request).map(Ok::<_, std::convert::Infallible>)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
}
