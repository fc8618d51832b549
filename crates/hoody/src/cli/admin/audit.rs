//! `hoody audit …`, also `hoody admin audit …`: verifying and handing out the audit log.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use hoody_cli::terminal::cell::{text_or, yes_no};
use hoody_core::audit::{Entry, Link};
use hoody_core::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};
use serde::Serialize;

use crate::cli::output::{self, View};
use crate::config::{ServerFlags, WrongUsage};
use hoody_service::audit::kept::{self, hex};
use hoody_service::audit::store;
use hoody_service::audit::verify::{Report, verify};
use hoody_service::nouns::Nouns;

/// Verifies and hands out the audit log
///
/// Every change is in it, each sealed by a hash over itself and all before it, and what is there is signed
/// every time. Works on the database directly.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  hoody audit verify\n  hoody audit export --since 7d > log.ndjson")]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
    #[command(flatten)]
    pub(crate) server: ServerFlags,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Follows the whole log; ends with 1 and says where, when it is not as it was sealed
    #[command(after_help = "EXAMPLES:\n  hoody audit verify\n  hoody audit verify --checkpoint monday.json")]
    Verify {
        /// A checkpoint of before, made by `hoody audit checkpoint`: tells a database that went back, too
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
    /// Prints the log, a row a line
    #[command(after_help = "EXAMPLES:\n  hoody audit export > log.ndjson\n  \
        hoody audit export --since 2026-03-01 --until 2026-04-01 -o ndjson\n  \
        hoody audit export --since 24h | jq -r 'select(.event_type == \"user.banned\") | .at'")]
    Export {
        /// From this instant on: 2026-03-01, 2026-03-01T09:00:00Z, or how long ago: 7d, 24h, 30m
        #[arg(long, value_name = "TIME")]
        since: Option<Side>,
        /// Up to this instant, which is left out
        #[arg(long, value_name = "TIME")]
        until: Option<Side>,
        /// How a row looks
        #[arg(short = 'o', long = "output", id = "export_format", value_enum, default_value_t)]
        format: ExportFormat,
    },
    /// Prints the last checkpoint: keep it elsewhere, and give it to `verify` later
    #[command(after_help = "EXAMPLES:\n  hoody audit checkpoint > monday.json")]
    Checkpoint,
}

/// How a row of an export looks.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum ExportFormat {
    /// JSON, a row a line
    #[default]
    Ndjson,
    /// The same
    Raw,
    /// JSON, indented
    Pretty,
}

pub(super) async fn run(nouns: &Nouns, command: &AuditCommand) -> anyhow::Result<()> {
    match command {
        AuditCommand::Verify { checkpoint } => run_verify(nouns, checkpoint.as_deref()).await,
        AuditCommand::Export { since, until, format } => {
            export(nouns, range(*since, *until, nouns.engine.clock.now())?, *format).await
        }
        AuditCommand::Checkpoint => checkpoint(nouns).await,
    }
}

async fn run_verify(nouns: &Nouns, file: Option<&Path>) -> anyhow::Result<()> {
    // The one that this node keeps is there once a server has run here.
    let own = kept::file(&nouns.audit);
    let file = file.or_else(|| own.exists().then_some(own.as_path()));
    let handed_out = file.map(|file| kept::read(&nouns.audit, file)).transpose()?;
    let report = verify(&nouns.audit, handed_out.as_ref()).await?;
    let count = report.problems.len();
    output::of_the_service(&report, || View::Details(details(&report)));
    for problem in &report.problems {
        let position = problem.position.map_or_else(String::new, |pos| format!(" (position {pos})"));
        output::note(&format!("row {}{position}: {}", problem.row, problem.what));
    }
    if count > 0 {
        bail!(
            "the audit log is not as it was sealed: {count} {}",
            if count == 1 { "problem" } else { "problems" }
        );
    }
    Ok(())
}

fn details(report: &Report) -> Vec<(&'static str, String)> {
    let mut details = vec![
        ("whole", yes_no(report.problems.is_empty())),
        ("rows", report.rows.to_string()),
        ("position", report.position.to_string()),
        ("last", text_or(report.last_at, "-")),
        ("link", text_or(report.link.as_ref(), "-")),
        ("checkpoints", report.checkpoints.to_string()),
        ("not sealed yet", report.unsealed.to_string()),
    ];
    if report.unverifiable_checkpoints > 0 {
        details.push(("of retired keys", report.unverifiable_checkpoints.to_string()));
    }
    details
}

async fn checkpoint(nouns: &Nouns) -> anyhow::Result<()> {
    let last = store::find_last_checkpoint(&nouns.engine.db).await?;
    let last = last.context("nothing is sealed yet: a running server does so within a second")?;
    output::lines(&kept::text(&nouns.audit, &last)?);
    Ok(())
}

/// A chunk at a time, so that the log may be of any length.
async fn export(nouns: &Nouns, range: (Timestamp, Timestamp), format: ExportFormat) -> anyhow::Result<()> {
    let mut n = 0;
    loop {
        let rows = store::list_between(&nouns.engine.db, n, range.0, range.1).await?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        n = last.n;
        let mut text = String::with_capacity(rows.len() * 512);
        for (entry, link) in &rows {
            let line = exported(entry, *link)?;
            match format {
                ExportFormat::Ndjson | ExportFormat::Raw => text.push_str(&line),
                ExportFormat::Pretty => {
                    let value: serde_json::Value = serde_json::from_str(&line)?;
                    text.push_str(&serde_json::to_string_pretty(&value)?);
                }
            }
            text.push('\n');
        }
        if !output::lines(&text) {
            // Nobody reads on.
            return Ok(());
        }
    }
}

#[derive(Debug, Serialize)]
struct Exported<'a> {
    row: i64,
    position: i64,
    sequence: i64,
    at: Timestamp,
    at_ms: i64,
    event_type: &'a str,
    account_id: String,
    actor_type: &'a str,
    actor_id: Option<String>,
    resource_type: &'a str,
    resource_id: String,
    realm_ids: &'a str,
    link: String,
}

/// The row as JSON. The payload is as it was sealed, byte for byte, so that the chain can be followed
/// from an export.
fn exported(entry: &Entry, link: Link) -> anyhow::Result<String> {
    let mut line = serde_json::to_string(&Exported {
        row: entry.n,
        position: entry.place.0,
        sequence: entry.place.1,
        at: entry.at,
        at_ms: entry.at.millis(),
        event_type: &entry.event,
        account_id: hex(&entry.account),
        actor_type: &entry.actor_kind,
        actor_id: entry.actor.as_deref().map(hex),
        resource_type: &entry.resource_kind,
        resource_id: hex(&entry.resource),
        realm_ids: &entry.realms,
        link: link.to_string(),
    })?;
    line.pop();
    line.push_str(",\"payload\":");
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&entry.payload).is_ok()
        && !entry.payload.contains('\n');
    // Somebody changed it: shown as what it is now.
    line.push_str(&if is_json { entry.payload.clone() } else { serde_json::to_string(&entry.payload)? });
    line.push('}');
    Ok(line)
}

/// One side of an export.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Side {
    At(Timestamp),
    /// So many milliseconds ago.
    Ago(i64),
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND)];
        for (unit, length) in units {
            if let Some(count) = text.strip_suffix(unit).and_then(|count| count.parse::<u32>().ok()) {
                return Ok(Self::Ago(i64::from(count).saturating_mul(length)));
            }
        }
        Timestamp::parse(text).map(Self::At).map_err(|_| {
            "neither an instant (2026-03-01, 2026-03-01T09:00:00Z) nor how long ago (7d, 24h, 30m)".to_owned()
        })
    }
}

impl Side {
    fn seen_from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(length) => now.plus(-length),
        }
    }
}

/// What is exported, as `now` has it.
fn range(since: Option<Side>, until: Option<Side>, now: Timestamp) -> anyhow::Result<(Timestamp, Timestamp)> {
    let at =
        |side: Option<Side>, open: i64| side.map_or(Timestamp::from_millis(open), |side| side.seen_from(now));
    let (from, to) = (at(since, i64::MIN), at(until, i64::MAX));
    if from > to {
        let why = format!("--since ({from}) is after --until ({to}): there is nothing between them");
        return Err(WrongUsage(why).into());
    }
    Ok((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_a_date_a_time_or_how_long_ago() {
        let now = Timestamp::from_millis(1_772_442_942_118);
        let read = |text: &str| text.parse().map(|side: Side| side.seen_from(now).millis());
        assert_eq!(read("2026-03-01").unwrap(), 1_772_323_200_000);
        assert_eq!(read("2026-03-01T01:00:00Z").unwrap(), 1_772_326_800_000);
        assert_eq!(read("7d").unwrap(), now.millis() - 7 * DAY);
        assert_eq!(read("90s").unwrap(), now.millis() - 90_000);
        for bad in ["", "d", "-1d", "yesterday", "7 d", "7w"] {
            assert!(read(bad).unwrap_err().contains("how long ago"), "{bad}");
        }
    }

    #[test]
    fn an_export_ends_after_its_start() {
        let now = Timestamp::from_millis(1_772_442_942_118);
        let between =
            |since: &str, until: &str| range(Some(since.parse().unwrap()), Some(until.parse().unwrap()), now);
        assert!(between("2h", "1h").is_ok() && between("1h", "1h").is_ok());
        assert!(
            range(Some(Side::Ago(0)), None, now).is_ok() && range(None, Some(Side::Ago(DAY)), now).is_ok()
        );
        for (since, until) in [("1h", "2h"), ("2026-03-02", "2026-03-01"), ("1d", "2026-01-01")] {
            let error = between(since, until).unwrap_err();
            assert!(error.is::<WrongUsage>(), "{error}");
            for word in ["--since (2026-03-0", "--until (2026-0"] {
                assert!(error.to_string().contains(word), "{error}");
            }
        }
    }
}
