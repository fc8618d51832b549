//! The client's configuration file (`contract/cli.md` 3): a JSON object with settings at its top and in
//! `profiles.<name>`. Keys that are not known here are kept as they are.
//!
//! It holds sessions, so it is 0600 in a directory of 0700, changed only under a lock beside it, and
//! replaced as a whole: a reader sees the old file or the new one.

mod content;

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rustix::fs::FlockOperation;

pub(crate) use self::content::{Config, put, within};
use crate::terminal::failure::{Exit, Failure};

/// How long to wait for another command that holds the file: as long as its requests may take.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(25);
/// More than the longest session takes, in bytes.
const SESSION: usize = 8 * 1024;

/// Where the configuration is kept.
#[derive(Debug, Clone)]
pub(crate) struct ConfigFile {
    /// `None` without a home directory: then there is nothing to read, and no place to write.
    path: Option<PathBuf>,
    /// The directory is ours alone, so its mode is ours to keep. Nobody has named the file.
    is_default: bool,
}

/// The file while no other command changes it.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    path: &'a Path,
    file: &'a ConfigFile,
    _lock: File,
}

/// Room on the disk for the next content of the file, taken before something is done that cannot be undone.
#[derive(Debug)]
pub(crate) struct Room {
    file: File,
    path: PathBuf,
    /// What it will replace.
    target: PathBuf,
}

/// What was read of a file that may not be needed.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) config: Config,
    /// Why it could not be read, where that is not because it is not there.
    pub(crate) unreadable: Option<Failure>,
}

impl ConfigFile {
    /// The file at `given`, else `.hoody/config.json` in the home directory.
    pub(crate) fn locate(given: Option<&Path>, home: Option<&OsStr>) -> Self {
        let default = || home.map(|home| Path::new(home).join(".hoody").join("config.json"));
        Self { path: given.map(Path::to_owned).or_else(default), is_default: given.is_none() }
    }

    /// Where it is.
    ///
    /// # Errors
    /// When there is no place for one.
    pub(crate) fn path(&self) -> Result<&Path, Failure> {
        self.path.as_deref().ok_or_else(|| {
            Failure::new(Exit::NotSaved, "there is no home directory to keep the configuration in")
                .hint("set HOME, or use --config")
        })
    }

    /// What it holds; nothing when there is no file.
    pub(crate) fn read(&self) -> Result<Config, Failure> {
        let found = self.find()?;
        found.unreadable.map_or(Ok(found.config), Err)
    }

    /// The same where the file may not be needed: one that nobody has named and that the system does not let
    /// us read is as if it were not there. What is read must make sense.
    pub(crate) fn find(&self) -> Result<Found, Failure> {
        let Some(path) = &self.path else { return Ok(Found::nothing(None)) };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::nothing(None)),
            Err(error) => {
                let failure = Failure::failed(format!("cannot read {}: {error}", path.display()));
                return if self.is_default { Ok(Found::nothing(Some(failure))) } else { Err(failure) };
            }
        };
        let text = str::from_utf8(&bytes).context("not text in UTF-8");
        let config = text.and_then(Config::parse).map_err(|error| {
            Failure::failed(format!("{}: {error}", path.display()))
                .hint("correct the file, or `hoody config reset --yes`, which throws its sessions away")
        });
        Ok(Found { config: config?, unreadable: None })
    }

    /// Sees to it that a session could be stored, before one is asked for. Nothing is left behind.
    pub(crate) fn check_room(&self) -> Result<(), Failure> {
        let path = self.path()?;
        let try_it = || {
            let mut directory = directory_of(path)?;
            // What is not there yet is made by the login that works.
            while !directory.exists() {
                directory = directory.parent().context("no directory to make it in")?;
            }
            let name = format!(".hoody.{}.new", std::process::id());
            Room::take(directory.join(name), path.to_owned(), 0)
        };
        try_it().map(drop).map_err(|error: anyhow::Error| not_saved(&error))
    }

    /// Waits until no other command changes the file.
    pub(crate) async fn lock(&self) -> Result<Locked<'_>, Failure> {
        let path = self.path()?;
        let lock = self.open_lock(path).map_err(|error| not_saved(&error))?;
        let tries = PATIENCE.as_millis() / PAUSE.as_millis();
        for _ in 0..tries {
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Locked { path, file: self, _lock: lock }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(not_saved(&anyhow::Error::from(error))),
            }
        }
        let message = format!("another command has held {} for {} s", path.display(), PATIENCE.as_secs());
        Err(Failure::new(Exit::Locked, message))
    }

    /// Changes the file under its lock.
    pub(crate) async fn update(&self, change: impl FnOnce(&mut Config)) -> Result<(), Failure> {
        let locked = self.lock().await?;
        let mut config = locked.read()?;
        change(&mut config);
        locked.replace(&config)
    }

    fn open_lock(&self, path: &Path) -> anyhow::Result<File> {
        let directory = directory_of(path)?;
        if !directory.is_dir() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        } else if self.is_default && fs::metadata(directory)?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(directory, Permissions::from_mode(0o700))?;
        }
        let path = beside(path, "lock");
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))
    }
}

fn directory_of(path: &Path) -> anyhow::Result<&Path> {
    let directory = path.parent().context("the configuration needs a directory")?;
    Ok(if directory.as_os_str().is_empty() { Path::new(".") } else { directory })
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

impl Found {
    fn nothing(unreadable: Option<Failure>) -> Self {
        Self { config: Config::default(), unreadable }
    }
}

impl Locked<'_> {
    /// What the file holds now.
    pub(crate) fn read(&self) -> Result<Config, Failure> {
        self.file.read()
    }

    /// Takes the room that the next content needs: that of `config`, and of a session more.
    pub(crate) fn make_room(&self, config: &Config) -> Result<Room, Failure> {
        let take = || {
            // A link stays a link: what it points at is replaced.
            let target = fs::canonicalize(self.path).unwrap_or_else(|_| self.path.to_owned());
            Room::take(beside(&target, "new"), target, config.text()?.len())
        };
        take().map_err(|error| not_saved(&error))
    }

    /// Puts `config` in the place of the file.
    pub(crate) fn replace(&self, config: &Config) -> Result<(), Failure> {
        self.make_room(config)?.fill(config)
    }

    /// Takes the file away.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        match fs::remove_file(self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(not_saved(&error.into())),
            _ => Ok(()),
        }
    }
}

impl Room {
    fn take(path: PathBuf, target: PathBuf, size: usize) -> anyhow::Result<Self> {
        // Left behind by a command that was killed: the lock is ours, so nobody writes it now.
        let _ = fs::remove_file(&path);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.with_context(|| format!("cannot make {}", path.display()))?;
        let mut room = Self { file, path, target };
        // Written, not reserved: every file system knows how.
        room.file.write_all(&vec![b' '; size + SESSION])?;
        room.file.sync_all()?;
        Ok(room)
    }

    /// Puts `config` in the place of the file.
    pub(crate) fn fill(mut self, config: &Config) -> Result<(), Failure> {
        self.write(config).map_err(|error| not_saved(&error))
    }

    fn write(&mut self, config: &Config) -> anyhow::Result<()> {
        let text = config.text()?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len().try_into()?)?;
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        // It is saved; this is for a machine that loses power now, and not every file system knows how.
        let _ = directory_of(&self.target).and_then(|directory| Ok(File::open(directory)?.sync_all()?));
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Not there any more when it became the file.
        let _ = fs::remove_file(&self.path);
    }
}

fn not_saved(error: &anyhow::Error) -> Failure {
    Failure::new(Exit::NotSaved, format!("cannot save the configuration: {error:#}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file_in(directory: &Path) -> ConfigFile {
        ConfigFile::locate(None, Some(directory.as_os_str()))
    }

    fn path(file: &ConfigFile) -> &Path {
        file.path().unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn the_file_is_0600_in_a_directory_of_0700() {
        let home = tempfile::tempdir().unwrap();
        let file = file_in(home.path());
        file.update(|config| put(config.section_mut(None), "token", Some(json!("secret")))).await.unwrap();
        assert_eq!(mode(path(&file)), 0o600);
        assert_eq!(mode(path(&file).parent().unwrap()), 0o700);
        // Loosened by hand: the next change makes both tight again.
        fs::set_permissions(path(&file), Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(path(&file).parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
        file.update(|config| put(config.section_mut(None), "quiet", Some(json!(true)))).await.unwrap();
        assert_eq!(mode(path(&file)), 0o600);
        assert_eq!(mode(path(&file).parent().unwrap()), 0o700);
        assert_eq!(
            file.read().unwrap().root(),
            json!({"token": "secret", "quiet": true}).as_object().unwrap()
        );
    }

    #[tokio::test]
    async fn the_file_is_replaced_as_a_whole() {
        use std::os::unix::fs::MetadataExt as _;
        let home = tempfile::tempdir().unwrap();
        let file = file_in(home.path());
        file.update(|config| put(config.section_mut(None), "a", Some(json!(1)))).await.unwrap();
        let open = File::open(path(&file)).unwrap();
        fs::write(beside(path(&file), "new"), "left behind").unwrap();
        file.update(|config| put(config.section_mut(None), "b", Some(json!(2)))).await.unwrap();
        assert_ne!(open.metadata().unwrap().ino(), fs::metadata(path(&file)).unwrap().ino());
        assert!(!beside(path(&file), "new").exists());
        assert_eq!(io::read_to_string(open).unwrap().trim(), "{\n  \"a\": 1\n}");
    }

    #[tokio::test]
    async fn a_link_stays_a_link() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().join("real.json");
        let link = home.path().join("link.json");
        fs::write(&real, "{}").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let file = ConfigFile::locate(Some(&link), None);
        file.update(|config| put(config.section_mut(None), "a", Some(json!(1)))).await.unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&real).unwrap().contains("\"a\""));
    }

    #[tokio::test]
    async fn changes_at_the_same_time_are_all_kept() {
        let home = tempfile::tempdir().unwrap();
        let file = file_in(home.path());
        let mut changes = tokio::task::JoinSet::new();
        for number in 0..8 {
            let file = file.clone();
            changes.spawn(async move {
                file.update(|config| {
                    put(config.section_mut(None), &format!("k{number}"), Some(json!(number)));
                })
                .await
            });
        }
        for done in changes.join_all().await {
            done.unwrap();
        }
        assert_eq!(file.read().unwrap().root().len(), 8);
    }

    #[test]
    fn what_cannot_be_read_is_as_if_it_were_not_there_unless_somebody_named_it() {
        let home = tempfile::tempdir().unwrap();
        let nowhere = ConfigFile::locate(None, None);
        assert_eq!(nowhere.read().unwrap(), Config::default());
        assert!(nowhere.path().is_err() && nowhere.check_room().is_err());
        // A directory where the file should be, and a file where the directory should be.
        fs::create_dir_all(home.path().join(".hoody/config.json")).unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        for home in [home.path(), &file, Path::new("/dev/null")] {
            let config = file_in(home);
            let found = config.find().unwrap();
            assert_eq!(found.config, Config::default());
            assert!(found.unreadable.unwrap().message.starts_with("cannot read"), "{}", home.display());
            assert!(config.read().is_err());
            let named = ConfigFile::locate(Some(path(&config)), None);
            assert!(named.find().is_err(), "{}", home.display());
        }
        assert!(file_in(&home.path().join("none")).find().unwrap().unreadable.is_none());
        // What can be read must make sense: it may say more than what is known.
        let broken = home.path().join("broken.json");
        for text in [&b"{"[..], &[0xff, 0xfe, b'{', 0, b'}', 0]] {
            fs::write(&broken, text).unwrap();
            assert!(ConfigFile::locate(Some(&broken), None).find().is_err());
        }
    }

    #[tokio::test]
    async fn room_is_taken_and_given_back() {
        let home = tempfile::tempdir().unwrap();
        let file = file_in(home.path());
        file.check_room().unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left behind");
        file.update(|config| put(config.section_mut(None), "a", Some(json!(1)))).await.unwrap();
        let locked = file.lock().await.unwrap();
        let mut config = locked.read().unwrap();
        let room = locked.make_room(&config).unwrap();
        assert!(fs::metadata(beside(path(&file), "new")).unwrap().len() > 8_000);
        put(config.section_mut(None), "b", Some(json!("x".repeat(2_000))));
        room.fill(&config).unwrap();
        assert_eq!(file.read().unwrap(), config);
        drop(locked.make_room(&config).unwrap());
        assert!(!beside(path(&file), "new").exists());
    }
}
