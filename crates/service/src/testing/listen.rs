//! The service on a real socket.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hoody_engine::web::server;
use hoody_engine::web::tls::{Source, Tls};

use super::Service;

/// How long connections of a test may keep the service waiting, in milliseconds, and how many there are.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the TLS handshake.
    pub handshake: u64,
    /// For a request's head.
    pub head: u64,
    /// For taking an answer.
    pub write: u64,
    /// Between two requests.
    pub idle: u64,
    /// The same for trusted proxies.
    pub idle_proxy: u64,
    /// Connections at a time.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: 10_000,
            head: 15_000,
            write: 30_000,
            idle: 150_000,
            idle_proxy: 620_000,
            connections: 1_024,
        }
    }
}

impl Service {
    /// Listens on a real socket with these limits until the test ends, with TLS when a certificate and its
    /// key are given; where.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn listen(&self, limits: Limits, pair: Option<(&Path, &Path)>) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let tls = pair.map(|(certificate, key)| {
            let source = Source::Files { certificate: certificate.to_owned(), key: key.to_owned() };
            Arc::new(Tls::load(source, self.now()).expect("a pair"))
        });
        let limits = server::Limits {
            handshake: Duration::from_millis(limits.handshake),
            head: Duration::from_millis(limits.head),
            write: Duration::from_millis(limits.write),
            idle: Duration::from_millis(limits.idle),
            idle_proxy: Duration::from_millis(limits.idle_proxy),
            connections: limits.connections,
        };
        tokio::spawn(server::serve(
            listener,
            self.edge.clone(),
            tls,
            limits,
            Box::pin(std::future::pending()),
        ));
        address
    }
}
