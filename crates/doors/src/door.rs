//! The door over HTTP: `/gate/auth`, from the head of a request to the answer.

use std::net::IpAddr;

use bytes::Bytes;
use hoody_core::address::TrustedProxies;
use http::{HeaderMap, Response};

use crate::answer::{allowed, identity, refused};
use crate::ask::{Ask, Asked, What};
use crate::identity::sign;
use crate::judge::{Judge, Passed};
use crate::question::Question;
use crate::refusal::Refusal;
use crate::table::Gate;

/// What a door knows of the server.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// The public URL of hoody: who issues identities.
    pub issuer: &'a str,
    /// Its host: the realm of challenges.
    pub realm: &'a str,
    /// The proxies whose headers are believed.
    pub trusted: &'a TrustedProxies,
}

/// Whom the question let in, as headers; with the signed identity, where it was asked for.
pub(crate) type Identity = (HeaderMap, Option<http::HeaderValue>);

/// Answers a request to `/gate/auth`, of any method.
pub async fn answer<J: Judge>(
    judge: &J,
    server: Server<'_>,
    peer: IpAddr,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Response<Bytes> {
    // Told without a body where the URL can be read so far.
    let body = Asked::of_query(query).map_or(true, |asked| asked.body);
    let ask = match Ask::of_http(peer, server.trusted, headers, query) {
        Ok(ask) => ask,
        Err(refusal) => {
            judge.passed(Passed::default(), Some(&refusal));
            return refused(&refusal, server.realm, None, body);
        }
    };
    match decided(judge, server.issuer, &ask).await {
        Ok((identity, signed)) => allowed(identity, signed),
        Err((refusal, resource)) => refused(&refusal, server.realm, resource.as_deref(), body),
    }
}

/// Decides about a question from any door. A refusal comes with the host of the gate's OAuth metadata.
pub(crate) async fn decided<J: Judge>(
    judge: &J,
    issuer: &str,
    ask: &Ask<'_>,
) -> Result<Identity, (Refusal, Option<Box<str>>)> {
    let gate = match ask.asked.what {
        What::Token { .. } => None,
        What::Gate(id) => {
            let gate = judge.gate(id).await.and_then(|gate| gate.ok_or(Refusal::UnknownGate));
            Some(gate.map_err(|refusal| {
                judge.passed(Passed { ask: Some(ask), ..Passed::default() }, Some(&refusal));
                (refusal, None)
            })?)
        }
    };
    let gate: Option<&Gate> = gate.as_deref();
    let found = decide_found(judge, issuer, ask, gate).await;
    found.map_err(|refusal| (refusal, gate.and_then(|gate| gate.resource.clone())))
}

async fn decide_found<J: Judge>(
    judge: &J,
    issuer: &str,
    ask: &Ask<'_>,
    gate: Option<&Gate>,
) -> Result<Identity, Refusal> {
    let about = Passed { ask: Some(ask), gate, question: None };
    let question = ask.question(gate, |path| judge.find(path)).inspect_err(|refusal| {
        judge.passed(about, Some(refusal));
    })?;
    let about = Passed { question: Some(&question), ..about };
    let signer = match question.sign {
        false => None,
        true => Some(judge.signer().ok_or(Refusal::Config(NO_KEY)).inspect_err(|refusal| {
            judge.passed(about, Some(refusal));
        })?),
    };
    let holder = match question.is_public() {
        true => {
            judge.passed(about, None);
            None
        }
        false => Some(judge.judge(&question).await?),
    };
    let Question { realm, original, .. } = question;
    // Nobody is in no realm.
    let realm = holder.as_ref().and(realm);
    let signed = signer.map(|signer| sign(signer, issuer, holder.as_ref(), realm, original, judge.now()));
    Ok((identity(holder.as_ref(), realm), signed))
}

const NO_KEY: &str = "the gate asks for a signed identity, and the server has no signing key";

#[cfg(test)]
pub(crate) mod tests;
