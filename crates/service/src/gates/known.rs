//! The gates that this node knows: read at their first question and kept until a notice of the feed concerns them,
//! as grants are. That there is no such gate is remembered, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hoody_core::id::{GateId, UserId};
use hoody_core::permissions::Catalogues;
use hoody_doors::refusal::Refusal;
use hoody_doors::table::Gate;
use hoody_engine::catalogue::catalogue;
use hoody_engine::error::Error;
use hoody_engine::grants::{Forget, ReadAt};
use hoody_engine::web::Access;
use tokio::sync::Mutex;

use super::{Gates, read_definition, store};

/// How many bytes of gates are kept.
const CAPACITY: usize = 32 << 20;
/// What one takes beside itself.
const PER_GATE: usize = 256;
/// How long a question may wait for its gate; on a node that is not fresh, less.
const READ_LIMIT: Duration = Duration::from_secs(3);
const STALE_READ_LIMIT: Duration = Duration::from_millis(150);

/// What was read of a gate.
#[derive(Debug)]
struct Entry {
    /// `None`: there is no such gate, or its account is banned.
    gate: Option<Arc<Gate>>,
    owner: Option<UserId>,
    read_at: ReadAt,
    bytes: usize,
    /// Asked since the last round of the eviction.
    is_referenced: AtomicBool,
}

/// The gates in memory.
#[derive(Debug, Default)]
pub(super) struct Known {
    gates: papaya::HashMap<GateId, Entry>,
    held: AtomicUsize,
    /// One read at a time, which those that wait for the same gate share.
    reading: Mutex<()>,
}

impl Known {
    /// What was read of the gate, if that still holds at `boot_millis`. Waits for nothing.
    fn get(&self, access: &Access, boot_millis: i64, id: GateId) -> Option<Option<Arc<Gate>>> {
        if !access.grants.is_fresh(boot_millis) {
            return None;
        }
        let gates = self.gates.pin();
        let entry = gates.get(&id)?;
        if !holds(access, id, entry) {
            return None;
        }
        if !entry.is_referenced.load(Ordering::Relaxed) {
            entry.is_referenced.store(true, Ordering::Relaxed);
        }
        Some(entry.gate.clone())
    }

    /// Keeps what was read. Only whoever holds `reading` calls it.
    fn keep(&self, access: &Access, id: GateId, entry: Entry) {
        if !holds(access, id, &entry) || entry.bytes > CAPACITY {
            return;
        }
        let gates = self.gates.pin();
        let bytes = entry.bytes;
        let before = gates.insert(id, entry).map_or(0, |old| old.bytes);
        let mut held = self.held.load(Ordering::Relaxed) + bytes - before;
        // Twice at most: the first round leaves what was asked since the last one.
        for _ in 0..2 {
            if held <= CAPACITY {
                break;
            }
            for (other, entry) in &gates {
                let stays =
                    holds(access, *other, entry) && entry.is_referenced.swap(false, Ordering::Relaxed);
                if held > CAPACITY && *other != id && !stays && gates.remove(other).is_some() {
                    held -= entry.bytes;
                }
            }
        }
        self.held.store(held, Ordering::Relaxed);
    }
}

/// Whether nothing that the entry depends on was forgotten since it was read.
fn holds(access: &Access, id: GateId, entry: &Entry) -> bool {
    let owner = entry.owner.map_or(Forget::Gate(id), Forget::Account);
    access.grants.holds_since(entry.read_at, &[Forget::Gate(id), Forget::Catalogue, owner])
}

impl Gates {
    /// The gate, if this node knows it and may answer at `boot_millis`; the inner `None`: there is none. Waits for
    /// nothing.
    pub fn cached(&self, boot_millis: i64, id: GateId) -> Option<Option<Arc<Gate>>> {
        self.known.get(&self.access, boot_millis, id)
    }

    /// The gate with this id, as fresh as a grant is; `None` where there is none, or its account is banned.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when the database does not answer in time.
    pub async fn find(&self, id: GateId) -> Result<Option<Arc<Gate>>, Refusal> {
        let access = &*self.access;
        loop {
            let boot_millis = access.clock.boot_millis();
            if let Some(known) = self.cached(boot_millis, id) {
                return Ok(known);
            }
            let is_fresh = access.grants.is_fresh(boot_millis);
            let limit = if is_fresh { READ_LIMIT } else { STALE_READ_LIMIT };
            let read = tokio::time::timeout(limit, self.read(id, is_fresh)).await;
            let read = read.map_err(|_| Refusal::Unavailable)?.map_err(|error| {
                tracing::warn!(?error, gate = %id, "a gate could not be read");
                Refusal::Unavailable
            })?;
            // The read may have taken longer than this node stayed fresh.
            if !is_fresh || access.grants.is_fresh(access.clock.boot_millis()) {
                return Ok(read);
            }
        }
    }

    /// Reads a gate. What others read meanwhile will do where the caller `may_join`.
    async fn read(&self, id: GateId, may_join: bool) -> Result<Option<Arc<Gate>>, Error> {
        let access = &*self.access;
        let _reading = match may_join {
            true => Some(self.known.reading.lock().await),
            false => None,
        };
        if may_join && let Some(known) = self.cached(access.clock.boot_millis(), id) {
            return Ok(known);
        }
        let read_at = access.grants.read_at();
        let own = access.own_catalogue().await?;
        let found = store::find_by_id(&self.db, id).await?;
        // A ban of the owner and its end concern what was read of the gate, too.
        let owner = found.as_ref().map(|(owner, _)| *owner);
        let gate = match found {
            Some((owner, Some(stored))) => {
                let definition = read_definition(stored).await?;
                let catalogues = Catalogues { hoody: catalogue(), own: &own };
                Some(Arc::new(Gate::new(id, owner, &definition, |path| catalogues.find(path))))
            }
            Some((_, None)) | None => None,
        };
        if may_join {
            let bytes = PER_GATE + gate.as_ref().map_or(0, |gate| gate.held_bytes());
            let is_referenced = AtomicBool::new(true);
            self.known.keep(access, id, Entry { gate: gate.clone(), owner, read_at, bytes, is_referenced });
        }
        Ok(gate)
    }
}
