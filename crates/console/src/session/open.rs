//! A session begins: after a password, and a second factor where there is one.

use std::net::IpAddr;

use hoody_core::id::SessionId;
use hoody_core::one_time::{OneTimeSecret, Purpose};
use hoody_engine::clock::entropy;
use hoody_engine::error::Error;
use hoody_engine::feed::Mutation;
use hoody_service::history::Event;
use hoody_service::sign_in::sessions;
use hoody_service::users::User;
use http::{HeaderMap, header};

use super::cookie::Jar;
use super::store;
use crate::Console;

/// The most characters of a browser's name that are kept.
const AGENT: usize = 200;

/// What signing in needs of the request.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) address: IpAddr,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) jar: &'a Jar,
    /// How the second factor was given, if it was.
    pub(crate) second_factor: Option<&'static str>,
}

/// Begins a session of `user`, whose lock the mutation holds, and has its cookie set. Commits; the session.
///
/// # Errors
/// When the database fails.
pub(crate) async fn open(
    console: &Console,
    mut mutation: Mutation,
    user: &User,
    opened: Opened<'_>,
) -> Result<SessionId, Error> {
    let Opened { address, headers, jar, second_factor } = opened;
    mutation.address = Some(address);
    let sign_in = &console.sign_in;
    let rotation = sessions::begin(sign_in, &mut mutation, user, "web", address, second_factor).await?;
    let cookie = OneTimeSecret::from_bytes(entropy());
    let digest = console.keys.one_time_digest(Purpose::ConsoleCookie, cookie.expose());
    let now = mutation.now;
    store::insert(&mut mutation.tx, rotation.session, &digest, now, agent(headers)).await?;
    console.history.record(&mut mutation, user.id, Event::Login, Some("web")).await?;
    mutation.commit().await?;
    jar.set(console.is_plain(), &cookie);
    Ok(rotation.session)
}

/// What the browser calls itself, without what a database or a page stumbles over.
fn agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    let text: String = text.chars().filter(|c| !c.is_control()).take(AGENT).collect();
    (!text.is_empty()).then_some(text)
}
