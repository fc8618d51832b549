//! Connections on real sockets: clients that are slow, too many, or speak something else, and HTTP/2.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use hoody_service::testing::Limits;
use http::{Request, StatusCode};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::TestApp;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// A certificate for `localhost` with its key, in files, and what a client needs to trust it.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    client: Arc<rustls::ClientConfig>,
}

fn pair(app: &TestApp) -> Pair {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = app.directory.path();
    let (certificate, key) = (directory.join("tls.crt"), directory.join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    Pair { certificate, key, client: Arc::new(client) }
}

/// Everything that comes until the other side ends it.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut read)).await.expect("the server ends the connection");
    String::from_utf8_lossy(&read).into_owned()
}

/// Asks on a connection of its own.
async fn is_alive(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(LIVEZ).await.unwrap();
    read_all(&mut stream).await
}

/// A connection that asks for far more than sockets hold.
async fn greedy(address: SocketAddr, requests: usize) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(requests);
    stream.write_all(&request).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_the_answer_is_cut_and_gives_the_place_back() {
    let app = TestApp::sqlite().await;
    let limits = Limits { write: 300, connections: 1, ..Limits::default() };
    let address = app.service.listen(limits, None).await;
    let mut slow = greedy(address, 200).await;
    // There is one place: who comes next is answered once it is free again.
    assert!(is_alive(address).await.starts_with("HTTP/1.1 200"));
    let got = read_all(&mut slow).await;
    assert!(got.starts_with("HTTP/1.1 200"), "what was sent before the cut arrives");
    assert!(got.matches("HTTP/1.1 200").count() < 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_slowly_but_steadily_gets_everything() {
    let app = TestApp::sqlite().await;
    let address = app.service.listen(Limits { write: 1_000, ..Limits::default() }, None).await;
    let mut slow = greedy(address, 100).await;
    slow.write_all(LIVEZ).await.unwrap();
    let (mut read, mut part) = (Vec::new(), vec![0; 512 * 1024]);
    let began = tokio::time::Instant::now();
    loop {
        // Three limits long, then as fast as it comes.
        if began.elapsed() < Duration::from_secs(3) {
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        let bytes = timeout(PATIENCE, slow.read(&mut part)).await.unwrap().unwrap();
        if bytes == 0 {
            break;
        }
        read.extend_from_slice(&part[..bytes]);
    }
    assert_eq!(String::from_utf8_lossy(&read).matches("HTTP/1.1 200").count(), 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_does_not_get_more_than_its_share() {
    let app = TestApp::sqlite().await;
    let share = 256 / 8;
    let limits = Limits { connections: 256, ..Limits::default() };
    let address = app.service.listen(limits, None).await;
    let proxied = app.another_node_behind("127.0.0.1").await.listen(limits, None).await;
    for (address, allowed) in [(address, share), (proxied, share + 8)] {
        let mut held = Vec::new();
        for _ in 0..share + 8 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // One that is refused may be gone by now.
            let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
            let mut answer = [0; 12];
            let is_served = timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().is_ok();
            held.extend(is_served.then_some(stream));
        }
        assert_eq!(held.len(), allowed);
        if allowed > share {
            continue;
        }
        // Another address is not concerned, and a place that was given back can be had again.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = socket.connect(address).await.unwrap();
        other.write_all(LIVEZ).await.unwrap();
        assert!(read_all(&mut other).await.starts_with("HTTP/1.1 200"));
        held.pop();
        let again = async {
            while !is_alive(address).await.starts_with("HTTP/1.1 200") {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, again).await.expect("the place is free again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_end_the_handshake_is_cut() {
    let app = TestApp::sqlite().await;
    let pair = pair(&app);
    let limits = Limits { handshake: 300, ..Limits::default() };
    let address = app.service.listen(limits, Some((&pair.certificate, &pair.key))).await;
    // Nothing at all; the beginning of a record; one whose rest never comes; something else.
    for begin in
        [&b""[..], b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x16garbage....."]
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begin).await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(!answer.contains("HTTP"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_on_a_port_of_https_is_told_so() {
    let app = TestApp::sqlite().await;
    let pair = pair(&app);
    let address = app.service.listen(Limits::default(), Some((&pair.certificate, &pair.key))).await;
    for request in [LIVEZ, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nThis port speaks HTTPS: begin the URL https://.\n"), "{answer}");
    }
}

async fn shaken(address: SocketAddr, pair: &Pair) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::clone(&pair.client));
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

type Http2 = h2::client::SendRequest<std::io::Cursor<Vec<u8>>>;

/// A connection of HTTP/2, and how it ends.
async fn http2(address: SocketAddr, pair: &Pair) -> (Http2, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    let (client, connection) =
        h2::client::Builder::new().handshake(shaken(address, pair).await).await.unwrap();
    (client, tokio::spawn(connection))
}

async fn ask(client: &Http2, request: Request<()>) -> Result<StatusCode, h2::Error> {
    let mut client = client.clone().ready().await?;
    Ok(client.send_request(request, true)?.0.await?.status())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_http2_a_request_names_one_host() {
    let app = TestApp::sqlite().await;
    let pair = pair(&app);
    let address = app.service.listen(Limits::default(), Some((&pair.certificate, &pair.key))).await;
    let (client, _connection) = http2(address, &pair).await;
    let realm = format!("{}.api.localhost", crate::support::REALM_A);
    for (authority, host, status) in [
        ("localhost", None, 200),
        ("localhost:8443", Some("localhost".to_owned()), 200),
        ("localhost", Some("other.test".to_owned()), 400),
        ("localhost", Some(realm.clone()), 400),
        (realm.as_str(), Some("api.localhost".to_owned()), 400),
        ("aaaaaaaaaaaaaaaaaaaaaaaa.elsewhere.test", None, 400),
        ("user@localhost", None, 400),
    ] {
        let mut request = Request::get(format!("https://{authority}/api/v1/ip")).body(()).unwrap();
        if let Some(host) = &host {
            request.headers_mut().insert("host", host.parse().unwrap());
        }
        // What names no one host may be refused by the library before us, for the stream alone.
        let answer = match ask(&client, request).await {
            Ok(answer) => answer.as_u16(),
            Err(error) if error.reason() == Some(h2::Reason::PROTOCOL_ERROR) => 400,
            Err(error) => panic!("{authority} {host:?}: {error}"),
        };
        assert_eq!(answer, status, "{authority} {host:?}");
    }
    // No path, but a host to connect to.
    let connect = Request::connect("localhost:22").body(()).unwrap();
    let refused = ask(&client, connect).await.map(|status| status.as_u16());
    assert!(matches!(refused, Ok(400..=499) | Err(_)), "{refused:?}");
    assert_eq!(ask(&client, Request::get("https://localhost/livez").body(()).unwrap()).await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_resets_ends_its_connection_and_no_other() {
    let app = TestApp::sqlite().await;
    let pair = pair(&app);
    let address = app.service.listen(Limits::default(), Some((&pair.certificate, &pair.key))).await;
    let (other, _connection) = http2(address, &pair).await;
    let mut stream = shaken(address, &pair).await;
    // Written as frames: a client library would hold itself back. Preface and empty settings, then pairs
    // of HEADERS (`GET https://localhost/livez` in HPACK) and RST_STREAM (CANCEL).
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    let block = [&b"\x82\x87\x41\x09localhost\x44\x06/livez"[..]].concat();
    for stream in (1..20_001_u32).step_by(2) {
        flood.extend_from_slice(&[0, 0, u8::try_from(block.len()).unwrap(), 1, 5]);
        flood.extend_from_slice(&stream.to_be_bytes());
        flood.extend_from_slice(&block);
        flood.extend_from_slice(&[0, 0, 4, 3, 0]);
        flood.extend_from_slice(&stream.to_be_bytes());
        flood.extend_from_slice(&8_u32.to_be_bytes());
    }
    let (mut reader, mut writer) = tokio::io::split(&mut stream);
    let mut answer = Vec::new();
    let (_, read) =
        tokio::join!(writer.write_all(&flood), timeout(PATIENCE, reader.read_to_end(&mut answer)));
    read.expect("the server ends the connection").ok();
    // GOAWAY (7) with ENHANCE_YOUR_CALM (11).
    assert!(answer.windows(17).any(|frame| frame[3] == 7 && frame[13..17] == [0, 0, 0, 11]), "{answer:?}");
    assert_eq!(ask(&other, Request::get("https://localhost/livez").body(()).unwrap()).await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_http2_a_head_has_its_largest_size_and_streams_their_number() {
    let app = TestApp::sqlite().await;
    let pair = pair(&app);
    let address = app.service.listen(Limits::default(), Some((&pair.certificate, &pair.key))).await;
    let (client, _connection) = http2(address, &pair).await;
    let large =
        Request::get("https://localhost/livez").header("x-large", "a".repeat(80_000)).body(()).unwrap();
    let refused = ask(&client, large).await.map(|status| status.as_u16());
    assert!(matches!(refused, Ok(431) | Err(_)), "{refused:?}");
    let (client, _connection) = http2(address, &pair).await;
    assert_eq!(ask(&client, Request::get("https://localhost/livez").body(()).unwrap()).await.unwrap(), 200);
    assert_eq!(client.current_max_send_streams(), 128);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_http2_on_which_nothing_moves_is_ended() {
    let app = TestApp::sqlite().await;
    let pair = pair(&app);
    let limits = Limits { head: 300, idle: 400, ..Limits::default() };
    let address = app.service.listen(limits, Some((&pair.certificate, &pair.key))).await;
    // After a request; and without a preface.
    let (client, connection) = http2(address, &pair).await;
    assert_eq!(ask(&client, Request::get("https://localhost/livez").body(()).unwrap()).await.unwrap(), 200);
    timeout(PATIENCE, connection).await.expect("the idle connection is ended").unwrap().ok();
    let mut silent = shaken(address, &pair).await;
    let mut read = Vec::new();
    timeout(PATIENCE, silent.read_to_end(&mut read)).await.expect("the silent connection is ended").ok();
}

/// A connection whose windows stay shut.
async fn shut(address: SocketAddr, pair: &Pair) -> (Http2, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    let mut builder = h2::client::Builder::new();
    let (client, connection) =
        builder.initial_window_size(0).handshake(shaken(address, pair).await).await.unwrap();
    (client, tokio::spawn(connection))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_not_taken_ends_with_its_stream_and_no_other() {
    let app = TestApp::sqlite().await;
    let pair = pair(&app);
    let address = app
        .service
        .listen(Limits { write: 300, ..Limits::default() }, Some((&pair.certificate, &pair.key)))
        .await;
    let (client, connection) = shut(address, &pair).await;
    for place in ["/openapi.json", "/", "/api/v1/ip"] {
        let request = Request::get(format!("https://localhost{place}")).body(()).unwrap();
        let mut client = client.clone().ready().await.unwrap();
        let mut response = client.send_request(request, true).unwrap().0.await.unwrap();
        // Asking again and again is no sign of life of what waits.
        for _ in 0..3 {
            assert_eq!(
                ask(&client, Request::get("https://localhost/livez").body(()).unwrap()).await.unwrap(),
                200
            );
        }
        let ended = timeout(PATIENCE, response.body_mut().data()).await.expect("the stream is ended");
        let error = ended.expect("no orderly end").expect_err("nothing can be sent");
        assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{place}");
    }
    assert_eq!(ask(&client, Request::get("https://localhost/livez").body(()).unwrap()).await.unwrap(), 200);
    assert!(!connection.is_finished(), "the connection goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_in_pieces_arrive_whole() {
    let app = TestApp::sqlite().await;
    let pair = pair(&app);
    let address = app.service.listen(Limits::default(), Some((&pair.certificate, &pair.key))).await;
    let (client, _connection) = http2(address, &pair).await;
    let mut client = client.ready().await.unwrap();
    let request = Request::get("https://localhost/openapi.json").body(()).unwrap();
    let (head, mut body) = client.send_request(request, true).unwrap().0.await.unwrap().into_parts();
    let mut whole = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        whole.extend_from_slice(&piece);
    }
    assert_eq!(head.headers["content-length"], whole.len().to_string().as_str());
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&whole).unwrap()["info"]["title"], "hoody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_gets_no_more_answers_until_it_does() {
    let app = TestApp::sqlite().await;
    let open = |address: &str| {
        let client = app.anon().from(address);
        async move { client.open(http::Method::GET, "/openapi.json", axum::body::Body::empty()).await }
    };
    let mut unread = Vec::new();
    // Each on a connection of its own, all of one /64.
    let waiting = loop {
        let mut next = Box::pin(open(&format!("2001:db8::{:x}", unread.len() + 1)));
        match next.as_mut().now_or_never() {
            Some(answer) => unread.push(answer),
            None => break next,
        }
        assert!(unread.len() < 1_000, "there is a limit");
    };
    assert!(unread.iter().all(|answer| answer.status() == 200));
    let size = unread.len() * 200_000;
    assert!((8 << 20..32 << 20).contains(&size), "{size} bytes are held");
    // Somebody else is not concerned, and the one that waits is answered when there is room.
    assert_eq!(open("2001:db8:0:1::1").await.status(), 200);
    unread.pop();
    assert_eq!(waiting.await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_kept_for_longer_than_half_a_head() {
    let app = TestApp::sqlite().await;
    let limits = Limits { head: 200, idle: 2_000, idle_proxy: 600_000, ..Limits::default() };
    let address = app.service.listen(limits, None).await;
    let proxied = app.another_node_behind("127.0.0.1").await.listen(limits, None).await;
    let kept: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let open = async |address| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(kept).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        stream
    };
    let began = tokio::time::Instant::now();
    let mut idle = open(address).await;
    let mut of_proxy = open(proxied).await;
    // Nothing, half a head, and half a second head.
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(&kept[..20]).await.unwrap();
    let mut second = open(address).await;
    second.write_all(&kept[..20]).await.unwrap();
    for stream in [&mut silent, &mut first, &mut second] {
        read_all(stream).await;
    }
    assert!(began.elapsed() < Duration::from_millis(1_900), "they are not waited for");
    read_all(&mut idle).await;
    assert!(began.elapsed() >= Duration::from_secs(2), "the idle one is");
    of_proxy.write_all(LIVEZ).await.unwrap();
    assert_eq!(read_all(&mut of_proxy).await.matches("HTTP/1.1 200").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_places_are_taken_somebody_else_gets_in() {
    let app = TestApp::sqlite().await;
    let address = app.service.listen(Limits { connections: 64, ..Limits::default() }, None).await;
    let from = async |place: String| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{place}:0").parse().unwrap()).unwrap();
        socket.connect(address).await.unwrap()
    };
    let mut silent = Vec::new();
    for n in 0..80 {
        silent.push(from(format!("127.1.0.{}", n % 8 + 1)).await);
    }
    for _ in 0..4 {
        let mut other = from("127.2.0.1".to_owned()).await;
        other.write_all(LIVEZ).await.unwrap();
        let answer = timeout(Duration::from_secs(5), read_all(&mut other)).await.expect("a place, soon");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_1_1_needs_a_host() {
    let app = TestApp::sqlite().await;
    let address = app.service.listen(Limits::default(), None).await;
    for (head, status) in [
        ("GET /livez HTTP/1.1", 400),
        ("GET /api/v1/auth/check HTTP/1.1", 400),
        ("GET http://x/livez HTTP/1.1", 400),
        ("GET /livez HTTP/1.1\r\nhost:", 200),
        ("GET /livez HTTP/1.0", 200),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(answer.split(' ').nth(1) == Some(&status.to_string()), "{head}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_socket_keeps_its_place() {
    let app = TestApp::sqlite().await;
    let limits = Limits { connections: 1, head: 100, idle: 100, ..Limits::default() };
    let address = app.service.listen(limits, None).await;
    let mut socket = TcpStream::connect(address).await.unwrap();
    let upgrade = "GET /api/v1/events?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n\
        upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    // Neither is it idle, nor is there a place beside it.
    let next = tokio::spawn(is_alive(address));
    assert!(timeout(Duration::from_millis(700), socket.read_to_end(&mut Vec::new())).await.is_err());
    assert!(!next.is_finished());
    drop(socket);
    assert!(timeout(PATIENCE, next).await.unwrap().unwrap().starts_with("HTTP/1.1 200"));
}
