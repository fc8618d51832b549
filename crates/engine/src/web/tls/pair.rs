//! A certificate with its key, as two PEM files hold them.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use hoody_core::time::{SECOND, Timestamp};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

/// How a file looks from outside: device, inode, size, and when content and inode changed.
type FileStamp = (u64, u64, u64, (i64, i64), (i64, i64));

/// How both files look; `None` for one that cannot be looked at.
pub(super) type Stamp = [Option<FileStamp>; 2];

/// A certificate that fits its key.
#[derive(Debug)]
pub struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) begins: Timestamp,
    pub ends: Timestamp,
    /// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` shows it.
    pub fingerprint: String,
    /// As the files looked just before they were read.
    pub(super) stamp: Stamp,
}

impl Pair {
    /// Reads both files.
    ///
    /// # Errors
    /// Names the file and what is wrong with it; the key is never repeated.
    pub(super) fn read(certificate: &Path, key: &Path, provider: &CryptoProvider) -> anyhow::Result<Self> {
        let stamp = stamp(certificate, key);
        let chain = read_chain(certificate)?;
        let private = read_key(key)?;
        let first = chain.first().context("a chain has a first certificate")?;
        let (begins, ends) = validity(first)
            .with_context(|| format!("tls-cert: {} holds no X.509 certificate", certificate.display()))?;
        let fingerprint = fingerprint(first);
        let certified = CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => anyhow::anyhow!(
                "tls-key: {} is not the key of the certificate in {}",
                key.display(),
                certificate.display()
            ),
            error => anyhow::anyhow!("tls-key: {} cannot be used: {error}", key.display()),
        })?;
        warn_if_open(key);
        Ok(Self { certified: Arc::new(certified), begins, ends, fingerprint, stamp })
    }

    /// What is wrong with it at `now`, or soon will be.
    pub(super) fn warning(&self, now: Timestamp) -> Option<String> {
        let (begins, ends) = (self.begins, self.ends);
        if now < begins {
            Some(format!("the TLS certificate is not valid before {begins}"))
        } else if now >= ends {
            Some(format!("the TLS certificate ended on {ends}"))
        } else if ends.millis() - now.millis() < super::SOON {
            Some(format!("the TLS certificate ends on {ends}, in less than 14 days"))
        } else {
            None
        }
    }

    /// When it ends, in Unix seconds, as metrics have it.
    pub fn ends_in_seconds(&self) -> f64 {
        f64::from(u32::try_from(self.ends.millis() / SECOND).unwrap_or(u32::MAX))
    }

    /// Whether clients that ask for this host find it in the certificate.
    pub fn covers(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(host) else { return false };
        let parsed = self.certified.end_entity_cert().and_then(ParsedCertificate::try_from);
        parsed.is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, &name).is_ok())
    }

    /// The names and addresses in the certificate, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let Some(first) = self.certified.cert.first() else { return Vec::new() };
        let Ok((_, parsed)) = X509Certificate::from_der(first) else { return Vec::new() };
        let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
        let mut names: Vec<_> = names.value.general_names.iter().filter_map(name).collect();
        names.sort();
        names
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => Some(std::net::IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?).to_string()),
            _ => Some(std::net::IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?).to_string()),
        },
        _ => None,
    }
}

fn read_chain(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let content =
        std::fs::read(path).with_context(|| format!("tls-cert: {} cannot be read", path.display()))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(without_mark(&content)).collect();
    let chain = chain.map_err(|_| anyhow::anyhow!("tls-cert: {} is not PEM", path.display()))?;
    if chain.is_empty() {
        bail!("tls-cert: {} holds no certificate in PEM", path.display());
    }
    Ok(chain)
}

/// Without the byte order mark that some editors put before the text.
fn without_mark(content: &[u8]) -> &[u8] {
    content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content)
}

fn read_key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    let content =
        std::fs::read(path).with_context(|| format!("tls-key: {} cannot be read", path.display()))?;
    let content = Zeroizing::new(content);
    // Not the parser's own words: they may quote the key.
    PrivateKeyDer::from_pem_slice(without_mark(&content))
        .map_err(|_| anyhow::anyhow!("tls-key: {} holds no unencrypted private key in PEM", path.display()))
}

fn validity(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let instant = |seconds: i64| Timestamp::checked_from_millis(seconds.saturating_mul(SECOND));
    let validity = parsed.validity();
    // A date beyond all dates is the end of time.
    let ends = instant(validity.not_after.timestamp()).unwrap_or(Timestamp::from_millis(i64::MAX));
    Some((instant(validity.not_before.timestamp())?, ends))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let bytes: Vec<_> = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

/// Its group may read a key (`root:ssl-cert` in Debian), nobody else.
fn warn_if_open(path: &Path) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o037 != 0 {
        tracing::warn!(file = %path.display(), "the TLS key can be read by others: chmod 600 it");
    }
}

/// How both files look now, behind all symbolic links.
pub(super) fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| {
        let file = std::fs::metadata(path).ok()?;
        let changed = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
        Some((file.dev(), file.ino(), file.size(), changed.0, changed.1))
    })
}
