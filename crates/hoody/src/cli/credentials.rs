//! The stored session: which one may be sent where, and how it stays alive.
//!
//! A stored credential carries the origin that it was stored for and is sent to no other. An expired
//! session is refreshed under the file's lock, so that of two commands at once one asks the server and
//! the other takes what the first has stored.

use hoody_client::time::{SECOND, Timestamp};
use hoody_client::wire::{LoginData, RefreshData, Secret};
use hoody_client::{Base, Client, Origin};
use serde_json::{Map, Value};

use super::config_file::{Config, ConfigFile};
use super::failure::Failure;

/// A session this close to its end is refreshed before it is used.
const MARGIN: i64 = 30 * SECOND;

const TOKEN: &str = "token";
const REFRESH_TOKEN: &str = "refreshToken";
const EXPIRES_AT: &str = "expiresAt";
const REFRESH_EXPIRES_AT: &str = "refreshExpiresAt";
/// Ours: the origin that the four above belong to.
pub(crate) const TOKEN_ORIGIN: &str = "tokenOrigin";

/// What a section of the configuration holds of a session, or a token that was stored instead of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) token: Secret,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) refresh_expires_at: Option<Timestamp>,
}

impl Stored {
    /// A session that was just made. Where the server gives no instant, it is reckoned from the seconds.
    pub(crate) fn of_login(session: &LoginData, now: Timestamp) -> Self {
        Self {
            token: session.token.clone(),
            refresh_token: Some(session.refresh_token.clone()),
            expires_at: session.expires_at.or_else(|| in_seconds(now, session.expires_in)),
            refresh_expires_at: session
                .refresh_expires_at
                .or_else(|| in_seconds(now, session.refresh_expires_in)),
        }
    }

    /// The next pair of a session.
    pub(crate) fn of_refresh(next: &RefreshData, now: Timestamp) -> Self {
        Self {
            token: next.token.clone(),
            refresh_token: Some(next.refresh_token.clone()),
            expires_at: next.expires_at.or_else(|| in_seconds(now, next.expires_in)),
            refresh_expires_at: next.refresh_expires_at.or_else(|| in_seconds(now, next.refresh_expires_in)),
        }
    }

    /// A long-lived token instead of a session.
    pub(crate) fn of_token(token: Secret) -> Self {
        Self { token, refresh_token: None, expires_at: None, refresh_expires_at: None }
    }

    /// What is stored for `origin`. Credentials are a section's own: a profile does not take those at
    /// the top.
    pub(crate) fn read(config: &Config, profile: Option<&str>, origin: &Origin) -> Option<Self> {
        let section = config.section(profile)?;
        if origin_of(config, profile)? != origin.as_str() {
            return None;
        }
        let instant = |key| text(section, key).and_then(|text| Timestamp::parse(text).ok());
        Some(Self {
            token: Secret::new(text(section, TOKEN)?),
            refresh_token: text(section, REFRESH_TOKEN).map(Secret::new),
            expires_at: instant(EXPIRES_AT),
            refresh_expires_at: instant(REFRESH_EXPIRES_AT),
        })
    }

    /// Puts it in the place of what is stored.
    pub(crate) fn write(&self, section: &mut Map<String, Value>, origin: &Origin) {
        forget(section);
        let mut put = |key: &str, value: Option<String>| {
            value.map(|value| section.insert(key.to_owned(), Value::String(value)));
        };
        put(TOKEN, Some(self.token.expose().to_owned()));
        put(REFRESH_TOKEN, self.refresh_token.as_ref().map(|token| token.expose().to_owned()));
        put(EXPIRES_AT, self.expires_at.map(|at| at.to_string()));
        put(REFRESH_EXPIRES_AT, self.refresh_expires_at.map(|at| at.to_string()));
        put(TOKEN_ORIGIN, Some(origin.to_string()));
    }

    /// Whether it should be refreshed before it is used.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        self.refresh_token.is_some() && self.expires_at.is_some_and(|end| end <= now.plus(MARGIN))
    }
}

/// Takes everything of a session away; all else stays.
pub(crate) fn forget(section: &mut Map<String, Value>) {
    for key in [TOKEN, REFRESH_TOKEN, EXPIRES_AT, REFRESH_EXPIRES_AT, TOKEN_ORIGIN] {
        section.remove(key);
    }
}

/// The origin that a section's credential belongs to: as noted when it was stored, else the address in
/// the file, which is what another client of this format means.
pub(crate) fn origin_of(config: &Config, profile: Option<&str>) -> Option<String> {
    let section = config.section(profile)?;
    text(section, TOKEN)?;
    if let Some(origin) = text(section, TOKEN_ORIGIN) {
        return Some(origin.to_owned());
    }
    let (address, _) = config.get(profile, "baseUrl")?;
    Some(Base::parse(address.as_str()?).ok()?.origin().to_string())
}

/// What became of a session that was to be refreshed.
#[derive(Debug)]
pub(crate) enum Refreshed {
    /// It goes on with these.
    Next(Stored),
    /// The server knows it no more; it is forgotten here too.
    Over,
}

impl Refreshed {
    /// The session, for a command that cannot do without.
    pub(crate) fn or_fail(self) -> Result<Stored, Failure> {
        match self {
            Self::Next(stored) => Ok(stored),
            Self::Over => {
                Err(Failure::failed("the session has ended").hint("`hoody login` starts a new one"))
            }
        }
    }
}

/// The next pair of the stored session, saved. `stale` is the access token that no longer does: when
/// the file holds another by now, a command beside this one was quicker and that one is taken.
pub(crate) async fn refresh(
    file: &ConfigFile,
    profile: Option<&str>,
    client: &Client,
    stale: &Secret,
) -> Result<Refreshed, Failure> {
    let origin = client.origin();
    let locked = file.lock().await?;
    let mut config = locked.read()?;
    let Some(stored) = Stored::read(&config, profile, origin) else {
        return Ok(Refreshed::Over);
    };
    if stored.token != *stale {
        return Ok(Refreshed::Next(stored));
    }
    let Some(refresh_token) = &stored.refresh_token else {
        return Err(Failure::failed("the stored credential is no session and cannot be refreshed")
            .hint("`hoody login`"));
    };
    match client.refresh(refresh_token).await {
        Ok(next) => {
            let next = Stored::of_refresh(&next, now());
            next.write(config.section_mut(profile), origin);
            locked.replace(&config)?;
            Ok(Refreshed::Next(next))
        }
        Err(error) if error.is_unauthorized() => {
            forget(config.section_mut(profile));
            locked.replace(&config)?;
            Ok(Refreshed::Over)
        }
        Err(error) => Err(error.into()),
    }
}

/// The machine's time: only to see that a session is near its end, and to note when it will be.
pub(crate) fn now() -> Timestamp {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    Timestamp::from_millis(time.tv_sec.saturating_mul(SECOND).saturating_add(time.tv_nsec / 1_000_000))
}

fn in_seconds(now: Timestamp, seconds: Option<u64>) -> Option<Timestamp> {
    let millis = i64::try_from(seconds?).ok()?.saturating_mul(SECOND);
    Some(now.plus(millis))
}

fn text<'a>(section: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    section.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(address: &str) -> Origin {
        Base::parse(address).unwrap().origin()
    }

    fn stored(config: &str, profile: Option<&str>, address: &str) -> Option<String> {
        let config = Config::parse(config).unwrap();
        Stored::read(&config, profile, &origin(address)).map(|stored| stored.token.expose().to_owned())
    }

    #[test]
    fn a_credential_goes_only_where_it_was_stored_for() {
        let config =
            r#"{"token":"t","tokenOrigin":"https://api.example.com","baseUrl":"https://moved.example.com"}"#;
        assert_eq!(stored(config, None, "https://api.example.com").as_deref(), Some("t"));
        assert_eq!(
            stored(config, None, "https://507f1f77bcf86cd799439012.api.example.com").as_deref(),
            Some("t")
        );
        for other in [
            "https://moved.example.com",
            "http://api.example.com",
            "https://api.example.com:8443",
            "https://api.example.com.evil.test",
            "http://127.0.0.1:8080",
        ] {
            assert_eq!(stored(config, None, other), None, "{other}");
        }
    }

    #[test]
    fn without_a_note_it_belongs_to_the_address_in_the_file() {
        let config = r#"{"token":"t","baseUrl":"https://api.example.com"}"#;
        assert_eq!(stored(config, None, "https://api.example.com").as_deref(), Some("t"));
        assert_eq!(stored(config, None, "http://127.0.0.1:8080"), None);
        assert_eq!(stored(r#"{"token":"t"}"#, None, "http://127.0.0.1:8080"), None);
    }

    #[test]
    fn a_profile_does_not_take_the_credentials_at_the_top() {
        let config = r#"{"token":"t","tokenOrigin":"http://a","profiles":{"work":{}}}"#;
        assert_eq!(stored(config, Some("work"), "http://a"), None);
    }

    #[test]
    fn what_is_written_is_read_and_can_be_forgotten() {
        let mut config = Config::parse(r#"{"realm":"507f1f77bcf86cd799439012"}"#).unwrap();
        let at = Timestamp::from_millis(1_772_442_942_118);
        let session = Stored {
            token: "a".into(),
            refresh_token: Some("r".into()),
            expires_at: Some(at),
            refresh_expires_at: None,
        };
        session.write(config.section_mut(Some("work")), &origin("http://a"));
        assert_eq!(Stored::read(&config, Some("work"), &origin("http://a")), Some(session.clone()));
        assert!(session.is_stale(at.plus(-MARGIN)) && !session.is_stale(at.plus(-MARGIN - 1)));
        assert!(!Stored::of_token("hdy_x".into()).is_stale(at));
        forget(config.section_mut(Some("work")));
        assert!(config.section(Some("work")).unwrap().is_empty());
        assert_eq!(config.root()["realm"], "507f1f77bcf86cd799439012");
    }
}
