//! The endpoints of gates: for sessions, and for tokens with `resources.gates`.

use std::sync::Arc;

use axum::extract::State;
use hoody_core::grant::{Deny, Grant};
use hoody_core::id::GateId;
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::permissions::Catalogues;
use hoody_core::wire;
use hoody_doors::table::{Definition, MAX_GATES, lint};
use hoody_engine::catalogue::catalogue;
use hoody_engine::error::Error;
use hoody_engine::feed::Change;
use hoody_engine::grants::Forget;
use hoody_engine::web::body::NoBody;
use hoody_engine::web::caller::{AnyCaller, Needs as _, needs, rule};
use hoody_engine::web::path::TextPath;
use hoody_engine::web::{Answer, Caller, JsonBody};
use hoody_engine::work;
use serde_json::{Value, json};

use super::trial::{Carried, Trial};
use super::{GateRow, Gates, Listed, reaches, read_definition, store};

needs! {
    /// Seeing, setting, deleting and trying gates.
    GatesManage { LEAF = "resources.gates" }
}

const NOT_FOUND: Error = Error::NotFound { code: "GATE_NOT_FOUND", message: "Gate not found" };

/// The account's gates, by name
#[utoipa::path(get, path = "/api/v1/gates", operation_id = "list_gates", tag = "gates",
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<Vec<wire::GateSummary>>),
    (status = 403, body = wire::ErrorBody)))]
pub async fn list_gates(
    State(gates): State<Arc<Gates>>,
    caller: Caller<GatesManage>,
) -> Result<Answer<Vec<wire::GateSummary>>, Error> {
    let mut listed = store::list(&gates.db, caller.account()).await?;
    let all = listed.len();
    listed.retain(|gate| reaches(caller.grant(), &gate.realm));
    let is_truncated = listed.len() < all;
    let shown = listed.into_iter().map(|gate| {
        let url = gates.url(gate.id);
        gate.shown(url)
    });
    Ok(Answer::ok("Gates retrieved successfully", shown.collect()).truncated(is_truncated))
}

/// One gate, as it was set
#[utoipa::path(get, path = "/api/v1/gates/{name}", operation_id = "get_gate", tag = "gates",
    params(("name" = String, Path, description = "What the gate is called")), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::Gate>), (status = 404, body = wire::ErrorBody)))]
pub async fn get_gate(
    State(gates): State<Arc<Gates>>,
    caller: Caller<GatesManage>,
    TextPath(name): TextPath,
) -> Result<Answer<wire::Gate>, Error> {
    let row = find(&gates, &caller, &name).await?;
    let (created_at, updated_at) = (row.created_at, row.updated_at);
    let definition = read_definition(row.definition).await?;
    let listed = Listed::of(row.id, &definition, (created_at, updated_at));
    let checked = Checked::of(&gates, definition, false).await?;
    Ok(Answer::ok("Gate retrieved successfully", checked.shown(&gates, listed)))
}

/// Sets the gate of this name, whole; a new one where there is none
#[utoipa::path(put, path = "/api/v1/gates/{name}", operation_id = "set_gate", tag = "gates",
    params(("name" = String, Path, description = "1 to 64 lower-case letters, digits, hyphens and underscores")),
    request_body = wire::GateDefinition, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::Gate>), (status = 201, body = wire::Envelope<wire::Gate>),
    (status = 403, body = wire::ErrorBody), (status = 409, body = wire::ErrorBody),
    (status = 422, body = wire::ErrorBody)))]
pub async fn set_gate(
    State(gates): State<Arc<Gates>>,
    caller: Caller<GatesManage>,
    TextPath(name): TextPath,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::Gate>, Error> {
    let definition = parse(name, body).await?;
    let checked = Checked::of(&gates, definition, true).await?;
    let definition = &checked.definition;
    let (mut mutation, grant) = gates.feed.begin(&caller).await?;
    let account = grant.account;
    let before = store::find(&mut mutation.tx, account, &definition.name).await?;
    let id = before.as_ref().map_or_else(|| gates.clock.new_id(), |row| row.id);
    let created_at = before.as_ref().map_or(mutation.now, |row| row.created_at);
    let listed = Listed::of(id, definition, (created_at, mutation.now));
    judge(&grant, before.as_ref(), &listed)?;
    let event = match before {
        Some(_) => {
            store::update(&mut mutation.tx, &listed, &checked.stored).await?;
            "gate.updated"
        }
        None => {
            let most = i64::try_from(MAX_GATES).unwrap_or(i64::MAX);
            if store::count(&mut mutation.tx, account).await? >= most {
                let message = format!("An account has at most {MAX_GATES} gates; delete one first");
                return Err(Error::Conflict { code: "LIMIT_REACHED", message });
            }
            store::insert(&mut mutation.tx, (id, account), &listed, &checked.stored).await?;
            "gate.created"
        }
    };
    mutation.tell(told(event, &grant, id, &listed.name));
    mutation.commit().await?;
    let is_new = event == "gate.created";
    let shown = checked.shown(&gates, listed);
    Ok(if is_new {
        Answer::created("Gate created successfully", shown)
    } else {
        Answer::ok("Gate updated successfully", shown)
    })
}

/// Deletes a gate; proxies that name it let nobody in
#[utoipa::path(delete, path = "/api/v1/gates/{name}", operation_id = "delete_gate", tag = "gates",
    params(("name" = String, Path, description = "What the gate is called")), security(("bearer" = [])),
    responses((status = 200, body = hoody_engine::web::envelope::Done), (status = 404, body = wire::ErrorBody)))]
pub async fn delete_gate(
    State(gates): State<Arc<Gates>>,
    caller: Caller<GatesManage>,
    TextPath(name): TextPath,
    _: NoBody,
) -> Result<Answer<()>, Error> {
    let (mut mutation, grant) = gates.feed.begin(&caller).await?;
    let row = store::find(&mut mutation.tx, grant.account, &name).await?;
    let row = row.filter(|row| reaches(&grant, &row.realm)).ok_or(NOT_FOUND)?;
    if !store::delete(&mut mutation.tx, row.id).await? {
        return Err(NOT_FOUND);
    }
    mutation.tell(told("gate.deleted", &grant, row.id, &name));
    mutation.commit().await?;
    Ok(Answer::ok("Gate deleted successfully", ()))
}

/// What a gate would answer to a request, and why
#[utoipa::path(post, path = "/api/v1/gates/{name}/test", operation_id = "test_gate", tag = "gates",
    params(("name" = String, Path, description = "What the gate is called")), request_body = wire::TestGate,
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::GateTest>),
    (status = 404, body = wire::ErrorBody), (status = 422, body = wire::ErrorBody)))]
pub async fn test_gate(
    State(gates): State<Arc<Gates>>,
    caller: Caller<GatesManage>,
    TextPath(name): TextPath,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::GateTest>, Error> {
    let mut fields = Fields::of_body(&body)?;
    let trial = Trial::read(&mut fields);
    let carried = fields.string("credential").map_or(Carried::Nothing(Deny::Missing), Carried::Text);
    fields.close()?;
    let told = try_gate(&gates, &caller, &name, &trial, carried).await?;
    Ok(Answer::ok("Gate tested successfully", told).secret())
}

/// Whether this credential manages gates.
///
/// # Errors
/// 403 for a token without `resources.gates`.
pub fn may_manage(grant: &Grant) -> Result<(), Error> {
    match rule::<GatesManage>()?.permission {
        Some(leaf) if !grant.limits.holds(leaf) => {
            Err(Error::Denied(Deny::Permission(leaf), GatesManage::LEAF.map(str::to_owned)))
        }
        _ => Ok(()),
    }
}

/// What the gate of this name would answer to a request.
///
/// # Errors
/// 404 when the caller reaches no such gate.
pub async fn try_gate(
    gates: &Gates,
    caller: &AnyCaller,
    name: &str,
    trial: &Trial,
    carried: Carried<'_>,
) -> Result<wire::GateTest, Error> {
    let row = find(gates, caller, name).await?;
    let (id, owner) = (row.id, row.owner);
    let definition = read_definition(row.definition).await?;
    trial.run(gates, (id, owner), &definition, carried, caller.attempt.address).await
}

/// A definition that may be stored.
struct Checked {
    definition: Definition,
    /// JSON; empty where nothing is to be stored.
    stored: String,
    warnings: Vec<String>,
}

impl Checked {
    /// The warnings about a definition. One that `is_new` must name only permissions that there are.
    async fn of(gates: &Gates, definition: Definition, is_new: bool) -> Result<Self, Error> {
        let own = gates.access.own_catalogue().await?;
        let size = size_of_work(&definition);
        let check = move || {
            let catalogues = Catalogues { hoody: catalogue(), own: &own };
            let find = |path: &str| catalogues.find(path);
            if is_new {
                definition.check(find)?;
            }
            let warnings = lint(&definition, find).iter().map(ToString::to_string).collect();
            let stored = if is_new { definition.to_json().to_string() } else { String::new() };
            Ok::<_, Invalid>(Self { definition, stored, warnings })
        };
        Ok(work::run(size, check).await??)
    }

    fn shown(&self, gates: &Gates, listed: Listed) -> wire::Gate {
        wire::Gate {
            id: listed.id,
            name: listed.name,
            url: gates.url(listed.id),
            definition: self.definition.to_json(),
            warnings: self.warnings.clone(),
            created_at: listed.created_at,
            updated_at: listed.updated_at,
        }
    }
}

/// About how many bytes of reading the work on a definition is like: its rows are compared with each other.
fn size_of_work(definition: &Definition) -> usize {
    definition.routes.len().pow(2)
}

/// The gate of this name, if the caller reaches it.
async fn find(gates: &Gates, caller: &AnyCaller, name: &str) -> Result<GateRow, Error> {
    let row = store::find(&gates.db, caller.account(), name).await?;
    row.filter(|row| reaches(caller.grant(), &row.realm)).ok_or(NOT_FOUND)
}

/// The definition in a body. The path has its name; a body that has one too must say the same.
async fn parse(name: String, mut body: Value) -> Result<Definition, Error> {
    if let Some(fields) = body.as_object_mut() {
        let named = fields.entry("name").or_insert_with(|| json!(name));
        if named.as_str().is_some_and(|named| named != name) {
            return Err(Invalid::schema("/name", "must be the name in the URL").into());
        }
    }
    let rows = body.get("route").and_then(Value::as_array).map_or(0, Vec::len);
    Ok(work::run(rows.saturating_mul(rows), move || Definition::parse(&body)).await??)
}

/// Whether a credential may make `after` of `before`.
fn judge(grant: &Grant, before: Option<&GateRow>, after: &Listed) -> Result<(), Error> {
    let reaches_both = reaches(grant, &after.realm) && before.is_none_or(|row| reaches(grant, &row.realm));
    if reaches_both {
        return Ok(());
    }
    let message = "Insufficient permissions: a token that is bound to realms sets only gates whose realm is one of \
                   these; name it in the gate's realm";
    Err(Error::Forbidden { code: "INSUFFICIENT_PERMISSIONS", message: message.to_owned() })
}

fn told(event: &'static str, grant: &Grant, id: GateId, name: &str) -> Change {
    let change = Change::new(event, grant.account, "gate", id).with(json!({ "name": name }));
    change.forgetting(Forget::Gate(id))
}
