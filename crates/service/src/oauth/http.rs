//! OAuth's endpoints.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hoody_core::activity::Via;
use hoody_core::address::canonical_ip;
use hoody_core::extras::Label;
use hoody_core::grant::{Credential, Realms, Rule};
use hoody_core::id::RealmId;
use hoody_core::permissions::Catalogues;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::wire::Secret;
use hoody_doors::refusal::Refusal;
use hoody_doors::table::Need;
use hoody_engine::catalogue::catalogue;
use hoody_engine::error::Error;
use hoody_engine::grants::NoGrant;
use hoody_engine::web::body::FormBody;
use hoody_engine::web::caller::{AnyCaller, rule};
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};

use super::OAuth;
use super::answer::{Refused, no_store};
use super::asker::admit;
use crate::gate::presented::{Judged, Presented};
use crate::gate::verify::Introspecting;
use crate::gates::holder::paths;
use crate::tokens::changes::revoke_token;

/// For how long a service may keep a positive answer, in seconds: libraries keep it until `exp`.
const KEEP: i64 = 60;

/// Whether a token is in force, and for what (RFC 7662)
pub async fn introspect(
    State(oauth): State<Arc<OAuth>>,
    parts: Parts,
    form: Result<FormBody, Error>,
) -> Response {
    let answered = match form {
        Ok(form) => answer_introspection(&oauth, &parts, &form).await,
        Err(error) => Err(error.into()),
    };
    answered.unwrap_or_else(|refused| refused.answer(oauth.gate.realm()))
}

/// Nothing belongs in the URL: it is logged by proxies.
fn without_query(parts: &Parts) -> Result<(), Refused> {
    match parts.uri.query() {
        None | Some("") => Ok(()),
        Some(_) => Err(Refused::Request("Parameters belong in the body".to_owned())),
    }
}

async fn answer_introspection(oauth: &OAuth, parts: &Parts, form: &FormBody) -> Result<Response, Refused> {
    without_query(parts)?;
    let caller = admit(parts, form, &oauth.access, rule::<Introspecting>()?).await?;
    let began = oauth.access.clock.boot_micros();
    let own = oauth.access.own_catalogue().await?;
    let question = Question::read(&own, form)?;
    let (account, asker) = (caller.account(), caller.attempt.address);
    let presented = Presented {
        via: Via::Introspect,
        text: question.token.expose(),
        address: question.address,
        realm: question.realm,
        // Without a realm in the question, the answer says that there are some.
        in_any_realm: true,
        need: &question.need,
        scope: &question.scope,
        asked: ("POST", ""),
    };
    let judged = oauth.gate.judge_presented(account, asker, presented).await;
    let micros = (oauth.access.clock.boot_micros() - began).unsigned_abs();
    oauth.gate.tell(account, asker, presented, &judged, micros).await?;
    if matches!(judged.refusal, Some(Refusal::Unavailable)) {
        return Err(Error::Unavailable("The credential cannot be checked now; try again").into());
    }
    Ok(no_store(StatusCode::OK, &claims(oauth, &own, &judged, question.realm.is_none())))
}

struct Question {
    token: Secret,
    address: Option<IpAddr>,
    realm: Option<RealmId>,
    need: Need,
    scope: String,
}

impl Question {
    fn read(own: &OwnCatalogue, form: &FormBody) -> Result<Self, Refused> {
        let token = form.one("token").map_err(Refused::twice)?;
        let token = token.ok_or_else(|| Refused::Request("token is required".to_owned()))?.clone();
        let text = |name| form.one(name).map(|value| value.map(Secret::expose)).map_err(Refused::twice);
        let wrong = |rule: &str| Refused::Request(rule.to_owned());
        let address = text("address")?.map(|text| text.parse().map(canonical_ip)).transpose();
        let address = address.map_err(|_| wrong("address must be an IPv4 or IPv6 address"))?;
        let realm = text("realm")?.map(str::parse).transpose();
        let realm = realm.map_err(|_| wrong("realm must be 24 lower-case hex digits"))?;
        let (mut need, mut scope) = (Need::Any, String::new());
        if let Some(path) = text("permission")? {
            let found = Catalogues { hoody: catalogue(), own }.find(path);
            let found = found.ok_or_else(|| wrong("permission must be the path of a permission"))?;
            (need, scope) = (Need::One(found.permission), path.to_owned());
        }
        Ok(Self { token, address, realm, need, scope })
    }
}

/// What RFC 7662, 2.2 says of a token; nothing of one that is not good.
fn claims(oauth: &OAuth, own: &OwnCatalogue, judged: &Judged, without_realm: bool) -> Value {
    let inactive = json!({ "active": false });
    let (Some((found, label)), None) = (&judged.found, &judged.refusal) else { return inactive };
    let grant = &found.grant;
    let Some(id) = grant.credential.token() else { return inactive };
    let limits = &grant.limits;
    let now = oauth.access.now().millis() / 1_000;
    let end = limits.expires_at.map(|end| end.millis() / 1_000);
    let mut claims = json!({
        "active": true,
        "scope": paths(limits, own).join(" "),
        "client_id": id,
        "sub": grant.account,
        "jti": id,
        "token_type": "Bearer",
        "iss": oauth.access.public_url,
        "iat": now,
        "exp": end.map_or(now + KEEP, |end| end.min(now + KEEP)),
        "hoody_realms": limits.realms.listed(),
    });
    let more = [
        ("hoody_expires_at", end.map(Value::from)),
        ("hoody_alias", label.as_ref().map(|label| Value::from(label.alias()))),
        ("hoody_external_id", label.as_ref().and_then(Label::external_id).map(Value::from)),
        (
            "hoody_restricted",
            (without_realm && limits.realms != Realms::EVERYWHERE).then_some(Value::Bool(true)),
        ),
    ];
    for (name, value) in more {
        if let Some(value) = value {
            claims[name] = value;
        }
    }
    claims
}

/// Ends a token for good, and every token that descends from it (RFC 7009)
pub async fn revoke(
    State(oauth): State<Arc<OAuth>>,
    parts: Parts,
    form: Result<FormBody, Error>,
) -> Response {
    let answered = match form {
        Ok(form) => answer_revocation(&oauth, &parts, &form).await,
        Err(error) => Err(error.into()),
    };
    answered.unwrap_or_else(|refused| refused.answer(oauth.gate.realm()))
}

async fn answer_revocation(oauth: &OAuth, parts: &Parts, form: &FormBody) -> Result<Response, Refused> {
    without_query(parts)?;
    let caller = admit(parts, form, &oauth.access, Rule::ANY).await?;
    let token = form.one("token").map_err(Refused::twice)?;
    let token = token.ok_or_else(|| Refused::Request("token is required".to_owned()))?;
    if hoody_core::session::looks_like_jwt(token.expose()) {
        return Err(Refused::TokenType);
    }
    let access = &oauth.access;
    let from = caller.attempt.address;
    let found = access.grants.find(token.expose(), from, &access.db, &access.keys, &access.clock).await;
    match found {
        Ok(found) if found.grant.account == caller.account() => {
            if let Credential::Token(id) = found.grant.credential {
                revoke_one(oauth, &caller, id).await?;
            }
        }
        Err(NoGrant::Busy | NoGrant::Unavailable) => {
            return Err(Error::Unavailable("The token cannot be looked for now; try again").into());
        }
        // Nobody's, another account's, or ended before: it is not in force (RFC 7009, 2.2).
        Ok(_) | Err(_) => {}
    }
    Ok(no_store(StatusCode::OK, &json!({})))
}

async fn revoke_one(oauth: &OAuth, caller: &AnyCaller, id: hoody_core::id::TokenId) -> Result<(), Refused> {
    match revoke_token(&oauth.tokens, caller, id).await {
        // What the caller may not see, and what another request ended first, is not there for it.
        Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
        Err(error) if error.status() == StatusCode::FORBIDDEN => {
            Err(Refused::Scope("The token may not end this one"))
        }
        Err(error) => Err(error.into()),
    }
}

/// What there is for OAuth clients (RFC 8414)
pub async fn get_server_metadata(State(oauth): State<Arc<OAuth>>) -> Response {
    let issuer = &oauth.access.public_url;
    let methods = ["client_secret_basic", "client_secret_post"];
    let metadata = json!({
        "issuer": issuer,
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "revocation_endpoint_auth_methods_supported": methods,
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": [],
    });
    no_store(StatusCode::OK, &metadata)
}
