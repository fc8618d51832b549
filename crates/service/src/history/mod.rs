//! The security history of an account: sign-ins, failures and what was done to its credentials, for its
//! owner to read (`contract/users.md`). Append-only, kept 180 days.
//!
//! What happens in a mutation is recorded in that mutation. Failures are recorded in a transaction of
//! their own, for accounts that exist, and at most 200 an hour, so that nobody fills a disk with wrong
//! passwords. From where an account signed in lately is read from here too.

pub mod http;
pub mod store;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hoody_core::address::neighbourhood;
use hoody_core::id::UserId;
use hoody_core::time::{DAY, Timestamp};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use hoody_engine::clock::Clock;
use hoody_engine::db::{Db, DbError, Tx};
use hoody_engine::engine::Engine;
use hoody_engine::error::Error;
use hoody_engine::feed::Mutation;
use hoody_engine::limits::{HISTORY_FAILURES, Limits, Subject};
use hoody_engine::tasks::Tasks;
use hoody_engine::web::{Access, Lends};

/// How long a row is kept, in milliseconds.
const KEPT: i64 = 180 * DAY;
/// How often older rows are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);
/// For how long an account's sign-in makes an address known, in milliseconds.
const KNOWN_FOR: i64 = 30 * DAY;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Login,
    Logout,
    LoginFailed,
    OtpVerifyFailed,
    /// The password, asked once more of somebody who is signed in, was wrong.
    PasswordFailed,
    PasswordChanged,
    OtpEnabled,
    OtpDisabled,
    /// The operator took a lost second factor away.
    OtpReset,
    OtpGateChanged,
    BackupCodesRegenerated,
    /// A sign-in on another device was approved.
    DeviceApproved,
    /// An old refresh token came back: its session was ended.
    SessionReplayed,
}

impl Event {
    /// Its name, on the wire and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Logout => "logout",
            Self::LoginFailed => "login_failed",
            Self::OtpVerifyFailed => "otp_verify_failed",
            Self::PasswordFailed => "password_failed",
            Self::PasswordChanged => "password_changed",
            Self::OtpEnabled => "otp_enabled",
            Self::OtpDisabled => "otp_disabled",
            Self::OtpReset => "otp_reset",
            Self::OtpGateChanged => "otp_gate_changed",
            Self::BackupCodesRegenerated => "backup_codes_regenerated",
            Self::DeviceApproved => "device_approved",
            Self::SessionReplayed => "session_replayed",
        }
    }

    /// What readers ask for: `sign_in` always, `failed` and `security` when they say so.
    fn kind(self) -> &'static str {
        match self {
            Self::Login | Self::Logout => "sign_in",
            Self::LoginFailed | Self::OtpVerifyFailed | Self::PasswordFailed => "failed",
            _ => "security",
        }
    }
}

/// From where something was done, and with what client.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source<'a> {
    /// `None`: the operator, at the machine.
    pub address: Option<IpAddr>,
    pub client: Option<&'a str>,
}

/// The security histories of all accounts.
#[derive(Debug)]
pub struct History {
    access: Arc<Access>,
    db: Db,
    clock: Clock,
    limits: Limits,
}

impl Lends for History {
    fn access(&self) -> &Access {
        &self.access
    }
}

/// The endpoint of the security history.
pub fn routes() -> OpenApiRouter<Arc<History>> {
    OpenApiRouter::new().routes(routes!(http::get_security_history))
}

impl History {
    pub fn new(engine: &Engine) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            clock: engine.clock.clone(),
            limits: engine.limits.clone(),
        })
    }

    /// Starts the sweep of old rows.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        let history = Arc::clone(self);
        tasks.every("history-sweep", SWEEP_INTERVAL, move || {
            let history = Arc::clone(&history);
            async move { history.sweep().await }
        });
    }

    /// Records what happened to `account` in the mutation that does it; `client` is what the caller's calls
    /// itself, where that is known.
    pub async fn record(
        &self,
        mutation: &mut Mutation,
        account: UserId,
        event: Event,
        client: Option<&str>,
    ) -> Result<(), DbError> {
        let network = mutation.address.filter(|_| event == Event::Login).map(network);
        let (id, now) = (self.clock.new_id(), mutation.now);
        let source = Source { address: mutation.address, client };
        store::insert(&mut mutation.tx, id, account, event, source, network, now).await
    }

    /// Records a failure, unless there were 200 of them within the hour. Without an account it does as much
    /// and records nothing: `name` is what somebody said.
    pub async fn record_failure(
        &self,
        tx: &mut Tx,
        (account, name): (Option<UserId>, &str),
        event: Event,
        source: Source<'_>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let subject = account.map_or(Subject::Name(name), Subject::Account);
        if self.limits.is_within(tx, &HISTORY_FAILURES, subject).await? {
            let account = account.unwrap_or(UserId::from_bytes([0; 12]));
            store::insert(tx, self.clock.new_id(), account, event, source, None, now).await?;
        }
        Ok(())
    }

    /// Whether `account` signed in from `address`, or for IPv6 from its /64, within 30 days.
    pub async fn is_known(
        &self,
        account: Option<UserId>,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        // Nobody's id is asked for too: an unknown name must cost what a known one does.
        let account = account.unwrap_or(UserId::from_bytes([0; 12]));
        store::signed_in_from(&self.db, account, &network(address), now.plus(-KNOWN_FOR)).await
    }

    /// Removes what is older than 180 days.
    pub async fn sweep(&self) {
        if let Err(error) = store::delete_before(&self.db, self.clock.now().plus(-KEPT)).await {
            tracing::warn!(%error, "old rows of the security history could not be removed");
        }
    }
}

fn network(address: IpAddr) -> String {
    neighbourhood(address).to_string()
}
