//! What is in use by master keys: every column that names or carries one.
//!
//! A value that is sealed or a digest that is keyed is of no use without its master key. Each noun hands its
//! sealed columns over as values ([`Sealed`]); the keyed digests are listed here. A test compares both with the
//! schema, and sealing for a column that no noun handed over fails in every debug build.

use hoody_core::id::UserId;
use hoody_core::keys::KeyId;
use hoody_core::session::REUSE_GRACE;
use hoody_core::time::Timestamp;

use hoody_engine::db::{Arg, Db, DbError, On, Row, args};
use hoody_engine::keys::sealed::Sealed;
use hoody_engine::keys::{NOBODY, store};

use crate::audit;

/// What cannot be moved to another key: each use, or its end, is the owner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A token's digest: it moves to the key in force when the token is used.
    Token,
    /// A session whose tokens are signed: it moves when it is refreshed.
    Session,
    /// Digests of an account's backup codes: they go when they are used, or replaced.
    BackupCodes,
    /// The digest of what a mail carries to its account: it goes when it is used or runs out.
    MailLink,
    /// The digest of an invitation: as a mail's.
    Invitation,
}

/// The kinds with the columns that name their keys.
pub const KINDS: [(Kind, &str, &[&str]); 5] = [
    (Kind::Token, "tokens", &["key_id"]),
    (Kind::Session, "sessions", &["key_id", "previous_key_id"]),
    (Kind::BackupCodes, "backup_codes", &["key_id"]),
    (Kind::MailLink, "mail_tokens", &["key_id"]),
    (Kind::Invitation, "invitations", &["key_id"]),
];

/// The column that names the key of what is signed: of the audit log's checkpoints only the last one counts.
pub const SIGNED: &str = "audit_checkpoints.key_id";

/// One of them, as its owner and the operator know it.
#[derive(Debug, Clone)]
pub struct Named {
    pub kind: Kind,
    pub account: UserId,
    pub username: String,
    /// The token's, session's or invitation's; else the account's.
    pub id: [u8; 12],
    /// A token's alias, a session's client, how many codes, what a mail is for, whom an invitation is for.
    pub name: String,
}

const COUNT_TOKENS: &str = "SELECT COUNT(*) AS n FROM tokens WHERE key_id = $1";
const COUNT_CODES: &str = "SELECT COUNT(*) AS n FROM backup_codes WHERE key_id = $1";
const COUNT_LINKS: &str = "SELECT COUNT(*) AS n FROM mail_tokens WHERE key_id = $1 AND expires_at > $2";
const COUNT_INVITATIONS: &str = "SELECT COUNT(*) AS n FROM invitations WHERE key_id = $1 AND expires_at > $2 \
     AND revoked_at IS NULL AND uses < max_uses";
macro_rules! sessions {
    ($columns:literal, $tail:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.ended_at IS NULL AND s.expires_at > $2 \
             AND s.generation = u.generation AND (s.key_id = $1 OR (s.previous_key_id = $1 \
             AND s.rotated_at > $3)) ",
            $tail
        )
    };
}
const COUNT_SESSIONS: &str = sessions!("COUNT(*) AS n", "");
const TOKENS: &str = "SELECT t.id, t.alias AS name, t.user_id, u.username FROM tokens t \
     JOIN users u ON u.id = t.user_id WHERE t.key_id = $1 ORDER BY u.username, t.alias, t.id";
const SESSIONS: &str =
    sessions!("s.id, s.client AS name, s.user_id, u.username", "ORDER BY u.username, s.created_at, s.id");
const CODES: &str = "SELECT c.user_id AS id, CAST(COUNT(*) AS TEXT) AS name, c.user_id, u.username \
     FROM backup_codes c JOIN users u ON u.id = c.user_id WHERE c.key_id = $1 \
     GROUP BY c.user_id, u.username ORDER BY u.username";
const LINKS: &str = "SELECT m.user_id AS id, m.purpose AS name, m.user_id, u.username FROM mail_tokens m \
     JOIN users u ON u.id = m.user_id WHERE m.key_id = $1 AND m.expires_at > $2 ORDER BY u.username, m.purpose";
/// Of no account: the operator's.
const INVITATIONS: &str = "SELECT id, COALESCE(email, '-') AS name, $3 AS user_id, '-' AS username \
     FROM invitations WHERE key_id = $1 AND expires_at > $2 AND revoked_at IS NULL AND uses < max_uses \
     ORDER BY created_at, id";

impl Kind {
    /// How many hang on `key` at `now`.
    pub async fn count(self, on: impl Into<On<'_>>, key: KeyId, now: Timestamp) -> Result<i64, DbError> {
        let sql = match self {
            Self::Token => COUNT_TOKENS,
            Self::Session => COUNT_SESSIONS,
            Self::BackupCodes => COUNT_CODES,
            Self::MailLink => COUNT_LINKS,
            Self::Invitation => COUNT_INVITATIONS,
        };
        on.into().one(sql, self.args(key, now)).await?.get("n")
    }

    /// Each that hangs on `key` at `now`.
    pub async fn list(
        self,
        on: impl Into<On<'_>>,
        key: KeyId,
        now: Timestamp,
    ) -> Result<Vec<Named>, DbError> {
        let sql = match self {
            Self::Token => TOKENS,
            Self::Session => SESSIONS,
            Self::BackupCodes => CODES,
            Self::MailLink => LINKS,
            Self::Invitation => INVITATIONS,
        };
        let mut args = self.args(key, now);
        if self == Self::Invitation {
            args.push(Arg::from(NOBODY));
        }
        let rows = on.into().list(sql, args).await?;
        let read = |row: &Row| {
            let id: hoody_core::id::Id<()> = row.get("id")?;
            Ok(Named {
                kind: self,
                account: row.get("user_id")?,
                username: row.get("username")?,
                id: *id.bytes(),
                name: row.get("name")?,
            })
        };
        rows.iter().map(read).collect()
    }

    fn args(self, key: KeyId, now: Timestamp) -> Vec<Arg> {
        match self {
            Self::Session => args![key.to_string(), now, now.plus(-REUSE_GRACE)],
            Self::MailLink | Self::Invitation => args![key.to_string(), now],
            Self::Token | Self::BackupCodes => args![key.to_string()],
        }
    }
}

/// What hangs on a master key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hanging {
    pub tokens: i64,
    pub sessions: i64,
    pub backup_codes: i64,
    /// Links in mails and invitations.
    pub links: i64,
    /// `table.column` and how many values; those with none are left out.
    pub sealed: Vec<(String, i64)>,
}

impl Hanging {
    /// What hangs on `key` at `now`.
    pub async fn count(
        on: &mut On<'_>,
        columns: &[&'static Sealed],
        key: KeyId,
        now: Timestamp,
    ) -> Result<Self, DbError> {
        let mut hanging = Self {
            tokens: Kind::Token.count(on.again(), key, now).await?,
            sessions: Kind::Session.count(on.again(), key, now).await?,
            backup_codes: Kind::BackupCodes.count(on.again(), key, now).await?,
            links: Kind::MailLink.count(on.again(), key, now).await?
                + Kind::Invitation.count(on.again(), key, now).await?,
            sealed: Vec::new(),
        };
        for column in columns {
            let count = column.count(on.again(), key).await?;
            if count > 0 {
                hanging.sealed.push((column.name(), count));
            }
        }
        // The chain's end is signed again by itself, as sealed values are moved.
        let signed = audit::store::count_signed(on.again(), key).await?;
        if signed > 0 {
            hanging.sealed.push(("audit_checkpoints.mac".to_owned(), signed));
        }
        Ok(hanging)
    }

    /// How many sealed values there are.
    pub fn sealed_values(&self) -> i64 {
        self.sealed.iter().map(|(_, count)| count).sum()
    }

    /// Whether there is nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// In words: `2 tokens, 1 session, 3 sealed values`.
    pub fn in_words(&self) -> String {
        let words = [
            (self.tokens, "token", "tokens"),
            (self.sessions, "session", "sessions"),
            (self.backup_codes, "backup code", "backup codes"),
            (self.links, "mailed link or invitation", "mailed links and invitations"),
            (self.sealed_values(), "sealed value", "sealed values"),
        ];
        let words = words.iter().filter(|(count, ..)| *count > 0);
        let words: Vec<_> = words
            .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
            .collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    }
}

/// What the database knows of a key, and what hangs on it.
pub async fn count_each(
    db: &Db,
    columns: &[&'static Sealed],
    now: Timestamp,
) -> Result<Vec<(hoody_core::rotation::KnownKey, Hanging)>, DbError> {
    let mut counted = Vec::new();
    for known in store::list_known(db).await? {
        counted.push((known, Hanging::count(&mut On::from(db), columns, known.id, now).await?));
    }
    Ok(counted)
}
