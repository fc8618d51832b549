//! Mails about alerts: one for all that an account gets at a time, and at most so many an hour.

use std::collections::BTreeMap;

use hoody_core::id::UserId;
use hoody_core::time::HOUR;
use hoody_engine::error::Error;
use hoody_engine::feed::Mutation;

use super::{Alert, Alerts, store};
use crate::mail::{self, Letter};
use crate::users;

/// How many mails about alerts an account gets in an hour; what comes later is in the list of alerts.
const MAX_AN_HOUR: i64 = 10;
/// How many alerts a mail names; it counts the rest.
const NAMED: usize = 5;

/// What is to be told by mail when the mutation ends.
#[derive(Debug, Default)]
pub(super) struct Mails(BTreeMap<UserId, Vec<String>>);

impl Mails {
    /// Has `alert` told. Nothing that a stranger chose gets into a mail: ids, no names.
    pub(super) fn add(&mut self, alert: &Alert) {
        let ip = alert.ip.as_ref().map(|ip| format!("\n    from {ip}")).unwrap_or_default();
        let line =
            format!("{}\n    {} {}{ip}", alert.kind.rule().title, alert.subject.noun, alert.subject.id);
        self.0.entry(alert.account).or_default().push(line);
    }

    /// Writes the mails as jobs of the mutation.
    pub(super) async fn send(self, alerts: &Alerts, mutation: &mut Mutation) -> Result<(), Error> {
        for (account, mut lines) in self.0 {
            let mut counter = store::find_counter(&mut mutation.tx, "mail", *account.bytes()).await?;
            counter.add(mutation.now, HOUR, 1);
            if counter.hits > MAX_AN_HOUR {
                continue;
            }
            let Some(user) = users::store::find_user(&mut mutation.tx, account).await? else { continue };
            let more = lines.len().saturating_sub(NAMED);
            lines.truncate(NAMED);
            store::put_counter(&mut mutation.tx, "mail", *account.bytes(), counter).await?;
            mail::notify(&alerts.mail, mutation, &user, Letter::Alerts { lines, more }).await?;
        }
        Ok(())
    }
}
