//! `hoody admin`: the operator at the machine, on the database directly, beside a running server or
//! without one. Takes the server's flags.

mod audit;
mod invitations;
mod keys;
mod mail;
mod nodes;
pub(crate) mod permissions;
mod users;

pub(crate) use audit::AuditArgs;
pub(crate) use nodes::NodesArgs;

use std::sync::Arc;

use anyhow::bail;
use clap::{Args, Subcommand};
use hoody_core::names;

use crate::config::{Config, ServerFlags};
use hoody_engine::clock::Clock;
use hoody_service::nouns::Nouns;
use hoody_service::users::first::sentence;

/// Works on the database directly, for the operator at the machine
///
/// What it changes is in force on every running node within a second, as anybody's change is.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  hoody admin users list\n  hoody admin users ban ada\n  \
    HOODY_DATABASE_URL=postgres://hoody@db/hoody hoody admin keys init")]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    command: AdminCommand,
    #[command(flatten)]
    server: ServerFlags,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Accounts
    #[command(subcommand, after_help = "EXAMPLES:\n  hoody admin users create ada --email ada@example.com")]
    Users(users::UsersCommand),
    /// Who may sign up where `--sign-up invitation` is set
    #[command(subcommand, after_help = "EXAMPLES:\n  hoody admin invitations create --email ada@example.com")]
    Invitations(invitations::InvitationsCommand),
    /// Mails on their way
    #[command(subcommand, after_help = "EXAMPLES:\n  hoody admin mail list")]
    Mail(mail::MailCommand),
    /// The log of all changes; also `hoody audit`
    #[command(subcommand, after_help = "EXAMPLES:\n  hoody admin audit verify")]
    Audit(audit::AuditCommand),
    /// Your own permissions: what the services behind hoody ask for
    #[command(
        subcommand,
        after_help = "EXAMPLES:\n  hoody admin permissions plan permissions.toml\n  \
            hoody admin permissions apply permissions.toml"
    )]
    Permissions(permissions::PermissionsCommand),
    /// Master keys
    #[command(
        subcommand,
        after_help = "EXAMPLES:\n  hoody admin keys status\n  hoody admin keys rotate --wait"
    )]
    Keys(keys::KeysCommand),
    /// The processes that serve this database; also `hoody nodes`
    #[command(after_help = "EXAMPLES:\n  hoody admin nodes")]
    Nodes,
}

/// Runs one command.
pub(crate) async fn run(args: &AdminArgs) -> anyhow::Result<()> {
    let config = load(&args.server)?;
    match &args.command {
        AdminCommand::Users(command) => {
            with_nouns(config, command.may_begin(), async |nouns| users::run(nouns, command).await).await
        }
        AdminCommand::Invitations(command) => {
            with_nouns(config, false, async |nouns| invitations::run(nouns, command).await).await
        }
        AdminCommand::Mail(command) => {
            with_nouns(config, false, async |nouns| mail::run(nouns, command).await).await
        }
        AdminCommand::Permissions(command) => {
            with_nouns(config, false, async |nouns| permissions::run(nouns, command).await).await
        }
        AdminCommand::Nodes => list_nodes(config).await,
        AdminCommand::Audit(command) => run_audit_command(config, command).await,
        AdminCommand::Keys(keys::KeysCommand::Init) => {
            super::serve::make_data_dir(&config.data_dir)?;
            keys::init(config).await
        }
        AdminCommand::Keys(command) => {
            with_nouns(config, false, async |nouns| keys::run(nouns, command).await).await
        }
    }
}

/// `hoody nodes`.
pub(crate) async fn run_nodes(args: &NodesArgs) -> anyhow::Result<()> {
    list_nodes(load(&args.server)?).await
}

/// `hoody audit`.
pub(crate) async fn run_audit(args: &AuditArgs) -> anyhow::Result<()> {
    run_audit_command(load(&args.server)?, &args.command).await
}

async fn run_audit_command(config: Config, command: &audit::AuditCommand) -> anyhow::Result<()> {
    with_nouns(config, false, async |nouns| audit::run(nouns, command).await).await
}

async fn list_nodes(config: Config) -> anyhow::Result<()> {
    with_nouns(config, false, async |nouns| nodes::run(nouns).await).await
}

/// Runs `work` on the database and closes it, whatever came of it: nothing is left beside its file.
async fn with_nouns(
    config: Config,
    may_begin: bool,
    work: impl AsyncFnOnce(&Nouns) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let nouns = open(config, may_begin).await?;
    let result = work(&nouns).await;
    nouns.close().await;
    result
}

fn load(server: &ServerFlags) -> anyhow::Result<Config> {
    let config = Config::of_process(server)?;
    hoody_engine::telemetry::init_logs("warn", false)?;
    super::serve::keep_files_private();
    Ok(config)
}

/// The service on its database, which is made only by a command that `may_begin`: a mistyped directory
/// must not look like lost accounts.
async fn open(config: Config, may_begin: bool) -> anyhow::Result<Arc<Nouns>> {
    if !config.settings.engine.database.is_there() && !may_begin {
        bail!(
            "there is no database in {}: is --data-dir right? `hoody serve` makes one",
            config.data_dir.display()
        );
    }
    super::serve::make_data_dir(&config.data_dir)?;
    Nouns::open(config.settings, Clock::system()).await
}

/// An e-mail address as a flag gives it.
fn email(text: &str) -> Result<String, String> {
    let text = names::compose(text);
    names::email(&text).map_err(|error| sentence(&error))?;
    Ok(text)
}

/// The name of an account to be.
fn username(text: &str) -> Result<String, String> {
    names::username(text).map(|_| text.to_owned()).map_err(|error| sentence(&error))
}
