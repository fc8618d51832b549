//! TLS: the certificate in use, its exchange while connections run, and what is to be said of it.
//!
//! Versions 1.2 and 1.3 by rustls with ring. The pair is read again when one of its files changed
//! (looked at every two seconds, through symbolic links) and on SIGHUP. One that cannot be used is
//! warned of, and the one before stays. Connections that run are never touched.

mod pair;
mod self_signed;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use hoody_core::time::{SECOND, Timestamp};
use http::HeaderValue;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::signal::unix::Signal;
use tokio::sync::Mutex;
use tokio_rustls::TlsAcceptor;

use crate::clock::Clock;

pub use pair::Pair;

/// What HTTP/2 is called in the handshake (RFC 9113, 3.2).
pub const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// A certificate that ends sooner is warned of.
const SOON: i64 = 14 * 24 * 3600 * SECOND;
/// How often it is warned of in the log.
const REMINDER: i64 = 24 * 3600 * SECOND;

/// Where the certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Two PEM files: the chain, and the key.
    Files {
        /// The certificate first, then those that vouch for it.
        certificate: PathBuf,
        /// The key, not encrypted.
        key: PathBuf,
    },
    /// One made here, kept in this directory, for these names and addresses.
    SelfSigned {
        /// The data directory.
        directory: PathBuf,
        /// What clients may call the server.
        names: Vec<String>,
    },
}

/// The certificate in use and how it is spoken with.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    is_self_signed: bool,
    in_use: Arc<InUse>,
    config: Arc<ServerConfig>,
    strict: Option<HeaderValue>,
}

#[derive(Debug)]
struct InUse(RwLock<Arc<Pair>>);

impl InUse {
    fn pair(&self) -> Arc<Pair> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for InUse {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.pair().certified))
    }
}

impl Source {
    /// Whether the files are there and fit together; nothing is made.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn check(&self) -> anyhow::Result<()> {
        match self {
            Self::Files { certificate, key } => Pair::read(certificate, key, &provider()).map(drop),
            Self::SelfSigned { .. } => Ok(()),
        }
    }
}

impl Tls {
    /// Reads the pair, or makes a self-signed one where none is that still holds.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(source: Source, now: Timestamp) -> anyhow::Result<Self> {
        let provider = provider();
        let is_self_signed = matches!(source, Source::SelfSigned { .. });
        let (certificate, key) = match source {
            Source::Files { certificate, key } => (certificate, key),
            Source::SelfSigned { directory, names } => {
                self_signed::ensure(&directory, &names, now, &provider)?
            }
        };
        let pair = Pair::read(&certificate, &key, &provider)?;
        let in_use = Arc::new(InUse(RwLock::new(Arc::new(pair))));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<InUse>::clone(&in_use));
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        Ok(Self { certificate, key, is_self_signed, in_use, config: Arc::new(config), strict: None })
    }

    /// Tells browsers to stay with HTTPS (RFC 6797): for a name that the public address has, never for a
    /// self-signed certificate, nor for names that stand for this machine.
    pub fn with_strict_transport(mut self, public_host: &str) -> Self {
        let is_name = public_host.parse::<std::net::IpAddr>().is_err() && !public_host.starts_with('[');
        let is_local = public_host == "localhost" || public_host.ends_with(".localhost");
        if is_name && !is_local && !self.is_self_signed {
            self.strict = Some(HeaderValue::from_static("max-age=31536000"));
        }
        self
    }

    /// The value of `Strict-Transport-Security`, where it is sent.
    pub fn strict(&self) -> Option<HeaderValue> {
        self.strict.clone()
    }

    /// What shakes hands.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// What shakes hands with clients whose certificate one of the authorities in this PEM file issued, and with nobody
    /// else. The file is read once.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn acceptor_of_clients(&self, authorities: &Path) -> anyhow::Result<TlsAcceptor> {
        let name = authorities.display();
        let mut roots = RootCertStore::empty();
        let read = CertificateDer::pem_file_iter(authorities)
            .with_context(|| format!("gate-grpc-client-ca: {name} cannot be read"))?;
        for certificate in read {
            let added = certificate.map_err(anyhow::Error::from).and_then(|one| Ok(roots.add(one)?));
            added.with_context(|| format!("gate-grpc-client-ca: {name} holds what is no certificate"))?;
        }
        if roots.is_empty() {
            bail!("gate-grpc-client-ca: {name} holds no certificate");
        }
        let provider = Arc::clone(self.config.crypto_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients.build()?)
            .with_cert_resolver(Arc::<InUse>::clone(&self.in_use));
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// The pair in use.
    pub fn pair(&self) -> Arc<Pair> {
        self.in_use.pair()
    }

    /// The file of the self-signed certificate, which clients are given to trust.
    pub fn self_signed(&self) -> Option<&Path> {
        self.is_self_signed.then_some(&self.certificate)
    }

    /// What the operator should mend, in a sentence.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        self.pair().warning(now)
    }

    /// Takes the pair that the files hold now. The one before stays when it cannot be used.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    fn reload(&self) -> anyhow::Result<Arc<Pair>> {
        let pair = Arc::new(Pair::read(&self.certificate, &self.key, self.config.crypto_provider())?);
        *self.in_use.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&pair);
        Ok(pair)
    }

    fn stamp(&self) -> pair::Stamp {
        pair::stamp(&self.certificate, &self.key)
    }
}

/// Reads the pair again on each of `hangups` and when a file changed, for as long as the process lives.
pub async fn watch(tls: Arc<Tls>, clock: Clock, hangups: Arc<Mutex<Signal>>) -> Infallible {
    let mut hangups = hangups.lock().await;
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seen = tls.pair().stamp;
    let mut reminded: Option<Timestamp> = None;
    loop {
        let is_asked = tokio::select! {
            _ = looks.tick() => false,
            _ = hangups.recv() => true,
        };
        let at = Arc::clone(&tls);
        // Files may be on a network: not on a thread that answers requests.
        let stamp = tokio::task::spawn_blocking(move || at.stamp()).await.unwrap_or(seen);
        if is_asked || stamp != seen {
            seen = stamp;
            let at = Arc::clone(&tls);
            match tokio::task::spawn_blocking(move || at.reload()).await {
                Ok(Ok(pair)) => {
                    // What was read may be newer than what was looked at.
                    seen = pair.stamp;
                    reminded = None;
                    tracing::info!(fingerprint = pair.fingerprint, ends = %pair.ends, "a new TLS certificate is in use");
                }
                Ok(Err(error)) => tracing::warn!(
                    error = format!("{error:#}"),
                    "the new TLS certificate cannot be used; the one before stays in use"
                ),
                Err(_panic) => {}
            }
        }
        let now = clock.now();
        let is_due = reminded.is_none_or(|last| now.millis() - last.millis() >= REMINDER);
        if let Some(warning) = tls.warning(now).filter(|_| is_due) {
            reminded = Some(now);
            tracing::warn!("{warning}");
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600 * SECOND;

    #[test]
    fn a_self_signed_pair_is_kept_until_it_is_near_its_end_or_named_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let load = |names: &[&str], now: Timestamp| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Tls::load(Source::SelfSigned { directory: directory.path().to_owned(), names }, now).unwrap()
        };
        let names = ["api.localhost", "*.api.localhost", "127.0.0.1", "::1"];
        let start = Timestamp::from_millis(1_772_442_942_118);
        let first = load(&names, start);
        let pair = first.pair();
        for host in ["api.localhost", "507f1f77bcf86cd799439012.api.localhost", "127.0.0.1", "::1"] {
            assert!(pair.covers(host), "{host}");
        }
        for host in ["localhost", "other.test", "a.b.api.localhost", "127.0.0.2", ""] {
            assert!(!pair.covers(host), "{host}");
        }
        assert_eq!(first.warning(start), None);
        assert_eq!(load(&names, start.plus(300 * DAY)).pair().fingerprint, pair.fingerprint);
        // Near the end it is warned of, and the next start makes another.
        let late = start.plus(353 * DAY);
        assert!(first.warning(late).unwrap().contains("in less than 14 days"));
        assert!(first.warning(start.plus(366 * DAY)).unwrap().contains("ended on"));
        assert!(first.warning(start.plus(-30 * DAY)).unwrap().contains("not valid before"));
        let second = load(&names, late).pair();
        assert_ne!(second.fingerprint, pair.fingerprint);
        assert_ne!(load(&names[1..], late).pair().fingerprint, second.fingerprint);
    }

    #[test]
    fn browsers_are_told_to_stay_only_where_that_holds() {
        let directory = tempfile::tempdir().unwrap();
        let names = vec!["localhost".to_owned()];
        let source = Source::SelfSigned { directory: directory.path().to_owned(), names };
        let own = Tls::load(source, Timestamp::from_millis(1_772_442_942_118)).unwrap();
        let files = Source::Files { certificate: own.certificate.clone(), key: own.key.clone() };
        assert_eq!(own.with_strict_transport("api.example.com").strict(), None);
        for (host, is_told) in [
            ("api.example.com", true),
            ("localhost", false),
            ("api.localhost", false),
            ("10.0.0.1", false),
            ("::1", false),
        ] {
            let tls = Tls::load(files.clone(), Timestamp::from_millis(0)).unwrap();
            assert_eq!(tls.with_strict_transport(host).strict().is_some(), is_told, "{host}");
        }
    }
}
