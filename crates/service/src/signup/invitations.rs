//! Invitations: what opens sign-up where the operator lets in whoever has one. Shown once, kept as a digest.

use hoody_core::id::InvitationId;
use hoody_core::names::fold;
use hoody_core::one_time::{OneTimeSecret, Purpose};
use hoody_core::time::Timestamp;
use hoody_core::wire::Secret;

use super::SignUp;
use hoody_engine::clock::entropy;
use hoody_engine::db::{Db, DbError, On, Row, args};
use hoody_engine::error::Error;
use hoody_engine::feed::Mutation;

const INSERT: &str = "INSERT INTO invitations (id, digest, key_id, email, email_fold, max_uses, uses, \
     created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)";
const FIND: &str = "SELECT id, email, email_fold, max_uses, uses, created_at, expires_at, revoked_at \
     FROM invitations WHERE digest = $1";
const LIST: &str = "SELECT id, email, email_fold, max_uses, uses, created_at, expires_at, revoked_at \
     FROM invitations ORDER BY created_at DESC, id DESC LIMIT 1000";
const USE: &str = "UPDATE invitations SET uses = uses + 1 WHERE id = $1 AND uses < max_uses \
     AND expires_at > $2 AND revoked_at IS NULL";
const REVOKE: &str = "UPDATE invitations SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";

/// An invitation as it is stored, without its code.
#[derive(Debug)]
pub struct Invitation {
    pub id: InvitationId,
    /// Whose it is, if it is not anybody's who has it.
    pub email: Option<String>,
    email_fold: Option<String>,
    pub max_uses: i64,
    pub uses: i64,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

impl Invitation {
    /// What has become of it, in a word.
    pub fn state(&self, now: Timestamp) -> &'static str {
        if self.revoked_at.is_some() {
            "revoked"
        } else if self.uses >= self.max_uses {
            "used"
        } else if self.expires_at <= now {
            "expired"
        } else {
            "open"
        }
    }
}

/// What a new one is like.
#[derive(Debug)]
pub struct NewInvitation<'a> {
    pub email: Option<&'a str>,
    pub max_uses: i64,
    /// In milliseconds.
    pub lifetime: i64,
}

/// Makes one: its id, its code and when it ends.
pub async fn create(
    sign_up: &SignUp,
    mutation: &mut Mutation,
    new: &NewInvitation<'_>,
) -> Result<(InvitationId, Secret, Timestamp), DbError> {
    let id: InvitationId = sign_up.clock.new_id();
    let code = OneTimeSecret::from_bytes(entropy());
    let (key, digest) = sign_up.keys.named_one_time_digest(Purpose::Invitation, code.expose());
    let now = mutation.now;
    let expires_at = now.plus(new.lifetime);
    let row = args![
        id,
        &digest[..],
        key.to_string(),
        new.email,
        new.email.map(fold),
        new.max_uses,
        now,
        expires_at,
    ];
    mutation.tx.execute(INSERT, row).await?;
    Ok((id, code.expose().into(), expires_at))
}

/// The latest thousand, the newest first.
pub async fn list(db: &Db) -> Result<Vec<Invitation>, DbError> {
    On::from(db).list(LIST, args![]).await?.iter().map(read).collect()
}

/// Closes one; false when there is none, or it was closed.
pub async fn revoke(mutation: &mut Mutation, id: InvitationId) -> Result<bool, DbError> {
    let now = mutation.now;
    Ok(mutation.tx.execute(REVOKE, args![id, now]).await? == 1)
}

/// The invitation of this code, if it lets this address in now.
///
/// # Errors
/// [`refusal`], whatever is wrong with it.
pub(super) async fn check(sign_up: &SignUp, code: Option<&Secret>, email: &str) -> Result<Invitation, Error> {
    let code = code.ok_or_else(refusal)?;
    for digest in sign_up.keys.one_time_digests(Purpose::Invitation, code.expose()) {
        if let Some(row) = On::from(&sign_up.db).find(FIND, args![&digest[..]]).await? {
            let invitation = read(&row)?;
            let is_for = invitation.email_fold.as_ref().is_none_or(|owner| *owner == fold(email));
            let lets_in = is_for && invitation.state(sign_up.clock.now()) == "open";
            return if lets_in { Ok(invitation) } else { Err(refusal()) };
        }
    }
    Err(refusal())
}

/// Counts one use; false when there is none left.
pub(super) async fn use_up(mutation: &mut Mutation, id: InvitationId) -> Result<bool, DbError> {
    let now = mutation.now;
    Ok(mutation.tx.execute(USE, args![id, now]).await? == 1)
}

/// One answer for every invitation that lets nobody in.
pub(super) fn refusal() -> Error {
    Error::Forbidden {
        code: "INVITATION_REQUIRED",
        message: "Signing up needs an invitation that is in force, for this address".to_owned(),
    }
}

fn read(row: &Row) -> Result<Invitation, DbError> {
    Ok(Invitation {
        id: row.get("id")?,
        email: row.get("email")?,
        email_fold: row.get("email_fold")?,
        max_uses: row.get("max_uses")?,
        uses: row.get("uses")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        revoked_at: row.get("revoked_at")?,
    })
}
