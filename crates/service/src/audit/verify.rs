//! Following the chain from its beginning to its end, and holding it against what was signed.

use std::collections::VecDeque;

use hoody_core::audit::{CheckpointKey, Entry, Link, Walk};
use hoody_core::time::{HOUR, Timestamp};
use serde::Serialize;

use super::store::{self, Signed};
use super::{Audit, trim};
use hoody_engine::db::DbError;

/// After so many problems the rest is not listed.
const MOST_PROBLEMS: usize = 20;
/// How far apart the clocks of who trims the feed and who verifies may be, in milliseconds.
const TRIMMING: i64 = HOUR;

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// How many rows the log has.
    pub rows: i64,
    /// The feed's position of the last one.
    pub position: i64,
    /// When the last one happened.
    pub last_at: Option<Timestamp>,
    /// The last row's link.
    pub link: Option<String>,
    /// How many checkpoints were held against it.
    pub checkpoints: u64,
    /// How many of them are signed with keys that were retired: only their links were compared.
    pub unverifiable_checkpoints: u64,
    /// How many positions of the feed are not sealed yet.
    pub unsealed: i64,
    pub problems: Vec<Problem>,
}

/// Something that is not as it was sealed.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// The row's number.
    pub row: i64,
    /// Its position in the feed.
    pub position: Option<i64>,
    pub what: String,
}

impl Report {
    fn add(&mut self, row: i64, position: Option<i64>, what: impl Into<String>) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(Problem { row, position, what: what.into() });
        }
    }
}

/// Walks the log as it stands when this begins. `handed_out` is a checkpoint that was exported earlier.
pub async fn verify(audit: &Audit, handed_out: Option<&Signed>) -> Result<Report, DbError> {
    let keys = audit.keys.checkpoint_keys();
    let mut report = Report::default();
    // In this order: what is sealed meanwhile is signed with it, so no row is after its checkpoint.
    let head = audit.db.head().await?.pos;
    let end = store::find_end(&audit.db).await?.map_or(0, |end| end.n);
    let signed = store::find_last_checkpoint(&audit.db).await?;
    let last = signed.map_or(end, |signed| end.max(signed.checkpoint.n));
    let mut checkpoints = Checkpoints::new(audit, &keys, signed, handed_out);
    let mut walk = Walk::new(audit.keys.database_id());
    let mut next = store::list_after(&audit.db, 0, last).await?;
    while !next.is_empty() {
        let rows = std::mem::take(&mut next);
        let last_n = rows.last().map_or(0, |(entry, _)| entry.n);
        // The next rows come while these are hashed.
        let (more, ()) = tokio::join!(
            store::list_after(&audit.db, last_n, last),
            walk_over(&mut walk, &rows, &mut checkpoints, &mut report)
        );
        next = more?;
    }
    report.rows = walk.n();
    report.position = walk.place().0;
    report.link = (walk.n() > 0).then(|| walk.link().to_string());
    checkpoints.finish(&mut report, walk.n()).await;
    if let Some(error) = checkpoints.error.take() {
        return Err(error);
    }
    check_end(&mut report, signed, end, &keys);
    check_feed(audit, &mut report, walk.place(), head).await?;
    Ok(report)
}

async fn walk_over(
    walk: &mut Walk,
    rows: &[(Entry, Link)],
    checkpoints: &mut Checkpoints<'_>,
    report: &mut Report,
) {
    for (entry, link) in rows {
        if let Err(fault) = walk.step(entry, *link) {
            report.add(entry.n, Some(entry.place.0), fault.to_string());
        }
        checkpoints.hold_against(entry, *link, report).await;
        report.last_at = Some(entry.at);
    }
    // So that the read beside it comes on.
    tokio::task::yield_now().await;
}

/// The checkpoints in their order, read as they are needed.
struct Checkpoints<'a> {
    audit: &'a Audit,
    keys: &'a [CheckpointKey],
    /// The last one of when this began, which may be gone before it is read: a later one takes its place.
    last: Option<Signed>,
    waiting: VecDeque<Signed>,
    last_read: i64,
    is_over: bool,
    handed_out: Option<&'a Signed>,
    error: Option<DbError>,
}

impl<'a> Checkpoints<'a> {
    fn new(
        audit: &'a Audit,
        keys: &'a [CheckpointKey],
        last: Option<Signed>,
        handed_out: Option<&'a Signed>,
    ) -> Self {
        let waiting = VecDeque::new();
        Self { audit, keys, last, waiting, last_read: 0, is_over: false, handed_out, error: None }
    }

    async fn peek(&mut self) -> Option<Signed> {
        if self.waiting.is_empty() && !self.is_over {
            let last = self.last.map_or(0, |last| last.checkpoint.n);
            match store::list_checkpoints(&self.audit.db, self.last_read, last).await {
                Ok(read) => {
                    self.is_over = read.is_empty();
                    self.waiting.extend(read);
                    if self.is_over && self.last_read < last {
                        self.waiting.extend(self.last);
                    }
                    self.last_read = self.waiting.back().map_or(self.last_read, |last| last.checkpoint.n);
                }
                Err(error) => {
                    self.is_over = true;
                    self.error = Some(error);
                }
            }
        }
        self.waiting.front().copied()
    }

    /// Every checkpoint up to this row.
    async fn hold_against(&mut self, entry: &Entry, link: Link, report: &mut Report) {
        if let Some(handed_out) = self.handed_out.filter(|signed| signed.checkpoint.n == entry.n) {
            if handed_out.checkpoint.link != link {
                let what =
                    "the log up to here is not the one of the checkpoint that was given: it was rewritten";
                report.add(entry.n, Some(entry.place.0), what);
            }
            self.handed_out = None;
        }
        while let Some(signed) = self.peek().await.filter(|signed| signed.checkpoint.n <= entry.n) {
            self.waiting.pop_front();
            self.judge(&signed, (signed.checkpoint.n == entry.n).then_some(link), report);
        }
    }

    fn judge(&self, signed: &Signed, link: Option<Link>, report: &mut Report) {
        let Signed { checkpoint, key, mac } = signed;
        report.checkpoints += 1;
        match self.keys.iter().find(|known| known.id() == *key) {
            Some(known) if known.verifies(checkpoint, mac) => {}
            Some(_) => {
                report.add(checkpoint.n, Some(checkpoint.pos), "a checkpoint was not signed by this server");
            }
            None => report.unverifiable_checkpoints += 1,
        }
        if link != Some(checkpoint.link) {
            let what = format!(
                "the log up to here is not the one that was signed at {}: rows were changed and sealed again",
                checkpoint.at
            );
            report.add(checkpoint.n, Some(checkpoint.pos), what);
        }
    }

    /// What is signed and not there.
    async fn finish(&mut self, report: &mut Report, rows: i64) {
        while let Some(signed) = self.peek().await {
            self.waiting.pop_front();
            report.checkpoints += 1;
            let checkpoint = signed.checkpoint;
            let what = format!(
                "the tail is cut: {} rows were signed at {}, and {rows} are there",
                checkpoint.n, checkpoint.at
            );
            report.add(checkpoint.n, Some(checkpoint.pos), what);
        }
        if let Some(signed) = self.handed_out.take() {
            let checkpoint = signed.checkpoint;
            let what = format!(
                "the database went back: the checkpoint that was given has {} rows, of {}, and {rows} are there",
                checkpoint.n, checkpoint.at
            );
            report.add(checkpoint.n, Some(checkpoint.pos), what);
        }
    }
}

/// The last checkpoint is what holds all the rest: it must be ours, and at the log's end.
fn check_end(report: &mut Report, signed: Option<Signed>, end: i64, keys: &[CheckpointKey]) {
    let Some(signed) = signed else {
        if end > 0 {
            let what = "no checkpoint is there: nothing shows that the log is the one that was sealed";
            report.add(report.rows, Some(report.position), what);
        }
        return;
    };
    if !keys.iter().any(|key| key.id() == signed.key) {
        let what =
            format!("the last checkpoint is signed with {}, which is not among the master keys", signed.key);
        report.add(signed.checkpoint.n, Some(signed.checkpoint.pos), what);
    }
    if end > signed.checkpoint.n {
        let what = format!("the rows after {} are not signed: they were put in", signed.checkpoint.n);
        report.add(signed.checkpoint.n + 1, None, what);
    }
}

/// What of the feed is still there is what was sealed of it, and nothing was taken out before.
async fn check_feed(audit: &Audit, report: &mut Report, place: (i64, i64), head: i64) -> Result<(), DbError> {
    for (n, place) in store::list_different(&audit.db).await? {
        report.add(n, Some(place.0), "the feed's row is not the one that was sealed");
    }
    let since = audit.clock.now().plus(TRIMMING - trim::KEPT);
    for (n, place) in store::list_removed(&audit.db, since, report.rows).await? {
        report.add(n, Some(place.0), "the row was taken out of the feed, which keeps it for a week");
    }
    for position in store::list_put_in(&audit.db, place).await? {
        report.add(
            report.rows,
            Some(position),
            "the feed has a row here that was not sealed: it was put in later",
        );
    }
    let now = audit.db.head().await?.pos;
    if now < report.position {
        let what = format!("the feed ends at {now}, before the last position that was sealed: it went back");
        report.add(report.rows, Some(report.position), what);
    }
    let unsealed = store::count_unsealed(&audit.db, report.position, head).await?;
    report.unsealed = unsealed.min((head - report.position).max(0));
    if head - report.position > unsealed {
        let what = format!(
            "{} positions up to {head} are not in the feed and were not sealed",
            head - report.position - unsealed
        );
        report.add(report.rows + 1, Some(report.position + 1), what);
    }
    Ok(())
}
