//! What hoody's own leaves are for, in words for people, and which of them guard a route of this version.

/// What is said of one of hoody's own leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// What it lets its holder do.
    pub description: &'static str,
    /// Whether a route of this version asks for it. The rest is for services that ask hoody.
    pub is_used: bool,
}

const USED: bool = true;
const UNUSED: bool = false;

const WORDS: &[(&str, &str, bool)] = &[
    ("containers.create", "Create containers", USED),
    ("containers.read", "List containers and read them", USED),
    ("containers.update", "Change containers", USED),
    ("containers.delete", "Delete containers", USED),
    ("containers.actions.start", "Start containers", USED),
    ("containers.actions.stop", "Stop containers", USED),
    ("containers.actions.restart", "Restart containers", USED),
    ("containers.actions.exec", "Run commands in containers", USED),
    ("containers.actions.logs", "Read the output of containers", USED),
    ("containers.features.ai", "Use AI in containers", USED),
    ("containers.features.hoody_kit", "Use the hoody kit in containers", USED),
    ("containers.features.snapshots", "Take and restore snapshots of containers", USED),
    ("containers.features.networking", "Change the network of containers", USED),
    ("containers.features.kvm", "Run virtual machines in containers", USED),
    ("projects.create", "Create projects", USED),
    ("projects.read", "List projects and read them", USED),
    ("projects.update", "Change projects", USED),
    ("projects.delete", "Delete projects", USED),
    ("projects.members.invite", "Add members to projects", USED),
    ("projects.members.remove", "Remove members from projects", USED),
    ("projects.members.change_roles", "Change what members of projects may do", USED),
    ("financial.wallet.read", "Read the wallet", UNUSED),
    ("financial.wallet.transfer", "Transfer money from the wallet", UNUSED),
    ("financial.wallet.withdraw", "Withdraw money from the wallet", UNUSED),
    ("financial.billing.read", "Read bills", UNUSED),
    ("financial.billing.manage_payment_methods", "Change payment methods", UNUSED),
    ("financial.billing.download_invoices", "Download invoices", UNUSED),
    ("financial.server_rental.view_marketplace", "See servers for rent", UNUSED),
    ("financial.server_rental.rent_servers", "Rent servers", UNUSED),
    ("financial.server_rental.extend_rentals", "Extend rentals", UNUSED),
    ("financial.server_rental.terminate_rentals", "End rentals", UNUSED),
    ("financial.subscriptions.purchase", "Buy subscriptions", UNUSED),
    ("resources.vault", "Read and write the vault; the token also needs vault_access", USED),
    ("resources.events", "Read events; the token also needs event_access", USED),
    ("resources.ssh_keys", "Manage SSH keys", UNUSED),
    ("resources.storage_shares", "Manage storage shares", UNUSED),
    ("resources.proxy_aliases", "Manage proxy aliases", USED),
    ("resources.firewalls", "Manage firewalls", UNUSED),
    ("resources.realms", "List realms", USED),
    ("resources.auth_token_public_profile", "Change the token's own public profile", USED),
    ("resources.create_tokens", "Make tokens that can do no more than this one", USED),
    ("resources.read_account", "Read the account, its request log, its alerts and the permissions", USED),
    ("resources.gates", "Set the gates that guard services", USED),
    ("resources.introspect", "Ask what a credential may do", USED),
    ("resources.guard", "Decide in a service's own process", UNUSED),
    ("admin.users", "Nothing for a token", UNUSED),
    ("admin.servers", "Nothing for a token", UNUSED),
    ("admin.system", "Nothing for a token", UNUSED),
    ("admin.billing", "Nothing for a token", UNUSED),
    ("admin.monitoring", "Nothing for a token", UNUSED),
];

/// What is said of one of hoody's own leaves; `None` for a path that is none.
#[must_use]
pub fn words(path: &str) -> Option<Words> {
    let (_, description, is_used) = WORDS.iter().find(|(known, ..)| *known == path)?;
    Some(Words { description, is_used: *is_used })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permissions::Catalogue;

    #[test]
    fn every_leaf_has_words_and_nothing_else_has() {
        let hoody = Catalogue::hoody();
        let leaves: Vec<&str> = hoody.leaves().map(|(_, leaf)| leaf.path.as_str()).collect();
        assert_eq!(leaves, WORDS.iter().map(|(path, ..)| *path).collect::<Vec<_>>());
        assert!(words("projects.read").unwrap().is_used);
        assert_eq!(words("orders.read"), None);
    }
}
