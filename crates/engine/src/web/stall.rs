//! A stream whose peer must read what it asked for: it is cut when it takes less than a trickle.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::places::Place;

/// What a peer must take of a waiting answer within the limit, in bytes.
pub(super) const TRICKLE: usize = 32 * 1024;

/// A stream that fails with [`io::ErrorKind::TimedOut`] once a write has waited for the limit and less
/// than [`TRICKLE`] went out meanwhile. Costs nothing while the peer keeps up. What arrives is counted.
#[derive(Debug)]
pub(super) struct Stall<S> {
    inner: S,
    limit: Duration,
    waiting: Option<Waiting>,
    /// Given back with the stream, also when it has become a WebSocket.
    place: Arc<Place>,
}

/// A write that the socket has no room for.
#[derive(Debug)]
struct Waiting {
    until: Pin<Box<Sleep>>,
    taken: usize,
}

impl<S> Stall<S> {
    pub(super) fn new(inner: S, limit: Duration, place: &Arc<Place>) -> Self {
        Self { inner, limit, waiting: None, place: Arc::clone(place) }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.inner
    }

    fn note(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(bytes)) => {
                if let Some(waiting) = &mut self.waiting {
                    waiting.taken = waiting.taken.saturating_add(bytes);
                }
                result
            }
            Poll::Ready(Err(_)) => result,
            Poll::Pending => self.wait(cx),
        }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let limit = self.limit;
            let waiting = self
                .waiting
                .get_or_insert_with(|| Waiting { until: Box::pin(tokio::time::sleep(limit)), taken: 0 });
            ready!(waiting.until.as_mut().poll(cx));
            if waiting.taken < TRICKLE {
                metrics::counter!("hoody_connections_cut_total", "reason" => "slow_reader").increment(1);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.waiting = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.place.connection().note_read(buffer.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buffer);
        self.note(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, buffers);
        self.note(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Asked for when all that there was to write is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waiting = None;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
