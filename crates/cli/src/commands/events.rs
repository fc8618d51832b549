//! `events` (`contract/cli.md` 8), and `tail`, which goes on by itself when its connection is lost.

use std::time::Duration;

use clap::{Args, Subcommand};
use hoody_client::id::{EventId, ProjectId, RealmId, ResourceId};
use hoody_client::time::Timestamp;
use hoody_client::wire::{DeleteEvents, Event, EventStats};
use hoody_client::{Client, Error, EventQuery, EventStream, SortOrder, StreamQuery, Streamed};

use crate::context::Context;
use crate::terminal::cell::{list_or, text_or};
use crate::terminal::failure::Failure;
use crate::terminal::output::View;
use crate::terminal::printable;

/// How long to wait before a lost stream is opened again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The commands of `events`.
#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// List what happened
    #[command(
        visible_alias = "ls",
        after_help = "EXAMPLES:
  hoody events list
  hoody events list --event-type auth.token.created --start-date 2026-03-01
  hoody events list --resource-id 65a1b2c3d4e5f60718293a4b --sort-order asc -o json"
    )]
    List(Box<ListArgs>),
    /// Show one event
    #[command(visible_aliases = ["show", "describe"], after_help = "EXAMPLES:
  hoody events get 65a1b2c3d4e5f60718293a4b -o json")]
    Get {
        /// The event's id
        id: EventId,
    },
    /// Show how many events there are
    #[command(after_help = "EXAMPLES:\n  hoody events stats --start-date 2026-03-01")]
    Stats {
        #[command(flatten)]
        dates: Dates,
        /// Only those in this realm
        #[arg(long, value_name = "ID")]
        realm_id: Option<RealmId>,
    },
    /// Delete one event
    #[command(visible_aliases = ["rm", "remove"], after_help = "EXAMPLES:
  hoody events delete 65a1b2c3d4e5f60718293a4b")]
    Delete {
        /// The event's id
        id: EventId,
    },
    /// Delete the events that all options choose; without any, every event of the account
    #[command(after_help = "EXAMPLES:
  hoody events bulk-delete --event-type project.updated --before-date 2026-03-01
  hoody events bulk-delete --resource-type project --yes   # where nobody can be asked")]
    BulkDelete(ChosenArgs),
    /// Delete what is older than so many days
    #[command(
        visible_alias = "prune",
        after_help = "EXAMPLES:
  hoody events cleanup --retention-days 30
  hoody events cleanup --retention-days 30 --yes   # where nobody can be asked"
    )]
    Cleanup {
        /// 1 to 365
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=365))]
        retention_days: u32,
    },
    /// Follow what happens, as it happens; a lost connection goes on where it was
    #[command(
        visible_alias = "follow",
        after_help = "EXAMPLES:
  hoody events tail
  hoody events tail --event-type 'auth.token.*' -o ndjson   # a line of JSON each
  hoody events tail --after \"$(hoody events list --limit 1 -o json | jq -r '.events[0].cursor')\""
    )]
    Tail(TailArgs),
}

/// Between which instants or days.
#[derive(Debug, Args)]
pub(crate) struct Dates {
    /// From this instant or day on, e.g. 2026-03-01 or 2026-03-01T12:00:00Z
    #[arg(long, value_name = "DATE")]
    start_date: Option<String>,
    /// Up to this instant, or to the end of this day
    #[arg(long, value_name = "DATE")]
    end_date: Option<String>,
}

/// Which part of the history.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// How many, at most 500
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// How many to skip
    #[arg(long, value_name = "N")]
    offset: Option<u64>,
    /// The column to sort by
    #[arg(long, value_parser = ["created_at", "event_type"])]
    sort_by: Option<String>,
    /// Which end first
    #[arg(long, value_parser = ["asc", "desc"])]
    sort_order: Option<String>,
    /// What happened, e.g. auth.token.created
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,
    /// What kind of thing it happened to, e.g. auth_token
    #[arg(long, value_name = "TYPE")]
    resource_type: Option<String>,
    /// The thing
    #[arg(long, value_name = "ID")]
    resource_id: Option<ResourceId>,
    /// The project that it concerns
    #[arg(long, value_name = "ID")]
    project_id: Option<ProjectId>,
    /// The container that it concerns
    #[arg(long, value_name = "ID")]
    container_id: Option<ResourceId>,
    #[command(flatten)]
    dates: Dates,
    /// Only those in this realm
    #[arg(long, value_name = "ID")]
    realm_id: Option<RealmId>,
}

/// Which events to delete.
#[derive(Debug, Args)]
pub(crate) struct ChosenArgs {
    /// What happened
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,
    /// What kind of thing it happened to
    #[arg(long, value_name = "TYPE")]
    resource_type: Option<String>,
    /// The thing
    #[arg(long, value_name = "ID")]
    resource_id: Option<ResourceId>,
    /// Strictly before this instant
    #[arg(long, value_name = "DATE", value_parser = instant)]
    before_date: Option<Timestamp>,
    /// In this realm
    #[arg(long, value_name = "ID")]
    realm_id: Option<RealmId>,
}

/// What to follow.
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Types, with commas between; `auth.token.*` is a family
    #[arg(long, value_name = "TYPES")]
    event_type: Option<String>,
    /// Things of this kind alone
    #[arg(long, value_name = "TYPE")]
    resource_type: Option<String>,
    /// Only those in this realm
    #[arg(long, value_name = "ID")]
    realm_id: Option<RealmId>,
    /// On from this cursor; unless given from now on
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    after: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

/// Runs one command of `events`.
pub(crate) async fn run(context: &Context, command: EventsCommand) -> Result<(), Failure> {
    match command {
        EventsCommand::List(args) => list(context, *args).await,
        EventsCommand::Get { id } => {
            let event = context.call(async |client: &Client| client.events().get(id).await).await?;
            context.output.show(&event, || View::Details(details(&event)))
        }
        EventsCommand::Stats { dates, realm_id } => {
            let (from, to) = (dates.start_date.as_deref(), dates.end_date.as_deref());
            let stats = context.call(async |client: &Client| client.events().stats(from, to, realm_id).await);
            let stats = stats.await?;
            context.output.show(&stats, || View::Details(counts(&stats)))
        }
        EventsCommand::Delete { id } => {
            context.confirm(&format!("Delete event {id}?")).await?;
            let deleted = context.call(async |client: &Client| client.events().delete(id).await).await?;
            context
                .output
                .show(&deleted, || View::Done(said_of(deleted.deleted_count, deleted.skipped_count)))
        }
        EventsCommand::BulkDelete(args) => bulk_delete(context, args).await,
        EventsCommand::Cleanup { retention_days } => {
            let question = format!("Delete every event older than {retention_days} days?");
            context.insist(&question).await?;
            let cleaned =
                context.call(async |client: &Client| client.events().clean_up(retention_days).await).await?;
            context.output.show(&cleaned, || View::Done(said_of(cleaned.deleted_count, 0)))
        }
        EventsCommand::Tail(args) => tail(context, args).await,
    }
}

async fn list(context: &Context, args: ListArgs) -> Result<(), Failure> {
    let query = EventQuery {
        limit: args.limit,
        offset: args.offset,
        sort_by: args.sort_by,
        sort_order: args.sort_order.map(|order| match order.as_str() {
            "asc" => SortOrder::Ascending,
            _ => SortOrder::Descending,
        }),
        event_type: args.event_type,
        resource_type: args.resource_type,
        resource_id: args.resource_id,
        project_id: args.project_id,
        container_id: args.container_id,
        start_date: args.dates.start_date,
        end_date: args.dates.end_date,
        realm_id: args.realm_id,
    };
    let list = context.call(async |client: &Client| client.events().list(&query).await).await?;
    context.output.show(&list, || View::List {
        titles: &["WHEN", "TYPE", "RESOURCE", "BY", "ID", "REALMS", "MORE"],
        narrow: 5,
        rows: list.events.iter().map(row).collect(),
        empty: "No events.",
    })?;
    if list.pagination.has_more {
        let shown = list.pagination.offset + i64::try_from(list.events.len()).unwrap_or(i64::MAX);
        context.output.note(&format!("{shown} of {}; --offset {shown} shows more.", list.pagination.total));
    }
    Ok(())
}

fn row(event: &Event) -> Vec<String> {
    vec![
        event.created_at.to_string(),
        event.event_type.clone(),
        format!("{} {}", event.resource_type, event.resource_id),
        by(event),
        event.id.to_string(),
        list_or(&event.realm_ids, "none"),
        event.payload.to_string(),
    ]
}

fn by(event: &Event) -> String {
    let Some(actor) = &event.actor else { return "-".to_owned() };
    match actor.id {
        Some(id) => format!("{} {id}", actor.via),
        None => actor.via.clone(),
    }
}

fn details(event: &Event) -> Vec<(&'static str, String)> {
    let names = ["when", "type", "resource", "by", "id", "realms", "more"];
    names.into_iter().zip(row(event)).collect()
}

fn counts(stats: &EventStats) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("events", stats.total_events.to_string()),
        ("oldest", text_or(stats.oldest_event, "none")),
        ("newest", text_or(stats.newest_event, "none")),
    ];
    lines.extend(stats.by_type.iter().map(|(kind, n)| ("", format!("{n} {kind}"))));
    lines
}

fn said_of(deleted: u64, skipped: u64) -> String {
    match skipped {
        0 => format!("Deleted {deleted} events."),
        _ => format!("Deleted {deleted} events; left {skipped} that belong to another realm too."),
    }
}

async fn bulk_delete(context: &Context, args: ChosenArgs) -> Result<(), Failure> {
    let chosen = DeleteEvents {
        event_type: args.event_type,
        resource_type: args.resource_type,
        resource_id: args.resource_id,
        before_date: args.before_date.map(|at| at.to_string()),
        realm_id: args.realm_id,
    };
    let question = if chosen == DeleteEvents::default() {
        "Delete every event of the account?"
    } else {
        "Delete every event that these options choose?"
    };
    context.insist(question).await?;
    let deleted = context.call(async |client: &Client| client.events().delete_chosen(&chosen).await).await?;
    context.output.show(&deleted, || View::Done(said_of(deleted.deleted_count, deleted.skipped_count)))
}

async fn tail(context: &Context, args: TailArgs) -> Result<(), Failure> {
    let mut query = StreamQuery {
        event_type: args.event_type,
        resource_type: args.resource_type,
        realm_id: args.realm_id,
        after: args.after,
    };
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut stream = open(context, &query).await??;
    while left > 0 {
        match stream.next().await {
            Ok(Some(Streamed::Event(event))) => {
                print(context, &event)?;
                left -= 1;
            }
            Ok(Some(Streamed::End { code, message })) => {
                context.output.note(&format!(
                    "The stream ended: {} ({}).",
                    printable::line(&message),
                    printable::line(&code)
                ));
                stream = reopen(context, &mut query, &stream).await?;
            }
            Ok(None) | Err(Error::Network { .. } | Error::Broken { .. } | Error::Timeout { .. }) => {
                stream = reopen(context, &mut query, &stream).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Opens the stream; a session that has ended is refreshed on the way.
async fn open(context: &Context, query: &StreamQuery) -> Result<Result<EventStream, Error>, Failure> {
    context
        .call(async |client: &Client| match client.events().stream(query).await {
            Err(error) if error.is_unauthorized() => Err(error),
            other => Ok(other),
        })
        .await
}

/// Opens the stream again where it was, however long that takes.
async fn reopen(
    context: &Context,
    query: &mut StreamQuery,
    lost: &EventStream,
) -> Result<EventStream, Failure> {
    query.after = lost.last_id().map(str::to_owned).or(query.after.take());
    let mut pause = FIRST_PAUSE;
    loop {
        match open(context, query).await? {
            Ok(stream) => return Ok(stream),
            Err(Error::Api(refusal)) if refusal.status.as_u16() == 410 => {
                context
                    .output
                    .warn(&format!("{}: going on with what happens now", printable::line(&refusal.message)));
                query.after = None;
            }
            Err(Error::Api(refusal)) if !matches!(refusal.status.as_u16(), 429 | 502..=504) => {
                return Err(Error::Api(refusal).into());
            }
            Err(error) => {
                if pause == FIRST_PAUSE {
                    context.output.note(&format!("{}; trying again.", printable::line(&error.to_string())));
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn print(context: &Context, event: &Event) -> Result<(), Failure> {
    context.output.show_next(event, || {
        let realms: String = event.realm_ids.iter().map(|realm| format!(" in {realm}")).collect();
        format!(
            "{}  {}  {} {}{realms}  by {}  {}",
            event.created_at,
            event.event_type,
            event.resource_type,
            event.resource_id,
            by(event),
            event.payload
        )
    })
}

fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}
