//! How long to wait before something that failed is tried again.

use crate::time::{MINUTE, SECOND};

/// The wait after the first failure, in milliseconds.
const FIRST: i64 = 5 * SECOND;
/// The longest wait, in milliseconds, before the jitter.
const LONGEST: i64 = 60 * MINUTE;

/// The wait in milliseconds after the `failures`th failure: five seconds, doubled each time up to an
/// hour, and up to a fifth more or less, so that what failed together does not come back together.
/// `random` is any random number.
#[must_use]
pub fn wait_after(failures: i64, random: u32) -> i64 {
    let doublings = u32::try_from(failures.clamp(1, 32) - 1).unwrap_or(0);
    let wait = FIRST.saturating_mul(1_i64 << doublings).min(LONGEST);
    let fifth = wait / 5;
    wait - fifth + i64::from(random) * 2 * fifth / i64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        let middle = u32::MAX / 2;
        let seconds: Vec<_> = (1..=12).map(|failures| (wait_after(failures, middle) + 1) / SECOND).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600]);
    }

    proptest::proptest! {
        #[test]
        fn a_wait_is_between_four_seconds_and_seventy_two_minutes(failures: i64, random: u32) {
            let wait = wait_after(failures, random);
            assert!((4 * SECOND..=72 * MINUTE).contains(&wait), "{wait}");
        }
    }
}
