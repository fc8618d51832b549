//! Letting requests have their turn while many rows are gone through.

/// After how many rows. Packing or unpacking so many takes some 200 µs; fewer cost more, since what was
/// worked on is out of the cache when its turn comes again.
const TURN: usize = 512;

/// Counts rows.
#[derive(Debug, Default)]
pub struct Turns(usize);

impl Turns {
    /// To be called for each row.
    pub async fn next(&mut self) {
        self.0 += 1;
        if self.0 == TURN {
            self.0 = 0;
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn others_have_a_turn_after_every_512_rows() {
        let had = Cell::new(0);
        let gone_through = async {
            let mut turns = Turns::default();
            for row in 0..4 * TURN {
                assert_eq!(had.get(), row / TURN, "before row {row}");
                turns.next().await;
            }
        };
        let others = async {
            for _ in 0..4 {
                had.set(had.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(biased; gone_through, others);
    }
}
