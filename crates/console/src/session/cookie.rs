//! The cookie of a session in the console.
//!
//! `__Host-` says: of this host alone, for all its paths, over a safe connection. Chromium and Firefox take
//! loopback for one and Safari does not, so where the public address is plain HTTP the same value goes out
//! under a second name without `Secure`, and either is taken. There is no expiry: it goes with the browser.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use hoody_core::one_time::{self, OneTimeSecret};
use http::{HeaderMap, HeaderValue, header};

const NAME: &str = "__Host-hoody_console";
const PLAIN_NAME: &str = "hoody_console";

/// The cookies that the answer to a request is to set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Jar(Arc<Mutex<Vec<HeaderValue>>>);

/// Gives a request a jar, and its answer what was put into it.
pub(crate) async fn carry(mut request: Request, next: Next) -> Response {
    let jar = Jar::default();
    request.extensions_mut().insert(jar.clone());
    let mut response = next.run(request).await;
    for cookie in jar.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

impl Jar {
    /// Sets the cookie.
    pub(crate) fn set(&self, is_plain: bool, value: &OneTimeSecret) {
        self.put(is_plain, value.expose(), "");
    }

    /// Takes the cookie away.
    pub(crate) fn clear(&self, is_plain: bool) {
        self.put(is_plain, "", "; Max-Age=0");
    }

    fn put(&self, is_plain: bool, value: &str, age: &str) {
        let attributes = format!("Path=/; HttpOnly; SameSite=Strict{age}");
        let mut cookies = vec![format!("{NAME}={value}; {attributes}; Secure")];
        if is_plain {
            cookies.push(format!("{PLAIN_NAME}={value}; {attributes}"));
        }
        let mut jar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The last one counts.
        jar.clear();
        for cookie in cookies {
            if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
                cookie.set_sensitive(true);
                jar.push(cookie);
            }
        }
    }
}

/// The cookie of a request, if it has one of the right form.
pub(super) fn read(is_plain: bool, headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = pairs.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let is_ours = |name: &str| name == NAME || (name == PLAIN_NAME && is_plain);
    let mut values = pairs.filter(|(name, _)| is_ours(name)).map(|(_, value)| value);
    values.find(|value| one_time::is_well_formed(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_without_secure_counts_only_where_there_is_no_tls() {
        let value = "a5".repeat(32);
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("x=1; hoody_console={value}").parse().unwrap());
        assert_eq!(read(true, &headers), Some(value.as_str()));
        assert_eq!(read(false, &headers), None);
        headers.append(header::COOKIE, format!("__Host-hoody_console={value}").parse().unwrap());
        assert_eq!(read(false, &headers), Some(value.as_str()));
        headers.clear();
        headers.insert(header::COOKIE, "__Host-hoody_console=short".parse().unwrap());
        assert_eq!(read(false, &headers), None);
    }
}
