//! Keeps the log in shape, on one node at a time: small blocks are put together, what tokens did is
//! counted hour by hour, the hours of a day that is over become one row for each token, days that are too
//! old are dropped.
//!
//! Each step is one short transaction that changes nothing if somebody else has changed the same blocks:
//! a node that thinks that it still has the lease does no harm.

use std::collections::HashMap;

use hoody_core::activity::block::{Builder, Unreadable};
use hoody_core::activity::usage::{Usage, Uses};
use hoody_core::activity::{HOUR, Record, hour};
use hoody_core::grant::Credential;
use hoody_core::id::TokenId;
use hoody_core::time::{DAY, MINUTE};

use super::Activity;
use super::blocks::{self, ReadError, Wanted};
use super::store::{self, Counted, Open};
use super::tables::{self, Kind};
use crate::db::DbError;
use crate::nodes::Nodes;

/// Blocks of so many rows are large enough.
const LARGE: u64 = 4_096;
/// So many small blocks of an hour that is not over are put together.
const MANY: i64 = 256;
/// How many small blocks are put together at a time.
const TOGETHER: i64 = 512;
/// How long after its end an hour is taken to be complete, in milliseconds. What comes later is taken up
/// by the next round.
const GRACE: i64 = MINUTE;
/// How many counted hours of tokens are put together at a time.
const HOURS_TOGETHER: i64 = 2_048;
/// How many addresses of a token are told apart while an hour is counted.
const ADDRESSES_COUNTED: usize = 256;

/// One round, if this node holds the lease.
///
/// # Errors
/// When the database fails; the next round takes it up.
pub(super) async fn tidy(activity: &Activity, nodes: &Nodes) -> Result<(), DbError> {
    if nodes.hold("activity").await?.is_none() {
        return Ok(());
    }
    let now = activity.clock.now();
    // Hours that are over are those before this one.
    let current = hour(now.plus(-GRACE));
    for span in tables::list(&activity.db, Kind::Blocks).await? {
        let open = store::open(&activity.db, span).await?;
        let small = |open: &&Open| {
            open.state == 0 && (open.hour < current || open.blocks >= MANY || open.n.unsigned_abs() >= LARGE)
        };
        for open in open.iter().filter(small) {
            put_together(activity, open).await?;
        }
        for open in store::open(&activity.db, span).await?.iter().filter(|open| open.hour < current) {
            if open.state == 1 {
                count_tokens(activity, open).await?;
            }
        }
    }
    put_days_together(activity, current.div_euclid(24), HOURS_TOGETHER).await?;
    // Not at once: a question that was asked before midnight may still be looking.
    let cutoff = activity.cutoff(now.plus(-HOUR));
    tables::drop_before(&activity.db, cutoff).await?;
    store::forget_runs(&activity.db, cutoff.plus(-DAY)).await
}

/// Puts the small blocks of an account's hour together, into blocks of at least [`LARGE`] rows where
/// there are so many.
async fn put_together(activity: &Activity, open: &Open) -> Result<(), DbError> {
    loop {
        let all = store::in_state(&activity.db, open, TOGETHER).await?;
        let mut rows = 0;
        let fitting = all.iter().copied().take_while(|block| {
            let fits = rows < LARGE;
            rows += block.n.unsigned_abs();
            fits
        });
        let blocks: Vec<_> = fitting.collect();
        let is_done = match blocks.as_slice() {
            [] => return Ok(()),
            [one] => is_large(activity, open, one).await?,
            several => replace(activity, open, several).await?,
        };
        if !is_done || blocks.len() == all.len() {
            return Ok(());
        }
    }
}

async fn is_large(activity: &Activity, open: &Open, block: &Wanted) -> Result<bool, DbError> {
    let mut tx = activity.db.begin().await?;
    let is_done = store::set_state(&mut tx, open.hour, 0, &[block.id]).await?;
    if is_done {
        tx.commit().await?;
    }
    Ok(is_done)
}

/// Replaces these small blocks by one; false when somebody else was quicker.
async fn replace(activity: &Activity, open: &Open, small: &[Wanted]) -> Result<bool, DbError> {
    let mut builder = Builder::default();
    let give = |_, record: Record<'_>| builder.push(&record);
    match blocks::read(&activity.db, small.iter().copied(), |_| true, give).await {
        Ok(()) => {}
        Err(ReadError::Moved) => return Ok(false),
        Err(ReadError::Db(error)) => return Err(error),
    }
    let Some(packed) = builder.finish() else { return Ok(false) };
    let ids: Vec<_> = small.iter().map(|block| block.id).collect();
    let mut tx = activity.db.begin().await?;
    if !store::delete_blocks(&mut tx, open.hour, 0, &ids).await? {
        return Ok(false);
    }
    store::insert_blocks(&mut tx, open.run, 1, &[(open.account, packed)]).await?;
    tx.commit().await?;
    Ok(true)
}

/// Counts what tokens did in the large blocks of an account's hour that are not counted yet.
async fn count_tokens(activity: &Activity, open: &Open) -> Result<(), DbError> {
    let large = store::in_state(&activity.db, open, i64::MAX).await?;
    let Some(last) = large.last() else { return Ok(()) };
    let mut tokens: HashMap<TokenId, Usage> = HashMap::new();
    for some in large.chunks(16) {
        let give = |_, record: Record<'_>| count(&record, &mut tokens);
        match blocks::read(&activity.db, some.iter().copied(), |_| true, give).await {
            Ok(()) => {}
            Err(ReadError::Moved) => return Ok(()),
            Err(ReadError::Db(error)) => return Err(error),
        }
        tokens.values_mut().for_each(|usage| usage.keep_addresses(ADDRESSES_COUNTED));
    }
    let mut packed: Vec<_> = tokens.into_iter().map(|(token, usage)| (token, usage.pack())).collect();
    packed.sort_unstable_by_key(|(token, _)| *token);
    let ids: Vec<_> = large.iter().map(|block| block.id).collect();
    let mut tx = activity.db.begin().await?;
    if store::set_state(&mut tx, open.hour, 1, &ids).await? {
        store::insert_hours(&mut tx, open.hour, last.id, packed).await?;
        tx.commit().await?;
    }
    Ok(())
}

fn count(record: &Record<'_>, tokens: &mut HashMap<TokenId, Usage>) {
    if let Some(Credential::Token(token)) = record.credential {
        tokens.entry(token).or_default().add(record);
    }
}

/// Puts the hours of each token on each day before `today` into one row, so many hours at a time: who asks
/// what it did in a month reads thirty rows, not one of each hour, each of which lies elsewhere.
pub async fn put_days_together(activity: &Activity, today: i64, limit: i64) -> Result<(), DbError> {
    for day in store::open_days(&activity.db).await?.take_while(|day| *day < today) {
        put_day_together(activity, day, limit).await?;
    }
    Ok(())
}

async fn put_day_together(activity: &Activity, day: i64, together: i64) -> Result<(), DbError> {
    // What came too late for its table is dropped with it.
    let is_kept = tables::list(&activity.db, Kind::Usage).await?.contains(&Kind::Usage.span(day * 24));
    let (mut after, mut limit) = (None, together);
    loop {
        let mut hours = store::hours_of_day(&activity.db, day, after, limit).await?;
        let Some(last) = hours.last().map(|hour| hour.token) else { return Ok(()) };
        let is_all = (hours.len() as i64) < limit;
        if !is_all {
            // The last one may have more; alone, it is read whole.
            hours.retain(|hour| hour.token != last);
        }
        let (Some(first), Some(last)) = (hours.first(), hours.last()) else {
            limit *= 2;
            continue;
        };
        let tokens = (first.token, last.token);
        let mut tx = activity.db.begin().await?;
        if store::delete_hours(&mut tx, day, tokens).await? != hours.len() as u64 {
            // Somebody counts or puts together at this moment.
            return Ok(());
        }
        if is_kept {
            store::insert_day(&mut tx, day, days_of(&hours, day)?).await?;
        }
        tx.commit().await?;
        if is_all {
            return Ok(());
        }
        (after, limit) = (Some(tokens.1), together);
    }
}

/// The uses of each token, which come one token after the other, as they are stored for the day.
fn days_of(hours: &[Counted], day: i64) -> Result<Vec<(TokenId, i64, Vec<u8>)>, DbError> {
    let of_token = |hours: &[Counted]| {
        let mut uses = Uses::default();
        for hour in hours {
            uses.merge(&Uses::read(&hour.body, hour.hour)?);
        }
        let id = hours.iter().map(|hour| hour.id).max().unwrap_or_default();
        Ok((hours[0].token, id, uses.pack(day * 24)))
    };
    let days: Result<_, Unreadable> =
        hours.chunk_by(|one, next| one.token == next.token).map(of_token).collect();
    days.map_err(|_| DbError::Unreadable("activity_hours"))
}
