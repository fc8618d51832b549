//! Sets of the operator's own leaves: what a token holds beside hoody's 112 bits.
//!
//! Most tokens hold a handful of leaves, and thousands of tokens hold the same ones, so a set is a sorted
//! list behind a pointer that an [`Interner`] shares.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::memory::SHARED;

/// The number of one of the operator's own leaves. A number is given out once and never again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnId(u16);

impl OwnId {
    /// The leaf with this number; `None` for 0, which is no leaf's.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    /// Its number, as it is stored.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for OwnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Own leaves that a credential holds: none, some, or all that there are and will be (a session).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct OwnSet(Held);

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
enum Held {
    #[default]
    Nothing,
    /// Sorted, without duplicates, never empty.
    These(Arc<Box<[OwnId]>>),
    All,
}

impl OwnSet {
    /// No leaf.
    pub const EMPTY: Self = Self(Held::Nothing);
    /// Every leaf, also one that is added later: what a session holds.
    pub const ALL: Self = Self(Held::All);

    /// Whether it holds this leaf. A binary search; allocates nothing.
    #[must_use]
    pub fn has(&self, leaf: OwnId) -> bool {
        match &self.0 {
            Held::Nothing => false,
            Held::These(ids) => ids.binary_search(&leaf).is_ok(),
            Held::All => true,
        }
    }

    /// Whether it holds no leaf.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Held::Nothing)
    }

    /// Whether it holds every leaf there is and will be.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self.0, Held::All)
    }

    /// The leaves in order; empty for [`OwnSet::ALL`], which names none.
    #[must_use]
    pub fn ids(&self) -> &[OwnId] {
        match &self.0 {
            Held::These(ids) => ids,
            Held::Nothing | Held::All => &[],
        }
    }

    /// Whether `other` holds every leaf that this holds.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Held::Nothing, _) | (_, Held::All) => true,
            (Held::These(mine), Held::These(_)) => mine.iter().all(|id| other.has(*id)),
            (Held::All | Held::These(_), _) => false,
        }
    }

    /// What both hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (Held::All, _) => other.clone(),
            (_, Held::All) => self.clone(),
            _ => self.ids().iter().copied().filter(|id| other.has(*id)).collect(),
        }
    }

    /// What either holds.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_all() || other.is_all() {
            return Self::ALL;
        }
        self.ids().iter().chain(other.ids()).copied().collect()
    }

    /// What this holds and `other` does not: what would be gained by going from `other` to this. Nothing for
    /// [`OwnSet::ALL`], which names no leaf.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.ids().iter().copied().filter(|id| !other.has(*id)).collect()
    }

    /// How many bytes it has beside itself if nothing shares them.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        match &self.0 {
            Held::These(ids) => SHARED + size_of::<Box<[OwnId]>>() + size_of_val(&***ids),
            Held::Nothing | Held::All => 0,
        }
    }
}

impl FromIterator<OwnId> for OwnSet {
    fn from_iter<I: IntoIterator<Item = OwnId>>(ids: I) -> Self {
        let mut ids: Vec<OwnId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() { Self::EMPTY } else { Self(Held::These(Arc::new(ids.into_boxed_slice()))) }
    }
}

/// Shares equal sets: what a thousand tokens of one template hold takes its room once.
#[derive(Debug, Default)]
pub struct Interner {
    sets: HashSet<Arc<Box<[OwnId]>>>,
    /// At how many sets the next sweep is due.
    sweep_at: usize,
}

impl Interner {
    /// How many sets it keeps before it looks for unused ones.
    const FIRST_SWEEP: usize = 256;

    /// The same set, in the room of an equal one that was interned before. Now and then it drops the sets
    /// that nobody holds any more, so it keeps at most about twice as many as are held.
    pub fn intern(&mut self, set: OwnSet) -> OwnSet {
        let Held::These(ids) = set.0 else { return set };
        if let Some(known) = self.sets.get(&ids) {
            return OwnSet(Held::These(Arc::clone(known)));
        }
        if self.sets.len() >= self.sweep_at.max(Self::FIRST_SWEEP) {
            self.sets.retain(|held| Arc::strong_count(held) > 1);
            self.sweep_at = 2 * self.sets.len();
        }
        self.sets.insert(Arc::clone(&ids));
        OwnSet(Held::These(ids))
    }

    /// How many sets it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether it knows no set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn id(number: u16) -> OwnId {
        OwnId::new(number).unwrap()
    }

    fn of(numbers: &[u16]) -> OwnSet {
        numbers.iter().copied().map(id).collect()
    }

    #[test]
    fn a_set_is_two_words_and_none_costs_nothing() {
        assert_eq!(size_of::<OwnSet>(), 16);
        assert_eq!(OwnSet::EMPTY.held_bytes() + OwnSet::ALL.held_bytes(), 0);
        assert_eq!(of(&[1, 2, 3]).held_bytes(), 16 + 16 + 6);
        assert_eq!(of(&[]), OwnSet::EMPTY);
        assert_eq!(of(&[3, 1, 3]).ids(), [id(1), id(3)]);
        assert_eq!(OwnId::new(0), None);
    }

    #[test]
    fn equal_sets_share_their_room_and_unused_ones_leave() {
        let mut interner = Interner::default();
        let (first, second) = (interner.intern(of(&[1, 2])), interner.intern(of(&[2, 1])));
        assert!(std::ptr::eq(first.ids(), second.ids()));
        for number in 3..=2_000 {
            drop(interner.intern(of(&[number])));
        }
        assert!(interner.len() <= 2 * Interner::FIRST_SWEEP, "{}", interner.len());
        assert!(std::ptr::eq(interner.intern(of(&[1, 2])).ids(), first.ids()));
        assert!(interner.intern(OwnSet::ALL).is_all());
    }

    pub(crate) fn set() -> impl Strategy<Value = OwnSet> {
        prop_oneof![
            8 => proptest::collection::vec(1_u16..12, 0..8).prop_map(|ids| of(&ids)),
            1 => Just(OwnSet::ALL),
        ]
    }

    proptest! {
        #[test]
        fn sets_are_a_lattice(a in set(), b in set()) {
            let (both, either) = (a.intersection(&b), a.union(&b));
            for leaf in (1..14).map(id) {
                prop_assert_eq!(both.has(leaf), a.has(leaf) && b.has(leaf));
                prop_assert_eq!(either.has(leaf), a.has(leaf) || b.has(leaf));
            }
            prop_assert_eq!(a.difference(&b).is_empty(), a.is_all() || a.within(&b));
            prop_assert!(both.within(&a) && both.within(&b) && a.within(&either) && b.within(&either));
            prop_assert_eq!(a.within(&b) && b.within(&a), a == b);
            prop_assert!(OwnSet::EMPTY.within(&a) && a.within(&OwnSet::ALL));
            if a.within(&b) && !a.is_all() {
                prop_assert!((1..14).map(id).all(|leaf| !a.has(leaf) || b.has(leaf)));
            }
        }
    }
}
