//! Listening: connections with their limits, and an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::response::Response;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use http::header::STRICT_TRANSPORT_SECURITY;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_rustls::TlsAcceptor;

use super::connection::{Connection, End};
use super::handshakes::Handshakes;
use super::http2;
use super::layers::Edge;
use super::places::{Place, Places, Sweeps, Taken};
use super::stall::Stall;
use super::tls::Tls;
use crate::tasks;

/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How long running requests may take once the end was asked for.
pub(super) const LAST_REQUESTS: Duration = Duration::from_secs(8);
/// How many connections are held at a time, files permitting.
const MAX_CONNECTIONS: usize = 16_384;
/// How many there are at least, and so few that it is worth a warning.
const LEAST_CONNECTIONS: usize = 4;
const FEW_CONNECTIONS: usize = 256;
/// Files that are kept for the database and the like, besides those that are open at the start.
const OTHER_FILES: usize = 32;
/// How many are open at the start where that cannot be looked up.
const OPEN_FILES: usize = 96;
/// How many connections may wait for a place when all are taken, and for how long.
const MOST_WAITING: usize = 32;
const PLACE: Duration = Duration::from_secs(5);
/// How long a connection that must leave may take for its farewell.
pub(super) const LEAVING: Duration = Duration::from_secs(1);
/// How often it is told that connections cannot be accepted.
const TELL_AGAIN: Duration = Duration::from_secs(30);
/// The first byte of everything that speaks TLS: a handshake record (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;
/// What who speaks HTTP to a port of HTTPS is told.
const SPEAK_TLS: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 48\r\n\
    connection: close\r\n\r\nThis port speaks HTTPS: begin the URL https://.\n";

/// How long a client may keep a connection waiting, and how many connections there are.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// To shake hands (TLS).
    pub handshake: Duration,
    /// To send the first request's head, or the rest of a head once a part of it came.
    pub head: Duration,
    /// To take a part of an answer that waits.
    pub write: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// The same for trusted proxies, which choose themselves when to close.
    pub idle_proxy: Duration,
    /// Connections held at a time.
    pub connections: usize,
}

impl Limits {
    /// The ones of this process, which takes as many files as the system lets it have. Idle connections
    /// outlive what proxies keep them for (docs/proxies.md), so that it is the proxy that closes: 60 s
    /// in nginx and AWS, 90 s in Traefik, 120 s in Caddy, 600 s in Google's load balancers.
    pub fn of_process() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(150),
            idle_proxy: Duration::from_secs(620),
            connections: max_connections(),
        }
    }

    /// The same for a listener that leaves a quarter of the connections to another.
    #[must_use]
    pub fn without_quarter(self) -> Self {
        Self { connections: (self.connections - self.connections / 4).max(LEAST_CONNECTIONS), ..self }
    }

    /// The same for that other one.
    #[must_use]
    pub fn a_quarter(self) -> Self {
        Self { connections: (self.connections / 4).max(LEAST_CONNECTIONS), ..self }
    }

    /// How often connections are looked at, and after how many looks they have to go.
    fn sweeps(&self) -> (Duration, Sweeps) {
        let every = self.head.min(self.idle) / 4;
        let looks = |limit: Duration| u32::try_from(limit.as_nanos().div_ceil(every.as_nanos().max(1)));
        let looks = |limit| looks(limit).unwrap_or(u32::MAX);
        (
            every,
            Sweeps { idle: looks(self.idle), idle_proxy: looks(self.idle_proxy), in_head: looks(self.head) },
        )
    }
}

/// The service as it is reached through TLS.
#[derive(Debug, Clone)]
pub(super) struct Secure {
    edge: Edge,
    strict: Option<HeaderValue>,
}

impl Secure {
    pub(super) async fn handle(
        self,
        connection: Arc<Connection>,
        request: http::Request<Incoming>,
    ) -> Response {
        let mut response = self.edge.call(&connection, request).await;
        if let Some(value) = self.strict {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
        }
        response
    }
}

/// What serves connections, shared by all of them.
#[derive(Clone)]
struct Server {
    edge: Edge,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    places: Places,
    handshakes: Arc<Handshakes>,
    /// Those that wait for a place.
    waiting: Arc<Semaphore>,
}

/// Serves `edge` on `listener` until `stop` is done; then accepts nothing more and waits for what runs.
/// With `tls` nothing else is spoken there. Boxed, so that all of this is compiled here and
/// once: the body of an async function is compiled where it is polled.
pub fn serve<'a>(
    listener: TcpListener,
    edge: Edge,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    stop: BoxFuture<'a, ()>,
) -> BoxFuture<'a, ()> {
    Box::pin(accept_all(listener, edge, tls, limits, stop))
}

async fn accept_all(
    listener: TcpListener,
    edge: Edge,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    mut stop: BoxFuture<'_, ()>,
) {
    let graceful = GracefulShutdown::new();
    let places = Places::new(limits.connections);
    let waiting = Arc::new(Semaphore::new((limits.connections / 4).clamp(1, MOST_WAITING)));
    let server = Server { edge, tls, limits, places, handshakes: Arc::default(), waiting };
    let (every, sweeps) = limits.sweeps();
    let mut looks = tokio::time::interval(every.max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = Failures::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = looks.tick() => {
                server.places.sweep(sweeps);
                continue;
            }
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => server.accept(stream, peer, &graceful).await,
            Err(error) => {
                failures.tell(&error);
                // Out of file descriptors, most likely: one that idles gives its own back.
                server.places.make_room();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    drop(listener);
    server.places.stop();
    if tokio::time::timeout(LAST_REQUESTS, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
}

/// Connections that could not be accepted: told of once in a while, however many there are.
#[derive(Debug, Default)]
pub(super) struct Failures {
    told: Option<Instant>,
    since: u64,
}

impl Failures {
    pub(super) fn tell(&mut self, error: &std::io::Error) {
        self.since += 1;
        if self.told.is_some_and(|told| told.elapsed() < TELL_AGAIN) {
            return;
        }
        tracing::warn!(
            %error,
            failures = self.since,
            "connections could not be accepted; if files ran out, raise the limit (ulimit -n)"
        );
        (self.told, self.since) = (Some(Instant::now()), 0);
    }
}

impl Server {
    /// Gives a connection its place and serves it, or closes it. Waits for those that are about to leave only:
    /// meanwhile further ones stay in the kernel's queue.
    async fn accept(&self, stream: TcpStream, peer: SocketAddr, graceful: &GracefulShutdown) {
        let is_proxy = self.edge.is_proxy(peer.ip());
        let mut taken = self.places.take(peer, is_proxy);
        if matches!(taken, Taken::Full { is_soon: true }) && self.waiting.available_permits() == 0 {
            taken = self.places.wait_for_leaving(peer, is_proxy).await;
        }
        match taken {
            Taken::Place(place) => {
                tasks::once("connection", self.clone().serve(stream, place, graceful.watcher()));
            }
            Taken::Full { .. } => {
                let Ok(wait) = Arc::clone(&self.waiting).try_acquire_owned() else { return refused(peer) };
                let (server, watcher) = (self.clone(), graceful.watcher());
                tasks::once("connection", async move {
                    let taken = tokio::time::timeout(PLACE, server.places.wait(peer, is_proxy)).await;
                    drop(wait);
                    match taken {
                        Ok(Taken::Place(place)) => server.serve(stream, place, watcher).await,
                        _ => refused(peer),
                    }
                });
            }
            Taken::Refused => refused(peer),
        }
    }

    /// Serves one connection to its end.
    async fn serve(self, stream: TcpStream, place: Place, watcher: Watcher) {
        // Answers are small and whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let place = Arc::new(place);
        let connection = place.connection();
        let stream = Stall::new(stream, self.limits.write, &place);
        let served = match &self.tls {
            None => {
                let (edge, at) = (self.edge, Arc::clone(connection));
                let handle = move |request| {
                    at.note_request();
                    edge.call(&at, request)
                };
                http1(stream, connection, watcher, handle).await
            }
            Some(tls) => {
                let Some(delay) = self.delay_of_handshake(connection.peer) else {
                    return refused(connection.peer);
                };
                let secure = Secure { edge: self.edge, strict: tls.strict() };
                let shake = Shake { acceptor: tls.acceptor(), delay, secure, limits: self.limits };
                shake.serve(stream, connection, watcher).await
            }
        };
        if let Err(error) = served {
            tracing::trace!(%error, "a connection ended");
        }
        // The stream has become a WebSocket, which keeps the place.
        if Arc::strong_count(&place) > 1 {
            connection.note_upgraded();
        }
    }
}

impl Server {
    /// How long a handshake with `peer` has to wait for its turn; `None` when that takes too long.
    fn delay_of_handshake(&self, peer: SocketAddr) -> Option<Duration> {
        if self.edge.is_proxy(peer.ip()) {
            return Some(Duration::ZERO);
        }
        self.handshakes.delay(peer.ip(), Instant::now(), self.limits.handshake / 2)
    }
}

fn refused(peer: SocketAddr) {
    metrics::counter!("hoody_connections_refused_total").increment(1);
    tracing::debug!(%peer, "no place for this connection");
}

/// Takes as many files as the system lets this process have, and says how many connections that gives,
/// besides the files that are open and those that the database and the like may need.
fn max_connections() -> usize {
    let allowed = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: allowed, maximum: allowed });
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let open = std::fs::read_dir("/proc/self/fd").map_or(OPEN_FILES, Iterator::count);
    let most = places_for(usize::try_from(files).unwrap_or(usize::MAX), open);
    if most < FEW_CONNECTIONS {
        tracing::warn!(
            "the limit of {files} open files leaves room for {most} connections: raise it (ulimit -n)"
        );
    }
    most
}

/// How many connections `files` are enough for, of which `open` are in use already. Those that leave and
/// those that wait for a place have files, too.
fn places_for(files: usize, open: usize) -> usize {
    let free = files.saturating_sub(open + OTHER_FILES);
    (free - (free / 3).min(2 * MOST_WAITING)).clamp(LEAST_CONNECTIONS, MAX_CONNECTIONS)
}

/// Serves one connection; once it is asked to end, what runs on it and no more. A stream of events may
/// go on as a WebSocket, which is no connection of HTTP any more.
async fn http1<I, F>(
    io: I,
    asked: &Arc<Connection>,
    _running: Watcher,
    handle: impl Fn(http::Request<Incoming>) -> F,
) -> hyper::Result<()>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Response>,
{
    let service = service_fn(move |request| handle(request).map(Ok::<_, std::convert::Infallible>));
    let connection = http1::Builder::new()
        // The list of places looks after those that idle or do not end a head: no timer for each request.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // A connection is woken for every request: it asks once to be woken at the end, and after that looks
    // whether the end has come, which takes no lock.
    let mut is_asked = false;
    let ended = std::future::poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(Ok(ended));
        }
        if !std::mem::replace(&mut is_asked, true) {
            asked.wake_at_end(cx);
        }
        asked.asked().map_or(Poll::Pending, |end| Poll::Ready(Err(end)))
    });
    let end = match ended.await {
        Ok(ended) => return ended,
        Err(end) => end,
    };
    connection.as_mut().graceful_shutdown();
    in_time(asked, Some(end), connection).await
}

/// The end of a connection that was asked to end: one that must leave is cut when nothing runs on it.
pub(super) async fn in_time(
    asked: &Connection,
    end: Option<End>,
    mut connection: impl Future<Output = hyper::Result<()>> + Unpin,
) -> hyper::Result<()> {
    if end == Some(End::Stop) {
        tokio::select! {
            ended = &mut connection => return ended,
            () = asked.leaves() => {}
        }
    }
    loop {
        match tokio::time::timeout(LEAVING, &mut connection).await {
            Ok(ended) => return ended,
            Err(_) if asked.is_busy() => {}
            Err(_) => return Ok(()),
        }
    }
}

/// A connection that has to shake hands first.
struct Shake {
    acceptor: TlsAcceptor,
    /// How long it waits for its turn.
    delay: Duration,
    secure: Secure,
    limits: Limits,
}

impl Shake {
    /// Shakes hands in time, then serves what was agreed on.
    async fn serve(
        self,
        stream: Stall<TcpStream>,
        connection: &Arc<Connection>,
        watcher: Watcher,
    ) -> hyper::Result<()> {
        let shaken = async {
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            shake(self.acceptor, stream).await
        };
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(self.limits.handshake, shaken) => shaken,
            () = connection.ends() => return Ok(()),
        };
        let Ok(Some(stream)) = shaken else {
            metrics::counter!("hoody_tls_handshakes_failed_total").increment(1);
            return Ok(());
        };
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(super::tls::HTTP2);
        if is_http2 {
            let ended = http2::serve(stream, connection, self.secure, self.limits.write).await;
            drop(watcher);
            return ended;
        }
        let (secure, at) = (self.secure, Arc::clone(connection));
        let handle = move |request| {
            at.note_request();
            secure.clone().handle(Arc::clone(&at), request)
        };
        http1(stream, connection, watcher, handle).await
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
