//! The tables that are made as time goes on and dropped whole: bodies of blocks for each day, what is said
//! of blocks and of tokens for each 32 days. Which there are is a table too; making one and noting it is
//! one transaction, so that nodes never make one twice.

use std::collections::BTreeSet;

use hoody_core::activity;
use hoody_core::time::Timestamp;

use crate::db::{Built, Db, DbError, On, Tx, args};

/// How many days share a table of blocks, and one of what tokens did.
const SPAN: i64 = 32;

/// A kind of table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// What is said of blocks: whose, when, how many rows of what.
    Blocks,
    /// The blocks.
    Bodies,
    /// What tokens did, day by day; where an older version counted, hour by hour. Hours of days that are not
    /// over are in a table of their own, which stays.
    Usage,
}

/// `state`: 0 as the writer left it, 1 put together, 2 also counted for its tokens.
const BLOCKS: &[&str] = &[
    "CREATE TABLE activity_blocks_{span} (id BIGINT NOT NULL PRIMARY KEY, run BIGINT NOT NULL, \
     account {bytes} NOT NULL, hour BIGINT NOT NULL, first_seq BIGINT NOT NULL, first_at BIGINT NOT NULL, \
     last_at BIGINT NOT NULL, n BIGINT NOT NULL, size BIGINT NOT NULL, state BIGINT NOT NULL, \
     counts {bytes} NOT NULL)",
    "CREATE INDEX activity_blocks_{span}_by_account ON activity_blocks_{span} (account, last_at, id)",
    "CREATE INDEX activity_blocks_{span}_open ON activity_blocks_{span} (account, hour, run) WHERE state < 2",
];
const BODIES: &[&str] =
    &["CREATE TABLE activity_bodies_{span} (id BIGINT NOT NULL PRIMARY KEY, body {bytes} NOT NULL)"];
const USAGE: &[&str] =
    &["CREATE TABLE activity_usage_{span} (token {bytes} NOT NULL, hour BIGINT NOT NULL, \
     id BIGINT NOT NULL, body {bytes} NOT NULL, PRIMARY KEY (token, hour, id))"];

const NOTE: &str = "INSERT INTO activity_tables (kind, span) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const FORGET: &str = "DELETE FROM activity_tables WHERE kind = $1 AND span = $2";
const LIST: &str = "SELECT span FROM activity_tables WHERE kind = $1 ORDER BY span DESC";

impl Kind {
    const ALL: [Self; 3] = [Self::Blocks, Self::Bodies, Self::Usage];

    fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Bodies => "bodies",
            Self::Usage => "usage",
        }
    }

    /// The table of this kind that an hour belongs to.
    pub(super) fn span(self, hour: i64) -> i64 {
        let day = hour.div_euclid(24);
        match self {
            Self::Bodies => day,
            Self::Blocks | Self::Usage => day.div_euclid(SPAN),
        }
    }

    /// The day after the last one of a table.
    pub(super) fn end(self, span: i64) -> i64 {
        match self {
            Self::Bodies => span + 1,
            Self::Blocks | Self::Usage => (span + 1) * SPAN,
        }
    }

    fn statements(self) -> &'static [&'static str] {
        match self {
            Self::Blocks => BLOCKS,
            Self::Bodies => BODIES,
            Self::Usage => USAGE,
        }
    }

    fn dropping(self) -> &'static str {
        match self {
            Self::Blocks => "DROP TABLE IF EXISTS activity_blocks_{span}",
            Self::Bodies => "DROP TABLE IF EXISTS activity_bodies_{span}",
            Self::Usage => "DROP TABLE IF EXISTS activity_usage_{span}",
        }
    }
}

/// The tables of a kind, the newest first.
pub(super) async fn list(db: &Db, kind: Kind) -> Result<Vec<i64>, DbError> {
    let rows = On::from(db).list(LIST, args![kind.name()]).await?;
    rows.iter().map(|row| row.get("span")).collect()
}

/// Makes the tables that an hour's rows need, unless `known` has them.
pub(super) async fn make(db: &Db, hour: i64, known: &mut BTreeSet<(Kind, i64)>) -> Result<(), DbError> {
    let wanted = Kind::ALL.map(|kind| (kind, kind.span(hour)));
    if wanted.iter().all(|table| known.contains(table)) {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    for (kind, span) in wanted {
        make_one(&mut tx, kind, span).await?;
    }
    tx.commit().await?;
    known.extend(wanted);
    Ok(())
}

async fn make_one(tx: &mut Tx, kind: Kind, span: i64) -> Result<(), DbError> {
    // On PostgreSQL this waits for another node that is making the same one.
    if tx.execute(NOTE, args![kind.name(), span]).await? == 0 {
        return Ok(());
    }
    for statement in kind.statements() {
        let built = Built::of(statement, span).with_bytes_as(tx.bytes_type());
        tx.execute_built(built, args![]).await?;
    }
    Ok(())
}

/// Drops every table whose last day is before the day of `cutoff`; how many.
pub(super) async fn drop_before(db: &Db, cutoff: Timestamp) -> Result<usize, DbError> {
    let first_kept = activity::day(cutoff);
    let mut dropped = 0;
    for kind in Kind::ALL {
        for span in list(db, kind).await?.into_iter().filter(|span| kind.end(*span) <= first_kept) {
            let mut tx = db.begin().await?;
            tx.execute(FORGET, args![kind.name(), span]).await?;
            tx.execute_built(Built::of(kind.dropping(), span), args![]).await?;
            tx.commit().await?;
            dropped += 1;
        }
    }
    Ok(dropped)
}
