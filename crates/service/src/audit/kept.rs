//! Checkpoints outside the database: as they are handed out, and the last one that this node keeps in its
//! data directory. Whoever can write the database can empty the log and let it be sealed anew; not so that
//! it agrees with a checkpoint elsewhere.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use hoody_core::audit::{Checkpoint, Link};
use hoody_core::secret_text::without_mark;
use hoody_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Audit;
use super::store::Signed;
use hoody_engine::files::write_whole;

/// A checkpoint as it is handed out.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HandedOut {
    database_id: String,
    rows: i64,
    position: i64,
    at: Timestamp,
    link: String,
    key_id: String,
    mac: String,
}

/// Where this node keeps the last one.
pub fn file(audit: &Audit) -> PathBuf {
    audit.data_dir.join("audit-checkpoint.json")
}

/// The text that is handed out.
pub fn text(audit: &Audit, signed: &Signed) -> anyhow::Result<String> {
    let Signed { checkpoint, key, mac } = signed;
    let handed_out = HandedOut {
        database_id: hex(audit.keys.database_id()),
        rows: checkpoint.n,
        position: checkpoint.pos,
        at: checkpoint.at,
        link: checkpoint.link.to_string(),
        key_id: key.to_string(),
        mac: hex(mac),
    };
    Ok(serde_json::to_string_pretty(&handed_out)? + "\n")
}

/// The checkpoint in a file.
///
/// # Errors
/// When there is none, or it is not of this database or not signed by this server.
pub fn read(audit: &Audit, file: &Path) -> anyhow::Result<Signed> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    let read: HandedOut = serde_json::from_str(without_mark(&text))
        .with_context(|| format!("{name} is not what `hoody audit checkpoint` prints"))?;
    if read.database_id != hex(audit.keys.database_id()) {
        bail!("{name} is of another database: {}", read.database_id);
    }
    let bytes = |field: &str, text: &str| {
        unhex(text).with_context(|| format!("{name}: {field} must be 64 hex digits"))
    };
    let checkpoint = Checkpoint {
        n: read.rows,
        pos: read.position,
        at: read.at,
        link: Link::from_bytes(bytes("link", &read.link)?),
    };
    let key = read.key_id.parse().with_context(|| format!("{name}: key_id"))?;
    let mac = bytes("mac", &read.mac)?;
    let signer = audit.keys.checkpoint_keys().into_iter().find(|known| known.id() == key);
    if signer.is_some_and(|signer| !signer.verifies(&checkpoint, &mac)) {
        bail!("{name} was changed: it is not signed by this server");
    }
    Ok(Signed { checkpoint, key, mac })
}

/// Writes a checkpoint into the data directory.
///
/// # Errors
/// When the file cannot be written.
pub(super) async fn write(audit: &Audit, signed: &Signed) -> anyhow::Result<()> {
    let (path, text) = (file(audit), text(audit, signed)?);
    let name = path.display().to_string();
    // Its disk may be slow, and requests are answered on this thread.
    tokio::task::spawn_blocking(move || write_whole(&path, text.as_bytes()))
        .await?
        .with_context(|| format!("{name} cannot be written"))
}

/// Lowercase hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
