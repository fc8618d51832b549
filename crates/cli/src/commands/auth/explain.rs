//! `auth explain`: would it be allowed, and why not.

use clap::Args;
use hoody_client::Client;
use hoody_client::id::RealmId;
use hoody_client::wire::{Explain, Explanation};

use super::TokenName;
use crate::commands::gates::{answer, obstacles};
use crate::context::Context;
use crate::terminal::cell::text_or;
use crate::terminal::failure::Failure;
use crate::terminal::output::View;
use crate::terminal::prompt::{Kind, secret_from_stdin};

/// What to explain.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A permission, e.g. orders.read
    #[arg(conflicts_with = "gate")]
    permission: Option<String>,
    /// The token to explain, by its id or alias; the stored credential unless given
    #[arg(long, conflicts_with = "token_stdin")]
    of: Option<TokenName>,
    /// Read the token or session to explain from standard input
    #[arg(long)]
    token_stdin: bool,
    /// The realm that is asked in
    #[arg(long, value_name = "ID", conflicts_with = "gate")]
    realm_id: Option<RealmId>,
    /// Where the client is; here unless given
    #[arg(long, value_name = "IP")]
    address: Option<String>,
    /// The gate that is asked, by its name
    #[arg(long, requires = "path")]
    gate: Option<String>,
    /// The request's method at the gate
    #[arg(long, requires = "gate", default_value_if("gate", clap::builder::ArgPredicate::IsPresent, "GET"))]
    method: Option<String>,
    /// The request's host at the gate; the gate's first unless given
    #[arg(long, requires = "gate")]
    host: Option<String>,
    /// The request's path at the gate, as clients send it
    #[arg(long, requires = "gate")]
    path: Option<String>,
}

/// Runs `auth explain`.
pub(super) async fn run(context: &Context, args: ExplainArgs) -> Result<(), Failure> {
    let token_id = match args.of {
        Some(name) => Some(name.resolve(context).await?),
        None => None,
    };
    let credential = if args.token_stdin { Some(secret_from_stdin(Kind::Token).await?) } else { None };
    let ExplainArgs { permission, realm_id, address, gate, method, host, path, .. } = args;
    let asked = Explain { token_id, credential, permission, realm_id, address, gate, method, host, path };
    let told = context.call(async |client: &Client| client.explain(&asked).await).await?;
    context.output.show(&told, || View::Details(details(&told)))
}

fn details(told: &Explanation) -> Vec<(&'static str, String)> {
    let mut rows = vec![("answer", answer(told.status, told.code.as_deref(), told.allowed))];
    if let Some(token) = told.token_id {
        rows.push(("token", token.to_string()));
    }
    if let Some(route) = &told.route {
        rows.push(("route", route.clone()));
    }
    rows.push(("needs", text_or(told.needs.as_ref(), "a credential in force")));
    rows.push(("realm", text_or(told.realm_id, "none")));
    rows.extend(obstacles(&told.obstacles));
    rows
}
