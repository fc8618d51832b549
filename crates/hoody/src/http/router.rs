//! Every route on one screen. What is not here does not exist, and what is here is in `openapi.json`
//! and in the authorisation matrix.

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use http::request::Parts;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::note_who;
use super::document::finish;
use super::parameters::{self, Parameters};
use super::{Shared, ip, probes};
use crate::error::Error;
use crate::{
    activity, alerts, device, events, gate, history, pkce, projects, realms, sessions, signup, tokens,
    two_factor, users, vault, webhooks,
};

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "hoody",
    description = "Authentication for scripts, CI and AI agents. Errors come as \
        `{statusCode, error, message, code, data?}`; clients branch on `code`."
))]
struct Document;

fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(people())
        .merge(automation())
        .merge(records())
        // decisions for others
        .routes(routes!(gate::http::check))
        // utilities and probes
        .routes(routes!(ip::get_ip))
        .routes(routes!(probes::livez))
        .routes(routes!(probes::readyz))
}

/// Who people are, and how they sign in.
fn people() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        // sessions
        .routes(routes!(sessions::http::login))
        .routes(routes!(sessions::http::refresh))
        .routes(routes!(sessions::http::logout))
        // sign-up and mails
        .routes(routes!(signup::http::sign_up))
        .routes(routes!(signup::http::verify_email))
        .routes(routes!(signup::http::resend_verification))
        .routes(routes!(signup::http::forgot_password))
        .routes(routes!(signup::http::reset_password_by_mail))
        .routes(routes!(signup::http::get_auth_config))
        .routes(routes!(signup::http::list_available_regions))
        // two-factor
        .routes(routes!(two_factor::http::verify))
        .routes(routes!(two_factor::http::set_up))
        .routes(routes!(two_factor::http::verify_setup))
        .routes(routes!(two_factor::http::get_status))
        .routes(routes!(two_factor::http::disable))
        .routes(routes!(two_factor::http::regenerate_backup_codes))
        .routes(routes!(two_factor::http::update_token_gate))
        // signing in for somebody else to go on: PKCE, devices
        .routes(routes!(pkce::http::authorize))
        .routes(routes!(pkce::http::exchange))
        .routes(routes!(pkce::http::cancel_intent))
        .routes(routes!(device::http::start_device))
        .routes(routes!(device::http::verify_user_code))
        .routes(routes!(device::http::authorize_device))
        .routes(routes!(device::http::login_for_device))
        .routes(routes!(device::http::deny_device))
        .routes(routes!(device::http::poll_device))
        // users
        .routes(routes!(users::http::get_me))
        .routes(routes!(users::http::get_me_alias))
        .routes(routes!(users::http::get_user, users::http::update_user))
        .routes(routes!(history::http::get_security_history))
}

/// What automation has, and what it works on.
fn automation() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        // tokens
        .routes(routes!(tokens::http::list_tokens, tokens::http::create_token))
        .routes(routes!(tokens::http::get_current_token))
        .routes(routes!(tokens::profiles::update_public_profile))
        .routes(routes!(tokens::profiles::get_public_profile))
        .routes(routes!(tokens::http::list_token_templates))
        .routes(routes!(
            tokens::http::get_token,
            tokens::changes::update_token,
            tokens::changes::delete_token
        ))
        .routes(routes!(tokens::http::copy_token))
        .routes(routes!(activity::http::get_token_usage))
        .routes(routes!(tokens::changes::add_token_realm))
        .routes(routes!(tokens::changes::remove_token_realm))
        // projects
        .routes(routes!(projects::http::list_projects, projects::http::create_project))
        .routes(routes!(
            projects::http::get_project,
            projects::http::update_project,
            projects::http::delete_project
        ))
        .routes(routes!(projects::http::get_project_stats))
        .routes(routes!(
            projects::members::http::list_project_permissions,
            projects::members::http::grant_project_permission
        ))
        .routes(routes!(
            projects::members::http::update_project_permission,
            projects::members::http::revoke_project_permission
        ))
        // realms
        .routes(routes!(realms::http::list_realms))
        // vault
        .routes(routes!(vault::http::get_vault_stats))
        .routes(routes!(vault::http::list_vault_keys))
        .routes(routes!(
            vault::http::get_vault_key,
            vault::http::set_vault_key,
            vault::http::delete_vault_key
        ))
        .routes(routes!(vault::http::clear_vault))
}

/// What happened, and who is told.
fn records() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        // request log
        .routes(routes!(activity::http::list_activity))
        .routes(routes!(activity::http::get_activity_stats))
        // events
        .routes(routes!(events::http::list_events, events::http::delete_events))
        .routes(routes!(events::http::get_event_stats))
        .routes(routes!(events::sse::stream_events))
        .routes(routes!(events::http::clean_up_events))
        .routes(routes!(events::http::get_event, events::http::delete_event))
        // webhooks
        .routes(routes!(webhooks::http::list_webhooks, webhooks::http::create_webhook))
        .routes(routes!(
            webhooks::http::get_webhook,
            webhooks::http::update_webhook,
            webhooks::http::delete_webhook
        ))
        .routes(routes!(webhooks::http::rotate_webhook_secret))
        .routes(routes!(webhooks::http::test_webhook))
        .routes(routes!(webhooks::http::list_webhook_deliveries))
        .routes(routes!(webhooks::http::replay_webhook_delivery))
        // alerts
        .routes(routes!(alerts::http::list_alerts))
        .routes(routes!(alerts::http::list_alert_settings))
        .routes(routes!(alerts::http::update_alert_setting))
        .routes(routes!(alerts::http::get_alert))
        .routes(routes!(alerts::http::acknowledge_alert))
        .routes(routes!(alerts::http::dismiss_alert))
}

/// What somebody sees who opens the address in a browser.
const WELCOME: &str = "This is hoody, an authentication service for people, scripts and agents.\n\n\
    The API begins at /api/v1; /openapi.json describes it.\n\
    On the command line: hoody --base-url <this address> login\n\
    Is it well? /livez, /readyz\n";

/// The router and everything that it reaches.
pub(crate) fn router(app: &Shared) -> Router {
    let (router, document) = routes().split_for_parts();
    let state = (Shared::clone(app), Parameters::of(&document));
    let router = router.route_layer(from_fn_with_state(state, parameters::check));
    // One copy, however many wait for it.
    let document = axum::body::Bytes::from(finish(document).to_json().unwrap_or_default());
    router
        .route(
            "/openapi.json",
            get(move || {
                let document = document.clone();
                async move { ([(http::header::CONTENT_TYPE, "application/json")], document) }
            }),
        )
        .route("/", get(async || ([(http::header::CONTENT_TYPE, "text/plain; charset=utf-8")], WELCOME)))
        // pages for people: no part of the API
        .merge(device::page::routes())
        // what the links of mails lead to
        .route("/verify-email", get(signup::pages::ask_verification).post(signup::pages::verify_address))
        .route("/reset-password", get(signup::pages::ask_password).post(signup::pages::reset))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(Shared::clone(app))
}

async fn no_route(State(app): State<Shared>, parts: Parts) -> Error {
    note_who(&parts, &app).await;
    Error::NotFound { code: "RESOURCE_NOT_FOUND", message: "There is no such route" }
}

async fn no_method(State(app): State<Shared>, parts: Parts) -> Error {
    note_who(&parts, &app).await;
    Error::MethodNotAllowed
}

/// The OpenAPI document of this version, as it is committed.
#[must_use]
pub fn openapi() -> OpenApi {
    finish(routes().split_for_parts().1)
}
