//! Parts of the path.

use axum::extract::{FromRequestParts, RawPathParams};
use hoody_core::id::Id;
use hoody_core::invalid::Invalid;
use http::request::Parts;

use crate::error::Error;

/// The one id in the path; where there are two, see [`TwoIds`].
#[derive(Debug, Clone, Copy)]
pub struct IdPath<K>(pub Id<K>);

/// The ids in a path with two of them.
#[derive(Debug, Clone, Copy)]
pub struct TwoIds<A, B>(pub Id<A>, pub Id<B>);

/// One part of the path as text.
#[derive(Debug, Clone)]
pub struct TextPath(pub String);

impl<K: 'static, S: Send + Sync> FromRequestParts<S> for IdPath<K> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let params = params(parts, state).await?;
        Ok(Self(id_at(&params, 0)?))
    }
}

impl<A: 'static, B: 'static, S: Send + Sync> FromRequestParts<S> for TwoIds<A, B> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let params = params(parts, state).await?;
        Ok(Self(id_at(&params, 0)?, id_at(&params, 1)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TextPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let params = params(parts, state).await?;
        Ok(Self(params.into_iter().next().map(|(_, value)| value).unwrap_or_default()))
    }
}

async fn params<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<(String, String)>, Error> {
    let raw = RawPathParams::from_request_parts(parts, state).await;
    let raw = raw.map_err(|_| Invalid::rule("INVALID_ID_FORMAT", "The path is not readable text"))?;
    Ok(raw.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn id_at<K>(params: &[(String, String)], index: usize) -> Result<Id<K>, Error> {
    let (name, value) = params.get(index).map_or(("id", ""), |(name, value)| (name, value));
    value.parse().map_err(|_| Invalid::id_format(name).into())
}
