//! When to ask again, and after how long.
//!
//! A 429 was not acted on, so every method may ask again. A 503 and a lost connection say nothing about
//! what was done: only methods that may be repeated do so, and POST and PATCH on a 503 only when the
//! server invites them with `Retry-After`. No pause is longer than [`LONGEST`]; a wait that
//! the remaining pauses cannot cover is not begun.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use hoody_core::time::Timestamp;
use http::{HeaderMap, Method, StatusCode, header};

/// How often a request is sent at most.
pub(crate) const TRIES: u32 = 3;
/// The longest pause between two tries.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);
const FIRST: Duration = Duration::from_millis(200);

/// How long to wait before the next try, or `None`: give the answer to the caller. `tried` counts the
/// tries so far, from 1.
pub(crate) fn after_status(
    method: &Method,
    status: StatusCode,
    retry_after: Option<Duration>,
    tried: u32,
) -> Option<Duration> {
    let may_repeat = match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::SERVICE_UNAVAILABLE => method.is_idempotent() || retry_after.is_some(),
        _ => false,
    };
    let left = TRIES.saturating_sub(tried);
    if !may_repeat || left == 0 {
        return None;
    }
    match retry_after {
        Some(wanted) if wanted > LONGEST * left => None,
        Some(wanted) => Some(wanted.min(LONGEST)),
        None => Some(backoff(tried)),
    }
}

/// The same for a connection that failed: `is_unsent` when nothing can have reached the server.
pub(crate) fn after_failure(method: &Method, is_unsent: bool, tried: u32) -> Option<Duration> {
    (tried < TRIES && (is_unsent || method.is_idempotent())).then(|| backoff(tried))
}

/// What `Retry-After` says: seconds, or a date. A date is measured against the answer's own `Date`, so
/// that the two clocks need not agree.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = http_date(text)?;
    let now = http_date(headers.get(header::DATE)?.to_str().ok()?)?;
    let millis = until.millis().saturating_sub(now.millis()).max(0);
    Some(Duration::from_millis(millis.unsigned_abs()))
}

/// Twice as long each time, with up to half as much again, so that clients do not march in step.
fn backoff(tried: u32) -> Duration {
    let pause = FIRST * 2_u32.saturating_pow(tried.saturating_sub(1));
    // The hasher's keys are random; no better randomness is needed here.
    let part = u32::try_from(RandomState::new().build_hasher().finish() % 512).unwrap_or(0);
    pause + pause * part / 1024
}

/// Reads the date of RFC 9110 that servers send: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_weekday, rest) = text.trim().split_once(", ")?;
    let mut words = rest.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if words.next() != Some("GMT") || words.next().is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Timestamp::parse(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(retry_after: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(retry_after));
        headers
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(&headers("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers("Sun, 06 Nov 1994 08:49:47 GMT")), Some(Duration::from_secs(10)));
        assert_eq!(retry_after(&headers("Sun, 06 Nov 1994 08:00:00 GMT")), Some(Duration::ZERO));
        for garbage in ["", "soon", "-1", "1e9", "Sun, 06 Nov 1994", "Sun, 99 Foo 1994 08:49:37 GMT"] {
            assert_eq!(retry_after(&headers(garbage)), None, "{garbage}");
        }
    }

    #[test]
    fn a_pause_is_capped_and_a_hopeless_wait_is_not_begun() {
        let wait = |seconds, tried| {
            after_status(
                &Method::POST,
                StatusCode::TOO_MANY_REQUESTS,
                Some(Duration::from_secs(seconds)),
                tried,
            )
        };
        assert_eq!(wait(5, 1), Some(Duration::from_secs(5)));
        assert_eq!(wait(45, 1), Some(LONGEST));
        assert_eq!(wait(45, 2), None);
        assert_eq!(wait(1800, 1), None);
        assert_eq!(wait(0, 3), None);
    }

    #[test]
    fn what_may_have_been_done_is_not_repeated() {
        let busy = StatusCode::SERVICE_UNAVAILABLE;
        assert!(after_status(&Method::GET, busy, None, 1).is_some());
        assert!(after_status(&Method::PUT, busy, None, 1).is_some());
        assert_eq!(after_status(&Method::POST, busy, None, 1), None);
        assert_eq!(after_status(&Method::PATCH, busy, Some(Duration::ZERO), 1), Some(Duration::ZERO));
        assert_eq!(after_status(&Method::GET, StatusCode::INTERNAL_SERVER_ERROR, None, 1), None);
        assert_eq!(after_failure(&Method::POST, false, 1), None);
        assert!(after_failure(&Method::POST, true, 1).is_some());
        assert!(after_failure(&Method::DELETE, false, 2).is_some());
        assert_eq!(after_failure(&Method::GET, false, 3), None);
    }
}
