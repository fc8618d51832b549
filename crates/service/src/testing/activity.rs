//! The request log.

use hoody_core::activity::Filter;
use hoody_core::id::UserId;
use hoody_core::time::Timestamp;
use hoody_engine::activity::fill::Filler;
use hoody_engine::activity::query::{self, Asked, Sizes};
use hoody_engine::activity::{Queue, put_days_together, tail};
use hoody_engine::db::{Db, On, args};

use super::Service;

impl Service {
    /// Stores what waits for the request log; whether it could.
    pub async fn flush_activity(&self) -> bool {
        self.engine().activity.flush().await
    }

    /// One round of keeping the request log in shape.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn tidy_activity(&self) {
        self.engine().activity.tidy(&self.engine().nodes).await.expect("the log is tidied up");
    }

    /// Puts what tokens did on each day before today together, reading so many counted hours at a time.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn put_days_together(&self, limit: i64) {
        let today = hoody_core::activity::day(self.now());
        put_days_together(&self.engine().activity, today, limit).await.expect("days are put together");
    }

    /// How many rows of the request log wait to be stored.
    #[must_use]
    pub fn waiting_activity(&self) -> usize {
        self.engine().activity.queue.as_ref().map_or(0, Queue::waiting)
    }

    /// Reads the request log of all accounts on from a place (`{}` is the beginning): run, number, account
    /// and path of each row, and the next place.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn activity_after(&self, place: &str, limit: i64) -> (Vec<(i64, i64, String, String)>, String) {
        let position = serde_json::from_str(place).expect("a place");
        let read = tail::read_after(&self.engine().activity, &position, limit).await;
        let (rows, next) = read.expect("the log can be read");
        let rows = rows.into_iter().map(|row| (row.run, row.seq, row.account.to_string(), row.path));
        (rows.collect(), serde_json::to_string(&next).expect("JSON"))
    }

    /// The place after everything that is stored in the request log.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn activity_end(&self) -> String {
        let end = tail::Position::at_the_end(&self.engine().activity).await.expect("a place");
        serde_json::to_string(&end).expect("JSON")
    }

    /// The paths of what is new in the request log of all accounts since a place, but only of the last
    /// `limit` rows of each run; and the place after everything.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn latest_activity(&self, place: &str, limit: i64) -> (Vec<String>, String) {
        let position = serde_json::from_str(place).expect("a place");
        let read = tail::read_latest(&self.engine().activity, &position, limit, |_| true).await;
        let (rows, next) = read.expect("the log can be read");
        let paths = rows.into_iter().map(|row| row.path);
        (paths.collect(), serde_json::to_string(&next).expect("JSON"))
    }

    /// At most `limit` of the latest rows of an account with this status or a higher one, by their paths, and
    /// how many there are; found by asking of so many blocks at a time: first, to aim at, most, next in order.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn find_activity(
        &self,
        account: UserId,
        min_status: u16,
        limit: u64,
        (first, aim, most, next): (i64, u32, i64, i64),
    ) -> (Vec<String>, u64) {
        let filter = Filter { min_status, ..Filter::default() };
        let (from, until) = (Timestamp::from_millis(0), self.now());
        let asked = Asked { account, from, until, filter };
        let sizes = Sizes { first, aim, most, next };
        let found = query::page_by(&self.engine().activity, &asked, (0, limit), sizes).await;
        let found = found.expect("the log can be read");
        (found.rows.into_iter().map(|row| row.path).collect(), found.total)
    }

    /// The number in the column `n` of the one row that `sql` gives, in the database of the request log.
    ///
    /// # Panics
    /// When it fails.
    pub async fn activity_number(&self, sql: &'static str) -> i64 {
        On::from(&self.engine().activity.db)
            .one(sql, args![])
            .await
            .expect("a row")
            .get("n")
            .expect("a number")
    }

    /// Something that fills the request log with rows of the past.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn filler(&self) -> Filler {
        Filler::new(self.engine().activity.clone()).await
    }

    /// Closes the connections of the request log alone.
    pub async fn cut_activity(&self) {
        Db::close(&[&self.engine().activity.db]).await;
    }
}
