//! What one token did: days that are over are put together, hours that are over are counted, the rest is
//! read from the blocks themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hoody_core::activity::usage::{Usage, Uses};
use hoody_core::activity::{Record, hour};
use hoody_core::grant::Credential;
use hoody_core::id::{TokenId, UserId};
use hoody_core::time::Timestamp;

use super::blocks::{self, ReadError, Wanted, settled};
use super::tables::{self, Kind};
use super::{Activity, store};
use crate::db::DbError;

/// What a token of an account did on each day since `from`.
pub async fn by_day(
    activity: &Activity,
    account: UserId,
    token: TokenId,
    from: Timestamp,
) -> Result<BTreeMap<i64, Uses>, DbError> {
    settled(|| try_by_day(activity, account, token, hour(from))).await
}

async fn try_by_day(
    activity: &Activity,
    account: UserId,
    token: TokenId,
    first: i64,
) -> Result<BTreeMap<i64, Uses>, ReadError> {
    let db = &activity.db;
    // In the order in which things move on, so that nothing is missed; what moved meanwhile, and would be
    // there twice, is found at the end.
    let uncounted = uncounted(activity, account, first).await?;
    let mut unread: BTreeMap<i64, Usage> = BTreeMap::new();
    let give = |_, record: Record<'_>| {
        if record.credential == Some(Credential::Token(token)) {
            unread.entry(hour(record.at)).or_default().add(&record);
        }
    };
    blocks::read(db, uncounted.iter().copied(), |_| true, give).await?;
    let mut days: BTreeMap<i64, Uses> = BTreeMap::new();
    let mut add = |hour: i64, uses: &Uses| days.entry(hour.div_euclid(24)).or_default().merge(uses);
    for (hour, usage) in unread {
        add(hour, &Uses::of_hour(hour, usage));
    }
    let mut counted = BTreeSet::new();
    for row in store::hours(db, token, first).await? {
        add(row.hour, &Uses::read(&row.body, row.hour)?);
        counted.insert((row.hour, row.id));
    }
    let span_of_first = Kind::Usage.span(first);
    for span in tables::list(db, Kind::Usage).await?.into_iter().filter(|span| *span >= span_of_first) {
        for (hour, body) in store::usage(db, span, token, first).await? {
            add(hour, &Uses::read(&body, hour)?);
        }
    }
    let still = store::hour_ids(db, token, first).await?;
    let still_uncounted: BTreeSet<_> =
        self::uncounted(activity, account, first).await?.iter().map(|block| block.id).collect();
    let is_still =
        counted.is_subset(&still) && uncounted.iter().all(|block| still_uncounted.contains(&block.id));
    if is_still { Ok(days) } else { Err(ReadError::Moved) }
}

/// How many requests each of these tokens of an account made, and how many of them were answered with 400 or
/// more, in each hour since `from`: one pass over the log for all of them.
///
/// # Errors
/// When the database fails.
pub async fn by_hour(
    activity: &Activity,
    account: UserId,
    tokens: &[TokenId],
    from: Timestamp,
) -> Result<HashMap<TokenId, BTreeMap<i64, (u64, u64)>>, DbError> {
    if tokens.is_empty() {
        return Ok(HashMap::new());
    }
    settled(|| try_by_hour(activity, account, tokens, hour(from))).await
}

async fn try_by_hour(
    activity: &Activity,
    account: UserId,
    tokens: &[TokenId],
    first: i64,
) -> Result<HashMap<TokenId, BTreeMap<i64, (u64, u64)>>, ReadError> {
    let db = &activity.db;
    let uncounted = uncounted(activity, account, first).await?;
    let mut found: HashMap<TokenId, BTreeMap<i64, (u64, u64)>> =
        tokens.iter().map(|token| (*token, BTreeMap::new())).collect();
    let give = |_, record: Record<'_>| {
        if let Some(Credential::Token(token)) = record.credential
            && let Some(hours) = found.get_mut(&token)
        {
            let counts = hours.entry(hour(record.at)).or_default();
            counts.0 += 1;
            counts.1 += u64::from(record.series.status >= 400);
        }
    };
    blocks::read(db, uncounted.iter().copied(), |_| true, give).await?;
    let mut add = |token: TokenId, uses: &Uses| {
        let hours = found.entry(token).or_default();
        for (hour, (total, errors)) in uses.hours.iter().filter(|(hour, _)| **hour >= first) {
            let counts = hours.entry(*hour).or_default();
            counts.0 += total;
            counts.1 += errors;
        }
    };
    let mut counted = BTreeSet::new();
    for row in store::hours_of(db, tokens, first).await? {
        add(row.token, &Uses::read(&row.body, row.hour)?);
        counted.insert((row.token, row.hour, row.id));
    }
    let span_of_first = Kind::Usage.span(first);
    for span in tables::list(db, Kind::Usage).await?.into_iter().filter(|span| *span >= span_of_first) {
        // A day is one row, which stands at its first hour.
        for (token, hour, body) in store::usage_of(db, span, tokens, first - 23).await? {
            add(token, &Uses::read(&body, hour)?);
        }
    }
    let still: BTreeSet<_> =
        store::hours_of(db, tokens, first).await?.iter().map(|row| (row.token, row.hour, row.id)).collect();
    let still_uncounted: BTreeSet<_> =
        self::uncounted(activity, account, first).await?.iter().map(|block| block.id).collect();
    let is_still =
        counted.is_subset(&still) && uncounted.iter().all(|block| still_uncounted.contains(&block.id));
    if is_still { Ok(found) } else { Err(ReadError::Moved) }
}

async fn uncounted(activity: &Activity, account: UserId, first: i64) -> Result<Vec<Wanted>, DbError> {
    let mut blocks = Vec::new();
    for span in tables::list(&activity.db, Kind::Blocks).await? {
        blocks.extend(store::uncounted(&activity.db, span, account, first).await?);
    }
    Ok(blocks)
}
