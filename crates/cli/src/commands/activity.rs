//! `activity`, and what `auth usage` draws (`contract/cli.md` 8).

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use clap::{Args, Subcommand};
use hoody_client::id::{LogRowId, RealmId, TokenId};
use hoody_client::time::Timestamp;
use hoody_client::wire::{ActivityRow, TokenUsage, UsesInTime};
use hoody_client::{ActivityList, ActivityQuery, Client};

use crate::context::Context;
use crate::terminal::cell::text_or;
use crate::terminal::failure::Failure;
use crate::terminal::output::View;

/// How often `--follow` asks.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);
/// How far back `--follow` looks each time: rows of several servers come in a little out of order.
const FOLLOW_BACK: i64 = 5_000;
/// How many ids `--follow` remembers, to show each row once.
const FOLLOWED: usize = 50_000;
/// What `--follow` asks again and again.
const OWN_PATH: &str = "/api/v1/users/auth/activity";
/// The most rows of a page.
const MOST: u32 = 200;
/// After which the latest row comes.
const FROM_LATEST: LogRowId = LogRowId::from_bytes([0xff; 12]);
/// How wide the longest bar is.
const BAR: u64 = 40;

/// The commands of `activity`.
#[derive(Debug, Subcommand)]
pub(crate) enum ActivityCommand {
    /// List the account's requests, the latest first
    #[command(visible_aliases = ["list", "ls"], after_help = "EXAMPLES:
  hoody activity logs --errors-only
  hoody activity logs --method DELETE --start-date 2026-03-01 --end-date 2026-03-02
  hoody activity logs --follow -o raw | jq .ip_address")]
    Logs(Box<LogsArgs>),
    /// Show how much there is
    #[command(after_help = "EXAMPLES:\n  hoody activity stats")]
    Stats,
}

/// Which rows.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Which page, from 1; rows are reached up to the 10,000th
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    page: Option<u32>,
    /// The rows that come after this one, by its id: whatever is logged meanwhile, none comes twice
    #[arg(long, value_name = "ID", conflicts_with_all = ["page", "follow"])]
    before: Option<LogRowId>,
    /// Show every row, one a line, the latest first, beyond the 10,000th too
    #[arg(long, conflicts_with_all = ["page", "follow"])]
    all: bool,
    /// How many rows a page holds, at most 200
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// From this instant or day on (ISO 8601, UTC)
    #[arg(long, value_name = "DATE")]
    start_date: Option<String>,
    /// Up to this instant, or to the end of this day
    #[arg(long, value_name = "DATE", conflicts_with = "follow")]
    end_date: Option<String>,
    /// Only what was answered with 400 or more
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    errors_only: Option<bool>,
    /// The lowest status
    #[arg(long, value_name = "STATUS")]
    min_status: Option<u16>,
    /// The highest status
    #[arg(long, value_name = "STATUS")]
    max_status: Option<u16>,
    /// GET, POST, PUT, PATCH or DELETE
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Only this realm
    #[arg(long, value_name = "ID")]
    realm_id: Option<RealmId>,
    /// Show the latest, then every further one as it comes, until interrupted; what this command itself asks
    /// the log is left out, what others ask it is not
    #[arg(long, short = 'f')]
    follow: bool,
}

/// Which token, and of how many days.
#[derive(Debug, Args)]
pub(crate) struct UsageArgs {
    /// The token's id
    id: TokenId,
    /// Of how many days the numbers are; today is one
    #[arg(long, value_name = "N", default_value_t = 30)]
    days: u32,
}

/// Runs a command of `activity`.
pub(crate) async fn run(context: &Context, command: ActivityCommand) -> Result<(), Failure> {
    match command {
        ActivityCommand::Logs(args) if args.follow => follow(context, args.query()).await,
        ActivityCommand::Logs(args) if args.all => all(context, args.query()).await,
        ActivityCommand::Logs(args) => logs(context, &args.query()).await,
        ActivityCommand::Stats => stats(context).await,
    }
}

impl LogsArgs {
    fn query(&self) -> ActivityQuery {
        ActivityQuery {
            page: self.page,
            before: self.before,
            limit: self.limit,
            start_date: self.start_date.clone(),
            end_date: self.end_date.clone(),
            errors_only: self.errors_only.unwrap_or(false),
            min_status: self.min_status,
            max_status: self.max_status,
            method: self.method.as_ref().map(|method| method.to_ascii_uppercase()),
            realm_id: self.realm_id,
        }
    }
}

async fn list(context: &Context, query: &ActivityQuery) -> Result<ActivityList, Failure> {
    context.call(async |client: &Client| client.activity().list(query).await).await
}

async fn logs(context: &Context, query: &ActivityQuery) -> Result<(), Failure> {
    let page = list(context, query).await?;
    context.output.show(&page.rows, || View::List {
        titles: &[
            "TIME",
            "STATUS",
            "METHOD",
            "PATH",
            "ADDRESS",
            "DENIED",
            "CREDENTIAL",
            "REALM",
            "TOOK",
            "AGENT",
        ],
        narrow: 6,
        rows: page.rows.iter().map(row).collect(),
        empty: "No requests.",
    })?;
    if let Some(metadata) = &page.metadata
        && metadata.pages > u64::from(metadata.page)
    {
        let total =
            if metadata.total > 10_000 { "more than 10000".to_owned() } else { metadata.total.to_string() };
        context.output.note(&format!(
            "Page {} of {}, {total} requests. --page {} shows the next.",
            metadata.page,
            metadata.pages,
            metadata.page + 1
        ));
    }
    Ok(())
}

/// Shows every row from a place on, by the id of the last one shown.
async fn all(context: &Context, mut query: ActivityQuery) -> Result<(), Failure> {
    query.limit = query.limit.or(Some(MOST));
    query.before = query.before.or(Some(FROM_LATEST));
    loop {
        let rows = list(context, &query).await?.rows;
        for row in &rows {
            show_one(context, row)?;
        }
        let Some(last) = rows.last() else { return Ok(()) };
        query.before = Some(last.id);
    }
}

fn row(row: &ActivityRow) -> Vec<String> {
    let credential = row.token_id.map(|id| format!("token {id}"));
    let credential = credential.or_else(|| row.session_id.map(|id| format!("session {id}")));
    vec![
        row.created_at.to_string(),
        row.status_code.to_string(),
        row.method.clone(),
        row.path.clone(),
        row.ip_address.clone(),
        text_or(row.deny_reason.as_ref(), "-"),
        text_or(credential, "-"),
        text_or(row.realm_id, "-"),
        format!("{} ms", row.duration_us.div_ceil(1_000)),
        text_or(row.user_agent.as_ref(), "-"),
    ]
}

/// Shows the latest rows, the oldest first, and then each further one.
async fn follow(context: &Context, mut query: ActivityQuery) -> Result<(), Failure> {
    let mut own = Own { agent: context.name_run("follow"), asked: 0 };
    let mut shown = Shown::default();
    let mut latest = None;
    loop {
        let mut new = Vec::new();
        query.before = Some(FROM_LATEST);
        loop {
            own.asked += 1;
            let found = list(context, &query).await?.rows;
            query.before = found.last().map(|row| row.id);
            let count = found.len();
            let rows: Vec<_> = found.into_iter().filter(|row| shown.is_new(row.id)).collect();
            // The first time only the latest page; later on as far back as there is something new.
            let is_done = latest.is_none() || rows.len() < count || count == 0;
            new.extend(rows);
            if is_done {
                break;
            }
        }
        for row in new.iter().rev() {
            if !own.takes(row) {
                show_one(context, row)?;
            }
            latest = latest.max(Some(row.created_at));
        }
        let latest = *latest.get_or_insert(Timestamp::MIN);
        if latest > Timestamp::MIN {
            query.start_date = Some(latest.plus(-FOLLOW_BACK).to_string());
            query.limit = Some(200);
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

/// One row as it comes.
fn show_one(context: &Context, one: &ActivityRow) -> Result<(), Failure> {
    context.output.show_next(one, || {
        let cells = row(one);
        format!("{}  {}  {:6}  {}  {}  {}", cells[0], cells[1], cells[2], cells[3], cells[4], cells[5])
    })
}

/// What this run asks the log itself: told by the name that it alone has. Whoever reads the log can learn that
/// name, so no more rows are taken for its own than it has asked.
#[derive(Debug)]
struct Own {
    agent: String,
    /// How many of its questions have not been met in the log yet.
    asked: u64,
}

impl Own {
    fn takes(&mut self, row: &ActivityRow) -> bool {
        let is_own = self.asked > 0
            && row.status_code == 200
            && row.path == OWN_PATH
            && row.user_agent.as_ref() == Some(&self.agent);
        self.asked -= u64::from(is_own);
        is_own
    }
}

/// The ids of the last rows that were shown.
#[derive(Debug, Default)]
struct Shown {
    ids: HashSet<LogRowId>,
    order: VecDeque<LogRowId>,
}

impl Shown {
    fn is_new(&mut self, id: LogRowId) -> bool {
        let is_new = self.ids.insert(id);
        if is_new {
            self.order.push_back(id);
            if self.order.len() > FOLLOWED
                && let Some(oldest) = self.order.pop_front()
            {
                self.ids.remove(&oldest);
            }
        }
        is_new
    }
}

async fn stats(context: &Context) -> Result<(), Failure> {
    let stats = context.call(async |client: &Client| client.activity().stats().await).await?;
    context.output.show(&stats, || {
        View::Details(vec![
            ("requests", stats.total_records.to_string()),
            ("bytes", stats.total_size_bytes.to_string()),
            ("oldest", text_or(stats.oldest_record, "-")),
            ("newest", text_or(stats.newest_record, "-")),
            ("kept for", format!("{} days", stats.retention_days)),
        ])
    })
}

/// `auth usage`.
pub(crate) async fn usage(context: &Context, args: &UsageArgs) -> Result<(), Failure> {
    let call = async |client: &Client| client.tokens().usage(args.id, Some(args.days)).await;
    let usage = context.call(call).await?;
    context.output.show(&usage, || View::Details(drawn(&usage)))
}

fn drawn(usage: &TokenUsage) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("first seen", text_or(usage.first_seen, "never")),
        ("last seen", text_or(usage.last_seen, "never")),
        (
            "requests",
            format!("{} in {} days, {} of them refused or failed", usage.total, usage.days, usage.errors),
        ),
    ];
    bars(&mut lines, "by day", &usage.by_day, 10);
    bars(&mut lines, "by hour", &usage.by_hour, 16);
    named(&mut lines, "by status", usage.by_status.iter().map(|(status, uses)| (status.to_string(), *uses)));
    let permissions = usage.by_permission.iter().map(|uses| (uses.permission.clone(), uses.total));
    named(&mut lines, "by permission", permissions);
    let addresses = usage.by_address.iter().map(|uses| (uses.ip_address.clone(), uses.total));
    let others = (usage.other_addresses > 0).then(|| ("others".to_owned(), usage.other_addresses));
    named(&mut lines, "by address", addresses.chain(others));
    lines
}

/// A bar for each time, the longest for the most.
fn bars(lines: &mut Vec<(&'static str, String)>, title: &'static str, times: &[UsesInTime], length: usize) {
    let most = times.iter().map(|time| time.total).max().unwrap_or(0).max(1);
    for (index, time) in times.iter().enumerate() {
        let start: String = time.start.to_string().chars().take(length).collect();
        let bar = "\u{2588}".repeat(usize::try_from((time.total * BAR).div_ceil(most)).unwrap_or(0));
        let errors = if time.errors > 0 { format!(", {} failed", time.errors) } else { String::new() };
        let title = if index == 0 { title } else { "" };
        lines.push((title, format!("{}  {bar} {}{errors}", start.replace('T', " "), time.total)));
    }
}

fn named(
    lines: &mut Vec<(&'static str, String)>,
    title: &'static str,
    uses: impl Iterator<Item = (String, u64)>,
) {
    for (index, (name, uses)) in uses.enumerate() {
        lines.push((if index == 0 { title } else { "" }, format!("{name}  {uses}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_shown_once() {
        let mut shown = Shown::default();
        let id = |byte| LogRowId::from_bytes([byte; 12]);
        assert!(shown.is_new(id(1)) && shown.is_new(id(2)) && !shown.is_new(id(1)));
    }

    #[test]
    fn of_the_questions_to_the_log_only_its_own_are_left_out() {
        let row = |agent: &str, path: &str, status: u16| -> ActivityRow {
            serde_json::from_value(serde_json::json!({
                "id": "65a1b2c3d4e5f60718293a4b", "user_id": "65a1b2c3d4e5f60718293a4b", "method": "GET",
                "path": path, "status_code": status, "ip_address": "127.0.0.1", "user_agent": agent,
                "created_at": "2026-03-01T12:00:00.000Z"
            }))
            .unwrap()
        };
        let mut own = Own { agent: "hoody-cli/1 (follow 5a)".to_owned(), asked: 2 };
        for (agent, path, status) in [
            ("hoody-cli/1", OWN_PATH, 200),
            ("hoody-cli/1 (follow 5b)", OWN_PATH, 200),
            ("hoody-cli/1 (follow 5a)", OWN_PATH, 403),
            ("hoody-cli/1 (follow 5a)", "/api/v1/projects", 200),
        ] {
            assert!(!own.takes(&row(agent, path, status)), "{agent} {path} {status}");
        }
        // As many as it asked: who takes its name shows up at the third.
        let taken: Vec<_> =
            (0..3).map(|_| own.takes(&row("hoody-cli/1 (follow 5a)", OWN_PATH, 200))).collect();
        assert_eq!(taken, [true, true, false]);
    }

    #[test]
    fn the_longest_bar_is_the_most() {
        let time = |hour: i64, total, errors| UsesInTime {
            start: Timestamp::from_millis(hour * 3_600_000),
            total,
            errors,
        };
        let mut lines = Vec::new();
        bars(&mut lines, "by hour", &[time(0, 1, 0), time(1, 80, 3)], 16);
        assert_eq!(lines[0], ("by hour", format!("1970-01-01 00:00  {} 1", "\u{2588}")));
        assert_eq!(lines[1], ("", format!("1970-01-01 01:00  {} 80, 3 failed", "\u{2588}".repeat(40))));
    }
}
