//! The way out: where webhooks may go, judged at the moment of connecting.
//!
//! An address that a user gives is the user's: behind its name may be this machine, the cloud's metadata
//! service or the operator's own network, now or a moment after a check. So the check is made by the
//! resolver of the connection itself: what it lets through is what is connected to, and nothing else.
//! Redirects are not followed, the environment's proxies not used, and an address written as a number is
//! judged as what it means.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hoody_core::address::{AddressList, canonical_ip, is_public};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// How long a connection may take to open, and a message to be answered in all.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(10);
/// How much of an answer is read, and how much of that is kept.
const READ: usize = 4_096;
const KEPT: usize = 200;

/// Names to addresses.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

type Allowed = Arc<Mutex<Option<AddressList>>>;

/// The way out.
#[derive(Clone)]
pub struct Egress {
    /// Where the operator allows more than the Internet.
    allowed: Allowed,
    lookup: Arc<Mutex<Lookup>>,
    /// For `https`, and for `http`, which only the operator's own addresses may be reached by.
    secure: reqwest::Client,
    plain: reqwest::Client,
}

/// What an endpoint answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The beginning of its body, without control characters.
    pub beginning: String,
    /// For how long it asks not to be bothered, in seconds.
    pub retry_after: Option<u64>,
}

/// Refuses what may not be reached.
struct Guard {
    allowed: Allowed,
    is_plain: bool,
    lookup: Arc<Mutex<Lookup>>,
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").finish_non_exhaustive()
    }
}

/// Whether a message may go to this address: the operator's list, and for `https` the Internet.
fn may_reach(allowed: &Allowed, address: IpAddr, is_plain: bool) -> bool {
    let address = canonical_ip(address);
    let allowed = allowed.lock().unwrap_or_else(PoisonError::into_inner);
    allowed.as_ref().is_some_and(|allowed| allowed.allows(address)) || !is_plain && is_public(address)
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = Arc::clone(&self.lookup.lock().unwrap_or_else(PoisonError::into_inner));
        let (allowed, is_plain) = (Arc::clone(&self.allowed), self.is_plain);
        Box::pin(async move {
            let found = lookup(name.as_str().to_owned()).await?;
            let reachable: Vec<_> =
                found.into_iter().filter(|address| may_reach(&allowed, address.ip(), is_plain)).collect();
            if reachable.is_empty() {
                return Err(io::Error::other(NOT_ALLOWED).into());
            }
            Ok(Box::new(reachable.into_iter()) as Addrs)
        })
    }
}

const NOT_ALLOWED: &str = "no address of the host is on the Internet, or allowed by --webhook-allow";

impl Egress {
    /// The way out with what the operator allows beside the Internet.
    pub fn new(allowed: Option<AddressList>) -> anyhow::Result<Self> {
        let system: Lookup =
            Arc::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }));
        let lookup = Arc::new(Mutex::new(system));
        let allowed = Arc::new(Mutex::new(allowed));
        // reqwest is built without a TLS provider and uses the process's. It can be set only once: an error
        // means that one is set.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |is_plain| {
            let guard = Guard { allowed: Arc::clone(&allowed), is_plain, lookup: Arc::clone(&lookup) };
            reqwest::Client::builder()
                .user_agent(concat!("hoody-webhooks/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .pool_max_idle_per_host(0)
                .connect_timeout(CONNECT_LIMIT)
                .timeout(LIMIT)
                .dns_resolver(guard)
                .build()
        };
        let (secure, plain) = (client(false)?, client(true)?);
        Ok(Self { allowed, lookup, secure, plain })
    }

    /// Allows these addresses from now on.
    pub fn allow(&self, allowed: AddressList) {
        *self.allowed.lock().unwrap_or_else(PoisonError::into_inner) = Some(allowed);
    }

    /// Answers names as a test has it.
    pub fn look_up_with(&self, lookup: Lookup) {
        *self.lookup.lock().unwrap_or_else(PoisonError::into_inner) = lookup;
    }

    /// Reads the address of an endpoint.
    ///
    /// # Errors
    /// A rule that it breaks, to be read after its name. What is behind a name is judged when it is sent to.
    pub fn parse(&self, text: &str) -> Result<Url, &'static str> {
        const FORM: &str = "must be an address like https://example.com/hooks";
        // Browsers read `https:///x` and `https:x` as `https://x`; whoever writes that meant something else.
        let host = text.split_once("://").map(|(_, rest)| rest);
        if !host.is_some_and(|rest| rest.starts_with(|first: char| !matches!(first, '/' | '\\'))) {
            return Err(FORM);
        }
        let url = Url::parse(text).map_err(|_| FORM)?;
        let is_plain = match url.scheme() {
            "https" => false,
            "http" if self.allowed.lock().unwrap_or_else(PoisonError::into_inner).is_some() => true,
            _ => return Err("must begin with https://"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not carry a name or password");
        }
        if url.fragment().is_some() {
            return Err("must not have a fragment");
        }
        if !matches!(url.port_or_known_default(), Some(80 | 443 | 1_024..)) {
            return Err("must have port 80, 443, or one from 1024 on");
        }
        match url.host() {
            None => Err("must name a host"),
            Some(_) if self.literal(&url).is_some_and(|ip| !may_reach(&self.allowed, ip, is_plain)) => {
                Err("must be on the Internet, or where --webhook-allow says")
            }
            Some(_) => Ok(url),
        }
    }

    /// The address that is written in place of a name, in whatever form.
    fn literal(&self, url: &Url) -> Option<IpAddr> {
        // The parser has read decimal, octal, hexadecimal and short forms already.
        let host = url.host_str()?;
        host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Why nothing was answered, without the address.
    pub async fn send(
        &self,
        text: &str,
        headers: [(&'static str, String); 3],
        body: String,
    ) -> Result<Answer, String> {
        // Judged again: the operator may have changed what is allowed since.
        let url = self.parse(text).map_err(|why| format!("the address {why}"))?;
        let client = if url.scheme() == "https" { &self.secure } else { &self.plain };
        let mut request = client.post(url).header("content-type", "application/json").body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.send().await.map_err(|error| reason(&error))?;
        let mut read = Vec::new();
        while read.len() < READ {
            match response.chunk().await {
                Ok(Some(chunk)) => read.extend_from_slice(&chunk[..chunk.len().min(READ - read.len())]),
                Ok(None) | Err(_) => break,
            }
        }
        let beginning = String::from_utf8_lossy(&read);
        let beginning = beginning.chars().map(|c| if c.is_control() { ' ' } else { c }).take(KEPT).collect();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Answer { status: response.status().as_u16(), beginning, retry_after })
    }
}

/// What went wrong, from the innermost cause, without the address.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("not answered within {} s", LIMIT.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let kind = if error.is_connect() { "it cannot be connected to" } else { "the connection was lost" };
    if cause.to_string().contains(NOT_ALLOWED) { NOT_ALLOWED.to_owned() } else { format!("{kind}: {cause}") }
}
