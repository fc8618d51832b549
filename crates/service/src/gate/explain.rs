//! `POST /auth/explain`: would this be allowed, which rule decides, and what would have to change.
//!
//! A session asks about the credentials and gates of its account, a token about itself alone. A credential of another
//! account, an unknown one and what is none are told the same.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use hoody_core::explain::{Obstacle, change, explain};
use hoody_core::grant::{Attempt, Deny, Grant, Rule};
use hoody_core::id::{RealmId, TokenId};
use hoody_core::json::Fields;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::permissions::{AnyPermission, Catalogues};
use hoody_core::refusal::told;
use hoody_core::secret::of_authorization;
use hoody_core::wire::{self, Explanation, GateObstacle, GateTest};
use hoody_doors::ask::whole;
use hoody_engine::catalogue::catalogue;
use hoody_engine::error::Error;
use hoody_engine::grants::{NoGrant, store};
use hoody_engine::web::caller::{AnyCaller, ended_session, needs};
use hoody_engine::web::{Access, Answer, Caller, JsonBody};
use serde_json::Value;

use super::Gate;
use crate::gates::http::{may_manage, try_gate};
use crate::gates::trial::{Carried, Trial, address, realm};

needs! {
    /// Asking for an explanation.
    Explained {}
}

/// Would this be allowed, which rule decides, and what would have to change
#[utoipa::path(post, path = "/api/v1/auth/explain", operation_id = "explain_decision", tag = "gate",
    request_body = wire::Explain, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<Explanation>), (status = 403, body = wire::ErrorBody),
    (status = 404, body = wire::ErrorBody), (status = 422, body = wire::ErrorBody)))]
pub async fn explain_decision(
    State(gate): State<Arc<Gate>>,
    caller: Caller<Explained>,
    JsonBody(body): JsonBody,
) -> Result<Answer<Explanation>, Error> {
    let access = &gate.access;
    let own = access.own_catalogue().await?;
    let asked = Asked::parse(&body, Catalogues { hoody: catalogue(), own: &own })?;
    let told = match &asked.about {
        About::Gate(name, trial) => {
            may_manage(caller.grant())?;
            let subject = subject(access, &own, &caller, &asked.of).await?;
            let token_id = subject.as_ref().ok().and_then(token_of);
            let carried = match subject {
                Ok(grant) => Carried::Grant(Box::new(grant)),
                Err(deny) => Carried::Nothing(deny),
            };
            of_gate(try_gate(&gate.gates, &caller, name, trial, carried).await?, token_id)
        }
        About::Permission(question) => {
            let subject = subject(access, &own, &caller, &asked.of).await?;
            let attempt = Attempt {
                address: question.address.unwrap_or(caller.attempt.address),
                realm: question.realm.or(caller.attempt.realm),
                rule: Rule { permission: question.permission, ..Rule::ANY },
            };
            of_permission(&subject, &attempt, question.path.as_deref(), access)
        }
    };
    Ok(Answer::ok("Decision explained successfully", told).secret())
}

/// What is asked.
struct Asked<'a> {
    of: Of<'a>,
    about: About<'a>,
}

/// Whose credential is explained.
enum Of<'a> {
    Caller,
    /// `None`: what was sent is no id.
    Token(Option<TokenId>),
    Text(&'a str),
}

enum About<'a> {
    Gate(&'a str, Trial),
    Permission(Question),
}

struct Question {
    permission: Option<AnyPermission>,
    path: Option<String>,
    realm: Option<RealmId>,
    address: Option<IpAddr>,
}

impl<'a> Asked<'a> {
    fn parse(body: &'a Value, catalogues: Catalogues<'_>) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let (id, text) = (fields.string("token_id"), fields.string("credential"));
        let of = match (id, text) {
            (None, None) => Of::Caller,
            (Some(id), None) => Of::Token(id.parse().ok()),
            (None, Some(text)) => Of::Text(text),
            (Some(_), Some(_)) => {
                fields.violate("/credential", "must not be given together with token_id");
                Of::Caller
            }
        };
        let about = match fields.string("gate") {
            Some(name) => About::Gate(name, Trial::read(&mut fields)),
            None => About::Permission(Question::read(&mut fields, catalogues)),
        };
        fields.close()?;
        Ok(Self { of, about })
    }
}

impl Question {
    fn read(fields: &mut Fields<'_>, catalogues: Catalogues<'_>) -> Self {
        for name in ["method", "host", "path"] {
            if fields.value(name).is_some() {
                fields.violate(format!("/{name}"), "must be given together with gate");
            }
        }
        let path = fields.string("permission").map(str::to_owned);
        let permission = path.as_deref().and_then(|path| catalogues.find(path)).map(|named| named.permission);
        if path.is_some() && permission.is_none() {
            fields.violate("/permission", "must be the path of a permission, e.g. projects.read");
        }
        Self { permission, path, realm: realm(fields, "realm_id"), address: address(fields, "address") }
    }
}

/// The grant to explain, or why there is none for this caller.
async fn subject(
    access: &Access,
    own: &OwnCatalogue,
    caller: &AnyCaller,
    of: &Of<'_>,
) -> Result<Result<Grant, Deny>, Error> {
    match of {
        Of::Caller => Ok(Ok(caller.grant().clone())),
        Of::Token(id) => by_id(access, own, caller, *id).await.map(Ok),
        Of::Text(text) => by_text(access, caller, text).await,
    }
}

/// Whether the caller may be told of this grant.
fn is_told(caller: &AnyCaller, grant: &Grant) -> bool {
    let own = caller.grant();
    grant.account == own.account && (caller.token().is_none() || grant.credential == own.credential)
}

async fn by_id(
    access: &Access,
    own: &OwnCatalogue,
    caller: &AnyCaller,
    id: Option<TokenId>,
) -> Result<Grant, Error> {
    const NOT_FOUND: Error = Error::NotFound { code: "TOKEN_NOT_FOUND", message: "Auth token not found" };
    let id = id.ok_or(NOT_FOUND)?;
    let grant = store::find_token_by_id(&access.db, id, own).await?;
    grant.filter(|grant| is_told(caller, grant)).ok_or(NOT_FOUND)
}

async fn by_text(access: &Access, caller: &AnyCaller, text: &str) -> Result<Result<Grant, Deny>, Error> {
    let Ok(text) = whole(of_authorization(text).unwrap_or(text)) else { return Ok(Err(Deny::Unknown)) };
    let from = caller.attempt.address;
    let found = access.grants.find(text, from, &access.db, &access.keys, &access.clock).await;
    let is_own = |account| account == caller.account() && caller.token().is_none();
    Ok(match found {
        Ok(found) if is_told(caller, &found.grant) => Ok(found.grant),
        Err(NoGrant::Revoked(account, _)) if is_own(account) => Err(Deny::Revoked),
        Err(NoGrant::Expired) if ended_session(text, access).is_some_and(|(account, _)| is_own(account)) => {
            Err(Deny::Expired)
        }
        Err(NoGrant::Busy | NoGrant::Unavailable) => {
            return Err(Error::Unavailable("The credential cannot be checked now; try again"));
        }
        Ok(_) | Err(_) => Err(Deny::Unknown),
    })
}

fn token_of(grant: &Grant) -> Option<TokenId> {
    grant.credential.token()
}

fn of_gate(test: GateTest, token_id: Option<TokenId>) -> Explanation {
    Explanation {
        allowed: test.allowed,
        status: test.status,
        code: test.code,
        message: test.message,
        token_id,
        needs: test.needs,
        realm_id: test.realm_id,
        route: test.route,
        obstacles: test.obstacles,
    }
}

fn of_permission(
    subject: &Result<Grant, Deny>,
    attempt: &Attempt,
    path: Option<&str>,
    access: &Access,
) -> Explanation {
    let path_of =
        |deny: &Deny| matches!(deny, Deny::Permission(_)).then(|| path.map(str::to_owned)).flatten();
    let obstacles = match subject {
        Ok(grant) => explain(grant, attempt, access.now(), path_of),
        Err(deny) => vec![Obstacle { deny: *deny, change: change(deny, None) }],
    };
    let refusal = obstacles.first().map(|first| told(first.deny, path));
    Explanation {
        allowed: refusal.is_none(),
        status: refusal.as_ref().map_or(204, |refusal| refusal.status),
        code: refusal.as_ref().map(|refusal| refusal.code.to_owned()),
        message: refusal.map(|refusal| refusal.message),
        token_id: subject.as_ref().ok().and_then(token_of),
        needs: path.map(str::to_owned),
        realm_id: attempt.realm,
        route: None,
        obstacles: obstacles.into_iter().map(|obstacle| shown(obstacle, path)).collect(),
    }
}

fn shown(obstacle: Obstacle, path: Option<&str>) -> GateObstacle {
    let told = told(obstacle.deny, path);
    GateObstacle { code: told.code.to_owned(), message: told.message, change: obstacle.change }
}
