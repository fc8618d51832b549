//! The request log: which request leaves which row, and which row nobody gets.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, HERE, PASSWORD, REALM_A, REALM_B, TestApp, on_both};

pub(crate) const ACTIVITY: &str = "/api/v1/users/auth/activity";
const CHECK: &str = "/api/v1/auth/check";

/// The account's rows as they are stored now, the latest first.
pub(crate) async fn rows(app: &TestApp, client: &Client, query: &str) -> Vec<Value> {
    assert!(app.service.flush_activity().await);
    let reply = client.get(&format!("{ACTIVITY}?{query}")).await;
    reply.expect(StatusCode::OK);
    reply.data().as_array().unwrap().clone()
}

/// The latest row of the account for this path.
async fn latest(app: &TestApp, client: &Client, path: &str) -> Value {
    let rows = rows(app, client, "").await;
    let row = rows.into_iter().find(|row| row["path"] == path);
    row.unwrap_or_else(|| panic!("no row for {path}"))
}

/// Status and deny reason of the latest row for this path.
async fn outcome(app: &TestApp, client: &Client, path: &str) -> (u64, Value) {
    let row = latest(app, client, path).await;
    (row["status_code"].as_u64().unwrap(), row["deny_reason"].clone())
}

on_both! {
    async fn a_request_leaves_a_row_with_all_that_the_contract_names(app: TestApp) {
        let owner = app.user("ada").await;
        let account = owner.account().await;
        let token = owner.mint(json!({ "permissions": { "projects": { "read": true } } })).await;
        let client = token.client.realm(REALM_A).from("198.51.100.9").header("user-agent", "curl/8.5.0");
        client.get(&format!("{CHECK}?permission=projects.read")).await.expect(StatusCode::NO_CONTENT);
        let row = latest(&app, &owner, CHECK).await;
        let id = row["id"].as_str().unwrap();
        assert!(id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        let expected = json!({
            "id": id, "user_id": account, "realm_id": REALM_A, "method": "GET", "path": CHECK,
            "status_code": 204, "ip_address": "198.51.100.9", "user_agent": "curl/8.5.0",
            "token_id": token.id, "session_id": null, "deny_reason": null, "permission": "projects.read",
            "duration_us": 0, "created_at": app.service.now(),
        });
        assert_eq!(row, expected);
        // Of a query nothing is kept, not even of one that is refused.
        client.get("/api/v1/projects?sort_by=alias").await.expect(StatusCode::OK);
        client.get(&format!("{CHECK}?secret=x")).await.refused(400, "INVALID_PARAMETER_VALUE");
        assert_eq!(outcome(&app, &owner, "/api/v1/projects").await, (200, Value::Null));
        assert_eq!(outcome(&app, &owner, CHECK).await.0, 400);
    }

    async fn reading_page_by_page_gives_every_row_once(app: TestApp) {
        let owner = app.user("ada").await;
        for _ in 0..25 {
            owner.get("/api/v1/projects").await.expect(StatusCode::OK);
        }
        owner.check("nothing.of.the.kind").await;
        let mut seen: Vec<String> = Vec::new();
        for page in 1..=3 {
            for row in rows(&app, &owner, &format!("limit=10&page={page}")).await {
                assert_ne!(row["path"], ACTIVITY, "a read of the log moves the pages on");
                seen.push(row["id"].as_str().unwrap().to_owned());
            }
        }
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), distinct.len()), (27, 27), "the login, 25 lists, a check");
        let total = owner.get(&format!("{ACTIVITY}?limit=1")).await.body["metadata"]["total"].clone();
        assert_eq!(total, 27);
    }

    async fn reading_from_row_to_row_gives_every_row_once_whatever_comes_meanwhile(app: TestApp) {
        let owner = app.user("ada").await;
        for n in 0..12 {
            owner.get("/api/v1/projects").await.expect(StatusCode::OK);
            // Many of one instant, and several instants of one second.
            app.later(if n % 4 == 0 { 300 } else { 0 }).await;
        }
        let (mut seen, mut before) = (Vec::<Value>::new(), "f".repeat(24));
        loop {
            let page = rows(&app, &owner, &format!("limit=5&before={before}")).await;
            let Some(last) = page.last() else { break };
            before = last["id"].as_str().unwrap().to_owned();
            seen.extend(page);
            owner.check("").await.expect(StatusCode::NO_CONTENT);
        }
        let ids: std::collections::BTreeSet<_> = seen.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!((seen.len(), ids.len()), (13, 13), "the login and 12 lists");
        // Reads of the log are there, for whoever asks from the latest on; and filters hold.
        let all = rows(&app, &owner, &format!("limit=200&before={}", "f".repeat(24))).await;
        assert!(all.iter().any(|row| row["path"] == ACTIVITY));
        let (first, rest) = (&seen[3]["id"], &seen[4..]);
        let lists = format!("limit=200&method=GET&before={}", first.as_str().unwrap());
        let expected: Vec<_> = rest.iter().filter(|row| row["method"] == "GET").cloned().collect();
        assert_eq!(rows(&app, &owner, &lists).await, expected);
        // A row that is not there stands for its second.
        let gone = format!("{}{}", &before[..8], "0".repeat(16));
        assert_eq!(rows(&app, &owner, &format!("before={gone}")).await, Vec::<Value>::new());
        for wrong in ["before=x", "before="] {
            let reply = owner.get(&format!("{ACTIVITY}?{wrong}")).await;
            assert!(reply.status == StatusCode::BAD_REQUEST || wrong == "before=", "{}", reply.text);
        }
        let both = owner.get(&format!("{ACTIVITY}?page=1&before={before}")).await;
        both.refused(400, "INVALID_PARAMETER_VALUE");
    }

    async fn every_refusal_of_a_known_credential_leaves_a_row_with_its_rule(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "permissions": {}, "ip_whitelist": [HERE] })).await;
        token.client.from("198.51.100.9").check("").await.refused(403, "IP_NOT_WHITELISTED");
        assert_eq!(outcome(&app, &owner, CHECK).await, (403, json!("address")));
        token.client.check("projects.read").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(outcome(&app, &owner, CHECK).await, (403, json!("permission")));
        let bound = owner.mint(json!({ "realm_ids": [REALM_A] })).await;
        bound.client.check("").await.refused(403, "REALM_SCOPE_REQUIRED");
        assert_eq!(outcome(&app, &owner, CHECK).await, (403, json!("realm_required")));
        bound.client.realm(REALM_B).check("").await.refused(403, "REALM_NOT_ALLOWED");
        let row = latest(&app, &owner, CHECK).await;
        assert_eq!((&row["deny_reason"], &row["realm_id"]), (&json!("realm"), &json!(REALM_B)));
        let short = owner.mint(json!({ "expires_at": app.service.now().plus(1_000) })).await;
        app.later(1_000).await;
        short.client.check("").await.refused(401, "TOKEN_EXPIRED");
        assert_eq!(outcome(&app, &owner, CHECK).await, (401, json!("expired")));
        let path = format!("/api/v1/auth/tokens/{}", token.id);
        owner.patch(&path, json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        token.client.check("").await.refused(401, "INVALID_TOKEN");
        assert_eq!(outcome(&app, &owner, CHECK).await, (401, json!("disabled")));
        token.client.get("/api/v1/projects").await.refused(401, "INVALID_TOKEN");
        assert_eq!(latest(&app, &owner, "/api/v1/projects").await["token_id"], json!(token.id));
    }

    /// Who tries doors with somebody's token is seen.
    async fn what_leads_nowhere_leaves_a_row_too(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        token.client.get("/api/v1/nothing").await.refused(404, "RESOURCE_NOT_FOUND");
        assert_eq!(latest(&app, &owner, "/api/v1/nothing").await["token_id"], json!(token.id));
        token.client.delete("/api/v1/projects").await.expect(StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(outcome(&app, &owner, "/api/v1/projects").await.0, 405);
        app.with(&app.service.unknown_token()).get("/api/v1/nothing").await.refused(404, "RESOURCE_NOT_FOUND");
    }

    async fn a_session_that_is_over_is_logged_for_its_account(app: TestApp) {
        let owner = app.user("ada").await;
        let other = app.login("ada").await;
        let other_row = { other.check("").await; latest(&app, &owner, CHECK).await };
        assert!(other_row["session_id"].is_string() && other_row["token_id"].is_null());
        other.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        let again = app.login("ada").await;
        other.check("").await.refused(401, "INVALID_TOKEN");
        let row = latest(&app, &again, CHECK).await;
        assert_eq!((&row["deny_reason"], &row["session_id"]), (&json!("unknown"), &other_row["session_id"]));
        app.later(25 * 3_600_000).await;
        again.check("").await.refused(401, "TOKEN_EXPIRED");
        let owner = app.login("ada").await;
        assert_eq!(outcome(&app, &owner, CHECK).await, (401, json!("expired")));
    }

    async fn a_banned_account_and_a_change_that_is_refused_are_logged(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({})).await;
        app.service.ban_elsewhere("ada", true).await;
        app.later(50).await;
        token.client.check("").await.refused(403, "ACCOUNT_BANNED");
        app.service.ban_elsewhere("ada", false).await;
        app.later(50).await;
        let owner = app.login("ada").await;
        assert_eq!(outcome(&app, &owner, CHECK).await, (403, json!("banned")));
        token.client.post("/api/v1/auth/tokens", json!({})).await.refused(401, "SESSION_REQUIRED");
        assert_eq!(outcome(&app, &owner, "/api/v1/auth/tokens").await, (401, json!("minting_needs_session")));
        owner.post("/api/v1/projects", json!({ "alias": 7 })).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        let row = latest(&app, &owner, "/api/v1/projects").await;
        assert_eq!((&row["status_code"], &row["method"]), (&json!(422), &json!("POST")));
    }

    async fn attempts_to_sign_in_are_logged_for_the_account_that_they_name(app: TestApp) {
        let login = "/api/v1/users/auth/login";
        let owner = app.user("ada").await;
        let wrong = json!({ "username": "ada", "password": "not the password" });
        app.anon().from("198.51.100.9").post(login, wrong).await.refused(401, "INVALID_CREDENTIALS");
        let row = latest(&app, &owner, login).await;
        assert_eq!((&row["status_code"], &row["deny_reason"]), (&json!(401), &json!("credentials")));
        assert_eq!(row["ip_address"], "198.51.100.9");
        let before = rows(&app, &owner, "").await.len();
        let nobody = json!({ "username": "nobody", "password": PASSWORD });
        app.anon().post(login, nobody).await.refused(401, "INVALID_CREDENTIALS");
        // The attempt on nobody is none of hers, and pages leave out the listing before.
        assert_eq!(rows(&app, &owner, "").await.len(), before);
        let (_, refresh) = app.sign_in("ada").await;
        let body = json!({ "refreshToken": refresh });
        app.anon().post("/api/v1/users/auth/refresh", body).await.expect(StatusCode::OK);
        assert!(latest(&app, &owner, "/api/v1/users/auth/refresh").await["session_id"].is_string());
    }

    async fn what_names_no_account_is_not_logged(app: TestApp) {
        let owner = app.user("ada").await;
        assert!(app.service.flush_activity().await);
        let (before, place) = app.service.activity_after("{}", 1_000).await;
        for path in ["/livez", "/readyz", "/openapi.json", "/api/v1/ip", CHECK, "/nowhere"] {
            app.anon().get(path).await;
        }
        app.with(&app.service.unknown_token()).check("").await.refused(401, "INVALID_TOKEN");
        app.with("hdy_garbage").check("").await.refused(401, "INVALID_TOKEN");
        app.with("eyJhbGciOiJub25lIn0.e30.").check("").await.refused(401, "INVALID_TOKEN");
        // Probes ask for no credential, so they log none either.
        owner.get("/livez").await.expect(StatusCode::OK);
        assert!(app.service.flush_activity().await);
        let (rows, _) = app.service.activity_after(&place, 1_000).await;
        assert!(!before.is_empty() && rows.is_empty(), "{rows:?}");
    }

    async fn rows_of_other_accounts_are_never_shown(app: TestApp) {
        let (ada, bob) = (app.user("ada").await, app.user("bob").await);
        let token = bob.mint(json!({})).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        bob.get("/api/v1/projects").await.expect(StatusCode::OK);
        let account = ada.account().await;
        for row in rows(&app, &ada, "").await {
            assert_eq!(row["user_id"], json!(account));
        }
        ada.get(&format!("/api/v1/auth/tokens/{}/usage", token.id)).await.refused(404, "TOKEN_NOT_FOUND");
    }

    /// Threat 26: what is secret in a request is nowhere in the log.
    async fn threat_26_no_secret_of_a_request_gets_into_a_row(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "permissions": { "resources": { "vault": true } }, "vault_access": true })).await;
        let (session, refresh) = app.sign_in("ada").await;
        let canaries = [token.secret.clone(), session, refresh];
        for (number, canary) in canaries.iter().enumerate() {
            let client = token.client.header("user-agent", &format!("bot/{number} {canary} (key={canary})"));
            let client = client.header("referer", canary).header("cookie", &format!("session={canary}"));
            let client = client.header("x-api-key", canary);
            client.get(&format!("{CHECK}?token={canary}&permission={canary}")).await;
            client.get(&format!("/api/v1/auth/tokens/{canary}")).await;
            client.get(&format!("/api/v1/vault/keys/{}", canary.replace('_', "%5F").replace("eyJ", "%65yJ"))).await;
            client.post(&format!("/{canary}/x"), json!({ "password": canary, canary: canary })).await;
            let set = client.put("/api/v1/vault/keys/db", json!({ "value": canary })).await;
            assert!(set.status.is_success(), "{}", set.text);
        }
        let wrong = json!({ "username": "ada", "password": "canary-password-1" });
        app.anon().post("/api/v1/users/auth/login", wrong).await.refused(401, "INVALID_CREDENTIALS");
        let shown = json!(rows(&app, &owner, "limit=200").await).to_string();
        assert!(shown.contains("[redacted]") && shown.contains("bot/2"), "{shown}");
        let mut stored = shown.into_bytes();
        if app.url.starts_with("sqlite:") {
            for name in ["activity.db", "activity.db-wal"] {
                stored.extend(std::fs::read(app.directory.path().join(name)).unwrap());
            }
        }
        // A part of each is enough to find it, also where it was cut.
        let parts = canaries.iter().map(|canary| &canary[canary.len() / 2..canary.len() / 2 + 16]);
        for part in parts.chain(["canary-password", "?token", "permission=hdy"]) {
            let is_there = stored.windows(part.len()).any(|window| window == part.as_bytes());
            assert!(!is_there, "{part} is in the log");
        }
    }

    async fn a_client_that_leaves_is_logged_too(app: TestApp) {
        let owner = app.user("ada").await;
        let (held, holding) = (std::sync::Arc::new(tokio::sync::Notify::new()), std::sync::Arc::new(tokio::sync::Notify::new()));
        let (hold, reached) = (held.clone(), holding.clone());
        app.service.at_each_step(move |step| {
            let (hold, reached) = (hold.clone(), reached.clone());
            async move {
                if step == hoody_service::testing::Step::Judged {
                    reached.notify_one();
                    hold.notified().await;
                }
                hoody_service::testing::Cut::GoOn
            }
        });
        let client = owner.clone();
        let asked = tokio::spawn(async move {
            client.send(Method::POST, "/api/v1/projects", br#"{"alias": "web"}"#.to_vec()).await
        });
        holding.notified().await;
        asked.abort();
        assert!(asked.await.is_err());
        held.notify_one();
        let row = latest(&app, &owner, "/api/v1/projects").await;
        assert_eq!((&row["status_code"], &row["method"]), (&json!(499), &json!("POST")));
    }

    async fn with_the_log_off_nothing_is_written_and_what_is_there_is_read(app: TestApp) {
        let owner = app.user("ada").await;
        let before = rows(&app, &owner, "").await.len();
        let quiet = hoody_service::testing::Service::open_logging(&app.url, app.directory.path(), "", app.service.now(), None).await;
        let quiet_owner = owner.at(&quiet);
        quiet_owner.check("").await.expect(StatusCode::NO_CONTENT);
        let reply = quiet_owner.get(ACTIVITY).await;
        assert_eq!(reply.data().as_array().unwrap().len(), before);
    }
}
