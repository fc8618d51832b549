//! What one token did: hours that are over are counted, the rest is read from the blocks themselves.

use std::collections::{BTreeMap, BTreeSet};

use hoody_core::activity::block::Block;
use hoody_core::activity::usage::Usage;
use hoody_core::activity::{Record, hour};
use hoody_core::grant::Credential;
use hoody_core::id::{TokenId, UserId};
use hoody_core::time::Timestamp;

use super::blocks::{self, ReadError, Wanted, settled};
use super::tables::{self, Kind};
use super::{Activity, store};
use crate::db::DbError;

/// What a token of an account did in each hour since `from`.
pub(super) async fn by_hour(
    activity: &Activity,
    account: UserId,
    token: TokenId,
    from: Timestamp,
) -> Result<BTreeMap<i64, Usage>, DbError> {
    settled(|| try_by_hour(activity, account, token, hour(from))).await
}

async fn try_by_hour(
    activity: &Activity,
    account: UserId,
    token: TokenId,
    first: i64,
) -> Result<BTreeMap<i64, Usage>, ReadError> {
    let uncounted = uncounted(activity, account, first).await?;
    let mut hours: BTreeMap<i64, Usage> = BTreeMap::new();
    let give = |_, block: &Block<'_>| {
        let each = |record: Record<'_>| {
            if record.credential == Some(Credential::Token(token)) {
                hours.entry(hour(record.at)).or_default().add(&record);
            }
        };
        block.each(|_| true, each)
    };
    blocks::read(&activity.db, uncounted.iter().copied(), give).await?;
    let span_of_first = Kind::Usage.span(first);
    for span in tables::list(&activity.db, Kind::Usage).await?.into_iter().filter(|s| *s >= span_of_first) {
        for (hour, body) in store::usage(&activity.db, span, token, first).await? {
            hours.entry(hour).or_default().merge(&Usage::read(&body)?);
        }
    }
    // What was counted between the two reads would be there twice.
    let still: BTreeSet<_> = self::uncounted(activity, account, first).await?.iter().map(|w| w.id).collect();
    if uncounted.iter().all(|block| still.contains(&block.id)) { Ok(hours) } else { Err(ReadError::Moved) }
}

async fn uncounted(activity: &Activity, account: UserId, first: i64) -> Result<Vec<Wanted>, DbError> {
    let mut blocks = Vec::new();
    for span in tables::list(&activity.db, Kind::Blocks).await? {
        blocks.extend(store::uncounted(&activity.db, span, account, first).await?);
    }
    Ok(blocks)
}
