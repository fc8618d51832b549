//! Hosts: which realm a request is for, told by the name it was sent to.
//!
//! `<24 hex>.<domain>` is that realm, everything else is the base, which is not limited to a realm.
//! Because "base" is the wider answer, a name that looks like a realm's but is below another domain is
//! refused instead of read as the base. Only `Host` and `:authority` count (`design.md` 4, *Hosts*).

use std::fmt;
use std::net::Ipv6Addr;

use crate::id::RealmId;
use crate::invalid::Invalid;
use crate::json::quoted;

/// The most bytes of a host name (RFC 1035).
const MAX_NAME: usize = 253;
/// The digits of a realm's id.
const REALM_DIGITS: usize = 24;

/// The name below which realms are: lower case, without port and trailing dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain(Box<str>);

/// A host that cannot be told to be the base or a realm: 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// No host name, address or port as RFC 9110 has them.
    #[error("the Host header is not a host name")]
    Unreadable,
    /// A realm's label below another domain than the server's.
    #[error("{host} names a realm, but the realms of this server are below {domain}: see --domain")]
    RealmHostUnknown {
        /// The name that was asked for, quoted and cut to 64 characters.
        host: String,
        /// The server's domain.
        domain: String,
    },
    /// HTTP/1.1 without a Host header (RFC 9112, 3.2).
    #[error("the request has no Host header, which HTTP/1.1 requires")]
    Missing,
    /// Two Host headers, or one that differs from the request's target.
    #[error("the request names two hosts")]
    Ambiguous,
}

impl From<HostError> for Invalid {
    fn from(error: HostError) -> Self {
        let code = match error {
            HostError::RealmHostUnknown { .. } => "REALM_HOST_UNKNOWN",
            HostError::Unreadable | HostError::Missing | HostError::Ambiguous => "VALIDATION_ERROR",
        };
        Self::rule(code, error.to_string())
    }
}

impl Domain {
    /// Reads the setting `--domain`.
    ///
    /// # Errors
    /// A sentence that says what is wrong: not a host name, a port, an IPv6 address, or a first label
    /// that would be taken for a realm.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = quoted(text);
        if text.contains([':', '[', ']', '/']) {
            return Err(format!("{shown} must be a host name alone, without scheme, port or brackets"));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if !is_name(name) || name.split('.').any(|label| label.len() > 63) {
            return Err(format!("{shown} is not a host name"));
        }
        if name.len() + REALM_DIGITS + 1 > MAX_NAME {
            return Err(format!("{shown} is too long to have realms below it"));
        }
        if realm_label(name).is_some() {
            return Err(format!("{shown} begins like a realm"));
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The one host that a request names: its `Host` lines and the authority of its target, if that has
/// one. They agree when their names do, without port and case. `None` when there is no host (HTTP/1.0).
///
/// # Errors
/// [`HostError::Ambiguous`] for two `Host` lines or names that differ; [`HostError::Unreadable`] for
/// what is no host.
pub fn host_of_request<'a>(
    host_lines: impl IntoIterator<Item = &'a [u8]>,
    authority: Option<&'a str>,
) -> Result<Option<&'a str>, HostError> {
    let mut lines = host_lines.into_iter();
    let line = match lines.next() {
        Some(line) => Some(std::str::from_utf8(line).map_err(|_| HostError::Unreadable)?),
        None => None,
    };
    if lines.next().is_some() {
        return Err(HostError::Ambiguous);
    }
    if let (Some(line), Some(authority)) = (line, authority)
        && !name_of(line)?.eq_ignore_ascii_case(name_of(authority)?)
    {
        return Err(HostError::Ambiguous);
    }
    Ok(authority.or(line))
}

/// The realm that a host selects, `None` for the base. `host` is the value of `Host` or `:authority`;
/// port, trailing dot and case do not matter. Allocates only for the error.
///
/// # Errors
/// [`HostError::RealmHostUnknown`] for `<24 hex>.` before another name than the domain;
/// [`HostError::Unreadable`] for what is no host.
pub fn realm_of_host(host: &str, domain: &Domain) -> Result<Option<RealmId>, HostError> {
    let name = name_of(host)?;
    let Some((realm, parent)) = realm_label(name) else { return Ok(None) };
    if parent.eq_ignore_ascii_case(&domain.0) {
        return Ok(Some(realm));
    }
    Err(HostError::RealmHostUnknown { host: quoted(name), domain: domain.to_string() })
}

/// The realm of `<24 hex>.<parent>` and the parent.
fn realm_label(name: &str) -> Option<(RealmId, &str)> {
    let (label, parent) = name.split_once('.')?;
    let mut digits: [u8; REALM_DIGITS] = label.as_bytes().try_into().ok()?;
    digits.make_ascii_lowercase();
    let realm = std::str::from_utf8(&digits).ok()?.parse().ok()?;
    Some((realm, parent))
}

/// The name of a host without port and trailing dot; an IPv6 address with its brackets; empty for the
/// empty host that RFC 9110 allows. The case is left as it is.
///
/// # Errors
/// [`HostError::Unreadable`] for what is no host.
pub fn name_of(host: &str) -> Result<&str, HostError> {
    let (name, port) = match host.rfind([':', ']']) {
        Some(at) if host.as_bytes()[at] == b':' => (&host[..at], &host[at + 1..]),
        _ => (host, ""),
    };
    let is_port = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if !port.is_empty() && !is_port {
        return Err(HostError::Unreadable);
    }
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().map(|_| name).map_err(|_| HostError::Unreadable);
    }
    let plain = name.strip_suffix('.').unwrap_or(name);
    if is_name(plain) || host.is_empty() { Ok(plain) } else { Err(HostError::Unreadable) }
}

/// Letters, digits, `-` and `_` in labels that are not empty. Underscores are no host name's, but
/// service names inside container networks have them.
fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REALM: &str = "65a1b2c3d4e5f60718293a4b";

    fn domain() -> Domain {
        Domain::parse("api.localhost").unwrap()
    }

    fn realm(host: &str) -> Result<Option<RealmId>, HostError> {
        realm_of_host(host, &domain())
    }

    #[test]
    fn a_realms_host_selects_the_realm() {
        let expected = Ok(Some(REALM.parse().unwrap()));
        for host in [
            "65a1b2c3d4e5f60718293a4b.api.localhost",
            "65a1b2c3d4e5f60718293a4b.api.localhost:8080",
            "65a1b2c3d4e5f60718293a4b.api.localhost.",
            "65a1b2c3d4e5f60718293a4b.api.localhost.:443",
            "65a1b2c3d4e5f60718293a4b.api.localhost:",
            "65A1B2C3D4E5F60718293A4B.API.LocalHost",
        ] {
            assert_eq!(realm(host), expected, "{host}");
        }
    }

    #[test]
    fn everything_else_is_the_base() {
        for host in [
            "",
            "api.localhost",
            "API.localhost.:80",
            "localhost",
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:8080",
            "default.api.localhost",
            "foo.api.localhost",
            "65a1b2c3d4e5f60718293a4.api.localhost",
            "65a1b2c3d4e5f60718293a4b0.api.localhost",
            "65a1b2c3d4e5f60718293a4g.api.localhost",
            REALM,
            "www.65a1b2c3d4e5f60718293a4b.api.localhost",
            "my_service:3000",
            "other.example",
        ] {
            assert_eq!(realm(host), Ok(None), "{host}");
        }
    }

    #[test]
    fn a_realm_below_another_name_is_refused_and_names_the_setting() {
        for parent in [
            "localhost",
            "example.com",
            "evilapi.localhost",
            "api.localhost.evil.test",
            "x.api.localhost",
            "api.localhos",
            "127.0.0.1",
        ] {
            let error = realm(&format!("{REALM}.{parent}:80")).unwrap_err();
            assert!(matches!(error, HostError::RealmHostUnknown { .. }), "{parent}");
            let Invalid::Rule { code, message } = error.into() else { panic!("{parent}") };
            assert_eq!(code, "REALM_HOST_UNKNOWN");
            assert!(message.contains("--domain") && message.contains("api.localhost"), "{message}");
        }
        let long = format!("{REALM}.{}", vec!["a"; 110].join("."));
        assert!(realm(&long).unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in [
            ".",
            "..",
            ".api.localhost",
            "api..localhost",
            "api.localhost..",
            "a b",
            "a/b",
            "a\\b",
            "user@api.localhost",
            "api.localhost:x",
            "api.localhost:65536",
            "api.localhost:80:80",
            "api.localhost:+80",
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[127.0.0.1]",
            "[fe80::1%eth0]",
            "[::1]x",
            "[::1]:x",
            "ä.localhost",
            "a,b",
            "a\0",
            " api.localhost",
            "http://api.localhost",
            "%61pi.localhost",
            ":80",
            ":",
        ] {
            assert_eq!(realm(host), Err(HostError::Unreadable), "{host}");
        }
        assert_eq!(realm(&"a".repeat(254)), Err(HostError::Unreadable));
    }

    #[test]
    fn the_setting_is_one_plain_name() {
        for (text, name) in
            [("API.Example.com.", "api.example.com"), ("localhost", "localhost"), ("10.0.0.1", "10.0.0.1")]
        {
            assert_eq!(Domain::parse(text).unwrap().as_str(), name);
        }
        for bad in [
            "",
            ".",
            "api.localhost:8080",
            "https://api.localhost",
            "[::1]",
            "::1",
            "a b",
            "api..localhost",
            "*.localhost",
        ] {
            Domain::parse(bad).unwrap_err();
        }
        assert!(Domain::parse(&format!("{REALM}.localhost")).unwrap_err().contains("realm"));
        assert!(Domain::parse(&"a".repeat(64)).is_err());
    }

    #[test]
    fn a_request_names_one_host() {
        let one = |lines: &[&'static str], authority| {
            host_of_request(lines.iter().map(|line| line.as_bytes()), authority)
        };
        assert_eq!(one(&[], None), Ok(None));
        assert_eq!(one(&["a.test"], None), Ok(Some("a.test")));
        assert_eq!(one(&[], Some("a.test:80")), Ok(Some("a.test:80")));
        assert_eq!(one(&["A.test."], Some("a.test:80")), Ok(Some("a.test:80")));
        assert_eq!(one(&["a.test", "a.test"], None), Err(HostError::Ambiguous));
        assert_eq!(one(&["a.test"], Some("b.test")), Err(HostError::Ambiguous));
        assert_eq!(one(&[""], Some("b.test")), Err(HostError::Ambiguous));
        assert_eq!(one(&["a.test"], Some("user@a.test")), Err(HostError::Unreadable));
        assert_eq!(host_of_request([&b"\xff"[..]], None), Err(HostError::Unreadable));
    }

    proptest! {
        #[test]
        fn every_realm_is_found_below_the_domain(bytes: [u8; 12], upper: bool, port: Option<u16>, dot: bool) {
            let id = RealmId::from_bytes(bytes);
            let mut host = format!("{id}.api.localhost{}", if dot { "." } else { "" });
            if upper { host.make_ascii_uppercase(); }
            if let Some(port) = port { host = format!("{host}:{port}"); }
            prop_assert_eq!(realm(&host), Ok(Some(id)));
        }

        #[test]
        fn a_realm_below_any_other_name_is_never_the_base(parent in "[a-z0-9-]{1,20}(\\.[a-z0-9-]{1,20}){0,3}") {
            prop_assume!(parent != "api.localhost");
            let host = format!("{REALM}.{parent}");
            prop_assert!(realm(&host).is_err());
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}") {
            crate::properties::host(&text);
        }

        #[test]
        fn any_text_of_host_characters_is_read_or_refused(text in r"(65a1b2c3d4e5f60718293a4b)?[a-zA-F0-9.:\[\]-]{0,40}(api\.localhost)?[.:0-9]{0,4}") {
            crate::properties::host(&text);
        }
    }
}
