//! What integration tests need of the service: a router on a real database, a clock that is moved by
//! hand, and places to hold and cut things. Not part of the public interface.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::FutureExt as _;
use hoody_core::activity::Filter;
use hoody_core::address::{AddressList, TrustedProxies};
use hoody_core::grant::{Attempt, Credential, Grant, Rule, decide};
use hoody_core::host::Domain;
use hoody_core::id::UserId;
use hoody_core::pkce::RedirectHosts;
use hoody_core::secret::{RANDOM_BYTES, TokenKeys, TokenSecret};
use hoody_core::time::{DAY, Timestamp};

mod audit;
mod keys;
mod passwords;
mod schema;

pub use crate::activity::fill::Filler;
pub use crate::app::Cut;
pub use crate::feed::Step;
pub use schema::{make_schema, schema_versions};

use crate::activity::{self, ActivitySettings, tail as activity_tail};
use crate::app::{App, Settings, catalogue};
use crate::clock::{Clock, entropy};
use crate::db::{Db, Location, On, args};
use crate::error::Error;
use crate::events;
use crate::feed::{Actor, Change, Mutation, tail};
use crate::grants::Forget;
use crate::http::connection::Connection;
use crate::http::layers::Edge;
use crate::http::server;
use crate::http::tls::{Source, Tls};
use crate::keys::KeySource;
use crate::mail;
use crate::nodes;
use crate::signup;
use crate::signup::invitations::{self, NewInvitation};
use crate::users::{first, store};
use crate::{history, limits};

/// What links point to.
pub const PUBLIC_URL: &str = "https://auth.example.com";
/// Where authorization codes may be sent.
pub const REDIRECT_HOST: &str = "app.example.com";

/// The service in this process, without a socket.
#[derive(Debug, Clone)]
pub struct Service {
    app: Arc<App>,
    edge: Edge,
}

impl Service {
    /// Opens the database at `url` with a key in `directory`, as a node whose clock stands at `now`. Mails
    /// are files in `mail/` there; anybody may sign up.
    /// Nothing runs in the background: see [`Service::start`] and [`Service::poll`].
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(url: &str, directory: &Path, trusted_proxies: &str, now: Timestamp) -> Self {
        Self::open_at(url, directory, trusted_proxies, Clock::manual(now)).await
    }

    async fn open_at(url: &str, directory: &Path, trusted_proxies: &str, clock: Clock) -> Self {
        Self::open_with(url, directory, trusted_proxies, clock, (Some(false), "open")).await
    }

    /// The same with the request log off (`None`), batched, or committed before each answer.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open_logging(
        url: &str,
        directory: &Path,
        trusted_proxies: &str,
        now: Timestamp,
        is_committed: Option<bool>,
    ) -> Self {
        Self::open_with(url, directory, trusted_proxies, Clock::manual(now), (is_committed, "open")).await
    }

    /// The same where `open`, `invitation` or `closed` says who may sign up.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open_for(
        url: &str,
        directory: &Path,
        trusted_proxies: &str,
        now: Timestamp,
        sign_up: &str,
    ) -> Self {
        Self::open_with(url, directory, trusted_proxies, Clock::manual(now), (Some(false), sign_up)).await
    }

    async fn open_with(
        url: &str,
        directory: &Path,
        trusted_proxies: &str,
        clock: Clock,
        (is_committed, sign_up): (Option<bool>, &str),
    ) -> Self {
        let activity = ActivitySettings {
            is_on: is_committed.is_some(),
            is_committed: is_committed.unwrap_or_default(),
            ..ActivitySettings::default()
        };
        let key = directory.join("master.key");
        let settings = Settings {
            database: Location::parse(url).expect("a database address"),
            keys: KeySource::File(key),
            data_dir: directory.to_owned(),
            domain: Domain::parse("api.localhost").expect("a domain"),
            public_url: PUBLIC_URL.to_owned(),
            redirect_hosts: RedirectHosts::parse(REDIRECT_HOST).expect("a host"),
            mail: mail_of(directory),
            sign_up: signup::Mode::parse(sign_up).expect("a mode"),
            trusted_proxies: TrustedProxies::parse(trusted_proxies).expect("addresses"),
            webhook_allow: None,
            max_delegation_depth: crate::config::MAX_DELEGATION_DEPTH,
            grant_cache: GRANT_CACHE,
            exposure_warning: None,
            tls: None,
            activity,
        };
        let app = App::open(settings, clock).await.expect("the service opens");
        let edge = Edge::new(Arc::clone(&app));
        Self { app, edge }
    }

    /// Opens the same database as a node on the machine's clock, its wall clock off by `skew` milliseconds,
    /// with everything running that runs in the background.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open_skewed(url: &str, directory: &Path, skew: i64) -> Self {
        let service = Self::open_at(url, directory, "", Clock::skewed(skew)).await;
        service.app.start();
        service
    }

    /// Why the database at `url` cannot be opened with the key in `directory`; `None` when it can.
    ///
    /// # Panics
    /// When `url` is no address of a database.
    pub async fn refusal_to_open(url: &str, directory: &Path, now: Timestamp) -> Option<String> {
        let settings = Settings {
            database: Location::parse(url).expect("a database address"),
            keys: KeySource::File(directory.join("master.key")),
            data_dir: directory.to_owned(),
            domain: Domain::parse("api.localhost").expect("a domain"),
            public_url: PUBLIC_URL.to_owned(),
            redirect_hosts: RedirectHosts::parse(REDIRECT_HOST).expect("a host"),
            mail: mail_of(directory),
            sign_up: signup::Mode::Open,
            trusted_proxies: TrustedProxies::default(),
            webhook_allow: None,
            max_delegation_depth: crate::config::MAX_DELEGATION_DEPTH,
            grant_cache: GRANT_CACHE,
            exposure_warning: None,
            tls: None,
            activity: ActivitySettings::default(),
        };
        let opened = App::open(settings, Clock::manual(now)).await;
        opened.err().map(|error| crate::error::in_full(&error))
    }

    /// Answers `request` as if it came from `peer`.
    pub async fn call(&self, peer: SocketAddr, request: ::http::Request<Body>) -> Response {
        self.edge.call(&Connection::new(peer), request).await
    }

    /// Answers `request` by the router alone, as if nothing were hot.
    pub async fn call_router(&self, peer: SocketAddr, request: ::http::Request<Body>) -> Response {
        self.edge.clone().handle(Connection::new(peer), request).await
    }

    /// Whether `request` is answered before the router.
    pub fn is_hot(&self, peer: SocketAddr, request: &::http::Request<Body>) -> bool {
        self.edge.answer_hot(&Connection::new(peer), request).is_some()
    }

    /// Makes an account; its id.
    ///
    /// # Panics
    /// When the name is taken or the database fails.
    pub async fn create_user(&self, username: &str, email: Option<&str>, password: &str) -> String {
        let created = first::create(&self.app, Actor::Operator, username, email, password).await;
        created.expect("the account is made").expect("the name is free").to_string()
    }

    /// Makes an account if its name and address are free; its id.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn try_create_user(
        &self,
        username: &str,
        email: Option<&str>,
        password: &str,
    ) -> Option<String> {
        let created = first::create(&self.app, Actor::Operator, username, email, password).await;
        created.expect("the account is made").map(|id| id.to_string())
    }

    /// Bans or unbans, as `hoody admin` does in another process: nothing is forgotten here until the
    /// feed is polled.
    ///
    /// # Panics
    /// When there is no such account or the database fails.
    pub async fn ban_elsewhere(&self, username: &str, is_banned: bool) {
        let user =
            store::find_by_username(&self.app.db, username).await.expect("a read").expect("an account");
        self.elsewhere(async |mutation| {
            store::update_ban(&mut mutation.tx, user.id, is_banned, mutation.now).await.expect("a write");
            let event = if is_banned { "user.banned" } else { "user.unbanned" };
            let change = Change::new(event, user.id, "user", user.id);
            mutation.tell(change.forgetting(Forget::Account(user.id)));
        })
        .await;
    }

    async fn elsewhere(&self, work: impl AsyncFnOnce(&mut Mutation)) {
        let mut mutation = Mutation::begin_as(&self.app, Actor::Operator).await.expect("a transaction");
        work(&mut mutation).await;
        mutation.commit_elsewhere().await.expect("a commit");
    }

    /// Runs a statement that changes something behind everybody's back: no feed row, nothing forgotten.
    ///
    /// # Panics
    /// When it fails.
    pub async fn tamper(&self, sql: &'static str) -> u64 {
        let mut tx = self.app.db.begin().await.expect("a transaction");
        let changed = tx.execute(sql, args![]).await.expect("a statement");
        tx.commit().await.expect("a commit");
        changed
    }

    /// Runs these statements in one transaction; why that failed, if it did.
    ///
    /// # Errors
    /// What a statement or COMMIT failed with.
    pub async fn try_tamper(&self, statements: &[&'static str]) -> Result<(), String> {
        let work = async {
            let mut tx = self.app.db.begin().await?;
            for sql in statements {
                tx.execute(sql, args![]).await?;
            }
            tx.commit().await
        };
        work.await.map_err(|error| format!("{error:?}"))
    }

    /// The number in the column `n` of the one row that `sql` gives.
    ///
    /// # Panics
    /// When it fails.
    pub async fn number(&self, sql: &'static str) -> i64 {
        On::from(&self.app.db).one(sql, args![]).await.expect("a row").get("n").expect("a number")
    }

    /// The text in the column `t` of each row that `sql` gives.
    ///
    /// # Panics
    /// When it fails.
    pub async fn texts(&self, sql: &'static str) -> Vec<String> {
        let rows = On::from(&self.app.db).list(sql, args![]).await.expect("rows");
        rows.iter().map(|row| row.get("t").expect("a text")).collect()
    }

    /// A well-formed token that this server made and nobody knows.
    #[must_use]
    pub fn unknown_token(&self) -> String {
        TokenSecret::mint(entropy(), &self.app.keys.minting().1).expose().to_owned()
    }

    /// Counts one sign-up of `address`; for how many seconds it is refused, if it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_sign_up(&self, address: IpAddr) -> Result<Option<u64>, String> {
        match limits::count(&self.app, &limits::SIGN_UP, limits::Subject::Address(address)).await {
            Ok(()) => Ok(None),
            Err(Error::RateLimited { seconds }) => Ok(Some(seconds)),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    /// Takes the second factor of an account away, as `hoody admin` does; whether there was one.
    ///
    /// # Panics
    /// When there is no such account or the database fails.
    pub async fn reset_two_factor(&self, username: &str) -> bool {
        let user =
            store::find_by_username(&self.app.db, username).await.expect("a read").expect("an account");
        crate::two_factor::reset(&self.app, user.id).await.expect("a change")
    }

    /// Removes counters and history that are over, as happens now and then.
    pub async fn sweep(&self) {
        limits::sweep(Arc::clone(&self.app)).await;
        history::sweep(Arc::clone(&self.app)).await;
    }

    /// Moves the clock on by `millis`.
    pub fn advance(&self, millis: i64) {
        self.app.clock.advance(millis);
    }

    /// The time that requests see.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// Reads the feed once, as every node does all the time; whether it could.
    pub async fn poll(&self) -> bool {
        tail::poll(&self.app).await.is_ok() && events::live::tell_all(&self.app).await.is_ok()
    }

    /// Removes sessions and codes that are over, as is done now and then.
    pub async fn sweep_codes(&self) {
        crate::sessions::sweep(Arc::clone(&self.app)).await;
    }

    /// Reads the feed once and brings the history of events up to it; what stopped it, if anything.
    pub async fn project(&self) -> Option<String> {
        self.poll().await;
        events::projector::project_all(&self.app).await.err().map(|error| format!("{error:?}"))
    }

    /// Stores what waits for the request log, and judges all that is new; false when that is another node's
    /// task.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn evaluate(&self) -> bool {
        assert!(self.flush_activity().await, "the log can be written");
        self.poll().await;
        loop {
            match crate::alerts::evaluator::evaluate(&self.app).await.expect("the evaluator") {
                Some(true) => {}
                Some(false) => return true,
                None => return false,
            }
        }
    }

    /// Tries to judge what is new; the error when that fails.
    pub async fn try_evaluate(&self) -> Option<String> {
        self.poll().await;
        let result = crate::alerts::evaluator::evaluate(&self.app).await;
        result.err().map(|error| format!("{error:?}"))
    }

    /// Looks once for what time brings about: tokens that are about to expire, or that nobody uses.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn look_for_alerts(&self) {
        crate::alerts::watch::look(&self.app).await.expect("the look at the time");
    }

    /// Sends every webhook that is due; how many attempts that were.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn send_webhooks(&self) -> usize {
        crate::webhooks::sender::send_due(&self.app).await.expect("the sender")
    }

    /// Lets webhooks go to these networks too.
    ///
    /// # Panics
    /// When they are none.
    pub fn allow_webhooks(&self, allowed: &str) {
        self.app.egress.allow(AddressList::parse_entries([allowed]).expect("a network"));
    }

    /// Has the names of webhooks' hosts answered by `lookup`.
    pub fn look_up_with(&self, lookup: impl Fn(String) -> Vec<SocketAddr> + Send + Sync + 'static) {
        self.app.egress.look_up_with(Arc::new(move |name| {
            let found = lookup(name);
            Box::pin(async move { Ok(found) })
        }));
    }

    /// Removes deliveries that are over and old, as happens now and then.
    pub async fn sweep_webhooks(&self) {
        crate::webhooks::sender::sweep(Arc::clone(&self.app)).await;
    }

    /// Ends every event stream, as the end of the process does.
    pub fn stop_streams(&self) {
        self.app.live.stop();
    }

    /// Removes the events that are too old.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn sweep_events(&self) {
        events::projector::sweep_all(&self.app).await.expect("the sweep");
    }

    /// Starts what runs in the background.
    pub fn start(&self) {
        self.app.start();
    }

    /// Makes an invitation of a week: its id and its code.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn invite(&self, email: Option<&str>, max_uses: i64) -> (String, String) {
        let new = NewInvitation { email, max_uses, lifetime: 7 * DAY };
        let mut mutation = Mutation::begin_as(&self.app, Actor::Operator).await.expect("a transaction");
        let made = invitations::create(&self.app, &mut mutation, &new).await.expect("a write");
        mutation.commit().await.expect("a commit");
        (made.0.to_string(), made.1.expose().to_owned())
    }

    /// Closes an invitation.
    ///
    /// # Panics
    /// When there is none, or the database fails.
    pub async fn revoke_invitation(&self, id: &str) {
        let mut mutation = Mutation::begin_as(&self.app, Actor::Operator).await.expect("a transaction");
        let id = id.parse().expect("an id");
        assert!(invitations::revoke(&mut mutation, id).await.expect("a write"));
        mutation.commit().await.expect("a commit");
    }

    /// Does every job that is due at the time of the clock; how many attempts that were.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn run_jobs(&self) -> usize {
        crate::jobs::runner::run_due(&self.app).await.expect("jobs can be read")
    }

    /// Writes what is noted of the use of tokens.
    pub async fn flush_usage(&self) {
        self.app.flush_usage().await;
    }

    /// Stores what waits for the request log; whether it could.
    pub async fn flush_activity(&self) -> bool {
        activity::flush(&self.app).await
    }

    /// One round of keeping the request log in shape.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn tidy_activity(&self) {
        activity::tidy(&self.app).await.expect("the log is tidied up");
    }

    /// Puts what tokens did on each day before today together, reading so many counted hours at a time.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn put_days_together(&self, limit: i64) {
        let today = hoody_core::activity::day(self.app.now());
        activity::put_days_together(&self.app.activity, today, limit).await.expect("days are put together");
    }

    /// How many rows of the request log wait to be stored.
    #[must_use]
    pub fn waiting_activity(&self) -> usize {
        self.app.activity.queue.as_ref().map_or(0, activity::Queue::len)
    }

    /// Reads the request log of all accounts on from a place (`{}` is the beginning): run, number, account
    /// and path of each row, and the next place.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn activity_after(&self, place: &str, limit: i64) -> (Vec<(i64, i64, String, String)>, String) {
        let position = serde_json::from_str(place).expect("a place");
        let read = activity_tail::read_after(&self.app.activity, &position, limit).await;
        let (rows, next) = read.expect("the log can be read");
        let rows = rows.into_iter().map(|row| (row.run, row.seq, row.account.to_string(), row.path));
        (rows.collect(), serde_json::to_string(&next).expect("JSON"))
    }

    /// The place after everything that is stored in the request log.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn activity_end(&self) -> String {
        let end = activity_tail::Position::at_the_end(&self.app.activity).await.expect("a place");
        serde_json::to_string(&end).expect("JSON")
    }

    /// The paths of what is new in the request log of all accounts since a place, but only of the last
    /// `limit` rows of each run; and the place after everything.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn latest_activity(&self, place: &str, limit: i64) -> (Vec<String>, String) {
        let position = serde_json::from_str(place).expect("a place");
        let read = activity_tail::read_latest(&self.app.activity, &position, limit, |_| true).await;
        let (rows, next) = read.expect("the log can be read");
        let paths = rows.into_iter().map(|row| row.path);
        (paths.collect(), serde_json::to_string(&next).expect("JSON"))
    }

    /// At most `limit` of the latest rows of an account with this status or a higher one, by their paths, and
    /// how many there are; found by asking of so many blocks at a time: first, to aim at, most, next in order.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn find_activity(
        &self,
        account: UserId,
        min_status: u16,
        limit: u64,
        (first, aim, most, next): (i64, u32, i64, i64),
    ) -> (Vec<String>, u64) {
        let filter = Filter { min_status, ..Filter::default() };
        let (from, until) = (Timestamp::from_millis(0), self.app.now());
        let asked = activity::query::Asked { account, from, until, filter };
        let sizes = activity::query::Sizes { first, aim, most, next };
        let found = activity::query::page_by(&self.app.activity, &asked, (0, limit), sizes).await;
        let found = found.expect("the log can be read");
        (found.rows.into_iter().map(|row| row.path).collect(), found.total)
    }

    /// Tells the streams that ask for it what is new in the request log; whether any does.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn tell_activity(&self) -> bool {
        events::activity::tell_new(&self.app).await.expect("the log can be read")
    }

    /// The number in the column `n` of the one row that `sql` gives, in the database of the request log.
    ///
    /// # Panics
    /// When it fails.
    pub async fn activity_number(&self, sql: &'static str) -> i64 {
        On::from(&self.app.activity.db).one(sql, args![]).await.expect("a row").get("n").expect("a number")
    }

    /// Something that fills the request log with rows of the past.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn filler(&self) -> Filler {
        Filler::new(Arc::clone(&self.app)).await
    }

    /// Closes the connections of the request log alone.
    pub async fn cut_activity(&self) {
        Db::close(&[&self.app.activity.db]).await;
    }

    /// How often something was so large that another thread did it, in this process.
    #[must_use]
    pub fn large_works(&self) -> u64 {
        crate::work::large()
    }

    /// How many password hashes were computed since the start.
    #[must_use]
    pub fn password_hashes(&self) -> u64 {
        self.app.passwords.computed()
    }

    /// How many grants are in the cache.
    #[must_use]
    pub fn cached(&self) -> usize {
        self.app.grants.len()
    }

    /// Puts `hook` between each cold read and the cache.
    pub fn hold_cold_reads<F>(&self, hook: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.app.grants.hold_cold_reads(Arc::new(move || Box::pin(hook())));
    }

    /// Calls `hook` at each step of each mutation; what it answers happens to the database.
    pub fn at_each_step<F>(&self, hook: impl Fn(Step) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Cut> + Send + 'static,
    {
        self.app.at_each_step(Arc::new(move |step| Box::pin(hook(step))));
    }

    /// Says that this node is alive and renews its leases.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn beat(&self) {
        assert_eq!(self.try_beat().await, None);
    }

    /// Says so, if it can; else why not.
    pub async fn try_beat(&self) -> Option<String> {
        nodes::beat(&self.app).await.err().map(|error| error.to_string())
    }

    /// Which taking of the lease `name` this node has.
    ///
    /// # Panics
    /// When another one has it.
    pub async fn lease_term(&self, name: &'static str) -> i64 {
        nodes::lease::hold(&self.app, name).await.expect("an answer").expect("the lease").term()
    }

    /// Whether this node holds or can take the lease `name`; with `confirms`, also inside a transaction.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn holds(&self, name: &'static str, confirms: bool) -> bool {
        let lease = nodes::lease::hold(&self.app, name).await.expect("a lease or none");
        match lease {
            Some(lease) if confirms => {
                let mut tx = self.app.db.begin().await.expect("a transaction");
                lease.confirm(&mut tx).await.expect("an answer")
            }
            lease => lease.is_some(),
        }
    }

    /// Says that this node ends.
    pub async fn leave(&self) {
        nodes::leave(&self.app).await;
    }

    /// The nodes that are known: whether each is alive, and what it says it has applied.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn nodes(&self) -> Vec<(bool, i64)> {
        let listed = nodes::store::list(&self.app.db).await.expect("a list");
        let now = self.app.now();
        listed.iter().map(|node| (node.is_alive(now), node.applied)).collect()
    }

    /// Closes every connection to the database.
    pub async fn close(&self) {
        self.app.close().await;
    }

    /// Closes every connection to the database: it cannot be reached any more.
    pub async fn cut_database(&self) {
        self.app.close().await;
    }
}

#[cfg(test)]
impl App {
    /// A service on a new database of its own in `directory`, for tests of one part.
    pub(crate) async fn for_test(directory: &Path, now: Timestamp) -> Arc<Self> {
        let url = format!("sqlite:{}", directory.join("hoody.db").display());
        Service::open(&url, directory, "", now).await.app
    }
}

/// How long connections of a test may keep the service waiting, in milliseconds, and how many there are.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the TLS handshake.
    pub handshake: u64,
    /// For a request's head.
    pub head: u64,
    /// For taking an answer.
    pub write: u64,
    /// Between two requests.
    pub idle: u64,
    /// The same for trusted proxies.
    pub idle_proxy: u64,
    /// Connections at a time.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: 10_000,
            head: 15_000,
            write: 30_000,
            idle: 150_000,
            idle_proxy: 620_000,
            connections: 1_024,
        }
    }
}

impl Service {
    /// Listens on a real socket with these limits until the test ends, with TLS when a certificate and its
    /// key are given; where.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn listen(&self, limits: Limits, pair: Option<(&Path, &Path)>) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let tls = pair.map(|(certificate, key)| {
            let source = Source::Files { certificate: certificate.to_owned(), key: key.to_owned() };
            Arc::new(Tls::load(source, self.now()).expect("a pair"))
        });
        let limits = server::Limits {
            handshake: Duration::from_millis(limits.handshake),
            head: Duration::from_millis(limits.head),
            write: Duration::from_millis(limits.write),
            idle: Duration::from_millis(limits.idle),
            idle_proxy: Duration::from_millis(limits.idle_proxy),
            connections: limits.connections,
        };
        tokio::spawn(server::serve(listener, self.edge.clone(), tls, limits, std::future::pending()));
        address
    }
}

/// What benchmarks time.
impl Service {
    /// Puts `count` tokens like the one of id `like` into the database, past every limit: those that
    /// [`planted`](Self::planted) names.
    ///
    /// # Panics
    /// When there is no such token or the database fails.
    pub async fn plant_like(&self, like: &str, count: u64) {
        const PLANT: &str = "INSERT INTO tokens (id, user_id, digest, key_id, alias, ip_whitelist, realm_ids, \
             allow_no_realm, permissions, vault_access, event_access, is_enabled, delegation_depth, created_at, \
             updated_at) \
             WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < $3) \
             SELECT substr($1, n * 44 + 1, 12), user_id, substr($1, n * 44 + 13, 32), key_id, \
             'planted ' || CAST($2 + n AS TEXT), ip_whitelist, realm_ids, allow_no_realm, permissions, \
             vault_access, event_access, is_enabled, delegation_depth, created_at, updated_at \
             FROM numbers, tokens WHERE tokens.id = $4";
        const AT_ONCE: usize = 20_000;
        let like: hoody_core::id::TokenId = like.parse().expect("an id");
        let keys = self.app.keys.minting().1;
        // In the order of the digests: the index grows at its end, and a million rows take seconds.
        let mut digests: Vec<_> =
            (0..count).map(|number| *planted(number, &keys).digest(&keys).bytes()).collect();
        digests.sort_unstable();
        let mut done = 0;
        for chunk in digests.chunks(AT_ONCE) {
            let ids = (done..).map(|number: i64| [[0xee; 4].as_slice(), &number.to_be_bytes()].concat());
            let rows: Vec<u8> =
                ids.zip(chunk).flat_map(|(id, digest)| [&id[..], &digest[..]].concat()).collect();
            let count = i64::try_from(chunk.len()).expect("a few");
            let mut tx = self.app.db.begin().await.expect("a transaction");
            let planted = tx.execute(PLANT, args![&rows[..], done, count, like]).await.expect("the rows");
            assert_eq!(planted, chunk.len() as u64);
            tx.commit().await.expect("a commit");
            done += count;
        }
    }

    /// The secret of a token that [`plant_like`](Self::plant_like) made.
    #[must_use]
    pub fn planted(&self, number: u64) -> String {
        planted(number, &self.app.keys.minting().1).expose().to_owned()
    }

    /// The digest that the cache knows a credential by.
    #[must_use]
    pub fn digest(&self, text: &str) -> [u8; 32] {
        *self.app.keys.cache_digest(text).bytes()
    }

    /// Form, digest, lookup, decision and usage of a credential in the cache; whether it may.
    ///
    /// # Panics
    /// When it is not in the cache.
    #[must_use]
    pub fn decide_hot(&self, text: &str, permission: &str) -> bool {
        let now = self.app.now();
        let attempt = attempt(permission);
        let app = &self.app;
        let judged = app.grants.judge_cached(text, &app.keys, app.clock.boot_millis(), |cached| {
            if let Credential::Token(id) = cached.grant.credential {
                app.recorder.note(&cached.usage, id, now, attempt.address);
            }
            decide(&cached.grant, &attempt, now).is_ok()
        });
        judged.expect("what is in the cache is there at once")
    }

    /// The decision alone, on a grant that was looked up before.
    ///
    /// # Panics
    /// When the credential is not in the cache.
    pub fn decider(&self, text: &str, permission: &str) -> impl Fn() -> bool + use<> {
        let grant = self.cached_grant(text);
        let (attempt, now) = (attempt(permission), self.app.now());
        move || decide(std::hint::black_box(&grant), std::hint::black_box(&attempt), now).is_ok()
    }

    fn cached_grant(&self, text: &str) -> Grant {
        let app = &self.app;
        let found = app.grants.find(text, LOOPBACK, &app.db, &app.keys, &app.clock).now_or_never();
        found.expect("what is in the cache is there at once").expect("a grant").grant
    }
}

/// Made of its number alone, so that whoever loads the server need not keep them all.
fn planted(number: u64, keys: &TokenKeys) -> TokenSecret {
    let mut random = [0; RANDOM_BYTES];
    random[..8].copy_from_slice(&number.to_le_bytes());
    TokenSecret::mint(random, keys)
}

fn mail_of(directory: &Path) -> mail::Transport {
    let from = mail::parse_sender("hoody@example.com").expect("an address");
    mail::Transport { from, route: mail::Route::files(directory) }
}

/// The benchmark has a million in use.
const GRANT_CACHE: usize = 512 << 20;
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn attempt(permission: &str) -> Attempt {
    let permission = catalogue().leaf(permission);
    let rule = Rule { permission, ..Rule::ANY };
    Attempt { address: LOOPBACK, realm: None, rule }
}
