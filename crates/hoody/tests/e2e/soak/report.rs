//! What was seen, as tables.

use std::fmt::Write as _;
use std::time::Duration;

use super::node::Held;
use super::side::Side;

/// A node is compared with itself.
pub(super) struct Compared {
    pub(super) name: &'static str,
    pub(super) is_mortal: bool,
    pub(super) before: Held,
    pub(super) after: Held,
}

/// One kind of trouble on one side.
#[derive(Debug, Default, Clone)]
pub(super) struct Happened {
    pub(super) times: u64,
    /// From its end until all nodes took everything again; the longest.
    pub(super) recovery: Duration,
    /// How often that took longer than it may.
    pub(super) late: u64,
    /// The most resident memory of a node that is not killed, in KiB.
    pub(super) peak: u64,
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}

impl Compared {
    /// What of it is not as it was.
    pub(super) fn problems(&self) -> Vec<String> {
        if self.is_mortal {
            return Vec::new();
        }
        let (before, after) = (&self.before, &self.after);
        let mut problems = Vec::new();
        if after.resident * 10 > before.resident * 11 {
            let (before, after) = (megabytes(before.resident), megabytes(after.resident));
            problems.push(format!("memory: {} grew from {before:.1} to {after:.1} MB", self.name));
        }
        if after.descriptors() > before.descriptors() {
            problems
                .push(format!("descriptors: {} had {:?}, has {:?}", self.name, before.files, after.files));
        }
        if after.threads > before.threads {
            problems.push(format!("threads: {} had {}, has {}", self.name, before.threads, after.threads));
        }
        if after.tasks > before.tasks {
            problems.push(format!("tasks: {} had {:?}, has {:?}", self.name, before.tasks, after.tasks));
        }
        problems
    }
}

pub(super) fn resources(compared: &[Compared]) -> String {
    let mut text = String::from(
        "| node | resident MB, before | after | | of it its own, before | after | descriptors, before | after | threads | background tasks |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for node in compared {
        let (before, after) = (&node.before, &node.after);
        let change = (after.resident as f64 / before.resident.max(1) as f64 - 1.0) * 100.0;
        let change = if node.is_mortal { "(killed meanwhile)".to_owned() } else { format!("{change:+.1} %") };
        let tasks = |held: &Held| held.tasks.map_or("not told".to_owned(), |tasks| tasks.to_string());
        let _ = writeln!(
            text,
            "| {} | {:.1} | {:.1} | {change} | {:.1} | {:.1} | {} | {} | {} → {} | {} → {} |",
            node.name,
            megabytes(before.resident),
            megabytes(after.resident),
            megabytes(before.anonymous),
            megabytes(after.anonymous),
            before.descriptors(),
            after.descriptors(),
            before.threads,
            after.threads,
            tasks(before),
            tasks(after),
        );
    }
    text
}

pub(super) fn troubles(side: &Side, happened: &[(String, Happened)]) -> String {
    let mut text = String::from(
        "| what happened | times | well again after at most | later than it may | most memory MB | checks answered | 503 | no answer | slowest ms | \
         changes made | 503 | no answer | slowest ms |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let seen = side.seen.lock().unwrap();
    let sum = |fault: &str, wanted: &[&str]| {
        let fitting =
            seen.iter().filter(|((at, what), _)| at == fault && wanted.iter().any(|w| what.starts_with(w)));
        fitting.fold((0, 0, 0, Duration::ZERO), |sum, (_, count)| {
            (
                sum.0 + count.done + count.refused,
                sum.1 + count.busy + count.failed,
                sum.2 + count.lost,
                sum.3.max(count.slowest),
            )
        })
    };
    for (name, happened) in happened {
        let checks = sum(name, &["check", "revoked", "garbage"]);
        let changes = sum(name, &["token", "project", "vault", "sign-in", "refresh", "sign-out"]);
        let _ = write!(
            text,
            "| {name} | {} | {:.2} s | {} | {:.1} ",
            happened.times,
            happened.recovery.as_secs_f64(),
            happened.late,
            megabytes(happened.peak)
        );
        for (answered, busy, lost, slowest) in [checks, changes] {
            let _ = write!(text, "| {answered} | {busy} | {lost} | {} ", slowest.as_millis());
        }
        text.push_str("|\n");
    }
    text
}

pub(super) fn asked(side: &Side) -> String {
    let mut sums = std::collections::BTreeMap::<&str, [u64; 5]>::new();
    for ((_, what), count) in side.seen.lock().unwrap().iter() {
        let sum = sums.entry(what).or_default();
        for (sum, more) in
            sum.iter_mut().zip([count.done, count.refused, count.busy, count.failed, count.lost])
        {
            *sum += more;
        }
    }
    let mut text =
        String::from("| asked | 2xx | refused | 503 | other 5xx | no answer |\n|---|---|---|---|---|---|\n");
    for (what, [done, refused, busy, failed, lost]) in sums {
        let _ = writeln!(text, "| {what} | {done} | {refused} | {busy} | {failed} | {lost} |");
    }
    text.push_str("\n| change | acknowledged | refused, nothing done | outcome unknown | answer lost |\n|---|---|---|---|---|\n");
    for (what, outcomes) in side.ledger.outcomes.lock().unwrap().iter() {
        let (done, refused) = (outcomes.done, outcomes.refused);
        let _ = writeln!(text, "| {what} | {done} | {refused} | {} | {} |", outcomes.unknown, outcomes.lost);
    }
    text
}

pub(super) fn logs(side: &Side) -> String {
    let mut text = String::new();
    for node in &side.nodes {
        let (complaints, lines) = node.log.complaints();
        let all: u64 = complaints.iter().map(|(_, times)| times).sum();
        let _ = writeln!(text, "- {}: {lines} lines, {all} of them warnings and errors", node.name);
        for (line, times) in complaints.iter().take(12) {
            let _ = writeln!(text, "  - {times} × `{}`", line.replace('`', "'"));
        }
    }
    text
}

pub(super) fn broken(side: &Side) -> String {
    let mut text = String::new();
    for (kind, (times, first)) in side.ledger.broken() {
        let _ = writeln!(text, "- **{}: {kind}**, {times} times", side.name);
        for what in first.iter().take(3) {
            let _ = writeln!(text, "  - {what}");
        }
    }
    text
}
