//! The operator's permissions, as `hoody admin permissions` changes them.

use hoody_core::permissions::own::{File, Mode};
use serde_json::Value;

use super::Service;
use crate::permissions::apply::Wanted;

impl Service {
    /// Applies a file, given as JSON; the version that came of it, or the refusal.
    ///
    /// # Errors
    /// What the operator is told.
    ///
    /// # Panics
    /// When the file is malformed.
    pub async fn apply_permissions(&self, file: &Value, prune: bool, force: bool) -> Result<u64, String> {
        let file = File::parse(file).expect("a file of permissions");
        let wanted = Wanted::File(file, if prune { Mode::Prune } else { Mode::Apply });
        let changed = self.nouns.permissions.apply(&wanted, force).await;
        changed.map(|changed| changed.after.version).map_err(|error| format!("{error:#}"))
    }
}
