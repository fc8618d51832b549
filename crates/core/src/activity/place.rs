//! Where a logged request took place: on a path of this server, or at a gate for another service.
//!
//! Both are stored as one text, in the place of the path: `/api/v1/projects`, or
//! `gate:65a1b2c3d4e5f60718293a4b@orders.example.com/orders/{id}`. So packed rows stay as they were, and versions that
//! know no gates show, filter and repack these rows too.

use crate::id::GateId;

/// Which door was asked about a request to another service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// `/gate/auth`.
    Gate,
    /// Envoy's ext_authz over gRPC.
    ExtAuthz,
    /// `POST /auth/verify`.
    Verify,
    /// `/oauth/introspect`.
    Introspect,
}

const DOORS: [(Via, &str); 4] = [
    (Via::Gate, "gate"),
    (Via::ExtAuthz, "ext_authz"),
    (Via::Verify, "verify"),
    (Via::Introspect, "introspect"),
];

impl Via {
    /// The word for it in the request log.
    #[must_use]
    pub fn word(self) -> &'static str {
        DOORS.iter().find(|(via, _)| *via == self).map_or("", |(_, word)| word)
    }
}

/// Where a request took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// On a path of this server.
    Here(&'a str),
    /// At a gate.
    Gate {
        /// At which door.
        via: Via,
        /// Which gate; `None` where the proxy's URL itself says what is needed.
        gate: Option<GateId>,
        /// The host that the client asked; empty where the proxy does not tell it.
        host: &'a str,
        /// The pattern of the row, or the path where the gate logs paths; else empty.
        path: &'a str,
    },
}

impl<'a> Place<'a> {
    /// Reads the stored text. What is no place at a gate is a path.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        Self::parse_gate(text).unwrap_or(Self::Here(text))
    }

    fn parse_gate(text: &'a str) -> Option<Self> {
        let (door, rest) = text.split_once(':').filter(|_| !text.starts_with('/'))?;
        let (via, _) = DOORS.iter().find(|(_, word)| *word == door)?;
        let (gate, rest) = rest.split_once('@')?;
        let gate = if gate.is_empty() { None } else { Some(gate.parse().ok()?) };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Some(Self::Gate { via: *via, gate, host, path })
    }

    /// The text that is stored. A host has no `/`, and a path begins with one or is empty.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Here(path) => (*path).to_owned(),
            Self::Gate { via, gate, host, path } => {
                let gate = gate.map(|gate| gate.to_string()).unwrap_or_default();
                format!("{}:{gate}@{host}{path}", via.word())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_of_this_server_are_never_places_at_a_gate() {
        for path in ["/api/v1/auth/check", "/gate:@x/y", "*", "", "gate", "gate:", "gate:x@h/p", "other:@h/p"]
        {
            assert_eq!(Place::parse(path), Place::Here(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_place_comes_back_as_it_was(
            via in 0_usize..4, gate in proptest::option::of(any::<[u8; 12]>()),
            host in "[a-z.\\-\\[\\]:0-9]{0,20}", path in "(/[a-z{}:@*]{0,9}){0,3}",
        ) {
            let via = DOORS[via].0;
            let place = Place::Gate { via, gate: gate.map(GateId::from_bytes), host: &host, path: &path };
            let text = place.to_text();
            prop_assert_eq!(Place::parse(&text), place);
        }
    }
}
