//! Projects and those they are shared with.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, REALM_A, REALM_B, on_both};

const PROJECTS: &str = "/api/v1/projects";
const NOBODY: &str = "0123456789abcdef01234567";

async fn make(client: &Client, body: Value) -> String {
    let reply = client.post(PROJECTS, body).await;
    reply.expect(StatusCode::CREATED);
    reply.data()["id"].as_str().unwrap().to_owned()
}

async fn share(owner: &Client, project: &str, with: &Client, level: &str) -> String {
    let body = json!({"user_id": with.account().await, "permission_level": level});
    let reply = owner.post(&format!("{PROJECTS}/{project}/permissions"), body).await;
    reply.expect(StatusCode::CREATED);
    reply.data()["id"].as_str().unwrap().to_owned()
}

fn aliases(list: &Value) -> Vec<&str> {
    list["projects"].as_array().unwrap().iter().map(|project| project["alias"].as_str().unwrap()).collect()
}

on_both! {
    async fn a_project_is_made_read_changed_and_deleted(app: TestApp) {
        let ada = app.user("ada").await;
        let body = json!({"alias": "Web", "color": "ff8800", "max_containers": 3, "realm_ids": [REALM_B, REALM_A],
            "user_id": NOBODY, "is_default": true});
        let made = app.with(ada.credential.as_deref().unwrap()).post(&format!("{PROJECTS}/"), body).await;
        made.expect(StatusCode::CREATED);
        assert_eq!(made.body["message"], "Project created successfully");
        let project = made.data().clone();
        let id = project["id"].as_str().unwrap();
        assert_eq!(project, json!({
            "id": id, "user_id": ada.account().await, "alias": "Web", "color": "#FF8800", "max_containers": 3,
            "is_default": false, "realm_ids": [REALM_B, REALM_A],
            "created_at": "2026-03-02T09:15:42.118Z", "updated_at": "2026-03-02T09:15:42.118Z"
        }));
        let path = format!("{PROJECTS}/{id}");
        assert_eq!(ada.get(&path).await.expect(StatusCode::OK).data(), &project);

        app.service.advance(1_000);
        app.service.poll().await;
        let changed = ada.patch(&path, json!({"max_containers": null, "realm_ids": [REALM_A]})).await;
        changed.expect(StatusCode::OK);
        assert_eq!(changed.body["message"], "Project updated successfully");
        assert_eq!(changed.data()["max_containers"], Value::Null);
        assert_eq!(changed.data()["realm_ids"], json!([REALM_A]));
        assert_eq!(changed.data()["alias"], "Web");
        assert_eq!(changed.data()["updated_at"], "2026-03-02T09:15:43.118Z");
        let renamed = ada.put(&path, json!({"alias": "Web 2"})).await;
        assert_eq!(renamed.expect(StatusCode::OK).data()["alias"], "Web 2");
        assert_eq!(ada.get(&path).await.data(), renamed.data());
        let before = app.service.number("SELECT pos AS n FROM feed_head").await;
        ada.put(&path, json!({"alias": "Web 2"})).await.expect(StatusCode::OK);
        assert_eq!(app.service.number("SELECT pos AS n FROM feed_head").await, before, "nothing changed");

        let stats = ada.get(&format!("{path}/stats")).await;
        assert_eq!(stats.expect(StatusCode::OK).data()["summary"]["container_count"], 0);
        let deleted = ada.delete(&format!("{path}?include_deleted_items=true")).await;
        assert_eq!(deleted.expect(StatusCode::OK).data(), &json!({
            "deleted": {"containers": 0, "permissions": 0, "aliases": 0}, "deleted_items": {"containers": []}
        }));
        ada.delete(&path).await.refused(404, "PROJECT_NOT_FOUND");
        ada.get(&path).await.refused(404, "PROJECT_NOT_FOUND");
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM project_realms").await, 0);
        let told = app.service.texts("SELECT event_type AS t FROM feed WHERE resource_type = 'project' ORDER BY pos").await;
        assert_eq!(told, ["project.created", "project.updated", "project.updated", "project.deleted"]);
    }

    async fn a_colour_is_made_up_and_bad_input_changes_nothing(app: TestApp) {
        let ada = app.user("ada").await;
        let id = make(&ada, json!({"alias": "a"})).await;
        make(&ada, json!({"alias": "b"})).await;
        let path = format!("{PROJECTS}/{id}");
        let project = ada.get(&path).await;
        let color = project.data()["color"].as_str().unwrap();
        assert!(color.len() == 7 && color.starts_with('#') && color.to_uppercase() == color, "{color}");
        for (body, status, code) in [
            (json!({}), 400, "MISSING_REQUIRED_FIELD"),
            (json!({"alias": ""}), 400, "INVALID_ALIAS_FORMAT"),
            (json!({"alias": "a\u{0}"}), 400, "INVALID_ALIAS_FORMAT"),
            (json!({"alias": "c", "color": "red"}), 400, "INVALID_COLOR_FORMAT"),
            (json!({"alias": "c", "max_containers": -1}), 400, "INVALID_QUOTA_VALUE"),
            (json!({"alias": "c", "realm_ids": ["x"]}), 400, "INVALID_REALM_ID_FORMAT"),
            (json!({"alias": 7}), 422, "VALIDATION_ERROR"),
            (json!({"alias": "a"}), 409, "DUPLICATE_ALIAS"),
        ] {
            ada.post(PROJECTS, body).await.refused(status, code);
        }
        ada.put(&path, json!({"alias": "b"})).await.refused(409, "DUPLICATE_ALIAS");
        let told = ada.put(&path, json!({"alias": "b"})).await;
        assert_eq!(told.body["message"], "Project alias already exists");
        ada.put(&path, json!({"alias": ["x"]})).await.refused(422, "VALIDATION_ERROR");
        ada.get(&format!("{PROJECTS}/xyz")).await.refused(400, "INVALID_ID_FORMAT");
        ada.get(&format!("{PROJECTS}?page=0")).await.refused(400, "INVALID_PARAMETER_VALUE");
        ada.get(&format!("{PROJECTS}?limit=101")).await.refused(400, "INVALID_PARAMETER_VALUE");
        ada.get(&format!("{PROJECTS}?sort_by=color;--")).await.refused(400, "INVALID_PARAMETER_VALUE");
        assert_eq!(ada.get(&path).await.data(), project.data());
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM projects").await, 2);
        // Another account has its own names.
        let bob = app.user("bob").await;
        make(&bob, json!({"alias": "a"})).await;
    }

    async fn lists_are_paged_and_sorted_and_hold_what_is_shared(app: TestApp) {
        let ada = app.user("ada").await;
        let bob = app.user("bob").await;
        for alias in ["c", "a", "d"] {
            make(&ada, json!({"alias": alias, "realm_ids": [REALM_A, REALM_B]})).await;
            app.service.advance(10);
            app.service.poll().await;
        }
        let shared = make(&bob, json!({"alias": "b"})).await;
        make(&bob, json!({"alias": "hidden"})).await;
        share(&bob, &shared, &ada, "read").await;
        let list = ada.get(PROJECTS).await;
        assert_eq!(list.expect(StatusCode::OK).body["message"], "Projects retrieved successfully");
        assert_eq!(aliases(list.data()), ["b", "d", "a", "c"]);
        assert_eq!(list.data()["projects"][1]["realm_ids"], json!([REALM_A, REALM_B]));
        assert_eq!(list.data()["pagination"], json!({"total": 4, "page": 1, "limit": 10, "totalPages": 1}));
        for (query, expected) in [
            ("sort_by=alias&sort_order=asc", vec!["a", "b", "c", "d"]),
            ("sort_by=alias", vec!["d", "c", "b", "a"]),
            ("sort_by=id&sort_order=asc&limit=2&page=3", vec![]),
            ("sort_by=created_at&sort_order=asc", vec!["c", "a", "d", "b"]),
            ("sort_by=updated_at&sort_order=asc&limit=1&page=2", vec!["a"]),
            ("limit=3&page=2", vec!["c"]),
        ] {
            let list = ada.get(&format!("{PROJECTS}?{query}")).await;
            assert_eq!(aliases(list.expect(StatusCode::OK).data()), expected, "{query}");
        }
        for column in ["id", "updated_at", "created_at"] {
            for order in ["asc", "desc"] {
                let list = ada.get(&format!("{PROJECTS}?sort_by={column}&sort_order={order}")).await;
                assert_eq!(list.expect(StatusCode::OK).data()["projects"].as_array().unwrap().len(), 4);
            }
        }
    }

    async fn threat_21_what_another_account_owns_is_not_there(app: TestApp) {
        let ada = app.user("ada").await;
        let bob = app.user("bob").await;
        let id = make(&ada, json!({"alias": "a"})).await;
        let member = share(&ada, &id, &bob, "read").await;
        let eve = app.user("eve").await;
        let path = format!("{PROJECTS}/{id}");
        let grants = format!("{path}/permissions");
        let grant = format!("{grants}/{member}");
        let body = json!({"user_id": eve.account().await, "permission_level": "read"});
        for reply in [
            eve.get(&path).await,
            eve.put(&path, json!({"alias": "mine"})).await,
            eve.patch(&path, json!({})).await,
            eve.delete(&path).await,
            eve.get(&format!("{path}/stats")).await,
            eve.get(&grants).await,
            eve.post(&grants, body).await,
            eve.put(&grant, json!({"permission_level": "delete"})).await,
            eve.patch(&grant, json!({"permission_level": "delete"})).await,
            eve.delete(&grant).await,
        ] {
            reply.refused(404, "PROJECT_NOT_FOUND");
        }
        assert_eq!(aliases(eve.get(PROJECTS).await.data()), Vec::<&str>::new());
        // A member of one project is none of another.
        let other = make(&ada, json!({"alias": "other"})).await;
        ada.delete(&format!("{PROJECTS}/{other}/permissions/{member}")).await.refused(404, "RESOURCE_NOT_FOUND");
    }

    async fn each_level_allows_what_it_says_from_the_next_request_on(app: TestApp) {
        let ada = app.user("ada").await;
        let bob = app.user("bob").await;
        let id = make(&ada, json!({"alias": "a", "max_containers": 2})).await;
        let path = format!("{PROJECTS}/{id}");
        let member = share(&ada, &id, &bob, "read").await;
        let grant = format!("{path}/permissions/{member}");
        bob.get(&path).await.expect(StatusCode::OK);
        bob.put(&path, json!({"color": "fff"})).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        bob.delete(&path).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        bob.delete(&grant).await.refused(403, "INSUFFICIENT_PERMISSIONS");

        ada.patch(&grant, json!({"permission_level": "edit"})).await.expect(StatusCode::OK);
        bob.put(&path, json!({"color": "fff", "max_containers": 2})).await.expect(StatusCode::OK);
        bob.put(&path, json!({"max_containers": 3})).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        bob.delete(&path).await.refused(403, "INSUFFICIENT_PERMISSIONS");

        ada.put(&grant, json!({"permission_level": "delete"})).await.expect(StatusCode::OK);
        bob.delete(&path).await.expect(StatusCode::OK);
        ada.get(&path).await.refused(404, "PROJECT_NOT_FOUND");
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM project_members").await, 0);
    }

    async fn a_member_gives_and_takes_no_more_than_it_has(app: TestApp) {
        let ada = app.user("ada").await;
        let bob = app.user("bob").await;
        let eve = app.user("eve").await;
        let id = make(&ada, json!({"alias": "a"})).await;
        let grants = format!("{PROJECTS}/{id}/permissions");
        let of_bob = share(&ada, &id, &bob, "edit").await;
        let eve_id = eve.account().await;
        let wanted = |level: &str| json!({"user_id": eve_id, "permission_level": level});
        bob.post(&grants, wanted("delete")).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        bob.put(&format!("{grants}/{of_bob}"), json!({"permission_level": "delete"})).await
            .refused(403, "INSUFFICIENT_PERMISSIONS");
        let of_eve = share(&bob, &id, &eve, "edit").await;
        ada.put(&format!("{grants}/{of_eve}"), json!({"permission_level": "delete"})).await.expect(StatusCode::OK);
        bob.delete(&format!("{grants}/{of_eve}")).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        bob.put(&format!("{grants}/{of_eve}"), json!({"permission_level": "read"})).await
            .refused(403, "INSUFFICIENT_PERMISSIONS");
        let revoked = eve.delete(&format!("{grants}/{of_bob}")).await;
        assert_eq!(revoked.expect(StatusCode::OK).body["data"], Value::Null);
        eve.delete(&format!("{grants}/{of_bob}")).await.refused(404, "RESOURCE_NOT_FOUND");
        bob.get(&format!("{PROJECTS}/{id}")).await.refused(404, "PROJECT_NOT_FOUND");
        let told = app.service
            .texts("SELECT event_type AS t FROM feed WHERE resource_type = 'project_permission' ORDER BY pos").await;
        assert_eq!(told, ["project.permission.granted", "project.permission.granted",
            "project.permission.updated", "project.permission.revoked"]);
    }

    async fn sharing_has_its_conflicts_and_its_list(app: TestApp) {
        let ada = app.user("ada").await;
        let bob = app.user("bob").await;
        let eve = app.user("eve").await;
        let id = make(&ada, json!({"alias": "a"})).await;
        let grants = format!("{PROJECTS}/{id}/permissions");
        share(&ada, &id, &bob, "read").await;
        let of_bob = json!({"user_id": bob.account().await, "permission_level": "edit"});
        ada.post(&grants, of_bob).await.refused(409, "RESOURCE_ALREADY_EXISTS");
        let of_owner = json!({"user_id": ada.account().await, "permission_level": "edit"});
        ada.post(&grants, of_owner).await.refused(409, "RESOURCE_ALREADY_EXISTS");
        let of_nobody = json!({"user_id": NOBODY, "permission_level": "edit"});
        ada.post(&grants, of_nobody).await.refused(404, "USER_NOT_FOUND");
        ada.post(&grants, json!({"user_id": "me", "permission_level": "edit"})).await.refused(400, "INVALID_ID_FORMAT");
        ada.post(&grants, json!({"user_id": NOBODY})).await.refused(400, "MISSING_REQUIRED_FIELD");
        ada.post(&grants, json!({"user_id": NOBODY, "permission_level": "own"})).await.refused(422, "VALIDATION_ERROR");
        ada.put(&format!("{grants}/{NOBODY}"), json!({"permission_level": "read"})).await
            .refused(404, "RESOURCE_NOT_FOUND");
        app.service.advance(10);
        app.service.poll().await;
        share(&ada, &id, &eve, "delete").await;
        for column in ["id", "user_id", "permission_level", "created_at", "updated_at"] {
            for order in ["asc", "desc"] {
                let list = ada.get(&format!("{grants}?sort_by={column}&sort_order={order}&limit=1&page=2")).await;
                list.expect(StatusCode::OK);
                assert_eq!(list.data()["pagination"], json!({"total": 2, "page": 2, "limit": 1, "totalPages": 2}));
                let shown = &list.data()["permissions"][0];
                if column == "permission_level" {
                    assert_eq!(shown["permission_level"], if order == "asc" { "delete" } else { "read" });
                }
                let username = shown["user"]["username"].as_str().unwrap();
                assert!(username == "bob" || username == "eve", "{shown}");
            }
        }
        let with = ada.get(&format!("{PROJECTS}/{id}?include_permissions=true")).await;
        assert_eq!(with.data()["permissions"][0]["user"]["username"], "bob");
        assert_eq!(with.data()["permissions"][1]["permission_level"], "delete");
    }

    async fn a_realms_host_shows_and_makes_only_what_carries_the_realm(app: TestApp) {
        let ada = app.user("ada").await;
        let outside = make(&ada, json!({"alias": "outside"})).await;
        let in_b = make(&ada, json!({"alias": "b", "realm_ids": [REALM_B]})).await;
        let on_a = ada.realm(REALM_A);
        let in_a = make(&on_a, json!({"alias": "a", "realm_ids": [REALM_B]})).await;
        let shown = ada.get(&format!("{PROJECTS}/{in_a}")).await;
        assert_eq!(shown.data()["realm_ids"], json!([REALM_B, REALM_A]));
        assert_eq!(aliases(on_a.get(PROJECTS).await.data()), ["a"]);
        assert_eq!(on_a.get(PROJECTS).await.data()["pagination"]["total"], 1);
        for id in [&outside, &in_b] {
            on_a.get(&format!("{PROJECTS}/{id}")).await.refused(404, "PROJECT_NOT_FOUND");
            on_a.put(&format!("{PROJECTS}/{id}"), json!({})).await.refused(404, "PROJECT_NOT_FOUND");
            on_a.delete(&format!("{PROJECTS}/{id}")).await.refused(404, "PROJECT_NOT_FOUND");
        }
        let kept = on_a.put(&format!("{PROJECTS}/{in_a}"), json!({"realm_ids": []})).await;
        assert_eq!(kept.data()["realm_ids"], json!([REALM_A]));
        // The selector does the same on the base host, and never contradicts the host.
        assert_eq!(aliases(ada.get(&format!("{PROJECTS}?realm_id={REALM_B}")).await.data()), ["b"]);
        on_a.get(&format!("{PROJECTS}?realm_id={REALM_A}")).await.expect(StatusCode::OK);
        on_a.get(&format!("{PROJECTS}?realm_id={REALM_B}")).await.refused(403, "REALM_NOT_ALLOWED");
        ada.get(&format!("{PROJECTS}?realm_id=x")).await.refused(400, "INVALID_REALM_ID_FORMAT");
    }

    async fn a_token_bound_to_realms_moves_nothing_between_them(app: TestApp) {
        let ada = app.user("ada").await;
        let both = make(&ada, json!({"alias": "both", "realm_ids": [REALM_A, REALM_B], "max_containers": 2})).await;
        let bound = ada.mint(json!({"realm_ids": [REALM_A]})).await.client.realm(REALM_A);
        let path = format!("{PROJECTS}/{both}");
        for refused in [json!({"realm_ids": []}), json!({"realm_ids": [REALM_A]}), json!({"max_containers": 3}),
            json!({"realm_ids": [REALM_A, REALM_B, NOBODY]}), json!({"max_containers": null})] {
            bound.put(&path, refused).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        }
        let same = json!({"alias": "renamed", "realm_ids": [REALM_B, REALM_A], "max_containers": 2});
        bound.put(&path, same).await.expect(StatusCode::OK);
        bound.post(PROJECTS, json!({"alias": "x", "realm_ids": [REALM_B]})).await
            .refused(403, "INSUFFICIENT_PERMISSIONS");
        let made = bound.post(PROJECTS, json!({"alias": "x"})).await;
        assert_eq!(made.expect(StatusCode::CREATED).data()["realm_ids"], json!([REALM_A]));
        bound.post(PROJECTS, json!({"alias": "y", "realm_ids": [REALM_A]})).await.expect(StatusCode::CREATED);
    }

    async fn realms_are_listed_with_what_carries_them(app: TestApp) {
        let ada = app.user("ada").await;
        let bob = app.user("bob").await;
        make(&bob, json!({"alias": "x", "realm_ids": [NOBODY]})).await;
        make(&ada, json!({"alias": "x", "realm_ids": [REALM_B]})).await;
        make(&ada, json!({"alias": "y", "realm_ids": [REALM_B, REALM_A]})).await;
        let bound = ada.mint(json!({"realm_ids": [REALM_A]})).await;
        let list = ada.get("/api/v1/realms/").await;
        list.expect(StatusCode::OK);
        assert_eq!(list.body["message"], "Realm IDs retrieved successfully");
        assert_eq!(list.data(), &json!({"realm_ids": [REALM_A, REALM_B], "total": 2}));
        let usage = ada.get("/api/v1/realms?include_usage=true").await;
        assert_eq!(usage.data()["usage"], json!({
            REALM_A: {"projects": 1, "containers": 0, "servers": 0, "auth_tokens": 1},
            REALM_B: {"projects": 2, "containers": 0, "servers": 0, "auth_tokens": 0},
        }));
        for client in [ada.realm(REALM_A), bound.client.realm(REALM_A)] {
            let list = client.get("/api/v1/realms?include_usage=false").await;
            assert_eq!(list.expect(StatusCode::OK).data(), &json!({"realm_ids": [REALM_A], "total": 1}));
        }
        let blind = ada.mint(json!({"permissions": {"projects": {"read": true}}})).await;
        blind.client.get("/api/v1/realms").await.refused(403, "INSUFFICIENT_PERMISSIONS");
    }

    async fn the_default_project_stays(app: TestApp) {
        let ada = app.user("ada").await;
        let id = make(&ada, json!({"alias": "first"})).await;
        app.service.tamper("UPDATE projects SET is_default = TRUE").await;
        ada.delete(&format!("{PROJECTS}/{id}")).await.refused(403, "INSUFFICIENT_PERMISSIONS");
        ada.put(&format!("{PROJECTS}/{id}"), json!({"alias": "renamed"})).await.expect(StatusCode::OK);
    }

    async fn of_many_at_once_one_gets_the_alias(app: TestApp) {
        let ada = app.user("ada").await;
        let bob = app.user("bob").await;
        let mine = make(&ada, json!({"alias": "mine"})).await;
        let shared = make(&ada, json!({"alias": "shared"})).await;
        share(&ada, &shared, &bob, "edit").await;
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..12 {
            let (client, id) = if index % 2 == 0 { (ada.clone(), mine.clone()) } else { (bob.clone(), shared.clone()) };
            tasks.spawn(async move { client.put(&format!("{PROJECTS}/{id}"), json!({"alias": "wanted"})).await });
        }
        let replies = tasks.join_all().await;
        assert!(replies.iter().any(|reply| reply.status == StatusCode::OK));
        assert!(replies.iter().all(|reply| [200, 409].contains(&reply.status.as_u16())), "{replies:?}");
        let taken = "SELECT COUNT(*) AS n FROM projects WHERE alias = 'wanted'";
        assert_eq!(app.service.number(taken).await, 1);
    }
}
