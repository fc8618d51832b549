//! The clock, the feed, the cache of grants, and the nodes that share them.

use std::sync::Arc;

use hoody_core::time::Timestamp;
use hoody_engine::feed::{Cut, Step};
use hoody_engine::nodes::store;

use super::Service;
use crate::events::live;

impl Service {
    /// Moves the clock on by `millis`.
    pub fn advance(&self, millis: i64) {
        self.engine().clock.advance(millis);
    }

    /// The time that requests see.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.engine().clock.now()
    }

    /// Reads the feed once, as every node does all the time; whether it could.
    pub async fn poll(&self) -> bool {
        self.engine().feed.poll().await.is_ok() && live::tell_all(&self.nouns.events).await.is_ok()
    }

    /// Calls `hook` at each step of each mutation; what it answers happens to the database.
    pub fn at_each_step<F>(&self, hook: impl Fn(Step) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Cut> + Send + 'static,
    {
        self.engine().feed.at_each_step(Arc::new(move |step| Box::pin(hook(step))));
    }

    /// Puts `hook` between each cold read and the cache.
    pub fn hold_cold_reads<F>(&self, hook: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.engine().grants.hold_cold_reads(Arc::new(move || Box::pin(hook())));
    }

    /// How many grants are in the cache.
    #[must_use]
    pub fn cached(&self) -> usize {
        self.engine().grants.cached()
    }

    /// Says that this node is alive and renews its leases.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn beat(&self) {
        assert_eq!(self.try_beat().await, None);
    }

    /// Says so, if it can; else why not.
    pub async fn try_beat(&self) -> Option<String> {
        self.engine().nodes.beat().await.err().map(|error| error.to_string())
    }

    /// Says that this node ends.
    pub async fn leave(&self) {
        self.engine().nodes.leave().await;
    }

    /// Which taking of the lease `name` this node has.
    ///
    /// # Panics
    /// When another one has it.
    pub async fn lease_term(&self, name: &'static str) -> i64 {
        self.engine().nodes.hold(name).await.expect("an answer").expect("the lease").term()
    }

    /// Whether this node holds or can take the lease `name`; with `confirms`, also inside a transaction.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn holds(&self, name: &'static str, confirms: bool) -> bool {
        let lease = self.engine().nodes.hold(name).await.expect("a lease or none");
        match lease {
            Some(lease) if confirms => {
                let mut tx = self.engine().db.begin().await.expect("a transaction");
                lease.confirm(&mut tx).await.expect("an answer")
            }
            lease => lease.is_some(),
        }
    }

    /// The nodes that are known: whether each is alive, and what it says it has applied.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn nodes(&self) -> Vec<(bool, i64)> {
        let listed = store::list(&self.engine().db).await.expect("a list");
        let now = self.now();
        listed.iter().map(|node| (node.is_alive(now), node.applied)).collect()
    }
}
