//! The file of the operator's own permissions.

use std::path::Path;

use anyhow::Context as _;
use hoody_core::invalid::Invalid;
use hoody_core::permissions::own::File;
use hoody_service::users::first::sentence;
use serde_json::Value;

/// Reads a file of permissions.
///
/// # Errors
/// Names the file and what is wrong in it.
pub(crate) fn read(path: &Path) -> anyhow::Result<File> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
    let value: Value = toml::from_str(&text).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
    File::parse(&value).map_err(|error| match error {
        Invalid::Schema(violations) => {
            let lines = violations.iter().map(|one| format!("  {} {}", one.instance_path, one.message));
            anyhow::anyhow!("{name}:\n{}", lines.collect::<Vec<_>>().join("\n"))
        }
        other => anyhow::anyhow!("{name}: {}", sentence(&other)),
    })
}
