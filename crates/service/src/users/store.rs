//! The statements on `users`.

use hoody_core::id::UserId;
use hoody_core::names::fold;
use hoody_core::time::Timestamp;

use super::password::PasswordHash;
use super::{NewUser, User};
use hoody_engine::db::{DbError, On, Row, Tx, args};

macro_rules! user {
    ($filter:literal) => {
        concat!(
            "SELECT id, username, email, alias, public_key, metadata, password_hash, email_verified, \
             is_banned, generation, created_at, updated_at, signup_method FROM users ",
            $filter
        )
    };
}
const BY_ID: &str = user!("WHERE id = $1");
const BY_USERNAME: &str = user!("WHERE username = $1");
const BY_EMAIL: &str = user!("WHERE email_fold = $1");
const ALL: &str = user!("ORDER BY created_at, id LIMIT 10000");
const FIRST: &str = "SELECT id FROM users ORDER BY created_at, id LIMIT 1";
const COUNT: &str = "SELECT COUNT(*) AS n FROM (SELECT 1 FROM users LIMIT 1) AS some_users";
const INSERT: &str = "INSERT INTO users (id, username, username_fold, email, email_fold, alias, password_hash, \
     email_verified, is_banned, generation, version, created_at, updated_at, signup_method) \
     VALUES ($1, $2, $3, $4, $5, $2, $6, $8, FALSE, 0, 0, $7, $7, $9) ON CONFLICT DO NOTHING RETURNING id";
const PROFILE: &str =
    "UPDATE users SET alias = $2, public_key = $3, metadata = $4, updated_at = $5 WHERE id = $1";
const PASSWORD: &str = "UPDATE users SET password_hash = $2, generation = generation + 1, updated_at = $3 \
     WHERE id = $1 AND password_hash = $4";
const SET_PASSWORD: &str =
    "UPDATE users SET password_hash = $2, generation = generation + 1, updated_at = $3 WHERE id = $1";
const REHASH: &str = "UPDATE users SET password_hash = $2 WHERE id = $1 AND password_hash = $3";
const VERIFIED: &str = "UPDATE users SET email_verified = TRUE, updated_at = $2 WHERE id = $1";
const GENERATION: &str = "UPDATE users SET generation = generation + 1 WHERE id = $1";
const BAN: &str = "UPDATE users SET is_banned = $2, updated_at = $3 WHERE id = $1";

pub async fn find_user(on: impl Into<On<'_>>, id: UserId) -> Result<Option<User>, DbError> {
    on.into().find(BY_ID, args![id]).await?.map(|row| read(&row)).transpose()
}

/// By the exact username.
pub async fn find_by_username(on: impl Into<On<'_>>, username: &str) -> Result<Option<User>, DbError> {
    on.into().find(BY_USERNAME, args![username]).await?.map(|row| read(&row)).transpose()
}

/// By the folded e-mail address.
pub async fn find_by_email(on: impl Into<On<'_>>, email: &str) -> Result<Option<User>, DbError> {
    on.into().find(BY_EMAIL, args![fold(email)]).await?.map(|row| read(&row)).transpose()
}

pub async fn list_users(on: impl Into<On<'_>>) -> Result<Vec<User>, DbError> {
    on.into().list(ALL, args![]).await?.iter().map(read).collect()
}

/// The first account of all.
pub async fn find_first(on: impl Into<On<'_>>) -> Result<Option<UserId>, DbError> {
    on.into().find(FIRST, args![]).await?.map(|row| row.get("id")).transpose()
}

/// Whether there is no account at all.
pub async fn is_empty(on: impl Into<On<'_>>) -> Result<bool, DbError> {
    Ok(on.into().one(COUNT, args![]).await?.get::<i64>("n")? == 0)
}

/// Adds an account; false when its name or address folds like one that is there.
pub async fn insert_user(tx: &mut Tx, id: UserId, user: &NewUser, now: Timestamp) -> Result<bool, DbError> {
    let row = args![
        id,
        &user.username,
        fold(&user.username),
        user.email.clone(),
        user.email.as_deref().map(fold),
        user.password_hash.expose(),
        now,
        !user.is_self_made,
        user.is_self_made.then_some("email"),
    ];
    Ok(On::from(tx).find(INSERT, row).await?.is_some())
}

pub async fn update_profile(tx: &mut Tx, user: &User, now: Timestamp) -> Result<(), DbError> {
    let metadata = user.metadata.clone().map(|metadata| serde_json::Value::Object(metadata).to_string());
    tx.execute(PROFILE, args![user.id, &user.alias, user.public_key.clone(), metadata, now]).await?;
    Ok(())
}

/// Sets a new password and ends every session; false when `old` is not in force any more.
pub async fn update_password(
    tx: &mut Tx,
    id: UserId,
    old: &PasswordHash,
    new: &PasswordHash,
    now: Timestamp,
) -> Result<bool, DbError> {
    Ok(tx.execute(PASSWORD, args![id, new.expose(), now, old.expose()]).await? == 1)
}

/// Sets a new password, whatever it was, and ends every session.
pub async fn set_password(
    tx: &mut Tx,
    id: UserId,
    new: &PasswordHash,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(SET_PASSWORD, args![id, new.expose(), now]).await?;
    Ok(())
}

/// Stores another hash of the same password, if `old` is still in force: nothing else changes.
pub async fn rehash_password(
    tx: &mut Tx,
    id: UserId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<(), DbError> {
    tx.execute(REHASH, args![id, new.expose(), old.expose()]).await?;
    Ok(())
}

/// Notes that the account's address is its owner's.
pub async fn mark_verified(tx: &mut Tx, id: UserId, now: Timestamp) -> Result<(), DbError> {
    tx.execute(VERIFIED, args![id, now]).await?;
    Ok(())
}

/// Ends every session of the account.
pub async fn raise_generation(tx: &mut Tx, id: UserId) -> Result<(), DbError> {
    tx.execute(GENERATION, args![id]).await?;
    Ok(())
}

pub async fn update_ban(tx: &mut Tx, id: UserId, is_banned: bool, now: Timestamp) -> Result<(), DbError> {
    tx.execute(BAN, args![id, is_banned, now]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<User, DbError> {
    let metadata = row.get::<Option<String>>("metadata")?;
    Ok(User {
        id: row.get("id")?,
        username: row.get("username")?,
        email: row.get("email")?,
        alias: row.get("alias")?,
        public_key: row.get("public_key")?,
        metadata: metadata
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|_| DbError::Unreadable("metadata"))?,
        password_hash: PasswordHash::from_stored(row.get("password_hash")?),
        email_verified: row.get("email_verified")?,
        is_banned: row.get("is_banned")?,
        generation: row.get("generation")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        signup_method: row.get("signup_method")?,
    })
}
