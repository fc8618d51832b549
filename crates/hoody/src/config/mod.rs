//! The settings of `serve` and `admin`: flag, environment, file, default, in this order (`design.md` 6).
//!
//! Each setting knows where its value came from, so that `--print-config` can say it.

mod source;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use hoody_core::address::{AddressList, TrustedProxies};
use hoody_core::host::Domain;
use hoody_core::lineage::MAX_DEPTH;
use hoody_core::pkce::RedirectHosts;
use hoody_core::wire::Secret;
use zeroize::Zeroizing;

use source::Values;
pub(crate) use source::{Environment, ServerFlags, Source, WrongUsage, environment};

use crate::activity::ActivitySettings;
use crate::app::Settings;
use crate::db::Location;
use crate::http::tls;
use crate::keys::{KeySource, default_file};
use crate::mail::{self, SmtpServer, Transport};
use crate::signup;
use crate::users::first::FirstAccount;

/// The settings of a server.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) data_dir: PathBuf,
    /// Where the certificate is; none for plain HTTP.
    pub(crate) tls: Option<tls::Source>,
    pub(crate) log: String,
    pub(crate) is_log_json: bool,
    pub(crate) first_account: FirstAccount,
    pub(crate) settings: Settings,
    /// Name, value as it may be shown, source.
    pub(crate) shown: Vec<(&'static str, String, Source)>,
}

/// How deep tokens may make tokens unless told otherwise: an agent, its helpers, their tools.
pub(crate) const MAX_DELEGATION_DEPTH: u32 = 3;

/// Memory for credentials in use: some 260,000 of them.
const GRANT_CACHE: &str = "256MiB";

impl Config {
    /// Puts the settings together.
    ///
    /// # Errors
    /// Names the setting, where its value came from and the rule that it breaks.
    pub(crate) fn load(flags: &ServerFlags, env: Environment<'_>) -> anyhow::Result<Self> {
        let values = Values::collect(flags, env)?;
        let listen: SocketAddr = values.parse("listen", "127.0.0.1:8080", address)?;
        let metrics_listen = match values.get("metrics-listen") {
            Some(_) => Some(values.parse("metrics-listen", "", address)?),
            None => None,
        };
        let data_dir = PathBuf::from(values.get("data-dir").unwrap_or("./hoody-data"));
        let default_database = format!("sqlite:{}", data_dir.join("hoody.db").display());
        let database = values.parse("database-url", &default_database, Location::parse)?;
        let domain = values.parse("domain", "api.localhost", Domain::parse)?;
        let is_tls = is_tls(&values)?;
        let default_url = default_url(is_tls, &domain, listen.port());
        let public_url = values.parse("public-url", &default_url, url)?;
        let tls =
            is_tls.then(|| certificate(&values, listen, &domain, &public_url, &data_dir)).transpose()?;
        let webhook_allow = match values.get("webhook-allow") {
            Some(_) => Some(values.parse("webhook-allow", "", addresses)?),
            None => None,
        };
        let trusted_proxies = match values.get("trusted-proxies") {
            Some(_) => values.parse("trusted-proxies", "", TrustedProxies::parse)?,
            None => TrustedProxies::default(),
        };
        let default_depth = MAX_DELEGATION_DEPTH.to_string();
        let max_delegation_depth = values.parse("max-delegation-depth", &default_depth, delegation_depth)?;
        let grant_cache = values.parse("grant-cache", GRANT_CACHE, size)?;
        let redirect_hosts = values.parse("redirect-hosts", "", RedirectHosts::parse)?;
        let sign_up = values.parse("sign-up", "closed", signup::Mode::parse)?;
        let mail = mail_transport(&values, env, &data_dir, &domain)?;
        let keys = key_source(&values, env, &data_dir)?;
        let is_log_json = values.parse("log-format", "text", |format| match format {
            "text" => Ok(false),
            "json" => Ok(true),
            _ => Err("must be text or json".to_owned()),
        })?;
        let exposure_warning = exposure_warning(listen, is_tls, &trusted_proxies);
        let activity = activity(&values)?;
        let shown = shown(&values, &data_dir, &default_database, &domain, &public_url, &keys);
        Ok(Self {
            listen,
            metrics_listen,
            tls,
            log: values.get("log").unwrap_or("info").to_owned(),
            is_log_json,
            first_account: FirstAccount {
                username: env("HOODY_ADMIN_USERNAME"),
                email: env("HOODY_ADMIN_EMAIL"),
                password: env("HOODY_ADMIN_PASSWORD").map(Secret::from),
            },
            settings: Settings {
                database,
                keys,
                data_dir: data_dir.clone(),
                domain,
                public_url,
                redirect_hosts,
                mail,
                sign_up,
                trusted_proxies,
                webhook_allow,
                max_delegation_depth,
                grant_cache,
                exposure_warning,
                tls: None,
                activity,
            },
            data_dir,
            shown,
        })
    }
}

fn activity(values: &Values) -> anyhow::Result<ActivitySettings> {
    let one_of = |text: &str, yes: &str, no: &str| match text {
        text if text == yes => Ok(true),
        text if text == no => Ok(false),
        _ => Err(format!("must be {yes} or {no}")),
    };
    Ok(ActivitySettings {
        is_on: values.parse("activity", "on", |text| one_of(text, "on", "off"))?,
        is_committed: values
            .parse("activity-durability", "batched", |text| one_of(text, "committed", "batched"))?,
        retention_days: values.parse("activity-retention", "365d", days)?,
    })
}

fn days(text: &str) -> Result<i64, String> {
    let number = text.strip_suffix('d').unwrap_or(text).parse().ok();
    let number = number.filter(|days| (1..=3_650).contains(days));
    number.ok_or_else(|| "must be a number of days from 1d to 3650d".to_owned())
}

fn addresses(text: &str) -> Result<AddressList, String> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    AddressList::parse_entries(entries).map_err(|_| "must be addresses and networks, with commas".to_owned())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an address and a port, e.g. 127.0.0.1:8080 or [::1]:8080".to_owned())
}

fn delegation_depth(text: &str) -> Result<u32, String> {
    let depth = text.parse().ok().filter(|depth| (1..=MAX_DEPTH).contains(depth));
    depth.ok_or_else(|| format!("must be a number from 1 to {MAX_DEPTH}"))
}

/// Bytes: a number with `KiB`, `MiB` or `GiB`, at least one MiB.
fn size(text: &str) -> Result<usize, String> {
    let shifts = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) =
        shifts.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift))).unwrap_or((text, 0));
    let number = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse::<usize>().ok());
    let bytes = number.flatten().and_then(|number| number.checked_mul(1 << shift));
    bytes
        .filter(|bytes| *bytes >= 1 << 20)
        .ok_or_else(|| "must be a size of 1MiB or more, e.g. 64MiB".to_owned())
}

fn url(text: &str) -> Result<String, String> {
    let uri: http::Uri =
        text.parse().map_err(|_| "must be an address such as https://api.example.com".to_owned())?;
    let is_plain = uri.path() == "/" && uri.query().is_none();
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if is_plain && !authority.as_str().contains('@') => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("must be http:// or https:// with a host and no path".to_owned()),
    }
}

fn key_source(
    values: &Values,
    env: Environment<'_>,
    data_dir: &std::path::Path,
) -> anyhow::Result<KeySource> {
    let file = values.get("master-key-file");
    match (file, env("HOODY_MASTER_KEY")) {
        (Some(_), Some(_)) => {
            let why = "both a master key file and HOODY_MASTER_KEY are given: give one of them";
            Err(values.wrong(&["master-key-file"], why.to_owned()))
        }
        (Some(file), None) => Ok(KeySource::File(PathBuf::from(file))),
        (None, Some(key)) => Ok(KeySource::Variable(Zeroizing::new(key))),
        (None, None) => Ok(KeySource::File(default_file(data_dir))),
    }
}

fn is_tls(values: &Values) -> anyhow::Result<bool> {
    let is_self_signed = values.parse("tls-self-signed", "false", truth)?;
    let wrong = |why: &str| Err(values.wrong(&["tls-cert", "tls-key", "tls-self-signed"], why.to_owned()));
    match (values.get("tls-cert"), values.get("tls-key")) {
        (None, None) => Ok(is_self_signed),
        (Some(_), Some(_)) if is_self_signed => {
            wrong("tls-self-signed goes without tls-cert and tls-key: give one or the other")
        }
        (Some(_), Some(_)) => Ok(true),
        (Some(_), None) => wrong("tls-cert needs tls-key: the file of its key"),
        (None, Some(_)) => wrong("tls-key needs tls-cert: the file of its certificate"),
    }
}

fn truth(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

fn default_url(is_tls: bool, domain: &Domain, port: u16) -> String {
    match (is_tls, port) {
        (true, 443) => format!("https://{domain}"),
        (true, _) => format!("https://{domain}:{port}"),
        (false, _) => format!("http://{domain}:{port}"),
    }
}

fn certificate(
    values: &Values,
    listen: SocketAddr,
    domain: &Domain,
    public_url: &str,
    data_dir: &std::path::Path,
) -> anyhow::Result<tls::Source> {
    if let (Some(certificate), Some(key)) = (values.get("tls-cert"), values.get("tls-key")) {
        let (certificate, key) = (PathBuf::from(certificate), PathBuf::from(key));
        return Ok(tls::Source::Files { certificate, key });
    }
    let mut names =
        vec![domain.to_string(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if domain.as_str().parse::<std::net::IpAddr>().is_err() {
        names.push(format!("*.{domain}"));
    }
    names.push(host_of(public_url).context("the public URL has a host")?);
    if !listen.ip().is_unspecified() {
        names.push(listen.ip().to_canonical().to_string());
    }
    names.sort();
    names.dedup();
    Ok(tls::Source::SelfSigned { directory: data_dir.to_owned(), names })
}

/// The host of an address, without brackets.
pub(crate) fn host_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    Some(uri.host()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase())
}

fn exposure_warning(listen: SocketAddr, is_tls: bool, proxies: &TrustedProxies) -> Option<&'static str> {
    let is_exposed = !listen.ip().is_loopback() && !is_tls && proxies.is_empty();
    is_exposed.then_some(
        "listening beyond loopback with neither TLS nor a trusted proxy: credentials travel in the clear",
    )
}

/// How mails leave. The file with credentials is read here, so that what is wrong is said at the start.
fn mail_transport(
    values: &Values,
    env: Environment<'_>,
    data_dir: &std::path::Path,
    domain: &Domain,
) -> anyhow::Result<Transport> {
    let from = values.parse("mail-from", &format!("hoody@{domain}"), mail::parse_sender)?;
    if values.get("smtp-url").is_none() {
        return Ok(Transport { from, route: mail::Route::files(data_dir) });
    }
    let server = values.parse("smtp-url", "", SmtpServer::parse)?;
    if values.get("mail-from").is_none() {
        let why = "mail-from: must be given with smtp-url, e.g. --mail-from auth@example.com";
        return Err(values.wrong(&["smtp-url"], why.to_owned()));
    }
    let given = match (
        values.get("smtp-credentials-file"),
        env("HOODY_SMTP_USERNAME"),
        env("HOODY_SMTP_PASSWORD"),
    ) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            let why =
                "both a file and HOODY_SMTP_USERNAME or HOODY_SMTP_PASSWORD give SMTP credentials: give one";
            return Err(values.wrong(&["smtp-credentials-file"], why.to_owned()));
        }
        (Some(path), None, None) => {
            let text = std::fs::read_to_string(path).map(Zeroizing::new);
            let text = text.with_context(|| format!("smtp-credentials-file: {path} cannot be read"))?;
            let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
            match (lines.next(), lines.next(), lines.next()) {
                (Some(name), Some(password), None) => Some((name.to_owned(), Secret::from(password))),
                _ => bail!("smtp-credentials-file: {path} must have two lines, name and password"),
            }
        }
        (None, Some(name), Some(password)) => Some((name, Secret::from(password))),
        (None, None, None) => None,
        _ => bail!("HOODY_SMTP_USERNAME and HOODY_SMTP_PASSWORD must be given both"),
    };
    Ok(Transport { from, route: mail::Route::Smtp { server, credentials: given } })
}

fn shown(
    values: &Values,
    data_dir: &std::path::Path,
    default_database: &str,
    domain: &Domain,
    public_url: &str,
    keys: &KeySource,
) -> Vec<(&'static str, String, Source)> {
    let defaults = [
        ("listen", "127.0.0.1:8080".to_owned()),
        ("data-dir", data_dir.display().to_string()),
        ("database-url", default_database.to_owned()),
        ("domain", domain.to_string()),
        ("public-url", public_url.to_owned()),
        ("redirect-hosts", "none".to_owned()),
        ("sign-up", "closed".to_owned()),
        ("smtp-url", format!("files in {}", data_dir.join("mail").display())),
        ("smtp-credentials-file", "none".to_owned()),
        ("mail-from", format!("hoody@{domain}")),
        ("trusted-proxies", "none".to_owned()),
        ("webhook-allow", "none".to_owned()),
        ("max-delegation-depth", MAX_DELEGATION_DEPTH.to_string()),
        ("grant-cache", GRANT_CACHE.to_owned()),
        ("tls-cert", "none".to_owned()),
        ("tls-key", "none".to_owned()),
        ("tls-self-signed", "false".to_owned()),
        ("master-key-file", format!("{keys:?}")),
        ("metrics-listen", "none".to_owned()),
        ("activity", "on".to_owned()),
        ("activity-durability", "batched".to_owned()),
        ("activity-retention", "365d".to_owned()),
        ("log", "info".to_owned()),
        ("log-format", "text".to_owned()),
    ];
    let shown = defaults.into_iter().map(|(name, default)| match values.found.get(name) {
        Some((value, source)) if name == "database-url" => (name, without_password(value), *source),
        Some((value, source)) => (name, value.clone(), *source),
        None if name == "master-key-file" && matches!(keys, KeySource::Variable(_)) => {
            ("master-key", "not shown".to_owned(), Source::Environment)
        }
        None => (name, default, Source::Default),
    });
    shown.collect()
}

/// `postgres://user:password@host/db` without the password, and without parameters that may hold one.
fn without_password(url: &str) -> String {
    let url = url.split('?').next().unwrap_or(url);
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((user, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    let user = user.split(':').next().unwrap_or(user);
    format!("{scheme}://{user}:***@{host}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn load(flags: &ServerFlags, env: &[(&str, &str)]) -> anyhow::Result<Config> {
        let env: BTreeMap<_, _> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::load(flags, &|name| env.get(name).cloned())
    }

    fn source(config: &Config, wanted: &str) -> Source {
        config.shown.iter().find(|(name, ..)| *name == wanted).unwrap().2
    }

    #[test]
    fn without_anything_the_defaults_of_the_design_hold() {
        let config = load(&ServerFlags::default(), &[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.settings.public_url, "http://api.localhost:8080");
        assert_eq!(config.data_dir, PathBuf::from("./hoody-data"));
        assert!(config.settings.exposure_warning.is_none());
        assert!(config.shown.iter().all(|(_, _, source)| *source == Source::Default));
    }

    #[test]
    fn flag_then_environment_then_file_then_default() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hoody.toml");
        std::fs::write(&path, "listen = \"127.0.0.1:1\"\ndomain = \"file.test\"\nlog = \"warn\"\n").unwrap();
        let flags = ServerFlags {
            listen: Some("127.0.0.1:3".to_owned()),
            config: Some(path.display().to_string()),
            ..ServerFlags::default()
        };
        let config = load(&flags, &[("HOODY_LISTEN", "127.0.0.1:2"), ("HOODY_DOMAIN", "env.test")]).unwrap();
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.settings.domain.to_string(), "env.test");
        assert_eq!(config.log, "warn");
        assert_eq!(source(&config, "listen"), Source::Flag);
        assert_eq!(source(&config, "domain"), Source::Environment);
        assert_eq!(source(&config, "log"), Source::File);
        assert_eq!(source(&config, "data-dir"), Source::Default);
    }

    #[test]
    fn an_unknown_key_of_the_file_is_named_and_one_of_the_environment_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hoody.toml");
        std::fs::write(&path, "listne = \"127.0.0.1:1\"\n").unwrap();
        let flags = ServerFlags { config: Some(path.display().to_string()), ..ServerFlags::default() };
        let error = load(&flags, &[]).unwrap_err().to_string();
        assert!(error.contains("listne"), "{error}");
        assert!(load(&ServerFlags::default(), &[("HOODY_TOKEN", "hdy_x"), ("HOODY_LISTNE", "x")]).is_ok());
    }

    #[test]
    fn a_bad_value_is_named_with_its_source_and_never_shown_when_it_may_hold_a_password() {
        let env = [("HOODY_DATABASE_URL", "mysql://ada:geheim@db/x")];
        let error = load(&ServerFlags::default(), &env).unwrap_err().to_string();
        assert!(error.contains("database-url (from HOODY_DATABASE_URL)"), "{error}");
        assert!(!error.contains("geheim"), "{error}");
        let env = [("HOODY_DATABASE_URL", "postgres://ada:geheim@db/x?sslpassword=geheim")];
        let config = load(&ServerFlags::default(), &env).unwrap();
        assert!(!format!("{config:?}").contains("geheim"));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hoody.toml");
        std::fs::write(&path, "database-url = \"postgres://ada:geheim@db\n").unwrap();
        let flags = ServerFlags { config: Some(path.display().to_string()), ..ServerFlags::default() };
        let error = load(&flags, &[]).unwrap_err().to_string();
        assert!(error.contains("line 1") && !error.contains("geheim"), "{error}");
    }

    #[test]
    fn what_a_flag_says_wrong_is_wrong_usage_and_what_others_say_is_not() {
        let flags = |change: fn(&mut ServerFlags)| {
            let mut flags = ServerFlags::default();
            change(&mut flags);
            load(&flags, &[]).unwrap_err().is::<WrongUsage>()
        };
        assert!(flags(|flags| flags.listen = Some("x".to_owned())));
        assert!(flags(|flags| flags.activity = Some("maybe".to_owned())));
        assert!(flags(|flags| flags.tls_cert = Some("cert.pem".to_owned())));
        assert!(flags(|flags| flags.smtp_url = Some("smtp://mail.test".to_owned())));
        // The file is not there: the command line is as it should be.
        assert!(!flags(|flags| flags.config = Some("nowhere.toml".to_owned())));
        for (name, value) in [("HOODY_LISTEN", "x"), ("HOODY_TLS_CERT", "cert.pem")] {
            let error = load(&ServerFlags::default(), &[(name, value)]).unwrap_err();
            assert!(!error.is::<WrongUsage>(), "{error}");
        }
    }

    #[test]
    fn delegation_has_a_depth_from_1_to_16() {
        let depth = |text| load(&ServerFlags::default(), &[("HOODY_MAX_DELEGATION_DEPTH", text)]);
        assert_eq!(depth("16").unwrap().settings.max_delegation_depth, 16);
        for wrong in ["0", "17", "-1", "two", "1.5"] {
            let error = depth(wrong).unwrap_err().to_string();
            assert!(error.contains("max-delegation-depth (from HOODY_MAX_DELEGATION_DEPTH)"), "{error}");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hoody.toml");
        std::fs::write(&path, "max-delegation-depth = 5\n").unwrap();
        let flags = ServerFlags { config: Some(path.display().to_string()), ..ServerFlags::default() };
        assert_eq!(load(&flags, &[]).unwrap().settings.max_delegation_depth, 5);
    }

    #[test]
    fn a_size_has_a_unit_and_is_not_tiny() {
        for (text, bytes) in
            [("64MiB", 64 << 20), ("1GiB", 1 << 30), ("2048KiB", 2 << 20), ("1048576", 1 << 20)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in [
            "",
            "MiB",
            "64",
            "64MB",
            "64 MiB",
            "-1MiB",
            "+64MiB",
            "1.5GiB",
            "1KiB",
            "99999999999999999999GiB",
        ] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        let error = load(&ServerFlags::default(), &[("HOODY_GRANT_CACHE", "big")]).unwrap_err().to_string();
        assert!(error.contains("grant-cache (from HOODY_GRANT_CACHE)"), "{error}");
    }

    #[test]
    fn listening_to_the_world_in_the_clear_is_warned_of() {
        let open = load(&ServerFlags::default(), &[("HOODY_LISTEN", "0.0.0.0:8080")]).unwrap();
        assert!(open.settings.exposure_warning.is_some());
        let behind = [("HOODY_LISTEN", "0.0.0.0:8080"), ("HOODY_TRUSTED_PROXIES", "10.0.0.0/8")];
        assert!(load(&ServerFlags::default(), &behind).unwrap().settings.exposure_warning.is_none());
    }

    #[test]
    fn two_sources_of_the_master_key_are_refused() {
        let env = [("HOODY_MASTER_KEY", "00"), ("HOODY_MASTER_KEY_FILE", "k")];
        assert!(load(&ServerFlags::default(), &env).is_err());
    }
}
