//! Streams of events that come and go, and the connections of clients that behave badly.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;

use super::side::Side;

/// How long a stream is followed.
const FOLLOWED: Duration = Duration::from_secs(25);

fn noted(side: &Side, what: &'static str, count: impl FnOnce(&mut super::side::Count)) {
    count(side.seen.lock().unwrap().entry((side.fault(), what)).or_default());
}

/// Follows Server-Sent Events, one stream after the other.
pub(super) async fn follow(side: Arc<Side>, at: usize) {
    let url = format!("{}/api/v1/events/stream", side.nodes[at].base);
    while !side.is_over() {
        let end = Instant::now() + FOLLOWED;
        let request = side.nodes[at].patient.get(&url).bearer_auth(&side.owners[at % 2]);
        match timeout_at(end, request.send()).await {
            Ok(Ok(mut stream)) if stream.status() == 200 => {
                noted(&side, "stream", |count| count.done += 1);
                while !side.is_over() && matches!(timeout_at(end, stream.chunk()).await, Ok(Ok(Some(_)))) {
                    noted(&side, "piece of a stream", |count| count.done += 1);
                }
            }
            Ok(Ok(refused)) if refused.status() == 503 => noted(&side, "stream", |count| count.busy += 1),
            Ok(Ok(_)) => noted(&side, "stream", |count| count.refused += 1),
            _ => noted(&side, "stream", |count| count.lost += 1),
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Follows Socket.IO by long polling, one connection after the other.
pub(super) async fn poll(side: Arc<Side>, at: usize) {
    while !side.is_over() {
        let end = Instant::now() + FOLLOWED;
        match timeout_at(end, poll_once(&side, at)).await {
            Ok(Some(())) | Err(_) => {}
            Ok(None) => noted(&side, "Socket.IO", |count| count.lost += 1),
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn poll_once(side: &Side, at: usize) -> Option<()> {
    let node = &side.nodes[at];
    let path = format!("{}/api/v1/events/?EIO=4&transport=polling", node.base);
    let open = node.patient.get(&path).send().await.ok()?.text().await.ok()?;
    let open: serde_json::Value = serde_json::from_str(open.strip_prefix('0')?).ok()?;
    let path = format!("{path}&sid={}", open["sid"].as_str()?);
    let auth = format!("40{}", serde_json::json!({ "token": side.owners[at % 2] }));
    node.patient.post(&path).body(auth).send().await.ok()?.error_for_status().ok()?;
    noted(side, "Socket.IO", |count| count.done += 1);
    while !side.is_over() {
        let answer = node.patient.get(&path).send().await.ok()?.error_for_status().ok()?.text().await.ok()?;
        for packet in answer.split('\x1e') {
            match packet {
                "2" => drop(node.patient.post(&path).body("3").send().await.ok()?),
                "1" | "41" => return Some(()),
                _ => noted(side, "packet of Socket.IO", |count| count.done += 1),
            }
        }
    }
    let _ = node.patient.post(&path).body("1").send().await;
    Some(())
}

/// Where a node listens, and whose certificates it has; without them it speaks plain HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) port: u16,
    pub(crate) authority: Option<PathBuf>,
}

/// A connection to a node, with TLS where it speaks that.
pub(super) trait Pipe: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Pipe for T {}

/// Connects from this address of loopback. `protocol` is what is spoken over TLS.
pub(super) async fn connect(
    target: &Target,
    from: [u8; 4],
    protocol: &str,
) -> std::io::Result<Box<dyn Pipe>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    let stream: TcpStream = socket.connect(SocketAddr::from(([127, 0, 0, 1], target.port))).await?;
    let Some(authority) = &target.authority else { return Ok(Box::new(stream)) };
    let pem = std::fs::read(authority)?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem).flatten() {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
}

/// Connections that say nothing, or half a request, or do not read their answers; held for `time`.
pub(super) async fn hold(target: &Target, number: usize, written: &str, time: Duration) -> usize {
    let mut held = Vec::new();
    for index in 0..number {
        // A few addresses: each has its share.
        let from = [127, 1, u8::try_from(index % 4).unwrap(), 1];
        let open = connect(target, from, "http/1.1");
        let Ok(Ok(mut pipe)) = tokio::time::timeout(Duration::from_secs(2), open).await else { continue };
        if !written.is_empty() {
            let _ =
                tokio::time::timeout(Duration::from_millis(200), pipe.write_all(written.as_bytes())).await;
        }
        held.push(pipe);
    }
    let taken = held.len();
    let end = Instant::now() + time;
    while Instant::now() < end {
        sleep(Duration::from_secs(1)).await;
        for pipe in &mut held {
            // A byte a second.
            let _ = tokio::time::timeout(Duration::from_millis(1), pipe.read_u8()).await;
        }
    }
    taken
}

/// Connections of HTTP/2 whose windows stay shut, with as many requests for the longest document as they may have;
/// how many requests were sent.
pub(crate) async fn shut_windows(target: &Target, connections: u8, time: Duration) -> usize {
    let (mut held, mut tasks, mut sent) = (Vec::new(), Vec::new(), 0);
    for index in 0..connections {
        let Ok(pipe) = connect(target, [127, 2, index % 3, 1], "h2").await else { continue };
        let handshake = h2::client::Builder::new().initial_window_size(0).handshake::<_, &[u8]>(pipe).await;
        let Ok((mut client, connection)) = handshake else { continue };
        tasks.push(tokio::spawn(connection));
        for _ in 0..100 {
            let request = http::Request::get("https://localhost/openapi.json").body(()).unwrap();
            let ready = tokio::time::timeout(Duration::from_millis(500), client.clone().ready()).await;
            if !matches!(ready, Ok(Ok(_))) {
                break;
            }
            let Ok((answer, _)) = client.send_request(request, true) else { break };
            sent += 1;
            held.push(answer);
        }
    }
    // Nobody reads the answers; dropped, they would be reset.
    sleep(time).await;
    drop(held);
    for task in tasks {
        task.abort();
    }
    sent
}

/// Sends a whole request from this address and reads what comes, to the end of the connection.
pub(super) async fn talk(target: &Target, from: [u8; 4], request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut pipe = connect(target, from, "http/1.1").await?;
    pipe.write_all(request).await?;
    let mut answer = Vec::new();
    pipe.read_to_end(&mut answer).await?;
    Ok(answer)
}
