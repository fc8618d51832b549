//! The endpoints of the request log (`contract/activity.md`), and what a token did.
//!
//! A session sees all of its account's log. A token needs `resources.read_account`; on a realm's host, the
//! only place where a token that is bound to realms works, it sees that realm's rows. It learns neither ids
//! nor names of the credentials that it may not see (`core::acting`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use axum::extract::State;
use hoody_core::activity::usage::{Usage, Uses};
use hoody_core::activity::{Filter, HOUR, Method, day, hour};
use hoody_core::id::{LogRowId, RealmId, TokenId, noun};
use hoody_core::invalid::Invalid;
use hoody_core::time::{DAY, Timestamp};
use hoody_core::wire;
use hoody_engine::activity::query::{self, Asked, WINDOW};
use hoody_engine::activity::{Activity, Logged, token_usage};
use hoody_engine::clock::Clock;
use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::error::Error;
use hoody_engine::web::caller::{AccountRead, AnyCaller, Valid};
use hoody_engine::web::{Access, Answer, Caller, IdPath, Lends, Query};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::realms;
use crate::tokens::http::NOT_FOUND;
use crate::tokens::{Tokens, delegation, list};

/// The request log of accounts.
#[derive(Debug)]
pub struct ActivityLog {
    access: Arc<Access>,
    db: Db,
    clock: Clock,
    activity: Activity,
    tokens: Arc<Tokens>,
}

impl ActivityLog {
    pub fn new(engine: &Engine, tokens: &Arc<Tokens>) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            clock: engine.clock.clone(),
            activity: engine.activity.clone(),
            tokens: Arc::clone(tokens),
        })
    }
}

impl Lends for ActivityLog {
    fn access(&self) -> &Access {
        &self.access
    }
}

pub fn routes() -> OpenApiRouter<Arc<ActivityLog>> {
    OpenApiRouter::new()
        .routes(routes!(get_token_usage))
        .routes(routes!(list_activity))
        .routes(routes!(get_activity_stats))
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// How many rows a page has at most, and unless told.
const LIMITS: (i64, i64) = (200, 50);
/// How many addresses of a token are told apart.
const ADDRESSES: usize = 20;
/// For how many hours uses are given hour by hour.
const HOURS: i64 = 48;

/// The account's requests, the latest first
#[utoipa::path(get, path = "/api/v1/users/auth/activity", operation_id = "list_activity", tag = "activity",
    params(("page" = Option<u32>, Query, description = "From 1; rows are reached up to the 10,000th, those of requests that read this log left out"),
    ("before" = Option<LogRowId>, Query, description = "The id of a row: those that come after it in the list, reads of this log included; ffffffffffffffffffffffff begins with the latest. Not together with page"),
    ("limit" = Option<u32>, Query, description = "1 to 200, 50 unless told"),
    ("start_date" = Option<String>, Query, description = "ISO 8601"),
    ("end_date" = Option<String>, Query, description = "ISO 8601, included; a day without a time is the whole of it"),
    ("errors_only" = Option<bool>, Query, description = "Only status 400 and above"),
    ("min_status" = Option<u16>, Query, description = "100 to 599"),
    ("max_status" = Option<u16>, Query, description = "100 to 599"),
    ("method" = Option<String>, Query, description = "GET, POST, PUT, PATCH or DELETE"),
    ("realm_id" = Option<RealmId>, Query, description = "Only this realm; on a realm's host, that one")),
    security(("bearer" = [])),
    responses((status = 200, body = wire::ActivityPage), (status = 400, body = wire::ErrorBody)))]
pub async fn list_activity(
    State(log): State<Arc<ActivityLog>>,
    caller: Caller<AccountRead>,
    query: Query,
) -> Result<Answer<Vec<wire::ActivityRow>>, Error> {
    let asked = asked(&log, &caller, &query)?;
    let limit = query.number("limit", 1..=LIMITS.0, LIMITS.1)?;
    if let Some(before) = query.id("before")? {
        return list_before(&log, &caller, &query, asked, (before, limit)).await;
    }
    // Reading is a request, too: it would move the rows on from one page to the next.
    let asked =
        asked.map(|asked| Asked { filter: Filter { skips_log_reads: true, ..asked.filter }, ..asked });
    let page = query.number("page", 1..=i64::from(u32::MAX), 1)?;
    let offset = ((page - 1) * limit).unsigned_abs();
    if offset >= WINDOW {
        let message =
            format!("page: rows are reached up to number {WINDOW}; narrow the dates or the filters");
        return Err(Invalid::rule("INVALID_PARAMETER_VALUE", message).into());
    }
    let found = match asked {
        Some(asked) => {
            query::page(&log.activity, &asked, offset, limit.unsigned_abs().min(WINDOW - offset)).await?
        }
        None => query::Found { rows: Vec::new(), total: 0 },
    };
    let rows = shown(&log, &caller, found.rows).await?;
    let reached = wire::PageMetadata::of(found.total.min(WINDOW), page, limit);
    let metadata = wire::PageMetadata { total: found.total, ..reached };
    Ok(Answer::ok("Activity logs retrieved successfully", rows).metadata(metadata))
}

/// The rows after a row: what comes meanwhile, comes before it.
async fn list_before(
    log: &ActivityLog,
    caller: &AnyCaller,
    query: &Query,
    asked: Option<Asked>,
    (before, limit): (LogRowId, i64),
) -> Result<Answer<Vec<wire::ActivityRow>>, Error> {
    if query.given("page")?.is_some() {
        let message = "page and before do not go together: before says where the page begins";
        return Err(Invalid::rule("INVALID_PARAMETER_VALUE", message).into());
    }
    let found = match asked {
        Some(asked) => query::page_before(&log.activity, &asked, before, limit.unsigned_abs()).await?,
        None => query::Found { rows: Vec::new(), total: 0 },
    };
    let rows = shown(log, caller, found.rows).await?;
    let reached = wire::PageMetadata::of(found.total.min(WINDOW), 1, limit);
    let metadata = wire::PageMetadata { total: found.total, ..reached };
    Ok(Answer::ok("Activity logs retrieved successfully", rows).metadata(metadata))
}

/// Which rows are asked for; `None` when no row can be.
fn asked(log: &ActivityLog, caller: &AnyCaller, query: &Query) -> Result<Option<Asked>, Error> {
    let (start, end) = query.dates()?;
    let lowest = query.number("min_status", 100..=599, 100)?;
    let highest = query.number("max_status", 100..=599, 599)?;
    if lowest > highest {
        let message = "min_status must not be above max_status";
        return Err(Invalid::rule("INVALID_PARAMETER_VALUE", message).into());
    }
    let lowest = if query.flag("errors_only", false)? { lowest.max(400) } else { lowest };
    let method = match query.given("method")? {
        Some(_) => Some(Method::of(query.choice("method", &METHODS)?)),
        None => None,
    };
    let realm = realms::select(caller, query.realm("realm_id")?)?;
    let whole = lowest == 100 && highest == 599;
    let status = |number: i64| u16::try_from(number).unwrap_or(u16::MAX);
    let filter = if whole {
        Filter { method, realm, ..Filter::default() }
    } else {
        let (min_status, max_status) = (status(lowest), status(highest));
        Filter { min_status, max_status, method, realm, ..Filter::default() }
    };
    let now = log.clock.now();
    let from = start.map_or(Timestamp::MIN, |start| start).max(log.activity.cutoff(now));
    let until = end.unwrap_or(now).min(now);
    Ok((from <= until).then(|| Asked { account: caller.account(), from, until, filter }))
}

/// Rows as the caller may see them.
async fn shown(
    log: &ActivityLog,
    caller: &AnyCaller,
    rows: Vec<Logged>,
) -> Result<Vec<wire::ActivityRow>, Error> {
    let mut shown: Vec<_> = rows.into_iter().map(Logged::shown).collect();
    if let Some(visible) = list::visible_ids(&log.tokens, caller).await? {
        shown.iter_mut().for_each(|row| hide_others(row, &visible));
    }
    Ok(shown)
}

/// Takes out what names a credential that is not `visible`.
fn hide_others(row: &mut wire::ActivityRow, visible: &HashSet<TokenId>) {
    row.session_id = None;
    row.token_id = row.token_id.filter(|id| visible.contains(id));
    let parts = row.path.split('/').map(|part| match part.parse::<TokenId>() {
        Ok(id) if row.path.starts_with("/api/v1/auth/tokens/") && !visible.contains(&id) => "[hidden]",
        _ => part,
    });
    row.path = parts.collect::<Vec<_>>().join("/");
}

/// How much there is in the log
#[utoipa::path(get, path = "/api/v1/users/auth/activity/stats", operation_id = "get_activity_stats", tag = "activity",
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::ActivityStats>)))]
pub async fn get_activity_stats(
    State(log): State<Arc<ActivityLog>>,
    caller: Caller<AccountRead>,
) -> Result<Answer<wire::ActivityStats>, Error> {
    let now = log.clock.now();
    let filter = Filter { realm: caller.attempt.realm, ..Filter::default() };
    let asked = Asked { account: caller.account(), from: log.activity.cutoff(now), until: now, filter };
    let totals = query::totals(&log.activity, &asked).await?;
    let stats = wire::ActivityStats {
        total_size_bytes: totals.bytes,
        total_records: totals.rows,
        oldest_record: totals.oldest,
        newest_record: totals.newest,
        retention_days: log.activity.retention_days.unsigned_abs(),
    };
    Ok(Answer::ok("Activity stats retrieved successfully", stats))
}

/// What a token did: by hour and day, status, permission and address
#[utoipa::path(get, path = "/api/v1/auth/tokens/{id}/usage", operation_id = "get_token_usage", tag = "tokens",
    params(("id" = TokenId, Path), ("days" = Option<u32>, Query, description = "1 to 365, 30 unless told; today is one")),
    security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::TokenUsage>), (status = 404, body = wire::ErrorBody)))]
pub async fn get_token_usage(
    State(log): State<Arc<ActivityLog>>,
    caller: Caller<Valid>,
    IdPath(id): IdPath<noun::Token>,
    query: Query,
) -> Result<Answer<wire::TokenUsage>, Error> {
    let days = query.number("days", 1..=365, 30)?;
    let usage = usage(&log, &caller, id, days).await?;
    Ok(Answer::ok("Token usage retrieved successfully", usage))
}

/// What a token that the caller may see did in the last `days` days.
///
/// # Errors
/// 404 when there is none such; when the database fails.
pub async fn usage(
    log: &ActivityLog,
    caller: &AnyCaller,
    id: TokenId,
    days: i64,
) -> Result<wire::TokenUsage, Error> {
    let own = log.access.own_catalogue().await?;
    let token = delegation::find_visible(&log.db, caller, id, &own).await?.ok_or(NOT_FOUND)?;
    let now = log.clock.now();
    let cutoff = log.activity.cutoff(now);
    let by_day = token_usage::by_day(&log.activity, caller.account(), token.id, cutoff).await?;
    Ok(told(token.id, &by_day, now, days))
}

/// The latest rows of the caller's account, or those that come after the row `before`: at most `limit`, only those of
/// status 400 and above if `errors_only`; none of requests that read the log.
///
/// # Errors
/// When the database fails.
pub async fn latest(
    log: &ActivityLog,
    caller: &AnyCaller,
    (errors_only, before): (bool, Option<LogRowId>),
    limit: u64,
) -> Result<Vec<wire::ActivityRow>, Error> {
    let now = log.clock.now();
    let (min_status, max_status) = if errors_only { (400, 599) } else { (0, u16::MAX) };
    let filter = Filter { min_status, max_status, skips_log_reads: true, ..Filter::default() };
    let asked = Asked { account: caller.account(), from: log.activity.cutoff(now), until: now, filter };
    let found = match before {
        Some(before) => query::page_before(&log.activity, &asked, before, limit).await?,
        None => query::page(&log.activity, &asked, 0, limit).await?,
    };
    shown(log, caller, found.rows).await
}

/// What tokens of the caller's account did in each of the last `hours` hours. Which tokens the caller may see
/// is for whoever asks to know.
///
/// # Errors
/// When the database fails.
pub async fn recent_uses(
    log: &ActivityLog,
    caller: &AnyCaller,
    tokens: &[TokenId],
    hours: i64,
) -> Result<HashMap<TokenId, Vec<wire::UsesInTime>>, Error> {
    let from = log.clock.now().plus(-(hours - 1) * HOUR).max(log.activity.cutoff(log.clock.now()));
    let found = token_usage::by_hour(&log.activity, caller.account(), tokens, from).await?;
    let told = |(at, (total, errors)): (i64, (u64, u64))| wire::UsesInTime {
        start: Timestamp::from_millis(at * HOUR),
        total,
        errors,
    };
    Ok(found.into_iter().map(|(token, hours)| (token, hours.into_iter().map(told).collect())).collect())
}

fn told(token_id: TokenId, by_day: &BTreeMap<i64, Uses>, now: Timestamp, days: i64) -> wire::TokenUsage {
    let first_day = day(now) - days + 1;
    let seen = by_day.values().filter_map(|uses| uses.whole.seen);
    let (first, last): (Vec<_>, Vec<_>) = seen.unzip();
    let mut whole = Usage::default();
    let by_day: Vec<_> = by_day.range(first_day..).collect();
    by_day.iter().for_each(|(_, uses)| whole.merge(&uses.whole));
    whole.keep_addresses(ADDRESSES);
    let (total, errors) = (whole.total(), whole.errors());
    let ranked = |counts: BTreeMap<String, u64>| {
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|(a, most), (b, least)| least.cmp(most).then_with(|| a.cmp(b)));
        counts
    };
    let hours = by_day.iter().flat_map(|(_, uses)| &uses.hours);
    let recent = hours.filter(|(at, _)| **at > hour(now) - HOURS);
    wire::TokenUsage {
        token_id,
        first_seen: first.into_iter().min(),
        last_seen: last.into_iter().max(),
        days: u32::try_from(days).unwrap_or(u32::MAX),
        total,
        errors,
        by_status: whole.statuses,
        by_permission: ranked(whole.permissions)
            .into_iter()
            .map(|(permission, total)| wire::PermissionUses { permission, total })
            .collect(),
        by_address: ranked(whole.addresses)
            .into_iter()
            .map(|(ip_address, total)| wire::AddressUses { ip_address, total })
            .collect(),
        other_addresses: whole.other_addresses,
        by_hour: recent
            .map(|(hour, (total, errors))| wire::UsesInTime {
                start: Timestamp::from_millis(hour * HOUR),
                total: *total,
                errors: *errors,
            })
            .collect(),
        by_day: by_day
            .into_iter()
            .map(|(day, uses)| wire::UsesInTime {
                start: Timestamp::from_millis(*day * DAY),
                total: uses.whole.total(),
                errors: uses.whole.errors(),
            })
            .collect(),
    }
}
