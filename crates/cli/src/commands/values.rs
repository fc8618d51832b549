//! Values that the flags of several groups have.

use hoody_client::id::RealmId;

/// Realms given in one flag.
#[derive(Debug, Clone)]
pub(crate) struct RealmIds(Vec<RealmId>);

impl RealmIds {
    /// All of them together; `None` when the flag was not given.
    pub(crate) fn joined(given: &[Self]) -> Option<Vec<RealmId>> {
        (!given.is_empty()).then(|| given.iter().flat_map(|ids| ids.0.iter().copied()).collect())
    }
}

/// Realms separated by commas.
pub(crate) fn realm_ids(text: &str) -> Result<RealmIds, String> {
    let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
    let ids = ids.map(|id| id.parse().map_err(|error| format!("{id:?}: {error}")));
    ids.collect::<Result<_, _>>().map(RealmIds)
}

/// Text, or nothing for `null` and the empty text.
pub(crate) fn nullable(text: &str) -> Option<String> {
    (!matches!(text, "" | "null" | "none")).then(|| text.to_owned())
}
