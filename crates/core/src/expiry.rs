//! `expires_at`: the one field that is sent in many forms (`contract/tokens.md` 6).
//!
//! An ISO 8601 instant, a Unix time in seconds or milliseconds (also as text), `today`, `tomorrow`, or
//! null for never. What is read lies in the future, or is refused.

use serde_json::{Number, Value};

use crate::invalid::Invalid;
use crate::json::quoted;
use crate::time::{DAY, SECOND, Timestamp};

/// Numbers below this are seconds, others milliseconds: as seconds it is in the year 5138, as
/// milliseconds in 1973.
const FIRST_MILLIS: u64 = 100_000_000_000;

/// Reads `expires_at`: the instant after which the token is refused, `None` for never.
///
/// # Errors
/// `INVALID_EXPIRATION_FORMAT` for what is none of the forms, negative, fractional, or after the year
/// 9999; `EXPIRATION_IN_PAST` for what is not after `now`; [`Invalid::Schema`] at `/expires_at` for
/// booleans, arrays and objects.
pub fn parse_expires_at(value: &Value, now: Timestamp) -> Result<Option<Timestamp>, Invalid> {
    let instant = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => from_number(number),
        Value::String(text) => from_text(text, now),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(Invalid::schema("/expires_at", "must be a string, a number or null"));
        }
    };
    let instant = instant.ok_or_else(|| invalid_format(value))?;
    if instant <= now {
        return Err(Invalid::rule(
            "EXPIRATION_IN_PAST",
            format!("Expiration date must be in the future: expires_at is {instant}"),
        ));
    }
    Ok(Some(instant))
}

fn from_number(number: &Number) -> Option<Timestamp> {
    // Some clients write every number as a float; a whole one below 2^53 is exact.
    let whole = |float: f64| float.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&float);
    match (number.as_u64(), number.as_f64()) {
        (Some(unix), _) => from_unix(unix),
        (None, Some(float)) if whole(float) => from_unix(float as u64),
        _ => None,
    }
}

fn from_text(text: &str, now: Timestamp) -> Option<Timestamp> {
    match text {
        "today" => Some(now.plus(DAY - now.millis().rem_euclid(DAY))),
        "tomorrow" => Some(now.plus(DAY)),
        digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            from_unix(digits.parse().ok()?)
        }
        iso => Timestamp::parse(iso).ok(),
    }
}

fn from_unix(unix: u64) -> Option<Timestamp> {
    let unit = if unix < FIRST_MILLIS { SECOND } else { 1 };
    Timestamp::checked_from_millis(i64::try_from(unix).ok()?.checked_mul(unit)?)
}

fn invalid_format(value: &Value) -> Invalid {
    let shown = value.as_str().map_or_else(|| value.to_string(), quoted);
    Invalid::rule(
        "INVALID_EXPIRATION_FORMAT",
        format!(
            "Invalid expiration format: expires_at is {shown}; it must be an ISO 8601 instant, a Unix time in \
             seconds or milliseconds, \"today\", \"tomorrow\" or null"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// 2026-03-02T09:15:42.118Z
    const NOW: i64 = 1_772_442_942_118;

    #[expect(clippy::needless_pass_by_value, reason = "literals are passed")]
    fn read(value: Value) -> Result<Option<String>, &'static str> {
        match parse_expires_at(&value, Timestamp::from_millis(NOW)) {
            Ok(instant) => Ok(instant.map(|instant| instant.to_string())),
            Err(Invalid::Rule { code, .. }) => Err(code),
            Err(Invalid::Schema(violations)) => {
                assert_eq!(violations[0].instance_path, "/expires_at");
                Err("schema")
            }
        }
    }

    fn at(text: &str) -> Result<Option<String>, &'static str> {
        Ok(Some(text.to_owned()))
    }

    #[test]
    fn every_form_of_the_contract_is_read() {
        for value in [
            json!("2027-04-12T00:00:00Z"),
            json!("2027-04-12"),
            json!("2027-04-12T02:00:00+02:00"),
            json!(1_807_488_000),
            json!(1_807_488_000_000_u64),
            json!("1807488000"),
            json!("1807488000000"),
            json!(1_807_488_000.0),
        ] {
            assert_eq!(read(value.clone()), at("2027-04-12T00:00:00.000Z"), "{value}");
        }
        assert_eq!(read(json!(null)), Ok(None));
        assert_eq!(read(json!("tomorrow")), at("2026-03-03T09:15:42.118Z"));
    }

    #[test]
    fn today_is_the_midnight_that_ends_it() {
        assert_eq!(read(json!("today")), at("2026-03-03T00:00:00.000Z"));
        let midnight = Timestamp::from_millis(1_772_409_600_000);
        let expiry = parse_expires_at(&json!("today"), midnight).unwrap();
        assert_eq!(expiry, Some(midnight.plus(DAY)));
        let before_1970 = parse_expires_at(&json!("today"), Timestamp::from_millis(-1)).unwrap();
        assert_eq!(before_1970, Some(Timestamp::from_millis(0)));
    }

    #[test]
    fn the_past_and_the_present_are_refused() {
        for value in [
            json!(0),
            json!(-0.0),
            json!(1_735_689_599),
            json!(NOW),
            json!("2026-03-02T09:15:42.118Z"),
            json!("0"),
            json!("20270412"),
            json!("0000-01-01"),
        ] {
            assert_eq!(read(value.clone()), Err("EXPIRATION_IN_PAST"), "{value}");
        }
        assert_eq!(read(json!(NOW + 1)), at("2026-03-02T09:15:42.119Z"));
    }

    #[test]
    fn other_forms_are_refused() {
        for value in [
            json!(-1),
            json!(1.5),
            json!(1e300),
            json!(-1e300),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(253_402_300_800_000_u64),
            json!(""),
            json!(" "),
            json!("never"),
            json!("Today"),
            json!("-1"),
            json!("1.5"),
            json!("+1807488000"),
            json!("1807488000 "),
            json!("18446744073709551616"),
            json!("2027-13-01"),
            json!("30d"),
            json!("10000-01-01"),
        ] {
            assert_eq!(read(value.clone()), Err("INVALID_EXPIRATION_FORMAT"), "{value}");
        }
        for value in [json!(true), json!([]), json!({ "$gt": 0 })] {
            assert_eq!(read(value.clone()), Err("schema"), "{value}");
        }
        assert_eq!(read(json!("9999-12-30T21:59:59.999Z")), at("9999-12-30T21:59:59.999Z"));
        let Err(Invalid::Rule { message, .. }) =
            parse_expires_at(&json!("x".repeat(1_000_000)), Timestamp::from_millis(NOW))
        else {
            panic!("read a million letters")
        };
        assert!(message.len() < 300, "{message}");
    }

    proptest! {
        #[test]
        fn seconds_milliseconds_and_text_mean_the_same_instant(seconds in 1_772_442_943_u64..99_999_999_999) {
            let expected = at(&Timestamp::from_millis(i64::try_from(seconds * 1000).unwrap()).to_string());
            prop_assert_eq!(read(json!(seconds)), expected.clone());
            prop_assert_eq!(read(json!(seconds * 1000)), expected.clone());
            prop_assert_eq!(read(json!(seconds.to_string())), expected.clone());
            prop_assert_eq!(read(json!((seconds * 1000).to_string())), expected);
        }

        #[test]
        fn any_number_is_read_or_refused(number: f64, whole: u64) {
            crate::properties::expiry(&number.to_string());
            crate::properties::expiry(&whole.to_string());
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            crate::properties::expiry(&text);
        }
    }
}
