//! The tokens of an account a page at a time, by name and by state: for people who look for one.
//!
//! A page begins after a token and never at a number, so that it costs the same wherever it is and what is
//! made meanwhile moves nothing.

use std::collections::HashMap;

use hoody_core::id::{TokenId, UserId};
use hoody_core::time::{DAY, Timestamp};

use super::{Token, Tokens, store};
use hoody_engine::db::{Arg, Built, DbError, On, args};
use hoody_engine::error::Error;

/// For how long a token must not have been used to be called unused, in milliseconds.
pub const UNUSED_AFTER: i64 = 90 * DAY;
/// How soon a token ends that is called ending, in milliseconds.
pub const ENDING_WITHIN: i64 = 30 * DAY;

/// `$1` account, `$2` what the name contains, folded, `$3` state, `$4` now, `$5` unused since, `$6` ends before.
macro_rules! matching {
    () => {
        "t.user_id = $1 AND ($2 = '' OR lower(t.alias) LIKE $2 ESCAPE '!') AND CASE $3 \
         WHEN 'working' THEN t.is_enabled AND (t.expires_at IS NULL OR t.expires_at > $4) \
         WHEN 'stopped' THEN NOT t.is_enabled \
         WHEN 'expired' THEN t.expires_at IS NOT NULL AND t.expires_at <= $4 \
         WHEN 'ending' THEN t.is_enabled AND t.expires_at IS NOT NULL AND t.expires_at > $4 AND t.expires_at <= $6 \
         WHEN 'unused' THEN t.is_enabled AND (t.expires_at IS NULL OR t.expires_at > $4) \
              AND COALESCE(t.last_used_at, t.created_at) <= $5 \
         WHEN 'any-address' THEN t.is_enabled AND (t.expires_at IS NULL OR t.expires_at > $4) \
              AND t.ip_whitelist = '*' \
         ELSE TRUE END "
    };
}
const COUNT: &str = concat!("SELECT COUNT(*) AS n FROM tokens t WHERE ", matching!());
/// After `$7`, `$8`; the latest first.
const AFTER: &str = concat!(
    store::token_columns!(),
    "WHERE ",
    matching!(),
    "AND (t.created_at < $7 OR t.created_at = $7 AND t.id < $8) ORDER BY t.created_at DESC, t.id DESC LIMIT $9"
);
/// Before `$7`, `$8`: the nearest first, so in the other order.
const BEFORE: &str = concat!(
    store::token_columns!(),
    "WHERE ",
    matching!(),
    "AND (t.created_at > $7 OR t.created_at = $7 AND t.id > $8) ORDER BY t.created_at, t.id LIMIT $9"
);
const CHILDREN: &str = concat!(
    store::token_columns!(),
    "WHERE t.user_id = $1 AND t.created_by_token_id = $2 ORDER BY t.created_at DESC, t.id DESC LIMIT $3"
);
const NAMES: &str = "SELECT t.id, t.alias FROM tokens t WHERE t.user_id = $1 AND t.id IN {list}";
const TALLY: &str = "SELECT COUNT(*) AS all_tokens, \
     COUNT(CASE WHEN is_enabled AND (expires_at IS NULL OR expires_at > $2) THEN 1 END) AS working, \
     COUNT(CASE WHEN is_enabled AND (expires_at IS NULL OR expires_at > $2) AND last_used_at > $3 THEN 1 END) AS used, \
     COUNT(CASE WHEN is_enabled AND expires_at > $2 AND expires_at <= $4 THEN 1 END) AS ending, \
     COUNT(CASE WHEN is_enabled AND (expires_at IS NULL OR expires_at > $2) \
       AND COALESCE(last_used_at, created_at) <= $5 THEN 1 END) AS unused, \
     COUNT(CASE WHEN is_enabled AND expires_at IS NULL AND ip_whitelist = '*' THEN 1 END) AS endless \
     FROM tokens WHERE user_id = $1";

/// Which tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    #[default]
    Any,
    Working,
    Stopped,
    Expired,
    /// Ends within [`ENDING_WITHIN`].
    Ending,
    /// Not used for [`UNUSED_AFTER`].
    Unused,
    /// Works from any address.
    AnyAddress,
}

impl State {
    /// All of them, each with its name in an address.
    pub const ALL: [(Self, &str); 7] = [
        (Self::Any, "any"),
        (Self::Working, "working"),
        (Self::Stopped, "stopped"),
        (Self::Expired, "expired"),
        (Self::Ending, "ending"),
        (Self::Unused, "unused"),
        (Self::AnyAddress, "any-address"),
    ];

    /// The state of this name; any where there is none such.
    pub fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|(_, known)| *known == name).map_or(Self::Any, |(state, _)| state)
    }

    /// Its name in an address.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(state, _)| *state == self).map_or("any", |(_, name)| name)
    }
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    First,
    /// Older than this token.
    After(Timestamp, TokenId),
    /// Newer than this token.
    Before(Timestamp, TokenId),
}

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    pub account: UserId,
    /// A part of the name; empty for all.
    pub name: &'a str,
    pub state: State,
    pub place: Place,
    pub limit: usize,
}

/// A page, the latest token first.
#[derive(Debug)]
pub struct Page {
    pub tokens: Vec<Token>,
    pub has_newer: bool,
    pub has_older: bool,
    /// How many tokens there are that match.
    pub total: u64,
}

/// How many tokens an account has, and of what kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub all: u64,
    pub working: u64,
    /// Working, and used in the last 24 hours.
    pub used_today: u64,
    pub ending: u64,
    pub unused: u64,
    /// Working for ever from any address.
    pub endless: u64,
}

/// The page that is asked for.
///
/// # Errors
/// When the database fails.
pub async fn page(tokens: &Tokens, asked: &Asked<'_>, now: Timestamp) -> Result<Page, Error> {
    let own = tokens.access.own_catalogue().await?;
    let pattern = pattern(asked.name);
    let (unused, ending) = (now.plus(-UNUSED_AFTER), now.plus(ENDING_WITHIN));
    let filter = || args![asked.account, pattern.clone(), asked.state.name(), now, unused, ending];
    let total = On::from(&tokens.db).one(COUNT, filter()).await?.get::<i64>("n")?.unsigned_abs();
    let (sql, at) = match asked.place {
        Place::First => (AFTER, (Timestamp::MAX, TokenId::from_bytes([0xff; 12]))),
        Place::After(at, id) => (AFTER, (at, id)),
        Place::Before(at, id) => (BEFORE, (at, id)),
    };
    let mut args = filter();
    // One more tells whether there is another page.
    let limit = i64::try_from(asked.limit).unwrap_or(i64::MAX).saturating_add(1);
    args.extend(args![at.0, at.1, limit]);
    let rows = On::from(&tokens.db).list(sql, args).await?;
    let mut found = rows.iter().map(|row| store::read(row, &own)).collect::<Result<Vec<_>, _>>()?;
    let has_more = found.len() > asked.limit;
    found.truncate(asked.limit);
    let (has_newer, has_older) = match asked.place {
        Place::First => (false, has_more),
        Place::After(..) => (true, has_more),
        Place::Before(..) => {
            found.reverse();
            (has_more, true)
        }
    };
    Ok(Page { tokens: found, has_newer, has_older, total })
}

/// The tokens that a token of the account made, the latest first, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn children(
    tokens: &Tokens,
    account: UserId,
    of: TokenId,
    limit: i64,
) -> Result<Vec<Token>, Error> {
    let own = tokens.access.own_catalogue().await?;
    let rows = On::from(&tokens.db).list(CHILDREN, args![account, of, limit]).await?;
    let found = rows.iter().map(|row| store::read(row, &own)).collect::<Result<Vec<_>, _>>()?;
    Ok(found)
}

/// The names of those of these tokens that are the account's and still there.
///
/// # Errors
/// When the database fails.
pub async fn names(
    tokens: &Tokens,
    account: UserId,
    ids: &[TokenId],
) -> Result<HashMap<TokenId, String>, DbError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut args = args![account];
    args.extend(ids.iter().map(|id| Arg::from(*id)));
    let rows = On::from(&tokens.db).list_built(Built::of(NAMES, 0).with_list(2, ids.len()), args).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("alias")?))).collect()
}

/// How many tokens the account has.
///
/// # Errors
/// When the database fails.
pub async fn tally(tokens: &Tokens, account: UserId, now: Timestamp) -> Result<Tally, DbError> {
    let args = args![account, now, now.plus(-DAY), now.plus(ENDING_WITHIN), now.plus(-UNUSED_AFTER)];
    let row = On::from(&tokens.db).one(TALLY, args).await?;
    let count = |name| Ok::<_, DbError>(row.get::<i64>(name)?.unsigned_abs());
    Ok(Tally {
        all: count("all_tokens")?,
        working: count("working")?,
        used_today: count("used")?,
        ending: count("ending")?,
        unused: count("unused")?,
        endless: count("endless")?,
    })
}

/// The pattern of names that contain `text`, whatever its case; what LIKE would read is taken literally.
fn pattern(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase();
    if text.is_empty() {
        return text;
    }
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars().filter(|c| *c != '\0') {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_literally() {
        assert_eq!(pattern("  CI_run "), "%ci!_run%");
        assert_eq!(pattern("100%!"), "%100!%!!%");
        assert_eq!(pattern(" "), "");
    }

    #[test]
    fn a_state_is_read_by_its_name() {
        for (state, name) in State::ALL {
            assert_eq!((State::parse(name), state.name()), (state, name));
        }
        assert_eq!(State::parse("nonsense"), State::Any);
    }
}
