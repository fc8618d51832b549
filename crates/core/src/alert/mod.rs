//! Alerts, as far as they are pure: which kinds there are ([`RULES`]), what an account may set of each
//! ([`Settings`]), what a request is a sign of ([`signs()`]), which addresses were seen ([`Seen`]), how
//! often something happened in a while ([`Counter`]), and when a token is about to expire ([`stage`]).

mod counter;
mod seen;
mod signs;

pub use counter::Counter;
pub use seen::{MAX_SEEN, Seen, Sight, address_tag};
pub use signs::{Request, Sign, signs};

use crate::time::{DAY, HOUR, MINUTE, Timestamp};

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A token came from an address that it never came from before.
    TokenNewAddress,
    /// Many requests of one credential were refused in a short time.
    RefusalBurst,
    /// A token was used that is deleted, expired or disabled.
    DeadTokenUsed,
    /// Somebody signed in from an address that the account never signed in from before.
    LoginNewAddress,
    /// The second factor was taken away.
    TwoFactorDisabled,
    /// Many logins failed in a short time.
    FailedLogins,
    /// A token is about to expire.
    TokenExpiring,
    /// A token was not used for a long time.
    TokenUnused,
    /// An endpoint of webhooks was switched off because nothing arrived there.
    WebhookDisabled,
}

/// How much an alert weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// To be known.
    Info,
    /// To be looked at.
    Warning,
    /// To be looked at now.
    Critical,
}

/// What a threshold counts, and within which bounds it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// Unless the account says otherwise.
    pub default: i64,
    /// The least and the most that an account may set.
    pub range: (i64, i64),
    /// What is counted, in words.
    pub unit: &'static str,
}

/// One kind of alerts, in every respect: the one table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The kind.
    pub kind: Kind,
    /// Its name on the wire and in the database.
    pub name: &'static str,
    /// What happened, in a few words of ASCII.
    pub title: &'static str,
    /// Why it is told, and what to do.
    pub explanation: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// From when on it is told.
    pub threshold: Threshold,
    /// In which time occurrences are counted for the threshold, in milliseconds; 0 where each counts alone.
    pub counted_for: i64,
    /// How long one alert takes up further occurrences of the same thing, in milliseconds. 0: each is new.
    pub window: i64,
    /// Whether it is sent by mail unless the account says otherwise.
    pub by_mail: bool,
}

const ONCE: Threshold = Threshold { default: 1, range: (1, 1), unit: "times" };

/// Every kind that there is.
pub const RULES: [Rule; 9] = [
    Rule {
        kind: Kind::TokenNewAddress,
        name: "token_new_address",
        title: "Token used from a new address",
        explanation: "A token came from an address that it did not come from before; of IPv6 the /64 \
            counts. If nothing of yours moved, somebody else has the token: disable it, and limit the \
            next one to its addresses.",
        severity: Severity::Warning,
        threshold: Threshold {
            default: 1,
            range: (1, MAX_SEEN as i64 - 1),
            unit: "addresses that are learnt before one is new",
        },
        counted_for: 0,
        window: DAY,
        by_mail: true,
    },
    Rule {
        kind: Kind::RefusalBurst,
        name: "refusal_burst",
        title: "Many requests refused",
        explanation: "One credential was refused many times within five minutes: a program is set up \
            wrongly, or somebody tries out what a stolen credential may do.",
        severity: Severity::Warning,
        threshold: Threshold { default: 20, range: (1, 100_000), unit: "refusals within 5 minutes" },
        counted_for: 5 * MINUTE,
        window: HOUR,
        by_mail: true,
    },
    Rule {
        kind: Kind::DeadTokenUsed,
        name: "dead_token_used",
        title: "Revoked, expired or disabled token used",
        explanation: "A token was sent that is deleted, expired or disabled. It was refused. Something of \
            yours still has it, or somebody else does.",
        severity: Severity::Critical,
        threshold: Threshold { default: 1, range: (1, 100_000), unit: "uses within an hour" },
        counted_for: HOUR,
        window: DAY,
        by_mail: true,
    },
    Rule {
        kind: Kind::LoginNewAddress,
        name: "login_new_address",
        title: "Login from a new address",
        explanation: "Somebody signed in to the account from an address that it did not sign in from \
            before; of IPv6 the /64 counts. If that was not you, change the password: it ends every session.",
        severity: Severity::Warning,
        threshold: Threshold {
            default: 1,
            range: (1, MAX_SEEN as i64 - 1),
            unit: "addresses that are learnt before one is new",
        },
        counted_for: 0,
        window: DAY,
        by_mail: true,
    },
    Rule {
        kind: Kind::TwoFactorDisabled,
        name: "two_factor_disabled",
        title: "Two-factor authentication turned off",
        explanation: "The account signs in with its password alone from now on. If that was not you, \
            change the password and turn the second factor on again. A mail of its own tells of it too.",
        severity: Severity::Critical,
        threshold: ONCE,
        counted_for: 0,
        window: 0,
        by_mail: false,
    },
    Rule {
        kind: Kind::FailedLogins,
        name: "failed_logins",
        title: "Many failed logins",
        explanation: "Passwords or codes for the account were wrong many times within a quarter of an \
            hour: somebody guesses. A long password and a second factor hold.",
        severity: Severity::Warning,
        threshold: Threshold { default: 10, range: (1, 100_000), unit: "failures within 15 minutes" },
        counted_for: 15 * MINUTE,
        window: HOUR,
        by_mail: true,
    },
    Rule {
        kind: Kind::TokenExpiring,
        name: "token_expiring",
        title: "Token about to expire",
        explanation: "What uses the token stops working when it expires: make a copy of it, put the copy \
            in its place, and let the old one go. Told so many days before as the threshold says, 7 days \
            before and one day before.",
        severity: Severity::Info,
        threshold: Threshold { default: 30, range: (1, 365), unit: "days before" },
        counted_for: 0,
        window: 0,
        by_mail: true,
    },
    Rule {
        kind: Kind::TokenUnused,
        name: "token_unused",
        title: "Token not used for a long time",
        explanation: "Nobody used the token for so many days. What nobody needs can only be stolen: \
            delete it, or have such tokens disabled with `disables`.",
        severity: Severity::Info,
        threshold: Threshold { default: 90, range: (1, 3_650), unit: "days without a use" },
        counted_for: 0,
        window: 0,
        by_mail: true,
    },
    Rule {
        kind: Kind::WebhookDisabled,
        name: "webhook_disabled",
        title: "Webhook switched off",
        explanation: "Nothing arrived at the endpoint for a day, or it said that it is gone. Mend it, \
            enable it again, and send again what it missed.",
        severity: Severity::Warning,
        threshold: ONCE,
        counted_for: 0,
        window: 0,
        by_mail: true,
    },
];

impl Kind {
    /// What there is to know of it.
    #[must_use]
    pub const fn rule(self) -> &'static Rule {
        &RULES[self as usize]
    }

    /// The kind of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        RULES.iter().find(|rule| rule.name == name).map(|rule| rule.kind)
    }
}

impl Severity {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What an account wants of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Whether there are alerts of it at all.
    pub is_enabled: bool,
    /// From when on.
    pub threshold: i64,
    /// Until when alerts are kept and told to nobody.
    pub muted_until: Option<Timestamp>,
    /// Whether mails tell of it.
    pub by_mail: bool,
    /// Whether webhooks tell of it.
    pub by_webhook: bool,
    /// Of unused tokens: whether they are disabled.
    pub disables: bool,
}

impl Settings {
    /// What is in force where the account said nothing.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        let rule = kind.rule();
        Self {
            is_enabled: true,
            threshold: rule.threshold.default,
            muted_until: None,
            by_mail: rule.by_mail,
            by_webhook: true,
            disables: false,
        }
    }

    /// What is in force for a kind, of all that the account said.
    #[must_use]
    pub fn among(said: &[(Kind, Self)], kind: Kind) -> Self {
        said.iter().find(|(known, _)| *known == kind).map_or(Self::of(kind), |(_, settings)| *settings)
    }

    /// Whether alerts are told to nobody at `now`.
    #[must_use]
    pub fn is_muted(&self, now: Timestamp) -> bool {
        self.muted_until.is_some_and(|until| now < until)
    }
}

/// The days before its end at which a token's expiry is told, the latest first, given the threshold.
pub fn stages(threshold: i64) -> impl Iterator<Item = i64> {
    [1, 7].into_iter().filter(move |days| *days < threshold).chain([threshold])
}

/// Which stage a token came to after `before` and not after `now`: the fewest days left. A token that was
/// made later than that has not come to it: who makes one for an hour knows.
#[must_use]
pub fn stage(
    expires_at: Timestamp,
    created_at: Timestamp,
    threshold: i64,
    (before, now): (Timestamp, Timestamp),
) -> Option<i64> {
    stages(threshold).find(|days| {
        let reached = expires_at.plus(-days * DAY);
        before < reached && reached <= now && created_at < reached
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_table_is_in_the_order_of_the_kinds_and_says_all_of_each() {
        for (index, rule) in RULES.iter().enumerate() {
            assert_eq!(rule.kind as usize, index);
            assert_eq!(Kind::of(rule.name), Some(rule.kind));
            assert!(crate::event::is_name(rule.name) && !rule.name.contains('.'));
            let Threshold { default, range: (least, most), .. } = rule.threshold;
            assert!((least..=most).contains(&default), "{}", rule.name);
            assert!(rule.title.is_ascii() && rule.title.len() < 60 && rule.explanation.is_ascii());
            assert!(Settings::of(rule.kind).is_enabled && !Settings::of(rule.kind).disables);
        }
        assert_eq!(Kind::of("nothing"), None);
    }

    #[test]
    fn what_an_account_says_of_one_kind_is_said_of_no_other() {
        let said = Settings { threshold: 7, ..Settings::of(Kind::RefusalBurst) };
        let all = [(Kind::TokenUnused, Settings::of(Kind::TokenUnused)), (Kind::RefusalBurst, said)];
        assert_eq!(Settings::among(&all, Kind::RefusalBurst), said);
        assert_eq!(Settings::among(&all, Kind::FailedLogins), Settings::of(Kind::FailedLogins));
    }

    #[test]
    fn a_mute_ends() {
        let muted = Settings { muted_until: Some(at(10)), ..Settings::of(Kind::RefusalBurst) };
        assert!(muted.is_muted(at(9)) && !muted.is_muted(at(10)));
    }

    #[test]
    fn a_token_is_told_of_at_each_stage_once_and_not_when_it_was_made_for_less() {
        let end = at(100 * DAY);
        let told = |threshold, from: i64, to: i64| stage(end, at(0), threshold, (at(from), at(to)));
        assert_eq!(told(30, 69 * DAY, 70 * DAY), Some(30));
        assert_eq!(told(30, 70 * DAY, 71 * DAY), None, "once");
        assert_eq!(told(30, 92 * DAY, 93 * DAY), Some(7));
        assert_eq!(told(30, 98 * DAY, 99 * DAY), Some(1));
        assert_eq!(told(30, 0, 99 * DAY), Some(1), "after a pause the nearest");
        assert_eq!(told(5, 92 * DAY, 93 * DAY), None);
        assert_eq!(told(5, 94 * DAY, 95 * DAY), Some(5));
        assert_eq!(stages(1).collect::<Vec<_>>(), [1]);
        let late = stage(end, at(99 * DAY), 30, (at(98 * DAY), at(99 * DAY)));
        assert_eq!(late, None, "made for a day");
    }

    proptest! {
        #[test]
        fn however_the_time_is_cut_each_stage_is_told_at_most_once(
            threshold in 1_i64..60, life in 1_i64..90, cuts in proptest::collection::vec(1_i64..40 * HOUR, 1..200)
        ) {
            let (created, end) = (at(0), at(life * DAY));
            let mut now = at(-1);
            let mut told = Vec::new();
            for cut in cuts {
                let next = now.plus(cut);
                told.extend(stage(end, created, threshold, (now, next)));
                now = next;
            }
            let mut sorted = told.clone();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            sorted.dedup();
            prop_assert_eq!(&told, &sorted, "from far to near, each once");
            prop_assert!(told.iter().all(|days| *days < life));
        }
    }
}
