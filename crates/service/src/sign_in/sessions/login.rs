//! Who a name and a password are, and how often they may be wrong (`contract/README.md` 9).
//!
//! Only failures count: by address, and by the name as it folds, whether there is such an account or
//! not. From an address where the account signed in within 30 days they are counted apart, and only that
//! count decides there: whatever strangers do, elsewhere or behind the same address to other names, the
//! owner gets in. Who is known by its address also waits for the hash in a line of its own (`users::queue`).
//! Everything here takes the same steps for a name that nobody has.

use std::net::IpAddr;

use hoody_core::grant::Deny;
use hoody_core::id::UserId;
use hoody_core::invalid::Invalid;
use hoody_core::{password, wire};

use crate::history::{Event, Source};
use crate::sign_in::SignIn;
use crate::users::password::{PasswordHash, Verdict};
use crate::users::queue::Asker;
use crate::users::{self, User};
use hoody_engine::activity::NOBODY;
use hoody_engine::error::Error;
use hoody_engine::feed::{Actor, Mutation};
use hoody_engine::limits::{LOGIN_BY_ADDRESS, LOGIN_BY_NAME, LOGIN_FROM_KNOWN, Limit, Subject};
use hoody_engine::web::caller::{Origin, Visit, denied};

/// What somebody says to be called.
#[derive(Debug)]
enum Name {
    /// Looked up as it is.
    Username(String),
    /// Looked up folded.
    Email(String),
}

impl Name {
    fn text(&self) -> &str {
        let (Self::Username(text) | Self::Email(text)) = self;
        text
    }
}

/// What a right password says of a banned account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBan {
    /// What a wrong one says.
    SayNothing,
    /// That it is banned.
    Tell,
}

/// A name and a password as somebody gave them; nothing here depends on whether the account exists.
#[derive(Debug)]
pub struct Credentials {
    name: Name,
    password: wire::Secret,
}

impl Credentials {
    /// Reads them from the fields of a login.
    pub fn read(
        username: Option<&str>,
        email: Option<&str>,
        given: Option<wire::Secret>,
    ) -> Result<Self, Invalid> {
        let name = username.map(|text| Name::Username(text.to_owned()));
        let name = name.or_else(|| email.map(|text| Name::Email(text.to_owned())));
        let (Some(given), Some(name)) = (given, name) else {
            return Err(Invalid::rule(
                "MISSING_REQUIRED_FIELD",
                "Username or email, and password are required",
            ));
        };
        let (text, field, limit) = match &name {
            Name::Username(text) => (text, "username", 50),
            Name::Email(text) => (text, "email", 255),
        };
        if text.is_empty() || text.chars().count() > limit || text.chars().any(char::is_control) {
            return Err(Invalid::validation(format!("{field} must be 1 to {limit} printable characters")));
        }
        password::check_given(given.expose(), "password")?;
        Ok(Self { name, password: given })
    }

    /// The account that they open, with its lock held in a mutation in which nothing is changed yet.
    ///
    /// # Errors
    /// As `authenticate`.
    pub async fn prove(
        &self,
        sign_in: &SignIn,
        source: Source<'_>,
        (visit, origin): (&Visit, Origin),
        on_ban: OnBan,
    ) -> Result<(Mutation, User), Error> {
        let (user, rehashed) =
            authenticate(sign_in, &self.name, &self.password, source, (visit, origin), on_ban).await?;
        let mut mutation = sign_in.feed.begin_as(Actor::Nobody).await?;
        mutation.address = Some(origin.address);
        mutation.lock_account(user.id).await?;
        // Read again under the lock: the password may have been changed, the account banned meanwhile.
        let mut now_stored =
            users::store::find_user(&mut mutation.tx, user.id).await?.ok_or(Error::BadCredentials)?;
        if now_stored.password_hash.expose() != user.password_hash.expose() {
            return Err(Error::BadCredentials);
        }
        if !now_stored.is_banned {
            now_stored.refuse_unverified()?;
        }
        if let Some(hash) = rehashed {
            let old = &now_stored.password_hash;
            users::store::rehash_password(&mut mutation.tx, user.id, old, &hash).await?;
            now_stored.password_hash = hash;
        }
        match on_ban {
            _ if !now_stored.is_banned => Ok((mutation, now_stored)),
            OnBan::SayNothing => Err(Error::BadCredentials),
            OnBan::Tell => Err(denied(Deny::Banned)),
        }
    }
}

/// The account that this name and this password open, and the password's hash where the stored one is of a
/// text that was not prepared; the same refusal whatever is wrong, a ban too unless
/// that is to be told. Failures are counted and recorded.
///
/// # Errors
/// [`Error::BadCredentials`]; [`Error::RateLimited`] when there were too many failures, without a look at
/// the password; [`Error::Unavailable`] when too many sign in at once.
async fn authenticate(
    sign_in: &SignIn,
    name: &Name,
    password: &wire::Secret,
    source: Source<'_>,
    (visit, origin): (&Visit, Origin),
    on_ban: OnBan,
) -> Result<(User, Option<PasswordHash>), Error> {
    let address = origin.address;
    let pair = Subject::NameAt(name.text(), address);
    sign_in.limits.refuse_remembered(&LOGIN_BY_NAME, pair)?;
    let (user, is_known) = look_up(sign_in, name, address).await?;
    let account = user.as_ref().map(|user| user.id);
    let asker = account.filter(|_| is_known).map_or(Asker::Stranger(address), Asker::Known);
    let turn = sign_in.users.passwords.turn(asker).await?;
    // Also of nobody: being logged must not tell who has an account.
    visit.note_login(account.unwrap_or(NOBODY), origin);
    let counters = Counters::of(account.filter(|_| is_known), name, address);
    if let Err(refusal) = counters.check(sign_in).await {
        sign_in.limits.remember(&LOGIN_BY_NAME, pair, &refusal);
        return Err(refusal);
    }
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let (verdict, turn) = turn.verify(password.expose(), hash).await?;
    let may_pass = |user: &User| !user.is_banned || on_ban == OnBan::Tell;
    if let Some(user) = user.filter(|user| verdict.is_right() && may_pass(user)) {
        let rehashed = match verdict {
            Verdict::RightAsTyped => Some(turn.hash(password.expose()).await?.0),
            Verdict::Right | Verdict::Wrong => None,
        };
        return Ok((user, rehashed));
    }
    counters.failed(sign_in, (account, name.text()), source).await?;
    drop(turn);
    Err(Error::BadCredentials)
}

/// The account of this name, and whether it is known at this address.
async fn look_up(sign_in: &SignIn, name: &Name, address: IpAddr) -> Result<(Option<User>, bool), Error> {
    let _look = sign_in.users.passwords.look(address).await?;
    let user = match name {
        Name::Username(username) => users::store::find_by_username(&sign_in.db, username).await?,
        Name::Email(email) => users::store::find_by_email(&sign_in.db, email).await?,
    };
    let is_known =
        sign_in.history.is_known(user.as_ref().map(|user| user.id), address, sign_in.clock.now()).await?;
    Ok((user, is_known))
}

/// What counts a failure to sign in.
struct Counters<'a> {
    by_address: Subject<'a>,
    by_name: (&'static Limit, Subject<'a>),
    is_known: bool,
}

impl<'a> Counters<'a> {
    /// `known`: the account, if it is known at this address.
    fn of(known: Option<UserId>, name: &'a Name, address: IpAddr) -> Self {
        let by_name = match known {
            Some(account) => (&LOGIN_FROM_KNOWN, Subject::AccountAt(account, address)),
            None => (&LOGIN_BY_NAME, Subject::Name(name.text())),
        };
        Self { by_address: Subject::Address(address), by_name, is_known: known.is_some() }
    }

    async fn check(&self, sign_in: &SignIn) -> Result<(), Error> {
        let (limit, subject) = self.by_name;
        sign_in.limits.check(limit, subject).await?;
        if self.is_known {
            return Ok(());
        }
        sign_in.limits.check(&LOGIN_BY_ADDRESS, self.by_address).await
    }

    /// One transaction: the same statements in the same order, whoever it was.
    async fn failed(
        &self,
        sign_in: &SignIn,
        who: (Option<UserId>, &str),
        source: Source<'_>,
    ) -> Result<(), Error> {
        let mut tx = sign_in.db.begin().await?;
        sign_in.limits.failed_in(&mut tx, &LOGIN_BY_ADDRESS, self.by_address).await?;
        let (limit, subject) = self.by_name;
        sign_in.limits.failed_in(&mut tx, limit, subject).await?;
        sign_in.history.record_failure(&mut tx, who, Event::LoginFailed, source, sign_in.clock.now()).await?;
        Ok(tx.commit().await?)
    }
}
