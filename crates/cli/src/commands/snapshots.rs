//! `snapshots` (`contract/cli.md`).

use clap::Subcommand;
use hoody_client::Client;
use hoody_client::wire::{CreateSnapshot, Snapshot};

use super::containers::{ContainerArg, resolve};
use crate::context::Context;
use crate::terminal::cell::text_or;
use crate::terminal::failure::Failure;
use crate::terminal::output::View;

/// The commands of `snapshots`.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotsCommand {
    /// List the snapshots of a container
    #[command(visible_alias = "ls", after_help = "EXAMPLES:\n  hoody snapshots list web")]
    List {
        #[command(flatten)]
        which: ContainerArg,
    },
    /// Take a snapshot
    #[command(visible_aliases = ["new", "add"], after_help = "EXAMPLES:
  hoody snapshots create web --alias before-upgrade --expiry 30")]
    Create {
        #[command(flatten)]
        which: ContainerArg,
        /// A name for people
        #[arg(long)]
        alias: Option<String>,
        /// Delete it after so many days
        #[arg(long, value_name = "DAYS")]
        expiry: Option<u64>,
    },
    /// Restore a container from a snapshot; files written since are lost
    #[command(after_help = "EXAMPLES:\n  hoody snapshots restore web snap-20261130101530-4f2a1c --yes")]
    Restore {
        #[command(flatten)]
        which: ContainerArg,
        /// The snapshot's generated name
        name: String,
    },
    /// Rename a snapshot
    #[command(
        after_help = "EXAMPLES:\n  hoody snapshots rename web snap-20261130101530-4f2a1c --alias stable"
    )]
    Rename {
        #[command(flatten)]
        which: ContainerArg,
        /// The snapshot's generated name
        name: String,
        /// The new name for people; none removes it
        #[arg(long)]
        alias: Option<String>,
    },
    /// Delete a snapshot
    #[command(visible_aliases = ["rm", "remove"], after_help = "EXAMPLES:
  hoody snapshots delete web snap-20261130101530-4f2a1c --yes")]
    Delete {
        #[command(flatten)]
        which: ContainerArg,
        /// The snapshot's generated name
        name: String,
    },
}

/// Runs a command of `snapshots`.
pub(crate) async fn run(context: &Context, command: SnapshotsCommand) -> Result<(), Failure> {
    match command {
        SnapshotsCommand::List { which } => {
            let id = resolve(context, &which).await?;
            let list =
                context.call(async |client: &Client| client.containers().snapshots(id).list().await).await?;
            context.output.show(&list, || View::List {
                titles: &["NAME", "ALIAS", "CREATED", "EXPIRES", "SIZE"],
                narrow: 4,
                rows: list.snapshots.iter().map(snapshot_row).collect(),
                empty: "No snapshots. `hoody snapshots create` takes one.",
            })
        }
        SnapshotsCommand::Create { which, alias, expiry } => {
            let id = resolve(context, &which).await?;
            let request = CreateSnapshot { alias, expiry };
            let made = context
                .call(async |client: &Client| client.containers().snapshots(id).create(&request).await)
                .await?;
            context.output.show(&made, || View::Done(format!("Took snapshot {}.", made.snapshot.name)))
        }
        SnapshotsCommand::Restore { which, name } => {
            let id = resolve(context, &which).await?;
            let question = format!("Restore {} from {name}? Files written since are lost.", which.container);
            context.confirm(&question).await?;
            let restored = context
                .call(async |client: &Client| client.containers().snapshots(id).restore(&name).await)
                .await?;
            if !restored.success {
                return Err(Failure::failed(format!("{}.", restored.message)));
            }
            context.output.show(&restored, || View::Done(format!("{}.", restored.message)))
        }
        SnapshotsCommand::Rename { which, name, alias } => {
            let id = resolve(context, &which).await?;
            let renamed = context
                .call(async |client: &Client| {
                    client.containers().snapshots(id).rename(&name, alias.clone()).await
                })
                .await?;
            context.output.show(&renamed, || View::Done(format!("Renamed snapshot {name}.")))
        }
        SnapshotsCommand::Delete { which, name } => {
            let id = resolve(context, &which).await?;
            context.confirm(&format!("Delete snapshot {name}?")).await?;
            let deleted = context
                .call(async |client: &Client| client.containers().snapshots(id).delete(&name).await)
                .await?;
            context.output.show(&deleted, || View::Done(format!("Deleted snapshot {name}.")))
        }
    }
}

fn snapshot_row(snapshot: &Snapshot) -> Vec<String> {
    vec![
        snapshot.name.clone(),
        text_or(snapshot.alias.as_ref(), "-"),
        snapshot.created_at.to_string(),
        text_or(snapshot.expires_at, "never"),
        text_or(snapshot.size, "-"),
    ]
}
