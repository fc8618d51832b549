//! The grant cache: credential → grant, and when which id was last forgotten.
//!
//! Readers go through a lock-free map and wait for nobody. Each forgetting raises the epoch and writes it
//! into the slots of the ids that it concerns. A grant is good when nothing that it concerns was forgotten
//! since the epoch that was noted before it was read: an entry that was read before a revocation cannot
//! be answered from after it, wherever it is by then. So a change of an account with a million tokens costs
//! as much as any other, and a grant carries no index with it. An id shares its slot with few others; a
//! grant that is read again for nothing costs one read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hoody_core::extras::Label;
use hoody_core::grant::{Credential, Grant};
use hoody_core::memory::SHARED;
use hoody_core::secret::Digest;
use hoody_core::session::Claims;
use hoody_core::time::Timestamp;

use super::ring::{ByKey, Key, Ring};
use super::slots::Slots;
use super::usage::Usage;
use super::{Forget, NoGrant};

/// A grant as a read or the cache gave it. Its lists are shared: a copy is cheap.
#[derive(Debug, Clone)]
pub struct Found {
    pub grant: Grant,
    /// What a session's token says, to hold it against the session again; `None` for a token.
    pub claims: Option<Arc<Claims>>,
    /// What the credential is known by.
    pub(super) digest: Digest,
    /// When its use was last written, as far as the read knew.
    pub(super) last_used: Option<Timestamp>,
}

/// A grant in the cache.
#[derive(Debug)]
pub struct Cached {
    pub grant: Grant,
    pub usage: Usage,
    claims: Option<Arc<Claims>>,
    /// The epoch up to which it is known to be good.
    good_at: AtomicU64,
    /// Read since the eviction's hand came by.
    is_referenced: AtomicBool,
}

impl Cached {
    fn new(found: &Found, epoch: Epoch) -> Self {
        Self {
            grant: found.grant.clone(),
            usage: Usage::last(found.last_used),
            claims: found.claims.clone(),
            good_at: AtomicU64::new(epoch.0),
            is_referenced: AtomicBool::new(false),
        }
    }

    fn concerns(&self) -> impl Iterator<Item = Forget> + '_ {
        let session = match self.grant.credential {
            Credential::Session(id) => Some(Forget::Session(id)),
            Credential::Token(_) => None,
        };
        std::iter::once(Forget::Account(self.grant.account))
            .chain(session)
            .chain(self.grant.lineage().iter().copied().map(Forget::Token))
            .chain(self.grant.limits.extras.follows_catalogue().then_some(Forget::Catalogue))
    }

    /// How many bytes it takes in the cache, all told.
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.grant.held_bytes()
            + self.claims.as_deref().map_or(0, |claims| SHARED + size_of_val(claims) + claims.jti.capacity())
            + PER_GRANT
    }
}

/// How many digests of credentials that nobody knows, or that were known, are remembered.
const REMEMBERED: usize = 65_536;

/// What a grant takes beside itself: its places in the map and under the eviction's hand, and what the
/// allocator rounds up. A test holds the sum to what grants take.
const PER_GRANT: usize = 72;

#[derive(Debug)]
pub(super) struct Cache {
    grants: papaya::HashMap<Key, Cached, ByKey>,
    /// Credentials that nobody knows, or that are deleted.
    unknown: papaya::HashMap<Key, NoGrant, ByKey>,
    /// Credentials that were good when they were last evicted: their next read waits for nobody.
    known: papaya::HashMap<Key, (), ByKey>,
    /// Raised by each forgetting, once its slots are written.
    epoch: AtomicU64,
    slots: Slots,
    /// The epoch before which nothing that was read holds: raised when everything is forgotten.
    floor: AtomicU64,
    ring: Mutex<Ring>,
    /// In bytes.
    capacity: usize,
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
            slots: Slots::new(),
            floor: AtomicU64::new(0),
            ring: Mutex::default(),
            capacity,
        }
    }

    /// The grant of this credential. Takes no lock.
    pub(super) fn get(&self, digest: &Digest) -> Option<Found> {
        self.with(digest, |cached| Found {
            grant: cached.grant.clone(),
            claims: cached.claims.clone(),
            digest: *digest,
            last_used: None,
        })
    }

    /// What `look` makes of the grant of this credential, where it is. Takes no lock.
    pub(super) fn with<T>(&self, digest: &Digest, look: impl FnOnce(&Cached) -> T) -> Option<T> {
        let (mut look, mut seen) = (Some(look), None);
        self.look(digest, &mut |cached| seen = look.take().map(|look| look(cached)));
        seen
    }

    /// Gives `look` the grant of this credential, where it is. Not generic, so that it is compiled with this crate.
    fn look(&self, digest: &Digest, look: &mut dyn FnMut(&Cached)) {
        let grants = self.grants.pin();
        let Some(cached) = grants.get(&Key::of(digest)) else { return };
        if !self.is_good(cached) {
            return;
        }
        if !cached.is_referenced.load(Ordering::Relaxed) {
            cached.is_referenced.store(true, Ordering::Relaxed);
        }
        look(cached);
    }

    /// Whether nothing that it concerns was forgotten since it was read.
    fn is_good(&self, cached: &Cached) -> bool {
        // In this order: a slot is written before the epoch that it tells of.
        let Epoch(now) = self.epoch();
        let good_at = cached.good_at.load(Ordering::SeqCst);
        if good_at == now {
            return true;
        }
        let is_good = cached.concerns().all(|id| self.slots.forgotten_at(id) <= good_at);
        if is_good {
            cached.good_at.fetch_max(now, Ordering::SeqCst);
        }
        is_good
    }

    /// What a read has shown of one that nobody has a grant by.
    pub(super) fn find_unknown(&self, digest: &Digest) -> Option<NoGrant> {
        self.unknown.pin().get(&Key::of(digest)).copied()
    }

    /// Whether it was good when it was last forgotten or evicted.
    pub(super) fn was_known(&self, digest: &Digest) -> bool {
        let key = Key::of(digest);
        self.grants.pin().get(&key).is_some_and(was_in_force) || self.known.pin().contains_key(&key)
    }

    /// To be noted before a read begins.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst))
    }

    /// Puts in what a read that began at `epoch` found, unless something that it concerns was forgotten
    /// since; whether it went in.
    pub(super) fn insert(&self, found: &Found, epoch: Epoch) -> bool {
        let key = Key::of(&found.digest);
        let cached = Cached::new(found, epoch);
        let mut ring = self.lock();
        if epoch.0 < ring.floor || !self.is_good(&cached) {
            return false;
        }
        let bytes = cached.bytes();
        if bytes > self.capacity {
            return true;
        }
        let grants = self.grants.pin();
        match grants.insert(key, cached) {
            Some(old) => {
                ring.held = ring.held - old.bytes() + bytes;
                self.evict(&mut ring, 0);
            }
            None => {
                self.evict(&mut ring, bytes);
                ring.put(key);
                ring.held += bytes;
            }
        }
        ring.unconfirmed.push(key);
        self.known.pin().remove(&key);
        true
    }

    /// Whether nothing of this was forgotten since a read that began at `epoch`.
    pub(super) fn holds_since(&self, epoch: Epoch, what: &[Forget]) -> bool {
        epoch.0 >= self.floor.load(Ordering::SeqCst)
            && what.iter().all(|id| self.slots.forgotten_at(*id) <= epoch.0)
    }

    /// Puts a label that was read at `epoch` beside the grant of this credential, unless something that it concerns
    /// was forgotten since. Its use stays noted.
    pub(super) fn put_label(&self, digest: &Digest, label: &Label, epoch: Epoch) {
        let key = Key::of(digest);
        let mut ring = self.lock();
        let grants = self.grants.pin();
        let Some(old) = grants.get(&key) else { return };
        let mut grant = old.grant.clone();
        grant.limits.extras = grant.limits.extras.labelled(label.clone());
        let cached = Cached {
            grant,
            usage: old.usage.again(),
            claims: old.claims.clone(),
            good_at: AtomicU64::new(epoch.0),
            is_referenced: AtomicBool::new(true),
        };
        let (before, bytes) = (old.bytes(), cached.bytes());
        if epoch.0 < ring.floor || !self.is_good(&cached) || bytes > self.capacity {
            return;
        }
        grants.insert(key, cached);
        ring.held = ring.held - before + bytes;
        ring.unconfirmed.push(key);
        self.evict(&mut ring, 0);
    }

    /// Remembers that nobody has a grant by it, if nothing at all was forgotten since `epoch`.
    pub(super) fn insert_unknown(&self, digest: Digest, none: NoGrant, epoch: Epoch) {
        let _ring = self.lock();
        if self.epoch() == epoch {
            remember(&self.unknown, Key::of(&digest), none);
        }
    }

    pub(super) fn forget(&self, what: &[Forget]) {
        if what.is_empty() {
            return;
        }
        let _ring = self.lock();
        let epoch = self.epoch().0 + 1;
        for &id in what {
            self.slots.forget(id, epoch);
        }
        self.epoch.store(epoch, Ordering::SeqCst);
    }

    pub(super) fn forget_all(&self) {
        let mut ring = self.lock();
        let epoch = self.epoch().0 + 1;
        *ring = Ring { floor: epoch, ..Ring::default() };
        self.floor.store(epoch, Ordering::SeqCst);
        self.epoch.store(epoch, Ordering::SeqCst);
        self.grants.pin().clear();
        self.unknown.pin().clear();
        self.known.pin().clear();
    }

    /// Forgets every grant and every unknown credential, and remembers which were good: their next read
    /// waits for nobody.
    pub(super) fn read_all_again(&self) {
        let good: Vec<Key> = self.grants.pin().keys().copied().take(REMEMBERED).collect();
        self.forget_all();
        let known = self.known.pin();
        for key in good {
            known.insert(key, ());
        }
    }

    /// How many came that no poll has confirmed: to be noted before one is sent.
    pub(super) fn unconfirmed(&self) -> usize {
        self.lock().unconfirmed.len()
    }

    /// A poll ended well: what had come when it was sent is of the history that it found.
    pub(super) fn confirm(&self, count: usize) {
        let mut ring = self.lock();
        let count = count.min(ring.unconfirmed.len());
        ring.unconfirmed.drain(..count);
    }

    /// Forgets what no poll has confirmed, and what nobody has a grant by.
    pub(super) fn forget_unconfirmed(&self) {
        let mut ring = self.lock();
        // Reads that are under way are made again.
        ring.floor = self.epoch().0 + 1;
        self.floor.store(ring.floor, Ordering::SeqCst);
        self.epoch.store(ring.floor, Ordering::SeqCst);
        let grants = self.grants.pin();
        for key in std::mem::take(&mut ring.unconfirmed) {
            if let Some(cached) = grants.remove(&key) {
                ring.held -= cached.bytes();
            }
        }
        self.unknown.pin().clear();
    }

    /// When the operator's catalogue was last forgotten, for whoever keeps one that was read.
    pub(super) fn catalogue_epoch(&self) -> u64 {
        self.slots.forgotten_at(Forget::Catalogue).max(self.floor.load(Ordering::SeqCst))
    }

    /// How many there are, with those that were forgotten and not read again since.
    pub(super) fn len(&self) -> usize {
        self.grants.len()
    }

    /// How many bytes they take, as they are counted.
    pub(super) fn bytes(&self) -> usize {
        self.lock().held
    }

    /// Makes room for `bytes` more. Second chance: what was read since the hand last came by stays for one
    /// more round, if it is good.
    fn evict(&self, ring: &mut Ring, bytes: usize) {
        let grants = self.grants.pin();
        while ring.held + bytes > self.capacity {
            let Some(key) = ring.under_hand() else { return };
            let Some(cached) = grants.get(&key) else {
                ring.take();
                continue;
            };
            if self.is_good(cached) && cached.is_referenced.swap(false, Ordering::Relaxed) {
                ring.pass();
                continue;
            }
            ring.take();
            ring.held -= cached.bytes();
            if was_in_force(cached) {
                remember(&self.known, key, ());
            }
            grants.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // A panic between two map operations leaves at worst a key without its grant.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn was_in_force(cached: &Cached) -> bool {
    cached.grant.is_enabled && !cached.grant.is_banned
}

fn remember<T>(memory: &papaya::HashMap<Key, T, ByKey>, key: Key, what: T) {
    let memory = memory.pin();
    if memory.len() >= REMEMBERED {
        memory.clear();
    }
    memory.insert(key, what);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use super::*;
    use hoody_core::address::AddressList;
    use hoody_core::extras::Extras;
    use hoody_core::grant::Bounds;
    use hoody_core::id::{TokenId, UserId};
    use hoody_core::permissions::own::OwnSet;
    use hoody_core::time::Timestamp;

    fn digest(n: u32) -> Digest {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        Digest::from_bytes(bytes)
    }

    fn token(n: u8) -> TokenId {
        TokenId::from_bytes([n; 12])
    }

    /// As a session's, without the operator's leaves.
    fn wide() -> Bounds {
        Bounds { extras: Extras::NONE, ..Bounds::of_session(Timestamp::MAX) }
    }

    fn found(n: u32, account: u8, lineage: &[u8]) -> Found {
        let lineage: Vec<_> = lineage.iter().copied().map(token).collect();
        let grant = Grant {
            account: UserId::from_bytes([account; 12]),
            credential: Credential::Token(*lineage.last().unwrap()),
            is_enabled: true,
            is_banned: false,
            limits: Bounds { extras: Extras::of(lineage.into(), OwnSet::EMPTY, None), ..wide() },
        };
        Found { grant, claims: None, digest: digest(n), last_used: None }
    }

    /// How many bytes each of `found`'s takes.
    fn bytes() -> usize {
        Cached::new(&found(1, 1, &[1]), Epoch(0)).bytes()
    }

    #[test]
    fn a_change_of_the_catalogue_forgets_what_follows_it_and_nothing_else() {
        let cache = Cache::new(1 << 20);
        let epoch = cache.epoch();
        let mut follows = found(1, 1, &[1]);
        follows.grant.limits.extras = Extras::of_own(OwnSet::EMPTY, true);
        assert!(cache.insert(&follows, epoch));
        assert!(cache.insert(&found(2, 1, &[2]), epoch));
        let catalogue = cache.catalogue_epoch();
        cache.forget(&[Forget::Catalogue]);
        assert!(cache.get(&digest(1)).is_none());
        assert!(cache.get(&digest(2)).is_some());
        assert_ne!(cache.catalogue_epoch(), catalogue);
        // What was read before the change is not put back after it.
        assert!(!cache.insert(&follows, epoch));
    }

    #[test]
    fn a_grant_without_extras_counts_176_bytes() {
        assert_eq!(bytes(), 176);
    }

    #[test]
    fn a_label_stays_with_its_grant_until_that_is_forgotten() {
        let cache = Cache::new(1 << 20);
        let label = Label::of("ci-runner", None, None).unwrap();
        let shown = |cache: &Cache| {
            let found = cache.get(&digest(1)).unwrap();
            found.grant.limits.extras.label().map(|label| label.alias().to_owned())
        };
        assert!(cache.insert(&found(1, 1, &[1]), cache.epoch()));
        let plain = cache.bytes();
        let at = Timestamp::from_millis(1_000_000);
        let (recorder, mut notes) = crate::grants::usage::Recorder::channel();
        let note = |cache: &Cache| {
            cache.with(&digest(1), |cached| {
                recorder.note(&cached.usage, token(1), at, "::1".parse().unwrap());
            });
        };
        note(&cache);
        cache.put_label(&digest(1), &label, cache.epoch());
        assert_eq!(shown(&cache).as_deref(), Some("ci-runner"));
        assert!(cache.bytes() > plain && cache.bytes() < 260, "{}", cache.bytes());
        // That it was used is known still.
        note(&cache);
        assert_eq!(notes.drain().len(), 1);
        // One that was read before something changed is not put beside what was read after.
        let before = cache.epoch();
        cache.forget(&[Forget::Token(token(1))]);
        cache.insert(&found(1, 1, &[1]), cache.epoch());
        cache.put_label(&digest(1), &label, before);
        assert_eq!(shown(&cache), None);
        cache.put_label(&digest(2), &label, cache.epoch());
        assert!(cache.get(&digest(2)).is_none(), "a label alone is no grant");
    }

    #[test]
    fn what_others_keep_holds_until_it_is_forgotten() {
        let cache = Cache::new(1 << 20);
        let gate = |n| Forget::Gate(hoody_core::id::GateId::from_bytes([n; 12]));
        let at = cache.epoch();
        let what = [gate(1), Forget::Catalogue];
        assert!(cache.holds_since(at, &what));
        cache.forget(&[gate(2)]);
        assert!(cache.holds_since(at, &what));
        for forgotten in [gate(1), Forget::Catalogue] {
            let at = cache.epoch();
            assert!(cache.holds_since(at, &what));
            cache.forget(&[forgotten]);
            assert!(!cache.holds_since(at, &what) && cache.holds_since(cache.epoch(), &what));
        }
        for forget in [Cache::forget_all, Cache::forget_unconfirmed, Cache::read_all_again] {
            let at = cache.epoch();
            forget(&cache);
            assert!(!cache.holds_since(at, &what) && cache.holds_since(cache.epoch(), &what));
        }
    }

    #[test]
    fn forgetting_an_ancestor_forgets_its_descendants_and_nothing_else() {
        let cache = Cache::new(1 << 20);
        let epoch = cache.epoch();
        assert!(cache.insert(&found(1, 1, &[1]), epoch));
        assert!(cache.insert(&found(2, 1, &[1, 2]), epoch));
        assert!(cache.insert(&found(3, 1, &[3]), epoch));
        cache.forget(&[Forget::Token(token(1))]);
        assert!(cache.get(&digest(1)).is_none());
        assert!(cache.get(&digest(2)).is_none());
        assert!(cache.get(&digest(3)).is_some());
        cache.forget(&[Forget::Account(UserId::from_bytes([1; 12]))]);
        assert!(cache.get(&digest(3)).is_none());
    }

    /// Threat 10: what was read before a revocation cannot be put in after it.
    #[test]
    fn threat_10_a_read_from_before_a_forgetting_does_not_go_in_after_it() {
        let cache = Cache::new(1 << 20);
        let before = cache.epoch();
        cache.forget(&[Forget::Token(token(1))]);
        assert!(!cache.insert(&found(1, 1, &[1]), before));
        assert!(!cache.insert(&found(2, 1, &[1, 2]), before));
        assert!(cache.get(&digest(1)).is_none());
        assert!(cache.insert(&found(3, 1, &[3]), before), "another token is not held up");
        assert!(cache.insert(&found(1, 1, &[1]), cache.epoch()));
        cache.forget_all();
        assert!(!cache.insert(&found(4, 2, &[4]), before));
    }

    #[test]
    fn what_came_after_a_poll_was_sent_is_not_confirmed_by_it() {
        let cache = Cache::new(1 << 20);
        assert!(cache.insert(&found(1, 1, &[1]), cache.epoch()));
        let sent = cache.unconfirmed();
        let under_way = cache.epoch();
        assert!(cache.insert(&found(2, 1, &[2]), under_way));
        cache.insert_unknown(digest(3), NoGrant::Unknown, under_way);
        cache.confirm(sent);
        cache.forget_unconfirmed();
        assert!(cache.get(&digest(1)).is_some());
        assert!(cache.get(&digest(2)).is_none() && cache.find_unknown(&digest(3)).is_none());
        assert_eq!(cache.bytes(), bytes());
        assert!(!cache.insert(&found(2, 1, &[2]), under_way), "a read of before is made again");
        assert!(cache.insert(&found(2, 1, &[2]), cache.epoch()));
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
        let each = bytes();
        let cache = Cache::new(50 * each);
        let epoch = cache.epoch();
        for n in 0..200_u32 {
            let id = u8::try_from(n).unwrap();
            assert!(cache.insert(&found(n, id, &[id]), epoch));
            assert!(cache.get(&digest(0)).is_some(), "used all the time, gone at {n}");
        }
        assert_eq!((cache.len(), cache.bytes()), (50, 50 * each));
        assert_eq!(cache.lock().keys.len(), 50);
    }

    /// One with a thousand networks takes the place of many.
    #[test]
    fn the_bound_is_one_of_bytes() {
        let entries: Vec<_> = (0..1000).map(|n| format!("10.{}.{}.0/25", n / 250, n % 250)).collect();
        let mut large = found(100, 1, &[1]);
        large.grant.limits.addresses =
            AddressList::parse_entries(entries.iter().map(String::as_str)).unwrap();
        let its_bytes = Cached::new(&large, Epoch(0)).bytes();
        let small = bytes();
        assert!(its_bytes > 30 * small, "{its_bytes} {small}");
        let cache = Cache::new(its_bytes + 10 * small);
        let epoch = cache.epoch();
        for n in 0..30_u8 {
            cache.insert(&found(u32::from(n), 1, &[n + 2]), epoch);
        }
        assert_eq!(cache.len(), 30);
        assert!(cache.insert(&large, epoch));
        assert_eq!(cache.len(), 11, "it and ten others");
        // One that is larger than all of it is answered from, and not kept.
        let tiny = Cache::new(10);
        assert!(tiny.insert(&found(1, 1, &[1]), tiny.epoch()));
        assert_eq!((tiny.len(), tiny.bytes()), (0, 0));
    }

    #[test]
    fn what_is_forgotten_and_read_again_leaves_no_trail() {
        let cache = Cache::new(usize::MAX);
        for n in 0..10_000_u32 {
            assert!(cache.insert(&found(n % 3, 1, &[1]), cache.epoch()));
            if n % 2 == 0 {
                cache.forget(&[Forget::Token(token(1))]);
            }
        }
        assert_eq!((cache.lock().keys.len(), cache.len()), (3, 3));
        assert_eq!(cache.bytes(), 3 * bytes());
        cache.forget_all();
        assert_eq!((cache.len(), cache.bytes()), (0, 0));
        assert!(cache.lock().keys.is_empty());
    }

    /// What was forgotten makes room before what is good, used or not.
    #[test]
    fn what_was_forgotten_is_evicted_first() {
        let each = bytes();
        let cache = Cache::new(3 * each);
        for n in 1..=3_u8 {
            assert!(cache.insert(&found(u32::from(n), n, &[n]), cache.epoch()));
        }
        cache.forget(&[Forget::Token(token(2))]);
        assert!(
            cache.get(&digest(2)).is_none() && cache.was_known(&digest(2)),
            "its next read waits for nobody"
        );
        // The first goes round: all were used. What is left of the round finds the forgotten one.
        assert!(cache.get(&digest(1)).is_some() && cache.get(&digest(3)).is_some());
        assert!(cache.insert(&found(4, 4, &[4]), cache.epoch()));
        let there: Vec<u32> = (1..=4).filter(|n| cache.get(&digest(*n)).is_some()).collect();
        assert_eq!(there, [1, 3, 4]);
        assert!(cache.was_known(&digest(2)), "also when it is gone");
    }

    /// A reader that never stops sees no grant after its forgetting returned.
    #[test]
    fn threat_10_what_is_forgotten_is_never_seen_again() {
        let cache = Cache::new(1 << 20);
        let forgotten = AtomicI64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..20_000 {
                    let mut each = found(1, 1, &[1]);
                    // Which one it is.
                    each.grant.limits.expires_at = Some(Timestamp::from_millis(n));
                    assert!(cache.insert(&each, cache.epoch()));
                    cache.forget(&[Forget::Token(token(1))]);
                    forgotten.store(n, Ordering::SeqCst);
                }
            });
            while forgotten.load(Ordering::SeqCst) < 19_999 {
                let before = forgotten.load(Ordering::SeqCst);
                if let Some(found) = cache.get(&digest(1)) {
                    let which = found.grant.limits.expires_at.unwrap().millis();
                    assert!(which > before, "{which} was forgotten");
                }
            }
        });
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
        const GRANTS: u32 = 250_000;
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
                    is_enabled: true,
                    is_banned: false,
                    limits: Bounds { extras: Extras::of(lineage, OwnSet::EMPTY, None), ..wide() },
                };
                let mut key = [0; 32];
                key[..8].copy_from_slice(&u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
                let digest = Digest::from_bytes(key);
                cache.insert(&Found { grant, claims: None, digest, last_used: None }, epoch);
                cache.confirm(1);
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
        let mut said = String::new();
        // What is resident is now and then more, when the map frees its smaller self late; never less.
        let is_held = (0..3).any(|_| {
            let run = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--ignored"])
                .output()
                .unwrap();
            said = String::from_utf8_lossy(&run.stdout).into_owned();
            run.status.success() && said.contains("1 passed")
        });
        assert!(is_held, "{said}");
    }
}
