//! What is known of a connection while it lives, and how it is asked to end. Requests leave their marks
//! without a lock: a check that is answered hot costs a few loads and stores here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// A connection, shared by the task that serves it, its requests and the list of places.
#[derive(Debug)]
pub struct Connection {
    pub peer: SocketAddr,
    /// Requests that began.
    begun: AtomicU64,
    /// Requests for the router that run, or whose answers are still being sent.
    busy: AtomicUsize,
    /// Bytes that arrived, and how many had when the last request began or ended.
    read: AtomicU64,
    read_at_request: AtomicU64,
    /// Frames of HTTP/2 come and go between requests, too.
    is_http2: AtomicBool,
    /// A credential was let in on it.
    is_known: AtomicBool,
    /// Bytes that are held for its requests and answers.
    pub(super) held: AtomicUsize,
    end: AtomicU8,
    waker: AtomicWaker,
}

/// How a connection is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// What runs may finish: the server stops.
    Stop = 1,
    /// What runs may finish, but it must give its place back soon: it was idle, or another needs the place.
    Leave = 2,
}

/// How much happened on a connection, to compare with a later look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) begun: u64,
    pub(super) is_busy: bool,
    /// Part of a request's head has arrived (HTTP/1).
    pub(super) is_in_head: bool,
}

impl Connection {
    pub fn new(peer: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            peer,
            begun: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            read: AtomicU64::new(0),
            read_at_request: AtomicU64::new(0),
            is_http2: AtomicBool::new(false),
            is_known: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            end: AtomicU8::new(0),
            waker: AtomicWaker::new(),
        })
    }

    /// Notes that a request begins. On one connection they begin one after the other: no read-modify-write.
    pub(super) fn note_request(&self) {
        self.begun.store(self.begun.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.note_place();
    }

    /// Notes that so many bytes arrived. One task reads.
    pub(super) fn note_read(&self, bytes: usize) {
        let read = self.read.load(Ordering::Relaxed).wrapping_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.read.store(read, Ordering::Relaxed);
    }

    /// What arrived so far belongs to requests that began.
    fn note_place(&self) {
        self.read_at_request.store(self.read.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Notes that it goes on as a WebSocket: it is busy to its end.
    pub(super) fn note_upgraded(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that HTTP/2 is spoken.
    pub(super) fn note_http2(&self) {
        self.is_http2.store(true, Ordering::Relaxed);
    }

    /// Notes that a credential was let in.
    pub(super) fn note_known(&self) {
        if !self.is_known() {
            self.is_known.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    pub(super) fn look(&self) -> Look {
        let is_read = self.read.load(Ordering::Relaxed) == self.read_at_request.load(Ordering::Relaxed);
        Look {
            begun: self.begun.load(Ordering::Relaxed),
            is_busy: self.is_busy(),
            is_in_head: !is_read && !self.is_http2.load(Ordering::Relaxed),
        }
    }

    /// Asks it to end.
    pub(super) fn ask_to_end(&self, end: End) {
        self.end.fetch_max(end as u8, Ordering::AcqRel);
        self.waker.wake();
    }

    /// How it was asked to end, if it was.
    pub(super) fn asked(&self) -> Option<End> {
        match self.end.load(Ordering::Acquire) {
            0 => None,
            1 => Some(End::Stop),
            _ => Some(End::Leave),
        }
    }

    /// Has the task of `cx` woken when it is asked to end.
    pub(super) fn wake_at_end(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    /// Waits until it is asked to end.
    pub(super) async fn ends(&self) {
        self.is_asked(End::Stop).await;
    }

    /// Waits until it is asked to give its place back.
    pub(super) async fn leaves(&self) {
        self.is_asked(End::Leave).await;
    }

    async fn is_asked(&self, end: End) {
        std::future::poll_fn(|cx| {
            self.wake_at_end(cx);
            let is_asked = self.asked() == Some(end) || self.asked() == Some(End::Leave);
            if is_asked { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// A request for the router, until its answer is sent.
#[derive(Debug)]
pub(super) struct Busy(Arc<Connection>);

impl Busy {
    pub(super) fn new(connection: &Arc<Connection>) -> Self {
        connection.busy.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.note_place();
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
