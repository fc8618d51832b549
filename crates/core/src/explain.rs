//! Explains a refusal: which rules fail, and what would have to change.
//!
//! [`decide`] names the first rule that fails. To find the next one, it decides again as if that rule held. So an
//! explanation never contradicts the decision.

use crate::address::AddressList;
use crate::grant::{Accepts, Attempt, Credential, Deny, Grant, Realms, decide};
use crate::id::{SessionId, TokenId};
use crate::permissions::{AnyPermission, PermissionSet};
use crate::time::Timestamp;

/// One rule that fails, and what would make it hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The rule.
    pub deny: Deny,
    /// What would have to change, in one sentence for people.
    pub change: String,
}

/// Everything that keeps `grant` from `attempt` at the instant `now`, in the order of the decision; empty when
/// it is allowed. `path` names a permission as people know it.
pub fn explain(
    grant: &Grant,
    attempt: &Attempt,
    now: Timestamp,
    path: impl Fn(&Deny) -> Option<String>,
) -> Vec<Obstacle> {
    let (mut grant, mut attempt) = (grant.clone(), *attempt);
    let mut obstacles: Vec<Obstacle> = Vec::new();
    while let Err(deny) = decide(&grant, &attempt, now) {
        // A rule that still fails when it was lifted has no remedy: nothing after it would be known.
        if obstacles.iter().any(|obstacle| obstacle.deny == deny) {
            break;
        }
        obstacles.push(Obstacle { deny, change: change(&deny, path(&deny).as_deref()) });
        lift(deny, &mut grant, &mut attempt);
    }
    obstacles
}

/// What would make the rule hold. It names nothing of the credential but what its holder knows.
#[must_use]
pub fn change(deny: &Deny, leaf: Option<&str>) -> String {
    let change = match deny {
        Deny::Missing => "Send the credential as Authorization: Bearer <token>.",
        Deny::Unknown => "Use a token of this server. This one is unknown here, or cut off.",
        Deny::Revoked => "Create another token. This one was deleted.",
        Deny::Disabled => "Enable the token, and every token that it descends from.",
        Deny::Expired => "Set a later expires_at, or create another token.",
        Deny::Banned => "Ask the operator to lift the ban of the account.",
        Deny::Address => "Add the caller's address to the token's ip_whitelist.",
        Deny::RealmRequired => {
            "Use the URL of one of the token's realms, or set allow_no_realm on a token without realms."
        }
        Deny::Realm(realm) => return format!("Add realm {realm} to the token's realm_ids."),
        Deny::MintingNeedsSession => "Sign in, or use a token that holds resources.create_tokens.",
        Deny::SessionRequired => "Sign in. No token can do this.",
        Deny::TokenRequired => "Use a token. A session is not accepted here.",
        Deny::VaultAccess => "Create a token with vault_access.",
        Deny::EventAccess => "Create a token with event_access.",
        Deny::ReadOnly => "Grant the token a permission that writes.",
        Deny::Permission(_) => {
            let leaf = leaf.unwrap_or("the permission of the route");
            return format!("Grant the token {leaf}.");
        }
    };
    change.to_owned()
}

/// Makes the rule hold that `deny` names.
fn lift(deny: Deny, grant: &mut Grant, attempt: &mut Attempt) {
    match deny {
        Deny::Disabled => grant.is_enabled = true,
        Deny::Expired => grant.limits.expires_at = None,
        Deny::Banned => grant.is_banned = false,
        Deny::Address => grant.limits.addresses = AddressList::any(),
        Deny::RealmRequired | Deny::Realm(_) => grant.limits.realms = Realms::EVERYWHERE,
        Deny::SessionRequired => attempt.rule.accepts = Accepts::Any,
        Deny::TokenRequired => grant.credential = Credential::Token(TokenId::from_bytes([0; 12])),
        Deny::MintingNeedsSession => grant.credential = Credential::Session(SessionId::from_bytes([0; 12])),
        Deny::Permission(AnyPermission::Hoody(needed)) => {
            grant.limits.permissions = grant.limits.permissions.with(needed);
        }
        Deny::Permission(AnyPermission::Own(needed)) => {
            grant.limits.extras = grant.limits.extras.with(needed);
        }
        Deny::VaultAccess => grant.limits.vault_access = true,
        Deny::EventAccess => grant.limits.event_access = true,
        Deny::ReadOnly => grant.limits.permissions = PermissionSet::ALL,
        Deny::Missing | Deny::Unknown | Deny::Revoked => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acting::tests::limits;
    use crate::grant::Rule;
    use crate::id::{RealmId, UserId};
    use crate::permissions::Catalogue;
    use proptest::prelude::*;

    fn path(deny: &Deny) -> Option<String> {
        match deny {
            Deny::Permission(AnyPermission::Hoody(leaf)) => Some(Catalogue::hoody().path(*leaf).to_owned()),
            _ => None,
        }
    }

    proptest! {
        #[test]
        fn an_explanation_begins_with_the_decision_and_ends_with_an_allow(
            limits in limits(),
            is_enabled: bool,
            is_banned: bool,
            is_session: bool,
            realm in proptest::option::of(0_u8..4),
            leaf in proptest::option::of(0_usize..47),
            accepts in 0_usize..4,
            vault: bool,
            now in 0_i64..5,
        ) {
            let grant = Grant {
                account: UserId::from_bytes([1; 12]),
                credential: match is_session {
                    true => Credential::Session(SessionId::from_bytes([2; 12])),
                    false => Credential::Token(TokenId::from_bytes([2; 12])),
                },
                is_enabled,
                is_banned,
                limits,
            };
            let accepts = [Accepts::Any, Accepts::Minter, Accepts::Session, Accepts::Token][accepts];
            let permission = leaf.and_then(|at| Catalogue::hoody().leaves().nth(at).map(|(leaf, _)| leaf));
            let attempt = Attempt {
                address: "10.9.9.9".parse().unwrap(),
                realm: realm.map(|byte| RealmId::from_bytes([byte; 12])),
                rule: Rule { accepts, permission: permission.map(Into::into), vault, ..Rule::ANY },
            };
            let now = Timestamp::MIN.plus(now);
            let obstacles = explain(&grant, &attempt, now, path);
            prop_assert_eq!(obstacles.first().map(|obstacle| obstacle.deny), decide(&grant, &attempt, now).err());
            prop_assert!(obstacles.len() < 10 && obstacles.iter().all(|obstacle| obstacle.change.ends_with('.')));
            let (mut lifted, mut easier) = (grant, attempt);
            for obstacle in &obstacles {
                lift(obstacle.deny, &mut lifted, &mut easier);
            }
            let end = decide(&lifted, &easier, now);
            // Only a route that no credential of this kind may use stays closed.
            prop_assert!(end.is_ok() || obstacles.iter().any(|obstacle| Some(obstacle.deny) == end.err()));
        }
    }
}
