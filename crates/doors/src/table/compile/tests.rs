use super::*;
use crate::table::{Lint, Remark, lint};
use hoody_core::invalid::Invalid;
use hoody_core::permissions::own::OwnId;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The permissions of these tests, by number.
const LEAVES: [&str; 5] = ["orders.read", "orders.create", "files.read", "admin_ui.use", "orders.old"];

fn find(path: &str) -> Option<Named> {
    let at = LEAVES.iter().position(|leaf| *leaf == path)?;
    let permission = AnyPermission::Own(OwnId::new(u16::try_from(at).ok()? + 1)?);
    Some(Named { permission, is_deprecated: false, is_retired: path == "orders.old" })
}

fn definition(routes: &Value) -> Result<Definition, Invalid> {
    Definition::parse(&json!({ "name": "orders", "hosts": ["orders.example.com"], "route": routes }))
}

fn gate_of(definition: &Definition) -> Gate {
    Gate::new(GateId::from_bytes([7; 12]), UserId::from_bytes([1; 12]), definition, find)
}

fn gate(routes: &Value) -> Gate {
    gate_of(&definition(routes).unwrap())
}

fn routed<'a>(gate: &'a Gate, method: &str, target: &str) -> Result<Option<&'a str>, Fault> {
    let path = Path::read(target)?;
    gate.route(method, &path).map(|row| row.map(|row| &*row.path))
}

fn row(path: &str) -> Value {
    json!({ "path": path, "any": true })
}

fn with_methods(path: &str, methods: &[&str]) -> Value {
    json!({ "path": path, "any": true, "methods": methods })
}

fn places(value: &Value) -> Vec<String> {
    match Definition::parse(value) {
        Err(Invalid::Schema(violations)) => violations.into_iter().map(|v| v.instance_path).collect(),
        other => panic!("{other:?}"),
    }
}

const EXAMPLE: &str = r#"
    name = "orders"
    hosts = ["orders.example.com"]
    realm = "{realm}.orders.example.com"
    strip = ""
    preflight = "pass"
    [[route]]
    methods = ["GET"]
    path = "/healthz"
    public = true
    [[route]]
    methods = ["GET"]
    path = "/orders/{id}"
    permission = "orders.read"
    [[route]]
    methods = ["POST"]
    path = "/orders"
    permission = "orders.create"
    cost = 5
    [[route]]
    path = "/files/**"
    permission = "files.read"
    tail = "opaque"
"#;

#[test]
fn the_file_of_the_guide_is_read_and_given_back() {
    let value: Value = toml::from_str(EXAMPLE).unwrap();
    let definition = Definition::parse(&value).unwrap();
    assert_eq!(Definition::parse(&definition.to_json()), Ok(definition.clone()));
    let again: Value = toml::from_str(&toml::to_string(&definition.to_json()).unwrap()).unwrap();
    assert_eq!(Definition::parse(&again), Ok(definition.clone()));
    assert_eq!(definition.check(find), Ok(()));
    assert_eq!(lint(&definition, find), []);
    let gate = gate_of(&definition);
    assert_eq!((gate.len(), gate.preflight, gate.sessions), (4, true, false));
    for (method, target, expected) in [
        ("GET", "/healthz", Ok(Some("/healthz"))),
        ("HEAD", "/healthz/", Ok(Some("/healthz"))),
        ("POST", "/healthz", Ok(None)),
        ("GET", "/orders/7", Ok(Some("/orders/{id}"))),
        ("GET", "/orders/7/", Ok(Some("/orders/{id}"))),
        ("GET", "/orders", Ok(None)),
        ("POST", "/orders?x=1", Ok(Some("/orders"))),
        ("POST", "/ordersx", Ok(None)),
        ("POST", "/Orders", Ok(None)),
        ("get", "/orders/7", Ok(None)),
        ("DELETE", "/files", Ok(Some("/files/**"))),
        ("DELETE", "/files/a/b", Ok(Some("/files/**"))),
        ("DELETE", "/files/a%2fb;v=1", Ok(Some("/files/**"))),
        ("GET", "/orders/a%2fb", Err(Fault::EscapedSlash)),
        ("GET", "/orders/..", Err(Fault::Dot)),
        ("GET", "/files/..%2fhealthz", Err(Fault::Dot)),
        ("GET", "/", Ok(None)),
    ] {
        assert_eq!(routed(&gate, method, target), expected, "{method} {target}");
    }
    let create = gate.route("POST", &Path::read("/orders").unwrap()).unwrap().unwrap();
    assert_eq!((create.cost, &*create.scope, create.log), (5, "orders.create", Log::Route));
}

#[test]
fn most_literal_wins_and_named_methods_before_all() {
    let gate = gate(&json!([
        row("/**"),
        row("/{owner}/{repo}"),
        row("/settings/**"),
        row("/settings/{page}"),
        row("/settings/users"),
        with_methods("/settings/users", &["GET"]),
        with_methods("/settings/users/x", &["HEAD"]),
        with_methods("/settings/users/x", &["GET", "PURGE"]),
    ]));
    for (method, target, expected) in [
        ("GET", "/", "/**"),
        ("GET", "/a", "/**"),
        ("GET", "/a/b", "/{owner}/{repo}"),
        ("GET", "/a/b/c", "/**"),
        ("GET", "/settings", "/settings/**"),
        ("GET", "/settings/keys", "/settings/{page}"),
        ("GET", "/settings/keys/x", "/settings/**"),
        ("POST", "/settings/users", "/settings/users"),
        ("POST", "/settings/users/x", "/settings/**"),
        ("PURGE", "/settings/users/x", "/settings/users/x"),
        ("OTHER", "/settings/users/x", "/settings/**"),
    ] {
        assert_eq!(routed(&gate, method, target), Ok(Some(expected)), "{method} {target}");
    }
    let which = |method| {
        let path = Path::read("/settings/users/x").unwrap();
        let row = gate.route(method, &path).unwrap().unwrap();
        gate.rows.iter().position(|other| std::ptr::eq(other, row))
    };
    assert_eq!((which("HEAD"), which("GET")), (Some(6), Some(7)));
}

#[test]
fn threat_41_a_row_that_refuses_is_not_passed_over() {
    // What decides is the most literal row, also when it lets nobody in and a wider one would.
    let gate =
        gate(&json!([{"path": "/**", "public": true}, {"path": "/admin/**", "permission": "gone.leaf"}]));
    for target in ["/admin", "/admin/", "/admin/x", "/admin/x/y"] {
        let row = gate.route("GET", &Path::read(target).unwrap()).unwrap().unwrap();
        assert_eq!(row.need, Need::Gone, "{target}");
        assert!(!row.need.is_met(|_| true));
    }
}

#[test]
fn needs_are_met_by_what_is_held() {
    let gate = gate(&json!([
        {"path": "/any", "any": true},
        {"path": "/one", "permission": "orders.read"},
        {"path": "/some", "any_of": ["orders.read", "files.read", "gone.leaf"]},
        {"path": "/all", "all_of": ["orders.read", "files.read"]},
        {"path": "/gone", "all_of": ["orders.read", "gone.leaf"]},
    ]));
    let met = |target: &str, held: &[&str]| {
        let row = gate.route("GET", &Path::read(target).unwrap()).unwrap().unwrap();
        row.need.is_met(|permission| held.iter().any(|leaf| find(leaf).unwrap().permission == permission))
    };
    assert!(met("/any", &[]) && !met("/one", &[]) && met("/one", &["orders.read"]));
    assert!(met("/some", &["files.read"]) && !met("/some", &["orders.create"]));
    assert!(met("/all", &["files.read", "orders.read"]) && !met("/all", &["files.read"]));
    assert!(!met("/gone", &LEAVES));
}

#[test]
fn folding_gates_compare_without_case() {
    let value = json!({
        "name": "iis", "hosts": ["a.example.com"], "case": "fold",
        "route": [{"path": "/Admin/{id}", "any": true}, {"path": "/caf%C3%A9", "any": true}],
    });
    let gate = gate_of(&Definition::parse(&value).unwrap());
    assert_eq!(routed(&gate, "GET", "/ADMIN/x"), Ok(Some("/Admin/{id}")));
    assert_eq!(routed(&gate, "GET", "/CAF%C3%89"), Ok(Some("/caf%C3%A9")));
    assert_eq!(routed(&gate, "GET", "/admin/%C5%BF"), Err(Fault::Character));
}

#[test]
fn hosts_and_realms_are_the_gates_own() {
    let of = |realm: &str| {
        let value =
            json!({"name": "o", "hosts": ["Orders.example.com", "[::1]"], "realm": realm, "route": []});
        gate_of(&Definition::parse(&value).unwrap())
    };
    let realm: RealmId = "65a1b2c3d4e5f60718293a4b".parse().unwrap();
    let none = of("none");
    for host in ["orders.example.com", "ORDERS.example.com.:8443", "[::1]:80"] {
        assert_eq!(none.realm_of(host), Some(None), "{host}");
    }
    for host in [
        "",
        "example.com",
        "x.orders.example.com",
        "orders.example.com.evil.test",
        "a,b",
        "orders.example.com,b",
    ] {
        assert_eq!(none.realm_of(host), None, "{host}");
    }
    let pattern = of("{realm}.orders.example.com");
    assert_eq!(pattern.realm_of("65a1b2c3d4e5f60718293a4b.orders.example.com"), Some(Some(realm)));
    assert_eq!(pattern.realm_of("orders.example.com"), Some(None));
    assert_eq!(pattern.realm_of("65a1b2c3d4e5f60718293a4b.example.com"), None);
    assert_eq!(of("65a1b2c3d4e5f60718293a4b").realm_of("orders.example.com"), Some(Some(realm)));
}

#[test]
fn accounts_are_the_owners_unless_it_says_otherwise() {
    let of = |accounts: Option<Value>| {
        let mut value = json!({"name": "o", "hosts": ["a.b"], "route": []});
        if let Some(accounts) = accounts {
            value["accounts"] = accounts;
        }
        gate_of(&Definition::parse(&value).unwrap())
    };
    let (owner, other) = (UserId::from_bytes([1; 12]), UserId::from_bytes([2; 12]));
    let own = of(None);
    assert!(own.admits(owner) && !own.admits(other));
    let listed = of(Some(json!([other.to_string()])));
    assert!(listed.admits(owner) && listed.admits(other) && !listed.admits(UserId::from_bytes([3; 12])));
    let any = of(Some(json!("any")));
    assert!(any.admits(owner) && any.admits(other));
}

#[test]
fn each_fault_is_told_at_its_field() {
    let base = |key: &str, value: Value| {
        let mut gate =
            json!({"name": "o", "hosts": ["a.example.com"], "route": [{"path": "/a", "any": true}]});
        gate[key] = value;
        gate
    };
    for (key, value, place) in [
        ("name", json!("Orders"), "/name"),
        ("name", json!(1), "/name"),
        ("hosts", json!([]), "/hosts"),
        ("hosts", json!(["https://a"]), "/hosts/0"),
        ("hosts", json!(["a:80"]), "/hosts/0"),
        ("hosts", json!([1]), "/hosts/0"),
        ("realm", json!("{realm}"), "/realm"),
        ("realm", json!("orders.example.com"), "/realm"),
        ("strip", json!("api"), "/strip"),
        ("preflight", json!("yes"), "/preflight"),
        ("case", json!("lower"), "/case"),
        ("log", json!("query"), "/log"),
        ("accounts", json!([]), "/accounts"),
        ("accounts", json!(["x"]), "/accounts/0"),
        ("accounts", json!("all"), "/accounts"),
        ("sessions", json!("yes"), "/sessions"),
        ("routes", json!([]), "/routes"),
        ("route", json!({}), "/route"),
    ] {
        let value = base(key, value);
        assert!(places(&value).contains(&place.to_owned()), "{value} {:?}", places(&value));
    }
    for (route, place) in [
        (json!({"any": true}), "/route/0/path"),
        (json!({"path": "/a"}), "/route/0"),
        (json!({"path": "/a", "any": true, "public": true}), "/route/0"),
        (json!({"path": "/a", "any": false}), "/route/0/any"),
        (json!({"path": "/a", "permission": 1}), "/route/0/permission"),
        (json!({"path": "/a", "any_of": []}), "/route/0/any_of"),
        (json!({"path": "/a*", "any": true}), "/route/0/path"),
        (json!({"path": "/a", "any": true, "methods": []}), "/route/0/methods"),
        (json!({"path": "/a", "any": true, "methods": ["get"]}), "/route/0/methods/0"),
        (json!({"path": "/a", "any": true, "methods": ["TRACE"]}), "/route/0/methods/0"),
        (json!({"path": "/a", "any": true, "methods": ["GET", "GET"]}), "/route/0/methods/1"),
        (json!({"path": "/a", "any": true, "tail": "opaque"}), "/route/0/tail"),
        (json!({"path": "/a", "any": true, "cost": 0}), "/route/0/cost"),
        (json!({"path": "/a", "any": true, "cost": 1.5}), "/route/0/cost"),
        (json!({"path": "/a", "any": true, "method": "GET"}), "/route/0/method"),
        (json!("x"), "/route/0"),
    ] {
        let value = base("route", json!([route]));
        assert!(places(&value).contains(&place.to_owned()), "{value} {:?}", places(&value));
    }
    let unknown = definition(&json!([row("/a"), {"path": "/b", "any_of": ["orders.read", "none"]}])).unwrap();
    assert_eq!(
        unknown.check(find),
        Err(Invalid::schema("/route/1/any_of", "unknown permission; add it to the catalogue first"))
    );
    let many: Vec<Value> = (0..=1_000).map(|n| row(&format!("/p{n}"))).collect();
    assert!(definition(&json!(many)).is_err());
    let many: Vec<Value> = (0..65_u8)
        .map(|n| {
            let method: String = [b'A' + n / 26, b'A' + n % 26].into_iter().map(char::from).collect();
            with_methods(&format!("/p{n}"), &[&method])
        })
        .collect();
    assert!(definition(&json!(many[..64])).is_ok() && definition(&json!(many)).is_err());
}

#[test]
fn rows_that_contradict_each_other_are_refused() {
    let opaque = |path: &str| json!({"path": path, "any": true, "tail": "opaque"});
    for rows in [
        json!([row("/a"), row("/a/")]),
        json!([row("/a/{x}"), row("/a/{y}")]),
        json!([with_methods("/a", &["GET", "PUT"]), with_methods("/a", &["PUT"])]),
        json!([row("/a/{x}/c"), row("/a/b/{y}")]),
        json!([row("/admin/**"), row("/{tenant}/users/list")]),
        json!([opaque("/files/**"), row("/files/admin")]),
        json!([opaque("/files/**"), row("/files")]),
        json!([opaque("/files/**"), row("/{x}/secret")]),
        json!([opaque("/**"), row("/a")]),
    ] {
        assert!(matches!(definition(&rows), Err(Invalid::Schema(_))), "{rows}");
    }
    for rows in [
        json!([row("/a/{x}/c"), row("/a/b/{y}"), row("/a/b/c")]),
        json!([with_methods("/a/{x}/c", &["GET"]), with_methods("/a/b/{y}", &["POST"])]),
        json!([with_methods("/a/{x}/c", &["GET"]), row("/a/b/{y}"), with_methods("/a/b/c", &["GET"])]),
        json!([row("/settings/**"), row("/{owner}/{repo}")]),
        json!([row("/**"), opaque("/files/**")]),
        json!([with_methods("/a", &["GET"]), with_methods("/a", &["HEAD"]), row("/a")]),
    ] {
        assert!(definition(&rows).is_ok(), "{rows} {:?}", definition(&rows));
    }
    let uncovered =
        json!(
            [with_methods("/a/{x}/c", &["GET", "PUT"]), row("/a/b/{y}"), with_methods("/a/b/c", &["GET"]),]
        );
    assert!(definition(&uncovered).is_err());
}

#[test]
fn the_linter_tells_what_is_probably_not_meant() {
    let remarks = |routes: Value| lint(&definition(&routes).unwrap(), find);
    assert_eq!(
        remarks(json!([row("/a/**"), row("/a"), row("/a/{x}/**")]))[0],
        Lint { row: 0, remark: Remark::NeverReached }
    );
    assert_eq!(
        remarks(json!([row("/a/**"), row("/a/b")])),
        [Lint { row: 1, remark: Remark::Redundant { like: 0 } }]
    );
    assert_eq!(remarks(json!([{"path": "/**", "public": true}, row("/a")])).len(), 1);
    assert_eq!(remarks(json!([row("/a/**"), {"path": "/a/b", "permission": "orders.read"}])), []);
    let retired = remarks(json!([{"path": "/a", "permission": "orders.old"}]));
    assert_eq!(retired, [Lint { row: 0, remark: Remark::Retired("orders.old".into()) }]);
    assert!(retired[0].to_string().starts_with("route 0: orders.old is retired"));
}

fn segments() -> impl Strategy<Value = String> {
    let segment = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("{x}".to_owned())];
    (proptest::collection::vec(segment, 0..4), any::<bool>()).prop_map(|(segments, tail)| {
        let named =
            segments.iter().enumerate().map(|(at, segment)| segment.replace("{x}", &format!("{{x{at}}}")));
        let mut path: String = named.map(|segment| format!("/{segment}")).collect();
        if tail {
            path.push_str("/**");
        }
        if path.is_empty() { "/".to_owned() } else { path }
    })
}

fn method() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("GET"), Just("HEAD"), Just("POST"), Just("MOVE")]
}

/// Whether a pattern matches, said in another way than the tree does.
fn matches(pattern: &[Segment], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) | (Some((Segment::Tail, _)), _) => true,
        (Some((Segment::Any, pattern)), Some((_, path))) => matches(pattern, path),
        (Some((Segment::Literal(literal), pattern)), Some((segment, path))) => {
            **literal == *segment.as_bytes() && matches(pattern, path)
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_tree_finds_the_most_literal_row_that_matches(
        rows in proptest::collection::vec((segments(), proptest::option::of(method())), 0..8),
        path in proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 0..5),
        asked in method(),
    ) {
        // Rows that contradict the ones before are left out, as they would be refused.
        let mut kept: Vec<Value> = Vec::new();
        for (pattern, method) in rows {
            let mut with = kept.clone();
            with.push(match method {
                None => row(&pattern),
                Some(method) => with_methods(&pattern, &[method]),
            });
            if definition(&json!(with)).is_ok() {
                kept = with;
            }
        }
        let definition = definition(&json!(kept)).unwrap();
        let gate = gate_of(&definition);
        let target = format!("/{}", path.join("/"));
        let found = gate.route(asked, &Path::read(&target).unwrap()).unwrap();
        let found = found.map(|row| gate.rows.iter().position(|other| std::ptr::eq(other, row)).unwrap());
        let takes = |route: &Route| {
            matches(route.pattern.segments(), &path) && crate::table::conflicts::takes(route, asked)
        };
        let all: Vec<usize> = (0..kept.len()).filter(|at| takes(&definition.routes[*at])).collect();
        prop_assert_eq!(found.is_some(), !all.is_empty());
        if let Some(found) = found {
            prop_assert!(all.contains(&found));
            let best = &definition.routes[found];
            for other in all.into_iter().filter(|at| *at != found).map(|at| &definition.routes[at]) {
                prop_assert!(best.pattern == other.pattern || best.pattern.comes_before(&other.pattern));
                prop_assert!(best.pattern.literals() >= other.pattern.literals());
                if best.pattern == other.pattern {
                    prop_assert!(best.methods.contains(&asked.to_owned()) || other.methods.is_empty());
                }
            }
        }
    }

    #[test]
    fn any_table_is_read_or_refused_and_given_back(text in "\\PC{0,12}", path in "[/a-z{}*%;.]{0,10}") {
        let value = json!({"name": text, "hosts": [text], "realm": text, "route": [{"path": path, "permission": text}]});
        if let Ok(definition) = Definition::parse(&value) {
            prop_assert_eq!(Definition::parse(&definition.to_json()), Ok(definition));
        }
        let value = json!({"name": "a", "hosts": ["a"], "route": [{"path": path, "permission": text}]});
        if let Ok(definition) = Definition::parse(&value) {
            prop_assert_eq!(Definition::parse(&definition.to_json()), Ok(definition));
        }
    }
}
