//! What time alone brings about: tokens that are about to expire, tokens that nobody uses, and the end of
//! what is kept.
//!
//! Expiry is told of when a token comes to a stage: the head says up to when that was looked at, so each
//! stage is told once, whoever looks. Unused tokens are looked for once a day in a walk through all tokens,
//! since an index by their last use would be written with each use.
//!
//! The lease is confirmed last in each transaction, as by the evaluator, which locks the same rows.

use std::collections::BTreeMap;

use hoody_core::alert::{Kind, Settings, stage, stages};
use hoody_core::id::{Id, TokenId};
use hoody_core::time::{DAY, SECOND, Timestamp};
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Mutation};
use hoody_engine::nodes::lease::Lease;
use serde_json::{Value, json};

use super::mails::Mails;
use super::raise::{Finding, Wishes};
use super::store::{self, Aging, Head};
use super::{Alerts, DELETED_FOR, KEPT_FOR, LEASE, Subject};
use crate::tokens;

/// How many tokens are judged in one transaction.
const PAGE: i64 = 500;
/// How often all tokens are walked through, in milliseconds.
const WALK_EVERY: i64 = DAY;

/// Looks at everything once, if that is this node's task.
pub async fn look(alerts: &Alerts) -> Result<(), Error> {
    let Some(lease) = alerts.nodes.hold(LEASE).await? else { return Ok(()) };
    while look_for_expiring(alerts, lease).await? {}
    while walk(alerts, lease).await? {}
    let now = alerts.clock.now();
    store::sweep(&alerts.db, now, now.plus(-KEPT_FOR), now.plus(-DELETED_FOR)).await?;
    Ok(())
}

/// Tells of tokens that came to a stage of their expiry; whether there may be more.
async fn look_for_expiring(alerts: &Alerts, lease: Lease) -> Result<bool, Error> {
    let Some(head) = store::find_head(&alerts.db).await? else { return Ok(false) };
    let (before, now) = (head.looked_at, alerts.clock.now());
    if now <= before {
        return Ok(false);
    }
    let mut days: Vec<_> = stages(Kind::TokenExpiring.rule().threshold.default).collect();
    days.extend(store::list_thresholds(&alerts.db, Kind::TokenExpiring).await?);
    days.sort_unstable();
    days.dedup();
    let mut mutation = alerts.feed.begin_as(Actor::Nobody).await?;
    let mut until = now;
    let found = loop {
        match list_expiring(&mut mutation, &days, (before, until)).await? {
            Some(found) => break found,
            // More than fit: a shorter while.
            None => until = before.plus(((until.millis() - before.millis()) / 2).max(1)),
        }
    };
    if !store::looked(&mut mutation.tx, before, until).await? {
        return Ok(false);
    }
    let (mut wishes, mut mails) = (Wishes::default(), Mails::default());
    for token in found.into_values() {
        let settings = wishes.of(&mut mutation.tx, token.account, Kind::TokenExpiring).await?;
        let Some(expires_at) = token.expires_at else { continue };
        if let Some(days) = stage(expires_at, token.created_at, settings.threshold, (before, until)) {
            let details = json!({ "expires_at": expires_at, "days": days });
            finding(Kind::TokenExpiring, &token, mutation.now, details)
                .raise(alerts, &mut mutation, &settings, &mut mails)
                .await?;
        }
    }
    mails.send(alerts, &mut mutation).await?;
    if !lease.confirm(&mut mutation.tx).await? {
        return Ok(false);
    }
    mutation.commit().await?;
    Ok(until < now)
}

/// The tokens that came to one of the stages `days` in the meantime; `None` when they are too many, and the
/// time can be cut.
async fn list_expiring(
    mutation: &mut Mutation,
    days: &[i64],
    (before, until): (Timestamp, Timestamp),
) -> Result<Option<BTreeMap<TokenId, Aging>>, Error> {
    let can_be_cut = until.millis() - before.millis() > SECOND;
    let limit = if can_be_cut { PAGE + 1 } else { i64::MAX };
    let mut found = BTreeMap::new();
    for days in days {
        let left = days * DAY;
        let span = (before.plus(left), until.plus(left));
        let tokens = store::list_expiring(&mut mutation.tx, span, left, limit).await?;
        if tokens.len() as i64 > PAGE && can_be_cut {
            return Ok(None);
        }
        found.extend(tokens.into_iter().map(|token| (token.id, token)));
    }
    Ok(Some(found))
}

/// Goes some tokens on in the walk through all; whether there may be more.
async fn walk(alerts: &Alerts, lease: Lease) -> Result<bool, Error> {
    let Some(head) = store::find_head(&alerts.db).await? else { return Ok(false) };
    let now = alerts.clock.now();
    let Head { walk_at, walk_after, .. } = head;
    let (at, after) = match walk_after {
        Some(after) => (walk_at, after),
        None if now.millis() - walk_at.millis() >= WALK_EVERY => (now, Id::from_bytes([0; 12])),
        None => return Ok(false),
    };
    let idle = store::list_idle(&alerts.db, after, (now, now.plus(-DAY)), PAGE).await?;
    let next = idle.last().filter(|_| idle.len() as i64 >= PAGE).map(|last| last.id);
    let mut wishes = Wishes::default();
    let mut to_tell = Vec::new();
    for token in idle {
        let settings = wishes.of(&alerts.db, token.account, Kind::TokenUnused).await?;
        if !is_unused(&token, &settings, now) {
            continue;
        }
        if settings.disables {
            // Before the walk is noted: who dies in between walks here again, and finds them disabled.
            disable(alerts, lease, &token).await?;
        } else {
            to_tell.push((token, settings));
        }
    }
    let mut mutation = alerts.feed.begin_as(Actor::Nobody).await?;
    if !store::walked(&mut mutation.tx, &head, at, next).await? {
        return Ok(false);
    }
    let mut mails = Mails::default();
    for (token, settings) in to_tell {
        let (account, subject) = (token.account, Subject::token(token.id));
        let since = token.idle_since();
        if !store::is_told_since(&mut mutation.tx, account, Kind::TokenUnused, subject, since).await? {
            unused(&token, now, false).raise(alerts, &mut mutation, &settings, &mut mails).await?;
        }
    }
    mails.send(alerts, &mut mutation).await?;
    if !lease.confirm(&mut mutation.tx).await? {
        return Ok(false);
    }
    mutation.commit().await?;
    Ok(next.is_some())
}

/// Disables a token that nobody used, as a person does it, and tells of that in the same mutation.
async fn disable(alerts: &Alerts, lease: Lease, unused_token: &Aging) -> Result<(), Error> {
    let mut mutation = alerts.feed.begin_as(Actor::Nobody).await?;
    if !mutation.lock_account(unused_token.account).await? {
        return Ok(());
    }
    let own = mutation.own_catalogue();
    let found =
        tokens::store::find_token(&mut mutation.tx, unused_token.account, unused_token.id, &own).await?;
    let Some(before) = found.filter(|token| token.is_enabled) else { return Ok(()) };
    if before.last_used_at.unwrap_or(before.created_at) > unused_token.idle_since() {
        // Somebody came meanwhile.
        return Ok(());
    }
    // What the owner wants may have changed since the page was read; from here on it cannot.
    let settings = Wishes::default().of(&mut mutation.tx, unused_token.account, Kind::TokenUnused).await?;
    if !settings.disables || !is_unused(unused_token, &settings, mutation.now) {
        return Ok(());
    }
    let mut mails = Mails::default();
    unused(unused_token, mutation.now, true).raise(alerts, &mut mutation, &settings, &mut mails).await?;
    mails.send(alerts, &mut mutation).await?;
    if !lease.confirm(&mut mutation.tx).await? {
        return Ok(());
    }
    let token = tokens::Token { is_enabled: false, ..before.clone() };
    tokens::changes::write(mutation, &before, token).await?;
    Ok(())
}

/// Whether its owner wants to know that nobody uses it.
fn is_unused(token: &Aging, settings: &Settings, now: Timestamp) -> bool {
    settings.is_enabled && token.idle_since().plus(settings.threshold * DAY) <= now
}

fn unused(token: &Aging, now: Timestamp, is_disabled: bool) -> Finding {
    let days = (now.millis() - token.idle_since().millis()) / DAY;
    let details = json!({ "days": days, "last_used_at": token.last_used_at, "disabled": is_disabled });
    finding(Kind::TokenUnused, token, now, details)
}

fn finding(kind: Kind, token: &Aging, now: Timestamp, details: Value) -> Finding {
    Finding {
        account: token.account,
        kind,
        subject: Subject::token(token.id),
        name: Some((token.alias.clone(), token.realm_ids.clone())),
        hits: 1,
        first_at: now,
        last_at: now,
        ip: None,
        details,
    }
}
