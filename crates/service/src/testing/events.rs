//! Events, and what follows from them: webhooks and alerts.

use std::net::SocketAddr;
use std::sync::Arc;

use hoody_core::address::AddressList;

use super::Service;
use crate::alerts::{evaluator, watch};
use crate::events::{activity, projector};
use crate::webhooks::sender;

impl Service {
    /// Reads the feed once and brings the history of events up to it; what stopped it, if anything.
    pub async fn project(&self) -> Option<String> {
        self.poll().await;
        projector::project_all(&self.nouns.events).await.err().map(|error| format!("{error:?}"))
    }

    /// Tells the streams that ask for it what is new in the request log; whether any does.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn tell_activity(&self) -> bool {
        activity::tell_new(&self.nouns.events).await.expect("the log can be read")
    }

    /// Ends every event stream, as the end of the process does.
    pub fn stop_streams(&self) {
        self.nouns.events.stop_streams();
    }

    /// Removes the events that are too old.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn sweep_events(&self) {
        projector::sweep_all(&self.nouns.events).await.expect("the sweep");
    }

    /// Sends every webhook that is due; how many attempts that were.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn send_webhooks(&self) -> usize {
        sender::send_due(&self.nouns.webhooks).await.expect("the sender")
    }

    /// Lets webhooks go to these networks too.
    ///
    /// # Panics
    /// When they are none.
    pub fn allow_webhooks(&self, allowed: &str) {
        self.nouns.webhooks.egress.allow(AddressList::parse_entries([allowed]).expect("a network"));
    }

    /// Has the names of webhooks' hosts answered by `lookup`.
    pub fn look_up_with(&self, lookup: impl Fn(String) -> Vec<SocketAddr> + Send + Sync + 'static) {
        self.nouns.webhooks.egress.look_up_with(Arc::new(move |name| {
            let found = lookup(name);
            Box::pin(async move { Ok(found) })
        }));
    }

    /// Removes deliveries that are over and old, as happens now and then.
    pub async fn sweep_webhooks(&self) {
        sender::sweep(Arc::clone(&self.nouns.webhooks)).await;
    }

    /// Stores what waits for the request log, and judges all that is new; false when that is another node's
    /// task.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn evaluate(&self) -> bool {
        assert!(self.flush_activity().await, "the log can be written");
        self.poll().await;
        loop {
            match evaluator::evaluate(&self.nouns.alerts).await.expect("the evaluator") {
                Some(true) => {}
                Some(false) => return true,
                None => return false,
            }
        }
    }

    /// Tries to judge what is new; the error when that fails.
    pub async fn try_evaluate(&self) -> Option<String> {
        self.poll().await;
        let result = evaluator::evaluate(&self.nouns.alerts).await;
        result.err().map(|error| format!("{error:?}"))
    }

    /// Looks once for what time brings about: tokens that are about to expire, or that nobody uses.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn look_for_alerts(&self) {
        watch::look(&self.nouns.alerts).await.expect("the look at the time");
    }
}
