//! Reading and making master keys, and holding them against the database.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use hoody_core::keys::{Keyring, MasterKey};
use hoody_core::time::Timestamp;
use zeroize::Zeroizing;

use crate::clock::entropy;
use crate::db::{Db, DbError, On, args};

/// Where the master keys are.
#[derive(Clone)]
pub(crate) enum KeySource {
    /// In a file of mode 0600.
    File(PathBuf),
    /// In `HOODY_MASTER_KEY`.
    Variable(Zeroizing<String>),
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(_) => f.write_str("HOODY_MASTER_KEY"),
        }
    }
}

const KNOWN: &str = "SELECT id FROM master_keys ORDER BY created_at, id";
const LOCK: &str = "UPDATE feed_head SET pos = pos WHERE id = 1";
const ADD: &str = "INSERT INTO master_keys (id, created_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";

/// The master keys of `db`. An empty database takes the first key it is given; a key is made unasked
/// only for an empty embedded one.
pub(crate) async fn load(source: &KeySource, db: &Db, now: Timestamp) -> anyhow::Result<Keyring> {
    let known = known_keys(db).await?;
    let ring = match read(source)? {
        Some(ring) => ring,
        None if known.is_empty() && matches!(db, Db::Sqlite { .. }) => make(source)?,
        None => bail!(
            "there is no master key in {source:?}: bring the file, or make a key for a new database with `hoody admin keys init`"
        ),
    };
    accept(&ring, known, source, db, now).await?;
    Ok(ring)
}

/// Makes a master key for a database that has none. The key file must not be there yet.
pub(crate) async fn init(source: &KeySource, db: &Db, now: Timestamp) -> anyhow::Result<Keyring> {
    let known = known_keys(db).await?;
    if !known.is_empty() {
        bail!("this database is already under the master key {}", known.join(", "));
    }
    let ring = match read(source)? {
        Some(ring) => ring,
        None => make(source)?,
    };
    accept(&ring, known, source, db, now).await?;
    Ok(ring)
}

async fn known_keys(db: &Db) -> anyhow::Result<Vec<String>> {
    Ok(list_ids(db).await?)
}

async fn list_ids(on: impl Into<On<'_>>) -> Result<Vec<String>, DbError> {
    on.into().list(KNOWN, args![]).await?.iter().map(|row| row.get("id")).collect()
}

async fn accept(
    ring: &Keyring,
    known: Vec<String>,
    source: &KeySource,
    db: &Db,
    now: Timestamp,
) -> anyhow::Result<()> {
    let first = ring.first().id().to_string();
    if known.contains(&first) {
        return Ok(());
    }
    if !known.is_empty() {
        bail!(
            "the first master key in {source:?} is {first}, but this database is under {}: with another key \
             no token or session of it can be read. Bring the right key file",
            known.join(", ")
        );
    }
    let mut tx = db.begin().await?;
    // Two first starts with two keys: the second waits here and finds the first one's.
    tx.execute(LOCK, args![]).await?;
    let known: Vec<String> = list_ids(&mut tx).await?;
    if known.is_empty() {
        tx.execute(ADD, args![&first, now]).await?;
    } else if !known.contains(&first) {
        bail!("another node has just put this database under {}: bring that key file", known.join(", "));
    }
    tx.commit().await?;
    Ok(())
}

fn read(source: &KeySource) -> anyhow::Result<Option<Keyring>> {
    let content = match source {
        KeySource::Variable(content) => Zeroizing::new(content.as_bytes().to_vec()),
        KeySource::File(path) => match std::fs::read(path) {
            Ok(content) => {
                warn_if_open(path);
                Zeroizing::new(content)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("the master key file {} cannot be read", path.display()));
            }
        },
    };
    let ring =
        Keyring::parse(&content).with_context(|| format!("the master key in {source:?} cannot be used"))?;
    Ok(Some(ring))
}

fn warn_if_open(path: &Path) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        tracing::warn!(file = %path.display(), "the master key file can be read by others: chmod 600 it");
    }
}

fn make(source: &KeySource) -> anyhow::Result<Keyring> {
    let KeySource::File(path) = source else { bail!("HOODY_MASTER_KEY is set but empty") };
    let key = MasterKey::from_bytes(entropy());
    write_new(path, key.expose_line().as_bytes())
        .with_context(|| format!("the master key file {} cannot be made", path.display()))?;
    tracing::info!(file = %path.display(), key = %key.id(), "made a master key: back it up, apart from the database");
    Ok(Keyring::of(key))
}

/// Makes a file that is whole and on disk, name and all, or not there: a database that outlives its key
/// is lost, and half a key is none. A file that is there stays as it is.
fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    // One that a crash left behind.
    let _ = std::fs::remove_file(&draft);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::hard_link(&draft, path)?;
    std::fs::remove_file(&draft)?;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    std::fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
