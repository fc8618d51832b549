//! The client's configuration file (`contract/cli.md` 3): a JSON object with settings at its top and in
//! `profiles.<name>`. Keys that are not known here are kept as they are.
//!
//! It holds sessions, so it is 0600 in a directory of 0700, changed only under a lock beside it, and
//! replaced as a whole: a reader sees the old file or the new one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rustix::fs::FlockOperation;
use serde_json::{Map, Value};

use super::failure::{Exit, Failure};

/// How long to wait for another command that holds the file: as long as its requests may take.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(25);

/// What the file holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Config(Map<String, Value>);

impl Config {
    /// Reads the file's text.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        // The reader's own message may quote a secret: say where, not what.
        let place = |error: serde_json::Error| {
            anyhow::anyhow!("not JSON at line {}, column {}", error.line(), error.column())
        };
        match serde_json::from_str(text).map_err(place)? {
            Value::Object(root) => Ok(Self(root)),
            _ => anyhow::bail!("not a JSON object"),
        }
    }

    /// The whole object.
    pub(crate) fn root(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The profile to use when none is named.
    pub(crate) fn default_profile(&self) -> Option<&str> {
        self.0.get("defaultProfile").and_then(Value::as_str).filter(|name| !name.is_empty())
    }

    /// The settings at the top, or of a profile.
    pub(crate) fn section(&self, profile: Option<&str>) -> Option<&Map<String, Value>> {
        match profile {
            None => Some(&self.0),
            Some(name) => self.0.get("profiles")?.get(name)?.as_object(),
        }
    }

    /// The same to change; a profile that is not there is made.
    pub(crate) fn section_mut(&mut self, profile: Option<&str>) -> &mut Map<String, Value> {
        match profile {
            None => &mut self.0,
            Some(name) => object_in(object_in(&mut self.0, "profiles"), name),
        }
    }

    /// A setting: the profile's, else the one at the top. A dot goes one level down.
    pub(crate) fn get(&self, profile: Option<&str>, key: &str) -> Option<(&Value, bool)> {
        let own = profile.and_then(|name| self.section(Some(name))).and_then(|section| within(section, key));
        own.map(|value| (value, true)).or_else(|| within(&self.0, key).map(|value| (value, false)))
    }
}

/// A value by its key; a dot goes one level down.
pub(crate) fn within<'a>(section: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let value = match key.split_once('.') {
        Some((outer, inner)) => section.get(outer)?.get(inner)?,
        None => section.get(key)?,
    };
    (!value.is_null()).then_some(value)
}

/// Sets a value by its key, or takes it away.
pub(crate) fn put(section: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    let (section, key) = match key.split_once('.') {
        Some((outer, inner)) => (object_in(section, outer), inner),
        None => (section, key),
    };
    match value {
        Some(value) => section.insert(key.to_owned(), value),
        None => section.remove(key),
    };
}

/// The object at `key`; whatever else is there gives way.
fn object_in<'a>(section: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = section.entry(key.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was just made one")
}

/// Where the configuration is kept.
#[derive(Debug, Clone)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    /// The directory is ours alone, so its mode is ours to keep.
    is_default: bool,
}

/// The file while no other command changes it.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    file: &'a ConfigFile,
    _lock: File,
}

impl ConfigFile {
    /// The file at `given`, else `.hoody/config.json` in the home directory.
    pub(crate) fn locate(given: Option<&Path>, home: Option<&str>) -> Result<Self, Failure> {
        match (given, home) {
            (Some(path), _) => Ok(Self { path: path.to_owned(), is_default: false }),
            (None, Some(home)) => {
                Ok(Self { path: Path::new(home).join(".hoody").join("config.json"), is_default: true })
            }
            (None, None) => {
                Err(Failure::failed("no home directory for the configuration").hint("use --config"))
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; nothing when there is no file.
    pub(crate) fn read(&self) -> Result<Config, Failure> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Config::default()),
            Err(error) => {
                return Err(Failure::failed(format!("cannot read {}: {error}", self.path.display())));
            }
        };
        Config::parse(&text).map_err(|error| {
            Failure::failed(format!("{}: {error}", self.path.display()))
                .hint("correct the file, or `hoody config reset --yes`")
        })
    }

    /// Waits until no other command changes the file.
    pub(crate) async fn lock(&self) -> Result<Locked<'_>, Failure> {
        let lock = self.open_lock().map_err(|error| not_saved(&error))?;
        let tries = PATIENCE.as_millis() / PAUSE.as_millis();
        for _ in 0..tries {
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Locked { file: self, _lock: lock }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(not_saved(&anyhow::Error::from(error))),
            }
        }
        let message =
            format!("another command has held {} for {} s", self.path.display(), PATIENCE.as_secs());
        Err(Failure::new(Exit::Locked, message))
    }

    /// Changes the file under its lock.
    pub(crate) async fn update(&self, change: impl FnOnce(&mut Config)) -> Result<(), Failure> {
        let locked = self.lock().await?;
        let mut config = locked.read()?;
        change(&mut config);
        locked.replace(&config)
    }

    fn open_lock(&self) -> anyhow::Result<File> {
        let directory = self.directory()?;
        if !directory.is_dir() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        } else if self.is_default && fs::metadata(directory)?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(directory, Permissions::from_mode(0o700))?;
        }
        let path = self.beside("lock");
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))
    }

    fn directory(&self) -> anyhow::Result<&Path> {
        let directory = self.path.parent().context("the configuration needs a directory")?;
        Ok(if directory.as_os_str().is_empty() { Path::new(".") } else { directory })
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        PathBuf::from(name)
    }
}

impl Locked<'_> {
    /// What the file holds now.
    pub(crate) fn read(&self) -> Result<Config, Failure> {
        self.file.read()
    }

    /// Puts `config` in the place of the file.
    pub(crate) fn replace(&self, config: &Config) -> Result<(), Failure> {
        self.write(config).map_err(|error| not_saved(&error))
    }

    /// Takes the file away.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        match fs::remove_file(&self.file.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(not_saved(&error.into())),
            _ => Ok(()),
        }
    }

    fn write(&self, config: &Config) -> anyhow::Result<()> {
        // A link stays a link: what it points at is replaced.
        let target = fs::canonicalize(&self.file.path).unwrap_or_else(|_| self.file.path.clone());
        let target = ConfigFile { path: target, is_default: false };
        let fresh = target.beside("new");
        // Left behind by a command that was killed: the lock is ours, so nobody writes it now.
        let _ = fs::remove_file(&fresh);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        let mut text = serde_json::to_string_pretty(config.root())?;
        text.push('\n');
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &target.path)?;
        File::open(target.directory()?)?.sync_all()?;
        Ok(())
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
        ConfigFile::locate(None, directory.to_str()).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn the_file_is_0600_in_a_directory_of_0700() {
        let home = tempfile::tempdir().unwrap();
        let file = file_in(home.path());
        file.update(|config| put(config.section_mut(None), "token", Some(json!("secret")))).await.unwrap();
        assert_eq!(mode(file.path()), 0o600);
        assert_eq!(mode(file.path().parent().unwrap()), 0o700);
        // Loosened by hand: the next change makes both tight again.
        fs::set_permissions(file.path(), Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(file.path().parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
        file.update(|config| put(config.section_mut(None), "quiet", Some(json!(true)))).await.unwrap();
        assert_eq!(mode(file.path()), 0o600);
        assert_eq!(mode(file.path().parent().unwrap()), 0o700);
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
        let open = File::open(file.path()).unwrap();
        fs::write(file.beside("new"), "left behind").unwrap();
        file.update(|config| put(config.section_mut(None), "b", Some(json!(2)))).await.unwrap();
        assert_ne!(open.metadata().unwrap().ino(), fs::metadata(file.path()).unwrap().ino());
        assert!(!file.beside("new").exists());
        assert_eq!(io::read_to_string(open).unwrap().trim(), "{\n  \"a\": 1\n}");
    }

    #[tokio::test]
    async fn a_link_stays_a_link() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().join("real.json");
        let link = home.path().join("link.json");
        fs::write(&real, "{}").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let file = ConfigFile::locate(Some(&link), None).unwrap();
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
    fn a_profile_hides_the_top_and_unknown_keys_stay() {
        let mut config = Config::parse(
            r#"{"baseUrl":"http://a","later":{"x":1},"transport":{"keepAlive":true},
                "profiles":{"work":{"baseUrl":"http://b"}}}"#,
        )
        .unwrap();
        let text =
            |config: &Config, profile, key| config.get(profile, key).map(|(value, own)| (value.clone(), own));
        assert_eq!(text(&config, None, "baseUrl"), Some((json!("http://a"), false)));
        assert_eq!(text(&config, Some("work"), "baseUrl"), Some((json!("http://b"), true)));
        assert_eq!(text(&config, Some("work"), "transport.keepAlive"), Some((json!(true), false)));
        assert!(config.section(Some("none")).is_none());
        put(config.section_mut(Some("new")), "transport.keepAlive", Some(json!(false)));
        assert_eq!(config.root()["profiles"]["new"], json!({"transport": {"keepAlive": false}}));
        assert_eq!(config.root()["later"], json!({"x": 1}));
    }

    #[test]
    fn a_broken_file_is_said_without_quoting_it() {
        let error = Config::parse("{\"token\": hdy_canary}").unwrap_err().to_string();
        assert_eq!(error, "not JSON at line 1, column 11");
        assert!(Config::parse("[]").is_err());
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }
}
