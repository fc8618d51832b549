//! Sending: one node an endpoint at a time, in the order of the events.
//!
//! What fails is tried again later and later, for a day; meanwhile what came after it goes on, after a
//! pause of the endpoint that grows too. A day in which nothing arrives switches the endpoint off, and
//! says so with an event.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hoody_core::backoff;
use hoody_core::id::{DeliveryId, Id, WebhookId};
use hoody_core::time::{MINUTE, SECOND, Timestamp};
use hoody_engine::clock::entropy;
use hoody_engine::db::{DbError, Tx};
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Change};
use hoody_engine::tasks;
use serde_json::json;
use tokio::task::JoinSet;

use super::egress::Answer;
use super::store::{self, Next, Outcome};
use super::{KEPT_FOR, TRIED_FOR, Webhook, Webhooks, message};
use crate::events::Event;

/// How many endpoints a node sends to at once.
const AT_ONCE: usize = 16;
/// How many messages an endpoint gets in a row before others have their turn.
const IN_A_ROW: usize = 50;
/// How long a claim holds unless it is held on, in milliseconds: longer than an attempt.
const CLAIM: i64 = 60 * SECOND;
/// The longest pause of an endpoint that does not answer, in milliseconds.
const LONGEST_PAUSE: i64 = 5 * MINUTE;
/// The longest pause that an endpoint may ask for, in milliseconds.
const LONGEST_ASKED: i64 = 60 * MINUTE;
/// What is said of a message that waited longer than it is tried.
const TOO_LATE: &str = "its day was over before it could be sent";
/// How often a node looks for what others left, and for what failed and is due again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often what is over and old is removed.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);

/// Puts events on their way to the endpoints that want them: in the transaction that makes them events.
pub async fn put_on_way(webhooks: &Webhooks, tx: &mut Tx, events: &[Event]) -> Result<bool, DbError> {
    let mut is_any = false;
    let mut known: Vec<(hoody_core::id::UserId, Vec<Webhook>)> = Vec::new();
    for event in events {
        if !known.iter().any(|(account, _)| *account == event.account) {
            known.push((event.account, store::list_webhooks(&mut *tx, event.account).await?));
        }
        let listed = known.iter().find(|(account, _)| *account == event.account).map(|(_, list)| list);
        for webhook in listed.into_iter().flatten().filter(|webhook| webhook.wants(event)) {
            let now = webhooks.clock.now();
            let times = (now, now.plus(TRIED_FOR));
            store::put_on_way(tx, webhooks.clock.new_id(), webhook.id, event, message(event), times).await?;
            is_any = true;
        }
    }
    Ok(is_any)
}

/// Sends for as long as the process lives.
pub async fn run(webhooks: Arc<Webhooks>) -> Infallible {
    let mut due = webhooks.notifier.subscribe();
    let mut under_way = JoinSet::new();
    let mut is_well = true;
    loop {
        due.borrow_and_update();
        let result = begin_due(&webhooks, &mut under_way).await;
        if let Err(error) = &result
            && is_well
        {
            tracing::warn!(%error, "webhooks cannot be read; they wait");
        }
        is_well = result.is_ok();
        let is_full = under_way.len() >= AT_ONCE;
        tokio::select! {
            Some(_) = under_way.join_next() => {}
            _ = due.changed(), if !is_full && is_well => {}
            () = tokio::time::sleep(POLL_INTERVAL), if !is_full => {}
        }
    }
}

/// Removes what is over and old.
pub async fn sweep(webhooks: Arc<Webhooks>) {
    let now = webhooks.clock.now();
    if let Err(error) = store::sweep(&webhooks.db, now.plus(-KEPT_FOR), now).await {
        tracing::warn!(%error, "old deliveries of webhooks could not be removed");
    }
}

/// Sends everything that is due now, one after the other; how many attempts that were. For tests.
pub async fn send_due(webhooks: &Webhooks) -> Result<usize, Error> {
    let mut attempts = 0;
    while let Some((webhook, by)) = claim(webhooks).await? {
        attempts += send_to(webhooks, webhook, by).await?;
    }
    Ok(attempts)
}

async fn begin_due(webhooks: &Arc<Webhooks>, under_way: &mut JoinSet<()>) -> Result<(), DbError> {
    while under_way.len() < AT_ONCE {
        let Some((webhook, by)) = claim(webhooks).await? else { break };
        let webhooks = Arc::clone(webhooks);
        under_way.spawn(tasks::counted("webhook", async move {
            if let Err(error) = send_to(&webhooks, webhook, by).await {
                // The claim runs out, and what was not written is sent again.
                tracing::warn!(?error, webhook.id = %webhook, "what came of a webhook could not be written");
            }
        }));
    }
    Ok(())
}

async fn claim(webhooks: &Webhooks) -> Result<Option<(WebhookId, Id<()>)>, DbError> {
    let (by, now) = (webhooks.clock.new_id(), webhooks.clock.now());
    Ok(store::claim(&webhooks.db, by, now, now.plus(CLAIM)).await?.map(|webhook| (webhook, by)))
}

/// Sends what is due to an endpoint that was claimed, until one fails or it had its turn.
async fn send_to(webhooks: &Webhooks, id: WebhookId, by: Id<()>) -> Result<usize, Error> {
    let mut attempts = 0;
    while attempts < IN_A_ROW {
        let now = webhooks.clock.now();
        let Some(webhook) = store::find_by_id(&webhooks.db, id).await?.filter(|webhook| webhook.is_enabled)
        else {
            break;
        };
        // The last attempt may be late by a pause of the endpoint: it is made, and says that a day is over.
        let late = now.plus(-LONGEST_ASKED);
        match store::next(&webhooks.db, id, by, now, now.plus(CLAIM), late).await? {
            Next::Delivery { id, event, body } => {
                attempts += 1;
                if !attempt(webhooks, &webhook, id, event, body).await? {
                    break;
                }
            }
            // It waited while the endpoint was off, or no node ran.
            Next::Late => store::give_up(&webhooks.db, id, late, TOO_LATE).await?,
            Next::Nothing => break,
        }
    }
    store::release(&webhooks.db, id, by).await?;
    Ok(attempts)
}

/// One attempt, and what came of it; whether it arrived.
async fn attempt(
    webhooks: &Webhooks,
    webhook: &Webhook,
    delivery: DeliveryId,
    event: Id<()>,
    body: String,
) -> Result<bool, Error> {
    let began = webhooks.clock.boot_millis();
    let id = format!("msg_{event}");
    let seconds = webhooks.clock.now().seconds();
    let signatures = webhook.secrets(&webhooks.keys, webhooks.clock.now())?;
    let signatures: Vec<_> =
        signatures.iter().map(|secret| secret.sign(&id, seconds, body.as_bytes())).collect();
    let headers = [
        ("webhook-id", id),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ];
    let answer = webhooks.egress.send(&webhook.url, headers, body).await;
    let duration_ms = webhooks.clock.boot_millis() - began;
    let is_arrived = matches!(&answer, Ok(answer) if (200..300).contains(&answer.status));
    let result = if is_arrived { "delivered" } else { "failed" };
    metrics::counter!("hoody_webhook_attempts_total", "outcome" => result).increment(1);
    write(webhooks, webhook, delivery, &answer, duration_ms, is_arrived).await?;
    Ok(is_arrived)
}

/// Writes what came of an attempt; switches the endpoint off where nothing arrived for a day, or it says
/// that it is gone.
async fn write(
    webhooks: &Webhooks,
    sent_under: &Webhook,
    delivery: DeliveryId,
    answer: &Result<Answer, String>,
    duration_ms: i64,
    is_arrived: bool,
) -> Result<(), Error> {
    let mut mutation = webhooks.feed.begin_as(Actor::Nobody).await?;
    mutation.lock_account(sent_under.account).await?;
    let now = mutation.now;
    let Some(webhook) = store::find_by_id(&mut mutation.tx, sent_under.id).await? else {
        return Ok(());
    };
    let Some(row) = store::find_delivery(&mut mutation.tx, webhook.id, delivery).await? else {
        return Ok(());
    };
    let asked = answer.as_ref().ok().and_then(|answer| answer.retry_after);
    let asked = asked.map_or(0, |seconds| {
        i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND).min(LONGEST_ASKED)
    });
    let wait = backoff::wait_after(row.attempts + 1, u32::from_be_bytes(entropy())).max(asked);
    let next = now.plus(wait);
    let is_over = next >= row.give_up_at;
    let error = match answer {
        _ if is_arrived => None,
        Ok(answer) => Some(format!("answered with status {}", answer.status)),
        Err(why) => Some(why.clone()),
    };
    let outcome = Outcome {
        state: if is_arrived {
            "delivered"
        } else if is_over {
            "failed"
        } else {
            "waiting"
        },
        run_at: if is_arrived || is_over { now } else { next },
        now,
        status: answer.as_ref().ok().map(|answer| i64::from(answer.status)),
        duration_ms,
        error: error.as_deref(),
        answer: answer.as_ref().ok().map(|answer| answer.beginning.as_str()).filter(|text| !text.is_empty()),
    };
    store::attempted(&mut mutation.tx, delivery, &outcome).await?;
    if webhook.updated_at != sent_under.updated_at {
        // Its owner changed it meanwhile: what the endpoint of before answered says nothing of this one.
        return mutation.commit().await;
    }
    if is_arrived {
        store::arrived(&mut mutation.tx, webhook.id).await?;
    } else {
        let pause = backoff::wait_after(webhook.failures + 1, u32::MAX / 2).min(LONGEST_PAUSE).max(asked);
        store::missed(&mut mutation.tx, webhook.id, now, now.plus(pause)).await?;
    }
    if let Some(why) = reason_to_disable(&webhook, answer, is_over, is_arrived, now)
        && store::disable(&mut mutation.tx, webhook.id, why, now).await?
    {
        tracing::warn!(webhook.id = %webhook.id, reason = why, "a webhook was switched off");
        let change = Change::new("webhook.disabled", webhook.account, "webhook", webhook.id);
        mutation.tell(change.with(json!({ "description": webhook.description, "reason": why })));
    }
    mutation.commit().await
}

fn reason_to_disable(
    webhook: &Webhook,
    answer: &Result<Answer, String>,
    is_over: bool,
    is_arrived: bool,
    now: Timestamp,
) -> Option<&'static str> {
    if is_arrived {
        return None;
    }
    if matches!(answer, Ok(answer) if answer.status == 410) {
        return Some("the endpoint answered that it is gone (410)");
    }
    let since = webhook.failing_since.unwrap_or(now);
    // The last wait is cut off: a day is over when the next attempt would be beyond it.
    let is_long = now.millis() - since.millis() >= TRIED_FOR - 2 * 3_600 * SECOND;
    (is_over && is_long).then_some("nothing arrived for a day")
}
