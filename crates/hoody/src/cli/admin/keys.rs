//! `hoody admin keys …`.

use clap::Subcommand;

use crate::cli::output;
use crate::clock::{Clock, entropy};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Makes the master key of a new database, which `serve` does unasked only for an embedded one
    #[command(after_help = "EXAMPLES:\n  HOODY_DATABASE_URL=postgres://hoody@db/hoody hoody admin keys init")]
    Init,
}

pub(super) async fn run(config: Config, command: &KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::Init => {
            let opened = config.settings.database.open(entropy()).await?;
            let now = Clock::system().now();
            let ring = crate::keys::init(&config.settings.keys, &opened.db, now).await?;
            opened.tail.close().await;
            opened.db.close().await;
            let id = ring.first().id();
            output::note(&format!(
                "The database is under the master key {id} in {:?}. Back that file up, apart from the database.",
                config.settings.keys
            ));
            Ok(())
        }
    }
}
