//! The style sheet, the script and the icon: each at an address that its digest is part of, so that browsers
//! keep it for as long as they like.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::RawPathParams;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use hoody_engine::web::pages::STYLE;
use http::{HeaderMap, HeaderName, StatusCode, header};
use sha2::{Digest as _, Sha256};

/// One file.
#[derive(Debug)]
pub(crate) struct Asset {
    /// Where it is.
    pub(crate) path: String,
    /// What its element says of it (Subresource Integrity).
    pub(crate) integrity: String,
    kind: &'static str,
    plain: &'static [u8],
    packed: Bytes,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Assets {
    pub(crate) style: Asset,
    pub(crate) script: Asset,
    pub(crate) icon: Asset,
}

pub(crate) static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::of("console.css", "text/css; charset=utf-8", STYLE.as_bytes()),
    script: Asset::of("console.js", "text/javascript; charset=utf-8", SCRIPT.as_bytes()),
    icon: Asset::of("icon.svg", "image/svg+xml", ICON.as_bytes()),
});

const SCRIPT: &str = include_str!("../assets/console.js");
const ICON: &str = include_str!("../assets/icon.svg");

impl Asset {
    fn of(name: &str, kind: &'static str, plain: &'static [u8]) -> Self {
        let digest = Sha256::digest(plain);
        let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        // Into memory: it cannot fail; what was not packed would be sent plain.
        let packed = packer.write_all(plain).and_then(|()| packer.finish()).unwrap_or_default();
        Self {
            path: format!("/console/a/{short}/{name}"),
            integrity: format!("sha256-{}", STANDARD.encode(digest)),
            kind,
            plain,
            packed: packed.into(),
        }
    }
}

/// `GET /console/a/{digest}/{name}`. An address with another digest is of another version: 404, so that no
/// proxy keeps this one's under it.
pub(crate) async fn serve(parts: RawPathParams, headers: HeaderMap) -> Response {
    let given: Vec<&str> = parts.iter().map(|(_, value)| value).collect();
    let path = format!("/console/a/{}", given.join("/"));
    let assets = [&ASSETS.style, &ASSETS.script, &ASSETS.icon];
    let Some(asset) = assets.into_iter().find(|asset| asset.path == path) else {
        return (StatusCode::NOT_FOUND, "There is no such file in this version.\n").into_response();
    };
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let is_packed = !asset.packed.is_empty() && accepts.is_some_and(|accepts| accepts.contains("gzip"));
    let body = if is_packed { asset.packed.clone() } else { Bytes::from_static(asset.plain) };
    let headers = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let mut response = (headers, body).into_response();
    if is_packed {
        response.headers_mut().insert(header::CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stay_within_their_budget() {
        assert!(STYLE.len() < 14 * 1024, "{}", STYLE.len());
        assert!(SCRIPT.len() < 20 * 1024, "{}", SCRIPT.len());
    }

    #[test]
    fn the_script_makes_no_markup_of_text() {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "localStorage",
            "sessionStorage",
        ] {
            assert!(!SCRIPT.contains(word), "{word}");
        }
    }

    #[test]
    fn an_address_names_its_content() {
        assert!(ASSETS.style.path.starts_with("/console/a/") && ASSETS.style.path.ends_with("/console.css"));
        assert!(ASSETS.script.packed.len() < ASSETS.script.plain.len());
        assert_ne!(ASSETS.style.path, ASSETS.script.path);
    }
}
