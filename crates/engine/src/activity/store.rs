//! The statements of the request log. `{span}` names a table of [`super::tables`].

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use hoody_core::activity::block::{Packed, counts};
use hoody_core::activity::{Series, hour};
use hoody_core::id::{TokenId, UserId};
use hoody_core::time::Timestamp;

use super::blocks::Wanted;
use super::place;
use super::tables::Kind;
use crate::db::{Arg, Built, Db, DbError, On, Row, Tx, args};

const BEGIN_RUN: &str = "INSERT INTO activity_runs (run, started_at, seen_at, written, lost) \
     SELECT COALESCE(MAX(run), 0) + 1, $1, $2, $3, 0 FROM activity_runs \
     WHERE 1 = 1 ON CONFLICT DO NOTHING RETURNING run";
const ADVANCE: &str = "UPDATE activity_runs SET written = $1, seen_at = $2, lost = lost + $3 \
     WHERE run = $4 AND written = $5";
const WRITTEN: &str = "SELECT written FROM activity_runs WHERE run = $1";
const RUNS: &str = "SELECT run, started_at, written FROM activity_runs ORDER BY run";
/// Changes nothing, and is written all the same.
const TOUCH: &str = "UPDATE activity_runs SET lost = lost WHERE run = (SELECT MAX(run) FROM activity_runs)";
const FORGET_RUNS: &str = "DELETE FROM activity_runs WHERE seen_at < $1 \
     AND run < (SELECT MAX(run) FROM activity_runs)";

const INSERT_BLOCKS: &str = "INSERT INTO activity_blocks_{span} (id, run, account, hour, first_seq, \
     first_at, last_at, n, size, state, counts) VALUES {rows}";
const INSERT_BODIES: &str = "INSERT INTO activity_bodies_{span} (id, body) VALUES {rows}";
const INSERT_HOURS: &str = "INSERT INTO activity_hours (day, token, hour, id, body) VALUES {rows}";
const INSERT_USAGE: &str = "INSERT INTO activity_usage_{span} (token, hour, id, body) VALUES {rows}";
const HEADERS: &str = "SELECT id, hour, first_at, last_at, n, size, state, counts \
     FROM activity_blocks_{span} WHERE account = $1 AND last_at >= $2 AND last_at <= $3 \
     AND (last_at < $3 OR id < $4) ORDER BY last_at DESC, id DESC LIMIT $5";
/// Not in order: so they are read in the order in which they lie on the disk, which reads ahead.
const HEADERS_SINCE: &str = "SELECT id, hour, first_at, last_at, n, size, state, counts \
     FROM activity_blocks_{span} WHERE account = $1 AND last_at >= $2 AND last_at <= $3 \
     AND (last_at < $3 OR id < $4) LIMIT $5";
const TOTALS: &str = "SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) AS n, \
     CAST(COALESCE(SUM(size), 0) AS BIGINT) AS size, MIN(first_at) AS first_at, MAX(last_at) AS last_at \
     FROM activity_blocks_{span} WHERE account = $1 AND last_at >= $2";
const OF_RUN: &str = "SELECT id, account, hour, n FROM activity_blocks_{span} \
     WHERE id > $1 AND id <= $2 AND first_seq <= $3 ORDER BY id";
const BODIES: &str = "SELECT id, body FROM activity_bodies_{span} WHERE id IN {list}";
const UNCOUNTED: &str = "SELECT id, hour, n FROM activity_blocks_{span} WHERE account = $1 AND hour >= $2 AND state < 2 ORDER BY id";
const OPEN: &str = "SELECT account, hour, run, state, CAST(COUNT(*) AS BIGINT) AS blocks, \
     CAST(SUM(n) AS BIGINT) AS n FROM activity_blocks_{span} WHERE state < 2 \
     GROUP BY account, hour, run, state";
const IN_STATE: &str = "SELECT id, hour, n FROM activity_blocks_{span} \
     WHERE account = $1 AND hour = $2 AND run = $3 AND state = $4 ORDER BY id LIMIT $5";
const DELETE_BLOCKS: &str = "DELETE FROM activity_blocks_{span} WHERE state = $1 AND id IN {list}";
const DELETE_BODIES: &str = "DELETE FROM activity_bodies_{span} WHERE id IN {list}";
const SET_STATE: &str = "UPDATE activity_blocks_{span} SET state = $1 WHERE state = $2 AND id IN {list}";
const USAGE: &str = "SELECT hour, body FROM activity_usage_{span} WHERE token = $1 AND hour >= $2";
const OPEN_DAYS: &str = "SELECT MIN(day) AS first, MAX(day) AS last FROM activity_hours";
const HOURS: &str = "SELECT hour, id, body FROM activity_hours WHERE token = $1 AND hour >= $2";
const HOURS_OF: &str =
    "SELECT token, hour, id, body FROM activity_hours WHERE hour >= $1 AND token IN {list}";
const USAGE_OF: &str =
    "SELECT token, hour, body FROM activity_usage_{span} WHERE hour >= $1 AND token IN {list}";
const HOUR_IDS: &str = "SELECT hour, id FROM activity_hours WHERE token = $1 AND hour >= $2";
const HOURS_OF_DAY: &str = "SELECT token, hour, id, body FROM activity_hours \
     WHERE day = $1 AND token > $2 ORDER BY token, hour, id LIMIT $3";
const DELETE_HOURS: &str = "DELETE FROM activity_hours WHERE day = $1 AND token >= $2 AND token <= $3";

/// How many bodies are read at a time.
pub(super) const BODIES_AT_ONCE: usize = 64;
/// Rows go in so many at a time: a few texts of each statement, whatever the number.
const CHUNKS: [usize; 3] = [64, 8, 1];

/// What is said of a block.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) id: i64,
    pub(super) hour: i64,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) n: i64,
    pub(super) size: i64,
    /// Whether it may be put together with others.
    pub(super) is_small: bool,
    pub(super) counts: Vec<(Series, u64)>,
}

impl Header {
    pub(super) fn wanted(&self) -> Wanted {
        Wanted { id: self.id, hour: self.hour, n: self.n }
    }
}

/// Blocks of one account, hour and run that are not done with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) account: UserId,
    pub(super) hour: i64,
    pub(super) run: i64,
    pub(super) state: i64,
    pub(super) blocks: i64,
    pub(super) n: i64,
}

/// A process that wrote, and up to which number its rows are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) run: i64,
    /// Of its first row.
    pub(super) started_at: Timestamp,
    pub(super) written: i64,
}

/// Begins a run whose first row has the number after `written` and this instant; the run's number.
pub(super) async fn begin_run(
    db: &Db,
    written: i64,
    first_at: Timestamp,
    now: Timestamp,
) -> Result<i64, DbError> {
    loop {
        let mut tx = db.begin().await?;
        let begun = On::from(&mut tx).find(BEGIN_RUN, args![first_at, now, written]).await?;
        tx.commit().await?;
        // Another node may have taken the number.
        if let Some(row) = begun {
            return row.get("run");
        }
    }
}

/// Moves a run on, in the transaction that stores the rows; false when it is not where it should be.
pub(super) async fn advance(
    tx: &mut Tx,
    run: i64,
    (from, to): (i64, i64),
    lost: i64,
    now: Timestamp,
) -> Result<bool, DbError> {
    Ok(tx.execute(ADVANCE, args![to, now, lost, run, from]).await? == 1)
}

/// Where a run is.
pub(super) async fn written(tx: &mut Tx, run: i64) -> Result<Option<i64>, DbError> {
    On::from(tx).find(WRITTEN, args![run]).await?.map(|row| row.get("written")).transpose()
}

pub(super) async fn runs(db: &Db) -> Result<Vec<Run>, DbError> {
    let rows = On::from(db).list(RUNS, args![]).await?;
    let run = |row: &Row| {
        Ok(Run { run: row.get("run")?, started_at: row.get("started_at")?, written: row.get("written")? })
    };
    rows.iter().map(run).collect()
}

/// Writes a row as it is.
pub(super) async fn touch(db: &Db) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(TOUCH, args![]).await?;
    tx.commit().await
}

/// Forgets runs that have no rows any more.
pub(super) async fn forget_runs(db: &Db, cutoff: Timestamp) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(FORGET_RUNS, args![cutoff]).await?;
    tx.commit().await
}

/// Stores blocks, each of one account and hour, in this state.
pub(super) async fn insert_blocks(
    tx: &mut Tx,
    run: i64,
    state: i64,
    blocks: &[(UserId, Packed)],
) -> Result<(), DbError> {
    let mut headers = Vec::with_capacity(blocks.len());
    let mut bodies = Vec::with_capacity(blocks.len());
    for (account, block) in blocks {
        let (id, hour) = (place(run, block.last_seq), hour(block.first_at));
        let (n, size) = (i64::try_from(block.count), i64::try_from(block.body.len()));
        let (n, size) = (n.unwrap_or(i64::MAX), size.unwrap_or(i64::MAX));
        let header = args![
            id,
            run,
            *account,
            hour,
            block.first_seq,
            block.first_at,
            block.last_at,
            n,
            size,
            state,
            &block.counts[..]
        ];
        headers.push((Kind::Blocks.span(hour), header));
        bodies.push((Kind::Bodies.span(hour), args![id, &block.body[..]]));
    }
    insert(tx, INSERT_BLOCKS, headers).await?;
    insert(tx, INSERT_BODIES, bodies).await
}

/// Stores what tokens did in an hour.
pub(super) async fn insert_hours(
    tx: &mut Tx,
    hour: i64,
    id: i64,
    usage: Vec<(TokenId, Vec<u8>)>,
) -> Result<(), DbError> {
    let day = hour.div_euclid(24);
    let rows = usage.into_iter().map(|(token, body)| (day, args![day, token, hour, id, body]));
    insert(tx, INSERT_HOURS, rows.collect()).await
}

/// Stores what tokens did in a day: with the id of the last thing that was put together.
pub(super) async fn insert_day(
    tx: &mut Tx,
    day: i64,
    usage: Vec<(TokenId, i64, Vec<u8>)>,
) -> Result<(), DbError> {
    let first = day * 24;
    let span = Kind::Usage.span(first);
    let rows = usage.into_iter().map(|(token, id, body)| (span, args![token, first, id, body]));
    insert(tx, INSERT_USAGE, rows.collect()).await
}

async fn insert(tx: &mut Tx, text: &'static str, mut rows: Vec<(i64, Vec<Arg>)>) -> Result<(), DbError> {
    rows.sort_by_key(|(span, _)| *span);
    let mut rows = rows.into_iter().peekable();
    while let Some((span, first)) = rows.next() {
        let mut of_span = vec![first];
        while let Some((_, row)) = rows.next_if(|(next, _)| *next == span) {
            of_span.push(row);
        }
        while !of_span.is_empty() {
            let chunk = CHUNKS.into_iter().find(|chunk| *chunk <= of_span.len()).unwrap_or(1);
            let rest = of_span.split_off(chunk);
            let columns = of_span[0].len();
            let built = Built::of(text, span).with_rows(columns, chunk);
            tx.execute_built(built, of_span.into_iter().flatten().collect()).await?;
            of_span = rest;
        }
    }
    Ok(())
}

/// What is said of an account's blocks with a row at `from` or later, before the block (`last_at`, `id`),
/// the latest first.
pub(super) async fn headers(
    db: &Db,
    span: i64,
    account: UserId,
    from: Timestamp,
    before: (Timestamp, i64),
    limit: i64,
) -> Result<Vec<Header>, DbError> {
    read_headers(db, Built::of(HEADERS, span), account, from, before, limit).await
}

/// The same, when there are fewer than `limit`; otherwise so many of them, no matter which. The first answer
/// from the disk comes several times sooner than in order.
pub(super) async fn headers_since(
    db: &Db,
    span: i64,
    account: UserId,
    from: Timestamp,
    before: (Timestamp, i64),
    limit: i64,
) -> Result<Vec<Header>, DbError> {
    let sql = Built::of(HEADERS_SINCE, span);
    let mut headers = read_headers(db, sql, account, from, before, limit).await?;
    headers.sort_unstable_by_key(|header| std::cmp::Reverse((header.last_at, header.id)));
    Ok(headers)
}

async fn read_headers(
    db: &Db,
    sql: Built,
    account: UserId,
    from: Timestamp,
    (last_at, id): (Timestamp, i64),
    limit: i64,
) -> Result<Vec<Header>, DbError> {
    let rows = On::from(db).list_built(sql, args![account, from, last_at, id, limit]).await?;
    rows.iter().map(read_header).collect()
}

fn read_header(row: &Row) -> Result<Header, DbError> {
    let packed: Vec<u8> = row.get("counts")?;
    Ok(Header {
        id: row.get("id")?,
        hour: row.get("hour")?,
        first_at: row.get("first_at")?,
        last_at: row.get("last_at")?,
        n: row.get("n")?,
        size: row.get("size")?,
        is_small: row.get::<i64>("state")? == 0,
        counts: counts(&packed).map_err(|_| DbError::Unreadable("counts"))?,
    })
}

/// Rows, bytes, first and last instant of an account's blocks in one table.
pub(super) type Totals = (i64, i64, Option<Timestamp>, Option<Timestamp>);

pub(super) async fn totals(db: &Db, span: i64, account: UserId, from: Timestamp) -> Result<Totals, DbError> {
    let rows = On::from(db).list_built(Built::of(TOTALS, span), args![account, from]).await?;
    let row = rows.first().ok_or(DbError::Unreadable("n"))?;
    Ok((row.get("n")?, row.get("size")?, row.get("first_at")?, row.get("last_at")?))
}

/// The blocks of a run that may have rows after number `after` up to `upto`, with their accounts.
pub(super) async fn blocks_of_run(
    db: &Db,
    span: i64,
    run: i64,
    after: i64,
    upto: i64,
) -> Result<Vec<(UserId, Wanted)>, DbError> {
    let args = args![place(run, after), place(run + 1, 0) - 1, upto];
    let rows = On::from(db).list_built(Built::of(OF_RUN, span), args).await?;
    rows.iter().map(|row| Ok((row.get("account")?, wanted(row)?))).collect()
}

/// The bodies of these blocks of one day, at most [`BODIES_AT_ONCE`], in the order of their ids. One that
/// is gone is left out.
pub(super) async fn bodies(db: &Db, day: i64, ids: &[i64]) -> Result<Vec<(i64, Vec<u8>)>, DbError> {
    // Padded to a fixed size, so that there are few texts.
    let size = if ids.len() <= 8 { 8 } else { BODIES_AT_ONCE };
    let padded = ids.iter().copied().chain(std::iter::repeat(-1)).take(size);
    let built = Built::of(BODIES, day).with_list(1, size);
    let rows = On::from(db).list_built(built, padded.map(Arg::from).collect()).await?;
    let mut bodies = Vec::with_capacity(ids.len());
    for row in &rows {
        bodies.push((row.get("id")?, row.get("body")?));
    }
    bodies.sort_unstable_by_key(|(id, _)| *id);
    Ok(bodies)
}

/// The blocks of an account since an hour that are not counted for their tokens.
pub(super) async fn uncounted(
    db: &Db,
    span: i64,
    account: UserId,
    from_hour: i64,
) -> Result<Vec<Wanted>, DbError> {
    let rows = On::from(db).list_built(Built::of(UNCOUNTED, span), args![account, from_hour]).await?;
    rows.iter().map(wanted).collect()
}

fn wanted(row: &Row) -> Result<Wanted, DbError> {
    Ok(Wanted { id: row.get("id")?, hour: row.get("hour")?, n: row.get("n")? })
}

/// What is not done with in a table.
pub(super) async fn open(db: &Db, span: i64) -> Result<Vec<Open>, DbError> {
    let rows = On::from(db).list_built(Built::of(OPEN, span), args![]).await?;
    let open = |row: &Row| {
        Ok(Open {
            account: row.get("account")?,
            hour: row.get("hour")?,
            run: row.get("run")?,
            state: row.get("state")?,
            blocks: row.get("blocks")?,
            n: row.get("n")?,
        })
    };
    rows.iter().map(open).collect()
}

/// The first blocks of `open` in its state.
pub(super) async fn in_state(db: &Db, open: &Open, limit: i64) -> Result<Vec<Wanted>, DbError> {
    let args = args![open.account, open.hour, open.run, open.state, limit];
    let built = Built::of(IN_STATE, Kind::Blocks.span(open.hour));
    let rows = On::from(db).list_built(built, args).await?;
    rows.iter().map(wanted).collect()
}

/// Deletes blocks of one hour that are in `state`; false, with nothing to be committed, when others have
/// changed one of them.
pub(super) async fn delete_blocks(tx: &mut Tx, hour: i64, state: i64, ids: &[i64]) -> Result<bool, DbError> {
    for ids in ids.chunks(64) {
        let mut args = args![state];
        args.extend(ids.iter().copied().map(Arg::from));
        let built = Built::of(DELETE_BLOCKS, Kind::Blocks.span(hour)).with_list(2, ids.len());
        if tx.execute_built(built, args).await? != ids.len() as u64 {
            return Ok(false);
        }
        let built = Built::of(DELETE_BODIES, Kind::Bodies.span(hour)).with_list(1, ids.len());
        tx.execute_built(built, ids.iter().copied().map(Arg::from).collect()).await?;
    }
    Ok(true)
}

/// Moves blocks of one hour from a state to the next; false, with nothing to be committed, when others
/// have changed one of them.
pub(super) async fn set_state(tx: &mut Tx, hour: i64, from: i64, ids: &[i64]) -> Result<bool, DbError> {
    for ids in ids.chunks(64) {
        let mut args = args![from + 1, from];
        args.extend(ids.iter().copied().map(Arg::from));
        let built = Built::of(SET_STATE, Kind::Blocks.span(hour)).with_list(3, ids.len());
        if tx.execute_built(built, args).await? != ids.len() as u64 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a token did since an hour, as far as days are put together: the first hour of each, and packed
/// uses. An older version left hours.
pub(super) async fn usage(
    db: &Db,
    span: i64,
    token: TokenId,
    from_hour: i64,
) -> Result<Vec<(i64, Vec<u8>)>, DbError> {
    let rows = On::from(db).list_built(Built::of(USAGE, span), args![token, from_hour]).await?;
    rows.iter().map(|row| Ok((row.get("hour")?, row.get("body")?))).collect()
}

/// The days that have hours which are counted and not put together.
pub(super) async fn open_days(db: &Db) -> Result<RangeInclusive<i64>, DbError> {
    let row = On::from(db).one(OPEN_DAYS, args![]).await?;
    let (first, last): (Option<i64>, Option<i64>) = (row.get("first")?, row.get("last")?);
    Ok(first.unwrap_or(1)..=last.unwrap_or(0))
}

/// What was counted of a token in an hour.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) token: TokenId,
    pub(super) hour: i64,
    pub(super) id: i64,
    pub(super) body: Vec<u8>,
}

/// What is counted of a token since an hour, on days that are not put together.
pub(super) async fn hours(db: &Db, token: TokenId, from_hour: i64) -> Result<Vec<Counted>, DbError> {
    let rows = On::from(db).list(HOURS, args![token, from_hour]).await?;
    rows.iter().map(|row| counted(row, token)).collect()
}

/// What was counted of these tokens since an hour, in days that are not over.
pub(super) async fn hours_of(db: &Db, tokens: &[TokenId], from_hour: i64) -> Result<Vec<Counted>, DbError> {
    let sql = Built::of(HOURS_OF, 0).with_list(2, tokens.len());
    let rows = On::from(db).list_built(sql, since(from_hour, tokens)).await?;
    rows.iter().map(|row| counted(row, row.get("token")?)).collect()
}

/// What was counted of these tokens since an hour, in days that were put together.
pub(super) async fn usage_of(
    db: &Db,
    span: i64,
    tokens: &[TokenId],
    from_hour: i64,
) -> Result<Vec<(TokenId, i64, Vec<u8>)>, DbError> {
    let sql = Built::of(USAGE_OF, span).with_list(2, tokens.len());
    let rows = On::from(db).list_built(sql, since(from_hour, tokens)).await?;
    rows.iter().map(|row| Ok((row.get("token")?, row.get("hour")?, row.get("body")?))).collect()
}

fn since(hour: i64, tokens: &[TokenId]) -> Vec<Arg> {
    let mut args = args![hour];
    args.extend(tokens.iter().map(|token| Arg::from(*token)));
    args
}

/// The hours, and the ids, of what [`hours`] gives.
pub(super) async fn hour_ids(
    db: &Db,
    token: TokenId,
    from_hour: i64,
) -> Result<BTreeSet<(i64, i64)>, DbError> {
    let rows = On::from(db).list(HOUR_IDS, args![token, from_hour]).await?;
    rows.iter().map(|row| Ok((row.get("hour")?, row.get("id")?))).collect()
}

/// What is counted of the tokens after `token` in a day, by token; at most `limit`.
pub(super) async fn hours_of_day(
    db: &Db,
    day: i64,
    after: Option<TokenId>,
    limit: i64,
) -> Result<Vec<Counted>, DbError> {
    let after = after.map_or_else(Vec::new, |token| token.bytes().to_vec());
    let rows = On::from(db).list(HOURS_OF_DAY, args![day, after, limit]).await?;
    rows.iter().map(|row| counted(row, row.get("token")?)).collect()
}

fn counted(row: &Row, token: TokenId) -> Result<Counted, DbError> {
    Ok(Counted { token, hour: row.get("hour")?, id: row.get("id")?, body: row.get("body")? })
}

/// Deletes what is counted of these tokens in a day; how many rows there were.
pub(super) async fn delete_hours(
    tx: &mut Tx,
    day: i64,
    (first, last): (TokenId, TokenId),
) -> Result<u64, DbError> {
    tx.execute(DELETE_HOURS, args![day, first, last]).await
}
