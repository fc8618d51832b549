//! When to ask again, and after how long.
//!
//! What changes something is sent again only where surely nothing was done: nothing reached the server, or
//! the server says so by a 429 or 503 with `Retry-After`. `OUTCOME_UNKNOWN` says the opposite and is never
//! asked again, whatever the method. Calls that may be repeated (GET, and PUT and DELETE without a code that
//! is good once) are also sent again after a bare 503 or a lost connection. No pause is longer than
//! [`LONGEST`]; a wait that the remaining pauses cannot cover is not begun.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use hoody_core::time::Timestamp;
use http::{HeaderMap, StatusCode, header};

use crate::error::{ApiError, OUTCOME_UNKNOWN};

/// How often a request is sent at most.
pub(crate) const TRIES: u32 = 3;
/// The longest pause between two tries.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);
const FIRST: Duration = Duration::from_millis(200);

/// How long to wait before the next try after this refusal, or `None`: give it to the caller.
/// `is_repeatable` when a second time does what the first did; `tried` counts the tries so far, from 1.
pub(crate) fn after_refusal(is_repeatable: bool, refusal: &ApiError, tried: u32) -> Option<Duration> {
    let may_repeat = match refusal.status {
        _ if refusal.code == OUTCOME_UNKNOWN => false,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            is_repeatable || refusal.retry_after.is_some()
        }
        _ => false,
    };
    let left = TRIES.saturating_sub(tried);
    if !may_repeat || left == 0 {
        return None;
    }
    match refusal.retry_after {
        Some(wanted) if wanted > LONGEST * left => None,
        Some(wanted) => Some(wanted.min(LONGEST)),
        None => Some(backoff(tried)),
    }
}

/// The same for a connection that failed: `is_unsent` when nothing can have reached the server.
pub(crate) fn after_failure(is_repeatable: bool, is_unsent: bool, tried: u32) -> Option<Duration> {
    (tried < TRIES && (is_unsent || is_repeatable)).then(|| backoff(tried))
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

    fn refusal(status: u16, code: &str, retry_after: Option<u64>) -> ApiError {
        ApiError {
            status: StatusCode::from_u16(status).unwrap(),
            code: code.to_owned(),
            message: String::new(),
            data: None,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn a_pause_is_capped_and_a_hopeless_wait_is_not_begun() {
        let wait = |seconds, tried| after_refusal(false, &refusal(429, "", Some(seconds)), tried);
        assert_eq!(wait(5, 1), Some(Duration::from_secs(5)));
        assert_eq!(wait(45, 1), Some(LONGEST));
        assert_eq!(wait(45, 2), None);
        assert_eq!(wait(1800, 1), None);
        assert_eq!(wait(0, 3), None);
    }

    #[test]
    fn what_may_have_been_done_is_not_repeated() {
        let again = |is_repeatable, status, code, retry_after| {
            after_refusal(is_repeatable, &refusal(status, code, retry_after), 1).is_some()
        };
        // Surely nothing was done: the server says when to ask again.
        for status in [429, 503] {
            assert!(again(false, status, "", Some(0)) && again(true, status, "", Some(0)), "{status}");
            assert!(!again(false, status, "", None) && again(true, status, "", None), "{status}");
        }
        // Something may have been done, whatever a proxy adds to the answer.
        for is_repeatable in [false, true] {
            assert!(!again(is_repeatable, 503, OUTCOME_UNKNOWN, None));
            assert!(!again(is_repeatable, 503, OUTCOME_UNKNOWN, Some(0)));
            for status in [400, 401, 408, 409, 425, 500, 502, 504] {
                assert!(!again(is_repeatable, status, "", Some(0)), "{status}");
            }
        }
        assert!(after_failure(false, true, 1).is_some() && after_failure(false, false, 1).is_none());
        assert!(after_failure(true, false, 2).is_some() && after_failure(true, false, 3).is_none());
    }
}
