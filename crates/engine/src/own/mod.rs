//! The operator's permissions as this node knows them.
//!
//! The catalogue is read when it is asked for and kept until a notice of the feed says that it changed, as a
//! grant is. It is never read by the tail.

pub mod store;

use std::sync::Arc;

use arc_swap::ArcSwap;
use hoody_core::permissions::own::OwnCatalogue;

use crate::catalogue::catalogue;
use crate::db::{Db, DbError};

/// The catalogue that was read last.
#[derive(Debug, Default)]
pub struct OwnPermissions {
    known: ArcSwap<Known>,
    /// One read for all who wait.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// When nothing that was read before could be used any more; `None` before the first read.
    epoch: Option<u64>,
    catalogue: Arc<OwnCatalogue>,
}

impl OwnPermissions {
    /// What was read last, be it out of date; empty before the first read.
    pub(crate) fn last(&self) -> Arc<OwnCatalogue> {
        Arc::clone(&self.known.load().catalogue)
    }

    /// What `ask` says of the catalogue, if it was read at `epoch`. Allocates nothing and waits for nobody.
    pub(crate) fn with<T>(&self, epoch: u64, ask: impl FnOnce(&OwnCatalogue) -> T) -> Option<T> {
        let known = self.known.load();
        (known.epoch == Some(epoch)).then(|| ask(&known.catalogue))
    }

    /// What was read last, if it was read at `epoch`.
    pub(crate) fn at(&self, epoch: u64) -> Option<Arc<OwnCatalogue>> {
        let known = self.known.load();
        (known.epoch == Some(epoch)).then(|| Arc::clone(&known.catalogue))
    }

    /// Reads it. `epoch` says when it was last forgotten; what is read while that moves is given to the caller and
    /// not kept for others.
    ///
    /// # Errors
    /// When the database fails, or its rows are no catalogue.
    pub(crate) async fn read(
        &self,
        db: &Db,
        epoch: impl Fn() -> u64,
        may_join: bool,
    ) -> Result<Arc<OwnCatalogue>, DbError> {
        let _reading = self.reading.lock().await;
        let began = epoch();
        if may_join && let Some(known) = self.at(began) {
            return Ok(known);
        }
        // A restored database may have another catalogue of the same version: only what is known to be of this
        // database is kept.
        if let Some(known) = self.at(began)
            && store::version(db).await? == known.version()
        {
            return Ok(known);
        }
        let rows = store::read_rows(db).await?;
        let read = OwnCatalogue::new(rows, catalogue()).map_err(|error| {
            tracing::error!(%error, "the operator's permissions in the database are no catalogue");
            DbError::Unreadable("own_permissions")
        })?;
        let read = Arc::new(read);
        self.known.store(Arc::new(Known { epoch: Some(began), catalogue: Arc::clone(&read) }));
        Ok(read)
    }
}
