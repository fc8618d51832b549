//! Instants: whole milliseconds since 1970 inside, ISO 8601 in UTC with milliseconds and `Z` outside
//! (`contract/README.md` 7). Nothing here reads a clock.

use std::fmt;
use std::num::NonZeroU64;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in milliseconds since 1970-01-01T00:00:00Z.
///
/// Inside it counts from before the first that can be written, so that none is zero: an instant that
/// there may not be takes no more room than one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

/// What the inside says of 1970.
const ZERO: i64 = 62_167_219_200_001;

/// 1970-01-01T00:00:00.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// One second in milliseconds.
pub const SECOND: i64 = 1_000;
/// One minute in milliseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// Milliseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// One day in milliseconds.
pub const DAY: i64 = 24 * HOUR;

/// The text is no instant, or one outside the years 0 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ISO 8601 instant between the years 0 and 9999")]
pub struct ParseTimestampError;

impl Timestamp {
    /// The first instant that can be written: 0000-01-01T00:00:00.000Z.
    pub const MIN: Self = Self::at(-62_167_219_200_000);
    /// The last instant that can be written: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self::at(253_402_300_799_999);

    /// Of milliseconds that are not below [`MIN`](Self::MIN).
    const fn at(millis: i64) -> Self {
        match NonZeroU64::new((millis + ZERO).cast_unsigned()) {
            Some(inside) => Self(inside),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// The instant this many milliseconds after 1970; one that cannot be written is moved to the
    /// nearest that can.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self::at(millis.clamp(Self::MIN.millis(), Self::MAX.millis()))
    }

    /// The instant this many milliseconds after 1970, if it can be written.
    #[must_use]
    pub fn checked_from_millis(millis: i64) -> Option<Self> {
        (Self::MIN.millis()..=Self::MAX.millis()).contains(&millis).then(|| Self::at(millis))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.get().cast_signed() - ZERO
    }

    /// Whole seconds since 1970, rounded down: what a JWT carries.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.millis().div_euclid(SECOND)
    }

    /// This instant moved by `millis`, kept within what can be written.
    #[must_use]
    pub fn plus(self, millis: i64) -> Self {
        Self::from_millis(self.millis().saturating_add(millis))
    }

    /// Reads an ISO 8601 instant with an offset, or a date (its midnight in UTC), or a date and a time
    /// without an offset (taken as UTC).
    ///
    /// # Errors
    /// When the text is none of them or lies outside the years 0 to 9999.
    pub fn parse(text: &str) -> Result<Self, ParseTimestampError> {
        if text.len() > 64 {
            return Err(ParseTimestampError);
        }
        // In pieces, because jiff's own instants end a day before the year 9999 does.
        let pieces = jiff::fmt::temporal::Pieces::parse(text).map_err(|_| ParseTimestampError)?;
        if pieces.time_zone_annotation().is_some() {
            return Err(ParseTimestampError);
        }
        let civil = pieces.date().to_datetime(pieces.time().unwrap_or_default());
        let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC).duration_since(Offset::UTC);
        let since_1970 = civil.duration_since(EPOCH) - offset;
        let millis = i64::try_from(since_1970.as_millis()).map_err(|_| ParseTimestampError)?;
        Self::checked_from_millis(millis).ok_or(ParseTimestampError)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp").field(&self.millis()).finish()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = EPOCH.saturating_add(SignedDuration::from_millis(self.millis()));
        write!(f, "{civil:.3}Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type};

    impl utoipa::PartialSchema for super::Timestamp {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
                .examples(["2026-03-02T09:15:42.118Z"])
                .into()
        }
    }

    impl utoipa::ToSchema for super::Timestamp {
        fn name() -> std::borrow::Cow<'static, str> {
            "Timestamp".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_is_written_with_three_digits_of_milliseconds() {
        assert_eq!(Timestamp::from_millis(1_772_442_942_118).to_string(), "2026-03-02T09:15:42.118Z");
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::MIN.to_string(), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn it_reads_offsets_dates_and_local_times() {
        let noon = Timestamp::from_millis(1_772_452_800_000);
        for text in [
            "2026-03-02T12:00:00Z",
            "2026-03-02T12:00:00.000Z",
            "2026-03-02T14:00:00+02:00",
            "2026-03-02T12:00:00",
        ] {
            assert_eq!(Timestamp::parse(text), Ok(noon), "{text}");
        }
        assert_eq!(Timestamp::parse("2026-03-02").map(Timestamp::millis), Ok(1_772_409_600_000));
        for text in
            ["", "soon", "2026-13-02T12:00:00Z", "12:00", "2026-03-02T12:00:00Z and more", "-009999-01-01"]
        {
            assert_eq!(Timestamp::parse(text), Err(ParseTimestampError), "{text}");
        }
    }

    #[test]
    fn the_last_day_of_9999_can_be_written_and_read() {
        for text in ["9999-12-31T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "0000-01-01T00:00:00.000Z"] {
            assert_eq!(Timestamp::parse(text).map(|instant| instant.to_string()).as_deref(), Ok(text));
        }
        for text in
            ["9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00", "2026-03-02T12:00:00[Europe/Paris]"]
        {
            assert_eq!(Timestamp::parse(text), Err(ParseTimestampError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in Timestamp::MIN.millis()..=Timestamp::MAX.millis()) {
            let instant = Timestamp::from_millis(millis);
            prop_assert_eq!(Timestamp::parse(&instant.to_string()), Ok(instant));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,70}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
