//! The one that writes: takes what waits, cleans and packs it, and stores it in one transaction.
//!
//! Rows get their numbers here, without gaps, and instants that never run backwards. The run's row is
//! moved on in the same transaction: a batch whose COMMIT had an unknown outcome is found out, and never
//! stored twice.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use hoody_core::activity::block::{Builder, Packed};
use hoody_core::activity::{Place, Record, Via, hour, redact};
use hoody_core::id::{GateId, UserId};
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::time::Timestamp;

use super::queue::{Buffer, Taken};
use super::tables::{self, Kind};
use super::turns::Turns;
use super::{Activity, store};
use crate::catalogue::catalogues;
use crate::db::DbError;

/// How long rows are gathered. With the time that storing them takes, what a kill -9 loses.
const GATHER: Duration = Duration::from_millis(50);

/// Where this node is.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Which run this is; `None` before its first row.
    run: Option<i64>,
    /// The number of the last row that is stored.
    written: i64,
    /// The instant of the last row that was taken.
    last_at: Option<Timestamp>,
    /// Taken and not stored yet.
    batch: Option<Batch>,
    spare: Buffer,
    /// Tables that are there.
    tables: BTreeSet<(Kind, i64)>,
}

/// Rows that are to be stored together.
#[derive(Debug)]
struct Batch {
    blocks: Vec<(UserId, Packed)>,
    last_seq: i64,
    lost: u64,
    upto: u64,
}

/// Writes for as long as the process lives.
pub(super) async fn run(activity: Activity) -> Infallible {
    let Some(queue) = &activity.queue else { return std::future::pending().await };
    let mut is_well = true;
    loop {
        queue.wait(GATHER).await;
        let result = flush(&activity).await;
        queue.set_stuck(result.is_err());
        match &result {
            Err(error) if is_well => {
                tracing::error!(%error, "the request log cannot be written; its rows stay in memory as long as there is room");
            }
            Ok(()) if !is_well => tracing::info!("the request log can be written again"),
            _ => {}
        }
        if result.is_err() {
            // Whoever wakes it now would only hear the same again.
            tokio::time::sleep(GATHER).await;
        }
        is_well = result.is_ok();
    }
}

/// Stores everything that waits.
pub(super) async fn flush(activity: &Activity) -> Result<(), DbError> {
    let Some(queue) = &activity.queue else { return Ok(()) };
    let mut writer = activity.writer.lock().await;
    loop {
        if writer.batch.is_none() {
            let mut spare = std::mem::take(&mut writer.spare);
            let taken = queue.take(&mut spare);
            let Some(taken) = taken else {
                writer.spare = spare;
                return Ok(());
            };
            writer.pack(taken, &activity.grants.own_last()).await;
        }
        writer.store(activity, activity.clock.now()).await?;
        if let Some(batch) = writer.batch.take() {
            metrics::counter!("hoody_activity_rows_total")
                .increment(batch.blocks.iter().map(|(_, block)| block.count).sum());
            queue.stored(batch.upto);
        }
    }
}

impl Writer {
    /// Gives what was taken its numbers, and packs it for each account and hour.
    async fn pack(&mut self, taken: Taken, own: &OwnCatalogue) {
        let mut builders: HashMap<(UserId, i64), Builder> = HashMap::new();
        let mut texts = Cleaned::default();
        let mut from = 0;
        let mut seq = self.written;
        let mut turns = Turns::default();
        for entry in &taken.buffer.entries {
            turns.next().await;
            let path = &taken.buffer.texts[from..from + entry.path];
            from += entry.path;
            let agent = entry.agent.map(|length| &taken.buffer.texts[from..from + length]);
            from += entry.agent.unwrap_or_default();
            let gate =
                entry.gate.map(|(via, gate, length)| (via, gate, &taken.buffer.texts[from..from + length]));
            from += entry.gate.map_or(0, |(.., length)| length);
            texts.clean((path, gate), agent, entry.address);
            seq += 1;
            let at = self.last_at.map_or(entry.at, |last| last.max(entry.at));
            self.last_at = Some(at);
            let record = Record {
                seq,
                at,
                series: entry.series,
                credential: entry.credential,
                path: &texts.place,
                reason: entry.reason,
                permission: entry.permission.map(|leaf| catalogues(own).path(leaf)),
                address: &texts.address.1,
                agent: texts.agent.1.as_deref(),
                micros: entry.micros,
            };
            builders.entry((entry.account, hour(at))).or_default().push(&record);
        }
        let blocks =
            builders.into_iter().filter_map(|((account, _), builder)| Some((account, builder.finish()?)));
        let mut blocks: Vec<_> = blocks.collect();
        // In the order of their ids: the index grows at its end.
        blocks.sort_unstable_by_key(|(_, block)| block.last_seq);
        self.batch = Some(Batch { blocks, last_seq: seq, lost: taken.lost, upto: taken.upto });
        self.spare = taken.buffer;
        self.spare.entries.clear();
        self.spare.texts.clear();
    }

    /// Stores the batch. After an error it is still there, to be stored again.
    async fn store(&mut self, activity: &Activity, now: Timestamp) -> Result<(), DbError> {
        let Some(batch) = &self.batch else { return Ok(()) };
        let run = match self.run {
            Some(run) => run,
            None => {
                let first_at = batch.blocks.iter().map(|(_, block)| block.first_at).min().unwrap_or(now);
                *self.run.insert(store::begin_run(&activity.db, self.written, first_at, now).await?)
            }
        };
        for (_, block) in &batch.blocks {
            tables::make(&activity.db, hour(block.first_at), &mut self.tables).await?;
        }
        let mut tx = activity.db.begin().await?;
        let lost = i64::try_from(batch.lost).unwrap_or(i64::MAX);
        if !store::advance(&mut tx, run, (self.written, batch.last_seq), lost, now).await? {
            if store::written(&mut tx, run).await? == Some(batch.last_seq) {
                // A COMMIT that was not heard of.
                self.written = batch.last_seq;
                return Ok(());
            }
            // Another database than the one that was written to: it is begun again there.
            self.run = None;
            self.tables.clear();
            return Err(DbError::Unreadable("activity_runs"));
        }
        store::insert_blocks(&mut tx, run, 0, &batch.blocks).await?;
        tx.commit().await?;
        self.written = batch.last_seq;
        if batch.lost > 0 {
            tracing::error!(
                rows = batch.lost,
                "rows of the request log are lost: it could not be written in time"
            );
        }
        Ok(())
    }
}

/// The door, the gate and the host of a question.
type At<'a> = (Via, Option<GateId>, &'a [u8]);

/// The texts of a row, cleaned; most often they are those of the row before.
#[derive(Debug, Default)]
struct Cleaned {
    path: Vec<u8>,
    gate: Option<(Via, Option<GateId>, Vec<u8>)>,
    place: String,
    agent: (Option<Vec<u8>>, Option<String>),
    address: (Option<IpAddr>, String),
}

impl Cleaned {
    fn clean(&mut self, (path, gate): (&[u8], Option<At<'_>>), agent: Option<&[u8]>, address: IpAddr) {
        let known = self.gate.as_ref().map(|(via, gate, host)| (*via, *gate, host.as_slice()));
        if self.path != path || known != gate {
            self.path = path.to_owned();
            self.gate = gate.map(|(via, gate, host)| (via, gate, host.to_owned()));
            let (path, host) =
                (String::from_utf8_lossy(path), gate.map(|(.., host)| host).unwrap_or_default());
            let (path, host) = (redact::path(&path), String::from_utf8_lossy(host));
            // A client may have put a secret into a host, too.
            let host = redact::path(&host);
            let place = gate.map(|(via, gate, _)| Place::Gate { via, gate, host: &host, path: &path });
            self.place = place.unwrap_or(Place::Here(&path)).to_text();
        }
        if self.agent.0.as_deref() != agent {
            self.agent = (agent.map(<[u8]>::to_owned), agent.and_then(redact::agent));
        }
        if self.address.0 != Some(address) {
            self.address = (Some(address), address.to_string());
        }
    }
}
