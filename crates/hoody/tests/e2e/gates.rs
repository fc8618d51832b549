//! Gates with the binary: set and tried on the command line, asked on listeners of their own over HTTP and gRPC.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::StatusCode;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{Place, Ran, Server, eventually, finish, http, on_both};

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const GATE: &str = r#"
name = "projects"
hosts = ["app.example.com"]
[[route]]
path = "/healthz"
public = true
[[route]]
methods = ["GET"]
path = "/projects/{id}"
permission = "projects.read"
[[route]]
methods = ["POST"]
path = "/projects"
permission = "projects.create"
"#;

/// The address that a line of the server's ends with.
async fn address(server: &Server, line: &str) -> String {
    server.says(line).await;
    let said = server.said();
    said.split(line).nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

async fn hoody(place: &Place, server: &Server, token: &str, arguments: &[&str], input: &str) -> Ran {
    let mut command = place.hoody(arguments);
    command.env("HOODY_BASE_URL", &server.base).env("HOODY_TOKEN", token);
    finish(command, input).await
}

/// What the proxy asks about a request of this method and target.
async fn asked(url: &str, method: &str, target: &str, credential: Option<&str>) -> reqwest::Response {
    let mut request = http().build().unwrap().get(url);
    for (name, value) in [
        ("x-forwarded-method", method),
        ("x-forwarded-uri", target),
        ("x-forwarded-host", "app.example.com"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "203.0.113.9"),
    ] {
        request = request.header(name, value);
    }
    if let Some(credential) = credential {
        request = request.bearer_auth(credential);
    }
    request.send().await.unwrap()
}

/// One field of a protobuf message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push(u8::try_from(length & 0x7F).unwrap() | 0x80);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap());
    message.extend_from_slice(bytes);
    message
}

/// A `CheckRequest` about a request of this method and path.
fn check(gate: &str, method: &str, path: &str, credential: &str) -> Vec<u8> {
    let pair = |key: &str, value: &str| [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
    let http = [
        field(2, method.as_bytes()),
        field(3, &pair("authorization", &format!("Bearer {credential}"))),
        field(4, path.as_bytes()),
        field(5, b"app.example.com"),
    ];
    let source = field(1, &field(1, &field(1, &field(2, b"203.0.113.9"))));
    let attributes = [source, field(4, &field(2, &http.concat())), field(10, &pair("gate", gate))];
    field(1, &attributes.concat())
}

/// The message and the status of a call.
async fn called<I>(io: I, path: &str, message: &[u8]) -> Option<(Vec<u8>, String)>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (send, connection) = h2::client::handshake(io).await.ok()?;
    tokio::spawn(connection);
    let mut send = send.ready().await.ok()?;
    let request = Request::post(format!("http://gate{path}")).header("content-type", "application/grpc");
    let (answer, mut body) = send.send_request(request.body(()).unwrap(), false).ok()?;
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    body.send_data([&[0][..], &length, message].concat().into(), true).ok()?;
    let mut answer = answer.await.ok()?.into_body();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.data().await {
        bytes.extend_from_slice(&chunk.ok()?);
    }
    let trailers = answer.trailers().await.ok()??;
    Some((bytes, trailers["grpc-status"].to_str().unwrap().to_owned()))
}

fn has(message: &[u8], text: &str) -> bool {
    message.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The commands that set a gate and try it.
async fn set_and_try(place: &Place, server: &Server, proxies: &str, manager: &str, reader: &str) {
    let run = async |arguments: &[&str], input: &str| hoody(place, server, manager, arguments, input).await;

    std::fs::write(place.path("gate.toml"), GATE).unwrap();
    let set = run(&["gates", "set", "gate.toml"], "").await;
    set.ended(0).saying(&["Set gate projects."]).printing(&[
        &format!("http://{proxies}/gate/auth?gate="),
        "auth_request /__gate;",
        "X-Hoody-External-Id",
    ]);
    run(&["gates", "list"], "").await.ended(0).printing(&["projects", "app.example.com"]);
    // What is shown can be set.
    let shown = run(&["gates", "get", "projects"], "").await;
    shown.ended(0).printing(&["[[route]]", "permission = \"projects.read\""]);
    run(&["gates", "set", "-", "--no-snippet"], &shown.stdout).await.ended(0);
    let test = ["gates", "test", "projects", "--path", "/projects/7"];
    run(&[&test[..], &["--token-stdin"]].concat(), reader)
        .await
        .ended(0)
        .printing(&["200 allowed", "/projects/{id}"]);
    run(&test, "").await.ended(0).printing(&["401 MISSING_TOKEN", "Authorization: Bearer"]);
    let post = ["gates", "test", "projects", "--path", "/projects", "--method", "POST", "--token-stdin"];
    let refused = run(&post, reader).await;
    refused.ended(0).printing(&["403 INSUFFICIENT_PERMISSIONS", "Grant the token projects.create."]);
    assert!(!refused.text().contains(reader));
    std::fs::write(place.path("bad.toml"), GATE.replace("projects.read", "projects.reed")).unwrap();
    run(&["gates", "set", "bad.toml"], "")
        .await
        .ended(1)
        .saying(&["/route/1/permission", "unknown permission"]);
    std::fs::write(place.path("worse.toml"), "name = \"a\"\nhosts = [").unwrap();
    run(&["gates", "set", "worse.toml"], "").await.ended(1).saying(&["worse.toml is not TOML: line 2"]);
}

on_both! {
    async fn a_gate_is_set_on_the_command_line_and_asked_by_a_proxy(place: Place) {
        let create = ["admin", "users", "create", "ada", "--email", "ada@example.com", "--password-stdin"];
        let start = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--trusted-proxies",
            "127.0.0.1",
            "--gate-listen",
            "127.0.0.1:0",
            "--gate-grpc-listen",
            "127.0.0.1:0",
        ];
        let server = Server::start(place.hoody(&start)).await;
        place.run_with(&create, crate::support::PASSWORD).await.ended(0);
        let ada = server.client().login("ada", crate::support::PASSWORD).await;
        let proxies = address(&server, "It answers proxies on ").await;
        let envoy = address(&server, "It answers Envoy over gRPC on ").await;
        let manager = ada
            .mint(json!({ "permissions": { "resources": { "gates": true } } }))
            .await
            .1
            .credential
            .unwrap();
        let reader = ada
            .mint(json!({ "alias": "reader", "permissions": { "projects": { "read": true } } }))
            .await
            .1
            .credential
            .unwrap();
        set_and_try(&place, &server, &proxies, &manager, &reader).await;
        let run =
            async |arguments: &[&str], input: &str| hoody(&place, &server, &manager, arguments, input).await;
        let listed: serde_json::Value =
            serde_json::from_str(&run(&["gates", "list", "-o", "json"], "").await.stdout).unwrap();
        let (gate, url) = (listed[0]["id"].as_str().unwrap(), listed[0]["url"].as_str().unwrap());
        for _ in 0..2 {
            let told = asked(url, "GET", "/projects/7", Some(&reader)).await;
            assert_eq!(
                (told.status(), &told.headers()["x-hoody-token-alias"]),
                (StatusCode::OK, &"reader".parse().unwrap())
            );
            assert_eq!(told.content_length(), Some(0));
        }
        assert_eq!(asked(url, "POST", "/projects", Some(&reader)).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(asked(url, "GET", "/projects/7", None).await.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(asked(url, "GET", "/healthz", None).await.status(), StatusCode::OK);
        // Each listener has its own: the gate is not on the public one, and nothing else on the gate's.
        let public = url.replace(&format!("http://{proxies}"), &server.base);
        assert_eq!(asked(&public, "GET", "/healthz", None).await.status(), StatusCode::NOT_FOUND);
        let api = http().build().unwrap().get(format!("http://{proxies}/api/v1/ip")).send().await.unwrap();
        assert_eq!(api.status(), StatusCode::NOT_FOUND);

        // The same over gRPC.
        let connect = async || TcpStream::connect(&envoy).await.unwrap();
        let (body, status) = called(connect().await, HEALTH, &[]).await.unwrap();
        assert_eq!((status.as_str(), &body[5..]), ("0", &[8, 1][..]), "serving");
        let (body, status) =
            called(connect().await, CHECK, &check(gate, "GET", "/projects/7", &reader)).await.unwrap();
        assert!(status == "0" && has(&body, "x-hoody-user-id") && has(&body, "projects.read"));
        let (body, status) =
            called(connect().await, CHECK, &check(gate, "POST", "/projects", &reader)).await.unwrap();
        assert!(status == "0" && has(&body, "INSUFFICIENT_PERMISSIONS"));
        run(&["gates", "delete", "projects", "--yes"], "").await.ended(0);
        let (body, _) =
            called(connect().await, CHECK, &check(gate, "GET", "/projects/7", &reader)).await.unwrap();
        assert!(has(&body, "GATE_UNKNOWN"));
        assert_eq!(asked(url, "GET", "/healthz", None).await.status(), StatusCode::FORBIDDEN);
        // The log knows both doors.
        let rows = eventually("the rows are stored", Duration::from_secs(20), async || {
            let page = ada.get("/api/v1/users/auth/activity?limit=200").await;
            let rows = page.body["data"].as_array().unwrap().clone();
            let via = |door: &str| {
                rows.iter().any(|row| {
                    row["via"] == door && row["host"] == "app.example.com" && row["path"] == "/projects/{id}"
                })
            };
            (via("gate") && via("ext_authz")).then_some(rows)
        });
        assert!(!serde_json::to_string(&rows.await).unwrap().contains("/projects/7"));
        server.stop().await;
    }
}

#[tokio::test]
async fn calls_from_elsewhere_need_certificates() {
    let place = Place::sqlite();
    let check = async |flags: &[&str]| place.run(&[&["serve", "--check-config"], flags].concat()).await;
    let wide = ["--gate-grpc-listen", "0.0.0.0:0"];
    check(&wide).await.ended(2).saying(&["gate-grpc-listen", "beyond loopback", "gate-grpc-client-ca"]);
    check(&["--gate-grpc-listen", "127.0.0.1:0"]).await.ended(0);
    check(&[&wide[..], &["--gate-grpc-client-ca", "ca.pem"]].concat()).await.ended(2).saying(&["tls-cert"]);
    check(&["--gate-grpc-client-ca", "ca.pem"]).await.ended(2).saying(&["needs gate-grpc-listen"]);
    std::fs::write(place.path("ca.pem"), "nothing").unwrap();
    let start = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--tls-self-signed",
        "--gate-grpc-listen",
        "127.0.0.1:0",
        "--gate-grpc-client-ca",
        "ca.pem",
    ];
    place.run(&start).await.ended(1).saying(&["gate-grpc-client-ca: ca.pem holds no certificate"]);
}

/// An authority and what it issued, as PEM files: certificate and key.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem }
    }

    fn issue(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        let files = (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")));
        std::fs::write(&files.0, certificate.pem()).unwrap();
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&files.1, PermissionsExt::from_mode(0o600)).unwrap();
        files
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_shows_a_certificate_of_the_authority() {
    let place = Place::sqlite();
    let (authority, other) = (Authority::new(), Authority::new());
    let directory = place.path("tls");
    std::fs::create_dir_all(&directory).unwrap();
    let server_files = authority.issue(&directory, "server");
    std::fs::write(directory.join("ca.pem"), &authority.pem).unwrap();
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let (certificate, key, ca) =
        (text(&server_files.0), text(&server_files.1), text(&directory.join("ca.pem")));
    let start = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
        "--gate-grpc-listen",
        "127.0.0.1:0",
        "--gate-grpc-client-ca",
        &ca,
    ];
    let server = Server::start(place.hoody(&start)).await;
    let envoy = address(&server, "It answers Envoy over gRPC on ").await;
    let call = async |files: Option<(PathBuf, PathBuf)>| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config.with_root_certificates(roots);
        let mut config = match files {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
                config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(&envoy).await.unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from("localhost").unwrap(), stream)
            .await
            .ok()?;
        called(stream, HEALTH, &[]).await
    };
    assert_eq!(
        call(Some(authority.issue(&directory, "envoy"))).await.map(|told| told.1).as_deref(),
        Some("0")
    );
    assert!(call(None).await.is_none(), "without a certificate");
    assert!(call(Some(other.issue(&directory, "other"))).await.is_none(), "of another authority");
    let plain = TcpStream::connect(&envoy).await.unwrap();
    assert!(called(plain, HEALTH, &[]).await.is_none(), "without TLS");
    server.stop().await;
}
