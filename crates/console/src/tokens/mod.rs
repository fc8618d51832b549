//! The pages of tokens: list, new, review, shown once; one token; stop, start, delete, change.

pub(crate) mod change;
pub(crate) mod list;
pub(crate) mod make;
pub(crate) mod new;
pub(crate) mod one;
pub(crate) mod stop;
pub(crate) mod stop_all;

use hoody_core::id::TokenId;
use hoody_core::permissions::Selection;
use hoody_engine::error::Error;
use hoody_service::tokens::Token;
use hoody_service::tokens::delegation::find_visible;
use hoody_service::tokens::http::NOT_FOUND;

use crate::session::Visitor;

/// Where the page of a token is.
pub(crate) fn path(id: TokenId) -> String {
    format!("/console/tokens/{id}")
}

/// What it holds, without what never grants a token anything.
fn in_force(token: &Token) -> Selection {
    Selection { hoody: token.limits.permissions, own: token.permissions.own.clone() }
}

/// The token, if it is the visitor's.
async fn find(visitor: &Visitor, id: TokenId) -> Result<Token, Error> {
    let found = find_visible(&visitor.console.db, &visitor.caller, id, &visitor.own).await?;
    found.ok_or(NOT_FOUND)
}
