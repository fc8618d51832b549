//! What integration tests need of the service: a router on a real database, a clock that is moved by
//! hand, and places to hold and cut things. Not part of the public interface.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use hoody_core::address::TrustedProxies;
use hoody_core::host::Domain;
use hoody_core::pkce::RedirectHosts;
use hoody_core::time::Timestamp;
use hoody_engine::activity::ActivitySettings;
use hoody_engine::clock::Clock;
use hoody_engine::db::Location;
use hoody_engine::engine::{self, Engine};
use hoody_engine::error::in_full;
use hoody_engine::keys::KeySource;
use hoody_engine::web::connection::Connection;
use hoody_engine::web::layers::Edge;

use crate::nouns::{Nouns, Settings};
use crate::wing::Wings;
use crate::{mail, signup};

mod accounts;
mod activity;
mod audit;
mod bench;
mod database;
mod events;
mod feed;
mod gate;
mod jobs;
mod keys;
mod listen;
mod permissions;
mod schema;

pub use database::new_postgres;
pub use gate::Told;
pub use hoody_engine::activity::fill::Filler;
pub use hoody_engine::feed::{Cut, Step};
pub use keys::verify_identity;

pub use listen::Limits;
pub use schema::{make_schema, schema_versions};

/// What links point to.
pub const PUBLIC_URL: &str = "https://auth.example.com";
/// Where authorization codes may be sent.
pub const REDIRECT_HOST: &str = "app.example.com";
/// The default of `--max-delegation-depth`.
const MAX_DELEGATION_DEPTH: u32 = 3;
/// The benchmark has a million in use.
const GRANT_CACHE: usize = 512 << 20;

/// The service in this process, without a socket.
#[derive(Debug, Clone)]
pub struct Service {
    pub(crate) nouns: Arc<Nouns>,
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

    /// The same with wings. The clock stands at `now`.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open_winged(url: &str, directory: &Path, now: Timestamp, wings: Wings) -> Self {
        let mut settings = settings(url, directory);
        settings.wings = wings;
        let nouns = Nouns::open(settings, Clock::manual(now)).await.expect("the service opens");
        let edge = nouns.edge(true);
        Self { nouns, edge }
    }

    async fn open_with(
        url: &str,
        directory: &Path,
        trusted_proxies: &str,
        clock: Clock,
        (is_committed, sign_up): (Option<bool>, &str),
    ) -> Self {
        let mut settings = settings(url, directory);
        settings.engine.trusted_proxies = TrustedProxies::parse(trusted_proxies).expect("addresses");
        settings.engine.activity.is_on = is_committed.is_some();
        settings.engine.activity.is_committed = is_committed.unwrap_or_default();
        settings.sign_up = signup::Mode::parse(sign_up).expect("a mode");
        let nouns = Nouns::open(settings, clock).await.expect("the service opens");
        let edge = nouns.edge(true);
        Self { nouns, edge }
    }

    /// The same with a wing, which is made from its nouns.
    #[must_use]
    pub fn with_wing(self, wing: impl FnOnce(&Nouns) -> axum::Router) -> Self {
        let edge = self.nouns.edge_with(true, wing(&self.nouns));
        Self { edge, ..self }
    }

    /// Opens the same database as a node on the machine's clock, its wall clock off by `skew` milliseconds,
    /// with everything running that runs in the background.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open_skewed(url: &str, directory: &Path, skew: i64) -> Self {
        let service = Self::open_at(url, directory, "", Clock::skewed(skew)).await;
        service.start();
        service
    }

    /// Why the database at `url` cannot be opened with the key in `directory`; `None` when it can.
    ///
    /// # Panics
    /// When `url` is no address of a database.
    pub async fn refusal_to_open(url: &str, directory: &Path, now: Timestamp) -> Option<String> {
        let opened = Nouns::open(settings(url, directory), Clock::manual(now)).await;
        opened.err().map(|error| in_full(&error))
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

    /// Starts what runs in the background.
    pub fn start(&self) {
        self.nouns.start();
    }

    /// Closes every connection to the database.
    pub async fn close(&self) {
        self.nouns.close().await;
    }

    fn engine(&self) -> &Engine {
        &self.nouns.engine
    }
}

/// With open sign-up, and a request log that is written in batches.
fn settings(url: &str, directory: &Path) -> Settings {
    let from = mail::parse_sender("hoody@example.com").expect("an address");
    Settings {
        engine: engine::Settings {
            database: Location::parse(url).expect("a database address"),
            keys: KeySource::File(directory.join("master.key")),
            data_dir: directory.to_owned(),
            domain: Domain::parse("api.localhost").expect("a domain"),
            public_url: PUBLIC_URL.to_owned(),
            trusted_proxies: TrustedProxies::default(),
            grant_cache: GRANT_CACHE,
            exposure_warning: None,
            tls: None,
            activity: ActivitySettings::default(),
        },
        redirect_hosts: RedirectHosts::parse(REDIRECT_HOST).expect("a host"),
        mail: mail::Transport { from, route: mail::Route::files(directory) },
        sign_up: signup::Mode::Open,
        webhook_allow: None,
        max_delegation_depth: MAX_DELEGATION_DEPTH,
        gate_url: None,
        wings: Wings::default(),
    }
}
