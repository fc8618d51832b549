use super::*;
use crate::id::TokenId;
use crate::permissions::Catalogues;
use crate::permissions::own::{InUse, OwnCatalogue, OwnSet, Uses};
use proptest::prelude::*;
use serde_json::{Value, json};

const THEN: Timestamp = Timestamp::MIN;

fn file(permissions: &Value) -> File {
    File::parse(&json!({ "permissions": permissions })).unwrap()
}

fn planned(rows: &Rows, file: &File, mode: Mode) -> Result<Plan, PlanError> {
    plan(rows, file, &Catalogue::hoody(), mode, THEN)
}

fn applied(rows: &Rows, permissions: &Value) -> Rows {
    let plan = planned(rows, &file(permissions), Mode::Prune).unwrap();
    apply(rows, &plan, THEN).unwrap()
}

fn catalogue(rows: &Rows) -> OwnCatalogue {
    OwnCatalogue::new(rows.clone(), &Catalogue::hoody()).unwrap()
}

fn number(rows: &Rows, path: &str) -> u16 {
    catalogue(rows).find(path).unwrap().leaf.id.number()
}

#[test]
fn a_first_file_adds_and_the_same_again_changes_nothing() {
    let wanted = json!({"orders.read": {}, "orders.create": {"writes": true}});
    let rows = applied(&Rows::default(), &wanted);
    assert_eq!((rows.version, rows.leaves.len()), (1, 2));
    assert!(catalogue(&rows).find("orders.create").unwrap().leaf.writes);
    let again = planned(&rows, &file(&wanted), Mode::Prune).unwrap();
    assert!(again.is_empty() && again.withheld.is_empty());
    assert_eq!(apply(&rows, &again, THEN).unwrap(), rows);
}

#[test]
fn a_rename_keeps_the_number_and_the_old_name() {
    let first = applied(&Rows::default(), &json!({"orders.read": {}}));
    let id = number(&first, "orders.read");
    let second = applied(&first, &json!({"sales.read": {"renamed_from": "orders.read"}}));
    let now = catalogue(&second);
    assert_eq!(number(&second, "sales.read"), id);
    assert!(now.find("orders.read").unwrap().is_deprecated && !now.find("sales.read").unwrap().is_deprecated);
    // The same file again, a file that knows the old name only, and a fresh database.
    let renamed = json!({"sales.read": {"renamed_from": "orders.read"}});
    assert!(planned(&second, &file(&renamed), Mode::Prune).unwrap().is_empty());
    let old = planned(&second, &file(&json!({"orders.read": {}})), Mode::Prune).unwrap();
    assert!(old.is_empty());
    assert_eq!(old.deprecated, [("orders.read".into(), "sales.read".into())]);
    assert_eq!(number(&applied(&Rows::default(), &renamed), "sales.read"), 1);
    // And back.
    let back = applied(&second, &json!({"orders.read": {"renamed_from": "sales.read"}}));
    assert_eq!(number(&back, "orders.read"), id);
    assert!(catalogue(&back).find("sales.read").unwrap().is_deprecated);
}

#[test]
fn a_name_that_was_anothers_is_never_given_away() {
    let first = applied(&Rows::default(), &json!({"orders.read": {}, "orders.write": {}}));
    let renamed = json!({"sales.read": {"renamed_from": "orders.read"}, "orders.write": {}});
    let second = applied(&first, &renamed);
    let thief =
        json!({"sales.read": {}, "orders.write": {}, "orders.read": {"renamed_from": "orders.write"}});
    let refused = planned(&second, &file(&thief), Mode::Prune).unwrap_err();
    assert_eq!(refused.code(), "PERMISSION_TAKEN", "{refused}");
    // Of a removed leaf too: its old name, and its last one.
    let third = applied(&second, &json!({"orders.write": {}}));
    for path in ["orders.read", "sales.read"] {
        let thief = json!({path: {"renamed_from": "orders.write"}});
        let refused = planned(&third, &file(&thief), Mode::Prune).unwrap_err();
        assert_eq!(refused.code(), "PERMISSION_TAKEN", "{refused}");
        assert!(refused.is_conflict());
    }
    let old = planned(&third, &file(&json!({"orders.read": {}, "orders.write": {}})), Mode::Prune);
    assert!(matches!(old, Err(PlanError::TakenByOldName { .. })));
    let both = json!({"orders.write": {}, "sales.write": {"renamed_from": "orders.write"}});
    assert_eq!(
        planned(&third, &file(&both), Mode::Prune).unwrap_err(),
        PlanError::ListedTwice("sales.write".into())
    );
}

#[test]
fn a_removed_leaf_comes_back_under_its_own_number() {
    let first = applied(&Rows::default(), &json!({"a.one": {}, "a.two": {}}));
    let id = number(&first, "a.two");
    let second = applied(&first, &json!({"a.one": {}}));
    assert!(catalogue(&second).find("a.two").is_none());
    let third = applied(&second, &json!({"a.one": {}, "a.three": {}}));
    assert_eq!(number(&third, "a.three"), id + 1);
    let fourth = applied(&third, &json!({"a.one": {}, "a.two": {}, "a.three": {}}));
    assert_eq!(number(&fourth, "a.two"), id);
}

#[test]
fn modes_carry_out_more_and_more() {
    let rows = applied(&Rows::default(), &json!({"a.one": {}, "a.two": {}, "a.old": {}}));
    let wanted = json!({
        "a.one": {"description": "One"}, "a.new": {}, "b.old": {"renamed_from": "a.old"},
    });
    let names = |mode| {
        let plan = planned(&rows, &file(&wanted), mode).unwrap();
        (plan.steps.len(), plan.withheld.len())
    };
    assert_eq!(names(Mode::Add), (1, 3));
    assert_eq!(names(Mode::Apply), (2, 2));
    assert_eq!(names(Mode::Prune), (4, 0));
    let retired = json!({"a.one": {"retired": true}, "a.two": {}, "a.old": {}});
    let plan = planned(&rows, &file(&retired), Mode::Apply).unwrap();
    assert!(plan.is_empty());
    assert_eq!(plan.withheld[0].needs, Mode::Prune);
    let once = retire(&rows, &["a.one", "a.two"]).unwrap();
    let rows = apply(&rows, &once, THEN).unwrap();
    assert_eq!(catalogue(&rows).find("a.one").unwrap().leaf.state, State::Retired);
    assert!(retire(&rows, &["a.one"]).unwrap().is_empty());
    assert_eq!(retire(&rows, &["a.none"]), Err(PlanError::Unknown("a.none".into())));
}

#[test]
fn what_is_held_is_removed_by_force_only() {
    let rows = applied(&Rows::default(), &json!({"a.one": {}, "a.two": {}}));
    let plan = planned(&rows, &file(&json!({"a.one": {}})), Mode::Prune).unwrap();
    let (id, path) = plan.removed().next().unwrap();
    assert_eq!(path, "a.two");
    let uses = Uses { count: 3, examples: vec![TokenId::from_bytes([1; 12])] };
    let InUse { path, uses: told } = plan.refuse_in_use(&[(id, uses.clone())], false).unwrap_err();
    assert_eq!((path.as_str(), told), ("a.two", uses.clone()));
    assert_eq!(plan.refuse_in_use(&[(id, uses)], true), Ok(()));
    assert_eq!(plan.refuse_in_use(&[(id, Uses { count: 0, examples: vec![] })], false), Ok(()));
}

#[test]
fn names_of_hoody_and_half_trees_are_refused() {
    for path in ["projects.own", "resources.x", "admin.x", "containers", "financial.x"] {
        let refused = planned(&Rows::default(), &file(&json!({path: {}})), Mode::Add).unwrap_err();
        assert!(matches!(refused, PlanError::Rows(RowsError::Reserved { .. })), "{refused}");
    }
    let refused = planned(&Rows::default(), &file(&json!({"a.b": {}, "a.b.c": {}})), Mode::Add);
    assert_eq!(refused, Err(PlanError::Rows(RowsError::LeafAndBranch("a.b".into()))));
    // An old name counts: a tree of JSON could not tell it from the group.
    let rows = applied(&Rows::default(), &json!({"a.b": {}}));
    let rows = applied(&rows, &json!({"x.b": {"renamed_from": "a.b"}}));
    let refused = planned(&rows, &file(&json!({"x.b": {}, "a.b.c": {}})), Mode::Add);
    assert_eq!(refused, Err(PlanError::Rows(RowsError::LeafAndBranch("a.b".into()))));
    let many: serde_json::Map<String, Value> = (0..1_024).map(|n| (format!("a.l{n}"), json!({}))).collect();
    let rows = applied(&Rows::default(), &Value::Object(many));
    let refused = planned(&rows, &file(&json!({"b.one": {}})), Mode::Add);
    assert_eq!(refused, Err(PlanError::Rows(RowsError::TooMany(1_025))));
    assert!(planned(&rows, &file(&json!({"b.one": {}})), Mode::Prune).is_ok());
}

#[test]
fn templates_hold_what_their_groups_had_when_they_were_applied() {
    let value = json!({
        "permissions": {"orders.read": {}, "orders.refund.all": {}, "orders.old": {"retired": true}},
        "templates": {"support": {"permissions": ["orders.*", "projects.read"]}},
    });
    let wanted = File::parse(&value).unwrap();
    let rows =
        apply(&Rows::default(), &planned(&Rows::default(), &wanted, Mode::Prune).unwrap(), THEN).unwrap();
    let hoody = Catalogue::hoody();
    let now = catalogue(&rows);
    let template = now.template("support").unwrap().clone();
    assert_eq!(hoody.to_paths(template.hoody), "projects.read");
    let paths: Vec<&str> = template.own.ids().iter().map(|id| now.path(*id)).collect();
    assert_eq!(paths, ["orders.read", "orders.refund.all"]);
    // A leaf that is added later is not in it until the file is applied again.
    let added = planned(&rows, &file(&json!({"orders.ship": {}})), Mode::Add).unwrap();
    let later = apply(&rows, &added, THEN).unwrap();
    assert_eq!(catalogue(&later).template("support").unwrap(), &template);
    for bad in ["orders.none", "none.*", "orders.old", "admin.users"] {
        let value = json!({
            "permissions": {"orders.read": {}, "orders.old": {"retired": true}},
            "templates": {"support": {"permissions": [bad]}},
        });
        let refused = planned(&Rows::default(), &File::parse(&value).unwrap(), Mode::Prune).unwrap_err();
        assert!(matches!(refused, PlanError::TemplateNames { .. }), "{refused}");
    }
    let taken = json!({"templates": {"read_only": {"permissions": ["projects.read"]}}});
    let refused = planned(&Rows::default(), &File::parse(&taken).unwrap(), Mode::Prune);
    assert_eq!(refused, Err(PlanError::Rows(RowsError::TemplateTaken("read_only".into()))));
}

#[test]
fn a_plan_holds_for_the_version_that_it_was_made_on() {
    let rows = applied(&Rows::default(), &json!({"a.one": {}}));
    let plan = planned(&rows, &file(&json!({"a.two": {}})), Mode::Add).unwrap();
    let moved = applied(&rows, &json!({"a.one": {}, "a.three": {}}));
    assert_eq!(apply(&moved, &plan, THEN), Err(PlanError::Outdated));
}

/// Any file over a few names: each is new, renamed from another, or retired.
fn any_file() -> impl Strategy<Value = Value> {
    let name = || prop_oneof![Just("a.x"), Just("a.y"), Just("b.x"), Just("b.y"), Just("c.z")];
    proptest::collection::vec((name(), proptest::option::of(name()), any::<bool>()), 0..5).prop_map(
        |entries| {
            let entry = |from: Option<&str>, retired: bool, path: &str| match from {
                Some(from) if from != path => json!({"renamed_from": from, "retired": retired}),
                _ => json!({"retired": retired}),
            };
            let entries = entries.into_iter();
            entries.map(|(path, from, retired)| (path.to_owned(), entry(from, retired, path))).collect()
        },
    )
}

proptest! {
    /// A token names leaves by number, and whoever asks names them by path. Whatever files are applied in
    /// whatever order, a path that meant another leaf than the token's once never means the token's leaf.
    #[test]
    fn no_file_gives_a_path_to_another_leaf(files in proptest::collection::vec(any_file(), 1..8)) {
        let hoody = Catalogue::hoody();
        let mut rows = Rows::default();
        let mut meant: std::collections::HashMap<String, OwnId> = std::collections::HashMap::new();
        for value in files {
            let Ok(plan) = planned(&rows, &file(&value), Mode::Prune) else { continue };
            let before = rows.version;
            rows = apply(&rows, &plan, THEN).unwrap();
            prop_assert_eq!(rows.version, before + u64::from(!plan.is_empty()));
            prop_assert_eq!(rows.check(&hoody), Ok(()));
            let own = catalogue(&rows);
            for path in ["a.x", "a.y", "b.x", "b.y", "c.z"] {
                if let Some(found) = own.find(path) {
                    prop_assert_eq!(*meant.entry(path.to_owned()).or_insert(found.leaf.id), found.leaf.id);
                }
            }
        }
    }

    /// A child is within its parent by number, and stays so under every change of names.
    #[test]
    fn a_child_gains_no_leaf_that_its_parent_lacks(
        files in proptest::collection::vec(any_file(), 1..6),
        parent in proptest::collection::vec(1_u16..6, 0..4),
        child in proptest::collection::vec(1_u16..6, 0..4),
    ) {
        let ids = |numbers: &[u16]| Selected::of(numbers.iter().filter_map(|n| OwnId::new(*n)));
        let (parent, child) = (ids(&parent), ids(&child));
        let hoody = Catalogue::hoody();
        let mut rows = Rows::default();
        for value in files {
            let Ok(plan) = planned(&rows, &file(&value), Mode::Prune) else { continue };
            rows = apply(&rows, &plan, THEN).unwrap();
            let own = catalogue(&rows);
            let (above, below) = (own.resolve(&parent), own.resolve(&child));
            let held: OwnSet = above.intersection(&below);
            prop_assert!(held.within(&above));
            let both = Catalogues { hoody: &hoody, own: &own };
            for path in ["a.x", "a.y", "b.x", "b.y", "c.z"] {
                if let Some(found) = both.own.find(path) {
                    prop_assert!(!held.has(found.leaf.id) || above.has(found.leaf.id), "{path}");
                    prop_assert!(!held.has(found.leaf.id) || parent.ids().contains(&found.leaf.id), "{path}");
                }
            }
        }
    }
}
