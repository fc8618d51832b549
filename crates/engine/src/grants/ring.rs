//! What credentials are known by in the cache, and the order in which they leave it.

use std::hash::{BuildHasherDefault, Hash, Hasher};

use hoody_core::secret::Digest;

/// What a credential is known by here: half of its keyed digest, as much as no two will ever share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key([u64; 2]);

impl Key {
    pub(super) fn of(digest: &Digest) -> Self {
        let (words, _) = digest.bytes().as_chunks();
        Self([u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])])
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

/// A digest is as good a hash as any.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("a key is hashed as one number");
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

pub(super) type ByKey = BuildHasherDefault<KeyHasher>;

/// What is in the cache, in a circle that the eviction's hand goes round.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// Each key's place in the order of arrival, more or less.
    pub(super) keys: Vec<Key>,
    pub(super) hand: usize,
    /// How many bytes the grants take.
    pub(super) held: usize,
    /// What was read before this epoch is not taken in.
    pub(super) floor: u64,
    /// What came since the last poll that ended well was sent.
    pub(super) unconfirmed: Vec<Key>,
}

impl Ring {
    /// Puts it right behind the hand: its turn comes last.
    pub(super) fn put(&mut self, key: Key) {
        if self.keys.len() == self.keys.capacity() {
            // By an eighth, not by the double: it is a part of what each grant takes.
            self.keys.reserve_exact(self.keys.len() / 8 + 64);
        }
        let last = self.keys.len();
        self.keys.push(key);
        if self.hand < last {
            self.keys.swap(self.hand, last);
            self.hand += 1;
        } else {
            self.hand = 0;
        }
    }

    pub(super) fn under_hand(&mut self) -> Option<Key> {
        if self.hand >= self.keys.len() {
            self.hand = 0;
        }
        self.keys.get(self.hand).copied()
    }

    /// Takes out what is under the hand. What comes to its place is next.
    pub(super) fn take(&mut self) {
        self.keys.swap_remove(self.hand);
    }

    /// Leaves what is under the hand for one more round.
    pub(super) fn pass(&mut self) {
        self.hand += 1;
    }
}
