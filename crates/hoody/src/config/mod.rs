//! The settings of `serve` and `admin`: flag, environment, file, default, in this order (`design.md` 6).
//!
//! Each setting knows where its value came from, so that `--print-config` can say it.

mod containers;
pub(crate) mod permissions;
mod source;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use hoody_console::Plain;
use hoody_core::address::{AddressList, TrustedProxies};
use hoody_core::host::Domain;
use hoody_core::lineage::MAX_DEPTH;
use hoody_core::names;
use hoody_core::pkce::RedirectHosts;
use hoody_core::secret_text;
use hoody_core::wire::Secret;
use zeroize::Zeroizing;

pub(crate) use source::{Environment, ServerFlags, Source, WrongUsage};
use source::{Values, env_text};

use hoody_engine::activity::ActivitySettings;
use hoody_engine::db::{Location, environment};
use hoody_engine::engine;
use hoody_engine::keys::{self, KeySource, default_file};
use hoody_engine::telemetry;
use hoody_engine::web::tls;
use hoody_service::mail::has_good_port;
use hoody_service::mail::{self, SmtpServer, Transport};
use hoody_service::nouns::Settings;
use hoody_service::signup;
use hoody_service::users::first::FirstAccount;
use hoody_service::wing::Wings;

/// The settings of a server.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) gate: GateListeners,
    pub(crate) data_dir: PathBuf,
    /// Where the certificate is; none for plain HTTP.
    pub(crate) tls: Option<tls::Source>,
    /// Whose permissions are added at start.
    pub(crate) permissions: Option<PathBuf>,
    pub(crate) log: String,
    pub(crate) is_log_json: bool,
    pub(crate) first_account: FirstAccount,
    /// The pages for people; `None` for none.
    pub(crate) console: Option<Plain>,
    pub(crate) settings: Settings,
    /// Name, value as it may be shown, source.
    pub(crate) shown: Vec<(&'static str, String, Source)>,
}

/// Where proxies ask, apart from everybody else.
#[derive(Debug, Default)]
pub(crate) struct GateListeners {
    /// Over HTTP.
    pub(crate) http: Option<SocketAddr>,
    /// Over gRPC.
    pub(crate) grpc: Option<SocketAddr>,
    /// Who issues the certificates of clients there.
    pub(crate) client_ca: Option<PathBuf>,
}

/// How deep tokens may make tokens unless told otherwise: an agent, its helpers, their tools.
pub(crate) const MAX_DELEGATION_DEPTH: u32 = 3;

/// Memory for credentials in use: some 260,000 of them.
const GRANT_CACHE: &str = "256MiB";

impl Config {
    /// The settings of this process.
    ///
    /// # Errors
    /// As [`load`](Self::load); also for a variable that is no text.
    pub(crate) fn of_process(flags: &ServerFlags) -> anyhow::Result<Self> {
        source::check_environment()?;
        Self::load(flags, &environment)
    }

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
        let gate = gate_listeners(&values)?;
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
        let console = values.parse("console", "on", console)?;
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
        let log = values.parse("log", "info", telemetry::check_filter)?;
        let is_log_json = values.parse("log-format", "text", |format| one_of(format, "json", "text"))?;
        let exposure_warning = exposure_warning(listen, is_tls, &trusted_proxies);
        let activity = activity(&values)?;
        let containers = containers::read(&values, &domain)?;
        let shown = shown(&values, &data_dir, &default_database, &domain, &public_url, &keys);
        Ok(Self {
            listen,
            metrics_listen,
            gate,
            tls,
            permissions: values.get("permissions").map(PathBuf::from),
            log,
            is_log_json,
            console,
            first_account: FirstAccount {
                username: env_text(env, "HOODY_ADMIN_USERNAME"),
                email: env_text(env, "HOODY_ADMIN_EMAIL").map(|text| names::compose(&text)),
                password: env("HOODY_ADMIN_PASSWORD").map(|text| secret_text::password(&text).into()),
            },
            settings: Settings {
                engine: engine::Settings {
                    database,
                    keys,
                    data_dir: data_dir.clone(),
                    domain,
                    public_url,
                    trusted_proxies,
                    grant_cache,
                    exposure_warning,
                    tls: None,
                    activity,
                },
                redirect_hosts,
                mail,
                sign_up,
                webhook_allow,
                max_delegation_depth,
                gate_url: None,
                wings: Wings(vec![hoody_containers::wing(containers)]),
            },
            data_dir,
            shown,
        })
    }

    /// Checks what `serve` finds out only later: the master key, the data directory, and what the first account
    /// is made of.
    ///
    /// # Errors
    /// What `serve` would end with.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        check_data_dir(&self.data_dir)?;
        let database = &self.settings.engine.database;
        let may_make = database.engine() == "sqlite" && !database.is_there();
        keys::check(&self.settings.engine.keys, may_make)?;
        self.permissions.as_deref().map_or(Ok(()), |file| permissions::read(file).map(|_| ()))?;
        self.first_account.check()
    }
}

/// What is there must be a directory that can be used; `serve` makes one where there is nothing.
fn check_data_dir(path: &Path) -> anyhow::Result<()> {
    let name = path.display();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("data-dir: {name} cannot be used")),
        Ok(found) if !found.is_dir() => bail!("data-dir: {name} is not a directory"),
        Ok(_) => {}
    }
    let needed = rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(path, needed).with_context(|| format!("data-dir: {name} cannot be written"))
}

/// Whether it is `yes` rather than `no`, in any case.
fn one_of(text: &str, yes: &str, no: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase() {
        text if text == yes => Ok(true),
        text if text == no => Ok(false),
        _ => Err(format!("must be {yes} or {no}")),
    }
}

fn activity(values: &Values) -> anyhow::Result<ActivitySettings> {
    Ok(ActivitySettings {
        is_on: values
            .parse("activity", "on", |text| truth(text).map_err(|_| "must be on or off".to_owned()))?,
        is_committed: values
            .parse("activity-durability", "batched", |text| one_of(text, "committed", "batched"))?,
        retention_days: values.parse("activity-retention", "365d", days)?,
    })
}

/// Where proxies ask. What they say about clients is believed, so a listener of gRPC that others than this machine
/// reach asks for certificates.
fn gate_listeners(values: &Values) -> anyhow::Result<GateListeners> {
    let listen = |name: &str| values.get(name).map(|_| values.parse(name, "", address)).transpose();
    let (http, grpc) = (listen("gate-listen")?, listen("gate-grpc-listen")?);
    let client_ca = values.get("gate-grpc-client-ca").map(PathBuf::from);
    let names = ["gate-grpc-listen", "gate-grpc-client-ca"];
    let is_tls = is_tls(values)?;
    match (grpc, &client_ca) {
        (Some(address), None) if !address.ip().is_loopback() => {
            let why = "gate-grpc-listen: beyond loopback it needs gate-grpc-client-ca, the file of the authority that \
                       issues the proxies' certificates";
            Err(values.wrong(&names, why.to_owned()))
        }
        (Some(_), Some(_)) if !is_tls => {
            let why =
                "gate-grpc-client-ca: needs a certificate of the server, too: give tls-cert and tls-key";
            Err(values.wrong(&names, why.to_owned()))
        }
        (None, Some(_)) => {
            Err(values.wrong(&names, "gate-grpc-client-ca: needs gate-grpc-listen".to_owned()))
        }
        _ => Ok(GateListeners { http, grpc, client_ca }),
    }
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

/// An address and a port; `localhost:8080` is this machine, `:8080` and `*:8080` every IPv4 address of it.
fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || {
        "must be an address and a port, e.g. 127.0.0.1:8080, localhost:8080, [::1]:8080, or :8080 for every \
         address"
            .to_owned()
    };
    let ip = match text.rsplit_once(':') {
        Some((host, _)) if host.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST,
        Some(("" | "*", _)) => Ipv4Addr::UNSPECIFIED,
        _ => return text.parse().map_err(|_| wrong()),
    };
    let port = text.rsplit_once(':').map_or("", |(_, port)| port);
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = is_number.then(|| port.parse::<u16>().ok()).flatten().ok_or_else(wrong)?;
    Ok(SocketAddr::from((ip, port)))
}

fn console(text: &str) -> Result<Option<Plain>, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Ok(Some(Plain::Refused)),
        "insecure" => Ok(Some(Plain::Allowed)),
        "off" => Ok(None),
        _ => Err("must be on, off or insecure".to_owned()),
    }
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
    // The parser passes over a fragment, and over a port that is none.
    let is_plain = uri.path() == "/" && uri.query().is_none() && !text.contains('#');
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority))
            if is_plain && !authority.as_str().contains('@') && has_good_port(authority) =>
        {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("must be http:// or https:// with a host, optionally a port, and no path".to_owned()),
    }
}

fn key_source(values: &Values, env: Environment<'_>, data_dir: &Path) -> anyhow::Result<KeySource> {
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

/// Yes or no, in the words that other programs take.
fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "on" => Ok(true),
        "false" | "0" | "no" | "n" | "off" => Ok(false),
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
    data_dir: &Path,
) -> anyhow::Result<tls::Source> {
    if let (Some(certificate), Some(key)) = (values.get("tls-cert"), values.get("tls-key")) {
        let (certificate, key) = (PathBuf::from(certificate), PathBuf::from(key));
        return Ok(tls::Source::Files { certificate, key });
    }
    let mut names =
        vec![domain.to_string(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if domain.as_str().parse::<std::net::IpAddr>().is_err() {
        names.push(format!("*.{domain}"));
        let containers = containers::read(values, domain)?;
        names.push(format!("*.{}.{}", containers.server.name(), containers.domain));
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
    data_dir: &Path,
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
        env_text(env, "HOODY_SMTP_USERNAME"),
        env("HOODY_SMTP_PASSWORD").map(|text| Secret::new(secret_text::password(&text))),
    ) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            let why =
                "both a file and HOODY_SMTP_USERNAME or HOODY_SMTP_PASSWORD give SMTP credentials: give one";
            return Err(values.wrong(&["smtp-credentials-file"], why.to_owned()));
        }
        (Some(path), None, None) => {
            let text = std::fs::read_to_string(path).map(Zeroizing::new);
            let text = text.with_context(|| format!("smtp-credentials-file: {path} cannot be read"))?;
            // As everywhere: blanks at the ends are part of a password, and of nothing else.
            let lines = secret_text::without_mark(&text).split('\n').map(secret_text::password);
            let mut lines = lines.filter(|line| !line.trim().is_empty());
            match (lines.next(), lines.next(), lines.next()) {
                (Some(name), Some(password), None) => Some((name.trim().to_owned(), Secret::from(password))),
                _ => bail!("smtp-credentials-file: {path} must have two lines, name and password"),
            }
        }
        (None, Some(name), Some(password)) => Some((name, password)),
        (None, None, None) => None,
        _ => bail!("HOODY_SMTP_USERNAME and HOODY_SMTP_PASSWORD must be given both"),
    };
    Ok(Transport { from, route: mail::Route::Smtp { server, credentials: given } })
}

fn shown(
    values: &Values,
    data_dir: &Path,
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
        ("permissions", "none".to_owned()),
        ("console", "on".to_owned()),
        ("max-delegation-depth", MAX_DELEGATION_DEPTH.to_string()),
        ("grant-cache", GRANT_CACHE.to_owned()),
        ("tls-cert", "none".to_owned()),
        ("tls-key", "none".to_owned()),
        ("tls-self-signed", "false".to_owned()),
        ("master-key-file", format!("{keys:?}")),
        ("metrics-listen", "none".to_owned()),
        ("gate-listen", "none".to_owned()),
        ("gate-grpc-listen", "none".to_owned()),
        ("gate-grpc-client-ca", "none".to_owned()),
        ("activity", "on".to_owned()),
        ("activity-durability", "batched".to_owned()),
        ("activity-retention", "365d".to_owned()),
        ("log", "info".to_owned()),
        ("log-format", "text".to_owned()),
    ];
    let defaults = defaults.into_iter().chain(containers::defaults(domain));
    let shown = defaults.map(|(name, default)| match values.found.get(name) {
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
mod tests;
