//! The settings of containers.

use std::path::PathBuf;

use hoody_containers::Settings;
use hoody_containers::runtime::Bounds;
use hoody_core::container::{Images, ServerNames, default_domain, is_below};
use hoody_core::host::Domain;

use super::source::Values;
use super::{one_of, size};

/// What is shown where nothing is set.
pub(super) fn defaults(domain: &Domain) -> [(&'static str, String); 7] {
    [
        ("container-engine", "none".to_owned()),
        ("container-server", "local".to_owned()),
        ("container-image", "debian/13=docker.io/library/debian:13".to_owned()),
        ("container-domain", default_domain(domain.as_str())),
        ("container-access", "token".to_owned()),
        ("container-memory", "512MiB".to_owned()),
        ("container-pids", "512".to_owned()),
    ]
}

/// Reads them.
///
/// # Errors
/// Names the setting, where its value came from and the rule that it breaks.
pub(super) fn read(values: &Values, domain: &Domain) -> anyhow::Result<Settings> {
    let socket = match values.get("container-engine") {
        Some(_) => Some(values.parse("container-engine", "", socket)?),
        None => None,
    };
    let default = default_domain(domain.as_str());
    let container_domain = values.parse("container-domain", &default, Domain::parse)?;
    // Below it, nothing reaches the API.
    if is_below(domain.as_str(), container_domain.as_str()).unwrap_or(true) {
        let why = "container-domain: must not be the domain of the API, nor a domain above it".to_owned();
        return Err(values.wrong(&["container-domain", "domain"], why));
    }
    let images = match values.get("container-image") {
        Some(_) => values.parse("container-image", "", Images::parse)?,
        None => Images::default(),
    };
    let memory = values.parse("container-memory", "512MiB", size)?;
    Ok(Settings {
        socket,
        server: values.parse("container-server", "local", ServerNames::parse)?,
        images,
        domain: container_domain.to_string(),
        is_open: values.parse("container-access", "token", |text| one_of(text, "url", "token"))?,
        bounds: Bounds {
            memory: u64::try_from(memory).unwrap_or(u64::MAX),
            pids: values.parse("container-pids", "512", pids)?,
            ..Bounds::default()
        },
    })
}

/// `unix://` and the absolute path of a socket.
fn socket(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') && path.len() > 1 => Ok(PathBuf::from(path)),
        _ => Err("must be unix:// and the absolute path of the engine's socket, e.g. \
                  unix:///run/podman/podman.sock"
            .to_owned()),
    }
}

fn pids(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (16..=32_768).contains(number));
    number.ok_or_else(|| "must be a number from 16 to 32768".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_a_socket_of_this_machine() {
        assert_eq!(socket("unix:///run/podman/podman.sock"), Ok(PathBuf::from("/run/podman/podman.sock")));
        for bad in
            ["tcp://127.0.0.1:2375", "/run/podman/podman.sock", "unix://run/x", "unix:///", "http://x", ""]
        {
            assert!(socket(bad).unwrap_err().contains("unix://"), "{bad}");
        }
    }
}
