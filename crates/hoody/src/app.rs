//! What every request can reach, built in one function.

use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hoody_core::address::{AddressList, TrustedProxies};
use hoody_core::host::Domain;
use hoody_core::id::Id;
use hoody_core::permissions::Catalogue;
use hoody_core::pkce::RedirectHosts;
use hoody_core::time::{SECOND, Timestamp};
use tokio::time::MissedTickBehavior;

use crate::activity::{self, Activity, ActivitySettings};
use crate::alerts;
use crate::audit;
use crate::clock::{Clock, entropy};
use crate::db::{Db, DbError, Location, Opened};
use crate::error::Error;
use crate::events::live::{self, Live};
use crate::events::projector;
use crate::feed::Step;
use crate::feed::tail::{self, Tail};
use crate::grants::usage::{Notes, Recorder};
use crate::grants::{Grants, usage};
use crate::http::body::Bodies;
use crate::http::list::{self, ListRooms};
use crate::http::tls::Tls;
use crate::jobs;
use crate::keys::{KeySource, Keys};
use crate::mail;
use crate::nodes::{self, Nodes};
use crate::sessions;
use crate::signup;
use crate::tasks::{Need, Tasks};
use crate::users::password::Passwords;
use crate::vault;
use crate::webhooks;
use crate::webhooks::egress::Egress;
use crate::{history, limits};

/// How much usage of tokens is written at a time.
const USAGE_INTERVAL: Duration = Duration::from_millis(500);
/// How often the request log is tidied up.
const TIDY_INTERVAL: Duration = Duration::from_secs(30);

/// The tree of permissions that this server knows.
pub(crate) fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::hoody);
    &CATALOGUE
}

/// What an [`App`] is made from.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) database: Location,
    pub(crate) keys: KeySource,
    pub(crate) data_dir: PathBuf,
    pub(crate) domain: Domain,
    /// Scheme, host and port: the only source of links, and of the flags of cookies.
    pub(crate) public_url: String,
    /// Where authorization codes may be sent.
    pub(crate) redirect_hosts: RedirectHosts,
    /// How mails leave.
    pub(crate) mail: mail::Transport,
    /// Who may make an account.
    pub(crate) sign_up: signup::Mode,
    pub(crate) trusted_proxies: TrustedProxies,
    /// Where webhooks may go beside the Internet.
    pub(crate) webhook_allow: Option<AddressList>,
    /// How deep tokens may make tokens.
    pub(crate) max_delegation_depth: u32,
    /// How many bytes of grants are kept in memory.
    pub(crate) grant_cache: usize,
    /// What is wrong with how the server is exposed, in a sentence: told at start and in `/readyz`.
    pub(crate) exposure_warning: Option<&'static str>,
    /// What is spoken instead of plain HTTP.
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) activity: ActivitySettings,
}

type StepHook = Arc<dyn Fn(Step) -> Pin<Box<dyn Future<Output = Cut> + Send>> + Send + Sync>;

/// What a test does to a mutation at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    GoOn,
    /// The database is gone.
    DatabaseGone,
}

/// The running service.
pub(crate) struct App {
    pub(crate) db: Db,
    /// The same database, on connections that only the feed's tail uses.
    pub(crate) tail_db: Db,
    pub(crate) keys: Keys,
    /// Where the master keys are read from, again and again.
    pub(crate) key_source: KeySource,
    pub(crate) clock: Clock,
    pub(crate) grants: Arc<Grants>,
    pub(crate) tail: Tail,
    pub(crate) nodes: Nodes,
    pub(crate) activity: Activity,
    /// What the evaluator of alerts remembers.
    pub(crate) alerts: tokio::sync::Mutex<alerts::Memory>,
    pub(crate) recorder: Recorder,
    pub(crate) passwords: Passwords,
    pub(crate) vault: vault::Gate,
    /// The memory of the lists that are sent.
    pub(crate) lists: ListRooms,
    pub(crate) bodies: Bodies,
    /// Wakes what does jobs.
    pub(crate) bell: jobs::Bell,
    pub(crate) over_limit: limits::OverLimit,
    pub(crate) live: Live,
    /// The way out to the endpoints of webhooks.
    pub(crate) egress: Egress,
    /// Wakes what sends to them.
    pub(crate) webhook_bell: tokio::sync::watch::Sender<()>,
    pub(crate) domain: Domain,
    pub(crate) public_url: String,
    pub(crate) redirect_hosts: RedirectHosts,
    pub(crate) mail: mail::Mailer,
    pub(crate) sign_up: signup::Mode,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) max_delegation_depth: u32,
    pub(crate) data_dir: PathBuf,
    pub(crate) exposure_warning: Option<&'static str>,
    pub(crate) tls: Option<Arc<Tls>>,
    /// What this node knows of the audit log beside the database.
    pub(crate) audit: audit::vouch::Vouched,
    /// What runs beside the requests.
    pub(crate) tasks: Tasks,
    notes: tokio::sync::Mutex<Notes>,
    hook: OnceLock<Mutex<StepHook>>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("db", &self.db).finish_non_exhaustive()
    }
}

impl App {
    /// Opens the database, reads the keys and puts everything together. Starts nothing.
    pub(crate) async fn open(settings: Settings, clock: Clock) -> anyhow::Result<Arc<Self>> {
        let opened = settings.database.open(entropy()).await?;
        let (db, tail) = (opened.db.clone(), opened.tail.clone());
        let begun = Self::begin(settings, clock, opened).await;
        if begun.is_err() {
            // Nothing is left beside the file.
            Db::close(&[&tail, &db]).await;
        }
        begun
    }

    async fn begin(settings: Settings, clock: Clock, opened: Opened) -> anyhow::Result<Arc<Self>> {
        // Before anything asks for the time: what was told once is never taken back.
        let asked_at = clock.boot_millis();
        if let Some(database_now) = opened.tail.head().await?.now {
            clock.follow(database_now, asked_at);
        }
        let keys = crate::keys::load(&settings.keys, &opened.db, &opened.database_id, clock.now()).await?;
        let log = settings.database.open_activity(&settings.data_dir, settings.activity.is_committed).await?;
        let (recorder, notes) = Recorder::channel();
        let app = Arc::new(Self {
            keys,
            key_source: settings.keys,
            db: opened.db,
            tail_db: opened.tail,
            nodes: Nodes::new(&clock),
            activity: Activity::new(log, settings.activity),
            clock,
            grants: Arc::new(Grants::new(settings.grant_cache)),
            tail: Tail::default(),
            alerts: tokio::sync::Mutex::default(),
            recorder,
            passwords: Passwords::new(),
            vault: vault::Gate::new(),
            lists: list::rooms(),
            bodies: Bodies::default(),
            bell: jobs::Bell::new(),
            over_limit: limits::OverLimit::default(),
            live: Live::default(),
            egress: Egress::new(settings.webhook_allow)?,
            webhook_bell: tokio::sync::watch::Sender::new(()),
            domain: settings.domain,
            public_url: settings.public_url,
            redirect_hosts: settings.redirect_hosts,
            mail: mail::Mailer::new(&settings.mail)?,
            sign_up: settings.sign_up,
            trusted_proxies: settings.trusted_proxies,
            max_delegation_depth: settings.max_delegation_depth,
            data_dir: settings.data_dir,
            exposure_warning: settings.exposure_warning,
            tls: settings.tls,
            audit: audit::vouch::Vouched::default(),
            tasks: Tasks::default(),
            notes: tokio::sync::Mutex::new(notes),
            hook: OnceLock::new(),
        });
        tail::poll(&app).await?;
        alerts::begin(&app).await?;
        Ok(app)
    }

    /// Starts what runs beside the requests: the feed's tail, the heartbeat, the watch on the master keys, the
    /// writers of usage and of the request log, the brooms, the jobs.
    pub(crate) fn start(self: &Arc<Self>) {
        self.supervise("feed", Need::Vital, tail::run);
        self.supervise("nodes", Need::Vital, nodes::run);
        self.supervise("keys", Need::Vital, crate::keys::watch::run);
        self.supervise("audit", Need::Useful, audit::run);
        self.every("usage", USAGE_INTERVAL, write_usage);
        // Requests wait for it when its memory is full.
        self.supervise("activity", Need::Vital, activity::run);
        self.every("activity-tidy", TIDY_INTERVAL, tidy_activity);
        self.every("sessions-sweep", sessions::SWEEP_INTERVAL, sessions::sweep);
        jobs::runner::start(self);
        limits::start(self);
        self.every("history-sweep", history::SWEEP_INTERVAL, history::sweep);
        self.supervise("streams", Need::Useful, live::run);
        self.supervise("activity-streams", Need::Useful, crate::events::activity::run);
        self.supervise("webhooks", Need::Useful, webhooks::sender::run);
        self.every("webhooks-sweep", webhooks::sender::SWEEP_INTERVAL, webhooks::sender::sweep);
        self.supervise("events", Need::Useful, projector::run);
        self.every("events-sweep", projector::SWEEP_INTERVAL, projector::sweep);
        self.supervise("alerts", Need::Useful, alerts::evaluator::run);
    }

    /// Runs `task` for as long as the process lives.
    pub(crate) fn supervise<F>(
        self: &Arc<Self>,
        name: &'static str,
        need: Need,
        task: impl Fn(Arc<Self>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Infallible> + Send + 'static,
    {
        let app = Arc::clone(self);
        self.tasks.supervise(name, need, move || task(Arc::clone(&app)));
    }

    /// Does `work` at once and then after each `interval`, for as long as the process lives.
    pub(crate) fn every<F>(self: &Arc<Self>, name: &'static str, interval: Duration, work: fn(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.supervise(name, Need::Useful, move |app| async move {
            let mut ticks = tokio::time::interval(interval);
            // What took long is not made up for.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                work(Arc::clone(&app)).await;
            }
        });
    }

    /// What a server does with its databases before it serves them: [`Db::mark`]; the files that it marked.
    pub(crate) async fn mark(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut marked = Vec::new();
        for db in [&self.db, &self.activity.db] {
            match db.mark().await {
                Ok(file) => marked.extend(file),
                Err(error) => {
                    self.close().await;
                    return Err(error);
                }
            }
        }
        Ok(marked)
    }

    /// Closes every connection to the database, those that write last.
    pub(crate) async fn close(&self) {
        Db::close(&[&self.activity.db, &self.tail_db, &self.db]).await;
    }

    /// A new id.
    pub(crate) fn new_id<K>(&self) -> Id<K> {
        let seconds = self.clock.now().millis() / SECOND;
        Id::from_parts(u32::try_from(seconds).unwrap_or(u32::MAX), entropy())
    }

    /// Writes every use of a token that is noted and not written, and moves those in use to the master
    /// key in force.
    pub(crate) async fn flush_usage(&self) {
        self.grants.write_rekeys(&self.db).await;
        let mut waiting = self.notes.lock().await;
        let notes = waiting.drain();
        let unwritten = usage::write(&self.db, &notes).await;
        waiting.put_back(unwritten);
    }

    /// Lets a test step in; otherwise nothing.
    pub(crate) async fn pause(&self, step: Step) -> Result<(), Error> {
        let Some(hook) = self.hook.get() else { return Ok(()) };
        let hook = Arc::clone(&hook.lock().unwrap_or_else(PoisonError::into_inner));
        match hook(step).await {
            Cut::GoOn => Ok(()),
            Cut::DatabaseGone => Err(Error::from(DbError::Unavailable(sqlx::Error::PoolClosed))),
        }
    }

    /// Calls `hook` at every step of every mutation: tests only.
    pub(crate) fn at_each_step(&self, hook: StepHook) {
        let slot = self.hook.get_or_init(|| Mutex::new(Arc::clone(&hook)));
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    /// The time, once for each request.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

async fn write_usage(app: Arc<App>) {
    app.flush_usage().await;
}

async fn tidy_activity(app: Arc<App>) {
    if let Err(error) = activity::tidy(&app).await {
        tracing::warn!(%error, "the request log could not be tidied up");
    }
}
