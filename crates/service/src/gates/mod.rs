//! Gates: the tables by which a proxy asks before it lets a request through to another service. Their rules are
//! `hoody_doors::table`; here they are stored, given back, and kept ready for deciding (`known`).
//!
//! A gate belongs to an account. A token that is bound to realms manages only gates of one of these realms.

pub mod holder;
pub mod http;
pub mod known;
mod store;
pub mod trial;

use std::sync::Arc;

use hoody_core::grant::{Grant, Realms};
use hoody_core::id::{GateId, UserId};
use hoody_core::json::parse;
use hoody_core::time::Timestamp;
use hoody_core::wire;
use hoody_doors::table::{Definition, RealmRule};
use hoody_engine::clock::Clock;
use hoody_engine::db::{Db, DbError};
use hoody_engine::engine::Engine;
use hoody_engine::error::Error;
use hoody_engine::feed::Feed;
use hoody_engine::web::{Access, Lends};
use hoody_engine::work;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use holder::Texts;
use known::Known;

/// Stores gates and keeps those that are asked ready.
#[derive(Debug)]
pub struct Gates {
    access: Arc<Access>,
    db: Db,
    clock: Clock,
    feed: Feed,
    known: Known,
    /// The texts of permissions.
    pub texts: Texts,
    /// Where proxies reach `/gate`: scheme, host and port.
    base: String,
}

impl Gates {
    /// Gates that proxies ask at `base`, scheme, host and port; the public URL unless told.
    #[must_use]
    pub fn new(engine: &Engine, base: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            access: Arc::clone(&engine.access),
            db: engine.db.clone(),
            clock: engine.clock.clone(),
            feed: engine.feed.clone(),
            known: Known::default(),
            texts: Texts::default(),
            base: base.unwrap_or_else(|| engine.access.public_url.clone()),
        })
    }

    /// The URL that a proxy asks.
    fn url(&self, id: GateId) -> String {
        format!("{}/gate/auth?gate={id}", self.base)
    }
}

impl Lends for Gates {
    fn access(&self) -> &Access {
        &self.access
    }
}

/// The endpoints of gates.
pub fn routes() -> OpenApiRouter<Arc<Gates>> {
    OpenApiRouter::new()
        .routes(routes!(http::list_gates))
        .routes(routes!(http::get_gate, http::set_gate, http::delete_gate))
        .routes(routes!(http::test_gate))
}

/// What is stored of a gate beside its definition.
#[derive(Debug, Clone)]
struct Listed {
    id: GateId,
    name: String,
    hosts: Vec<String>,
    realm: String,
    routes: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Listed {
    fn of(id: GateId, definition: &Definition, (created_at, updated_at): (Timestamp, Timestamp)) -> Self {
        Self {
            id,
            name: definition.name.clone(),
            hosts: definition.hosts.clone(),
            realm: realm_text(&definition.realm),
            routes: i64::try_from(definition.routes.len()).unwrap_or(i64::MAX),
            created_at,
            updated_at,
        }
    }

    fn shown(self, url: String) -> wire::GateSummary {
        wire::GateSummary {
            id: self.id,
            name: self.name,
            hosts: self.hosts,
            realm: self.realm,
            routes: self.routes.unsigned_abs(),
            url,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// A gate as it is stored.
#[derive(Debug)]
struct GateRow {
    id: GateId,
    owner: UserId,
    realm: String,
    /// JSON.
    definition: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// The stored text of a definition, read on a thread for large work if it is long.
async fn read_definition(stored: String) -> Result<Definition, Error> {
    // Rows are compared with each other, which takes longer than reading them.
    let size = 8 * stored.len();
    let read = move || {
        let value = parse(stored.as_bytes()).map_err(|_| DbError::Unreadable("gates.definition"))?;
        Definition::parse(&value).map_err(|_| DbError::Unreadable("gates.definition"))
    };
    Ok(work::run(size, read).await??)
}

fn realm_text(rule: &RealmRule) -> String {
    match rule {
        RealmRule::None => "none".to_owned(),
        RealmRule::Fixed(realm) => realm.to_string(),
        RealmRule::Host(domain) => format!("{{realm}}.{domain}"),
    }
}

/// Whether a credential may see and manage a gate of this realm, as it is stored.
fn reaches(grant: &Grant, realm: &str) -> bool {
    let realms = &grant.limits.realms;
    *realms == Realms::EVERYWHERE || realm.parse().is_ok_and(|realm| realms.admit(Some(realm), false).is_ok())
}
