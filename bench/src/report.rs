//! `RESULTS.md` and its plots. Each part is kept in a file of its own as soon as it is measured, so that a run
//! that is cut off leaves a report, and a part can be measured again alone.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

/// Where the parts are kept.
const PARTS: &str = "target/report";

/// What was measured in one part, as it is written down.
pub struct Report {
    text: String,
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
    pub fn new() -> Self {
        Self { text: String::new() }
    }

    pub fn section(&mut self, title: &str) {
        let _ = writeln!(self.text, "\n## {title}\n");
    }

    pub fn text(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}");
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
        let _ = writeln!(
            self.text,
            "| | requests per second of server CPU | requests per second | p99 µs | ratio to the first |"
        );
        let _ = writeln!(self.text, "|---|---|---|---|---|");
        let first = results[0].1;
        let mut bars = Vec::new();
        for (name, rounds) in &results {
            let per_cpu = median(rounds.iter().map(|round| number(round, "per_cpu_second")));
            let ratio = rounds
                .iter()
                .zip(first)
                .map(|(a, b)| number(a, "per_cpu_second") / number(b, "per_cpu_second"));
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

    /// What came of turns (`turns.rs`): the percentiles of each, in microseconds, and what they are to the
    /// first's.
    pub fn turns<'a>(
        &mut self,
        title: &str,
        plot: &str,
        names: impl Iterator<Item = &'a str>,
        result: &Value,
    ) {
        self.section(title);
        let _ = writeln!(
            self.text,
            "A request's time counts from when it was due. Turns of 250 ms, {:.0} s each in all, the \
             servers' core kept awake by a process of the lowest priority. The load's own thread, \
             reading the clock between the turns with a core to itself, was stopped for {:.1} % of the time, {:.1} times a \
             second for more than a millisecond: that much of every figure is the machine's. So the 99th percentile is given \
             for all requests, and for the median window of 50 ms (a batch of the request log is written as often). In \
             brackets: 95 of 100 draws of the turns.\n",
            number(&result["sides"][0], "seconds"),
            number(result, "stopped") * 100.0,
            number(result, "stops_a_second"),
        );
        let _ = writeln!(
            self.text,
            "| | p50 µs | p99 µs | p99.9 µs | p99 to the first | p99 of the median window µs | that to the first |\n\
             |---|---|---|---|---|---|---|"
        );
        let mut bars = Vec::new();
        for (name, side) in names.zip(result["sides"].as_array().expect("sides")) {
            assert_eq!(side["refused"], 0.0, "{name}: {side}");
            let ratio = |key: &str| {
                let at = |index: usize| side[key][index].as_f64().unwrap_or(0.0);
                format!("**{:.2}** ({:.2}–{:.2})", at(0), at(1), at(2))
            };
            let _ = writeln!(
                self.text,
                "| {name} | {:.0} | {:.0} | {:.0} | {} | {:.0} | {} |",
                number(side, "p50_us"),
                number(side, "p99_us"),
                number(side, "p999_us"),
                ratio("ratio"),
                number(side, "window_us"),
                ratio("window_ratio"),
            );
            bars.push((name.to_owned(), number(side, "window_us")));
        }
        self.plot(plot, "p99 of the median window, in microseconds", &bars);
    }

    pub fn plot(&mut self, title: &str, unit: &str, bars: &[(String, f64)]) {
        let name = format!("{}.svg", title.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        let _ = writeln!(self.text, "\n![{title}](plots/{name})");
        std::fs::create_dir_all("plots").expect("plots/");
        std::fs::write(format!("plots/{name}"), svg(title, unit, bars)).expect("a plot");
    }

    /// Keeps this part under `place` and writes `RESULTS.md` of all there are.
    pub fn write(&self, place: &str) {
        std::fs::create_dir_all(PARTS).expect("a directory");
        std::fs::write(Path::new(PARTS).join(place), &self.text).expect("a part");
        let parts = std::fs::read_dir(PARTS).expect("the parts");
        let mut parts: Vec<_> = parts.map(|part| part.expect("a part").path()).collect();
        parts.sort();
        let mut text = format!("{HEAD}\nMachine: {}\n", machine());
        // What was made of the last run, by hand.
        text.push_str(&std::fs::read_to_string("aims.md").unwrap_or_default());
        for part in parts {
            text.push_str(&std::fs::read_to_string(part).expect("a part"));
        }
        std::fs::write("RESULTS.md", &text).expect("RESULTS.md");
        println!("{}", self.text);
    }
}

const HEAD: &str = "# Results

Written by `bench/run`. Servers take turns on one pinned core with one worker thread, the load on the other; the median of \
the rounds after one to warm up. A round in which anything but the server and the load took more than a tenth of a core \
(`/proc/stat`: all that was busy or stolen, less what those two used) is dropped and made again. These machines drift: \
compare within one part only.
";

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
    let said = |program: &str| {
        let output = std::process::Command::new(program).arg("--version").output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
    };
    let versions: Vec<String> =
        [("hoody", commit()), ("", said("rustc")), ("", said("psql")), ("node", said("node"))]
            .into_iter()
            .filter_map(|(name, version)| Some(format!("{name} {}", version?).trim().to_owned()))
            .collect();
    format!(
        "{cores} cores, {}, Linux {}; {}",
        model.map_or("unknown", |(_, model)| model),
        kernel.trim(),
        versions.join("; ")
    )
}

/// Which commit was measured.
fn commit() -> Option<String> {
    let output = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|commit| !commit.is_empty())
}
