//! A certificate for a first try: made here, kept in the data directory, trusted by whoever is given it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hoody_core::time::{SECOND, Timestamp};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::CryptoProvider;
use zeroize::Zeroizing;

use super::SOON;
use super::pair::Pair;
use crate::files::write_whole;

const DAY: i64 = 24 * 3600 * SECOND;
/// How long it holds.
const LIFE: i64 = 365 * DAY;

/// The files of a pair for `names` that holds for some time yet: the one that is there, or a new one.
pub(super) fn ensure(
    directory: &Path,
    names: &[String],
    now: Timestamp,
    provider: &CryptoProvider,
) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (directory.join("self-signed.crt"), directory.join("self-signed.key"));
    let mut wanted = names.to_vec();
    wanted.sort();
    let is_good =
        |pair: Pair| pair.begins <= now && pair.ends.millis() - now.millis() > SOON && pair.names() == wanted;
    if !Pair::read(&certificate, &key, provider).is_ok_and(is_good) {
        make(&certificate, &key, names, now)?;
    }
    Ok((certificate, key))
}

fn make(certificate: &Path, key: &Path, names: &[String], now: Timestamp) -> anyhow::Result<()> {
    let pair = KeyPair::generate().context("no key can be made for the self-signed certificate")?;
    let mut params = CertificateParams::new(names.to_vec())
        .context("no self-signed certificate can be made for the names of this server")?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "hoody self-signed");
    // Yesterday, for clients whose clock is behind.
    let (begins, ends) = (day(now.plus(-DAY))?, day(now.plus(LIFE))?);
    params.not_before = rcgen::date_time_ymd(begins.0, begins.1, begins.2);
    params.not_after = rcgen::date_time_ymd(ends.0, ends.1, ends.2);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let made = params.self_signed(&pair).context("the self-signed certificate cannot be made")?;
    let secret = Zeroizing::new(pair.serialize_pem());
    replace(key, secret.as_bytes())?;
    replace(certificate, made.pem().as_bytes())?;
    tracing::info!(file = %certificate.display(), "made a self-signed certificate");
    Ok(())
}

/// Year, month and day of an instant.
fn day(instant: Timestamp) -> anyhow::Result<(i32, u8, u8)> {
    let date = jiff::Timestamp::from_millisecond(instant.millis())?.to_zoned(jiff::tz::TimeZone::UTC).date();
    Ok((date.year().into(), u8::try_from(date.month())?, u8::try_from(date.day())?))
}

fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    write_whole(path, content).with_context(|| format!("{} cannot be made", path.display()))
}
