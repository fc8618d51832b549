//! The tokens of mails and their statements: one of each purpose for an account, good once and for a while.

use hoody_core::id::UserId;
use hoody_core::one_time::{OneTimeSecret, Purpose, is_well_formed};
use hoody_core::time::{DAY, MINUTE, Timestamp};
use hoody_core::wire::Secret;

use super::SignUp;
use hoody_engine::clock::entropy;
use hoody_engine::db::{DbError, On, Tx, args};
use hoody_engine::feed::Mutation;
use hoody_engine::keys::Keys;

/// A newer one takes the place of the older.
const REPLACE: &str = "INSERT INTO mail_tokens (user_id, purpose, digest, key_id, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id, purpose) DO UPDATE SET digest = excluded.digest, \
     key_id = excluded.key_id, created_at = excluded.created_at, expires_at = excluded.expires_at";
const FIND: &str = "SELECT user_id FROM mail_tokens WHERE digest = $1 AND purpose = $2 AND expires_at > $3";
const TAKE: &str =
    "DELETE FROM mail_tokens WHERE user_id = $1 AND digest = $2 AND purpose = $3 AND expires_at > $4";
const VOID: &str = "DELETE FROM mail_tokens WHERE user_id = $1";

/// What a link in a mail is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Link {
    VerifyEmail,
    ResetPassword,
}

impl Link {
    const fn purpose(self) -> Purpose {
        match self {
            Self::VerifyEmail => Purpose::VerifyEmail,
            Self::ResetPassword => Purpose::ResetPassword,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify-email",
            Self::ResetPassword => "reset-password",
        }
    }

    /// What asking for one is called in the feed.
    pub(super) const fn event(self) -> &'static str {
        match self {
            Self::VerifyEmail => "account.verification_requested",
            Self::ResetPassword => "account.password_reset_requested",
        }
    }

    /// In milliseconds.
    const fn lifetime(self) -> i64 {
        match self {
            Self::VerifyEmail => DAY,
            Self::ResetPassword => 60 * MINUTE,
        }
    }
}

/// Makes a token for the account; the one before it of this kind is void. When it ends.
pub(super) async fn replace(
    keys: &Keys,
    mutation: &mut Mutation,
    account: UserId,
    link: Link,
) -> Result<(Secret, Timestamp), DbError> {
    let secret = OneTimeSecret::from_bytes(entropy());
    let (key, digest) = keys.named_one_time_digest(link.purpose(), secret.expose());
    let now = mutation.now;
    let expires_at = now.plus(link.lifetime());
    let row = args![account, link.name(), &digest[..], key.to_string(), now, expires_at];
    mutation.tx.execute(REPLACE, row).await?;
    Ok((secret.expose().into(), expires_at))
}

/// Whose token this is, if it is one that is in force.
pub(super) async fn find(sign_up: &SignUp, link: Link, text: &str) -> Result<Option<UserId>, DbError> {
    if !is_well_formed(text) {
        return Ok(None);
    }
    for digest in sign_up.keys.one_time_digests(link.purpose(), text) {
        let row =
            On::from(&sign_up.db).find(FIND, args![&digest[..], link.name(), sign_up.clock.now()]).await?;
        if let Some(row) = row {
            return row.get("user_id").map(Some);
        }
    }
    Ok(None)
}

/// Uses the account's token up; false when it was used, replaced or has ended.
pub(super) async fn take(
    keys: &Keys,
    mutation: &mut Mutation,
    account: UserId,
    link: Link,
    text: &str,
) -> Result<bool, DbError> {
    let now = mutation.now;
    for digest in keys.one_time_digests(link.purpose(), text) {
        if mutation.tx.execute(TAKE, args![account, &digest[..], link.name(), now]).await? == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Voids every token of the account.
pub(super) async fn void_all(tx: &mut Tx, account: UserId) -> Result<(), DbError> {
    tx.execute(VOID, args![account]).await?;
    Ok(())
}
