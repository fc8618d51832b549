//! The client and how it is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hoody_core::id::RealmId;
use hoody_core::wire::Secret;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::redirect;

use crate::base::{Base, Origin};
use crate::error::BuildError;
use crate::resolve::Resolver;

const USER_AGENT: &str = concat!("hoody-client/", env!("CARGO_PKG_VERSION"));

/// Speaks to one server with one credential. Cheap to clone; clones share their connections.
///
/// ```
/// use hoody_client::{Client, wire::Secret};
///
/// let client = Client::builder("http://127.0.0.1:8080")
///     .credential(Secret::new("hdy_…"))
///     .realm("507f1f77bcf86cd799439012".parse().unwrap())
///     .build()
///     .expect("the address is one");
/// assert_eq!(client.base().as_str(), "http://507f1f77bcf86cd799439012.api.localhost:8080");
/// assert!(!format!("{client:?}").contains("hdy_"));
/// ```
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<Base>,
    origin: Arc<Origin>,
    credential: Option<Secret>,
}

/// What a client is made of.
#[must_use = "call build()"]
pub struct ClientBuilder {
    address: String,
    realm: Option<RealmId>,
    credential: Option<Secret>,
    proxy: Option<String>,
    headers: Vec<(String, Secret)>,
    authorities: Option<Vec<u8>>,
    user_agent: String,
    timeout: Duration,
    connect_timeout: Duration,
}

impl Client {
    /// A client of the server at `address`, e.g. `https://api.example.com`.
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            address: address.into(),
            realm: None,
            credential: None,
            proxy: None,
            headers: Vec::new(),
            authorities: None,
            user_agent: USER_AGENT.to_owned(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
        }
    }

    /// The same client with another credential: a session's access token or an `hdy_` token.
    #[must_use]
    pub fn with_credential(&self, credential: Secret) -> Self {
        Self { credential: Some(credential), ..self.clone() }
    }

    /// Where it sends to, with the realm's label if there is one.
    #[must_use]
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The origin that its credential belongs to: of the address as it was given, before any realm.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether it has a credential.
    #[must_use]
    pub fn has_credential(&self) -> bool {
        self.credential.is_some()
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn credential(&self) -> Option<&Secret> {
        self.credential.as_ref()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base.as_str())
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// What goes into `Authorization: Bearer`.
    pub fn credential(mut self, credential: Secret) -> Self {
        self.credential = Some(credential);
        self
    }

    /// Speak to the realm's host.
    pub fn realm(mut self, realm: RealmId) -> Self {
        self.realm = Some(realm);
        self
    }

    /// Go through this HTTP proxy. Without one the environment's is used, except for loopback.
    pub fn proxy(mut self, address: impl Into<String>) -> Self {
        self.proxy = Some(address.into());
        self
    }

    /// Send this header with every request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Trust these certificates, in PEM, and no others: a company's own authority, or a self-signed one.
    /// The server's name is checked as ever.
    pub fn authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities = Some(pem.into());
        self
    }

    /// What to call oneself in `User-Agent`.
    pub fn user_agent(mut self, text: impl Into<String>) -> Self {
        self.user_agent = text.into();
        self
    }

    /// How long one try may take in all; 30 seconds unless told otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a connection may take to open; 10 seconds unless told otherwise.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// When the address, the proxy, a header or a certificate cannot be used, or TLS cannot be set up.
    pub fn build(self) -> Result<Client, BuildError> {
        let wrong_base = |source| BuildError::Base { address: self.address.clone(), source };
        let given = Base::parse(&self.address).map_err(wrong_base)?;
        let base = match self.realm {
            Some(realm) => given.in_realm(realm).map_err(wrong_base)?,
            None => given.clone(),
        };
        if let Some(credential) = &self.credential {
            bearer(credential).ok_or(BuildError::Credential)?;
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(self.user_agent)
            .default_headers(headers(&self.headers)?)
            .timeout(self.timeout)
            .connect_timeout(self.connect_timeout)
            .redirect(redirect::Policy::none())
            .referer(false)
            .dns_resolver(Resolver { loopback: given.ip().filter(std::net::IpAddr::is_loopback) });
        if let Some(address) = &self.proxy {
            builder = builder.proxy(reqwest::Proxy::all(address).map_err(BuildError::Proxy)?);
        } else if base.is_loopback() {
            builder = builder.no_proxy();
            if base.is_plain() {
                // No certificate will be looked at: do not read the system's.
                builder = builder.tls_certs_only([]);
            }
        }
        if let Some(pem) = &self.authorities {
            builder = builder.tls_certs_only(certificates(pem).ok_or(BuildError::Authorities)?);
        }
        let http = builder.build().map_err(BuildError::Http)?;
        Ok(Client {
            http,
            base: Arc::new(base),
            origin: Arc::new(given.origin()),
            credential: self.credential,
        })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("credential", &self.credential).finish_non_exhaustive()
    }
}

/// At least one certificate, each readable.
fn certificates(pem: &[u8]) -> Option<Vec<reqwest::Certificate>> {
    reqwest::Certificate::from_pem_bundle(pem).ok().filter(|found| !found.is_empty())
}

fn headers(given: &[(String, Secret)]) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let wrong = || BuildError::Header(name.clone());
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        // These two decide who is asked and as whom: they have settings of their own.
        if key == header::AUTHORIZATION || key == header::HOST {
            return Err(wrong());
        }
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

/// `Authorization: Bearer …`, marked so that nothing prints it; `None` when no header can carry it.
pub(crate) fn bearer(credential: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", credential.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
