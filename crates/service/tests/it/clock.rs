//! A clock that is set back by a minute: within a process time stands until it has caught up; another
//! node, or the same after a restart, is a minute behind what is stored.

use hoody_core::time::Timestamp;
use hoody_service::testing::Service;
use http::StatusCode;
use serde_json::json;

use crate::support::{Client, PASSWORD, TestApp, on_both};
use crate::two_factor::{code_at, protect};

const MINUTE: i64 = 60_000;
const LOGIN: &str = "/api/v1/users/auth/login";
const VERIFY: &str = "/api/v1/users/auth/2fa/verify";
const REFRESH: &str = "/api/v1/users/auth/refresh";

async fn a_minute_behind(app: &TestApp) -> Service {
    let now = Timestamp::from_millis(app.service.now().millis() - MINUTE);
    Service::open(&app.url, app.directory.path(), "", now).await
}

async fn verify(client: &Client, code: &str) -> crate::support::Reply {
    let login = client.post(LOGIN, json!({"username": "ada", "password": PASSWORD})).await;
    let temp_token = login.data()["temp_token"].clone();
    client.post(VERIFY, json!({"temp_token": temp_token, "code": code})).await
}

on_both! {
    async fn within_a_process_time_stands_until_it_has_caught_up(app: TestApp) {
        let ada = app.user("ada").await;
        let ends = app.service.now().plus(30_000).to_string();
        let token = ada.mint(json!({"expires_at": ends})).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        let before = app.service.now();
        app.service.advance(-MINUTE);
        assert_eq!(app.service.now(), before);
        ada.check("").await.expect(StatusCode::NO_CONTENT);
        app.login("ada").await.check("").await.expect(StatusCode::NO_CONTENT);
        // What has expired stays so: the step back gives nobody a minute more.
        app.later(MINUTE + 30_000).await;
        token.client.check("").await.refused(401, "TOKEN_EXPIRED");
        app.service.advance(-MINUTE);
        assert!(app.service.poll().await);
        token.client.check("").await.refused(401, "TOKEN_EXPIRED");
    }

    async fn a_code_that_was_used_is_used_also_by_a_clock_that_is_behind(app: TestApp) {
        let protected = protect(&app, &app.user("ada").await).await;
        let code = code_at(&app, &protected.secret, 0);
        verify(&app.anon(), &code).await.expect(StatusCode::OK);
        let behind = a_minute_behind(&app).await;
        let anon = app.anon().at(&behind);
        verify(&anon, &code).await.refused(401, "INVALID_OTP_CODE");
        // Nor one of before it, though the clock says that it is its time.
        verify(&anon, &code_at(&app, &protected.secret, -2)).await.refused(401, "INVALID_OTP_CODE");
        // When the clock has caught up, the next one is good.
        behind.advance(MINUTE + 30_000);
        assert!(behind.poll().await);
        verify(&anon, &code_at(&app, &protected.secret, 1)).await.expect(StatusCode::OK);
    }

    async fn a_session_of_the_future_is_good_and_turns(app: TestApp) {
        app.service.create_user("ada", None, PASSWORD).await;
        let (access, refresh) = app.sign_in("ada").await;
        let behind = a_minute_behind(&app).await;
        let anon = app.anon().at(&behind);
        app.with(&access).at(&behind).check("").await.expect(StatusCode::NO_CONTENT);
        let body = json!({"refreshToken": refresh});
        let turned = anon.post(REFRESH, body.clone()).await;
        turned.expect(StatusCode::OK);
        // A retry gets the same pair and ends nothing.
        assert_eq!(anon.post(REFRESH, body).await.data(), turned.data());
        let next = app.with(turned.data()["token"].as_str().unwrap());
        next.at(&behind).check("").await.expect(StatusCode::NO_CONTENT);
        assert!(app.service.poll().await);
        next.check("").await.expect(StatusCode::NO_CONTENT);
    }
}
