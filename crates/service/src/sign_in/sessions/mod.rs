//! Sessions of people: signing in, refreshing, signing out.
//!
//! A session is a row with a sequence number; the pair of tokens that is in force is a function of that
//! row. Refreshing raises the number with one conditional UPDATE; whoever loses that race within a
//! minute gets the same pair again, and a number from further back ends the session.

pub mod http;
pub mod login;
pub mod store;

use std::net::IpAddr;

use hoody_core::session::{ACCESS_LIFETIME, Kind, REFRESH_LIFETIME, Rotation};
use hoody_core::time::SECOND;
use hoody_core::wire;

use crate::history::{self, Event};
use crate::sign_in::SignIn;
use crate::users::User;
use hoody_engine::error::Error;
use hoody_engine::feed::{Change, Mutation};
use hoody_engine::keys::Keys;

/// What clients may call themselves; anything else is noted as unknown.
const CLIENTS: [&str; 6] = ["web", "ssh", "webssh", "cli", "sdk", "agent"];

/// What a client's name for itself is noted as.
pub fn client_name(given: Option<&str>) -> &'static str {
    CLIENTS.into_iter().find(|known| Some(*known) == given).unwrap_or("unknown")
}

/// Opens a session of `user`, who has just signed in, in the mutation, which must hold the account's lock,
/// and says all that a login says. Good only once the mutation is committed.
pub async fn open(
    sign_in: &SignIn,
    mutation: &mut Mutation,
    user: User,
    client: &'static str,
    address: IpAddr,
    second_factor: Option<&'static str>,
) -> Result<wire::LoginData, Error> {
    let account = user.id;
    mutation.address = Some(address);
    let opened = open_in_place(sign_in, mutation, user, client, address, second_factor).await?;
    // Last: the addresses in the answer are those of before.
    sign_in.history.record(mutation, account, Event::Login, Some(client)).await?;
    Ok(opened)
}

/// As [`open`], for somebody whose session was ended by what it did: nobody signed in.
pub async fn open_in_place(
    sign_in: &SignIn,
    mutation: &mut Mutation,
    user: User,
    client: &'static str,
    address: IpAddr,
    second_factor: Option<&'static str>,
) -> Result<wire::LoginData, Error> {
    let rotation = begin(sign_in, mutation, &user, client, address, second_factor).await?;
    let recent_login_ips = history::store::list_recent_addresses(&mut mutation.tx, user.id).await?;
    let auth_token_count = store::count_active_tokens(&mut mutation.tx, user.id, mutation.now).await?;
    let pair = sign_pair(&sign_in.keys, &rotation);
    Ok(wire::LoginData {
        token: pair.token,
        refresh_token: pair.refresh_token,
        expires_at: pair.expires_at,
        expires_in: pair.expires_in,
        refresh_expires_at: pair.refresh_expires_at,
        refresh_expires_in: pair.refresh_expires_in,
        user: user.shown(),
        client_ip: Some(address.to_string()),
        recent_login_ips,
        auth_token_count,
        server: None,
        project: None,
        container: None,
    })
}

/// Writes the row of a new session of `user` and tells of it; signs nothing. The mutation must hold the
/// account's lock.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    sign_in: &SignIn,
    mutation: &mut Mutation,
    user: &User,
    client: &'static str,
    address: IpAddr,
    second_factor: Option<&'static str>,
) -> Result<Rotation, Error> {
    let rotation = Rotation {
        account: user.id,
        session: sign_in.clock.new_id(),
        generation: user.generation,
        seq: 0,
        rotated_at: mutation.now,
    };
    let ip = address.to_string();
    // Read before a pair is signed: a key that comes into force in between only makes it younger.
    let key = sign_in.keys.in_force();
    store::insert_session(&mut mutation.tx, &rotation, client, &ip, key).await?;
    let mut payload = serde_json::json!({ "ip_address": ip, "client": client });
    if let Some(method) = second_factor {
        payload["second_factor"] = method.into();
    }
    mutation.tell(Change::new("session.created", user.id, "session", rotation.session).with(payload));
    Ok(rotation)
}

/// The pair of tokens that is in force for a session in this state.
pub fn sign_pair(keys: &Keys, rotation: &Rotation) -> wire::RefreshData {
    let key = &keys.sessions()[0];
    let access = rotation.claims(Kind::Access);
    let refresh = rotation.claims(Kind::Refresh);
    let at = |seconds: i64| hoody_core::time::Timestamp::from_millis(seconds * SECOND);
    wire::RefreshData {
        token: key.sign(&access).expose().into(),
        refresh_token: key.sign(&refresh).expose().into(),
        expires_at: Some(at(access.exp)),
        expires_in: Some(ACCESS_LIFETIME.unsigned_abs() / SECOND.unsigned_abs()),
        refresh_expires_at: Some(at(refresh.exp)),
        refresh_expires_in: Some(REFRESH_LIFETIME.unsigned_abs() / SECOND.unsigned_abs()),
    }
}
