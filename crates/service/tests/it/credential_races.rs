//! Two changes of one account's credentials at once: one is made, the other learns of it with 409, and
//! nothing of it is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hoody_service::testing::{Cut, Step};
use http::StatusCode;
use serde_json::json;

use crate::support::{Client, PASSWORD, Reply, TestApp, on_both};
use crate::two_factor::{code_at, delete, protect};

const NEW_PASSWORD: &str = "another horse entirely";
const LOGIN: &str = "/api/v1/users/auth/login";

/// Holds the first mutation that begins from now on until `hashes` more passwords were looked at: whoever
/// it races with has been let in by then, and read what is about to change.
fn hold_the_first(app: &TestApp, hashes: u64) {
    let (service, is_first) = (app.service.clone(), Arc::new(AtomicBool::new(true)));
    let enough = service.password_hashes() + hashes;
    app.service.at_each_step(move |step| {
        let (service, is_first) = (service.clone(), Arc::clone(&is_first));
        async move {
            if step == Step::Began && is_first.swap(false, Ordering::SeqCst) {
                while service.password_hashes() < enough {
                    tokio::task::yield_now().await;
                }
            }
            Cut::GoOn
        }
    });
}

/// Who was told that it was made, and who that it was not.
fn sort(one: Reply, other: Reply) -> (Reply, Reply) {
    if one.status == StatusCode::OK { (one, other) } else { (other, one) }
}

async fn change_password(session: &Client, path: &str, new: &str) -> Reply {
    session.put(path, json!({"password": new, "current_password": PASSWORD})).await
}

on_both! {
    async fn two_new_passwords_at_once_are_one(app: TestApp) {
        let ada = app.user("ada").await;
        let path = format!("/api/v1/users/{}", ada.account().await);
        hold_the_first(&app, 4);
        let (one, other) = tokio::join!(
            change_password(&ada, &path, NEW_PASSWORD),
            change_password(&ada, &path, "a third horse altogether"),
        );
        let first_won = one.status == StatusCode::OK;
        let (made, refused) = sort(one, other);
        made.expect(StatusCode::OK);
        refused.refused(409, "CREDENTIAL_CHANGED");
        for (password, opens) in [(NEW_PASSWORD, first_won), ("a third horse altogether", !first_won)] {
            let login = app.anon().post(LOGIN, json!({"username": "ada", "password": password})).await;
            assert_eq!(login.status == StatusCode::OK, opens, "{password}");
        }
        assert_eq!(
            app.service.number("SELECT COUNT(*) AS n FROM security_history WHERE event = 'password_changed'").await, 1);
    }

    async fn a_new_password_and_no_second_factor_at_once_are_one_of_them(app: TestApp) {
        let ada = app.user("ada").await;
        let protected = protect(&app, &ada).await;
        let path = format!("/api/v1/users/{}", protected.session.account().await);
        let code = code_at(&app, &protected.secret, 0);
        // Two for the new password, one for the other.
        hold_the_first(&app, 3);
        let (password, off) = tokio::join!(
            change_password(&protected.session, &path, NEW_PASSWORD),
            delete(&protected.session, json!({"password": PASSWORD, "code": code})),
        );
        let is_off = off.status == StatusCode::OK;
        let (made, refused) = sort(password, off);
        made.expect(StatusCode::OK);
        refused.refused(409, "CREDENTIAL_CHANGED");
        let right = if is_off { PASSWORD } else { NEW_PASSWORD };
        let login = app.anon().post(LOGIN, json!({"username": "ada", "password": right})).await;
        login.expect(StatusCode::OK);
        assert_eq!(login.data().get("requires_2fa").is_some(), !is_off, "{}", login.text);
        let events = app.service.texts("SELECT event AS t FROM security_history WHERE kind = 'security' \
            AND event <> 'otp_enabled'").await;
        assert_eq!(events, [if is_off { "otp_disabled" } else { "password_changed" }]);
    }
}
