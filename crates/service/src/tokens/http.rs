//! The endpoints of tokens that show and make them (`contract/tokens.md` 1). `changes` has those that
//! change them, `profiles` the public profiles.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hoody_core::extras::Extras;
use hoody_core::grant::{Accepts, Bounds, Realms};
use hoody_core::id::{TokenId, noun};
use hoody_core::invalid::Invalid;
use hoody_core::names;
use hoody_core::permissions::own::OwnCatalogue;
use hoody_core::permissions::{Selected, Selection};
use hoody_core::secret::TokenSecret;
use hoody_core::token::{NewToken, TokenCopy};
use hoody_core::token_notes::Notes;
use hoody_core::wire;

use super::delegation::{self, Placed, place_below};
use super::list::{Filter, TokenList};
use super::store::Held;
use super::{MAX_ACTIVE, MAX_HELD, MAX_TOKENS, Token, Tokens, put_realm, store};
use crate::sign_in::two_factor::{self, Proof};
use hoody_engine::catalogue::{catalogue, catalogues};
use hoody_engine::clock::entropy;
use hoody_engine::error::Error;
use hoody_engine::feed::{Change, Mutation};
use hoody_engine::web::caller::{AnyCaller, ItselfAToken, Valid, needs};
use hoody_engine::web::{Answer, Caller, IdPath, JsonBody, Query, list};

needs! {
    /// A session, or a token that may make tokens.
    Minting { ACCEPTS = Accepts::Minter, LEAF = "resources.create_tokens" }
}

pub const NOT_FOUND: Error =
    Error::NotFound { code: "TOKEN_NOT_FOUND", message: "Authentication token not found" };

/// The account's tokens that the caller may see; a long list is sent as it is read
#[utoipa::path(get, path = "/api/v1/auth/tokens", operation_id = "list_tokens", tag = "tokens",
    params(("external_id" = Option<String>, Query, description = "Only those with this external id"),
    ("tag" = Option<String>, Query, description = "Only those with this tag"),
    ("state" = Option<String>, Query, description = "`any`, `active`, `disabled` or `expired`; any unless told")),
    security(("bearer" = [])), responses((status = 200, body = wire::TokenListEnvelope)))]
pub async fn list_tokens(
    State(tokens): State<Arc<Tokens>>,
    caller: Caller<Valid>,
    query: Query,
) -> Result<Response, Error> {
    let filter = Filter::read(&query)?;
    let room = list::begin(&tokens.lists, caller.account()).await?;
    let own = tokens.access.own_catalogue().await?;
    let visible = TokenList::of(&tokens.db, own, &caller, filter, tokens.clock.now()).await?;
    list::answer(room, "Auth tokens retrieved successfully", visible).await
}

/// One token
#[utoipa::path(get, path = "/api/v1/auth/tokens/{id}", operation_id = "get_token", tag = "tokens",
    params(("id" = TokenId, Path)), security(("bearer" = [])),
    responses((status = 200, body = wire::Envelope<wire::AuthToken>), (status = 404, body = wire::ErrorBody)))]
pub async fn get_token(
    State(tokens): State<Arc<Tokens>>,
    caller: Caller<Valid>,
    IdPath(id): IdPath<noun::Token>,
) -> Result<Answer<wire::AuthToken>, Error> {
    let own = tokens.access.own_catalogue().await?;
    let found = delegation::find(&tokens.db, caller.account(), id, &own).await?;
    let found = found.filter(|found| is_visible(&caller, found)).ok_or(NOT_FOUND)?;
    Ok(Answer::ok("Auth token retrieved successfully", found.token.shown(&own, None)))
}

/// The calling token itself: how it learns its realms and limits
#[utoipa::path(get, path = "/api/v1/auth/tokens/me", operation_id = "get_current_token", tag = "tokens",
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<wire::CurrentToken>)))]
pub async fn get_current_token(
    State(tokens): State<Arc<Tokens>>,
    caller: Caller<ItselfAToken>,
) -> Result<Answer<wire::CurrentToken>, Error> {
    let id = caller.token().ok_or(NOT_FOUND)?;
    let current = current_token(&tokens, &caller, id).await?;
    Ok(Answer::ok("Current auth token retrieved successfully", current))
}

/// What `me` says of the calling token.
pub async fn current_token(
    tokens: &Tokens,
    caller: &AnyCaller,
    id: TokenId,
) -> Result<wire::CurrentToken, Error> {
    let own = tokens.access.own_catalogue().await?;
    let found = delegation::find(&tokens.db, caller.account(), id, &own).await?.ok_or(NOT_FOUND)?;
    let limits = found.effective();
    let Placed { token, above, .. } = found;
    let is_restricted = limits.realms != Realms::EVERYWHERE;
    let is_own_list = limits.realms == token.limits.realms;
    let restrictions = wire::Restrictions {
        has_realm_restrictions: is_restricted,
        requires_realm_scope: is_restricted,
        allowed_realm_ids: if is_own_list {
            token.realm_ids.clone()
        } else {
            limits.realms.listed().to_vec()
        },
        allow_no_realm: token.allow_no_realm
            && above.as_ref().is_none_or(|above| above.realms == Realms::EVERYWHERE),
        active_realm_id: caller.attempt.realm,
        max_delegation_depth: tokens.max_delegation_depth,
        effective: above.map(|_| wire::EffectiveLimits {
            permissions: catalogues(&own).to_tree(&Selection {
                hoody: limits.permissions,
                own: Selected::of(limits.extras.own().ids().iter().copied()),
            }),
            ip_whitelist: limits.addresses.entries(),
            expires_at: limits.expires_at,
            vault_access: limits.vault_access,
            event_access: limits.event_access,
        }),
    };
    Ok(wire::CurrentToken { token: token.shown(&own, None), restrictions })
}

/// The permission templates, resolved
#[utoipa::path(get, path = "/api/v1/auth/tokens/templates", operation_id = "list_token_templates", tag = "tokens",
    security(("bearer" = [])), responses((status = 200, body = wire::Envelope<Vec<wire::PermissionTemplate>>)))]
pub async fn list_token_templates(
    State(tokens): State<Arc<Tokens>>,
    _caller: Caller<Valid>,
) -> Result<Answer<Vec<wire::PermissionTemplate>>, Error> {
    let own = tokens.access.own_catalogue().await?;
    let of_hoody = catalogue().templates().iter().map(|template| wire::PermissionTemplate {
        name: template.name.to_owned(),
        description: template.description.to_owned(),
        permissions: catalogue().to_tree(template.permissions),
    });
    let of_own = own.templates().iter().filter_map(|template| {
        Some(wire::PermissionTemplate {
            name: template.name.clone(),
            description: template.description.clone(),
            permissions: catalogues(&own).to_tree(&catalogues(&own).template(&template.name)?),
        })
    });
    Ok(Answer::ok("Permission templates retrieved successfully", of_hoody.chain(of_own).collect()))
}

/// Makes a token; its secret is in this answer and nowhere else
#[utoipa::path(post, path = "/api/v1/auth/tokens", operation_id = "create_token", tag = "tokens",
    request_body = wire::CreateToken, security(("bearer" = [])),
    responses((status = 201, body = wire::Envelope<wire::AuthToken>), (status = 409, body = wire::ErrorBody)))]
pub async fn create_token(
    State(tokens): State<Arc<Tokens>>,
    caller: Caller<Minting>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::AuthToken>, Error> {
    let own = tokens.access.own_catalogue().await?;
    let may_grow = caller.token().is_none();
    let new = NewToken::parse(&body, tokens.clock.now(), catalogues(&own), may_grow)?;
    let code = new.otp_code.clone();
    let made = create(&tokens, &caller, new, Proof::Code(code.as_deref()), tokens.clock.new_id()).await?;
    let shown = made.ok_or_else(|| Error::internal(anyhow::anyhow!("a new id was there already")))?;
    Ok(Answer::created("Auth token created successfully", shown).secret())
}

/// Makes a token with this id; `None` when one with it was made before, be it there or deleted.
///
/// # Errors
/// The refusals of `POST /auth/tokens` for what is well-formed.
pub async fn create(
    tokens: &Tokens,
    caller: &AnyCaller,
    new: NewToken,
    proof: Proof<'_>,
    id: TokenId,
) -> Result<Option<wire::AuthToken>, Error> {
    let own = tokens.access.own_catalogue().await?;
    let (mutation, grant) = tokens.feed.begin(caller).await?;
    let mut mutation = two_factor::pass(&tokens.sign_in, mutation, &grant, proof).await?;
    if store::was_made(&mut mutation.tx, id).await? {
        return Ok(None);
    }
    let mut realm_ids = new.realm_ids;
    if let Some(realm) = caller.attempt.realm {
        // What is made on a realm's host belongs to that realm.
        put_realm(&mut realm_ids, realm)?;
    }
    let mut token = Token {
        id,
        account: grant.account,
        alias: new.alias.unwrap_or_default(),
        public_key: new.public_key,
        public_storage: new.public_storage,
        realm_ids,
        allow_no_realm: new.allow_no_realm,
        limits: Bounds {
            permissions: new.permissions.hoody,
            realms: Realms::EVERYWHERE,
            addresses: new.addresses,
            expires_at: new.expires_at,
            vault_access: new.vault_access,
            event_access: new.event_access,
            extras: Extras::NONE,
        },
        permissions: new.permissions,
        is_enabled: true,
        notes: Notes::default(),
        hint: None,
        created_by_token_id: None,
        delegation_depth: 0,
        last_used_at: None,
        last_used_ip: None,
        created_at: mutation.now,
        updated_at: mutation.now,
    };
    token.notes.put(new.notes);
    token.settle(&own);
    place_below(&grant, tokens.max_delegation_depth, &mut token, &own)?;
    let names = if token.alias.is_empty() { Names::Random } else { Names::Given };
    mint(tokens, mutation, token, &names, &own).await.map(Some)
}

/// Makes a token like another, with a secret of its own
#[utoipa::path(post, path = "/api/v1/auth/tokens/{id}/copy", operation_id = "copy_token", tag = "tokens",
    params(("id" = TokenId, Path)), request_body = wire::CopyToken, security(("bearer" = [])),
    responses((status = 201, body = wire::Envelope<wire::AuthToken>), (status = 404, body = wire::ErrorBody)))]
pub async fn copy_token(
    State(tokens): State<Arc<Tokens>>,
    caller: Caller<Minting>,
    IdPath(id): IdPath<noun::Token>,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::AuthToken>, Error> {
    let copy = TokenCopy::parse(&body, tokens.clock.now())?;
    let own = tokens.access.own_catalogue().await?;
    let (mutation, grant) = tokens.feed.begin(&caller).await?;
    let mut mutation = two_factor::gate(&tokens.sign_in, mutation, &grant, copy.otp_code.as_deref()).await?;
    let source = delegation::find(&mut mutation.tx, grant.account, id, &own).await?;
    let source = source.filter(|source| is_visible(&caller, source) && may_copy(&caller, source));
    let Placed { token: mut source, above, .. } = source.ok_or(NOT_FOUND)?;
    if let Some(above) = &above {
        // What the source may really do now, not what it was given once.
        delegation::clamp(&mut source, above, &own)?.map_err(|field| {
            Invalid::validation(format!(
                "The source works nowhere: its {field} and its creator's share nothing"
            ))
        })?;
    }
    let expires_at = copy.expires_at.unwrap_or(source.limits.expires_at);
    if expires_at.is_some_and(|end| end <= mutation.now) {
        let message = "The source has expired: expires_at must be given, in the future or null";
        return Err(Invalid::rule("EXPIRATION_IN_PAST", message).into());
    }
    let names = if copy.alias.is_some() { Names::Given } else { Names::CopyOf(source.alias.clone()) };
    let mut token = Token {
        id: tokens.clock.new_id(),
        alias: copy.alias.unwrap_or_default(),
        // A key names one token, and a profile is that key's.
        public_key: None,
        public_storage: None,
        limits: Bounds { expires_at, ..source.limits },
        is_enabled: true,
        created_by_token_id: None,
        delegation_depth: 0,
        last_used_at: None,
        last_used_ip: None,
        created_at: mutation.now,
        updated_at: mutation.now,
        ..source
    };
    place_below(&grant, tokens.max_delegation_depth, &mut token, &own)?;
    let shown = mint(&tokens, mutation, token, &names, &own).await?;
    Ok(Answer::created("Auth token copied successfully", shown).secret())
}

fn is_visible(caller: &AnyCaller, found: &Placed) -> bool {
    delegation::is_visible(caller, found.target(), &found.token)
}

/// A token copies what is in its own subtree, and itself.
fn may_copy(caller: &AnyCaller, source: &Placed) -> bool {
    caller.token().is_none_or(|own| source.lineage.contains(&own))
}

/// Where a new token's alias comes from.
enum Names {
    Given,
    Random,
    CopyOf(String),
}

/// Makes the secret, stores the token under the account's limit, and shows it once.
async fn mint(
    tokens: &Tokens,
    mut mutation: Mutation,
    mut token: Token,
    names: &Names,
    own: &OwnCatalogue,
) -> Result<wire::AuthToken, Error> {
    let (key, keys) = tokens.keys.minting();
    let secret = TokenSecret::mint(entropy(), &keys);
    let digest = secret.digest(&keys);
    token.hint = Some(secret.hint().to_owned());
    for attempt in 0..100 {
        match names {
            Names::Given => {}
            Names::Random if attempt < 3 => token.alias = names::random_alias(entropy()),
            Names::Random => token.alias = names::random_alias_suffixed(entropy()),
            Names::CopyOf(source) => token.alias = names::copy_alias(source, attempt + 1),
        }
        if store::insert_token(&mut mutation.tx, &token, &digest, key).await? {
            let payload = serde_json::json!({ "alias": token.alias });
            let change = Change::new("auth.token.created", token.account, "auth_token", token.id);
            mutation.tell(change.in_realms(&token.realm_ids).with(payload));
            check_room(&mut mutation, &token).await?;
            mutation.commit().await?;
            return Ok(token.shown(own, Some(&secret)));
        }
        if matches!(names, Names::Given) {
            break;
        }
    }
    Err(duplicate_alias(&token.alias))
}

pub(super) fn duplicate_alias(alias: &str) -> Error {
    let message = format!("Alias \"{alias}\" already exists for this user");
    Invalid::rule("DUPLICATE_ALIAS", message).into()
}

/// Refuses what was just written when the account's tokens are too many or too large to be listed, or those
/// of one maker that are active are too many. The account is locked, so the counts hold.
pub(super) async fn check_room(mutation: &mut Mutation, token: &Token) -> Result<(), Error> {
    let (creator, now) = (token.created_by_token_id, mutation.now);
    let Held { count, bytes, active } = store::measure(&mut mutation.tx, token.account, creator, now).await?;
    if token.is_active(now) && active > MAX_ACTIVE {
        let maker =
            if creator.is_none() { "This account already has" } else { "This token has already made" };
        let message =
            format!("{maker} the maximum number of active API tokens ({MAX_ACTIVE}). Delete some first");
        return Err(Error::Conflict { code: "AUTH_TOKEN_LIMIT_REACHED", message });
    }
    let tenths = if token.created_by_token_id.is_none() { 10 } else { 9 };
    let (most, most_held) = (MAX_TOKENS * tenths / 10, MAX_HELD * tenths / 10);
    let limit = if count > most {
        format!("{most} API tokens, expired ones included. Delete some first")
    } else if bytes > most_held {
        format!("{most_held} bytes of public storages, addresses and realms in its API tokens")
    } else {
        return Ok(());
    };
    let message = format!("This account already has the maximum: {limit}");
    Err(Error::Conflict { code: "AUTH_TOKEN_LIMIT_REACHED", message })
}
