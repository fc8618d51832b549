//! What this node vouches for: the end of the log as it was last signed, here or by another node. Whoever can write
//! the database can write any log into it, and no signature. So nothing is sealed after a row that is not the one
//! that the last signature names.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hoody_core::audit::Link;
use hoody_core::keys::KeyId;

use super::store::{self, End, Signed};
use super::{Audit, kept};
use hoody_engine::db::{DbError, On, Tx};

/// What is known of the log beside the database.
#[derive(Debug, Default)]
pub struct Vouched {
    /// Held while this node seals.
    pub(super) known: tokio::sync::Mutex<Known>,
    refusal: Mutex<Option<String>>,
    /// Whether the file could not be written the last time.
    is_unkept: AtomicBool,
}

/// The newest checkpoint that this node signed or found signed.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Whether the file was read, or is not there.
    is_read: bool,
    /// `None` where there is nothing yet: before the first checkpoint.
    pub(super) signed: Option<Signed>,
    /// What the file has: the number of the last row, and who signed.
    kept: Option<(i64, KeyId)>,
}

/// Why nothing is sealed.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    #[error(transparent)]
    Db(#[from] DbError),
    /// The log is not the one that was signed.
    #[error("{0}")]
    Refused(String),
}

impl Vouched {
    /// Why this node does not sign the log as it is, if it does not.
    pub fn refusal(&self) -> Option<String> {
        self.lock().clone()
    }

    /// Remembers it; whether it is another than before.
    pub(super) fn set_refusal(&self, refusal: Option<&str>) -> bool {
        metrics::gauge!("hoody_audit_vouched").set(f64::from(u8::from(refusal.is_none())));
        let before = std::mem::replace(&mut *self.lock(), refusal.map(str::to_owned));
        before.as_deref() != refusal
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn n(&self) -> i64 {
        self.signed.map_or(0, |signed| signed.checkpoint.n)
    }

    /// Reads what this node kept, the first time. When the operator moved the file away after a refusal, the log is
    /// accepted as it was last signed.
    pub(super) async fn read(&mut self, audit: &Audit) -> Result<(), Stop> {
        let file = kept::file(audit);
        if audit.vouched.refusal().is_some() && !file.exists() {
            *self = Self::default();
        }
        if self.is_read {
            return Ok(());
        }
        if file.exists() {
            let kept = kept::read(audit, &file);
            let kept = kept.map_err(|error| refused(audit, &hoody_engine::error::in_full(&error)))?;
            self.kept = Some((kept.checkpoint.n, kept.key));
            self.signed = Some(kept);
        }
        self.is_read = true;
        Ok(())
    }

    /// Takes note of the log's last checkpoint, if it goes on from the one that is known: another node signed it, or
    /// this one did and did not hear that it was committed.
    pub(super) async fn follow(
        &mut self,
        audit: &Audit,
        mut on: On<'_>,
        last: Option<Signed>,
    ) -> Result<(), Stop> {
        if let Some(known) = self.signed.map(|signed| signed.checkpoint)
            && store::find_link(on.again(), known.n).await? != Some(known.link)
        {
            return Err(gone(audit, self));
        }
        let n = self.n();
        let Some(last) = last.filter(|last| last.checkpoint.n >= n) else { return Ok(()) };
        let Some(signer) = audit.keys.checkpoint_keys().into_iter().find(|key| key.id() == last.key) else {
            // Of a key that is not here yet, or no more. Nothing is sealed after it here.
            return Ok(());
        };
        let at = last.checkpoint.at;
        if !signer.verifies(&last.checkpoint, &last.mac) {
            return Err(refused(audit, "its last checkpoint was not signed by this server"));
        }
        if store::find_link(on, last.checkpoint.n).await? != Some(last.checkpoint.link) {
            return Err(refused(
                audit,
                &format!("row {} is not the one that was signed at {at}", last.checkpoint.n),
            ));
        }
        self.signed = Some(last);
        Ok(())
    }

    /// The end of the log, inside the transaction that seals after it: exactly what is vouched for.
    pub(super) async fn end(&self, audit: &Audit, tx: &mut Tx) -> Result<Option<End>, Stop> {
        let end = store::find_end(&mut *tx).await?;
        let n = end.map_or(0, |end| end.n);
        let signed = self.signed.map(|signed| signed.checkpoint);
        match (signed, end) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(refused(audit, &format!("none of its {n} rows is signed"))),
            (Some(signed), Some(end)) if signed.n == n && signed.link == end.link => {}
            (Some(signed), Some(_)) if signed.n < n => {
                return Err(refused(audit, &format!("the rows after {} are not signed", signed.n)));
            }
            (Some(_), _) => return Err(gone(audit, self)),
        }
        // Place and content of the last row are what its link says: where sealing goes on hangs on them.
        let rows = store::list_after(&mut *tx, n - 2, n).await?;
        let first = Link::first(audit.keys.database_id());
        let before = if n == 1 { Some(first) } else { rows.first().map(|(_, link)| *link) };
        let is_whole =
            matches!((before, rows.last()), (Some(before), Some((last, link))) if before.next(last) == *link);
        if !is_whole {
            return Err(refused(
                audit,
                &format!("row {n} or the one before it was changed after it was signed"),
            ));
        }
        Ok(end)
    }

    /// Keeps what is vouched for beside the database, unless the file says so already.
    pub(super) async fn keep(&mut self, audit: &Audit) {
        let Some(signed) = self.signed else { return };
        let kept = Some((signed.checkpoint.n, signed.key));
        if self.kept == kept {
            return;
        }
        let written = kept::write(audit, &signed).await;
        if written.is_ok() {
            self.kept = kept;
        }
        if let Err(error) = &written
            && !audit.vouched.is_unkept.load(Ordering::Relaxed)
        {
            tracing::error!(
                "the audit log's last checkpoint is not kept beside the database: {}",
                hoody_engine::error::in_full(error)
            );
        }
        audit.vouched.is_unkept.store(written.is_err(), Ordering::Relaxed);
    }
}

/// The row that is vouched for is not there any more, or another.
fn gone(audit: &Audit, known: &Known) -> Stop {
    let at = known.signed.map(|signed| signed.checkpoint.at.to_string()).unwrap_or_default();
    refused(audit, &format!("it does not go on from its {} rows that were signed at {at}", known.n()))
}

fn refused(audit: &Audit, why: &str) -> Stop {
    Stop::Refused(format!(
        "the audit log is not sealed: {why}. It was rewritten, or an older database is in its place. `hoody audit verify` \
         says more; to accept the log as it was last signed, move {} away",
        kept::file(audit).display()
    ))
}
