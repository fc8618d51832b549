//! `hoody admin`: the operator at the machine, on the database directly, beside a running server or
//! without one. Takes the server's flags.

mod keys;
mod users;

use std::sync::Arc;

use anyhow::bail;
use clap::{Args, Subcommand};

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, ServerFlags, environment};

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
    /// Master keys
    #[command(subcommand, after_help = "EXAMPLES:\n  hoody admin keys init")]
    Keys(keys::KeysCommand),
}

/// Runs one command.
pub(crate) async fn run(args: &AdminArgs) -> anyhow::Result<()> {
    let config = Config::load(&args.server, &environment)?;
    crate::telemetry::init_logs("warn", false)?;
    super::serve::keep_files_private();
    match &args.command {
        AdminCommand::Users(command) => {
            if !config.settings.database.is_there() && !command.may_begin() {
                // A mistyped directory must not look like lost accounts.
                bail!(
                    "there is no database in {}: is --data-dir right? `hoody serve` makes one",
                    config.data_dir.display()
                );
            }
            super::serve::make_data_dir(&config.data_dir)?;
            let app = App::open(config.settings, Clock::system()).await?;
            users::run(&app, command).await?;
            close(app).await;
        }
        AdminCommand::Keys(command) => {
            super::serve::make_data_dir(&config.data_dir)?;
            keys::run(config, command).await?;
        }
    }
    Ok(())
}

async fn close(app: Arc<App>) {
    app.close().await;
}
