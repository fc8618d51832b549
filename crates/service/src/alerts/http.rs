//! The endpoints of alerts. A session sees all of its account's. A token needs `resources.read_account`; on
//! a realm's host it sees what concerns that realm, and it learns neither ids nor names of what it may not
//! see. What is told, and what is settled, a session says.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hoody_core::alert::{Kind, RULES, Settings};
use hoody_core::id::{AlertId, Id, RealmId, TokenId, noun};
use hoody_core::time::Timestamp;
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::feed::Change;
use hoody_engine::web::body::NoBody;
use hoody_engine::web::caller::{ASession, AccountRead, AnyCaller};
use hoody_engine::web::path::TextPath;
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody, Query, list};
use serde_json::json;

use super::body::Given;
use super::{Alert, Alerts, store};
use crate::realms;
use crate::tokens;

const NOT_FOUND: Error = Error::NotFound { code: "ALERT_NOT_FOUND", message: "Alert not found" };
const NO_KIND: Error =
    Error::NotFound { code: "ALERT_KIND_NOT_FOUND", message: "There is no such kind of alerts" };
const STATES: [&str; 4] = ["all", "open", "acknowledged", "dismissed"];

/// The account's alerts, the latest first
#[utoipa::path(get, path = "/api/v1/alerts", operation_id = "list_alerts", tag = "alerts",
    params(("page" = Option<u32>, Query, description = "From 1"),
    ("limit" = Option<u32>, Query, description = "1 to 200, 50 unless told"),
    ("kind" = Option<String>, Query, description = "Only this kind"),
    ("state" = Option<String>, Query, description = "open, acknowledged or dismissed; all unless told"),
    ("subject_id" = Option<String>, Query, description = "Only what is about this token, webhook or account"),
    ("start_date" = Option<String>, Query, description = "ISO 8601, of when it happened last"),
    ("end_date" = Option<String>, Query, description = "ISO 8601, included; a day without a time is the whole of it"),
    ("realm_id" = Option<RealmId>, Query, description = "Only about tokens of this realm; on a realm's host, that one")),
    security(("bearer" = [])),
    responses((status = 200, body = wire::AlertPage), (status = 400, body = wire::ErrorBody)))]
pub async fn list_alerts(
    State(alerts): State<Arc<Alerts>>,
    caller: Caller<AccountRead>,
    query: Query,
) -> Result<Response, Error> {
    let filter = filter(&caller, &query)?;
    let limit = query.number("limit", 1..=200, 50)?;
    let page = query.number("page", 1..=1_000_000, 1)?;
    let visible = tokens::list::visible_ids(&alerts.tokens, &caller).await?;
    let room = list::room(&alerts.lists, caller.account(), limit).await?;
    let total = store::count(&alerts.db, &filter).await?;
    let found = store::list(&alerts.db, &filter, limit, (page - 1) * limit).await?;
    let metadata = wire::PageMetadata::of(total, page, limit);
    let rows = found.len();
    let made = move || {
        Answer::ok("Alerts retrieved successfully", shown(visible.as_ref(), found)).metadata(metadata)
    };
    list::page(room, rows, made).await
}

fn filter(caller: &AnyCaller, query: &Query) -> Result<store::Filter, Error> {
    let (start, end) = query.dates()?;
    let mut kinds = vec!["all"];
    kinds.extend(RULES.iter().map(|rule| rule.name));
    let kind = Kind::of(query.choice("kind", &kinds)?);
    let state = query.choice("state", &STATES)?;
    Ok(store::Filter {
        account: caller.account(),
        kind,
        state: (state != "all").then_some(state),
        subject: query.id("subject_id")?,
        from: start.unwrap_or(Timestamp::MIN),
        until: end.unwrap_or(Timestamp::MAX),
        realm: realms::select(caller, query.realm("realm_id")?)?,
    })
}

/// Alerts as a caller may see them to whom these tokens are visible.
fn shown(visible: Option<&HashSet<TokenId>>, alerts: Vec<Alert>) -> Vec<wire::Alert> {
    let is_named = |alert: &Alert| match (visible, alert.subject.noun) {
        (None, _) => true,
        (Some(visible), "token") => visible.contains(&Id::from_bytes(*alert.subject.id.bytes())),
        (Some(_), noun) => noun == "account",
    };
    let show = |alert: Alert| {
        let is_named = is_named(&alert);
        alert.shown(is_named)
    };
    alerts.into_iter().map(show).collect()
}

/// One alert
#[utoipa::path(get, path = "/api/v1/alerts/{id}", operation_id = "get_alert", tag = "alerts",
    params(("id" = AlertId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::Alert>), (status = 404, body = wire::ErrorBody)))]
pub async fn get_alert(
    State(alerts): State<Arc<Alerts>>,
    caller: Caller<AccountRead>,
    IdPath(id): IdPath<noun::Alert>,
) -> Result<Answer<wire::Alert>, Error> {
    let found = store::find(&alerts.db, caller.account(), id).await?;
    let is_here = |alert: &Alert| caller.attempt.realm.is_none_or(|realm| alert.realm_ids.contains(&realm));
    let alert = found.filter(is_here).ok_or(NOT_FOUND)?;
    let visible = tokens::list::visible_ids(&alerts.tokens, &caller).await?;
    let shown = shown(visible.as_ref(), vec![alert]).pop().ok_or(NOT_FOUND)?;
    Ok(Answer::ok("Alert retrieved successfully", shown))
}

/// Says that somebody takes care of an alert
#[utoipa::path(post, path = "/api/v1/alerts/{id}/acknowledge", operation_id = "acknowledge_alert", tag = "alerts",
    params(("id" = AlertId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::Alert>), (status = 404, body = wire::ErrorBody)))]
pub async fn acknowledge_alert(
    State(alerts): State<Arc<Alerts>>,
    caller: Caller<ASession>,
    IdPath(id): IdPath<noun::Alert>,
    _: NoBody,
) -> Result<Answer<wire::Alert>, Error> {
    let alert = settle(&alerts, &caller, id, ("acknowledged", "alert.acknowledged")).await?;
    Ok(Answer::ok("Alert acknowledged successfully", alert))
}

/// Says that an alert is nothing
#[utoipa::path(post, path = "/api/v1/alerts/{id}/dismiss", operation_id = "dismiss_alert", tag = "alerts",
    params(("id" = AlertId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::Alert>), (status = 404, body = wire::ErrorBody)))]
pub async fn dismiss_alert(
    State(alerts): State<Arc<Alerts>>,
    caller: Caller<ASession>,
    IdPath(id): IdPath<noun::Alert>,
    _: NoBody,
) -> Result<Answer<wire::Alert>, Error> {
    let alert = settle(&alerts, &caller, id, ("dismissed", "alert.dismissed")).await?;
    Ok(Answer::ok("Alert dismissed successfully", alert))
}

/// The caller's alerts in this state, or in any: those from number `offset` on, the latest first, at most `limit`, and how
/// many there are.
///
/// # Errors
/// When the database fails.
pub async fn latest(
    alerts: &Alerts,
    caller: &AnyCaller,
    state: Option<&'static str>,
    (offset, limit): (i64, i64),
) -> Result<(Vec<wire::Alert>, u64), Error> {
    let filter = store::Filter {
        account: caller.account(),
        kind: None,
        state,
        subject: None,
        from: Timestamp::MIN,
        until: Timestamp::MAX,
        realm: caller.attempt.realm,
    };
    let visible = tokens::list::visible_ids(&alerts.tokens, caller).await?;
    let total = store::count(&alerts.db, &filter).await?;
    let found = store::list(&alerts.db, &filter, limit, offset).await?;
    Ok((shown(visible.as_ref(), found), total))
}

/// Says of an alert that somebody takes care of it, or that it is nothing.
///
/// # Errors
/// The refusals of `POST /alerts/{id}/acknowledge`.
pub async fn settle(
    alerts: &Alerts,
    caller: &AnyCaller,
    id: AlertId,
    (state, event): (&'static str, &'static str),
) -> Result<wire::Alert, Error> {
    let (mut mutation, grant) = alerts.feed.begin(caller).await?;
    let mut alert = store::find(&mut mutation.tx, grant.account, id).await?.ok_or(NOT_FOUND)?;
    if alert.state != state {
        store::settle(&mut mutation.tx, &alert, state, mutation.now).await?;
        (alert.state, alert.settled_at) = (state.to_owned(), Some(mutation.now));
        let change = Change::new(event, alert.account, "alert", alert.id).in_realms(&alert.realm_ids);
        mutation.tell(change.with(json!({ "kind": alert.kind.rule().name })));
    }
    mutation.commit().await?;
    Ok(alert.shown(true))
}

/// Every kind of alerts, what it means, and what the account wants of it
#[utoipa::path(get, path = "/api/v1/alerts/settings", operation_id = "list_alert_settings", tag = "alerts",
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<Vec<wire::AlertSetting>>)))]
pub async fn list_alert_settings(
    State(alerts): State<Arc<Alerts>>,
    caller: Caller<AccountRead>,
) -> Result<Answer<Vec<wire::AlertSetting>>, Error> {
    let set = store::list_settings(&alerts.db, caller.account()).await?;
    let shown = RULES.iter().map(|rule| setting(rule.kind, Settings::among(&set, rule.kind))).collect();
    Ok(Answer::ok("Alert settings retrieved successfully", shown))
}

/// Changes what the account wants of a kind of alerts; what is left out stays as it is
#[utoipa::path(method(put, patch), path = "/api/v1/alerts/settings/{kind}", operation_id = "update_alert_setting",
    tag = "alerts", params(("kind" = String, Path)), request_body = wire::UpdateAlertSetting,
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::AlertSetting>),
    (status = 400, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody)))]
pub async fn update_alert_setting(
    State(alerts): State<Arc<Alerts>>,
    caller: Caller<ASession>,
    TextPath(name): TextPath,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::AlertSetting>, Error> {
    let kind = Kind::of(&name).ok_or(NO_KIND)?;
    let given = Given::parse(&body, kind)?;
    let (mut mutation, grant) = alerts.feed.begin(&caller).await?;
    let account = grant.account;
    let set = store::list_settings(&mut mutation.tx, account).await?;
    let before = Settings::among(&set, kind);
    let after = given.put(before);
    if after != before {
        store::put_settings(&mut mutation.tx, account, kind, &after).await?;
        let change = Change::new("alert.settings_updated", account, "account", account);
        mutation.tell(change.with(json!({
            "kind": kind.rule().name,
            "is_enabled": after.is_enabled,
            "threshold": after.threshold,
            "muted_until": after.muted_until,
            "mail": after.by_mail,
            "webhook": after.by_webhook,
            "disables": after.disables,
        })));
    }
    mutation.commit().await?;
    Ok(Answer::ok("Alert settings updated successfully", setting(kind, after)))
}

fn setting(kind: Kind, settings: Settings) -> wire::AlertSetting {
    let rule = kind.rule();
    wire::AlertSetting {
        kind: rule.name.to_owned(),
        title: rule.title.to_owned(),
        explanation: rule.explanation.to_owned(),
        severity: rule.severity.name().to_owned(),
        is_enabled: settings.is_enabled,
        threshold: settings.threshold,
        threshold_unit: rule.threshold.unit.to_owned(),
        default_threshold: rule.threshold.default,
        min_threshold: rule.threshold.range.0,
        max_threshold: rule.threshold.range.1,
        muted_until: settings.muted_until,
        mail: settings.by_mail,
        webhook: settings.by_webhook,
        disables: (kind == Kind::TokenUnused).then_some(settings.disables),
    }
}
