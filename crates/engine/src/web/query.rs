//! Query strings: names and values, each read with the rule that it must keep.

use axum::extract::FromRequestParts;
use hoody_core::id::{Id, RealmId};
use hoody_core::invalid::Invalid;
use hoody_core::time::{DAY, Timestamp};
use http::request::Parts;

use crate::error::Error;

/// The pairs of the query string. Names that the route does not know were refused before (`parameters`).
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let pairs = pairs.map_err(|_| Invalid::validation("The query string cannot be read"))?;
        Ok(Self(pairs.0))
    }
}

impl Query {
    /// The value of `name`; sent twice, it is refused.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Invalid> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() {
            return Err(invalid(format!("{name} is given more than once")));
        }
        Ok(first)
    }

    /// The value of `name`, with something in it.
    pub fn given(&self, name: &str) -> Result<Option<&str>, Invalid> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// Refuses every name but `known`, where a name that is ignored would be a question that is not asked.
    pub fn only(&self, known: &str) -> Result<(), Invalid> {
        // The other name is not repeated: somebody may have put a secret there.
        match self.0.iter().all(|(name, _)| name == known) {
            true => Ok(()),
            false => Err(invalid(format!("the only parameter here is {known}"))),
        }
    }

    /// A whole number within `range`, or `default`.
    pub fn number(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<i64>,
        default: i64,
    ) -> Result<i64, Invalid> {
        let Some(text) = self.text(name)? else { return Ok(default) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            invalid(format!("{name} must be a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// `true` or `false`, or `default`.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Invalid> {
        match self.text(name)? {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(invalid(format!("{name} must be true or false"))),
        }
    }

    /// One of `choices`; the first is the default.
    pub fn choice<'a>(&self, name: &str, choices: &[&'a str]) -> Result<&'a str, Invalid> {
        let text = self.text(name)?;
        let chosen = text.map_or(choices.first(), |text| choices.iter().find(|choice| **choice == text));
        chosen.copied().ok_or_else(|| invalid(format!("{name} must be one of {}", choices.join(", "))))
    }

    /// The instants `start_date` and `end_date`, the second included; a day without a time is the whole of
    /// it.
    pub fn dates(&self) -> Result<(Option<Timestamp>, Option<Timestamp>), Invalid> {
        let start = self.date("start_date")?.map(|(at, _)| at);
        let end = self.date("end_date")?.map(|(at, is_day)| if is_day { at.plus(DAY - 1) } else { at });
        if let (Some(start), Some(end)) = (start, end)
            && start > end
        {
            let message = "Invalid date range: start_date cannot be after end_date";
            return Err(Invalid::rule("INVALID_DATE_RANGE", message));
        }
        Ok((start, end))
    }

    /// An instant, and whether it was given as a day alone.
    fn date(&self, name: &str) -> Result<Option<(Timestamp, bool)>, Invalid> {
        let Some(text) = self.given(name)? else { return Ok(None) };
        Ok(Some((parse_date(text, name)?, !text.contains(['T', 't', ' ']))))
    }

    /// An id.
    pub fn id<K>(&self, name: &str) -> Result<Option<Id<K>>, Invalid> {
        let id = self.given(name)?.map(str::parse).transpose();
        id.map_err(|_| Invalid::id_format(name))
    }

    /// A realm's id.
    pub fn realm(&self, name: &str) -> Result<Option<RealmId>, Invalid> {
        self.given(name)?.map(|text| parse_realm(text, name)).transpose()
    }
}

/// The instant in `field`, of a query or of a body that asks; a day is its first.
pub fn parse_date(text: &str, field: &str) -> Result<Timestamp, Invalid> {
    Timestamp::parse(text).map_err(|_| invalid(format!("{field} must be an ISO 8601 instant or a day")))
}

/// The realm in `field`, of a query or of a body that asks; as in a host, case does not matter.
pub fn parse_realm(text: &str, field: &str) -> Result<RealmId, Invalid> {
    text.to_ascii_lowercase().parse().map_err(|_| {
        let message = format!("Invalid realm ID format: {field} must be 24 lowercase hex digits");
        Invalid::rule("INVALID_REALM_ID_FORMAT", message)
    })
}

fn invalid(message: String) -> Invalid {
    Invalid::rule("INVALID_PARAMETER_VALUE", message)
}
