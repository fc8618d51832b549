//! Tokens made by tokens (`contract/tokens.md` 9): what a child gets, who sees it, and what goes with it
//! when it is deleted. What a lineage allows is in `hoody_core::lineage`.

use hoody_core::acting::{Act, Target, may_act};
use hoody_core::address::MAX_ENTRIES;
use hoody_core::grant::{Bounds, Credential, Grant, Realms};
use hoody_core::id::{TokenId, UserId};
use hoody_core::invalid::Invalid;
use hoody_core::lineage;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::permissions::{Selected, Selection};

use super::changes::forbidden;
use super::{Token, store};
use hoody_engine::db::{DbError, On};
use hoody_engine::error::Error;
use hoody_engine::feed::{Change, Mutation};
use hoody_engine::grants::{Forget, store as grant_store};
use hoody_engine::web::caller::AnyCaller;

/// A token, and where it stands in its lineage.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) token: Token,
    /// What it descends from, the root first and itself last.
    pub(super) lineage: Box<[TokenId]>,
    /// What its ancestors allow all together; `None` for a token that a session made.
    pub(super) above: Option<Bounds>,
}

impl Placed {
    /// As an act of another token sees it.
    pub(super) fn target(&self) -> Target<'_> {
        Target { id: self.token.id, lineage: &self.lineage, limits: &self.token.limits }
    }

    /// What it may really do.
    pub(super) fn effective(&self) -> Bounds {
        let own = &self.token.limits;
        self.above.as_ref().map_or_else(|| own.clone(), |above| own.meet(above))
    }
}

/// The token `id` of this account with its lineage. A root costs one statement.
pub(super) async fn find(
    on: impl Into<On<'_>>,
    account: UserId,
    id: TokenId,
    own: &OwnCatalogue,
) -> Result<Option<Placed>, DbError> {
    let mut on = on.into();
    let Some(token) = store::find_token(on.again(), account, id, own).await? else { return Ok(None) };
    if token.created_by_token_id.is_none() {
        return Ok(Some(Placed { token, lineage: Box::new([id]), above: None }));
    }
    let lineage = grant_store::find_lineage(on, id, own).await?;
    Ok(lineage.map(|lineage| Placed { token, lineage: lineage.ids(), above: lineage.above() }))
}

/// The token `id`, if the caller may see it.
pub async fn find_visible(
    on: impl Into<On<'_>>,
    caller: &AnyCaller,
    id: TokenId,
    own: &OwnCatalogue,
) -> Result<Option<Token>, DbError> {
    let found = find(on, caller.account(), id, own).await?;
    let found = found.filter(|found| is_visible(caller, found.target(), &found.token));
    Ok(found.map(|found| found.token))
}

/// Whether the caller may see this token of its account: in the host's realm, and in its own subtree or
/// within what a calling token may do itself.
pub(super) fn is_visible(caller: &AnyCaller, target: Target<'_>, token: &Token) -> bool {
    is_in_realm(caller, token) && may_see(caller, target)
}

/// A token that asks finds itself in every realm where it works.
fn is_in_realm(caller: &AnyCaller, token: &Token) -> bool {
    let in_realm = caller.attempt.realm.is_none_or(|realm| token.realm_ids.contains(&realm));
    in_realm || caller.token() == Some(token.id)
}

fn may_see(caller: &AnyCaller, target: Target<'_>) -> bool {
    may_act(caller.grant(), true, target, Act::See).is_ok()
}

/// Makes `token`, which is about to be stored, a child of the calling token: cut to what that one really
/// has, and one step deeper. A session's token is a root.
///
/// # Errors
/// 403 where delegation may go no deeper, or nothing would be left of what was asked for.
pub(super) fn place_below(
    grant: &Grant,
    deepest: u32,
    token: &mut Token,
    own: &OwnCatalogue,
) -> Result<(), Error> {
    let Credential::Token(parent) = grant.credential else { return Ok(()) };
    let depth = i64::try_from(grant.lineage().len()).unwrap_or(i64::MAX);
    if depth > i64::from(deepest) {
        return Err(forbidden(&format!(
            "Insufficient permissions: a token of depth {} makes none, max_delegation_depth is {deepest}",
            depth - 1
        )));
    }
    clamp(token, &grant.limits, own)?.map_err(|field| {
        forbidden(&format!(
            "Insufficient permissions: nothing of {field} is within what this token has itself"
        ))
    })?;
    token.created_by_token_id = Some(parent);
    token.delegation_depth = depth;
    Ok(())
}

/// Cuts what the token is to have to what `above` has; the field of which nothing would be left.
///
/// # Errors
/// When the addresses that both have are more than a token can have.
pub(super) fn clamp(
    token: &mut Token,
    above: &Bounds,
    own: &OwnCatalogue,
) -> Result<Result<(), &'static str>, Error> {
    let limits = match lineage::clamp(&token.limits, above) {
        Ok(limits) => limits,
        Err(field) => return Ok(Err(field)),
    };
    if limits.addresses.entries().len() > MAX_ENTRIES {
        let message = format!(
            "ip_whitelist must not contain more than {MAX_ENTRIES} entries, those of the creating token included"
        );
        return Err(Invalid::rule("IP_WHITELIST_TOO_LARGE", message).into());
    }
    // In the order in which they were asked for; without a list, the parent's.
    if token.realm_ids.is_empty() {
        token.realm_ids = limits.realms.listed().to_vec();
    } else {
        token.realm_ids.retain(|realm| limits.realms.listed().contains(realm));
    }
    token.allow_no_realm &= above.realms == Realms::EVERYWHERE;
    token.permissions = Selection {
        hoody: token.permissions.hoody.intersection(above.permissions),
        // What both hold now: nothing below a token grows.
        own: Selected::of(limits.extras.own().ids().iter().copied()),
    };
    token.limits = limits;
    token.settle(own);
    Ok(Ok(()))
}

/// Refuses a change that would lift the token over one that it descends from, whoever makes it.
pub(super) fn keep_below(before: &Placed, after: &Token) -> Result<(), Error> {
    let Some(above) = &before.above else { return Ok(()) };
    match lineage::raised(&before.token.limits, &after.limits, above) {
        None => Ok(()),
        Some(field) => Err(Invalid::validation(format!(
            "{field} would be more than the tokens have that this one descends from"
        ))
        .into()),
    }
}

/// Deletes a token with all that descends from it, and tells of each.
pub async fn delete_subtree(mutation: &mut Mutation, root: &Token) -> Result<bool, DbError> {
    let rows = store::list_subtree(&mut mutation.tx, root.account, root.id).await?;
    if store::delete_subtree(&mut mutation.tx, root.account, root.id, mutation.now).await? == 0 {
        return Ok(false);
    }
    let mut subtree = Vec::with_capacity(rows.len());
    for row in &rows {
        let named = store::read_named(row)?;
        if named.id == root.id {
            subtree.insert(0, named);
        } else {
            subtree.push(named);
        }
        // Their realms may be long.
        tokio::task::yield_now().await;
    }
    for token in subtree {
        let change = Change::new("auth.token.deleted", root.account, "auth_token", token.id);
        let change = change.in_realms(&token.realm_ids);
        mutation.tell(if token.id == root.id {
            // Whatever descends from it has it in its lineage, and is forgotten with it.
            change.forgetting(Forget::Token(root.id))
        } else {
            change.with(serde_json::json!({ "alias": token.alias, "deleted_with": root.id }))
        });
    }
    Ok(true)
}
