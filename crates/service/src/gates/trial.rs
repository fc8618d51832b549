//! Trying a gate: what it would answer to a request, and why. Questions and decisions are the doors' own; nothing is
//! noted as a use of the credential.

use std::net::IpAddr;

use hoody_core::address::canonical_ip;
use hoody_core::extras::Label;
use hoody_core::grant::{Deny, Grant};
use hoody_core::id::{GateId, RealmId, UserId};
use hoody_core::json::Fields;
use hoody_core::permissions::Catalogues;
use hoody_core::secret::of_authorization;
use hoody_core::wire::{GateObstacle, GateTest};
use hoody_doors::ask::{Ask, Asked, What, whole};
use hoody_doors::judge::{Holder, Obstacle, explain_gate, remedy};
use hoody_doors::question::{Asks, Question};
use hoody_doors::refusal::Refusal;
use hoody_doors::subject::Original;
use hoody_doors::table::{Definition, Gate, Need};
use hoody_engine::catalogue::catalogue;
use hoody_engine::error::Error;
use hoody_engine::grants::NoGrant;

use super::Gates;
use super::holder::holder;

/// A request to try.
#[derive(Debug)]
pub struct Trial {
    method: String,
    host: Option<String>,
    path: String,
    address: Option<IpAddr>,
}

/// What the request of a trial carries.
#[derive(Debug)]
pub enum Carried<'a> {
    /// This text, whatever it is.
    Text(&'a str),
    /// The credential of this grant.
    Grant(Box<Grant>),
    /// Nothing that lets anybody in, and why.
    Nothing(Deny),
}

impl Trial {
    /// Reads the keys of a request from a body.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        let mut required = |name: &'static str| {
            let is_absent = fields.value(name).is_none();
            let text = fields.string(name).map(str::to_owned);
            if is_absent {
                fields.violate(format!("/{name}"), "is required");
            }
            text.unwrap_or_default()
        };
        let (method, path) = (required("method"), required("path"));
        let host = fields.string("host").map(str::to_owned);
        Self { method, host, path, address: address(fields, "address") }
    }

    /// What the gate would answer to the request, from `here` unless it says where it comes from.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn run(
        &self,
        gates: &Gates,
        (id, owner): (GateId, UserId),
        definition: &Definition,
        carried: Carried<'_>,
        here: IpAddr,
    ) -> Result<GateTest, Error> {
        let own = gates.access.own_catalogue().await?;
        let catalogues = Catalogues { hoody: catalogue(), own: &own };
        let gate = Gate::new(id, owner, definition, |path| catalogues.find(path));
        let host = self.host.as_deref().or(definition.hosts.first().map(String::as_str)).unwrap_or_default();
        let original = Original { method: &self.method, target: &self.path, host };
        if let Err(refusal) = original.check() {
            return Ok(refused(&refusal, None));
        }
        let ask = Ask {
            asked: Asked { what: What::Gate(id), body: true, sign: false },
            original: Some(original),
            address: self.address.unwrap_or(here),
            credential: match &carried {
                Carried::Text(text) => whole(of_authorization(text).unwrap_or(text)),
                Carried::Grant(_) => Ok(""),
                Carried::Nothing(deny) => Err(*deny),
            },
            // A browser's preflight carries no credential, and the headers that make it one.
            is_preflight: self.method == "OPTIONS" && matches!(carried, Carried::Nothing(Deny::Missing)),
        };
        let question = match ask.question(Some(&gate), |path| catalogues.find(path)) {
            Ok(question) => question,
            Err(refusal) => return Ok(refused(&refusal, None)),
        };
        if question.is_public() {
            return Ok(GateTest { allowed: true, status: 200, ..about(&question) });
        }
        let judged = match carried {
            Carried::Grant(grant) => judge_grant(gates, &question, &grant).await?,
            Carried::Text(_) | Carried::Nothing(_) => judge(gates, &question).await?,
        };
        match judged {
            Ok(holder) => Ok(GateTest {
                allowed: true,
                status: 200,
                user_id: Some(holder.account),
                token_id: holder.token,
                token_alias: Some(holder.alias.into()),
                external_id: Some(holder.external_id.into()).filter(|id: &String| !id.is_empty()),
                permissions: holder.permissions.to_str().ok().map(str::to_owned),
                ..about(&question)
            }),
            Err(obstacles) => {
                let Some(first) = obstacles.first() else {
                    return Err(Error::internal(anyhow::anyhow!("no rule")));
                };
                let told = refused(&first.refusal, Some(&question));
                Ok(GateTest { obstacles: obstacles.iter().map(obstacle).collect(), ..told })
            }
        }
    }
}

/// The address of a key.
pub fn address(fields: &mut Fields<'_>, name: &'static str) -> Option<IpAddr> {
    let address = fields.string(name)?.parse().ok().map(canonical_ip);
    if address.is_none() {
        fields.violate(fields.pointer(name), "must be an IPv4 or IPv6 address");
    }
    address
}

/// The realm of a key.
pub fn realm(fields: &mut Fields<'_>, name: &'static str) -> Option<RealmId> {
    let realm = fields.string(name)?.parse().ok();
    if realm.is_none() {
        fields.violate(fields.pointer(name), "must be 24 lower-case hex digits");
    }
    realm
}

/// Who would come in, or everything that keeps the credential out.
type Judged = Result<Holder, Vec<Obstacle>>;

async fn judge(gates: &Gates, question: &Question<'_>) -> Result<Judged, Error> {
    let access = &*gates.access;
    let one = |refusal: Refusal| vec![Obstacle { change: remedy(&refusal), refusal }];
    let text = match question.credential {
        Ok(text) => text,
        Err(deny) => return Ok(Err(one(Refusal::Denied(deny)))),
    };
    let since = access.grants.read_at();
    let found = access.grants.find(text, question.address, &access.db, &access.keys, &access.clock).await;
    let found = match found {
        Ok(found) => found,
        Err(NoGrant::Busy | NoGrant::Unavailable) => {
            return Err(Error::Unavailable("The credential cannot be checked now; try again"));
        }
        Err(none) => return Ok(Err(one(refusal_of(none)))),
    };
    let mut judged = judge_grant(gates, question, &found.grant).await?;
    if let Ok(holder) = &mut judged {
        match access.grants.label_of(&found, since, &access.db, &access.clock).await {
            Ok(label) => {
                holder.alias = label.as_ref().map_or("", Label::alias).into();
                let external_id = label.as_ref().and_then(Label::external_id);
                holder.external_id = external_id.unwrap_or_default().into();
            }
            Err(none) => return Ok(Err(one(refusal_of(none)))),
        }
    }
    Ok(judged)
}

async fn judge_grant(gates: &Gates, question: &Question<'_>, grant: &Grant) -> Result<Judged, Error> {
    let access = &*gates.access;
    let obstacles = explain_gate(grant, |leaf| grant.limits.holds(leaf), question, access.now());
    if !obstacles.is_empty() {
        return Ok(Err(obstacles));
    }
    let epoch = access.grants.catalogue_epoch();
    let own = access.own_catalogue().await?;
    Ok(Ok(holder(grant, None, gates.texts.make(epoch, &grant.limits, &own))))
}

/// Why there is nobody for a credential, as every door says it.
#[must_use]
pub fn refusal_of(none: NoGrant) -> Refusal {
    match none {
        NoGrant::Unknown => Refusal::Denied(Deny::Unknown),
        NoGrant::Revoked(..) => Refusal::Denied(Deny::Revoked),
        NoGrant::Expired => Refusal::Denied(Deny::Expired),
        NoGrant::Busy | NoGrant::Unavailable => Refusal::Unavailable,
    }
}

/// What is known of a question: its route, what that needs, and the realm.
fn about(question: &Question<'_>) -> GateTest {
    let needs = question.row().map(|row| match row.need {
        Need::Public => "public".to_owned(),
        Need::Any => "any".to_owned(),
        _ => row.scope.to_string(),
    });
    GateTest {
        route: question.row().map(|row| row.path.to_string()),
        needs: if matches!(question.asks, Asks::Nothing) { Some("public".to_owned()) } else { needs },
        realm_id: question.realm,
        ..GateTest::default()
    }
}

fn refused(refusal: &Refusal, question: Option<&Question<'_>>) -> GateTest {
    let change = remedy(refusal);
    GateTest {
        status: refusal.status(),
        code: Some(refusal.code().to_owned()),
        message: Some(refusal.message().into_owned()),
        obstacles: vec![obstacle(&Obstacle { refusal: refusal.clone(), change })],
        ..question.map(about).unwrap_or_default()
    }
}

fn obstacle(obstacle: &Obstacle) -> GateObstacle {
    GateObstacle {
        code: obstacle.refusal.code().to_owned(),
        message: obstacle.refusal.message().into_owned(),
        change: obstacle.change.clone(),
    }
}
