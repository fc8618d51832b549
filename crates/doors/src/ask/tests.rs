use super::*;
use crate::path::Fault;
use crate::table::Definition;
use proptest::prelude::*;
use serde_json::json;

const GATE: &str = "65a1b2c3d4e5f60718293a4b";
const QUERY: &str = "gate=65a1b2c3d4e5f60718293a4b";

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

const FAMILY: [(&str, &str); 5] = [
    ("x-forwarded-method", "GET"),
    ("x-forwarded-uri", "/orders/7?x=1"),
    ("x-forwarded-host", "orders.example.com"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-for", "203.0.113.9"),
];

fn trusted() -> TrustedProxies {
    TrustedProxies::parse("127.0.0.1").unwrap()
}

fn asked<'a>(peer: &str, headers: &'a HeaderMap, query: &'a str) -> Result<Ask<'a>, Refusal> {
    Ask::of_http(peer.parse().unwrap(), &trusted(), headers, Some(query))
}

fn gate() -> Gate {
    let value = json!({
        "name": "orders", "hosts": ["orders.example.com"], "preflight": "pass",
        "route": [{"path": "/orders/{id}", "any": true}, {"path": "/healthz", "public": true}],
    });
    let definition = Definition::parse(&value).unwrap();
    Gate::new(GATE.parse().unwrap(), UserId::from_bytes([1; 12]), &definition, |_| None)
}

#[test]
fn a_proxy_that_is_set_up_is_understood() {
    let headers = headers(&FAMILY);
    let ask = asked("127.0.0.1", &headers, QUERY).unwrap();
    assert_eq!(ask.address, "203.0.113.9".parse::<IpAddr>().unwrap());
    assert_eq!(ask.credential, Err(Deny::Missing));
    assert_eq!(
        ask.original,
        Some(Original { method: "GET", target: "/orders/7?x=1", host: "orders.example.com" })
    );
    let gate = gate();
    let question = ask.question(Some(&gate), |_| None).unwrap();
    assert_eq!(question.row().map(|row| &*row.path), Some("/orders/{id}"));
    assert!(!question.is_public());
}

#[test]
fn each_header_of_the_family_must_be_there_once() {
    for at in 0..FAMILY.len() {
        let mut missing = FAMILY.to_vec();
        let gone = missing.remove(at);
        let refused = asked("127.0.0.1", &headers(&missing), QUERY).unwrap_err();
        assert_eq!(refused.code(), "GATE_HEADERS", "{}", gone.0);
        let mut twice = FAMILY.to_vec();
        twice.push(gone);
        let refused = asked("127.0.0.1", &headers(&twice), QUERY).unwrap_err();
        assert_eq!(refused.code(), "GATE_HEADERS", "{}", gone.0);
    }
    for (at, value) in [(0, ""), (0, "GET POST"), (2, ""), (2, "a,b"), (2, "a b"), (3, "ftp"), (2, "h:99999")]
    {
        let mut changed = FAMILY.to_vec();
        changed[at].1 = value;
        let refused = asked("127.0.0.1", &headers(&changed), QUERY).unwrap_err();
        assert_eq!(refused.code(), "GATE_HEADERS", "{at} {value}");
    }
}

#[test]
fn other_families_and_host_are_never_read() {
    let mut lines = FAMILY.to_vec();
    lines.extend([
        ("x-original-uri", "/healthz"),
        ("x-original-method", "DELETE"),
        ("x-real-ip", "198.51.100.1"),
        ("forwarded", "for=198.51.100.1;host=evil"),
        ("host", "evil.example"),
        ("x-http-method-override", "DELETE"),
    ]);
    let headers = headers(&lines);
    let ask = asked("127.0.0.1", &headers, QUERY).unwrap();
    assert_eq!(ask.address, "203.0.113.9".parse::<IpAddr>().unwrap());
    assert_eq!(ask.original.unwrap().target, "/orders/7?x=1");
}

#[test]
fn threat_1_an_untrusted_peer_speaks_for_itself_alone() {
    let headers = headers(&FAMILY);
    assert_eq!(asked("198.51.100.7", &headers, QUERY).unwrap_err(), Refusal::ProxyUntrusted);
    let account = format!("account={GATE}");
    let ask = asked("198.51.100.7", &headers, &account).unwrap();
    assert_eq!((ask.address, ask.original), ("198.51.100.7".parse::<IpAddr>().unwrap(), None));
    let ask = asked("127.0.0.1", &headers, &account).unwrap();
    assert!(ask.original.is_some());
}

#[test]
fn threat_2_an_unreadable_address_is_refused() {
    let mut lines = FAMILY.to_vec();
    lines[4].1 = "garbage";
    assert_eq!(asked("127.0.0.1", &headers(&lines), QUERY).unwrap_err(), Refusal::ForwardedFor);
}

#[test]
fn the_url_is_read_strictly() {
    let account = format!("account={GATE}&permission=orders.read&realm={GATE}&body=none&sign=1");
    let asked = Asked::of_query(Some(&account)).unwrap();
    assert_eq!((asked.body, asked.sign), (false, true));
    assert_eq!(
        asked.what,
        What::Token {
            account: GATE.parse().unwrap(),
            permission: Some("orders.read"),
            realm: Some(GATE.parse().unwrap()),
        }
    );
    for query in [
        "",
        "permission=orders.read",
        "gate=x",
        "gate=65A1B2C3D4E5F60718293A4B",
        &format!("{QUERY}&{QUERY}"),
        &format!("{QUERY}&permission=orders.read"),
        &format!("{QUERY}&account={GATE}"),
        &format!("{QUERY}&permision=orders.read"),
        &format!("{QUERY}&body=full"),
        &format!("{QUERY}&body"),
        &format!("{QUERY}&sign=0"),
        &format!("{QUERY}/admin"),
        &format!("account={GATE}&realm=x"),
        &format!("account={GATE}&permission=a&permission=b"),
        &format!("g%61te={GATE}"),
    ] {
        let refused = Asked::of_query(Some(query)).unwrap_err();
        assert_eq!(refused.code(), "INVALID_PARAMETER_VALUE", "{query}");
    }
    let pairs = [("gate", GATE), ("body", "none")];
    assert_eq!(Asked::of_extensions(pairs.into_iter()).unwrap_err().code(), "GATE_CONFIG");
    assert!(Asked::of_extensions([("gate", GATE), ("sign", "1")].into_iter()).unwrap().sign);
}

#[test]
fn credentials_are_bearer_tokens_and_nothing_else() {
    for (line, expected) in [
        ("Bearer abc", Ok("abc")),
        ("bearer abc", Ok("abc")),
        ("BEARER abc", Ok("abc")),
        ("hdy_abc", Ok("hdy_abc")),
        ("abc", Err(Deny::Unknown)),
        ("Bearer", Err(Deny::Unknown)),
        ("Bearer ", Err(Deny::Unknown)),
        ("Basic YTpi", Err(Deny::Unknown)),
        ("Bearer a,Bearer b", Err(Deny::Unknown)),
        ("Bearer a b", Err(Deny::Unknown)),
        ("Bearer  a", Err(Deny::Unknown)),
        ("", Err(Deny::Unknown)),
    ] {
        let headers = headers(&[("authorization", line)]);
        assert_eq!(credential(&headers), expected, "{line}");
    }
    let twice = headers(&[("authorization", "Bearer a"), ("authorization", "Bearer a")]);
    assert_eq!(credential(&twice), Err(Deny::Unknown));
}

#[test]
fn questions_are_refused_in_order() {
    let gate = gate();
    let refused = |changes: &[(usize, &'static str)]| {
        let mut lines = FAMILY.to_vec();
        for (at, value) in changes {
            lines[*at].1 = value;
        }
        let headers = headers(&lines);
        let ask = asked("127.0.0.1", &headers, QUERY).unwrap();
        ask.question(Some(&gate), |_| None).map(|question| question.is_public())
    };
    assert_eq!(refused(&[(1, "/orders//7"), (2, "evil.example")]), Err(Refusal::Path(Fault::Empty)));
    assert_eq!(refused(&[(2, "evil.example")]), Err(Refusal::Host));
    assert_eq!(refused(&[(0, "TRACE")]), Err(Refusal::NoRoute));
    assert_eq!(refused(&[(0, "CONNECT"), (1, "/healthz")]), Err(Refusal::NoRoute));
    // What has no row is not told before the credential is known.
    assert_eq!(refused(&[(1, "/none")]), Ok(false));
    assert_eq!(refused(&[(1, "/healthz")]), Ok(true));
    let headers = headers(&FAMILY);
    let ask = asked("127.0.0.1", &headers, QUERY).unwrap();
    assert_eq!(ask.question(None, |_| None).unwrap_err(), Refusal::UnknownGate);
}

#[test]
fn a_preflight_passes_only_as_one() {
    let gate = gate();
    let public = |lines: &[(&'static str, &str)]| {
        let headers = headers(lines);
        let ask = asked("127.0.0.1", &headers, QUERY).unwrap();
        ask.question(Some(&gate), |_| None).unwrap().is_public()
    };
    let mut lines = FAMILY.to_vec();
    lines.extend([("origin", "https://app.example"), ("access-control-request-method", "POST")]);
    assert!(!public(&lines));
    lines[0].1 = "OPTIONS";
    assert!(public(&lines));
    lines.pop();
    assert!(!public(&lines));
}

proptest! {
    #[test]
    fn any_query_is_read_or_refused(query in "\\PC{0,60}", keys in "[a-z=&%0-9]{0,60}") {
        for query in [query, keys] {
            if let Ok(asked) = Asked::of_query(Some(&query)) {
                prop_assert!(query.contains("gate=") || query.contains("account="), "{asked:?}");
            }
        }
    }
}
