//! Instants for people: how long ago or in how long, with the exact instant (UTC) in the element. The script
//! keeps the words up to date; without it they are right when the page is made.

use hoody_core::time::{DAY, HOUR, MINUTE, Timestamp};
use maud::{Markup, html};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `12 Dec 2026`.
pub(crate) fn day(at: Timestamp) -> String {
    let text = at.to_string();
    let (year, month, day) = (text.get(0..4), text.get(5..7), text.get(8..10));
    let month = month.and_then(|month| MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?));
    match (year, month, day) {
        (Some(year), Some(month), Some(day)) => format!("{} {month} {year}", day.trim_start_matches('0')),
        _ => text,
    }
}

/// `12 Dec 2026 09:15 UTC`.
pub(crate) fn minute(at: Timestamp) -> String {
    format!("{} {} UTC", day(at), at.to_string().get(11..16).unwrap_or_default())
}

/// `12:03:04.221 UTC`.
pub(crate) fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    let text = text.get(11..).unwrap_or_default().trim_end_matches('Z');
    if text.contains('.') { format!("{text} UTC") } else { format!("{text}.000 UTC") }
}

/// How far `at` is from `now`: `6 min ago`, `in 12 days`, `just now`; far away, its day.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    let apart = at.millis() - now.millis();
    let is_ahead = apart > 0;
    // What ends in 30 days is said to do so for a minute.
    let size = if apart < MINUTE { apart.abs() } else { apart + MINUTE - 1 };
    let (count, unit) = match size {
        _ if size < MINUTE => return if is_ahead { "in a moment".to_owned() } else { "just now".to_owned() },
        _ if size < HOUR => (size / MINUTE, "min"),
        _ if size < DAY => (size / HOUR, "h"),
        _ if size < 2 * DAY && !is_ahead => return "yesterday".to_owned(),
        _ if size < 90 * DAY => (size / DAY, if size < 2 * DAY { "day" } else { "days" }),
        _ => return day(at),
    };
    if is_ahead { format!("in {count} {unit}") } else { format!("{count} {unit} ago") }
}

/// How long from `now` to `at`, in words: `30 days`, `1 hour`.
pub(crate) fn span(millis: i64) -> String {
    let of = |count: i64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    // A form that took a while to fill in still says 30 days.
    let millis = millis + MINUTE - 1;
    if millis < HOUR {
        of(millis / MINUTE, "minute")
    } else if millis < 2 * DAY {
        of(millis / HOUR, "hour")
    } else {
        of(millis / DAY, "day")
    }
}

/// The instant in an element.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title=(minute(at)) data-ago { (relative(at, now)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_told_as_people_tell_them() {
        let now = Timestamp::parse("2026-12-12T09:15:42.118Z").unwrap();
        for (apart, words) in [
            (0, "just now"),
            (-59_000, "just now"),
            (30_000, "in a moment"),
            (-6 * MINUTE, "6 min ago"),
            (-3 * HOUR, "3 h ago"),
            (-25 * HOUR, "yesterday"),
            (25 * HOUR, "in 1 day"),
            (12 * DAY, "in 12 days"),
            (-89 * DAY, "89 days ago"),
            (-200 * DAY, "26 May 2026"),
        ] {
            assert_eq!(relative(now.plus(apart), now), words);
        }
        assert_eq!(minute(now), "12 Dec 2026 09:15 UTC");
        assert_eq!(clock(now), "09:15:42.118 UTC");
        assert_eq!(
            (span(30 * DAY - 20_000), span(HOUR), span(DAY)),
            ("30 days".into(), "1 hour".into(), "24 hours".into())
        );
    }
}
