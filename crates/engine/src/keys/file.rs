//! The master key file: read whole, written whole, on disk before anything hangs on it.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use hoody_core::keys::{Keyring, MasterKey};
use rustix::fs::{FlockOperation, flock};

/// Warns of a key file that others can read.
pub fn warn_if_open(path: &Path) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        tracing::warn!(file = %path.display(), "the master key file can be read by others: chmod 600 it");
    }
}

/// Makes a file that is whole and on disk, name and all, or not there: a database that outlives its key
/// is lost, and half a key is none. A file that is there stays as it is.
pub fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let draft = write_draft(path, content)?;
    std::fs::hard_link(&draft, path)?;
    std::fs::remove_file(&draft)?;
    directory_of(path)?.sync_all()
}

/// Changes the keys of the file at `path`; `change` gives `None` where they are right as they are.
/// Two commands at once change it one after the other, and whoever reads it reads the old or the new.
///
/// # Errors
/// When the file cannot be read or written, or what `change` fails with.
pub fn change(
    path: &Path,
    change: impl FnOnce(Keyring) -> anyhow::Result<Option<Keyring>>,
) -> anyhow::Result<()> {
    let name = path.display();
    // Where it is a link, what it points to is what is kept.
    let path = path.canonicalize().with_context(|| format!("the master key file {name} cannot be read"))?;
    let directory = directory_of(&path)?;
    flock(&directory, FlockOperation::LockExclusive)
        .with_context(|| format!("the directory of {name} cannot be locked"))?;
    let content = zeroize::Zeroizing::new(
        std::fs::read(&path).with_context(|| format!("the master key file {name} cannot be read"))?,
    );
    let ring =
        Keyring::parse(&content).with_context(|| format!("the master keys in {name} cannot be used"))?;
    let Some(changed) = change(ring)? else { return Ok(()) };
    let replace = || -> std::io::Result<()> {
        let draft = write_draft(&path, changed.expose_lines().as_bytes())?;
        keep_owner(&path, &draft)?;
        std::fs::rename(&draft, &path)?;
        directory.sync_all()
    };
    replace().with_context(|| format!("the master key file {name} cannot be written"))?;
    // A rename on some network file systems succeeds and shows another file.
    match Keyring::parse(&std::fs::read(&path)?) {
        Ok(read) if read.iter().map(MasterKey::id).eq(changed.iter().map(MasterKey::id)) => Ok(()),
        _ => bail!("the master key file {name} does not hold what was written to it"),
    }
}

fn write_draft(path: &Path, content: &[u8]) -> std::io::Result<PathBuf> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    // One that a crash left behind.
    let _ = std::fs::remove_file(&draft);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(draft.into())
}

/// The operator may be root, the server must still be able to read it.
fn keep_owner(path: &Path, draft: &Path) -> std::io::Result<()> {
    let (old, new) = (std::fs::metadata(path)?, std::fs::metadata(draft)?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        std::os::unix::fs::chown(draft, Some(old.uid()), Some(old.gid()))?;
    }
    Ok(())
}

fn directory_of(path: &Path) -> std::io::Result<std::fs::File> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    std::fs::File::open(directory.unwrap_or(Path::new(".")))
}
