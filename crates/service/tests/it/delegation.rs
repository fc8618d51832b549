//! Tokens made by tokens (`contract/tokens.md` 9): what a child gets, who sees it, what it follows, and
//! what goes with it.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Beside, Client, HERE, Minted, REALM_A, REALM_B, on_both};

const TOKENS: &str = "/api/v1/auth/tokens";
const ME: &str = "/api/v1/auth/tokens/me";
const REALM_C: &str = "cccccccccccccccccccccccc";

fn path(id: &str) -> String {
    format!("{TOKENS}/{id}")
}

/// A token that may make tokens, and `rest`.
async fn maker(user: &Client, rest: Value) -> Minted {
    let mut body = json!({
        "permissions": {
            "projects": { "read": true, "update": true }, "resources": { "create_tokens": true },
        },
    });
    for (name, value) in rest.as_object().unwrap() {
        body[name] = value.clone();
    }
    user.mint(body).await
}

fn may_make() -> Value {
    json!({ "permissions": { "projects": { "read": true }, "resources": { "create_tokens": true } } })
}

async fn ids(client: &Client) -> Vec<String> {
    let list = client.get(TOKENS).await;
    list.expect(StatusCode::OK);
    let tokens = list.data().as_array().unwrap().iter();
    let mut ids: Vec<_> = tokens.map(|token| token["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn sorted(mut ids: Vec<&str>) -> Vec<String> {
    ids.sort_unstable();
    ids.into_iter().map(str::to_owned).collect()
}

/// The child's row as its account sees it.
async fn shown(user: &Client, id: &str) -> Value {
    let got = user.get(&path(id)).await;
    got.expect(StatusCode::OK);
    got.data().clone()
}

async fn good(client: &Client) -> bool {
    client.check("projects.read").await.status == StatusCode::NO_CONTENT
}

on_both! {
    async fn a_child_gets_what_its_parent_has_where_nothing_is_asked_for(app: TestApp) {
        let user = app.user("ada").await;
        let limits = json!({
            "realm_ids": [REALM_B, REALM_A], "ip_whitelist": ["203.0.113.0/24", "10.0.0.0/8"],
            "expires_at": "2026-03-03T00:00:00.000Z", "event_access": false, "vault_access": true,
        });
        let parent = maker(&user, limits).await;
        let made = parent.client.realm(REALM_A).post(TOKENS, json!({ "alias": "child" })).await;
        made.expect(StatusCode::CREATED);
        let child = made.data();
        assert_eq!(child["created_by_token_id"], parent.id);
        assert_eq!(child["delegation_depth"], 1);
        // Full access is cut to the parent's, and never has the right to go on.
        assert_eq!(child["permissions"], json!({ "projects": { "read": true, "update": true } }));
        // On a realm's host it belongs to that realm.
        assert_eq!(child["realm_ids"], json!([REALM_A]));
        assert_eq!(child["ip_whitelist"], json!(["203.0.113.0/24", "10.0.0.0/8"]));
        assert_eq!(child["expires_at"], "2026-03-03T00:00:00.000Z");
        let flags = (&child["allow_no_realm"], &child["vault_access"], &child["event_access"]);
        assert_eq!(flags, (&json!(false), &json!(false), &json!(false)));
        assert!(child["token"].as_str().unwrap().starts_with("hdy_"));
        assert_eq!(shown(&user, child["id"].as_str().unwrap()).await["created_by_token_id"], parent.id);

        let bound = maker(&user, json!({ "allow_no_realm": false })).await;
        let child = bound.client.realm(REALM_C).post(TOKENS, json!({})).await;
        assert_eq!(child.data()["realm_ids"], json!([REALM_C]));
        assert_eq!(child.data()["allow_no_realm"], false);
    }

    async fn a_child_is_cut_to_its_parent_in_every_dimension(app: TestApp) {
        let user = app.user("ada").await;
        let limits = json!({
            "ip_whitelist": ["203.0.113.0/24", "10.0.0.0/8"], "expires_at": "2026-03-03T00:00:00.000Z",
            "event_access": false,
        });
        let parent = maker(&user, limits).await;
        let child = parent.client.mint(json!({
            "permissions": {
                "projects": { "read": true, "delete": true }, "containers": { "read": true },
                "resources": { "create_tokens": true, "vault": true }, "admin": { "users": true },
            },
            "ip_whitelist": ["10.1.0.0/16", "203.0.113.0/16", "192.0.2.1"],
            "expires_at": null, "vault_access": true, "event_access": true,
        })).await;
        let child = shown(&user, &child.id).await;
        let permissions = json!({ "projects": { "read": true }, "resources": { "create_tokens": true } });
        assert_eq!(child["permissions"], permissions);
        assert_eq!(child["ip_whitelist"], json!(["10.1.0.0/16", "203.0.113.0/24"]));
        assert_eq!(child["expires_at"], "2026-03-03T00:00:00.000Z");
        assert_eq!((&child["vault_access"], &child["event_access"]), (&json!(false), &json!(false)));
        let sooner = parent.client.mint(json!({ "expires_at": "2026-03-02T12:00:00.000Z" })).await;
        assert_eq!(shown(&user, &sooner.id).await["expires_at"], "2026-03-02T12:00:00.000Z");
        // A day from now, or the parent's end where that is sooner; it could make none of its own.
        let last = parent.client.mint(json!({ "deny_reauthorization": true })).await;
        let last = shown(&user, &last.id).await;
        assert_eq!(last["expires_at"], "2026-03-03T00:00:00.000Z");
        assert_eq!(last["permissions"], json!({ "projects": { "read": true, "update": true } }));
    }

    /// Threat 16: an empty list is not all.
    async fn threat_16_where_nothing_is_left_nothing_is_made(app: TestApp) {
        let user = app.user("ada").await;
        let limits = json!({ "realm_ids": [REALM_A], "ip_whitelist": ["203.0.113.0/24"] });
        let parent = maker(&user, limits).await.client.realm(REALM_A);
        let before = ids(&user).await;
        let refused = parent.post(TOKENS, json!({ "ip_whitelist": ["192.0.2.0/24"] })).await;
        refused.refused(403, "INSUFFICIENT_PERMISSIONS");
        assert!(refused.body["message"].as_str().unwrap().contains("ip_whitelist"), "{}", refused.text);
        parent.post(TOKENS, json!({ "ip_whitelist": [] })).await.refused(400, "INVALID_IP_FORMAT");
        assert_eq!(ids(&user).await, before);
        // On the host of a realm that is always among them, what is foreign falls away.
        let child = parent.mint(json!({ "realm_ids": [REALM_B, REALM_C] })).await;
        assert_eq!(shown(&user, &child.id).await["realm_ids"], json!([REALM_A]));
        let none = parent.mint(json!({ "realm_ids": [], "permissions": {} })).await;
        let none = shown(&user, &none.id).await;
        assert_eq!((&none["realm_ids"], &none["permissions"]), (&json!([REALM_A]), &json!({})));
        // The lists of two tokens can have more networks in common than one may have.
        let many: Vec<_> = (0..600).map(|n| format!("10.0.{}.{}/32", n / 200, n % 200)).collect();
        let some: Vec<_> = (0..600).map(|n| format!("10.1.{}.{}/32", n / 200, n % 200)).collect();
        let mine = [&many[..], &["10.1.0.0/16".to_owned()]].concat();
        let theirs = [&some[..], &["10.0.0.0/16".to_owned()]].concat();
        let parent = maker(&user, json!({ "ip_whitelist": mine })).await.client.from("10.0.0.1");
        parent.post(TOKENS, json!({ "ip_whitelist": theirs })).await.refused(400, "IP_WHITELIST_TOO_LARGE");
    }

    /// Threat 16: the right to make tokens comes from who has it, and a session from no token.
    async fn threat_16_create_tokens_is_got_from_nobody_who_lacks_it(app: TestApp) {
        let user = app.user("ada").await;
        let parent = maker(&user, json!({})).await;
        let plain = user.mint(json!({ "vault_access": true })).await;
        let child = parent.client.mint(json!({})).await;
        for token in [&plain, &child] {
            for body in [json!({}), may_make(), json!({ "permission_template": "full_access" })] {
                token.client.post(TOKENS, body.clone()).await.refused(401, "SESSION_REQUIRED");
                token.client.post(&format!("{}/copy", path(&token.id)), json!({})).await
                    .refused(401, "SESSION_REQUIRED");
                let wider = token.client.put(&path(&token.id), may_make()).await;
                wider.refused(403, "INSUFFICIENT_PERMISSIONS");
            }
            plain.client.put(&path(&parent.id), may_make()).await.refused(404, "TOKEN_NOT_FOUND");
            let login = token.client.post("/api/v1/users/auth/refresh", json!({ "refreshToken": token.secret }));
            assert_eq!(login.await.status, StatusCode::UNAUTHORIZED);
        }
        for template in ["full_access", "external_customer", "dev_team", "finance_team", "read_only"] {
            let made = parent.client.mint(json!({ "permission_template": template })).await;
            let tree = shown(&user, &made.id).await["permissions"].clone();
            assert_eq!(tree["resources"].get("create_tokens"), None, "{template}");
            assert_eq!(tree.get("containers"), None, "{template} is cut to the parent's");
            made.client.post(TOKENS, json!({})).await.refused(401, "SESSION_REQUIRED");
        }
        // Both switches of the vault stay off below a token that has not both.
        let vault = json!({ "vault_access": true, "permissions": { "resources": { "vault": true } } });
        let made = parent.client.mint(vault).await;
        made.client.get("/api/v1/vault/keys").await.refused(403, "INSUFFICIENT_PERMISSIONS");
    }

    async fn delegation_goes_as_deep_as_it_may(app: TestApp) {
        let user = app.user("ada").await;
        let mut token = maker(&user, json!({})).await;
        for depth in 1..=3 {
            token = token.client.mint(may_make()).await;
            assert_eq!(shown(&user, &token.id).await["delegation_depth"], depth);
            assert!(good(&token.client).await);
        }
        let refused = token.client.post(TOKENS, json!({})).await;
        refused.refused(403, "INSUFFICIENT_PERMISSIONS");
        assert!(refused.body["message"].as_str().unwrap().contains("max_delegation_depth is 3"));
        token.client.post(&format!("{}/copy", path(&token.id)), json!({})).await
            .refused(403, "INSUFFICIENT_PERMISSIONS");
        let me = token.client.get(ME).await;
        assert_eq!(me.data()["restrictions"]["max_delegation_depth"], 3);
    }

    async fn a_child_sees_its_subtree_and_nothing_else(app: TestApp) {
        let user = app.user("ada").await;
        let root = maker(&user, json!({})).await;
        let (child, sibling) = (root.client.mint(may_make()).await, root.client.mint(may_make()).await);
        let below = child.client.mint(may_make()).await;
        let lowest = below.client.mint(json!({})).await;
        let other = user.mint(json!({ "permissions": {} })).await;
        let strangers = app.user("bob").await.mint(json!({})).await;

        assert_eq!(ids(&child.client).await, sorted(vec![&child.id, &below.id, &lowest.id]));
        assert_eq!(child.client.get(TOKENS).await.body["truncated"], true, "its ancestors are left out");
        assert_eq!(ids(&lowest.client).await, sorted(vec![&lowest.id]));
        // What a session made goes on as before: it sees what lies within it, its subtree in any case.
        let all = vec![&root.id, &child.id, &sibling.id, &below.id, &lowest.id, &other.id];
        assert_eq!(ids(&root.client).await, sorted(all.into_iter().map(String::as_str).collect()));

        let unknown = "0".repeat(24);
        let shape = child.client.get(&path(&unknown)).await;
        for id in [&root.id, &sibling.id, &other.id, &strangers.id, &unknown] {
            let realm = json!({ "realm_id": REALM_A });
            for reply in [
                child.client.get(&path(id)).await,
                child.client.put(&path(id), json!({ "alias": "mine" })).await,
                child.client.patch(&path(id), json!({ "is_enabled": false })).await,
                child.client.patch(&path(id), json!({ "is_enabled": true })).await,
                child.client.post(&format!("{}/add-realm", path(id)), realm.clone()).await,
                child.client.post(&format!("{}/remove-realm", path(id)), realm).await,
                child.client.post(&format!("{}/copy", path(id)), json!({})).await,
                child.client.delete(&path(id)).await,
            ] {
                reply.refused(404, "TOKEN_NOT_FOUND");
                assert_eq!(reply.body, shape.body);
            }
        }
        // Also a root copies within its subtree alone, though it sees more.
        root.client.post(&format!("{}/copy", path(&other.id)), json!({})).await.refused(404, "TOKEN_NOT_FOUND");

        // In its own subtree it may all that a token may.
        child.client.put(&path(&lowest.id), json!({ "alias": "renamed" })).await.expect(StatusCode::OK);
        child.client.patch(&path(&below.id), json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        assert!(!good(&lowest.client).await);
        child.client.patch(&path(&below.id), json!({ "is_enabled": true })).await.expect(StatusCode::OK);
        assert!(good(&lowest.client).await);
        let add = format!("{}/add-realm", path(&lowest.id));
        child.client.post(&add, json!({ "realm_id": REALM_A })).await.expect(StatusCode::OK);
        let copy = child.client.post(&format!("{}/copy", path(&below.id)), json!({})).await;
        copy.expect(StatusCode::CREATED);
        let made = (&copy.data()["created_by_token_id"], &copy.data()["delegation_depth"]);
        assert_eq!(made, (&json!(child.id), &json!(2)));
        child.client.delete(&path(&below.id)).await.expect(StatusCode::OK);
        let copy = copy.data()["id"].as_str().unwrap();
        assert_eq!(ids(&child.client).await, sorted(vec![&child.id, copy]));
    }

    async fn a_child_follows_every_ancestor_at_once(app: TestApp) {
        let user = app.user("ada").await;
        for ancestor in 0..2 {
            let root = maker(&user, json!({ "vault_access": true })).await;
            let child = root.client.mint(may_make()).await;
            let lowest = child.client.mint(json!({})).await;
            let changed = path([&root.id, &child.id][ancestor]);
            for (change, status, code) in [
                (json!({ "is_enabled": false }), 401, "INVALID_TOKEN"),
                (json!({ "ip_whitelist": ["192.0.2.0/24"] }), 403, "IP_NOT_WHITELISTED"),
                (json!({ "permissions": {} }), 403, "INSUFFICIENT_PERMISSIONS"),
                (json!({ "realm_ids": [REALM_A] }), 403, "REALM_SCOPE_REQUIRED"),
                (json!({ "allow_no_realm": false }), 403, "REALM_SCOPE_REQUIRED"),
            ] {
                let before = shown(&user, changed.rsplit('/').next().unwrap()).await;
                assert!(good(&lowest.client).await, "{change}");
                user.put(&changed, change.clone()).await.expect(StatusCode::OK);
                lowest.client.check("projects.read").await.refused(status, code);
                // Back to what it was, and no further.
                let fields = ["is_enabled", "ip_whitelist", "permissions", "realm_ids", "allow_no_realm"];
                let back: Value = fields.map(|name| (name.to_owned(), before[name].clone())).into_iter().collect();
                user.put(&changed, back).await.expect(StatusCode::OK);
            }
            user.put(&changed, json!({ "expires_at": app.service.now().millis() + 5 })).await.expect(StatusCode::OK);
            assert!(good(&lowest.client).await);
            app.later(5).await;
            lowest.client.check("projects.read").await.refused(401, "TOKEN_EXPIRED");
            user.put(&changed, json!({ "expires_at": null })).await.expect(StatusCode::OK);
            assert!(good(&lowest.client).await);
            // Deleted, it takes what descends from it along.
            user.delete(&changed).await.expect(StatusCode::OK);
            lowest.client.check("projects.read").await.refused(401, "INVALID_TOKEN");
            user.get(&path(&lowest.id)).await.refused(404, "TOKEN_NOT_FOUND");
            assert_eq!(good(&root.client).await, ancestor == 1);
            user.delete(&path(&root.id)).await;
        }
        assert_eq!(ids(&user).await, Vec::<String>::new());
        let deleted = "SELECT COUNT(*) AS n FROM feed WHERE event_type = 'auth.token.deleted'";
        assert_eq!(app.service.number(deleted).await, 6, "each is told of");
    }

    async fn a_parent_that_is_widened_again_gives_its_children_no_more_than_before(app: TestApp) {
        let user = app.user("ada").await;
        let root = maker(&user, json!({ "ip_whitelist": [HERE] })).await;
        let child = root.client.mint(json!({})).await;
        let wide = json!({
            "ip_whitelist": "*", "vault_access": true, "permissions": { "containers": { "read": true },
            "projects": { "read": true, "update": true, "delete": true }, "resources": { "create_tokens": true } },
        });
        user.put(&path(&root.id), wide).await.expect(StatusCode::OK);
        child.client.from("192.0.2.1").check("").await.refused(403, "IP_NOT_WHITELISTED");
        child.client.check("projects.delete").await.refused(403, "INSUFFICIENT_PERMISSIONS");
        assert!(good(&child.client).await);
    }

    async fn no_change_lifts_a_child_over_what_it_descends_from(app: TestApp) {
        let user = app.user("ada").await;
        let limits = json!({
            "ip_whitelist": ["203.0.113.0/24"], "expires_at": "2026-03-03T00:00:00.000Z", "event_access": false,
            "realm_ids": [REALM_A, REALM_B],
        });
        let root = maker(&user, limits).await;
        let child = root.client.realm(REALM_A).mint(may_make()).await;
        let before = shown(&user, &child.id).await;
        for (field, wider) in [
            ("permissions", json!({ "permissions": { "projects": { "delete": true } } })),
            ("realm_ids", json!({ "realm_ids": [REALM_A, REALM_C] })),
            ("realm_ids", json!({ "realm_ids": [] })),
            ("ip_whitelist", json!({ "ip_whitelist": "*" })),
            ("expires_at", json!({ "expires_at": null })),
            ("vault_access", json!({ "vault_access": true })),
            ("event_access", json!({ "event_access": true })),
        ] {
            let refused = user.put(&path(&child.id), wider.clone()).await;
            refused.refused(400, "VALIDATION_ERROR");
            assert!(refused.body["message"].as_str().unwrap().starts_with(field), "{}", refused.text);
            let by_parent = root.client.realm(REALM_A).put(&path(&child.id), wider.clone()).await;
            assert!(matches!(by_parent.status.as_u16(), 200 | 400 | 403), "{wider}: {}", by_parent.text);
            let itself = child.client.realm(REALM_A).put(&path(&child.id), wider.clone()).await;
            assert!(matches!(itself.status.as_u16(), 200 | 400 | 403), "{wider}: {}", itself.text);
            let after = shown(&user, &child.id).await;
            assert_eq!(after, before, "{wider}");
        }
        let add = format!("{}/add-realm", path(&child.id));
        user.post(&add, json!({ "realm_id": REALM_C })).await.refused(400, "VALIDATION_ERROR");
        let remove = format!("{}/remove-realm", path(&child.id));
        // Without its last realm it would have its parent's, that one included.
        user.post(&remove, json!({ "realm_id": REALM_A })).await.refused(400, "VALIDATION_ERROR");
        user.post(&add, json!({ "realm_id": REALM_B })).await.expect(StatusCode::OK);

        // What it was given it keeps when the parent is narrowed, held down by that one.
        user.put(&path(&root.id), json!({ "ip_whitelist": ["192.0.2.1"] })).await.expect(StatusCode::OK);
        user.put(&path(&child.id), json!({ "alias": "renamed" })).await.expect(StatusCode::OK);
        child.client.realm(REALM_A).check("").await.refused(403, "IP_NOT_WHITELISTED");
        assert_eq!(shown(&user, &child.id).await["ip_whitelist"], json!(["203.0.113.0/24"]));
        user.put(&path(&child.id), json!({ "ip_whitelist": ["203.0.112.0/23"] })).await
            .refused(400, "VALIDATION_ERROR");
    }

    async fn a_child_is_told_what_it_may_really_do(app: TestApp) {
        let user = app.user("ada").await;
        let root = maker(&user, json!({ "realm_ids": [REALM_A, REALM_B] })).await;
        let child = root.client.realm(REALM_A).mint(json!({ "realm_ids": [REALM_B, REALM_A] })).await;
        let narrow = json!({
            "ip_whitelist": [HERE], "permissions": { "projects": { "read": true } }, "realm_ids": [REALM_B],
            "event_access": false, "expires_at": "2026-03-03T00:00:00.000Z",
        });
        user.put(&path(&root.id), narrow).await.expect(StatusCode::OK);
        let me = child.client.get(ME).await;
        me.expect(StatusCode::OK);
        assert_eq!(me.data()["token"]["ip_whitelist"], json!(["*"]), "what it was given");
        assert_eq!(me.data()["restrictions"], json!({
            "has_realm_restrictions": true, "requires_realm_scope": true, "allowed_realm_ids": [REALM_B],
            "allow_no_realm": false, "active_realm_id": null, "max_delegation_depth": 3,
            "effective": {
                "permissions": { "projects": { "read": true } }, "ip_whitelist": [HERE],
                "expires_at": "2026-03-03T00:00:00.000Z", "vault_access": false, "event_access": false,
            },
        }));
        // A session's copy of it can do what it can do now.
        let copy = user.post(&format!("{}/copy", path(&child.id)), json!({ "expires_at": null })).await;
        copy.expect(StatusCode::CREATED);
        let copy = copy.data();
        assert_eq!((&copy["ip_whitelist"], &copy["realm_ids"]), (&json!([HERE]), &json!([REALM_B])));
        assert_eq!(copy["permissions"], json!({ "projects": { "read": true } }));
        assert_eq!((&copy["created_by_token_id"], &copy["delegation_depth"]), (&Value::Null, &json!(0)));
        user.put(&path(&root.id), json!({ "realm_ids": [REALM_C] })).await.expect(StatusCode::OK);
        let nowhere = user.post(&format!("{}/copy", path(&child.id)), json!({})).await;
        nowhere.refused(400, "VALIDATION_ERROR");
        let me = child.client.get(ME).await;
        assert_eq!(me.data()["restrictions"]["allowed_realm_ids"], json!([]));
        assert_eq!(me.data()["restrictions"]["requires_realm_scope"], true);
        for realm in [REALM_A, REALM_B, REALM_C] {
            child.client.realm(realm).check("").await.refused(403, "REALM_NOT_ALLOWED");
        }
    }
}

/// 998 copies of the token `seed`, of the maker that it has.
const BULK_SQLITE: &str = "INSERT INTO tokens (id, user_id, digest, key_id, alias, ip_whitelist, realm_ids, \
     allow_no_realm, permissions, vault_access, event_access, expires_at, is_enabled, created_by_token_id, \
     delegation_depth, created_at, updated_at) \
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 998) \
     SELECT unhex(printf('%024x', i)), user_id, unhex(printf('%064x', i)), key_id, 'bulk-' || i, ip_whitelist, \
     realm_ids, allow_no_realm, permissions, vault_access, event_access, expires_at, is_enabled, \
     created_by_token_id, delegation_depth, created_at, updated_at FROM tokens CROSS JOIN n WHERE alias = 'seed'";
const BULK_POSTGRES: &str = "INSERT INTO tokens (id, user_id, digest, key_id, alias, ip_whitelist, realm_ids, \
     allow_no_realm, permissions, vault_access, event_access, expires_at, is_enabled, created_by_token_id, \
     delegation_depth, created_at, updated_at) \
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 998) \
     SELECT decode(lpad(to_hex(i), 24, '0'), 'hex'), user_id, decode(lpad(to_hex(i), 64, '0'), 'hex'), key_id, \
     'bulk-' || i, ip_whitelist, realm_ids, allow_no_realm, permissions, vault_access, event_access, \
     expires_at, is_enabled, created_by_token_id, delegation_depth, created_at, updated_at \
     FROM tokens CROSS JOIN n WHERE alias = 'seed'";

on_both! {
    async fn a_token_makes_at_most_a_thousand_that_have_not_expired(app: TestApp) {
        let user = app.user("ada").await;
        let (root, other) = (maker(&user, json!({})).await, maker(&user, json!({})).await);
        let seed = root.client.mint(json!({ "alias": "seed" })).await;
        let bulk = if app.url.starts_with("sqlite") { BULK_SQLITE } else { BULK_POSTGRES };
        assert_eq!(app.service.tamper(bulk).await, 998);
        // One is left, and many want it at the same time: by create, and by copy.
        let mut all = tokio::task::JoinSet::new();
        for index in 0..8 {
            let (client, seed) = (root.client.clone(), seed.id.clone());
            all.spawn(async move {
                match index % 2 {
                    0 => client.post(TOKENS, json!({})).await,
                    _ => client.post(&format!("{}/copy", path(&seed)), json!({})).await,
                }
            });
        }
        let replies = all.join_all().await;
        let (made, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == StatusCode::CREATED);
        assert_eq!(made.len(), 1);
        for reply in refused {
            reply.refused(409, "AUTH_TOKEN_LIMIT_REACHED");
            assert!(reply.body["message"].as_str().unwrap().starts_with("This token has already made"));
        }
        let count = "SELECT COUNT(*) AS n FROM tokens WHERE created_by_token_id IS NOT NULL";
        assert_eq!(app.service.number(count).await, 1_000);
        // Neither its account nor another token is shut out by that.
        user.post(TOKENS, json!({})).await.expect(StatusCode::CREATED);
        other.client.post(TOKENS, json!({})).await.expect(StatusCode::CREATED);
        // Expired ones do not count, until they are given a new end; and then against their maker.
        user.patch(&path(&seed.id), json!({ "expires_at": app.service.now().millis() + 1 })).await
            .expect(StatusCode::OK);
        app.later(1).await;
        root.client.post(TOKENS, json!({})).await.expect(StatusCode::CREATED);
        user.patch(&path(&seed.id), json!({ "expires_at": null })).await
            .refused(409, "AUTH_TOKEN_LIMIT_REACHED");
        // With their maker they go, each with a word of it.
        let before = app.service.number("SELECT COUNT(*) AS n FROM feed").await;
        user.delete(&path(&root.id)).await.expect(StatusCode::OK);
        assert_eq!(app.service.number(count).await, 1, "the other's child is left");
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM feed").await, before + 1_002);
    }

    async fn tokens_that_make_tokens_never_shut_the_account_out(app: TestApp) {
        let user = app.user("ada").await;
        let root = maker(&user, json!({})).await;
        let seed = root.client.mint(json!({ "alias": "seed", "public_storage": { "a": "x".repeat(65_000) } })).await;
        let bulk = if app.url.starts_with("sqlite") { BULK_SQLITE } else { BULK_POSTGRES };
        // With 111 of 65 kB: nine tenths of 8 MiB take 116, and all of it 129.
        app.service.tamper(bulk).await;
        app.service.tamper("UPDATE tokens SET public_storage = \
            (SELECT public_storage FROM tokens WHERE alias = 'seed') WHERE alias LIKE 'bulk-1_'").await;
        app.service.tamper("UPDATE tokens SET public_storage = \
            (SELECT public_storage FROM tokens WHERE alias = 'seed') WHERE alias LIKE 'bulk-2__'").await;
        app.service.tamper("UPDATE tokens SET expires_at = 1 WHERE alias LIKE 'bulk-%'").await;
        let large = json!({ "public_storage": { "a": "x".repeat(65_000) } });
        for _ in 0..5 {
            root.client.post(TOKENS, large.clone()).await.expect(StatusCode::CREATED);
        }
        root.client.post(TOKENS, large.clone()).await.refused(409, "AUTH_TOKEN_LIMIT_REACHED");
        for _ in 0..13 {
            user.post(TOKENS, large.clone()).await.expect(StatusCode::CREATED);
        }
        user.post(TOKENS, large).await.refused(409, "AUTH_TOKEN_LIMIT_REACHED");
        user.delete(&path(&seed.id)).await.expect(StatusCode::OK);
    }

    /// Threat 38, with the rows themselves against it.
    async fn threat_38_a_child_without_a_whole_lineage_is_dead(app: TestApp) {
        let user = app.user("ada").await;
        let root = maker(&user, json!({ "alias": "root" })).await;
        let child = root.client.mint(json!({ "alias": "child", "permissions": may_make()["permissions"] })).await;
        let lowest = child.client.mint(json!({ "alias": "lowest" })).await;
        for (sql, undo) in [
            ("UPDATE tokens SET is_enabled = FALSE WHERE alias = 'root'",
             "UPDATE tokens SET is_enabled = TRUE"),
            ("UPDATE tokens SET expires_at = 1 WHERE alias = 'child'",
             "UPDATE tokens SET expires_at = NULL"),
            // Its own tail: no end is found, and the read ends all the same.
            ("UPDATE tokens SET created_by_token_id = (SELECT id FROM tokens WHERE alias = 'lowest') \
              WHERE alias = 'root'",
             "UPDATE tokens SET created_by_token_id = NULL WHERE alias = 'root'"),
            ("UPDATE tokens SET created_by_token_id = id WHERE alias = 'lowest'",
             "UPDATE tokens SET created_by_token_id = (SELECT id FROM tokens WHERE alias = 'child') \
              WHERE alias = 'lowest'"),
        ] {
            assert!(good(&lowest.client).await);
            assert!(app.service.tamper(sql).await >= 1);
            // A hot grant may let it read until it is forgotten; it never lets it change anything.
            let denied = lowest.client.put(&path(&lowest.id), json!({ "alias": "mine" })).await;
            assert_eq!(denied.status, StatusCode::UNAUTHORIZED, "{sql}: {}", denied.text);
            assert!(!good(&lowest.client).await, "{sql}");
            app.service.tamper(undo).await;
            // A node that comes later knows of nothing.
            let other = app.another_node().await;
            assert!(good(&lowest.client.at(&other)).await, "{undo}");
            user.patch(&path(&lowest.id), json!({ "is_enabled": false })).await.expect(StatusCode::OK);
            user.patch(&path(&lowest.id), json!({ "is_enabled": true })).await.expect(StatusCode::OK);
        }
        // The row of the one in the middle is gone, and nobody was told.
        app.service.tamper("DELETE FROM tokens WHERE alias = 'child'").await;
        let other = app.another_node().await;
        lowest.client.at(&other).check("").await.refused(401, "INVALID_TOKEN");
        root.client.at(&other).check("").await.expect(StatusCode::NO_CONTENT);
        // Its account still sees it, with the name of what made it, and can clear it away.
        assert_eq!(shown(&user, &lowest.id).await["created_by_token_id"], child.id);
        user.put(&path(&lowest.id), json!({ "alias": "orphan" })).await.expect(StatusCode::OK);
        user.delete(&path(&lowest.id)).await.expect(StatusCode::OK);
        assert_eq!(ids(&user).await, sorted(vec![&root.id]));
    }

    /// Threat 38: the node that did not hear of it refuses after its next poll, or when it is stale.
    async fn threat_38_a_child_is_refused_on_another_node_as_soon_as_its_ancestor(app: TestApp) {
        let user = app.user("ada").await;
        let second = app.another_node().await;
        for (index, change) in [json!({ "is_enabled": false }), json!({ "ip_whitelist": ["192.0.2.1"] }), Value::Null]
            .into_iter().enumerate()
        {
            let root = maker(&user, json!({})).await;
            let child = root.client.mint(may_make()).await;
            let there = child.client.mint(json!({})).await.client.at(&second);
            assert!(good(&there).await && good(&there).await);
            match &change {
                Value::Null => user.delete(&path(&root.id)).await.expect(StatusCode::OK),
                _ => user.put(&path(&root.id), change.clone()).await.expect(StatusCode::OK),
            };
            if index == 1 {
                second.advance(799);
                assert!(good(&there).await, "it did not poll, and cannot know");
                second.advance(1);
            } else {
                assert!(good(&there).await, "it did not poll, and cannot know");
                assert!(second.poll().await);
            }
            assert!(!good(&there).await, "{change}");
            assert!(second.poll().await);
            assert!(!good(&there).await, "{change}");
        }
    }

    async fn a_child_whose_ancestor_was_taken_from_it_elsewhere_makes_nothing(app: TestApp) {
        let user = app.user("ada").await;
        let second = app.another_node().await;
        let root = maker(&user, json!({})).await;
        let child = root.client.mint(may_make()).await;
        let there = child.client.at(&second);
        assert!(good(&there).await);
        let narrow = json!({ "permissions": { "projects": { "read": true, "update": true } } });
        user.put(&path(&root.id), narrow).await.expect(StatusCode::OK);
        let before = ids(&user).await;
        // Hot there, and yet: what it may is read again in the transaction.
        there.post(TOKENS, json!({})).await.refused(401, "SESSION_REQUIRED");
        there.post(&format!("{}/copy", path(&child.id)), json!({})).await.refused(401, "SESSION_REQUIRED");
        user.put(&path(&root.id), json!({ "is_enabled": false })).await.expect(StatusCode::OK);
        there.put(&path(&child.id), json!({ "alias": "mine" })).await.refused(401, "INVALID_TOKEN");
        assert_eq!(ids(&user).await, before);
    }

    async fn deleting_a_subtree_and_noting_the_use_of_tokens_never_wait_for_each_other(app: TestApp) {
        let user = app.user("ada").await;
        let root = maker(&user, json!({})).await;
        for _ in 0..8 {
            root.client.mint(json!({})).await;
        }
        let mut all = ids(&user).await;
        let Some(mut beside) = Beside::begin(&app).await else { return };
        let update = |id: &str| {
            format!("UPDATE tokens SET last_used_ip = '192.0.2.1' WHERE id = decode('{id}', 'hex')")
        };
        let first = all.remove(0);
        // Its row stands behind the others now: a plan without an order comes to it last.
        beside.run(&format!("{}; COMMIT; BEGIN", update(&first))).await.unwrap();
        beside.run(&update(&first)).await.unwrap();
        let (owner, id) = (user.clone(), root.id.clone());
        let deleting = tokio::spawn(async move { owner.delete(&path(&id)).await });
        beside.is_waited_for().await;
        for id in &all {
            beside.run(&update(id)).await.unwrap();
        }
        beside.commit().await;
        deleting.await.unwrap().expect(StatusCode::OK);
        assert!(ids(&user).await.is_empty());
    }
}
