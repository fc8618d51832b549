//! A listener for calls of gRPC: HTTP/2 alone, in plain on loopback, or with certificates on both sides.
//!
//! Its clients are proxies of the operator, few and trusted: no fair shares among them, only bounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::server::{Failures, LAST_REQUESTS};
use crate::tasks;

/// How many proxies may be connected. Each has one connection a worker.
const CONNECTIONS: usize = 1_024;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The largest head of a call, in bytes.
const MAX_HEAD: u32 = 16 * 1024;
/// What a proxy may send ahead of what was read, for a call and for a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// How often an idle proxy is asked whether it is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);

/// Runs each call as a task.
#[derive(Debug, Clone)]
struct Calls;

impl<F> Executor<F> for Calls
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        tasks::once("call", call);
    }
}

/// Answers calls on `listener` with `answer` until `stop` is done; then accepts nothing more and waits for those that
/// run. With `tls` nothing else is spoken. A connection has at most `streams` calls at a time.
pub async fn serve<A, F, B>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    streams: u32,
    answer: A,
    stop: impl Future<Output = ()>,
) where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut stop = std::pin::pin!(stop);
    let mut failures = Failures::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                failures.tell(&error);
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            refused(peer);
            continue;
        };
        let (tls, answer, watcher) = (tls.clone(), answer.clone(), graceful.watcher());
        tasks::once("calls", async move {
            connection(stream, tls, streams, answer, watcher).await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(LAST_REQUESTS, graceful.shutdown()).await.is_err() {
        tracing::warn!("some calls did not end in time");
    }
}

fn refused(peer: SocketAddr) {
    metrics::counter!("hoody_connections_refused_total").increment(1);
    tracing::debug!(%peer, "no place for this connection");
}

async fn connection<A, F, B>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    streams: u32,
    answer: A,
    watcher: Watcher,
) where
    A: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return calls(stream, streams, answer, watcher).await };
    match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => calls(stream, streams, answer, watcher).await,
        Ok(Err(error)) => {
            metrics::counter!("hoody_tls_handshakes_failed_total").increment(1);
            tracing::debug!(%error, "a proxy's TLS handshake failed");
        }
        Err(_) => metrics::counter!("hoody_tls_handshakes_failed_total").increment(1),
    }
}

async fn calls<I, A, F, B>(io: I, streams: u32, answer: A, watcher: Watcher)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let service = service_fn(move |request| {
        let answering = answer(request);
        async move { Ok::<_, std::convert::Infallible>(answering.await) }
    });
    let mut builder = http2::Builder::new(Calls);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .max_header_list_size(MAX_HEAD)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let served = watcher.watch(builder.serve_connection(TokioIo::new(io), service)).await;
    if let Err(error) = served {
        tracing::trace!(%error, "a connection ended");
    }
}
