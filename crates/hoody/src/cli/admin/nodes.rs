//! `hoody nodes`, also `hoody admin nodes`: who serves this database.

use clap::Args;
use hoody_cli::terminal::cell::yes_no;
use serde::Serialize;

use crate::cli::output::{self, View};
use crate::config::ServerFlags;
use hoody_engine::nodes::store;
use hoody_service::nouns::Nouns;

/// Lists the processes that serve this database
///
/// With their versions, the ids of their master keys, and how far each is behind the change feed.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  hoody nodes\n  \
    HOODY_DATABASE_URL=postgres://hoody@db/hoody hoody nodes -o json")]
pub(crate) struct NodesArgs {
    #[command(flatten)]
    pub(crate) server: ServerFlags,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    name: String,
    version: String,
    is_alive: bool,
    key_ids: Vec<String>,
    started_at: String,
    seen_at: String,
    /// Positions of the feed that it has not said to have applied.
    behind: i64,
    /// The longest that a change took to be applied there, of the last seconds, in milliseconds.
    lag_ms: i64,
}

pub(super) async fn run(nouns: &Nouns) -> anyhow::Result<()> {
    let head = nouns.engine.db.head().await?;
    let now = nouns.engine.clock.now();
    let nodes = store::list(&nouns.engine.db).await?.into_iter().map(|node| Shown {
        is_alive: node.is_alive(now),
        id: node.id.to_string(),
        name: node.name,
        version: node.version,
        key_ids: node.key_ids,
        started_at: node.started_at.to_string(),
        seen_at: node.seen_at.to_string(),
        behind: head.pos - node.applied,
        lag_ms: node.lag_ms,
    });
    let nodes: Vec<Shown> = nodes.collect();
    output::of_the_service(&nodes, || View::List {
        titles: &["ID", "NAME", "VERSION", "ALIVE", "BEHIND", "LAG", "KEYS", "SEEN", "STARTED"],
        narrow: 7,
        rows: nodes.iter().map(row).collect(),
        empty: "No node serves this database, or has within the last hour.",
    });
    Ok(())
}

fn row(node: &Shown) -> Vec<String> {
    vec![
        node.id.clone(),
        node.name.clone(),
        node.version.clone(),
        yes_no(node.is_alive),
        node.behind.to_string(),
        format!("{} ms", node.lag_ms),
        node.key_ids.join(" "),
        node.seen_at.clone(),
        node.started_at.clone(),
    ]
}
