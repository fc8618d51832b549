//! Answers from the log: one page of an account's rows, how many there are, how much they take.
//!
//! Beside each block stand its first and last instant and the number of its rows of each series. So rows
//! are counted without reading them, and a page far back is found by counting; only the blocks that it
//! lies in are read, and at the ends of a time range those that it cuts. Blocks of several nodes overlap
//! in time; those of one do not.

use std::collections::{BTreeSet, HashSet};

use hoody_core::activity::{self, Filter, HOUR, Record, hour};
use hoody_core::id::{LogRowId, UserId};
use hoody_core::time::{DAY, SECOND, Timestamp};

use super::blocks::{self, ReadError, Wanted, settled};
use super::store::{self, Header};
use super::tables::{self, Kind};
use super::{Activity, Logged, run_of, seq_of};
use crate::db::{Db, DbError};

/// Rows are reached by pages up to this one, and counted up to the one after it.
pub const WINDOW: u64 = 10_000;
/// How much is said of blocks at a time.
const SIZES: Sizes = Sizes { first: 64, aim: 4_000, most: 16_000, next: 1_000 };
/// How many blocks are read at a time.
const READ: usize = 64;

/// Which rows of which account.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub account: UserId,
    pub from: Timestamp,
    /// The last instant.
    pub until: Timestamp,
    pub filter: Filter,
}

/// Some rows, the latest first, and how many there are in all, counted to [`WINDOW`] and one.
#[derive(Debug)]
pub struct Found {
    pub rows: Vec<Logged>,
    pub total: u64,
}

/// How much there is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub rows: u64,
    pub bytes: u64,
    pub oldest: Option<Timestamp>,
    pub newest: Option<Timestamp>,
}

/// A block that has rows which are wanted.
#[derive(Debug)]
struct Candidate {
    header: Header,
    matching: u64,
}

/// Of how many blocks is asked at a time.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Of the latest: most requests need no more.
    pub first: i64,
    /// Then of about so many, in as much time as they seem to lie in.
    pub aim: u32,
    /// Where there are so many, the guess was wrong.
    pub most: i64,
    /// Then of so many, in order.
    pub next: i64,
}

/// Rows `offset` to `offset + limit` of those that are asked for. Together at most [`WINDOW`].
pub async fn page(activity: &Activity, asked: &Asked, offset: u64, limit: u64) -> Result<Found, DbError> {
    page_by(activity, asked, (offset, limit), SIZES).await
}

/// The first `limit` rows that come after the row `id` in the list. One that is not there any more stands for
/// the second that its id names: rows of earlier ones are given.
pub async fn page_before(
    activity: &Activity,
    asked: &Asked,
    id: LogRowId,
    limit: u64,
) -> Result<Found, DbError> {
    let [a, b, c, d, place @ ..] = *id.bytes();
    let second = i64::from(u32::from_be_bytes([a, b, c, d]));
    let (run, seq) = (run_of(i64::from_be_bytes(place)), seq_of(i64::from_be_bytes(place)));
    let begin = Timestamp::from_millis(second * SECOND);
    if begin > asked.until {
        return page(activity, asked, 0, limit).await;
    }
    // The row itself need not pass the filter.
    let until = begin.plus(SECOND - 1).min(asked.until);
    let whole = Asked { from: begin.max(asked.from), until, filter: Filter::default(), ..*asked };
    let known = if whole.from <= until { page(activity, &whole, 0, WINDOW).await?.rows } else { Vec::new() };
    let found = known.iter().find(|row| (row.run, row.seq) == (run, seq));
    let key = found.map_or((begin, i64::MIN, i64::MIN), |row| (row.at, row.run, row.seq));
    // Of the same instant, those that come before it in the list, and itself.
    let passed = known.iter().filter(|row| row.at == key.0 && (row.at, row.run, row.seq) >= key);
    let passed = passed.filter(|row| asked.filter.admits(&row.series)).count() as u64;
    let rest = Asked { until: key.0.min(asked.until), ..*asked };
    if rest.from > rest.until {
        return Ok(Found { rows: Vec::new(), total: 0 });
    }
    page(activity, &rest, passed, limit).await
}

/// The same, asking of so many blocks at a time.
pub async fn page_by(
    activity: &Activity,
    asked: &Asked,
    part: (u64, u64),
    sizes: Sizes,
) -> Result<Found, DbError> {
    settled(|| try_page(activity, asked, part, sizes)).await
}

async fn try_page(
    activity: &Activity,
    asked: &Asked,
    (offset, limit): (u64, u64),
    sizes: Sizes,
) -> Result<Found, ReadError> {
    let candidates = candidates(&activity.db, asked, Some(WINDOW), sizes).await?;
    let total = candidates.iter().map(|found| found.matching).sum::<u64>().min(WINDOW + 1);
    if offset >= total || limit == 0 {
        return Ok(Found { rows: Vec::new(), total });
    }
    let (skipped, rows) = rows_from(&activity.db, asked, &candidates, offset, limit).await?;
    let skip = usize::try_from(offset.saturating_sub(skipped)).unwrap_or(usize::MAX);
    let rows = rows.into_iter().skip(skip).take(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Found { rows: rows.collect(), total })
}

/// Blocks with wanted rows, the latest first: all, or so many that the first `window` rows are in them.
async fn candidates(
    db: &Db,
    asked: &Asked,
    window: Option<u64>,
    sizes: Sizes,
) -> Result<Vec<Candidate>, ReadError> {
    let mut found: Vec<Candidate> = Vec::new();
    let spans = tables::list(db, Kind::Blocks).await?;
    let hours = Kind::Blocks.span(hour(asked.from))..=Kind::Blocks.span(hour(asked.until));
    let mut reach = None;
    for span in spans.into_iter().filter(|span| hours.contains(span)) {
        // A block that begins before the end of the range may end up to an hour after it.
        let end = Timestamp::from_millis(Kind::Blocks.end(span).saturating_mul(DAY));
        let mut before = (asked.until.plus(HOUR).min(end), i64::MAX);
        let (mut small, mut cut) = (Vec::new(), BTreeSet::new());
        let is_enough = loop {
            let (headers, rest) = look(db, asked, span, before, &mut reach, sizes).await?;
            small.extend(headers.iter().filter(|header| header.is_small).map(Header::wanted));
            judge(db, asked, headers, &mut found).await?;
            let Some(rest) = rest else { break false };
            if window.is_some_and(|window| is_enough(&found, rest.0, window)) {
                break true;
            }
            cut.insert(hour(rest.0));
            before = rest;
        };
        small.retain(|block| cut.contains(&block.hour));
        are_still(db, asked, span, &small).await?;
        if is_enough {
            break;
        }
    }
    Ok(found)
}

/// Fails when one of these blocks was put together with others: of an hour that was listed in two statements,
/// what the second should have given may be in a block that stands among those of the first, and not listed.
async fn are_still(db: &Db, asked: &Asked, span: i64, listed: &[Wanted]) -> Result<(), ReadError> {
    let Some(from_hour) = listed.iter().map(|block| block.hour).min() else { return Ok(()) };
    let still = store::uncounted(db, span, asked.account, from_hour).await?;
    // The new one has the id of the last of them, and more rows.
    let still: HashSet<_> = still.iter().map(|block| (block.id, block.n)).collect();
    if listed.iter().all(|block| still.contains(&(block.id, block.n))) {
        Ok(())
    } else {
        Err(ReadError::Moved)
    }
}

/// What is said of the next blocks before a place, the latest first, and the place before them; `None` when
/// there are no more. `reach` is how far back the next look goes.
async fn look(
    db: &Db,
    asked: &Asked,
    span: i64,
    before: (Timestamp, i64),
    reach: &mut Option<i64>,
    sizes: Sizes,
) -> Result<(Vec<Header>, Option<(Timestamp, i64)>), DbError> {
    let mut ordered = sizes.first;
    if let Some(far) = *reach {
        let since = before.0.plus(-far).max(asked.from);
        let headers = store::headers_since(db, span, asked.account, since, before, sizes.most).await?;
        if (headers.len() as i64) < sizes.most {
            *reach = Some(activity::reach(headers.len(), before.0.millis() - since.millis(), sizes.aim));
            return Ok((headers, (since > asked.from).then_some((since, i64::MIN))));
        }
        ordered = sizes.next;
    }
    let headers = store::headers(db, span, asked.account, asked.from, before, ordered).await?;
    let ends =
        headers.first().zip(headers.last()).map(|(first, last)| (first.last_at, last.last_at, last.id));
    let Some((newest, oldest, id)) = ends else { return Ok((headers, None)) };
    *reach = Some(activity::reach(headers.len(), newest.millis() - oldest.millis(), sizes.aim));
    let is_last = (headers.len() as i64) < ordered;
    Ok((headers, (!is_last).then_some((oldest, id))))
}

/// Counts the wanted rows of each block; those that the range cuts are read.
async fn judge(
    db: &Db,
    asked: &Asked,
    headers: Vec<Header>,
    found: &mut Vec<Candidate>,
) -> Result<(), ReadError> {
    for header in headers {
        let counts = header.counts.iter().filter(|(series, _)| asked.filter.admits(series));
        let mut matching: u64 = counts.map(|(_, count)| count).sum();
        let is_outside = header.first_at > asked.until || header.last_at < asked.from;
        if matching == 0 || is_outside {
            continue;
        }
        if header.first_at < asked.from || header.last_at > asked.until {
            matching = 0;
            read(db, asked, vec![header.wanted()], |_, _| matching += 1).await?;
        }
        if matching > 0 {
            found.push(Candidate { header, matching });
        }
    }
    Ok(())
}

/// Whether the first `window` rows, and one more, are in these blocks, when all others end at `rest`
/// or before.
fn is_enough(found: &[Candidate], rest: Timestamp, window: u64) -> bool {
    let after_rest = found.iter().filter(|found| found.header.first_at > rest);
    after_rest.map(|found| found.matching).sum::<u64>() > window
}

/// Reads on from a place that at most `offset` rows are before, until `limit` rows after `offset` are
/// known. How many are before the first, and the rows, the latest first.
async fn rows_from(
    db: &Db,
    asked: &Asked,
    candidates: &[Candidate],
    offset: u64,
    limit: u64,
) -> Result<(u64, Vec<Logged>), ReadError> {
    let place = place_before(candidates, offset);
    let is_after = |at: Timestamp| place.is_some_and(|place| at >= place);
    // Whole blocks after the place are counted, not read.
    let mut skipped: u64 =
        candidates.iter().filter(|found| is_after(found.header.first_at)).map(|found| found.matching).sum();
    let mut unread: Vec<_> = candidates.iter().filter(|found| !is_after(found.header.first_at)).collect();
    let mut rows = Vec::new();
    while !unread.is_empty() {
        let needed = (offset + limit).saturating_sub(skipped);
        let known = rows.len() as u64;
        let mut expected = 0;
        let mut next = 0;
        while next < unread.len().min(READ) && (next == 0 || known + expected < needed) {
            expected += unread[next].matching;
            next += 1;
        }
        let rest = unread.split_off(next);
        let wanted = unread.iter().map(|found| found.header.wanted()).collect();
        read(db, asked, wanted, |id, record| {
            if is_after(record.at) {
                skipped += 1;
            } else {
                rows.push(Logged::of(run_of(id), asked.account, &record));
            }
        })
        .await?;
        unread = rest;
        let needed = (offset + limit).saturating_sub(skipped);
        let known = match unread.first() {
            // Others may have rows from there on down.
            Some(next) => rows.iter().filter(|row: &&Logged| row.at > next.header.last_at).count(),
            None => rows.len(),
        };
        if known as u64 >= needed {
            break;
        }
    }
    rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.at, row.run, row.seq)));
    Ok((skipped, rows))
}

/// The earliest first instant of a block such that at most `offset` rows can be at it or later.
fn place_before(candidates: &[Candidate], offset: u64) -> Option<Timestamp> {
    let mut places: Vec<_> = candidates.iter().map(|found| found.header.first_at).collect();
    places.sort_unstable_by_key(|place| std::cmp::Reverse(*place));
    let mut by_end: Vec<_> = candidates.iter().map(|found| (found.header.last_at, found.matching)).collect();
    by_end.sort_unstable_by_key(|(last_at, _)| std::cmp::Reverse(*last_at));
    let mut ends = by_end.into_iter().peekable();
    let mut rows = 0;
    let mut best = None;
    for place in places {
        while let Some((_, matching)) = ends.next_if(|(last_at, _)| *last_at >= place) {
            rows += matching;
        }
        if rows > offset {
            break;
        }
        best = Some(place);
    }
    best
}

/// Gives every row of these blocks that is asked for, each with its block's id.
async fn read(
    db: &Db,
    asked: &Asked,
    wanted: Vec<Wanted>,
    mut give: impl FnMut(i64, Record<'_>),
) -> Result<(), ReadError> {
    let is_wanted = |series: &_| asked.filter.admits(series);
    let give = |id, record: Record<'_>| {
        if (asked.from..=asked.until).contains(&record.at) {
            give(id, record);
        }
    };
    blocks::read(db, wanted, is_wanted, give).await
}

/// How much of the account's log there is since `from`, of one realm or of all.
pub async fn totals(activity: &Activity, asked: &Asked) -> Result<Totals, DbError> {
    if asked.filter != Filter::default() {
        return settled(|| totals_of_part(activity, asked)).await;
    }
    let mut all = Totals::default();
    let first = Kind::Blocks.span(hour(asked.from));
    for span in tables::list(&activity.db, Kind::Blocks).await?.into_iter().filter(|span| *span >= first) {
        let (rows, bytes, oldest, newest) =
            store::totals(&activity.db, span, asked.account, asked.from).await?;
        all.rows += rows.unsigned_abs();
        all.bytes += bytes.unsigned_abs();
        all.oldest = [all.oldest, oldest].into_iter().flatten().min();
        all.newest = [all.newest, newest].into_iter().flatten().max();
    }
    Ok(all)
}

async fn totals_of_part(activity: &Activity, asked: &Asked) -> Result<Totals, ReadError> {
    let candidates = candidates(&activity.db, asked, None, SIZES).await?;
    let mut part = Totals::default();
    for Candidate { header, matching } in &candidates {
        part.rows += matching;
        // Its share of the block.
        part.bytes += header.size.unsigned_abs() * matching / header.n.unsigned_abs().max(1);
    }
    // The latest block that ends need not have the latest of these rows, but the page knows.
    let last = try_page(activity, asked, (0, 1), SIZES).await?;
    part.newest = last.rows.first().map(|row| row.at);
    let earliest = candidates.iter().min_by_key(|found| found.header.first_at);
    if let Some(earliest) = earliest {
        read(&activity.db, asked, vec![earliest.header.wanted()], |_, row| {
            part.oldest = Some(part.oldest.map_or(row.at, |oldest| oldest.min(row.at)));
        })
        .await?;
    }
    Ok(part)
}
