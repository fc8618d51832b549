//! HTTPS by the binary itself, as curl, openssl, reqwest and the command line speak it; its certificate
//! exchanged while it serves.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use reqwest::StatusCode;
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{Place, Server, eventually, finish, http};

const PATIENCE: Duration = Duration::from_secs(30);
const GET: &[u8] = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A certificate for the names that the server goes by, and its key, as PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        Self::until(2040)
    }

    fn until(year: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost", "127.0.0.1", "api.localhost", "*.api.localhost"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let made = params.self_signed(&key).unwrap();
        Self { certificate: made.pem(), key: key.serialize_pem() }
    }

    fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap().to_vec()
    }

    /// Writes both files into `directory`.
    fn write(&self, directory: &Path) -> (PathBuf, PathBuf) {
        std::fs::create_dir_all(directory).unwrap();
        let (certificate, key) = (directory.join("tls.crt"), directory.join("tls.key"));
        std::fs::write(&certificate, &self.certificate).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        (certificate, key)
    }
}

/// A server with the pair in these files.
async fn serve(place: &Place, files: &(PathBuf, PathBuf), more: &[&str]) -> Server {
    let (certificate, key) = (files.0.to_str().unwrap(), files.1.to_str().unwrap());
    let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key];
    arguments.extend(more);
    Server::start(place.hoody(&arguments)).await
}

/// A connection that has shaken hands and trusts these certificates.
async fn connect(
    server: &Server,
    trusted: &[&Pair],
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    for pair in trusted {
        roots.add(pair.der().into()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", server.port())).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// The certificate that a new connection is shown.
async fn shown(server: &Server, trusted: &[&Pair]) -> Vec<u8> {
    let stream = connect(server, trusted).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// Waits until new connections are shown this pair's certificate.
async fn shows(server: &Server, wanted: &Pair, trusted: &[&Pair]) {
    eventually("the new certificate is shown", PATIENCE, async || {
        (shown(server, trusted).await == wanted.der()).then_some(())
    })
    .await;
}

async fn curl(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = place.command("curl");
    command.args(["--silent", "--show-error", "--max-time", "20"]).args(arguments);
    let ran = finish(command, "").await;
    (ran.code, ran.text())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_try_needs_one_flag_and_nobody_switches_verification_off() {
    let place = Place::sqlite();
    let start = ["serve", "--listen", "127.0.0.1:0", "--tls-self-signed"];
    let server = Server::start(place.hoody(&start)).await;
    server.says("Try: ").await;
    let said = server.said();
    assert!(server.base.starts_with("https://127.0.0.1:"), "{said}");
    let fingerprint = said.split("SHA-256 ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert_eq!(fingerprint.len(), 95, "{said}");
    assert!(!said.contains("neither TLS"), "{said}");
    let ca = place.data_dir().join("self-signed.crt");
    for file in ["self-signed.crt", "self-signed.key"] {
        let mode = place.data_dir().join(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{file}");
    }

    // The command that it says to try works as it stands, by address, by name and on a realm's host.
    let word = said.split("Try: ").nth(1).unwrap().lines().next().unwrap();
    let (variables, command) = word.split_once("hoody ").unwrap();
    let password = place.data_dir().join("first-password");
    let login: Vec<_> = command.split(' ').collect();
    let mut hoody = place.hoody(&login);
    for variable in variables.split_whitespace() {
        let (name, value) = variable.split_once('=').unwrap();
        hoody.env(name, value);
    }
    finish(hoody, "").await.ended(0);
    assert!(password.exists());
    let port = server.port();
    let ca = ca.to_str().unwrap();
    let by_name = format!("https://localhost:{port}");
    let api = format!("https://api.localhost:{port}");
    for arguments in [
        vec!["--base-url", &server.base, "--ca-file", ca, "users", "me"],
        vec!["--base-url", &server.base, "--ca-file", ca, "--realm", "507f1f77bcf86cd799439012", "ip", "get"],
    ] {
        place.run(&arguments).await.ended(0);
    }
    for base in [&by_name, &api] {
        place.run(&["ip", "get", "--base-url", base, "--ca-file", ca]).await.ended(0);
    }
    // Without the file, or with another name, nothing is sent.
    let refused = place.run(&["ip", "get", "--base-url", &server.base]).await;
    refused.ended(1).saying(&["cannot reach"]);
    let elsewhere = format!("https://other.localhost:{port}");
    place.run(&["ip", "get", "--base-url", &elsewhere, "--ca-file", ca]).await.ended(1);
    place.run(&["ip", "get", "--base-url", &elsewhere, "--ca-file", "nowhere.pem"]).await.ended(1).saying(&[
        "ca-file",
        "nowhere.pem",
        "flag",
    ]);
    std::fs::write(place.path("no.pem"), "no certificate").unwrap();
    let ran = place.run(&["ip", "get", "--base-url", &server.base, "--ca-file", "no.pem"]).await;
    ran.ended(1).saying(&["PEM"]);

    // curl and openssl see the same.
    let (code, text) =
        curl(&place, &["--cacert", ca, &format!("{by_name}/livez"), "-w", "%{http_version}"]).await;
    assert_eq!((code, text.as_str()), (Some(0), "2"));
    let (code, text) = curl(&place, &[&format!("{by_name}/livez")]).await;
    assert_eq!(code, Some(60), "{text}");
    server.stop().await;

    // The next start keeps the certificate; another name gets another one.
    let server = Server::start(place.hoody(&start)).await;
    server.says(&fingerprint).await;
    server.stop().await;
    let named = Server::start(place.hoody(&[&start[..], &["--domain", "api.example.test"]].concat())).await;
    named.says("SHA-256 ").await;
    assert!(!named.said().contains(&fingerprint), "{}", named.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_of_http_and_of_tls_are_spoken_and_no_older_ones() {
    let place = Place::sqlite();
    let pair = Pair::new();
    let files = pair.write(&place.path("tls"));
    let server = serve(&place, &files, &["--public-url", "https://api.example.test"]).await;
    let (ca, url) = (files.0.to_str().unwrap(), format!("https://localhost:{}/livez", server.port()));
    let port = server.port();
    let named = format!("api.example.test:{port}:127.0.0.1");
    for (more, version) in [
        (vec!["--http2"], "2"),
        (vec!["--http1.1"], "1.1"),
        (vec!["--http2", "--tls-max", "1.2"], "2"),
        (vec!["--http1.1", "--tlsv1.3"], "1.1"),
    ] {
        let mut arguments = vec!["--cacert", ca, "--dump-header", "-", "-w", "HTTP %{http_version}", &url];
        arguments.extend(more);
        let (code, text) = curl(&place, &arguments).await;
        assert_eq!(code, Some(0), "{text}");
        assert!(text.ends_with(&format!("HTTP {version}")), "{text}");
        // Browsers are told to stay, since the public address is https and a name.
        assert!(text.to_lowercase().contains("strict-transport-security: max-age=31536000\r\n"), "{text}");
    }
    let old = ["--cacert", ca, "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", &url];
    assert_eq!(curl(&place, &old).await.0, Some(35));
    // A name that the certificate does not have, and one that it would have to be called by.
    let other = format!("https://api.example.test:{port}/livez");
    assert_eq!(curl(&place, &["--cacert", ca, "--resolve", &named, &other]).await.0, Some(60));
    server.says("does not cover api.example.test").await;

    let mut openssl = place.command("openssl");
    let address = format!("127.0.0.1:{port}");
    openssl.args(["s_client", "-connect", &address, "-alpn", "h2,http/1.1", "-servername", "localhost"]);
    openssl.args(["-CAfile", ca, "-verify_return_error"]);
    // What the server says in HTTP/2 is in it too, and no text.
    let text = String::from_utf8_lossy(&openssl.output().unwrap().stdout).into_owned();
    for word in ["ALPN protocol: h2", "Verify return code: 0 (ok)", "TLSv1.3"] {
        assert!(text.contains(word), "{word}: {text}");
    }

    let (_, text) = curl(&place, &[&format!("http://localhost:{port}/livez")]).await;
    assert_eq!(text, "This port speaks HTTPS: begin the URL https://.\n");
}

/// Asks on `stream` and reads the answer's head.
async fn ask(stream: &mut tokio_rustls::client::TlsStream<TcpStream>) {
    stream.write_all(GET).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_taken_under_load_and_nothing_is_dropped() {
    let place = Place::sqlite();
    let (first, second) = (Pair::new(), Pair::new());
    // As Kubernetes does: the files are links into a directory behind a link that is swapped.
    first.write(&place.path("first"));
    second.write(&place.path("second"));
    symlink(place.path("first"), place.path("data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        symlink(place.path("data").join(name), place.path(name)).unwrap();
    }
    let files = (place.path("tls.crt"), place.path("tls.key"));
    let mut server = serve(&place, &files, &[]).await;
    server.trust(&format!("{}{}", first.certificate, second.certificate));
    let both = [&first, &second];

    let (stop, answered, failed) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut load = Vec::new();
    for worker in 0..8 {
        let (client, stop) = (server.client(), Arc::clone(&stop));
        let (answered, failed) = (Arc::clone(&answered), Arc::clone(&failed));
        let pem = format!("{}{}", first.certificate, second.certificate);
        let base = server.base.clone();
        load.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                // Half of them on a connection that is kept (HTTP/2), half on a new one each time.
                let is_good = if worker % 2 == 0 {
                    client.try_get("/livez").await.is_ok_and(|reply| reply.status == 200)
                } else {
                    let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).unwrap();
                    let fresh = http().tls_certs_only(certificates).http1_only();
                    let answer = fresh.build().unwrap().get(format!("{base}/livez")).send().await;
                    answer.is_ok_and(|answer| answer.status() == 200)
                };
                (if is_good { &answered } else { &failed }).fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let mut kept = connect(&server, &both).await.unwrap();
    ask(&mut kept).await;
    assert_eq!(shown(&server, &both).await, first.der());

    for (to, wanted) in [("second", &second), ("first", &first), ("second", &second)] {
        let before = answered.load(Ordering::Relaxed);
        symlink(place.path(to), place.path("data.new")).unwrap();
        std::fs::rename(place.path("data.new"), place.path("data")).unwrap();
        shows(&server, wanted, &both).await;
        ask(&mut kept).await;
        eventually("the load goes on", PATIENCE, async || {
            (answered.load(Ordering::Relaxed) > before + 50).then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    for worker in load {
        worker.await.unwrap();
    }
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    eprintln!(
        "3 exchanges of the certificate, {} requests answered, none failed",
        answered.load(Ordering::Relaxed)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_cannot_be_used_is_warned_of_and_the_one_before_stays() {
    let place = Place::sqlite();
    let (first, second) = (Pair::new(), Pair::new());
    let files = first.write(&place.path("tls"));
    let server = serve(&place, &files, &[]).await;
    let both = [&first, &second];
    let mut kept = connect(&server, &both).await.unwrap();
    // The certificate alone: half of an exchange, or a mistake.
    std::fs::write(&files.0, &second.certificate).unwrap();
    server.says("cannot be used; the one before stays in use").await;
    assert!(server.said().contains("is not the key of the certificate"), "{}", server.said());
    assert_eq!(shown(&server, &both).await, first.der());
    std::fs::write(&files.1, "-----BEGIN PRIVATE KEY-----\ncanary").unwrap();
    server.says("holds no unencrypted private key").await;
    std::fs::remove_file(&files.0).unwrap();
    server.says("tls.crt cannot be read").await;
    assert_eq!(shown(&server, &both).await, first.der());
    ask(&mut kept).await;
    second.write(&place.path("tls"));
    shows(&server, &second, &both).await;
    ask(&mut kept).await;
    assert!(!server.said().contains("canary"), "{}", server.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sighup_the_pair_is_read_again() {
    let place = Place::sqlite();
    let (first, second) = (Pair::new(), Pair::new());
    let files = first.write(&place.path("tls"));
    let mut server = serve(&place, &files, &[]).await;
    // Although nothing changed: a hang-up is an order.
    server.signal(Signal::HUP);
    server.says("a new TLS certificate is in use").await;
    second.write(&place.path("tls"));
    server.signal(Signal::HUP);
    let both = [&first, &second];
    shows(&server, &second, &both).await;
    server.trust(&second.certificate);
    server.client().get("/livez").await.expect(StatusCode::OK);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_near_its_end_is_told_of() {
    let place = Place::sqlite();
    let pair = Pair::until(2020);
    let files = pair.write(&place.path("tls"));
    std::fs::set_permissions(&files.1, PermissionsExt::from_mode(0o644)).unwrap();
    let metrics = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server = serve(&place, &files, &["--metrics-listen", &metrics]).await;
    server.says("the TLS certificate ended on 2020-01-01").await;
    server.says("the TLS key can be read by others").await;
    let url = format!("https://127.0.0.1:{}/readyz", server.port());
    let (_, text) = curl(&place, &["--insecure", &url]).await;
    assert!(text.contains("the TLS certificate ended on 2020-01-01"), "{text}");
    let (_, text) = curl(&place, &[&format!("http://{metrics}/metrics")]).await;
    assert!(text.contains("hoody_tls_certificate_expiry 1577836800"), "{text}");
}

#[tokio::test]
async fn a_pair_is_checked_before_anything_starts() {
    let place = Place::sqlite();
    let (first, second) = (Pair::new(), Pair::new());
    let (certificate, key) = first.write(&place.path("first"));
    let (_, other) = second.write(&place.path("second"));
    let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let (certificate, key, other) = (path(&certificate), path(&key), path(&other));
    let check = async |flags: &[&str]| place.run(&[&["serve", "--check-config"], flags].concat()).await;
    check(&["--tls-cert", &certificate, "--tls-key", &key]).await.ended(0);
    check(&["--tls-self-signed"]).await.ended(0);
    let ran = check(&["--tls-cert", &certificate, "--tls-key", &other]).await;
    ran.ended(1).saying(&["tls-key", "is not the key of the certificate", &certificate]);
    check(&["--tls-cert", &key, "--tls-key", &key]).await.ended(1).saying(&["tls-cert", "no certificate"]);
    check(&["--tls-cert", &certificate, "--tls-key", &certificate]).await.ended(1).saying(&["tls-key"]);
    check(&["--tls-cert", "nowhere", "--tls-key", &key]).await.ended(1).saying(&["tls-cert", "nowhere"]);
    check(&["--tls-cert", &certificate]).await.ended(2).saying(&["tls-cert needs tls-key"]);
    check(&["--tls-key", &key]).await.ended(2).saying(&["tls-key needs tls-cert"]);
    check(&["--tls-self-signed", "--tls-cert", &certificate, "--tls-key", &key]).await.ended(2);
    check(&["--tls-self-signed=maybe"]).await.ended(2).saying(&["tls-self-signed", "true or false"]);
    assert!(!place.data_dir().exists());
    let ran = place.run(&["serve", "--tls-cert", &certificate, "--tls-key", &other]).await;
    ran.ended(1).saying(&["is not the key"]);
    let shown = place.run(&["serve", "--print-config", "--tls-self-signed"]).await;
    assert!(shown.ended(0).text().contains("https://api.localhost:8080"), "{shown:?}");
}

#[tokio::test]
async fn a_credential_on_its_way_in_the_clear_is_warned_of() {
    let place = Place::sqlite();
    for arguments in [&["users", "me"][..], &["login", "--token-stdin"]] {
        let mut command = place.hoody(&[arguments, &["--base-url", "http://hoody.invalid"]].concat());
        command.env("HOODY_TOKEN", "hdy_x");
        finish(command, "hdy_x").await.saying(&["http://hoody.invalid is plain http"]);
        // Nobody listens there; it is this machine.
        let mut command = place.hoody(&[arguments, &["--base-url", "http://127.0.0.1:9"]].concat());
        command.env("HOODY_TOKEN", "hdy_x");
        let ran = finish(command, "hdy_x").await;
        assert!(!ran.text().contains("plain http"), "{ran:?}");
    }
}
