//! The other end of a node's standard error: a named pipe whose reader can stop reading, go away and come back.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

/// What the reader does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Reads,
    /// It is there and does not read: the pipe fills up.
    Stalls,
    /// It is gone: each write fails.
    Gone,
    /// The test is over.
    Ended,
}

/// What a node logged.
#[derive(Debug, Default)]
struct Said {
    lines: u64,
    /// Warnings and errors without their numbers; how often.
    complaints: BTreeMap<String, u64>,
    panics: Vec<String>,
}

/// The log of one node.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) path: PathBuf,
    reader: Arc<Mutex<Reader>>,
    said: Arc<Mutex<Said>>,
}

impl Log {
    /// Makes the pipe and begins to read.
    pub(super) fn new(path: PathBuf) -> Self {
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let log = Self { path, reader: Arc::new(Mutex::new(Reader::Reads)), said: Arc::default() };
        let (path, reader, said) = (log.path.clone(), Arc::clone(&log.reader), Arc::clone(&log.said));
        std::thread::spawn(move || follow(&path, &reader, &said));
        log
    }

    pub(super) fn set(&self, reader: Reader) {
        *self.reader.lock().unwrap() = reader;
    }

    pub(super) fn panics(&self) -> Vec<String> {
        self.said.lock().unwrap().panics.clone()
    }

    /// The commonest complaints, and how many lines there were in all.
    pub(super) fn complaints(&self) -> (Vec<(String, u64)>, u64) {
        let said = self.said.lock().unwrap();
        let mut all: Vec<_> = said.complaints.iter().map(|(line, times)| (line.clone(), *times)).collect();
        all.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        (all, said.lines)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.set(Reader::Ended);
    }
}

fn follow(path: &Path, reader: &Mutex<Reader>, said: &Mutex<Said>) {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut pipe: Option<File> = None;
    let (mut chunk, mut line) = (vec![0; 64 * 1024], Vec::new());
    loop {
        let state = *reader.lock().unwrap();
        match state {
            Reader::Ended => return,
            Reader::Gone => pipe = None,
            Reader::Stalls => {}
            Reader::Reads => {
                let open = || {
                    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
                    OpenOptions::new().read(true).custom_flags(flags).open(path)
                };
                // The place is gone when the test ends at a failure.
                let Ok(file) = pipe.take().map_or_else(open, Ok) else { return };
                match pipe.insert(file).read(&mut chunk) {
                    Ok(0) => {}
                    Ok(length) => {
                        line.extend_from_slice(&chunk[..length]);
                        note(&mut line, said);
                        continue;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => panic!("{}: {error}", path.display()),
                }
            }
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a thread of its own, for a pipe that nobody may block"
        )]
        std::thread::sleep(PAUSE);
    }
}

/// Takes whole lines out of what was read.
fn note(read: &mut Vec<u8>, said: &Mutex<Said>) {
    let Some(end) = read.iter().rposition(|byte| *byte == b'\n') else { return };
    let whole: Vec<u8> = read.drain(..=end).collect();
    let mut said = said.lock().unwrap();
    for line in String::from_utf8_lossy(&whole).lines() {
        said.lines += 1;
        if line.contains("panicked") && said.panics.len() < 100 {
            said.panics.push(line.to_owned());
        }
        let level = ["WARN", "ERROR"].into_iter().find_map(|level| line.find(level));
        if let Some(level) = level {
            *said.complaints.entry(kind(&line[level..])).or_default() += 1;
        }
    }
}

/// A line without its numbers, and not too long: what it says, not about which request.
fn kind(line: &str) -> String {
    let mut kind = String::new();
    for word in line.split(' ').take(24) {
        let is_number = word.chars().any(|c| c.is_ascii_digit());
        kind.push_str(if is_number { "…" } else { word });
        kind.push(' ');
    }
    kind.trim_end().to_owned()
}
