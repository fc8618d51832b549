//! The request log of the account (`contract/activity.md`).

use hoody_core::id::{LogRowId, RealmId};
use hoody_core::wire::{ActivityRow, ActivityStats, PageMetadata};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// The routes below `/users/auth/activity`: [`Client::activity`].
///
/// ```no_run
/// # use hoody_client::{ActivityQuery, Client};
/// # async fn example(client: Client) -> Result<(), hoody_client::Error> {
/// let errors = ActivityQuery { errors_only: true, ..ActivityQuery::default() };
/// for row in client.activity().list(&errors).await?.rows {
///     tracing::info!(row.status_code, row.path);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Activity<'a>(&'a Client);

/// Which rows. What is left out is the server's to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActivityQuery {
    /// From 1.
    pub page: Option<u32>,
    /// Instead of a page: the rows that come after this one in the list, reads of the log included. The last row
    /// of one answer begins the next, and no row comes twice.
    pub before: Option<LogRowId>,
    /// How many a page holds, at most 200.
    pub limit: Option<u32>,
    /// The first instant or day, ISO 8601.
    pub start_date: Option<String>,
    /// The last instant or day, ISO 8601.
    pub end_date: Option<String>,
    /// Only status 400 and above.
    pub errors_only: bool,
    /// The lowest status.
    pub min_status: Option<u16>,
    /// The highest status.
    pub max_status: Option<u16>,
    /// Only this method.
    pub method: Option<String>,
    /// Only this realm.
    pub realm_id: Option<RealmId>,
}

/// A page of the request log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityList {
    /// The latest first.
    pub rows: Vec<ActivityRow>,
    /// Where the page stands; `None` when the server does not say.
    pub metadata: Option<PageMetadata>,
}

impl Client {
    /// The routes below `/users/auth/activity`.
    #[must_use]
    pub fn activity(&self) -> Activity<'_> {
        Activity(self)
    }
}

impl Activity<'_> {
    /// `GET /users/auth/activity`: the account's requests, the latest first.
    ///
    /// # Errors
    /// 403 with a token that lacks `resources.read_account`; `INVALID_DATE_RANGE`.
    pub async fn list(&self, query: &ActivityQuery) -> Result<ActivityList, Error> {
        let call = Call::get("users/auth/activity")
            .query("page", query.page)
            .query("before", query.before)
            .query("limit", query.limit)
            .query("start_date", query.start_date.as_ref())
            .query("end_date", query.end_date.as_ref())
            .query("errors_only", query.errors_only.then_some(true))
            .query("min_status", query.min_status)
            .query("max_status", query.max_status)
            .query("method", query.method.as_ref())
            .query("realm_id", query.realm_id);
        let answer = call.answer::<Vec<ActivityRow>>(self.0).await?;
        Ok(ActivityList { rows: answer.data, metadata: answer.metadata })
    }

    /// `GET /users/auth/activity/stats`: how much there is.
    ///
    /// # Errors
    /// As [`Activity::list`].
    pub async fn stats(&self) -> Result<ActivityStats, Error> {
        Call::get("users/auth/activity/stats").send(self.0).await
    }
}
