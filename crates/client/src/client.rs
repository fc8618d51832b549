//! The client and how it is made.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hoody_core::id::RealmId;
use hoody_core::wire::Secret;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use reqwest::redirect;

use crate::base::{Base, Origin, without_secrets};
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
    authorization: Option<HeaderValue>,
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
    ///
    /// # Errors
    /// [`BuildError::Credential`] when no header can carry it: it would be left out, and the request be
    /// anybody's.
    pub fn with_credential(&self, credential: &Secret) -> Result<Self, BuildError> {
        Ok(Self { authorization: Some(bearer(credential)?), ..self.clone() })
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
        self.authorization.is_some()
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// `Authorization: Bearer …`, if it has a credential.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        self.authorization.clone()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base.as_str())
            // Marked as sensitive: its text is not printed.
            .field("authorization", &self.authorization)
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
        // reqwest is built without a TLS provider and uses the process's. It can be set only once: an error
        // means that the program has chosen its own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong_base = |source| BuildError::Base { address: without_secrets(&self.address), source };
        let given = Base::parse(&self.address).map_err(wrong_base)?;
        let base = match self.realm {
            Some(realm) => given.in_realm(realm).map_err(wrong_base)?,
            None => given.clone(),
        };
        let authorization = self.credential.as_ref().map(bearer).transpose()?;
        let mut builder = reqwest::Client::builder()
            .user_agent(self.user_agent)
            .default_headers(headers(&self.headers)?)
            .timeout(self.timeout)
            .connect_timeout(self.connect_timeout)
            .redirect(redirect::Policy::none())
            .referer(false)
            .dns_resolver(Resolver { loopback: given.ip().filter(std::net::IpAddr::is_loopback) });
        let proxy = match &self.proxy {
            Some(address) => {
                let unusable = || BuildError::Proxy { from: "the proxy setting" };
                let uri = proxy_address(OsStr::new(address)).ok_or_else(unusable)?;
                let whole = match uri.scheme() {
                    Some(_) => address.clone(),
                    None => format!("http://{address}"),
                };
                builder = builder.proxy(reqwest::Proxy::all(whole).map_err(|_| unusable())?);
                Some(uri)
            }
            None if base.is_loopback() => {
                builder = builder.no_proxy();
                None
            }
            None => proxy_of_environment(&base, |name| std::env::var_os(name))?,
        };
        let is_proxy_plain = proxy.is_none_or(|uri| uri.scheme_str() != Some("https"));
        if base.is_plain() && is_proxy_plain {
            // No certificate will be looked at: the system's are not read, and need not be there.
            builder = builder.tls_certs_only([]);
        }
        if let Some(pem) = &self.authorities {
            builder = builder.tls_certs_only(certificates(pem).ok_or(BuildError::Authorities)?);
        }
        let http = builder.build().map_err(BuildError::Http)?;
        Ok(Client { http, base: Arc::new(base), origin: Arc::new(given.origin()), authorization })
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

/// The proxy of the environment. One that cannot be read is an error: reqwest would pass it by in silence. With
/// `NO_PROXY` it may be meant for other hosts.
fn proxy_of_environment(
    base: &Base,
    get: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Uri>, BuildError> {
    let own = if base.is_plain() { ["HTTP_PROXY", "http_proxy"] } else { ["HTTPS_PROXY", "https_proxy"] };
    let set = |name: &'static str| Some((name, get(name).filter(|value| !value.is_empty())?));
    let found = own.into_iter().chain(["ALL_PROXY", "all_proxy"]).find_map(set);
    let Some((from, value)) = found else { return Ok(None) };
    match proxy_address(&value) {
        None if ["NO_PROXY", "no_proxy"].into_iter().find_map(set).is_none() => {
            Err(BuildError::Proxy { from })
        }
        uri => Ok(uri),
    }
}

/// The address of an HTTP proxy, with or without its scheme.
fn proxy_address(text: &OsStr) -> Option<Uri> {
    let uri = text.to_str()?.parse::<Uri>().ok()?;
    let is_proxy = uri.authority().is_some() && matches!(uri.scheme_str(), None | Some("http" | "https"));
    is_proxy.then_some(uri)
}

/// `Authorization: Bearer …`, marked so that nothing prints it.
fn bearer(credential: &Secret) -> Result<HeaderValue, BuildError> {
    let text = credential.expose();
    // A header's value loses the blanks at its ends on the way.
    if text.trim().is_empty() || text.trim() != text {
        return Err(BuildError::Credential);
    }
    let value = HeaderValue::from_str(&format!("Bearer {text}"));
    let mut value = value.map_err(|_| BuildError::Credential)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_of_the_environment_is_used_or_refused() {
        let check = |base: &str, variables: &[(&str, &str)]| {
            let get = |name: &str| {
                let found = variables.iter().find(|(given, _)| *given == name);
                found.map(|(_, value)| OsString::from(value))
            };
            proxy_of_environment(&Base::parse(base).unwrap(), get)
                .map(drop)
                .map_err(|error| error.to_string())
        };
        let (plain, tls) = ("http://api.example.com", "https://api.example.com");
        for good in
            ["http://proxy:3128", "proxy:3128", "10.0.0.1:3128", "http://u:p@proxy", "https://proxy/", ""]
        {
            assert_eq!(check(plain, &[("HTTP_PROXY", good)]), Ok(()), "{good}");
        }
        for bad in ["socks5://proxy:1080", "http://", "not a proxy", "http://u:canary@ho st"] {
            let error = check(tls, &[("ALL_PROXY", bad)]).unwrap_err();
            assert!(error.starts_with("ALL_PROXY is not") && !error.contains("canary"), "{error}");
            assert!(check(plain, &[("http_proxy", bad)]).is_err(), "{bad}");
            // Of the other scheme, or of other hosts.
            assert_eq!(check(plain, &[("HTTPS_PROXY", bad)]), Ok(()), "{bad}");
            assert_eq!(check(plain, &[("HTTP_PROXY", bad), ("NO_PROXY", "*")]), Ok(()), "{bad}");
        }
    }

    #[test]
    fn a_proxy_that_is_given_is_used_or_refused() {
        let build = |proxy: &str| Client::builder("http://api.example.com").proxy(proxy).build();
        assert!(
            build("http://proxy:3128").is_ok()
                && build("10.0.0.1:3128").is_ok()
                && build("proxy:3128").is_ok()
        );
        for bad in ["socks5://u:canary@proxy:1080", "", "not a proxy", "ftp://proxy"] {
            let error = build(bad).unwrap_err().to_string();
            assert!(error.starts_with("the proxy setting is not") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_credential_is_sent_or_refused() {
        let client = Client::builder("http://127.0.0.1:1").build().unwrap();
        for bad in ["", " ", "hdy_x\n", "hdy_x\r", " hdy_x", "hdy\n_x", "hdy\u{0}_x"] {
            let error = client.with_credential(&bad.into()).unwrap_err();
            assert!(matches!(error, BuildError::Credential), "{bad:?}");
            assert!(Client::builder("http://127.0.0.1:1").credential(bad.into()).build().is_err(), "{bad:?}");
        }
        let shown = format!("{:?}", client.with_credential(&"hdy_canary".into()).unwrap());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
