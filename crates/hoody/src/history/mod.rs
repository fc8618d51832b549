//! The security history of an account: sign-ins, failures and what was done to its credentials, for its
//! owner to read (`contract/users.md`). Append-only, kept 180 days.
//!
//! What happens in a mutation is recorded in that mutation. Failures are recorded in a transaction of
//! their own, for accounts that exist, and at most 200 an hour, so that nobody fills a disk with wrong
//! passwords. From where an account signed in lately is read from here too.

pub(crate) mod http;
pub(crate) mod store;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hoody_core::address::neighbourhood;
use hoody_core::id::UserId;
use hoody_core::time::{DAY, Timestamp};

use crate::app::App;
use crate::db::{DbError, Tx};
use crate::error::Error;
use crate::feed::Mutation;
use crate::limits::{self, Subject};

/// How long a row is kept, in milliseconds.
const KEPT: i64 = 180 * DAY;
/// How often older rows are removed.
pub(crate) const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);
/// For how long an account's sign-in makes an address known, in milliseconds.
const KNOWN_FOR: i64 = 30 * DAY;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
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
    pub(crate) fn name(self) -> &'static str {
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
pub(crate) struct Source<'a> {
    /// `None`: the operator, at the machine.
    pub(crate) address: Option<IpAddr>,
    pub(crate) client: Option<&'a str>,
}

/// Records what happened to `account` in the mutation that does it; `client` is what the caller's calls
/// itself, where that is known.
pub(crate) async fn record(
    mutation: &mut Mutation,
    account: UserId,
    event: Event,
    client: Option<&str>,
) -> Result<(), DbError> {
    let network = mutation.address.filter(|_| event == Event::Login).map(network);
    let (id, now) = (mutation.app.new_id(), mutation.now);
    let source = Source { address: mutation.address, client };
    store::insert(&mut mutation.tx, id, account, event, source, network, now).await
}

/// Records a failure, unless there were 200 of them within the hour. Without an account it does as much
/// and records nothing: `name` is what somebody said.
pub(crate) async fn record_failure(
    app: &App,
    tx: &mut Tx,
    (account, name): (Option<UserId>, &str),
    event: Event,
    source: Source<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let subject = account.map_or(Subject::Name(name), Subject::Account);
    if limits::is_within(app, tx, &limits::HISTORY_FAILURES, subject).await? {
        let account = account.unwrap_or(UserId::from_bytes([0; 12]));
        store::insert(tx, app.new_id(), account, event, source, None, now).await?;
    }
    Ok(())
}

/// Whether `account` signed in from `address`, or for IPv6 from its /64, within 30 days.
pub(crate) async fn is_known(
    app: &App,
    account: Option<UserId>,
    address: IpAddr,
    now: Timestamp,
) -> Result<bool, DbError> {
    // Nobody's id is asked for too: an unknown name must cost what a known one does.
    let account = account.unwrap_or(UserId::from_bytes([0; 12]));
    store::signed_in_from(&app.db, account, &network(address), now.plus(-KNOWN_FOR)).await
}

fn network(address: IpAddr) -> String {
    neighbourhood(address).to_string()
}

/// Removes what is older than 180 days.
pub(crate) async fn sweep(app: Arc<App>) {
    if let Err(error) = store::delete_before(&app.db, app.now().plus(-KEPT)).await {
        tracing::warn!(%error, "old rows of the security history could not be removed");
    }
}
