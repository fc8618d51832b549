//! The permission tree as flags: `--permission projects.read` as often as needed, and one
//! `--permissions-<path-with-dashes>` a leaf, made from the catalogue (`contract/cli.md` 7).

use std::sync::LazyLock;

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, error::ErrorKind, value_parser,
};
use hoody_core::permissions::{Catalogue, Permission, PermissionSet, is_path};
use serde_json::{Map, Value};

/// What of the tree was given; `None` when nothing was.
#[derive(Debug, Clone, Default)]
pub(crate) struct PermissionFlags {
    set: Option<PermissionSet>,
    /// What `=false` takes away.
    taken: PermissionSet,
    /// The operator's, as they were written: paths, and groups that end in `.*` or `.**`. The server knows them.
    own: Vec<String>,
}

/// Lets a token make tokens: no branch and no template grants it, only its own name.
const CREATE_TOKENS: &str = "resources.create_tokens";

/// The flag of one leaf.
struct LeafFlag {
    name: &'static str,
    help: String,
    leaf: Permission,
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::hoody);

static FLAGS: LazyLock<Vec<LeafFlag>> = LazyLock::new(|| {
    let flag = |(leaf, known): (Permission, &hoody_core::permissions::Leaf)| LeafFlag {
        // clap wants names that live as long as the process; there is one such list in it.
        name: format!("permissions-{}", known.path.replace(['.', '_'], "-")).leak(),
        help: format!("Grant {}", known.path),
        leaf,
    };
    CATALOGUE.leaves().map(flag).collect()
});

impl PermissionFlags {
    /// The tree to send; `None` when no flag was given.
    pub(crate) fn tree(&self) -> Option<Value> {
        self.set.map(|set| self.with_own(CATALOGUE.to_tree(set)))
    }

    /// The operator's permissions that were named.
    pub(crate) fn own(&self) -> &[String] {
        &self.own
    }

    fn with_own(&self, mut tree: Value) -> Value {
        for path in &self.own {
            let mut node = &mut tree;
            for segment in path.split('.') {
                let Value::Object(children) = node else { break };
                node = children.entry(segment).or_insert_with(|| Value::Object(Map::new()));
            }
            *node = Value::Bool(true);
        }
        tree
    }

    /// The tree of the template `name` with what the flags add and take; `None` when none was given, or
    /// this command does not know the template.
    pub(crate) fn tree_over(&self, name: &str) -> Option<Value> {
        let template = CATALOGUE.template(name)?;
        let set = self.set?.union(template);
        let taken = CATALOGUE.leaves().map(|(leaf, _)| leaf).filter(|leaf| self.taken.has(*leaf));
        Some(self.with_own(CATALOGUE.to_tree(taken.fold(set, PermissionSet::without))))
    }
}

impl FromArgMatches for PermissionFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let (mut set, mut taken, mut own) = (None, PermissionSet::EMPTY, Vec::new());
        for path in matches.get_many::<String>("permission").into_iter().flatten() {
            if is_operators(path) {
                set.get_or_insert(PermissionSet::EMPTY);
                own.push(path.clone());
                continue;
            }
            let granted = named(path).ok_or_else(|| unknown(path))?;
            set = Some(set.unwrap_or(PermissionSet::EMPTY).union(granted));
        }
        for flag in FLAGS.iter() {
            if let Some(is_granted) = matches.get_one::<bool>(flag.name) {
                let so_far = set.unwrap_or(PermissionSet::EMPTY);
                set = Some(if *is_granted { so_far.with(flag.leaf) } else { so_far.without(flag.leaf) });
                if !is_granted {
                    taken = taken.with(flag.leaf);
                }
            }
        }
        // The longer first: `orders.read` beside `orders` makes a tree that the server explains.
        own.sort_by_key(|path| std::cmp::Reverse(path.len()));
        Ok(Self { set, taken, own })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for PermissionFlags {
    fn augment_args(command: Command) -> Command {
        let one = Arg::new("permission")
            .long("permission")
            .value_name("PATH")
            .help(
                "Grant this, e.g. orders.read or orders.*; repeat it, or separate by commas. `hoody auth permissions` \
                 lists them",
            )
            .value_delimiter(',')
            .action(ArgAction::Append)
            .value_parser(value_parser!(String));
        let leaf = |flag: &LeafFlag| {
            Arg::new(flag.name)
                .long(flag.name)
                .help(flag.help.clone())
                .value_name("BOOL")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_parser(value_parser!(bool))
                .hide_short_help(true)
                .help_heading("Permissions, one by one")
                .display_order(950)
        };
        command.arg(one).args(FLAGS.iter().map(leaf))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Whether it may be one of the operator's permissions: a path, or a group with `.*` or `.**`, whose first segment is
/// not hoody's. The server says whether there is such a one.
fn is_operators(written: &str) -> bool {
    let path = written.strip_suffix(".**").or_else(|| written.strip_suffix(".*")).unwrap_or(written);
    let first = |path: &str| path.split('.').next().unwrap_or_default().to_owned();
    is_path(path) && !CATALOGUE.leaves().any(|(_, leaf)| first(&leaf.path) == first(path))
}

/// A leaf, or all leaves below `branch.*` but the one that makes tokens.
fn named(path: &str) -> Option<PermissionSet> {
    if let Some(leaf) = CATALOGUE.leaf(path) {
        return Some(PermissionSet::EMPTY.with(leaf));
    }
    let branch = path.strip_suffix('*').filter(|branch| branch.ends_with('.'))?;
    let below =
        CATALOGUE.leaves().filter(|(_, leaf)| leaf.path.starts_with(branch) && leaf.path != CREATE_TOKENS);
    let set = below.fold(PermissionSet::EMPTY, |set, (leaf, _)| set.with(leaf));
    (!set.is_empty()).then_some(set)
}

/// Says which paths are near to what was written; all of them when none is.
fn unknown(path: &str) -> Error {
    let near = nearest(path);
    let message = if near.is_empty() {
        let all: Vec<&str> = CATALOGUE.leaves().map(|(_, leaf)| leaf.path.as_str()).collect();
        format!("there is no permission {path:?}; there are:\n  {}\n", all.join("\n  "))
    } else {
        format!("there is no permission {path:?}; did you mean {}?\n", near.join(" or "))
    };
    Error::raw(ErrorKind::InvalidValue, message)
}

/// The leaves of hoody's, and branches with `.*`, that read most like `path`, at most three, the best first.
fn nearest(path: &str) -> Vec<String> {
    nearest_of(path, CATALOGUE.leaves().map(|(_, leaf)| leaf.path.as_str()))
}

/// Which of these leaves, and of the branches that they lie in, read most like `path`, at most three, the best first.
pub(super) fn nearest_of<'a>(path: &str, leaves: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut known = std::collections::BTreeSet::new();
    for leaf in leaves {
        known.insert(leaf.to_owned());
        known.extend(leaf.match_indices('.').map(|(dot, _)| format!("{}.*", &leaf[..dot])));
    }
    let likeness = |candidate: &str| {
        // A branch without its star is that branch.
        let is_branch =
            candidate.strip_suffix(".*").is_some_and(|branch| branch == path.trim_end_matches('.'));
        if is_branch { 1.0 } else { strsim::normalized_damerau_levenshtein(candidate, path) }
    };
    let mut near: Vec<(f64, String)> = known.into_iter().map(|each| (likeness(&each), each)).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = near.first().map_or(0.0, |(best, _)| *best);
    let is_near = |likeness: f64| likeness >= 0.7 && best - likeness < 0.1;
    near.into_iter().take(3).filter(|(likeness, _)| is_near(*likeness)).map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree(arguments: &[&str]) -> Result<Option<Value>, Error> {
        let command = PermissionFlags::augment_args(Command::new("test"));
        let matches = command.try_get_matches_from([&["test"], arguments].concat())?;
        Ok(PermissionFlags::from_arg_matches(&matches)?.tree())
    }

    #[test]
    fn flags_become_the_tree() {
        assert_eq!(tree(&[]).unwrap(), None);
        assert_eq!(
            tree(&["--permissions-projects-read", "--permissions-containers-features-hoody-kit=true"])
                .unwrap(),
            Some(json!({"projects": {"read": true}, "containers": {"features": {"hoody_kit": true}}}))
        );
        assert_eq!(
            tree(&[
                "--permission",
                "projects.read,resources.realms",
                "--permission",
                "containers.actions.logs"
            ])
            .unwrap(),
            Some(json!({
                "projects": {"read": true}, "resources": {"realms": true}, "containers": {"actions": {"logs": true}}
            }))
        );
    }

    #[test]
    fn a_branch_is_all_below_it_and_false_takes_away() {
        assert_eq!(
            tree(&["--permission", "projects.members.*", "--permissions-projects-members-remove=false"])
                .unwrap(),
            Some(json!({"projects": {"members": {"invite": true, "change_roles": true}}}))
        );
        assert_eq!(tree(&["--permissions-projects-read=false"]).unwrap(), Some(json!({})));
    }

    #[test]
    fn the_operators_permissions_are_sent_as_they_are_written() {
        assert_eq!(
            tree(&["--permission", "orders.read,orders.items.*,projects.read", "--permission", "billing.**"])
                .unwrap(),
            Some(json!({
                "orders": { "read": true, "items": { "*": true } }, "billing": { "**": true },
                "projects": { "read": true },
            }))
        );
        // The server knows which there are, and whether this is one.
        assert_eq!(
            tree(&["--permission", "project.read"]).unwrap(),
            Some(json!({ "project": { "read": true } }))
        );
        let near = nearest_of("order.read", ["orders.read", "orders.create"].into_iter());
        assert_eq!(near, ["orders.read"]);
    }

    #[test]
    fn only_its_own_name_grants_to_make_tokens() {
        let resources = tree(&["--permission", "resources.*"]).unwrap().unwrap();
        assert_eq!(resources["resources"].get("create_tokens"), None);
        assert_eq!(resources["resources"]["vault"], true);
        let both = tree(&["--permission", "resources.*,resources.create_tokens"]).unwrap().unwrap();
        assert_eq!(both["resources"]["create_tokens"], true);
    }

    #[test]
    fn what_is_not_in_the_tree_is_refused() {
        for (path, near) in [
            ("projects.raed", "did you mean projects.read?"),
            ("projects.readx", "did you mean projects.read"),
            ("projects", "did you mean projects.*?"),
            ("projects.", "did you mean projects.*?"),
            ("projects.members", "did you mean projects.members.*?"),
            ("containers.action.stop", "did you mean containers.actions.stop"),
            ("resources.realm", "did you mean resources.realms?"),
        ] {
            let error = tree(&["--permission", path]).unwrap_err().to_string();
            assert!(error.contains(near) && error.lines().count() == 1, "{path}: {error}");
        }
        // Like nothing that there is: all of it.
        for path in ["*", "", "Everything", "orders..read", "orders.*.read"] {
            let error = tree(&["--permission", path]).unwrap_err().to_string();
            assert!(error.contains("projects.read") && error.lines().count() > 40, "{path}: {error}");
        }
    }

    #[test]
    fn every_leaf_has_its_own_flag() {
        let names: std::collections::BTreeSet<_> = FLAGS.iter().map(|flag| flag.name).collect();
        assert_eq!(names.len(), CATALOGUE.leaves().count());
    }
}
