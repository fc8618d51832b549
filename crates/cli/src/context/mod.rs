//! What a command works with: its settings, where it prints, the configuration, and the server as the
//! caller. Which credential is used is decided here: flags, then the environment, then what is stored
//! for this server; at each of them a token before a name and password.

pub(crate) mod config_file;
pub(crate) mod credentials;
pub(crate) mod flags;
pub(crate) mod settings;

use std::cell::{Cell, OnceCell, RefCell};

use hoody_client::time::Timestamp;
use hoody_client::wire::{Login, LoginAnswer, Secret};
use hoody_client::{Base, Client};

use self::config_file::{Config, ConfigFile};
use self::credentials::{Refreshed, Stored};
use self::flags::ClientFlags;
use self::settings::{Environment, Settings, Source};
use crate::terminal::failure::Failure;
use crate::terminal::output::Output;
use crate::terminal::prompt;

/// What the command line calls itself.
const USER_AGENT: &str = concat!("hoody-cli/", env!("CARGO_PKG_VERSION"));

/// Gives bytes that nobody can guess, others at each call.
pub type Random = fn() -> [u8; 32];

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) flags: ClientFlags,
    pub(crate) settings: Settings,
    pub(crate) output: Output,
    pub(crate) file: ConfigFile,
    /// Whether questions can be asked.
    pub(crate) is_interactive: bool,
    signed_in: RefCell<Option<Signed>>,
    /// A password without a name is what the command asks for, not what it signs in with.
    password_is_the_commands: Cell<bool>,
    is_warned: Cell<bool>,
    /// Why the stored session could not be refreshed ahead of its end, which ends nothing while it works.
    not_refreshed: RefCell<Option<Failure>>,
    /// What this run calls itself, where its requests must be told from those of others.
    run_name: OnceCell<String>,
    /// Bytes that nobody can guess.
    pub(crate) random: Random,
    /// How the process ends when the command succeeds: the exit code of a command that ran elsewhere.
    pub(crate) exit: Cell<u8>,
}

/// A client with a credential, and how to get the next one.
#[derive(Debug, Clone)]
struct Signed {
    client: Client,
    /// Set when the credential is the stored session.
    stored: Option<Stored>,
}

/// Why a session has no next pair.
enum Unrenewed {
    /// The server knows it no more.
    Over,
    /// Something is in the way; the session is as it was.
    Failed(Failure),
}

impl Unrenewed {
    fn into_failure(self) -> Failure {
        match self {
            Self::Over => credentials::over(),
            Self::Failed(failure) => failure,
        }
    }
}

impl Context {
    /// Puts everything together; the file is read once here. `may_make_profile` for commands that write
    /// into a profile.
    pub(crate) fn new(
        flags: ClientFlags,
        environment: &Environment,
        may_make_profile: bool,
        random: Random,
        output: &dyn Fn(&Settings) -> Output,
    ) -> Result<Self, Failure> {
        let file = ConfigFile::locate(flags.config.as_deref(), environment.path("HOME"));
        let found = file.find()?;
        let unreadable = match found.unreadable {
            Some(failure) if !Settings::do_without_file(&flags, environment) => return Err(failure),
            unreadable => unreadable,
        };
        let settings = Settings::resolve(&flags, environment, &found.config, may_make_profile)?;
        let output = output(&settings);
        if let Some(Failure { message, .. }) = unreadable {
            output.warn(&format!("{message}; going on without it"));
        }
        let is_interactive = !flags.never_asks && prompt::is_possible();
        Ok(Self {
            flags,
            settings,
            output,
            file,
            is_interactive,
            signed_in: RefCell::new(None),
            password_is_the_commands: Cell::new(false),
            is_warned: Cell::new(false),
            not_refreshed: RefCell::new(None),
            run_name: OnceCell::new(),
            random,
            exit: Cell::new(0),
        })
    }

    /// The profile in use.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.settings.profile.as_deref()
    }

    /// Gives this run a name that nobody else has, and says which. Before its first request.
    pub(crate) fn name_run(&self, verb: &str) -> String {
        let name = || {
            let random = (self.random)()[..8].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
            format!("{USER_AGENT} ({verb} {random:016x})")
        };
        self.run_name.get_or_init(name).clone()
    }

    /// A client without a credential.
    pub(crate) fn anonymous(&self) -> Result<Client, Failure> {
        let mut builder = Client::builder(&self.settings.base_url.value)
            .user_agent(self.run_name.get().map_or(USER_AGENT, String::as_str));
        if let Some(realm) = &self.settings.realm {
            builder = builder.realm(realm.value);
        }
        if let Some(proxy) = &self.settings.proxy {
            builder = builder.proxy(&proxy.value);
        }
        // Without TLS on the way no certificate is looked at.
        let is_plain = Base::parse(&self.settings.base_url.value).is_ok_and(|base| base.is_plain());
        let ca_file = self.settings.ca_file.as_ref();
        if let Some(file) = ca_file.filter(|_| !is_plain || self.settings.proxy.is_some()) {
            let unusable = |why: &dyn std::fmt::Display| {
                Failure::failed(format!("ca-file {:?} (from {}): {why}", file.value, file.source))
            };
            let pem = std::fs::read(&file.value).map_err(|error| unusable(&error))?;
            builder = builder.authorities(pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&pem));
        }
        for (name, value) in &self.settings.headers {
            builder = builder.header(name, value.clone());
        }
        Ok(builder.build()?)
    }

    /// Calls the server as the caller. A stored session that has ended is refreshed, once, and the call
    /// made again.
    pub(crate) async fn call<T>(
        &self,
        run: impl AsyncFn(&Client) -> Result<T, hoody_client::Error>,
    ) -> Result<T, Failure> {
        let signed = self.signed_in().await?;
        match run(&signed.client).await {
            Err(error) if error.is_unauthorized() => {
                Ok(run(&Box::pin(self.renewed(signed, error)).await?).await?)
            }
            other => Ok(other?),
        }
    }

    /// The client with the next pair of the stored session, after the server refused `signed` with `error`.
    async fn renewed(&self, signed: Signed, error: hoody_client::Error) -> Result<Client, Failure> {
        let Some(stale) = signed.stored.filter(|stored| stored.refresh_token.is_some()) else {
            return Err(error.into());
        };
        if let Some(failure) = self.not_refreshed.take() {
            return Err(failure);
        }
        self.renew(&signed.client, &stale.token).await.map_err(Unrenewed::into_failure)
    }

    /// The same where the server also answers anyone: without a credential when there is none.
    pub(crate) async fn call_anyhow<T>(
        &self,
        run: impl AsyncFn(&Client) -> Result<T, hoody_client::Error>,
    ) -> Result<T, Failure> {
        if self.has_credential()? {
            return self.call(run).await;
        }
        Ok(run(&self.anonymous()?).await?)
    }

    /// Whether anything can be used to sign in to this server. A file that cannot be read holds nothing.
    fn has_credential(&self) -> Result<bool, Failure> {
        let given = self.settings.token.is_some() || self.signs_in_by_password();
        Ok(given || self.stored(&self.file.find()?.config)?.is_some())
    }

    /// Sees to it that the session that this command makes can be stored, before it is made.
    pub(crate) fn expect_to_store(&self) -> Result<(), Failure> {
        self.file.check_room().map_err(|failure| match failure.hint {
            None => failure.hint("--no-save signs in without storing the session"),
            Some(_) => failure,
        })
    }

    /// The same for what replaces the stored session, where that is what the command is called with.
    pub(crate) async fn expect_to_replace(&self) -> Result<(), Failure> {
        self.signed_in().await?;
        if self.uses_stored_session() { self.file.check_room() } else { Ok(()) }
    }

    /// The time by the server's clock, for what is given by how long until it.
    pub(crate) async fn server_time(&self) -> Result<Timestamp, Failure> {
        Ok(self.anonymous()?.ip().await?.timestamp)
    }

    /// The stored credential for this server, from what the file holds.
    pub(crate) fn stored(&self, config: &Config) -> Result<Option<Stored>, Failure> {
        Ok(Stored::read(config, self.profile(), self.anonymous()?.origin()))
    }

    async fn signed_in(&self) -> Result<Signed, Failure> {
        if let Some(signed) = self.signed_in.borrow().clone() {
            return Ok(signed);
        }
        // Boxed: it is part of every call's future, and runs once.
        let signed = Box::pin(self.sign_in()).await?;
        *self.signed_in.borrow_mut() = Some(signed.clone());
        Ok(signed)
    }

    /// A client that secrets are about to be sent by: says so, once, when others on the way can read them.
    pub(crate) fn for_secrets(&self) -> Result<Client, Failure> {
        let client = self.anonymous()?;
        let is_readable = client.base().is_plain() && !client.base().is_loopback();
        if is_readable && !self.is_warned.replace(true) {
            let host = client.base().as_str();
            self.output.warn(&format!("{host} is plain http: anyone on the way can read what is sent"));
        }
        Ok(client)
    }

    async fn sign_in(&self) -> Result<Signed, Failure> {
        let client = self.for_secrets()?;
        let plain = |token: &Secret| -> Result<Signed, Failure> {
            Ok(Signed { client: client.with_credential(token)?, stored: None })
        };
        let token = self.settings.token.as_ref();
        if let Some(token) = token.filter(|token| token.source == Source::Flag || !self.has_login_flags()) {
            credentials::check_form(&token.value, &token.source.of_token())?;
            return plain(&token.value);
        }
        if self.signs_in_by_password() {
            return plain(&self.login_once(&client).await?);
        }
        let config = self.file.read()?;
        if let Some(stored) = self.stored(&config)? {
            return self.resume(&client, stored).await;
        }
        if let Some(password) = config.section(self.profile()).and_then(|section| section.get("password")) {
            let password = Secret::new(password.as_str().unwrap_or_default());
            if self.file_is_for(&config)? && !password.is_empty() && self.settings.username.is_some() {
                return plain(&self.login_with(&client, password).await?);
            }
        }
        Err(self.not_signed_in(&config))
    }

    /// Goes on with the stored session, refreshed first when its end is near. Where that fails it may still
    /// do: the end is an estimate, and whether it is over is for the server to say.
    async fn resume(&self, client: &Client, stored: Stored) -> Result<Signed, Failure> {
        credentials::check_form(&stored.token, "the stored token")?;
        let with_credential = client.with_credential(&stored.token)?;
        if stored.is_stale(credentials::now()) {
            match self.renew(&with_credential, &stored.token).await {
                Ok(_) => {}
                Err(Unrenewed::Over) => return Err(credentials::over()),
                Err(Unrenewed::Failed(failure)) => {
                    let message = format!("the session could not be refreshed: {}", failure.message);
                    self.output.note(&format!("Going on with the session as it is: {message}"));
                    *self.not_refreshed.borrow_mut() = Some(Failure { message, ..failure });
                }
            }
            if let Some(renewed) = self.signed_in.borrow().clone() {
                return Ok(renewed);
            }
        }
        Ok(Signed { client: with_credential, stored: Some(stored) })
    }

    /// The stored session's next pair, which all later calls of this command use too.
    async fn renew(&self, client: &Client, stale: &Secret) -> Result<Client, Unrenewed> {
        let refreshed = credentials::refresh(&self.file, self.profile(), client, stale);
        let stored = match refreshed.await.map_err(Unrenewed::Failed)? {
            Refreshed::Next(stored) => stored,
            Refreshed::Over => return Err(Unrenewed::Over),
            Refreshed::Unsaved(stored, Failure { message, .. }) => {
                self.output.warn(&format!(
                    "{message}. This command goes on, but the session is not stored: `hoody login` starts another"
                ));
                stored
            }
        };
        let client =
            client.with_credential(&stored.token).map_err(|error| Unrenewed::Failed(error.into()))?;
        *self.signed_in.borrow_mut() = Some(Signed { client: client.clone(), stored: Some(stored) });
        Ok(client)
    }

    /// A password in the file goes only to the address in the file.
    fn file_is_for(&self, config: &Config) -> Result<bool, Failure> {
        let address = config.get(self.profile(), "baseUrl").and_then(|(value, _)| value.as_str());
        let Some(base) = address.and_then(|address| Base::parse(address).ok()) else { return Ok(false) };
        Ok(base.origin() == *self.anonymous()?.origin())
    }

    /// From now on a password without a name is for the command itself: it proves again who asks.
    pub(crate) fn keep_password_for_the_command(&self) {
        self.password_is_the_commands.set(true);
    }

    /// Whether what was called last was called with the stored session.
    pub(crate) fn uses_stored_session(&self) -> bool {
        self.signed_in.borrow().as_ref().is_some_and(|signed| signed.stored.is_some())
    }

    fn has_login_flags(&self) -> bool {
        let flags = &self.flags;
        if self.password_is_the_commands.get() && flags.username.is_none() {
            return false;
        }
        flags.username.is_some()
            || flags.password.is_some()
            || flags.reads_password
            || flags.password_file.is_some()
    }

    fn signs_in_by_password(&self) -> bool {
        let is_by_variable = |source: &Source| matches!(source, Source::Environment(_));
        let has_name = self.settings.username.as_ref().is_some_and(|name| is_by_variable(&name.source));
        self.has_login_flags() || (has_name && self.settings.password.is_some())
    }

    /// A session for this command alone.
    async fn login_once(&self, client: &Client) -> Result<Secret, Failure> {
        let password = self.password("a password", "Password").await?;
        self.login_with(client, password).await
    }

    async fn login_with(&self, client: &Client, password: Secret) -> Result<Secret, Failure> {
        let Some(username) = &self.settings.username else {
            return Err(Failure::failed("a password needs a name").hint("use --username"));
        };
        // A flag or a variable is always a name; what a login has stored may be an address.
        let is_stored = matches!(username.source, Source::Profile(_) | Source::File);
        let (username, email) = match username.value.clone() {
            address if is_stored && address.contains('@') => (None, Some(address)),
            name => (Some(name), None),
        };
        let login = Login {
            username,
            email,
            password,
            client: Some(self.settings.client.clone()),
            ..Login::default()
        };
        match client.login(&login).await? {
            LoginAnswer::Session(session) => Ok(session.token),
            LoginAnswer::Challenge(_) | LoginAnswer::Intent(_) => Err(Failure::failed(
                "the account has a second factor: name and password alone do not sign in",
            )
            .hint("`hoody login` asks for the code and keeps the session")),
        }
    }

    /// The password as given, or asked for.
    pub(crate) async fn password(&self, what: &str, question: &str) -> Result<Secret, Failure> {
        let by_flag = self.settings.password.as_ref().filter(|given| given.source == Source::Flag);
        if let Some(password) = by_flag {
            return Ok(password.value.clone());
        }
        if self.flags.reads_password {
            return prompt::secret_from_stdin(prompt::Kind::Password).await;
        }
        if let Some(path) = &self.flags.password_file {
            return prompt::secret_from_file(prompt::Kind::Password, path).await;
        }
        if let Some(password) = &self.settings.password {
            return Ok(password.value.clone());
        }
        if !self.is_interactive {
            return Err(Failure::no_terminal(what, "--password-stdin, --password-file or HOODY_PASSWORD"));
        }
        prompt::secret(question).await
    }

    /// Asks before much is gone that no id names: without a terminal only `--yes` is a yes.
    pub(crate) async fn insist(&self, question: &str) -> Result<(), Failure> {
        if self.flags.is_confirmed {
            return Ok(());
        }
        if !self.is_interactive {
            return Err(Failure::no_terminal("a yes", "--yes"));
        }
        prompt::confirm(question).await
    }

    /// Asks before something is deleted, on a terminal only: elsewhere what was named is meant.
    pub(crate) async fn confirm(&self, question: &str) -> Result<(), Failure> {
        if self.flags.is_confirmed || !self.is_interactive {
            return Ok(());
        }
        prompt::confirm(question).await
    }

    fn not_signed_in(&self, config: &Config) -> Failure {
        let base = &self.settings.base_url.value;
        match credentials::origin_of(config, self.profile()) {
            Some(origin) => {
                Failure::failed(format!("not signed in to {base}: the stored session is for {origin}"))
                    .hint(format!("`hoody login`, or --base-url {origin}"))
            }
            None => {
                Failure::failed(format!("not signed in to {base}")).hint("`hoody login`, or set HOODY_TOKEN")
            }
        }
    }
}
