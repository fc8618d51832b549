//! The grant cache: credential → grant, and id → credentials so that a change can forget.
//!
//! Readers go through a lock-free map and wait for nobody. Whoever adds or forgets holds the index's
//! lock for a few map operations. A cold read notes the epoch before it reads; what it read goes in only
//! when nothing that it concerns was forgotten since, which is checked under the same lock that
//! forgetting takes: an entry that was read before a revocation cannot appear after it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hoody_core::grant::{Credential, Grant};
use hoody_core::secret::Digest;
use hoody_core::session::Claims;

use super::usage::Usage;
use super::{Forget, NoGrant};

/// A grant in the cache.
#[derive(Debug)]
pub(crate) struct Cached {
    pub(crate) grant: Grant,
    pub(crate) usage: Usage,
    /// What a session's token says, to hold it against the session again; `None` for a token.
    pub(crate) claims: Option<Box<Claims>>,
    /// Read since the eviction's hand came by.
    is_referenced: AtomicBool,
    /// Which of the arrivals is its own.
    arrival: AtomicU64,
    /// How many bytes it takes in the cache, all told.
    bytes: usize,
}

impl Cached {
    pub(crate) fn new((grant, usage): (Grant, Usage), claims: Option<Box<Claims>>) -> Self {
        let bytes = size_of::<Self>()
            + grant.held_bytes()
            + claims.as_deref().map_or(0, size_of_val)
            + PER_GRANT
            + PER_ID * (1 + grant.lineage.len().max(1));
        let arrival = AtomicU64::new(0);
        Self { grant, usage, claims, is_referenced: AtomicBool::new(false), arrival, bytes }
    }

    fn concerns(&self) -> impl Iterator<Item = Forget> + '_ {
        let session = match self.grant.credential {
            Credential::Session(id) => Some(Forget::Session(id)),
            Credential::Token(_) => None,
        };
        std::iter::once(Forget::Account(self.grant.account))
            .chain(session)
            .chain(self.grant.lineage.iter().copied().map(Forget::Token))
    }
}

/// Keys are digests already: their first bytes are as good a hash as any.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        // The array's length prefix is not written for arrays; whatever comes, the last eight bytes count.
        for chunk in bytes.chunks_exact(8) {
            self.0 ^= u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
        }
    }
}

pub(super) type ByDigest = BuildHasherDefault<DigestHasher>;

/// How many digests of credentials that nobody knows, or that were known, are remembered.
const REMEMBERED: usize = 65_536;
/// Into how many slots the ids are spread when epochs are noted.
const SLOTS: usize = 4_096;

/// What a grant takes beside itself: its places in the map and among the arrivals, and what the allocator
/// rounds up. Of 100,000 grants each took 951 bytes, counted as 1,000; at depth 2 it took 1,376, counted as
/// 1,484. A test holds the numbers to that.
const PER_GRANT: usize = 280;
/// What each id that can make it be forgotten takes: a set of its own, as a rule.
const PER_ID: usize = 230;

#[derive(Debug)]
pub(super) struct Cache {
    grants: papaya::HashMap<Digest, Arc<Cached>, ByDigest>,
    /// Credentials that nobody knows, or that are deleted.
    unknown: papaya::HashMap<Digest, NoGrant, ByDigest>,
    /// Credentials that were good when they were last forgotten: their next read waits for nobody.
    known: papaya::HashMap<Digest, (), ByDigest>,
    /// Raised by each forgetting.
    epoch: AtomicU64,
    index: Mutex<Index>,
    /// In bytes.
    capacity: usize,
}

#[derive(Debug)]
struct Index {
    by_id: HashMap<Forget, HashSet<Digest, ByDigest>>,
    /// The epoch at which an id of the slot was last forgotten.
    forgotten: Box<[u64]>,
    /// In the order of arrival, for the eviction's hand: each with a number of its own, since what was
    /// forgotten and came again leaves its old place behind.
    arrivals: VecDeque<(Digest, u64)>,
    arrived: u64,
    /// How many bytes the grants take.
    held: usize,
    slots: std::hash::RandomState,
}

/// The epoch at which a cold read began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            grants: papaya::HashMap::default(),
            unknown: papaya::HashMap::default(),
            known: papaya::HashMap::default(),
            epoch: AtomicU64::new(0),
            index: Mutex::new(Index {
                by_id: HashMap::new(),
                forgotten: vec![0; SLOTS].into_boxed_slice(),
                arrivals: VecDeque::new(),
                arrived: 0,
                held: 0,
                slots: std::hash::RandomState::new(),
            }),
            capacity,
        }
    }

    /// The grant of this credential. Takes no lock.
    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<Cached>> {
        self.find(digest, Arc::clone)
    }

    /// What `look` makes of the grant of this credential, where it is. Takes no lock.
    pub(super) fn with<T>(&self, digest: &Digest, look: impl FnOnce(&Cached) -> T) -> Option<T> {
        self.find(digest, |cached| look(cached))
    }

    fn find<T>(&self, digest: &Digest, look: impl FnOnce(&Arc<Cached>) -> T) -> Option<T> {
        let grants = self.grants.pin();
        let cached = grants.get(digest)?;
        if !cached.is_referenced.load(Ordering::Relaxed) {
            cached.is_referenced.store(true, Ordering::Relaxed);
        }
        Some(look(cached))
    }

    /// What a read has shown of one that nobody has a grant by.
    pub(super) fn find_unknown(&self, digest: &Digest) -> Option<NoGrant> {
        self.unknown.pin().get(digest).copied()
    }

    /// Whether it was good when it was last forgotten.
    pub(super) fn was_known(&self, digest: &Digest) -> bool {
        self.known.pin().contains_key(digest)
    }

    /// To be noted before a read begins.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst))
    }

    /// Puts in what a read that began at `epoch` found, unless something that it concerns was forgotten
    /// since; whether it went in.
    pub(super) fn insert(&self, digest: Digest, cached: &Arc<Cached>, epoch: Epoch) -> bool {
        let mut index = self.lock();
        if cached.concerns().any(|id| index.forgotten[index.slot(id)] > epoch.0) {
            return false;
        }
        for id in cached.concerns() {
            index.by_id.entry(id).or_default().insert(digest);
        }
        index.arrive(digest, cached);
        if let Some(old) = self.grants.pin().insert(digest, Arc::clone(cached)) {
            index.held -= old.bytes;
        }
        index.held += cached.bytes;
        self.known.pin().remove(&digest);
        self.evict(&mut index);
        true
    }

    /// Remembers that nobody has a grant by it, if nothing at all was forgotten since `epoch`.
    pub(super) fn insert_unknown(&self, digest: Digest, none: NoGrant, epoch: Epoch) {
        let _index = self.lock();
        if self.epoch() == epoch {
            remember(&self.unknown, digest, none);
        }
    }

    pub(super) fn forget(&self, what: &[Forget]) {
        if what.is_empty() {
            return;
        }
        let mut index = self.lock();
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        for &id in what {
            let slot = index.slot(id);
            index.forgotten[slot] = epoch;
            for digest in index.by_id.remove(&id).unwrap_or_default() {
                self.remove(&mut index, &digest);
            }
        }
    }

    pub(super) fn forget_all(&self) {
        let mut index = self.lock();
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        index.forgotten.fill(epoch);
        index.by_id.clear();
        index.arrivals.clear();
        index.held = 0;
        self.grants.pin().clear();
        self.unknown.pin().clear();
        self.known.pin().clear();
    }

    /// Forgets every grant and every unknown credential, and remembers which were good: their next read
    /// waits for nobody.
    pub(super) fn read_all_again(&self) {
        let good: Vec<Digest> = self.grants.pin().keys().copied().take(REMEMBERED).collect();
        self.forget_all();
        let known = self.known.pin();
        for digest in good {
            known.insert(digest, ());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.grants.len()
    }

    /// How many bytes they take, as they are counted.
    pub(super) fn bytes(&self) -> usize {
        self.lock().held
    }

    /// Second chance: what was read since the hand last came by goes to the end of the queue.
    fn evict(&self, index: &mut Index) {
        let grants = self.grants.pin();
        while index.held > self.capacity {
            let Some((digest, arrival)) = index.arrivals.pop_front() else { return };
            match grants.get(&digest) {
                Some(cached) if cached.arrival.load(Ordering::Relaxed) != arrival => {}
                Some(cached) if cached.is_referenced.swap(false, Ordering::Relaxed) => {
                    index.arrive(digest, cached);
                }
                Some(_) => self.remove(index, &digest),
                None => {}
            }
        }
        if index.arrivals.len() > 2 * grants.len() + 64 {
            let is_current = |(digest, arrival): &(Digest, u64)| {
                grants.get(digest).is_some_and(|cached| cached.arrival.load(Ordering::Relaxed) == *arrival)
            };
            index.arrivals.retain(is_current);
        }
    }

    fn remove(&self, index: &mut Index, digest: &Digest) {
        let grants = self.grants.pin();
        let Some(cached) = grants.remove(digest) else { return };
        index.held -= cached.bytes;
        for id in cached.concerns() {
            if let Some(digests) = index.by_id.get_mut(&id) {
                digests.remove(digest);
                if digests.is_empty() {
                    index.by_id.remove(&id);
                }
            }
        }
        if cached.grant.is_enabled && !cached.grant.is_banned {
            remember(&self.known, *digest, ());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        // A panic between two map operations leaves at worst an id without its credential.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remember<T>(memory: &papaya::HashMap<Digest, T, ByDigest>, digest: Digest, what: T) {
    let memory = memory.pin();
    if memory.len() >= REMEMBERED {
        memory.clear();
    }
    memory.insert(digest, what);
}

impl Index {
    /// Puts it at the end of the queue.
    fn arrive(&mut self, digest: Digest, cached: &Cached) {
        self.arrived += 1;
        cached.arrival.store(self.arrived, Ordering::Relaxed);
        self.arrivals.push_back((digest, self.arrived));
    }

    fn slot(&self, id: Forget) -> usize {
        usize::try_from(self.slots.hash_one(id) % SLOTS as u64).expect("below SLOTS")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::usage::Usage;
    use hoody_core::address::AddressList;
    use hoody_core::grant::Limits;
    use hoody_core::id::{TokenId, UserId};
    use hoody_core::time::Timestamp;

    fn digest(n: u32) -> Digest {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        Digest::from_bytes(bytes)
    }

    fn token(n: u8) -> TokenId {
        TokenId::from_bytes([n; 12])
    }

    fn cached(account: u8, lineage: &[u8]) -> Arc<Cached> {
        let lineage: Vec<_> = lineage.iter().copied().map(token).collect();
        let grant = Grant {
            account: UserId::from_bytes([account; 12]),
            credential: Credential::Token(*lineage.last().unwrap()),
            lineage: lineage.into(),
            is_enabled: true,
            is_banned: false,
            limits: Limits::of_session(Timestamp::MAX),
        };
        Arc::new(Cached::new((grant, Usage::never()), None))
    }

    #[test]
    fn forgetting_an_ancestor_forgets_its_descendants_and_nothing_else() {
        let cache = Cache::new(1 << 20);
        let epoch = cache.epoch();
        assert!(cache.insert(digest(1), &cached(1, &[1]), epoch));
        assert!(cache.insert(digest(2), &cached(1, &[1, 2]), epoch));
        assert!(cache.insert(digest(3), &cached(1, &[3]), epoch));
        cache.forget(&[Forget::Token(token(1))]);
        assert!(cache.get(&digest(1)).is_none());
        assert!(cache.get(&digest(2)).is_none());
        assert!(cache.get(&digest(3)).is_some());
        cache.forget(&[Forget::Account(UserId::from_bytes([1; 12]))]);
        assert!(cache.get(&digest(3)).is_none());
        assert!(cache.lock().by_id.is_empty());
    }

    /// Threat 10: what was read before a revocation cannot be put in after it.
    #[test]
    fn threat_10_a_read_from_before_a_forgetting_does_not_go_in_after_it() {
        let cache = Cache::new(1 << 20);
        let before = cache.epoch();
        cache.forget(&[Forget::Token(token(1))]);
        assert!(!cache.insert(digest(1), &cached(1, &[1]), before));
        assert!(!cache.insert(digest(2), &cached(1, &[1, 2]), before));
        assert!(cache.get(&digest(1)).is_none());
        assert!(cache.insert(digest(3), &cached(1, &[3]), before), "another token is not held up");
        assert!(cache.insert(digest(1), &cached(1, &[1]), cache.epoch()));
        cache.forget_all();
        assert!(!cache.insert(digest(4), &cached(2, &[4]), before));
    }

    #[test]
    fn an_unknown_credential_is_remembered_only_when_nothing_changed_meanwhile() {
        let cache = Cache::new(1 << 20);
        let before = cache.epoch();
        cache.forget(&[Forget::Token(token(1))]);
        cache.insert_unknown(digest(1), NoGrant::Unknown, before);
        assert_eq!(cache.find_unknown(&digest(1)), None);
        cache.insert_unknown(digest(1), NoGrant::Unknown, cache.epoch());
        assert_eq!(cache.find_unknown(&digest(1)), Some(NoGrant::Unknown));
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let each = cached(1, &[1]).bytes;
        let cache = Cache::new(50 * each);
        let epoch = cache.epoch();
        for n in 0..200_u32 {
            let id = u8::try_from(n).unwrap();
            assert!(cache.insert(digest(n), &cached(id, &[id]), epoch));
            assert!(cache.get(&digest(0)).is_some(), "used all the time, gone at {n}");
        }
        assert_eq!((cache.len(), cache.bytes()), (50, 50 * each));
        let index = cache.lock();
        assert!(index.by_id.len() <= 100, "an account and a token for each grant");
    }

    /// One with a thousand networks takes the place of many.
    #[test]
    fn the_bound_is_one_of_bytes() {
        let entries: Vec<_> = (0..1000).map(|n| format!("10.{}.{}.0/25", n / 250, n % 250)).collect();
        let mut large = Arc::into_inner(cached(1, &[1])).unwrap().grant;
        large.limits.addresses = AddressList::parse_entries(entries.iter().map(String::as_str)).unwrap();
        let large = Cached::new((large, Usage::never()), None);
        let small = cached(1, &[2]).bytes;
        assert!(large.bytes > 30 * small, "{} {small}", large.bytes);
        let cache = Cache::new(large.bytes + 10 * small);
        let epoch = cache.epoch();
        for n in 0..30_u8 {
            cache.insert(digest(u32::from(n)), &cached(1, &[n + 2]), epoch);
        }
        assert_eq!(cache.len(), 30);
        assert!(cache.insert(digest(100), &Arc::new(large), epoch));
        assert_eq!(cache.len(), 11, "it and ten others");
        // One that is larger than all of it is answered from, and not kept.
        let tiny = Cache::new(10);
        assert!(tiny.insert(digest(1), &cached(1, &[1]), tiny.epoch()));
        assert_eq!((tiny.len(), tiny.bytes()), (0, 0));
    }

    #[test]
    fn what_is_forgotten_and_read_again_leaves_no_trail() {
        let cache = Cache::new(usize::MAX);
        for n in 0..10_000_u32 {
            assert!(cache.insert(digest(n % 3), &cached(1, &[1]), cache.epoch()));
            if n % 2 == 0 {
                cache.forget(&[Forget::Token(token(1))]);
            }
        }
        let index = cache.lock();
        assert!(index.arrivals.len() <= 2 * cache.len() + 64, "{} arrivals", index.arrivals.len());
        drop(index);
        cache.forget(&[Forget::Account(UserId::from_bytes([1; 12]))]);
        assert_eq!((cache.len(), cache.bytes()), (0, 0));
    }

    /// The bytes that this process has in memory.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    #[test]
    #[ignore = "run by the_estimate_is_what_grants_take, alone in a process"]
    fn measure_what_grants_take() {
        const GRANTS: u32 = 100_000;
        // The first stays, or the second would be made of what it leaves behind.
        let caches = [Cache::new(usize::MAX), Cache::new(usize::MAX)];
        for (depth, cache) in [1_u32, 3].into_iter().zip(&caches) {
            let before = resident();
            let epoch = cache.epoch();
            for n in 0..GRANTS {
                let id = |level: u32| {
                    let mut bytes = [0; 12];
                    bytes[..8].copy_from_slice(&u64::from(n * 4 + level).to_le_bytes());
                    bytes
                };
                let lineage: Box<[TokenId]> =
                    (1..=depth).map(|level| TokenId::from_bytes(id(level))).collect();
                let grant = Grant {
                    account: UserId::from_bytes(id(0)),
                    credential: Credential::Token(lineage[0]),
                    lineage,
                    is_enabled: true,
                    is_banned: false,
                    limits: Limits::of_session(Timestamp::MAX),
                };
                let mut key = [0; 32];
                key[..8].copy_from_slice(&u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
                cache.insert(
                    Digest::from_bytes(key),
                    &Arc::new(Cached::new((grant, Usage::never()), None)),
                    epoch,
                );
            }
            let (took, counted) = (resident() - before, cache.bytes());
            let each = took / GRANTS as usize;
            assert!(
                counted * 10 >= took * 8 && counted * 10 <= took * 14,
                "depth {depth}: {each} bytes each, counted as {}",
                counted / GRANTS as usize
            );
        }
    }

    #[test]
    fn the_estimate_is_what_grants_take() {
        let name = "grants::cache::tests::measure_what_grants_take";
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
    }
}
