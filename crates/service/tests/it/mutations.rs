//! Mutations: cut at each step, made by callers whose rights are gone, and racing each other; and what
//! they leave in the feed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hoody_service::testing::{Cut, Service, Step};
use http::StatusCode;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::routes::{Needs, OPERATIONS, Operation, World, tree};
use crate::support::{Client, PASSWORD, on_both};

const STEPS: [Step; 5] = [Step::Began, Step::Judged, Step::Changed, Step::Fed, Step::Committed];
const HEAD: &str = "SELECT pos AS n FROM feed_head WHERE id = 1";
const ROWS: &str = "SELECT COUNT(*) AS n FROM feed";
const POSITIONS: &str = "SELECT COUNT(DISTINCT pos) AS n FROM feed";

/// Everything that a refused request must leave as it was.
const STATE: &[&str] = &[
    "SELECT alias || '|' || permissions || '|' || realm_ids || '|' || ip_whitelist || '|' \
     || COALESCE(public_storage, '') || '|' || CASE WHEN is_enabled THEN 'on' ELSE 'off' END || '|' \
     || CAST(updated_at AS TEXT) AS t FROM tokens ORDER BY id",
    "SELECT username || '|' || alias || '|' || password_hash || '|' || CAST(generation AS TEXT) || '|' \
     || CAST(version AS TEXT) AS t FROM users ORDER BY id",
    "SELECT COALESCE(CAST(ended_at AS TEXT), 'open') || '|' || CAST(seq AS TEXT) AS t FROM sessions \
     ORDER BY id",
    "SELECT alias || '|' || color || '|' || CAST(updated_at AS TEXT) AS t FROM projects ORDER BY id",
    "SELECT permission_level AS t FROM project_members ORDER BY id",
    "SELECT name || '|' || CAST(size_bytes AS TEXT) || '|' || CAST(updated_at AS TEXT) AS t FROM vault_keys ORDER BY id",
    "SELECT CAST(place AS TEXT) AS t FROM vault_pieces ORDER BY vault_id, value_id, place",
    "SELECT CAST(size_bytes AS TEXT) || '|' || CAST(total_keys AS TEXT) AS t FROM vault_usage ORDER BY user_id",
    "SELECT CAST(pos AS TEXT) || '|' || event_type AS t FROM events ORDER BY pos, seq",
    "SELECT url || '|' || description || '|' || CAST(updated_at AS TEXT) AS t FROM webhooks ORDER BY id",
    "SELECT state || '|' || CAST(attempts AS TEXT) AS t FROM webhook_deliveries ORDER BY id",
    "SELECT state || '|' || CAST(hits AS TEXT) AS t FROM alerts ORDER BY id",
    "SELECT kind || '|' || CAST(threshold AS TEXT) AS t FROM alert_settings ORDER BY user_id, kind",
    "SELECT alias AS t FROM deleted_tokens ORDER BY id",
    "SELECT CAST(pos AS TEXT) AS t FROM feed_head",
    "SELECT CAST(pos AS TEXT) || '|' || event_type AS t FROM feed ORDER BY pos, seq",
];

async fn state(service: &Service) -> Vec<Vec<String>> {
    let mut tables = Vec::new();
    for sql in STATE {
        tables.push(service.texts(sql).await);
    }
    tables
}

/// Holds the first mutation that comes to a step.
struct Barrier {
    reached: Arc<Semaphore>,
    released: Arc<Semaphore>,
}

impl Barrier {
    fn at(service: &Service, step: Step) -> Self {
        let barrier = Self { reached: Arc::new(Semaphore::new(0)), released: Arc::new(Semaphore::new(0)) };
        let (reached, released) = (Arc::clone(&barrier.reached), Arc::clone(&barrier.released));
        let is_first = Arc::new(AtomicBool::new(true));
        service.at_each_step(move |now| {
            let (reached, released) = (Arc::clone(&reached), Arc::clone(&released));
            let holds = now == step && is_first.swap(false, Ordering::SeqCst);
            async move {
                if holds {
                    reached.add_permits(1);
                    released.acquire().await.unwrap().forget();
                }
                Cut::GoOn
            }
        });
        barrier
    }

    async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    fn release(&self) {
        self.released.add_permits(1);
    }
}

/// Cuts the database for the mutations that come to `step`, or for none.
fn cut_at(service: &Service, step: Option<Step>) {
    service.at_each_step(
        move |now| async move { if Some(now) == step { Cut::DatabaseGone } else { Cut::GoOn } },
    );
}

async fn good(client: &Client) -> bool {
    client.check("projects.read").await.status == StatusCode::NO_CONTENT
}

/// Waits for what a task of its own does.
async fn until_refused(client: &Client) {
    let asking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while good(client).await {
            ticks.tick().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(5), asking).await.is_ok(), "never forgotten");
}

fn mutating() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().filter(|operation| operation.mutates)
}

/// Something that takes the caller's right away, and what it is told then.
type Taking = (&'static str, u16, &'static str);

const FROM_TOKENS: [Taking; 6] = [
    ("UPDATE tokens SET is_enabled = FALSE WHERE alias = 'caller'", 401, "INVALID_TOKEN"),
    ("UPDATE tokens SET permissions = '' WHERE alias = 'caller'", 403, "INSUFFICIENT_PERMISSIONS"),
    ("UPDATE tokens SET ip_whitelist = '10.0.0.0/8' WHERE alias = 'caller'", 403, "IP_NOT_WHITELISTED"),
    ("UPDATE tokens SET allow_no_realm = FALSE WHERE alias = 'caller'", 403, "REALM_SCOPE_REQUIRED"),
    ("UPDATE tokens SET expires_at = 1 WHERE alias = 'caller'", 401, "TOKEN_EXPIRED"),
    ("DELETE FROM tokens WHERE alias = 'caller'", 401, "INVALID_TOKEN"),
];
const FROM_SESSIONS: [Taking; 2] = [
    ("UPDATE sessions SET ended_at = 1", 401, "INVALID_TOKEN"),
    ("UPDATE users SET generation = generation + 1 WHERE username = 'ada'", 401, "INVALID_TOKEN"),
];
const FROM_BOTH: Taking = ("UPDATE users SET is_banned = TRUE WHERE username = 'ada'", 403, "ACCOUNT_BANNED");

on_both! {
    async fn a_client_that_hangs_up_leaves_all_or_nothing(app: TestApp) {
        let owner = app.user("ada").await;
        for step in STEPS {
            let token = owner.mint(json!({})).await;
            assert!(good(&token.client).await);
            let before = app.service.number(HEAD).await;
            let barrier = Barrier::at(&app.service, step);
            let path = format!("/api/v1/auth/tokens/{}", token.id);
            let call = tokio::spawn({
                let (owner, path) = (owner.clone(), path.clone());
                async move { owner.delete(&path).await }
            });
            barrier.reached().await;
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
            barrier.release();
            if matches!(step, Step::Began | Step::Judged) {
                assert!(good(&token.client).await, "{step:?}");
                assert_eq!(app.service.number(HEAD).await, before, "{step:?}");
                // The transaction is over: the next one goes through.
                owner.delete(&path).await.expect(StatusCode::OK);
            } else {
                until_refused(&token.client).await;
                owner.get(&path).await.refused(404, "TOKEN_NOT_FOUND");
            }
            assert_eq!(app.service.number(HEAD).await, before + 1, "{step:?}");
            assert_eq!(app.service.number(ROWS).await, before + 1, "{step:?}");
        }
    }

    async fn a_database_that_is_gone_at_a_step_leaves_all_or_nothing(app: TestApp) {
        let owner = app.user("ada").await;
        for step in STEPS {
            for change in [json!({ "is_enabled": false }), json!({ "permissions": {} })] {
                let token = owner.mint(json!({})).await;
                assert!(good(&token.client).await);
                let before = app.service.number(HEAD).await;
                cut_at(&app.service, Some(step));
                let reply = owner.put(&format!("/api/v1/auth/tokens/{}", token.id), change.clone()).await;
                cut_at(&app.service, None);
                // A COMMIT whose outcome nobody learns is treated as done, and here it was.
                let is_done = step == Step::Committed;
                reply.refused(503, if is_done { "OUTCOME_UNKNOWN" } else { "UNAVAILABLE" });
                assert_eq!(reply.headers.contains_key("retry-after"), !is_done, "{step:?}");
                assert_eq!(good(&token.client).await, !is_done, "{step:?} {change}");
                assert_eq!(app.service.number(HEAD).await, before + i64::from(is_done), "{step:?}");
                assert_eq!(app.service.number(ROWS).await, before + i64::from(is_done), "{step:?}");
            }
        }
    }

    async fn every_mutating_route_changes_nothing_when_the_database_goes_before_commit(app: TestApp) {
        let world = World::new(&app).await;
        for operation in mutating() {
            let client = caller(&world, operation).await;
            for step in [Step::Began, Step::Judged, Step::Changed, Step::Fed] {
                let asked = world.ask(operation).await;
                let before = state(&app.service).await;
                cut_at(&app.service, Some(step));
                let reply = asked.by(&client).await;
                cut_at(&app.service, None);
                reply.refused(503, "UNAVAILABLE");
                assert_eq!(state(&app.service).await, before, "{} at {step:?}", operation.name());
            }
        }
    }

    async fn a_session_that_ends_while_the_answer_is_lost_is_ended(app: TestApp) {
        app.user("ada").await;
        for (path, body) in [
            ("/api/v1/users/auth/logout".to_owned(), json!({})),
            (
                format!("/api/v1/users/{}", app.login("ada").await.account().await),
                json!({ "password": "another horse battery", "current_password": PASSWORD }),
            ),
        ] {
            let (first, second) = (app.login("ada").await, app.login("ada").await);
            assert!(good(&first).await && good(&second).await);
            cut_at(&app.service, Some(Step::Committed));
            let method = if path.ends_with("logout") { http::Method::POST } else { http::Method::PUT };
            let reply = first.send(method, &path, body.to_string().into_bytes()).await;
            cut_at(&app.service, None);
            reply.refused(503, "OUTCOME_UNKNOWN");
            for session in [first, second] {
                session.check("").await.refused(401, "INVALID_TOKEN");
            }
        }
    }

    async fn a_caller_that_lost_its_right_behind_the_cache_changes_nothing(app: TestApp) {
        let mut world = World::new(&app).await;
        for operation in mutating() {
            let is_session =
                matches!(operation.needs, Needs::Session | Needs::Minting | Needs::ValidOrBanned);
            let takings = if is_session { FROM_SESSIONS.to_vec() } else { FROM_TOKENS.to_vec() };
            for (sql, status, code) in takings.into_iter().chain([FROM_BOTH]) {
                if code == "ACCOUNT_BANNED" && operation.needs == Needs::ValidOrBanned {
                    continue;
                }
                app.service.tamper("UPDATE users SET is_banned = FALSE").await;
                world.owner = app.login("ada").await;
                let client = caller(&world, operation).await;
                let asked = world.ask(operation).await;
                client.check("").await.expect(StatusCode::NO_CONTENT);
                assert_eq!(app.service.tamper(sql).await.min(1), 1, "{sql}");
                // The cache does not know.
                client.check("").await.expect(StatusCode::NO_CONTENT);
                let before = state(&app.service).await;
                let reply = asked.by(&client).await;
                let name = operation.name();
                assert_eq!(
                    (reply.status.as_u16(), reply.body["code"].as_str()),
                    (status, Some(code)),
                    "{name} after {sql}: {}",
                    reply.text
                );
                assert_eq!(state(&app.service).await, before, "{name} after {sql}");
                // From here on it does: what the transaction read was forgotten. (A token that may still
                // come in, and only not write, was not.)
                if operation.needs != Needs::Writer || code != "INSUFFICIENT_PERMISSIONS" {
                    assert!(!client.get("/api/v1/projects").await.status.is_success(), "{name} after {sql}");
                }
            }
        }
    }

    async fn a_token_that_was_just_disabled_elsewhere_cannot_bring_itself_back(app: TestApp) {
        let owner = app.user("ada").await;
        let second = app.another_node().await;
        let token = owner.mint(json!({ "permissions": tree(|_| true) })).await;
        let path = format!("/api/v1/auth/tokens/{}", token.id);
        let there = token.client.at(&second);
        assert!(good(&there).await);
        owner.put(&path, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        assert!(good(&there).await, "the second node did not poll");
        for body in
            [json!({ "is_enabled": true }), json!({ "ip_whitelist": "*" }), json!({ "expires_at": null })]
        {
            there.put(&path, body).await.refused(401, "INVALID_TOKEN");
        }
        // Refused once, it is forgotten there too.
        assert!(!good(&there).await);
        assert_eq!(owner.get(&path).await.data()["is_enabled"], false);
    }

    async fn a_session_token_that_was_replaced_elsewhere_writes_nothing_after_its_grace(app: TestApp) {
        app.user("ada").await;
        let (access, mut refresh_token) = app.sign_in("ada").await;
        let second = app.another_node().await;
        let there = app.with(&access).at(&second);
        assert!(good(&there).await);
        let refresh = async |token: &str| {
            let body = json!({ "refreshToken": token });
            let reply = app.anon().post("/api/v1/users/auth/refresh", body).await;
            reply.data()["refreshToken"].as_str().unwrap().to_owned()
        };
        // Replaced once, it has a minute left.
        refresh_token = refresh(&refresh_token).await;
        there.mint(json!({})).await;
        // Replaced twice, it has nothing.
        refresh(&refresh_token).await;
        assert!(good(&there).await, "the second node did not poll");
        there.post("/api/v1/auth/tokens", json!({})).await.refused(401, "INVALID_TOKEN");
        assert!(!good(&there).await, "refused once, it is forgotten there too");
    }

    async fn of_two_sessions_that_race_one_wins(app: TestApp) {
        let (first, second) = (app.user("ada").await, app.login("ada").await);
        let token = first.mint(json!({})).await;
        let path = format!("/api/v1/auth/tokens/{}", token.id);
        let mut replies = JoinSet::new();
        for n in 0..10 {
            let (client, path) = (if n % 2 == 0 { first.clone() } else { second.clone() }, path.clone());
            replies.spawn(async move { client.delete(&path).await });
        }
        let replies = replies.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status.is_success());
        assert_eq!((won.len(), lost.len()), (1, 9));
        for reply in lost {
            reply.refused(404, "TOKEN_NOT_FOUND");
        }
        let deleted = "SELECT COUNT(*) AS n FROM feed WHERE event_type = 'auth.token.deleted'";
        assert_eq!(app.service.number(deleted).await, 1);

        let mut replies = JoinSet::new();
        for n in 0..10 {
            let client = if n % 2 == 0 { first.clone() } else { second.clone() };
            replies.spawn(async move { client.post("/api/v1/auth/tokens", json!({ "alias": "one" })).await });
        }
        let replies = replies.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status.is_success());
        assert_eq!((won.len(), lost.len()), (1, 9));
        for reply in lost {
            reply.refused(400, "DUPLICATE_ALIAS");
        }
        let named = "SELECT COUNT(*) AS n FROM tokens WHERE alias = 'one'";
        assert_eq!(app.service.number(named).await, 1);
    }

    async fn of_two_password_changes_that_race_one_wins(app: TestApp) {
        let (first, second) = (app.user("ada").await, app.login("ada").await);
        let path = format!("/api/v1/users/{}", first.account().await);
        let change = |client: Client, password: &'static str| {
            let path = path.clone();
            let body = json!({ "password": password, "current_password": PASSWORD });
            async move { client.put(&path, body).await }
        };
        let (one, other) =
            tokio::join!(change(first, "horse number one"), change(second, "horse number two"));
        let (won, lost) =
            if one.status.is_success() { ("horse number one", other) } else { ("horse number two", one) };
        // Whoever comes second finds another password, or its session ended.
        assert!(matches!(lost.status.as_u16(), 400 | 401 | 409), "{}", lost.text);
        let body = json!({ "username": "ada", "password": won });
        app.anon().post("/api/v1/users/auth/login", body).await.expect(StatusCode::OK);
        assert_eq!(app.service.number("SELECT generation AS n FROM users").await, 1);
    }

    async fn every_mutation_has_one_position_and_a_refused_one_has_none(app: TestApp) {
        let world = World::new(&app).await;
        let reader = world.owner.mint(json!({ "permissions": tree(|leaf| leaf == "projects.read") })).await;
        for operation in mutating() {
            let client = caller(&world, operation).await;
            let asked = world.ask(operation).await;
            let before = app.service.number(HEAD).await;
            if !operation.path.ends_with("logout") {
                asked.by(&app.anon()).await.refused(401, "MISSING_TOKEN");
                assert!(!asked.by(&reader.client).await.status.is_success(), "{}", operation.name());
                assert_eq!(app.service.number(HEAD).await, before, "{} was refused", operation.name());
            }
            let reply = asked.by(&client).await;
            assert!(reply.status.is_success(), "{}: {}", operation.name(), reply.text);
            assert_eq!(app.service.number(HEAD).await, before + 1, "{}", operation.name());
            assert_eq!(app.service.number(POSITIONS).await, before + 1, "{}", operation.name());
        }
        let bad = json!({ "username": "ada", "password": "not her password" });
        let before = app.service.number(HEAD).await;
        app.anon().post("/api/v1/users/auth/login", bad).await.refused(401, "INVALID_CREDENTIALS");
        assert_eq!(app.service.number(HEAD).await, before);
        assert_eq!(app.service.number("SELECT MAX(pos) AS n FROM feed").await, before);
        assert_eq!(app.service.number("SELECT MIN(pos) AS n FROM feed").await, 1);
        for payload in app.service.texts("SELECT payload AS t FROM feed").await {
            for secret in ["hdy_", "eyJ", "$argon2", PASSWORD] {
                assert!(!payload.contains(secret), "{payload}");
            }
        }
    }

    async fn positions_follow_commits_without_a_gap_when_many_write_at_once(app: TestApp) {
        let owner = app.user("ada").await;
        let second = app.another_node().await;
        let mut writers = JoinSet::new();
        for n in 0..24 {
            let owner = if n % 2 == 0 { owner.clone() } else { owner.at(&second) };
            writers.spawn(async move { owner.post("/api/v1/auth/tokens", json!({})).await.status });
        }
        for status in writers.join_all().await {
            assert_eq!(status, StatusCode::CREATED);
        }
        let head = app.service.number(HEAD).await;
        assert_eq!(app.service.number(POSITIONS).await, head);
        assert_eq!(app.service.number("SELECT MAX(pos) AS n FROM feed").await, head);
        let made = "SELECT COUNT(*) AS n FROM feed WHERE event_type = 'auth.token.created'";
        assert_eq!(app.service.number(made).await, 24);
    }
}

/// Who may do this, hot in the cache: a token named `caller` where one may, else a new session.
async fn caller(world: &World<'_>, operation: &Operation) -> Client {
    let client = match operation.needs {
        Needs::Session | Needs::Minting | Needs::ValidOrBanned => world.app.login("ada").await,
        _ => {
            world.app.service.tamper("DELETE FROM tokens WHERE alias = 'caller'").await;
            let everything =
                json!({ "permissions": tree(|_| true), "vault_access": true, "alias": "caller" });
            world.owner.mint(everything).await.client
        }
    };
    client.check("").await.expect(StatusCode::NO_CONTENT);
    client
}
