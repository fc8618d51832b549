//! The client's commands against a real server: what they keep, and what many of them do at once.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::{PASSWORD, Place, Ran, Running, Server, eventually, finish, on_both};

async fn hoody(place: &Place, server: &Server, arguments: &[&str], input: &str) -> Ran {
    let mut command = place.hoody(arguments);
    command.env("HOODY_BASE_URL", &server.base);
    finish(command, input).await
}

fn stored(place: &Place) -> Value {
    let text = std::fs::read_to_string(place.path(".hoody/config.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_session_is_stored_for_its_owner_and_its_server_alone() {
    let place = Place::sqlite();
    let (server, _) = place.serve_ada().await;
    let login = hoody(&place, &server, &["login", "--username", "ada", "--password-stdin"], PASSWORD).await;
    login.ended(0);
    let access = stored(&place)["token"].as_str().unwrap().to_owned();
    let refresh = stored(&place)["refreshToken"].as_str().unwrap().to_owned();
    assert!(!login.text().contains(&access) && !login.text().contains(PASSWORD), "{login:?}");
    for path in [".hoody/config.json", ".hoody"] {
        let mode = place.path(path).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{path}: {mode:o}");
    }
    hoody(&place, &server, &["auth", "check"], "").await.ended(0);
    // It is no token, and the hint does not lead back here.
    let current = hoody(&place, &server, &["auth", "get-current"], "").await;
    current.ended(1).saying(&["a session", "hoody users me", "HOODY_TOKEN"]);
    assert!(!current.text().contains("get-current"), "{current:?}");

    // Another server is not told of it.
    let other = Place::sqlite();
    let elsewhere = other.serve().await;
    let refused = hoody(&place, &elsewhere, &["auth", "check"], "").await;
    refused.ended(1);
    assert!(!refused.text().contains(&access), "{refused:?}");

    hoody(&place, &server, &["logout"], "").await.ended(0);
    let left = stored(&place).to_string();
    assert!(!left.contains(&access) && !left.contains(&refresh), "{left}");
    server.client().with(&access).check().await.refused(401, "INVALID_TOKEN");
    hoody(&place, &server, &["auth", "check"], "").await.ended(1);
}

#[tokio::test]
async fn what_is_shown_of_every_request_is_never_a_secret() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    let (_, token) = ada.mint(json!({})).await;
    let secret = token.credential.unwrap();
    let login = ["login", "-v", "--username", "ada", "--password", PASSWORD];
    let login = hoody(&place, &server, &login, "").await;
    assert!(!login.ended(0).stderr.contains(PASSWORD), "{login:?}");
    for arguments in [["auth", "refresh", "-v"], ["projects", "list", "-v"], ["auth", "create", "-v"]] {
        let ran = hoody(&place, &server, &arguments, "").await;
        let stored = stored(&place);
        for secret in [stored["token"].as_str().unwrap(), stored["refreshToken"].as_str().unwrap(), "hdy_"] {
            assert!(!ran.ended(0).stderr.contains(secret), "{ran:?}");
        }
    }
    let mut command = place.hoody(&["auth", "get-current", "-v"]);
    command.env("HOODY_BASE_URL", &server.base).env("HOODY_TOKEN", &secret);
    let ran = finish(command, "").await;
    assert!(!ran.ended(0).text().contains(&secret), "{ran:?}");
}

on_both! {
    async fn a_session_that_ended_is_refreshed_once_however_many_commands_need_it(place: Place) {
        let (server, _) = place.serve_ada().await;
        let login = ["login", "--username", "ada", "--password-stdin"];
        hoody(&place, &server, &login, PASSWORD).await.ended(0);
        // Two refreshes later its access token is refused as one that ended is.
        let mut config = stored(&place);
        for _ in 0..2 {
            let refresh = json!({ "refreshToken": config["refreshToken"] });
            let next = server.client().post("/api/v1/users/auth/refresh", refresh).await;
            config["refreshToken"] = json!(next.text_at("/data/refreshToken"));
        }
        std::fs::write(place.path(".hoody/config.json"), config.to_string()).unwrap();
        let old = server.client().with(config["token"].as_str().unwrap());
        eventually("the old access token is refused", std::time::Duration::from_secs(5), async || {
            (old.check().await.status == 401).then_some(())
        })
        .await;

        let commands: Vec<_> = (0..8).map(|_| {
            let mut command = place.hoody(&["projects", "list"]);
            command.env("HOODY_BASE_URL", &server.base);
            Running::start(command, "")
        }).collect();
        for command in commands {
            command.finish().await.ended(0);
        }
        let turned: Vec<(i64,)> = place.rows("SELECT MAX(seq) FROM sessions").await;
        assert_eq!(turned[0].0, 3);
        assert_ne!(stored(&place)["refreshToken"], config["refreshToken"]);
        hoody(&place, &server, &["auth", "refresh"], "").await.ended(0);
    }
}

#[tokio::test]
async fn the_security_history_is_read_by_hand_and_by_script() {
    let place = Place::sqlite();
    let (server, _) = place.serve_ada().await;
    let wrong = ["login", "--username", "ada", "--password-stdin"];
    hoody(&place, &server, &wrong, "wrong wrong wrong").await.ended(1);
    hoody(&place, &server, &wrong, PASSWORD).await.ended(0);
    let all = ["users", "history", "--include-failed", "--limit", "2"];
    let shown = hoody(&place, &server, &all, "").await;
    assert!(
        shown.ended(0).stdout.contains("login_failed") && shown.stdout.contains("127.0.0.1"),
        "{shown:?}"
    );
    shown.saying(&["Page 1 of 2 (3 in all): --page 2 shows the next."]);
    let json = hoody(&place, &server, &["users", "history", "-o", "json"], "").await;
    let events: Value = serde_json::from_str(&json.ended(0).stdout).unwrap();
    let names: Vec<_> =
        events.as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["login", "login"]);
    assert_eq!(events[0]["client"], "cli");
}
