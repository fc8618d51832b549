//! The statements on `webhooks` and `webhook_deliveries`. Who changes an endpoint holds its account; who
//! sends to it holds its claim.

use hoody_core::event::Patterns;
use hoody_core::id::{DeliveryId, Id, UserId, WebhookId};
use hoody_core::keys::KeyId;
use hoody_core::time::Timestamp;
use hoody_engine::db::{Arg, Db, DbError, On, Row, Tx, args};
use hoody_engine::grants::store::parse_realm_ids;
use hoody_engine::keys::sealed::{KeyColumn, Sealed, Value};
use hoody_engine::work;

use super::{Delivery, PREVIOUS, SECRET, Webhook};
use crate::events::Event;

macro_rules! webhook {
    ($tail:literal) => {
        concat!(
            "SELECT id, user_id, url, description, event_types, realm_ids, is_enabled, disabled_reason, \
             secret, previous_secret, previous_until, failing_since, failures, created_at, updated_at \
             FROM webhooks ",
            $tail
        )
    };
}
macro_rules! delivery {
    ($tail:literal) => {
        concat!(
            "SELECT id, webhook_id, event_id, event_type, state, run_at, give_up_at, attempts, \
             last_attempt_at, status, duration_ms, error, answer, created_at FROM webhook_deliveries ",
            $tail
        )
    };
}
const LIST: &str = webhook!("WHERE user_id = $1 ORDER BY created_at, id");
const FIND: &str = webhook!("WHERE user_id = $1 AND id = $2");
const BY_ID: &str = webhook!("WHERE id = $1");
const COUNT: &str = "SELECT COUNT(*) AS n FROM webhooks WHERE user_id = $1";
const INSERT: &str = "INSERT INTO webhooks (id, user_id, url, description, event_types, realm_ids, is_enabled, \
     key_id, secret, failures, paused_until, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10, $10)";
const UPDATE: &str = "UPDATE webhooks SET url = $2, description = $3, event_types = $4, realm_ids = $5, \
     is_enabled = $6, disabled_reason = $7, failing_since = NULL, failures = 0, paused_until = 0, \
     updated_at = $8 WHERE id = $1";
const ROTATE: &str = "UPDATE webhooks SET previous_secret = $2, previous_key_id = $3, previous_until = $4, \
     secret = $5, key_id = $6, updated_at = $7 WHERE id = $1";
const DELETE: &str = "DELETE FROM webhooks WHERE id = $1";
const DISABLE: &str = "UPDATE webhooks SET is_enabled = $2, disabled_reason = $3, updated_at = $4 \
     WHERE id = $1 AND is_enabled = $5";

const PUT_ON_WAY: &str = "INSERT INTO webhook_deliveries (id, webhook_id, pos, seq, event_id, event_type, \
     body, state, run_at, give_up_at, attempts, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', $8, $9, 0, $8)";
const DELIVERIES: &str = delivery!(
    "WHERE webhook_id = $1 AND ($2 IS NULL OR state = $2) ORDER BY created_at DESC, id DESC \
     LIMIT $3 OFFSET $4"
);
const DELIVERY: &str = delivery!("WHERE webhook_id = $1 AND id = $2");
const REPLAY: &str = "UPDATE webhook_deliveries SET state = 'waiting', run_at = $3, give_up_at = $4, \
     attempts = 0 WHERE webhook_id = $1 AND id = $2";

const DUE: &str = "SELECT w.id FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id \
     WHERE d.state = 'waiting' AND d.run_at <= $1 AND w.is_enabled AND w.paused_until <= $1 \
     AND (w.claimed_until IS NULL OR w.claimed_until <= $1) ORDER BY d.run_at LIMIT 1";
/// Whoever was a moment later finds the row changed, and its condition broken: one of two gets it.
const CLAIM: &str = "UPDATE webhooks SET claimed_by = $1, claimed_until = $2 WHERE id = $4 AND is_enabled \
     AND paused_until <= $3 AND (claimed_until IS NULL OR claimed_until <= $3)";
const HOLD: &str = "UPDATE webhooks SET claimed_until = $3 WHERE id = $1 AND claimed_by = $2";
const RELEASE: &str = "UPDATE webhooks SET claimed_by = NULL, claimed_until = NULL \
     WHERE id = $1 AND claimed_by = $2";
const NEXT: &str = "SELECT id, event_id, body, give_up_at FROM webhook_deliveries WHERE webhook_id = $1 \
     AND state = 'waiting' AND run_at <= $2 ORDER BY pos, seq, id LIMIT 1";
/// The conditions stand twice: what is to be sent again meanwhile has another day.
const GIVE_UP: &str = "UPDATE webhook_deliveries SET state = 'failed', error = COALESCE(error, $3) \
     WHERE webhook_id = $1 AND state = 'waiting' AND give_up_at <= $2 AND id IN (\
     SELECT id FROM webhook_deliveries WHERE webhook_id = $1 AND state = 'waiting' AND give_up_at <= $2 LIMIT $4)";
const ATTEMPTED: &str = "UPDATE webhook_deliveries SET state = $2, run_at = $3, attempts = attempts + 1, \
     last_attempt_at = $4, status = $5, duration_ms = $6, error = $7, answer = $8 WHERE id = $1";
const ARRIVED: &str =
    "UPDATE webhooks SET failing_since = NULL, failures = 0, paused_until = 0 WHERE id = $1";
const MISSED: &str = "UPDATE webhooks SET failing_since = COALESCE(failing_since, $2), \
     failures = failures + 1, paused_until = $3 WHERE id = $1";
const SWEEP: &str = "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries \
     WHERE created_at < $1 AND (state <> 'waiting' OR give_up_at <= $2) ORDER BY created_at LIMIT $3)";

/// The endpoints of an account.
pub async fn list_webhooks(on: impl Into<On<'_>>, account: UserId) -> Result<Vec<Webhook>, DbError> {
    work::each(on.into().list(LIST, args![account]).await?, read).await
}

/// An account's endpoint.
pub async fn find_webhook(
    on: impl Into<On<'_>>,
    account: UserId,
    id: WebhookId,
) -> Result<Option<Webhook>, DbError> {
    on.into().find(FIND, args![account, id]).await?.as_ref().map(read).transpose()
}

/// The endpoint with this id.
pub(super) async fn find_by_id(on: impl Into<On<'_>>, id: WebhookId) -> Result<Option<Webhook>, DbError> {
    on.into().find(BY_ID, args![id]).await?.as_ref().map(read).transpose()
}

/// How many endpoints an account has.
pub(super) async fn count(tx: &mut Tx, account: UserId) -> Result<i64, DbError> {
    On::from(tx).one(COUNT, args![account]).await?.get("n")
}

pub(super) async fn insert(tx: &mut Tx, webhook: &Webhook, key: KeyId) -> Result<(), DbError> {
    let row = args![
        webhook.id,
        webhook.account,
        &webhook.url,
        &webhook.description,
        webhook.types.texts().join(","),
        realms(webhook),
        webhook.is_enabled,
        key.to_string(),
        webhook.secret.clone(),
        webhook.created_at,
    ];
    tx.execute(INSERT, row).await.map(drop)
}

/// Writes what an owner changes; what failed before is forgotten.
pub(super) async fn update(tx: &mut Tx, webhook: &Webhook) -> Result<(), DbError> {
    let row = args![
        webhook.id,
        &webhook.url,
        &webhook.description,
        webhook.types.texts().join(","),
        realms(webhook),
        webhook.is_enabled,
        webhook.disabled_reason.clone(),
        webhook.updated_at,
    ];
    tx.execute(UPDATE, row).await.map(drop)
}

/// Puts a new secret in force; the one before, sealed again for its column, signs until `until`.
pub(super) async fn rotate(
    tx: &mut Tx,
    webhook: &Webhook,
    secret: &[u8],
    previous: &[u8],
    key: KeyId,
    until: Timestamp,
) -> Result<(), DbError> {
    let key = key.to_string();
    let row = args![webhook.id, previous, &key, until, secret, &key, webhook.updated_at];
    tx.execute(ROTATE, row).await.map(drop)
}

pub(super) async fn delete(tx: &mut Tx, id: WebhookId) -> Result<(), DbError> {
    tx.execute(DELETE, args![id]).await.map(drop)
}

/// Switches an endpoint off; whether it was on.
pub(super) async fn disable(tx: &mut Tx, id: WebhookId, why: &str, now: Timestamp) -> Result<bool, DbError> {
    Ok(tx.execute(DISABLE, args![id, false, why, now, true]).await? == 1)
}

/// Puts a message about `event` on its way to an endpoint.
pub async fn put_on_way(
    tx: &mut Tx,
    delivery: DeliveryId,
    webhook: WebhookId,
    event: &Event,
    body: String,
    (now, give_up_at): (Timestamp, Timestamp),
) -> Result<(), DbError> {
    let row = args![
        delivery,
        webhook,
        event.place.pos,
        event.place.seq,
        event.id,
        &event.event_type,
        body,
        now,
        give_up_at,
    ];
    tx.execute(PUT_ON_WAY, row).await.map(drop)
}

/// Deliveries to an endpoint, the latest first, after as many as `offset`.
pub(super) async fn list_deliveries(
    db: &Db,
    webhook: WebhookId,
    state: Option<&str>,
    (limit, offset): (i64, i64),
) -> Result<Vec<Delivery>, DbError> {
    let rows = On::from(db).list(DELIVERIES, args![webhook, state, limit, offset]).await?;
    work::each(rows, read_delivery).await
}

pub(super) async fn find_delivery(
    on: impl Into<On<'_>>,
    webhook: WebhookId,
    id: DeliveryId,
) -> Result<Option<Delivery>, DbError> {
    on.into().find(DELIVERY, args![webhook, id]).await?.as_ref().map(read_delivery).transpose()
}

/// Sends a delivery again; false when there is none.
pub(super) async fn replay(
    tx: &mut Tx,
    webhook: WebhookId,
    id: DeliveryId,
    (now, give_up_at): (Timestamp, Timestamp),
) -> Result<bool, DbError> {
    Ok(tx.execute(REPLAY, args![webhook, id, now, give_up_at]).await? == 1)
}

/// Claims the endpoint that something is due to longest; `None` when there is none, or another was first.
pub(super) async fn claim(
    db: &Db,
    by: Id<()>,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<WebhookId>, DbError> {
    // Looked for first without keeping anybody from writing: mostly there is nothing.
    let Some(row) = On::from(db).find(DUE, args![now]).await? else { return Ok(None) };
    let id: WebhookId = row.get("id")?;
    let mut tx = db.begin().await?;
    let claimed = tx.execute(CLAIM, args![by, until, now, id]).await?;
    tx.commit().await?;
    Ok((claimed == 1).then_some(id))
}

/// What is next at an endpoint.
pub(super) enum Next {
    Delivery {
        id: DeliveryId,
        event: Id<()>,
        body: String,
    },
    /// Something whose time was over by then.
    Late,
    /// Nothing is due, or the claim is another's.
    Nothing,
}

/// Holds a claim on for a while, and gives the next delivery that is due, unless its time was over `late`.
pub(super) async fn next(
    db: &Db,
    id: WebhookId,
    by: Id<()>,
    now: Timestamp,
    until: Timestamp,
    late: Timestamp,
) -> Result<Next, DbError> {
    let Some(row) = On::from(db).find(NEXT, args![id, now]).await? else { return Ok(Next::Nothing) };
    if row.get::<Timestamp>("give_up_at")? <= late {
        return Ok(Next::Late);
    }
    let mut tx = db.begin().await?;
    let is_held = tx.execute(HOLD, args![id, by, until]).await? == 1;
    tx.commit().await?;
    if !is_held {
        return Ok(Next::Nothing);
    }
    Ok(Next::Delivery { id: row.get("id")?, event: row.get("event_id")?, body: row.get("body")? })
}

/// Gives up everything that waits for an endpoint and whose time was over by `late`.
pub(super) async fn give_up(db: &Db, id: WebhookId, late: Timestamp, why: &str) -> Result<(), DbError> {
    db.sweep(GIVE_UP, args![id, late, why]).await
}

pub(super) async fn release(db: &Db, id: WebhookId, by: Id<()>) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.execute(RELEASE, args![id, by]).await?;
    tx.commit().await
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    pub(super) state: &'static str,
    pub(super) run_at: Timestamp,
    pub(super) now: Timestamp,
    pub(super) status: Option<i64>,
    pub(super) duration_ms: i64,
    pub(super) error: Option<&'a str>,
    pub(super) answer: Option<&'a str>,
}

/// Writes what came of an attempt.
pub(super) async fn attempted(
    tx: &mut Tx,
    delivery: DeliveryId,
    outcome: &Outcome<'_>,
) -> Result<(), DbError> {
    let row = args![
        delivery,
        outcome.state,
        outcome.run_at,
        outcome.now,
        outcome.status,
        outcome.duration_ms,
        outcome.error,
        outcome.answer,
    ];
    tx.execute(ATTEMPTED, row).await.map(drop)
}

/// Notes that something arrived at an endpoint.
pub(super) async fn arrived(tx: &mut Tx, id: WebhookId) -> Result<(), DbError> {
    tx.execute(ARRIVED, args![id]).await.map(drop)
}

/// Notes that something did not arrive at an endpoint, which is left alone until `paused_until`.
pub(super) async fn missed(
    tx: &mut Tx,
    id: WebhookId,
    now: Timestamp,
    paused_until: Timestamp,
) -> Result<(), DbError> {
    tx.execute(MISSED, args![id, now, paused_until]).await.map(drop)
}

/// Removes deliveries that are over and old; also those that wait for an endpoint that is off.
pub(super) async fn sweep(db: &Db, before: Timestamp, now: Timestamp) -> Result<(), DbError> {
    db.sweep(SWEEP, args![before, now]).await
}

fn realms(webhook: &Webhook) -> String {
    let ids: Vec<_> = webhook.realm_ids.iter().map(ToString::to_string).collect();
    ids.join(",")
}

fn read(row: &Row) -> Result<Webhook, DbError> {
    let previous: Option<Vec<u8>> = row.get("previous_secret")?;
    let until: Option<Timestamp> = row.get("previous_until")?;
    Ok(Webhook {
        id: row.get("id")?,
        account: row.get("user_id")?,
        url: row.get("url")?,
        description: row.get("description")?,
        types: row.parse("event_types", |text| {
            Patterns::parse(text.split(',').filter(|text| !text.is_empty())).ok()
        })?,
        realm_ids: row.parse("realm_ids", parse_realm_ids)?,
        is_enabled: row.get("is_enabled")?,
        disabled_reason: row.get("disabled_reason")?,
        secret: row.get("secret")?,
        previous: previous.zip(until),
        failing_since: row.get("failing_since")?,
        failures: row.get("failures")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn read_delivery(row: &Row) -> Result<Delivery, DbError> {
    Ok(Delivery {
        id: row.get("id")?,
        webhook: row.get("webhook_id")?,
        event: row.get("event_id")?,
        event_type: row.get("event_type")?,
        state: row.get("state")?,
        run_at: row.get("run_at")?,
        give_up_at: row.get("give_up_at")?,
        attempts: row.get("attempts")?,
        last_attempt_at: row.get("last_attempt_at")?,
        status: row.get("status")?,
        duration_ms: row.get("duration_ms")?,
        error: row.get("error")?,
        answer: row.get("answer")?,
        created_at: row.get("created_at")?,
    })
}

/// How the secrets are moved to another master key.
pub static SEALED: [Sealed; 2] = [
    Sealed {
        table: "webhooks",
        column: SECRET,
        key: KeyColumn::Named("key_id"),
        count: "SELECT COUNT(*) AS n FROM webhooks WHERE key_id = $1",
        list: "SELECT id, user_id, secret AS sealed FROM webhooks WHERE key_id = $1 ORDER BY id \
               LIMIT 100 OFFSET $2",
        read: read_sealed,
        replace: "UPDATE webhooks SET secret = $1, key_id = $2 WHERE id = $3 AND secret = $4",
    },
    Sealed {
        table: "webhooks",
        column: PREVIOUS,
        key: KeyColumn::Named("previous_key_id"),
        count: "SELECT COUNT(*) AS n FROM webhooks WHERE previous_key_id = $1",
        list: "SELECT id, user_id, previous_secret AS sealed FROM webhooks WHERE previous_key_id = $1 \
               ORDER BY id LIMIT 100 OFFSET $2",
        read: read_sealed,
        replace: "UPDATE webhooks SET previous_secret = $1, previous_key_id = $2 \
                  WHERE id = $3 AND previous_secret = $4",
    },
];

fn read_sealed(row: &Row) -> Result<Value, DbError> {
    let (id, sealed): (WebhookId, Vec<u8>) = (row.get("id")?, row.get("sealed")?);
    let which: Vec<Arg> = args![id, sealed.clone()];
    Ok(Value { sealed, account: row.get("user_id")?, realm: None, row: id.bytes().to_vec(), which })
}
