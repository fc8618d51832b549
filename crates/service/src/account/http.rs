//! The endpoints of accounts (`contract/users.md`, `contract/authentication.md` 4).

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use hoody_core::id::{UserId, noun};
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::{names, password, wire};
use serde_json::{Map, Value};

use super::Account;
use crate::history::Event;
use crate::mail::{self, Letter};
use crate::tokens;
use crate::users::confirm::{begin_checked, confirm_password, credential_changed};
use crate::users::password::PasswordHash;
use crate::users::queue::Asker;
use crate::users::{User, first, store};
use hoody_engine::error::Error;
use hoody_engine::feed::Change;
use hoody_engine::grants::Forget;
use hoody_engine::web::caller::{ASession, AnyCaller, ValidOrBanned};
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody};

/// The largest `metadata` of an account, serialised, in bytes.
const MAX_METADATA: usize = 64 * 1024;

const NOT_FOUND: Error = Error::NotFound { code: "USER_NOT_FOUND", message: "User not found" };

/// The caller's account
#[utoipa::path(get, path = "/api/v1/users/auth/me", operation_id = "get_me", tag = "users",
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::Profile>)))]
pub async fn get_me(
    State(account): State<Arc<Account>>,
    caller: Caller<ValidOrBanned>,
) -> Result<Answer<wire::Profile>, Error> {
    let user = store::find_user(&account.db, caller.account()).await?.ok_or(NOT_FOUND)?;
    let auth_token = match caller.token() {
        Some(id) => tokens::http::current_token(&account.tokens, &caller, id).await?.into(),
        None => None,
    };
    let profile = if caller.holds("resources.read_account") {
        wire::Profile::Full(Box::new(wire::Me { user: user.shown(), auth_token }))
    } else {
        wire::Profile::Reduced(Box::new(wire::ReducedMe { user: user.reduced(), auth_token }))
    };
    Ok(Answer::ok("Current user retrieved successfully", profile))
}

/// The caller's account, under its other name
#[utoipa::path(get, path = "/api/v1/users/me", operation_id = "get_me_alias", tag = "users",
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::Profile>)))]
pub async fn get_me_alias(
    state: State<Arc<Account>>,
    caller: Caller<ValidOrBanned>,
) -> Result<Answer<wire::Profile>, Error> {
    get_me(state, caller).await
}

/// An account: one's own
#[utoipa::path(get, path = "/api/v1/users/{id}", operation_id = "get_user", tag = "users",
    params(("id" = UserId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::UserProfile>)))]
pub async fn get_user(
    State(account): State<Arc<Account>>,
    caller: Caller<ValidOrBanned>,
    IdPath(id): IdPath<noun::User>,
) -> Result<Answer<wire::UserProfile>, Error> {
    if id != caller.account() {
        return Err(NOT_FOUND);
    }
    let user = store::find_user(&account.db, id).await?.ok_or(NOT_FOUND)?;
    let profile = if caller.holds("resources.read_account") {
        wire::UserProfile::Full(Box::new(user.shown()))
    } else {
        wire::UserProfile::Reduced(user.reduced())
    };
    Ok(Answer::ok("User retrieved successfully", profile))
}

/// Changes one's own account; a new password ends every session
#[utoipa::path(method(put, patch), path = "/api/v1/users/{id}", operation_id = "update_user", tag = "users",
    params(("id" = UserId, Path)), request_body = wire::UpdateUser, security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::User>)))]
pub async fn update_user(
    State(account): State<Arc<Account>>,
    caller: Caller<ASession>,
    IdPath(id): IdPath<noun::User>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::User>, Error> {
    if id != caller.account() {
        let message = "You can only update your own profile".to_owned();
        return Err(Error::Forbidden { code: "CANNOT_MODIFY_OTHER_USER", message });
    }
    let change = UserChange::parse(&body)?;
    if change.is_empty() {
        let user = store::find_user(&account.db, id).await?.ok_or(NOT_FOUND)?;
        return Ok(Answer::ok("User updated successfully", user.shown()));
    }
    let new_password = match &change.password {
        Some((new, current)) => {
            Some(prepare_password(&account, id, new, current, caller.attempt.address).await?)
        }
        None => None,
    };
    let user = apply(&account, &caller, change, new_password).await?;
    Ok(Answer::ok("User updated successfully", user.shown()))
}

/// Sets a new password in place of `current`; every session of the account ends.
///
/// # Errors
/// The broken rule of a password; `CURRENT_PASSWORD_INCORRECT`; what `PATCH /users/{id}` fails with.
pub async fn change_password(
    account: &Account,
    caller: &AnyCaller,
    new: &wire::Secret,
    current: &wire::Secret,
) -> Result<(), Error> {
    let (new, current) = read_password(new.expose(), Some(current.expose()))?;
    let address = caller.attempt.address;
    let prepared = prepare_password(account, caller.account(), &new, &current, address).await?;
    let change = UserChange { alias: None, public_key: None, metadata: None, password: Some((new, current)) };
    apply(account, caller, change, Some(prepared)).await.map(|_| ())
}

/// The account as its password was checked, which must still be in force when the new one is written, and
/// the new one's hash.
type PasswordChange = (User, PasswordHash);

async fn prepare_password(
    account: &Account,
    id: UserId,
    new: &wire::Secret,
    current: &wire::Secret,
    address: IpAddr,
) -> Result<PasswordChange, Error> {
    let user = confirm_password(&account.users, id, current, address).await?;
    let incorrect = || Invalid::rule("CURRENT_PASSWORD_INCORRECT", "Current password is incorrect");
    let user = user.ok_or_else(incorrect)?;
    Ok((user, account.users.passwords.hash(new.expose(), Asker::Known(id)).await?))
}

async fn apply(
    account: &Account,
    caller: &AnyCaller,
    change: UserChange,
    password: Option<PasswordChange>,
) -> Result<User, Error> {
    let (mut mutation, grant) = match &password {
        Some((checked, _)) => begin_checked(&account.users, caller, checked).await?,
        None => account.feed.begin(caller).await?,
    };
    let id = grant.account;
    let mut user = store::find_user(&mut mutation.tx, id).await?.ok_or(NOT_FOUND)?;
    let now = mutation.now;
    change.put_into(&mut user);
    store::update_profile(&mut mutation.tx, &user, now).await?;
    let mut told = Change::new("account.updated", id, "account", id);
    if let Some((checked, new)) = &password {
        if !store::update_password(&mut mutation.tx, id, &checked.password_hash, new, now).await? {
            return Err(credential_changed());
        }
        account.history.record(&mut mutation, id, Event::PasswordChanged, None).await?;
        told = told.with(serde_json::json!({ "password": true })).forgetting(Forget::Account(id));
        let active_tokens = tokens::store::count_working(&mut mutation.tx, id, now).await?;
        mail::notify(&account.mail, &mut mutation, &user, Letter::PasswordChanged { active_tokens }).await?;
    }
    mutation.tell(told);
    mutation.commit().await?;
    if password.is_some() {
        first::forget_file(&account.users, id).await;
    }
    user.updated_at = now;
    Ok(user)
}

/// What `PUT /users/{id}` asks for. Unknown keys are ignored, `user_id` and the like among them: the
/// account is the path's, and that is the caller's.
#[derive(Debug)]
struct UserChange {
    alias: Option<String>,
    public_key: Option<Option<String>>,
    metadata: Option<Option<Map<String, Value>>>,
    password: Option<(wire::Secret, wire::Secret)>,
}

impl UserChange {
    fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let alias = fields.string("alias");
        let public_key = fields.nullable_string("public_key");
        let metadata = fields.nullable_object("metadata");
        let new = fields.string("password");
        let current = fields.string("current_password");
        fields.close_open()?;
        if let Some(Some(metadata)) = metadata
            && serde_json::to_string(metadata).map_or(0, |text| text.len()) > MAX_METADATA
        {
            return Err(Invalid::validation(format!(
                "metadata must not be larger than {MAX_METADATA} bytes"
            )));
        }
        let alias = alias.map(names::compose);
        alias.as_deref().map(names::display_alias).transpose()?;
        Ok(Self {
            alias,
            public_key: public_key.map(|key| key.map(names::public_key).transpose()).transpose()?,
            metadata: metadata.map(Option::<&Map<_, _>>::cloned),
            password: new.map(|new| read_password(new, current)).transpose()?,
        })
    }

    /// Whether it asks for nothing: then nothing is written, and nobody told.
    fn is_empty(&self) -> bool {
        self.alias.is_none()
            && self.public_key.is_none()
            && self.metadata.is_none()
            && self.password.is_none()
    }

    fn put_into(self, user: &mut User) {
        if let Some(alias) = self.alias {
            user.alias = alias;
        }
        if let Some(public_key) = self.public_key {
            user.public_key = public_key;
        }
        if let Some(metadata) = self.metadata {
            user.metadata = metadata;
        }
    }
}

fn read_password(new: &str, current: Option<&str>) -> Result<(wire::Secret, wire::Secret), Invalid> {
    let Some(current) = current else {
        let message = "Current password is required for password changes";
        return Err(Invalid::rule("CURRENT_PASSWORD_REQUIRED", message));
    };
    password::check_new(new)?;
    password::check_given(current, "current_password")?;
    Ok((new.into(), current.into()))
}
