//! A newer node beside this one: what it writes into the feed and this version does not know.

use http::StatusCode;
use serde_json::json;

use crate::event_streams::Stream;
use crate::support::{TestApp, on_both};

/// A notice in which everything that may be of a new kind is, in the form that the columns have today.
const OF_A_NEW_KIND: &str = "INSERT INTO feed (pos, seq, at, event_type, account_id, actor_kind, actor_id, resource_type, \
     resource_id, realm_ids, payload, forget_kind, forget_id) \
     SELECT h.pos + 1, 0, 1772442942118, 'orbit.changed', u.id, 'orbit', u.id, 'orbit', u.id, '', '{}', \
     'orbit', u.id FROM feed_head h, users u WHERE u.username = 'ada'";
/// One of nobody's account, about something that has no id, in a form that this version cannot read.
const OF_A_NEW_FORM: &str = "INSERT INTO feed (pos, seq, at, event_type, account_id, actor_kind, actor_id, resource_type, \
     resource_id, realm_ids, payload, forget_kind, forget_id) \
     SELECT h.pos + 1, 0, 1772442942118, 'catalogue.changed', substr(u.id, 1, 0), 'service', NULL, 'catalogue', \
     substr(u.id, 1, 4), 'everywhere', 'v2', 'catalogue', NULL FROM feed_head h, users u WHERE u.username = 'ada'";
const MOVE: &str = "UPDATE feed_head SET pos = pos + 1";

/// Another node, of a newer version, tells something.
async fn tell(app: &TestApp, notice: &'static str) {
    assert_eq!(app.service.tamper(notice).await, 1);
    app.service.tamper(MOVE).await;
}

on_both! {
    async fn a_notice_of_an_unknown_kind_is_passed_over_and_every_grant_read_again(app: TestApp) {
        for notice in [OF_A_NEW_KIND, OF_A_NEW_FORM] {
            let owner = match app.service.number("SELECT COUNT(*) AS n FROM users").await {
                0 => app.user("ada").await,
                _ => app.login("ada").await,
            };
            let (changed, ended) = (owner.mint(json!({})).await, owner.mint(json!({})).await);
            let second = app.another_node().await;
            for token in [&changed, &ended] {
                token.client.at(&second).check("projects.read").await.expect(StatusCode::NO_CONTENT);
            }
            // What it concerns is not known: nothing is answered from what was read before it.
            tell(&app, notice).await;
            app.service.tamper("UPDATE tokens SET is_enabled = FALSE").await;
            assert!(second.poll().await, "the poll goes on");
            changed.client.at(&second).check("projects.read").await.refused(401, "INVALID_TOKEN");
            app.service.tamper("UPDATE tokens SET is_enabled = TRUE").await;
            // What follows it is obeyed, in the same poll and in the next.
            assert!(app.service.poll().await);
            tell(&app, notice).await;
            owner.delete(&format!("/api/v1/auth/tokens/{}", ended.id)).await.expect(StatusCode::OK);
            assert!(second.poll().await);
            ended.client.at(&second).check("projects.read").await.refused(401, "INVALID_TOKEN");
            owner.delete(&format!("/api/v1/auth/tokens/{}", changed.id)).await.expect(StatusCode::OK);
            assert!(second.poll().await);
            changed.client.at(&second).check("projects.read").await.refused(401, "INVALID_TOKEN");
            second.close().await;
        }
    }

    async fn whoever_reads_the_feed_goes_on_behind_what_it_does_not_know(app: TestApp) {
        let owner = app.user("ada").await;
        assert!(app.service.poll().await);
        let mut heard = Stream::open(&owner, "event_type=auth.token.created").await;
        let before = heard.last.clone();
        for notice in [OF_A_NEW_FORM, OF_A_NEW_KIND, OF_A_NEW_FORM] {
            tell(&app, notice).await;
        }
        // The last that is told before somebody reads is one that cannot be read.
        assert_eq!(app.service.project().await, None);
        owner.mint(json!({ "alias": "behind it" })).await;
        assert!(app.service.poll().await);
        assert_eq!(heard.alias().await, "behind it");
        // From the feed while the history is not there yet, then from the history.
        let mut resumed = Stream::resume(&owner, &before).await;
        while resumed.alias().await != "behind it" {}
        assert_eq!(app.service.project().await, None);
        let events = owner.get("/api/v1/events?event_type=auth.token.created").await;
        assert_eq!(events.data()["events"][0]["payload"]["alias"], "behind it");
        let newer = owner.get("/api/v1/events?event_type=orbit.changed").await;
        assert_eq!(newer.data()["events"].as_array().unwrap().len(), 1, "what can be read is kept");
        assert_eq!(app.service.try_evaluate().await, None);
        assert!(app.service.seal().await > 0);
        assert_eq!(app.service.verify_audit(None).await.1, Vec::<String>::new());
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM audit WHERE event_type = 'catalogue.changed'").await, 2);
    }
}
