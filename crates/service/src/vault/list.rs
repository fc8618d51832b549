//! All keys of an account in one realm, read and opened a page at a time.

use std::sync::Arc;

use hoody_core::id::{RealmId, UserId};

use super::{Entry, Vault, store};
use hoody_engine::db::Db;
use hoody_engine::error::Error;
use hoody_engine::keys::Keys;
use hoody_engine::web::list::{PAGE, Pages};
use hoody_engine::work;

/// How many keys a page has at most.
const MOST_KEYS: usize = 500;

/// The keys by name. One that is set or deleted meanwhile is shown as it was, as it is, or not at all.
#[derive(Debug)]
pub struct KeyList {
    db: Db,
    keys: Arc<Keys>,
    account: UserId,
    realm: Option<RealmId>,
    /// The last name that was shown.
    after: String,
    is_over: bool,
}

impl KeyList {
    pub fn new(vault: &Vault, account: UserId, realm: Option<RealmId>) -> Self {
        let (db, keys) = (vault.db.clone(), Arc::clone(&vault.keys));
        Self { db, keys, account, realm, after: String::new(), is_over: false }
    }

    /// The keys of the next page, and how many bytes of metadata they have. How many there are is decided by
    /// what they weigh, before any is read.
    async fn read(&mut self) -> Result<(Vec<Entry>, usize), Error> {
        let (db, account, realm) = (&self.db, self.account, self.realm);
        let most = i64::try_from(MOST_KEYS).unwrap_or(i64::MAX);
        let next = store::weigh_entries(db, account, realm, &self.after, most).await?;
        let mut bytes = 0;
        let mut fitting = 0_usize;
        for (_, weight) in &next {
            bytes += usize::try_from(*weight).unwrap_or(0);
            if fitting > 0 && bytes > PAGE {
                break;
            }
            fitting += 1;
        }
        let Some((last, _)) = next.get(fitting.saturating_sub(1)) else {
            self.is_over = true;
            return Ok((Vec::new(), 0));
        };
        let between = (self.after.as_str(), last.as_str());
        let entries = store::list_entries(db, account, realm, between, most).await?;
        self.is_over = fitting == next.len() && next.len() < MOST_KEYS;
        self.after.clone_from(last);
        Ok((entries, bytes))
    }
}

impl Pages for KeyList {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let (entries, bytes) = self.read().await?;
        if entries.is_empty() && self.is_over {
            return Ok(None);
        }
        let keys = Arc::clone(&self.keys);
        work::run(bytes, move || write(&keys, &entries)).await?.map(Some)
    }
}

fn write(keys: &Keys, entries: &[Entry]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    for entry in entries {
        if !out.is_empty() {
            out.push(b',');
        }
        let metadata = entry.open_metadata(keys)?;
        entry.write(metadata.as_ref().map(|json| json.as_slice()), &mut out);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use hoody_core::time::Timestamp;
    use hoody_core::wire;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_written_as_the_wire_has_it() {
        let at = Timestamp::from_millis(1_772_442_942_118);
        for (realm, metadata) in [
            (None, None),
            (Some(RealmId::from_bytes([7; 12])), Some(json!({"a": [1, {"b": "}"}], "c": null}))),
        ] {
            let entry = Entry {
                id: hoody_core::id::Id::from_bytes([1; 12]),
                account: UserId::from_bytes([2; 12]),
                realm,
                name: "db.password_1-x".to_owned(),
                value: hoody_core::id::Id::from_bytes([3; 12]),
                pieces: 1,
                value_bytes: 5,
                size_bytes: 1_005,
                metadata: None,
                created_at: at,
                updated_at: at.plus(1),
            };
            let mut out = Vec::new();
            let json = metadata.as_ref().map(ToString::to_string);
            entry.write(json.as_ref().map(String::as_bytes), &mut out);
            let read: wire::VaultKey = serde_json::from_slice(&out).unwrap();
            let expected = wire::VaultKey {
                key: entry.name.clone(),
                realm_id: realm,
                metadata: metadata.and_then(|metadata| metadata.as_object().cloned()),
                size_bytes: 1_005,
                created_at: at,
                updated_at: at.plus(1),
            };
            assert_eq!(read, expected);
        }
    }
}
