//! The stored session: which one may be sent where, and how it stays alive.
//!
//! A stored credential carries the origin that it was stored for and is sent to no other. An expired
//! session is refreshed under the file's lock, so that of two commands at once one asks the server and
//! the other takes what the first has stored.

use hoody_client::time::{SECOND, Timestamp};
use hoody_client::wire::{LoginData, RefreshData, Secret};
use hoody_client::{Base, Client, Origin};
use serde_json::{Map, Value};

use crate::context::config_file::{Config, ConfigFile};
use crate::terminal::failure::Failure;

/// A session this close to its end is refreshed before it is used.
const MARGIN: i64 = 30 * SECOND;

const TOKEN: &str = "token";
const REFRESH_TOKEN: &str = "refreshToken";
const EXPIRES_AT: &str = "expiresAt";
const REFRESH_EXPIRES_AT: &str = "refreshExpiresAt";
/// Ours: the origin that the four above belong to.
pub(crate) const TOKEN_ORIGIN: &str = "tokenOrigin";
/// Ours: how far the server's clock is ahead of this machine's, in milliseconds; negative when it is behind.
const CLOCK_OFFSET: &str = "clockOffset";

/// What a section of the configuration holds of a session, or a token that was stored instead of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) token: Secret,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) refresh_expires_at: Option<Timestamp>,
    /// How far the server's clock was ahead of ours when it was made: its ends are told by that clock.
    pub(crate) clock_offset: i64,
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
            clock_offset: clock_offset(session.expires_at, session.expires_in, now),
        }
    }

    /// The next pair of a session.
    pub(crate) fn of_refresh(next: &RefreshData, now: Timestamp) -> Self {
        Self {
            token: next.token.clone(),
            refresh_token: Some(next.refresh_token.clone()),
            expires_at: next.expires_at.or_else(|| in_seconds(now, next.expires_in)),
            refresh_expires_at: next.refresh_expires_at.or_else(|| in_seconds(now, next.refresh_expires_in)),
            clock_offset: clock_offset(next.expires_at, next.expires_in, now),
        }
    }

    /// A long-lived token instead of a session.
    pub(crate) fn of_token(token: Secret) -> Self {
        Self { token, refresh_token: None, expires_at: None, refresh_expires_at: None, clock_offset: 0 }
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
            clock_offset: section.get(CLOCK_OFFSET).and_then(Value::as_i64).unwrap_or(0),
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
        if self.clock_offset != 0 {
            section.insert(CLOCK_OFFSET.to_owned(), Value::from(self.clock_offset));
        }
    }

    /// Whether it should be refreshed before it is used. `now` is the machine's time.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        let there = now.plus(self.clock_offset);
        self.refresh_token.is_some() && self.expires_at.is_some_and(|end| end <= there.plus(MARGIN))
    }
}

/// Takes everything of a session away; all else stays.
pub(crate) fn forget(section: &mut Map<String, Value>) {
    for key in [TOKEN, REFRESH_TOKEN, EXPIRES_AT, REFRESH_EXPIRES_AT, TOKEN_ORIGIN, CLOCK_OFFSET] {
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
    /// It goes on with these, which could not be saved: the next command will not find them.
    Unsaved(Stored, Failure),
    /// The server knows it no more; it is forgotten here too.
    Over,
}

impl Refreshed {
    /// The session, for a command that cannot do without.
    pub(crate) fn or_fail(self) -> Result<Stored, Failure> {
        match self {
            Self::Next(stored) => Ok(stored),
            Self::Unsaved(_, failure) => Err(failure),
            Self::Over => Err(over()),
        }
    }
}

/// The session is no more.
pub(crate) fn over() -> Failure {
    Failure::failed("the session has ended").hint("`hoody login` starts a new one")
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
    // The answer uses the old pair up, and who sends it again later ends the session: what comes instead
    // must have its place first.
    let room = locked.make_room(&config)?;
    match client.refresh(refresh_token).await {
        Ok(next) => {
            let next = Stored::of_refresh(&next, now());
            next.write(config.section_mut(profile), origin);
            Ok(match room.fill(&config) {
                Ok(()) => Refreshed::Next(next),
                Err(failure) => Refreshed::Unsaved(next, failure),
            })
        }
        Err(error) if error.is_unauthorized() => {
            forget(config.section_mut(profile));
            room.fill(&config)?;
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

/// How far the server's clock is ahead: it gives the end as an instant of its own and as seconds from now.
fn clock_offset(end: Option<Timestamp>, seconds: Option<u64>, now: Timestamp) -> i64 {
    match (end, in_seconds(now, seconds)) {
        (Some(there), Some(here)) => there.millis().saturating_sub(here.millis()),
        _ => 0,
    }
}

/// Refuses what cannot be a token before it is sent: the server would only say that it does not know it.
/// `from` is where it was given. Nothing of it is repeated but the character that is wrong.
pub(crate) fn check_form(token: &Secret, from: &str) -> Result<(), Failure> {
    let Some(why) = no_token(token.expose()) else { return Ok(()) };
    Err(Failure::failed(format!("{from} does not look like a token ({why})"))
        .hint("give the token alone, on one line: no quotes, no `Bearer`, nothing around it"))
}

/// What keeps a text from being a token: an `hdy_` token, a session, or anything else that RFC 6750 lets be
/// sent.
fn no_token(text: &str) -> Option<String> {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    let body = text.trim_end_matches('=');
    let Some((at, wrong)) = body.chars().enumerate().find(|(_, c)| !is_of_token(*c)) else {
        return body.is_empty().then(|| "it is empty".to_owned());
    };
    let begins_with =
        |word: &str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    Some(match wrong {
        ' ' if begins_with("Bearer ") => "it begins with `Bearer `".to_owned(),
        '"' | '\'' | '`' if at == 0 => format!("it begins with `{wrong}`"),
        '\\' if body[at..].starts_with("\\n") || body[at..].starts_with("\\r") => {
            format!("it has `{}`, a backslash and a letter, at character {}", &body[at..at + 2], at + 1)
        }
        '\n' | '\r' => format!("it has a line break at character {}", at + 1),
        c if c.is_ascii_graphic() => format!("it has `{c}` at character {}", at + 1),
        c => format!("it has U+{:04X} at character {}", u32::from(c), at + 1),
    })
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
            clock_offset: 0,
        };
        session.write(config.section_mut(Some("work")), &origin("http://a"));
        assert_eq!(Stored::read(&config, Some("work"), &origin("http://a")), Some(session.clone()));
        assert!(session.is_stale(at.plus(-MARGIN)) && !session.is_stale(at.plus(-MARGIN - 1)));
        assert!(!Stored::of_token("hdy_x".into()).is_stale(at));
        forget(config.section_mut(Some("work")));
        assert!(config.section(Some("work")).unwrap().is_empty());
        assert_eq!(config.root()["realm"], "507f1f77bcf86cd799439012");
    }

    /// By the server's clock, whatever the machine's says.
    #[test]
    fn an_end_is_told_by_the_clock_that_set_it() {
        let there = Timestamp::from_millis(1_772_442_942_118);
        for ahead in [0, 86_400_000, -86_400_000] {
            let here = there.plus(-ahead);
            let offset = clock_offset(Some(there.plus(3_600 * SECOND)), Some(3_600), here);
            assert_eq!(offset, ahead);
            let mut section = Map::new();
            let end = Some(there.plus(3_600 * SECOND));
            let session = Stored {
                refresh_token: Some("r".into()),
                expires_at: end,
                clock_offset: offset,
                ..Stored::of_token("a".into())
            };
            session.write(&mut section, &origin("http://a"));
            let config = Config::parse(&Value::Object(section).to_string()).unwrap();
            let read = Stored::read(&config, None, &origin("http://a")).unwrap();
            assert!(!read.is_stale(here) && !read.is_stale(here.plus(3_500 * SECOND)), "{ahead}");
            assert!(read.is_stale(here.plus(3_580 * SECOND)), "{ahead}");
        }
        assert_eq!(clock_offset(None, Some(1), there), 0);
    }

    #[test]
    fn what_cannot_be_a_token_is_told_from_one() {
        for good in ["hdy_x", "access-0", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-_", "YWJj+/==", "~x"] {
            assert_eq!(no_token(good), None, "{good}");
        }
        for (bad, why) in [
            ("", "it is empty"),
            ("\"hdy_canary\"", "it begins with `\"`"),
            ("'hdy_canary'", "it begins with `'`"),
            ("Bearer hdy_canary", "it begins with `Bearer `"),
            ("bearer hdy_canary", "it begins with `Bearer `"),
            ("hdy_canary\\n", "it has `\\n`, a backslash and a letter, at character 11"),
            ("hdy_canary\n", "it has a line break at character 11"),
            ("hdy_\u{200b}canary", "it has U+200B at character 5"),
            ("hdy_ canary", "it has U+0020 at character 5"),
            ("hdy_c\u{e4}nary", "it has U+00E4 at character 6"),
            ("HOODY_TOKEN=hdy_canary", "it has `=` at character 12"),
            ("hdy_canary,", "it has `,` at character 11"),
            ("hdy_canary\u{1b}[2J", "it has U+001B at character 11"),
        ] {
            let failure = check_form(&bad.into(), "HOODY_TOKEN").unwrap_err();
            assert_eq!(failure.message, format!("HOODY_TOKEN does not look like a token ({why})"), "{bad:?}");
            assert!(!failure.message.contains("canary"));
        }
    }
}
