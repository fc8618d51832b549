//! All rows of all accounts, in an order that misses none.
//!
//! Nodes commit out of order, so there is no one order of everything. But the rows of one run (one start
//! of one node) are numbered without gaps, and how far a run is stands in the same transaction as its
//! rows. So a place in the log is a number for each run; reading on from it gives every row once, those
//! of one run in their order.
//!
//! The number of a run may come again: on SQLite a place that is kept is on the disk at once, the log a
//! moment later, and a loss of power in between takes the run away; or the operator deletes the file. So a
//! place says when each run began, too: one that began at another instant is read from its beginning.

use std::collections::{BTreeMap, HashMap};

use hoody_core::activity::{Record, hour};
use hoody_core::id::UserId;
use serde::{Deserialize, Serialize};

use super::blocks::{self, ReadError, settled};
use super::store::{self, Run};
use super::tables::{self, Kind};
use super::{Activity, Logged};
use crate::db::DbError;

/// A place in the log: how far each run is read. To be kept as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(BTreeMap<i64, Reached>);

/// The number of the last row of a run that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Reached {
    /// Of the run that began at this instant, in milliseconds.
    Since(i64, i64),
    /// Of any: as a version before this one kept it.
    Any(i64),
}

impl Position {
    /// The place after everything that is stored now.
    pub async fn at_the_end(activity: &Activity) -> Result<Self, DbError> {
        let mut end = Self::default();
        store::runs(&activity.db).await?.iter().for_each(|run| end.set(run, run.written));
        Ok(end)
    }

    /// The place where these rows are not read yet: the last ones of those that were read up to this place.
    pub fn without(mut self, rows: &[Logged]) -> Self {
        for row in rows {
            if let Some(Reached::Since(_, read) | Reached::Any(read)) = self.0.get_mut(&row.run) {
                *read = row.seq.saturating_sub(1).min(*read);
            }
        }
        self
    }

    /// The number of the last row of a run that was read.
    fn of(&self, run: &Run) -> i64 {
        match self.0.get(&run.run) {
            Some(Reached::Since(began, read)) if *began == run.started_at.millis() => *read,
            Some(Reached::Any(read)) => *read,
            _ => 0,
        }
    }

    fn set(&mut self, run: &Run, read: i64) {
        self.0.insert(run.run, Reached::Since(run.started_at.millis(), read));
    }
}

/// Rows after `position`, at most `limit` of each run, and the place after them. Rows that were dropped
/// for their age are passed over. Nothing more is there when the place is the same.
pub async fn read_after(
    activity: &Activity,
    position: &Position,
    limit: i64,
) -> Result<(Vec<Logged>, Position), DbError> {
    let first = |after: i64, written: i64| (after, written.min(after.saturating_add(limit)));
    settled(|| try_read(activity, position, first, |_| true)).await
}

/// Rows after `position` of the accounts that `is_asked` names, but of each run only those among its last
/// `limit`; and the place after everything. For who wants to know what happens now, not all that happened.
pub async fn read_latest(
    activity: &Activity,
    position: &Position,
    limit: i64,
    is_asked: impl Fn(&UserId) -> bool,
) -> Result<(Vec<Logged>, Position), DbError> {
    let last = |after: i64, written: i64| (after.max(written.saturating_sub(limit)), written);
    settled(|| try_read(activity, position, last, &is_asked)).await
}

/// `part` says which numbers of a run are read, when it is read up to the first and written up to the
/// second: those after the one, up to the other.
async fn try_read(
    activity: &Activity,
    position: &Position,
    part: impl Fn(i64, i64) -> (i64, i64),
    is_asked: impl Fn(&UserId) -> bool,
) -> Result<(Vec<Logged>, Position), ReadError> {
    let mut rows = Vec::new();
    let mut next = Position::default();
    // Before the tables: those of every row that a run has are listed then, unless they were dropped.
    let runs = store::runs(&activity.db).await?;
    let spans = tables::list(&activity.db, Kind::Blocks).await?;
    let days = tables::list(&activity.db, Kind::Bodies).await?;
    for run in runs {
        let read = position.of(&run);
        let (after, upto) = part(read, run.written);
        if upto > after {
            rows.extend(read_run(activity, (&spans, &days), &run, (after, upto), &is_asked).await?);
        }
        next.set(&run, upto.max(read));
    }
    rows.sort_by_key(|row| (row.at, row.run, row.seq));
    Ok((rows, next))
}

async fn read_run(
    activity: &Activity,
    (spans, days): (&[i64], &[i64]),
    run: &Run,
    (after, upto): (i64, i64),
    is_asked: impl Fn(&UserId) -> bool,
) -> Result<Vec<Logged>, ReadError> {
    let first = Kind::Blocks.span(hour(run.started_at));
    let mut rows = Vec::new();
    for span in spans.iter().copied().filter(|span| *span >= first) {
        let mut found = store::blocks_of_run(&activity.db, span, run.run, after, upto).await?;
        found.retain(|(account, block)| is_asked(account) && days.contains(&Kind::Bodies.span(block.hour)));
        let accounts: HashMap<_, _> = found.iter().map(|(account, block)| (block.id, *account)).collect();
        let give = |id, record: Record<'_>| {
            if let Some(account) = accounts.get(&id)
                && (after + 1..=upto).contains(&record.seq)
            {
                rows.push(Logged::of(run.run, *account, &record));
            }
        };
        blocks::read(&activity.db, found.iter().map(|(_, block)| *block), |_| true, give).await?;
    }
    Ok(rows)
}
