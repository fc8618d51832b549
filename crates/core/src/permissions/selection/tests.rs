use super::super::own::{File, Mode, Rows, apply, plan};
use super::*;
use crate::time::Timestamp;
use serde_json::json;

struct Both {
    hoody: Catalogue,
    own: OwnCatalogue,
}

impl Both {
    fn of(files: &[Value]) -> Self {
        let hoody = Catalogue::hoody();
        let mut rows = Rows::default();
        for file in files {
            let file = File::parse(&json!({ "permissions": file })).unwrap();
            let plan = plan(&rows, &file, &hoody, Mode::Prune, Timestamp::MIN.plus(1)).unwrap();
            rows = apply(&rows, &plan, Timestamp::MIN.plus(1)).unwrap();
        }
        let own = OwnCatalogue::new(rows, &hoody).unwrap();
        Self { hoody, own }
    }

    fn orders() -> Self {
        Self::of(&[json!({
            "orders.read": {}, "orders.create": {}, "orders.refund.all": {}, "orders.old": {"retired": true},
            "ping": {},
        })])
    }

    fn both(&self) -> Catalogues<'_> {
        Catalogues { hoody: &self.hoody, own: &self.own }
    }

    fn parse(&self, value: &Value, may_grow: bool) -> Result<Selection, Invalid> {
        self.both().parse(value, "/permissions", may_grow)
    }

    fn paths(&self, selection: &Selection) -> Vec<&str> {
        self.both().paths(selection.hoody, &self.own.resolve(&selection.own)).collect()
    }
}

#[test]
fn leaves_of_both_catalogues_stand_in_one_tree() {
    let world = Both::orders();
    let sent = json!({
        "projects": { "read": true },
        "orders": { "read": true, "create": false, "refund": { "all": true } },
        "ping": true,
    });
    let selection = world.parse(&sent, false).unwrap();
    assert_eq!(world.paths(&selection), ["projects.read", "orders.read", "orders.refund.all", "ping"]);
    assert_eq!(
        world.both().to_tree(&selection),
        json!({
            "projects": { "read": true }, "orders": { "read": true, "refund": { "all": true } }, "ping": true,
        })
    );
    assert_eq!(Selected::parse_stored(&selection.own.to_stored()), selection.own);
}

#[test]
fn a_star_is_what_lives_now_and_two_stars_grow() {
    let world = Both::orders();
    let star = world.parse(&json!({ "orders": { "*": true } }), false).unwrap();
    assert_eq!(world.paths(&star), ["orders.create", "orders.read", "orders.refund.all"]);
    let below = world.parse(&json!({ "orders": { "refund": { "*": true } } }), false).unwrap();
    assert_eq!(world.paths(&below), ["orders.refund.all"]);
    let growing = json!({ "orders": { "**": true } });
    assert!(matches!(world.parse(&growing, false), Err(Invalid::Schema(_))));
    let grown = world.parse(&growing, true).unwrap();
    assert_eq!(world.both().to_tree(&grown), growing);
    assert_eq!(Selected::parse_stored(&grown.own.to_stored()), grown.own);
    let later = Both::of(&[json!({
        "orders.read": {}, "orders.create": {}, "orders.refund.all": {}, "orders.old": {}, "orders.ship": {},
        "ordersx": {}, "ping": {},
    })]);
    assert!(later.paths(&grown).contains(&"orders.ship"));
    assert!(!later.paths(&grown).contains(&"ordersx"));
    let held = later.own.resolve(&star.own);
    let newer = later.own.newer_than(&held, Timestamp::MIN);
    assert!(newer.iter().any(|id| later.own.path(*id) == "orders.ship"));
    assert!(later.own.newer_than(&held, Timestamp::MAX).is_empty());
}

#[test]
fn a_retired_leaf_can_be_kept_but_not_given() {
    let world = Both::orders();
    let asked = json!({ "orders": { "old": true } });
    let selection = world.parse(&asked, true).unwrap();
    let held = |held| world.both().check_grantable(&selection.own, &held, "/permissions");
    assert!(matches!(held(Selected::default()), Err(Invalid::Schema(violations))
        if violations.len() == 1 && violations[0].instance_path == "/permissions/orders/old"));
    let old = world.own.find("orders.old").unwrap().leaf.id;
    assert_eq!(held(Selected::of([old])), Ok(()));
    assert_eq!(world.paths(&selection), ["orders.old"]);
    assert!(world.both().expand("orders.old").is_err());
    assert!(world.both().find("orders.old").unwrap().is_retired);
}

#[test]
fn old_names_are_read_and_never_written() {
    let world =
        Both::of(&[json!({ "orders.read": {} }), json!({ "sales.read": { "renamed_from": "orders.read" } })]);
    let selection = world.parse(&json!({ "orders": { "read": true } }), false).unwrap();
    assert_eq!(world.both().to_tree(&selection), json!({ "sales": { "read": true } }));
    let named = world.both().find("orders.read").unwrap();
    assert!(named.is_deprecated);
    assert_eq!(world.both().path(named.permission), "sales.read");
}

#[test]
fn unknown_keys_of_either_are_told_where_they_are() {
    let world = Both::orders();
    let places = |value: &Value| match world.parse(value, false) {
        Err(Invalid::Schema(violations)) => {
            let mut places: Vec<_> = violations.into_iter().map(|v| v.instance_path).collect();
            places.sort();
            places
        }
        other => panic!("{other:?}"),
    };
    let sent = json!({
        "order": true, "projects": { "*": true }, "*": true, "ping": {},
        "orders": { "red": true, "read": 1, "refund": true, "**": true, "*": 1, "read.x": true },
    });
    assert_eq!(
        places(&sent),
        [
            "/permissions/*",
            "/permissions/order",
            "/permissions/orders/*",
            "/permissions/orders/**",
            "/permissions/orders/read",
            "/permissions/orders/read.x",
            "/permissions/orders/red",
            "/permissions/orders/refund",
            "/permissions/ping",
            "/permissions/projects/*",
        ]
    );
    assert_eq!(places(&json!(true)), ["/permissions"]);
    let many: Map<String, Value> = (0..1_000).map(|n| (format!("x{n}"), json!(true))).collect();
    assert_eq!(places(&json!({ "orders": many, "other": many })).len(), 20);
}

#[test]
fn threat_17_an_own_leaf_is_no_prefix_of_its_neighbours() {
    let world = Both::orders();
    for path in
        ["order", "orders", "orders.", "orders.rea", "orders.reads", "Orders.read", "orders.*", "", "*"]
    {
        assert_eq!(world.both().find(path), None, "{path}");
    }
    for pattern in ["orders", "orders.none.*", "*", "**", "orders.**", ".*"] {
        assert!(world.both().expand(pattern).is_err(), "{pattern}");
    }
    assert_eq!(world.both().expand("orders.*").unwrap().len(), 3);
    for stored in ["", ",", "x", "0", "70000", ".**", "**", "A.**", "-1", "orders.*"] {
        assert!(Selected::parse_stored(stored).is_empty(), "{stored}");
    }
}
