//! The load: one thread that sends checks over many connections, as fast as they are answered or at a
//! fixed rate. At a fixed rate a request's time counts from when it should have been sent, so that a
//! server that stalls cannot hide behind the requests that were not sent meanwhile.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};

/// What to send, to whom, for how long.
pub struct Load {
    pub address: SocketAddr,
    /// Method and target, e.g. `GET /api/v1/auth/check`.
    pub target: String,
    /// One credential a line, in the order in which they are sent; after the last comes the first.
    pub credentials: String,
    /// With which of them it begins.
    pub from: usize,
    pub connections: usize,
    pub seconds: f64,
    /// Requests a second; `None`: as fast as they are answered.
    pub rate: Option<f64>,
    /// Requests in all; `None`: as many as there is time for.
    pub most: Option<u64>,
}

struct Connection {
    stream: TcpStream,
    /// When the request under way was sent, or should have been.
    since: Option<Instant>,
    buffer: Vec<u8>,
}

/// Runs it; requests, those not answered with 2xx, seconds of time and of CPU, and the times in
/// microseconds.
///
/// # Panics
/// When the server cannot be reached or hangs up.
pub fn run(load: &Load) -> Value {
    let credentials: Vec<&str> = load.credentials.lines().collect();
    let mut poll = Poll::new().expect("a poll");
    let mut connections: Vec<Connection> =
        (0..load.connections).map(|index| connect(&poll, load.address, index)).collect();
    let mut events = Events::with_capacity(load.connections);
    let mut idle: Vec<usize> = (0..load.connections).collect();
    let (mut times, mut refused) = (Histogram::default(), 0_u64);
    let (head, tail) =
        (format!("{} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer ", load.target, load.address), "\r\n\r\n");
    let mut request = Vec::new();
    let mut next = credentials.iter().cycle().skip(load.from % credentials.len());
    let cpu = cpu_seconds("self");
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(load.seconds);
    let most = load.most.unwrap_or(u64::MAX);
    let (mut sent, mut late) = (0_u64, 0_u64);
    loop {
        let now = Instant::now();
        let is_over = now >= end || sent >= most;
        if is_over && idle.len() == connections.len() {
            break;
        }
        while !is_over && sent < most {
            let due = load.rate.map(|rate| began + Duration::from_secs_f64(sent as f64 / rate));
            if due.is_some_and(|due| due > now) {
                break;
            }
            let Some(index) = idle.pop() else {
                late += u64::from(due.is_some());
                break;
            };
            request.clear();
            for part in [head.as_str(), next.next().expect("a cycle has no end"), tail] {
                request.extend_from_slice(part.as_bytes());
            }
            let connection = &mut connections[index];
            connection.since = Some(due.unwrap_or_else(Instant::now));
            connection.stream.write_all(&request).expect("a small request goes out whole");
            sent += 1;
        }
        // It spins: no timer is as exact as looking, and a load that sleeps would have to be woken by the
        // server's writes, which the kernel puts on the server's account.
        poll.poll(&mut events, Some(Duration::ZERO)).expect("a poll");
        if events.is_empty() {
            // To the kernel's own thread for the network, which would wait for its turn here.
            std::thread::yield_now();
        }
        for event in &events {
            let index = event.token().0;
            let connection = &mut connections[index];
            if let Some(is_good) = connection.read() {
                let since = connection.since.take().expect("an answer to a request");
                times.add(since.elapsed());
                refused += u64::from(!is_good);
                idle.push(index);
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    json!({
        "requests": sent, "refused": refused, "late": late, "seconds": seconds, "cpu": cpu_seconds("self") - cpu,
        "p50_us": times.percentile(0.5), "p99_us": times.percentile(0.99),
        "p999_us": times.percentile(0.999), "max_us": times.percentile(1.0),
    })
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
        let is_good = self.buffer.get(9) == Some(&b'2');
        self.buffer.clear();
        Some(is_good)
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

/// Times in steps of a hundredth of their size.
#[derive(Default)]
struct Histogram {
    counts: std::collections::BTreeMap<u64, u64>,
    total: u64,
}

impl Histogram {
    fn add(&mut self, time: Duration) {
        let tenths = u64::try_from(time.as_nanos() / 100).unwrap_or(u64::MAX);
        let step = (tenths / 100).max(1);
        *self.counts.entry(tenths / step * step).or_default() += 1;
        self.total += 1;
    }

    /// In microseconds.
    fn percentile(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (time, count) in &self.counts {
            seen += count;
            if seen >= wanted {
                return *time as f64 / 10.0;
            }
        }
        0.0
    }
}
