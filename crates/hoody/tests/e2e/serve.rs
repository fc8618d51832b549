//! `hoody serve`: its first start, what it refuses to start with, how it ends.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{HOODY, PASSWORD, Place, Server, eventually, finish, on_both};

const END: Duration = Duration::from_secs(10);

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

/// User name and password of the account that the first start makes.
fn first_password(place: &Place) -> (String, String) {
    let content = std::fs::read_to_string(place.data_dir().join("first-password")).unwrap();
    ("admin".to_owned(), content.trim_end().to_owned())
}

#[tokio::test]
async fn a_fresh_start_keeps_its_files_private_and_its_first_password_works() {
    let place = Place::sqlite();
    let server = place.serve().await;
    assert_eq!(mode(&place.data_dir()), 0o700);
    let files: Vec<_> =
        std::fs::read_dir(place.data_dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
    for name in ["first-password", "hoody.db", "hoody.db-wal", "hoody.db-shm", "lock", "master.key"] {
        assert!(files.contains(&place.data_dir().join(name)), "{name}: {files:?}");
    }
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    let (username, password) = first_password(&place);
    server.says("Try: ").await;
    let said = server.said();
    assert!(said.contains(&format!("hoody auth login --username {username}")), "{said}");
    assert!(said.contains("first-password") && !said.contains(&password), "{said}");
    server.client().login(&username, &password).await.check().await.expect(StatusCode::NO_CONTENT);
}

/// Wherever it listens: as it is printed.
#[tokio::test]
async fn the_command_that_a_first_start_proposes_leads_to_it() {
    for listen in ["0.0.0.0:0", "[::]:0", "127.0.0.1:0", "[::1]:0"] {
        let place = Place::sqlite();
        let server = Server::start(place.hoody(&["serve", "--listen", listen])).await;
        server.says("Try: ").await;
        let said = server.said();
        let line = said.lines().find_map(|line| line.strip_prefix("Try: ")).unwrap();
        assert!(!line.contains("0.0.0.0") && !line.contains("[::]"), "{line}");
        let mut shell = place.command("/bin/sh");
        let bin = Path::new(HOODY).parent().unwrap().display().to_string();
        shell.args(["-c", line]).env("PATH", format!("{bin}:/usr/bin:/bin"));
        finish(shell, "").await.ended(0);
    }
}

#[tokio::test]
async fn the_first_password_is_gone_once_it_is_changed() {
    let place = Place::sqlite();
    let server = place.serve().await;
    let (username, password) = first_password(&place);
    let admin = server.client().login(&username, &password).await;
    let id = admin.get("/api/v1/users/auth/me").await.text_at("/data/id").to_owned();
    let change = json!({ "password": PASSWORD, "current_password": password });
    admin
        .send(reqwest::Method::PUT, &format!("/api/v1/users/{id}"), Some(change))
        .await
        .expect(StatusCode::OK);
    assert!(!place.data_dir().join("first-password").exists());
    admin.check().await.refused(401, "INVALID_TOKEN");
    server.client().try_login(&username, &password).await.refused(401, "INVALID_CREDENTIALS");
    server.client().login(&username, PASSWORD).await;

    // So it is when the operator sets another.
    let place = Place::sqlite();
    let server = place.serve().await;
    let (username, password) = first_password(&place);
    place
        .run_with(&["admin", "users", "set-password", &username, "--password-stdin"], PASSWORD)
        .await
        .ended(0);
    assert!(!place.data_dir().join("first-password").exists());
    server.client().try_login(&username, &password).await.refused(401, "INVALID_CREDENTIALS");
    server.client().login(&username, PASSWORD).await;
}

#[tokio::test]
async fn a_second_start_goes_on_where_the_first_ended() {
    let place = Place::sqlite();
    let server = place.serve().await;
    let (username, password) = first_password(&place);
    let admin = server.client().login(&username, &password).await;
    let (_, token) = admin.mint(json!({})).await;
    let key = std::fs::read(place.data_dir().join("master.key")).unwrap();
    server.stop().await;

    let server = place.serve().await;
    assert!(!server.said().contains("first account"), "{}", server.said());
    assert_eq!(first_password(&place), (username.clone(), password.clone()));
    assert_eq!(std::fs::read(place.data_dir().join("master.key")).unwrap(), key);
    for credential in [&admin, &token] {
        let client = server.client().with(credential.credential.as_deref().unwrap());
        client.check().await.expect(StatusCode::NO_CONTENT);
    }
    server.client().login(&username, &password).await;
}

#[tokio::test]
async fn the_first_account_can_be_given() {
    let place = Place::sqlite();
    let mut command = place.hoody(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("HOODY_ADMIN_USERNAME", "root-ada").env("HOODY_ADMIN_EMAIL", "ada@example.com");
    command.env("HOODY_ADMIN_PASSWORD", "too short");
    finish(command, "").await.ended(1).saying(&["HOODY_ADMIN_PASSWORD", "12"]);

    // A refused password leaves nothing half made.
    let mut command = place.hoody(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("HOODY_ADMIN_USERNAME", "root-ada").env("HOODY_ADMIN_EMAIL", "ada@example.com");
    command.env("HOODY_ADMIN_PASSWORD", PASSWORD);
    let server = Server::start(command).await;
    server.says("Try: ").await;
    assert!(!server.said().contains(PASSWORD));
    assert!(!place.data_dir().join("first-password").exists());
    let me = server.client().login("root-ada", PASSWORD).await.get("/api/v1/users/auth/me").await;
    assert_eq!(me.text_at("/data/email"), "ada@example.com");
}

#[tokio::test]
async fn on_a_terminal_the_first_password_is_shown_there_and_kept_nowhere() {
    let place = Place::sqlite();
    // script(1) gives the server a terminal, and copies what it prints to the file. Under nohup(1) the
    // server would outlive its terminal, as it should.
    let serve = format!("exec env --default-signal=HUP {HOODY} serve --listen 127.0.0.1:0");
    let mut command = place.command("script");
    command.args(["--quiet", "--flush", "--return", "--command", &serve, "typescript"]);
    let server = Server::spawn(command);
    let shown = eventually("the password is shown", END, async || {
        let shown = std::fs::read_to_string(place.path("typescript")).unwrap_or_default();
        shown.contains("Try: ").then_some(shown)
    });
    let shown = shown.await;
    let after = |word: &str| {
        let rest = &shown[shown.find(word).unwrap_or_else(|| panic!("{shown}")) + word.len()..];
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let (base, password) = (after("hoody listens on "), after("its password "));
    assert!(!place.data_dir().join("first-password").exists());
    let client = server.client().at(&base);
    client.login("admin", &password).await;
    // The terminal goes away, and the server with it.
    drop(server);
    eventually("the server is gone", END, async || client.try_get("/livez").await.err()).await;
}

#[tokio::test]
async fn a_port_that_is_taken_costs_nobody_the_first_password() {
    let place = Place::sqlite();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    place.run(&["serve", "--listen", &address]).await.ended(1).saying(&["listen", &address]);
    assert!(!place.data_dir().join("first-password").exists());
    let server = place.serve().await;
    server.says("The first account is \"admin\"").await;
    let (username, password) = first_password(&place);
    server.client().login(&username, &password).await;
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_in_clear_words() {
    let place = Place::sqlite();
    let server = place.serve().await;
    let second = place.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    second.ended(1).saying(&["another hoody", "hoody-data", "--data-dir"]);
    server.client().get("/readyz").await.expect(StatusCode::OK);
    server.stop().await;
    place.serve().await.client().get("/livez").await.expect(StatusCode::OK);
}

on_both! {
    async fn a_version_that_is_older_than_the_schema_says_so_and_does_not_start(place: Place) {
        let server = place.serve().await;
        // As if a later version had been started beside it: who runs goes on.
        place.execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        ).await;
        server.client().get("/readyz").await.expect(StatusCode::OK);
        server.stop().await;
        for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["admin", "users", "list"]] {
            let ran = place.run(arguments).await;
            ran.ended(1).saying(&["newer version of hoody (migration 9999", "restore the backup"]);
        }
        place.execute("DELETE FROM _sqlx_migrations WHERE version = 9999").await;
        place.serve().await.stop().await;
    }
}

#[tokio::test]
async fn another_master_key_is_refused_and_both_are_named() {
    let place = Place::sqlite();
    place.serve().await.stop().await;
    let known: Vec<(String,)> = place.rows("SELECT id FROM master_keys").await;
    let other = "5a".repeat(32);
    // What the other key is called is what a database under it says.
    let elsewhere = Place::sqlite();
    std::fs::create_dir(elsewhere.data_dir()).unwrap();
    std::fs::write(elsewhere.data_dir().join("master.key"), &other).unwrap();
    elsewhere.run(&["admin", "keys", "init"]).await.ended(0);
    let other_id: Vec<(String,)> = elsewhere.rows("SELECT id FROM master_keys").await;

    let key = std::fs::read(place.data_dir().join("master.key")).unwrap();
    std::fs::write(place.data_dir().join("master.key"), &other).unwrap();
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["admin", "users", "list"]] {
        place.run(command).await.ended(1).saying(&[&known[0].0, &other_id[0].0, "master.key"]);
    }
    // A file that is no key is not replaced by a new one, and not repeated.
    std::fs::write(place.data_dir().join("master.key"), "canary").unwrap();
    let ran = place.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    ran.ended(1).saying(&["master.key"]);
    assert!(!ran.text().contains("canary"), "{ran:?}");
    // Without a key a database that has one gets no other.
    std::fs::remove_file(place.data_dir().join("master.key")).unwrap();
    place.run(&["serve", "--listen", "127.0.0.1:0"]).await.ended(1).saying(&["no master key"]);
    assert!(!place.data_dir().join("master.key").exists());

    std::fs::write(place.data_dir().join("master.key"), key).unwrap();
    place.serve().await.client().get("/readyz").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_shared_database_gets_a_key_only_on_demand() {
    let Some(place) = Place::postgres().await else { return };
    let refused = place.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    refused.ended(1).saying(&["no master key", "hoody admin keys init"]);
    assert!(!place.data_dir().join("master.key").exists());
    place.run(&["admin", "users", "list"]).await.ended(1).saying(&["hoody admin keys init"]);

    place.run(&["admin", "keys", "init"]).await.ended(0).saying(&["master key", "Back that file up"]);
    assert_eq!(mode(&place.data_dir().join("master.key")), 0o600);
    place.run(&["admin", "keys", "init"]).await.ended(1).saying(&["already under the master key"]);
    let server = place.serve().await;
    let (username, password) = first_password(&place);
    server.client().login(&username, &password).await;
}

#[tokio::test]
async fn the_settings_can_be_checked_without_starting() {
    let place = Place::sqlite();
    place.run(&["serve", "--check-config"]).await.ended(0).saying(&["ok"]);
    assert!(!place.data_dir().exists());
    for (name, value) in [
        ("HOODY_MASTER_KEY", "a".repeat(63)),
        ("HOODY_LOG", "hoody=loud".to_owned()),
        ("HOODY_ADMIN_PASSWORD", "short".to_owned()),
        ("HOODY_TRUSTED_PROXIES", "0.0.0.0/0".to_owned()),
    ] {
        let mut command = place.hoody(&["serve", "--check-config"]);
        command.env(name, value);
        finish(command, "").await.ended(1);
    }
    let mut command = place.hoody(&["serve", "--check-config"]);
    command.env("HOODY_TRUSTED_PROXIES", "10.0.0.0/33");
    finish(command, "").await.ended(1).saying(&["trusted-proxies", "HOODY_TRUSTED_PROXIES"]);
    let ran = place.run(&["serve", "--check-config", "--listen", "nowhere"]).await;
    ran.ended(2).saying(&["listen", "flag --listen", "127.0.0.1:8080"]);
}

#[tokio::test]
async fn the_settings_are_shown_with_their_sources_and_no_password() {
    let place = Place::sqlite();
    std::fs::write(place.path("hoody.toml"), "log = \"warn\"\ndomain = \"file.test\"\n").unwrap();
    let mut command =
        place.hoody(&["serve", "--print-config", "--listen", "127.0.0.1:9", "--config", "hoody.toml"]);
    command.env("HOODY_DATABASE_URL", "postgres://ada:geheim@db.test/hoody?password=geheim");
    command.env("HOODY_DOMAIN", "env.test").env("HOODY_MASTER_KEY", "5a".repeat(32));
    let ran = finish(command, "").await;
    ran.ended(0);
    let shown = ran.text();
    for (name, value, source) in [
        ("listen", "127.0.0.1:9", "flag --listen"),
        ("database-url", "db.test/hoody", "HOODY_DATABASE_URL"),
        ("domain", "env.test", "HOODY_DOMAIN"),
        ("public-url", "http://env.test:9", "default"),
        ("data-dir", "hoody-data", "default"),
        ("log", "warn", "file"),
        ("master-key", "not shown", "HOODY_MASTER_KEY"),
        ("trusted-proxies", "none", "default"),
    ] {
        let line = shown.lines().find(|line| line.split([' ', '=']).next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name}: {shown}"));
        assert!(line.contains(value) && line.contains(source), "{line}");
    }
    assert!(!shown.contains("geheim") && !shown.contains("5a5a"), "{shown}");
    assert!(!place.data_dir().exists());
}

#[tokio::test]
async fn an_unknown_key_of_the_file_is_named() {
    let place = Place::sqlite();
    std::fs::write(place.path("hoody.toml"), "listne = \"127.0.0.1:9\"\n").unwrap();
    let ran = place.run(&["serve", "--config", "hoody.toml"]).await;
    ran.ended(1).saying(&["hoody.toml", "listne", "listen"]);
    place.run(&["serve", "--config", "nowhere.toml"]).await.ended(1).saying(&["nowhere.toml"]);
    let mut command = place.hoody(&["admin", "users", "list"]);
    command.env("HOODY_CONFIG", "hoody.toml");
    finish(command, "").await.ended(1).saying(&["listne"]);
}

#[tokio::test]
async fn wrong_usage_ends_with_2() {
    let place = Place::sqlite();
    place.run(&["serve", "--lisen", "127.0.0.1:9"]).await.ended(2).saying(&["--lisen"]);
    place.run(&["serve", "now"]).await.ended(2);
    // The client's options are not the server's, wherever they stand.
    for arguments in
        [["serve", "--token", "canary"], ["--token", "canary", "serve"], ["-v", "admin", "users"]]
    {
        let ran = place.run(&arguments).await;
        assert!(!ran.ended(2).text().contains("canary"), "{ran:?}");
    }
    place.run(&["admin", "users", "ban"]).await.ended(2);
    place.run(&["admin"]).await.ended(2);
    for (arguments, said) in [
        (&["serve", "--listen", "x"][..], "--listen"),
        (&["serve", "--activity", "maybe"], "on or off"),
        (&["admin", "users", "list", "--grant-cache", "big"], "--grant-cache"),
        (&["admin", "users", "create", "a"], "username must"),
        (&["admin", "users", "create", "eve", "--email", "bad"], "--email"),
        (&["admin", "invitations", "create", "--email", "bad"], "--email"),
        (&["audit", "export", "--since", "bogus"], "--since"),
        (&["admin", "audit", "export", "--until", "bogus"], "7d, 24h, 30m"),
    ] {
        place.run(arguments).await.ended(2).saying(&[said]);
    }
    // What is wrong is not on the command line.
    let mut command = place.hoody(&["serve"]);
    command.env("HOODY_LISTEN", "x");
    finish(command, "").await.ended(1).saying(&["HOODY_LISTEN"]);
    place.run(&["serve", "--help"]).await.ended(0);
    assert!(!place.data_dir().exists());
}

#[tokio::test]
async fn what_is_meant_for_the_client_does_not_disturb_the_server() {
    let place = Place::sqlite();
    let mut command = place.hoody(&["serve", "--listen", "127.0.0.1:0"]);
    for name in
        ["HOODY_TOKEN", "HOODY_API_TOKEN", "HOODY_BASE_URL", "HOODY_REALM", "HOODY_PROFILE", "HOODY_PASSWORD"]
    {
        command.env(name, "canary");
    }
    let server = Server::start(command).await;
    server.client().get("/readyz").await.expect(StatusCode::OK);
    server.client().check().await.refused(401, "MISSING_TOKEN");
    assert!(!server.said().contains("canary"), "{}", server.said());
}

#[tokio::test]
async fn probes_and_document_are_open_and_metrics_are_elsewhere() {
    let place = Place::sqlite();
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server =
        Server::start(place.hoody(&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", &metrics])).await;
    let client = server.client();
    client.get("/livez").await.expect(StatusCode::OK);
    let ready = client.get("/readyz").await;
    ready.expect(StatusCode::OK);
    assert_eq!(
        ready.body,
        json!({ "ready": true, "database": true, "writes": true, "feed": true, "keys": true, "tasks": true, "warnings": [] })
    );
    let document = client.get("/openapi.json").await;
    document.expect(StatusCode::OK);
    assert_eq!(document.headers["content-type"], "application/json");
    assert!(document.body["openapi"].is_string());
    assert!(document.body["paths"]["/api/v1/auth/tokens"]["post"].is_object());

    client.get("/metrics").await.refused(404, "RESOURCE_NOT_FOUND");
    client.with("nonsense").check().await.refused(401, "INVALID_TOKEN");
    let scraper = server.client().at(&format!("http://{metrics}"));
    let scraped = scraper.get("/metrics").await;
    scraped.expect(StatusCode::OK);
    for name in ["hoody_http_requests_total", "hoody_denials_total", "hoody_feed_fresh 1"] {
        assert!(scraped.text.contains(name), "{}", scraped.text);
    }
    scraper.get("/livez").await.expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_server_that_listens_to_the_world_in_the_clear_says_so() {
    let place = Place::sqlite();
    let server = Server::start(place.hoody(&["serve", "--listen", "0.0.0.0:0"])).await;
    server.says("neither TLS nor a trusted proxy").await;
    let client = server.client().at(&format!("http://127.0.0.1:{}", server.port()));
    let ready = client.get("/readyz").await;
    ready.expect(StatusCode::OK);
    assert!(ready.text_at("/warnings/0").contains("neither TLS nor a trusted proxy"));
}

#[tokio::test]
async fn on_sigterm_what_runs_is_finished_and_what_waits_is_closed() {
    let place = Place::sqlite();
    let (mut server, ada) = place.serve_ada().await;
    let (id, token) = ada.mint(json!({})).await;
    token.check().await.expect(StatusCode::NO_CONTENT);
    // Two connections that ask for nothing, one of them after an answer.
    let silent = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let mut idle = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    // One whose body is still on its way.
    let body = json!({ "username": "ada", "password": PASSWORD }).to_string();
    let head =
        format!("POST /api/v1/users/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n", body.len());
    let mut running = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    running.write_all(format!("{head}expect: 100-continue\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    // It reads the body: the request runs.
    running.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");

    server.signal(Signal::TERM);
    server.says("stopping").await;
    eventually("nothing more is accepted", END, async || {
        TcpStream::connect(("127.0.0.1", server.port())).await.is_err().then_some(())
    })
    .await;
    running.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    running.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("HTTP/1.1 200") && answer.contains("refreshToken"), "{answer}");
    assert_eq!(server.ended(END).await.code(), Some(0), "{}", server.said());
    drop((silent, idle));

    // The login was kept, and the use of the token written.
    let logins: Vec<(i64,)> = place.rows("SELECT COUNT(*) FROM sessions").await;
    assert_eq!(logins[0].0, 2);
    let server = place.serve().await;
    let ada = server.client().with(ada.credential.as_deref().unwrap());
    let token = ada.get(&format!("/api/v1/auth/tokens/{id}")).await;
    assert_eq!(token.text_at("/data/last_used_ip"), "127.0.0.1");
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_the_end_up() {
    let place = Place::sqlite();
    let mut server = place.serve().await;
    let mut running = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let head = "POST /api/v1/users/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
    running.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    running.read_exact(&mut answer).await.unwrap();
    server.signal(Signal::INT);
    assert_eq!(server.ended(END).await.code(), Some(0), "{}", server.said());
}
