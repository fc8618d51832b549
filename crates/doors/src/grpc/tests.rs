use super::messages::Check;
use super::wire::{put_bytes, put_number};
use super::*;
use crate::door::tests::{Fake, GATE};
use futures_util::FutureExt;
use http_body_util::Full;
use proptest::prelude::*;

/// A `CheckRequest` as the protobuf of Python writes it, with fields that are passed over.
const REQUEST: &str = "0add010a150a130a11120b3230332e302e3131332e3918f8ba02120e0a0c0a0a120831302e302e302e322291010a08088092b3d8\
     0610071284010a0e313633343932383137323035373112034745541a1c0a0d617574686f72697a6174696f6e120b42656172657220\
     676f6f641a120a0a757365722d6167656e7412046375726c220d2f6f72646572732f373f783d312a126f72646572732e6578616d70\
     6c652e636f6d3205687474707348ffffffffffffffffff015206485454502f3252200a0467617465121836356131623263336434653566\
     3630373138323933613462";
/// A `CheckResponse` with two headers and one that is taken out, of the same origin.
const ALLOWED: &str = "0a001a4912180a140a0f782d686f6f64792d757365722d69641201751802121e0a1a0a13782d686f6f64792d7065726d697373\
     696f6e73120361206218022a0d782d686f6f64792d7265616c6d";
/// A `CheckResponse` of status 16 with 401, a header and a body, of the same origin.
const DENIED: &str = "0a02081012330a03089103121e0a1a0a107777772d61757468656e746963617465120642656172657218021a0c7b22636f6465223a2258227d";

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn request(path: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    let request = Request::post(path).header(CONTENT_TYPE, "application/grpc");
    request.body(Full::new(Bytes::from(body))).unwrap()
}

#[test]
fn a_listener_can_move_its_answers_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let judge = Fake::new();
    let call = Request::post("/").body(http_body_util::Empty::<Bytes>::new()).unwrap();
    let answering = answer(&judge, Server { issuer: "", realm: "", is_serving: true }, call);
    is_send(&answering);
    assert_eq!(answering.now_or_never().unwrap().status(), 415);
}

fn called(judge: &Fake, request: Request<Full<Bytes>>) -> (u16, String, Vec<u8>) {
    let server = Server { issuer: "https://auth.example.com", realm: "auth.example.com", is_serving: true };
    let response = answer(judge, server, request).now_or_never().unwrap();
    let status = response.status().as_u16();
    let collected = response.into_body().collect().now_or_never().unwrap().unwrap();
    let trailer = collected.trailers().and_then(|trailers| trailers.get("grpc-status"));
    let code = trailer.map(|code| code.to_str().unwrap().to_owned()).unwrap_or_default();
    let body = collected.to_bytes();
    (status, code, body.get(PREFIX..).unwrap_or_default().to_vec())
}

/// A `CheckRequest` for the fake's gate.
fn check(method: &str, path: &str, host: &str, credential: &[&str], extensions: &[(&str, &str)]) -> Vec<u8> {
    let pair = |key: &str, value: &str| {
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, key.as_bytes());
        put_bytes(&mut entry, 2, value.as_bytes());
        entry
    };
    let nest = |field, inner: &[u8]| {
        let mut outer = Vec::new();
        put_bytes(&mut outer, field, inner);
        outer
    };
    let mut http = Vec::new();
    for (field, text) in [(2, method), (4, path), (5, host)] {
        put_bytes(&mut http, field, text.as_bytes());
    }
    for value in credential {
        put_bytes(&mut http, 3, &pair("authorization", value));
    }
    let mut attributes = nest(1, &nest(1, &nest(1, &nest(2, b"203.0.113.9"))));
    attributes.extend(nest(4, &nest(2, &http)));
    for (key, value) in extensions {
        put_bytes(&mut attributes, 10, &pair(key, value));
    }
    nest(1, &attributes)
}

fn asked(message: &[u8]) -> (u16, String, Vec<u8>) {
    called(&Fake::new(), request(CHECK, framed(message)))
}

fn has(message: &[u8], text: &str) -> bool {
    message.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn messages_of_another_implementation_are_understood() {
    let message = bytes(REQUEST);
    let read = Check::read(&message).unwrap();
    assert_eq!((read.method, read.path, read.host), ("GET", "/orders/7?x=1", "orders.example.com"));
    assert_eq!((read.address, &read.authorization[..]), ("203.0.113.9", &["Bearer good"][..]));
    assert_eq!(read.extensions, [("gate", GATE)]);
    let set: [(&str, &[u8]); 2] = [("x-hoody-user-id", b"u"), ("x-hoody-permissions", b"a b")];
    assert_eq!(allow(&set, &["x-hoody-realm"]), bytes(ALLOWED));
    let headers: [(&str, &[u8]); 1] = [("www-authenticate", b"Bearer")];
    assert_eq!(deny(16, 401, &headers, b"{\"code\":\"X\"}"), bytes(DENIED));
    let (status, code, body) = asked(&message);
    assert_eq!((status, code.as_str()), (200, "0"));
    assert!(has(&body, "orders.read") && has(&body, "ci%20runner"));
}

#[test]
fn threat_19_the_decision_is_that_of_the_other_door() {
    let gate = [("gate", GATE)];
    for (method, path, credential, told) in [
        ("GET", "/orders/7", "Bearer good", "x-hoody-user-id"),
        ("POST", "/orders", "Bearer good", "INSUFFICIENT_PERMISSIONS"),
        ("GET", "/none", "Bearer good", "NO_ROUTE"),
        ("GET", "/orders/7", "Bearer foreign", "GATE_ACCOUNT"),
        ("GET", "/orders/7", "Bearer session", "INSUFFICIENT_PERMISSIONS"),
        ("GET", "/orders/7", "Bearer garbage", "INVALID_TOKEN"),
        ("GET", "/orders/7", "Bearer good,Bearer good", "INVALID_TOKEN"),
        ("GET", "/orders//7", "Bearer good", "PATH_NOT_CANONICAL"),
        ("GET", "/healthz", "", "x-hoody-user-id"),
    ] {
        let (status, code, body) = asked(&check(method, path, "orders.example.com", &[credential], &gate));
        assert_eq!((status, code.as_str()), (200, "0"), "{method} {path} {credential}");
        assert!(has(&body, told), "{method} {path} {credential}");
    }
    let twice = check("GET", "/orders/7", "orders.example.com", &["Bearer good", "Bearer good"], &gate);
    assert!(has(&asked(&twice).2, "INVALID_TOKEN"));
    let joined = check("GET", "/orders/7", "orders.example.com,b", &["Bearer good"], &gate);
    assert!(has(&asked(&joined).2, "GATE_HEADERS"));
    let elsewhere = check("GET", "/orders/7", "evil.example", &["Bearer good"], &gate);
    assert!(has(&asked(&elsewhere).2, "GATE_HOST"));
    let missing = check("GET", "/orders/7", "orders.example.com", &[], &gate);
    assert!(has(&asked(&missing).2, "MISSING_TOKEN"));
}

#[test]
fn empty_identity_headers_are_taken_out() {
    let public = check("GET", "/healthz", "orders.example.com", &[], &[("gate", GATE)]);
    let (_, _, body) = asked(&public);
    let removed = allow(
        &[],
        &[
            "x-hoody-user-id",
            "x-hoody-token-id",
            "x-hoody-token-alias",
            "x-hoody-external-id",
            "x-hoody-realm",
            "x-hoody-permissions",
            "x-hoody-identity",
        ],
    );
    assert_eq!(body, removed);
}

#[test]
fn extensions_that_nobody_knows_refuse() {
    for extensions in [
        &[("gate", GATE), ("permision", "orders.read")][..],
        &[("gate", GATE), ("body", "none")],
        &[("gate", GATE), ("gate", GATE)],
        &[],
        &[("permission", "orders.read")],
    ] {
        let message = check("GET", "/orders/7", "orders.example.com", &["Bearer good"], extensions);
        assert!(has(&asked(&message).2, "GATE_CONFIG"), "{extensions:?}");
    }
}

#[test]
fn when_hoody_cannot_decide_envoy_does() {
    let mut judge = Fake::new();
    judge.is_down = true;
    let (status, code, body) = called(&judge, request(CHECK, framed(&bytes(REQUEST))));
    assert_eq!((status, code.as_str(), body.len()), (200, "14", 0));
}

#[test]
fn calls_that_are_none_end_with_their_status() {
    let judge = Fake::new();
    let message = bytes(REQUEST);
    let ends = |path: &str, body: Vec<u8>| called(&judge, request(path, body)).1;
    assert_eq!(ends("/envoy.service.auth.v2.Authorization/Check", framed(&message)), "12");
    assert_eq!(ends(CHECK, vec![]), "13");
    assert_eq!(ends(CHECK, framed(&message)[..20].to_vec()), "13");
    assert_eq!(ends(CHECK, [framed(&message), framed(&message)].concat()), "13");
    assert_eq!(ends(CHECK, [&[1][..], &framed(&message)[1..]].concat()), "12");
    assert_eq!(ends(CHECK, framed(&message[..40])), "3");
    assert_eq!(ends(CHECK, framed(&vec![0; MAX_MESSAGE + 1])), "8");
    let mut packed = request(CHECK, framed(&message));
    packed.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    assert_eq!(called(&judge, packed).1, "12");
    let mut plain = request(CHECK, framed(&message));
    plain.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
    assert_eq!(called(&judge, plain).0, 415);
}

#[test]
fn health_is_told_of_the_server_and_its_service() {
    let judge = Fake::new();
    let mut named = Vec::new();
    put_bytes(&mut named, 1, SERVICE.as_bytes());
    let mut serving = Vec::new();
    put_number(&mut serving, 1, 1);
    for message in [&[][..], &named] {
        let (_, code, body) = called(&judge, request(HEALTH, framed(message)));
        assert_eq!((code.as_str(), &body), ("0", &serving));
    }
    let mut other = Vec::new();
    put_bytes(&mut other, 1, b"other");
    assert_eq!(called(&judge, request(HEALTH, framed(&other))).1, "5");
}

proptest! {
    #[test]
    fn any_message_is_answered(message in proptest::collection::vec(any::<u8>(), 0..120), at in 0_usize..200, byte: u8) {
        let mut near = bytes(REQUEST);
        let at = at % near.len();
        near[at] = byte;
        for message in [message, near] {
            let (status, code, _) = asked(&message);
            prop_assert_eq!(status, 200);
            prop_assert!(code == "0" || code == "3", "{}", code);
        }
    }
}
