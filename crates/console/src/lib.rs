//! The console: pages for the people whose accounts these are, at `/console`.
//!
//! A page calls the functions that the API calls, with a caller made from its cookie's session
//! (`session`), and has no right of its own. Every act is a form that is posted to its own address; nothing
//! needs a script. `guard` says which requests may be here at all, `parts` has what pages are built from
//! (`docs/design.md`), and each folder beside them is a section.

mod account;
mod alerts;
mod assets;
mod events;
mod guard;
mod log;
mod overview;
mod parts;
mod permissions;
mod session;
mod tokens;
mod vault;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use hoody_engine::clock::Clock;
use hoody_engine::db::Db;
use hoody_engine::keys::Keys;
use hoody_engine::nodes::Nodes;
use hoody_engine::web::{Access, Lends};
use hoody_service::account::Account;
use hoody_service::activity::ActivityLog;
use hoody_service::alerts::Alerts;
use hoody_service::events::Events;
use hoody_service::history::History;
use hoody_service::nouns::{Nouns, WELCOME};
use hoody_service::sign_in::SignIn;
use hoody_service::tokens::Tokens;
use hoody_service::users::Users;
use hoody_service::vault::Vault;
use hoody_service::webhooks::Webhooks;
use http::{HeaderMap, header};

/// Where the console is.
pub const HOME: &str = "/console";

/// Whether people may sign in over plain HTTP from other machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// They are told how to get TLS.
    Refused,
    /// The operator says so.
    Allowed,
}

/// What the pages stand on.
#[derive(Debug)]
pub struct Console {
    access: Arc<Access>,
    db: Db,
    keys: Arc<Keys>,
    clock: Clock,
    nodes: Nodes,
    sign_in: Arc<SignIn>,
    users: Arc<Users>,
    history: Arc<History>,
    tokens: Arc<Tokens>,
    log: Arc<ActivityLog>,
    accounts: Arc<Account>,
    alerts: Arc<Alerts>,
    events: Arc<Events>,
    webhooks: Arc<Webhooks>,
    vault: Arc<Vault>,
    plain: Plain,
}

impl Lends for Console {
    fn access(&self) -> &Access {
        &self.access
    }
}

impl Console {
    /// The console over these nouns.
    #[must_use]
    pub fn new(nouns: &Nouns, plain: Plain) -> Arc<Self> {
        let engine = &nouns.engine;
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            keys: Arc::clone(&engine.keys),
            clock: engine.clock.clone(),
            nodes: engine.nodes.clone(),
            sign_in: Arc::clone(&nouns.sign_in),
            users: Arc::clone(&nouns.users),
            history: Arc::clone(&nouns.history),
            tokens: Arc::clone(&nouns.tokens),
            log: Arc::clone(&nouns.activity_log),
            accounts: Arc::clone(&nouns.account),
            alerts: Arc::clone(&nouns.alerts),
            events: Arc::clone(&nouns.events),
            webhooks: Arc::clone(&nouns.webhooks),
            vault: Arc::clone(&nouns.vault),
            plain,
        })
    }
}

/// The routes of the console, and `/`, which leads a browser there.
pub fn routes(console: Arc<Console>) -> Router {
    let pages = Router::new()
        .route(HOME, get(overview::show))
        .route("/console/sign-in", get(session::sign_in::show).post(session::sign_in::give_password))
        .route("/console/sign-in/code", post(session::sign_in::give_code).get(session::sign_in::begin_again))
        .route("/console/sign-out", post(session::sign_in::sign_out))
        .route("/console/tokens", get(tokens::list::show).post(tokens::make::make))
        .route("/console/tokens/new", get(tokens::new::show))
        .route("/console/tokens/review", post(tokens::make::review).get(tokens::new::begin_again))
        .route("/console/tokens/{id}", get(tokens::one::show))
        .route("/console/tokens/{id}/first-use", get(tokens::make::first_use))
        .route("/console/tokens/{id}/stop", post(tokens::stop::stop).get(tokens::one::go_to))
        .route("/console/tokens/{id}/start", post(tokens::stop::start).get(tokens::one::go_to))
        .route("/console/tokens/{id}/delete", get(tokens::stop::ask_delete).post(tokens::stop::delete))
        .route("/console/tokens/{id}/change", get(tokens::change::show).post(tokens::change::change))
        .route("/console/stop", get(tokens::stop::search))
        .route("/console/stop/all", get(tokens::stop_all::ask).post(tokens::stop_all::stop))
        .route("/console/log", get(log::show))
        .route("/console/alerts", get(alerts::show))
        .route("/console/alerts/{id}/acknowledge", post(alerts::acknowledge).get(alerts::go_back))
        .route("/console/alerts/{id}/dismiss", post(alerts::dismiss).get(alerts::go_back))
        .route("/console/events", get(events::show))
        .route("/console/permissions", get(permissions::show))
        .merge(of_webhooks())
        .merge(of_vault())
        .route("/console/account", get(account::show))
        .route("/console/account/password", get(account::secrets::ask).post(account::secrets::change))
        .route(
            "/console/account/second-factor",
            get(account::secrets::second_factor).post(account::secrets::set_up),
        )
        .route("/console/account/second-factor/on", post(account::secrets::turn_on).get(account::go_back))
        .route("/console/account/second-factor/off", post(account::secrets::turn_off).get(account::go_back))
        .route("/console/account/sessions/{id}/end", post(account::end_session).get(account::go_back))
        .route("/console/account/sessions/end-all", post(account::end_all).get(account::go_back))
        .route("/console/{*rest}", get(guard::no_page).post(guard::no_page))
        .layer(from_fn_with_state(Arc::clone(&console), guard::admit))
        .layer(from_fn(session::cookie::carry));
    Router::new()
        .route("/", get(welcome))
        .route("/console/a/{digest}/{name}", get(assets::serve))
        .merge(pages)
        .with_state(console)
}

fn of_webhooks() -> Router<Arc<Console>> {
    use webhooks::{form, one};
    Router::new()
        .route("/console/webhooks", get(webhooks::show).post(form::make))
        .route("/console/webhooks/new", get(form::new))
        .route("/console/webhooks/{id}", get(one::show))
        .route("/console/webhooks/{id}/change", get(form::show_change).post(form::change))
        .route("/console/webhooks/{id}/test", post(one::test).get(one::go_back))
        .route("/console/webhooks/{id}/on", post(one::turn_on).get(one::go_back))
        .route("/console/webhooks/{id}/off", post(one::turn_off).get(one::go_back))
        .route("/console/webhooks/{id}/secret", get(one::ask_secret).post(one::new_secret))
        .route("/console/webhooks/{id}/delete", get(one::ask_delete).post(one::delete))
        .route("/console/webhooks/{id}/deliveries/{delivery_id}/replay", post(one::replay).get(one::go_back))
}

fn of_vault() -> Router<Arc<Console>> {
    Router::new()
        .route("/console/vault", get(vault::show))
        .route("/console/vault/set", get(vault::set::show).post(vault::set::set))
        .route("/console/vault/keys/{key}/show", post(vault::reveal).get(vault::go_back))
        .route("/console/vault/keys/{key}/delete", get(vault::ask_delete).post(vault::delete))
}

/// A browser is led to the console, a program told what this is.
async fn welcome(headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") {
        return Redirect::to(HOME).into_response();
    }
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], WELCOME).into_response()
}
