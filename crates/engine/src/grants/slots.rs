//! When which id was last forgotten.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Forget;

const PAGES: usize = 2_048;
const SLOTS_OF_PAGE: usize = 512;

/// The epoch at which each id was last forgotten, where several ids may share a slot. A page is made when
/// one of its slots is first written.
#[derive(Debug)]
pub(super) struct Slots {
    pages: Box<[OnceLock<Box<[AtomicU64]>>]>,
    /// Keyed, so that nobody can choose ids that share a slot.
    hasher: RandomState,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self { pages: (0..PAGES).map(|_| OnceLock::new()).collect(), hasher: RandomState::new() }
    }

    fn place(&self, id: Forget) -> (usize, usize) {
        let slot =
            usize::try_from(self.hasher.hash_one(id) % (PAGES * SLOTS_OF_PAGE) as u64).expect("a slot");
        (slot / SLOTS_OF_PAGE, slot % SLOTS_OF_PAGE)
    }

    pub(super) fn forgotten_at(&self, id: Forget) -> u64 {
        let (page, slot) = self.place(id);
        self.pages[page].get().map_or(0, |page| page[slot].load(Ordering::SeqCst))
    }

    pub(super) fn forget(&self, id: Forget, epoch: u64) {
        let (page, slot) = self.place(id);
        let page = self.pages[page].get_or_init(|| (0..SLOTS_OF_PAGE).map(|_| AtomicU64::new(0)).collect());
        page[slot].store(epoch, Ordering::SeqCst);
    }
}
