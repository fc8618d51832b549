//! The label of a token: what a service behind a gate is told of it.
//!
//! Most grants are never asked for at a gate and have none. It is read at the first question and kept beside the
//! grant, as long as that is.

use hoody_core::extras::Label;
use hoody_core::grant::Credential;

use super::{COLD_READ_LIMIT, Found, Grants, NoGrant, ReadAt, STALE_READ_LIMIT, store};
use crate::clock::Clock;
use crate::db::Db;

impl Grants {
    /// The label of the token that was found; `None` for a session, and where the token has no text. `since` was
    /// noted before the grant was found: what was forgotten after it gets no label in the cache.
    ///
    /// # Errors
    /// [`NoGrant::Unavailable`] when the database does not answer in time, [`NoGrant::Unknown`] when the token was
    /// deleted meanwhile.
    pub async fn label_of(
        &self,
        found: &Found,
        ReadAt(epoch): ReadAt,
        db: &Db,
        clock: &Clock,
    ) -> Result<Option<Label>, NoGrant> {
        let Credential::Token(token) = found.grant.credential else { return Ok(None) };
        if let Some(label) = found.grant.limits.extras.label() {
            return Ok(Some(label.clone()));
        }
        let is_fresh = self.is_fresh(clock.boot_millis());
        let limit = if is_fresh { COLD_READ_LIMIT } else { STALE_READ_LIMIT };
        let read = tokio::time::timeout(limit, store::find_label(db, token)).await;
        let read = read.map_err(|_| NoGrant::Unavailable)?.map_err(|error| {
            tracing::warn!(%error, "a token's label could not be read");
            NoGrant::Unavailable
        })?;
        let label = read.ok_or(NoGrant::Unknown)?;
        if let Some(label) = label.as_ref().filter(|_| is_fresh) {
            self.cache.put_label(&found.digest, label, epoch);
        }
        Ok(label)
    }
}
