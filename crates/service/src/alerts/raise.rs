//! Raising: from what was found to an alert, its event and its mail, all in one mutation.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use hoody_core::alert::{Kind, Settings};
use hoody_core::id::{RealmId, UserId};
use hoody_core::time::Timestamp;
use hoody_engine::db::{DbError, On};
use hoody_engine::error::Error;
use hoody_engine::feed::{Change, Mutation};
use serde_json::{Value, json};

use super::mails::Mails;
use super::{Alert, Alerts, Subject, store};

/// How many addresses an alert lists.
const LISTED: usize = 10;

/// Something that was found, which may be told already.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) account: UserId,
    pub(super) kind: Kind,
    pub(super) subject: Subject,
    /// What the subject is called, and its realms, where that is known already.
    pub(super) name: Option<(String, Vec<RealmId>)>,
    pub(super) hits: i64,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) ip: Option<String>,
    pub(super) details: Value,
}

/// What accounts want, as it was read in this mutation.
#[derive(Debug, Default)]
pub(super) struct Wishes(HashMap<UserId, Vec<(Kind, Settings)>>);

impl Wishes {
    /// What `account` wants of a kind.
    pub(super) async fn of(
        &mut self,
        on: impl Into<On<'_>>,
        account: UserId,
        kind: Kind,
    ) -> Result<Settings, DbError> {
        let set = match self.0.entry(account) {
            Entry::Occupied(set) => set.into_mut(),
            Entry::Vacant(place) => place.insert(store::list_settings(on, account).await?),
        };
        Ok(Settings::among(set, kind))
    }
}

impl Finding {
    /// Takes up the same thing once more.
    pub(super) fn merge(&mut self, later: Self) {
        self.hits = self.hits.saturating_add(later.hits);
        self.last_at = later.last_at;
        self.ip = later.ip.or(self.ip.take());
        self.details = merged(&self.details, later.details);
    }

    /// Writes it: into the alert that counts such things now, or as a new one, which is told.
    pub(super) async fn raise(
        self,
        alerts: &Alerts,
        mutation: &mut Mutation,
        settings: &Settings,
        mails: &mut Mails,
    ) -> Result<(), Error> {
        if !settings.is_enabled {
            return Ok(());
        }
        let tx = &mut mutation.tx;
        let counting = store::find_counting(tx, self.account, self.kind, self.subject, self.first_at).await?;
        if let Some(alert) = counting {
            let details = merged(&alert.details, self.details);
            store::count_up(tx, alert.id, (self.hits, self.last_at), self.ip, &details).await?;
            return Ok(());
        }
        let named = match self.name {
            None if self.subject.noun == "token" => store::name_of_token(tx, self.subject.id).await?,
            name => name,
        };
        let (name, realm_ids) = named.unzip();
        let alert = Alert {
            id: alerts.clock.new_id(),
            account: self.account,
            kind: self.kind,
            subject: self.subject,
            name,
            realm_ids: realm_ids.unwrap_or_default(),
            state: "open".to_owned(),
            is_muted: settings.is_muted(mutation.now),
            hits: self.hits,
            first_at: self.first_at,
            last_at: self.last_at,
            counts_until: self.first_at.plus(self.kind.rule().window),
            ip: self.ip,
            details: self.details,
            settled_at: None,
        };
        if !store::insert(&mut mutation.tx, &alert).await? {
            return Ok(());
        }
        metrics::counter!("hoody_alerts_raised_total", "kind" => alert.kind.rule().name).increment(1);
        if alert.is_muted {
            return Ok(());
        }
        if settings.by_mail {
            mails.add(&alert);
        }
        let change = Change::new("alert.raised", alert.account, "alert", alert.id);
        let change = change.in_realms(&alert.realm_ids);
        mutation.tell(change.with(told(&alert, settings)));
        Ok(())
    }
}

/// What the event tells of an alert.
fn told(alert: &Alert, settings: &Settings) -> Value {
    let shown = alert.clone().shown(true);
    json!({
        "kind": shown.kind,
        "severity": shown.severity,
        "title": shown.title,
        "message": shown.message,
        "subject_type": shown.subject_type,
        "subject_id": shown.subject_id,
        "subject_name": shown.subject_name,
        "count": shown.count,
        "ip_address": shown.ip_address,
        "details": shown.details,
        "first_at": shown.first_at,
        "last_at": shown.last_at,
        "delivery": { "mail": settings.by_mail, "webhook": settings.by_webhook },
    })
}

/// What is said of the last occurrence, with the addresses of those before.
fn merged(before: &Value, mut latest: Value) -> Value {
    let (Some(before), Some(now)) = (before["addresses"].as_array(), latest["addresses"].as_array()) else {
        return latest;
    };
    let mut addresses = before.clone();
    addresses.extend(now.iter().filter(|address| !before.contains(address)).cloned());
    let first = addresses.len().saturating_sub(LISTED);
    latest["addresses"] = addresses.split_off(first).into();
    latest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_lists_the_last_ten_addresses() {
        let mut details = json!({ "addresses": ["10.0.0.0"], "reason": "a" });
        for n in 1..12 {
            details = merged(&details, json!({ "addresses": [format!("10.0.0.{n}")], "reason": n }));
        }
        details = merged(&details, json!({ "addresses": ["10.0.0.11"], "reason": "z" }));
        let addresses = details["addresses"].as_array().unwrap();
        assert_eq!(
            (addresses.len(), &addresses[0], &addresses[9]),
            (10, &json!("10.0.0.2"), &json!("10.0.0.11"))
        );
        assert_eq!(details["reason"], "z");
        assert_eq!(merged(&json!({}), json!({ "reason": 1 })), json!({ "reason": 1 }));
    }
}
