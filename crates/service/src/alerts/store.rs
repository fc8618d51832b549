//! The statements on `alerts`, `alert_settings`, and what the evaluator remembers. It alone writes here,
//! under its lease, but for settings and for what owners say of an alert.

use hoody_core::alert::{Counter, Kind, Seen, Settings};
use hoody_core::event::Place;
use hoody_core::id::{AlertId, Id, RealmId, ResourceId, TokenId, UserId};
use hoody_core::time::Timestamp;
use hoody_engine::activity::tail::Position;
use hoody_engine::db::{Arg, Db, DbError, On, Row, Tx, args};
use hoody_engine::grants::store::parse_realm_ids;
use hoody_engine::work;
use serde_json::Value;

use super::{Alert, Subject};

macro_rules! alert {
    ($tail:literal) => {
        concat!(
            "SELECT id, user_id, kind, subject_type, subject_id, subject_name, realm_ids, state, is_muted, \
             hits, first_at, last_at, counts_until, ip, details, settled_at FROM alerts ",
            $tail
        )
    };
}
/// $1 account, $2 kind, $3 state, $4 subject, $5 and $6 from and to, $7 a pattern of realms.
macro_rules! chosen {
    ($before:expr, $after:literal) => {
        concat!(
            $before,
            "WHERE user_id = $1 AND ($2 IS NULL OR kind = $2) AND ($3 IS NULL OR state = $3) \
             AND ($4 IS NULL OR subject_id = $4) AND last_at >= $5 AND last_at <= $6 \
             AND ($7 IS NULL OR realm_ids LIKE $7) ",
            $after
        )
    };
}
const LIST: &str = chosen!(alert!(""), "ORDER BY last_at DESC, id DESC LIMIT $8 OFFSET $9");
const COUNT: &str = chosen!("SELECT COUNT(*) AS n FROM alerts ", "");
const FIND: &str = alert!("WHERE user_id = $1 AND id = $2");
const COUNTING: &str = alert!(
    "WHERE user_id = $1 AND kind = $2 AND subject_id = $3 AND counts_until > $4 ORDER BY first_at DESC LIMIT 1"
);
const IS_TOLD: &str = "SELECT 1 AS one FROM alerts WHERE user_id = $1 AND kind = $2 AND subject_id = $3 \
     AND first_at > $4 LIMIT 1";
/// For an account that is there; otherwise nothing is written.
const INSERT: &str = "INSERT INTO alerts (id, user_id, kind, subject_type, subject_id, subject_name, realm_ids, \
     state, is_muted, hits, first_at, last_at, counts_until, ip, details) \
     SELECT $1, id, $3, $4, $5, $6, $7, 'open', $8, $9, $10, $11, $12, $13, $14 FROM users WHERE id = $2";
const COUNT_UP: &str =
    "UPDATE alerts SET hits = hits + $2, last_at = $3, ip = COALESCE($4, ip), details = $5 WHERE id = $1";
const SETTLE: &str = "UPDATE alerts SET state = $3, settled_at = $4 WHERE user_id = $1 AND id = $2";
const SWEEP: &str = "DELETE FROM alerts WHERE id IN \
     (SELECT id FROM alerts WHERE last_at < $1 ORDER BY last_at LIMIT $2)";

const SETTINGS: &str = "SELECT kind, is_enabled, threshold, muted_until, by_mail, by_webhook, disables \
     FROM alert_settings WHERE user_id = $1";
const SET: &str = "INSERT INTO alert_settings (user_id, kind, is_enabled, threshold, muted_until, by_mail, \
     by_webhook, disables) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (user_id, kind) DO UPDATE \
     SET is_enabled = excluded.is_enabled, threshold = excluded.threshold, \
     muted_until = excluded.muted_until, by_mail = excluded.by_mail, by_webhook = excluded.by_webhook, \
     disables = excluded.disables";
const THRESHOLDS: &str = "SELECT DISTINCT threshold FROM alert_settings WHERE kind = $1";

const HEAD: &str =
    "SELECT log, pos, seq, looked_at, walk_at, walk_after FROM alert_head WHERE id = 1 AND log IS NOT NULL";
const BEGIN: &str = "UPDATE alert_head SET log = $1, looked_at = $2 WHERE id = 1 AND log IS NULL";
const MOVE: &str = "UPDATE alert_head SET log = $1, pos = $2, seq = $3 \
     WHERE id = 1 AND log = $4 AND pos = $5 AND seq = $6";
const LOOKED: &str = "UPDATE alert_head SET looked_at = $1 WHERE id = 1 AND looked_at = $2";
const WALKED: &str = "UPDATE alert_head SET walk_at = $1, walk_after = $2 WHERE id = 1 AND walk_at = $3";
/// What of the feed may be worth an alert, and what makes the evaluator forget.
const TOLD: &str = "SELECT f.pos, f.seq, f.at, f.event_type, f.account_id, f.resource_id, f.payload FROM feed f \
     WHERE (f.pos, f.seq) > ($1, $2) AND f.pos <= $3 AND f.event_type IN ('session.created', \
     'account.otp_disabled', 'webhook.disabled', 'auth.token.deleted') ORDER BY f.pos, f.seq LIMIT $4";

const SEEN: &str = "SELECT addresses FROM alert_seen WHERE id = $1";
/// For a token or an account that is there.
const PUT_SEEN: &str = "INSERT INTO alert_seen (id, addresses) SELECT id, $2 FROM tokens WHERE id = $1 \
     UNION ALL SELECT id, $2 FROM users WHERE id = $1 \
     ON CONFLICT (id) DO UPDATE SET addresses = excluded.addresses";
const FORGET_SEEN: &str = "DELETE FROM alert_seen WHERE id = $1";
const COUNTER: &str = "SELECT hits, ends_at FROM alert_counters WHERE kind = $1 AND subject = $2";
const PUT_COUNTER: &str = "INSERT INTO alert_counters (kind, subject, hits, ends_at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (kind, subject) DO UPDATE SET hits = excluded.hits, ends_at = excluded.ends_at";
/// The condition stands twice: a counter that began anew while this waited for it stays.
const SWEEP_COUNTERS: &str = "DELETE FROM alert_counters WHERE ends_at <= $1 AND (kind, subject) IN \
     (SELECT kind, subject FROM alert_counters WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2)";
const SWEEP_DELETED: &str = "DELETE FROM deleted_tokens WHERE digest IN \
     (SELECT digest FROM deleted_tokens WHERE deleted_at < $1 ORDER BY deleted_at LIMIT $2)";

const NAME_OF_TOKEN: &str = "SELECT alias, realm_ids FROM tokens WHERE id = $1 \
     UNION ALL SELECT alias, realm_ids FROM deleted_tokens WHERE id = $1 LIMIT 1";
const EXPIRING: &str = "SELECT id, user_id, alias, realm_ids, expires_at, created_at, last_used_at FROM tokens \
     WHERE expires_at > $1 AND expires_at <= $2 AND created_at < expires_at - $3 AND is_enabled \
     ORDER BY expires_at LIMIT $4";
const IDLE: &str = "SELECT id, user_id, alias, realm_ids, expires_at, created_at, last_used_at FROM tokens \
     WHERE id > $1 AND is_enabled AND (expires_at IS NULL OR expires_at > $2) \
     AND COALESCE(last_used_at, created_at) <= $3 ORDER BY id LIMIT $4";

/// How far the evaluator is.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) log: Position,
    /// As it is stored.
    log_text: String,
    pub(super) place: Place,
    pub(super) looked_at: Timestamp,
    pub(super) walk_at: Timestamp,
    pub(super) walk_after: Option<TokenId>,
}

/// What the feed tells.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) place: Place,
    pub(super) at: Timestamp,
    pub(super) event: String,
    pub(super) account: UserId,
    pub(super) resource: ResourceId,
    pub(super) payload: Value,
}

/// A token that time makes worth an alert.
#[derive(Debug, Clone)]
pub(super) struct Aging {
    pub(super) id: TokenId,
    pub(super) account: UserId,
    pub(super) alias: String,
    pub(super) realm_ids: Vec<RealmId>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) created_at: Timestamp,
    pub(super) last_used_at: Option<Timestamp>,
}

impl Aging {
    /// Since when nobody used it.
    pub(super) fn idle_since(&self) -> Timestamp {
        self.last_used_at.unwrap_or(self.created_at)
    }
}

/// Which alerts are asked for. Everything that is given must hold.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) account: UserId,
    pub(super) kind: Option<Kind>,
    pub(super) state: Option<&'static str>,
    pub(super) subject: Option<ResourceId>,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) realm: Option<RealmId>,
}

impl Filter {
    fn args(&self) -> Vec<Arg> {
        args![
            self.account,
            self.kind.map(|kind| kind.rule().name),
            self.state,
            self.subject,
            self.from,
            self.until,
            self.realm.map(|realm| format!("%{realm}%")),
        ]
    }
}

/// How many alerts there are.
pub(super) async fn count(db: &Db, filter: &Filter) -> Result<u64, DbError> {
    Ok(On::from(db).one(COUNT, filter.args()).await?.get::<i64>("n")?.unsigned_abs())
}

/// A page of them, the latest first.
pub(super) async fn list(db: &Db, filter: &Filter, limit: i64, offset: i64) -> Result<Vec<Alert>, DbError> {
    let mut args = filter.args();
    args.extend(args![limit, offset]);
    work::each(On::from(db).list(LIST, args).await?, read).await
}

/// An account's alert.
pub(super) async fn find(
    on: impl Into<On<'_>>,
    account: UserId,
    id: AlertId,
) -> Result<Option<Alert>, DbError> {
    on.into().find(FIND, args![account, id]).await?.as_ref().map(read).transpose()
}

/// The alert that takes up what happens to this subject at `at`.
pub(super) async fn find_counting(
    tx: &mut Tx,
    account: UserId,
    kind: Kind,
    subject: Subject,
    at: Timestamp,
) -> Result<Option<Alert>, DbError> {
    let args = args![account, kind.rule().name, subject.id, at];
    On::from(tx).find(COUNTING, args).await?.as_ref().map(read).transpose()
}

/// Whether there is an alert of this subject that began after `since`.
pub(super) async fn is_told_since(
    tx: &mut Tx,
    account: UserId,
    kind: Kind,
    subject: Subject,
    since: Timestamp,
) -> Result<bool, DbError> {
    Ok(On::from(tx).find(IS_TOLD, args![account, kind.rule().name, subject.id, since]).await?.is_some())
}

/// Writes a new alert; false when there is no such account.
pub(super) async fn insert(tx: &mut Tx, alert: &Alert) -> Result<bool, DbError> {
    let realms: Vec<_> = alert.realm_ids.iter().map(ToString::to_string).collect();
    let row = args![
        alert.id,
        alert.account,
        alert.kind.rule().name,
        alert.subject.noun,
        alert.subject.id,
        alert.name.clone(),
        realms.join(","),
        alert.is_muted,
        alert.hits,
        alert.first_at,
        alert.last_at,
        alert.counts_until,
        alert.ip.clone(),
        alert.details.to_string(),
    ];
    Ok(tx.execute(INSERT, row).await? == 1)
}

/// Counts `hits` more in an alert.
pub(super) async fn count_up(
    tx: &mut Tx,
    id: AlertId,
    (hits, at): (i64, Timestamp),
    ip: Option<String>,
    details: &Value,
) -> Result<(), DbError> {
    tx.execute(COUNT_UP, args![id, hits, at, ip, details.to_string()]).await.map(drop)
}

/// Says what its owner says of an alert.
pub(super) async fn settle(tx: &mut Tx, alert: &Alert, state: &str, now: Timestamp) -> Result<(), DbError> {
    tx.execute(SETTLE, args![alert.account, alert.id, state, now]).await.map(drop)
}

/// What the account wants of each kind, where it said so.
pub(super) async fn list_settings(
    on: impl Into<On<'_>>,
    account: UserId,
) -> Result<Vec<(Kind, Settings)>, DbError> {
    let rows = on.into().list(SETTINGS, args![account]).await?;
    let read = |row: &Row| {
        // A kind of another version is nobody's here.
        let Some(kind) = Kind::of(&row.get::<String>("kind")?) else { return Ok(None) };
        let settings = Settings {
            is_enabled: row.get("is_enabled")?,
            threshold: row.get("threshold")?,
            muted_until: row.get("muted_until")?,
            by_mail: row.get("by_mail")?,
            by_webhook: row.get("by_webhook")?,
            disables: row.get("disables")?,
        };
        Ok(Some((kind, settings)))
    };
    rows.iter().filter_map(|row| read(row).transpose()).collect()
}

/// Writes what an account wants of a kind.
pub(super) async fn put_settings(
    tx: &mut Tx,
    account: UserId,
    kind: Kind,
    settings: &Settings,
) -> Result<(), DbError> {
    let row = args![
        account,
        kind.rule().name,
        settings.is_enabled,
        settings.threshold,
        settings.muted_until,
        settings.by_mail,
        settings.by_webhook,
        settings.disables,
    ];
    tx.execute(SET, row).await.map(drop)
}

/// Every threshold that some account has set for a kind.
pub(super) async fn list_thresholds(db: &Db, kind: Kind) -> Result<Vec<i64>, DbError> {
    let rows = On::from(db).list(THRESHOLDS, args![kind.rule().name]).await?;
    rows.iter().map(|row| row.get("threshold")).collect()
}

/// How far the evaluator is; `None` before it ever began.
pub(super) async fn find_head(on: impl Into<On<'_>>) -> Result<Option<Head>, DbError> {
    let Some(row) = on.into().find(HEAD, args![]).await? else { return Ok(None) };
    let log_text: String = row.get("log")?;
    Ok(Some(Head {
        log: serde_json::from_str(&log_text).map_err(|_| DbError::Unreadable("log"))?,
        log_text,
        place: Place { pos: row.get("pos")?, seq: row.get("seq")? },
        looked_at: row.get("looked_at")?,
        walk_at: row.get("walk_at")?,
        walk_after: row.get("walk_after")?,
    }))
}

/// Sets where evaluating begins, unless that is set.
pub(super) async fn begin(db: &Db, log: &Position, now: Timestamp) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(BEGIN, args![position_text(log)?, now]).await?;
    tx.commit().await
}

/// Moves the evaluator on; false when it is no more where `head` says.
pub(super) async fn move_head(
    tx: &mut Tx,
    head: &Head,
    log: &Position,
    place: Place,
) -> Result<bool, DbError> {
    let from = (head.log_text.clone(), head.place);
    let row = args![position_text(log)?, place.pos, place.seq, from.0, from.1.pos, from.1.seq];
    Ok(tx.execute(MOVE, row).await? == 1)
}

fn position_text(log: &Position) -> Result<String, DbError> {
    serde_json::to_string(log).map_err(|_| DbError::Unreadable("log"))
}

/// Notes until when it looked for what is about to expire; false when somebody else did.
pub(super) async fn looked(tx: &mut Tx, before: Timestamp, now: Timestamp) -> Result<bool, DbError> {
    Ok(tx.execute(LOOKED, args![now, before]).await? == 1)
}

/// Notes how far the walk through all tokens is; false when somebody else walked.
pub(super) async fn walked(
    tx: &mut Tx,
    head: &Head,
    at: Timestamp,
    after: Option<TokenId>,
) -> Result<bool, DbError> {
    Ok(tx.execute(WALKED, args![at, after, head.walk_at]).await? == 1)
}

/// What concerns the evaluator of the feed after `after` up to the position `head`, the oldest first.
pub(super) async fn list_told(db: &Db, after: Place, head: i64, limit: i64) -> Result<Vec<Told>, DbError> {
    let rows = On::from(db).list(TOLD, args![after.pos, after.seq, head, limit]).await?;
    let read = |row: &Row| {
        Ok(Told {
            place: Place { pos: row.get("pos")?, seq: row.get("seq")? },
            at: row.get("at")?,
            event: row.get("event_type")?,
            account: row.get("account_id")?,
            resource: row.get("resource_id")?,
            // A newer version may write another form: that stops nobody here.
            payload: row.parse("payload", |text| Some(serde_json::from_str(text).unwrap_or_default()))?,
        })
    };
    rows.iter().map(read).collect()
}

/// From where a token or an account was seen.
pub(super) async fn find_seen(tx: &mut Tx, id: [u8; 12]) -> Result<Seen, DbError> {
    let Some(row) = On::from(tx).find(SEEN, args![&id[..]]).await? else { return Ok(Seen::default()) };
    Seen::read(&row.get::<Vec<u8>>("addresses")?).ok_or(DbError::Unreadable("addresses"))
}

pub(super) async fn put_seen(tx: &mut Tx, id: [u8; 12], seen: &Seen) -> Result<(), DbError> {
    tx.execute(PUT_SEEN, args![&id[..], seen.pack()]).await.map(drop)
}

pub(super) async fn forget_seen(tx: &mut Tx, id: [u8; 12]) -> Result<(), DbError> {
    tx.execute(FORGET_SEEN, args![&id[..]]).await.map(drop)
}

/// How often something happened to a subject.
pub(super) async fn find_counter(tx: &mut Tx, kind: &str, subject: [u8; 12]) -> Result<Counter, DbError> {
    let row = On::from(tx).find(COUNTER, args![kind, &subject[..]]).await?;
    let Some(row) = row else { return Ok(Counter::EMPTY) };
    Ok(Counter { hits: row.get("hits")?, ends_at: row.get("ends_at")? })
}

pub(super) async fn put_counter(
    tx: &mut Tx,
    kind: &str,
    subject: [u8; 12],
    counter: Counter,
) -> Result<(), DbError> {
    tx.execute(PUT_COUNTER, args![kind, &subject[..], counter.hits, counter.ends_at]).await.map(drop)
}

/// What a token is called, or was when it was deleted, and its realms.
pub(super) async fn name_of_token(
    tx: &mut Tx,
    id: ResourceId,
) -> Result<Option<(String, Vec<RealmId>)>, DbError> {
    let row = On::from(tx).find(NAME_OF_TOKEN, args![id]).await?;
    row.map(|row| Ok((row.get("alias")?, row.parse("realm_ids", parse_realm_ids)?))).transpose()
}

/// Tokens that end after `from` and not after `until`, and were made more than `life` milliseconds before.
pub(super) async fn list_expiring(
    tx: &mut Tx,
    (from, until): (Timestamp, Timestamp),
    life: i64,
    limit: i64,
) -> Result<Vec<Aging>, DbError> {
    On::from(tx).list(EXPIRING, args![from, until, life, limit]).await?.iter().map(read_aging).collect()
}

/// Tokens in force at `now` that nobody used after `since`, in the order of their ids, after `after`.
pub(super) async fn list_idle(
    db: &Db,
    after: TokenId,
    (now, since): (Timestamp, Timestamp),
    limit: i64,
) -> Result<Vec<Aging>, DbError> {
    On::from(db).list(IDLE, args![after, now, since, limit]).await?.iter().map(read_aging).collect()
}

/// Removes what is too old to be of use: alerts before `alerts`, tokens deleted before `deleted`.
pub(super) async fn sweep(
    db: &Db,
    now: Timestamp,
    alerts: Timestamp,
    deleted: Timestamp,
) -> Result<(), DbError> {
    db.sweep(SWEEP, args![alerts]).await?;
    db.sweep(SWEEP_DELETED, args![deleted]).await?;
    db.sweep(SWEEP_COUNTERS, args![now]).await
}

fn read(row: &Row) -> Result<Alert, DbError> {
    let id: Id<_> = row.get("subject_id")?;
    Ok(Alert {
        id: row.get("id")?,
        account: row.get("user_id")?,
        kind: row.parse("kind", Kind::of)?,
        subject: row.parse("subject_type", |noun| Subject::of(noun, id))?,
        name: row.get("subject_name")?,
        realm_ids: row.parse("realm_ids", parse_realm_ids)?,
        state: row.get("state")?,
        is_muted: row.get("is_muted")?,
        hits: row.get("hits")?,
        first_at: row.get("first_at")?,
        last_at: row.get("last_at")?,
        counts_until: row.get("counts_until")?,
        ip: row.get("ip")?,
        details: row.parse("details", |text| serde_json::from_str(text).ok())?,
        settled_at: row.get("settled_at")?,
    })
}

fn read_aging(row: &Row) -> Result<Aging, DbError> {
    Ok(Aging {
        id: row.get("id")?,
        account: row.get("user_id")?,
        alias: row.get("alias")?,
        realm_ids: row.parse("realm_ids", parse_realm_ids)?,
        expires_at: row.get("expires_at")?,
        created_at: row.get("created_at")?,
        last_used_at: row.get("last_used_at")?,
    })
}
