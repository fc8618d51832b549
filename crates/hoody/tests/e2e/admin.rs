//! `hoody admin users …` beside a running server, on both engines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Client, PASSWORD, Place, Ran, WHOLE_MACHINE, eventually, on_both};

/// Within what time after the command's end a change is in force on a running server.
const IN_FORCE: Duration = Duration::from_millis(200);
const NEW_PASSWORD: &str = "another horse entirely";

async fn users(place: &Place, arguments: &[&str]) -> Ran {
    place.run(&[&["admin", "users"], arguments].concat()).await
}

/// A client that never stops asking.
struct Asking {
    allowed: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<(Instant, crate::support::Reply)>,
}

impl Asking {
    /// Asks until it is refused; tells when it sent the last request that was allowed.
    async fn start(client: Client) -> Self {
        let allowed = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&allowed);
        let task = tokio::spawn(async move {
            let mut last = Instant::now();
            loop {
                let sent = Instant::now();
                let reply = client.check().await;
                if reply.status != StatusCode::NO_CONTENT {
                    return (last, reply);
                }
                last = sent;
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let asking = Self { allowed, task };
        asking.is_hot().await;
        asking
    }

    /// Waits until it was allowed another twenty times.
    async fn is_hot(&self) {
        let wanted = self.allowed.load(Ordering::Relaxed) + 20;
        eventually("requests are answered", IN_FORCE * 50, async || {
            (self.allowed.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }
}

on_both! {
    async fn a_ban_of_an_account_in_use_is_in_force_within_200_ms(place: Place) {
        let _whole = WHOLE_MACHINE.lock().await;
        let (server, ada) = place.serve_ada().await;
        let (_, token) = ada.mint(json!({})).await;
        for _ in 0..5 {
            let asking = [Asking::start(ada.clone()).await, Asking::start(token.clone()).await];
            let mut ban = place.hoody(&["admin", "users", "ban", "ada"]);
            let ran = tokio::task::spawn_blocking(move || (ban.output().unwrap(), Instant::now()));
            let (ran, ended) = ran.await.unwrap();
            Ran::from(ran).ended(0).saying(&["Banned ada"]);
            for asking in asking {
                let (last, reply) = asking.task.await.unwrap();
                reply.refused(403, "ACCOUNT_BANNED");
                let late = last.saturating_duration_since(ended);
                eprintln!("allowed for {late:?} after the command's end");
                assert!(late < IN_FORCE, "allowed for {late:?} after the command's end");
            }
            server.client().try_login("ada", PASSWORD).await.refused(401, "INVALID_CREDENTIALS");
            users(&place, &["unban", "ada"]).await.ended(0).saying(&["Unbanned ada"]);
            eventually("the account is let in again", IN_FORCE, async || {
                (token.check().await.status == StatusCode::NO_CONTENT).then_some(())
            })
            .await;
        }
    }

    async fn accounts_are_made_and_listed_beside_a_running_server(place: Place) {
        let server = place.serve().await;
        let create = ["admin", "users", "create", "Ada", "--email", "ada@example.com", "--password-stdin"];
        let made = place.run_with(&create, &format!("{PASSWORD}\nnot the password\n")).await;
        made.ended(0).saying(&["Ada"]);
        assert!(!made.text().contains(PASSWORD));
        let me = server.client().login("Ada", PASSWORD).await.get("/api/v1/users/auth/me").await;
        assert_eq!(me.text_at("/data/email"), "ada@example.com");
        assert!(made.text().contains(me.text_at("/data/id")), "{made:?}");
        users(&place, &["create", "bob", "--password", PASSWORD]).await.ended(0);
        let listed = users(&place, &["list"]).await;
        listed.ended(0);
        for word in ["admin", "Ada", "bob"] {
            assert!(listed.text().contains(word), "{listed:?}");
        }
        assert!(!listed.text().contains("argon2"), "{listed:?}");
        let listed: serde_json::Value = {
            let listed = users(&place, &["list", "-o", "json"]).await;
            serde_json::from_str(&listed.ended(0).stdout).unwrap()
        };
        let ada = listed.as_array().unwrap().iter().find(|user| user["username"] == "Ada").unwrap();
        assert_eq!((ada["email"].as_str(), ada["is_banned"].as_bool()), (Some("ada@example.com"), Some(false)));
        assert!(ada.get("password_hash").is_none(), "{ada}");
    }

    async fn a_new_password_ends_sessions_and_no_token(place: Place) {
        let (server, ada) = place.serve_ada().await;
        let (_, token) = ada.mint(json!({})).await;
        ada.check().await.expect(StatusCode::NO_CONTENT);
        let set = ["admin", "users", "set-password", "ada@example.com", "--password-stdin"];
        place.run_with(&set, NEW_PASSWORD).await.ended(0).saying(&["ada"]);
        eventually("the session is ended", IN_FORCE * 5, async || {
            (ada.check().await.status == StatusCode::UNAUTHORIZED).then_some(())
        })
        .await;
        token.check().await.expect(StatusCode::NO_CONTENT);
        server.client().try_login("ada", PASSWORD).await.refused(401, "INVALID_CREDENTIALS");
        server.client().login("ada", NEW_PASSWORD).await.check().await.expect(StatusCode::NO_CONTENT);
    }

    async fn a_second_factor_that_is_not_there_is_not_taken_away(place: Place) {
        let (_server, _) = place.serve_ada().await;
        users(&place, &["reset-2fa", "ada"]).await.ended(1).saying(&["ada has no second factor"]);
        users(&place, &["reset-2fa", "nobody"]).await.ended(1).saying(&["there is no account"]);
    }

    async fn an_account_is_named_by_name_address_or_id(place: Place) {
        let (server, ada) = place.serve_ada().await;
        let id = ada.get("/api/v1/users/auth/me").await.text_at("/data/id").to_owned();
        for name in ["ada", "ADA@example.com", &id] {
            users(&place, &["ban", name]).await.ended(0);
            server.client().try_login("ada", PASSWORD).await.refused(401, "INVALID_CREDENTIALS");
            users(&place, &["unban", name]).await.ended(0);
            server.client().login("ada", PASSWORD).await;
        }
    }

    async fn what_cannot_be_done_is_said_and_ends_with_1(place: Place) {
        let (server, _) = place.serve_ada().await;
        for command in ["ban", "unban", "set-password"] {
            for name in ["nobody", "nobody@example.com", "0123456789abcdef01234567"] {
                let ran = users(&place, &[command, name, "--password", PASSWORD][..if command == "set-password" { 4 } else { 2 }]).await;
                ran.ended(1).saying(&["there is no account", name]);
            }
        }
        // Names that fold alike cannot both exist.
        for (name, email) in [("ada", "x@example.com"), ("ADA", "y@example.com"), ("eve", "Ada@Example.com")] {
            let ran = users(&place, &["create", name, "--email", email, "--password", PASSWORD]).await;
            ran.ended(1).saying(&["exists"]);
        }
        users(&place, &["create", "a", "--password", PASSWORD]).await.ended(2);
        users(&place, &["create", "eve", "--email", "nowhere", "--password", PASSWORD]).await.ended(2);
        users(&place, &["create", "eve", "--password", "too short"]).await.ended(1).saying(&["12"]);
        let ran = place.run_with(&["admin", "users", "create", "eve", "--password-stdin"], "").await;
        ran.ended(1).saying(&["12"]);
        // There is no terminal to ask on.
        users(&place, &["create", "eve"]).await.ended(1).saying(&["--password-stdin"]);
        users(&place, &["set-password", "ada"]).await.ended(1).saying(&["--password-stdin"]);
        users(&place, &["create", "eve", "--password", PASSWORD, "--password-stdin"]).await.ended(2);
        users(&place, &["ban"]).await.ended(2);
        let names: Vec<(String,)> = place.rows("SELECT username FROM users ORDER BY username").await;
        assert_eq!(names, [("ada".to_owned(),), ("admin".to_owned(),)]);
        server.client().login("ada", PASSWORD).await;
    }

    async fn an_account_made_before_the_first_start_is_the_first(place: Place) {
        users(&place, &["create", "ada", "--password", PASSWORD]).await.ended(0);
        let server = place.serve().await;
        server.client().login("ada", PASSWORD).await;
        assert!(!place.data_dir().join("first-password").exists());
        let listed = users(&place, &["list"]).await;
        assert!(!listed.text().contains("admin"), "{listed:?}");
    }
}
