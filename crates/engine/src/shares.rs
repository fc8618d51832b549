//! Shares of a total, so that nobody who comes first keeps every place.
//!
//! While at least half of the places are free, one holder may have its full share. After that a holder
//! gets an eighth of it, and of the last quarter one place: to fill a total, an attacker needs as many
//! holders as that quarter has places.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places of a total, by holder.
#[derive(Debug)]
pub struct Shares<K> {
    most: usize,
    of_one: usize,
    taken: Arc<Mutex<Taken<K>>>,
}

impl<K> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self { most: self.most, of_one: self.of_one, taken: Arc::clone(&self.taken) }
    }
}

#[derive(Debug)]
struct Taken<K> {
    total: usize,
    by_holder: HashMap<K, usize>,
}

/// One place, or some; given back when dropped.
#[derive(Debug)]
pub struct Share<K: Eq + Hash> {
    holder: K,
    places: usize,
    taken: Arc<Mutex<Taken<K>>>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The holder has its share.
    Share,
    /// Every place is taken.
    Total,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// `most` places, of which one holder may have `of_one`.
    pub fn new(most: usize, of_one: usize) -> Self {
        let taken = Taken { total: 0, by_holder: HashMap::new() };
        Self { most, of_one, taken: Arc::new(Mutex::new(taken)) }
    }

    /// A place for this holder.
    ///
    /// # Errors
    /// When the holder has its share, or all places are taken.
    pub fn take(&self, holder: K) -> Result<Share<K>, Full> {
        self.take_many(holder, 1)
    }

    /// So many places at once. A holder that has none gets them whenever they are free, so that what is
    /// larger than a share is possible, too; all places at most.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn take_many(&self, holder: K, places: usize) -> Result<Share<K>, Full> {
        let places = places.clamp(1, self.most);
        let mut taken = lock(&self.taken);
        if taken.total + places > self.most {
            return Err(Full::Total);
        }
        let has = taken.by_holder.get(&holder).copied().unwrap_or_default();
        if has > 0 && has + places > self.allowed(taken.total) {
            return Err(Full::Share);
        }
        taken.by_holder.insert(holder.clone(), has + places);
        taken.total += places;
        Ok(Share { holder, places, taken: Arc::clone(&self.taken) })
    }

    /// How many places one holder may have when `total` are taken.
    fn allowed(&self, total: usize) -> usize {
        let full = self.of_one.max(1);
        if total < self.most.div_ceil(2) {
            full
        } else if total < self.most - self.most / 4 {
            (full / 8).max(1)
        } else {
            1
        }
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.total -= self.places;
        if let Some(count) = taken.by_holder.get_mut(&self.holder) {
            *count -= self.places;
            if *count == 0 {
                taken.by_holder.remove(&self.holder);
            }
        }
    }
}

fn lock<K>(taken: &Mutex<Taken<K>>) -> MutexGuard<'_, Taken<K>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_has_its_share_and_gets_it_again() {
        let shares = Shares::new(64, 8);
        let mut held: Vec<_> = (0..8).map(|_| shares.take("a").unwrap()).collect();
        assert_eq!(shares.take("a").unwrap_err(), Full::Share);
        let other = shares.take("b").unwrap();
        held.pop();
        held.push(shares.take("a").unwrap());
        drop((held, other));
        assert!(lock(&shares.taken).by_holder.is_empty());
        assert_eq!(lock(&shares.taken).total, 0);
    }

    #[test]
    fn what_is_larger_than_a_share_is_for_a_holder_that_has_nothing() {
        let shares = Shares::new(64, 8);
        let large = shares.take_many("a", 60).unwrap();
        assert_eq!(shares.take("a").unwrap_err(), Full::Share);
        assert_eq!(shares.take_many("b", 5).unwrap_err(), Full::Total);
        let rest = shares.take_many("b", 4).unwrap();
        drop(large);
        let all = shares.take_many("a", 1_000);
        assert_eq!(all.unwrap_err(), Full::Total);
        drop(rest);
        assert!(shares.take_many("a", 1_000).is_ok());
    }

    #[test]
    fn the_fewer_places_are_left_the_fewer_one_holder_gets() {
        let shares = Shares::new(64, 16);
        let mut held = Vec::new();
        // Greedy holders, one after the other, until nobody gets anything.
        let mut got = Vec::new();
        for holder in 0.. {
            let before = held.len();
            while let Ok(share) = shares.take(holder) {
                held.push(share);
            }
            if held.len() == before {
                break;
            }
            got.push(held.len() - before);
        }
        assert_eq!(held.len(), 64);
        assert_eq!(got[..2], [16, 16]);
        assert!(got[2..10].iter().all(|got| *got == 2), "{got:?}");
        assert!(got[10..].iter().all(|got| *got == 1) && got.len() == 26, "{got:?}");
        assert_eq!(shares.take(usize::MAX).unwrap_err(), Full::Total);
    }
}
