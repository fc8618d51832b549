//! Signing in: sessions and passwords, the second factor, and the flows that sign in for another program
//! (PKCE) or another device. One noun: each part needs the others.

pub mod device;
pub mod pkce;
pub mod sessions;
pub mod two_factor;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hoody_core::pkce::RedirectHosts;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::two_factor::store::SEALED;
use crate::history::History;
use crate::mail::Mail;
use crate::users::Users;
use hoody_engine::clock::Clock;
use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::feed::Feed;
use hoody_engine::keys::Keys;
use hoody_engine::limits::Limits;
use hoody_engine::tasks::Tasks;
use hoody_engine::web::{Access, Lends};

/// How often expired sessions, codes and device requests are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);

/// Everything that signing in stands on.
#[derive(Debug)]
pub struct SignIn {
    access: Arc<Access>,
    db: Db,
    keys: Arc<Keys>,
    clock: Clock,
    feed: Feed,
    limits: Limits,
    /// Allowed redirect hosts for the PKCE flow.
    redirect_hosts: RedirectHosts,
    history: Arc<History>,
    users: Arc<Users>,
    mail: Arc<Mail>,
}

impl Lends for SignIn {
    fn access(&self) -> &Access {
        &self.access
    }
}

impl SignIn {
    pub fn new(
        engine: &Engine,
        redirect_hosts: RedirectHosts,
        history: &Arc<History>,
        users: &Arc<Users>,
        mail: &Arc<Mail>,
    ) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            keys: Arc::clone(&engine.keys),
            clock: engine.clock.clone(),
            feed: engine.feed.clone(),
            limits: engine.limits.clone(),
            redirect_hosts,
            history: Arc::clone(history),
            users: Arc::clone(users),
            mail: Arc::clone(mail),
        })
    }

    /// Starts the sweep of expired sessions, codes and device requests.
    pub fn start(self: &Arc<Self>, tasks: &Tasks) {
        let sign_in = Arc::clone(self);
        tasks.every("sessions-sweep", SWEEP_INTERVAL, move || {
            let sign_in = Arc::clone(&sign_in);
            async move { sign_in.sweep().await }
        });
    }

    /// Removes expired sessions, codes and device requests.
    pub async fn sweep(&self) {
        let now = self.clock.now();
        let swept = async {
            sessions::store::delete_ended(&self.db, now).await?;
            pkce::store::delete_expired(&self.db, now).await?;
            device::store::delete_expired(&self.db, now).await
        };
        if let Err(error) = swept.await {
            tracing::warn!(%error, "sessions and codes that are over could not be removed");
        }
    }
}

/// The endpoints of signing in.
pub fn routes() -> OpenApiRouter<Arc<SignIn>> {
    OpenApiRouter::new()
        // sessions
        .routes(routes!(sessions::http::login))
        .routes(routes!(sessions::http::refresh))
        .routes(routes!(sessions::http::logout))
        // two-factor
        .routes(routes!(two_factor::http::verify))
        .routes(routes!(two_factor::http::set_up))
        .routes(routes!(two_factor::http::verify_setup))
        .routes(routes!(two_factor::http::get_status))
        .routes(routes!(two_factor::http::disable))
        .routes(routes!(two_factor::http::regenerate_backup_codes))
        .routes(routes!(two_factor::http::update_token_gate))
        // PKCE
        .routes(routes!(pkce::http::authorize))
        .routes(routes!(pkce::http::exchange))
        .routes(routes!(pkce::http::cancel_intent))
        // devices
        .routes(routes!(device::http::start_device))
        .routes(routes!(device::http::verify_user_code))
        .routes(routes!(device::http::authorize_device))
        .routes(routes!(device::http::login_for_device))
        .routes(routes!(device::http::deny_device))
        .routes(routes!(device::http::poll_device))
}

/// The page where a person approves a device.
pub fn pages() -> Router<Arc<SignIn>> {
    device::page::routes()
}
