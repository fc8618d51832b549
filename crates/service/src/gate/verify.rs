//! `POST /auth/verify`: what services ask about the credentials of their customers, many in one call.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hoody_core::activity::Via;
use hoody_core::extras::Label;
use hoody_core::grant::Deny;
use hoody_core::id::{RealmId, UserId};
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::permissions::{AnyPermission, Catalogues};
use hoody_core::wire::{self, Secret, Verified};
use hoody_doors::refusal::Refusal;
use hoody_doors::table::Need;
use hoody_engine::catalogue::catalogue;
use hoody_engine::error::Error;
use hoody_engine::web::caller::needs;
use hoody_engine::web::{Answer, Caller, JsonBody};
use serde_json::Value;

use super::Gate;
use super::presented::{Judged, Presented};
use crate::gates::holder::paths as paths_of;
use crate::gates::trial::{address, realm};

needs! {
    /// Asking what a credential may do.
    Introspecting { LEAF = "resources.introspect" }
}

/// The most credentials of one call.
const MOST: usize = 1_000;
/// How many are looked for at a time.
const AT_ONCE: usize = 32;

/// What each of these credentials may do: one answer for each, in their order
#[utoipa::path(post, path = "/api/v1/auth/verify", operation_id = "verify_credentials", tag = "gate",
    request_body = wire::Verify, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<Vec<Verified>>), (status = 403, body = wire::ErrorBody),
    (status = 422, body = wire::ErrorBody)))]
pub async fn verify_credentials(
    State(gate): State<Arc<Gate>>,
    caller: Caller<Introspecting>,
    JsonBody(body): JsonBody,
) -> Result<Answer<Vec<Verified>>, Error> {
    let own = gate.access.own_catalogue().await?;
    let (items, is_dry) = parse(&body, Catalogues { hoody: catalogue(), own: &own })?;
    let (account, asker) = (caller.account(), caller.attempt.address);
    let verified = stream::iter(items).map(|item| {
        let (gate, own) = (&*gate, &*own);
        async move { item.verify(gate, own, (account, asker), is_dry).await }
    });
    let verified = verified.buffered(AT_ONCE).try_collect().await?;
    Ok(Answer::ok("Credentials verified successfully", verified).secret())
}

/// One credential to verify.
struct Item {
    reference: Option<String>,
    credential: Secret,
    need: Need,
    scope: String,
    address: Option<IpAddr>,
    realm: Option<RealmId>,
    method: String,
    route: String,
}

impl Item {
    async fn verify(
        self,
        gate: &Gate,
        own: &OwnCatalogue,
        (account, asker): (UserId, IpAddr),
        is_dry: bool,
    ) -> Result<Verified, Error> {
        let began = gate.access.clock.boot_micros();
        let presented = Presented {
            via: Via::Verify,
            text: self.credential.expose(),
            address: self.address,
            realm: self.realm,
            in_any_realm: false,
            need: &self.need,
            scope: &self.scope,
            asked: (&self.method, &self.route),
        };
        let judged = gate.judge_presented(account, asker, presented).await;
        if !is_dry {
            let micros = (gate.access.clock.boot_micros() - began).unsigned_abs();
            gate.tell(account, asker, presented, &judged, micros).await?;
        }
        shown(own, self.reference, judged)
    }
}

fn shown(own: &OwnCatalogue, reference: Option<String>, judged: Judged) -> Result<Verified, Error> {
    let Judged { found, refusal } = judged;
    let is_known = found.is_some();
    let told = refusal.as_ref().map(|refusal| match refusal {
        Refusal::Denied(Deny::Unknown) if !is_known => {
            ("NOT_FOUND".to_owned(), "This account has no such token".to_owned())
        }
        other => (other.code().to_owned(), other.message().into_owned()),
    });
    let (code, message) = told.unzip();
    let verified = Verified { reference, allowed: refusal.is_none(), code, message, ..Verified::default() };
    let Some((found, label)) = found else { return Ok(verified) };
    let grant = &found.grant;
    let Some(token) = grant.credential.token() else { return Ok(verified) };
    let meta = label.as_ref().and_then(Label::meta).map(serde_json::from_str).transpose();
    Ok(Verified {
        token_id: Some(token),
        account_id: Some(grant.account),
        alias: label.as_ref().map(|label| label.alias().to_owned()),
        external_id: label.as_ref().and_then(|label| label.external_id().map(str::to_owned)),
        meta: meta.map_err(Error::internal)?,
        permissions: Some(paths_of(&grant.limits, own).into_iter().map(str::to_owned).collect()),
        realm_ids: Some(grant.limits.realms.listed().to_vec()),
        expires_at: grant.limits.expires_at,
        ..verified
    })
}

fn parse(body: &Value, catalogues: Catalogues<'_>) -> Result<(Vec<Item>, bool), Invalid> {
    let mut fields = Fields::of_body(body)?;
    let is_dry = fields.boolean("dry").unwrap_or(false);
    let values = fields.array("credentials").unwrap_or_default();
    if !(1..=MOST).contains(&values.len()) {
        fields.violate("/credentials", format!("must have 1 to {MOST} items"));
    }
    let mut items = Vec::with_capacity(values.len().min(MOST));
    for (index, value) in values.iter().take(MOST).enumerate() {
        if let Some(item) = fields.absorb(item(value, &format!("/credentials/{index}"), catalogues)) {
            items.push(item);
        }
    }
    fields.close()?;
    Ok((items, is_dry))
}

fn item(value: &Value, at: &str, catalogues: Catalogues<'_>) -> Result<Item, Invalid> {
    let mut fields = Fields::at(value, at)?;
    let credential = fields.string("credential").map(Secret::new);
    if credential.is_none() && value.get("credential").is_none() {
        fields.violate(fields.pointer("credential"), "is required");
    }
    let reference = short(&mut fields, "ref", 255);
    let method = short(&mut fields, "method", 16).unwrap_or_default();
    let route = short(&mut fields, "route", 255).unwrap_or_default();
    if !route.is_empty() && !route.starts_with('/') {
        fields.violate(fields.pointer("route"), "must begin with /");
    }
    let (need, scope) = need(&mut fields, catalogues);
    let realm = realm(&mut fields, "realm_id");
    let address = address(&mut fields, "address");
    fields.close()?;
    let credential = credential.unwrap_or_default();
    Ok(Item { reference, credential, need, scope, address, realm, method, route })
}

/// A text of at most so many characters, none of them a control character.
fn short(fields: &mut Fields<'_>, name: &'static str, most: usize) -> Option<String> {
    let text = fields.string(name)?;
    if text.chars().count() > most || text.chars().any(char::is_control) {
        let rule = format!("must have at most {most} characters, none of them a control character");
        fields.violate(fields.pointer(name), rule);
        return None;
    }
    Some(text.to_owned())
}

/// What a credential needs, and the paths of it.
fn need(fields: &mut Fields<'_>, catalogues: Catalogues<'_>) -> (Need, String) {
    let one = fields.string("permission").map(|path| vec![path.to_owned()]);
    let any = paths(fields, "any_of");
    let all = paths(fields, "all_of");
    let given = [("permission", one), ("any_of", any), ("all_of", all)];
    let mut given = given.into_iter().filter_map(|(name, paths)| Some((name, paths?)));
    let Some((name, paths)) = given.next() else { return (Need::Any, String::new()) };
    if let Some((second, _)) = given.next() {
        fields.violate(fields.pointer(second), format!("must not be given together with {name}"));
    }
    let mut permissions: Vec<AnyPermission> = Vec::with_capacity(paths.len());
    for (index, path) in paths.iter().enumerate() {
        match catalogues.find(path) {
            Some(named) => permissions.push(named.permission),
            None => {
                let place = fields.pointer(name);
                let place = if name == "permission" { place } else { format!("{place}/{index}") };
                fields.violate(place, "must be the path of a permission, e.g. orders.read");
            }
        }
    }
    let need = match (name, permissions.first()) {
        ("permission", Some(first)) => Need::One(*first),
        ("any_of", _) => Need::AnyOf(permissions.into()),
        _ => Need::AllOf(permissions.into()),
    };
    (need, paths.join(" "))
}

/// The paths of a list; 1 to 32.
fn paths(fields: &mut Fields<'_>, name: &'static str) -> Option<Vec<String>> {
    let values = fields.array(name)?;
    let paths: Option<Vec<String>> = values.iter().map(|value| value.as_str().map(str::to_owned)).collect();
    if paths.is_none() || !(1..=32).contains(&values.len()) {
        fields.violate(fields.pointer(name), "must have 1 to 32 paths of permissions");
        return None;
    }
    paths
}
