//! Reading blocks that may be put together at the same time: who finds one gone, or larger than it was
//! said to be, looks again.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use hoody_core::activity::block::{Block, Unreadable};
use hoody_core::activity::{Record, Series};

use super::store;
use super::turns::Turns;
use crate::db::{Db, DbError};

/// How often is looked again. Blocks are put together seldom, and each only once.
const TRIES: usize = 8;

/// How many days are read at the same time: each lies elsewhere on the disk, which takes several questions
/// at once.
const DAYS_AT_ONCE: usize = 4;

/// A block that is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) id: i64,
    pub(super) hour: i64,
    pub(super) n: i64,
}

/// Why blocks were not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Db(#[from] DbError),
    /// They were put together meanwhile.
    #[error("blocks of the request log were put together meanwhile")]
    Moved,
}

impl From<Unreadable> for ReadError {
    fn from(_: Unreadable) -> Self {
        Self::Db(DbError::Unreadable("activity body"))
    }
}

/// What `read` gives once nothing moves under it.
pub(super) async fn settled<T, F>(read: impl Fn() -> F) -> Result<T, DbError>
where
    F: Future<Output = Result<T, ReadError>>,
{
    for _ in 0..TRIES {
        match read().await {
            Ok(read) => return Ok(read),
            Err(ReadError::Db(error)) => return Err(error),
            Err(ReadError::Moved) => {}
        }
    }
    Err(DbError::Unreadable("activity bodies"))
}

/// Gives the rows of these blocks whose series `admits` admits, each with its block's id: day by day, in the
/// order of the ids.
pub(super) async fn read(
    db: &Db,
    wanted: impl IntoIterator<Item = Wanted>,
    admits: impl Fn(&Series) -> bool,
    mut give: impl FnMut(i64, Record<'_>),
) -> Result<(), ReadError> {
    let mut by_day: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
    for Wanted { id, hour, n } in wanted {
        by_day.entry(hour.div_euclid(24)).or_default().insert(id, n);
    }
    let mut reads = Vec::new();
    for (day, blocks) in &by_day {
        let ids: Vec<_> = blocks.keys().copied().collect();
        for ids in ids.chunks(store::BODIES_AT_ONCE) {
            let (ids, blocks) = (ids.to_vec(), blocks);
            reads.push(
                async move { Ok::<_, DbError>((store::bodies(db, *day, &ids).await?, ids.len(), blocks)) },
            );
        }
    }
    let mut turns = Turns::default();
    let mut reads = stream::iter(reads).buffered(DAYS_AT_ONCE);
    while let Some(read) = reads.next().await {
        let (bodies, count, blocks) = read?;
        if bodies.len() != count {
            return Err(ReadError::Moved);
        }
        for (id, body) in &bodies {
            let block = Block::read(body)?;
            let said = blocks.get(id).and_then(|n| usize::try_from(*n).ok());
            if said != Some(block.count()) {
                return Err(ReadError::Moved);
            }
            for row in block.rows(&admits) {
                give(*id, row?);
                turns.next().await;
            }
        }
    }
    Ok(())
}
