//! `RESULTS.md` and its plots.

use std::fmt::Write as _;

use serde_json::Value;

/// What was measured, as it is written down.
pub struct Report {
    text: String,
    facts: Vec<(String, String)>,
    plots: Vec<(String, String)>,
}

/// The middle value.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn number(result: &Value, key: &str) -> f64 {
    result[key].as_f64().unwrap_or(0.0)
}

impl Report {
    pub fn new(rounds: usize, seconds: f64) -> Self {
        let text = format!(
            "# Results\n\nWritten by `bench/run`. Servers take turns on one pinned core with one worker thread, the load on \
             the other; {rounds} rounds of {seconds} s after one to warm up, and the median of them. A round in which the \
             machine was busy with something else is made again. Compare within one run only.\n\nMachine: {}\n",
            machine()
        );
        Self { text, facts: Vec::new(), plots: Vec::new() }
    }

    pub fn section(&mut self, title: &str) {
        let _ = writeln!(self.text, "\n## {title}\n");
    }

    pub fn text(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}");
    }

    /// A single figure, for the list at the end.
    pub fn fact(&mut self, name: &str, value: String) {
        self.facts.push((name.to_owned(), value));
    }

    /// Requests per CPU second of each, and their ratios to the first, round by round.
    pub fn throughput<'a>(
        &mut self,
        title: &str,
        what: &str,
        results: impl Iterator<Item = (&'a str, &'a Vec<Value>)>,
    ) {
        let results: Vec<_> = results.collect();
        self.section(title);
        let _ = writeln!(self.text, "{what}\n");
        let _ = writeln!(self.text, "| | requests per second of server CPU | requests per second | p99 µs | ratio to the first |");
        let _ = writeln!(self.text, "|---|---|---|---|---|");
        let first = results[0].1;
        let mut bars = Vec::new();
        for (name, rounds) in &results {
            let per_cpu = median(rounds.iter().map(|round| number(round, "per_cpu_second")));
            let ratio = rounds.iter().zip(first).map(|(a, b)| number(a, "per_cpu_second") / number(b, "per_cpu_second"));
            let _ = writeln!(
                self.text,
                "| {name} | {per_cpu:.0} | {:.0} | {:.0} | **{:.3}** |",
                median(rounds.iter().map(|round| number(round, "requests") / number(round, "seconds"))),
                median(rounds.iter().map(|round| number(round, "p99_us"))),
                median(ratio)
            );
            bars.push(((*name).to_owned(), per_cpu));
        }
        self.plot(title, "requests per second of server CPU", &bars);
    }

    /// The percentiles of each, in microseconds.
    pub fn latency<'a>(&mut self, title: &str, results: impl Iterator<Item = (&'a str, &'a Vec<Value>)>) {
        let results: Vec<_> = results.collect();
        self.section(title);
        let _ = writeln!(self.text, "A request's time counts from when it was due.\n");
        let _ = writeln!(self.text, "| | p50 µs | p99 µs | p99.9 µs | p99 to the first |\n|---|---|---|---|---|");
        let at = |rounds: &[Value], key: &str| median(rounds.iter().map(|round| number(round, key)));
        let first = at(results[0].1, "p99_us");
        for (name, rounds) in results {
            let p99 = at(rounds, "p99_us");
            let _ = writeln!(
                self.text,
                "| {name} | {:.0} | {p99:.0} | {:.0} | **{:.2}** |",
                at(rounds, "p50_us"),
                at(rounds, "p999_us"),
                p99 / first
            );
        }
    }

    fn plot(&mut self, title: &str, unit: &str, bars: &[(String, f64)]) {
        let name = format!("{}.svg", title.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        let _ = writeln!(self.text, "\n![{title}](plots/{name})");
        self.plots.push((name, svg(title, unit, bars)));
    }

    /// Writes `RESULTS.md` and `plots/`.
    pub fn write(mut self) {
        if !self.facts.is_empty() {
            self.section("Single figures");
            for (name, value) in std::mem::take(&mut self.facts) {
                let _ = writeln!(self.text, "- {name}: {value}");
            }
        }
        std::fs::create_dir_all("plots").expect("plots/");
        for (name, plot) in &self.plots {
            std::fs::write(format!("plots/{name}"), plot).expect("a plot");
        }
        std::fs::write("RESULTS.md", &self.text).expect("RESULTS.md");
        println!("{}", self.text);
    }
}

/// Horizontal bars.
fn svg(title: &str, unit: &str, bars: &[(String, f64)]) -> String {
    let most = bars.iter().map(|(_, value)| *value).fold(1.0, f64::max);
    let height = 60 + 44 * bars.len();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"13\"><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/><text x=\"16\" y=\"24\" font-size=\"15\" \
         font-weight=\"bold\">{title}</text><text x=\"16\" y=\"42\" fill=\"#555\">{unit}</text>\n"
    );
    for (index, (name, value)) in bars.iter().enumerate() {
        let y = 56 + 44 * index;
        let width = (600.0 * value / most).max(1.0);
        let _ = writeln!(
            svg,
            "<text x=\"16\" y=\"{}\">{}</text><rect x=\"16\" y=\"{}\" width=\"{width:.0}\" height=\"16\" fill=\"#2563eb\"/>\
             <text x=\"{:.0}\" y=\"{}\">{value:.0}</text>",
            y + 12,
            name.replace('`', ""),
            y + 17,
            width + 22.0,
            y + 30
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!(
        "{} cores, {}, Linux {}; hoody {}",
        cores,
        model.map_or("unknown", |(_, model)| model),
        kernel.trim(),
        env!("CARGO_PKG_VERSION")
    )
}
