//! Query parameters that a route does not know are refused: a misspelt filter would show everything, and a
//! misspelt realm would clear another one's vault. What a route knows is read from the document, so that no
//! handler can forget to say it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hoody_core::grant::Rule;
use hoody_core::invalid::Invalid;
use http::{Method, Uri};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use hoody_engine::web::Access;
use hoody_engine::web::caller::admit;

/// What every route takes: whoever asks it of all requests need not tell them apart.
const EVERYWHERE: &str = "wait";
/// The check of the gate refuses them by itself, as its fast way does.
const BY_ITSELF: &str = "/api/v1/auth/check";

/// The parameters of each route that takes a credential, by method and path. The others show nothing that is
/// somebody's, and some are asked by what adds parameters of its own.
#[derive(Debug, Clone)]
pub(crate) struct Parameters(Arc<HashMap<(Method, String), Vec<String>>>);

impl Parameters {
    pub(crate) fn of(document: &OpenApi) -> Self {
        let mut known = HashMap::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in operations {
                let operation = operation.as_ref().filter(|operation| operation.security.is_some());
                if let Some(operation) = operation.filter(|_| path != BY_ITSELF) {
                    known.insert((method, path.clone()), names(operation));
                }
            }
        }
        Self(Arc::new(known))
    }

    /// Refuses what the route does not know.
    fn check(&self, method: &Method, path: &str, uri: &Uri) -> Result<(), Invalid> {
        let method = if *method == Method::HEAD { Method::GET } else { method.clone() };
        let Some(known) = self.0.get(&(method, path.to_owned())) else { return Ok(()) };
        // What cannot be read is refused by who reads it.
        let Ok(Query(given)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else { return Ok(()) };
        let is_known = |name: &str| name == EVERYWHERE || known.iter().any(|known| known == name);
        match given.iter().find(|(name, _)| !is_known(name)) {
            None => Ok(()),
            Some((name, _)) => Err(refusal(name, known)),
        }
    }
}

fn names(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    let of_query = parameters.filter(|parameter| parameter.parameter_in == ParameterIn::Query);
    of_query.map(|parameter| parameter.name.clone()).collect()
}

fn refusal(name: &str, known: &[String]) -> Invalid {
    // Only what looks like a name is repeated: somebody may have put a secret there.
    let is_name = name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let name = if is_name { name } else { "the query string" };
    let takes = match known {
        [] => "this route takes no query parameters".to_owned(),
        known => format!("this route takes {}", known.join(", ")),
    };
    Invalid::rule("INVALID_PARAMETER_VALUE", format!("{name}: unknown query parameter; {takes}"))
}

/// Lets a request through whose parameters its route knows.
pub(crate) async fn check(
    State((access, parameters)): State<(Arc<Access>, Parameters)>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().query().is_none_or(str::is_empty) {
        return next.run(request).await;
    }
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let checked = path.map_or(Ok(()), |path| parameters.check(request.method(), &path, request.uri()));
    match checked {
        Ok(()) => next.run(request).await,
        Err(invalid) => {
            let (parts, _) = request.into_parts();
            // Who may not come in learns that first.
            let refusal = admit(&parts, &access, Rule::ANY).await.err();
            refusal.unwrap_or_else(|| invalid.into()).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, path: &str, uri: &str) -> Option<String> {
        let parameters = Parameters::of(&crate::nouns::openapi());
        match parameters.check(method, path, &uri.parse().unwrap()) {
            Ok(()) => None,
            Err(Invalid::Rule { message, .. }) => Some(message),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_route_does_not_know_is_refused_by_name_and_no_secret_is_repeated() {
        let events = "/api/v1/events";
        for known in ["/x?limit=1&event_type=a&after=b", "/x?wait=all", "/x?%6Cimit=1", "/x?", "/x"] {
            assert_eq!(check(&Method::GET, events, known), None, "{known}");
        }
        let refused = check(&Method::GET, events, "/x?limit=1&token=hdy_0").unwrap();
        assert!(refused.starts_with("token: unknown query parameter; this route takes limit, "), "{refused}");
        for secret in ["/x?hdy_0123=1", "/x?hdy_0123", "/x?EYJ=1"] {
            let refused = check(&Method::GET, events, secret).unwrap();
            assert!(refused.starts_with("the query string: ") && !refused.contains("0123"), "{refused}");
        }
        let none = check(&Method::GET, "/api/v1/auth/tokens/{id}", "/x?alias=a").unwrap();
        assert_eq!(none, "alias: unknown query parameter; this route takes no query parameters");
        assert!(check(&Method::DELETE, "/api/v1/vault", "/x?realm=a").is_some());
        assert!(check(&Method::HEAD, events, "/x?nope=1").is_some());
        for open in ["/livez", "/api/v1/ip", "/no/such/route"] {
            assert_eq!(check(&Method::GET, open, "/x?verbose=1"), None);
        }
    }
}
