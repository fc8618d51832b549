//! The way of log lines to stderr. A thread of its own writes them: a pipe that nobody reads, a full disk or a
//! reader that is gone costs lines, and nobody who logs waits or fails.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// So many bytes wait for a slow reader before lines are dropped.
const MOST_WAITING: usize = 4 << 20;
/// How long after a write that was refused for now the next one is tried.
const PAUSE: Duration = Duration::from_millis(20);

static TO_STDERR: OnceLock<Lines> = OnceLock::new();

/// Where lines are left to be written.
#[derive(Debug, Clone)]
pub struct Lines {
    waiting: Sender<Message>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicUsize,
    lost: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Line(Box<[u8]>),
    /// Everything before it is written.
    Flush(Sender<()>),
}

/// The lines that go to stderr, once `start` was called.
pub fn to_stderr() -> Option<&'static Lines> {
    TO_STDERR.get()
}

/// Starts the thread that writes to stderr.
pub(super) fn start() -> io::Result<Lines> {
    // A copy: the lock of `std::io::Stderr` would be held for as long as a reader does not read.
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let lines = Lines::into(stderr)?;
    Ok(TO_STDERR.get_or_init(|| lines).clone())
}

/// Waits until what was logged is written, no longer than `limit`.
pub fn flush(limit: Duration) {
    if let Some(lines) = TO_STDERR.get() {
        lines.flush_within(limit);
    }
}

impl Lines {
    /// Lines that a thread writes into `out`.
    fn into(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (waiting, messages) = channel();
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(out, &messages, &counted))?;
        Ok(Self { waiting, counts })
    }

    /// Leaves lines to be written, or drops them when too much waits.
    fn push(&self, lines: &[u8]) {
        let before = self.counts.bytes.fetch_add(lines.len(), Ordering::Relaxed);
        if before + lines.len() > MOST_WAITING || self.waiting.send(Message::Line(lines.into())).is_err() {
            self.counts.bytes.fetch_sub(lines.len(), Ordering::Relaxed);
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("hoody_log_lines_lost_total").increment(1);
        }
    }

    fn flush_within(&self, limit: Duration) {
        let (done, is_done) = channel();
        if self.waiting.send(Message::Flush(done)).is_ok() {
            // Late or not: the process goes on to its end.
            let _: Result<(), RecvTimeoutError> = is_done.recv_timeout(limit);
        }
    }
}

/// Writes until nobody can leave anything any more.
fn write_all(mut out: impl Write, messages: &Receiver<Message>, counts: &Counts) {
    let mut is_cut = false;
    for message in messages {
        let line = match message {
            Message::Line(line) => line,
            Message::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        let lost = counts.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let note = format!("{lost} lines of the log were dropped: standard error was not read in time\n");
            write(&mut out, note.as_bytes(), &mut is_cut);
        }
        write(&mut out, &line, &mut is_cut);
        counts.bytes.fetch_sub(line.len(), Ordering::Relaxed);
    }
}

/// Writes a line, or what the reader takes of it. After a part of one the next begins on a line of its own.
fn write(out: &mut impl Write, mut line: &[u8], is_cut: &mut bool) {
    if *is_cut && try_write(out, b"\n").is_ok() {
        *is_cut = false;
    }
    while !line.is_empty() {
        match try_write(out, line) {
            Ok(written) => {
                line = &line[written..];
                *is_cut = !line.is_empty();
            }
            Err(_) => {
                metrics::counter!("hoody_log_lines_lost_total").increment(1);
                return;
            }
        }
    }
}

fn try_write(out: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => return Ok(written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Somebody who shares the pipe made it so.
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::park_timeout(PAUSE),
            Err(error) => return Err(error),
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Lines {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.push(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// Answers each write with the next of these: how many bytes it takes, or why not.
    #[derive(Clone, Default)]
    struct Script {
        answers: Arc<Mutex<Vec<Result<usize, ErrorKind>>>>,
        taken: Arc<Mutex<Vec<u8>>>,
        /// Nothing is taken before this.
        open: Arc<(Mutex<bool>, Condvar)>,
    }

    impl Script {
        fn open(&self) {
            *self.open.0.lock().unwrap() = true;
            self.open.1.notify_all();
        }

        fn text(&self) -> String {
            String::from_utf8(self.taken.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut is_open = self.open.0.lock().unwrap();
            while !*is_open {
                is_open = self.open.1.wait(is_open).unwrap();
            }
            let mut answers = self.answers.lock().unwrap();
            let answer = if answers.is_empty() { Ok(usize::MAX) } else { answers.remove(0) };
            let taken = answer?.min(bytes.len());
            self.taken.lock().unwrap().extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_written_is_lost_and_the_next_line_is_whole() {
        let script = Script::default();
        let answers = [
            Err(ErrorKind::BrokenPipe),
            Err(ErrorKind::Interrupted),
            Ok(3),
            Err(ErrorKind::WouldBlock),
            Ok(usize::MAX),
            // A disk that gets full within a line, and stays so for another.
            Ok(2),
            Err(ErrorKind::StorageFull),
            Err(ErrorKind::StorageFull),
            Err(ErrorKind::StorageFull),
        ];
        *script.answers.lock().unwrap() = answers.into();
        script.open();
        let lines = Lines::into(script.clone()).unwrap();
        for line in ["gone\n", "in two\n", "cut\n", "lost\n", "well\n"] {
            (&lines).write_all(line.as_bytes()).unwrap();
        }
        lines.flush_within(LIMIT);
        assert_eq!(script.text(), "in two\ncu\nwell\n");
    }

    #[test]
    fn nobody_waits_for_a_reader_that_does_not_read() {
        let script = Script::default();
        let lines = Lines::into(script.clone()).unwrap();
        let long = [b'x'; 1 << 20];
        for _ in 0..20 {
            (&lines).write_all(&long).unwrap();
        }
        lines.flush_within(Duration::from_millis(1));
        script.open();
        lines.flush_within(LIMIT);
        (&lines).write_all(b"\nwell\n").unwrap();
        lines.flush_within(LIMIT);
        let text = script.text();
        assert!(text.contains("16 lines of the log were dropped") && text.ends_with("\nwell\n"));
    }
}
