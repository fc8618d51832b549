//! What every request passes before it reaches its noun.

use std::sync::Arc;

use hoody_core::address::TrustedProxies;
use hoody_core::host::Domain;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::time::Timestamp;

use super::body::Bodies;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::Error;
use crate::grants::Grants;
use crate::grants::usage::Recorder;
use crate::keys::Keys;

/// What it takes to read a request's head and to let its credential in.
#[derive(Debug)]
pub struct Access {
    pub grants: Arc<Grants>,
    pub db: Db,
    pub keys: Arc<Keys>,
    pub clock: Clock,
    pub recorder: Recorder,
    pub domain: Domain,
    /// Scheme, host and port: the only source of links, and of the flags of cookies.
    pub public_url: String,
    pub trusted_proxies: TrustedProxies,
    pub bodies: Bodies,
}

impl Access {
    /// The time, once for each request.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The operator's catalogue, as fresh as a grant is.
    ///
    /// # Errors
    /// 503 when the database has to be asked and does not answer.
    pub async fn own_catalogue(&self) -> Result<Arc<OwnCatalogue>, Error> {
        let unavailable = |_| Error::Unavailable("The permissions cannot be read now; try again");
        self.grants.own_catalogue(&self.db, &self.clock).await.map_err(unavailable)
    }
}

/// A state of handlers that lends what lets callers in: every noun that has endpoints.
pub trait Lends: Send + Sync + 'static {
    /// What lets callers in.
    fn access(&self) -> &Access;
}
