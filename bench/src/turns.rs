//! Servers that take turns under one load, a quarter of a second each, at a fixed rate: what disturbs the
//! machine disturbs them alike. A server gets time after its turn to end what it does for itself, such as
//! to write its log.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::load::{Load, Side};
use crate::times::{Turn, of_all, of_windows, ratio};

const TURN: Duration = Duration::from_millis(250);
const REST: Duration = Duration::from_millis(150);
/// A batch of the request log is written as often.
const WINDOW: Duration = Duration::from_millis(50);

/// Runs all of them, `seconds` each. What came of each, and what the load saw of the machine while it rested:
/// the share of time in which it was stopped.
pub fn run(loads: &[Load], seconds: f64) -> Value {
    let mut sides: Vec<Side<'_>> = loads.iter().map(Side::connect).collect();
    let mut turns: Vec<Vec<Turn>> = loads.iter().map(|_| Vec::new()).collect();
    let mut sums = vec![[0.0_f64; 4]; loads.len()];
    let mut stops = Stops::default();
    let rounds = (seconds / TURN.as_secs_f64()).ceil() as usize;
    // The first is to warm up.
    for round in 0..=rounds {
        for (index, side) in sides.iter_mut().enumerate() {
            let mut windows: Turn = Vec::new();
            windows.resize_with((TURN.as_nanos() / WINDOW.as_nanos()) as usize, Default::default);
            let changes = side.changes();
            let sent = side.send(Instant::now(), TURN.as_secs_f64(), &mut |due, time| {
                let window = (due.as_nanos() / WINDOW.as_nanos()) as usize;
                if let Some(window) = windows.get_mut(window) {
                    window.add(time);
                }
            });
            if round > 0 {
                turns[index].push(windows);
                let changes = (side.changes() - changes) as f64;
                let more = [sent.requests as f64, sent.refused as f64, sent.late as f64, changes];
                sums[index].iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            }
            stops.look(REST);
        }
    }
    let results: Vec<Value> = turns
        .iter()
        .zip(&sums)
        .map(|(own, sums)| {
            let every: Vec<&Turn> = own.iter().collect();
            let all = of_all(&every);
            json!({
                "requests": sums[0], "refused": sums[1], "late": sums[2], "changes": sums[3],
                "seconds": rounds as f64 * TURN.as_secs_f64(),
                "p50_us": all.percentile(0.5), "p99_us": all.percentile(0.99),
                "p999_us": all.percentile(0.999), "max_us": all.percentile(1.0),
                "window_us": of_windows(&every),
                "ratio": ratio(own, &turns[0], |turns| of_all(turns).percentile(0.99)),
                "window_ratio": ratio(own, &turns[0], of_windows),
            })
        })
        .collect();
    json!({ "sides": results, "stopped": stops.share(), "stops_a_second": stops.a_second() })
}

/// How often a thread that only reads the clock, with a core to itself, was stopped for more than a
/// millisecond, and for how long in all.
#[derive(Default)]
struct Stops {
    looked: Duration,
    stopped: Duration,
    long: u64,
}

impl Stops {
    fn look(&mut self, time: Duration) {
        let began = Instant::now();
        let mut last = began;
        while last - began < time {
            let now = Instant::now();
            let gap = now - last;
            if gap > Duration::from_micros(20) {
                self.stopped += gap;
            }
            self.long += u64::from(gap > Duration::from_millis(1));
            last = now;
        }
        self.looked += last - began;
    }

    fn share(&self) -> f64 {
        self.stopped.as_secs_f64() / self.looked.as_secs_f64()
    }

    fn a_second(&self) -> f64 {
        self.long as f64 / self.looked.as_secs_f64()
    }
}
