//! Master keys that follow one another.

use hoody_engine::keys::sealed::KeyColumn;

use super::Service;
use crate::rotation::rotate::{self, Kept, Promotion};
use crate::rotation::{bound, reseal, watch};

impl Service {
    /// Reads the key file again and follows what the database says of the keys, as every node does each
    /// second; what is wrong, if anything.
    pub async fn refresh_keys(&self) -> Option<String> {
        watch::refresh(&self.nouns.rotation).await.err().map(|error| format!("{error:#}"))
    }

    /// The ids of the keys that this node has, the one that seals and signs first.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.engine().keys.ids()
    }

    /// Adds a key to the file, as `hoody admin keys rotate` does first; its id.
    ///
    /// # Errors
    /// What it says when it cannot.
    pub async fn add_key(&self) -> Result<String, String> {
        let added = rotate::add(&self.nouns.rotation).await;
        added.map(|(id, _)| id.to_string()).map_err(|error| format!("{error:#}"))
    }

    /// Puts the key `id` in force, as `hoody admin keys rotate` does then; the nodes that do not have it.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn promote_key(&self, id: &str) -> Vec<String> {
        match rotate::promote(&self.nouns.rotation, id.parse().expect("a key's id")).await.expect("an answer")
        {
            Promotion::Done => Vec::new(),
            Promotion::WaitsFor(nodes) => nodes,
            Promotion::DoesNotWait => vec!["it does not wait".to_owned()],
        }
    }

    /// Moves sealed values to the key in force: how many moved, were set meanwhile, and do not open.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn reseal(&self) -> Result<(u64, u64, u64), String> {
        let moved = reseal::pass(&self.nouns.rotation).await.map_err(|error| error.to_string())?;
        Ok((moved.moved, moved.overtaken, moved.broken))
    }

    /// What hangs on the key `id`, in words.
    ///
    /// # Panics
    /// When the database fails or does not know the key.
    pub async fn hanging(&self, id: &str) -> String {
        let counted = bound::count_each(&self.engine().db, &self.nouns.rotation.sealed, self.now())
            .await
            .expect("a count");
        let found = counted.iter().find(|(known, _)| known.id.to_string() == id);
        found.expect("a key of the database").1.in_words()
    }

    /// Retires the key `id`; why not.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn retire_key(&self, id: &str) -> Result<(), String> {
        let id = id.parse().expect("a key's id");
        match rotate::retire(&self.nouns.rotation, id).await.expect("an answer") {
            Ok(()) => Ok(()),
            Err(Kept::Hanging(hanging)) => Err(hanging.in_words()),
            Err(kept) => Err(format!("{kept:?}")),
        }
    }

    /// Ends what hangs on the key `id` and cannot be moved: kind, name and account of each.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn end_what_hangs(&self, id: &str) -> Vec<String> {
        let id = id.parse().expect("a key's id");
        let named = rotate::list_named(&self.nouns.rotation, id).await.expect("a list");
        rotate::end(&self.nouns.rotation, id, &named).await.expect("an end");
        named.iter().map(|one| format!("{:?} {} of {}", one.kind, one.name, one.username)).collect()
    }

    /// `table.column` of every column that is known to name a master key.
    #[must_use]
    pub fn key_columns() -> Vec<String> {
        let named = |table: &str, columns: &[&str]| {
            columns.iter().map(|column| format!("{table}.{column}")).collect::<Vec<_>>()
        };
        let sealed = crate::nouns::sealed().into_iter().filter_map(|sealed| match sealed.key {
            KeyColumn::Named(column) => Some(format!("{}.{column}", sealed.table)),
            KeyColumn::InValue => None,
        });
        let mut all: Vec<String> =
            bound::KINDS.iter().flat_map(|(_, table, columns)| named(table, columns)).collect();
        all.extend(sealed);
        all.push(bound::SIGNED.to_owned());
        all.sort();
        all.dedup();
        all
    }
}

/// Whom a signed identity names, if one of the published keys (JSON of `/meta/public-key`) made it for this request:
/// method, host and path.
#[must_use]
pub fn verify_identity(
    text: &str,
    keys: &serde_json::Value,
    issuer: &str,
    (method, host, path): (&str, &str, &str),
    now: hoody_core::time::Timestamp,
) -> Option<hoody_doors::identity::Verified> {
    let is_signed = |id: &str, message: &[u8], signature: &[u8; 64]| {
        let key = keys.as_array().into_iter().flatten().find(|key| key["kid"] == id);
        let hex = key.and_then(|key| key["public_key_hex"].as_str()).unwrap_or_default();
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .filter_map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok())
            .collect();
        <[u8; 32]>::try_from(bytes).is_ok_and(|key| hoody_engine::keys::verify(&key, message, signature))
    };
    let expected = hoody_doors::identity::Expected { issuer, method, host, path, now };
    hoody_doors::identity::verify(text, is_signed, &expected).ok().flatten()
}
