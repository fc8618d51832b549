//! What widens what a credential may do asks for the password once more, and for the second factor where it
//! is on, unless both were given in the last ten minutes.
//!
//! The page that asks carries the form on in hidden fields and sends it to the same address, so that the act
//! is done by the same request that proves.

use axum::response::Response;
use hoody_core::one_time::{OneTimeSecret, Purpose};
use hoody_core::time::MINUTE;
use hoody_core::totp::Code;
use hoody_engine::clock::entropy;
use hoody_engine::error::Error;
use hoody_service::sign_in::two_factor::{self, body::any_code};
use hoody_service::users::confirm::{begin_checked, confirm_password};
use http::StatusCode;
use maud::html;

use super::{Act, store};
use crate::HOME;
use crate::parts::page::{dialog_with, failed};
use crate::parts::words::problem;

/// For how long a proof is good, in milliseconds. It does not slide.
const GOOD_FOR: i64 = 10 * MINUTE;

impl Act {
    /// Goes on when its owner proved lately, or with this form, who that is. `what` completes *needs your
    /// password again*, as in "Making a token".
    ///
    /// # Errors
    /// The page that asks.
    pub(crate) async fn prove(&self, what: &str) -> Result<(), Response> {
        let visitor = &self.visitor;
        if visitor.now < visitor.proved_at.plus(GOOD_FOR) {
            return Ok(());
        }
        let has_code = two_factor::is_on_for(&visitor.console.sign_in, visitor.account()).await;
        let has_code = has_code.map_err(|error| failed(&Error::from(error)))?;
        if !self.fields.has("proof_password") {
            return Err(self.ask(what, has_code, None));
        }
        match self.check(has_code).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.ask(what, has_code, Some(&error))),
        }
    }

    async fn check(&self, has_code: bool) -> Result<(), Error> {
        let visitor = &self.visitor;
        let console = &visitor.console;
        let password = self.fields.secret("proof_password");
        let user = confirm_password(&console.users, visitor.account(), &password, visitor.address()).await?;
        let user = user.ok_or(Error::BadCredentials)?;
        let code: Option<Code> =
            if has_code { Some(any_code(self.fields.text("proof_code"))?) } else { None };
        let (mutation, grant) = begin_checked(&console.users, &visitor.caller, &user).await?;
        let mut mutation = two_factor::spend_again(&console.sign_in, mutation, &grant, code).await?;
        let cookie = OneTimeSecret::from_bytes(entropy());
        let digest = console.keys.one_time_digest(Purpose::ConsoleCookie, cookie.expose());
        let now = mutation.now;
        store::prove(&mut mutation.tx, visitor.session, &digest, now).await?;
        mutation.commit().await?;
        visitor.jar.set(console.is_plain(), &cookie);
        Ok(())
    }

    fn ask(&self, what: &str, has_code: bool, error: Option<&Error>) -> Response {
        let status = error.map_or(StatusCode::OK, Error::status);
        let body = html! {
            p { (what) " needs your password again. What you typed is kept." }
            @if let Some(error) = error { p.wrong role="alert" { (problem(error)) } }
            (self.visitor.form(&self.path, "", html! {
                (self.fields.keep())
                input type="text" name="proof_name" value=(self.visitor.username) autocomplete="username" hidden;
                div.field {
                    label for="proof_password" { "Password" }
                    input #proof_password name="proof_password" type="password" required maxlength="128"
                        autocomplete="current-password" autofocus;
                }
                @if has_code {
                    div.field {
                        label for="proof_code" { "Code of your authenticator app" }
                        input.code #proof_code name="proof_code" required maxlength="32"
                            autocomplete="one-time-code" spellcheck="false" aria-describedby="proof_hint";
                        p.hint #proof_hint { "Six digits, or one of your backup codes." }
                    }
                }
                div.choices { button type="submit" { "Confirm" } a.button href=(HOME) { "Cancel" } }
            }))
        };
        dialog_with(status, "Confirm that it is you", &body)
    }
}
