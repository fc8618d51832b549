//! Between a node and its database: leads to the primary or to the standby, ends connections, swallows what
//! is sent.

use std::path::PathBuf;
use std::pin::pin;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// Where new connections lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Primary,
    /// As after a fail-over: what is connected is ended, new connections lead to the standby.
    Standby,
    /// What is connected is ended, nothing new is let in.
    Cut,
    /// Nothing is ended and nothing arrives.
    Hole,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Forwarder {
    pub(crate) port: u16,
    way: watch::Sender<Way>,
}

impl Forwarder {
    pub(crate) async fn start(primary: PathBuf, standby: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (way, seen) = watch::channel(Way::Primary);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(lead(from, [primary.clone(), standby.clone()], seen.clone()));
            }
        });
        Self { port, way }
    }

    /// Connections that were made on the way before stay where they lead, unless the new way ends them.
    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn lead(mut from: TcpStream, servers: [PathBuf; 2], mut way: watch::Receiver<Way>) {
    if way.wait_for(|way| *way != Way::Hole).await.is_err() {
        return;
    }
    let server = match *way.borrow_and_update() {
        Way::Cut | Way::Hole => return,
        Way::Primary => &servers[0],
        Way::Standby => &servers[1],
    };
    let Ok(mut to) = UnixStream::connect(server.join(".s.PGSQL.5432")).await else { return };
    let mut copy = pin!(tokio::io::copy_bidirectional(&mut from, &mut to));
    loop {
        let is_hole = *way.borrow_and_update() == Way::Hole;
        tokio::select! {
            _ = &mut copy, if !is_hole => return,
            changed = way.changed() => {
                if changed.is_err() || matches!(*way.borrow(), Way::Cut | Way::Standby) {
                    return;
                }
            }
        }
    }
}
