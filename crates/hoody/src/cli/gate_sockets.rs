//! The listeners of proxies that `serve` has apart: `--gate-listen` and `--gate-grpc-listen`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use hoody_engine::tasks;
use hoody_engine::web::server::Limits;
use hoody_engine::web::tls::Tls;
use hoody_engine::web::{calls, server};
use hoody_service::nouns::Nouns;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::output;
use crate::config::GateListeners;

/// Sockets that are bound before anything else is made.
#[derive(Debug)]
pub(super) struct GateSockets {
    http: Option<TcpListener>,
    grpc: Option<TcpListener>,
}

impl GateSockets {
    /// Listens where the settings say.
    ///
    /// # Errors
    /// Names the setting whose address cannot be listened on.
    pub(super) async fn bind(settings: &GateListeners) -> anyhow::Result<Self> {
        Ok(Self {
            http: listen("gate-listen", settings.http).await?,
            grpc: listen("gate-grpc-listen", settings.grpc).await?,
        })
    }

    /// Where proxies ask over HTTP, if not at the public URL.
    pub(super) fn url(&self, is_tls: bool) -> anyhow::Result<Option<String>> {
        let Some(listener) = &self.http else { return Ok(None) };
        let mut address = listener.local_addr()?;
        if address.ip().is_unspecified() {
            // As it is reached from this machine; the recipes say where to put another name.
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        Ok(Some(format!("{}://{address}", if is_tls { "https" } else { "http" })))
    }

    /// Says where it listens.
    pub(super) fn announce(&self) {
        for (listener, what) in [(&self.http, "proxies"), (&self.grpc, "Envoy over gRPC")] {
            if let Some(Ok(local)) = listener.as_ref().map(TcpListener::local_addr) {
                output::note(&format!("It answers {what} on {local}"));
            }
        }
    }

    /// Answers proxies until `stopping` says so.
    ///
    /// # Errors
    /// When the file of `--gate-grpc-client-ca` cannot be used.
    pub(super) fn serve(
        self,
        nouns: &Arc<Nouns>,
        tls: Option<&Arc<Tls>>,
        client_ca: Option<&Path>,
        stopping: &watch::Sender<bool>,
    ) -> anyhow::Result<impl Future<Output = ()> + use<>> {
        let acceptor = match (tls, client_ca) {
            (Some(tls), Some(authorities)) => Some(tls.acceptor_of_clients(authorities)?),
            _ => None,
        };
        let until = || {
            let mut stopping = stopping.subscribe();
            async move {
                // Also when the sender is gone, which is the end, too.
                let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
            }
        };
        let (tls, edge, gate) = (tls.cloned(), nouns.gate_edge(), Arc::clone(&nouns.gate));
        let http = self.http.map(|listener| {
            server::serve(listener, edge, tls, Limits::of_process().a_quarter(), Box::pin(until()))
        });
        let grpc = self.grpc.map(|listener| {
            let answer = move |request| Arc::clone(&gate).call(request);
            calls::serve(listener, acceptor, hoody_service::gate::grpc::MAX_STREAMS, answer, until())
        });
        Ok(async move {
            let http = async {
                if let Some(served) = http {
                    tasks::survives(served).await;
                }
            };
            let grpc = async {
                if let Some(served) = grpc {
                    tasks::survives(served).await;
                }
            };
            tokio::join!(http, grpc);
        })
    }
}

async fn listen(name: &str, address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    listener.map(Some).with_context(|| format!("{name}: {address} cannot be listened on"))
}
