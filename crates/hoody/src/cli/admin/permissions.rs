//! `hoody admin permissions …`: the operator's own permissions.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hoody_core::permissions::own::{InUse, Mode, OwnId, Rows, State, Step, Withheld};
use serde_json::{Value, json};

use crate::cli::output::{self, View};
use crate::config::permissions::read;
use hoody_service::nouns::Nouns;
use hoody_service::permissions::apply::{Changed, Wanted};

/// The operator's own permissions, from a file
#[derive(Debug, Subcommand)]
pub(super) enum PermissionsCommand {
    /// Shows what a file would change, and changes nothing
    #[command(after_help = "EXAMPLES:\n  hoody admin permissions plan permissions.toml\n  \
        hoody admin permissions plan permissions.toml --prune")]
    Plan(FileArgs),
    /// Adds and changes permissions and templates as a file says
    #[command(after_help = "EXAMPLES:\n  hoody admin permissions apply permissions.toml\n  \
        hoody admin permissions apply permissions.toml --prune")]
    Apply(FileArgs),
    /// Lists the operator's permissions
    #[command(
        visible_alias = "ls",
        after_help = "EXAMPLES:\n  hoody admin permissions list\n  hoody admin permissions list -o json"
    )]
    List,
    /// Stops permissions from being granted; tokens that hold one keep it
    #[command(after_help = "EXAMPLES:\n  hoody admin permissions retire orders.refund")]
    Retire {
        /// Their paths, e.g. orders.refund
        #[arg(required = true)]
        paths: Vec<String>,
    },
}

/// A file, and how much of it is done.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// A TOML file with the tables `permissions` and `templates`
    file: PathBuf,
    /// Also rename, retire and remove, so that there is what the file says and nothing else
    #[arg(long)]
    prune: bool,
    /// Remove a permission that tokens hold, from all of them first
    #[arg(long, requires = "prune")]
    force: bool,
}

impl FileArgs {
    fn wanted(&self) -> anyhow::Result<Wanted> {
        let mode = if self.prune { Mode::Prune } else { Mode::Apply };
        Ok(Wanted::File(read(&self.file)?, mode))
    }
}

pub(super) async fn run(nouns: &Nouns, command: &PermissionsCommand) -> anyhow::Result<()> {
    let permissions = &nouns.permissions;
    match command {
        PermissionsCommand::Plan(args) => {
            let changed = permissions.plan(&args.wanted()?, args.force).await.map_err(in_full)?;
            show(&changed, true);
        }
        PermissionsCommand::Apply(args) => {
            let changed = permissions.apply(&args.wanted()?, args.force).await.map_err(in_full)?;
            show(&changed, false);
        }
        PermissionsCommand::List => list(&permissions.rows().await?),
        PermissionsCommand::Retire { paths } => {
            let changed = permissions.apply(&Wanted::Retired(paths.clone()), false).await?;
            show(&changed, false);
        }
    }
    Ok(())
}

/// The tokens that hold what would be removed, by id: the operator looks them up.
fn in_full(error: anyhow::Error) -> anyhow::Error {
    let Some(InUse { uses, .. }) = error.downcast_ref::<InUse>() else { return error };
    let ids: Vec<String> = uses.examples.iter().map(ToString::to_string).collect();
    let more = if uses.count > ids.len() as u64 { ", …" } else { "" };
    anyhow::anyhow!("{error}\n  tokens: {}{more}", ids.join(", "))
}

fn show(changed: &Changed, is_plan: bool) {
    let Changed { plan, after, taken } = changed;
    let steps: Vec<String> = plan.steps.iter().map(|step| describe(step, after)).collect();
    let withheld: Vec<String> = plan.withheld.iter().map(|step| describe_withheld(step, after)).collect();
    for (old, now) in &plan.deprecated {
        output::note(&format!("{old} is an old name of {now}: the file means {now}"));
    }
    withheld.iter().for_each(|line| output::note(line));
    let data = json!({
        "version": after.version,
        "applied": !is_plan,
        "steps": steps,
        "withheld": withheld,
        "taken_from_tokens": taken,
    });
    let titles: &[&str] = if is_plan { &["WOULD"] } else { &["DID"] };
    output::of_the_service(&data, || View::List {
        titles,
        narrow: 1,
        rows: steps.into_iter().map(|line| vec![line]).collect(),
        empty: "Nothing to change.",
    });
    if *taken > 0 {
        let tokens = if *taken == 1 { "1 token".to_owned() } else { format!("{taken} tokens") };
        output::note(&format!("Took removed permissions from {tokens}."));
    }
}

/// One step, as a line for people.
pub(crate) fn describe(step: &Step, after: &Rows) -> String {
    match step {
        Step::Add { path, .. } => format!("add {path}"),
        Step::Restore { path, .. } => format!("add {path} again"),
        Step::Describe { path, .. } => format!("change what is said of {path}"),
        Step::Rename { from, to, .. } => format!("rename {from} to {to}; the old name keeps working"),
        Step::Retire { path, .. } => format!("retire {path}: it is no longer granted"),
        Step::Revive { path, .. } => format!("grant {path} again"),
        Step::Remove { path, .. } => format!("remove {path}"),
        Step::AddTemplate(template) => {
            format!("add the template {} with {}", template.name, paths(template.own.ids(), after))
        }
        Step::ChangeTemplate(template) => {
            format!("change the template {} to {}", template.name, paths(template.own.ids(), after))
        }
        Step::RemoveTemplate { name } => format!("remove the template {name}"),
    }
}

/// What a narrower mode leaves undone, and the flag that does it.
pub(crate) fn describe_withheld(withheld: &Withheld, after: &Rows) -> String {
    let flag = if withheld.needs == Mode::Prune { "--prune" } else { "hoody admin permissions apply" };
    format!("not done: {} (needs {flag})", describe(&withheld.step, after))
}

fn paths(ids: &[OwnId], rows: &Rows) -> String {
    let paths = ids.iter().filter_map(|id| rows.leaf(*id)).map(|row| row.path.as_str());
    let paths: Vec<&str> = paths.collect();
    if paths.is_empty() { "none of your permissions".to_owned() } else { paths.join(", ") }
}

fn list(rows: &Rows) {
    let shown = rows.leaves.iter().filter(|row| row.state != State::Removed);
    let old_paths = |id| {
        let old = rows.aliases.iter().filter(move |alias| alias.id == id).map(|alias| alias.path.as_str());
        old.collect::<Vec<_>>()
    };
    let state = |state| if state == State::Live { "live" } else { "retired" };
    let data: Vec<Value> = shown
        .clone()
        .map(|row| {
            json!({
                "path": row.path, "description": row.description, "writes": row.writes,
                "state": state(row.state), "old_paths": old_paths(row.id),
            })
        })
        .collect();
    let data = json!({ "version": rows.version, "permissions": data });
    output::of_the_service(&data, || View::List {
        titles: &["PATH", "WRITES", "STATE", "DESCRIPTION"],
        narrow: 4,
        rows: shown
            .map(|row| {
                let writes = if row.writes { "yes" } else { "no" };
                vec![
                    row.path.clone(),
                    writes.to_owned(),
                    state(row.state).to_owned(),
                    row.description.clone(),
                ]
            })
            .collect(),
        empty: "No permissions of your own. `hoody admin permissions apply FILE` adds some.",
    });
}

/// What `serve --permissions FILE` does at start: adds what is missing, and says what it left alone.
///
/// # Errors
/// A sentence for the operator.
pub(crate) async fn add_at_start(nouns: &Nouns, path: &Path) -> anyhow::Result<()> {
    let wanted = Wanted::File(read(path)?, Mode::Add);
    let changed = nouns.permissions.apply(&wanted, false).await;
    let changed = changed.with_context(|| format!("permissions: {} cannot be applied", path.display()))?;
    for step in &changed.plan.steps {
        tracing::info!("permissions: {}", describe(step, &changed.after));
    }
    for withheld in &changed.plan.withheld {
        tracing::warn!("permissions: {}", describe_withheld(withheld, &changed.after));
    }
    Ok(())
}
