//! `containers` (`contract/cli.md`).

use clap::{Args, Subcommand};
use hoody_client::id::{ContainerId, ProjectId, RealmId};
use hoody_client::wire::{Container, CreateContainer, Execute, Secret, SetEnvironment, UpdateContainer};
use hoody_client::{Client, CommandOutput, ContainerQuery};
use serde_json::Value;

use super::projects::{PageArgs, say_rest};
use crate::context::Context;
use crate::terminal::cell::{list_or, text_or, yes_no};
use crate::terminal::failure::Failure;
use crate::terminal::output::View;
use crate::terminal::process;

/// How many containers are looked through for a name.
const NAMES: u32 = 100;

/// The commands of `containers`.
#[derive(Debug, Subcommand)]
pub(crate) enum ContainersCommand {
    /// List containers
    #[command(
        visible_alias = "ls",
        after_help = "EXAMPLES:
  hoody containers list
  hoody containers list --project 65a1b2c3d4e5f60718293a4b --sort-by name --sort-order asc"
    )]
    List {
        #[command(flatten)]
        page: PageArgs,
        /// Only those of this project
        #[arg(long, value_name = "ID")]
        project: Option<ProjectId>,
        /// Only those in this realm
        #[arg(long, value_name = "ID", conflicts_with = "project")]
        realm_id: Option<RealmId>,
    },
    /// Show a container
    #[command(visible_aliases = ["show", "describe"], after_help = "EXAMPLES:
  hoody containers get web -o json")]
    Get {
        #[command(flatten)]
        which: ContainerArg,
    },
    /// Create a container
    #[command(visible_aliases = ["new", "add"], after_help = "EXAMPLES:
  hoody containers create --project 65a1b2c3d4e5f60718293a4b --name web
  hoody containers create --project 65a1b2c3d4e5f60718293a4b --name web --wait --env PORT=8080")]
    Create(Box<CreateArgs>),
    /// Change a container; fields that are not given keep their values
    #[command(
        visible_alias = "edit",
        after_help = "EXAMPLES:
  hoody containers update web --name website --autostart false"
    )]
    Update {
        #[command(flatten)]
        which: ContainerArg,
        /// Its new name
        #[arg(long)]
        name: Option<String>,
        /// Three or six hex digits, with or without `#`
        #[arg(long, value_name = "HEX")]
        color: Option<String>,
        /// A note for people
        #[arg(long)]
        comment: Option<String>,
        /// Start it again when it ends by itself
        #[arg(long, value_name = "BOOL")]
        autostart: Option<bool>,
    },
    /// Delete a container and its snapshots
    #[command(visible_aliases = ["rm", "remove"], after_help = "EXAMPLES:
  hoody containers delete web --yes")]
    Delete {
        #[command(flatten)]
        which: ContainerArg,
    },
    /// Start a container
    #[command(after_help = "EXAMPLES:\n  hoody containers start web")]
    Start {
        #[command(flatten)]
        which: ContainerArg,
    },
    /// Stop a container; its processes have ten seconds to end
    #[command(after_help = "EXAMPLES:\n  hoody containers stop web\n  hoody containers stop web --force")]
    Stop {
        #[command(flatten)]
        which: ContainerArg,
        /// Kill its processes at once
        #[arg(long)]
        force: bool,
    },
    /// Stop and start a container
    #[command(after_help = "EXAMPLES:\n  hoody containers restart web")]
    Restart {
        #[command(flatten)]
        which: ContainerArg,
    },
    /// Show what a container uses
    #[command(after_help = "EXAMPLES:\n  hoody containers stats web")]
    Stats {
        #[command(flatten)]
        which: ContainerArg,
    },
    /// Run a command; its output streams, and its exit code is this command's
    #[command(after_help = "EXAMPLES:
  hoody containers exec web -- ls -l /
  hoody containers exec web --timeout 300 -- sh -c 'make && make test'")]
    Exec {
        #[command(flatten)]
        which: ContainerArg,
        /// Kill the command after so many seconds, 1 to 600
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
        /// The directory to run it in
        #[arg(long, value_name = "PATH")]
        cwd: Option<String>,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// Show, set or remove environment variables
    #[command(after_help = "EXAMPLES:
  hoody containers env web
  hoody containers env web --set PORT=8080 --unset DEBUG")]
    Env {
        #[command(flatten)]
        which: ContainerArg,
        /// Set a variable; repeat it for more
        #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
        set: Vec<Variable>,
        /// Remove a variable; repeat it for more
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
    },
    /// Open or close the terminals of a project's containers
    #[command(after_help = "EXAMPLES:
  hoody containers access allow --project 65a1b2c3d4e5f60718293a4b")]
    Access {
        /// allow: everyone who has a terminal's URL may use it; deny: it asks for a credential
        #[arg(value_parser = ["allow", "deny"])]
        access: String,
        /// The project's id
        #[arg(long, value_name = "ID")]
        project: ProjectId,
    },
}

/// Which container.
#[derive(Debug, Args)]
pub(crate) struct ContainerArg {
    /// The container's name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) container: String,
}

/// A new container.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The project's id
    #[arg(long, value_name = "ID")]
    project: ProjectId,
    /// Its name; random unless given
    #[arg(long)]
    name: Option<String>,
    /// The server to run it on
    #[arg(long, value_name = "ID", default_value = "local")]
    server_id: String,
    /// The image; the server's first unless given
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// A note for people
    #[arg(long)]
    comment: Option<String>,
    /// Set an environment variable; repeat it for more
    #[arg(long = "env", value_name = "KEY=VALUE", value_parser = variable)]
    environment: Vec<Variable>,
    /// Wait until it runs
    #[arg(long)]
    wait: bool,
}

/// A variable and its value, which may be a secret.
#[derive(Debug, Clone)]
pub(crate) struct Variable(String, Secret);

fn variable(text: &str) -> Result<Variable, String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE")?;
    Ok(Variable(key.to_owned(), Secret::new(value)))
}

/// Runs a command of `containers`.
pub(crate) async fn run(context: &Context, command: ContainersCommand) -> Result<(), Failure> {
    match command {
        ContainersCommand::List { page, project, realm_id } => list(context, page, project, realm_id).await,
        ContainersCommand::Get { which } => {
            let id = resolve(context, &which).await?;
            let container = context.call(async |client: &Client| client.containers().get(id).await).await?;
            context.output.show(&container, || View::Details(details(&container)))
        }
        ContainersCommand::Create(args) => create(context, *args).await,
        ContainersCommand::Update { which, name, color, comment, autostart } => {
            let id = resolve(context, &which).await?;
            let change = UpdateContainer {
                name,
                color,
                comment: comment.map(Some),
                autostart,
                ..UpdateContainer::default()
            };
            let updated =
                context.call(async |client: &Client| client.containers().update(id, &change).await).await?;
            context.output.show(&updated, || View::Done(format!("Updated container {}.", named(&updated))))
        }
        ContainersCommand::Delete { which } => {
            let id = resolve(context, &which).await?;
            context.confirm(&format!("Delete container {} and its snapshots?", which.container)).await?;
            context.call(async |client: &Client| client.containers().delete(id).await).await?;
            context
                .output
                .show(&Value::Null, || View::Done(format!("Deleted container {}.", which.container)))
        }
        ContainersCommand::Start { which } => operate(context, &which, "start").await,
        ContainersCommand::Stop { which, force } => {
            operate(context, &which, if force { "force-stop" } else { "stop" }).await
        }
        ContainersCommand::Restart { which } => operate(context, &which, "restart").await,
        ContainersCommand::Stats { which } => stats(context, &which).await,
        ContainersCommand::Exec { which, timeout, cwd, command } => {
            let command = Execute { command: quoted(&command), timeout, cwd };
            exec(context, &which, &command).await
        }
        ContainersCommand::Env { which, set, unset } => environment(context, &which, set, unset).await,
        ContainersCommand::Access { access, project } => {
            let set = context
                .call(async |client: &Client| client.containers().set_project_access(project, &access).await);
            let set = set.await?;
            context.output.show(&set, || View::Done(format!("Terminals of project {project}: {access}.")))
        }
    }
}

/// The id of the container that was named.
pub(super) async fn resolve(context: &Context, which: &ContainerArg) -> Result<ContainerId, Failure> {
    let wanted = which.container.as_str();
    if let Ok(id) = wanted.parse() {
        return Ok(id);
    }
    let mut found = Vec::new();
    let mut page = 1;
    loop {
        let query = ContainerQuery { page: Some(page), limit: Some(NAMES), ..ContainerQuery::default() };
        let list = context.call(async |client: &Client| client.containers().list(&query).await).await?;
        found.extend(list.containers.into_iter().filter(|container| container.name == wanted));
        if u64::from(page) >= list.pagination.total_pages {
            break;
        }
        page += 1;
    }
    match found.as_slice() {
        [one] => Ok(one.id),
        [] => Err(Failure::failed(format!("There is no container {wanted:?}."))
            .hint("`hoody containers list` shows the containers that you may see")),
        many => {
            let ids: Vec<_> = many.iter().map(|one| one.id.to_string()).collect();
            Err(Failure::failed(format!("{} containers have the name {wanted:?}.", many.len()))
                .hint(format!("use one of the ids {}", ids.join(", "))))
        }
    }
}

async fn list(
    context: &Context,
    page: PageArgs,
    project: Option<ProjectId>,
    realm_id: Option<RealmId>,
) -> Result<(), Failure> {
    let query = ContainerQuery {
        page: page.page,
        limit: page.limit,
        sort_by: page.sort_by,
        sort_order: page.sort_order,
        realm_id,
        project,
    };
    let list = context.call(async |client: &Client| client.containers().list(&query).await).await?;
    context.output.show(&list, || View::List {
        titles: &["ID", "NAME", "STATUS", "IMAGE", "PROJECT", "CREATED", "SERVER", "REALMS"],
        narrow: 5,
        rows: list.containers.iter().map(row).collect(),
        empty: "No containers. `hoody containers create` makes one.",
    })?;
    say_rest(context, list.pagination);
    Ok(())
}

async fn create(context: &Context, args: CreateArgs) -> Result<(), Failure> {
    let environment = args.environment.into_iter().map(|Variable(key, value)| (key, value)).collect();
    let request = CreateContainer {
        server_id: args.server_id,
        name: args.name,
        container_image: args.image.map(Some),
        comment: args.comment.map(Some),
        environment_vars: Some(environment),
        ..CreateContainer::default()
    };
    let made = context
        .call(async |client: &Client| client.containers().create(args.project, &request).await)
        .await?;
    let made = if args.wait { wait(context, made).await? } else { made };
    let text = format!("Created container {}: {}.", named(&made), made.status);
    context.output.show(&made, || View::Done(text))
}

/// Waits until a new container runs, at most three minutes.
async fn wait(context: &Context, mut container: Container) -> Result<Container, Failure> {
    const LOOKS: u32 = 360;
    let id = container.id;
    for _ in 0..LOOKS {
        match container.status.as_str() {
            "creating" => {}
            "running" => return Ok(container),
            status => {
                let why = text_or(container.status_reason.as_ref(), "no reason");
                return Err(Failure::failed(format!("Container {} is {status}: {why}.", named(&container))));
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        container = context.call(async |client: &Client| client.containers().get(id).await).await?;
    }
    Err(Failure::failed(format!("Container {} is still {}.", named(&container), container.status)))
}

async fn operate(context: &Context, which: &ContainerArg, operation: &str) -> Result<(), Failure> {
    let id = resolve(context, which).await?;
    let done = context.call(async |client: &Client| client.containers().operate(id, operation).await).await?;
    let text = format!("Container {}: {}. {}.", which.container, done.status, done.message);
    context.output.show(&done, || View::Done(text))
}

async fn stats(context: &Context, which: &ContainerArg) -> Result<(), Failure> {
    let id = resolve(context, which).await?;
    let stats = context.call(async |client: &Client| client.containers().stats(id).await).await?;
    context.output.show(&stats, || {
        View::Details(vec![
            ("id", stats.id.to_string()),
            ("status", stats.status.clone()),
            ("server", stats.server_name.clone()),
            ("processes", stats.processes.to_string()),
            ("cpu seconds", format!("{}", std::time::Duration::from_nanos(stats.cpu.usage).as_secs_f64())),
            ("memory bytes", stats.memory.usage.to_string()),
            ("memory limit", stats.memory.total.to_string()),
        ])
    })
}

async fn exec(context: &Context, which: &ContainerArg, command: &Execute) -> Result<(), Failure> {
    let id = resolve(context, which).await?;
    let mut stream =
        context.call(async |client: &Client| client.containers().execute(id, command).await).await?;
    loop {
        match stream.next().await? {
            Some(CommandOutput::Out(bytes)) => process::script(&bytes)?,
            Some(CommandOutput::Err(bytes)) => process::errors(&bytes),
            Some(CommandOutput::End { exit_code: Some(code), .. }) => {
                context.exit.set(u8::try_from(code).unwrap_or(1));
                return Ok(());
            }
            Some(CommandOutput::End { status, .. }) if status == "timeout" => {
                return Err(Failure::failed("The command took too long and was killed.")
                    .hint("--timeout gives it more seconds, at most 600"));
            }
            _ => {
                return Err(Failure::failed("The command's end is not known.")
                    .hint("it may still run: the container engine or the connection broke off"));
            }
        }
    }
}

async fn environment(
    context: &Context,
    which: &ContainerArg,
    set: Vec<Variable>,
    unset: Vec<String>,
) -> Result<(), Failure> {
    let id = resolve(context, which).await?;
    if !set.is_empty() {
        let variables = SetEnvironment(set.into_iter().map(|Variable(key, value)| (key, value)).collect());
        context
            .call(async |client: &Client| client.containers().set_environment(id, &variables).await)
            .await?;
    }
    for key in unset {
        context.call(async |client: &Client| client.containers().unset_variable(id, &key).await).await?;
    }
    let known = context.call(async |client: &Client| client.containers().environment(id).await).await?;
    context.output.show(&known, || View::List {
        titles: &["VARIABLE", "VALUE"],
        narrow: 2,
        rows: known
            .environment_vars
            .iter()
            .map(|(key, value)| vec![key.clone(), value.expose().to_owned()])
            .collect(),
        empty: "No variables.",
    })
}

/// A command line for the shell: each word in single quotes, so that the shell changes none.
fn quoted(words: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,+@%".contains(c);
    let quote = |word: &String| match !word.is_empty() && word.chars().all(is_plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn row(container: &Container) -> Vec<String> {
    vec![
        container.id.to_string(),
        container.name.clone(),
        container.status.clone(),
        container.container_image.clone(),
        text_or(container.project_alias.as_ref(), "-"),
        container.created_at.to_string(),
        text_or(container.server_name.as_ref(), "-"),
        list_or(&container.realm_ids, "none"),
    ]
}

fn details(container: &Container) -> Vec<(&'static str, String)> {
    vec![
        ("id", container.id.to_string()),
        ("name", container.name.clone()),
        ("status", container.status.clone()),
        ("reason", text_or(container.status_reason.as_ref(), "-")),
        ("image", container.container_image.clone()),
        ("project", format!("{} ({})", text_or(container.project_alias.as_ref(), "-"), container.project_id)),
        ("server", text_or(container.server_name.as_ref(), "-")),
        ("terminal", yes_no(container.hoody_kit)),
        ("open", container.proxy_permissions_scope.clone()),
        ("autostart", yes_no(container.autostart)),
        ("snapshots", container.snapshot_count.to_string()),
        ("realms", list_or(&container.realm_ids, "none")),
        ("created", container.created_at.to_string()),
        ("warnings", list_or(container.warnings.as_deref().unwrap_or_default(), "none")),
    ]
}

fn named(container: &Container) -> String {
    format!("{:?} ({})", container.name, container.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_changes_no_word() {
        let words = |words: &[&str]| quoted(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&["ls", "-l", "/tmp"]), "ls -l /tmp");
        assert_eq!(words(&["A=1"]), "'A=1'", "a command, not a variable");
        assert_eq!(words(&["echo", "a b", "$HOME", "it's", ""]), r"echo 'a b' '$HOME' 'it'\''s' ''");
    }

    #[test]
    fn a_variables_value_is_not_printed() {
        let Variable(key, value) = variable("KEY=a=b").unwrap();
        assert_eq!((key.as_str(), value.expose()), ("KEY", "a=b"));
        assert!(!format!("{:?}", variable("KEY=canary").unwrap()).contains("canary"));
        assert!(variable("KEY").is_err());
    }
}
