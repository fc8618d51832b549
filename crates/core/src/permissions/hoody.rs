//! hoody's own tree and templates (`contract/tokens.md` 7), as data.

use super::{Catalogue, PermissionSet, Template};

const READS: bool = false;
const WRITES: bool = true;

/// One line a branch: its path, its leaves and whether they write.
const TREE: &[(&str, &[(&str, bool)])] = &[
    ("containers", &[("create", WRITES), ("read", READS), ("update", WRITES), ("delete", WRITES)]),
    (
        "containers.actions",
        &[("start", WRITES), ("stop", WRITES), ("restart", WRITES), ("exec", WRITES), ("logs", READS)],
    ),
    (
        "containers.features",
        &[
            ("ai", WRITES),
            ("hoody_kit", WRITES),
            ("snapshots", WRITES),
            ("networking", WRITES),
            ("kvm", WRITES),
        ],
    ),
    ("projects", &[("create", WRITES), ("read", READS), ("update", WRITES), ("delete", WRITES)]),
    ("projects.members", &[("invite", WRITES), ("remove", WRITES), ("change_roles", WRITES)]),
    ("financial.wallet", &[("read", READS), ("transfer", WRITES), ("withdraw", WRITES)]),
    (
        "financial.billing",
        &[("read", READS), ("manage_payment_methods", WRITES), ("download_invoices", READS)],
    ),
    (
        "financial.server_rental",
        &[
            ("view_marketplace", READS),
            ("rent_servers", WRITES),
            ("extend_rentals", WRITES),
            ("terminate_rentals", WRITES),
        ],
    ),
    ("financial.subscriptions", &[("purchase", WRITES)]),
    (
        "resources",
        &[
            ("vault", WRITES),
            ("events", READS),
            ("ssh_keys", WRITES),
            ("storage_shares", WRITES),
            ("proxy_aliases", WRITES),
            ("firewalls", WRITES),
            ("realms", READS),
            ("auth_token_public_profile", WRITES),
            ("create_tokens", WRITES),
            ("read_account", READS),
            ("gates", WRITES),
            ("introspect", READS),
            ("guard", READS),
        ],
    ),
    (
        "admin",
        &[
            ("users", WRITES),
            ("servers", WRITES),
            ("system", WRITES),
            ("billing", WRITES),
            ("monitoring", WRITES),
        ],
    ),
];

impl Catalogue {
    /// The tree of hoody with its templates.
    #[must_use]
    pub fn hoody() -> Self {
        let leaves = TREE.iter().flat_map(|(branch, leaves)| {
            leaves.iter().map(move |(leaf, writes)| (format!("{branch}.{leaf}"), *writes))
        });
        let mut catalogue = Self::new(leaves).expect("the tree above is one: a test reads it");
        catalogue.templates = vec![
            Template {
                name: "full_access",
                description: "Everything the account can do, except making further tokens.",
                permissions: catalogue.full_access(),
            },
            Template {
                name: "external_customer",
                description: "Runs containers in existing projects; cannot create projects or see money.",
                permissions: catalogue.select(external_customer),
            },
            Template {
                name: "dev_team",
                description: "Builds and operates: containers, projects and shared resources; no money, no secrets.",
                permissions: catalogue.select(dev_team),
            },
            Template {
                name: "finance_team",
                description: "Wallet, billing and rentals, with a view of projects and containers.",
                permissions: catalogue.select(finance_team),
            },
            Template {
                name: "read_only",
                description: "Monitoring: looks at everything it may see, changes nothing.",
                permissions: catalogue.select(read_only),
            },
        ];
        catalogue
    }

    fn select(&self, wanted: fn(&str) -> bool) -> PermissionSet {
        self.leaves().filter(|(_, leaf)| wanted(&leaf.path)).map(|(permission, _)| permission).collect()
    }
}

fn external_customer(path: &str) -> bool {
    path.starts_with("containers.") && path != "containers.features.kvm"
        || matches!(path, "projects.read" | "resources.events" | "resources.realms")
}

fn dev_team(path: &str) -> bool {
    match path.split_once('.') {
        Some(("containers", _)) => true,
        Some(("projects", leaf)) => matches!(leaf, "read" | "update"),
        Some(("resources", leaf)) => {
            !matches!(leaf, "vault" | "create_tokens" | "read_account" | "gates" | "introspect" | "guard")
        }
        _ => false,
    }
}

fn finance_team(path: &str) -> bool {
    path.starts_with("financial.") || matches!(path, "projects.read" | "containers.read")
}

fn read_only(path: &str) -> bool {
    path.ends_with(".read") || matches!(path, "containers.actions.logs" | "resources.events")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_tree_has_the_leaves_of_the_contract() {
        let catalogue = Catalogue::hoody();
        assert_eq!(catalogue.leaves().count(), 50);
        let reading: Vec<&str> =
            catalogue.leaves().filter(|(_, leaf)| !leaf.writes).map(|(_, leaf)| leaf.path.as_str()).collect();
        assert_eq!(
            reading,
            [
                "containers.read",
                "containers.actions.logs",
                "projects.read",
                "financial.wallet.read",
                "financial.billing.read",
                "financial.billing.download_invoices",
                "financial.server_rental.view_marketplace",
                "resources.events",
                "resources.realms",
                "resources.read_account",
                "resources.introspect",
                "resources.guard",
            ]
        );
    }

    #[test]
    fn full_access_makes_no_tokens_and_administers_nothing() {
        let catalogue = Catalogue::hoody();
        let full = catalogue.template("full_access").unwrap();
        let missing: Vec<&str> =
            catalogue.leaves().filter(|(p, _)| !full.has(*p)).map(|(_, leaf)| leaf.path.as_str()).collect();
        assert_eq!(
            missing,
            [
                "resources.create_tokens",
                "resources.gates",
                "resources.introspect",
                "resources.guard",
                "admin.users",
                "admin.servers",
                "admin.system",
                "admin.billing",
                "admin.monitoring"
            ]
        );
    }

    #[test]
    fn read_only_changes_nothing() {
        let catalogue = Catalogue::hoody();
        let read_only = catalogue.template("read_only").unwrap();
        assert!(!catalogue.is_writing(read_only));
        assert_eq!(
            catalogue.to_tree(read_only),
            json!({
                "containers": { "read": true, "actions": { "logs": true } },
                "projects": { "read": true },
                "financial": { "wallet": { "read": true }, "billing": { "read": true } },
                "resources": { "events": true },
            })
        );
    }

    /// A template is a list of paths and no rule: a leaf that is added later is in none of them.
    #[test]
    fn the_paths_of_every_template_are_those_that_were_published() {
        const CONTAINERS: &str = "containers.create,containers.read,containers.update,containers.delete,\
                                  containers.actions.start,containers.actions.stop,containers.actions.restart,\
                                  containers.actions.exec,containers.actions.logs,containers.features.ai,\
                                  containers.features.hoody_kit,containers.features.snapshots,\
                                  containers.features.networking";
        const FINANCIAL: &str = "financial.wallet.read,financial.wallet.transfer,financial.wallet.withdraw,\
                                 financial.billing.read,financial.billing.manage_payment_methods,\
                                 financial.billing.download_invoices,financial.server_rental.view_marketplace,\
                                 financial.server_rental.rent_servers,financial.server_rental.extend_rentals,\
                                 financial.server_rental.terminate_rentals,financial.subscriptions.purchase";
        const SHARED: &str = "resources.ssh_keys,resources.storage_shares,resources.proxy_aliases,\
                              resources.firewalls,resources.realms,resources.auth_token_public_profile";
        let pinned = [
            (
                "full_access",
                format!(
                    "{CONTAINERS},containers.features.kvm,projects.create,projects.read,projects.update,\
                     projects.delete,projects.members.invite,projects.members.remove,\
                     projects.members.change_roles,{FINANCIAL},resources.vault,resources.events,{SHARED},\
                     resources.read_account"
                ),
            ),
            ("external_customer", format!("{CONTAINERS},projects.read,resources.events,resources.realms")),
            (
                "dev_team",
                format!(
                    "{CONTAINERS},containers.features.kvm,projects.read,projects.update,resources.events,{SHARED}"
                ),
            ),
            ("finance_team", format!("containers.read,projects.read,{FINANCIAL}")),
            (
                "read_only",
                "containers.read,containers.actions.logs,projects.read,financial.wallet.read,\
                 financial.billing.read,resources.events"
                    .to_owned(),
            ),
        ];
        let catalogue = Catalogue::hoody();
        assert_eq!(catalogue.templates().len(), pinned.len());
        for (name, paths) in pinned {
            assert_eq!(catalogue.to_paths(catalogue.template(name).unwrap()), paths, "{name}");
        }
    }

    #[test]
    fn external_customers_cannot_create_projects() {
        let catalogue = Catalogue::hoody();
        let paths = catalogue.to_paths(catalogue.template("external_customer").unwrap());
        assert_eq!(
            paths,
            "containers.create,containers.read,containers.update,containers.delete,\
             containers.actions.start,containers.actions.stop,containers.actions.restart,\
             containers.actions.exec,containers.actions.logs,containers.features.ai,\
             containers.features.hoody_kit,containers.features.snapshots,containers.features.networking,\
             projects.read,resources.events,resources.realms"
        );
    }

    #[test]
    fn teams_have_their_branches_and_no_secrets() {
        let catalogue = Catalogue::hoody();
        let has = |template: &str, path: &str| {
            catalogue.template(template).unwrap().has(catalogue.leaf(path).unwrap())
        };
        for path in ["containers.features.kvm", "projects.update", "resources.firewalls"] {
            assert!(has("dev_team", path), "{path}");
        }
        for path in [
            "resources.vault",
            "resources.create_tokens",
            "resources.read_account",
            "projects.delete",
            "financial.wallet.read",
        ] {
            assert!(!has("dev_team", path), "{path}");
        }
        for path in [
            "financial.wallet.withdraw",
            "financial.subscriptions.purchase",
            "projects.read",
            "containers.read",
        ] {
            assert!(has("finance_team", path), "{path}");
        }
        assert!(!has("finance_team", "containers.update"));
        let names: Vec<&str> = catalogue.templates().iter().map(|t| t.name).collect();
        assert_eq!(names, ["full_access", "external_customer", "dev_team", "finance_team", "read_only"]);
        assert_eq!(catalogue.template("FULL_ACCESS"), None);
    }
}
