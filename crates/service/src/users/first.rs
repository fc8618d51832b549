//! The first account: made when there is none, so that a fresh server can be signed in to.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use hoody_core::id::UserId;
use hoody_core::{names, password};
use zeroize::Zeroizing;

use super::queue::Asker;
use super::{NewUser, Users, store};
use hoody_engine::clock::entropy;
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Change};
use hoody_engine::files;

/// What the environment says of the first account.
#[derive(Debug, Default)]
pub struct FirstAccount {
    pub username: Option<String>,
    pub email: Option<String>,
    pub password: Option<hoody_core::wire::Secret>,
}

impl FirstAccount {
    /// Checks what is given of it.
    ///
    /// # Errors
    /// Names the variable and its rule.
    pub fn check(&self) -> anyhow::Result<()> {
        if let Some(username) = &self.username {
            names::username(username).map_err(|error| invalid("HOODY_ADMIN_USERNAME", &error))?;
        }
        if let Some(email) = &self.email {
            names::email(email).map_err(|error| invalid("HOODY_ADMIN_EMAIL", &error))?;
        }
        let check = |given: &hoody_core::wire::Secret| password::check_new(given.expose());
        self.password.as_ref().map_or(Ok(()), check).map_err(|error| invalid("HOODY_ADMIN_PASSWORD", &error))
    }
}

/// Where its password was put.
#[derive(Debug, PartialEq, Eq)]
pub enum PasswordPlace {
    /// The operator gave it.
    Given,
    /// It is to be shown on the terminal.
    Terminal,
    /// In this file.
    File(PathBuf),
}

/// The first account, as it was just made.
#[derive(Debug)]
pub struct Made {
    pub username: String,
    pub password: Zeroizing<String>,
    pub place: PasswordPlace,
}

/// Makes the first account if there is none; without a password, a random one goes to the terminal when
/// there is one, else into `first-password`.
pub async fn ensure(users: &Users, wanted: FirstAccount) -> anyhow::Result<Option<Made>> {
    if !store::is_empty(&users.db).await? {
        return Ok(None);
    }
    wanted.check()?;
    let username = wanted.username.unwrap_or_else(|| "admin".to_owned());
    let (password, place) = match wanted.password {
        Some(given) => (Zeroizing::new(given.expose().to_owned()), PasswordPlace::Given),
        None if std::io::stderr().is_terminal() => (random_password(), PasswordPlace::Terminal),
        None => {
            let path = file(&users.data_dir);
            let password = random_password();
            // Before the account: a password that nobody can read must not be anybody's.
            write_file(&path, &password)?;
            (password, PasswordPlace::File(path))
        }
    };
    if create(users, Actor::Operator, &username, wanted.email.as_deref(), &password).await?.is_none() {
        // Another node was first; its account stands.
        if let PasswordPlace::File(path) = &place {
            let _ = std::fs::remove_file(path);
        }
        return Ok(None);
    }
    Ok(Some(Made { username, password, place }))
}

/// Adds an account whose texts have passed their rules; `None` when the name or address is taken.
pub async fn create(
    users: &Users,
    actor: Actor,
    username: &str,
    email: Option<&str>,
    password: &str,
) -> anyhow::Result<Option<UserId>> {
    let password_hash = users.passwords.hash(password, Asker::Operator).await.map_err(plain)?;
    let user = NewUser {
        username: username.to_owned(),
        email: email.map(str::to_owned),
        password_hash,
        is_self_made: false,
    };
    let id: UserId = users.clock.new_id();
    let mut mutation = users.feed.begin_as(actor).await.map_err(plain)?;
    let now = mutation.now;
    if !store::insert_user(&mut mutation.tx, id, &user, now).await? {
        return Ok(None);
    }
    mutation.tell(Change::new("user.created", id, "user", id));
    mutation.commit().await.map_err(plain)?;
    Ok(Some(id))
}

/// Removes the file with the first password once that account has another.
pub async fn forget_file(users: &Users, account: UserId) {
    let path = file(&users.data_dir);
    if !path.exists() || !matches!(store::find_first(&users.db).await, Ok(Some(first)) if first == account) {
        return;
    }
    if let Err(error) = std::fs::remove_file(&path) {
        tracing::warn!(%error, file = %path.display(), "the first password's file could not be removed");
    }
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("first-password")
}

fn write_file(path: &Path, password: &str) -> anyhow::Result<()> {
    let line = Zeroizing::new(format!("{password}\n"));
    files::write_whole(path, line.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
}

/// 24 characters of an alphabet of 58: 140 bits, without characters that look alike.
fn random_password() -> Zeroizing<String> {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut password = Zeroizing::new(String::with_capacity(24));
    while password.len() < 24 {
        for byte in entropy::<32>() {
            // 232 is the largest multiple of 58 in a byte: no character is likelier than another.
            if byte < 232 && password.len() < 24 {
                password.push(char::from(ALPHABET[usize::from(byte % 58)]));
            }
        }
    }
    password
}

fn invalid(name: &str, error: &hoody_core::invalid::Invalid) -> anyhow::Error {
    anyhow::anyhow!("{name}: {}", sentence(error))
}

/// What an input error says, for a terminal.
pub fn sentence(error: &hoody_core::invalid::Invalid) -> String {
    match error {
        hoody_core::invalid::Invalid::Rule { message, .. } => message.clone(),
        hoody_core::invalid::Invalid::Schema(violations) => {
            violations.iter().map(|violation| violation.message.as_str()).collect::<Vec<_>>().join("; ")
        }
    }
}

/// An error of the service, for a terminal.
pub fn plain(error: Error) -> anyhow::Error {
    match error {
        Error::Internal(error) => error,
        other => anyhow::anyhow!("{other:?}"),
    }
}

/// Fails with what is wrong with a new account's texts.
pub fn check(username: &str, email: Option<&str>, password: &str) -> anyhow::Result<()> {
    let checks = [
        names::username(username).map(drop),
        email.map_or(Ok(()), |email| names::email(email).map(drop)),
        password::check_new(password),
    ];
    for check in checks {
        if let Err(error) = check {
            bail!("{}", sentence(&error));
        }
    }
    Ok(())
}
