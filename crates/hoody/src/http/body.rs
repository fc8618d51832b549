//! Request bodies: read up to a limit, taken as JSON under any content type.

use axum::body::Body;
use axum::extract::FromRequest;
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use http::{Request, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

use super::Shared;
use crate::error::Error;

/// The largest body that ordinary routes take, in bytes.
pub(crate) const MAX_BODY: usize = 2 * 1024 * 1024;

/// A JSON body, read strictly; an empty one is `{}`.
#[derive(Debug)]
pub(crate) struct JsonBody(pub(crate) Value);

/// For what takes no body: an empty one, or `{}`.
#[derive(Debug)]
pub(crate) struct NoBody;

impl FromRequest<Shared> for NoBody {
    type Rejection = Error;

    async fn from_request(request: Request<Body>, app: &Shared) -> Result<Self, Error> {
        let JsonBody(body) = JsonBody::from_request(request, app).await?;
        Fields::of_body(&body)?.close()?;
        Ok(Self)
    }
}

impl FromRequest<Shared> for JsonBody {
    type Rejection = Error;

    async fn from_request(request: Request<Body>, _: &Shared) -> Result<Self, Error> {
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > MAX_BODY as u64) {
            return Err(Error::TooLarge { limit: MAX_BODY });
        }
        let read = Limited::new(request.into_body(), MAX_BODY).collect().await;
        let bytes = read.map_err(|error| {
            if error.downcast_ref::<LengthLimitError>().is_some() {
                Error::TooLarge { limit: MAX_BODY }
            } else {
                Invalid::validation("The body could not be read to its end").into()
            }
        })?;
        let bytes = bytes.to_bytes();
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(Value::Object(serde_json::Map::new())));
        }
        Ok(Self(hoody_core::json::parse(&bytes)?))
    }
}
