//! Rotating the master key beside a running server, by the commands of the guide, and through a crash.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Place, WHOLE_MACHINE, eventually, finish, on_both};

/// How long a server may take to follow a command.
const SOON: Duration = Duration::from_secs(20);
const VALUES: usize = 120;

async fn set(client: &Client, key: &str, value: &str) {
    let body = json!({ "value": value, "metadata": { "of": key } });
    let reply = client.send(Method::PUT, &format!("/api/v1/vault/keys/{key}"), Some(body)).await;
    assert!(reply.status.is_success(), "{}", reply.text);
}

async fn holds(client: &Client, key: &str, value: &str) {
    let reply = client.get(&format!("/api/v1/vault/keys/{key}")).await;
    assert_eq!(reply.expect(StatusCode::OK).text_at("/data/value"), value);
}

fn lines(place: &Place) -> Vec<String> {
    let file = std::fs::read_to_string(place.data_dir().join("master.key")).unwrap();
    file.lines().map(str::to_owned).collect()
}

/// What `status` shows, the oldest key first.
async fn status(place: &Place) -> Vec<Value> {
    let ran = place.run(&["admin", "keys", "status", "-o", "json"]).await;
    serde_json::from_str(&ran.ended(0).stdout).unwrap()
}

fn id(key: &Value) -> &str {
    key["id"].as_str().unwrap()
}

on_both! {
    async fn a_key_is_rotated_and_retired_beside_a_running_server(place: Place) {
        let (server, ada) = place.serve_ada().await;
        let (_, token) = ada.mint(json!({ "alias": "ci" })).await;
        set(&ada, "k", "a secret").await;
        let first = lines(&place);
        assert_eq!(first.len(), 1);

        place.run(&["admin", "keys", "rotate"]).await.ended(0).saying(&["Added the master key", "Back that file up"]);
        let added = lines(&place);
        assert_eq!((&added[0], added.len()), (&first[0], 2));
        let mode = std::fs::metadata(place.data_dir().join("master.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let known = status(&place).await;
        assert_eq!((&known[0]["state"], &known[1]["state"]), (&json!("in force"), &json!("waits")));
        token.check().await.expect(StatusCode::NO_CONTENT);

        place.run(&["admin", "keys", "rotate", "--wait"]).await.ended(0).saying(&[id(&known[1]), "is in force"]);
        assert_eq!(lines(&place), [added[1].clone(), added[0].clone()], "the first line is the key in force");
        token.check().await.expect(StatusCode::NO_CONTENT);
        ada.check().await.expect(StatusCode::NO_CONTENT);
        let old = id(&known[0]).to_owned();
        eventually("the values and the token in use move", SOON, async || {
            let keys = status(&place).await;
            token.check().await.expect(StatusCode::NO_CONTENT);
            let is_moved = keys[0]["sealed_values"] == json!({}) && keys[0]["tokens"] == 0;
            is_moved.then_some(())
        })
        .await;
        holds(&ada, "k", "a secret").await;

        let refused = place.run(&["admin", "keys", "retire", &old]).await;
        refused.ended(1).saying(&["1 session hang on", "of ada", "--force"]);
        // Without a terminal nobody can be asked; what would end is said all the same.
        let asked = place.run(&["admin", "keys", "retire", &old, "--force"]).await;
        asked.ended(1).saying(&["--yes"]);
        assert!(asked.stdout.contains("session") && asked.stdout.contains("ada"), "{asked:?}");
        ada.check().await.expect(StatusCode::NO_CONTENT);
        place.run(&["admin", "keys", "retire", &old, "--force", "--yes"]).await.ended(0).saying(&["is retired"]);
        assert_eq!(lines(&place), [added[1].clone()]);
        place.run(&["admin", "keys", "retire", &old]).await.ended(0).saying(&["was retired before"]);
        for wrong in ["0123456789abcdef", id(&known[1])] {
            place.run(&["admin", "keys", "retire", wrong]).await.ended(1);
        }
        place.run(&["admin", "keys", "retire", "zz"]).await.ended(2);
        eventually("the session is ended", SOON, async || {
            (ada.check().await.status == StatusCode::UNAUTHORIZED).then_some(())
        })
        .await;
        token.check().await.expect(StatusCode::NO_CONTENT);
        server.stop().await;

        let server = place.serve().await;
        let ada = server.client().login("ada", PASSWORD).await;
        holds(&ada, "k", "a secret").await;
        token.at(&server.base).check().await.expect(StatusCode::NO_CONTENT);
        server.stop().await;
    }

    async fn a_kill_in_the_middle_of_moving_values_loses_none(place: Place) {
        let _whole = WHOLE_MACHINE.lock().await;
        let (server, ada) = place.serve_ada().await;
        let value = |number: usize| format!("{number}-{}", "x".repeat(60_000));
        for number in 0..VALUES {
            set(&ada, &format!("k{number}"), &value(number)).await;
        }
        place.run(&["admin", "keys", "rotate", "--wait"]).await.ended(0);
        let known = status(&place).await;
        let old = id(&known[0]).to_owned();
        let left = async || {
            let rows: Vec<(String, i64)> =
                place.rows("SELECT key_id, COUNT(*) FROM vault_pieces GROUP BY key_id").await;
            rows.iter().find(|(key, _)| *key == old).map_or(0, |(_, count)| *count)
        };
        let all = i64::try_from(VALUES).unwrap();
        eventually("some have moved", SOON, async || (left().await < all).then_some(())).await;
        server.kill().await;
        let after = left().await;
        eprintln!("killed with {after} of {all} values to go");
        assert!(after > 0, "it was killed too late to show anything");

        let server = place.serve().await;
        let ada = ada.at(&server.base);
        eventually("the rest has moved", SOON, async || (left().await == 0).then_some(())).await;
        for number in 0..VALUES {
            holds(&ada, &format!("k{number}"), &value(number)).await;
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_key_from_the_environment_is_not_changed_and_what_to_do_is_said() {
    let place = Place::sqlite();
    let keys = ["1f".repeat(32), format!("{}\n{}", "1f".repeat(32), "2e".repeat(32))];
    let run = async |keys: &str, arguments: &[&str]| {
        let mut command = place.hoody(arguments);
        command.env("HOODY_MASTER_KEY", keys);
        finish(command, "").await
    };
    let create = ["admin", "users", "create", "ada", "--password", PASSWORD];
    run(&keys[0], &create).await.ended(0);
    let said = run(&keys[0], &["admin", "keys", "rotate"]).await;
    said.ended(1).saying(&["HOODY_MASTER_KEY", "second line", "openssl rand -hex 32", "run this again"]);
    // With the second line there, the same command puts it in force.
    run(&keys[1], &["admin", "keys", "rotate"]).await.ended(0).saying(&["is in force"]);
    let said = run(&keys[0], &["admin", "users", "list"]).await;
    said.ended(1).saying(&["is not in HOODY_MASTER_KEY"]);
    run(&keys[1], &["admin", "users", "list"]).await.ended(0);
    assert!(!place.data_dir().join("master.key").exists());
}
