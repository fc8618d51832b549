//! The command line: `serve` and `admin` are the service's own; `login`, `auth`, `projects` and the
//! other groups are a thin layer over [`hoody_client`]. One file a group; `output.rs` is the only one
//! that prints.

mod activity;
pub(crate) mod admin;
mod alerts;
mod auth;
mod cell;
mod config;
mod config_file;
mod context;
mod credentials;
mod events;
mod failure;
mod flags;
mod ip;
mod login;
pub(crate) mod output;
mod permission_flags;
mod printable;
mod projects;
mod prompt;
mod realms;
pub(crate) mod serve;
mod settings;
mod signup;
mod stdout;
mod token_args;
mod token_view;
mod two_factor;
mod users;
mod vault;
mod web_login;
mod webhooks;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::config_file::ConfigFile;
use self::context::Context;
use self::failure::Failure;
use self::flags::{ClientFlags, SERVER_GROUPS};
use self::output::{Format, Output};
use self::settings::Environment;
use crate::config::WrongUsage;
use crate::telemetry;

/// How long the end waits for threads that read or write.
const LAST_THREADS: Duration = Duration::from_secs(1);
/// How long it waits for whoever reads the log.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Authentication for scripts, CI and AI agents: the service and its command line in one binary.
#[derive(Debug, Parser)]
#[command(name = "hoody", version, arg_required_else_help = true, max_term_width = 110)]
#[command(after_help = "EXAMPLES:
  hoody serve                    # start a server here
  hoody login --username admin   # sign in to it
  hoody auth create --alias ci --permission projects.read
  HOODY_TOKEN=hdy_... hoody projects list")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The client's flags, wherever they stood.
    #[arg(skip)]
    flags: ClientFlags,
}

/// The groups of commands. The service's own are described where their flags are.
#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::ServeArgs>),
    Admin(Box<admin::AdminArgs>),
    Nodes(Box<admin::NodesArgs>),
    Audit(Box<admin::AuditArgs>),
    #[command(flatten)]
    Client(ClientCommand),
}

/// The client's groups.
#[derive(Debug, Subcommand)]
enum ClientCommand {
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
type Printer<'a> = &'a dyn Fn(Format, bool, bool) -> Output;

impl Cli {
    /// Reads a command line. Help, and what is wrong, are printed here; the error is what to end the
    /// process with: 0 after help; for wrong usage 2 with `serve` and `admin`, else 1, because 2 has a
    /// meaning of its own for the client.
    fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ExitCode> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        Self::parse_all(&arguments).map_err(|error| {
            output::usage(&error);
            let is_wrong = error.use_stderr();
            // A flag of the client in front of them may have a value: what clap makes of the words counts.
            let lenient = command().ignore_errors(true).try_get_matches_from(&arguments);
            let is_server = lenient.is_ok_and(|matches| {
                matches.subcommand_name().is_some_and(|name| SERVER_GROUPS.contains(&name))
            });
            ExitCode::from(if !is_wrong {
                0
            } else if is_server {
                2
            } else {
                1
            })
        })
    }

    fn parse_all(arguments: &[OsString]) -> Result<Self, clap::Error> {
        let mut command = command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        if let Some((name, _)) = matches.subcommand()
            && SERVER_GROUPS.contains(&name)
            && ClientFlags::is_any_before(&matches)
        {
            let message = format!("the client's options do not go with `{name}`");
            return Err(command.error(clap::error::ErrorKind::ArgumentConflict, message));
        }
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        cli.flags = ClientFlags::read(&matches);
        Ok(cli)
    }
}

/// The whole command with all its flags.
fn command() -> clap::Command {
    flags::with_client_flags(Cli::command())
}

/// Reads the command line, does what it says, and returns how the process ends.
pub fn run() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ended(Err(error.into())),
    };
    let code = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => ended(serve::run(&args).await),
            Command::Admin(args) => {
                output::set_format(cli.flags.output.unwrap_or_default());
                ended(admin::run(&args).await)
            }
            Command::Nodes(args) => {
                output::set_format(cli.flags.output.unwrap_or_default());
                ended(admin::run_nodes(&args).await)
            }
            Command::Audit(args) => {
                output::set_format(cli.flags.output.unwrap_or_default());
                ended(admin::run_audit(&args).await)
            }
            Command::Client(command) => {
                if !cli.flags.is_quiet {
                    output::trace(cli.flags.is_verbose);
                }
                let environment = Environment::of_process();
                ExitCode::from(execute(command, cli.flags, &environment, &Output::to_process).await)
            }
        }
    });
    // A thread that waits for a disk or a terminal must not keep the process.
    runtime.shutdown_timeout(LAST_THREADS);
    telemetry::lines::flush(LAST_LINES);
    code
}

/// How a command of the service ends: 0 done, 1 failed, 2 wrong usage.
fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => match output::lost() {
            None => ExitCode::SUCCESS,
            Some(message) => {
                output::fail(message);
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            output::fail(&crate::error::in_full(&error));
            ExitCode::from(if error.is::<WrongUsage>() { 2 } else { 1 })
        }
    }
}

/// Runs a command of the client and says how the process ends (`contract/cli.md` 5).
async fn execute(
    command: ClientCommand,
    flags: ClientFlags,
    environment: &Environment,
    printer: Printer<'_>,
) -> u8 {
    let is_plain = flags.is_plain || environment.path("NO_COLOR").is_some();
    // For what goes wrong before the settings are known.
    let early = printer(flags.output.unwrap_or_default(), flags.is_quiet, is_plain);
    let is_confirmed = flags.is_confirmed;
    let file = flags.config.clone();
    let made = Context::new(flags, environment, command.may_make_profile(), |settings| {
        printer(settings.output.value, settings.is_quiet.value, settings.is_plain.value)
    });
    let (output, ended) = match (made, command) {
        (Ok(context), command) => {
            let ended = dispatch(&context, command).await;
            (context.output, ended)
        }
        (Err(broken), ClientCommand::Config(command)) => {
            let file = ConfigFile::locate(file.as_deref(), environment.path("HOME"));
            let ended = config::repair(&file, broken, &command, &early, is_confirmed).await;
            (early, ended)
        }
        (Err(_), ClientCommand::Completions { shell }) => (early, completions(shell)),
        (Err(broken), _) => (early, Err(broken)),
    };
    match ended {
        Ok(()) => 0,
        Err(failure) => {
            output.fail(&failure);
            failure.exit as u8
        }
    }
}

async fn dispatch(context: &Context, command: ClientCommand) -> Result<(), Failure> {
    match command {
        ClientCommand::Login(args) => login::login(context, &args, login::OnChallenge::Ask).await,
        ClientCommand::Signup(args) => signup::sign_up(context, &args, signup::Then::Verify).await,
        ClientCommand::Logout => login::logout(context).await,
        ClientCommand::Auth(command) => auth::run(context, command).await,
        ClientCommand::Projects(command) => projects::run(context, command).await,
        ClientCommand::Realms(command) => realms::run(context, command).await,
        ClientCommand::Users(command) => users::run(context, command).await,
        ClientCommand::Vault(command) => vault::run(context, command).await,
        ClientCommand::Activity(command) => activity::run(context, command).await,
        ClientCommand::Events(command) => events::run(context, command).await,
        ClientCommand::Webhooks(command) => webhooks::run(context, command).await,
        ClientCommand::Alerts(command) => alerts::run(context, command).await,
        ClientCommand::Ip(command) => ip::run(context, command).await,
        ClientCommand::Config(command) => config::run(context, command).await,
        ClientCommand::Completions { shell } => completions(shell),
    }
}

impl ClientCommand {
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
fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "hoody", &mut script);
    output::script(&script)
}
