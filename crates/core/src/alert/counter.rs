//! How often something happened in a while.

use crate::time::Timestamp;

/// A count that begins with the first occurrence and begins anew after its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// How often.
    pub hits: i64,
    /// When it begins anew.
    pub ends_at: Timestamp,
}

impl Counter {
    /// Nothing yet.
    pub const EMPTY: Self = Self { hits: 0, ends_at: Timestamp::MIN };

    /// One more at `at`, counted for `length` milliseconds; what it adds to an alert from `threshold` on:
    /// all so far when it comes to the threshold, one each after, else nothing.
    pub fn add(&mut self, at: Timestamp, length: i64, threshold: i64) -> i64 {
        if at >= self.ends_at {
            *self = Self { hits: 0, ends_at: at.plus(length) };
        }
        self.hits = self.hits.saturating_add(1);
        match self.hits.cmp(&threshold) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => self.hits,
            std::cmp::Ordering::Greater => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_threshold_tells_all_so_far_and_then_one_by_one() {
        let mut counter = Counter::EMPTY;
        let told: Vec<_> = [0, 10, 20, 30, 99, 100].iter().map(|t| counter.add(at(*t), 100, 3)).collect();
        assert_eq!(told, [0, 0, 3, 1, 1, 0]);
        assert_eq!(counter, Counter { hits: 1, ends_at: at(200) });
    }

    proptest! {
        #[test]
        fn of_a_burst_that_reaches_the_threshold_nothing_is_lost(
            threshold in 1_i64..20, gaps in proptest::collection::vec(0_i64..50, 1..200)
        ) {
            let (mut counter, mut now) = (Counter::EMPTY, 0);
            // What was told, and how much there was to tell, of the burst that is counted.
            let (mut told, mut hits, mut ends) = (0, 0, i64::MIN);
            for gap in gaps {
                now += gap;
                if now >= ends {
                    (told, hits, ends) = (0, 0, now + 300);
                }
                hits += 1;
                told += counter.add(at(now), 300, threshold);
                prop_assert_eq!(told, if hits >= threshold { hits } else { 0 });
            }
        }
    }
}
