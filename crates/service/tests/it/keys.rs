//! Master keys that follow one another, while everything goes on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use hoody_core::keys::{Keyring, MasterKey};
use hoody_service::testing::{Cut, Service, Step};
use http::StatusCode;
use serde_json::json;

use crate::support::{Beside, Client, Minted, PASSWORD, TestApp, on_both};
use crate::two_factor::{Protected, challenge, code_at, next_step, protect, verify};

const REFRESH: &str = "/api/v1/users/auth/refresh";
const REGENERATE: &str = "/api/v1/users/auth/2fa/backup-codes/regenerate";

fn ids_in(directory: &Path) -> Vec<String> {
    let file = std::fs::read(directory.join("master.key")).unwrap();
    Keyring::parse(&file).unwrap().iter().map(|key| key.id().to_string()).collect()
}

fn vault(key: &str) -> String {
    format!("/api/v1/vault/keys/{key}")
}

async fn set(client: &Client, key: &str, value: &str) {
    let reply = client.put(&vault(key), json!({ "value": value, "metadata": { "of": key } })).await;
    assert!(reply.status.is_success(), "{}", reply.text);
}

async fn holds(client: &Client, key: &str, value: &str) {
    let reply = client.get(&vault(key)).await;
    reply.expect(StatusCode::OK);
    assert_eq!((&reply.data()["value"], &reply.data()["metadata"]["of"]), (&json!(value), &json!(key)));
}

/// Puts a new key in force on the one node there is; its id.
async fn rotate(app: &TestApp) -> String {
    let id = app.service.add_key().await.unwrap();
    assert_eq!(app.service.refresh_keys().await, None);
    assert_eq!(app.service.promote_key(&id).await, Vec::<String>::new());
    assert_eq!(app.service.refresh_keys().await, None);
    id
}

/// A minute passes, and the node says that it lives.
async fn minute(app: &TestApp) {
    app.later(61_000).await;
    app.service.beat().await;
}

/// Somebody with everything that hangs on a key.
struct Owner {
    access: Client,
    refresh: String,
    token: Minted,
    protected: Protected,
}

impl Owner {
    async fn new(app: &TestApp) -> Self {
        app.service.create_user("ada", Some("ada@example.com"), PASSWORD).await;
        let (access, refresh) = app.sign_in("ada").await;
        let access = app.with(&access);
        let token = access.mint(json!({ "alias": "of before" })).await;
        set(&access, "of-before", "a secret").await;
        let eve = app.user("eve").await;
        set(&eve, "large", &"x".repeat(3 << 20)).await;
        let protected = protect(app, &eve).await;
        Self { access, refresh, token, protected }
    }

    /// All of it goes on as ever.
    async fn goes_on(&self, app: &TestApp) {
        self.access.check("").await.expect(StatusCode::NO_CONTENT);
        self.token.client.check("").await.expect(StatusCode::NO_CONTENT);
        holds(&self.access, "of-before", "a secret").await;
        holds(&self.protected.session, "large", &"x".repeat(3 << 20)).await;
        set(&self.access, "scratch", "now").await;
        holds(&self.access, "scratch", "now").await;
        app.login("ada").await.check("").await.expect(StatusCode::NO_CONTENT);
        let minted = self.access.mint(json!({})).await;
        minted.client.check("").await.expect(StatusCode::NO_CONTENT);
        let temp = challenge(app, "eve").await;
        verify(app, &temp, &code_at(app, &self.protected.secret, 0)).await.expect(StatusCode::OK);
        next_step(app).await;
        app.service.beat().await;
        app.with("hdy_x").check("").await.refused(401, "INVALID_TOKEN");
        app.with(&app.service.unknown_token()).check("").await.refused(401, "INVALID_TOKEN");
    }
}

on_both! {
    async fn a_key_follows_another_while_everything_goes_on(app: TestApp) {
        app.service.beat().await;
        let old = ids_in(app.directory.path()).remove(0);
        let owner = Owner::new(&app).await;
        owner.goes_on(&app).await;

        let new = app.service.add_key().await.unwrap();
        assert_eq!(ids_in(app.directory.path()), [old.clone(), new.clone()]);
        assert_eq!(app.service.add_key().await.unwrap(), new, "one at a time");
        owner.goes_on(&app).await;
        assert_eq!(app.service.promote_key(&new).await.len(), 1, "this node has not read the file again");
        assert_eq!(app.service.refresh_keys().await, None);
        assert_eq!(app.service.keys(), [old.clone(), new.clone()]);
        owner.goes_on(&app).await;

        assert!(app.service.promote_key(&new).await.is_empty());
        assert!(app.service.retire_key(&old).await.unwrap_err().contains("SignedBy"), "this node still does");
        owner.goes_on(&app).await;
        assert_eq!(app.service.refresh_keys().await, None);
        assert_eq!(app.service.keys(), [new.clone(), old.clone()]);
        // A token that is used moves: those that were made just now are not.
        let unused = "SELECT COUNT(*) AS n FROM tokens t, master_keys k WHERE t.key_id = k.id \
                      AND k.promoted_at > 1772442942118";
        app.service.flush_usage().await;
        assert_eq!(app.service.number(unused).await, 0);
        owner.token.client.check("").await.expect(StatusCode::NO_CONTENT);
        app.service.flush_usage().await;
        assert_eq!(app.service.number(unused).await, 1);
        owner.goes_on(&app).await;

        assert!(app.service.retire_key(&old).await.unwrap_err().contains("sealed values"));
        let (moved, overtaken, broken) = app.service.reseal().await.unwrap();
        // Metadata and values of ada's first key, eve's four pieces and metadata, her secret, and a tag.
        assert!(moved >= 9 && overtaken == 0 && broken == 0, "{moved} {overtaken} {broken}");
        assert_eq!(app.service.reseal().await.unwrap(), (0, 0, 0));
        owner.goes_on(&app).await;
        let left = app.service.hanging(&old).await;
        assert!(left.contains("tokens") && left.contains("sessions") && left.contains("10 backup codes"), "{left}");
        assert!(!left.contains("sealed"), "{left}");

        // The tokens are used or deleted, the sessions refreshed or over, the codes made anew.
        let listed = owner.access.get("/api/v1/auth/tokens").await;
        for token in listed.data().as_array().unwrap() {
            if token["alias"] != "of before" {
                let path = format!("/api/v1/auth/tokens/{}", token["id"].as_str().unwrap());
                owner.access.delete(&path).await.expect(StatusCode::OK);
            }
        }
        let codes = json!({ "password": PASSWORD, "code": code_at(&app, &owner.protected.secret, 0) });
        owner.protected.session.post(REGENERATE, codes).await.expect(StatusCode::OK);
        // JWTs of before are good until then: nothing but time, logout and refreshing ends them.
        owner.access.check("").await.expect(StatusCode::NO_CONTENT);
        let pair = app.anon().post(REFRESH, json!({ "refreshToken": owner.refresh })).await;
        let refresh = pair.data()["refreshToken"].as_str().unwrap();
        let again = app.anon().post(REFRESH, json!({ "refreshToken": owner.refresh })).await;
        assert_eq!(again.expect(StatusCode::OK).data()["refreshToken"], refresh, "within the minute");
        owner.protected.session.post("/api/v1/users/auth/logout", json!({})).await.expect(StatusCode::OK);
        let ended = app.service.end_what_hangs(&old).await;
        assert!(ended.iter().all(|one| one.starts_with("Session")), "{ended:?}");
        assert_eq!(app.service.hanging(&old).await, "nothing");

        app.service.retire_key(&old).await.unwrap();
        assert!(app.service.retire_key(&old).await.unwrap_err().contains("Already"));
        assert_eq!(app.service.refresh_keys().await, None);
        assert_eq!(app.service.keys(), [new.as_str()]);
        let restarted = app.another_node().await;
        for node in [&app.service, &restarted] {
            // Made under the old key, found under the new one.
            owner.token.client.at(node).check("").await.expect(StatusCode::NO_CONTENT);
        }
    }

    /// What hung on the key hangs on another, or is gone: the old key opens nothing of a stolen database.
    async fn nothing_in_the_database_is_under_a_retired_key(app: TestApp) {
        let old = ids_in(app.directory.path()).remove(0);
        let owner = Owner::new(&app).await;
        rotate(&app).await;
        let (.., broken) = app.service.reseal().await.unwrap();
        assert_eq!(broken, 0);
        app.service.end_what_hangs(&old).await;
        app.service.retire_key(&old).await.unwrap();
        for column in Service::key_columns() {
            let (table, column) = column.split_once('.').unwrap();
            let is_live = if table == "sessions" { "ended_at IS NULL AND " } else { "" };
            let sql = format!("SELECT COUNT(*) AS n FROM {table} WHERE {is_live}{column} = '{old}'");
            assert_eq!(app.service.number(sql.leak()).await, 0, "{table}.{column}");
        }
        let raw = "SELECT COUNT(*) AS n FROM two_factor t JOIN master_keys k ON k.retired_at IS NOT NULL \
                   WHERE hex(substr(t.secret, 1, 8)) = upper(k.id) OR hex(substr(t.pending_secret, 1, 8)) = upper(k.id)";
        let raw = if app.url.starts_with("sqlite") { raw.to_owned() } else {
            raw.replace("hex(", "encode(").replace(", 8))", ", 8), 'hex')").replace("upper(k.id)", "k.id")
        };
        assert_eq!(app.service.number(raw.leak()).await, 0);
        holds(&app.login("ada").await, "of-before", "a secret").await;
        owner.token.client.check("").await.refused(401, "INVALID_TOKEN");
        // The file may still have it: it is of no use, and not in the way.
        assert_eq!(Service::refusal_to_open(&app.url, app.directory.path(), app.service.now()).await, None);
    }

    async fn a_key_comes_into_force_when_every_live_node_has_it(app: TestApp) {
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::copy(app.directory.path().join("master.key"), elsewhere.path().join("master.key")).unwrap();
        let other = Service::open(&app.url, elsewhere.path(), "", app.service.now()).await;
        app.service.beat().await;
        other.beat().await;
        let old = app.service.keys().remove(0);
        let ada = app.user("ada").await;
        let new = app.service.add_key().await.unwrap();
        assert_eq!(app.service.refresh_keys().await, None);
        assert_eq!(other.refresh_keys().await, None);
        assert_eq!(other.keys(), [old.as_str()]);
        assert_eq!(app.service.promote_key(&new).await.len(), 1, "one has it, one has not");
        assert_eq!(app.service.keys(), [old.clone(), new.clone()]);
        std::fs::copy(app.directory.path().join("master.key"), elsewhere.path().join("master.key")).unwrap();
        assert_eq!(app.service.promote_key(&new).await.len(), 1, "it has not read the file");
        assert_eq!(other.refresh_keys().await, None);
        assert!(app.service.promote_key(&new).await.is_empty());

        // One has turned, the other has not: each reads what the other makes.
        assert_eq!(app.service.refresh_keys().await, None);
        assert_eq!((app.service.keys(), other.keys()), (vec![new.clone(), old.clone()], vec![old.clone(), new.clone()]));
        set(&ada, "here", "new").await;
        set(&ada.at(&other), "there", "old").await;
        let (here, there) = (ada.mint(json!({})).await, ada.at(&other).mint(json!({})).await);
        for node in [&app.service, &other] {
            holds(&ada.at(node), "here", "new").await;
            holds(&ada.at(node), "there", "old").await;
            here.client.at(node).check("").await.expect(StatusCode::NO_CONTENT);
            Client::of(node, Some(&there.secret)).check("").await.expect(StatusCode::NO_CONTENT);
        }
        assert!(app.service.retire_key(&old).await.unwrap_err().contains("SignedBy"));
        assert_eq!(other.refresh_keys().await, None);
        assert_eq!(other.keys(), [new, old]);
    }

    /// A node that was away while a key came into force finds that out before it answers again.
    async fn a_node_without_the_key_in_force_is_not_ready(app: TestApp) {
        let elsewhere = tempfile::tempdir().unwrap();
        let copy = || std::fs::copy(app.directory.path().join("master.key"), elsewhere.path().join("master.key"));
        copy().unwrap();
        let other = Service::open(&app.url, elsewhere.path(), "", app.service.now()).await;
        other.beat().await;
        app.service.beat().await;
        // Stopped for so long that nobody counts it.
        app.later(60_000).await;
        app.service.beat().await;
        let new = rotate(&app).await;
        let said = other.refresh_keys().await.unwrap();
        assert!(said.contains(&new) && said.contains("is not in"), "{said}");
        assert!(other.poll().await);
        let ready = Client::of(&other, None).get("/readyz").await;
        assert_eq!((ready.status, &ready.body["keys"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)));
        let refusal = Service::refusal_to_open(&app.url, elsewhere.path(), app.service.now()).await;
        assert!(refusal.unwrap().contains(&new));
        let token = app.user("ada").await.mint(json!({})).await;
        Client::of(&other, Some(&token.secret)).check("").await.refused(401, "INVALID_TOKEN");
        copy().unwrap();
        assert_eq!(other.refresh_keys().await, None);
        assert_eq!(Client::of(&other, None).get("/readyz").await.body["keys"], true);
        Client::of(&other, Some(&token.secret)).check("").await.expect(StatusCode::NO_CONTENT);
    }

    async fn lines_that_somebody_swaps_change_nothing_before_their_time(app: TestApp) {
        app.service.beat().await;
        let path = app.directory.path().join("master.key");
        let old = app.service.keys().remove(0);
        let lines = std::fs::read_to_string(&path).unwrap();
        let key = MasterKey::from_bytes([0x77; 32]);
        let new = key.id().to_string();
        // In front of the known one, it is refused, and the server that runs goes on.
        std::fs::write(&path, format!("{}{lines}", *key.expose_line())).unwrap();
        assert!(app.service.refresh_keys().await.unwrap().contains(&new));
        assert_eq!(app.service.keys(), [old.as_str()]);
        assert!(Service::refusal_to_open(&app.url, app.directory.path(), app.service.now()).await.is_some());
        assert_eq!(app.anon().get("/readyz").await.body["keys"], true);
        // A file that is broken or gone takes nothing away either.
        for broken in ["", "zz"] {
            std::fs::write(&path, broken).unwrap();
            assert!(app.service.refresh_keys().await.is_some());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(app.service.refresh_keys().await.is_some());
        assert_eq!(app.service.keys(), [old.as_str()]);

        std::fs::write(&path, format!("{}\n{}", lines.trim(), *key.expose_line())).unwrap();
        assert_eq!(app.service.refresh_keys().await, None);
        assert_eq!(app.service.keys(), [old.clone(), new.clone()]);
        // In front now, and every node has it: in force. Back again: no way back.
        std::fs::write(&path, format!("{}{lines}", *key.expose_line())).unwrap();
        assert_eq!(app.service.refresh_keys().await, None);
        assert_eq!(app.service.refresh_keys().await, None);
        assert_eq!(app.service.keys(), [new.clone(), old.clone()]);
        std::fs::write(&path, format!("{}\n{}", lines.trim(), *key.expose_line())).unwrap();
        assert_eq!(app.service.refresh_keys().await, None);
        assert_eq!(app.service.keys(), [new.clone(), old.clone()]);
        // A line that is gone too early stays with the server that runs, and none starts without it.
        std::fs::write(&path, key.expose_line().as_bytes()).unwrap();
        assert_eq!(app.service.refresh_keys().await, None);
        assert_eq!(app.service.keys(), [new, old.clone()]);
        let refusal = Service::refusal_to_open(&app.url, app.directory.path(), app.service.now()).await;
        assert!(refusal.unwrap().contains(&old));
    }

    async fn a_value_that_is_set_while_it_is_moved_stays_as_it_was_set(app: TestApp) {
        let ada = app.user("ada").await;
        for key in ["of-metadata", "of-value", "gone", "other"] {
            set(&ada, key, "before").await;
        }
        let old = app.service.keys().remove(0);
        rotate(&app).await;
        // First come the tags, then metadata, then values, all in one batch.
        let (client, step_number) = (ada.clone(), Arc::new(AtomicI64::new(0)));
        app.service.at_each_step(move |step| {
            let is_read = step == Step::Resealed;
            let number = if is_read { step_number.fetch_add(1, Ordering::SeqCst) } else { -1 };
            let client = client.clone();
            async move {
                if number == 1 {
                    set(&client, "of-metadata", "meanwhile").await;
                }
                if number == 2 {
                    set(&client, "of-value", "meanwhile").await;
                    client.delete(&vault("gone")).await.expect(StatusCode::OK);
                }
                Cut::GoOn
            }
        });
        let (_, overtaken, broken) = app.service.reseal().await.unwrap();
        assert_eq!((overtaken, broken), (3, 0), "one's metadata, two values");
        holds(&ada, "of-metadata", "meanwhile").await;
        holds(&ada, "of-value", "meanwhile").await;
        holds(&ada, "other", "before").await;
        ada.get(&vault("gone")).await.refused(404, "VAULT_KEY_NOT_FOUND");
        assert!(!app.service.hanging(&old).await.contains("sealed"));
    }

    async fn moving_goes_on_where_it_was_cut(app: TestApp) {
        let ada = app.user("ada").await;
        for number in 0..30 {
            set(&ada, &format!("k{number}"), &number.to_string()).await;
        }
        let old = app.service.keys().remove(0);
        rotate(&app).await;
        let left = Arc::new(AtomicI64::new(3));
        let counter = Arc::clone(&left);
        app.service.at_each_step(move |step| {
            let is_cut = step == Step::Resealed && counter.fetch_sub(1, Ordering::SeqCst) <= 0;
            async move { if is_cut { Cut::DatabaseGone } else { Cut::GoOn } }
        });
        app.service.reseal().await.unwrap_err();
        assert!(app.service.hanging(&old).await.contains("sealed values"), "some are left");
        left.store(i64::MAX, Ordering::SeqCst);
        let restarted = app.another_node().await;
        let (moved, ..) = restarted.reseal().await.unwrap();
        assert!(moved > 0 && moved < 61, "{moved}: some were moved before");
        assert!(!app.service.hanging(&old).await.contains("sealed"));
        for number in 0..30 {
            holds(&ada.at(&restarted), &format!("k{number}"), &number.to_string()).await;
        }
    }

    async fn a_value_that_does_not_open_stops_no_other(app: TestApp) {
        let ada = app.user("ada").await;
        for number in 0..12 {
            set(&ada, &format!("k{number:02}"), "x").await;
        }
        let old = app.service.keys().remove(0);
        app.service.tamper("UPDATE vault_pieces SET value_id = value_id, sealed = substr(sealed, 1, 40) \
            WHERE vault_id IN (SELECT id FROM vault_keys WHERE name = 'k00' OR name = 'k05')").await;
        rotate(&app).await;
        let (.., broken) = app.service.reseal().await.unwrap();
        assert_eq!(broken, 2);
        assert!(app.service.hanging(&old).await.contains("2 sealed values"));
        assert!(app.service.retire_key(&old).await.is_err());
        ada.delete(&vault("k00")).await.expect(StatusCode::OK);
        set(&ada, "k05", "again").await;
        assert!(!app.service.hanging(&old).await.contains("sealed"));
    }

    async fn what_hangs_on_a_key_keeps_it_until_it_is_ended_by_force(app: TestApp) {
        app.service.beat().await;
        let ada = app.user("ada").await;
        let token = ada.mint(json!({ "alias": "ci" })).await;
        let eve = app.user("eve").await;
        let protected = protect(&app, &eve).await;
        app.service.beat().await;
        let old = app.service.keys().remove(0);
        let said = app.service.retire_key(&old).await.unwrap_err();
        assert!(said.contains("InForce"), "{said}");
        assert!(app.service.retire_key("0123456789abcdef").await.unwrap_err().contains("Unknown"));
        let new = rotate(&app).await;
        let said = app.service.retire_key(&old).await.unwrap_err();
        // One of them is the job that tells eve of her second factor.
        assert_eq!(said, "1 token, 2 sessions, 10 backup codes, 4 sealed values");
        app.service.reseal().await.unwrap();

        let other = ada.mint(json!({ "alias": "of the new key" })).await;
        let named = app.service.end_what_hangs(&old).await;
        assert_eq!(named, ["Token ci of ada", "Session unknown of ada", "Session unknown of eve",
            "BackupCodes 10 of eve"]);
        app.service.retire_key(&old).await.unwrap();
        assert_eq!(app.service.refresh_keys().await, None);
        token.client.check("").await.refused(401, "INVALID_TOKEN");
        ada.check("").await.refused(401, "INVALID_TOKEN");
        protected.session.check("").await.refused(401, "INVALID_TOKEN");
        other.client.check("").await.expect(StatusCode::NO_CONTENT);
        assert_eq!(app.service.keys(), [new]);
        let mut told = app.service.texts("SELECT event_type AS t FROM feed WHERE actor_kind = 'operator' \
            AND event_type NOT LIKE 'user.%' ORDER BY pos, seq").await;
        // Account by account, in the order of their ids.
        assert_eq!((told.remove(0), told.pop().unwrap()), ("keys.promoted".to_owned(), "keys.retired".to_owned()));
        told.sort();
        assert_eq!(told, ["account.backup_codes_removed", "auth.token.deleted", "session.ended", "session.ended"]);
        // The second factor itself goes on.
        let temp = challenge(&app, "eve").await;
        verify(&app, &temp, &protected.backup_codes[0]).await.refused(400, "INVALID_BACKUP_CODE");
        verify(&app, &temp, &code_at(&app, &protected.secret, 0)).await.expect(StatusCode::OK);
    }

    async fn a_session_that_is_refreshed_moves_when_its_minute_is_over(app: TestApp) {
        app.service.create_user("ada", None, PASSWORD).await;
        let (_, refresh) = app.sign_in("ada").await;
        let old = app.service.keys().remove(0);
        rotate(&app).await;
        assert_eq!(app.service.hanging(&old).await, "1 session, 2 sealed values");
        app.service.reseal().await.unwrap();
        let pair = app.anon().post(REFRESH, json!({ "refreshToken": refresh })).await;
        pair.expect(StatusCode::OK);
        assert_eq!(app.service.hanging(&old).await, "1 session", "the pair before is good for a minute more");
        minute(&app).await;
        assert_eq!(app.service.hanging(&old).await, "nothing");
        app.service.retire_key(&old).await.unwrap();
        assert_eq!(app.service.refresh_keys().await, None);
        app.with(pair.data()["token"].as_str().unwrap()).check("").await.expect(StatusCode::NO_CONTENT);
    }

    async fn every_column_that_names_a_key_is_in_the_list(app: TestApp) {
        let stored = if app.url.starts_with("sqlite") {
            "SELECT m.name || '.' || c.name AS t FROM sqlite_master m JOIN pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND c.name LIKE '%key_id' ORDER BY 1"
        } else {
            "SELECT table_name || '.' || column_name AS t FROM information_schema.columns \
             WHERE table_schema = 'public' AND column_name LIKE '%key_id' ORDER BY 1"
        };
        let mut stored = app.service.texts(stored).await;
        stored.sort();
        assert_eq!(stored, Service::key_columns(), "rotation/bound.rs has every column that names a master key");
    }

    async fn a_key_that_is_retired_while_the_keys_are_read_seals_nothing_more(app: TestApp) {
        app.service.create_user("ada", None, PASSWORD).await;
        let old = app.service.keys().remove(0);
        let new = app.service.add_key().await.unwrap();
        assert_eq!(app.service.refresh_keys().await, None);
        assert_eq!(app.service.keys(), [old.clone(), new.clone()]);
        let Some(mut beside) = Beside::begin(&app).await else { return };
        beside.run("LOCK TABLE feed_head IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let service = app.service.clone();
        let refreshing = tokio::spawn(async move { service.refresh_keys().await });
        beside.is_waited_for().await;
        let retire = format!(
            "UPDATE master_keys SET promoted_at = 2000000000000 WHERE id = '{new}'; \
             UPDATE master_keys SET retired_at = 2000000000000 WHERE id = '{old}'; \
             UPDATE feed_head SET retirements = retirements + 1"
        );
        beside.run(&retire).await.unwrap();
        beside.commit().await;
        assert_eq!(refreshing.await.unwrap(), None);
        // Signed under the new key or refused; never under what is retired.
        app.anon().post("/api/v1/users/auth/login", json!({ "username": "ada", "password": PASSWORD })).await;
        let lost = "SELECT COUNT(*) AS n FROM sessions s JOIN master_keys k ON k.id = s.key_id \
             WHERE k.retired_at IS NOT NULL";
        assert_eq!(app.service.number(lost).await, 0);
    }

    async fn moving_tokens_to_a_key_and_noting_their_use_never_wait_for_each_other(app: TestApp) {
        let owner = app.user("ada").await;
        let mut tokens = Vec::new();
        for _ in 0..12 {
            tokens.push(owner.mint(json!({})).await);
        }
        let new = rotate(&app).await;
        for token in &tokens {
            token.client.check("").await.expect(StatusCode::NO_CONTENT);
        }
        let Some(mut beside) = Beside::begin(&app).await else { return };
        // As the use of tokens is written: in the order of their ids.
        tokens.sort_by(|one, other| one.id.cmp(&other.id));
        let update = |token: &Minted| {
            format!("UPDATE tokens SET last_used_ip = '192.0.2.1' WHERE id = decode('{}', 'hex')", token.id)
        };
        beside.run(&update(&tokens[0])).await.unwrap();
        let service = app.service.clone();
        let moving = tokio::spawn(async move { service.flush_usage().await });
        beside.is_waited_for().await;
        for token in &tokens[1..] {
            beside.run(&update(token)).await.unwrap();
        }
        beside.commit().await;
        moving.await.unwrap();
        let moved = format!("SELECT COUNT(*) AS n FROM tokens WHERE key_id = '{new}'");
        assert_eq!(app.service.number(moved.leak()).await, 12);
    }
}

/// On SQLite nothing is retired while a mutation is under way: there is one writer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sealed_before_a_key_was_retired_is_not_committed_after() {
    let Some(app) = TestApp::postgres().await else { return };
    app.service.beat().await;
    let ada = app.user("ada").await;
    let old = app.service.keys().remove(0);
    let new = app.service.add_key().await.unwrap();
    assert_eq!(app.service.refresh_keys().await, None);
    let (held, resume) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let (to_held, to_resume) = (Arc::clone(&held), Arc::clone(&resume));
    let is_first = Arc::new(AtomicBool::new(true));
    app.service.at_each_step(move |step| {
        let (held, resume, is_first) = (Arc::clone(&to_held), Arc::clone(&to_resume), Arc::clone(&is_first));
        async move {
            if step == Step::Changed && is_first.swap(false, Ordering::SeqCst) {
                held.notify_one();
                resume.notified().await;
            }
            Cut::GoOn
        }
    });
    let client = ada.clone();
    let write = tokio::spawn(async move { client.put(&vault("k"), json!({ "value": "x" })).await });
    held.notified().await;
    // Another process does all this.
    let other = app.another_node().await;
    assert!(other.promote_key(&new).await.is_empty());
    assert_eq!(other.refresh_keys().await, None);
    assert_eq!(app.service.refresh_keys().await, None);
    other.reseal().await.unwrap();
    // Not ada's session: her account is locked by what is under way.
    app.service.tamper("UPDATE sessions SET ended_at = 1").await;
    other.retire_key(&old).await.unwrap();
    resume.notify_one();
    let refused = write.await.unwrap();
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text);
    assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM vault_keys").await, 0);
    assert_eq!(app.service.refresh_keys().await, None);
    set(&app.login("ada").await, "k", "x").await;
}
