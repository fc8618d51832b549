//! The endpoints of signing up and of mails (`contract/authentication.md` 6, 7, 11).

use axum::extract::State;
use hoody_core::wire;
use serde_json::Value;

use super::proof::{EndTokens, reset_password, verify};
use super::{Link, Mode, body, invitations, register, request_link};
use crate::error::Error;
use crate::http::caller::Origin;
use crate::http::envelope::Done;
use crate::http::{Answer, JsonBody, Shared};
use crate::limits::{self, Subject};
use crate::two_factor::{self, EndsIn};
use crate::users::queue::Asker;
use crate::{pkce, sessions};

/// Makes an account; nobody learns whether the address has one already
#[utoipa::path(post, path = "/api/v1/auth/signup", operation_id = "sign_up", tag = "sign-up",
    request_body = wire::SignUp, responses((status = 200, body = wire::Envelope<wire::SignedUp>),
    (status = 400, body = wire::ErrorBody), (status = 403, body = wire::ErrorBody)))]
pub(crate) async fn sign_up(
    State(app): State<Shared>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::SignedUp>, Error> {
    if app.sign_up == Mode::Closed {
        let message = "Signing up is closed: ask whoever runs this server for an account".to_owned();
        return Err(Error::Forbidden { code: "SIGNUP_DISABLED", message });
    }
    limits::count(&app, &limits::SIGN_UP, Subject::Address(origin.address)).await?;
    let request = body::SignUp::parse(&body)?;
    drop(body);
    // Of an address of mail too: whoever has many addresses to ask from must not fill somebody's mailbox.
    limits::count(&app, &limits::SIGN_UP, Subject::Name(&request.email)).await?;
    let invitation = match app.sign_up {
        Mode::Invitation => {
            Some(invitations::check(&app, request.invite_code.as_ref(), &request.email).await?)
        }
        Mode::Open | Mode::Closed => None,
    };
    let hash = app.passwords.hash(request.password.expose(), Asker::Stranger(origin.address)).await?;
    register(&app, &request.email, hash, invitation.as_ref()).await?;
    let message = "Check your mail: a link in it opens the account";
    Ok(Answer::ok(message, wire::SignedUp { email: request.email }))
}

/// Proves an address with the token of a mail, and signs in with the password of that sign-up
#[utoipa::path(post, path = "/api/v1/auth/verify-email", operation_id = "verify_email", tag = "sign-up",
    request_body = wire::VerifyEmail, responses((status = 200, body = wire::Envelope<wire::LoginAnswer>),
    (status = 400, body = wire::ErrorBody), (status = 401, body = wire::ErrorBody)))]
pub(crate) async fn verify_email(
    State(app): State<Shared>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::LoginAnswer>, Error> {
    limits::count(&app, &limits::VERIFY_EMAIL, Subject::Address(origin.address)).await?;
    let request = body::Verify::parse(&body)?;
    let password = request.password.as_ref();
    let (mut mutation, user) = verify(&app, request.token.expose(), password, origin.address).await?;
    let client = request.client;
    let answer = if two_factor::is_on(&mut mutation, user.id).await? {
        let ends_in = request.challenge.map_or(EndsIn::Session, EndsIn::Intent);
        wire::LoginAnswer::Challenge(two_factor::challenge(&app, &user, mutation.now, ends_in))
    } else if let Some(challenge) = request.challenge {
        let intent = pkce::open_intent(&app, &mut mutation, user, &challenge, client, None).await?;
        wire::LoginAnswer::Intent(Box::new(intent))
    } else {
        let session = sessions::open(&app, &mut mutation, user, client, origin.address, None).await?;
        wire::LoginAnswer::Session(Box::new(session))
    };
    mutation.commit().await?;
    Ok(Answer::ok("Email verified successfully", answer).secret())
}

/// Asks for another verification mail
#[utoipa::path(post, path = "/api/v1/auth/resend-verification", operation_id = "resend_verification",
    tag = "sign-up", request_body = wire::MailRequest, responses((status = 200, body = Done)))]
pub(crate) async fn resend_verification(
    State(app): State<Shared>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<()>, Error> {
    let email = count_request(&app, &origin, &body).await?;
    request_link(&app, &email, Link::VerifyEmail).await?;
    Ok(Answer::ok("If the address waits for verification, a mail is on its way", ()))
}

/// Asks for a mail to set a new password
#[utoipa::path(post, path = "/api/v1/auth/forgot-password", operation_id = "forgot_password",
    tag = "sign-up", request_body = wire::MailRequest, responses((status = 200, body = Done)))]
pub(crate) async fn forgot_password(
    State(app): State<Shared>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<()>, Error> {
    let email = count_request(&app, &origin, &body).await?;
    request_link(&app, &email, Link::ResetPassword).await?;
    Ok(Answer::ok("If the address has an account, a mail is on its way", ()))
}

/// The address that a mail is asked for, counted with who asks, whether or not it has an account.
async fn count_request(app: &Shared, origin: &Origin, body: &Value) -> Result<String, Error> {
    limits::count(app, &limits::MAIL_REQUESTS, Subject::Address(origin.address)).await?;
    let email = body::parse_request(body)?;
    limits::count(app, &limits::MAIL_REQUESTS, Subject::Name(&email)).await?;
    Ok(email)
}

/// Sets a new password with the token of a mail; every session of the account ends, and its tokens if asked
#[utoipa::path(post, path = "/api/v1/auth/reset-password", operation_id = "reset_password", tag = "sign-up",
    request_body = wire::ResetPassword, responses((status = 200, body = wire::Envelope<wire::PasswordReset>),
    (status = 400, body = wire::ErrorBody)))]
pub(crate) async fn reset_password_by_mail(
    State(app): State<Shared>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::PasswordReset>, Error> {
    limits::count(&app, &limits::RESET_PASSWORD, Subject::Address(origin.address)).await?;
    let request = body::Reset::parse(&body)?;
    let (token, password) = (request.token.expose(), request.password.expose());
    let tokens = EndTokens::from(request.ends_tokens);
    let left = reset_password(&app, (Link::ResetPassword, token), password, tokens, origin.address).await?;
    Ok(Answer::ok("Password reset successfully", left))
}

/// What a sign-in page needs to know
#[utoipa::path(get, path = "/api/v1/auth/config", operation_id = "get_auth_config", tag = "sign-up",
    responses((status = 200, body = wire::Envelope<wire::AuthConfig>)))]
pub(crate) async fn get_auth_config(State(app): State<Shared>) -> Answer<wire::AuthConfig> {
    let config = wire::AuthConfig {
        app_name: "hoody".to_owned(),
        logo_url: None,
        primary_color: None,
        github_enabled: false,
        google_enabled: false,
        signup_enabled: app.sign_up != Mode::Closed,
        invite_required: app.sign_up == Mode::Invitation,
    };
    Answer::ok("Auth configuration retrieved successfully", config)
}

/// Where accounts can be: a self-hosted server has no regions
#[utoipa::path(get, path = "/api/v1/auth/available-regions", operation_id = "list_available_regions",
    tag = "sign-up", responses((status = 200, body = wire::Envelope<wire::Regions>)))]
pub(crate) async fn list_available_regions() -> Answer<wire::Regions> {
    Answer::ok("Available regions retrieved successfully", wire::Regions::default())
}
