//! The vault: its routes, its scopes, who may open it, its limit, and what a stolen or changed database
//! gives.

use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, REALM_A, REALM_B, on_both};

const VAULT: &str = "/api/v1/vault";
const KEYS: &str = "/api/v1/vault/keys";
const STATS: &str = "/api/v1/vault/stats";
const MIB: usize = 1024 * 1024;

fn path(key: &str) -> String {
    format!("{KEYS}/{key}")
}

async fn set(client: &Client, key: &str, value: &str) {
    let reply = client.put(&path(key), json!({"value": value})).await;
    assert!(reply.status.is_success(), "{}", reply.text);
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|key| key["key"].as_str().unwrap()).collect()
}

/// A token that may open the vault, and more of `body`.
fn opener(mut body: Value) -> Value {
    body["permissions"] = json!({"resources": {"vault": true}});
    body["vault_access"] = json!(true);
    body
}

on_both! {
    async fn a_key_is_made_read_set_again_listed_and_deleted(app: TestApp) {
        let ada = app.user("ada").await;
        let metadata = json!({"owner": "ops"});
        let made = ada.put(&path("db.password"), json!({"value": "s3cret", "metadata": metadata})).await;
        made.expect(StatusCode::CREATED);
        assert_eq!(made.body["message"], "Vault key created successfully");
        assert_eq!(made.headers["cache-control"], "no-store");
        assert_eq!(made.data(), &json!({
            "key": "db.password", "realm_id": "", "metadata": metadata, "size_bytes": 6 + 15, "value": "s3cret",
            "created_at": "2026-03-02T09:15:42.118Z", "updated_at": "2026-03-02T09:15:42.118Z"
        }));
        let read = ada.get(&path("db.password")).await;
        assert_eq!(read.expect(StatusCode::OK).data(), made.data());
        assert_eq!(read.body["message"], "Vault key retrieved successfully");

        app.service.advance(1_000);
        app.service.poll().await;
        let changed = ada.patch(&path("db.password"), json!({"value": "next\n\"ä\"\u{0}"})).await;
        changed.expect(StatusCode::OK);
        assert_eq!(changed.body["message"], "Vault key updated successfully");
        assert_eq!(changed.data()["metadata"], metadata, "left out, it stays");
        assert_eq!(changed.data()["value"], "next\n\"ä\"\u{0}");
        assert_eq!(changed.data()["created_at"], "2026-03-02T09:15:42.118Z");
        assert_eq!(changed.data()["updated_at"], "2026-03-02T09:15:43.118Z");
        assert_eq!(ada.get(&path("db.password")).await.data(), changed.data());

        let cleared = ada.put(&path("db.password"), json!({"value": "", "metadata": null})).await;
        assert_eq!(cleared.expect(StatusCode::OK).data()["size_bytes"], 0);
        assert_eq!(ada.get(&path("db.password")).await.data()["value"], "");
        set(&ada, "A-key", "x").await;
        let list = ada.get(&format!("{KEYS}/")).await;
        assert_eq!(names(list.expect(StatusCode::OK).data()), ["A-key", "db.password"]);
        assert_eq!(list.body["message"], "Vault keys retrieved successfully");
        assert!(list.data()[0].get("value").is_none());

        let deleted = ada.delete(&path("db.password")).await;
        assert_eq!(deleted.expect(StatusCode::OK).body["data"], Value::Null);
        for gone in [ada.get(&path("db.password")).await, ada.delete(&path("db.password")).await] {
            gone.refused(404, "VAULT_KEY_NOT_FOUND");
            assert_eq!(gone.body["message"], "Vault key not found.");
        }
        let cleared = ada.delete(VAULT).await;
        assert_eq!(cleared.expect(StatusCode::OK).body["message"], "Vault cleared successfully");
        assert_eq!(cleared.data(), &json!({"deleted_count": 1}));
        assert_eq!(ada.delete(VAULT).await.data(), &json!({"deleted_count": 0}));
        let told = app.service.texts(
            "SELECT event_type AS t FROM feed WHERE resource_type = 'vault' ORDER BY pos").await;
        assert_eq!(told, ["vault.key.set", "vault.key.set", "vault.key.set", "vault.key.set", "vault.key.deleted",
            "vault.cleared"]);
        let leftover = "SELECT (SELECT COUNT(*) FROM vault_pieces) + (SELECT COUNT(*) FROM vault_keys) AS n";
        assert_eq!(app.service.number(leftover).await, 0);
    }

    async fn threat_26_values_are_in_no_row_and_no_event(app: TestApp) {
        let ada = app.user("ada").await;
        let body = json!({"value": "canary-value", "metadata": {"note": "canary-metadata"}});
        ada.put(&path("k"), body).await.expect(StatusCode::CREATED);
        for told in app.service.texts("SELECT payload AS t FROM feed").await {
            assert!(!told.contains("canary"), "{told}");
        }
        if app.url.starts_with("sqlite:") {
            for file in std::fs::read_dir(app.directory.path()).unwrap() {
                let bytes = std::fs::read(file.unwrap().path()).unwrap();
                assert!(!bytes.windows(6).any(|window| window == b"canary"));
            }
        }
    }

    async fn each_realm_has_keys_of_its_own(app: TestApp) {
        let ada = app.user("ada").await;
        set(&ada, "k", "global").await;
        set(&ada.realm(REALM_A), "k", "of a").await;
        ada.put(&format!("{}?realm_id={}", path("k"), REALM_B.to_uppercase()), json!({"value": "of b"})).await
            .expect(StatusCode::CREATED);
        let value = async |client: &Client, query: &str| {
            let reply = client.get(&format!("{}{query}", path("k"))).await;
            reply.expect(StatusCode::OK).data()["value"].as_str().unwrap().to_owned()
        };
        assert_eq!(value(&ada, "").await, "global");
        assert_eq!(value(&ada, "?realm_id=").await, "global");
        assert_eq!(value(&ada, &format!("?realm_id={REALM_A}")).await, "of a");
        assert_eq!(value(&ada.realm(REALM_A), "").await, "of a");
        assert_eq!(value(&ada.realm(REALM_A), &format!("?realm_id={REALM_A}")).await, "of a");
        assert_eq!(value(&ada.realm(REALM_B), "").await, "of b");
        assert_eq!(ada.realm(REALM_B).get(KEYS).await.data()[0]["realm_id"], REALM_B);
        assert_eq!(ada.realm(REALM_A).get(STATS).await.data()["total_size_bytes"], 4);

        let other = format!("?realm_id={REALM_B}");
        let on_a = ada.realm(REALM_A);
        for reply in [
            on_a.get(&format!("{STATS}{other}")).await,
            on_a.get(&format!("{KEYS}{other}")).await,
            on_a.get(&format!("{}{other}", path("k"))).await,
            on_a.put(&format!("{}{other}", path("k")), json!({"value": "x"})).await,
            on_a.delete(&format!("{}{other}", path("k"))).await,
            on_a.delete(&format!("{VAULT}{other}")).await,
        ] {
            reply.refused(403, "REALM_NOT_ALLOWED");
        }
        ada.get(&format!("{KEYS}?realm_id=x")).await.refused(400, "INVALID_REALM_ID_FORMAT");

        assert_eq!(on_a.delete(VAULT).await.data(), &json!({"deleted_count": 1}));
        assert_eq!(value(&ada, "").await, "global");
        assert_eq!(value(&ada.realm(REALM_B), "").await, "of b");
        on_a.get(&path("k")).await.refused(404, "VAULT_KEY_NOT_FOUND");
        let realms = app.service.texts(
            "SELECT realm_ids AS t FROM feed WHERE resource_type = 'vault' ORDER BY pos").await;
        assert_eq!(realms, ["", REALM_A, REALM_B, REALM_A]);
    }

    async fn a_token_needs_the_permission_and_the_flag(app: TestApp) {
        let ada = app.user("ada").await;
        set(&ada, "k", "x").await;
        let vault = json!({"resources": {"vault": true}});
        for body in [
            json!({"permissions": vault}),
            json!({"permissions": {"projects": {"read": true}}, "vault_access": true}),
            json!({"permissions": {}, "vault_access": true}),
        ] {
            let token = ada.mint(body).await.client;
            for reply in [
                token.get(STATS).await,
                token.get(KEYS).await,
                token.get(&path("k")).await,
                token.put(&path("k"), json!({"value": "y"})).await,
                token.patch(&path("k"), json!({"value": "y"})).await,
                token.delete(&path("k")).await,
                token.delete(VAULT).await,
            ] {
                reply.refused(403, "INSUFFICIENT_PERMISSIONS");
            }
        }
        let both = ada.mint(opener(json!({}))).await;
        assert_eq!(both.client.get(&path("k")).await.expect(StatusCode::OK).data()["value"], "x");
        both.client.put(&path("k"), json!({"value": "y"})).await.expect(StatusCode::OK);
        // The flag is part of what a hot token is judged by.
        let tokens = format!("/api/v1/auth/tokens/{}", both.id);
        ada.put(&tokens, json!({"vault_access": false})).await.expect(StatusCode::OK);
        both.client.get(&path("k")).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        both.client.delete(VAULT).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        app.anon().get(KEYS).await.refused(401, "MISSING_TOKEN");
        app.with("hdy_x").delete(VAULT).await.refused(401, "INVALID_TOKEN");
    }

    async fn a_flag_taken_away_elsewhere_holds_for_the_next_write(app: TestApp) {
        let ada = app.user("ada").await;
        let token = ada.mint(opener(json!({}))).await.client;
        token.get(KEYS).await.expect(StatusCode::OK);
        // Behind the cache's back: a write asks the database again.
        app.service.tamper("UPDATE tokens SET vault_access = FALSE").await;
        token.put(&path("k"), json!({"value": "x"})).await.refused(403, "INSUFFICIENT_PERMISSIONS");
    }

    async fn a_token_bound_to_realms_opens_those_only(app: TestApp) {
        let ada = app.user("ada").await;
        set(&ada, "k", "global").await;
        let bound = ada.mint(opener(json!({"realm_ids": [REALM_A]}))).await.client;
        bound.get(&path("k")).await.refused(403, "REALM_SCOPE_REQUIRED");
        bound.get(&format!("{}?realm_id={REALM_A}", path("k"))).await.refused(403, "REALM_SCOPE_REQUIRED");
        bound.realm(REALM_B).get(KEYS).await.refused(403, "REALM_NOT_ALLOWED");
        let on_a = bound.realm(REALM_A);
        on_a.get(&path("k")).await.refused(404, "VAULT_KEY_NOT_FOUND");
        on_a.get(&format!("{}?realm_id={REALM_B}", path("k"))).await.refused(403, "REALM_NOT_ALLOWED");
        set(&on_a, "k", "of a").await;
        assert_eq!(on_a.delete(VAULT).await.data(), &json!({"deleted_count": 1}));
        assert_eq!(ada.get(&path("k")).await.data()["value"], "global");
    }

    async fn threat_21_another_account_finds_nothing(app: TestApp) {
        let ada = app.user("ada").await;
        let eve = app.user("eve").await;
        set(&ada, "k", "of ada").await;
        eve.get(&path("k")).await.refused(404, "VAULT_KEY_NOT_FOUND");
        eve.delete(&path("k")).await.refused(404, "VAULT_KEY_NOT_FOUND");
        assert_eq!(eve.get(KEYS).await.data(), &json!([]));
        assert_eq!(eve.get(STATS).await.data()["used_percentage"], 0.0);
        set(&eve, "k", "of eve").await;
        assert_eq!(eve.delete(VAULT).await.data(), &json!({"deleted_count": 1}));
        assert_eq!(ada.get(&path("k")).await.data()["value"], "of ada");
    }

    async fn bad_input_is_refused_with_its_code(app: TestApp) {
        let ada = app.user("ada").await;
        let put = async |body: &str| ada.send(Method::PUT, &path("k"), body.as_bytes().to_vec()).await;
        put("").await.refused(400, "MISSING_REQUIRED_FIELD");
        put("{").await.refused(400, "VALIDATION_ERROR");
        put(r#"{"value":"a","value":"b"}"#).await.refused(400, "VALIDATION_ERROR");
        put(r#"{"value":"a","metadata":{"x":1,"x":2}}"#).await.refused(400, "VALIDATION_ERROR");
        put(r#"{"value":7}"#).await.refused(422, "VALIDATION_ERROR");
        put(r#"{"value":"a","metadata":"x"}"#).await.refused(422, "VALIDATION_ERROR");
        put(r#"{"value":"a","other":1}"#).await.refused(422, "VALIDATION_ERROR");
        let deep = format!(r#"{{"value":"a","metadata":{}1{}}}"#, r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
        put(&deep).await.refused(400, "VALIDATION_ERROR");
        let at_limit = "x".repeat(256 * 1024 - 8);
        let fits = json!({"value": "a", "metadata": {"k": at_limit}});
        ada.put(&path("k"), fits).await.expect(StatusCode::CREATED);
        let large = json!({"value": "a", "metadata": {"k": format!("{at_limit}x")}});
        ada.put(&path("k"), large).await.refused(400, "VALIDATION_ERROR");
        let longest = "k".repeat(255);
        set(&ada, &longest, "x").await;
        let too_long = format!("{longest}k");
        for key in ["a%20b", "a%2Fb", "%C3%A4", "%00", "%2E", "%2e%2e", &too_long] {
            ada.put(&path(key), json!({"value": "x"})).await.refused(400, "VALIDATION_ERROR");
            ada.get(&path(key)).await.refused(400, "VALIDATION_ERROR");
            ada.delete(&path(key)).await.refused(400, "VALIDATION_ERROR");
        }
        // A key that got lost in a script does not clear the vault.
        ada.delete(&path("")).await.refused(405, "METHOD_NOT_ALLOWED");
        assert_eq!(ada.get(KEYS).await.data().as_array().unwrap().len(), 2);
    }

    async fn statistics_are_of_the_realm_and_the_limit_of_all(app: TestApp) {
        let ada = app.user("ada").await;
        assert_eq!(ada.get(STATS).await.data(), &json!({"total_keys": 0, "total_size_bytes": 0,
            "total_size_mb": 0.0, "limit_mb": 50.0, "used_percentage": 0.0, "remaining_mb": 50.0}));
        set(&ada, "k", &"x".repeat(10_240)).await;
        set(&ada.realm(REALM_A), "k", &"x".repeat(10_240)).await;
        let stats = ada.get(STATS).await;
        assert_eq!(stats.expect(StatusCode::OK).body["message"], "Vault statistics retrieved successfully");
        assert_eq!(stats.data(), &json!({"total_keys": 1, "total_size_bytes": 10_240, "total_size_mb": 0.009_766,
            "limit_mb": 50.0, "used_percentage": 0.04, "remaining_mb": 49.980_469}));
    }

    async fn a_value_in_many_pieces_comes_back_as_it_was(app: TestApp) {
        let ada = app.user("ada").await;
        // Characters of two bytes, so that pieces end within one, and escapes.
        let value = format!("a{}", "ä\n\"\\".repeat(MIB / 2));
        let made = ada.put(&path("k"), json!({"value": value})).await;
        assert!(made.expect(StatusCode::CREATED).data()["value"] == value);
        assert_eq!(made.data()["size_bytes"], value.len());
        assert!(ada.get(&path("k")).await.expect(StatusCode::OK).data()["value"] == value);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM vault_pieces").await, 3);
        set(&ada, "k", "small").await;
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM vault_pieces").await, 1);
        // Sent in pieces, too, and without its length.
        let body = json!({"value": value}).to_string().into_bytes();
        let chunks: Vec<_> = body.chunks(9_999).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
        let body = Body::from_stream(futures_util::stream::iter(chunks));
        let again = ada.send_body(Method::PUT, &path("k"), body).await;
        assert!(again.expect(StatusCode::OK).data()["value"] == value);
    }

    async fn a_value_may_be_as_large_as_the_vault_and_no_larger(app: TestApp) {
        let ada = app.user("ada").await;
        let whole = "x".repeat(50 * MIB);
        ada.put(&path("k"), json!({"value": format!("{whole}x")})).await.refused(400, "VAULT_LIMIT_EXCEEDED");
        let made = ada.put(&path("k"), json!({"value": whole})).await;
        made.expect(StatusCode::CREATED);
        assert_eq!(made.data()["size_bytes"], 50 * MIB);
        let full = ada.realm(REALM_A).put(&path("k"), json!({"value": "x"})).await;
        full.refused(400, "VAULT_LIMIT_EXCEEDED");
        assert_eq!(full.body["error"], "VAULT_LIMIT_EXCEEDED");
        assert_eq!(full.body["message"], "Vault storage limit exceeded.");
        assert_eq!(ada.get(STATS).await.data()["used_percentage"], 100.0);
        assert!(ada.get(&path("k")).await.expect(StatusCode::OK).data()["value"] == whole);
        // What is full can be set to less, and what is deleted is free again.
        set(&ada, "k", "less").await;
        set(&ada.realm(REALM_A), "k", "x").await;
        ada.delete(VAULT).await.expect(StatusCode::OK);
        assert_eq!(app.service.number("SELECT size_bytes AS n FROM vault_usage").await, 1);
        let announced = ada.header("content-length", "70000000");
        announced.send(Method::PUT, &path("k"), Vec::new()).await.refused(413, "PAYLOAD_TOO_LARGE");
    }

    async fn the_limit_holds_under_twenty_writers_at_once(app: TestApp) {
        let ada = app.user("ada").await;
        // Room for eight of them.
        set(&ada, "filler", &"x".repeat(42 * MIB)).await;
        let value = "y".repeat(MIB - 100);
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..20 {
            let client = if index % 2 == 0 { ada.clone() } else { ada.realm(REALM_A) };
            let body = json!({"value": value});
            tasks.spawn(async move { client.put(&path(&format!("k{index}")), body).await });
        }
        let replies = tasks.join_all().await;
        let made = replies.iter().filter(|reply| reply.status == StatusCode::CREATED).count();
        for reply in replies.iter().filter(|reply| reply.status != StatusCode::CREATED) {
            reply.refused(400, "VAULT_LIMIT_EXCEEDED");
        }
        assert_eq!(made, 8);
        let counted = app.service.number("SELECT size_bytes AS n FROM vault_usage").await;
        let summed = app.service.number("SELECT CAST(SUM(size_bytes) AS BIGINT) AS n FROM vault_keys").await;
        assert_eq!(counted, summed);
        assert!(counted <= 50 * MIB as i64);
    }

    async fn of_many_who_set_one_key_the_last_wins_whole(app: TestApp) {
        let ada = app.user("ada").await;
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..20 {
            let client = ada.clone();
            // One, two or three pieces.
            let value = char::from(b'a' + index).to_string().repeat(MIB * usize::from(index % 3) + 10);
            tasks.spawn(async move {
                let set = client.put(&path("k"), json!({"value": value})).await;
                let read = client.get(&path("k")).await;
                (set, read)
            });
        }
        for (set, read) in tasks.join_all().await {
            assert!(set.status.is_success(), "{}", set.status);
            if read.status != StatusCode::SERVICE_UNAVAILABLE {
                let text = read.expect(StatusCode::OK).data()["value"].as_str().unwrap();
                let first = text.chars().next().unwrap();
                assert!(text.chars().all(|c| c == first), "two values mixed");
            }
        }
        assert_eq!(app.service.number("SELECT total_keys AS n FROM vault_usage").await, 1);
        let stray = "SELECT COUNT(*) AS n FROM vault_pieces p WHERE NOT EXISTS \
            (SELECT 1 FROM vault_keys k WHERE k.value_id = p.value_id)";
        assert_eq!(app.service.number(stray).await, 0);
    }

    async fn an_account_has_at_most_ten_thousand_keys(app: TestApp) {
        let ada = app.user("ada").await;
        set(&ada, "k", "").await;
        app.service.tamper("UPDATE vault_usage SET total_keys = 10000").await;
        ada.put(&path("new"), json!({"value": ""})).await.refused(400, "VAULT_LIMIT_EXCEEDED");
        set(&ada, "k", "again").await;
        ada.delete(&path("k")).await.expect(StatusCode::OK);
        set(&ada, "new", "").await;
    }

    async fn a_long_list_is_whole_and_made_beside_the_threads_that_answer(app: TestApp) {
        let ada = app.user("ada").await;
        // More than three pages of metadata, and a page of keys without any.
        let mut expected = Vec::new();
        for n in 0..14 {
            let metadata = json!({"n": n, "text": "x".repeat(120_000 + n), "list": [n, null, {"a": "}],"}]});
            let name = format!("m{n:02}");
            let made = ada.put(&path(&name), json!({"value": "v", "metadata": metadata})).await;
            made.expect(StatusCode::CREATED);
            assert_eq!(made.data()["metadata"], metadata);
            expected.push((name, metadata));
        }
        for n in 0..30 {
            set(&ada, &format!("s{n:02}"), "v").await;
            expected.push((format!("s{n:02}"), Value::Null));
        }
        let before = app.service.large_works();
        let list = ada.get(KEYS).await;
        list.expect(StatusCode::OK);
        assert!(app.service.large_works() >= before + 3, "each page of metadata has another thread");
        assert_eq!(list.body["message"], "Vault keys retrieved successfully");
        assert_eq!(list.headers["cache-control"], "no-store");
        let listed: Vec<_> = list.data().as_array().unwrap().iter()
            .map(|key| (key["key"].as_str().unwrap().to_owned(), key["metadata"].clone())).collect();
        assert_eq!(listed, expected);
        // A large value is parsed there, too.
        let before = app.service.large_works();
        set(&ada, "large", &"\\n".repeat(100_000)).await;
        assert!(app.service.large_works() > before);
    }

    async fn lists_that_nobody_reads_take_no_more_than_a_share(app: TestApp) {
        let (ada, grace) = (app.user("ada").await, app.user("grace").await);
        for user in [&ada, &grace] {
            for n in 0..10 {
                let metadata = json!({"text": "x".repeat(200_000)});
                let made = user.put(&path(&format!("m{n}")), json!({"value": "v", "metadata": metadata})).await;
                made.expect(StatusCode::CREATED);
            }
        }
        let open = async |client: &Client| client.open(Method::GET, KEYS, Body::empty()).await;
        let mut unread = Vec::new();
        for _ in 0..4 {
            unread.push(open(&ada).await);
        }
        let mut next = Box::pin(open(&ada));
        for _ in 0..50 {
            assert!(futures_util::poll!(next.as_mut()).is_pending(), "the fifth waits for one to be read");
            tokio::task::yield_now().await;
        }
        grace.get(KEYS).await.expect(StatusCode::OK);
        unread.pop();
        assert_eq!(next.await.status(), StatusCode::OK);
    }

    async fn a_value_that_was_moved_or_changed_does_not_open(app: TestApp) {
        let ada = app.user("ada").await;
        let eve = app.user("eve").await;
        for reply in [
            ada.put(&path("a"), json!({"value": "canary a", "metadata": {"n": 1}})).await,
            ada.put(&path("b"), json!({"value": "canary b", "metadata": {"n": 2}})).await,
            eve.put(&path("a"), json!({"value": "eve", "metadata": {"n": 3}})).await,
        ] {
            reply.expect(StatusCode::CREATED);
        }
        let broken = async |client: &Client, key: &str| {
            let reply = client.get(&path(key)).await;
            reply.refused(500, "INTERNAL_ERROR");
            assert!(!reply.text.contains("canary") && !reply.text.contains("sealed"), "{}", reply.text);
        };
        // Under another name.
        app.service.tamper("UPDATE vault_keys SET name = 'c' WHERE name = 'b'").await;
        broken(&ada, "c").await;
        app.service.tamper("UPDATE vault_keys SET name = 'b' WHERE name = 'c'").await;
        assert_eq!(ada.get(&path("b")).await.expect(StatusCode::OK).data()["value"], "canary b");
        // Into another realm.
        app.service.tamper("UPDATE vault_keys SET realm_id = user_id WHERE name = 'b'").await;
        let realm = ada.account().await;
        broken(&ada, &format!("b?realm_id={realm}")).await;
        // The sealed bytes of one row in another.
        app.service.tamper("UPDATE vault_pieces SET sealed = (SELECT p.sealed FROM vault_pieces p \
            JOIN vault_keys k ON k.id = p.vault_id WHERE k.name = 'b') \
            WHERE vault_id IN (SELECT id FROM vault_keys WHERE name = 'a')").await;
        broken(&ada, "a").await;
        broken(&eve, "a").await;
        // It can be deleted, and set again.
        ada.put(&path("a"), json!({"value": "new"})).await.expect(StatusCode::OK);
        assert_eq!(ada.get(&path("a")).await.expect(StatusCode::OK).data()["value"], "new");
        eve.delete(&path("a")).await.expect(StatusCode::OK);
    }

    async fn another_accounts_row_or_a_lost_piece_does_not_open(app: TestApp) {
        let ada = app.user("ada").await;
        app.user("eve").await;
        set(&ada, "k", "canary").await;
        app.service.tamper("UPDATE vault_keys SET user_id = (SELECT id FROM users WHERE username = 'eve')").await;
        let eve = app.login("eve").await;
        eve.get(&path("k")).await.refused(500, "INTERNAL_ERROR");
        set(&ada, "k", &"x".repeat(2 * MIB)).await;
        app.service.tamper("DELETE FROM vault_pieces WHERE place = 1").await;
        ada.get(&path("k")).await.refused(500, "INTERNAL_ERROR");
        // Not as a shorter one either.
        app.service.tamper("UPDATE vault_keys SET pieces = 1, value_bytes = 1048576").await;
        ada.get(&path("k")).await.refused(500, "INTERNAL_ERROR");
    }

    async fn metadata_is_sealed_for_its_key_too(app: TestApp) {
        let ada = app.user("ada").await;
        for key in ["a", "b"] {
            ada.put(&path(key), json!({"value": key, "metadata": {"of": key}})).await.expect(StatusCode::CREATED);
        }
        app.service.tamper("UPDATE vault_keys SET metadata = (SELECT o.metadata FROM vault_keys o WHERE o.name = 'a') \
            WHERE name = 'b'").await;
        ada.get(&path("b")).await.refused(500, "INTERNAL_ERROR");
        ada.get(KEYS).await.refused(500, "INTERNAL_ERROR");
        // Metadata that is given replaces what does not open.
        ada.put(&path("b"), json!({"value": "b"})).await.refused(500, "INTERNAL_ERROR");
        ada.put(&path("b"), json!({"value": "b", "metadata": null})).await.expect(StatusCode::OK);
        assert_eq!(names(ada.get(KEYS).await.expect(StatusCode::OK).data()), ["a", "b"]);
    }

    async fn a_banned_account_reaches_nothing_and_keeps_it_all(app: TestApp) {
        let ada = app.user("ada").await;
        set(&ada, "k", "x").await;
        app.service.ban_elsewhere("ada", true).await;
        app.service.poll().await;
        ada.get(&path("k")).await.refused(403, "ACCOUNT_BANNED");
        ada.delete(VAULT).await.refused(403, "ACCOUNT_BANNED");
        app.service.ban_elsewhere("ada", false).await;
        app.service.poll().await;
        let body = json!({"username": "ada", "password": PASSWORD});
        app.anon().post("/api/v1/users/auth/login", body).await.expect(StatusCode::OK);
        assert_eq!(app.login("ada").await.get(&path("k")).await.data()["value"], "x");
    }
}
