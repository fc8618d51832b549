//! The parts put together, in one function. Seen only where the nouns are put together, too.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hoody_core::address::TrustedProxies;
use hoody_core::host::Domain;

use crate::activity::{Activity, ActivitySettings};
use crate::clock::{Clock, entropy};
use crate::db::{Db, Location, Opened};
use crate::feed::{Feed, tail};
use crate::grants::Grants;
use crate::grants::usage::{self, Notes, Recorder};
use crate::jobs::Jobs;
use crate::keys::{self, KeySource, Keys};
use crate::limits::Limits;
use crate::nodes::Nodes;
use crate::tasks::{Need, Tasks};
use crate::web::access::Access;
use crate::web::body::Bodies;
use crate::web::list::{self, ListRooms};
use crate::web::tls::Tls;

/// How much usage of tokens is written at a time.
const USAGE_INTERVAL: Duration = Duration::from_millis(500);

/// What an [`Engine`] is made from.
#[derive(Debug, Clone)]
pub struct Settings {
    pub database: Location,
    pub keys: KeySource,
    pub data_dir: PathBuf,
    pub domain: Domain,
    /// Scheme, host and port: the only source of links, and of the flags of cookies.
    pub public_url: String,
    pub trusted_proxies: TrustedProxies,
    /// How many bytes of grants are kept in memory.
    pub grant_cache: usize,
    /// What is wrong with how the server is exposed, in a sentence: told at start and in `/readyz`.
    pub exposure_warning: Option<&'static str>,
    /// What is spoken instead of plain HTTP.
    pub tls: Option<Arc<Tls>>,
    pub activity: ActivitySettings,
}

/// The parts of a running server that know no noun.
#[derive(Debug)]
pub struct Engine {
    pub access: Arc<Access>,
    pub db: Db,
    /// The same database, on connections that only the feed's tail uses.
    pub tail_db: Db,
    pub keys: Arc<Keys>,
    /// Where the master keys are read from, again and again.
    pub key_source: KeySource,
    pub clock: Clock,
    pub grants: Arc<Grants>,
    pub feed: Feed,
    pub nodes: Nodes,
    pub activity: Activity,
    pub limits: Limits,
    pub jobs: Jobs,
    /// The memory of the lists that are sent.
    pub lists: ListRooms,
    /// What runs beside the requests.
    pub tasks: Tasks,
    pub data_dir: PathBuf,
    pub exposure_warning: Option<&'static str>,
    pub tls: Option<Arc<Tls>>,
    notes: Arc<tokio::sync::Mutex<Notes>>,
}

impl Engine {
    /// Opens the database, reads the keys and puts the parts together. Starts nothing.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn open(settings: Settings, clock: Clock) -> anyhow::Result<Self> {
        let opened = settings.database.open(entropy()).await?;
        let (db, tail) = (opened.db.clone(), opened.tail.clone());
        let begun = Self::begin(settings, clock, opened).await;
        if begun.is_err() {
            // Nothing is left beside the file.
            Db::close(&[&tail, &db]).await;
        }
        begun
    }

    async fn begin(settings: Settings, clock: Clock, opened: Opened) -> anyhow::Result<Self> {
        // Before anything asks for the time: what was told once is never taken back.
        let asked_at = clock.boot_millis();
        if let Some(database_now) = opened.tail.head().await?.now {
            clock.follow(database_now, asked_at);
        }
        let keys = keys::load(&settings.keys, &opened.db, &opened.database_id, clock.now()).await?;
        let log = settings.database.open_activity(&settings.data_dir, settings.activity.is_committed).await?;
        let (recorder, notes) = Recorder::channel();
        let (db, tail_db, keys) = (opened.db, opened.tail, Arc::new(keys));
        let grants = Arc::new(Grants::new(settings.grant_cache));
        let feed =
            Feed::new(db.clone(), tail_db.clone(), clock.clone(), Arc::clone(&keys), Arc::clone(&grants));
        let nodes = Nodes::new(db.clone(), clock.clone(), Arc::clone(&keys), feed.clone());
        let access = Access {
            grants: Arc::clone(&grants),
            db: db.clone(),
            keys: Arc::clone(&keys),
            clock: clock.clone(),
            recorder,
            domain: settings.domain,
            public_url: settings.public_url,
            trusted_proxies: settings.trusted_proxies,
            bodies: Bodies::default(),
        };
        let engine = Self {
            access: Arc::new(access),
            activity: Activity::new(log, clock.clone(), Arc::clone(&grants), settings.activity),
            limits: Limits::new(db.clone(), clock.clone(), Arc::clone(&keys)),
            jobs: Jobs::new(db.clone(), clock.clone(), Arc::clone(&keys), feed.clone()),
            lists: list::rooms(),
            tasks: Tasks::default(),
            key_source: settings.keys,
            data_dir: settings.data_dir,
            exposure_warning: settings.exposure_warning,
            tls: settings.tls,
            notes: Arc::new(tokio::sync::Mutex::new(notes)),
            db,
            tail_db,
            keys,
            clock,
            grants,
            feed,
            nodes,
        };
        engine.feed.poll().await?;
        Ok(engine)
    }

    /// Starts what runs beside the requests: the feed's tail, the heartbeat, the writers of usage and of the
    /// request log, the sweep of counters. Jobs are started with their kinds.
    pub fn start(&self) {
        let feed = self.feed.clone();
        self.tasks.supervise("feed", Need::Vital, move || tail::run(feed.clone()));
        let nodes = self.nodes.clone();
        self.tasks.supervise("nodes", Need::Vital, move || nodes.clone().run());
        let (grants, db, notes) = (Arc::clone(&self.grants), self.db.clone(), Arc::clone(&self.notes));
        self.tasks.every("usage", USAGE_INTERVAL, move || {
            let (grants, db, notes) = (Arc::clone(&grants), db.clone(), Arc::clone(&notes));
            async move { write_usage(&grants, &db, &notes).await }
        });
        self.activity.start(&self.tasks, &self.nodes);
        self.limits.start(&self.tasks);
    }

    /// Writes every use of a token that is noted and not written, and moves those in use to the master
    /// key in force.
    pub async fn flush_usage(&self) {
        write_usage(&self.grants, &self.db, &self.notes).await;
    }

    /// What a server does with its databases before it serves them: [`Db::mark`]; the files that it marked.
    ///
    /// # Errors
    /// When a file cannot be marked; everything is closed then.
    pub async fn mark(&self) -> anyhow::Result<Vec<PathBuf>> {
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
    pub async fn close(&self) {
        Db::close(&[&self.activity.db, &self.tail_db, &self.db]).await;
    }
}

async fn write_usage(grants: &Grants, db: &Db, notes: &tokio::sync::Mutex<Notes>) {
    grants.write_rekeys(db).await;
    let mut waiting = notes.lock().await;
    let notes = waiting.drain();
    let unwritten = usage::write(db, &notes).await;
    waiting.put_back(unwritten);
}

#[cfg(test)]
impl Engine {
    /// An engine on a new database of its own in `directory`, for tests of one part. Starts nothing.
    pub async fn for_test(directory: &std::path::Path, now: hoody_core::time::Timestamp) -> Self {
        let url = format!("sqlite:{}", directory.join("hoody.db").display());
        let settings = Settings {
            database: Location::parse(&url).unwrap(),
            keys: KeySource::File(directory.join("master.key")),
            data_dir: directory.to_owned(),
            domain: Domain::parse("api.localhost").unwrap(),
            public_url: "https://auth.example.com".to_owned(),
            trusted_proxies: TrustedProxies::default(),
            grant_cache: 1 << 20,
            exposure_warning: None,
            tls: None,
            activity: ActivitySettings::default(),
        };
        Self::open(settings, Clock::manual(now)).await.unwrap()
    }
}
