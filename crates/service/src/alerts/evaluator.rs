//! The evaluator: reads the request log and the feed in their order, on one node, and raises alerts.
//!
//! Each batch is one short transaction: rows are judged, the head is moved on from exactly where it was, what
//! is remembered and raised is written, and the lease is confirmed. Whatever dies leaves all or nothing of a
//! batch. Two that evaluate at the same time wait for each other at the head, and the one that has lost the
//! lease writes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hoody_core::alert::{Counter, Kind, Request, Seen, Sight, Sign, address_tag, signs};
use hoody_core::event::Place;
use hoody_core::id::{Id, UserId};
use hoody_core::time::{SECOND, Timestamp};
use hoody_engine::activity::turns::Turns;
use hoody_engine::activity::{Logged, NOBODY, tail};
use hoody_engine::db::{DbError, Tx};
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Mutation};
use hoody_engine::nodes::lease::Lease;
use serde_json::{Value, json};

use super::mails::Mails;
use super::raise::{Finding, Wishes};
use super::store::{self, Told};
use super::{Alerts, LEASE, Memory, Subject, watch};

/// How many rows of each run of the log are judged in one transaction.
const ROWS: i64 = 5_000;
/// How many rows of the feed are.
const TOLD: i64 = 500;
/// How long rows of the log are judged in one transaction, in milliseconds: on SQLite nobody else writes
/// meanwhile, on PostgreSQL a node that takes over waits.
const MOMENT: i64 = SECOND / 2;
/// After how many things to write no more rows are judged: each takes up to four statements.
const FULL: usize = 1_000;
/// How often the log is looked at. An alert within a second is promised.
const INTERVAL: Duration = Duration::from_millis(250);
/// How often another node looks whether the task is free.
const IDLE: Duration = Duration::from_secs(1);
/// How often it looks for what time alone brings about, in milliseconds.
const LOOK_EVERY: i64 = 30 * SECOND;
/// Of how many tokens and accounts the addresses are kept in memory: about 200 bytes each.
const REMEMBERED: usize = 65_536;

/// Evaluates for as long as the process lives.
pub async fn run(alerts: Arc<Alerts>) -> Infallible {
    let (mut is_well, mut next_look) = (true, 0);
    loop {
        let mut result = evaluate(&alerts).await;
        let now = alerts.clock.boot_millis();
        if now >= next_look && matches!(result, Ok(Some(_))) {
            next_look = now + LOOK_EVERY;
            result = watch::look(&alerts).await.and(result);
        }
        if let Err(error) = &result
            && is_well
        {
            tracing::warn!(?error, "the request log is not watched for alerts; once more soon");
        }
        is_well = result.is_ok();
        match result {
            // There is more.
            Ok(Some(true)) => tokio::task::yield_now().await,
            Ok(Some(false)) => tokio::time::sleep(INTERVAL).await,
            Ok(None) | Err(_) => tokio::time::sleep(IDLE).await,
        }
    }
}

/// Judges what is new, if that is this node's task: whether there may be more. `None` when it is another's.
pub async fn evaluate(alerts: &Alerts) -> Result<Option<bool>, Error> {
    // One at a time, and nobody forgets what another has just learnt.
    let mut memory = alerts.memory.lock().await;
    let Some(lease) = alerts.nodes.hold(LEASE).await? else {
        memory.forget();
        return Ok(None);
    };
    memory.under(&lease);
    // What is in memory may be ahead of what is stored: put back only when all went well, and no panic did either.
    let mut taken = std::mem::take(&mut *memory);
    let judged = judge(alerts, &mut taken, lease).await;
    if matches!(judged, Ok(Some(_))) {
        *memory = taken;
    }
    judged
}

async fn judge(alerts: &Alerts, memory: &mut Memory, lease: Lease) -> Result<Option<bool>, Error> {
    let Some(head) = store::find_head(&alerts.db).await? else { return Ok(None) };
    let (rows, log) = tail::read_after(&alerts.activity, &head.log, ROWS).await?;
    let applied = alerts.feed.applied();
    let told = store::list_told(&alerts.db, head.place, applied, TOLD).await?;
    let is_cut = told.len() as i64 >= TOLD;
    let all = Place { pos: applied, seq: i64::from(u32::MAX) };
    let place = told.last().filter(|_| is_cut).map_or(all, |last| last.place).max(head.place);
    if log == head.log && place == head.place {
        return Ok(Some(false));
    }
    let mut mutation = alerts.feed.begin_as(Actor::Nobody).await?;
    let mut batch = Batch::new(memory);
    let taken = batch.take_rows(alerts, &mut mutation.tx, &rows).await?;
    metrics::counter!("hoody_alerts_rows_total").increment(taken as u64);
    let is_more = is_cut || taken < rows.len() || rows.len() as i64 >= ROWS;
    // Before anything is written: who else evaluates waits here, and has no locks that are waited for.
    if !store::move_head(&mut mutation.tx, &head, &log.without(&rows[taken..]), place).await? {
        return Ok(None);
    }
    for told in &told {
        batch.take_told(&mut mutation.tx, told).await?;
    }
    batch.write(alerts, &mut mutation).await?;
    // Last, since this node's heartbeat waits for the lease's row.
    if !lease.confirm(&mut mutation.tx).await? {
        return Ok(None);
    }
    mutation.commit().await?;
    Ok(Some(is_more))
}

/// What one transaction finds.
struct Batch<'a> {
    memory: &'a mut Memory,
    /// Whose addresses are to be written.
    changed: HashSet<[u8; 12]>,
    counters: HashMap<(Kind, [u8; 12]), Counter>,
    wishes: Wishes,
    findings: BTreeMap<(UserId, Kind, Subject), Finding>,
}

impl<'a> Batch<'a> {
    fn new(memory: &'a mut Memory) -> Self {
        Self {
            memory,
            changed: HashSet::new(),
            counters: HashMap::new(),
            wishes: Wishes::default(),
            findings: BTreeMap::new(),
        }
    }

    /// Judges rows, at least one, for a moment or until there is much to write; how many.
    async fn take_rows(&mut self, alerts: &Alerts, tx: &mut Tx, rows: &[Logged]) -> Result<usize, DbError> {
        let until = alerts.clock.boot_millis() + MOMENT;
        let mut turns = Turns::default();
        for (n, row) in rows.iter().enumerate() {
            let is_full = self.changed.len() + self.counters.len() + self.findings.len() >= FULL;
            if n > 0 && (is_full || alerts.clock.boot_millis() >= until) {
                return Ok(n);
            }
            turns.next().await;
            if row.account != NOBODY {
                self.take_row(tx, row).await?;
            }
        }
        Ok(rows.len())
    }

    async fn take_row(&mut self, tx: &mut Tx, row: &Logged) -> Result<(), DbError> {
        let reason = row.reason.as_deref();
        for sign in signs(Request { credential: row.credential, reason }) {
            let (kind, subject) = match sign {
                Sign::TokenSeen(token) => {
                    let of = (row.account, Kind::TokenNewAddress, Subject::token(token));
                    self.see(tx, of, &row.address, row.at, json!({ "reason": reason })).await?;
                    continue;
                }
                Sign::TokenRefused(token) => (Kind::RefusalBurst, Subject::token(token)),
                Sign::SessionRefused(_) => (Kind::RefusalBurst, Subject::account(row.account)),
                Sign::DeadToken(token) => (Kind::DeadTokenUsed, Subject::token(token)),
                Sign::LoginFailed => (Kind::FailedLogins, Subject::account(row.account)),
            };
            self.count(tx, (row.account, kind, subject), row).await?;
        }
        Ok(())
    }

    async fn take_told(&mut self, tx: &mut Tx, told: &Told) -> Result<(), DbError> {
        let account = told.account;
        match told.event.as_str() {
            "session.created" => {
                let of = (account, Kind::LoginNewAddress, Subject::account(account));
                let address = told.payload["ip_address"].as_str().unwrap_or_default();
                let details = json!({ "client": told.payload["client"] });
                self.see(tx, of, address, told.at, details).await
            }
            "auth.token.deleted" => {
                let id = *told.resource.bytes();
                self.memory.seen.remove(&id);
                self.changed.remove(&id);
                store::forget_seen(tx, id).await
            }
            "account.otp_disabled" => {
                let of = (account, Kind::TwoFactorDisabled, Subject::account(account));
                self.found(of, 1, told.at, None, told.payload.clone());
                Ok(())
            }
            _ => {
                let of = (
                    account,
                    Kind::WebhookDisabled,
                    Subject::webhook(Id::from_bytes(*told.resource.bytes())),
                );
                self.found(of, 1, told.at, None, json!({ "reason": told.payload["reason"] }));
                let name = told.payload["description"].as_str().unwrap_or_default().to_owned();
                if let Some(finding) = self.findings.get_mut(&of) {
                    finding.name = Some((name, Vec::new()));
                }
                Ok(())
            }
        }
    }

    /// Somebody was seen at an address.
    async fn see(
        &mut self,
        tx: &mut Tx,
        of: (UserId, Kind, Subject),
        address: &str,
        at: Timestamp,
        mut details: Value,
    ) -> Result<(), DbError> {
        let (account, kind, subject) = of;
        let Ok(ip) = address.parse::<IpAddr>() else { return Ok(()) };
        let id = *subject.id.bytes();
        let sight = self.seen_by(tx, id).await?.see(address_tag(&id, ip), at);
        if sight != Sight::Known {
            self.changed.insert(id);
        }
        let Sight::New { known } = sight else { return Ok(()) };
        if known >= self.wishes.of(tx, account, kind).await?.threshold {
            details["addresses"] = json!([address]);
            self.found(of, 1, at, Some(address.to_owned()), details);
        }
        Ok(())
    }

    async fn seen_by(&mut self, tx: &mut Tx, id: [u8; 12]) -> Result<&mut Seen, DbError> {
        if !self.memory.seen.contains_key(&id) {
            if self.memory.seen.len() >= REMEMBERED {
                // What this batch changed is not stored yet.
                self.memory.seen.retain(|id, _| self.changed.contains(id));
            }
            let seen = store::find_seen(tx, id).await?;
            self.memory.seen.insert(id, seen);
        }
        Ok(self.memory.seen.entry(id).or_default())
    }

    /// Something happened once more.
    async fn count(&mut self, tx: &mut Tx, of: (UserId, Kind, Subject), row: &Logged) -> Result<(), DbError> {
        let (account, kind, subject) = of;
        let key = (kind, *subject.id.bytes());
        let mut counter = match self.counters.get(&key) {
            Some(counter) => *counter,
            None => store::find_counter(tx, kind.rule().name, key.1).await?,
        };
        let threshold = self.wishes.of(tx, account, kind).await?.threshold;
        let hits = counter.add(row.at, kind.rule().counted_for, threshold);
        self.counters.insert(key, counter);
        if hits > 0 {
            self.found(of, hits, row.at, Some(row.address.clone()), json!({ "reason": row.reason }));
        }
        Ok(())
    }

    fn found(
        &mut self,
        (account, kind, subject): (UserId, Kind, Subject),
        hits: i64,
        at: Timestamp,
        ip: Option<String>,
        details: Value,
    ) {
        let finding =
            Finding { account, kind, subject, name: None, hits, first_at: at, last_at: at, ip, details };
        match self.findings.get_mut(&(account, kind, subject)) {
            Some(found) => found.merge(finding),
            None => {
                self.findings.insert((account, kind, subject), finding);
            }
        }
    }

    /// Writes what it remembers and raises what it found.
    async fn write(mut self, alerts: &Alerts, mutation: &mut Mutation) -> Result<(), Error> {
        for id in &self.changed {
            if let Some(seen) = self.memory.seen.get(id) {
                store::put_seen(&mut mutation.tx, *id, seen).await?;
            }
        }
        for ((kind, subject), counter) in &self.counters {
            store::put_counter(&mut mutation.tx, kind.rule().name, *subject, *counter).await?;
        }
        let mut mails = Mails::default();
        for ((account, kind, _), finding) in std::mem::take(&mut self.findings) {
            let settings = self.wishes.of(&mut mutation.tx, account, kind).await?;
            finding.raise(alerts, mutation, &settings, &mut mails).await?;
        }
        mails.send(alerts, mutation).await
    }
}
