//! Keeps repeated warnings from filling the disk: of each place that warns, so many lines in a while are
//! written, and the rest is counted.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How many lines of one place are written in a window.
const LINES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(30);

/// Writes events as `F` does, but repeated warnings and errors only up to the limit.
#[derive(Debug)]
pub(super) struct LogLimit<F> {
    inner: F,
    places: Places,
}

/// The places that warned, each once in the code.
#[derive(Debug, Default)]
struct Places(Mutex<HashMap<Identifier, Window>>);

#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
    left_out: u64,
}

/// What is to become of a line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is written, after a word on so many that were not.
    Write {
        left_out: u64,
    },
    LeaveOut,
}

impl Window {
    fn new(now: Instant) -> Self {
        Self { began: now, lines: 0, left_out: 0 }
    }

    fn judge(&mut self, now: Instant) -> Verdict {
        let mut left_out = 0;
        if now.duration_since(self.began) >= WINDOW {
            left_out = self.left_out;
            *self = Self::new(now);
        }
        if self.lines >= LINES {
            self.left_out += 1;
            return Verdict::LeaveOut;
        }
        self.lines += 1;
        Verdict::Write { left_out }
    }
}

impl Places {
    fn judge(&self, place: Identifier, now: Instant) -> Verdict {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(place).or_insert_with(|| Window::new(now)).judge(now)
    }
}

impl<F> LogLimit<F> {
    pub(super) fn new(inner: F) -> Self {
        Self { inner, places: Places::default() }
    }
}

impl<S, N, F> FormatEvent<S, N> for LogLimit<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        if *metadata.level() <= Level::WARN {
            match self.places.judge(metadata.callsite(), Instant::now()) {
                Verdict::LeaveOut => return Ok(()),
                Verdict::Write { left_out: 0 } => {}
                Verdict::Write { left_out } => {
                    tracing::info!(left_out, "log lines were left out; they were like the next one");
                }
            }
        }
        self.inner.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// What was logged.
    #[derive(Debug, Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_place_writes_so_many_lines_and_others_are_not_concerned() {
        let log = Log::default();
        let subscriber =
            tracing_subscriber::fmt().with_writer(log.clone()).map_event_format(LogLimit::new).finish();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..1_000 {
                tracing::warn!("again and again");
                tracing::info!("said");
            }
            tracing::warn!("something else");
        });
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let count = |text| log.matches(text).count();
        assert_eq!((count("again and again"), count("said"), count("something else")), (20, 1_000, 1));
        assert_eq!(log.lines().count(), 1_021);
    }

    #[test]
    fn what_was_left_out_is_counted_in_the_next_window() {
        let now = Instant::now();
        let mut window = Window::new(now);
        let mut judge = |after: Duration| window.judge(now + after);
        for _ in 0..LINES {
            assert_eq!(judge(Duration::ZERO), Verdict::Write { left_out: 0 });
        }
        assert_eq!(judge(Duration::ZERO), Verdict::LeaveOut);
        assert_eq!(judge(WINDOW / 2), Verdict::LeaveOut);
        assert_eq!(judge(WINDOW), Verdict::Write { left_out: 2 });
        assert_eq!(judge(WINDOW), Verdict::Write { left_out: 0 });
    }
}
