//! The load: one thread that sends checks over many connections, as fast as they are answered or at a
//! fixed rate. At a fixed rate a request's time counts from when it should have been sent, so that a
//! server that stalls cannot hide behind the requests that were not sent meanwhile.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};

use crate::times::Times;

/// The password of the account that is signed in to.
pub const PASSWORD: &str = "correct horse battery";

/// What to send, to whom, for how long.
pub struct Load {
    pub address: SocketAddr,
    /// Method and target, e.g. `GET /api/v1/auth/check`.
    pub target: String,
    /// One credential a line, in the order in which they are sent; after the last comes the first.
    pub credentials: Vec<String>,
    /// With which of them it begins.
    pub from: usize,
    pub connections: usize,
    pub seconds: f64,
    /// Requests a second; `None`: as fast as they are answered.
    pub rate: Option<f64>,
    /// Requests in all; `None`: as many as there is time for.
    pub most: Option<u64>,
    /// The session of somebody who changes things all the while, one request after the other.
    pub writer: Option<String>,
}

/// What came of it.
#[derive(Default)]
pub struct Sent {
    pub requests: u64,
    pub refused: u64,
    /// How often no connection was free when a request was due.
    pub late: u64,
    pub seconds: f64,
}

/// Runs it; requests, those not answered with 2xx, seconds of time and of CPU, and the times in
/// microseconds.
///
/// # Panics
/// When the server cannot be reached or hangs up.
pub fn run(load: &Load) -> Value {
    let mut side = Side::connect(load);
    let mut times = Times::default();
    let cpu = cpu_seconds("self");
    let sent = side.send(Instant::now(), load.seconds, &mut |_, time| times.add(time));
    json!({
        "requests": sent.requests, "refused": sent.refused, "late": sent.late, "seconds": sent.seconds,
        "cpu": cpu_seconds("self") - cpu,
        "p50_us": times.percentile(0.5), "p99_us": times.percentile(0.99),
        "p999_us": times.percentile(0.999), "max_us": times.percentile(1.0),
    })
}

/// A server and the connections to it.
pub struct Side<'a> {
    load: &'a Load,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    head: String,
    request: Vec<u8>,
    /// Which credential is next.
    next: usize,
    writer: Option<Writer>,
}

struct Connection {
    stream: TcpStream,
    /// When the request under way was sent, or should have been.
    since: Option<Instant>,
    /// What came of the answer so far; whole until the next request.
    buffer: Vec<u8>,
}

impl<'a> Side<'a> {
    pub fn connect(load: &'a Load) -> Self {
        let poll = Poll::new().expect("a poll");
        let connections: Vec<Connection> =
            (0..load.connections).map(|index| connect(&poll, load.address, index)).collect();
        let writer = load.writer.as_ref().map(|session| Writer {
            connection: connect(&poll, load.address, load.connections),
            host: load.address,
            session: session.clone(),
            changes: 0,
            step: Step::Make,
        });
        Self {
            load,
            poll,
            events: Events::with_capacity(load.connections + 1),
            idle: (0..load.connections).collect(),
            connections,
            head: format!("{} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer ", load.target, load.address),
            request: Vec::new(),
            next: load.from,
            writer,
        }
    }

    /// Sends from `began` on for so many seconds, and waits for the answers. `took` hears of each when its
    /// request was due, from `began`, and how long it took.
    pub fn send(&mut self, began: Instant, seconds: f64, took: &mut impl FnMut(Duration, Duration)) -> Sent {
        let end = began + Duration::from_secs_f64(seconds);
        let most = self.load.most.unwrap_or(u64::MAX);
        let mut sent = Sent::default();
        loop {
            let now = Instant::now();
            let is_over = now >= end || sent.requests >= most;
            let is_writing = self.writer.as_mut().is_some_and(|writer| writer.go_on(is_over));
            if is_over && !is_writing && self.idle.len() == self.connections.len() {
                break;
            }
            while !is_over && sent.requests < most {
                let due =
                    self.load.rate.map(|rate| began + Duration::from_secs_f64(sent.requests as f64 / rate));
                if due.is_some_and(|due| due > now) {
                    break;
                }
                let Some(index) = self.idle.pop() else {
                    sent.late += u64::from(due.is_some());
                    break;
                };
                self.begin(index, due);
                sent.requests += 1;
            }
            // It spins: no timer is as exact as looking, and a load that sleeps would have to be woken by the
            // server's writes, which the kernel puts on the server's account.
            self.poll.poll(&mut self.events, Some(Duration::ZERO)).expect("a poll");
            if self.events.is_empty() {
                // To the kernel's own thread for the network, which would wait for its turn here.
                std::thread::yield_now();
            }
            for event in &self.events {
                let index = event.token().0;
                let Some(connection) = self.connections.get_mut(index) else {
                    self.writer.as_mut().expect("its connection is the last").read();
                    continue;
                };
                if let Some(is_good) = connection.read() {
                    let since = connection.since.take().expect("an answer to a request");
                    took(since - began, since.elapsed());
                    sent.refused += u64::from(!is_good);
                    self.idle.push(index);
                }
            }
        }
        sent.seconds = began.elapsed().as_secs_f64();
        sent
    }

    fn begin(&mut self, index: usize, due: Option<Instant>) {
        let credentials = &self.load.credentials;
        self.request.clear();
        for part in [&self.head, &credentials[self.next % credentials.len()], "\r\n\r\n"] {
            self.request.extend_from_slice(part.as_bytes());
        }
        self.next += 1;
        let connection = &mut self.connections[index];
        connection.since = Some(due.unwrap_or_else(Instant::now));
        connection.write(&self.request);
    }

    /// How many changes its writer made so far.
    pub fn changes(&self) -> u64 {
        self.writer.as_ref().map_or(0, |writer| writer.changes)
    }
}

/// Makes a token, deletes it and reads the log, over and over, and signs in now and then.
struct Writer {
    connection: Connection,
    host: SocketAddr,
    session: String,
    changes: u64,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Make,
    Delete(String),
    Read,
    SignIn,
}

/// After how many changes it signs in.
const SIGN_IN: u64 = 100;

impl Writer {
    /// Sends the next request unless one is under way or it `is_over`; whether one is under way.
    fn go_on(&mut self, is_over: bool) -> bool {
        if is_over || self.connection.since.is_some() {
            return self.connection.since.is_some();
        }
        let made = "{}".to_owned();
        let (line, body) = match &self.step {
            Step::Make => ("POST /api/v1/auth/tokens".to_owned(), Some(made)),
            Step::Delete(id) => (format!("DELETE /api/v1/auth/tokens/{id}"), None),
            Step::Read => ("GET /api/v1/users/auth/activity".to_owned(), None),
            Step::SignIn => (
                "POST /api/v1/users/auth/login".to_owned(),
                Some(json!({ "username": "bench", "password": PASSWORD }).to_string()),
            ),
        };
        let body = body.unwrap_or_default();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.host,
            self.session,
            body.len()
        );
        self.connection.since = Some(Instant::now());
        self.connection.write(request.as_bytes());
        true
    }

    fn read(&mut self) {
        let Some(is_good) = self.connection.read() else { return };
        self.connection.since = None;
        let answer = String::from_utf8_lossy(&self.connection.buffer);
        assert!(is_good, "the writer's {:?}: {answer}", self.step);
        let text = |pointer: &str| {
            let body: Value =
                serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("json");
            body.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned()
        };
        self.changes += u64::from(matches!(self.step, Step::Make | Step::Delete(_)));
        self.step = match self.step {
            Step::Make => Step::Delete(text("/data/id")),
            Step::Delete(_) => Step::Read,
            Step::Read if self.changes % SIGN_IN == 0 => Step::SignIn,
            Step::Read => Step::Make,
            Step::SignIn => {
                self.session = text("/data/token");
                Step::Make
            }
        };
    }
}

/// User and system time of a process so far, in seconds (ticks of 10 ms).
pub fn cpu_seconds(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process is there");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("ticks");
    (ticks(11) + ticks(12)) / 100.0
}

fn connect(poll: &Poll, address: SocketAddr, index: usize) -> Connection {
    let stream = std::net::TcpStream::connect(address).expect("the server is there");
    stream.set_nodelay(true).expect("an option");
    stream.set_nonblocking(true).expect("an option");
    let mut stream = TcpStream::from_std(stream);
    poll.registry().register(&mut stream, Token(index), Interest::READABLE).expect("a place in the poll");
    Connection { stream, since: None, buffer: Vec::with_capacity(4096) }
}

impl Connection {
    fn write(&mut self, request: &[u8]) {
        self.buffer.clear();
        self.stream.write_all(request).expect("a small request goes out whole");
    }

    /// Reads what is there; once the answer is whole, whether it is 2xx.
    fn read(&mut self) -> Option<bool> {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => panic!("the server hung up"),
                Ok(length) => self.buffer.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let head = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&self.buffer[..head]).expect("a head is text");
        let body = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if self.buffer.len() < head + body.unwrap_or(0) {
            return None;
        }
        Some(self.buffer.get(9) == Some(&b'2'))
    }
}

/// Which of `count` tokens is used, as often as Zipf's law has it (exponent 1): few often, most seldom.
pub struct Zipf {
    count: u64,
    state: u64,
}

impl Zipf {
    pub fn new(count: u64) -> Self {
        Self { count, state: 0x9e37_79b9_7f4a_7c15 }
    }
}

impl Iterator for Zipf {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        // xorshift64*; the inverse of the harmonic distribution, near enough: n^u.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let random = (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64;
        let place = (self.count as f64).powf(random) as u64;
        Some(place.saturating_sub(1).min(self.count - 1))
    }
}
