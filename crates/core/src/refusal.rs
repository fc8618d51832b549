//! How a [`Deny`] is told: one table of status, code and sentence for every door.

use crate::grant::Deny;

/// A refusal as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The HTTP status, 401 or 403.
    pub status: u16,
    /// The machine code of the contract's table.
    pub code: &'static str,
    /// The sentence for people. It repeats no address and nothing of the credential.
    pub message: String,
}

/// How `deny` is told; `leaf` is the path of the permission that is missing, where one is.
#[must_use]
pub fn told(deny: Deny, leaf: Option<&str>) -> Told {
    const INSUFFICIENT: &str = "INSUFFICIENT_PERMISSIONS";
    let (status, code, message) = match deny {
        Deny::Missing => (401, "MISSING_TOKEN", "Authentication token required"),
        Deny::Unknown | Deny::Revoked | Deny::Disabled => {
            (401, "INVALID_TOKEN", "Invalid authentication token")
        }
        Deny::Expired => (401, "TOKEN_EXPIRED", "Token has expired"),
        Deny::Banned => (403, "ACCOUNT_BANNED", "Your account is banned"),
        Deny::Address => (403, "IP_NOT_WHITELISTED", "This token is not allowed from your address"),
        Deny::RealmRequired => (403, "REALM_SCOPE_REQUIRED", "This token requires a realm-scoped URL"),
        Deny::Realm(realm) => {
            let message = format!("This token is not valid for realm {realm}");
            return Told { status: 403, code: "REALM_NOT_ALLOWED", message };
        }
        Deny::MintingNeedsSession => (
            401,
            "SESSION_REQUIRED",
            "Creating tokens requires a user session, or an auth token with resources.create_tokens",
        ),
        Deny::SessionRequired => (403, INSUFFICIENT, "Insufficient permissions: a user session is required"),
        Deny::TokenRequired => (403, INSUFFICIENT, "This endpoint requires auth token authentication"),
        Deny::VaultAccess => {
            (403, INSUFFICIENT, "Insufficient permissions: the token was made without vault_access")
        }
        Deny::EventAccess => {
            (403, INSUFFICIENT, "Insufficient permissions: the token was made without event_access")
        }
        Deny::ReadOnly => (403, INSUFFICIENT, "Insufficient permissions: this token may only read"),
        Deny::Permission(_) => {
            let message = match leaf {
                Some(leaf) => format!("Insufficient permissions: {leaf} is required"),
                None => "Insufficient permissions".to_owned(),
            };
            return Told { status: 403, code: INSUFFICIENT, message };
        }
    };
    Told { status, code, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RealmId;

    #[test]
    fn clients_find_the_sentences_that_they_look_for() {
        let realm = told(Deny::Realm(RealmId::from_bytes([1; 12])), None);
        assert!(realm.message.contains("not valid for realm 010101010101010101010101"));
        assert!(told(Deny::RealmRequired, None).message.contains("requires a realm-scoped URL"));
    }

    #[test]
    fn what_never_came_in_is_told_apart_from_what_may_not() {
        for deny in [Deny::Missing, Deny::Unknown, Deny::Revoked, Deny::Disabled, Deny::Expired] {
            assert_eq!(told(deny, None).status, 401, "{deny:?}");
        }
        for deny in [Deny::Banned, Deny::Address, Deny::RealmRequired, Deny::TokenRequired, Deny::ReadOnly] {
            assert_eq!(told(deny, None).status, 403, "{deny:?}");
        }
        let disabled = told(Deny::Disabled, None);
        assert_eq!((told(Deny::Unknown, None), told(Deny::Revoked, None)), (disabled.clone(), disabled));
    }
}
