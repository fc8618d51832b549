//! `hoody admin invitations …`: who may sign up where `--sign-up invitation` is set.

use anyhow::bail;
use clap::Subcommand;
use hoody_core::id::InvitationId;
use hoody_core::time::DAY;
use serde_json::json;

use crate::cli::output::{self, View};
use hoody_engine::feed::Actor;
use hoody_service::nouns::Nouns;
use hoody_service::signup::invitations::{self, Invitation, NewInvitation};
use hoody_service::users::first::plain;

#[derive(Debug, Subcommand)]
pub(super) enum InvitationsCommand {
    /// Makes an invitation; its code is shown this once
    #[command(after_help = "EXAMPLES:\n  hoody admin invitations create --email ada@example.com\n  \
        CODE=$(hoody admin invitations create --uses 20 --days 2)")]
    Create {
        /// Good for this address alone
        #[arg(long, value_parser = super::email)]
        email: Option<String>,
        /// How many may sign up with it
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        uses: i64,
        /// For how many days it is good
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(i64).range(1..=365))]
        days: i64,
    },
    /// Lists invitations, the newest first, without their codes
    #[command(visible_alias = "ls", after_help = "EXAMPLES:\n  hoody admin invitations list")]
    List,
    /// Closes an invitation; accounts that were made with it stay
    #[command(after_help = "EXAMPLES:\n  hoody admin invitations revoke 65a1b2c3d4e5f60718293a4b")]
    Revoke {
        /// The invitation's id
        id: InvitationId,
    },
}

pub(super) async fn run(nouns: &Nouns, command: &InvitationsCommand) -> anyhow::Result<()> {
    match command {
        InvitationsCommand::Create { email, uses, days } => {
            let new = NewInvitation { email: email.as_deref(), max_uses: *uses, lifetime: days * DAY };
            create(nouns, &new).await
        }
        InvitationsCommand::List => {
            list(nouns, &invitations::list(&nouns.engine.db).await?);
            Ok(())
        }
        InvitationsCommand::Revoke { id } => {
            let mut mutation = nouns.engine.feed.begin_as(Actor::Operator).await.map_err(plain)?;
            if !invitations::revoke(&mut mutation, *id).await? {
                bail!("there is no invitation {id} that is in force");
            }
            mutation.commit().await.map_err(plain)?;
            output::note(&format!("Closed the invitation {id}."));
            Ok(())
        }
    }
}

async fn create(nouns: &Nouns, new: &NewInvitation<'_>) -> anyhow::Result<()> {
    output::expect_to_show()?;
    let mut mutation = nouns.engine.feed.begin_as(Actor::Operator).await.map_err(plain)?;
    let (id, code, expires_at) = invitations::create(&nouns.signup, &mut mutation, new).await?;
    mutation.commit().await.map_err(plain)?;
    output::note(&format!("Made the invitation {id}, good until {expires_at}. It is shown this once:"));
    let data = json!({ "id": id, "code": code, "expires_at": expires_at });
    output::of_the_service(&data, || View::Line(code.expose().to_owned()));
    Ok(())
}

fn list(nouns: &Nouns, all: &[Invitation]) {
    let now = nouns.engine.clock.now();
    let data: Vec<_> = all
        .iter()
        .map(|invitation| {
            json!({
                "id": invitation.id, "email": invitation.email, "state": invitation.state(now),
                "uses": invitation.uses, "max_uses": invitation.max_uses,
                "created_at": invitation.created_at, "expires_at": invitation.expires_at,
                "revoked_at": invitation.revoked_at,
            })
        })
        .collect();
    let row = |invitation: &Invitation| {
        vec![
            invitation.id.to_string(),
            invitation.email.clone().unwrap_or_else(|| "anybody".to_owned()),
            invitation.state(now).to_owned(),
            format!("{} of {}", invitation.uses, invitation.max_uses),
            invitation.expires_at.to_string(),
            invitation.created_at.to_string(),
        ]
    };
    output::of_the_service(&data, || View::List {
        titles: &["ID", "FOR", "STATE", "USES", "UNTIL", "CREATED"],
        narrow: 6,
        rows: all.iter().map(row).collect(),
        empty: "No invitations.",
    });
}
