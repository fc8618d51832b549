//! `hoody admin keys …`: making, rotating and retiring master keys.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use clap::Subcommand;
use hoody_cli::terminal::cell::yes_no;
use hoody_cli::terminal::prompt;
use hoody_core::keys::KeyId;
use hoody_core::rotation::{Standing, standing};
use serde::Serialize;
use tokio::time::Instant;

use crate::cli::output::{self, View};
use crate::config::Config;
use hoody_engine::clock::{Clock, entropy};
use hoody_engine::db::Db;
use hoody_engine::nodes::Node;
use hoody_service::nouns::Nouns;
use hoody_service::rotation::bound::{Hanging, Kind, Named, count_each};
use hoody_service::rotation::rotate::{self, Kept, Promotion};

/// For how long `--wait` waits.
const PATIENCE: Duration = Duration::from_secs(600);
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How many names a refusal shows.
const SHOWN: usize = 20;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Makes the master key of a new database, which `serve` does unasked only for an embedded one
    #[command(after_help = "EXAMPLES:\n  HOODY_DATABASE_URL=postgres://hoody@db/hoody hoody admin keys init")]
    Init,
    /// Shows each master key, where it stands, and what still hangs on it
    #[command(after_help = "EXAMPLES:\n  hoody admin keys status\n  hoody admin keys status -o json")]
    Status,
    /// Adds a master key; once every node has it, puts it in force
    ///
    /// The first time it adds a key to the file, which opens and verifies from then on. The second time,
    /// or with --wait as soon as it can, it puts that key in force: it seals and signs from then on, on
    /// every node. What was sealed before is moved to it while the servers serve.
    #[command(after_help = "EXAMPLES:\n  hoody admin keys rotate\n  hoody admin keys rotate --wait")]
    Rotate {
        /// Wait until every node has the key, and put it in force
        #[arg(long)]
        wait: bool,
    },
    /// Retires a master key that nothing hangs on any more
    #[command(after_help = "EXAMPLES:\n  hoody admin keys retire 0123456789abcdef\n  \
        hoody admin keys retire 0123456789abcdef --force")]
    Retire {
        /// Its id, as `status` shows it
        id: KeyId,
        /// End the tokens, sessions and backup codes that hang on it; they are named first
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// Makes the first key.
pub(super) async fn init(config: Config) -> anyhow::Result<()> {
    let opened = config.settings.engine.database.open(entropy()).await?;
    let now = Clock::system().now();
    let made = hoody_engine::keys::init(&config.settings.engine.keys, &opened.db, now).await;
    Db::close(&[&opened.tail, &opened.db]).await;
    let id = made?;
    output::note(&format!(
        "The database is under the master key {id} in {:?}. Back that file up, apart from the database.",
        config.settings.engine.keys
    ));
    Ok(())
}

/// Runs a command on a database that has a key.
pub(super) async fn run(nouns: &Nouns, command: &KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::Init => Ok(()),
        KeysCommand::Status => status(nouns).await,
        KeysCommand::Rotate { wait } => rotate(nouns, *wait).await,
        KeysCommand::Retire { id, force, yes } => retire(nouns, *id, *force, *yes).await,
    }
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    state: &'static str,
    created_at: String,
    promoted_at: Option<String>,
    retired_at: Option<String>,
    /// Whether this machine's file has it.
    is_here: bool,
    /// How many live nodes have it, of how many.
    nodes_with: usize,
    nodes: usize,
    tokens: i64,
    sessions: i64,
    backup_codes: i64,
    links: i64,
    sealed_values: BTreeMap<String, i64>,
    #[serde(skip)]
    hanging: String,
}

async fn status(nouns: &Nouns) -> anyhow::Result<()> {
    let counted = count_each(&nouns.engine.db, &nouns.rotation.sealed, nouns.engine.clock.now()).await?;
    let known: Vec<_> = counted.iter().map(|(known, _)| *known).collect();
    let nodes = rotate::live_nodes(&nouns.rotation).await?;
    let here = nouns.engine.keys.ids();
    let show = |(key, hanging): &(hoody_core::rotation::KnownKey, Hanging)| {
        let id = key.id.to_string();
        Shown {
            state: state(standing(&known, key.id)),
            created_at: key.created_at.to_string(),
            promoted_at: key.promoted_at.map(|at| at.to_string()),
            retired_at: key.retired_at.map(|at| at.to_string()),
            is_here: here.contains(&id),
            nodes_with: nodes.iter().filter(|node| node.key_ids.contains(&id)).count(),
            nodes: nodes.len(),
            tokens: hanging.tokens,
            sessions: hanging.sessions,
            backup_codes: hanging.backup_codes,
            links: hanging.links,
            sealed_values: hanging.sealed.iter().cloned().collect(),
            hanging: hanging.in_words(),
            id,
        }
    };
    let keys: Vec<Shown> = counted.iter().map(show).collect();
    output::of_the_service(&keys, || View::List {
        titles: &["KEY", "STATE", "HERE", "NODES", "HANGS ON IT", "SINCE"],
        narrow: 5,
        rows: keys.iter().map(row).collect(),
        empty: "No keys.",
    });
    Ok(())
}

fn row(key: &Shown) -> Vec<String> {
    let since = key.retired_at.as_ref().or(key.promoted_at.as_ref()).unwrap_or(&key.created_at);
    vec![
        key.id.clone(),
        key.state.to_owned(),
        yes_no(key.is_here),
        format!("{} of {}", key.nodes_with, key.nodes),
        key.hanging.clone(),
        since.clone(),
    ]
}

fn state(standing: Option<Standing>) -> &'static str {
    match standing {
        Some(Standing::InForce) => "in force",
        Some(Standing::Older) => "older",
        Some(Standing::Retired) => "retired",
        Some(Standing::Waiting) | None => "waits",
    }
}

async fn rotate(nouns: &Nouns, is_waiting: bool) -> anyhow::Result<()> {
    let source = format!("{:?}", nouns.engine.key_source);
    let (id, is_new) = rotate::add(&nouns.rotation).await?;
    if is_new {
        output::note(&format!(
            "Added the master key {id} to {source}: it opens and verifies from now on. Back that file up now, \
             and bring it to every node that has a file of its own."
        ));
        if !is_waiting {
            output::note("When every node has it, `hoody admin keys rotate` puts it in force.");
            return Ok(());
        }
    }
    let end = Instant::now() + PATIENCE;
    let mut said = Vec::new();
    loop {
        match rotate::promote(&nouns.rotation, id).await? {
            Promotion::Done => break,
            Promotion::DoesNotWait if is_waiting => break,
            Promotion::DoesNotWait => {
                bail!("the master key {id} does not wait any more: see `hoody admin keys status`")
            }
            Promotion::WaitsFor(nodes) if is_waiting && Instant::now() < end => {
                if nodes != said {
                    output::note(&format!("Waiting for {} to have the key {id}.", nodes.join(", ")));
                }
                said = nodes;
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            Promotion::WaitsFor(nodes) => bail!(
                "the master key {id} is not in force: {} does not have it. Bring {source} there; a running \
                 server reads it by itself",
                nodes.join(", ")
            ),
        }
    }
    rotate::put_in_front(&nouns.engine.key_source, id)?;
    if is_waiting {
        wait_until_signing(nouns, id, end).await?;
    }
    output::note(&format!(
        "The master key {id} is in force: it seals and signs from now on. What hangs on those before it: \
         `hoody admin keys status`."
    ));
    Ok(())
}

/// Until every live node seals and signs with the key: each follows within a second.
async fn wait_until_signing(nouns: &Nouns, id: KeyId, end: Instant) -> anyhow::Result<()> {
    let is_behind = |node: &Node| node.key_ids.first() != Some(&id.to_string());
    while rotate::live_nodes(&nouns.rotation).await?.iter().any(is_behind) && Instant::now() < end {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

async fn retire(nouns: &Nouns, id: KeyId, is_forced: bool, is_confirmed: bool) -> anyhow::Result<()> {
    let mut outcome = rotate::retire(&nouns.rotation, id).await?;
    if is_forced && let Err(Kept::Hanging(hanging)) = &outcome {
        if hanging.sealed_values() > 0 {
            bail!("{}", refusal(id, &Kept::Hanging(hanging.clone()), &[]));
        }
        let named = rotate::list_named(&nouns.rotation, id).await?;
        show_named(&named);
        if !is_confirmed {
            if !prompt::is_possible() {
                bail!("there is no terminal to ask on: --yes ends all of these");
            }
            let question = format!("End all of these, and retire the master key {id}?");
            prompt::confirm(&question).await.map_err(|failure| anyhow::anyhow!(failure.message))?;
        }
        rotate::end(&nouns.rotation, id, &named).await?;
        outcome = rotate::retire(&nouns.rotation, id).await?;
    }
    match outcome {
        Ok(()) => {}
        Err(Kept::Already) => output::note(&format!("The master key {id} was retired before.")),
        Err(kept) => {
            let named = rotate::list_named(&nouns.rotation, id).await?;
            bail!("{}", refusal(id, &kept, &named));
        }
    }
    let was_here = rotate::take_out(&nouns.engine.key_source, id)?;
    let where_from =
        if was_here { format!(" and is out of {:?}", nouns.engine.key_source) } else { String::new() };
    output::note(&format!(
        "The master key {id} is retired{where_from}. A backup of the database from before needs it still: keep \
         it beside those backups, and nowhere else."
    ));
    Ok(())
}

fn refusal(id: KeyId, kept: &Kept, named: &[Named]) -> String {
    match kept {
        Kept::Unknown => format!("there is no master key {id}: see `hoody admin keys status`"),
        Kept::InForce => {
            format!("the master key {id} is in force: `hoody admin keys rotate` puts another in its place")
        }
        Kept::Already => format!("the master key {id} was retired before"),
        Kept::SignedBy(nodes) => {
            format!("{} still seals and signs with the master key {id}", nodes.join(", "))
        }
        Kept::Hanging(hanging) if hanging.sealed_values() > 0 => {
            let columns: Vec<_> =
                hanging.sealed.iter().map(|(column, count)| format!("{count} in {column}")).collect();
            format!(
                "sealed values hang on the master key {id}: {}. A running server moves them; when one does not \
                 open, its log says so",
                columns.join(", ")
            )
        }
        Kept::Hanging(hanging) => {
            let mut text = format!("{} hang on the master key {id}", hanging.in_words());
            for one in named.iter().take(SHOWN) {
                text.push_str(&format!("\n  {}", in_words(one)));
            }
            if named.len() > SHOWN {
                text.push_str(&format!("\n  and {} more", named.len() - SHOWN));
            }
            text + "\nA token moves when it is used, a session when it is refreshed or ends, backup codes when \
                    they are made anew, links run out. --force ends them"
        }
    }
}

fn in_words(one: &Named) -> String {
    let id: hoody_core::id::Id<()> = hoody_core::id::Id::from_bytes(one.id);
    match one.kind {
        Kind::Token => format!("token {:?} {id} of {}", one.name, one.username),
        Kind::Session => format!("session {id} ({}) of {}", one.name, one.username),
        Kind::BackupCodes => format!("{} backup codes of {}", one.name, one.username),
        Kind::MailLink => format!("a mailed link ({}) of {}", one.name, one.username),
        Kind::Invitation => format!("invitation {id} for {}", one.name),
    }
}

#[derive(Debug, Serialize)]
struct Ending {
    kind: &'static str,
    id: String,
    name: String,
    account: String,
    account_id: String,
}

/// What will end, before anything does.
fn show_named(named: &[Named]) {
    let end = |one: &Named| Ending {
        kind: match one.kind {
            Kind::Token => "token",
            Kind::Session => "session",
            Kind::BackupCodes => "backup codes",
            Kind::MailLink => "mailed link",
            Kind::Invitation => "invitation",
        },
        id: hoody_core::id::Id::<()>::from_bytes(one.id).to_string(),
        name: one.name.clone(),
        account: one.username.clone(),
        account_id: one.account.to_string(),
    };
    let endings: Vec<Ending> = named.iter().map(end).collect();
    output::of_the_service(&endings, || View::List {
        titles: &["ENDS", "NAME", "ID", "ACCOUNT"],
        narrow: 4,
        rows: endings
            .iter()
            .map(|one| vec![one.kind.to_owned(), one.name.clone(), one.id.clone(), one.account.clone()])
            .collect(),
        empty: "Nothing ends.",
    });
}
