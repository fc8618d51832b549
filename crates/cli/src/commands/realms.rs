//! `realms` (`contract/cli.md` 8).

use clap::Subcommand;
use hoody_client::Client;

use crate::context::Context;
use crate::terminal::failure::Failure;
use crate::terminal::output::View;

/// The commands of `realms`.
#[derive(Debug, Subcommand)]
pub(crate) enum RealmsCommand {
    /// List every realm that a project or token carries
    #[command(
        visible_alias = "ls",
        after_help = "EXAMPLES:
  hoody realms list
  hoody realms list --include-usage"
    )]
    List {
        /// Count what carries each
        #[arg(long)]
        include_usage: bool,
    },
}

/// Runs a command of `realms`.
pub(crate) async fn run(context: &Context, command: RealmsCommand) -> Result<(), Failure> {
    let RealmsCommand::List { include_usage } = command;
    let list = context.call(async |client: &Client| client.realms().list(include_usage).await).await?;
    let row = |realm: &hoody_client::id::RealmId| {
        let usage = list.usage.as_ref().and_then(|usage| usage.get(realm)).copied().unwrap_or_default();
        let counts = [usage.projects, usage.auth_tokens, usage.containers, usage.servers];
        std::iter::once(realm.to_string()).chain(counts.map(|count| count.to_string())).collect()
    };
    context.output.show(&list, || View::List {
        titles: &["REALM", "PROJECTS", "TOKENS", "CONTAINERS", "SERVERS"],
        narrow: if include_usage { 3 } else { 1 },
        rows: list.realm_ids.iter().map(row).collect(),
        empty: "No realms. One begins when a project or token carries it.",
    })
}
