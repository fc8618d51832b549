//! How long requests took: histograms, and what two of them have to do with each other.

use std::time::Duration;

/// Times in steps of a hundredth of their size, from a microsecond up.
#[derive(Clone, Default)]
pub struct Times {
    counts: Vec<u32>,
    total: u64,
}

const STEP: f64 = 1.01;

impl Times {
    pub fn add(&mut self, time: Duration) {
        let micros = (time.as_secs_f64() * 1e6).max(1.0);
        let step = (micros.ln() / STEP.ln()) as usize;
        if self.counts.len() <= step {
            self.counts.resize(step + 1, 0);
        }
        self.counts[step] += 1;
        self.total += 1;
    }

    fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    /// In microseconds; 0 when there are none.
    pub fn percentile(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (step, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return STEP.powf(step as f64 + 0.5);
            }
        }
        0.0
    }
}

/// The times of one turn, window by window.
pub type Turn = Vec<Times>;

/// The 99th percentile of all requests of these turns.
pub fn of_all(turns: &[&Turn]) -> Times {
    let mut all = Times::default();
    turns.iter().flat_map(|turn| turn.iter()).for_each(|window| all.merge(window));
    all
}

/// The median of the windows' 99th percentiles.
pub fn of_windows(turns: &[&Turn]) -> f64 {
    let mut windows: Vec<f64> =
        turns.iter().flat_map(|turn| turn.iter()).map(|window| window.percentile(0.99)).collect();
    windows.sort_by(f64::total_cmp);
    windows.get(windows.len() / 2).copied().unwrap_or(0.0)
}

/// `of` these turns to `of` those, and between what it is in 95 of 100 draws of the turns (bootstrap).
pub fn ratio(turns: &[Turn], to: &[Turn], of: impl Fn(&[&Turn]) -> f64) -> [f64; 3] {
    const DRAWS: usize = 200;
    let all = |turns: &[Turn]| of(&turns.iter().collect::<Vec<_>>());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |turns: &[Turn]| {
        let drawn: Vec<&Turn> = turns
            .iter()
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                &turns[(state >> 33) as usize % turns.len()]
            })
            .collect();
        of(&drawn)
    };
    let mut drawn: Vec<f64> = (0..DRAWS).map(|_| draw(turns) / draw(to)).collect();
    drawn.sort_by(f64::total_cmp);
    [all(turns) / all(to), drawn[DRAWS / 40], drawn[DRAWS - 1 - DRAWS / 40]]
}
