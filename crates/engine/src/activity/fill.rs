//! Fills the log with rows of the past, as they are after their hour was put together and counted: for
//! tests and benchmarks that need many.

use std::collections::{BTreeSet, HashMap};

use hoody_core::activity::block::Builder;
use hoody_core::activity::usage::Usage;
use hoody_core::activity::{Record, hour};
use hoody_core::grant::Credential;
use hoody_core::id::{TokenId, UserId};

use super::Activity;
use super::tables::{self, Kind};
use super::{place, store};
use crate::db::DbError;

/// How many rows a block gets.
const ROWS: usize = 4_096;

/// Writes rows of the past, as a run of its own.
#[derive(Debug)]
pub struct Filler {
    activity: Activity,
    run: i64,
    seq: i64,
    tables: BTreeSet<(Kind, i64)>,
}

impl Filler {
    /// A filler of this log.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn new(activity: Activity) -> Self {
        let now = activity.clock.now();
        let run = store::begin_run(&activity.db, 0, now, now).await.expect("a run");
        Self { activity, run, seq: 0, tables: BTreeSet::new() }
    }

    /// Stores rows of one account and one hour, in the order of their instants. Their numbers are given
    /// here. How many bytes they take.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn store(&mut self, account: UserId, rows: &mut [Record<'_>]) -> usize {
        self.try_store(account, rows).await.expect("the rows are stored")
    }

    async fn try_store(&mut self, account: UserId, rows: &mut [Record<'_>]) -> Result<usize, DbError> {
        let Some(of_hour) = rows.first().map(|row| hour(row.at)) else { return Ok(0) };
        let mut tokens: HashMap<TokenId, Usage> = HashMap::new();
        let mut blocks = Vec::new();
        let before = self.seq;
        for rows in rows.chunks_mut(ROWS) {
            let mut builder = Builder::default();
            for row in rows {
                self.seq += 1;
                row.seq = self.seq;
                builder.push(row);
                if let Some(Credential::Token(token)) = row.credential {
                    tokens.entry(token).or_default().add(row);
                }
            }
            blocks.extend(builder.finish().map(|block| (account, block)));
        }
        let size = blocks.iter().map(|(_, block)| block.body.len()).sum();
        let usage = tokens.into_iter().map(|(token, usage)| (token, usage.pack())).collect();
        let activity = &self.activity;
        tables::make(&activity.db, of_hour, &mut self.tables).await?;
        let mut tx = activity.db.begin().await?;
        store::advance(&mut tx, self.run, (before, self.seq), 0, activity.clock.now()).await?;
        store::insert_blocks(&mut tx, self.run, 2, &blocks).await?;
        store::insert_hours(&mut tx, of_hour, place(self.run, self.seq), usage).await?;
        tx.commit().await?;
        Ok(size)
    }
}
