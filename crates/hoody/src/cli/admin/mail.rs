//! `hoody admin mail …`: mails that are on their way. Never what is in one.

use anyhow::bail;
use clap::Subcommand;
use hoody_cli::terminal::cell::text_or;
use hoody_core::id::JobId;
use serde_json::json;

use crate::cli::output::{self, View};
use hoody_engine::jobs::store::{self, Listed};
use hoody_service::mail::JOB;
use hoody_service::nouns::Nouns;
use hoody_service::users;

#[derive(Debug, Subcommand)]
pub(super) enum MailCommand {
    /// Lists mails, the newest first: waiting, done, or given up
    #[command(after_help = "EXAMPLES:\n  hoody admin mail list\n  hoody admin mail list -o json")]
    List,
    /// Has a mail sent again that waits or was given up
    #[command(after_help = "EXAMPLES:\n  hoody admin mail retry 65a1b2c3d4e5f60718293a4b\n  \
        hoody admin mail retry --failed")]
    Retry {
        /// The mail's id
        #[arg(required_unless_present = "failed")]
        id: Option<JobId>,
        /// All that were given up
        #[arg(long, conflicts_with = "id")]
        failed: bool,
    },
}

pub(super) async fn run(nouns: &Nouns, command: &MailCommand) -> anyhow::Result<()> {
    match command {
        MailCommand::List => list(nouns).await,
        MailCommand::Retry { id: Some(id), .. } => {
            if !store::retry(&nouns.engine.db, JOB, *id, nouns.engine.clock.now()).await? {
                bail!("there is no mail {id} that waits or was given up");
            }
            output::note(&format!("The mail {id} is sent again within a second, where a server runs."));
            Ok(())
        }
        MailCommand::Retry { id: None, .. } => {
            let count = store::retry_failed(&nouns.engine.db, JOB, nouns.engine.clock.now()).await?;
            output::note(&format!("Mails to be sent again, where a server runs: {count}."));
            Ok(())
        }
    }
}

async fn list(nouns: &Nouns) -> anyhow::Result<()> {
    let mails = store::list_jobs(&nouns.engine.db, JOB).await?;
    let mut rows = Vec::with_capacity(mails.len());
    let mut data = Vec::with_capacity(mails.len());
    for mail in mails {
        let username = match mail.account {
            Some(id) => users::store::find_user(&nouns.engine.db, id).await?.map(|user| user.username),
            None => None,
        };
        data.push(json!({
            "id": mail.id,
            "account_id": mail.account,
            "username": username,
            "state": mail.state,
            "attempts": mail.attempts,
            "created_at": mail.created_at,
            "next_at": next(&mail),
            "done_at": mail.done_at,
            "last_error": mail.last_error,
        }));
        rows.push(row(&mail, username));
    }
    output::of_the_service(&data, || View::List {
        titles: &["ID", "FOR", "STATE", "ATTEMPTS", "NEXT", "LAST ERROR", "CREATED", "DONE"],
        narrow: 6,
        rows,
        empty: "No mails.",
    });
    Ok(())
}

fn next(mail: &Listed) -> Option<hoody_core::time::Timestamp> {
    (mail.state == "waiting").then_some(mail.run_at)
}

fn row(mail: &Listed, username: Option<String>) -> Vec<String> {
    vec![
        mail.id.to_string(),
        text_or(username, "-"),
        mail.state.clone(),
        mail.attempts.to_string(),
        text_or(next(mail), "-"),
        text_or(mail.last_error.as_ref(), "-"),
        mail.created_at.to_string(),
        text_or(mail.done_at, "-"),
    ]
}
