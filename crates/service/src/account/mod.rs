//! The account as its owner reads and changes it. The rows are in `users`; the endpoints are here, above
//! `tokens`, because `GET /users/me` describes the calling token.

pub mod http;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::history::History;
use crate::mail::Mail;
use crate::tokens::Tokens;
use crate::users::Users;
use hoody_engine::db::Db;
use hoody_engine::engine::Engine;
use hoody_engine::feed::Feed;
use hoody_engine::web::{Access, Lends};

/// Everything that the endpoints of accounts stand on.
#[derive(Debug)]
pub struct Account {
    access: Arc<Access>,
    db: Db,
    feed: Feed,
    history: Arc<History>,
    users: Arc<Users>,
    mail: Arc<Mail>,
    tokens: Arc<Tokens>,
}

impl Lends for Account {
    fn access(&self) -> &Access {
        &self.access
    }
}

impl Account {
    pub fn new(
        engine: &Engine,
        history: &Arc<History>,
        users: &Arc<Users>,
        mail: &Arc<Mail>,
        tokens: &Arc<Tokens>,
    ) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            feed: engine.feed.clone(),
            history: Arc::clone(history),
            users: Arc::clone(users),
            mail: Arc::clone(mail),
            tokens: Arc::clone(tokens),
        })
    }
}

/// The endpoints of accounts.
pub fn routes() -> OpenApiRouter<Arc<Account>> {
    OpenApiRouter::new()
        .routes(routes!(http::get_me))
        .routes(routes!(http::get_me_alias))
        .routes(routes!(http::get_user, http::update_user))
}
