//! `alerts`: what looks wrong, and what is told of it.

use std::collections::HashSet;
use std::time::Duration;

use clap::{Args, Subcommand};
use hoody_client::id::{AlertId, RealmId, ResourceId};
use hoody_client::time::Timestamp;
use hoody_client::wire::{Alert, AlertSetting, UpdateAlertSetting};
use hoody_client::{AlertQuery, Client, Error};
use http::StatusCode;

use crate::context::Context;
use crate::terminal::cell::{text_or, yes_no};
use crate::terminal::failure::Failure;
use crate::terminal::output::View;
use crate::terminal::printable;

/// How often `--follow` asks.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);
/// How far back `--follow` looks each time: an alert is there up to a second after what it tells of.
const FOLLOW_BACK: i64 = 60_000;

/// The commands of `alerts`.
#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// List the account's alerts, the latest first
    #[command(
        visible_alias = "ls",
        after_help = "EXAMPLES:
  hoody alerts list --state open
  hoody alerts list --kind dead_token_used --start-date 2026-03-01
  hoody alerts list --follow -o raw | jq -r .message"
    )]
    List(Box<ListArgs>),
    /// Show an alert
    #[command(visible_aliases = ["show", "describe"], after_help = "EXAMPLES:
  hoody alerts get 65a1b2c3d4e5f60718293a4b")]
    Get {
        /// The alert's id
        id: AlertId,
    },
    /// Say that you take care of alerts
    #[command(
        visible_alias = "ack",
        after_help = "EXAMPLES:
  hoody alerts acknowledge 65a1b2c3d4e5f60718293a4b"
    )]
    Acknowledge {
        /// The alerts' ids
        #[arg(required = true)]
        ids: Vec<AlertId>,
    },
    /// Say that alerts are nothing
    #[command(after_help = "EXAMPLES:\n  hoody alerts dismiss 65a1b2c3d4e5f60718293a4b")]
    Dismiss {
        /// The alerts' ids
        #[arg(required = true)]
        ids: Vec<AlertId>,
    },
    /// List every kind of alerts and what is told of it
    #[command(after_help = "EXAMPLES:\n  hoody alerts settings\n  hoody alerts settings -o wide")]
    Settings,
    /// Change what is told of a kind; what is not given stays
    #[command(after_help = "EXAMPLES:
  hoody alerts set refusal_burst --threshold 100
  hoody alerts set login_new_address --muted-until 2026-04-01
  hoody alerts set login_new_address --muted-until never
  hoody alerts set token_unused --threshold 60 --disables true
  hoody alerts set token_expiring --mail false")]
    Set(SetArgs),
}

/// Which alerts.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Which page, from 1
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    page: Option<u32>,
    /// How many a page holds, at most 200
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Only this kind; `hoody alerts settings` lists them
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = ["open", "acknowledged", "dismissed"])]
    state: Option<String>,
    /// Only what is about this token, webhook or account
    #[arg(long, value_name = "ID")]
    subject_id: Option<ResourceId>,
    /// That happened last from this instant or day on (ISO 8601, UTC)
    #[arg(long, value_name = "DATE")]
    start_date: Option<String>,
    /// That happened last up to this instant, or to the end of this day
    #[arg(long, value_name = "DATE", conflicts_with = "follow")]
    end_date: Option<String>,
    /// Only about tokens of this realm
    #[arg(long, value_name = "ID")]
    realm_id: Option<RealmId>,
    /// Show the latest, then every further one as it comes, until interrupted
    #[arg(long, short = 'f')]
    follow: bool,
}

/// What is to be told of a kind.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The kind
    kind: String,
    /// Whether there are alerts of it
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
    /// From when on; `settings -o wide` says what it counts
    #[arg(long, value_name = "N")]
    threshold: Option<i64>,
    /// Until when alerts of it are kept and told to nobody (ISO 8601, UTC); `never` ends that
    #[arg(long, value_name = "DATE", value_parser = mute_end)]
    muted_until: Option<String>,
    /// Whether a mail tells of it
    #[arg(long, value_name = "BOOL")]
    mail: Option<bool>,
    /// Whether webhooks tell of it
    #[arg(long, value_name = "BOOL")]
    webhook: Option<bool>,
    /// Of `token_unused`: whether such tokens are disabled
    #[arg(long, value_name = "BOOL")]
    disables: Option<bool>,
}

/// Runs a command of `alerts`.
pub(crate) async fn run(context: &Context, command: AlertsCommand) -> Result<(), Failure> {
    match command {
        AlertsCommand::List(args) if args.follow => follow(context, args.query()).await,
        AlertsCommand::List(args) => list(context, &args.query()).await,
        AlertsCommand::Get { id } => {
            let alert = context.call(async |client: &Client| client.alerts().get(id).await).await?;
            context.output.show(&alert, || View::Details(details(&alert)))
        }
        AlertsCommand::Acknowledge { ids } => {
            let acknowledge = async |client: &Client, id| client.alerts().acknowledge(id).await;
            settle(context, &ids, "Acknowledged", acknowledge).await
        }
        AlertsCommand::Dismiss { ids } => {
            let dismiss = async |client: &Client, id| client.alerts().dismiss(id).await;
            settle(context, &ids, "Dismissed", dismiss).await
        }
        AlertsCommand::Settings => settings(context).await,
        AlertsCommand::Set(args) => set(context, args).await,
    }
}

/// Settles each, and names at the end those that the server refused.
async fn settle(
    context: &Context,
    ids: &[AlertId],
    done: &str,
    call: impl AsyncFn(&Client, AlertId) -> Result<Alert, Error>,
) -> Result<(), Failure> {
    let mut refused = Vec::new();
    for &id in ids {
        let settled = context
            .call(async |client: &Client| match call(client, id).await {
                Err(Error::Api(refusal)) if is_about_one(refusal.status) => Ok(Err(refusal)),
                other => other.map(Ok),
            })
            .await?;
        match settled {
            Ok(alert) => context.output.show(&alert, || View::Done(format!("{done} alert {id}.")))?,
            Err(refusal) => {
                let why = printable::line(&refusal.message);
                refused.push(format!("{id}: {why} ({})", printable::line(&refusal.code)));
            }
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(Failure::failed(refused.join("\n"))) }
}

/// Whether it is wrong with one alert: a credential that may not, or a server that cannot, fails them all.
fn is_about_one(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 429)
}

/// The end of a mute as it is given: the server reads it.
fn mute_end(text: &str) -> Result<String, String> {
    if text == "never" || Timestamp::parse(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err("must be an instant (2026-04-01, 2026-04-01T12:00:00Z), or `never` to end it".to_owned())
}

impl ListArgs {
    fn query(&self) -> AlertQuery {
        AlertQuery {
            page: self.page,
            limit: self.limit,
            kind: self.kind.clone(),
            state: self.state.clone(),
            subject_id: self.subject_id,
            start_date: self.start_date.clone(),
            end_date: self.end_date.clone(),
            realm_id: self.realm_id,
        }
    }
}

async fn list(context: &Context, query: &AlertQuery) -> Result<(), Failure> {
    let page = context.call(async |client: &Client| client.alerts().list(query).await).await?;
    context.output.show(&page.alerts, || View::List {
        titles: &["LAST", "SEVERITY", "KIND", "COUNT", "MESSAGE", "STATE", "ID", "FIRST", "ADDRESS", "MUTED"],
        narrow: 7,
        rows: page.alerts.iter().map(row).collect(),
        empty: "No alerts.",
    })?;
    if let Some(metadata) = &page.metadata
        && metadata.pages > u64::from(metadata.page)
    {
        context.output.note(&format!(
            "Page {} of {}, {} alerts. --page {} shows the next.",
            metadata.page,
            metadata.pages,
            metadata.total,
            metadata.page + 1
        ));
    }
    Ok(())
}

fn row(alert: &Alert) -> Vec<String> {
    vec![
        alert.last_at.to_string(),
        alert.severity.clone(),
        alert.kind.clone(),
        alert.count.to_string(),
        alert.message.clone(),
        alert.state.clone(),
        alert.id.to_string(),
        alert.first_at.to_string(),
        text_or(alert.ip_address.as_ref(), "-"),
        yes_no(alert.is_muted),
    ]
}

fn details(alert: &Alert) -> Vec<(&'static str, String)> {
    vec![
        ("id", alert.id.to_string()),
        ("kind", alert.kind.clone()),
        ("severity", alert.severity.clone()),
        ("state", alert.state.clone()),
        ("message", alert.message.clone()),
        ("explanation", alert.explanation.clone()),
        ("about", alert.subject_type.clone()),
        ("its id", text_or(alert.subject_id, "-")),
        ("its name", text_or(alert.subject_name.as_ref(), "-")),
        ("count", alert.count.to_string()),
        ("first", alert.first_at.to_string()),
        ("last", alert.last_at.to_string()),
        ("address", text_or(alert.ip_address.as_ref(), "-")),
        ("details", alert.details.to_string()),
        ("muted", yes_no(alert.is_muted)),
    ]
}

/// Shows the latest, the oldest first, and then each further one.
async fn follow(context: &Context, mut query: AlertQuery) -> Result<(), Failure> {
    let mut shown = HashSet::new();
    let mut latest: Option<Timestamp> = None;
    loop {
        let page = context.call(async |client: &Client| client.alerts().list(&query).await).await?;
        for alert in page.alerts.iter().rev().filter(|alert| shown.insert(alert.id)) {
            show_one(context, alert)?;
        }
        latest = latest.max(page.alerts.iter().map(|alert| alert.last_at).max());
        if let Some(latest) = latest {
            query.start_date = Some(latest.plus(-FOLLOW_BACK).to_string());
            query.limit = Some(200);
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

/// One alert as it comes.
fn show_one(context: &Context, alert: &Alert) -> Result<(), Failure> {
    context.output.show_next(alert, || format!("{}  {:8}  {}", alert.last_at, alert.severity, alert.message))
}

async fn settings(context: &Context) -> Result<(), Failure> {
    let settings = context.call(async |client: &Client| client.alerts().settings().await).await?;
    context.output.show(&settings, || View::List {
        titles: &[
            "KIND",
            "ENABLED",
            "THRESHOLD",
            "MUTED UNTIL",
            "MAIL",
            "WEBHOOK",
            "DISABLES",
            "COUNTS",
            "WHAT IT MEANS",
        ],
        narrow: 7,
        rows: settings.iter().map(setting_row).collect(),
        empty: "This server knows no alerts.",
    })
}

fn setting_row(setting: &AlertSetting) -> Vec<String> {
    vec![
        setting.kind.clone(),
        yes_no(setting.is_enabled),
        setting.threshold.to_string(),
        text_or(setting.muted_until, "-"),
        yes_no(setting.mail),
        yes_no(setting.webhook),
        text_or(setting.disables.map(yes_no), "-"),
        setting.threshold_unit.clone(),
        setting.explanation.clone(),
    ]
}

async fn set(context: &Context, args: SetArgs) -> Result<(), Failure> {
    let change = UpdateAlertSetting {
        is_enabled: args.enabled,
        threshold: args.threshold,
        muted_until: args.muted_until.map(|until| Some(until).filter(|until| until != "never")),
        mail: args.mail,
        webhook: args.webhook,
        disables: args.disables,
    };
    let kind = args.kind;
    let set = context.call(async |client: &Client| client.alerts().set(&kind, &change).await).await?;
    context.output.show(&set, || View::Done(format!("Updated alerts of the kind {kind}.")))
}
