//! What requests about alerts say.

use hoody_core::alert::{Kind, Settings};
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::time::Timestamp;
use serde_json::Value;

/// What of a kind is to be otherwise; what was left out is `None`.
#[derive(Debug, Default)]
pub struct Given {
    is_enabled: Option<bool>,
    threshold: Option<i64>,
    muted_until: Option<Option<Timestamp>>,
    by_mail: Option<bool>,
    by_webhook: Option<bool>,
    disables: Option<bool>,
}

impl Given {
    /// Reads a body about alerts of `kind`.
    ///
    /// # Errors
    /// 422 for a wrong type or an unknown key, 400 for a threshold out of bounds, an instant that is none, or
    /// `disables` of another kind than unused tokens.
    pub fn parse(body: &Value, kind: Kind) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let is_enabled = fields.boolean("is_enabled");
        let threshold = fields.number("threshold").map(|number| check_threshold(number.as_i64(), kind));
        let threshold = threshold.and_then(|read| fields.absorb(read));
        let muted_until = fields.nullable_string("muted_until").map(|text| match text {
            None => Ok(None),
            Some(text) => Timestamp::parse(text)
                .map(Some)
                .map_err(|_| Invalid::validation("muted_until must be an ISO 8601 instant, or null")),
        });
        let muted_until = muted_until.and_then(|read| fields.absorb(read));
        let by_mail = fields.boolean("mail");
        let by_webhook = fields.boolean("webhook");
        let disables = fields.boolean("disables").map(|disables| {
            if kind == Kind::TokenUnused || !disables {
                return Ok(disables);
            }
            Err(Invalid::validation("disables is for token_unused alone"))
        });
        let disables = disables.and_then(|read| fields.absorb(read));
        fields.close()?;
        Ok(Self { is_enabled, threshold, muted_until, by_mail, by_webhook, disables })
    }

    /// The settings with that.
    pub fn put(self, settings: Settings) -> Settings {
        Settings {
            is_enabled: self.is_enabled.unwrap_or(settings.is_enabled),
            threshold: self.threshold.unwrap_or(settings.threshold),
            muted_until: self.muted_until.unwrap_or(settings.muted_until),
            by_mail: self.by_mail.unwrap_or(settings.by_mail),
            by_webhook: self.by_webhook.unwrap_or(settings.by_webhook),
            disables: self.disables.unwrap_or(settings.disables),
        }
    }
}

fn check_threshold(number: Option<i64>, kind: Kind) -> Result<i64, Invalid> {
    let rule = kind.rule();
    let (least, most) = rule.threshold.range;
    number.filter(|number| (least..=most).contains(number)).ok_or_else(|| {
        let unit = rule.threshold.unit;
        Invalid::validation(format!(
            "threshold must be a whole number from {least} to {most} for {}: {unit}",
            rule.name
        ))
    })
}
