//! Alerts: what an account should know.

use hoody_core::id::{AlertId, RealmId, ResourceId};
use hoody_core::wire::{Alert, AlertSetting, PageMetadata, UpdateAlertSetting};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// The routes below `/alerts`: [`Client::alerts`].
///
/// ```no_run
/// # use hoody_client::{AlertQuery, Client};
/// # async fn example(client: Client) -> Result<(), hoody_client::Error> {
/// let open = AlertQuery { state: Some("open".into()), ..AlertQuery::default() };
/// for alert in client.alerts().list(&open).await?.alerts {
///     tracing::warn!(alert.kind, alert.message);
///     client.alerts().acknowledge(alert.id).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Alerts<'a>(&'a Client);

/// Which alerts. What is left out is the server's to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertQuery {
    /// From 1.
    pub page: Option<u32>,
    /// How many a page holds, at most 200.
    pub limit: Option<u32>,
    /// Only this kind.
    pub kind: Option<String>,
    /// `open`, `acknowledged` or `dismissed`.
    pub state: Option<String>,
    /// Only what is about this token, webhook or account.
    pub subject_id: Option<ResourceId>,
    /// The first instant or day, ISO 8601, of when it happened last.
    pub start_date: Option<String>,
    /// The last instant or day, ISO 8601.
    pub end_date: Option<String>,
    /// Only about tokens of this realm.
    pub realm_id: Option<RealmId>,
}

/// A page of alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertList {
    /// The latest first.
    pub alerts: Vec<Alert>,
    /// Where the page stands; `None` when the server does not say.
    pub metadata: Option<PageMetadata>,
}

impl Client {
    /// The routes below `/alerts`.
    #[must_use]
    pub fn alerts(&self) -> Alerts<'_> {
        Alerts(self)
    }
}

impl Alerts<'_> {
    /// `GET /alerts`: the account's alerts, the latest first.
    ///
    /// # Errors
    /// 403 with a token that lacks `resources.read_account`, here and where alerts and settings are read.
    pub async fn list(&self, query: &AlertQuery) -> Result<AlertList, Error> {
        let call = Call::get("alerts")
            .query("page", query.page)
            .query("limit", query.limit)
            .query("kind", query.kind.as_ref())
            .query("state", query.state.as_ref())
            .query("subject_id", query.subject_id)
            .query("start_date", query.start_date.as_ref())
            .query("end_date", query.end_date.as_ref())
            .query("realm_id", query.realm_id);
        let answer = call.answer::<Vec<Alert>>(self.0).await?;
        Ok(AlertList { alerts: answer.data, metadata: answer.metadata })
    }

    /// `GET /alerts/{id}`.
    ///
    /// # Errors
    /// `ALERT_NOT_FOUND`, here and below.
    pub async fn get(&self, id: AlertId) -> Result<Alert, Error> {
        Call::get("alerts").at(id).send(self.0).await
    }

    /// `POST /alerts/{id}/acknowledge`: somebody takes care of it. A session's alone, as is all below.
    ///
    /// # Errors
    /// As [`Alerts::get`]; 403 with a token.
    pub async fn acknowledge(&self, id: AlertId) -> Result<Alert, Error> {
        Call::post("alerts").at(id).at("acknowledge").send(self.0).await
    }

    /// `POST /alerts/{id}/dismiss`: it is nothing.
    ///
    /// # Errors
    /// As [`Alerts::acknowledge`].
    pub async fn dismiss(&self, id: AlertId) -> Result<Alert, Error> {
        Call::post("alerts").at(id).at("dismiss").send(self.0).await
    }

    /// `GET /alerts/settings`: every kind, what it means, and what the account wants of it.
    ///
    /// # Errors
    /// As [`Alerts::list`].
    pub async fn settings(&self) -> Result<Vec<AlertSetting>, Error> {
        Call::get("alerts/settings").send(self.0).await
    }

    /// `PUT /alerts/settings/{kind}`: what is left out stays.
    ///
    /// # Errors
    /// 400 for a threshold out of bounds, `ALERT_KIND_NOT_FOUND`; 403 with a token.
    pub async fn set(&self, kind: &str, change: &UpdateAlertSetting) -> Result<AlertSetting, Error> {
        Call::put("alerts/settings").at(kind).json(change).send(self.0).await
    }
}
