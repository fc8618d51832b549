//! `ip`: what the server sees of the caller.

use clap::Subcommand;
use hoody_client::Client;

use crate::context::Context;
use crate::terminal::cell::{text_or, yes_no};
use crate::terminal::failure::Failure;
use crate::terminal::output::View;

/// The commands of `ip`.
#[derive(Debug, Subcommand)]
pub(crate) enum IpCommand {
    /// Show the address that lists of addresses are compared with
    #[command(after_help = "EXAMPLES:
  hoody ip get
  hoody ip get -o json")]
    Get,
}

/// Runs a command of `ip`.
pub(crate) async fn run(context: &Context, command: IpCommand) -> Result<(), Failure> {
    let IpCommand::Get = command;
    let info = context.call_anyhow(async |client: &Client| client.ip().await).await?;
    context.output.show(&info, || {
        View::Details(vec![
            ("address", info.ip.clone()),
            ("protocol", info.protocol.clone()),
            ("user agent", text_or(info.user_agent.as_ref(), "-")),
            ("signed in", yes_no(info.is_logged)),
        ])
    })
}
