//! The commands, one file a group, and how one is run.

mod activity;
mod alerts;
mod auth;
mod config;
mod containers;
mod events;
mod gates;
mod ip;
mod projects;
mod realms;
mod sign_in;
mod snapshots;
mod users;
mod values;
mod vault;
mod webhooks;

use std::pin::Pin;

use clap::{ArgMatches, FromArgMatches, Subcommand};

use self::sign_in::{login, signup};
use crate::context::config_file::ConfigFile;
use crate::context::flags::ClientFlags;
use crate::context::settings::Environment;
use crate::context::{Context, Random};
use crate::terminal::failure::Failure;
use crate::terminal::output::{Format, Output};
use crate::terminal::process;

/// A command of the client: clap's subcommands, to be flattened into a command line.
#[derive(Debug)]
pub struct ClientCommand(Group);

impl FromArgMatches for ClientCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Group::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        Group::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Subcommand for ClientCommand {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        Group::augment_subcommands(command)
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Group::augment_subcommands_for_update(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Group::has_subcommand(name)
    }
}

/// The client's groups.
#[derive(Debug, Subcommand)]
enum Group {
    /// Sign in and store the session
    #[command(after_help = "EXAMPLES:
  hoody login                             # on a terminal: asks how, then what it needs
  hoody login --username ada --base-url https://api.example.com
  hoody login --web                       # sign in with a browser, on any machine
  hoody login --token-stdin < token.txt   # store a token instead of a session
  hoody login --profile work --email ada@example.com")]
    Login(login::LoginArgs),
    /// Make an account; a mail opens it
    #[command(after_help = "EXAMPLES:
  hoody signup
  hoody signup --email you@example.com --password-file password.txt")]
    Signup(signup::SignUpArgs),
    /// End every session of the account and forget the stored one
    #[command(after_help = "EXAMPLES:\n  hoody logout")]
    Logout,
    /// Sessions and tokens
    #[command(
        subcommand,
        visible_alias = "token",
        alias = "tokens",
        after_help = "EXAMPLES:
  hoody auth create --alias ci --permission projects.read --expires-at tomorrow
  hoody auth list
  hoody auth update 65a1b2c3d4e5f60718293a4b --enabled false"
    )]
    Auth(auth::AuthCommand),
    /// Projects and who may reach them
    #[command(subcommand, visible_aliases = ["project", "proj", "p"], after_help = "EXAMPLES:
  hoody projects list
  hoody projects create --alias web")]
    Projects(projects::ProjectsCommand),
    /// Containers: create, run commands, start and stop
    #[command(subcommand, visible_aliases = ["container", "c"], after_help = "EXAMPLES:
  hoody containers list
  hoody containers exec web -- ls -l /")]
    Containers(containers::ContainersCommand),
    /// Saved states of containers
    #[command(
        subcommand,
        visible_alias = "snapshot",
        after_help = "EXAMPLES:
  hoody snapshots create web --alias before-upgrade"
    )]
    Snapshots(snapshots::SnapshotsCommand),
    /// Realms: labels that keep parts of an account apart
    #[command(subcommand, visible_alias = "realm", after_help = "EXAMPLES:\n  hoody realms list")]
    Realms(realms::RealmsCommand),
    /// Accounts
    #[command(subcommand, visible_aliases = ["user", "u"], after_help = "EXAMPLES:\n  hoody users me")]
    Users(users::UsersCommand),
    /// Secrets and settings, sealed at rest
    #[command(subcommand, visible_alias = "v", after_help = "EXAMPLES:\n  hoody vault list")]
    Vault(vault::VaultCommand),
    /// The request log of the account
    #[command(subcommand, after_help = "EXAMPLES:\n  hoody activity logs --errors-only")]
    Activity(activity::ActivityCommand),
    /// What happened, and what happens
    #[command(subcommand, visible_aliases = ["event", "ev"], after_help = "EXAMPLES:
  hoody events list
  hoody events tail --event-type 'auth.token.*'")]
    Events(events::EventsCommand),
    /// Events sent to other services, signed
    #[command(subcommand, visible_aliases = ["webhook", "hooks"], after_help = "EXAMPLES:
  hoody webhooks create --url https://example.com/hooks --event-type 'auth.token.*'")]
    Webhooks(webhooks::WebhooksCommand),
    /// Gates: what a proxy asks before it lets a request through to another service
    #[command(
        subcommand,
        visible_alias = "gate",
        after_help = "EXAMPLES:
  hoody gates set orders.toml
  hoody gates test orders --path /orders/7 --token-stdin < token.txt"
    )]
    Gates(gates::GatesCommand),
    /// What looks wrong, and what is told of it
    #[command(
        subcommand,
        visible_alias = "alert",
        after_help = "EXAMPLES:
  hoody alerts list
  hoody alerts list --state open --follow
  hoody alerts set token_unused --threshold 60 --disables true"
    )]
    Alerts(alerts::AlertsCommand),
    /// The caller's address as the server sees it
    #[command(subcommand, after_help = "EXAMPLES:\n  hoody ip get")]
    Ip(ip::IpCommand),
    /// The configuration of this command line
    #[command(
        subcommand,
        after_help = "EXAMPLES:
  hoody config show --resolved
  hoody config set baseUrl https://api.example.com"
    )]
    Config(config::ConfigCommand),
    /// Print the completions for a shell
    #[command(after_help = "EXAMPLES:
  hoody completions bash > ~/.local/share/bash-completion/completions/hoody
  hoody completions zsh > ~/.zfunc/_hoody")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Makes what a command prints with, from format, quietness and plainness.
pub(crate) type Printer<'a> = &'a dyn Fn(Format, bool, bool) -> Output;

/// A command that runs. Boxed, so that each group is compiled by itself.
type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// What a command gets of the process that it runs in.
#[derive(Clone, Copy)]
pub(crate) struct Process<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) printer: Printer<'a>,
    pub(crate) random: Random,
    /// The whole command line, which completions are made for.
    pub(crate) whole: fn() -> clap::Command,
}

/// Runs a command in this process and says with which code it ends (`contract/cli.md` 5). `whole` is the
/// command line that [`ClientCommand`] was made part of.
pub async fn run(
    command: ClientCommand,
    flags: ClientFlags,
    whole: fn() -> clap::Command,
    random: Random,
) -> u8 {
    if !flags.is_quiet {
        process::trace(flags.is_verbose);
    }
    let environment = &Environment::of_process();
    execute(command, flags, Process { environment, printer: &Output::to_process, random, whole }).await
}

pub(crate) async fn execute(
    ClientCommand(group): ClientCommand,
    flags: ClientFlags,
    process: Process<'_>,
) -> u8 {
    let Process { environment, printer, random, whole } = process;
    let is_plain = flags.is_plain || environment.path("NO_COLOR").is_some();
    // For what goes wrong before the settings are known.
    let early = printer(flags.output.unwrap_or_default(), flags.is_quiet, is_plain);
    let is_confirmed = flags.is_confirmed;
    let file = flags.config.clone();
    let made = Context::new(flags, environment, group.may_make_profile(), random, &|settings| {
        printer(settings.output.value, settings.is_quiet.value, settings.is_plain.value)
    });
    let (output, ended, exit) = match (made, group) {
        (Ok(context), group) => {
            let ended = dispatch(&context, group, whole).await;
            (context.output, ended, context.exit.get())
        }
        (Err(broken), Group::Config(command)) => {
            let file = ConfigFile::locate(file.as_deref(), environment.path("HOME"));
            let ended = config::repair(&file, broken, &command, &early, is_confirmed).await;
            (early, ended, 0)
        }
        (Err(_), Group::Completions { shell }) => (early, completions(shell, whole), 0),
        (Err(broken), _) => (early, Err(broken), 0),
    };
    match ended {
        Ok(()) => exit,
        Err(failure) => {
            output.fail(&failure);
            failure.exit as u8
        }
    }
}

fn dispatch(context: &Context, group: Group, whole: fn() -> clap::Command) -> Running<'_> {
    match group {
        Group::Login(args) => {
            Box::pin(async move { login::login(context, &args, login::OnChallenge::Ask).await })
        }
        Group::Signup(args) => {
            Box::pin(async move { signup::sign_up(context, &args, signup::Then::Verify).await })
        }
        Group::Logout => Box::pin(login::logout(context)),
        Group::Auth(command) => Box::pin(auth::run(context, command)),
        Group::Projects(command) => Box::pin(projects::run(context, command)),
        Group::Containers(command) => Box::pin(containers::run(context, command)),
        Group::Snapshots(command) => Box::pin(snapshots::run(context, command)),
        Group::Realms(command) => Box::pin(realms::run(context, command)),
        Group::Users(command) => Box::pin(users::run(context, command)),
        Group::Vault(command) => Box::pin(vault::run(context, command)),
        Group::Activity(command) => Box::pin(activity::run(context, command)),
        Group::Events(command) => Box::pin(events::run(context, command)),
        Group::Webhooks(command) => Box::pin(webhooks::run(context, command)),
        Group::Gates(command) => Box::pin(gates::run(context, command)),
        Group::Alerts(command) => Box::pin(alerts::run(context, command)),
        Group::Ip(command) => Box::pin(ip::run(context, command)),
        Group::Config(command) => Box::pin(config::run(context, command)),
        Group::Completions { shell } => Box::pin(std::future::ready(completions(shell, whole))),
    }
}

impl Group {
    /// Whether a profile that is not there is about to be made.
    fn may_make_profile(&self) -> bool {
        matches!(
            self,
            Self::Login(_)
                | Self::Signup(_)
                | Self::Auth(
                    auth::AuthCommand::Login(_) | auth::AuthCommand::Email(signup::EmailCommand::Verify(_))
                )
                | Self::Config(config::ConfigCommand::Set { .. } | config::ConfigCommand::Path)
                | Self::Completions { .. }
        )
    }
}

/// A result like any other for the shell, whatever its bytes.
fn completions(shell: clap_complete::Shell, whole: fn() -> clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut whole(), "hoody", &mut script);
    process::script(&script)
}
