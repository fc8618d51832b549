//! The endpoints of signing up and of mails (`contract/authentication.md` 6, 7, 11).

use std::sync::Arc;

use axum::extract::State;
use hoody_core::wire;
use serde_json::Value;

use super::proof::{EndTokens, reset_password, verify};
use super::{Link, Mode, SignUp, body, invitations, register, request_link};
use crate::sign_in::pkce;
use crate::sign_in::sessions;
use crate::sign_in::two_factor::{self, EndsIn};
use crate::users::queue::Asker;
use hoody_engine::error::Error;
use hoody_engine::limits::{self, Subject};
use hoody_engine::web::caller::Origin;
use hoody_engine::web::envelope::Done;
use hoody_engine::web::{Answer, JsonBody};

/// Makes an account; nobody learns whether the address has one already
#[utoipa::path(post, path = "/api/v1/auth/signup", operation_id = "sign_up", tag = "sign-up",
    request_body = wire::SignUp, responses((status = 200, body = wire::Envelope<wire::SignedUp>),
    (status = 400, body = wire::ErrorBody), (status = 403, body = wire::ErrorBody)))]
pub async fn sign_up(
    State(sign_up): State<Arc<SignUp>>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::SignedUp>, Error> {
    if sign_up.mode == Mode::Closed {
        let message = "Signing up is closed: ask whoever runs this server for an account".to_owned();
        return Err(Error::Forbidden { code: "SIGNUP_DISABLED", message });
    }
    sign_up.limits.count(&limits::SIGN_UP, Subject::Address(origin.address)).await?;
    let request = body::SignUp::parse(&body)?;
    drop(body);
    // Of an address of mail too: whoever has many addresses to ask from must not fill somebody's mailbox.
    sign_up.limits.count(&limits::SIGN_UP, Subject::Name(&request.email)).await?;
    let invitation = match sign_up.mode {
        Mode::Invitation => {
            Some(invitations::check(&sign_up, request.invite_code.as_ref(), &request.email).await?)
        }
        Mode::Open | Mode::Closed => None,
    };
    let hash =
        sign_up.users.passwords.hash(request.password.expose(), Asker::Stranger(origin.address)).await?;
    register(&sign_up, &request.email, hash, invitation.as_ref()).await?;
    let message = "Check your mail: a link in it opens the account";
    Ok(Answer::ok(message, wire::SignedUp { email: request.email }))
}

/// Proves an address with the token of a mail, and signs in with the password of that sign-up
#[utoipa::path(post, path = "/api/v1/auth/verify-email", operation_id = "verify_email", tag = "sign-up",
    request_body = wire::VerifyEmail, responses((status = 200, body = wire::Envelope<wire::LoginAnswer>),
    (status = 400, body = wire::ErrorBody), (status = 401, body = wire::ErrorBody)))]
pub async fn verify_email(
    State(sign_up): State<Arc<SignUp>>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::LoginAnswer>, Error> {
    sign_up.limits.count(&limits::VERIFY_EMAIL, Subject::Address(origin.address)).await?;
    let request = body::Verify::parse(&body)?;
    let password = request.password.as_ref();
    let (mut mutation, user) = verify(&sign_up, request.token.expose(), password, origin.address).await?;
    let client = request.client;
    let answer = if two_factor::is_on(&mut mutation, user.id).await? {
        let ends_in = request.challenge.map_or(EndsIn::Session, EndsIn::Intent);
        wire::LoginAnswer::Challenge(two_factor::challenge(&sign_up.sign_in, &user, mutation.now, ends_in))
    } else if let Some(challenge) = request.challenge {
        let intent =
            pkce::open_intent(&sign_up.sign_in, &mut mutation, user, &challenge, client, None).await?;
        wire::LoginAnswer::Intent(Box::new(intent))
    } else {
        let session =
            sessions::open(&sign_up.sign_in, &mut mutation, user, client, origin.address, None).await?;
        wire::LoginAnswer::Session(Box::new(session))
    };
    mutation.commit().await?;
    Ok(Answer::ok("Email verified successfully", answer).secret())
}

/// Asks for another verification mail
#[utoipa::path(post, path = "/api/v1/auth/resend-verification", operation_id = "resend_verification",
    tag = "sign-up", request_body = wire::MailRequest, responses((status = 200, body = Done)))]
pub async fn resend_verification(
    State(sign_up): State<Arc<SignUp>>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<()>, Error> {
    let email = count_request(&sign_up, &origin, &body).await?;
    request_link(&sign_up, &email, Link::VerifyEmail).await?;
    Ok(Answer::ok("If the address waits for verification, a mail is on its way", ()))
}

/// Asks for a mail to set a new password
#[utoipa::path(post, path = "/api/v1/auth/forgot-password", operation_id = "forgot_password",
    tag = "sign-up", request_body = wire::MailRequest, responses((status = 200, body = Done)))]
pub async fn forgot_password(
    State(sign_up): State<Arc<SignUp>>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<()>, Error> {
    let email = count_request(&sign_up, &origin, &body).await?;
    request_link(&sign_up, &email, Link::ResetPassword).await?;
    Ok(Answer::ok("If the address has an account, a mail is on its way", ()))
}

/// The address that a mail is asked for, counted with who asks, whether or not it has an account.
async fn count_request(sign_up: &SignUp, origin: &Origin, body: &Value) -> Result<String, Error> {
    sign_up.limits.count(&limits::MAIL_REQUESTS, Subject::Address(origin.address)).await?;
    let email = body::parse_request(body)?;
    sign_up.limits.count(&limits::MAIL_REQUESTS, Subject::Name(&email)).await?;
    Ok(email)
}

/// Sets a new password with the token of a mail; every session of the account ends, and its tokens if asked
#[utoipa::path(post, path = "/api/v1/auth/reset-password", operation_id = "reset_password", tag = "sign-up",
    request_body = wire::ResetPassword, responses((status = 200, body = wire::Envelope<wire::PasswordReset>),
    (status = 400, body = wire::ErrorBody)))]
pub async fn reset_password_by_mail(
    State(sign_up): State<Arc<SignUp>>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::PasswordReset>, Error> {
    sign_up.limits.count(&limits::RESET_PASSWORD, Subject::Address(origin.address)).await?;
    let request = body::Reset::parse(&body)?;
    let (token, password) = (request.token.expose(), request.password.expose());
    let tokens = EndTokens::from(request.ends_tokens);
    let left =
        reset_password(&sign_up, (Link::ResetPassword, token), password, tokens, origin.address).await?;
    Ok(Answer::ok("Password reset successfully", left))
}

/// What a sign-in page needs to know
#[utoipa::path(get, path = "/api/v1/auth/config", operation_id = "get_auth_config", tag = "sign-up",
    responses((status = 200, body = wire::Envelope<wire::AuthConfig>)))]
pub async fn get_auth_config(State(sign_up): State<Arc<SignUp>>) -> Answer<wire::AuthConfig> {
    let config = wire::AuthConfig {
        app_name: "hoody".to_owned(),
        logo_url: None,
        primary_color: None,
        github_enabled: false,
        google_enabled: false,
        signup_enabled: sign_up.mode != Mode::Closed,
        invite_required: sign_up.mode == Mode::Invitation,
    };
    Answer::ok("Auth configuration retrieved successfully", config)
}

/// Where accounts can be: a self-hosted server has no regions
#[utoipa::path(get, path = "/api/v1/auth/available-regions", operation_id = "list_available_regions",
    tag = "sign-up", responses((status = 200, body = wire::Envelope<wire::Regions>)))]
pub async fn list_available_regions() -> Answer<wire::Regions> {
    Answer::ok("Available regions retrieved successfully", wire::Regions::default())
}
