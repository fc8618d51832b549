//! Where values come from: flag, environment, file. From the environment only the names listed here are
//! read. A key of the file that is not listed is an error.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use clap::Args;
use hoody_core::secret_text::without_mark;

/// The flags of `serve` and `admin`.
#[derive(Debug, Args, Clone, Default)]
#[command(next_help_heading = "Server settings (flag, then environment, then --config, then default)")]
pub(crate) struct ServerFlags {
    /// Where to listen; `:8080` is every IPv4 address [env: HOODY_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", global = true)]
    pub(super) listen: Option<String>,
    /// Where data, key and lock are kept [env: HOODY_DATA_DIR] [default: ./hoody-data]
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) data_dir: Option<String>,
    /// sqlite:FILE or postgres://… [env: HOODY_DATABASE_URL] [default: hoody.db in the data directory]
    #[arg(long, value_name = "URL", global = true)]
    pub(super) database_url: Option<String>,
    /// The host name below which `{realm}.` selects a realm [env: HOODY_DOMAIN] [default: api.localhost]
    #[arg(long, value_name = "HOST", global = true)]
    pub(super) domain: Option<String>,
    /// What links point to [env: HOODY_PUBLIC_URL] [default: http://{domain}:{port}]
    #[arg(long, value_name = "URL", global = true)]
    pub(super) public_url: Option<String>,
    /// Hosts that authorization codes may be sent to, by https [env: HOODY_REDIRECT_HOSTS] [default: none]
    #[arg(long, value_name = "HOST,…", global = true)]
    pub(super) redirect_hosts: Option<String>,
    /// Who may make an account: open, invitation or closed [env: HOODY_SIGN_UP] [default: closed]
    #[arg(long, value_name = "WHO", global = true)]
    pub(super) sign_up: Option<String>,
    /// Where mails go: smtp://HOST:PORT (with STARTTLS) or smtps://HOST:PORT [env: HOODY_SMTP_URL] [default: files in mail/ of the data directory]
    #[arg(long, value_name = "URL", global = true)]
    pub(super) smtp_url: Option<String>,
    /// Name and password for it, one a line [env: HOODY_SMTP_CREDENTIALS_FILE, or HOODY_SMTP_USERNAME and HOODY_SMTP_PASSWORD] [default: none]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) smtp_credentials_file: Option<String>,
    /// Whom mails are from, e.g. "Hoody <auth@example.com>" [env: HOODY_MAIL_FROM] [default: "hoody" at {domain}]
    #[arg(long, value_name = "ADDRESS", global = true)]
    pub(super) mail_from: Option<String>,
    /// Proxies whose X-Forwarded-For is believed [env: HOODY_TRUSTED_PROXIES] [default: none]
    #[arg(long, value_name = "CIDR,…", global = true)]
    pub(super) trusted_proxies: Option<String>,
    /// Where webhooks may go beside the Internet, also by http [env: HOODY_WEBHOOK_ALLOW] [default: none]
    #[arg(long, value_name = "CIDR,…", global = true)]
    pub(super) webhook_allow: Option<String>,
    /// Add the permissions of this TOML file at start [env: HOODY_PERMISSIONS] [default: none]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) permissions: Option<String>,
    /// Pages for people at /console: on, off, or insecure to take passwords over plain HTTP from other machines [env: HOODY_CONSOLE] [default: on]
    #[arg(long, value_name = "HOW", global = true)]
    pub(super) console: Option<String>,
    /// How deep tokens may make tokens, 1 to 16 [env: HOODY_MAX_DELEGATION_DEPTH] [default: 3]
    #[arg(long, value_name = "N", global = true)]
    pub(super) max_delegation_depth: Option<String>,
    /// How much memory credentials in use may take, e.g. 64MiB [env: HOODY_GRANT_CACHE] [default: 256MiB]
    #[arg(long, value_name = "SIZE", global = true)]
    pub(super) grant_cache: Option<String>,
    /// The container engine that runs containers, unix://PATH of its socket [env: HOODY_CONTAINER_ENGINE] [default: none]
    #[arg(long, value_name = "URL", global = true)]
    pub(super) container_engine: Option<String>,
    /// The name of this server in URLs, then further ids after commas [env: HOODY_CONTAINER_SERVER] [default: local]
    #[arg(long, value_name = "NAME,…", global = true)]
    pub(super) container_server: Option<String>,
    /// The images of containers, the default one first [env: HOODY_CONTAINER_IMAGE] [default: debian/13=docker.io/library/debian:13]
    #[arg(long, value_name = "NAME=IMAGE,…", global = true)]
    pub(super) container_image: Option<String>,
    /// The domain of containers' host names [env: HOODY_CONTAINER_DOMAIN] [default: containers. and {domain} without api.]
    #[arg(long, value_name = "HOST", global = true)]
    pub(super) container_domain: Option<String>,
    /// Who may use terminals unless a project says otherwise: token or url [env: HOODY_CONTAINER_ACCESS] [default: token]
    #[arg(long, value_name = "WHO", global = true)]
    pub(super) container_access: Option<String>,
    /// How much memory a container may take [env: HOODY_CONTAINER_MEMORY] [default: 512MiB]
    #[arg(long, value_name = "SIZE", global = true)]
    pub(super) container_memory: Option<String>,
    /// How many processes a container may have [env: HOODY_CONTAINER_PIDS] [default: 512]
    #[arg(long, value_name = "N", global = true)]
    pub(super) container_pids: Option<String>,
    /// Speak HTTPS with this certificate chain, PEM; read again when it changes [env: HOODY_TLS_CERT] [default: none]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) tls_cert: Option<String>,
    /// The certificate's key, PEM [env: HOODY_TLS_KEY] [default: none]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) tls_key: Option<String>,
    /// Speak HTTPS with a certificate made here, for a first try [env: HOODY_TLS_SELF_SIGNED] [default: false]
    #[arg(long, value_name = "BOOL", global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) tls_self_signed: Option<String>,
    /// One key a line, 64 hex digits [env: HOODY_MASTER_KEY_FILE, HOODY_MASTER_KEY] [default: master.key in the data directory]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) master_key_file: Option<String>,
    /// Serve Prometheus metrics here, and nowhere else [env: HOODY_METRICS_LISTEN] [default: none]
    #[arg(long, value_name = "ADDR", global = true)]
    pub(super) metrics_listen: Option<String>,
    /// Answer proxies on /gate here, and no longer on --listen [env: HOODY_GATE_LISTEN] [default: none]
    #[arg(long, value_name = "ADDR", global = true)]
    pub(super) gate_listen: Option<String>,
    /// Answer Envoy's ext_authz over gRPC here; beyond loopback only with --gate-grpc-client-ca [env: HOODY_GATE_GRPC_LISTEN] [default: none]
    #[arg(long, value_name = "ADDR", global = true)]
    pub(super) gate_grpc_listen: Option<String>,
    /// Speak TLS there, with clients whose certificate one of these issued, PEM [env: HOODY_GATE_GRPC_CLIENT_CA] [default: none]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) gate_grpc_client_ca: Option<String>,
    /// Log every request of a known account: on or off [env: HOODY_ACTIVITY] [default: on]
    #[arg(long, value_name = "ON", global = true)]
    pub(super) activity: Option<String>,
    /// When a request is logged: batched (0.25 s) or committed (before its answer) [env: HOODY_ACTIVITY_DURABILITY] [default: batched]
    #[arg(long, value_name = "HOW", global = true)]
    pub(super) activity_durability: Option<String>,
    /// How long the request log is kept, in days [env: HOODY_ACTIVITY_RETENTION] [default: 365d]
    #[arg(long, value_name = "DAYS", global = true)]
    pub(super) activity_retention: Option<String>,
    /// What is logged, e.g. info or hoody=debug [env: HOODY_LOG] [default: info]
    #[arg(long, value_name = "FILTER", global = true)]
    pub(super) log: Option<String>,
    /// How it is logged: text or json [env: HOODY_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT", global = true)]
    pub(super) log_format: Option<String>,
    /// A TOML file with these names [env: HOODY_CONFIG] [default: none]
    #[arg(long = "config", value_name = "FILE", global = true, id = "server_config")]
    pub(super) config: Option<String>,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Flag,
    Environment,
    File,
    Default,
}

/// What is wrong with the command line itself: it ends `serve` and `admin` with 2 (`design.md` 6).
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(pub(crate) String);

/// The environment, or a map in tests.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

const NAMES: &[(&str, &str)] = &[
    ("listen", "HOODY_LISTEN"),
    ("data-dir", "HOODY_DATA_DIR"),
    ("database-url", "HOODY_DATABASE_URL"),
    ("domain", "HOODY_DOMAIN"),
    ("public-url", "HOODY_PUBLIC_URL"),
    ("redirect-hosts", "HOODY_REDIRECT_HOSTS"),
    ("sign-up", "HOODY_SIGN_UP"),
    ("smtp-url", "HOODY_SMTP_URL"),
    ("smtp-credentials-file", "HOODY_SMTP_CREDENTIALS_FILE"),
    ("mail-from", "HOODY_MAIL_FROM"),
    ("trusted-proxies", "HOODY_TRUSTED_PROXIES"),
    ("webhook-allow", "HOODY_WEBHOOK_ALLOW"),
    ("permissions", "HOODY_PERMISSIONS"),
    ("console", "HOODY_CONSOLE"),
    ("max-delegation-depth", "HOODY_MAX_DELEGATION_DEPTH"),
    ("grant-cache", "HOODY_GRANT_CACHE"),
    ("container-engine", "HOODY_CONTAINER_ENGINE"),
    ("container-server", "HOODY_CONTAINER_SERVER"),
    ("container-image", "HOODY_CONTAINER_IMAGE"),
    ("container-domain", "HOODY_CONTAINER_DOMAIN"),
    ("container-access", "HOODY_CONTAINER_ACCESS"),
    ("container-memory", "HOODY_CONTAINER_MEMORY"),
    ("container-pids", "HOODY_CONTAINER_PIDS"),
    ("tls-cert", "HOODY_TLS_CERT"),
    ("tls-key", "HOODY_TLS_KEY"),
    ("tls-self-signed", "HOODY_TLS_SELF_SIGNED"),
    ("master-key-file", "HOODY_MASTER_KEY_FILE"),
    ("metrics-listen", "HOODY_METRICS_LISTEN"),
    ("gate-listen", "HOODY_GATE_LISTEN"),
    ("gate-grpc-listen", "HOODY_GATE_GRPC_LISTEN"),
    ("gate-grpc-client-ca", "HOODY_GATE_GRPC_CLIENT_CA"),
    ("activity", "HOODY_ACTIVITY"),
    ("activity-durability", "HOODY_ACTIVITY_DURABILITY"),
    ("activity-retention", "HOODY_ACTIVITY_RETENTION"),
    ("log", "HOODY_LOG"),
    ("log-format", "HOODY_LOG_FORMAT"),
];

/// What only the environment has.
pub(super) const SECRETS: [&str; 6] = [
    "HOODY_MASTER_KEY",
    "HOODY_SMTP_USERNAME",
    "HOODY_SMTP_PASSWORD",
    "HOODY_ADMIN_USERNAME",
    "HOODY_ADMIN_EMAIL",
    "HOODY_ADMIN_PASSWORD",
];

/// Fails where a variable that is read is set to what is no text: it would count as not set.
pub(super) fn check_environment() -> anyhow::Result<()> {
    let names = NAMES.iter().map(|(_, variable)| *variable).chain(["HOODY_CONFIG"]).chain(SECRETS);
    for name in names {
        if matches!(std::env::var(name), Err(std::env::VarError::NotUnicode(_))) {
            bail!("{name} must be UTF-8 text");
        }
    }
    Ok(())
}

/// A variable without blanks at its ends, unless that leaves nothing.
pub(super) fn env_text(env: Environment<'_>, name: &str) -> Option<String> {
    env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// What was given of the settings, and where.
pub(super) struct Values {
    pub(super) found: BTreeMap<&'static str, (String, Source)>,
}

impl Values {
    pub(super) fn collect(flags: &ServerFlags, env: Environment<'_>) -> anyhow::Result<Self> {
        let file = read_file(flags.config.clone().or_else(|| env_text(env, "HOODY_CONFIG")))?;
        let mut found = BTreeMap::new();
        for &(name, variable) in NAMES {
            let value = (flags.get(name).map(|value| (value, Source::Flag)))
                .or_else(|| env_text(env, variable).map(|value| (value, Source::Environment)))
                .or_else(|| file.get(name).map(|value| (value.clone(), Source::File)));
            if let Some((value, source)) = value {
                // No setting begins or ends with a blank: a file made by `echo` adds a line end.
                found.insert(name, (value.trim().to_owned(), source));
            }
        }
        Ok(Self { found })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.found.get(name).map(|(value, _)| value.as_str())
    }

    pub(super) fn parse<T>(
        &self,
        name: &str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        parse(self.get(name).unwrap_or(default)).map_err(|why| match self.found.get(name) {
            Some((_, source)) => {
                self.wrong(&[name], format!("{name} (from {}): {why}", source.describe(name)))
            }
            None => anyhow::anyhow!("{name}: {why}"),
        })
    }

    /// What is wrong with these settings: wrong usage where the command line gives one of them.
    pub(super) fn wrong(&self, names: &[&str], why: String) -> anyhow::Error {
        let is_flag = |name: &&str| matches!(self.found.get(*name), Some((_, Source::Flag)));
        if names.iter().any(is_flag) { WrongUsage(why).into() } else { anyhow::Error::msg(why) }
    }
}

impl Source {
    /// `flag --listen`, `HOODY_LISTEN`, `file`, `default`.
    pub(crate) fn describe(self, name: &str) -> String {
        match self {
            Self::Flag => format!("flag --{name}"),
            Self::Environment => {
                let variable = NAMES.iter().find(|(known, _)| *known == name);
                // The one name that only the environment has: HOODY_MASTER_KEY.
                let other = || format!("HOODY_{}", name.to_uppercase().replace('-', "_"));
                variable.map_or_else(other, |(_, variable)| (*variable).to_owned())
            }
            Self::File => "file".to_owned(),
            Self::Default => "default".to_owned(),
        }
    }
}

impl ServerFlags {
    fn get(&self, name: &str) -> Option<String> {
        let flag = match name {
            "listen" => &self.listen,
            "data-dir" => &self.data_dir,
            "database-url" => &self.database_url,
            "domain" => &self.domain,
            "public-url" => &self.public_url,
            "redirect-hosts" => &self.redirect_hosts,
            "sign-up" => &self.sign_up,
            "smtp-url" => &self.smtp_url,
            "smtp-credentials-file" => &self.smtp_credentials_file,
            "mail-from" => &self.mail_from,
            "trusted-proxies" => &self.trusted_proxies,
            "webhook-allow" => &self.webhook_allow,
            "permissions" => &self.permissions,
            "console" => &self.console,
            "max-delegation-depth" => &self.max_delegation_depth,
            "grant-cache" => &self.grant_cache,
            "container-engine" => &self.container_engine,
            "container-server" => &self.container_server,
            "container-image" => &self.container_image,
            "container-domain" => &self.container_domain,
            "container-access" => &self.container_access,
            "container-memory" => &self.container_memory,
            "container-pids" => &self.container_pids,
            "tls-cert" => &self.tls_cert,
            "tls-key" => &self.tls_key,
            "tls-self-signed" => &self.tls_self_signed,
            "master-key-file" => &self.master_key_file,
            "metrics-listen" => &self.metrics_listen,
            "gate-listen" => &self.gate_listen,
            "gate-grpc-listen" => &self.gate_grpc_listen,
            "gate-grpc-client-ca" => &self.gate_grpc_client_ca,
            "activity" => &self.activity,
            "activity-durability" => &self.activity_durability,
            "activity-retention" => &self.activity_retention,
            "log" => &self.log,
            "log-format" => &self.log_format,
            _ => &None,
        };
        flag.clone()
    }
}

fn read_file(path: Option<String>) -> anyhow::Result<BTreeMap<String, String>> {
    let Some(path) = path else { return Ok(BTreeMap::new()) };
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("the config file {path} cannot be read"))?;
    let text = without_mark(&text);
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // Not the error itself: it quotes the line, which may hold a password.
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        anyhow::anyhow!("the config file {path} is not TOML: line {line}: {}", error.message())
    })?;
    let mut values = BTreeMap::new();
    for (name, value) in table {
        if !NAMES.iter().any(|(known, _)| *known == name) {
            let known: Vec<_> = NAMES.iter().map(|(known, _)| *known).collect();
            bail!("{path}: unknown key {name:?}; the keys are {}", known.join(", "));
        }
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Array(items) => {
                let texts: Option<Vec<_>> = items.iter().map(toml::Value::as_str).collect();
                texts.with_context(|| format!("{path}: {name} must be a list of texts"))?.join(",")
            }
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(value) => value.to_string(),
            _ => bail!("{path}: {name} must be a text"),
        };
        values.insert(name, text);
    }
    Ok(values)
}
