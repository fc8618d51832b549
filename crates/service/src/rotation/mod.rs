//! How one master key follows another: what is in use by each (`bound`), moving sealed values to the key in
//! force (`reseal`), putting a key in force and retiring one (`rotate`), and following all that while the server
//! runs (`watch`). The keys themselves are the engine's.

pub mod bound;
pub mod reseal;
pub mod rotate;
pub mod watch;

use std::sync::Arc;

use hoody_engine::clock::Clock;
use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::feed::Feed;
use hoody_engine::grants::Grants;
use hoody_engine::keys::sealed::Sealed;
use hoody_engine::keys::{KeySource, Keys};
use hoody_engine::nodes::Nodes;
use hoody_engine::tasks::{Need, Tasks};

/// What it takes to follow the master keys.
#[derive(Debug)]
pub struct Rotation {
    pub(crate) db: Db,
    pub(crate) keys: Arc<Keys>,
    /// Where the master keys are read from, again and again.
    pub key_source: KeySource,
    pub(crate) clock: Clock,
    pub(crate) feed: Feed,
    pub(crate) nodes: Nodes,
    pub(crate) grants: Arc<Grants>,
    /// The sealed columns of all nouns.
    pub sealed: Vec<&'static Sealed>,
}

impl Rotation {
    /// Rotation of the keys under which these columns are sealed.
    #[must_use]
    pub fn new(engine: &Engine, sealed: Vec<&'static Sealed>) -> Arc<Self> {
        engine.keys.know_columns(sealed.iter().map(|column| (column.table, column.column)).collect());
        Arc::new(Self {
            db: engine.db.clone(),
            keys: Arc::clone(&engine.keys),
            key_source: engine.key_source.clone(),
            clock: engine.clock.clone(),
            feed: engine.feed.clone(),
            nodes: engine.nodes.clone(),
            grants: Arc::clone(&engine.grants),
            sealed,
        })
    }

    /// Follows the master keys for as long as the process lives.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        let rotation = Arc::clone(self);
        tasks.supervise("keys", Need::Vital, move || watch::run(Arc::clone(&rotation)));
    }
}
