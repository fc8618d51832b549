//! `hoody admin users …`.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use hoody_cli::terminal::prompt;
use hoody_core::secret_text;
use hoody_core::wire::Secret;
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::output;
use hoody_engine::feed::{Actor, Change};
use hoody_engine::grants::Forget;
use hoody_service::history::Event;
use hoody_service::mail::{self, Letter};
use hoody_service::nouns::Nouns;
use hoody_service::sign_in::two_factor;
use hoody_service::tokens;
use hoody_service::users::first::{check, create, forget_file, plain};
use hoody_service::users::queue::Asker;
use hoody_service::users::{User, store};

#[derive(Debug, Subcommand)]
pub(super) enum UsersCommand {
    /// Makes an account
    #[command(after_help = "EXAMPLES:\n  hoody admin users create ada --email ada@example.com\n  \
        printf %s \"$PASSWORD\" | hoody admin users create ada --password-stdin")]
    Create {
        /// 3 to 50 letters, digits, _ and -
        #[arg(value_parser = super::username)]
        username: String,
        /// The address to sign in with
        #[arg(long, value_parser = super::email)]
        email: Option<String>,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Lists the accounts
    #[command(after_help = "EXAMPLES:\n  hoody admin users list\n  hoody admin users list -o json")]
    List,
    /// Shuts an account out: its sessions and tokens stop everywhere
    #[command(after_help = "EXAMPLES:\n  hoody admin users ban ada")]
    Ban {
        /// Username, e-mail address or id
        user: String,
    },
    /// Lets an account in again
    #[command(after_help = "EXAMPLES:\n  hoody admin users unban ada")]
    Unban {
        /// Username, e-mail address or id
        user: String,
    },
    /// Sets a password and ends the account's sessions
    #[command(after_help = "EXAMPLES:\n  hoody admin users set-password ada\n  \
        printf %s \"$PASSWORD\" | hoody admin users set-password ada --password-stdin")]
    SetPassword {
        /// Username, e-mail address or id
        user: String,
        #[command(flatten)]
        password: PasswordArgs,
        /// Disable every API token of the account, too
        #[arg(long)]
        end_tokens: bool,
    },
    /// Takes away a second factor that its owner has lost, and ends the account's sessions
    #[command(name = "reset-2fa", after_help = "EXAMPLES:\n  hoody admin users reset-2fa ada")]
    ResetTwoFactor {
        /// Username, e-mail address or id
        user: String,
    },
}

impl UsersCommand {
    /// Whether it makes sense on a database that is not there yet.
    pub(super) fn may_begin(&self) -> bool {
        matches!(self, Self::Create { .. })
    }
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    /// The password itself: others on the machine can see it there, so better not
    #[arg(long, conflicts_with = "password_stdin")]
    password: Option<Secret>,
    /// Read the password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordArgs {
    fn read(&self) -> anyhow::Result<Zeroizing<String>> {
        if let Some(password) = &self.password {
            return Ok(Zeroizing::new(password.expose().to_owned()));
        }
        if self.password_stdin {
            let mut line = Zeroizing::new(String::new());
            std::io::stdin().lock().read_line(&mut line)?;
            return Ok(Zeroizing::new(secret_text::password(&line).to_owned()));
        }
        if !std::io::stdin().is_terminal() {
            bail!("there is no terminal to ask on: give the password with --password-stdin");
        }
        prompt::new_password("Password (12 characters or more)")
    }
}

pub(super) async fn run(nouns: &Nouns, command: &UsersCommand) -> anyhow::Result<()> {
    match command {
        UsersCommand::Create { username, email, password } => {
            let password = password.read()?;
            check(username, email.as_deref(), &password)?;
            let created =
                create(&nouns.users, Actor::Operator, username, email.as_deref(), &password).await?;
            let id = created.context("an account with this username or e-mail address exists")?;
            output::note(&format!("Made the account {username} ({id})."));
        }
        UsersCommand::List => {
            let users = store::list_users(&nouns.engine.db).await?;
            output::users(&users.into_iter().map(User::shown).collect::<Vec<_>>());
        }
        UsersCommand::Ban { user } => set_ban(nouns, user, true).await?,
        UsersCommand::Unban { user } => set_ban(nouns, user, false).await?,
        UsersCommand::SetPassword { user, password, end_tokens } => {
            set_password(nouns, user, password, *end_tokens).await?;
        }
        UsersCommand::ResetTwoFactor { user } => reset_two_factor(nouns, user).await?,
    }
    Ok(())
}

async fn find(nouns: &Nouns, name: &str) -> anyhow::Result<User> {
    let by_id = match name.parse() {
        Ok(id) => store::find_user(&nouns.engine.db, id).await?,
        Err(_) => None,
    };
    let found = match by_id {
        Some(user) => Some(user),
        None if name.contains('@') => store::find_by_email(&nouns.engine.db, name).await?,
        None => store::find_by_username(&nouns.engine.db, name).await?,
    };
    found.with_context(|| format!("there is no account {name:?}"))
}

async fn set_ban(nouns: &Nouns, name: &str, is_banned: bool) -> anyhow::Result<()> {
    let user = find(nouns, name).await?;
    let mut mutation = nouns.engine.feed.begin_as(Actor::Operator).await.map_err(plain)?;
    mutation.lock_account(user.id).await?;
    let now = mutation.now;
    store::update_ban(&mut mutation.tx, user.id, is_banned, now).await?;
    let event = if is_banned { "user.banned" } else { "user.unbanned" };
    mutation.tell(Change::new(event, user.id, "user", user.id).forgetting(Forget::Account(user.id)));
    mutation.commit().await.map_err(plain)?;
    let done = if is_banned { "Banned" } else { "Unbanned" };
    output::note(&format!("{done} {}.", user.username));
    Ok(())
}

async fn reset_two_factor(nouns: &Nouns, name: &str) -> anyhow::Result<()> {
    let user = find(nouns, name).await?;
    if !two_factor::reset(&nouns.sign_in, user.id).await.map_err(plain)? {
        bail!("{} has no second factor", user.username);
    }
    output::note(&format!(
        "Took the second factor of {} away; its sessions are ended, and its password alone signs in.",
        user.username
    ));
    Ok(())
}

async fn set_password(
    nouns: &Nouns,
    name: &str,
    password: &PasswordArgs,
    ends_tokens: bool,
) -> anyhow::Result<()> {
    let user = find(nouns, name).await?;
    let password = password.read()?;
    check(&user.username, None, &password)?;
    let hash = nouns.users.passwords.hash(&password, Asker::Operator).await.map_err(plain)?;
    let mut mutation = nouns.engine.feed.begin_as(Actor::Operator).await.map_err(plain)?;
    mutation.lock_account(user.id).await?;
    let now = mutation.now;
    store::set_password(&mut mutation.tx, user.id, &hash, now).await?;
    if ends_tokens {
        tokens::changes::disable_all(&mut mutation, user.id).await?;
    }
    let active_tokens = tokens::store::count_working(&mut mutation.tx, user.id, now).await?;
    nouns.history.record(&mut mutation, user.id, Event::PasswordChanged, None).await?;
    let change = Change::new("account.updated", user.id, "account", user.id);
    mutation.tell(change.with(json!({ "password": true })).forgetting(Forget::Account(user.id)));
    let letter = Letter::PasswordChanged { active_tokens };
    mail::notify(&nouns.mail, &mut mutation, &user, letter).await.map_err(plain)?;
    mutation.commit().await.map_err(plain)?;
    forget_file(&nouns.users, user.id).await;
    let left = match active_tokens {
        0 => String::new(),
        1 => " 1 API token still works: --end-tokens disables it, too.".to_owned(),
        n => format!(" {n} API tokens still work: --end-tokens disables them, too."),
    };
    output::note(&format!("Set the password of {}; its sessions are ended.{left}", user.username));
    Ok(())
}
