//! `CheckRequest` and `CheckResponse` of `envoy.service.auth.v3`, and the messages of `grpc.health.v1`.
//!
//! Field numbers are those of `external_auth.proto`, `attribute_context.proto`, `address.proto`, `base.proto`
//! and `health.proto`.

use super::wire::{Fields, Malformed, put_bytes, put_number};

/// `OVERWRITE_IF_EXISTS_OR_ADD`. The default appends, and would leave a client's own value.
const OVERWRITE: u64 = 2;

/// What Envoy says of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Check<'a> {
    /// The client's address, after Envoy's own rule for `X-Forwarded-For`.
    pub(super) address: &'a str,
    pub(super) method: &'a str,
    /// The target with the query.
    pub(super) path: &'a str,
    pub(super) host: &'a str,
    /// The values of `authorization`: one, where the map is one.
    pub(super) authorization: Vec<&'a str>,
    pub(super) has_origin: bool,
    pub(super) has_request_method: bool,
    /// What the operator wrote for the route.
    pub(super) extensions: Vec<(&'a str, &'a str)>,
}

impl<'a> Check<'a> {
    /// Reads a `CheckRequest`.
    pub(super) fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut check = Self::default();
        let mut fields = Fields(message);
        while let Some((field, value)) = fields.next()? {
            if field == 1 {
                check.attributes(value.bytes()?)?;
            }
        }
        Ok(check)
    }

    fn attributes(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        let mut fields = Fields(message);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => self.source(value.bytes()?)?,
                4 => self.request(value.bytes()?)?,
                10 => self.extensions.push(entry(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// `Peer`: `address` (1) is an `Address` with `socket_address` (1), which has its `address` (2).
    fn source(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        for address in all(message, 1)? {
            for socket in all(address, 1)? {
                for text in all(socket, 2)? {
                    self.address = std::str::from_utf8(text).map_err(|_| Malformed)?;
                }
            }
        }
        Ok(())
    }

    /// `Request`: `http` (2).
    fn request(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        for http in all(message, 2)? {
            let mut fields = Fields(http);
            while let Some((field, value)) = fields.next()? {
                match field {
                    2 => self.method = value.text()?,
                    3 => self.header(value.bytes()?)?,
                    4 => self.path = value.text()?,
                    5 => self.host = value.text()?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn header(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        let (name, value) = entry(message)?;
        match name {
            "authorization" => self.authorization.push(value),
            "origin" => self.has_origin = true,
            "access-control-request-method" => self.has_request_method = true,
            _ => {}
        }
        Ok(())
    }
}

/// The values of a field that are messages or text.
fn all(message: &[u8], wanted: u64) -> Result<Vec<&[u8]>, Malformed> {
    let mut found = Vec::new();
    let mut fields = Fields(message);
    while let Some((field, value)) = fields.next()? {
        if field == wanted {
            found.push(value.bytes()?);
        }
    }
    Ok(found)
}

/// An entry of a map of texts.
fn entry(message: &[u8]) -> Result<(&str, &str), Malformed> {
    let (mut key, mut text) = ("", "");
    let mut fields = Fields(message);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => key = value.text()?,
            2 => text = value.text()?,
            _ => {}
        }
    }
    Ok((key, text))
}

/// A `CheckResponse` that lets in: these headers are set upstream, and these are taken out.
pub(super) fn allow(set: &[(&str, &[u8])], removed: &[&str]) -> Vec<u8> {
    let mut ok = Vec::new();
    put_headers(&mut ok, set);
    for name in removed {
        put_bytes(&mut ok, 5, name.as_bytes());
    }
    let mut response = Vec::new();
    // `google.rpc.Status` with code 0.
    put_bytes(&mut response, 1, &[]);
    put_bytes(&mut response, 3, &ok);
    response
}

/// A `CheckResponse` that refuses: the client gets this status, these headers and this body.
pub(super) fn deny(code: u8, status: u16, headers: &[(&str, &[u8])], body: &[u8]) -> Vec<u8> {
    let mut rpc_status = Vec::new();
    put_number(&mut rpc_status, 1, u64::from(code));
    let mut http_status = Vec::new();
    put_number(&mut http_status, 1, u64::from(status));
    let mut denied = Vec::new();
    put_bytes(&mut denied, 1, &http_status);
    put_headers(&mut denied, headers);
    put_bytes(&mut denied, 3, body);
    let mut response = Vec::new();
    put_bytes(&mut response, 1, &rpc_status);
    put_bytes(&mut response, 2, &denied);
    response
}

/// `HeaderValueOption`s: the field 2 of an answer of either kind.
fn put_headers(message: &mut Vec<u8>, headers: &[(&str, &[u8])]) {
    for (name, value) in headers {
        let mut header = Vec::new();
        put_bytes(&mut header, 1, name.as_bytes());
        put_bytes(&mut header, 2, value);
        let mut option = Vec::new();
        put_bytes(&mut option, 1, &header);
        put_number(&mut option, 3, OVERWRITE);
        put_bytes(message, 2, &option);
    }
}

/// The service of a `HealthCheckRequest`.
pub(super) fn service_of_health(message: &[u8]) -> Result<&str, Malformed> {
    let named = all(message, 1)?;
    named.last().map_or(Ok(""), |name| std::str::from_utf8(name).map_err(|_| Malformed))
}

/// A `HealthCheckResponse`: SERVING or NOT_SERVING.
pub(super) fn health(is_serving: bool) -> Vec<u8> {
    let mut response = Vec::new();
    put_number(&mut response, 1, if is_serving { 1 } else { 2 });
    response
}
