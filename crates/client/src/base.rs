//! Where the server is: the base address, the realm's host made from it, and the origin that a stored
//! credential belongs to (`contract/realms.md`, *Client behaviour*).

use std::fmt;
use std::net::IpAddr;

use hoody_core::id::RealmId;
use reqwest::Url;

/// The address of a server, checked: `http` or `https`, with a host, without user, query and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    url: Url,
}

/// Why a text is no base address, or has no host for a realm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// Not an absolute URL.
    #[error("not an address such as https://api.example.com")]
    NotAUrl,
    /// Neither `http` nor `https`.
    #[error("the address must start with http:// or https://")]
    Scheme,
    /// It carries a user, a query or a fragment, which would not be sent.
    #[error("the address must have no user, no password, no query and no fragment")]
    Extra,
    /// A realm is a label before a name, and the base is a bare address.
    #[error("a realm needs a host name: {0} is a bare address")]
    RealmNeedsName(IpAddr),
}

/// Scheme, host and port of a base address, without a realm's label: what a stored credential is bound
/// to. Two addresses of one server that differ only in the realm have the same origin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// Its text, e.g. `https://api.example.com`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Base {
    /// Reads a base address. A path in front of `/api/v1` is kept; `/api/v1` itself, which every route begins
    /// with, is taken off.
    ///
    /// # Errors
    /// When it is none; see [`BaseError`].
    pub fn parse(text: &str) -> Result<Self, BaseError> {
        let url = Url::parse(text).map_err(|_| BaseError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BaseError::Scheme);
        }
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_bare {
            return Err(BaseError::Extra);
        }
        Ok(Self { url: without_routes(url) })
    }

    /// The same server on the realm's host: a leading realm label is replaced, else the label goes in
    /// front. A loopback address becomes `{realm}.api.localhost`.
    ///
    /// # Errors
    /// When the base is a bare address that is not loopback.
    pub fn in_realm(&self, realm: RealmId) -> Result<Self, BaseError> {
        let host = match (self.ip(), self.host()) {
            (Some(address), _) if !address.is_loopback() => return Err(BaseError::RealmNeedsName(address)),
            (Some(_), _) | (None, "localhost") => format!("{realm}.api.localhost"),
            (None, name) => format!("{realm}.{}", without_realm(name)),
        };
        self.with_host(&host)
    }

    /// The origin that credentials are bound to.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let plain = match self.ip() {
            Some(_) => self.clone(),
            None => self.with_host(without_realm(self.host())).unwrap_or_else(|_| self.clone()),
        };
        Origin(plain.url.origin().ascii_serialization())
    }

    /// Whether only this machine can be behind it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.ip().map_or_else(|| is_localhost(self.host()), |address| address.is_loopback())
    }

    /// Whether what is sent can be read on the way.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// The address as text, with a slash at its end only when it has a path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// The bare address, if it is no name.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    fn host(&self) -> &str {
        // `http` and `https` addresses always have one: the parser refuses others.
        self.url.host_str().unwrap_or_default()
    }

    fn with_host(&self, host: &str) -> Result<Self, BaseError> {
        let mut url = self.url.clone();
        url.set_host(Some(host)).map_err(|_| BaseError::NotAUrl)?;
        Ok(Self { url })
    }
}

/// The address as it may be shown: a user, a password, a query and a fragment are left out, and of a text
/// that is no address all that stands before an `@`.
pub(crate) fn without_secrets(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let text = &text[..end];
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((before, host))) if before.len() > scheme.len() => {
            format!("{scheme}://{host}")
        }
        (None, Some((_, host))) => host.to_owned(),
        _ => text.to_owned(),
    }
}

/// The address without `/api/v1` at its end.
fn without_routes(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/');
    if let Some(before) = path.strip_suffix("/api/v1").map(str::to_owned) {
        url.set_path(&before);
    }
    url
}

/// `localhost` and every name below it (RFC 6761).
pub(crate) fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// The name without a leading label of 24 hex digits.
fn without_realm(name: &str) -> &str {
    match name.split_once('.') {
        Some((label, rest)) if !rest.is_empty() && label.parse::<RealmId>().is_ok() => rest,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: &str = "507f1f77bcf86cd799439012";

    fn in_realm(base: &str) -> Result<String, BaseError> {
        let realm = REALM.parse().unwrap();
        Ok(Base::parse(base)?.in_realm(realm)?.as_str().to_owned())
    }

    #[test]
    fn a_realm_is_a_label_before_the_name() {
        assert_eq!(in_realm("https://api.example.com").unwrap(), format!("https://{REALM}.api.example.com"));
        assert_eq!(
            in_realm("https://507f1f77bcf86cd799439099.api.example.com").unwrap(),
            format!("https://{REALM}.api.example.com")
        );
        assert_eq!(
            in_realm("https://example.com:8443/auth").unwrap(),
            format!("https://{REALM}.example.com:8443/auth")
        );
    }

    #[test]
    fn a_loopback_base_becomes_the_realms_name_below_localhost() {
        for base in [
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://localhost:8080",
            "http://api.localhost:8080",
        ] {
            assert_eq!(in_realm(base).unwrap(), format!("http://{REALM}.api.localhost:8080"), "{base}");
        }
    }

    #[test]
    fn a_bare_address_has_no_realms() {
        assert_eq!(
            in_realm("http://192.0.2.7"),
            Err(BaseError::RealmNeedsName("192.0.2.7".parse().unwrap()))
        );
    }

    #[test]
    fn the_origin_knows_no_realm_and_no_path() {
        let origin = |text: &str| Base::parse(text).unwrap().origin().to_string();
        assert_eq!(origin("https://api.example.com"), "https://api.example.com");
        assert_eq!(origin("https://API.example.com:443/x/"), "https://api.example.com");
        assert_eq!(origin(&format!("https://{REALM}.api.example.com")), "https://api.example.com");
        assert_ne!(origin("http://api.example.com"), origin("https://api.example.com"));
        assert_ne!(origin("https://api.example.com.evil.test"), origin("https://api.example.com"));
    }

    #[test]
    fn what_is_no_base_is_refused() {
        for (text, error) in [
            ("api.example.com", BaseError::NotAUrl),
            ("", BaseError::NotAUrl),
            ("ftp://api.example.com", BaseError::Scheme),
            ("https://user:secret@api.example.com", BaseError::Extra),
            ("https://user@api.example.com", BaseError::Extra),
            ("https://api.example.com?x=1", BaseError::Extra),
            ("https://api.example.com/api/v1?x=1", BaseError::Extra),
            ("https://api.example.com/#x", BaseError::Extra),
        ] {
            assert_eq!(Base::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_path_of_the_routes_is_taken_off() {
        for (given, base) in [
            ("https://api.example.com/api/v1", "https://api.example.com"),
            ("https://api.example.com/api/v1/", "https://api.example.com"),
            ("https://example.com/auth/api/v1//", "https://example.com/auth"),
            ("https://example.com/api/v1/auth", "https://example.com/api/v1/auth"),
            ("https://example.com/my-api/v1", "https://example.com/my-api/v1"),
        ] {
            assert_eq!(Base::parse(given).unwrap().as_str(), base);
        }
    }

    #[test]
    fn an_address_is_shown_without_secrets() {
        for (given, shown) in [
            ("https://ada:canary@api.example.com/x", "https://api.example.com/x"),
            ("https://ada:can@ary@api.example.com", "https://api.example.com"),
            ("ada:canary@api.example.com", "api.example.com"),
            ("https://api.example.com/?token=canary", "https://api.example.com/"),
            ("https://api.example.com#canary", "https://api.example.com"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(without_secrets(given), shown);
        }
    }
}
