//! When which id was last forgotten.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Forget;

const PAGES: usize = 16_384;
const SLOTS_OF_PAGE: usize = 64;

type Page = Box<[AtomicU64; SLOTS_OF_PAGE]>;

/// The epoch at which each id was last forgotten, where several ids may share a slot. A page is made when
/// one of its slots is first written, and is small: ids are spread over all pages, so each new id makes one.
#[derive(Debug)]
pub(super) struct Slots {
    pages: Box<[OnceLock<Page>]>,
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
        let page = self.pages[page].get_or_init(|| Box::new([const { AtomicU64::new(0) }; SLOTS_OF_PAGE]));
        page[slot].store(epoch, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use hoody_core::id::TokenId;

    use super::*;

    #[test]
    fn what_is_forgotten_takes_memory_in_proportion() {
        let slots = Slots::new();
        for n in 0..1_000_u32 {
            let mut id = [0; 12];
            id[..4].copy_from_slice(&n.to_le_bytes());
            slots.forget(Forget::Token(TokenId::from_bytes(id)), 1);
        }
        let pages = slots.pages.iter().filter(|page| page.get().is_some()).count();
        assert!((900..=1_000).contains(&pages), "{pages} pages");
        assert!(pages * size_of::<[AtomicU64; SLOTS_OF_PAGE]>() < 1 << 19, "half a MiB for a thousand ids");
    }
}
