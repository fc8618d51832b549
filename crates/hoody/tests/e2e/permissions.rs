//! `hoody admin permissions …` and `serve --permissions` beside running servers, on both engines.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, Place, Ran, Reply, Server, eventually, on_both};

/// Within what time after the command's end a change is in force on a running server.
const IN_FORCE: Duration = Duration::from_secs(1);
const ORDERS: &str = "[permissions]\n\"orders.read\" = { description = \"Read orders\" }\n\
    \"orders.create\" = { description = \"Create orders\", writes = true }\n";

async fn permissions(place: &Place, arguments: &[&str]) -> Ran {
    place.run(&[&["admin", "permissions"], arguments].concat()).await
}

/// Fails the test unless it ended with this code and printed all of these.
#[track_caller]
fn told(ran: &Ran, code: i32, words: &[&str]) {
    ran.ended(code);
    for word in words {
        assert!(ran.text().contains(word), "{word:?} is not in {ran:?}");
    }
}

/// Writes a file into the place; its path.
fn file(place: &Place, text: &str) -> String {
    let path = place.path("permissions.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

async fn check(client: &Client, path: &str) -> Reply {
    client.get(&format!("/api/v1/auth/check?permission={path}")).await
}

on_both! {
    async fn a_file_is_planned_applied_and_in_force(place: Place) {
        let (_server, ada) = place.serve_ada().await;
        let orders = file(&place, ORDERS);
        told(&permissions(&place, &["list"]).await, 0, &["hoody admin permissions apply FILE"]);
        told(&permissions(&place, &["plan", &orders]).await, 0, &["add orders.read", "add orders.create"]);
        check(&ada, "orders.read").await.refused(400, "INVALID_PARAMETER_VALUE");
        told(&permissions(&place, &["apply", &orders]).await, 0, &["add orders.read"]);
        told(&permissions(&place, &["apply", &orders]).await, 0, &["Nothing to change"]);
        eventually("the permission is known", IN_FORCE, async || {
            (check(&ada, "orders.read").await.status == StatusCode::NO_CONTENT).then_some(())
        })
        .await;
        let (_, token) = ada.mint(json!({ "permissions": { "orders": { "read": true } } })).await;
        check(&token, "orders.read").await.expect(StatusCode::NO_CONTENT);
        check(&token, "orders.create").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        let listed = permissions(&place, &["list", "-o", "json"]).await;
        let listed: Value = serde_json::from_str(&listed.ended(0).stdout).unwrap();
        assert_eq!(listed["permissions"][1]["path"], "orders.read");

        // What is held stays, until it is taken by force.
        let less = file(&place, "[permissions]\n\"orders.create\" = { description = \"Create orders\", writes = true }\n");
        told(&permissions(&place, &["apply", &less]).await, 0, &["not done: remove orders.read", "--prune"]);
        told(&permissions(&place, &["apply", &less, "--prune"]).await, 1, &["1 token holds it", "--force", "tokens:"]);
        told(&permissions(&place, &["apply", &less, "--force"]).await, 2, &["--prune"]);
        told(&permissions(&place, &["apply", &less, "--prune", "--force"]).await, 0, &["remove orders.read", "1 token"]);
        eventually("the permission is gone", IN_FORCE, async || {
            (check(&token, "orders.read").await.status == StatusCode::BAD_REQUEST).then_some(())
        })
        .await;

        told(&permissions(&place, &["retire", "orders.create"]).await, 0, &["retire orders.create"]);
        told(&permissions(&place, &["retire", "orders.none"]).await, 1, &["orders.none", "unknown permission"]);
    }

    async fn serve_adds_what_is_missing_and_nothing_else(place: Place) {
        let orders = file(&place, ORDERS);
        let mut serve = place.hoody(&["serve", "--listen", "127.0.0.1:0", "--permissions", &orders]);
        serve.env("HOODY_ADMIN_PASSWORD", "correct horse battery staple");
        let server = Server::start(serve).await;
        server.says("add orders.create").await;
        server.stop().await;
        file(&place, "[permissions]\n\"orders.read\" = { description = \"Other words\" }\n\"orders.ship\" = {}\n");
        let server = Server::start(place.hoody(&["serve", "--listen", "127.0.0.1:0", "--permissions", &orders])).await;
        server.says("add orders.ship").await;
        server.says("not done: change what is said of orders.read").await;
        server.says("not done: remove orders.create").await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_bad_file_is_told_by_its_name_and_place() {
    let place = Place::sqlite();
    place.run(&["admin", "users", "create", "ada", "--password", crate::support::PASSWORD]).await.ended(0);
    for (text, words) in [
        ("[permissions]\n\"orders\" = 1\n", &["permissions.toml", "/permissions/orders", "object"][..]),
        ("[permissions]\n\"Orders.read\" = {}\n", &["Orders.read"]),
        ("[permissions]\n\"projects.ship\" = {}\n", &["projects", "reserved for hoody"]),
        ("[permissions\n", &["permissions.toml", "TOML"]),
        ("[permission]\n", &["/permission"]),
        ("[permissions]\n\"orders.read\" = { wirtes = true }\n", &["wirtes"]),
        ("[templates.full_access]\npermissions = []\n", &["full_access"]),
        ("[templates.x]\npermissions = [\"orders.read\"]\n", &["orders.read"]),
    ] {
        let path = file(&place, text);
        told(&permissions(&place, &["plan", &path]).await, 1, words);
    }
    let path = file(&place, "[permissions]\n\"orders\" = 1\n");
    told(&place.run(&["serve", "--check-config", "--permissions", &path]).await, 1, &["/permissions/orders"]);
    told(
        &place.run(&["serve", "--permissions", &path, "--listen", "127.0.0.1:0"]).await,
        1,
        &["/permissions/orders"],
    );
    told(&permissions(&place, &["apply", "/does/not/exist"]).await, 1, &["/does/not/exist cannot be read"]);
}
