//! Reading and making master keys, and holding them against the database.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use hoody_core::keys::{KeyId, Keyring, MasterKey};
use hoody_core::rotation::{Refusal, Ring, in_force, judge};
use hoody_core::time::Timestamp;
use zeroize::Zeroizing;

use super::{Keys, file as key_file, store};
use crate::clock::entropy;
use crate::db::{Db, DbError};

/// Where the master keys are.
#[derive(Clone)]
pub enum KeySource {
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

/// The keys of `db`. An empty database takes the first key it is given; a key is made unasked only for
/// an empty embedded one.
pub async fn load(source: &KeySource, db: &Db, database_id: &[u8], now: Timestamp) -> anyhow::Result<Keys> {
    let known = store::list_known(db).await?;
    let file = match read(source)? {
        Some(file) => file,
        None if known.is_empty() && matches!(db, Db::Sqlite { .. }) => make(source)?,
        None => bail!(missing(source)),
    };
    if let KeySource::File(path) = source {
        key_file::warn_if_open(path);
    }
    // Before the keys are read: a key that is retired in between must not count as known to be.
    let retirements = store::count_retirements(db).await?;
    let ring = accept(&file, source, db, now).await?;
    for retired in &ring.retired {
        tracing::warn!(key = %retired, "a master key in {source:?} is retired: its line is of no use there any more");
    }
    let keys = Keys::new(database_id, &file, &ring);
    keys.learn_tags(db, Some(&file)).await?;
    keys.note_retirements(retirements);
    Ok(keys)
}

/// Checks the keys without a database; one that is not there `may_make` is fine.
///
/// # Errors
/// What [`load`] would end with.
pub fn check(source: &KeySource, may_make: bool) -> anyhow::Result<()> {
    match read(source)? {
        None if !may_make => bail!(missing(source)),
        _ => Ok(()),
    }
}

fn missing(source: &KeySource) -> String {
    format!(
        "there is no master key in {source:?}: bring the file, or make a key for a new database with `hoody \
         admin keys init`"
    )
}

/// Makes a master key for a database that has none. The key file must not be there yet.
pub async fn init(source: &KeySource, db: &Db, now: Timestamp) -> anyhow::Result<KeyId> {
    let known = store::list_known(db).await?;
    if let Some(id) = in_force(&known) {
        bail!("this database is already under the master key {id}");
    }
    let file = match read(source)? {
        Some(file) => file,
        None => make(source)?,
    };
    accept(&file, source, db, now).await?;
    Ok(file.first().id())
}

async fn accept(file: &Keyring, source: &KeySource, db: &Db, now: Timestamp) -> anyhow::Result<Ring> {
    let given: Vec<KeyId> = file.iter().map(MasterKey::id).collect();
    enter(&given, db, now).await?.map_err(|refusal| anyhow::anyhow!(explain(&refusal, source)))
}

/// What a node with the keys `given` does; those that the database does not know are entered. Two first
/// starts with two keys come one after the other, and the second finds the first one's.
pub async fn enter(given: &[KeyId], db: &Db, now: Timestamp) -> Result<Result<Ring, Refusal>, DbError> {
    match judge(given, &store::list_known(db).await?) {
        Ok(ring) if !ring.unknown.is_empty() => {}
        judged => return Ok(judged),
    }
    let mut tx = db.begin().await?;
    store::lock(&mut tx).await?;
    let known = store::list_known(&mut tx).await?;
    let ring = match judge(given, &known) {
        Ok(ring) => ring,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut promoted_at = in_force(&known).is_none().then_some(now);
    for id in &ring.unknown {
        store::add(&mut tx, *id, now, promoted_at.take()).await?;
    }
    tx.commit().await?;
    Ok(Ok(ring))
}

/// Why these keys cannot be used, in a sentence.
pub fn explain(refusal: &Refusal, source: &KeySource) -> String {
    let list = |ids: &[KeyId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match refusal {
        Refusal::Foreign { given, wanted } => format!(
            "the first master key in {source:?} is {given}, but this database is under {}: with another key \
             no token or session of it can be read. Bring the right key file",
            list(wanted)
        ),
        Refusal::Missing(ids) => format!(
            "the master key {} is not in {source:?}, and what this database holds may be under it. Bring its \
             line back; `hoody admin keys retire` says when it is not needed any more",
            list(ids)
        ),
    }
}

/// What is in the file or variable; `None` where there is no file.
pub fn read(source: &KeySource) -> anyhow::Result<Option<Keyring>> {
    let content = match source {
        KeySource::Variable(content) => Zeroizing::new(content.as_bytes().to_vec()),
        KeySource::File(path) => match std::fs::read(path) {
            Ok(content) => Zeroizing::new(content),
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

fn make(source: &KeySource) -> anyhow::Result<Keyring> {
    let KeySource::File(path) = source else { bail!("HOODY_MASTER_KEY is set but empty") };
    let key = MasterKey::from_bytes(entropy());
    key_file::write_new(path, key.expose_line().as_bytes())
        .with_context(|| format!("the master key file {} cannot be made", path.display()))?;
    tracing::info!(file = %path.display(), key = %key.id(), "made a master key: back it up, apart from the database");
    Ok(Keyring::of(key))
}
