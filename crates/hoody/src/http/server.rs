//! Listening: connections with their limits, and an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::response::Response;
use futures_util::FutureExt as _;
use http::HeaderValue;
use http::header::STRICT_TRANSPORT_SECURITY;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::http2;
use super::layers::Edge;
use super::places::{Place, Places};
use super::stall::Stall;
use super::tls::Tls;
use crate::tasks;

/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How long running requests may take once the end was asked for.
const LAST_REQUESTS: Duration = Duration::from_secs(8);
/// How many connections are held at a time, files permitting; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: u64 = 16_384;
/// Files that are kept for the database and the like.
const OTHER_FILES: u64 = 128;
/// The first byte of everything that speaks TLS: a handshake record (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
/// What who speaks HTTP to a port of HTTPS is told.
const SPEAK_TLS: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 48\r\n\
    connection: close\r\n\r\nThis port speaks HTTPS: begin the URL https://.\n";

/// How long a client may keep a connection waiting, and how many connections there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// To shake hands (TLS).
    pub(crate) handshake: Duration,
    /// To send a request's head (HTTP/1), and to begin the next one.
    pub(crate) head: Duration,
    /// To take a part of an answer that waits.
    pub(crate) write: Duration,
    /// To do anything at all (HTTP/2).
    pub(crate) idle: Duration,
    /// Connections held at a time.
    pub(crate) connections: usize,
}

impl Limits {
    /// The ones of this process, which takes as many files as the system lets it have.
    pub(crate) fn of_process() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            connections: max_connections(),
        }
    }
}

/// The service as it is reached through TLS.
#[derive(Debug, Clone)]
pub(super) struct Secure {
    edge: Edge,
    strict: Option<HeaderValue>,
}

impl Secure {
    pub(super) async fn handle(self, peer: SocketAddr, request: http::Request<Incoming>) -> Response {
        let mut response = self.edge.call(peer, request).await;
        if let Some(value) = self.strict {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
        }
        response
    }
}

/// Serves `edge` on `listener` until `stop` is done; then accepts nothing more and waits for what runs.
/// With `tls` nothing else is spoken there.
pub(crate) async fn serve(
    listener: TcpListener,
    edge: Edge,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let (stopping, _) = watch::channel(());
    let mut stop = std::pin::pin!(stop);
    let places = Places::new(limits.connections);
    loop {
        let free = tokio::select! {
            free = places.free() => free,
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
        let place = free.and_then(|free| places.take(free, peer.ip(), edge.is_proxy(peer.ip())));
        let Some(place) = place else {
            metrics::counter!("hoody_connections_refused_total").increment(1);
            tracing::debug!(%peer, "this address has its share of connections");
            continue;
        };
        // Answers are small and whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let stream = Stall::new(stream, limits.write);
        match &tls {
            None => {
                let edge = edge.clone();
                let handle = move |request| edge.call(peer, request);
                let served = http1(stream, limits, graceful.watcher(), stopping.subscribe(), handle);
                tasks::once("connection", end_of(served, place));
            }
            Some(tls) => {
                let secure = Secure { edge: edge.clone(), strict: tls.strict() };
                let shake = Shake { acceptor: tls.acceptor(), secure, limits };
                let served = shake.serve(stream, peer, graceful.watcher(), stopping.subscribe());
                tasks::once("connection", end_of(served, place));
            }
        }
    }
    drop(listener);
    let _ = stopping.send(());
    if tokio::time::timeout(LAST_REQUESTS, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
}

async fn end_of(connection: impl Future<Output = hyper::Result<()>>, _place: Place) {
    if let Err(error) = connection.await {
        tracing::trace!(%error, "a connection ended");
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

/// Serves one connection; once the end was asked for, what runs on it and no more. A stream of events may
/// go on as a WebSocket, which is no connection of HTTP any more.
async fn http1<I, F>(
    io: I,
    limits: Limits,
    _running: Watcher,
    mut stopping: watch::Receiver<()>,
    handle: impl Fn(http::Request<Incoming>) -> F,
) -> hyper::Result<()>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Response>,
{
    let service = service_fn(move |request| handle(request).map(Ok::<_, std::convert::Infallible>));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // A connection is woken for every request: it asks once to be woken at the end, and after that looks
    // whether the end has come, which takes no lock.
    let end = stopping.clone();
    let mut asked = std::pin::pin!(stopping.changed());
    let mut is_asked = false;
    let ended = std::future::poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(ended));
        }
        let is_over = if is_asked {
            end.has_changed().unwrap_or(true)
        } else {
            is_asked = true;
            asked.as_mut().poll(cx).is_ready()
        };
        if is_over { Poll::Ready(None) } else { Poll::Pending }
    });
    if let Some(ended) = ended.await {
        return ended;
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// A connection that has to shake hands first.
struct Shake {
    acceptor: TlsAcceptor,
    secure: Secure,
    limits: Limits,
}

impl Shake {
    /// Shakes hands in time, then serves what was agreed on.
    async fn serve(
        self,
        mut stream: Stall<TcpStream>,
        peer: SocketAddr,
        watcher: Watcher,
        mut stopping: watch::Receiver<()>,
    ) -> hyper::Result<()> {
        let written = stream.watch();
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(self.limits.handshake, shake(self.acceptor, stream)) => shaken,
            _ = stopping.changed() => return Ok(()),
        };
        let Ok(Some(stream)) = shaken else {
            metrics::counter!("hoody_tls_handshakes_failed_total").increment(1);
            return Ok(());
        };
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(super::tls::HTTP2);
        if is_http2 {
            let ended = http2::serve(stream, written, peer, self.secure, self.limits, stopping).await;
            drop(watcher);
            return ended;
        }
        let secure = self.secure;
        let handle = move |request| secure.clone().handle(peer, request);
        http1(stream, self.limits, watcher, stopping, handle).await
    }
}

type TlsStream = tokio_rustls::server::TlsStream<Stall<TcpStream>>;

/// The handshake; `None` where there was none.
async fn shake(acceptor: TlsAcceptor, stream: Stall<TcpStream>) -> Option<TlsStream> {
    let mut first = [0];
    if stream.get_ref().peek(&mut first).await.ok()? == 1 && first[0] != HANDSHAKE {
        refuse_plain(stream).await;
        return None;
    }
    match acceptor.accept(stream).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::trace!(%error, "a TLS handshake failed");
            None
        }
    }
}

/// Tells who speaks HTTP that this is HTTPS. What it sent is read first: an end with something unread
/// would take the answer away with it.
async fn refuse_plain(mut stream: Stall<TcpStream>) {
    let mut sent = [0; 4096];
    let _ = stream.read(&mut sent).await;
    let _ = stream.write_all(SPEAK_TLS.as_bytes()).await;
    let _ = stream.shutdown().await;
    // Until the client is done; the limit of the handshake ends the patience.
    while stream.read(&mut sent).await.is_ok_and(|bytes| bytes > 0) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_for_plain_http_has_the_length_that_it_says() {
        let (head, body) = SPEAK_TLS.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    }
}
