//! The cookie beside a ticket.
//!
//! `__Host-` says: of this host alone, over a safe connection. Chromium and Firefox take loopback for one,
//! Safari does not, and no browser a plain-http server elsewhere; so where the public address is plain
//! http the same value goes out under a second name without `Secure`, and either is taken. Behind https
//! there is only the first.

use axum::response::Response;
use hoody_core::one_time::{self, OneTimeSecret};
use http::{HeaderMap, HeaderValue, header};

use crate::sign_in::SignIn;

const NAME: &str = "__Host-device_verify";
const PLAIN_NAME: &str = "device_verify";

fn is_plain(sign_in: &SignIn) -> bool {
    sign_in.access.public_url.starts_with("http://")
}

/// Adds the cookie, for so many seconds; 0 takes it away.
pub(super) fn set(sign_in: &SignIn, response: &mut Response, value: &OneTimeSecret, seconds: u64) {
    put(sign_in, response, value.expose(), seconds);
}

/// Takes the cookie away.
pub(super) fn clear(sign_in: &SignIn, response: &mut Response) {
    put(sign_in, response, "", 0);
}

fn put(sign_in: &SignIn, response: &mut Response, value: &str, seconds: u64) {
    let attributes = format!("Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict");
    let mut cookies = vec![format!("{NAME}={value}; {attributes}; Secure")];
    if is_plain(sign_in) {
        cookies.push(format!("{PLAIN_NAME}={value}; {attributes}"));
    }
    for cookie in cookies {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

/// The cookie of a request, if it has one of the right form.
pub(super) fn read<'a>(sign_in: &SignIn, headers: &'a HeaderMap) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = pairs.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let is_ours = |name: &str| name == NAME || (name == PLAIN_NAME && is_plain(sign_in));
    let mut values = pairs.filter(|(name, _)| is_ours(name)).map(|(_, value)| value);
    values.find(|value| one_time::is_well_formed(value))
}
