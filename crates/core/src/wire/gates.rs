//! Gates: what a proxy asks before it lets a request through to another service.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Secret;
use crate::id::{GateId, RealmId, TokenId, UserId};
use crate::time::Timestamp;

/// A gate in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GateSummary {
    /// Its id, which the proxy's URL names.
    pub id: GateId,
    /// What its owner calls it.
    pub name: String,
    /// The hosts that it answers for.
    pub hosts: Vec<String>,
    /// `none`, a realm id, or `{realm}.` before a host name.
    pub realm: String,
    /// How many routes it has.
    pub routes: u64,
    /// The URL that the proxy asks.
    pub url: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A gate with its definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gate {
    /// Its id, which the proxy's URL names.
    pub id: GateId,
    /// What its owner calls it.
    pub name: String,
    /// The URL that the proxy asks.
    pub url: String,
    /// The gate as it was set.
    #[cfg_attr(feature = "openapi", schema(value_type = GateDefinition))]
    pub definition: Value,
    /// Routes that are valid but may be a mistake, one sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a gate decides by. A request that no route matches is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GateDefinition {
    /// 1 to 64 lower-case letters, digits, hyphens and underscores. Optional in requests, whose path has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The hosts that clients use, without port.
    pub hosts: Vec<String>,
    /// `none` (default), a realm id, or `{realm}.` before a host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// What the proxy takes off the path behind the gate. For explanations only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip: Option<String>,
    /// `pass` lets a browser's preflight requests through; `check` (default) does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<String>,
    /// `fold` for services that ignore case in paths; `exact` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// What the request log keeps: `route` (default) is the route's pattern, `path` the client's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Whose tokens come in: `own` (default), `any`, or a list of account ids besides the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Value>,
    /// Whether sessions come in; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<bool>,
    /// Whether every answer carries a signed identity; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign: Option<bool>,
    /// Whether refusals name OAuth metadata of the first host; false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<bool>,
    /// The routes, at most 1,000. The most literal pattern decides.
    #[serde(default)]
    pub route: Vec<GateRoute>,
}

/// A route of a gate. It has exactly one of `public`, `any`, `permission`, `any_of` and `all_of`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GateRoute {
    /// The methods; all if left out. GET includes HEAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// The pattern: literal segments, `{name}` for one segment, and a last `**`.
    pub path: String,
    /// True if no credential is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    /// True if any credential that the gate accepts comes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any: Option<bool>,
    /// The permission that is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// Permissions of which one is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any_of: Option<Vec<String>>,
    /// Permissions that are all needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_of: Option<Vec<String>>,
    /// `opaque` lets what `**` matches hold `%2F`, `;` and `//`; `canonical` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<String>,
    /// As the gate's, for this route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// What one request takes of the token's limits; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u32>,
}

/// A request to try at a gate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestGate {
    /// Its method.
    pub method: String,
    /// Its host, without port; the gate's first unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its path as the client sends it, with or without a query.
    pub path: String,
    /// The token or session that it carries; none unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Secret>,
    /// Where the client is; where this request comes from unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// What a gate would answer, and why. Nothing is logged as a use of the credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GateTest {
    /// Whether the request would come in.
    pub allowed: bool,
    /// The status of the answer.
    pub status: u16,
    /// The code of the refusal.
    #[serde(default)]
    pub code: Option<String>,
    /// The refusal, for people.
    #[serde(default)]
    pub message: Option<String>,
    /// The pattern of the route that decides.
    #[serde(default)]
    pub route: Option<String>,
    /// What that route needs: `public`, `any`, or permissions joined by spaces.
    #[serde(default)]
    pub needs: Option<String>,
    /// The realm that the request is in.
    #[serde(default)]
    pub realm_id: Option<RealmId>,
    /// `X-Hoody-User-Id`, if the request would come in with a credential.
    #[serde(default)]
    pub user_id: Option<UserId>,
    /// `X-Hoody-Token-Id`.
    #[serde(default)]
    pub token_id: Option<TokenId>,
    /// The token's alias, before it is encoded for `X-Hoody-Token-Alias`.
    #[serde(default)]
    pub token_alias: Option<String>,
    /// What the service calls the one whom the token is for.
    #[serde(default)]
    pub external_id: Option<String>,
    /// `X-Hoody-Permissions`.
    #[serde(default)]
    pub permissions: Option<String>,
    /// Everything that keeps the request out, in the order of the decision.
    #[serde(default)]
    pub obstacles: Vec<GateObstacle>,
}

/// One rule that keeps a request out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GateObstacle {
    /// Its code.
    pub code: String,
    /// The rule, for people.
    pub message: String,
    /// What to change.
    pub change: String,
}

/// What to explain: a permission, or a request at a gate; of the caller, or of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explain {
    /// The token to explain, by its id; the caller's own credential unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    /// The token or session to explain, by its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Secret>,
    /// The permission that is asked for, e.g. `orders.read`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// The realm that is asked in; the one of this request unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm_id: Option<RealmId>,
    /// Where the client is; where this request comes from unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The gate that is asked, by its name, with `method` and `path` of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// The request's method at the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The request's host at the gate, without port; the gate's first unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The request's path at the gate, as the client sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Whether it would be allowed, and everything that stands against it. Nothing is noted as a use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explanation {
    /// Whether it would be allowed.
    pub allowed: bool,
    /// The status of the answer: of `GET /auth/check`, or of the gate.
    pub status: u16,
    /// The code of the refusal.
    #[serde(default)]
    pub code: Option<String>,
    /// The refusal, for people.
    #[serde(default)]
    pub message: Option<String>,
    /// The token that is explained.
    #[serde(default)]
    pub token_id: Option<TokenId>,
    /// What is needed: a permission; at a gate also `public` or `any`.
    #[serde(default)]
    pub needs: Option<String>,
    /// The realm that is asked in.
    #[serde(default)]
    pub realm_id: Option<RealmId>,
    /// The pattern of the route that decides at the gate.
    #[serde(default)]
    pub route: Option<String>,
    /// Everything that stands against it, in the order of the decision: the first decides.
    #[serde(default)]
    pub obstacles: Vec<GateObstacle>,
}
