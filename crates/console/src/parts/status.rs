//! The one word that says how a token is, with a dot: the most urgent of what could be said.

use hoody_core::time::{DAY, Timestamp};
use hoody_service::tokens::Token;
use hoody_service::tokens::search::UNUSED_AFTER;
use maud::{Markup, html};

/// How a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Stopped,
    Expired,
    /// So many of a hundred requests of the last 48 hours were refused: more than ten.
    Refused(u64),
    /// Ends within seven days.
    Ending,
    Unused,
    NeverUsed,
    Works,
}

/// What a token was asked for in the last 48 hours.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Recent {
    pub(crate) total: u64,
    pub(crate) refused: u64,
}

impl Status {
    /// The status of `token` at `now`; `recent` where it is known.
    pub(crate) fn of(token: &Token, recent: Recent, now: Timestamp) -> Self {
        let ends = token.limits.expires_at;
        if !token.is_enabled {
            return Self::Stopped;
        }
        if ends.is_some_and(|end| end <= now) {
            return Self::Expired;
        }
        if recent.total > 0 && recent.refused * 10 > recent.total {
            return Self::Refused(recent.refused * 100 / recent.total);
        }
        if ends.is_some_and(|end| end <= now.plus(7 * DAY)) {
            return Self::Ending;
        }
        match token.last_used_at {
            Some(at) if at.plus(UNUSED_AFTER) <= now => Self::Unused,
            None if token.created_at.plus(UNUSED_AFTER) <= now => Self::Unused,
            None => Self::NeverUsed,
            Some(_) => Self::Works,
        }
    }

    /// The word with its dot.
    pub(crate) fn shown(self) -> Markup {
        let (class, word) = match self {
            Self::Works => ("is good", "works".to_owned()),
            Self::NeverUsed => ("is soft", "not used yet".to_owned()),
            Self::Unused => ("is warn", "unused for 90 days".to_owned()),
            Self::Ending => ("is warn", "ends soon".to_owned()),
            Self::Refused(percent) => ("is warn", format!("refused {percent} %")),
            Self::Expired => ("is soft", "expired".to_owned()),
            Self::Stopped => ("is bad", "stopped".to_owned()),
        };
        html! { span class=(class) { (word) } }
    }

    /// Whether requests with it are answered at all.
    pub(crate) fn lets_in(self) -> bool {
        !matches!(self, Self::Stopped | Self::Expired)
    }
}
