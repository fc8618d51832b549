//! The statements on `events`, `event_places`, `event_head` and `event_resets`, and the feed as events.
//!
//! A question is answered from one range of one index of `event_places`: by time, or by type or resource
//! where one is asked for, whichever bounds it most. SQLite plans a statement without its arguments, so
//! there is a text for each.

use hoody_core::event::{EventIds, Place};
use hoody_core::id::{EventId, Id, ProjectId, RealmId, ResourceId, UserId};
use hoody_core::time::Timestamp;
use hoody_engine::db::{Arg, DbError, On, Row, Tx, args};
use hoody_engine::grants::store::parse_realm_ids;
use hoody_engine::work;

use super::{Event, Scope};

macro_rules! columns {
    ($table:literal) => {
        concat!(
            $table,
            ".pos, ",
            $table,
            ".seq, ",
            $table,
            ".at, ",
            $table,
            ".event_type, ",
            $table,
            ".account_id, ",
            $table,
            ".actor_kind, ",
            $table,
            ".actor_id, ",
            $table,
            ".resource_type, ",
            $table,
            ".resource_id, ",
            $table,
            ".realm_ids, ",
            $table,
            ".payload"
        )
    };
}
/// $1 account, $2 realm, $3 type, $4 kind of resource, $5 resource, $6 project, $7 and $8 from and to, $9
/// the last position.
macro_rules! chosen {
    ($hard:literal) => {
        concat!(
            "WHERE p.account_id = $1 AND p.realm_id = $2 ",
            $hard,
            " AND p.at >= $7 AND p.at <= $8 \
             AND p.pos <= $9 AND ($3 IS NULL OR p.event_type = $3) \
             AND ($4 IS NULL OR p.resource_type = $4) AND ($5 IS NULL OR p.resource_id = $5) \
             AND ($6 IS NULL OR p.project_id = $6)"
        )
    };
}
/// $10 how many, $11 how many not.
macro_rules! page {
    ($hard:literal, $first:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns!("e"),
            ", e.id, e.project_id FROM (SELECT p.pos, p.seq FROM event_places p ",
            chosen!($hard),
            " ORDER BY ",
            order!("p", $first, $order),
            " LIMIT $10 OFFSET $11) c \
             JOIN events e ON e.pos = c.pos AND e.seq = c.seq ORDER BY ",
            order!("e", $first, $order)
        )
    };
}
macro_rules! order {
    ($table:literal, $column:literal, $order:literal) => {
        concat!(
            $table, $column, " ", $order, ", ", $table, ".at ", $order, ", ", $table, ".pos ", $order, ", ",
            $table, ".seq ", $order
        )
    };
}
macro_rules! pages {
    ($hard:literal) => {
        [
            // The same for all: by time alone, in the order of the index.
            page!($hard, ".account_id", "DESC"),
            page!($hard, ".account_id", "ASC"),
            page!($hard, ".event_type", "DESC"),
            page!($hard, ".event_type", "ASC"),
        ]
    };
}
macro_rules! count {
    ($hard:literal) => {
        concat!("SELECT COUNT(*) AS n FROM event_places p ", chosen!($hard))
    };
}
/// $11 is the one realm that what is deleted may belong to.
macro_rules! delete {
    ($hard:literal) => {
        concat!(
            "DELETE FROM events WHERE (pos, seq) IN (SELECT p.pos, p.seq FROM event_places p \
             JOIN events d ON d.pos = p.pos AND d.seq = p.seq ",
            chosen!($hard),
            " AND ($11 IS NULL OR d.realm_ids = $11) ORDER BY p.at, p.pos, p.seq LIMIT $10)"
        )
    };
}

/// The texts for one way of finding.
struct Texts {
    pages: [&'static str; 4],
    count: &'static str,
    delete: &'static str,
}
macro_rules! texts {
    ($hard:literal) => {
        Texts { pages: pages!($hard), count: count!($hard), delete: delete!($hard) }
    };
}
const BY_TIME: Texts = texts!("");
const BY_TYPE: Texts = texts!("AND p.event_type = $3");
const BY_RESOURCE: Texts = texts!("AND p.resource_id = $5");

const AFTER: &str = concat!(
    "SELECT ",
    columns!("e"),
    ", e.id, e.project_id FROM (SELECT p.pos, p.seq FROM event_places p \
     WHERE p.account_id = $1 AND p.realm_id = $2 AND (p.pos, p.seq) > ($3, $4) \
     AND (p.pos, p.seq) <= ($5, $6) ORDER BY p.pos, p.seq LIMIT $7) c \
     JOIN events e ON e.pos = c.pos AND e.seq = c.seq ORDER BY e.pos, e.seq"
);
const BY_ID: &str = concat!(
    "SELECT ",
    columns!("e"),
    ", e.id, e.project_id FROM events e WHERE e.id = $1 AND e.account_id = $2"
);
const STATS: &str = "SELECT p.event_type, MAX(p.resource_type) AS resource_type, COUNT(*) AS n, \
     MIN(p.at) AS oldest, MAX(p.at) AS newest FROM event_places p \
     WHERE p.account_id = $1 AND p.realm_id = $2 GROUP BY p.event_type ORDER BY p.event_type";
const STATS_BETWEEN: &str = "SELECT p.event_type, MAX(p.resource_type) AS resource_type, COUNT(*) AS n, \
     MIN(p.at) AS oldest, MAX(p.at) AS newest FROM event_places p WHERE p.account_id = $1 \
     AND p.realm_id = $2 AND p.at >= $3 AND p.at <= $4 GROUP BY p.event_type ORDER BY p.event_type";
const DELETE_ONE: &str = "DELETE FROM events WHERE id = $1 AND account_id = $2";
const RESET: &str = "INSERT INTO event_resets (account_id, pos, seq) VALUES ($1, $2, $3) \
     ON CONFLICT (account_id) DO UPDATE SET pos = excluded.pos, seq = excluded.seq \
     WHERE event_resets.pos < excluded.pos";
const FIND_RESET: &str = "SELECT pos, seq FROM event_resets WHERE account_id = $1";
const LAST_BEFORE: &str = "SELECT p.pos, p.seq FROM event_places p WHERE p.account_id = $1 \
     AND p.realm_id = $2 AND p.at <= $3 ORDER BY p.at DESC, p.pos DESC, p.seq DESC LIMIT 1";

const HEAD: &str = "SELECT pos, seq, at, swept_pos, swept_seq FROM event_head WHERE id = 1";
const MOVE_HEAD: &str = "UPDATE event_head SET pos = $1, seq = $2, at = $3 \
     WHERE id = 1 AND pos = $4 AND seq = $5";
const MOVE_SWEPT: &str = "UPDATE event_head SET swept_pos = $1, swept_seq = $2 \
     WHERE id = 1 AND (swept_pos, swept_seq) < ($1, $2)";
const OLDEST: &str = "SELECT pos, seq, at FROM events ORDER BY pos, seq LIMIT $1";
const SWEEP: &str = "DELETE FROM events WHERE (pos, seq) <= ($1, $2)";
const INSERT: &str = "INSERT INTO events (pos, seq, id, at, event_type, account_id, actor_kind, actor_id, \
     resource_type, resource_id, project_id, realm_ids, payload) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
const INSERT_PLACE: &str = "INSERT INTO event_places (account_id, realm_id, pos, seq, at, event_type, \
     resource_type, resource_id, project_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const FEED: &str = concat!(
    "SELECT ",
    columns!("f"),
    " FROM feed f WHERE (f.pos, f.seq) > ($1, $2) AND f.pos <= $3 \
     ORDER BY f.pos, f.seq LIMIT $4"
);
const FEED_AT: &str = "SELECT at FROM feed WHERE pos = $1 AND seq = $2";

/// What is asked of the history. Everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub event_type: Option<String>,
    pub resource_type: Option<String>,
    pub resource_id: Option<ResourceId>,
    pub project_id: Option<ProjectId>,
    /// From this instant on.
    pub from: Option<Timestamp>,
    /// Up to this instant, itself included.
    pub to: Option<Timestamp>,
    /// Up to this position.
    pub last: Option<i64>,
}

/// A part of the history by number.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    pub limit: i64,
    pub offset: i64,
    pub by_type: bool,
    pub is_ascending: bool,
}

/// How far the projection is.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    pub place: Place,
    pub at: Timestamp,
    /// Up to here events were removed for their age.
    pub swept: Place,
}

/// One line of the statistics.
#[derive(Debug)]
pub struct Count {
    pub event_type: String,
    pub resource_type: String,
    pub n: i64,
    pub oldest: Timestamp,
    pub newest: Timestamp,
}

impl Filter {
    fn texts(&self) -> &'static Texts {
        if self.resource_id.is_some() {
            &BY_RESOURCE
        } else if self.event_type.is_some() {
            &BY_TYPE
        } else {
            &BY_TIME
        }
    }

    fn args(&self, scope: Scope) -> Vec<Arg> {
        args![
            scope.account,
            stored(scope.realm),
            self.event_type.clone(),
            self.resource_type.clone(),
            self.resource_id,
            self.project_id,
            self.from.unwrap_or(Timestamp::MIN),
            self.to.unwrap_or(Timestamp::MAX),
            self.last.unwrap_or(i64::MAX),
        ]
    }
}

/// A part of the events that `filter` finds.
pub async fn list_events(
    on: impl Into<On<'_>>,
    scope: Scope,
    filter: &Filter,
    part: Part,
) -> Result<Vec<Event>, DbError> {
    let text = filter.texts().pages[usize::from(part.by_type) * 2 + usize::from(part.is_ascending)];
    let mut args = filter.args(scope);
    args.extend(args![part.limit, part.offset]);
    work::each(on.into().list(text, args).await?, read).await
}

/// How many events `filter` finds.
pub async fn count_events(on: impl Into<On<'_>>, scope: Scope, filter: &Filter) -> Result<i64, DbError> {
    on.into().one(filter.texts().count, filter.args(scope)).await?.get("n")
}

/// Deletes at most `limit` of the events that `filter` finds, the oldest first; with `only`, of those that
/// belong to no other realm. How many it deleted.
pub async fn delete_events(
    tx: &mut Tx,
    scope: Scope,
    filter: &Filter,
    limit: i64,
    only: Option<RealmId>,
) -> Result<u64, DbError> {
    let mut args = filter.args(scope);
    args.extend(args![limit, only.map(|realm| realm.to_string())]);
    tx.execute(filter.texts().delete, args).await
}

/// The events after one place up to another, the oldest first.
pub async fn list_after(
    on: impl Into<On<'_>>,
    scope: Scope,
    after: Place,
    up_to: Place,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    let args = args![scope.account, stored(scope.realm), after.pos, after.seq, up_to.pos, up_to.seq, limit];
    work::each(on.into().list(AFTER, args).await?, read).await
}

/// The event with this id, if it is the account's.
pub async fn find_event(
    on: impl Into<On<'_>>,
    account: UserId,
    id: EventId,
) -> Result<Option<Event>, DbError> {
    on.into().find(BY_ID, args![id, account]).await?.as_ref().map(read).transpose()
}

/// Deletes one event; whether it was there.
pub async fn delete_event(tx: &mut Tx, account: UserId, id: EventId) -> Result<bool, DbError> {
    Ok(tx.execute(DELETE_ONE, args![id, account]).await? == 1)
}

/// How many events there are of each type.
pub async fn count_by_type(
    on: impl Into<On<'_>>,
    scope: Scope,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<Vec<Count>, DbError> {
    let mut args = args![scope.account, stored(scope.realm)];
    let mut text = STATS;
    if from.is_some() || to.is_some() {
        text = STATS_BETWEEN;
        args.extend(args![from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX)]);
    }
    let rows = on.into().list(text, args).await?;
    let read = rows.iter().map(|row| {
        Ok(Count {
            event_type: row.get("event_type")?,
            resource_type: row.get("resource_type")?,
            n: row.get("n")?,
            oldest: row.get("oldest")?,
            newest: row.get("newest")?,
        })
    });
    read.collect()
}

/// The place of the last event up to an instant.
pub async fn last_before(
    on: impl Into<On<'_>>,
    scope: Scope,
    to: Timestamp,
) -> Result<Option<Place>, DbError> {
    let row = on.into().find(LAST_BEFORE, args![scope.account, stored(scope.realm), to]).await?;
    row.as_ref().map(place).transpose()
}

/// Notes that the account deleted its whole history up to here.
pub async fn put_reset(tx: &mut Tx, account: UserId, place: Place) -> Result<(), DbError> {
    tx.execute(RESET, args![account, place.pos, place.seq]).await.map(drop)
}

/// Up to where the account deleted its whole history.
pub async fn find_reset(on: impl Into<On<'_>>, account: UserId) -> Result<Place, DbError> {
    let row = on.into().find(FIND_RESET, args![account]).await?;
    row.as_ref().map_or(Ok(Place::default()), place)
}

/// How far the projection is.
pub async fn head(on: impl Into<On<'_>>) -> Result<Head, DbError> {
    let row = on.into().one(HEAD, args![]).await?;
    let swept = Place { pos: row.get("swept_pos")?, seq: row.get("swept_seq")? };
    Ok(Head { place: place(&row)?, at: row.get("at")?, swept })
}

/// Moves the head on from `from`; false when another node was quicker.
pub(super) async fn move_head(tx: &mut Tx, from: Place, to: Place, at: Timestamp) -> Result<bool, DbError> {
    Ok(tx.execute(MOVE_HEAD, args![to.pos, to.seq, at, from.pos, from.seq]).await? == 1)
}

/// Removes the oldest events, at most `limit`, of those that happened before `cutoff`; how many there were.
pub(super) async fn sweep(tx: &mut Tx, cutoff: Timestamp, limit: i64) -> Result<u64, DbError> {
    let rows = On::from(&mut *tx).list(OLDEST, args![limit]).await?;
    let mut last = None;
    for row in &rows {
        if row.get::<Timestamp>("at")? >= cutoff {
            break;
        }
        last = Some(place(row)?);
    }
    let Some(last) = last else { return Ok(0) };
    tx.execute(MOVE_SWEPT, args![last.pos, last.seq]).await?;
    tx.execute(SWEEP, args![last.pos, last.seq]).await
}

/// Adds an event, and the places where it is looked for.
pub(super) async fn insert_event(tx: &mut Tx, event: &Event) -> Result<(), DbError> {
    let realm_ids: Vec<_> = event.realm_ids.iter().map(ToString::to_string).collect();
    let row = args![
        event.place.pos,
        event.place.seq,
        event.id,
        event.at,
        &event.event_type,
        event.account,
        &event.actor_kind,
        event.actor_id,
        &event.resource_type,
        event.resource_id,
        event.project_id,
        realm_ids.join(","),
        event.payload.to_string(),
    ];
    tx.execute(INSERT, row).await?;
    for realm in std::iter::once(None).chain(event.realm_ids.iter().copied().map(Some)) {
        let row = args![
            event.account,
            stored(realm),
            event.place.pos,
            event.place.seq,
            event.at,
            &event.event_type,
            &event.resource_type,
            event.resource_id,
            event.project_id,
        ];
        tx.execute(INSERT_PLACE, row).await?;
    }
    Ok(())
}

/// What the feed tells after `after` up to the position `head`, at most `limit` rows, the oldest first.
pub async fn list_feed(
    on: impl Into<On<'_>>,
    ids: &EventIds,
    after: Place,
    head: i64,
    limit: i64,
) -> Result<Notices, DbError> {
    let rows = on.into().list(FEED, args![after.pos, after.seq, head, limit]).await?;
    let last = match rows.last() {
        Some(row) => Some((place(row)?, row.get("at")?)),
        None => None,
    };
    let read = |row: &Row| match read_feed(row, ids) {
        // Of a newer version: whoever reads the feed goes on behind it.
        Err(DbError::Unreadable(_)) => None,
        read => Some(read),
    };
    let is_all = (rows.len() as i64) < limit;
    let events = work::each(rows, |row| read(row).transpose()).await?;
    Ok(Notices { events: events.into_iter().flatten().collect(), last, is_all })
}

/// Rows of the feed.
#[derive(Debug)]
pub struct Notices {
    /// Those that this version can read.
    pub events: Vec<Event>,
    /// Place and time of the last row.
    pub last: Option<(Place, Timestamp)>,
    /// Whether no more were there.
    pub is_all: bool,
}

/// When the row of the feed at `place` was written, if it is there.
pub async fn feed_at(on: impl Into<On<'_>>, place: Place) -> Result<Option<Timestamp>, DbError> {
    let row = on.into().find(FEED_AT, args![place.pos, place.seq]).await?;
    row.map(|row| row.get("at")).transpose()
}

fn read(row: &Row) -> Result<Event, DbError> {
    let id = row.get("id")?;
    let project_id = row.get("project_id")?;
    read_as(row, |_| id, project_id)
}

fn read_feed(row: &Row, ids: &EventIds) -> Result<Event, DbError> {
    let mut event = read_as(row, |(place, at)| ids.id(place, at), None)?;
    event.project_id = if event.resource_type == "project" {
        Some(Id::from_bytes(*event.resource_id.bytes()))
    } else {
        event.payload.get("project_id").and_then(|id| id.as_str()?.parse().ok())
    };
    Ok(event)
}

fn read_as(
    row: &Row,
    id: impl FnOnce((Place, Timestamp)) -> EventId,
    project_id: Option<ProjectId>,
) -> Result<Event, DbError> {
    let (place, at) = (place(row)?, row.get("at")?);
    Ok(Event {
        place,
        id: id((place, at)),
        at,
        event_type: row.get("event_type")?,
        account: row.get("account_id")?,
        actor_kind: row.get("actor_kind")?,
        actor_id: row.get("actor_id")?,
        resource_type: row.get("resource_type")?,
        resource_id: row.get("resource_id")?,
        project_id,
        realm_ids: row.parse("realm_ids", parse_realm_ids)?,
        payload: row.parse("payload", |text| serde_json::from_str(text).ok())?,
        is_ephemeral: false,
    })
}

fn place(row: &Row) -> Result<Place, DbError> {
    Ok(Place { pos: row.get("pos")?, seq: row.get("seq")? })
}

/// A realm as the column has it; empty for the account as a whole.
fn stored(realm: Option<RealmId>) -> Vec<u8> {
    realm.map_or_else(Vec::new, |realm| realm.bytes().to_vec())
}
