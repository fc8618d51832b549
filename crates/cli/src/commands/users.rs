//! `users`: one's own account (`contract/cli.md` 8).

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use hoody_client::id::UserId;
use hoody_client::wire::{Profile, ReducedUser, Secret, SecurityEvent, UpdateUser, User, UserProfile};
use serde_json::{Map, Value};

use hoody_client::{Client, HistoryQuery};

use super::values::nullable;
use crate::context::Context;
use crate::terminal::cell::{text_or, yes_no};
use crate::terminal::failure::Failure;
use crate::terminal::output::View;
use crate::terminal::prompt;

/// The commands of `users`.
#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Show an account
    #[command(visible_aliases = ["show", "describe"], after_help = "EXAMPLES:
  hoody users get me
  hoody users get 63f8b0e5c9a1b2d3e4f5a6b7")]
    Get {
        /// The account's id, or `me`
        id: Account,
    },
    /// Show one's own account
    #[command(after_help = "EXAMPLES:\n  hoody users me")]
    Me,
    /// Change one's own account; a new password ends every session
    #[command(
        visible_alias = "edit",
        after_help = "EXAMPLES:
  hoody users update me --alias \"Ada Lovelace\"
  hoody users update me --change-password
  hoody users update me --password-file new.txt --current-password-file old.txt"
    )]
    Update(Box<UpdateArgs>),
    /// Show what happened to one's own account: sign-ins, and on demand failures and changes
    #[command(
        visible_alias = "security-history",
        after_help = "EXAMPLES:
  hoody users history
  hoody users history --include-failed --include-security --limit 100"
    )]
    History(HistoryArgs),
}

/// What `users history` takes.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Which page, from 1
    #[arg(long, value_name = "N")]
    page: Option<u32>,
    /// How many on a page, at most 100
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Also wrong passwords and codes
    #[arg(long)]
    include_failed: bool,
    /// Also what was done to password and second factor
    #[arg(long)]
    include_security: bool,
}

/// An account's id, or one's own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Account {
    /// One's own.
    Me,
    /// This one.
    Id(UserId),
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "me" => Ok(Self::Me),
            id => id.parse().map(Self::Id).map_err(|error| format!("{error}, or `me`")),
        }
    }
}

/// What `users update` takes. `--password` is the new one here, not the one to sign in with.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// The account's id, or `me`
    id: Account,
    /// Name to show
    #[arg(long)]
    alias: Option<String>,
    /// Ed25519 key: 64 hex digits, or `null` for none
    #[arg(long, value_name = "HEX")]
    public_key: Option<String>,
    /// What the account keeps with itself, as KEY=VALUE; repeat it. Replaces all that is there
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Ask for a new password and the one in force
    #[arg(long)]
    change_password: bool,
    /// The new password; better asked for, or in a file
    #[arg(long = "password", short = 'p', value_name = "PASSWORD")]
    new_password: Option<Secret>,
    /// Read the new password from a file
    #[arg(long = "password-file", value_name = "FILE", conflicts_with = "new_password")]
    new_password_file: Option<PathBuf>,
    /// Read the new password from standard input
    #[arg(long = "password-stdin", conflicts_with_all = ["new_password", "new_password_file"])]
    new_password_stdin: bool,
    /// The password in force; better asked for, or in a file
    #[arg(long, value_name = "PASSWORD")]
    current_password: Option<Secret>,
    /// Read the password in force from a file
    #[arg(long, value_name = "FILE", conflicts_with = "current_password")]
    current_password_file: Option<PathBuf>,
}

/// Runs a command of `users`.
pub(crate) async fn run(context: &Context, command: UsersCommand) -> Result<(), Failure> {
    match command {
        UsersCommand::Me | UsersCommand::Get { id: Account::Me } => me(context).await,
        UsersCommand::Get { id: Account::Id(id) } => {
            let user = context.call(async |client: &Client| client.users().get(id).await).await?;
            context.output.show(&user, || View::Details(either(&user)))
        }
        UsersCommand::Update(args) => update(context, &args).await,
        UsersCommand::History(args) => history(context, &args).await,
    }
}

async fn history(context: &Context, args: &HistoryArgs) -> Result<(), Failure> {
    let query = HistoryQuery {
        page: args.page,
        limit: args.limit,
        include_failed: args.include_failed.then_some(true),
        include_security: args.include_security.then_some(true),
    };
    let history = context.call(async |client: &Client| client.users().security_history(&query).await).await?;
    context.output.show(&history.events, || View::List {
        titles: &["TIME", "EVENT", "OUTCOME", "ADDRESS", "CLIENT", "ID"],
        narrow: 5,
        rows: history.events.iter().map(event_row).collect(),
        empty: "Nothing has happened yet.",
    })?;
    if let Some(page) = history.metadata.filter(|page| u64::from(page.page) < page.pages) {
        let next = u64::from(page.page) + 1;
        context.output.note(&format!(
            "Page {} of {} ({} in all): --page {next} shows the next.",
            page.page, page.pages, page.total
        ));
    }
    Ok(())
}

fn event_row(event: &SecurityEvent) -> Vec<String> {
    vec![
        event.created_at.to_string(),
        event.event.clone(),
        event.outcome.clone(),
        text_or(event.ip_address.as_ref(), "operator"),
        text_or(event.client.as_ref(), "-"),
        event.id.to_string(),
    ]
}

/// Shows the caller's account.
pub(crate) async fn me(context: &Context) -> Result<(), Failure> {
    let me = context.call(async |client: &Client| client.me().await).await?;
    context.output.show(&me, || {
        let (mut fields, token) = match &me {
            Profile::Full(me) => (full(&me.user), &me.auth_token),
            Profile::Reduced(me) => (reduced(&me.user), &me.auth_token),
        };
        if let Some(current) = token {
            fields.push(("token in use", format!("{:?} ({})", current.token.alias, current.token.id)));
        }
        View::Details(fields)
    })
}

async fn update(context: &Context, args: &UpdateArgs) -> Result<(), Failure> {
    let password = new_password(context, args).await?;
    let current_password = match &password {
        Some(_) => Some(current_password(context, args).await?),
        None => args.current_password.clone(),
    };
    let metadata: Map<String, Value> =
        args.metadata.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
    let ends_sessions = password.is_some();
    let change = UpdateUser {
        alias: args.alias.clone(),
        public_key: args.public_key.as_deref().map(nullable),
        metadata: (!metadata.is_empty()).then_some(Some(metadata)),
        password,
        current_password,
    };
    let user = context
        .call(async |client: &Client| {
            let id = match args.id {
                Account::Id(id) => id,
                Account::Me => match client.me().await? {
                    Profile::Full(me) => me.user.id,
                    Profile::Reduced(me) => me.user.id,
                },
            };
            client.users().update(id, &change).await
        })
        .await?;
    context.output.show(&user, || View::Done("Updated the account.".to_owned()))?;
    if ends_sessions {
        context.output.note("Every session has ended: `hoody login` starts a new one. Tokens go on working.");
    }
    Ok(())
}

async fn new_password(context: &Context, args: &UpdateArgs) -> Result<Option<Secret>, Failure> {
    if args.new_password_stdin {
        return prompt::secret_from_stdin(prompt::Kind::Password).await.map(Some);
    }
    if let Some(path) = &args.new_password_file {
        return prompt::secret_from_file(prompt::Kind::Password, path).await.map(Some);
    }
    if args.new_password.is_some() || !args.change_password {
        return Ok(args.new_password.as_ref().map(|given| prompt::Kind::Password.read(given.expose())));
    }
    if !context.is_interactive {
        return Err(Failure::no_terminal("a new password", "--password-stdin or --password-file"));
    }
    let first = prompt::secret("New password").await?;
    if prompt::secret("Once more").await? != first {
        return Err(Failure::failed("the two passwords differ: nothing was changed"));
    }
    Ok(Some(first))
}

async fn current_password(context: &Context, args: &UpdateArgs) -> Result<Secret, Failure> {
    if let Some(password) = &args.current_password {
        return Ok(prompt::Kind::Password.read(password.expose()));
    }
    if let Some(path) = &args.current_password_file {
        return prompt::secret_from_file(prompt::Kind::Password, path).await;
    }
    if !context.is_interactive {
        return Err(Failure::no_terminal("the password in force", "--current-password-file"));
    }
    prompt::secret("Password in force").await
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("metadata is given as KEY=VALUE".to_owned()),
    }
}

fn either(user: &UserProfile) -> Vec<(&'static str, String)> {
    match user {
        UserProfile::Full(user) => full(user),
        UserProfile::Reduced(user) => reduced(user),
    }
}

fn full(user: &User) -> Vec<(&'static str, String)> {
    vec![
        ("id", user.id.to_string()),
        ("username", user.username.clone()),
        ("e-mail", text_or(user.email.as_ref(), "-")),
        ("alias", user.alias.clone()),
        ("public key", text_or(user.public_key.as_ref(), "-")),
        ("banned", yes_no(user.is_banned)),
        ("created", user.created_at.to_string()),
        ("updated", user.updated_at.to_string()),
    ]
}

fn reduced(user: &ReducedUser) -> Vec<(&'static str, String)> {
    vec![
        ("id", user.id.to_string()),
        ("username", user.username.clone()),
        ("alias", user.alias.clone()),
        ("public key", text_or(user.public_key.as_ref(), "-")),
        ("created", user.created_at.to_string()),
        ("updated", user.updated_at.to_string()),
    ]
}
