//! The history of events: what leads to which event, who sees it, every way of asking, deleting, and a
//! projector that dies and races.

use hoody_service::testing::{Cut, Service, Step};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::routes::tree;
use crate::support::{Beside, Client, Minted, REALM_A, REALM_B, Reply, START_MILLIS, TestApp, on_both};

const DAY: i64 = 24 * 3_600_000;

impl TestApp {
    /// Brings the history up to the feed.
    async fn project(&self) {
        assert_eq!(self.service.project().await, None);
    }
}

fn types(reply: &Reply) -> Vec<&str> {
    reply.expect(StatusCode::OK);
    let events = reply.data()["events"].as_array().unwrap();
    events.iter().map(|event| event["event_type"].as_str().unwrap()).collect()
}

fn ids(reply: &Reply) -> Vec<String> {
    reply.expect(StatusCode::OK);
    let events = reply.data()["events"].as_array().unwrap();
    events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

async fn events(client: &Client, query: &str) -> Reply {
    client.get(&format!("/api/v1/events?{query}")).await
}

async fn delete(client: &Client, body: Value) -> Reply {
    client.send(Method::DELETE, "/api/v1/events", body.to_string().into_bytes()).await
}

/// A token that reads events, with what else it is to have.
async fn reader(owner: &Client, mut body: Value) -> Minted {
    if body.get("permissions").is_none() {
        body["permissions"] = tree(|leaf| leaf == "resources.events");
    }
    owner.mint(body).await
}

async fn project_in(owner: &Client, alias: &str, realms: &[&str]) -> String {
    let made = owner.post("/api/v1/projects", json!({ "alias": alias, "realm_ids": realms })).await;
    made.expect(StatusCode::CREATED).data()["id"].as_str().unwrap().to_owned()
}

const ALL: &str = "SELECT CAST(pos AS TEXT) || '.' || CAST(seq AS TEXT) AS t FROM events ORDER BY pos, seq";
const FED: &str = "SELECT CAST(pos AS TEXT) || '.' || CAST(seq AS TEXT) AS t FROM feed \
     WHERE event_type <> 'events.deleted' ORDER BY pos, seq";
const PLACES: &str = "SELECT COUNT(*) AS n FROM event_places";

fn cut_at(service: &Service, step: Option<Step>) {
    service.at_each_step(
        move |now| async move { if Some(now) == step { Cut::DatabaseGone } else { Cut::GoOn } },
    );
}

on_both! {
    async fn everything_that_happens_to_an_account_is_an_event(app: TestApp) {
        let owner = app.user("ada").await;
        let token = owner.mint(json!({ "alias": "ci", "realm_ids": [REALM_A] })).await;
        let path = format!("/api/v1/auth/tokens/{}", token.id);
        for change in [
            json!({ "ip_whitelist": "10.0.0.0/8", "alias": "runner" }),
            json!({ "is_enabled": false }),
            json!({ "is_enabled": true }),
        ] {
            owner.put(&path, change).await.expect(StatusCode::OK);
        }
        owner.delete(&path).await.expect(StatusCode::OK);
        let project = project_in(&owner, "web", &[]).await;
        owner.put(&format!("/api/v1/projects/{project}"), json!({ "alias": "site" })).await;
        owner.delete(&format!("/api/v1/projects/{project}")).await.expect(StatusCode::OK);
        owner.put("/api/v1/vault/keys/db", json!({ "value": "canary-value" })).await;
        owner.delete("/api/v1/vault/keys/db").await.expect(StatusCode::OK);
        owner.put("/api/v1/vault/keys/db", json!({ "value": "canary-value" })).await;
        owner.delete("/api/v1/vault").await.expect(StatusCode::OK);
        owner.put(&format!("/api/v1/users/{}", owner.account().await), json!({ "alias": "A" })).await;
        app.project().await;
        let all = events(&owner, "sort_order=asc&limit=500").await;
        let happened = [
            "user.created",
            "session.created",
            "auth.token.created",
            "auth.token.updated",
            "auth.token.disabled",
            "auth.token.enabled",
            "auth.token.deleted",
            "project.created",
            "project.updated",
            "project.deleted",
            "vault.key.set",
            "vault.key.deleted",
            "vault.key.set",
            "vault.cleared",
            "account.updated",
        ];
        assert_eq!(types(&all), happened);
        assert!(!all.text.contains("canary-value") && !all.text.contains("hdy_"), "{}", all.text);
        let account = owner.account().await;
        let created = &all.data()["events"][2];
        assert_eq!(created["resource_type"], "auth_token");
        assert_eq!(created["resource_id"], token.id.as_str());
        assert_eq!(created["user_id"], account.as_str());
        assert_eq!(created["payload"]["alias"], "ci");
        assert_eq!(created["realm_ids"], json!([REALM_A]));
        assert_eq!(created["created_at"], "2026-03-02T09:15:42.118Z");
        assert_eq!((&created["actor"]["kind"], &created["actor"]["via"]), (&json!("user"), &json!("session")));
        assert_eq!(created["cursor"].as_str().unwrap().len(), 46);
        assert_eq!(all.data()["events"][7]["project_id"], project.as_str());
        assert_eq!(all.data()["events"][0]["actor"]["kind"], "system");
        // One event by its id is the same.
        let one = owner.get(&format!("/api/v1/events/{}", created["id"].as_str().unwrap())).await;
        assert_eq!(one.expect(StatusCode::OK).data(), created);
        assert_eq!(one.body["message"], "Event retrieved successfully");
        // And nobody else's.
        let other = app.user("bob").await;
        app.project().await;
        other.get(&format!("/api/v1/events/{}", created["id"].as_str().unwrap())).await
            .refused(404, "EVENT_NOT_FOUND");
        assert_eq!(types(&events(&other, "").await), ["session.created", "user.created"]);
    }

    async fn a_ban_and_its_end_are_events(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.ban_elsewhere("ada", true).await;
        app.service.ban_elsewhere("ada", false).await;
        app.project().await;
        assert_eq!(types(&events(&owner, "limit=2").await), ["user.unbanned", "user.banned"]);
    }

    async fn parts_sort_and_filters_choose_what_they_say(app: TestApp) {
        let owner = app.user("ada").await;
        let project = project_in(&owner, "web", &[]).await;
        app.service.advance(1_000);
        let token = owner.mint(json!({ "alias": "ci" })).await;
        app.service.advance(1_000);
        owner.delete(&format!("/api/v1/auth/tokens/{}", token.id)).await.expect(StatusCode::OK);
        let member = app.service.create_user("carol", None, "a password for carol").await;
        let shared = json!({ "user_id": member, "permission_level": "read" });
        owner.post(&format!("/api/v1/projects/{project}/permissions"), shared).await;
        app.project().await;
        let all = ["project.permission.granted", "auth.token.deleted", "auth.token.created", "project.created",
            "session.created", "user.created"];
        let first = events(&owner, "").await;
        assert_eq!(types(&first), all);
        assert_eq!(first.body["message"], "Events retrieved successfully");
        assert_eq!(
            first.data()["pagination"],
            json!({ "total": 6, "limit": 100, "offset": 0, "has_more": false })
        );
        let at = |millis: i64| hoody_core::time::Timestamp::from_millis(START_MILLIS + millis).to_string();
        let (zero, one, two) = (at(0), at(1_000), at(2_000));
        for (query, expected) in [
            ("limit=2".to_owned(), &all[..2]),
            ("limit=2&offset=2".to_owned(), &all[2..4]),
            ("offset=6".to_owned(), &[]),
            ("event_type=auth.token.created".to_owned(), &all[2..3]),
            ("event_type=auth.token".to_owned(), &[]),
            ("resource_type=auth_token".to_owned(), &all[1..3]),
            (format!("resource_id={}", token.id), &all[1..3]),
            (format!("resource_id={}&event_type=auth.token.deleted", token.id), &all[1..2]),
            (format!("project_id={project}"), &["project.permission.granted", "project.created"]),
            (format!("container_id={project}"), &[]),
            (format!("start_date={one}"), &all[..3]),
            (format!("end_date={one}"), &all[2..]),
            (format!("start_date={one}&end_date={one}"), &all[2..3]),
            (format!("start_date={two}&event_type=auth.token.created"), &[]),
            (format!("end_date={zero}"), &all[3..]),
            ("start_date=2026-03-02&end_date=2026-03-02".to_owned(), &all[..]),
            ("end_date=2026-03-01".to_owned(), &[]),
            ("sort_order=asc&limit=1".to_owned(), &all[5..]),
            ("sort_by=event_type&sort_order=asc&limit=3".to_owned(),
                &["auth.token.created", "auth.token.deleted", "project.created"]),
            ("sort_by=event_type&limit=2".to_owned(), &["user.created", "session.created"]),
        ] {
            let reply = events(&owner, &query).await;
            assert_eq!(types(&reply), expected, "{query}");
            assert_eq!(reply.data()["pagination"]["has_more"], query.contains("limit="), "{query}");
        }
    }

    async fn what_cannot_be_asked_is_refused_by_name(app: TestApp) {
        let owner = app.user("ada").await;
        for (query, status, code, word) in [
            ("limit=0", 400, "INVALID_PARAMETER_VALUE", "limit"),
            ("limit=501", 400, "INVALID_PARAMETER_VALUE", "limit"),
            ("offset=-1", 400, "INVALID_PARAMETER_VALUE", "offset"),
            ("sort_by=id", 400, "INVALID_PARAMETER_VALUE", "sort_by"),
            ("sort_order=up", 400, "INVALID_PARAMETER_VALUE", "sort_order"),
            ("event_type=%25", 400, "INVALID_PARAMETER_VALUE", "event_type"),
            ("event_type=Auth.Token", 400, "INVALID_PARAMETER_VALUE", "event_type"),
            ("resource_type=a'b", 400, "INVALID_PARAMETER_VALUE", "resource_type"),
            ("resource_id=7", 400, "INVALID_ID_FORMAT", "resource_id"),
            ("project_id=x", 400, "INVALID_ID_FORMAT", "project_id"),
            ("container_id=x", 400, "INVALID_ID_FORMAT", "container_id"),
            ("start_date=yesterday", 400, "INVALID_PARAMETER_VALUE", "start_date"),
            ("end_date=2026-13-01", 400, "INVALID_PARAMETER_VALUE", "end_date"),
            ("start_date=2026-03-02&end_date=2026-03-01", 400, "INVALID_DATE_RANGE", "start_date"),
            ("realm_id=x", 400, "INVALID_REALM_ID_FORMAT", "realm_id"),
            ("after=x", 400, "EVENTS_CURSOR_INVALID", "cursor"),
            ("bootstrap=yes", 400, "INVALID_PARAMETER_VALUE", "bootstrap"),
            ("bootstrap=true&offset=1", 400, "EVENTS_QUERY_CONFLICT", "offset"),
            ("bootstrap=true&event_type=user.created", 400, "EVENTS_QUERY_CONFLICT", "event_type"),
            ("after=x&sort_order=asc", 400, "EVENTS_QUERY_CONFLICT", "sort_order"),
            ("after=x&bootstrap=true", 400, "EVENTS_QUERY_CONFLICT", "after"),
        ] {
            let reply = events(&owner, query).await;
            reply.refused(status, code);
            assert!(reply.body["message"].as_str().unwrap().contains(word), "{query}: {}", reply.text);
        }
        owner.get("/api/v1/events/xyz").await.refused(400, "INVALID_ID_FORMAT");
        owner.get("/api/v1/events/aaaaaaaaaaaaaaaaaaaaaaaa").await.refused(404, "EVENT_NOT_FOUND");
        owner.delete("/api/v1/events/aaaaaaaaaaaaaaaaaaaaaaaa").await.refused(404, "EVENT_NOT_FOUND");
        for (body, status, code) in [
            (json!({ "event_typ": "user.created" }), 422, "VALIDATION_ERROR"),
            (json!({ "event_type": 1 }), 422, "VALIDATION_ERROR"),
            (json!({ "event_type": "A" }), 400, "INVALID_PARAMETER_VALUE"),
            (json!({ "resource_id": "x" }), 400, "INVALID_ID_FORMAT"),
            (json!({ "before_date": "soon" }), 400, "INVALID_PARAMETER_VALUE"),
            (json!({ "realm_id": "x" }), 400, "INVALID_REALM_ID_FORMAT"),
            (json!([]), 422, "VALIDATION_ERROR"),
        ] {
            delete(&owner, body).await.refused(status, code);
        }
        for (body, status, code) in [
            (json!({}), 400, "MISSING_REQUIRED_FIELD"),
            (json!({ "retention_days": 0 }), 400, "VALIDATION_ERROR"),
            (json!({ "retention_days": 366 }), 400, "VALIDATION_ERROR"),
            (json!({ "retention_days": 1.5 }), 400, "VALIDATION_ERROR"),
            (json!({ "retention_days": "7" }), 422, "VALIDATION_ERROR"),
            (json!({ "retention_days": 7, "x": 1 }), 422, "VALIDATION_ERROR"),
        ] {
            owner.post("/api/v1/events/cleanup", body).await.refused(status, code);
        }
        app.project().await;
        assert_eq!(types(&events(&owner, "").await), ["session.created", "user.created"], "nothing was deleted");
    }

    async fn a_realm_has_its_own_events_and_a_token_sees_no_other(app: TestApp) {
        let owner = app.user("ada").await;
        project_in(&owner, "a", &[REALM_A]).await;
        project_in(&owner, "b", &[REALM_B]).await;
        project_in(&owner, "both", &[REALM_A, REALM_B]).await;
        let bound = reader(&owner, json!({ "realm_ids": [REALM_A], "alias": "bound" })).await;
        app.project().await;
        let aliases = |reply: &Reply| -> Vec<String> {
            let events = reply.expect(StatusCode::OK).data()["events"].as_array().unwrap().clone();
            events.iter().filter_map(|event| event["payload"]["alias"].as_str().map(str::to_owned)).collect()
        };
        let in_a = ["bound", "both", "a"];
        assert_eq!(aliases(&events(&owner, "realm_id=aaaaaaaaaaaaaaaaaaaaaaaa").await), in_a);
        assert_eq!(aliases(&events(&owner.realm(REALM_A), "").await), in_a);
        assert_eq!(aliases(&events(&owner.realm(REALM_B), "").await), ["both", "b"]);
        assert_eq!(aliases(&events(&owner, "").await).len(), 4);
        let realm_b = "realm_id=bbbbbbbbbbbbbbbbbbbbbbbb";
        events(&owner.realm(REALM_A), realm_b).await.refused(403, "REALM_NOT_ALLOWED");

        // A token that is bound to A.
        let token = bound.client.realm(REALM_A);
        let seen = events(&token, "").await;
        assert_eq!(aliases(&seen), in_a);
        assert!(!seen.text.contains(REALM_B), "{}", seen.text);
        bound.client.realm(REALM_B).get("/api/v1/events").await.refused(403, "REALM_NOT_ALLOWED");
        bound.client.get("/api/v1/events").await.refused(403, "REALM_SCOPE_REQUIRED");
        events(&token, realm_b).await.refused(403, "REALM_NOT_ALLOWED");
        for id in ids(&events(&owner.realm(REALM_B), "event_type=project.created").await) {
            let reply = token.get(&format!("/api/v1/events/{id}")).await;
            let is_of_both = ids(&seen).contains(&id);
            if is_of_both { reply.expect(StatusCode::OK) } else { reply.refused(404, "EVENT_NOT_FOUND") };
        }
        let stats = token.get("/api/v1/events/stats").await;
        assert_eq!(stats.data()["by_type"], json!({ "auth.token.created": 1, "project.created": 2 }));

        // What belongs to another realm too is not its to delete.
        let writer = json!({ "realm_ids": [REALM_A], "permissions": tree(|_| true), "alias": "writer" });
        let writer = owner.mint(writer).await.client.realm(REALM_A);
        app.project().await;
        let both = ids(&events(&writer, "event_type=project.created&limit=1").await);
        let kept = writer.delete(&format!("/api/v1/events/{}", both[0])).await;
        assert_eq!(kept.expect(StatusCode::OK).data(), &json!({ "deleted_count": 0, "skipped_count": 1 }));
        let deleted = delete(&writer, json!({})).await;
        assert_eq!(deleted.expect(StatusCode::OK).data(), &json!({ "deleted_count": 3, "skipped_count": 1 }));
        assert_eq!(aliases(&events(&owner, "").await), ["both", "b"]);
        // A session on the base host may.
        let all = delete(&owner, json!({ "realm_id": REALM_A })).await;
        assert_eq!(all.data(), &json!({ "deleted_count": 1, "skipped_count": 0 }));
        assert_eq!(aliases(&events(&owner, "").await), ["b"]);
    }

    async fn a_token_needs_the_permission_the_flag_and_to_delete_a_writing_leaf(app: TestApp) {
        let owner = app.user("ada").await;
        let read = reader(&owner, json!({})).await.client;
        let without_flag = reader(&owner, json!({ "event_access": false })).await.client;
        let without_leaf = reader(&owner, json!({ "permissions": tree(|leaf| leaf != "resources.events") })).await;
        app.project().await;
        events(&read, "").await.expect(StatusCode::OK);
        let refused = events(&without_flag, "").await;
        assert!(refused.refused(403, "INSUFFICIENT_PERMISSIONS").text.contains("event_access"));
        let refused = events(&without_leaf.client, "").await;
        assert!(refused.refused(403, "INSUFFICIENT_PERMISSIONS").text.contains("resources.events"));
        let before = app.service.texts(ALL).await;
        assert!(delete(&read, json!({})).await.refused(403, "INSUFFICIENT_PERMISSIONS").text.contains("only read"));
        read.post("/api/v1/events/cleanup", json!({ "retention_days": 1 })).await
            .refused(403, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(app.service.texts(ALL).await, before);
        let leaves = tree(|leaf| matches!(leaf, "resources.events" | "projects.update"));
        let writer = owner.mint(json!({ "permissions": leaves })).await.client;
        delete(&writer, json!({})).await.expect(StatusCode::OK);
    }

    async fn stats_count_by_type_and_kind_between_two_instants(app: TestApp) {
        let owner = app.user("ada").await;
        app.service.advance(1_000);
        project_in(&owner, "one", &[]).await;
        app.service.advance(1_000);
        project_in(&owner, "two", &[]).await;
        app.project().await;
        let stats = owner.get("/api/v1/events/stats").await;
        assert_eq!(stats.body["message"], "Event statistics retrieved successfully");
        assert_eq!(
            stats.data(),
            &json!({
                "total_events": 4,
                "by_type": { "project.created": 2, "session.created": 1, "user.created": 1 },
                "by_resource": { "project": 2, "session": 1, "user": 1 },
                "oldest_event": "2026-03-02T09:15:42.118Z",
                "newest_event": "2026-03-02T09:15:44.118Z",
            })
        );
        let between = "start_date=2026-03-02T09:15:43.118Z&end_date=2026-03-02T09:15:43.118Z";
        let some = owner.get(&format!("/api/v1/events/stats?{between}")).await;
        assert_eq!(some.data()["by_type"], json!({ "project.created": 1 }));
        assert_eq!(some.data()["oldest_event"], some.data()["newest_event"]);
        let that_day = owner.get("/api/v1/events/stats?end_date=2026-03-02").await;
        assert_eq!(that_day.data()["total_events"], 4);
        let none = owner.get("/api/v1/events/stats?start_date=2027-01-01").await;
        assert_eq!(none.data()["total_events"], 0);
        assert_eq!(none.data()["oldest_event"], Value::Null);
        owner.get("/api/v1/events/stats?start_date=2027-01-01&end_date=2026-01-01").await
            .refused(400, "INVALID_DATE_RANGE");
    }

    async fn deletion_takes_what_is_chosen_and_leaves_its_own_trace_in_the_feed(app: TestApp) {
        let owner = app.user("ada").await;
        let project = project_in(&owner, "web", &[]).await;
        app.service.advance(1_000);
        let token = owner.mint(json!({})).await;
        app.project().await;
        let one = ids(&events(&owner, "event_type=auth.token.created").await);
        let reply = owner.delete(&format!("/api/v1/events/{}", one[0])).await;
        assert_eq!(reply.expect(StatusCode::OK).data(), &json!({ "deleted_count": 1, "skipped_count": 0 }));
        assert_eq!(reply.body["message"], "Event deleted successfully");
        owner.delete(&format!("/api/v1/events/{}", one[0])).await.refused(404, "EVENT_NOT_FOUND");
        // The projector goes on, and does not bring it back.
        app.project().await;
        assert_eq!(types(&events(&owner, "").await), ["project.created", "session.created", "user.created"]);
        for (body, count) in [
            (json!({ "resource_id": token.id }), 0),
            (json!({ "before_date": "2026-03-02T09:15:42.118Z" }), 0),
            (json!({ "event_type": "project.created", "resource_type": "session" }), 0),
            (json!({ "resource_id": project, "before_date": "2026-03-02T09:15:42.119Z" }), 1),
            (json!({ "resource_type": "session" }), 1),
        ] {
            let reply = delete(&owner, body.clone()).await;
            assert_eq!(reply.expect(StatusCode::OK).data()["deleted_count"], count, "{body}");
            assert_eq!(reply.body["message"], "Events deleted successfully");
        }
        assert_eq!(types(&events(&owner, "").await), ["user.created"]);
        app.project().await;
        let told = "SELECT payload AS t FROM feed WHERE event_type = 'events.deleted' ORDER BY pos";
        assert_eq!(app.service.texts(told).await, [r#"{"deleted_count":1}"#; 3]);
        assert_eq!(app.service.number(PLACES).await, 1, "the places went with the events");
    }

    async fn cleanup_deletes_what_is_older_than_so_many_days(app: TestApp) {
        app.user("ada").await;
        app.service.advance(3 * DAY);
        let owner = app.login("ada").await;
        project_in(&owner, "web", &[]).await;
        app.project().await;
        let reply = owner.post("/api/v1/events/cleanup", json!({ "retention_days": 3 })).await;
        assert_eq!(reply.expect(StatusCode::OK).data()["deleted_count"], 0, "not older, as old");
        app.service.advance(1);
        let reply = owner.post("/api/v1/events/cleanup", json!({ "retention_days": 3 })).await;
        assert_eq!(
            reply.expect(StatusCode::OK).data(),
            &json!({ "deleted_count": 2, "retention_days": 3, "cutoff_date": "2026-03-02T09:15:42.119Z" })
        );
        assert_eq!(types(&events(&owner, "").await), ["project.created", "session.created"]);
    }

    async fn a_cursor_goes_on_from_where_it_was(app: TestApp) {
        let owner = app.user("ada").await;
        app.project().await;
        let start = events(&owner, "bootstrap=true").await;
        assert_eq!(types(&start), Vec::<&str>::new());
        let cursor = |reply: &Reply, name: &str| -> String {
            reply.data()["pagination"][name].as_str().unwrap().to_owned()
        };
        assert_eq!(cursor(&start, "next_cursor"), cursor(&start, "latest_cursor"));
        let start = cursor(&start, "next_cursor");
        assert!(start.len() == 46 && start.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
        for n in 0..5 {
            project_in(&owner, &format!("p{n}"), if n == 3 { &[REALM_A] } else { &[] }).await;
        }
        app.project().await;
        let mut seen = Vec::new();
        let mut next = start.clone();
        loop {
            let part = events(&owner, &format!("after={next}&limit=2")).await;
            assert_eq!(part.data()["pagination"]["total"], -1);
            assert_eq!(part.data()["pagination"]["offset"], 0);
            for event in part.data()["events"].as_array().unwrap() {
                seen.push(event["payload"]["alias"].as_str().unwrap().to_owned());
            }
            next = cursor(&part, "next_cursor");
            if part.data()["pagination"]["has_more"] == false {
                assert_eq!(next, cursor(&part, "latest_cursor"));
                break;
            }
        }
        assert_eq!(seen, ["p0", "p1", "p2", "p3", "p4"]);
        assert_eq!(types(&events(&owner, &format!("after={next}")).await), Vec::<&str>::new());
        let in_realm = events(&owner, &format!("after={start}&realm_id={REALM_A}")).await;
        assert_eq!(in_realm.data()["events"][0]["payload"]["alias"], "p3");
        assert_eq!(ids(&in_realm).len(), 1);
        // An event's own cursor is the place after it.
        let third = &events(&owner, "sort_order=asc&event_type=project.created&offset=2&limit=1").await;
        let third = third.data()["events"][0]["cursor"].as_str().unwrap();
        assert_eq!(types(&events(&owner, &format!("after={third}")).await).len(), 2);
        // Threat 23: another account's is none.
        let other = app.user("bob").await;
        events(&other, &format!("after={next}")).await.refused(400, "EVENTS_CURSOR_INVALID");
        let mut forged = next.into_bytes();
        forged[3] = if forged[3] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        events(&owner, &format!("after={forged}")).await.refused(400, "EVENTS_CURSOR_INVALID");
    }

    async fn a_cursor_into_what_is_gone_is_told_so(app: TestApp) {
        let owner = app.user("ada").await;
        app.project().await;
        let cursor = |reply: &Reply| reply.data()["pagination"]["next_cursor"].as_str().unwrap().to_owned();
        let start = cursor(&events(&owner, "bootstrap=true").await);
        project_in(&owner, "web", &[]).await;
        app.project().await;
        let current = cursor(&events(&owner, "bootstrap=true").await);
        // A part is no reset, the whole is.
        delete(&owner, json!({ "event_type": "user.created" })).await.expect(StatusCode::OK);
        assert_eq!(types(&events(&owner, &format!("after={start}")).await), ["project.created"]);
        delete(&owner, json!({})).await.expect(StatusCode::OK);
        let gone = events(&owner, &format!("after={start}")).await;
        gone.refused(410, "EVENTS_HISTORY_RESET");
        assert_eq!(gone.body["error"], "EVENTS_HISTORY_RESET");
        assert_eq!(gone.data()["retention_days"], 90);
        for name in ["boundary_cursor", "latest_cursor"] {
            let again = gone.data()[name].as_str().unwrap();
            events(&owner, &format!("after={again}")).await.expect(StatusCode::OK);
        }
        // Who had read everything misses nothing.
        events(&owner, &format!("after={current}")).await.expect(StatusCode::OK);

        // Old age.
        project_in(&owner, "old", &[]).await;
        app.project().await;
        app.later(89 * DAY).await;
        app.service.sweep_events().await;
        let owner = app.login("ada").await;
        assert_eq!(types(&events(&owner, &format!("after={current}")).await), ["project.created"]);
        app.later(DAY + 1).await;
        app.service.sweep_events().await;
        let owner = app.login("ada").await;
        let gone = events(&owner, &format!("after={current}")).await;
        gone.refused(410, "EVENTS_CURSOR_EXPIRED");
        let again = gone.data()["boundary_cursor"].as_str().unwrap();
        app.project().await;
        assert_eq!(types(&events(&owner, &format!("after={again}")).await), ["session.created"; 2]);
        assert_eq!(app.service.number(PLACES).await, 2);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM feed WHERE at = 1772442942118").await, 6);
    }

    async fn a_cursor_of_a_history_that_was_replaced_is_told_so(app: TestApp) {
        let owner = app.user("ada").await;
        project_in(&owner, "web", &[]).await;
        app.project().await;
        let cursor = events(&owner, "bootstrap=true").await;
        let cursor = cursor.data()["pagination"]["next_cursor"].as_str().unwrap().to_owned();
        // As after a restore: the same position was written again, later, by others.
        app.service.tamper("UPDATE feed SET at = at + 5000 WHERE pos = (SELECT MAX(pos) FROM feed)").await;
        events(&owner, &format!("after={cursor}")).await.refused(410, "EVENTS_HISTORY_RESET");
        app.service.tamper("DELETE FROM feed WHERE pos > 1").await;
        app.service.tamper("UPDATE feed_head SET pos = 1").await;
        events(&owner, &format!("after={cursor}")).await.refused(410, "EVENTS_HISTORY_RESET");
    }

    async fn a_projector_that_dies_at_a_step_repeats_and_misses_nothing(app: TestApp) {
        let owner = app.user("ada").await;
        for step in [Step::Projecting, Step::Projected] {
            for n in 0..3 {
                project_in(&owner, &format!("{step:?} {n}"), &[REALM_A, REALM_B]).await;
            }
            let before = app.service.texts(ALL).await;
            cut_at(&app.service, Some(step));
            assert!(app.service.project().await.is_some(), "{step:?}");
            cut_at(&app.service, None);
            assert_eq!(app.service.texts(ALL).await, before, "{step:?}: all or nothing");
            app.project().await;
            app.project().await;
            assert_eq!(app.service.texts(ALL).await, app.service.texts(FED).await, "{step:?}");
        }
        assert_eq!(app.service.number(PLACES).await, 2 + 6 * 3);
    }

    async fn two_projectors_that_race_write_each_event_once(app: TestApp) {
        let owner = app.user("ada").await;
        let second = app.another_node().await;
        let mut tasks = JoinSet::new();
        for n in 0..4 {
            let (owner, second, first) = (owner.clone(), second.clone(), app.service.clone());
            tasks.spawn(async move {
                for i in 0..10 {
                    project_in(&owner, &format!("{n} {i}"), &[]).await;
                    if n % 2 == 0 { first.project().await } else { second.project().await };
                }
            });
        }
        tasks.join_all().await;
        app.project().await;
        assert_eq!(app.service.texts(ALL).await, app.service.texts(FED).await);
        assert_eq!(app.service.number("SELECT COUNT(DISTINCT id) AS n FROM events").await, 42);
    }

    async fn deletion_and_projector_that_race_leave_nothing_twice_and_nothing_back(app: TestApp) {
        let owner = app.user("ada").await;
        let writer = tokio::spawn({
            let (owner, service) = (owner.clone(), app.service.clone());
            async move {
                for n in 0..20 {
                    project_in(&owner, &format!("p{n}"), &[]).await;
                    service.project().await;
                }
            }
        });
        let mut deleted = 0;
        while !writer.is_finished() {
            let reply = delete(&owner, json!({ "event_type": "project.created" })).await;
            deleted += reply.expect(StatusCode::OK).data()["deleted_count"].as_i64().unwrap();
        }
        writer.await.unwrap();
        app.project().await;
        let left = events(&owner, "event_type=project.created").await;
        assert_eq!(deleted + left.data()["pagination"]["total"].as_i64().unwrap(), 20);
        let last = delete(&owner, json!({ "event_type": "project.created" })).await;
        assert_eq!(last.data()["deleted_count"], left.data()["pagination"]["total"]);
        app.project().await;
        assert_eq!(types(&events(&owner, "").await), ["session.created", "user.created"]);
    }

    async fn deleting_goes_on_when_another_has_deleted_some_of_it(app: TestApp) {
        let owner = app.user("ada").await;
        app.project().await;
        let Some(mut beside) = Beside::begin(&app).await else { return };
        let more = "INSERT INTO events (pos, seq, id, at, event_type, account_id, actor_kind, resource_type, \
             resource_id, realm_ids, payload) \
             SELECT -n, 0, decode(lpad(to_hex(n), 24, '0'), 'hex'), 0, 'old', u.id, 'nobody', 'user', u.id, '', '{}' \
             FROM generate_series(1, 5000) n, users u; \
             INSERT INTO event_places (account_id, realm_id, pos, seq, at, event_type, resource_type, resource_id) \
             SELECT account_id, '', pos, seq, at, event_type, resource_type, resource_id FROM events WHERE pos < 0; \
             COMMIT; BEGIN; DELETE FROM events WHERE pos < -4990";
        beside.run(more).await.unwrap();
        let deleting = tokio::spawn(async move { delete(&owner, json!({})).await });
        beside.is_waited_for().await;
        beside.commit().await;
        deleting.await.unwrap().expect(StatusCode::OK);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM events").await, 0);
    }

    async fn a_cursor_is_told_of_what_goes_while_it_is_read(app: TestApp) {
        let owner = app.user("ada").await;
        app.project().await;
        let start = events(&owner, "bootstrap=true").await;
        let start = start.data()["pagination"]["next_cursor"].as_str().unwrap().to_owned();
        project_in(&owner, "web", &[]).await;
        app.project().await;
        for (gone, code) in [
            (
                "INSERT INTO event_resets (account_id, pos, seq) SELECT u.id, h.pos, h.seq FROM users u, event_head h",
                "EVENTS_HISTORY_RESET",
            ),
            (
                "DELETE FROM event_resets; UPDATE event_head SET swept_pos = pos, swept_seq = seq",
                "EVENTS_CURSOR_EXPIRED",
            ),
        ] {
            let Some(mut beside) = Beside::begin(&app).await else { return };
            beside.run("LOCK TABLE event_places IN ACCESS EXCLUSIVE MODE").await.unwrap();
            let (asker, query) = (owner.clone(), format!("after={start}"));
            let asking = tokio::spawn(async move { events(&asker, &query).await });
            beside.is_waited_for().await;
            beside.run(&format!("DELETE FROM events; {gone}")).await.unwrap();
            beside.commit().await;
            asking.await.unwrap().refused(410, code);
            project_in(&owner, code, &[]).await;
            app.service.tamper("DELETE FROM event_resets").await;
            app.project().await;
        }
    }
}
