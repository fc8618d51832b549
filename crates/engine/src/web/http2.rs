//! HTTP/2, spoken under TLS only: its limits, and the end of streams whose answers are not taken.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::Connection;
use super::server::{Secure, in_time};
use super::stall::TRICKLE;
use crate::tasks;

/// How many requests a connection may have under way.
const STREAMS: u32 = 128;
/// The largest head of a request, in bytes.
const MAX_HEAD: u32 = 64 * 1024;
/// What a client may send ahead of what was read, for a request and for a connection: enough for 50 MiB
/// in 30 seconds over 100 ms.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What is kept of one answer for a client that takes it more slowly than it is made.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams that were reset before their turn came, and those that broke the protocol (rapid reset,
/// CVE-2023-44487, and its kin): more end the connection.
const RESETS: usize = 20;
const BROKEN_STREAMS: usize = 64;
/// How often an idle client is asked whether it is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);

tokio::task_local! {
    /// The stream whose request this task answers, once the request has reached the router.
    static STREAM: OnceCell<Arc<Stream>>;
}

/// How far the answer of a stream is.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Bytes that the protocol took from the body.
    taken: AtomicUsize,
    /// The body has given all that it has so far: it waits for the client, not for more.
    is_given: AtomicBool,
}

impl Stream {
    /// The one that this task serves; `None` on HTTP/1.
    pub(super) fn current() -> Option<Arc<Self>> {
        STREAM.try_with(|stream| Arc::clone(stream.get_or_init(Arc::default))).ok()
    }

    /// Notes that the body was asked for more.
    pub(super) fn wait(&self) {
        self.is_given.store(false, Ordering::Relaxed);
    }

    /// Notes that the body gave so many bytes.
    pub(super) fn give(&self, bytes: usize) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        self.is_given.store(true, Ordering::Relaxed);
    }
}

/// Runs each stream as a task, and ends it when its client takes less than a trickle of an answer that
/// waits. The other streams of the connection go on: behind a proxy they are other people's.
#[derive(Debug, Clone)]
struct Streams {
    limit: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let limit = self.limit;
        let served = async move {
            let mut stream = std::pin::pin!(stream);
            // Most are answered at the first look, without a timer.
            let first = std::future::poll_fn(|cx| Poll::Ready(stream.as_mut().poll(cx))).await;
            if first.is_ready() {
                return;
            }
            tokio::select! {
                () = stream => {}
                () = stalls(limit) => {
                    metrics::counter!("hoody_streams_cut_total").increment(1);
                }
            }
        };
        tasks::once("stream", STREAM.scope(OnceCell::new(), served));
    }
}

/// Waits until the client of this task's stream took less than a trickle within the limit.
async fn stalls(limit: Duration) {
    let look = || {
        STREAM.with(|stream| {
            let stream = stream.get()?;
            let taken = stream.taken.load(Ordering::Relaxed);
            stream.is_given.load(Ordering::Relaxed).then_some(taken)
        })
    };
    let mut before = look();
    loop {
        tokio::time::sleep(limit).await;
        let now = look();
        if let (Some(before), Some(now)) = (before, now)
            && now - before < TRICKLE
        {
            return;
        }
        before = now;
    }
}

/// Serves one connection to its end. Answers that wait for longer than `limit` are ended.
pub(super) async fn serve<I>(
    io: I,
    asked: &Arc<Connection>,
    secure: Secure,
    limit: Duration,
) -> hyper::Result<()>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    asked.note_http2();
    let service = service_fn({
        let at = Arc::clone(asked);
        move |request: http::Request<Incoming>| {
            at.note_request();
            let (at, secure) = (Arc::clone(&at), secure.clone());
            async move { Ok::<_, std::convert::Infallible>(secure.handle(at, request).await) }
        }
    });
    let connection = builder(Streams { limit }).serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        () = asked.ends() => {}
    }
    let end = asked.asked();
    connection.as_mut().graceful_shutdown();
    in_time(asked, end, connection).await
}

fn builder(streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(MAX_HEAD)
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(BROKEN_STREAMS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}
