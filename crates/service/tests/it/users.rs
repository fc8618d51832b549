//! Accounts: shown to their owner, changed by their owner with a session, banned by the operator.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Reply, TestApp, on_both};

const LOGIN: &str = "/api/v1/users/auth/login";
const ME: &str = "/api/v1/users/auth/me";
const NEW_PASSWORD: &str = "a new password, quite long";
const KEY: &str = "a1b2c3d4e5f6789012345678901234567890abcdefabcdefabcdefabcdef1234";

fn path(id: &str) -> String {
    format!("/api/v1/users/{id}")
}

async fn sign_in(app: &TestApp, password: &str) -> Reply {
    app.anon().post(LOGIN, json!({ "username": "ada", "password": password })).await
}

/// The keys of an object, in order.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn new_password(client: &Client, id: &str, new: &str, current: &str) -> Reply {
    client.put(&path(id), json!({ "password": new, "current_password": current })).await
}

on_both! {
    async fn an_account_is_shown_to_its_owner(app: TestApp) {
        let user = app.user("ada").await;
        let me = user.get(ME).await;
        me.expect(StatusCode::OK);
        assert_eq!(me.body["message"], "Current user retrieved successfully");
        assert_eq!(user.get("/api/v1/users/me").await.body, me.body);
        let got = user.get(&path(me.data()["id"].as_str().unwrap())).await;
        got.expect(StatusCode::OK);
        assert_eq!(got.body["message"], "User retrieved successfully");
        assert_eq!(got.data(), me.data());
        assert_eq!(
            (&got.data()["username"], &got.data()["email"]),
            (&json!("ada"), &json!("ada@example.com"))
        );
        assert!(!got.text.contains("argon2") && !got.text.contains("password"), "{}", got.text);
    }

    async fn another_account_is_not_found_and_not_changed(app: TestApp) {
        let user = app.user("ada").await;
        let stranger = app.user("bob").await;
        let id = stranger.account().await;
        let unknown = path(&"0".repeat(24));
        let refused = user.get(&path(&id)).await;
        refused.refused(404, "USER_NOT_FOUND");
        assert_eq!(refused.body, user.get(&unknown).await.body, "nobody learns which accounts there are");
        let change = json!({ "alias": "Mine" });
        let refused = user.put(&path(&id), change.clone()).await;
        refused.refused(403, "CANNOT_MODIFY_OTHER_USER");
        assert_eq!(refused.body["message"], "You can only update your own profile");
        assert_eq!(refused.body, user.put(&unknown, change).await.body);
        assert_eq!(stranger.get(ME).await.data()["alias"], "bob");
        user.get(&path("nonsense")).await.refused(400, "INVALID_ID_FORMAT");
        user.put(&path("nonsense"), json!({})).await.refused(400, "INVALID_ID_FORMAT");
    }

    async fn an_owner_changes_what_an_account_shows(app: TestApp) {
        let user = app.user("ada").await;
        let this = path(&user.account().await);
        app.later(1_000).await;
        let metadata = json!({ "theme": "dark", "n": [1, null], "\u{0}": "\u{0}" });
        let (alias, key) = ("Ada Lovelace \u{1F680}", KEY.to_uppercase());
        let body = json!({ "alias": alias, "public_key": key, "metadata": metadata });
        let changed = user.put(&this, body).await;
        changed.expect(StatusCode::OK);
        assert_eq!(changed.body["message"], "User updated successfully");
        for (name, value) in [
            ("alias", json!("Ada Lovelace \u{1F680}")),
            ("public_key", json!(KEY)),
            ("metadata", metadata.clone()),
            ("updated_at", json!(app.service.now().to_string())),
            ("username", json!("ada")),
        ] {
            assert_eq!(changed.data()[name], value, "{name}");
        }
        assert_eq!(user.get(ME).await.data(), changed.data());
        let cleared = user.patch(&this, json!({ "public_key": null })).await;
        assert_eq!((&cleared.data()["public_key"], &cleared.data()["metadata"]), (&Value::Null, &metadata));
        let cleared = user.patch(&this, json!({ "metadata": null })).await;
        assert_eq!(
            (&cleared.data()["alias"], &cleared.data()["metadata"]),
            (&json!("Ada Lovelace \u{1F680}"), &Value::Null)
        );
        user.check("").await.expect(StatusCode::NO_CONTENT);
    }

    async fn a_change_of_an_account_that_breaks_a_rule_changes_nothing(app: TestApp) {
        let user = app.user("ada").await;
        let this = path(&user.account().await);
        let before = user.get(ME).await;
        for (body, status, code) in [
            (json!({ "alias": "" }), 400, "VALIDATION_ERROR"),
            (json!({ "alias": "x".repeat(101) }), 400, "VALIDATION_ERROR"),
            (json!({ "alias": "a\u{0}" }), 400, "VALIDATION_ERROR"),
            (json!({ "alias": "evil\u{202e}txt" }), 400, "VALIDATION_ERROR"),
            (json!({ "public_key": "x" }), 400, "INVALID_PUBLIC_KEY_FORMAT"),
            (json!({ "metadata": { "a": "x".repeat(65_536) } }), 400, "VALIDATION_ERROR"),
            (json!({ "alias": 5 }), 422, "VALIDATION_ERROR"),
            (json!({ "metadata": "x" }), 422, "VALIDATION_ERROR"),
            (json!({ "alias": "fine", "password": ["x"] }), 422, "VALIDATION_ERROR"),
            (json!([]), 422, "VALIDATION_ERROR"),
        ] {
            user.put(&this, body.clone()).await.refused(status, code);
            user.patch(&this, body).await.refused(status, code);
        }
        assert_eq!(user.get(ME).await.data(), before.data());
    }

    async fn nobody_shows_a_name_that_reads_as_official(app: TestApp) {
        let user = app.user("ada").await;
        let this = path(&user.account().await);
        for alias in [
            "Hoody",
            "hoody support",
            "ADMIN",
            "the.admin",
            "Ｓupport",
            "adm\u{200b}in",
            "billing@x",
            "Official_Bob",
        ] {
            user.put(&this, json!({ "alias": alias })).await.refused(400, "RESERVED_IDENTITY");
        }
        for alias in ["Adminton", "supportive people", "Unhoody"] {
            user.put(&this, json!({ "alias": alias })).await.expect(StatusCode::OK);
        }
    }

    async fn a_new_password_ends_every_session_and_no_token(app: TestApp) {
        let first = app.user("ada").await;
        let second = app.login("ada").await;
        let login = sign_in(&app, PASSWORD).await;
        let refresh = json!({ "refreshToken": login.data()["refreshToken"] });
        let token = first.mint(json!({})).await;
        let id = first.account().await;
        second.check("").await.expect(StatusCode::NO_CONTENT);
        new_password(&first, &id, NEW_PASSWORD, PASSWORD).await.expect(StatusCode::OK);
        for session in [&first, &second] {
            session.get(ME).await.refused(401, "INVALID_TOKEN");
        }
        app.anon().post("/api/v1/users/auth/refresh", refresh).await.refused(401, "INVALID_TOKEN");
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        sign_in(&app, PASSWORD).await.refused(401, "INVALID_CREDENTIALS");
        sign_in(&app, NEW_PASSWORD).await.expect(StatusCode::OK);
    }

    async fn a_password_is_changed_only_with_the_one_in_force(app: TestApp) {
        let user = app.user("ada").await;
        let id = user.account().await;
        let missing = user.put(&path(&id), json!({ "password": NEW_PASSWORD, "alias": "x" })).await;
        missing.refused(400, "CURRENT_PASSWORD_REQUIRED");
        assert_eq!(missing.body["message"], "Current password is required for password changes");
        let wrong = user
            .put(
                &path(&id),
                json!({ "password": NEW_PASSWORD, "current_password": "not the password", "alias": "x" }),
            )
            .await;
        wrong.refused(400, "CURRENT_PASSWORD_INCORRECT");
        assert_eq!(wrong.body["message"], "Current password is incorrect");
        new_password(&user, &id, NEW_PASSWORD, "short").await.refused(400, "VALIDATION_ERROR");
        new_password(&user, &id, NEW_PASSWORD, &"x".repeat(129)).await.refused(400, "VALIDATION_ERROR");
        for weak in ["", "elevenchars", &"x".repeat(129), &"x".repeat(1_000_000)] {
            let refused = new_password(&user, &id, weak, PASSWORD).await;
            refused.refused(400, "WEAK_PASSWORD");
            assert!(refused.text.len() < 300, "the password is not repeated");
        }
        // Nothing happened, and the session goes on.
        assert_eq!(user.get(ME).await.data()["alias"], "ada");
        sign_in(&app, NEW_PASSWORD).await.refused(401, "INVALID_CREDENTIALS");
        sign_in(&app, PASSWORD).await.expect(StatusCode::OK);
        // Length is all that counts: no classes of characters, no limit of bytes.
        new_password(&user, &id, &"語".repeat(128), PASSWORD).await.expect(StatusCode::OK);
        sign_in(&app, &"語".repeat(128)).await.expect(StatusCode::OK);
    }

    async fn of_two_password_changes_at_once_one_wins(app: TestApp) {
        let user = app.user("ada").await;
        let id = user.account().await;
        let (one, two) = tokio::join!(
            new_password(&user, &id, "the first new password", PASSWORD),
            new_password(&user, &id, "the second new password", PASSWORD),
        );
        let won = [&one, &two].into_iter().filter(|reply| reply.status == StatusCode::OK).count();
        assert_eq!(won, 1, "{one:?} {two:?}");
        for lost in [&one, &two].into_iter().filter(|reply| reply.status != StatusCode::OK) {
            // Depending on how far it was: its password is another by now, or its session over.
            let code = lost.body["code"].as_str().unwrap();
            assert!(
                ["CURRENT_PASSWORD_INCORRECT", "CREDENTIAL_CHANGED", "INVALID_TOKEN"].contains(&code),
                "{code}"
            );
        }
        let opens =
            [sign_in(&app, "the first new password").await, sign_in(&app, "the second new password").await];
        assert_eq!(
            opens.map(|reply| reply.status == StatusCode::OK),
            [one.status == StatusCode::OK, two.status == StatusCode::OK]
        );
    }

    async fn a_token_sees_of_an_account_what_it_may(app: TestApp) {
        let user = app.user("ada").await;
        let id = user.account().await;
        let full = user.mint(json!({ "permissions": { "resources": { "read_account": true } } })).await;
        let reduced = user.mint(json!({ "permissions": { "projects": { "read": true } } })).await;
        let own = ["alias", "created_at", "id", "public_key", "updated_at", "username"];
        let got = reduced.client.get(&path(&id)).await;
        got.expect(StatusCode::OK);
        assert_eq!(keys(got.data()), own);
        let me = reduced.client.get(ME).await;
        me.expect(StatusCode::OK);
        assert_eq!(
            keys(me.data()),
            ["alias", "auth_token", "created_at", "id", "public_key", "updated_at", "username"]
        );
        assert_eq!(me.data()["auth_token"], *reduced.client.get("/api/v1/auth/tokens/me").await.data());
        for shown in [full.client.get(ME).await, full.client.get(&path(&id)).await] {
            assert_eq!(shown.data()["email"], "ada@example.com");
        }
        assert_eq!(full.client.get(ME).await.data()["auth_token"]["token"]["id"], full.id);
        assert_eq!(user.get(ME).await.data().get("auth_token"), None);
        full.client.get(&path(&"0".repeat(24))).await.refused(404, "USER_NOT_FOUND");
    }

    async fn an_account_is_changed_by_a_session_alone(app: TestApp) {
        let user = app.user("ada").await;
        let id = user.account().await;
        let token = user.mint(json!({ "vault_access": true })).await;
        for body in [json!({ "alias": "Mine" }), json!({})] {
            token.client.put(&path(&id), body.clone()).await.refused(403, "INSUFFICIENT_PERMISSIONS");
            app.anon().put(&path(&id), body).await.refused(401, "MISSING_TOKEN");
        }
        new_password(&token.client, &id, NEW_PASSWORD, PASSWORD)
            .await
            .refused(403, "INSUFFICIENT_PERMISSIONS");
        sign_in(&app, PASSWORD).await.expect(StatusCode::OK);
    }

    async fn a_banned_account_sees_itself_and_signs_out_and_nothing_else(app: TestApp) {
        let user = app.user("ada").await;
        let id = user.account().await;
        let token = user.mint(json!({})).await;
        app.service.ban_elsewhere("ada", true).await;
        app.service.poll().await;
        for client in [&user, &token.client] {
            for place in [ME, "/api/v1/users/me", &path(&id)] {
                let reply = client.get(place).await;
                reply.expect(StatusCode::OK);
                assert_eq!(reply.data()["is_banned"], true, "{place}");
            }
            for place in ["/api/v1/auth/tokens", "/api/v1/auth/check", "/api/v1/auth/tokens/templates"] {
                let refused = client.get(place).await;
                refused.refused(403, "ACCOUNT_BANNED");
                assert_eq!(refused.body["message"], "Your account is banned");
            }
            client.post("/api/v1/auth/tokens", json!({})).await.refused(403, "ACCOUNT_BANNED");
            client.put(&path(&id), json!({ "alias": "x" })).await.refused(403, "ACCOUNT_BANNED");
            client.delete(&format!("/api/v1/auth/tokens/{}", token.id)).await.refused(403, "ACCOUNT_BANNED");
        }
        sign_in(&app, PASSWORD).await.refused(401, "INVALID_CREDENTIALS");
        token.client.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        user.get(ME).await.expect(StatusCode::OK);
        user.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        user.get(ME).await.refused(401, "INVALID_TOKEN");
        app.service.ban_elsewhere("ada", false).await;
        app.service.poll().await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        sign_in(&app, PASSWORD).await.expect(StatusCode::OK);
    }

    async fn names_that_fold_alike_cannot_both_exist(app: TestApp) {
        app.service.create_user("Ada", Some("Ada@Example.com"), PASSWORD).await;
        for (username, email) in [
            ("Ada", None),
            ("ada", None),
            ("ADA", None),
            ("grace", Some("Ada@Example.com")),
            ("grace", Some("ada@example.COM")),
            ("grace", Some("ＡＤＡ@example.com")),
        ] {
            let made = app.service.try_create_user(username, email, PASSWORD).await;
            assert_eq!(made, None, "{username} {email:?}");
        }
        assert!(app.service.try_create_user("grace", Some("grace@example.com"), PASSWORD).await.is_some());
        // A username is looked up as it is written, an address of mail however it is.
        app.anon()
            .post(LOGIN, json!({ "username": "ada", "password": PASSWORD }))
            .await
            .refused(401, "INVALID_CREDENTIALS");
        for body in [json!({ "username": "Ada" }), json!({ "email": "ADA@EXAMPLE.COM" })] {
            let mut body = body;
            body["password"] = json!(PASSWORD);
            app.anon().post(LOGIN, body).await.expect(StatusCode::OK);
        }
    }

    async fn a_change_of_nothing_writes_nothing(app: TestApp) {
        const FEED: &str = "SELECT pos AS n FROM feed_head";
        let ada = app.user("ada").await;
        let place = format!("/api/v1/users/{}", ada.account().await);
        let before = (app.service.number(FEED).await, ada.get(&place).await.data().clone());
        app.later(1_000).await;
        for body in [json!({}), json!({ "unknown": 1 }), json!({ "current_password": PASSWORD })] {
            let reply = ada.put(&place, body.clone()).await;
            reply.expect(StatusCode::OK);
            assert_eq!(reply.data(), &before.1, "{body}");
        }
        assert_eq!(app.service.number(FEED).await, before.0);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM security_history").await, 1);
        ada.put(&place, json!({ "alias": "Ada" })).await.expect(StatusCode::OK);
        assert_eq!(app.service.number(FEED).await, before.0 + 1);
    }

    /// Threat 12: unknown, banned and known accounts get one answer, whatever the password. How long it
    /// takes is measured elsewhere.
    async fn threat_12_a_failed_login_does_not_tell_whether_the_account_exists(app: TestApp) {
        app.service.create_user("known", Some("known@example.com"), PASSWORD).await;
        app.service.create_user("banned", Some("banned@example.com"), PASSWORD).await;
        app.service.ban_elsewhere("banned", true).await;
        app.service.poll().await;
        let answers = async |password: &str| {
            let mut answers = Vec::new();
            for name in ["known", "banned", "unknown"] {
                for (key, value) in [("username", name.to_owned()), ("email", format!("{name}@example.com"))]
                {
                    let reply = app.anon().post(LOGIN, json!({ key: value, "password": password })).await;
                    let mut headers = reply.headers.clone();
                    headers.remove("x-request-id");
                    answers.push((
                        format!("{name} by {key}"),
                        reply.status,
                        format!("{headers:?}"),
                        reply.text,
                    ));
                }
            }
            answers
        };
        for (password, status, code) in [
            ("not the password", 401, "INVALID_CREDENTIALS"),
            ("correct horse battery staplf", 401, "INVALID_CREDENTIALS"),
            (&"x".repeat(128), 401, "INVALID_CREDENTIALS"),
            ("", 400, "VALIDATION_ERROR"),
            ("short", 400, "VALIDATION_ERROR"),
            (&"x".repeat(129), 400, "VALIDATION_ERROR"),
        ] {
            let answers = answers(password).await;
            for (who, actual, headers, text) in &answers {
                assert_eq!(actual.as_u16(), status, "{who}: {text}");
                assert!(text.contains(code), "{who}: {text}");
                assert_eq!((headers, text), (&answers[0].2, &answers[0].3), "{who} is told apart");
            }
        }
        // The right one of a banned account is told like a wrong one.
        let right = answers(PASSWORD).await;
        assert_eq!(right[0].1, StatusCode::OK);
        assert_eq!((&right[2].3, &right[3].3), (&right[4].3, &right[4].3));
    }

    async fn threat_12_each_login_costs_one_hash_whoever_it_names(app: TestApp) {
        app.service.create_user("known", None, PASSWORD).await;
        app.service.create_user("banned", None, PASSWORD).await;
        app.service.ban_elsewhere("banned", true).await;
        for (name, password) in [
            ("known", PASSWORD),
            ("known", "not the password"),
            ("banned", PASSWORD),
            ("banned", "not the password"),
            ("unknown", "not the password"),
        ] {
            let before = app.service.password_hashes();
            app.anon().post(LOGIN, json!({ "username": name, "password": password })).await;
            assert_eq!(app.service.password_hashes() - before, 1, "{name} with {password:?}");
        }
    }
}
