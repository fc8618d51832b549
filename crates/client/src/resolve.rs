//! Names to addresses: `localhost` and all below it are this machine (RFC 6761), whatever the system's
//! resolver says; every other name is the system's business.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::base::is_localhost;

/// Answers names below `localhost` itself.
#[derive(Debug)]
pub(crate) struct Resolver {
    /// The loopback address that the base was given as; `None` when it was given as a name.
    pub(crate) loopback: Option<IpAddr>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        if is_localhost(name.as_str()) {
            let addresses = match self.loopback {
                Some(only) => vec![only],
                None => vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
            };
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            return Box::pin(async move { Ok(addresses) });
        }
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
