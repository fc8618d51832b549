//! The audit chain: one hash for each row of the log, over the row and the hash before it, and signed
//! checkpoints over the whole until now.
//!
//! ```text
//! link 0 = SHA-256( "hoody/audit/1" · database id )
//! link n = SHA-256( link n−1 · row n )
//! checkpoint = HMAC-SHA-256( key "audit-checkpoint", "hoody/audit-checkpoint/1" · database id · n · … · link n )
//! ```
//!
//! Every part is written with its length before it, as eight bytes, the most significant first, so that no
//! two rows give the same bytes. The hash needs no key: whoever has an export can follow it. The signature
//! needs the master key: who only has the database cannot make one for a history of their own. It is an
//! HMAC and no Ed25519 signature, because whoever verifies it has the server's keys anyway, and what was
//! handed out earlier is compared, not trusted.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::keys::{KeyId, MacKey, MasterKey};
use crate::time::Timestamp;

/// The hash that stands for a row and all before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Link([u8; 32]);

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1, without gaps.
    pub n: i64,
    /// Its place in the change feed: the position, and its number among the rows there.
    pub place: (i64, i64),
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: String,
    /// Whose it is: 12 bytes.
    pub account: Vec<u8>,
    /// What kind of actor did it.
    pub actor_kind: String,
    /// Which one.
    pub actor: Option<Vec<u8>>,
    /// What kind of thing it happened to.
    pub resource_kind: String,
    /// Which one.
    pub resource: Vec<u8>,
    /// In which realms, as ids with commas between.
    pub realms: String,
    /// What more is told of it: JSON, byte for byte as it is stored.
    pub payload: String,
}

/// What a checkpoint says: up to row `n`, the log is the one that ends with `link`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The number of the last row.
    pub n: i64,
    /// The feed's position of that row.
    pub pos: i64,
    /// When it was sealed.
    pub at: Timestamp,
    /// The last row's hash.
    pub link: Link,
}

/// The key that signs checkpoints, of one master key. Cannot be printed.
#[derive(Clone)]
pub struct CheckpointKey {
    id: KeyId,
    database_id: Vec<u8>,
    mac: MacKey,
}

/// Follows a chain, row by row.
#[derive(Debug, Clone)]
pub struct Walk {
    link: Link,
    n: i64,
    place: (i64, i64),
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Rows before it are not there.
    #[error("rows {0} to {1} are missing")]
    Missing(
        /// The first of them.
        i64,
        /// The last of them.
        i64,
    ),
    /// It stands before a row that comes before it in the feed.
    #[error("the row is not in its place: it comes before the row in front of it")]
    OutOfOrder,
    /// It is not the row that was sealed there, or was put in later.
    #[error("the row was changed or put in after it was sealed")]
    Changed,
    /// The feed had rows before it that were taken out before they were sealed.
    #[error("positions of the feed before it were taken out before they were sealed")]
    FeedGap,
}

impl Walk {
    /// At the chain's beginning, in the database with this id.
    #[must_use]
    pub fn new(database_id: &[u8]) -> Self {
        Self { link: Link::first(database_id), n: 0, place: (0, 0) }
    }

    /// On to `entry`, which is stored with the link `stored`. After a fault the walk goes on from what is
    /// stored, so that one changed row is one fault.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn step(&mut self, entry: &Entry, stored: Link) -> Result<(), Fault> {
        let before = std::mem::replace(self, Self { link: stored, n: entry.n, place: entry.place });
        let follows = [(before.place.0, before.place.1 + 1), (before.place.0 + 1, 0)].contains(&entry.place);
        if entry.n > before.n + 1 {
            Err(Fault::Missing(before.n + 1, entry.n - 1))
        } else if entry.n <= before.n || entry.place <= before.place {
            Err(Fault::OutOfOrder)
        } else if before.link.next(entry) != stored {
            Err(Fault::Changed)
        } else if !follows {
            Err(Fault::FeedGap)
        } else {
            Ok(())
        }
    }

    /// The number of the last row.
    #[must_use]
    pub const fn n(&self) -> i64 {
        self.n
    }

    /// Its place in the feed.
    #[must_use]
    pub const fn place(&self) -> (i64, i64) {
        self.place
    }

    /// Its link.
    #[must_use]
    pub const fn link(&self) -> Link {
        self.link
    }
}

/// Writes parts with their lengths before them.
struct Parts(Sha256);

impl Parts {
    fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    fn number(&mut self, number: i64) {
        self.add(&number.to_be_bytes());
    }
}

impl Link {
    /// Where the chain of the database with this id begins.
    #[must_use]
    pub fn first(database_id: &[u8]) -> Self {
        let mut parts = Parts(Sha256::new());
        parts.add(b"hoody/audit/1");
        parts.add(database_id);
        Self(parts.0.finalize().into())
    }

    /// The link of the row that comes after the row of this one.
    #[must_use]
    pub fn next(&self, entry: &Entry) -> Self {
        let mut parts = Parts(Sha256::new());
        parts.add(&self.0);
        parts.number(entry.n);
        parts.number(entry.place.0);
        parts.number(entry.place.1);
        parts.number(entry.at.millis());
        parts.add(entry.event.as_bytes());
        parts.add(&entry.account);
        parts.add(entry.actor_kind.as_bytes());
        // No actor is not an actor without a name.
        parts.number(i64::from(entry.actor.is_some()));
        parts.add(entry.actor.as_deref().unwrap_or_default());
        parts.add(entry.resource_kind.as_bytes());
        parts.add(&entry.resource);
        parts.add(entry.realms.as_bytes());
        parts.add(entry.payload.as_bytes());
        Self(parts.0.finalize().into())
    }

    /// The link with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl CheckpointKey {
    /// The key of `master` in the database with this id.
    #[must_use]
    pub fn derive(master: &MasterKey, database_id: &[u8]) -> Self {
        let mac = master.derive(database_id, "audit-checkpoint");
        Self { id: master.id(), database_id: database_id.to_owned(), mac }
    }

    /// The name of its master key.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Signs a checkpoint.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> [u8; 32] {
        self.mac.mac(&self.message(checkpoint))
    }

    /// Whether `signature` is of this checkpoint, by this key; in constant time.
    #[must_use]
    pub fn verifies(&self, checkpoint: &Checkpoint, signature: &[u8; 32]) -> bool {
        self.mac.verifies(&self.message(checkpoint), signature)
    }

    fn message(&self, checkpoint: &Checkpoint) -> Vec<u8> {
        let Checkpoint { n, pos, at, link } = checkpoint;
        let numbers = [n.to_be_bytes(), pos.to_be_bytes(), at.millis().to_be_bytes()];
        let parts = [
            &b"hoody/audit-checkpoint/1"[..],
            &self.database_id,
            &numbers[0],
            &numbers[1],
            &numbers[2],
            link.bytes(),
            self.id.bytes(),
        ];
        let mut message = Vec::with_capacity(192);
        for part in parts {
            message.extend((part.len() as u64).to_be_bytes());
            message.extend(part);
        }
        message
    }
}

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckpointKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            n: 1,
            place: (7, 0),
            at: Timestamp::from_millis(1_772_442_942_118),
            event: "auth.token.created".to_owned(),
            account: vec![1; 12],
            actor_kind: "session".to_owned(),
            actor: Some(vec![2; 12]),
            resource_kind: "auth_token".to_owned(),
            resource: vec![3; 12],
            realms: String::new(),
            payload: r#"{"alias":"ci"}"#.to_owned(),
        }
    }

    /// The chain is read by other programs: what these bytes are never changes.
    #[test]
    fn the_links_are_these() {
        let first = Link::first(b"database");
        assert_eq!(first.to_string(), LINK_0);
        let one = first.next(&entry());
        assert_eq!(one.to_string(), LINK_1);
        let two = one.next(&Entry { n: 2, place: (8, 0), actor: None, ..entry() });
        assert_eq!(two.to_string(), LINK_2);
    }
    const LINK_0: &str = "090a72b17e9cd3850ad8fa3bbcb292433fd2110e5129e21cb292a74606d1a5f0";
    const LINK_1: &str = "312ed06b8e48949f233657a20c2bfdd7b99fc31573b7e36a5ed8d7072bc647e0";
    const LINK_2: &str = "e809f1a888f2fc6eb3b99b1ac76ff324a82e535b52cc73c6da1d17398d995cd4";

    #[test]
    fn every_part_of_a_row_and_all_before_it_count() {
        let before = Link::first(b"database");
        let link = before.next(&entry());
        let others = [
            Entry { n: 2, ..entry() },
            Entry { place: (8, 0), ..entry() },
            Entry { place: (7, 1), ..entry() },
            Entry { at: Timestamp::from_millis(0), ..entry() },
            Entry { event: "auth.token.deleted".to_owned(), ..entry() },
            Entry { account: vec![9; 12], ..entry() },
            Entry { actor_kind: "token".to_owned(), ..entry() },
            Entry { actor: None, ..entry() },
            Entry { actor: Some(Vec::new()), ..entry() },
            Entry { resource_kind: "project".to_owned(), ..entry() },
            Entry { resource: vec![9; 12], ..entry() },
            Entry { realms: "aaaaaaaaaaaaaaaaaaaaaaaa".to_owned(), ..entry() },
            Entry { payload: "{}".to_owned(), ..entry() },
            // What moves from one part into the next.
            Entry { event: "auth.token.create".to_owned(), account: b"d".repeat(13), ..entry() },
        ];
        let mut links: Vec<String> = others.iter().map(|other| before.next(other).to_string()).collect();
        links.push(link.to_string());
        links.push(Link::first(b"another").next(&entry()).to_string());
        links.sort();
        links.dedup();
        assert_eq!(links.len(), others.len() + 2);
    }

    /// Rows 1 to 6 at positions 1, 2, 2, 3, 4, 5 with their links.
    fn chain() -> Vec<(Entry, Link)> {
        let mut link = Link::first(b"database");
        let places = [(1, 0), (2, 0), (2, 1), (3, 0), (4, 0), (5, 0)];
        let rows = (1..).zip(places).map(|(n, place)| {
            let entry = Entry { n, place, payload: n.to_string(), ..entry() };
            link = link.next(&entry);
            (entry, link)
        });
        rows.collect()
    }

    fn faults(rows: &[(Entry, Link)]) -> Vec<(i64, Fault)> {
        let mut walk = Walk::new(b"database");
        rows.iter().filter_map(|(entry, link)| Some((entry.n, walk.step(entry, *link).err()?))).collect()
    }

    #[test]
    fn a_chain_that_nobody_touched_is_walked_to_its_end() {
        let rows = chain();
        assert_eq!(faults(&rows), []);
        let mut walk = Walk::new(b"database");
        for (entry, link) in &rows {
            walk.step(entry, *link).unwrap();
        }
        assert_eq!((walk.n(), walk.place(), walk.link()), (6, (5, 0), rows[5].1));
    }

    #[test]
    fn every_tampering_is_found_where_it_is() {
        let mut changed = chain();
        changed[2].0.payload = "0".to_owned();
        assert_eq!(faults(&changed), [(3, Fault::Changed)]);
        let mut relinked = chain();
        relinked[2].1 = relinked[1].1.next(&Entry { payload: "0".to_owned(), ..relinked[2].0.clone() });
        relinked[2].0.payload = "0".to_owned();
        assert_eq!(faults(&relinked), [(4, Fault::Changed)], "the next one was sealed over another");

        let mut missing = chain();
        missing.drain(2..4);
        assert_eq!(faults(&missing), [(5, Fault::Missing(3, 4))]);
        let mut swapped = chain();
        let (one, other) = (swapped[2].0.n, swapped[4].0.n);
        (swapped[2].0.n, swapped[4].0.n) = (other, one);
        swapped.sort_by_key(|(entry, _)| entry.n);
        assert!(
            faults(&swapped).iter().any(|(n, fault)| *n == 4 && *fault == Fault::OutOfOrder),
            "{:?}",
            faults(&swapped)
        );
        let mut inserted = chain();
        let (mut extra, link) = inserted[2].clone();
        extra.payload = "extra".to_owned();
        for (entry, _) in &mut inserted[3..] {
            entry.n += 1;
        }
        extra.n = 4;
        inserted.insert(3, (extra, link));
        assert_eq!(faults(&inserted)[0].0, 4);
        let mut cut_before_sealing = chain();
        cut_before_sealing.truncate(3);
        let late = Entry { n: 4, place: (5, 0), ..entry() };
        let link = cut_before_sealing[2].1.next(&late);
        cut_before_sealing.push((late, link));
        assert_eq!(faults(&cut_before_sealing), [(4, Fault::FeedGap)]);
    }

    #[test]
    fn a_checkpoint_is_signed_for_its_database_by_its_key() {
        let key = |seed, database: &[u8]| CheckpointKey::derive(&MasterKey::from_bytes([seed; 32]), database);
        let checkpoint = Checkpoint {
            n: 3,
            pos: 2,
            at: Timestamp::from_millis(5),
            link: Link::first(b"database").next(&entry()),
        };
        let signature = key(1, b"database").sign(&checkpoint);
        assert!(key(1, b"database").verifies(&checkpoint, &signature));
        assert!(!key(2, b"database").verifies(&checkpoint, &signature));
        assert!(!key(1, b"another").verifies(&checkpoint, &signature));
        for other in [
            Checkpoint { n: 4, ..checkpoint },
            Checkpoint { pos: 3, ..checkpoint },
            Checkpoint { at: Timestamp::from_millis(6), ..checkpoint },
            Checkpoint { link: Link::first(b"database"), ..checkpoint },
        ] {
            assert!(!key(1, b"database").verifies(&other, &signature), "{other:?}");
        }
        let shown = format!("{:?}", key(1, b"database"));
        assert!(shown.starts_with("CheckpointKey("), "{shown}");
    }
}
