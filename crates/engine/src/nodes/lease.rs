//! Leases: what only one node may do at a time, is done by the one that holds its lease.
//!
//! A lease is held for a few seconds and renewed with the node's heartbeat; a node that dies lets it run
//! out. Holding one is a hint until it is confirmed inside the transaction that writes
//! ([`Lease::confirm`]): a process that was stopped for a minute believes things of a minute ago.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hoody_core::id::NodeId;
use hoody_core::time::{SECOND, Timestamp};

use super::Nodes;
use crate::db::{DbError, On, Tx, args};

/// How long a lease is held unless it is renewed, in milliseconds.
const HELD_FOR: i64 = 9 * SECOND;

const TAKE: &str = "INSERT INTO leases (name, holder, term, held_until) VALUES ($1, $2, 1, $4) \
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until, \
     term = leases.term + CASE WHEN leases.holder = excluded.holder THEN 0 ELSE 1 END \
     WHERE leases.holder = excluded.holder OR leases.held_until <= $3 RETURNING term";
const RENEW: &str = "UPDATE leases SET held_until = $1 WHERE holder = $2 AND held_until > $3 \
     RETURNING name, term, held_until";
/// The row stays: a term that began again would be taken for the one before.
const RELEASE: &str = "UPDATE leases SET held_until = 0, term = term + 1 WHERE holder = $1";
/// Locks the row too: nobody takes the lease over before this transaction ends.
const CONFIRM: &str =
    "UPDATE leases SET held_until = held_until WHERE name = $1 AND holder = $2 AND term = $3";

/// Leave to do what only one node may do.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    name: &'static str,
    holder: NodeId,
    term: i64,
}

/// What this node holds: name → term and until when.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: Mutex<HashMap<String, (i64, Timestamp)>>,
}

impl Leases {
    fn find(&self, name: &str, now: Timestamp) -> Option<i64> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(name).filter(|(_, until)| now < *until).map(|(term, _)| *term)
    }

    fn insert(&self, name: &str, term: i64, until: Timestamp) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(name.to_owned(), (term, until));
    }

    /// What was renewed; what was lost is gone.
    pub(super) fn replace(&self, renewed: HashMap<String, (i64, Timestamp)>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
    }
}

impl Nodes {
    /// The lease `name`, if this node has it or can take it now. Cheap while it is held.
    ///
    /// # Errors
    /// When the database does not answer; nobody may act then.
    pub async fn hold(&self, name: &'static str) -> Result<Option<Lease>, DbError> {
        let this = &self.0.this;
        let (holder, now) = (this.id, self.0.clock.now());
        if let Some(term) = this.leases.find(name, now) {
            return Ok(Some(Lease { name, holder, term }));
        }
        let has_left = this.has_left.lock().await;
        if *has_left {
            return Ok(None);
        }
        let until = Timestamp::from_millis(now.millis() + HELD_FOR);
        let mut tx = self.0.db.begin().await?;
        let taken = On::from(&mut tx).find(TAKE, args![name, holder, now, until]).await?;
        tx.commit().await?;
        let Some(row) = taken else { return Ok(None) };
        let term = row.get("term")?;
        this.leases.insert(name, term, until);
        Ok(Some(Lease { name, holder, term }))
    }
}

impl Lease {
    /// Which taking of the lease this is: another one when somebody else held it in between.
    pub fn term(&self) -> i64 {
        self.term
    }

    /// Whether the lease is still this node's; if so, nobody else has it before `tx` ends.
    pub async fn confirm(&self, tx: &mut Tx) -> Result<bool, DbError> {
        Ok(tx.execute(CONFIRM, args![self.name, self.holder, self.term]).await? == 1)
    }
}

/// Renews everything that `holder` holds and that has not run out.
pub(super) async fn renew(
    tx: &mut Tx,
    holder: NodeId,
    now: Timestamp,
) -> Result<HashMap<String, (i64, Timestamp)>, DbError> {
    let until = Timestamp::from_millis(now.millis() + HELD_FOR);
    let rows = On::from(tx).list(RENEW, args![until, holder, now]).await?;
    rows.iter().map(|row| Ok((row.get("name")?, (row.get("term")?, row.get("held_until")?)))).collect()
}

/// Gives up everything that `holder` holds.
pub(super) async fn release(tx: &mut Tx, holder: NodeId) -> Result<(), DbError> {
    tx.execute(RELEASE, args![holder]).await.map(|_| ())
}
