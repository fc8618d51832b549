//! `projects` and `projects permissions` (`contract/cli.md` 8).

use clap::{Args, Subcommand};
use hoody_client::id::{MemberId, ProjectId, RealmId, UserId};
use hoody_client::wire::{
    CreateMember, CreateProject, Pagination, PermissionLevel, Project, ProjectMember, UpdateMember,
    UpdateProject,
};
use hoody_client::{Client, MemberQuery, ProjectQuery, SortOrder};
use serde_json::Value;

use super::values::{RealmIds, realm_ids};
use crate::context::Context;
use crate::terminal::cell::{list_or, text_or, yes_no};
use crate::terminal::failure::Failure;
use crate::terminal::output::View;

/// The commands of `projects`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectsCommand {
    /// List one's own projects and those shared with one
    #[command(
        visible_alias = "ls",
        after_help = "EXAMPLES:
  hoody projects list
  hoody projects list --limit 50 --sort-by alias --sort-order asc"
    )]
    List {
        #[command(flatten)]
        page: PageArgs,
        /// Only those in this realm
        #[arg(long, value_name = "ID")]
        realm_id: Option<RealmId>,
    },
    /// Show a project
    #[command(visible_aliases = ["show", "describe"], after_help = "EXAMPLES:
  hoody projects get 65a1b2c3d4e5f60718293a4b --include-permissions -o json")]
    Get {
        /// The project's id
        id: ProjectId,
        /// Show who else may reach it
        #[arg(long)]
        include_permissions: bool,
    },
    /// Make a project
    #[command(visible_aliases = ["new", "add"], after_help = "EXAMPLES:
  hoody projects create --alias web --color '#1E90FF'")]
    Create {
        /// Its name
        #[arg(long)]
        alias: String,
        #[command(flatten)]
        fields: ProjectFields,
    },
    /// Change a project; what is not given stays
    #[command(
        visible_alias = "edit",
        after_help = "EXAMPLES:
  hoody projects update 65a1b2c3d4e5f60718293a4b --alias website"
    )]
    Update {
        /// The project's id
        id: ProjectId,
        /// Its new name
        #[arg(long)]
        alias: Option<String>,
        #[command(flatten)]
        fields: ProjectFields,
    },
    /// Delete a project and all that is in it
    #[command(visible_aliases = ["rm", "remove"], after_help = "EXAMPLES:
  hoody projects delete 65a1b2c3d4e5f60718293a4b")]
    Delete {
        /// The project's id
        id: ProjectId,
        /// List what went with it
        #[arg(long)]
        include_deleted_items: bool,
    },
    /// Show what runs in a project
    #[command(after_help = "EXAMPLES:\n  hoody projects stats 65a1b2c3d4e5f60718293a4b")]
    Stats {
        /// The project's id
        id: ProjectId,
    },
    /// Who else may reach a project
    #[command(
        subcommand,
        visible_alias = "permission",
        after_help = "EXAMPLES:
  hoody projects permissions list --project 65a1b2c3d4e5f60718293a4b"
    )]
    Permissions(PermissionsCommand),
}

/// The commands of `projects permissions`.
#[derive(Debug, Subcommand)]
pub(crate) enum PermissionsCommand {
    /// List who may reach a project
    #[command(
        visible_alias = "ls",
        after_help = "EXAMPLES:
  hoody projects permissions list --project 65a1b2c3d4e5f60718293a4b"
    )]
    List {
        #[command(flatten)]
        project: ProjectArg,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Give an account access to a project
    #[command(visible_aliases = ["new", "add"], after_help = "EXAMPLES:
  hoody projects permissions create --project 65a1b2c3d4e5f60718293a4b \\
    --user-id 63f8b0e5c9a1b2d3e4f5a6b7 --permission-level read")]
    Create {
        #[command(flatten)]
        project: ProjectArg,
        /// The account's id
        #[arg(long, value_name = "ID")]
        user_id: UserId,
        #[command(flatten)]
        level: LevelArg,
    },
    /// Change what an account may do with a project
    #[command(
        visible_alias = "edit",
        after_help = "EXAMPLES:
  hoody projects permissions update --project 65a1b2c3d4e5f60718293a4b \\
    --permission-id 65a1b2c3d4e5f60718293a4c --permission-level edit"
    )]
    Update {
        #[command(flatten)]
        project: ProjectArg,
        /// The permission's id
        #[arg(long, value_name = "ID")]
        permission_id: MemberId,
        #[command(flatten)]
        level: LevelArg,
    },
    /// Take an account's access to a project away
    #[command(visible_aliases = ["rm", "remove"], after_help = "EXAMPLES:
  hoody projects permissions delete --project 65a1b2c3d4e5f60718293a4b --permission-id 65a1b2c3d4e5f60718293a4c")]
    Delete {
        #[command(flatten)]
        project: ProjectArg,
        /// The permission's id
        #[arg(long, value_name = "ID")]
        permission_id: MemberId,
    },
}

/// Which page of a list.
#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// Which page, from 1
    #[arg(long, value_name = "N")]
    pub(crate) page: Option<u32>,
    /// How many on a page, at most 100
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
    /// What to sort by, e.g. created_at
    #[arg(long, value_name = "FIELD")]
    pub(crate) sort_by: Option<String>,
    /// Which end first
    #[arg(long, value_name = "asc|desc", value_parser = sort_order)]
    pub(crate) sort_order: Option<SortOrder>,
}

/// What both create and update take.
#[derive(Debug, Args)]
pub(crate) struct ProjectFields {
    /// Three or six hex digits, with or without `#`
    #[arg(long, value_name = "HEX")]
    color: Option<String>,
    /// How many containers it may hold; `none` is no limit
    #[arg(long, value_name = "N", value_parser = quota)]
    max_containers: Option<Quota>,
    /// Realms it belongs to; repeat it, or separate by commas
    #[arg(long, value_name = "IDS", value_parser = realm_ids)]
    realm_ids: Vec<RealmIds>,
}

/// Which project.
#[derive(Debug, Args)]
pub(crate) struct ProjectArg {
    /// The project's id
    #[arg(long = "project", value_name = "ID")]
    id: ProjectId,
}

/// What an account may do.
#[derive(Debug, Args)]
pub(crate) struct LevelArg {
    /// read, edit or delete; each includes those before it
    #[arg(long = "permission-level", value_name = "LEVEL")]
    level: PermissionLevel,
}

/// A number, or no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota(Option<u64>);

fn quota(text: &str) -> Result<Quota, String> {
    match text {
        "none" | "null" => Ok(Quota(None)),
        _ => text.parse().map(|count| Quota(Some(count))).map_err(|_| "a number, or `none`".to_owned()),
    }
}

fn sort_order(text: &str) -> Result<SortOrder, String> {
    match text {
        "asc" => Ok(SortOrder::Ascending),
        "desc" => Ok(SortOrder::Descending),
        _ => Err("asc or desc".to_owned()),
    }
}

/// Runs a command of `projects`.
pub(crate) async fn run(context: &Context, command: ProjectsCommand) -> Result<(), Failure> {
    match command {
        ProjectsCommand::List { page, realm_id } => list(context, page, realm_id).await,
        ProjectsCommand::Get { id, include_permissions } => {
            let project = context
                .call(async |client: &Client| client.projects().get(id, include_permissions).await)
                .await?;
            context.output.show(&project, || View::Details(details(&project)))
        }
        ProjectsCommand::Create { alias, fields } => {
            let request = CreateProject {
                alias,
                color: fields.color,
                max_containers: fields.max_containers.map(|quota| quota.0),
                realm_ids: RealmIds::joined(&fields.realm_ids),
            };
            let project =
                context.call(async |client: &Client| client.projects().create(&request).await).await?;
            context.output.show(&project, || View::Done(format!("Made project {}.", named(&project))))
        }
        ProjectsCommand::Update { id, alias, fields } => {
            let request = UpdateProject {
                alias,
                color: fields.color,
                max_containers: fields.max_containers.map(|quota| quota.0),
                realm_ids: RealmIds::joined(&fields.realm_ids),
            };
            let project =
                context.call(async |client: &Client| client.projects().update(id, &request).await).await?;
            context.output.show(&project, || View::Done(format!("Updated project {}.", named(&project))))
        }
        ProjectsCommand::Delete { id, include_deleted_items } => {
            delete(context, id, include_deleted_items).await
        }
        ProjectsCommand::Stats { id } => stats(context, id).await,
        ProjectsCommand::Permissions(command) => permissions(context, command).await,
    }
}

async fn list(context: &Context, page: PageArgs, realm_id: Option<RealmId>) -> Result<(), Failure> {
    let query = ProjectQuery {
        page: page.page,
        limit: page.limit,
        sort_by: page.sort_by,
        sort_order: page.sort_order,
        realm_id,
    };
    let list = context.call(async |client: &Client| client.projects().list(&query).await).await?;
    context.output.show(&list, || View::List {
        titles: &["ID", "ALIAS", "COLOR", "DEFAULT", "CREATED", "OWNER", "MAX CONTAINERS", "REALMS"],
        narrow: 5,
        rows: list.projects.iter().map(row).collect(),
        empty: "No projects. `hoody projects create` makes one.",
    })?;
    say_rest(context, list.pagination);
    Ok(())
}

async fn delete(context: &Context, id: ProjectId, include_deleted_items: bool) -> Result<(), Failure> {
    context.confirm(&format!("Delete project {id} and all that is in it?")).await?;
    let deleted = context
        .call(async |client: &Client| client.projects().delete(id, include_deleted_items).await)
        .await?;
    context.output.show(&deleted, || {
        let counts = deleted.deleted;
        View::Done(format!(
            "Deleted project {id} with {} containers, {} permissions and {} aliases.",
            counts.containers, counts.permissions, counts.aliases
        ))
    })
}

async fn stats(context: &Context, id: ProjectId) -> Result<(), Failure> {
    let stats = context.call(async |client: &Client| client.projects().stats(id).await).await?;
    context.output.show(&stats, || {
        View::Details(vec![
            ("project", format!("{:?} ({})", stats.summary.project_name, stats.summary.project_id)),
            ("containers", stats.summary.container_count.to_string()),
        ])
    })
}

async fn permissions(context: &Context, command: PermissionsCommand) -> Result<(), Failure> {
    match command {
        PermissionsCommand::List { project, page } => {
            let query = MemberQuery {
                page: page.page,
                limit: page.limit,
                sort_by: page.sort_by,
                sort_order: page.sort_order,
            };
            let list = context
                .call(async |client: &Client| client.projects().permissions(project.id).list(&query).await)
                .await?;
            context.output.show(&list, || View::List {
                titles: &["ID", "ACCOUNT", "LEVEL", "GIVEN", "ACCOUNT ID"],
                narrow: 4,
                rows: list.permissions.iter().map(member_row).collect(),
                empty: "Nobody else may reach this project.",
            })?;
            say_rest(context, list.pagination);
            Ok(())
        }
        PermissionsCommand::Create { project, user_id, level } => {
            let request = CreateMember { user_id, permission_level: level.level };
            let member = context
                .call(async |client: &Client| {
                    client.projects().permissions(project.id).create(&request).await
                })
                .await?;
            context.output.show(&member, || {
                View::Done(format!(
                    "Account {user_id} may {} project {} ({}).",
                    level.level, project.id, member.id
                ))
            })
        }
        PermissionsCommand::Update { project, permission_id, level } => {
            let request = UpdateMember { permission_level: level.level };
            let member = context
                .call(async |client: &Client| {
                    client.projects().permissions(project.id).update(permission_id, &request).await
                })
                .await?;
            context.output.show(&member, || {
                View::Done(format!("Account {} may {} project {}.", member.user_id, level.level, project.id))
            })
        }
        PermissionsCommand::Delete { project, permission_id } => {
            context.confirm(&format!("Take permission {permission_id} away?")).await?;
            context
                .call(async |client: &Client| {
                    client.projects().permissions(project.id).delete(permission_id).await
                })
                .await?;
            context.output.show(&Value::Null, || View::Done(format!("Deleted permission {permission_id}.")))
        }
    }
}

/// Says that there are more pages.
pub(crate) fn say_rest(context: &Context, page: Pagination) {
    if u64::from(page.page) < page.total_pages {
        context.output.note(&format!(
            "Page {} of {} ({} in all): --page {} shows the next.",
            page.page,
            page.total_pages,
            page.total,
            u64::from(page.page) + 1
        ));
    }
}

fn row(project: &Project) -> Vec<String> {
    vec![
        project.id.to_string(),
        project.alias.clone(),
        project.color.clone(),
        yes_no(project.is_default),
        project.created_at.to_string(),
        project.user_id.to_string(),
        limit(project),
        realms(project),
    ]
}

fn member_row(member: &ProjectMember) -> Vec<String> {
    let name = member.user.as_ref().map_or_else(|| member.user_id.to_string(), |user| user.username.clone());
    vec![
        member.id.to_string(),
        name,
        member.permission_level.to_string(),
        member.created_at.to_string(),
        member.user_id.to_string(),
    ]
}

fn details(project: &Project) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("id", project.id.to_string()),
        ("alias", project.alias.clone()),
        ("color", project.color.clone()),
        ("owner", project.user_id.to_string()),
        ("default", yes_no(project.is_default)),
        ("max containers", limit(project)),
        ("realms", realms(project)),
        ("created", project.created_at.to_string()),
        ("updated", project.updated_at.to_string()),
    ];
    for member in project.permissions.iter().flatten() {
        fields.push(("permission", member_row(member)[..3].join("  ")));
    }
    fields
}

fn limit(project: &Project) -> String {
    text_or(project.max_containers, "none")
}

fn realms(project: &Project) -> String {
    list_or(&project.realm_ids, "none")
}

fn named(project: &Project) -> String {
    format!("{:?} ({})", project.alias, project.id)
}
