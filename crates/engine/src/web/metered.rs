//! The body of an answer: it counts in its client's share until the client has taken it, comes in pieces,
//! and keeps its connection busy.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use hyper::body::Body as _;
use hyper::body::{Bytes, Frame, SizeHint};

use super::connection::Busy;
use super::http2::Stream;
use super::memory::{ClientMemory, Held};

/// The largest piece that is handed to the protocol at a time: what a client that stops to read leaves there.
const PIECE: usize = 16 * 1024;

/// An answer's body.
pub(super) struct Metered {
    body: Body,
    memory: ClientMemory,
    /// For what the body holds until it hands it out.
    held: Option<Held>,
    /// What is handed out next, already counted.
    rest: Bytes,
    stream: Option<Arc<Stream>>,
    _busy: Busy,
}

/// Bytes that count until the last piece of them is gone.
struct Counted {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Metered {
    /// Counts what the body of `response` holds; `None` when its client may not hold that much more.
    pub(super) fn hold(response: &Response, memory: &ClientMemory) -> Option<Held> {
        let size = response.body().size_hint().exact().unwrap_or(0);
        memory.hold(usize::try_from(size).unwrap_or(usize::MAX))
    }

    /// `body`, for which `held` is counted already.
    pub(super) fn new(body: Body, memory: ClientMemory, held: Option<Held>, busy: Busy) -> Self {
        Self { body, memory, held, rest: Bytes::new(), stream: Stream::current(), _busy: busy }
    }

    /// The next piece of `rest`. The last one of several is a copy, so that it does not keep all of them.
    fn piece(&mut self, is_first: bool) -> Bytes {
        if self.rest.len() > PIECE {
            return self.rest.split_to(PIECE);
        }
        let last = std::mem::take(&mut self.rest);
        if is_first {
            return last;
        }
        let held = self.memory.hold_anyway(last.len());
        Bytes::from_owner(Counted { bytes: Bytes::copy_from_slice(&last), _held: held })
    }
}

impl hyper::body::Body for Metered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let is_first = self.rest.is_empty();
        if is_first {
            if let Some(stream) = &self.stream {
                stream.wait();
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame.into_data(),
                other => return Poll::Ready(other),
            };
            let bytes = match frame {
                Ok(bytes) => bytes,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
            // The whole body in one frame takes what it holds along.
            let held = match self.held.take() {
                Some(held) if held.bytes() == bytes.len() => held,
                kept => {
                    self.held = kept;
                    self.memory.hold_anyway(bytes.len())
                }
            };
            self.rest = Bytes::from_owner(Counted { bytes, _held: held });
        }
        let piece = self.piece(is_first);
        if let Some(stream) = &self.stream {
            stream.give(piece.len());
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(inner.lower().saturating_add(rest));
        hint
    }
}
