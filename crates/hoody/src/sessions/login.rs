//! Who a name and a password are, and how often they may be wrong (`contract/README.md` 9).
//!
//! Only failures count: by address, and by the name as it folds, whether there is such an account or
//! not. From an address where the account signed in within 30 days they are counted apart, and only that
//! count decides there: whatever strangers do, elsewhere or behind the same address to other names, the
//! owner gets in. Everything here takes the same steps for a name that nobody has.

use std::net::IpAddr;

use hoody_core::id::UserId;

use crate::app::App;
use crate::error::Error;
use crate::history::{self, Event, Source};
use crate::limits::{self, LOGIN_BY_ADDRESS, LOGIN_BY_NAME, LOGIN_FROM_KNOWN, Limit, Subject};
use crate::users::{self, User};
use hoody_core::wire;

/// What somebody says to be called.
#[derive(Debug)]
pub(crate) enum Name {
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

/// The account that this name and this password open; the same refusal whatever is wrong, a ban too.
/// Failures are counted and recorded.
///
/// # Errors
/// [`Error::BadCredentials`]; [`Error::RateLimited`] when there were too many failures, without a look at
/// the password; [`Error::Unavailable`] when too many sign in at once.
pub(crate) async fn authenticate(
    app: &App,
    name: &Name,
    password: &wire::Secret,
    source: Source<'_>,
    address: IpAddr,
) -> Result<User, Error> {
    let pair = Subject::NameAt(name.text(), address);
    limits::refuse_remembered(app, &LOGIN_BY_NAME, pair)?;
    let turn = app.passwords.turn().await?;
    let user = match name {
        Name::Username(username) => users::store::find_by_username(&app.db, username).await?,
        Name::Email(email) => users::store::find_by_email(&app.db, email).await?,
    };
    let account = user.as_ref().map(|user| user.id);
    let counters = Counters::of(app, account, name, address).await?;
    if let Err(refusal) = counters.check(app).await {
        limits::remember(app, &LOGIN_BY_NAME, pair, &refusal);
        return Err(refusal);
    }
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let (is_right, turn) = turn.verify(password.expose(), hash).await?;
    if let Some(user) = user.filter(|user| is_right && !user.is_banned) {
        return Ok(user);
    }
    counters.failed(app, (account, name.text()), source).await?;
    drop(turn);
    Err(Error::BadCredentials)
}

/// What counts a failure to sign in.
struct Counters<'a> {
    by_address: Subject<'a>,
    by_name: (&'static Limit, Subject<'a>),
    is_known: bool,
}

impl<'a> Counters<'a> {
    async fn of(app: &App, account: Option<UserId>, name: &'a Name, address: IpAddr) -> Result<Self, Error> {
        let known = history::is_known(app, account, address, app.now()).await?;
        let by_name = match account.filter(|_| known) {
            Some(account) => (&LOGIN_FROM_KNOWN, Subject::AccountAt(account, address)),
            None => (&LOGIN_BY_NAME, Subject::Name(name.text())),
        };
        Ok(Self { by_address: Subject::Address(address), by_name, is_known: known })
    }

    async fn check(&self, app: &App) -> Result<(), Error> {
        let (limit, subject) = self.by_name;
        limits::check(app, limit, subject).await?;
        if self.is_known {
            return Ok(());
        }
        limits::check(app, &LOGIN_BY_ADDRESS, self.by_address).await
    }

    /// One transaction: the same statements in the same order, whoever it was.
    async fn failed(&self, app: &App, who: (Option<UserId>, &str), source: Source<'_>) -> Result<(), Error> {
        let mut tx = app.db.begin().await?;
        limits::failed_in(app, &mut tx, &LOGIN_BY_ADDRESS, self.by_address).await?;
        let (limit, subject) = self.by_name;
        limits::failed_in(app, &mut tx, limit, subject).await?;
        history::record_failure(app, &mut tx, who, Event::LoginFailed, source, app.now()).await?;
        Ok(tx.commit().await?)
    }
}
