//! Tokens (`contract/tokens.md`).

use hoody_core::id::TokenId;
use hoody_core::wire::{
    AuthToken, CopyToken, CreateToken, CurrentToken, PermissionCatalogue, PermissionTemplate, PublicProfile,
    RealmChange, TokenUsage, UpdateProfile, UpdateToken, Verified, Verify,
};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// The routes below `/auth/tokens`: [`Client::tokens`].
///
/// ```no_run
/// # use hoody_client::{Client, wire::{IpWhitelist, CreateToken, UpdateToken}};
/// # async fn example(client: Client) -> Result<(), hoody_client::Error> {
/// let made = client.tokens().create(&CreateToken {
///     alias: Some("ci-runner".into()),
///     ip_whitelist: Some(IpWhitelist::Text("203.0.113.0/24".into())),
///     permission_template: Some("read_only".into()),
///     ..CreateToken::default()
/// }).await?;
/// client.tokens().update(made.id, &UpdateToken { is_enabled: Some(false), ..UpdateToken::default() }).await?;
/// client.tokens().delete(made.id).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'a>(&'a Client);

/// The tokens that the caller may see.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenList {
    /// Newest first.
    pub tokens: Vec<AuthToken>,
    /// Some are left out, because the caller may not see them.
    pub is_truncated: bool,
}

impl Client {
    /// The routes below `/auth/tokens`.
    #[must_use]
    pub fn tokens(&self) -> Tokens<'_> {
        Tokens(self)
    }
}

/// Which tokens to list; all without any of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenQuery {
    /// Those with this external id.
    pub external_id: Option<String>,
    /// Those with this tag.
    pub tag: Option<String>,
    /// `active`, `disabled` or `expired`.
    pub state: Option<String>,
}

impl Tokens<'_> {
    /// `GET /auth/tokens`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self) -> Result<TokenList, Error> {
        let answer = Call::get("auth/tokens").answer::<Vec<AuthToken>>(self.0).await?;
        Ok(TokenList { tokens: answer.data, is_truncated: answer.truncated })
    }

    /// `GET /auth/tokens` of those that the query asks for.
    ///
    /// # Errors
    /// As [`Tokens::list`]; `INVALID_PARAMETER_VALUE` for a tag or a state that is none.
    pub async fn find(&self, query: &TokenQuery) -> Result<TokenList, Error> {
        let call = Call::get("auth/tokens")
            .query("external_id", query.external_id.as_deref())
            .query("tag", query.tag.as_deref())
            .query("state", query.state.as_deref());
        let answer = call.answer::<Vec<AuthToken>>(self.0).await?;
        Ok(TokenList { tokens: answer.data, is_truncated: answer.truncated })
    }

    /// `POST /auth/verify`: what each of these credentials may do, one answer for each, in their order.
    ///
    /// # Errors
    /// 403 with a token that lacks `resources.introspect`; 422 with each fault of the question.
    pub async fn verify(&self, asked: &Verify) -> Result<Vec<Verified>, Error> {
        Call::post("auth/verify").json(asked).send(self.0).await
    }

    /// `POST /auth/tokens`: the answer holds the secret, this once.
    ///
    /// # Errors
    /// `SESSION_REQUIRED` with a token that may make none; the codes of `contract/tokens.md` 5.
    pub async fn create(&self, token: &CreateToken) -> Result<AuthToken, Error> {
        Call::post("auth/tokens").json(token).send(self.0).await
    }

    /// `GET /auth/tokens/{id}`.
    ///
    /// # Errors
    /// `TOKEN_NOT_FOUND`.
    pub async fn get(&self, id: TokenId) -> Result<AuthToken, Error> {
        Call::get("auth/tokens").at(id).send(self.0).await
    }

    /// `GET /auth/tokens/{id}/usage`: what a token did in the last `days` days, 30 unless told.
    ///
    /// # Errors
    /// `TOKEN_NOT_FOUND`.
    pub async fn usage(&self, id: TokenId, days: Option<u32>) -> Result<TokenUsage, Error> {
        Call::get("auth/tokens").at(id).at("usage").query("days", days).send(self.0).await
    }

    /// `GET /auth/tokens/me`: the calling token and where it may be used. Works on the base host whatever its realms.
    ///
    /// # Errors
    /// 403 with a session.
    pub async fn current(&self) -> Result<CurrentToken, Error> {
        Call::get("auth/tokens/me").send(self.0).await
    }

    /// `PUT /auth/tokens/{id}`.
    ///
    /// # Errors
    /// `TOKEN_NOT_FOUND`; the codes of `contract/tokens.md` 5.
    pub async fn update(&self, id: TokenId, change: &UpdateToken) -> Result<AuthToken, Error> {
        let call = Call::put("auth/tokens").at(id).json(change);
        let call = if change.otp_code.is_some() { call.once() } else { call };
        call.send(self.0).await
    }

    /// `POST /auth/tokens/{id}/copy`: the answer holds the copy's secret, this once.
    ///
    /// # Errors
    /// `SESSION_REQUIRED` with a token that may make none; `TOKEN_NOT_FOUND`.
    pub async fn copy(&self, id: TokenId, copy: &CopyToken) -> Result<AuthToken, Error> {
        Call::post("auth/tokens").at(id).at("copy").json(copy).send(self.0).await
    }

    /// `DELETE /auth/tokens/{id}`: refused from the next request on.
    ///
    /// # Errors
    /// `TOKEN_NOT_FOUND`, also for one that is deleted already.
    pub async fn delete(&self, id: TokenId) -> Result<(), Error> {
        Call::delete("auth/tokens").at(id).done(self.0).await
    }

    /// `POST /auth/tokens/{id}/add-realm`: no change when the realm is there already.
    ///
    /// # Errors
    /// `TOKEN_NOT_FOUND`.
    pub async fn add_realm(&self, id: TokenId, change: &RealmChange) -> Result<AuthToken, Error> {
        Call::post("auth/tokens").at(id).at("add-realm").json(change).send(self.0).await
    }

    /// `POST /auth/tokens/{id}/remove-realm`: taking the last one away may widen the token.
    ///
    /// # Errors
    /// `TOKEN_NOT_FOUND`.
    pub async fn remove_realm(&self, id: TokenId, change: &RealmChange) -> Result<AuthToken, Error> {
        Call::post("auth/tokens").at(id).at("remove-realm").json(change).send(self.0).await
    }

    /// `GET /auth/tokens/templates`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn templates(&self) -> Result<Vec<PermissionTemplate>, Error> {
        Call::get("auth/tokens/templates").send(self.0).await
    }

    /// `GET /permissions`: which permissions there are, as far as the caller may know; with `unused`, those of
    /// hoody's own that guard no route of the server, too.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn permissions(&self, unused: bool) -> Result<PermissionCatalogue, Error> {
        Call::get("permissions").query("unused", unused.then_some(true)).send(self.0).await
    }

    /// `PUT /auth/tokens/me/public-profile`: of the calling token.
    ///
    /// # Errors
    /// 403 with a session, or without `resources.auth_token_public_profile`.
    pub async fn update_profile(&self, change: &UpdateProfile) -> Result<AuthToken, Error> {
        Call::put("auth/tokens/me/public-profile").json(change).send(self.0).await
    }

    /// `GET /auth/tokens/public-profiles/{public_key}`.
    ///
    /// # Errors
    /// `TOKEN_NOT_FOUND`.
    pub async fn public_profile(&self, public_key: &str) -> Result<PublicProfile, Error> {
        Call::get("auth/tokens/public-profiles").at(public_key).send(self.0).await
    }
}
