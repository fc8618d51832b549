//! Every setting of the client and where it comes from: flag, environment, profile, file, default, in
//! that order (`contract/cli.md` 1 to 3).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use hoody_client::id::RealmId;
use hoody_client::wire::Secret;
use hoody_core::secret_text;
use serde_json::Value;

use crate::context::config_file::Config;
use crate::context::flags::ClientFlags;
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output::Format;

/// Where the server is unless told otherwise: what `hoody serve` listens on.
pub const DEFAULT_BASE_URL: &str = "http://127.0.0.1:8080";

/// The variables that name the token, first the one that wins.
pub(crate) const TOKEN_VARIABLES: [&str; 2] = ["HOODY_TOKEN", "HOODY_API_TOKEN"];
const USERNAME_VARIABLES: [&str; 2] = ["HOODY_USERNAME", "HOODY_USER"];
const PASSWORD_VARIABLES: [&str; 2] = ["HOODY_PASSWORD", "HOODY_PASS"];
const BASE_URL_VARIABLES: [&str; 2] = ["HOODY_BASE_URL", "HOODY_API_URL"];
const REALM_VARIABLES: [&str; 2] = ["HOODY_REALM", "HOODY_REALM_ID"];

/// The environment as it was when the command started. An empty variable is none.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The process's own.
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// One made of these variables.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        Self(variables.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The first of these that is set, and which one it is.
    ///
    /// # Errors
    /// When it is no text: leaving it out could mean another server, realm or caller.
    pub(crate) fn first(&self, names: &[&'static str]) -> Result<Option<(&str, &'static str)>, Failure> {
        let found = names.iter().find_map(|name| Some((self.path(name)?, *name)));
        let Some((value, name)) = found else { return Ok(None) };
        let text = value.to_str().ok_or_else(|| Failure::failed(format!("{name} is not text in UTF-8")))?;
        Ok(Some((text, name)))
    }

    /// A variable, if it is set to a text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.path(name)?.to_str()
    }

    /// A variable as it is, if it is set.
    pub(crate) fn path(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The command line.
    Flag,
    /// This variable.
    Environment(&'static str),
    /// The profile of the file.
    Profile(String),
    /// The top of the file.
    File,
    /// Nobody said anything.
    Default,
}

impl Source {
    /// What a token from here is called.
    pub(crate) fn of_token(&self) -> String {
        match self {
            Self::Flag => "--token".to_owned(),
            Self::Environment(name) => (*name).to_owned(),
            Self::Profile(_) | Self::File | Self::Default => "the stored token".to_owned(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::File => f.write_str("file"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

/// What a command works with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) profile: Option<String>,
    pub(crate) base_url: Setting<String>,
    pub(crate) realm: Option<Setting<RealmId>>,
    pub(crate) proxy: Option<Setting<String>>,
    pub(crate) ca_file: Option<Setting<String>>,
    pub(crate) output: Setting<Format>,
    pub(crate) is_quiet: Setting<bool>,
    pub(crate) is_plain: Setting<bool>,
    pub(crate) headers: Vec<(String, Secret)>,
    /// From flag or environment alone; what is stored has its own rules (`credentials.rs`).
    pub(crate) token: Option<Setting<Secret>>,
    pub(crate) username: Option<Setting<String>>,
    pub(crate) password: Option<Setting<Secret>>,
    /// The value of `client` at login.
    pub(crate) client: String,
}

/// Looks a setting up in all its places.
struct Lookup<'a> {
    environment: &'a Environment,
    config: &'a Config,
    profile: Option<&'a str>,
}

impl Lookup<'_> {
    fn text(
        &self,
        flag: Option<&String>,
        variables: &[&'static str],
        key: &str,
    ) -> Result<Option<Setting<String>>, Failure> {
        if let Some(value) = flag {
            return Ok(Some(Setting { value: value.clone(), source: Source::Flag }));
        }
        if let Some((value, name)) = self.environment.first(variables)? {
            return Ok(Some(Setting { value: value.to_owned(), source: Source::Environment(name) }));
        }
        let Some((value, source)) = self.stored(key) else { return Ok(None) };
        match value.as_str() {
            Some(value) => Ok(Some(Setting { value: value.to_owned(), source })),
            None => Err(wrong_kind(key, &source, "text")),
        }
    }

    fn switch(&self, flag: bool, variable: Option<&'static str>, key: &str) -> Setting<bool> {
        if flag {
            return Setting { value: true, source: Source::Flag };
        }
        if let Some(name) = variable.filter(|name| self.environment.path(name).is_some()) {
            return Setting { value: true, source: Source::Environment(name) };
        }
        match self.stored(key) {
            Some((value, source)) => Setting { value: value.as_bool().unwrap_or(false), source },
            None => Setting { value: false, source: Source::Default },
        }
    }

    fn stored(&self, key: &str) -> Option<(&Value, Source)> {
        let (value, is_own) = self.config.get(self.profile, key)?;
        let source = match self.profile {
            Some(name) if is_own => Source::Profile(name.to_owned()),
            _ => Source::File,
        };
        Some((value, source))
    }
}

impl Settings {
    /// Puts all sources together. A named profile must be there, unless `may_make_profile`.
    pub(crate) fn resolve(
        flags: &ClientFlags,
        environment: &Environment,
        config: &Config,
        may_make_profile: bool,
    ) -> Result<Self, Failure> {
        let profile = flags.profile.as_deref().or_else(|| environment.get("HOODY_PROFILE"));
        let profile = profile.or_else(|| config.default_profile());
        if let Some(name) = profile
            && !may_make_profile
            && config.section(Some(name)).is_none()
        {
            return Err(Failure::new(Exit::NoProfile, format!("there is no profile {name:?}"))
                .hint("`hoody config show` lists them; `hoody login --profile` makes one"));
        }
        let lookup = Lookup { environment, config, profile };
        let base_url = lookup.text(flags.base_url.as_ref(), &BASE_URL_VARIABLES, "baseUrl")?;
        let default = Setting { value: DEFAULT_BASE_URL.to_owned(), source: Source::Default };
        Ok(Self {
            base_url: base_url.unwrap_or(default),
            realm: realm(&lookup, flags)?,
            proxy: lookup.text(flags.proxy.as_ref(), &[], "proxy")?,
            ca_file: lookup.text(flags.ca_file.as_ref(), &["HOODY_CA_FILE"], "caFile")?,
            output: output(&lookup, flags)?,
            is_quiet: lookup.switch(flags.is_quiet, None, "quiet"),
            is_plain: lookup.switch(flags.is_plain, Some("NO_COLOR"), "noColor"),
            headers: headers(&lookup)?,
            token: secret(flags.token.as_ref(), environment, &TOKEN_VARIABLES, whole_token)?,
            username: lookup.text(flags.username.as_ref(), &USERNAME_VARIABLES, "username")?,
            password: secret(
                flags.password.as_ref(),
                environment,
                &PASSWORD_VARIABLES,
                secret_text::password,
            )?,
            client: client(environment),
            profile: profile.map(str::to_owned),
        })
    }

    /// Whether nothing that the file could say is needed: which profile it is, where the server is.
    pub(crate) fn do_without_file(flags: &ClientFlags, environment: &Environment) -> bool {
        let is_set = |names: &[&str]| names.iter().any(|name| environment.path(name).is_some());
        flags.profile.is_none()
            && !is_set(&["HOODY_PROFILE"])
            && (flags.base_url.is_some() || is_set(&BASE_URL_VARIABLES))
    }
}

fn wrong_kind(key: &str, source: &Source, kind: &str) -> Failure {
    Failure::failed(format!("{key} (from {source}) must be {kind}")).hint(format!(
        "`hoody config set {key}` gives it another value, `hoody config unset {key}` takes it away"
    ))
}

fn realm(lookup: &Lookup<'_>, flags: &ClientFlags) -> Result<Option<Setting<RealmId>>, Failure> {
    let Some(given) = lookup.text(flags.realm.as_ref(), &REALM_VARIABLES, "realm")? else { return Ok(None) };
    if matches!(given.value.as_str(), "" | "*" | "all" | "default") {
        return Ok(None);
    }
    let value = given.value.to_ascii_lowercase().parse().map_err(|_| {
        Failure::failed(format!("realm {:?} (from {}): a realm is 24 hex digits", given.value, given.source))
    })?;
    Ok(Some(Setting { value, source: given.source }))
}

fn output(lookup: &Lookup<'_>, flags: &ClientFlags) -> Result<Setting<Format>, Failure> {
    if let Some(value) = flags.output {
        return Ok(Setting { value, source: Source::Flag });
    }
    let Some(given) = lookup.text(None, &[], "output")? else {
        return Ok(Setting { value: Format::default(), source: Source::Default });
    };
    let value = given
        .value
        .parse()
        .map_err(|error| Failure::failed(format!("output (from {}): {error}", given.source)))?;
    Ok(Setting { value, source: given.source })
}

fn headers(lookup: &Lookup<'_>) -> Result<Vec<(String, Secret)>, Failure> {
    let Some((value, source)) = lookup.stored("headers") else { return Ok(Vec::new()) };
    let wrong = || wrong_kind("headers", &source, "an object of texts");
    let text =
        |(name, value): (&String, &Value)| Ok((name.clone(), Secret::new(value.as_str().ok_or_else(wrong)?)));
    value.as_object().ok_or_else(wrong)?.iter().map(text).collect()
}

/// A secret by flag or variable, which are read by one rule.
fn secret(
    flag: Option<&Secret>,
    environment: &Environment,
    variables: &[&'static str],
    read: fn(&str) -> &str,
) -> Result<Option<Setting<Secret>>, Failure> {
    if let Some(value) = flag {
        return Ok(Some(Setting { value: Secret::new(read(value.expose())), source: Source::Flag }));
    }
    let Some((value, name)) = environment.first(variables)? else { return Ok(None) };
    Ok(Some(Setting { value: Secret::new(read(value)), source: Source::Environment(name) }))
}

/// All lines: one that is broken in two is no token, and its first half is none either.
fn whole_token(text: &str) -> &str {
    secret_text::without_mark(text).trim()
}

fn client(environment: &Environment) -> String {
    match environment.get("HOODY_CLIENT") {
        Some(name) => name.to_owned(),
        None if environment.get("HOODY_GATEWAY") == Some("1") => "ssh".to_owned(),
        None => "cli".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::parse(
            r#"{"baseUrl":"http://file","output":"yaml","realm":"507f1f77bcf86cd799439012",
                "profiles":{"work":{"baseUrl":"http://profile","quiet":true}}}"#,
        )
        .unwrap()
    }

    fn resolve(flags: &ClientFlags, variables: &[(&str, &str)]) -> Settings {
        Settings::resolve(flags, &Environment::of(variables), &config(), false).unwrap()
    }

    #[test]
    fn flag_then_environment_then_profile_then_file_then_default() {
        let with_profile = ClientFlags { profile: Some("work".into()), ..ClientFlags::default() };
        let with_flag = ClientFlags { base_url: Some("http://flag".into()), ..with_profile.clone() };
        let variables = [("HOODY_API_URL", "http://second"), ("HOODY_BASE_URL", "http://first")];
        let base_url = |settings: Settings| (settings.base_url.value, settings.base_url.source);

        let (value, source) = base_url(resolve(&with_flag, &variables));
        assert_eq!((value.as_str(), source), ("http://flag", Source::Flag));
        let (value, source) = base_url(resolve(&with_profile, &variables));
        assert_eq!((value.as_str(), source), ("http://first", Source::Environment("HOODY_BASE_URL")));
        let (value, source) = base_url(resolve(&with_profile, &variables[..1]));
        assert_eq!((value.as_str(), source), ("http://second", Source::Environment("HOODY_API_URL")));
        let (value, source) = base_url(resolve(&with_profile, &[]));
        assert_eq!((value.as_str(), source), ("http://profile", Source::Profile("work".into())));
        let (value, source) = base_url(resolve(&ClientFlags::default(), &[]));
        assert_eq!((value.as_str(), source), ("http://file", Source::File));
        let empty =
            Settings::resolve(&ClientFlags::default(), &Environment::default(), &Config::default(), false)
                .unwrap();
        assert_eq!(base_url(empty), (DEFAULT_BASE_URL.to_owned(), Source::Default));
    }

    #[test]
    fn a_profile_that_is_not_there_ends_with_10_unless_it_is_being_made() {
        let flags = ClientFlags { profile: Some("none".into()), ..ClientFlags::default() };
        let failure = Settings::resolve(&flags, &Environment::default(), &config(), false).unwrap_err();
        assert_eq!(failure.exit as u8, 10);
        assert!(Settings::resolve(&flags, &Environment::default(), &config(), true).is_ok());
        let by_variable = Environment::of(&[("HOODY_PROFILE", "none")]);
        assert!(Settings::resolve(&ClientFlags::default(), &by_variable, &config(), false).is_err());
    }

    #[test]
    fn a_realm_can_be_cleared_and_must_be_one() {
        assert!(resolve(&ClientFlags::default(), &[]).realm.is_some());
        assert!(
            resolve(&ClientFlags { realm: Some("all".into()), ..ClientFlags::default() }, &[])
                .realm
                .is_none()
        );
        let flags = ClientFlags { realm: Some("x".into()), ..ClientFlags::default() };
        assert!(Settings::resolve(&flags, &Environment::default(), &config(), false).is_err());
    }

    #[test]
    fn a_flag_and_a_variable_are_read_by_one_rule() {
        let of_flags = |token: &str, password: &str| {
            let flags = ClientFlags {
                token: Some(token.into()),
                password: Some(password.into()),
                ..ClientFlags::default()
            };
            resolve(&flags, &[])
        };
        let of_variables = |token: &str, password: &str| {
            resolve(&ClientFlags::default(), &[("HOODY_TOKEN", token), ("HOODY_PASS", password)])
        };
        for ending in ["", "\r", "\n", "\r\n"] {
            let (token, password) =
                (format!("\u{feff} hdy_x {ending}"), format!("\u{feff} two words {ending}"));
            for settings in [of_flags(&token, &password), of_variables(&token, &password)] {
                assert_eq!(settings.token.unwrap().value.expose(), "hdy_x", "{ending:?}");
                assert_eq!(settings.password.unwrap().value.expose(), " two words ", "{ending:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_and_not_left_out() {
        for (config, key) in [
            (r#"{"baseUrl": 1}"#, "baseUrl"),
            (r#"{"realm": ["507f1f77bcf86cd799439012"]}"#, "realm"),
            (r#"{"proxy": {}}"#, "proxy"),
            (r#"{"caFile": true}"#, "caFile"),
            (r#"{"headers": {"x": 1}}"#, "headers"),
            (r#"{"headers": "x: 1"}"#, "headers"),
        ] {
            let config = Config::parse(config).unwrap();
            let failure = Settings::resolve(&ClientFlags::default(), &Environment::default(), &config, false)
                .unwrap_err();
            assert!(failure.message.starts_with(&format!("{key} (from file) must be ")), "{failure:?}");
        }
        use std::os::unix::ffi::OsStringExt as _;
        let no_text = OsString::from_vec(vec![b'x', 0xff]);
        let environment = |name: &str| Environment([(name.into(), no_text.clone())].into());
        let resolve =
            |environment, flags: &ClientFlags| Settings::resolve(flags, &environment, &config(), false);
        for name in ["HOODY_TOKEN", "HOODY_REALM_ID", "HOODY_BASE_URL", "HOODY_PASSWORD", "HOODY_CA_FILE"] {
            let failure = resolve(environment(name), &ClientFlags::default()).unwrap_err();
            assert_eq!(failure.message, format!("{name} is not text in UTF-8"));
        }
        // Where it is not needed, it is not looked at.
        let flags = ClientFlags { token: Some("hdy_x".into()), ..ClientFlags::default() };
        assert!(resolve(environment("HOODY_TOKEN"), &flags).is_ok());
        assert!(resolve(environment("LANG"), &ClientFlags::default()).is_ok());
    }

    #[test]
    fn settings_and_environment_print_no_secret() {
        let variables = [("HOODY_TOKEN", "canary"), ("HOODY_PASSWORD", "canary")];
        let shown =
            format!("{:?} {:?}", Environment::of(&variables), resolve(&ClientFlags::default(), &variables));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
