//! Ways in that others left open (`threats.md`): refresh tokens that come back, keys that are not there,
//! and secrets that are logged, told, compared or stored.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use hoody_core::keys::Keyring;
use hoody_service::testing::{Cut, Service};
use http::{Method, StatusCode};
use serde_json::json;
use sqlx::{Connection as _, Row as _};
use tokio::task::JoinSet;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{PASSWORD, Reply, TestApp, on_both};

const LOGIN: &str = "/api/v1/users/auth/login";
const REFRESH: &str = "/api/v1/users/auth/refresh";

async fn refresh(app: &TestApp, token: &str) -> Reply {
    app.anon().post(REFRESH, json!({ "refreshToken": token })).await
}

fn text<'a>(reply: &'a Reply, field: &str) -> &'a str {
    reply.data()[field].as_str().unwrap()
}

on_both! {
    async fn threat_07_many_refreshes_at_once_are_one_lineage(app: TestApp) {
        app.user("ada").await;
        let (_, old) = app.sign_in("ada").await;
        let sessions = app.service.number("SELECT COUNT(*) AS n FROM sessions").await;
        let second = app.another_node().await;
        let mut all = JoinSet::new();
        for n in 0..50 {
            let client = if n % 2 == 0 { app.anon() } else { app.anon().at(&second) };
            let body = json!({ "refreshToken": old });
            all.spawn(async move { client.post(REFRESH, body).await });
        }
        let replies = all.join_all().await;
        for reply in &replies {
            reply.expect(StatusCode::OK);
            assert_eq!(reply.data(), replies[0].data(), "another lineage");
        }
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM sessions").await, sessions);
        assert_eq!(app.service.number("SELECT MAX(seq) AS n FROM sessions").await, 1);
        let rotated = "SELECT COUNT(*) AS n FROM feed WHERE event_type = 'session.refreshed'";
        assert_eq!(app.service.number(rotated).await, 1);
        // The family lives on.
        let next = refresh(&app, text(&replies[0], "refreshToken")).await;
        next.expect(StatusCode::OK);
        app.with(text(&next, "token")).check("").await.expect(StatusCode::NO_CONTENT);
        // The first is two generations old now: whoever sends it holds a copy, and the family dies.
        refresh(&app, &old).await.refused(401, "INVALID_TOKEN");
        app.with(text(&next, "token")).check("").await.refused(401, "INVALID_TOKEN");
        refresh(&app, text(&next, "refreshToken")).await.refused(401, "INVALID_TOKEN");
    }

    async fn threat_07_a_replay_after_the_grace_ends_the_family_and_no_other(app: TestApp) {
        let other = app.user("ada").await;
        let (_, old) = app.sign_in("ada").await;
        let next = refresh(&app, &old).await;
        app.service.advance(60_000);
        app.service.poll().await;
        refresh(&app, &old).await.refused(401, "INVALID_TOKEN");
        refresh(&app, text(&next, "refreshToken")).await.refused(401, "INVALID_TOKEN");
        app.with(text(&next, "token")).check("").await.refused(401, "INVALID_TOKEN");
        other.check("").await.expect(StatusCode::NO_CONTENT);
        let told = "SELECT COUNT(*) AS n FROM feed WHERE event_type = 'session.replayed'";
        assert_eq!(app.service.number(told).await, 1);
    }

    async fn threat_08_a_restart_does_not_bring_an_old_refresh_token_back(app: TestApp) {
        app.user("ada").await;
        let (_, first) = app.sign_in("ada").await;
        let next = refresh(&app, &first).await;
        let last = refresh(&app, text(&next, "refreshToken")).await;
        last.expect(StatusCode::OK);
        // Killed: nothing that the process knew is there any more.
        app.service.cut_database().await;
        let restarted = app.another_node().await;
        let replay = app.anon().at(&restarted).post(REFRESH, json!({ "refreshToken": first })).await;
        replay.refused(401, "INVALID_TOKEN");
        let ended = app.with(text(&last, "token")).at(&restarted);
        ended.check("").await.refused(401, "INVALID_TOKEN");
        let again = app.another_node().await;
        ended.at(&again).check("").await.refused(401, "INVALID_TOKEN");
    }

    async fn threat_08_what_was_revoked_stays_revoked_after_a_restart(app: TestApp) {
        let owner = app.user("ada").await;
        let (deleted, disabled) = (owner.mint(json!({})).await, owner.mint(json!({})).await);
        owner.delete(&format!("/api/v1/auth/tokens/{}", deleted.id)).await.expect(StatusCode::OK);
        owner
            .put(&format!("/api/v1/auth/tokens/{}", disabled.id), json!({ "is_enabled": false }))
            .await
            .expect(StatusCode::OK);
        owner.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        app.service.cut_database().await;
        let restarted = app.another_node().await;
        for client in [&owner, &deleted.client, &disabled.client] {
            client.at(&restarted).check("").await.refused(401, "INVALID_TOKEN");
        }
    }

    async fn threat_23_there_is_no_default_key_and_a_wrong_one_is_named(app: TestApp) {
        let now = app.service.now();
        let id = |directory: &Path| {
            let file = std::fs::read(directory.join("master.key")).unwrap();
            Keyring::parse(&file).unwrap().first().id().to_string()
        };
        let ours = id(app.directory.path());
        let elsewhere = tempfile::tempdir().unwrap();
        let path = elsewhere.path().join("master.key");
        // None at all: none is made for a database that is under one.
        let refusal = Service::refusal_to_open(&app.url, elsewhere.path(), now).await.unwrap();
        assert!(refusal.contains("no master key"), "{refusal}");
        assert!(!path.exists());
        for bad in ["", "\n", "zz", &"0".repeat(63), &format!("{0}\n{0}", "ab".repeat(32))] {
            std::fs::write(&path, bad).unwrap();
            assert!(Service::refusal_to_open(&app.url, elsewhere.path(), now).await.is_some(), "{bad:?}");
        }
        std::fs::write(&path, "a7".repeat(32)).unwrap();
        let refusal = Service::refusal_to_open(&app.url, elsewhere.path(), now).await.unwrap();
        let theirs = id(elsewhere.path());
        assert!(refusal.contains(&ours) && refusal.contains(&theirs), "{refusal}");
        assert!(!refusal.contains("a7a7"), "{refusal}");
        // Behind the right key, it is one of several that open.
        let right = std::fs::read_to_string(app.directory.path().join("master.key")).unwrap();
        std::fs::write(&path, format!("{}\n{}", right.trim(), "a7".repeat(32))).unwrap();
        assert_eq!(Service::refusal_to_open(&app.url, elsewhere.path(), now).await, None);
    }

    async fn threat_23_no_text_of_a_page_reaches_a_statement(app: TestApp) {
        let owner = app.user("ada").await;
        for query in [
            "page=1;DROP%20TABLE%20users",
            "page=1%20OR%201=1",
            "page=-1",
            "page=0",
            "page=9999999999999999999",
            "limit=101",
            "limit=0",
            "sort_by=id;--",
            "sort_by=password_hash",
            "sort_order=asc,(SELECT%201)",
            "page=1&page=2",
        ] {
            owner.get(&format!("/api/v1/projects?{query}")).await.refused(400, "INVALID_PARAMETER_VALUE");
        }
        owner.check("").await.expect(StatusCode::NO_CONTENT);
    }

    async fn threat_28_nothing_in_the_database_is_a_secret(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "public_storage": { "note": "planted in plain sight" } })).await;
        let copy = owner.post(&format!("/api/v1/auth/tokens/{}/copy", token.id), json!({})).await;
        let (access, refresh_token) = app.sign_in("ada").await;
        let next = refresh(&app, &refresh_token).await;
        let key = std::fs::read_to_string(app.directory.path().join("master.key")).unwrap().trim().to_owned();
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        app.service.flush_usage().await;

        let dump = dump(&app).await;
        let holds = |needle: &[u8]| dump.windows(needle.len()).any(|window| window == needle);
        assert!(holds(b"planted in plain sight"), "the dump has what was stored");
        let tokens = [token.secret.as_str(), text(&copy, "token")];
        let sessions = [access.as_str(), &refresh_token, text(&next, "token"), text(&next, "refreshToken")];
        for secret in tokens.iter().chain(&sessions).copied().chain([PASSWORD, &key]) {
            assert!(!holds(secret.as_bytes()), "a secret is stored");
            let digest = sha256(secret.as_bytes());
            assert!(!holds(digest.as_bytes()) && !holds(&unhex(&digest)), "an unkeyed digest is stored");
        }
        for token in tokens {
            for part in [&token[4..], &token[4..62], &token[4..36], &token[62 - 20..62]] {
                assert!(!holds(part.as_bytes()), "a part of a token is stored");
            }
            assert!(
                !holds(&unhex(&sha256(&token.as_bytes()[4..]))),
                "an unkeyed digest of its body is stored"
            );
        }
        for session in sessions {
            let (_, signature) = session.rsplit_once('.').unwrap();
            assert!(!holds(signature.as_bytes()), "a session's signature is stored");
        }
        assert!(!holds(&unhex(&key)), "the master key is stored");
    }
}

/// Whether the database holds a secret, its SHA-256, or, where it is hex, its bytes.
pub(crate) async fn is_stored(app: &TestApp, secret: &str) -> bool {
    let dump = dump(app).await;
    let holds = |needle: &[u8]| dump.windows(needle.len()).any(|window| window == needle);
    let digest = sha256(secret.as_bytes());
    let is_hex = secret.len().is_multiple_of(2) && secret.bytes().all(|b| b.is_ascii_hexdigit());
    holds(secret.as_bytes())
        || holds(digest.as_bytes())
        || holds(&unhex(&digest))
        || (is_hex && holds(&unhex(secret)))
}

/// Everything that is stored, as bytes: SQLite's files, or every row of PostgreSQL as text.
pub(crate) async fn dump(app: &TestApp) -> Vec<u8> {
    if app.url.starts_with("sqlite") {
        let files = std::fs::read_dir(app.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let stored = files.filter(|path| path.is_file() && !path.ends_with("master.key"));
        return stored.flat_map(|path| std::fs::read(path).unwrap()).collect();
    }
    let mut database = sqlx::PgConnection::connect(&app.url).await.unwrap();
    let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
    let mut dump = String::new();
    for table in sqlx::query(tables).fetch_all(&mut database).await.unwrap() {
        let rows = format!("SELECT t::text FROM {} t", table.get::<String, _>(0));
        for row in sqlx::query(sqlx::AssertSqlSafe(rows)).fetch_all(&mut database).await.unwrap() {
            dump.push_str(&row.get::<String, _>(0));
            dump.push('\n');
        }
    }
    // `\x…` as bytes too, so that what is sought raw is found.
    let binary: Vec<u8> = dump.split("\\x").skip(1).flat_map(unhex).collect();
    [dump.into_bytes(), binary].concat()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut tool = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    tool.stdin.take().unwrap().write_all(bytes).unwrap();
    String::from_utf8(tool.wait_with_output().unwrap().stdout).unwrap()[..64].to_owned()
}

/// The bytes behind the hex digits that a text begins with.
fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().map_while(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Sends each canary wherever a secret could be sent, and gives what was answered.
async fn fly(app: &TestApp, canary: &str, owner: &crate::support::Client) -> Vec<Reply> {
    let anon = app.anon();
    let mut replies = Vec::new();
    for header in
        [format!("Bearer {canary}"), canary.to_owned(), format!("Basic {canary}"), format!("bearer {canary}")]
    {
        replies.push(anon.header("authorization", &header).get("/api/v1/auth/tokens").await);
        replies.push(anon.header("authorization", &header).post("/api/v1/auth/tokens", json!({})).await);
    }
    for name in ["cookie", "x-api-key", "x-auth-token", "proxy-authorization"] {
        replies.push(anon.header(name, canary).get("/api/v1/ip").await);
        replies.push(anon.header(name, canary).get("/api/v1/projects").await);
    }
    let in_path =
        canary.replace(|character: char| !character.is_ascii_alphanumeric() && character != '_', "-");
    let all = [
        "auth/check?token=",
        "auth/check?permission=",
        "auth/tokens/",
        "auth/tokens/public-profiles/",
        "projects/",
        "users/",
        "",
    ];
    // A path is logged, without what has the form of a credential; any other word in it is just a word.
    let has_form = canary.starts_with("hdy_") || canary.starts_with("eyJ");
    for path in if has_form { &all[..] } else { &all[..2] } {
        for client in [&anon, owner] {
            replies.push(client.get(&format!("/api/v1/{path}{in_path}")).await);
            replies.push(client.delete(&format!("/api/v1/{path}{in_path}")).await);
        }
    }
    let account = format!("/api/v1/users/{}", owner.account().await);
    let otp: String = in_path.chars().take(12).collect();
    for (method, path, body) in [
        (Method::POST, LOGIN, json!({ "username": "ada", "password": canary })),
        (Method::POST, LOGIN, json!({ "username": "nobody", "password": canary })),
        (Method::POST, LOGIN, json!({ "username": canary, "password": PASSWORD })),
        (Method::POST, LOGIN, json!({ "username": "ada", "password": [canary] })),
        (Method::POST, LOGIN, json!({ "password": canary })),
        (Method::POST, REFRESH, json!({ "refreshToken": canary })),
        (Method::POST, REFRESH, json!({ "refreshToken": { "is": canary } })),
        (Method::PUT, account.as_str(), json!({ "password": canary, "current_password": "not the one" })),
        (
            Method::PUT,
            account.as_str(),
            json!({ "password": "another horse battery", "current_password": canary }),
        ),
        (Method::PUT, account.as_str(), json!({ "password": "short", "current_password": canary })),
        (Method::POST, "/api/v1/auth/tokens", json!({ "otp_code": canary, "alias": "" })),
        (Method::POST, "/api/v1/auth/tokens", json!({ "otp_code": otp, "alias": "" })),
        (Method::POST, "/api/v1/auth/tokens", json!({ "token": canary })),
    ] {
        replies.push(owner.send(method, path, body.to_string().into_bytes()).await);
    }
    for bad in [
        format!("{{\"password\": \"{canary}"),
        canary.to_owned(),
        format!("[\"{canary}\"]"),
        format!("\"{canary}\""),
    ] {
        replies.push(anon.send(Method::POST, LOGIN, bad.clone().into_bytes()).await);
        replies.push(owner.send(Method::POST, "/api/v1/auth/tokens", bad.into_bytes()).await);
    }
    replies
}

/// One thread, so that everything that is logged on the way is logged to this test.
async fn threat_26_no_secret_is_logged_told_or_kept(app: TestApp) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let owner = app.user("ada").await;
    let token = owner.mint(json!({})).await;
    let (access, refresh_token) = app.sign_in("ada").await;
    let canaries = [
        token.secret.clone(),
        app.service.unknown_token(),
        app.service.unknown_token()[..66].to_owned(),
        format!("{access}x"),
        refresh_token.clone(),
        "canary-in-a-coal-mine-0001".to_owned(),
    ];
    let mut answers = Vec::new();
    for canary in &canaries {
        answers.extend(fly(&app, canary, &owner).await);
    }
    let key = std::fs::read_to_string(app.directory.path().join("master.key")).unwrap();
    // Faults are logged with their sources.
    app.service.at_each_step(|_| async { Cut::DatabaseGone });
    let faults = answers.len();
    answers.extend(fly(&app, &canaries[5], &owner).await);
    let body = json!({ "username": "ada", "password": PASSWORD });
    answers.push(app.anon().post(LOGIN, body).await);
    assert!(answers[faults..].iter().any(|reply| reply.status == StatusCode::SERVICE_UNAVAILABLE));

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("/api/v1/auth/tokens") && logged.contains("WARN"),
        "requests and faults are logged"
    );
    let rows = "SELECT event_type || '|' || actor_kind || '|' || resource_type || '|' || realm_ids || '|' \
                || payload AS t FROM feed";
    let feed = app.service.texts(rows).await.join("\n");
    assert!(feed.contains("auth.token.created"));
    for secret in canaries.iter().map(String::as_str).chain([access.as_str(), PASSWORD, key.trim()]) {
        assert!(!logged.contains(secret), "{secret} is in the log");
        assert!(!feed.contains(secret), "{secret} is in the feed");
        for answer in answers.iter().filter(|answer| !answer.status.is_success()) {
            assert!(!answer.text.contains(secret), "{secret} is in {}", answer.text);
        }
    }
    let echoes =
        answers.iter().filter(|answer| answer.status.is_success() && answer.data()["headers"].is_object());
    for answer in echoes {
        assert!(canaries.iter().all(|canary| !answer.text.contains(canary.as_str())), "{}", answer.text);
    }
}

#[tokio::test]
async fn threat_26_no_secret_is_logged_told_or_kept_sqlite() {
    threat_26_no_secret_is_logged_told_or_kept(TestApp::sqlite().await).await;
}

#[tokio::test]
async fn threat_26_no_secret_is_logged_told_or_kept_postgres() {
    if let Some(app) = TestApp::postgres().await {
        threat_26_no_secret_is_logged_told_or_kept(app).await;
    }
}

/// Threat 27: secrets are found by keyed digests and compared by `MacKey::verifies`, so no line compares
/// one. Those that seem to are listed, each with why it does not.
#[test]
fn threat_27_no_line_compares_a_secret() {
    const ALLOWED: [(&str, &str); 7] = [
        // Two stored hashes: whether the password was changed while it was verified.
        ("sessions/login.rs", "now_stored.password_hash.expose() != user.password_hash.expose()"),
        ("users/confirm.rs", "stored.password_hash.expose() == checked.password_hash.expose()"),
        ("signup/proof.rs", "hash.expose() == user.password_hash.expose()"),
        // Two forms of one text of the request: whether it was typed composed.
        ("users/password.rs", "*prepared != password"),
        // Lengths, which are public.
        ("src/session.rs", "signature.len() != 32"),
        // A public checksum, which keeps garbage away and proves nothing.
        ("src/secret.rs", "encode_checksum(crc32fast::hash(checked)) != checksum"),
        // Two texts of one request: whether a client confuses its sessions.
        ("sessions/http.rs", "bearer != text"),
    ];
    let mut seen = [false; ALLOWED.len()];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for source in ["src", "../engine/src", "../hoody/src", "../core/src"].map(|source| root.join(source)) {
        collect(&source, &mut files);
    }
    assert!(files.len() > 50);
    for file in files {
        let content = std::fs::read_to_string(&file).unwrap();
        // Unit tests come last in a file, and compare what they like.
        let code = content.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| line.contains("==") || line.contains("!=")) {
            let words = [
                "expose()",
                "signature",
                "secret",
                "checksum",
                ".mac(",
                "password",
                "bearer",
                "digest ==",
                "== digest",
                "digest !=",
                "!= digest",
                "digest.bytes() =",
            ];
            if !words.iter().any(|word| line.to_lowercase().contains(word)) || is_harmless(line) {
                continue;
            }
            let name = file.display().to_string();
            let allowed = ALLOWED.iter().position(|(path, text)| name.ends_with(path) && line.contains(text));
            let allowed = allowed.unwrap_or_else(|| panic!("{name} compares a secret: {}", line.trim()));
            seen[allowed] = true;
        }
    }
    assert_eq!(seen, [true; ALLOWED.len()], "a line of the list is gone");
}

/// Comments, and comparisons with a literal or a kind.
fn is_harmless(line: &str) -> bool {
    let line = line.trim();
    let is_comment = line.starts_with("//");
    let with_literal =
        ["== \"", "!= \"", "== 1)", "kind == Kind::", "link == Link::"].iter().any(|end| line.contains(end));
    is_comment || with_literal
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        // The command line is the client: the only secrets that it sees are its user's own.
        if path.is_dir() && path.ends_with("cli") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
