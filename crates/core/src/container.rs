//! Containers: their names, their states, their images, their environment, and the host names of their terminals
//! (`contract/containers.md`).

use std::fmt;
use std::str::FromStr;

use crate::host::{HostError, name_of};
use crate::id::{ContainerId, ProjectId};
use crate::invalid::Invalid;
use crate::json::quoted;
use crate::names;

/// The most characters of a container's name.
pub const MAX_NAME: usize = 100;
/// The most characters of a comment.
pub const MAX_COMMENT: usize = 16_000;
/// The most bytes of a variable's name.
pub const MAX_KEY: usize = 256;
/// The most bytes of a variable's value.
pub const MAX_VALUE: usize = 32_768;
/// The most variables of a container, and the most bytes of all of them.
pub const MAX_VARIABLES: usize = 200;
/// The most bytes of all variables of a container: the kernel's limit for a program's arguments is 2 MiB.
pub const MAX_ENVIRONMENT: usize = 256 * 1024;
/// The most bytes of a command.
pub const MAX_COMMAND: usize = 64 * 1024;
/// The most seconds that a command may take, and how many it has when nothing is said.
pub const MAX_TIMEOUT: u64 = 600;
/// See [`MAX_TIMEOUT`].
pub const DEFAULT_TIMEOUT: u64 = 60;

/// A container's state, as its row has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// The engine is about to make it.
    Creating,
    /// It runs.
    Running,
    /// It is there and does not run.
    Stopped,
    /// It could not be made, or it disappeared from the engine.
    Failed,
    /// The engine is about to remove it.
    Deleting,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Creating, Self::Running, Self::Stopped, Self::Failed, Self::Deleting];

    /// Its word on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
        }
    }

    /// The status that an engine's state stands for; `None` for a state that says nothing about it, such as
    /// `stopping`, and for one that this version does not know.
    #[must_use]
    pub fn of_engine(state: &str) -> Option<Self> {
        match state {
            "running" | "restarting" | "paused" => Some(Self::Running),
            "exited" | "dead" | "stopped" | "created" | "configured" | "initialized" => Some(Self::Stopped),
            _ => None,
        }
    }
}

/// The text is no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a status is creating, running, stopped, failed or deleting")]
pub struct ParseStatusError;

impl FromStr for Status {
    type Err = ParseStatusError;

    fn from_str(text: &str) -> Result<Self, ParseStatusError> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(ParseStatusError)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What people may ask of a container that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Start it.
    Start,
    /// Stop it; processes have ten seconds to end.
    Stop,
    /// Kill it.
    ForceStop,
    /// Stop and start it.
    Restart,
}

impl Operation {
    /// Its word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::ForceStop => "force-stop",
            Self::Restart => "restart",
        }
    }

    /// Whether a container in this state takes it.
    #[must_use]
    pub const fn is_possible(self, status: Status) -> bool {
        matches!(status, Status::Running | Status::Stopped)
    }

    /// The state in which nothing is left to do.
    #[must_use]
    pub const fn goal(self) -> Option<Status> {
        match self {
            Self::Start => Some(Status::Running),
            Self::Stop | Self::ForceStop => Some(Status::Stopped),
            Self::Restart => None,
        }
    }
}

/// Checks a name: `shortest` to 100 characters of ASCII letters, digits, `-` and `_`.
///
/// # Errors
/// `INVALID_CONTAINER_NAME`.
pub fn name(text: &str, shortest: usize) -> Result<&str, Invalid> {
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if is_plain && (shortest..=MAX_NAME).contains(&text.len()) {
        return Ok(text);
    }
    Err(Invalid::rule(
        "INVALID_CONTAINER_NAME",
        format!(
            "Invalid container name: name must have {shortest} to {MAX_NAME} ASCII letters, digits, hyphens or \
             underscores"
        ),
    ))
}

/// A name for a container without one, e.g. `clever-dolphin-3fa9`.
#[must_use]
pub fn random_name(random: [u8; 8]) -> String {
    names::random_alias_suffixed(random)
}

/// Prefixes and names of variables that hoody, the loader or a proxy reads.
const RESERVED_PREFIXES: [&str; 2] = ["HOODY_", "LD_"];
const RESERVED: [&str; 13] = [
    "TMPDIR",
    "TMP",
    "TEMP",
    "http_proxy",
    "https_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "all_proxy",
    "GCONV_PATH",
    "RESOLV_HOST_CONF",
    "NLSPATH",
    "LOCPATH",
];

/// Checks a variable's name.
///
/// # Errors
/// 400 `VALIDATION_ERROR`.
pub fn variable(key: &str) -> Result<&str, Invalid> {
    let begins = key.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let is_plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !begins || !is_plain || key.len() > MAX_KEY {
        return Err(Invalid::validation(format!(
            "The variable {} must have 1 to {MAX_KEY} ASCII letters, digits or underscores and not begin with a digit",
            quoted(key)
        )));
    }
    if RESERVED_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) || RESERVED.contains(&key) {
        return Err(Invalid::validation(format!("The variable {key} is reserved and cannot be set")));
    }
    Ok(key)
}

/// Checks a variable's value. The error does not repeat it.
///
/// # Errors
/// 400 `VALIDATION_ERROR`.
pub fn value<'a>(key: &str, value: &'a str) -> Result<&'a str, Invalid> {
    if value.len() > MAX_VALUE {
        return Err(Invalid::validation(format!("The value of {key} must have at most {MAX_VALUE} bytes")));
    }
    if value.contains(['\r', '\n', '\0']) {
        return Err(Invalid::validation(format!("The value of {key} must not contain CR, LF or NUL")));
    }
    Ok(value)
}

/// The images that requests may name, with what the engine calls them. The first is the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images(Vec<(String, String)>);

impl Default for Images {
    fn default() -> Self {
        Self(vec![("debian/13".to_owned(), "docker.io/library/debian:13".to_owned())])
    }
}

impl Images {
    /// Reads `NAME=REFERENCE` entries with commas between them.
    ///
    /// # Errors
    /// A sentence that names the entry and the rule.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut images: Vec<(String, String)> = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let shown = quoted(entry);
            let Some((name, reference)) = entry.split_once('=') else {
                return Err(format!(
                    "{shown} must be NAME=REFERENCE, e.g. debian/13=docker.io/library/debian:13"
                ));
            };
            let is_plain = |text: &str| {
                !text.is_empty()
                    && text.len() <= 255
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/:.-_@".contains(&b))
            };
            if !is_plain(name) || !is_plain(reference) {
                return Err(format!("{shown} has characters that no image name has"));
            }
            images.push((fold_image(name), reference.to_owned()));
        }
        if images.is_empty() { Err("at least one image must be named".to_owned()) } else { Ok(Self(images)) }
    }

    /// Name and reference of the image that a request names; of the default when it names none.
    #[must_use]
    pub fn find(&self, name: Option<&str>) -> Option<(&str, &str)> {
        let found = match name {
            None => self.0.first(),
            Some(name) => {
                let folded = fold_image(name);
                let is_it = |known: &str| known == folded || known.split('/').next() == Some(folded.as_str());
                self.0.iter().find(|(known, _)| is_it(known))
            }
        };
        found.map(|(name, reference)| (name.as_str(), reference.as_str()))
    }

    /// The names, for errors.
    #[must_use]
    pub fn names(&self) -> String {
        self.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// `debian-13` and `debian:13` are `debian/13`.
fn fold_image(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.split_once([':', '-', '/']) {
        Some((family, version)) => format!("{family}/{version}"),
        None => name,
    }
}

/// A server: the id and the name in URLs, and further ids that requests may give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerNames(Vec<String>);

impl ServerNames {
    /// Reads one name, and further ids after commas.
    ///
    /// # Errors
    /// A sentence that names the entry and the rule.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names: Vec<_> = text.split(',').map(str::trim).map(str::to_owned).collect();
        let is_label = |name: &String| {
            let is_plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            is_plain && (1..=63).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-')
        };
        match names.iter().find(|name| !is_label(name)) {
            Some(bad) => Err(format!(
                "{} must have 1 to 63 lowercase ASCII letters, digits or hyphens, since it is part of host names",
                quoted(bad)
            )),
            None => Ok(Self(names)),
        }
    }

    /// The name in URLs.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.first().map_or("local", String::as_str)
    }

    /// Whether this id is one of it.
    #[must_use]
    pub fn is(&self, id: &str) -> bool {
        self.0.iter().any(|name| name == id)
    }
}

/// The domain of containers below this server's domain: `api.example.com` has `containers.example.com`.
#[must_use]
pub fn default_domain(domain: &str) -> String {
    format!("containers.{}", domain.strip_prefix("api.").unwrap_or(domain))
}

/// A service of a container, as a host name names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceHost {
    /// The project.
    pub project: ProjectId,
    /// The container.
    pub container: ContainerId,
    /// Which service, e.g. `terminal`.
    pub service: String,
    /// Which of them, from 1.
    pub index: u32,
    /// The server's name.
    pub server: String,
}

/// Whether a host is below the domain of containers, whatever it names there: such a request is never for the API.
///
/// # Errors
/// When it is no host.
pub fn is_below(host: &str, domain: &str) -> Result<bool, HostError> {
    let name = name_of(host)?;
    let at = name.len().checked_sub(domain.len());
    Ok(at.is_some_and(|at| {
        name.is_char_boundary(at)
            && name[at..].eq_ignore_ascii_case(domain)
            && (at == 0 || name.as_bytes()[at - 1] == b'.')
    }))
}

/// Reads `{project}-{container}-{service}-{index}.{server}.{domain}`; `None` for any other name.
#[must_use]
pub fn service_host(host: &str, domain: &str) -> Option<ServiceHost> {
    let name = name_of(host).ok()?.to_ascii_lowercase();
    let below = name.strip_suffix(domain)?.strip_suffix('.')?;
    let (label, server) = below.split_once('.')?;
    let (project, rest) = label.split_once('-')?;
    let (container, rest) = rest.split_once('-')?;
    let (service, index) = match rest.rsplit_once('-') {
        Some((service, index)) => (service, index.parse().ok().filter(|index| *index > 0)?),
        None => (rest, 1),
    };
    let is_plain = !service.is_empty() && service.bytes().all(|b| b.is_ascii_lowercase());
    if !is_plain || server.contains('.') || server.is_empty() {
        return None;
    }
    let (project, container) = (project.parse().ok()?, container.parse().ok()?);
    Some(ServiceHost { project, container, service: service.to_owned(), index, server: server.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PROJECT: &str = "63f8b0e5c9a1b2d3e4f5a6b7";
    const CONTAINER: &str = "65a1b2c3d4e5f60718293a4b";
    const DOMAIN: &str = "containers.localhost";

    #[test]
    fn a_status_is_the_word_of_the_contract() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("provisioning".parse::<Status>(), Err(ParseStatusError));
        for (state, status) in [
            ("running", Some(Status::Running)),
            ("paused", Some(Status::Running)),
            ("exited", Some(Status::Stopped)),
            ("stopped", Some(Status::Stopped)),
            ("stopping", None),
            ("removing", None),
            ("a state of next year", None),
        ] {
            assert_eq!(Status::of_engine(state), status, "{state}");
        }
    }

    #[test]
    fn a_name_has_the_characters_of_the_contract() {
        for good in ["ai-task-1796031245123", "abc", "A_b-9", &"x".repeat(100)] {
            assert_eq!(name(good, 3), Ok(good));
        }
        for bad in ["ab", "", "a b c", "ä-container", "a/../b", "abc\n", &"x".repeat(101)] {
            let Err(Invalid::Rule { code, .. }) = name(bad, 3) else { panic!("{bad}") };
            assert_eq!(code, "INVALID_CONTAINER_NAME");
        }
        assert_eq!(name("a", 1), Ok("a"));
        assert!(name(&random_name([1, 2, 3, 4, 5, 6, 7, 8]), 3).is_ok());
    }

    #[test]
    fn variables_that_change_how_programs_are_loaded_are_refused() {
        for good in ["PATH", "_x", "API_KEY", "a1"] {
            assert_eq!(variable(good), Ok(good));
        }
        for bad in ["", "1a", "a-b", "a=b", "LD_PRELOAD", "HOODY_RUN", "TMPDIR", "http_proxy", "ä", "a\0"] {
            assert!(variable(bad).is_err(), "{bad}");
        }
        assert!(variable(&"k".repeat(257)).is_err());
        assert_eq!(value("a", ""), Ok(""));
        for bad in ["a\nb", "a\rb", "a\0b", &"x".repeat(32_769)] {
            let Err(Invalid::Rule { message, .. }) = value("KEY", bad) else { panic!() };
            assert!(message.contains("KEY") && !message.contains("xxx"), "{message}");
        }
    }

    #[test]
    fn an_image_is_found_under_each_of_its_spellings() {
        let images =
            Images::parse("debian/13=docker.io/library/debian:13, busybox=localhost/busybox").unwrap();
        for name in ["debian", "debian-13", "debian:13", "debian/13", "Debian:13"] {
            assert_eq!(images.find(Some(name)), Some(("debian/13", "docker.io/library/debian:13")), "{name}");
        }
        assert_eq!(images.find(None).unwrap().0, "debian/13");
        assert_eq!(images.find(Some("busybox")).unwrap().1, "localhost/busybox");
        for unknown in ["debian:12", "alpine", "", "docker.io/library/debian:13", "../x"] {
            assert_eq!(images.find(Some(unknown)), None, "{unknown}");
        }
        for bad in ["", "debian", "=x", "a=", "a=b c", "a=b;c"] {
            assert!(Images::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_server_has_a_name_for_urls_and_further_ids() {
        let server = ServerNames::parse("local, your-server-id").unwrap();
        assert_eq!(server.name(), "local");
        assert!(server.is("local") && server.is("your-server-id") && !server.is("other"));
        for bad in ["", "a.b", "A", "-a", "a-", "a,,b", &"x".repeat(64)] {
            assert!(ServerNames::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_terminals_host_is_read_and_anything_else_below_the_domain_is_not_the_api() {
        let host = format!("{PROJECT}-{CONTAINER}-terminal-1.local.{DOMAIN}");
        let read = service_host(&format!("{}:8080", host.to_uppercase()), DOMAIN).unwrap();
        assert_eq!(read.project.to_string(), PROJECT);
        assert_eq!(read.container.to_string(), CONTAINER);
        assert_eq!((read.service.as_str(), read.index, read.server.as_str()), ("terminal", 1, "local"));
        assert_eq!(service_host(&host.replace("-terminal-1", "-run"), DOMAIN).unwrap().index, 1);
        for other in [
            DOMAIN.to_owned(),
            format!("x.{DOMAIN}"),
            format!("{PROJECT}-{CONTAINER}-terminal-0.local.{DOMAIN}"),
            format!("{PROJECT}-{CONTAINER}-terminal-1.{DOMAIN}"),
            format!("a.{host}"),
            format!("{PROJECT}-terminal-1.local.{DOMAIN}"),
        ] {
            assert_eq!(service_host(&other, DOMAIN), None, "{other}");
            assert_eq!(is_below(&other, DOMAIN), Ok(true), "{other}");
        }
        for api in ["api.localhost", "localhost", "notcontainers.localhost", "containers.localhost.evil.test"]
        {
            assert_eq!(is_below(api, DOMAIN), Ok(false), "{api}");
        }
        assert_eq!(default_domain("api.example.com"), "containers.example.com");
        assert_eq!(default_domain("localhost"), "containers.localhost");
    }

    proptest! {
        #[test]
        fn any_host_is_read_or_refused(text in ".{0,120}") {
            let _ = is_below(&text, DOMAIN);
            let _ = service_host(&text, DOMAIN);
        }

        #[test]
        fn every_terminal_is_found(project: [u8; 12], container: [u8; 12], index in 1_u32..1000) {
            let (project, container) = (ProjectId::from_bytes(project), ContainerId::from_bytes(container));
            let host = format!("{project}-{container}-terminal-{index}.local.{DOMAIN}");
            let read = service_host(&host, DOMAIN).unwrap();
            prop_assert_eq!((read.project, read.container, read.index), (project, container, index));
            prop_assert_eq!(is_below(&host, DOMAIN), Ok(true));
        }
    }
}
