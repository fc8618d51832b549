//! What a request that sets a key contains. The body is read into one buffer, and the value is what is
//! left of it.

use axum::body::Body;
use hoody_core::id::UserId;
use hoody_core::invalid::Invalid;
use hoody_core::json::{Fields, take_text};
use http::{Request, header};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::value::Text;
use super::{LARGE, LargeValues, MAX_METADATA};
use hoody_engine::error::Error;
use hoody_engine::web::body::{MAX_BODY as MAX_REST, hold};
use hoody_engine::work;

/// The largest body, in bytes: a value of the whole limit, with room for its escapes.
pub(super) const MAX_BODY: usize = 64 * 1024 * 1024;

/// A value for a key, and what is to become of its metadata.
#[derive(Debug)]
pub struct SetKey {
    pub text: Text,
    /// JSON of an object. `None`: it stays as it is.
    pub metadata: Option<Option<Vec<u8>>>,
}

impl SetKey {
    /// A text of at most a megabyte, which takes no turn; metadata stays as it is.
    ///
    /// # Errors
    /// 413 for a longer one.
    pub fn of_text(text: &str) -> Result<Self, Error> {
        if text.len() > LARGE {
            return Err(Error::TooLarge { limit: LARGE });
        }
        let bytes = Zeroizing::new(text.as_bytes().to_vec());
        Ok(Self { text: Text { bytes, turn: None }, metadata: None })
    }

    /// Reads the body of `PUT` or `PATCH /vault/keys/{key}`.
    pub async fn read(large: &LargeValues, account: UserId, request: Request<Body>) -> Result<Self, Error> {
        let mut text = read_body(large, account, request).await?;
        let size = text.bytes.len();
        let parse = move || {
            let taken = take_text(&mut text.bytes, "value", MAX_REST)?;
            let metadata = parse_rest(&taken.rest)?;
            Ok::<_, Invalid>(Self { text, metadata })
        };
        Ok(work::run(size, parse).await??)
    }
}

/// Reads a whole body. One that turns out to be large waits for its turn, whatever it announced.
async fn read_body(large: &LargeValues, account: UserId, request: Request<Body>) -> Result<Text, Error> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0_usize);
    if announced > MAX_BODY {
        return Err(Error::TooLarge { limit: MAX_BODY });
    }
    // Beyond that it waits for a turn.
    let _held = hold(&request, announced.min(LARGE))?;
    let mut text = Text { bytes: Zeroizing::new(Vec::with_capacity(announced.min(LARGE))), turn: None };
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Invalid::validation("The body could not be read to its end"))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = text.bytes.len() + data.len();
        if length > MAX_BODY {
            return Err(Error::TooLarge { limit: MAX_BODY });
        }
        if length > LARGE && text.turn.is_none() {
            // What does not say how long it is may be as long as any.
            let expected = if announced == 0 { MAX_BODY } else { announced.max(length) };
            text.turn = Some(large.turn(account, expected).await?);
            let more = announced.max(length) - text.bytes.len();
            text.bytes.reserve_exact(more);
        }
        text.bytes.extend_from_slice(&data);
    }
    Ok(text)
}

fn parse_rest(rest: &Value) -> Result<Option<Option<Vec<u8>>>, Invalid> {
    let mut fields = Fields::of_body(rest)?;
    if fields.string("value").is_none() {
        // Absent; of the wrong type is a violation by now, which comes first.
        fields.absorb::<()>(Err(Invalid::missing("value")));
    }
    let metadata = fields.nullable_object("metadata").map(check_metadata);
    let metadata = metadata.and_then(|metadata| fields.absorb(metadata));
    fields.close()?;
    Ok(metadata)
}

fn check_metadata(metadata: Option<&Map<String, Value>>) -> Result<Option<Vec<u8>>, Invalid> {
    let Some(metadata) = metadata else { return Ok(None) };
    match serde_json::to_vec(metadata) {
        Ok(json) if json.len() <= MAX_METADATA => Ok(Some(json)),
        _ => Err(Invalid::validation(format!("metadata must not exceed {MAX_METADATA} bytes of JSON"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn read(body: &Value) -> Result<(String, Option<Option<Value>>), Error> {
        let request = Request::new(Body::from(body.to_string()));
        let set = SetKey::read(&LargeValues::new(), UserId::from_bytes([1; 12]), request).await?;
        let text = String::from_utf8(set.text.bytes.to_vec()).unwrap();
        Ok((text, set.metadata.map(|json| json.map(|json| serde_json::from_slice(&json).unwrap()))))
    }

    #[tokio::test]
    async fn a_value_is_a_text_and_metadata_an_object_null_or_absent() {
        let value = "line\n\"ä\"\u{0}";
        assert_eq!(read(&json!({"value": value})).await.unwrap(), (value.to_owned(), None));
        let cleared = json!({"value": "", "metadata": null});
        assert_eq!(read(&cleared).await.unwrap(), (String::new(), Some(None)));
        let metadata = json!({"a": [1, {"b": null}]});
        let body = json!({"value": "x", "metadata": metadata});
        assert_eq!(read(&body).await.unwrap(), ("x".to_owned(), Some(Some(metadata))));
    }

    #[tokio::test]
    async fn what_is_missing_wrong_unknown_or_too_large_is_refused() {
        for (body, status) in [
            (json!({}), 400),
            (json!({"metadata": {}}), 400),
            (json!({"value": "x", "metadata": {"a": "x".repeat(MAX_METADATA)}}), 400),
            (json!({"value": null}), 422),
            (json!({"value": 1}), 422),
            (json!({"value": {"$ne": 1}}), 422),
            (json!({"value": "x", "metadata": []}), 422),
            (json!({"value": "x", "metadata": "x"}), 422),
            (json!({"value": "x", "realm_id": "x"}), 422),
            (json!(["value"]), 422),
        ] {
            match read(&body).await {
                Err(Error::Invalid(Invalid::Rule { .. })) => assert_eq!(status, 400, "{body}"),
                Err(Error::Invalid(Invalid::Schema(_))) => assert_eq!(status, 422, "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_by_what_it_announces_and_by_what_it_is() {
        let account = UserId::from_bytes([1; 12]);
        let announced =
            Request::builder().header("content-length", MAX_BODY + 1).body(Body::empty()).unwrap();
        assert!(matches!(
            SetKey::read(&LargeValues::new(), account, announced).await,
            Err(Error::TooLarge { .. })
        ));
        let pieces = (0..65).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]));
        let silent = Request::new(Body::from_stream(futures_util::stream::iter(pieces)));
        assert!(matches!(
            SetKey::read(&LargeValues::new(), account, silent).await,
            Err(Error::TooLarge { .. })
        ));
    }
}
