//! The command line of the binary: `serve`, `admin`, `nodes` and `audit` are the service's own; all other
//! groups are the client's, in `hoody-cli`.

pub(crate) mod admin;
mod gate_sockets;
pub(crate) mod output;
pub(crate) mod serve;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use hoody_cli::{ClientCommand, ClientFlags, Share, terminal};

use crate::config::WrongUsage;
use hoody_engine::clock::entropy;
use hoody_engine::telemetry;

/// The groups of the service, and which of the client's flags they have.
const SERVER_GROUPS: [(&str, Share); 4] =
    [("serve", Share::None), ("admin", Share::Output), ("nodes", Share::All), ("audit", Share::Output)];
/// How long a thread of the blocking pool waits for more work. Shorter than the interval of anything periodic.
const IDLE_THREADS: Duration = Duration::from_secs(1);
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

impl Cli {
    /// Reads a command line. Help, and what is wrong, are printed here; the error is what to end the
    /// process with: 0 after help; for wrong usage 2 with `serve` and `admin`, else 1, because 2 has a
    /// meaning of its own for the client.
    fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ExitCode> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        Self::parse_all(&arguments).map_err(|error| {
            terminal::usage(&error);
            let is_wrong = error.use_stderr();
            // A flag of the client in front of them may have a value: what clap makes of the words counts.
            let lenient = command().ignore_errors(true).try_get_matches_from(&arguments);
            let is_server = lenient.is_ok_and(|matches| matches.subcommand_name().is_some_and(is_of_service));
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
            && is_of_service(name)
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

/// Whether a group of commands is the service's own.
fn is_of_service(name: &str) -> bool {
    SERVER_GROUPS.iter().any(|(group, _)| *group == name)
}

/// The whole command with all its flags.
fn command() -> clap::Command {
    hoody_cli::with_client_flags(Cli::command(), &SERVER_GROUPS)
}

/// Reads the command line, does what it says, and returns how the process ends.
pub fn run() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // Waiting threads take turns: with tokio's 10 s, work every 2 s would keep five threads alive forever.
    let runtime = match runtime.enable_all().thread_keep_alive(IDLE_THREADS).build() {
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
            Command::Client(client) => {
                ExitCode::from(hoody_cli::run(client, cli.flags, command, entropy).await)
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
            output::fail(&hoody_engine::error::in_full(&error));
            ExitCode::from(if error.is::<WrongUsage>() { 2 } else { 1 })
        }
    }
}
