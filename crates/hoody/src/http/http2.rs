//! HTTP/2, spoken under TLS only: its limits, and the end of connections on which nothing moves.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::server::{Limits, Secure};

/// How many requests a connection may have under way.
const STREAMS: u32 = 128;
/// The largest head of a request, in bytes.
const MAX_HEAD: u32 = 64 * 1024;
/// What a client may send ahead of what was read, for a request and for a connection: enough for 50 MiB
/// in 30 seconds over 100 ms.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Streams that were reset before their turn came, and those that broke the protocol (rapid reset,
/// CVE-2023-44487, and its kin): more end the connection.
const RESETS: usize = 20;
const BROKEN_STREAMS: usize = 64;
/// How often an idle client is asked whether it is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);
/// A connection is looked at so often before it counts as idle.
const LOOKS: u32 = 4;
/// What must be written between two looks to count as movement: more than pings.
const MOVEMENT: u64 = 4 * 1024;

/// What is under way on a connection.
#[derive(Debug, Default)]
struct Activity {
    begun: AtomicU64,
    /// Handlers that run, and bodies that wait for more to send.
    busy: AtomicUsize,
}

/// Counts as busy while it lives.
#[derive(Debug)]
struct Busy(Arc<Activity>);

impl Busy {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.busy.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one connection to its end. `written` is how many bytes went out on it so far.
///
/// A connection on which no request began, nothing runs and nothing is taken for `limits.idle` is told
/// to end, and is cut when it has not a little later. That also ends those that never send a request, or
/// never the end of its head, and those that keep answers waiting.
pub(super) async fn serve<I>(
    io: I,
    written: Arc<AtomicU64>,
    peer: SocketAddr,
    secure: Secure,
    limits: Limits,
    mut stopping: watch::Receiver<()>,
) -> hyper::Result<()>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::<Activity>::default();
    let service = service_fn({
        let activity = Arc::clone(&activity);
        move |request: http::Request<Incoming>| {
            activity.begun.fetch_add(1, Ordering::Relaxed);
            let (busy, activity, secure) = (Busy::new(&activity), Arc::clone(&activity), secure.clone());
            async move {
                let response = secure.handle(peer, request).await;
                drop(busy);
                let tracked = response.map(|body| Tracked { body, activity, waiting: None });
                Ok::<_, std::convert::Infallible>(tracked)
            }
        }
    });
    let mut connection = std::pin::pin!(builder().serve_connection(TokioIo::new(io), service));
    let mut looks = tokio::time::interval(limits.idle / LOOKS);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut seen, mut still, mut is_ending) = ((0, 0), 0, false);
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            _ = stopping.changed(), if !is_ending => is_ending = true,
            _ = looks.tick() => {
                let now = (activity.begun.load(Ordering::Relaxed), written.load(Ordering::Relaxed));
                let is_still = activity.busy.load(Ordering::Relaxed) == 0
                    && now.0 == seen.0
                    && now.1.saturating_sub(seen.1) < MOVEMENT;
                seen = now;
                still = if is_still { still + 1 } else { 0 };
                match still {
                    ..LOOKS => continue,
                    LOOKS => is_ending = true,
                    _ => {
                        metrics::counter!("hoody_connections_cut_total", "reason" => "idle").increment(1);
                        return Ok(());
                    }
                }
            }
        }
        connection.as_mut().graceful_shutdown();
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(MAX_HEAD)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(BROKEN_STREAMS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}

/// An answer's body; busy while it has nothing to send yet and more will come.
#[derive(Debug)]
struct Tracked {
    body: Body,
    activity: Arc<Activity>,
    waiting: Option<Busy>,
}

impl hyper::body::Body for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.waiting = match &frame {
            Poll::Ready(_) => None,
            Poll::Pending => self.waiting.take().or_else(|| Some(Busy::new(&self.activity))),
        };
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
