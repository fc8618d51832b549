//! Signing in, refreshing, signing out.

use http::StatusCode;
use serde_json::json;

use crate::support::{PASSWORD, on_both};

const LOGIN: &str = "/api/v1/users/auth/login";
const REFRESH: &str = "/api/v1/users/auth/refresh";

on_both! {
    async fn signing_in_by_name_or_address_opens_the_account(app: TestApp) {
        app.service.create_user("Ada", Some("Ada@Example.com"), PASSWORD).await;
        for body in [
            json!({"username": "Ada", "password": PASSWORD}),
            json!({"email": "ada@example.COM", "password": PASSWORD, "client": "cli", "unknown": 1}),
        ] {
            let reply = app.anon().post(LOGIN, body).await;
            reply.expect(StatusCode::OK);
            assert_eq!(reply.data()["expires_in"], 86_400);
            assert_eq!(reply.data()["refresh_expires_in"], 604_800);
            assert_eq!(reply.data()["user"]["username"], "Ada");
            let me = app.with(reply.data()["token"].as_str().unwrap()).get("/api/v1/users/auth/me").await;
            me.expect(StatusCode::OK);
            assert_eq!(me.data()["email"], "Ada@Example.com");
        }
    }

    async fn logout_ends_every_session_and_no_token(app: TestApp) {
        let first = app.user("ada").await;
        let second = app.login("ada").await;
        let token = first.mint(json!({})).await;
        second.get("/api/v1/users/auth/me").await.expect(StatusCode::OK);
        first.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        for session in [first, second] {
            session.get("/api/v1/users/auth/me").await.refused(401, "INVALID_TOKEN");
        }
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        app.login("ada").await.check("").await.expect(StatusCode::NO_CONTENT);
    }

    async fn a_refresh_gives_a_new_pair_and_the_old_one_a_minute(app: TestApp) {
        let user = app.user("ada").await;
        drop(user);
        let login = app.anon().post(LOGIN, json!({"username": "ada", "password": PASSWORD})).await;
        let old_access = app.with(login.data()["token"].as_str().unwrap());
        let old = json!({"refreshToken": login.data()["refreshToken"]});
        app.service.advance(5_000);
        app.service.poll().await;
        let next = app.anon().post(REFRESH, old.clone()).await;
        next.expect(StatusCode::OK);
        assert_ne!(next.data()["token"], login.data()["token"]);
        app.with(next.data()["token"].as_str().unwrap()).check("").await.expect(StatusCode::NO_CONTENT);
        // A retry gets the same pair.
        app.service.advance(59_000);
        app.service.poll().await;
        old_access.check("").await.expect(StatusCode::NO_CONTENT);
        let again = app.anon().post(REFRESH, old.clone()).await;
        assert_eq!(again.data(), next.data());
        // Later, the old refresh token is a stolen one: the session ends.
        app.service.advance(1_000);
        app.service.poll().await;
        old_access.check("").await.refused(401, "TOKEN_EXPIRED");
        app.anon().post(REFRESH, old).await.refused(401, "INVALID_TOKEN");
        app.with(next.data()["token"].as_str().unwrap()).check("").await.refused(401, "INVALID_TOKEN");
    }
}
