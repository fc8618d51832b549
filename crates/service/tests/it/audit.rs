//! The audit log: whole when nobody touched it, and every way of touching it found.

use hoody_core::audit::{Entry, Link};
use hoody_core::time::{DAY, HOUR, Timestamp};
use http::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Client, PASSWORD, TestApp, on_both};
use hoody_service::testing::Service;

const FEED_ROWS: &str = "SELECT COUNT(*) AS n FROM feed";
/// Where a node keeps the last checkpoint.
const KEPT: &str = "audit-checkpoint.json";
const HEAD: &str = "SELECT pos AS n FROM feed_head WHERE id = 1";

/// Something to tell of, some of it at one position.
async fn live(app: &TestApp, name: &str) -> Client {
    let client = app.user(name).await;
    for number in 0..3 {
        let token = client.mint(json!({ "alias": format!("t{number}") })).await;
        client.delete(&format!("/api/v1/auth/tokens/{}", token.id)).await.expect(StatusCode::OK);
    }
    client.put("/api/v1/vault/keys/k", json!({ "value": "x" })).await.expect(StatusCode::CREATED);
    client
}

/// Nothing is wrong with the log, which has all that the feed has.
async fn whole(app: &TestApp) -> i64 {
    let (rows, problems) = app.service.verify_audit(None).await;
    assert_eq!(problems, Vec::<String>::new());
    rows
}

/// What is wrong with the log after these statements, and is not any more after the others.
async fn found(app: &TestApp, touch: &[&'static str], mend: &[&'static str]) -> Vec<String> {
    for sql in touch {
        app.service.tamper(sql).await;
    }
    let (_, problems) = app.service.verify_audit(None).await;
    for sql in mend {
        app.service.tamper(sql).await;
    }
    if !mend.is_empty() {
        whole(app).await;
    }
    problems
}

/// A statement of one run.
fn sql(text: String) -> &'static str {
    text.leak()
}

/// `bytes` as a literal of the engine.
fn literal(app: &TestApp, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if app.url.starts_with("sqlite") { format!("x'{hex}'") } else { format!("'\\x{hex}'::bytea") }
}

/// Rewrites row `from` and links all after it again, as somebody does who can write the database and has no key.
async fn rewrite(app: &TestApp, from: i64) {
    let rows = app.service.number("SELECT MAX(n) AS n FROM audit").await;
    let field = async |name: &str, n: i64| {
        app.service
            .texts(sql(format!("SELECT CAST({name} AS TEXT) AS t FROM audit WHERE n = {n}")))
            .await
            .remove(0)
    };
    let hex = if app.url.starts_with("sqlite") { "hex({})" } else { "encode({}, 'hex')" };
    let bytes = async |name: &str, n: i64| -> Vec<u8> {
        let text = app
            .service
            .texts(sql(format!(
                "SELECT COALESCE({}, '') AS t FROM audit WHERE n = {n}",
                hex.replace("{}", name)
            )))
            .await
            .remove(0);
        (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
    };
    let mut link = Link::from_bytes(bytes("link", from - 1).await.try_into().unwrap());
    for n in from..=rows {
        let actor = bytes("actor_id", n).await;
        let payload = if n == from { "{}".to_owned() } else { field("payload", n).await };
        let entry = Entry {
            n,
            place: (field("pos", n).await.parse().unwrap(), field("seq", n).await.parse().unwrap()),
            at: Timestamp::from_millis(field("at", n).await.parse().unwrap()),
            event: field("event_type", n).await,
            account: bytes("account_id", n).await,
            actor_kind: field("actor_kind", n).await,
            actor: (!actor.is_empty()).then_some(actor),
            resource_kind: field("resource_type", n).await,
            resource: bytes("resource_id", n).await,
            realms: field("realm_ids", n).await,
            payload: payload.clone(),
        };
        link = link.next(&entry);
        let link = literal(app, link.bytes());
        app.service
            .tamper(sql(format!("UPDATE audit SET payload = '{payload}', link = {link} WHERE n = {n}")))
            .await;
    }
}

on_both! {
    async fn what_the_feed_tells_is_sealed_and_whole(app: TestApp) {
        assert_eq!(app.service.verify_audit(None).await, (0, vec![]));
        let ada = live(&app, "ada").await;
        let feed = app.service.number(FEED_ROWS).await;
        assert_eq!(app.service.seal().await, feed.unsigned_abs());
        assert_eq!(whole(&app).await, feed);
        assert_eq!(app.service.seal().await, 0);
        // What is not sealed yet is no fault.
        ada.mint(json!({})).await;
        assert_eq!(whole(&app).await, feed);
        app.service.seal().await;
        assert_eq!(whole(&app).await, feed + 1);
        let restarted = app.another_node().await;
        assert_eq!(restarted.verify_audit(Some(app.service.checkpoint().await)).await, (feed + 1, vec![]));
        let same = "SELECT COUNT(*) AS n FROM feed f JOIN audit a ON a.pos = f.pos AND a.seq = f.seq \
                    AND a.payload = f.payload AND a.event_type = f.event_type AND a.at = f.at";
        assert_eq!(app.service.number(same).await, feed + 1);
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM audit_checkpoints").await, 1);
        app.service.advance(HOUR);
        ada.mint(json!({})).await;
        app.service.seal().await;
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM audit_checkpoints").await, 2, "one of each hour");
        whole(&app).await;
    }

    /// What is sealed and signed while the log is read is no fault, from the very first row on.
    async fn a_log_that_grows_while_it_is_verified_is_whole(app: TestApp) {
        let ada = app.user("ada").await;
        let is_over = std::cell::Cell::new(false);
        let grow = async {
            for number in 0..150 {
                ada.put("/api/v1/vault/keys/k", json!({ "value": number.to_string() })).await;
                app.service.seal().await;
            }
            is_over.set(true);
        };
        let verify = async {
            let mut seen = vec![];
            while !is_over.get() {
                seen.push(whole(&app).await);
            }
            seen
        };
        let ((), seen) = tokio::join!(grow, verify);
        assert!(seen.is_sorted() && seen.len() > 10, "{seen:?}");
        assert_eq!(whole(&app).await, app.service.number(FEED_ROWS).await);
    }

    /// Each way of touching it, one after the other.
    async fn threat_40_whatever_is_done_to_the_log_is_found(app: TestApp) {
        live(&app, "ada").await;
        app.service.seal().await;
        let last = whole(&app).await;
        assert!(last >= 9, "{last}");
        app.service.tamper("CREATE TABLE kept AS SELECT * FROM audit").await;
        app.service.tamper("CREATE TABLE kept_checkpoints AS SELECT * FROM audit_checkpoints").await;
        let mend = ["DELETE FROM audit", "INSERT INTO audit SELECT * FROM kept", "DELETE FROM audit_checkpoints",
            "INSERT INTO audit_checkpoints SELECT * FROM kept_checkpoints"];

        // Every column counts.
        for change in [
            "pos = pos + 1000 WHERE n = 3", "seq = seq + 5 WHERE n = 3", "at = at + 1 WHERE n = 3",
            "event_type = 'user.updated' WHERE n = 3", "account_id = link WHERE n = 3", "actor_kind = 'token' WHERE n = 3",
            "actor_id = NULL WHERE n = 3", "resource_type = 'x' WHERE n = 3", "resource_id = link WHERE n = 3",
            "realm_ids = 'x' WHERE n = 3", "payload = '{}' WHERE n = 3",
            "link = (SELECT k.link FROM kept k WHERE k.n = 2) WHERE n = 3",
        ] {
            let problems = found(&app, &[sql(format!("UPDATE audit SET {change}"))], &mend).await;
            assert!(problems.iter().any(|problem| problem.starts_with("3: ")), "{change}: {problems:?}");
        }
        let missing = found(&app, &["DELETE FROM audit WHERE n = 3"], &mend).await;
        assert_eq!(missing[0], "4: rows 3 to 3 are missing");
        let first = found(&app, &["DELETE FROM audit WHERE n <= 2"], &mend).await;
        assert_eq!(first[0], "3: rows 1 to 2 are missing");
        let swapped = found(&app, &["UPDATE audit SET n = -4 WHERE n = 4", "UPDATE audit SET n = 4 WHERE n = 6",
            "UPDATE audit SET n = 6 WHERE n = -4"], &mend).await;
        assert!(swapped.iter().any(|problem| problem.contains("not in its place")), "{swapped:?}");
        let inserted = found(&app, &["UPDATE audit SET n = -n WHERE n > 3", "UPDATE audit SET n = 1 - n WHERE n < 0",
            "INSERT INTO audit SELECT 4, pos, seq + 1, at, event_type, account_id, actor_kind, actor_id, \
             resource_type, resource_id, realm_ids, payload, link FROM audit WHERE n = 3"], &mend).await;
        assert!(inserted[0].starts_with("4: the row was changed or put in"), "{inserted:?}");
        let appended = found(&app, &["INSERT INTO audit SELECT n + 1, pos + 1, 0, at, event_type, account_id, \
            actor_kind, actor_id, resource_type, resource_id, realm_ids, payload, link FROM audit \
            WHERE n = (SELECT MAX(n) FROM audit)"], &mend).await;
        assert!(appended.iter().any(|problem| problem.contains("not signed")), "{appended:?}");

        let cut = found(&app, &["DELETE FROM audit WHERE n > 5"], &mend).await;
        assert!(cut[0].contains("the tail is cut") && cut[0].contains("5 are there"), "{cut:?}");
        let unsigned = found(&app, &["DELETE FROM audit_checkpoints"], &mend).await;
        assert!(unsigned.iter().any(|problem| problem.contains("no checkpoint")), "{unsigned:?}");
        let forged = found(&app, &["UPDATE audit_checkpoints SET mac = link"], &mend).await;
        assert!(forged[0].contains("not signed by this server"), "{forged:?}");
        let moved = found(&app, &["DELETE FROM audit WHERE n > 5",
            "UPDATE audit_checkpoints SET n = 5, pos = (SELECT pos FROM audit WHERE n = 5), \
             link = (SELECT link FROM audit WHERE n = 5)"], &mend).await;
        assert!(moved[0].contains("not signed by this server"), "{moved:?}");
        let stranger = found(&app, &["UPDATE audit_checkpoints SET key_id = '0123456789abcdef'"], &mend).await;
        assert!(stranger.iter().any(|problem| problem.contains("not among the master keys")), "{stranger:?}");
        let short = found(&app, &["UPDATE audit SET link = substr(link, 1, 8) WHERE n = 2"], &mend).await;
        assert!(short[0].starts_with("2: "), "{short:?}");
        let feed = found(&app, &["UPDATE feed SET payload = '{\"alias\":\"other\"}' WHERE pos = 3"],
            &["UPDATE feed SET payload = (SELECT payload FROM kept WHERE kept.pos = 3 AND kept.seq = 0) WHERE pos = 3"]).await;
        assert!(feed[0].contains("the feed's row is not the one that was sealed"), "{feed:?}");
    }

    /// Who can write the database and knows how the chain is made can link it again, and not sign it.
    async fn a_history_that_was_rewritten_whole_is_found(app: TestApp) {
        live(&app, "ada").await;
        app.service.seal().await;
        whole(&app).await;
        let handed_out = app.service.checkpoint().await;
        rewrite(&app, 3).await;
        app.service.tamper("UPDATE feed SET payload = '{}' WHERE (pos, seq) = (SELECT pos, seq FROM audit WHERE n = 3)").await;
        let (_, problems) = app.service.verify_audit(None).await;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("rows were changed and sealed again"), "{problems:?}");
        let (_, problems) = app.service.verify_audit(Some(handed_out)).await;
        assert!(problems.iter().any(|problem| problem.contains("it was rewritten")), "{problems:?}");
    }

    /// Somebody who can write the database, and has neither key nor data directory, rewrites what was sealed a moment
    /// ago and waits for the server to sign it.
    async fn a_history_that_was_rewritten_is_not_signed_again(app: TestApp) {
        let ada = live(&app, "ada").await;
        app.service.seal().await;
        let first = app.service.number("SELECT MAX(n) AS n FROM audit").await;
        ada.mint(json!({ "alias": "hidden" })).await;
        app.service.seal().await;
        let rows = whole(&app).await;
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM audit_checkpoints").await, 1);
        let keep = ["CREATE TABLE kept_audit AS SELECT * FROM audit", "CREATE TABLE kept_feed AS SELECT * FROM feed",
            "CREATE TABLE kept_checkpoints AS SELECT * FROM audit_checkpoints"];
        for sql in keep {
            app.service.tamper(sql).await;
        }
        rewrite(&app, first + 1).await;
        app.service.tamper("DELETE FROM audit_checkpoints").await;
        app.service.tamper("UPDATE feed SET payload = (SELECT payload FROM audit a WHERE a.pos = feed.pos AND a.seq = feed.seq)").await;
        ada.mint(json!({ "alias": "somebody else" })).await;
        let restarted = app.another_node().await;
        for node in [&app.service, &restarted] {
            let why = node.try_seal().await.unwrap();
            assert!(why.contains("the audit log is not sealed") && why.contains(&format!("its {rows} rows")), "{why}");
            let ready = Client::of(node, None).get("/readyz").await;
            let warnings = ready.body["warnings"].to_string();
            assert!(warnings.contains("the audit log is not sealed") && !warnings.contains(KEPT), "{warnings}");
        }
        assert_eq!(app.service.number("SELECT MAX(n) AS n FROM audit").await, rows, "nothing is signed");
        let (_, problems) = app.service.verify_audit(None).await;
        assert!(problems.iter().any(|problem| problem.contains("no checkpoint is there")), "{problems:?}");
        // Without the file nothing is there to compare with, and still nothing is signed that was not.
        let kept = app.directory.path().join(KEPT);
        let text = std::fs::read(&kept).unwrap();
        std::fs::remove_file(&kept).unwrap();
        assert!(app.service.try_seal().await.unwrap().contains("is signed"));
        std::fs::write(&kept, text).unwrap();
        // As it was.
        for sql in ["DELETE FROM audit", "INSERT INTO audit SELECT * FROM kept_audit", "DELETE FROM audit_checkpoints",
            "INSERT INTO audit_checkpoints SELECT * FROM kept_checkpoints",
            "UPDATE feed SET payload = (SELECT payload FROM kept_feed k WHERE k.pos = feed.pos AND k.seq = feed.seq) \
             WHERE EXISTS (SELECT 1 FROM kept_feed k WHERE k.pos = feed.pos)"] {
            app.service.tamper(sql).await;
        }
        assert_eq!(app.service.try_seal().await, None);
        assert_eq!(whole(&app).await, rows + 1);
        assert_eq!(app.anon().get("/readyz").await.body["warnings"], json!([]));
    }

    /// Each way of making the last row, or what is signed of it, another one.
    async fn nothing_is_signed_after_a_row_that_was_not(app: TestApp) {
        let ada = live(&app, "ada").await;
        app.service.seal().await;
        app.service.tamper("CREATE TABLE kept AS SELECT * FROM audit").await;
        app.service.tamper("CREATE TABLE kept_checkpoints AS SELECT * FROM audit_checkpoints").await;
        ada.mint(json!({})).await;
        let last = "n = (SELECT MAX(n) FROM audit)";
        let append = "INSERT INTO audit SELECT n + 1, pos + 1, 0, at, event_type, account_id, actor_kind, actor_id, \
            resource_type, resource_id, realm_ids, payload, link FROM audit WHERE n = (SELECT MAX(n) FROM audit)";
        for touch in [
            sql(format!("DELETE FROM audit WHERE {last}")), sql(format!("UPDATE audit SET payload = '{{}}' WHERE {last}")),
            sql(format!("UPDATE audit SET pos = pos + 5 WHERE {last}")), append, "DELETE FROM audit",
            "UPDATE audit_checkpoints SET mac = link",
        ] {
            app.service.tamper(touch).await;
            assert!(app.service.try_seal().await.is_some(), "{touch}");
            for mend in ["DELETE FROM audit", "INSERT INTO audit SELECT * FROM kept", "DELETE FROM audit_checkpoints",
                "INSERT INTO audit_checkpoints SELECT * FROM kept_checkpoints"] {
                app.service.tamper(mend).await;
            }
        }
        // A checkpoint that is gone is made again with the next seal: the node knows what it signed.
        app.service.tamper("DELETE FROM audit_checkpoints").await;
        assert_eq!(app.service.try_seal().await, None);
        assert_eq!(whole(&app).await, app.service.number(FEED_ROWS).await);
    }

    /// The node that takes over has seen what the other signed, and takes nothing less.
    async fn a_node_that_takes_over_goes_on_from_what_was_signed(app: TestApp) {
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::copy(app.directory.path().join("master.key"), elsewhere.path().join("master.key")).unwrap();
        let other = Service::open(&app.url, elsewhere.path(), "", app.service.now()).await;
        let ada = live(&app, "ada").await;
        app.service.seal().await;
        for copy in ["audit", "audit_checkpoints"] {
            app.service.tamper(sql(format!("CREATE TABLE kept_{copy} AS SELECT * FROM {copy}"))).await;
        }
        ada.mint(json!({ "alias": "hidden" })).await;
        app.service.seal().await;
        assert_eq!(other.try_seal().await, None, "it only looks");
        // The first one dies, and the log is put back to an earlier end, which was signed.
        for copy in ["audit", "audit_checkpoints"] {
            app.service.tamper(sql(format!("DELETE FROM {copy}"))).await;
            app.service.tamper(sql(format!("INSERT INTO {copy} SELECT * FROM kept_{copy}"))).await;
        }
        other.advance(10_000);
        assert!(other.try_seal().await.unwrap().contains("does not go on from its"));
        assert!(elsewhere.path().join(KEPT).exists());
    }

    async fn what_is_done_to_the_feed_after_it_was_sealed_is_found(app: TestApp) {
        live(&app, "ada").await;
        app.service.seal().await;
        let rows = whole(&app).await;
        app.service.tamper("CREATE TABLE kept AS SELECT * FROM feed").await;
        let mend = ["DELETE FROM feed", "INSERT INTO feed SELECT * FROM kept"];
        let removed = found(&app, &["DELETE FROM feed WHERE pos = 3"], &mend).await;
        assert_eq!(removed, ["3: the row was taken out of the feed, which keeps it for a week"]);
        let put_in = found(&app, &["INSERT INTO feed SELECT pos, seq + 1, at, event_type, account_id, actor_kind, actor_id, \
            resource_type, resource_id, realm_ids, payload, NULL, NULL FROM feed WHERE pos = 3"], &mend).await;
        assert!(put_in[0].contains("it was put in later"), "{put_in:?}");
        let swapped = found(&app, &["UPDATE feed SET pos = -4 WHERE pos = 4", "UPDATE feed SET pos = 4 WHERE pos = 5",
            "UPDATE feed SET pos = 5 WHERE pos = -4"], &mend).await;
        assert!(swapped.iter().any(|problem| problem.contains("not the one that was sealed")), "{swapped:?}");
        let back = found(&app, &["UPDATE feed_head SET pos = pos - 1"], &["UPDATE feed_head SET pos = pos + 1"]).await;
        assert!(back[0].contains("it went back"), "{back:?}");
        assert_eq!(whole(&app).await, rows);
    }

    async fn what_is_taken_out_of_the_feed_before_it_is_sealed_is_found(app: TestApp) {
        let ada = live(&app, "ada").await;
        app.service.seal().await;
        let rows = whole(&app).await;
        for _ in 0..3 {
            ada.mint(json!({})).await;
        }
        let head = app.service.number(HEAD).await;
        app.service.tamper(sql(format!("DELETE FROM feed WHERE pos = {head}"))).await;
        let (_, problems) = app.service.verify_audit(None).await;
        assert!(problems[0].contains("1 positions up to") && problems[0].contains("not in the feed"), "{problems:?}");
        app.service.tamper(sql(format!("DELETE FROM feed WHERE pos = {}", head - 2))).await;
        app.service.seal().await;
        let (_, problems) = app.service.verify_audit(None).await;
        assert_eq!(problems[0], format!("{}: positions of the feed before it were taken out before they were sealed", rows + 1));
    }

    /// A database that was restored has a log that is whole: only what was handed out earlier tells.
    async fn a_database_that_went_back_is_told_by_a_checkpoint_of_before(app: TestApp) {
        let ada = live(&app, "ada").await;
        app.service.seal().await;
        let early = app.service.checkpoint().await;
        for keep in ["audit", "audit_checkpoints", "feed", "feed_head"] {
            app.service.tamper(sql(format!("CREATE TABLE kept_{keep} AS SELECT * FROM {keep}"))).await;
        }
        ada.mint(json!({})).await;
        app.service.seal().await;
        let late = app.service.checkpoint().await;
        assert_eq!(app.service.verify_audit(Some(early)).await.1, Vec::<String>::new());
        assert_eq!(app.service.verify_audit(Some(late)).await.1, Vec::<String>::new());
        for restored in ["audit", "audit_checkpoints", "feed", "feed_head"] {
            app.service.tamper(sql(format!("DELETE FROM {restored}"))).await;
            app.service.tamper(sql(format!("INSERT INTO {restored} SELECT * FROM kept_{restored}"))).await;
        }
        whole(&app).await;
        assert_eq!(app.service.verify_audit(Some(early)).await.1, Vec::<String>::new());
        let (_, problems) = app.service.verify_audit(Some(late)).await;
        assert!(problems[0].contains("the database went back"), "{problems:?}");
        // No server signs after it, also one that starts, until the operator says that it is meant.
        for node in [&app.service, &app.another_node().await] {
            assert!(node.try_seal().await.unwrap().contains("does not go on from its"));
        }
        std::fs::remove_file(app.directory.path().join(KEPT)).unwrap();
        assert_eq!(app.service.try_seal().await, None);
        // Another history grows over it.
        ada.mint(json!({ "alias": "another" })).await;
        ada.mint(json!({ "alias": "and another" })).await;
        app.service.seal().await;
        whole(&app).await;
        let (_, problems) = app.service.verify_audit(Some(late)).await;
        assert!(problems[0].contains("it was rewritten"), "{problems:?}");
    }

    async fn one_node_seals_at_a_time_and_another_goes_on(app: TestApp) {
        let other = app.another_node().await;
        let ada = live(&app, "ada").await;
        assert!(app.service.seal().await > 0);
        ada.mint(json!({})).await;
        assert_eq!(other.seal().await, 0, "the first one does");
        // The first is silent for so long that its lease runs out, and does not know it.
        other.advance(10_000);
        assert_eq!(other.seal().await, 1);
        ada.mint(json!({})).await;
        assert_eq!(app.service.seal().await, 0, "it believes that it does, and is told otherwise");
        assert_eq!(other.seal().await, 1);
        whole(&app).await;

        let writers = (0..4).map(|number| {
            let client = ada.clone();
            tokio::spawn(async move {
                for at in 0..10 {
                    client.mint(json!({ "alias": format!("w{number}-{at}") })).await;
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
            let (one, two) = tokio::join!(app.service.seal(), other.seal());
            assert!(one == 0 || two == 0);
            whole(&app).await;
            assert_eq!(other.verify_audit(None).await.1, Vec::<String>::new(), "while it grows");
        }
        other.seal().await;
        assert_eq!(whole(&app).await, app.service.number(FEED_ROWS).await);
    }

    async fn the_feed_is_trimmed_of_what_is_sealed_old_and_read(app: TestApp) {
        live(&app, "ada").await;
        app.service.poll().await;
        app.service.beat().await;
        assert_eq!(app.service.trim_feed().await, 0, "nothing is sealed");
        app.service.seal().await;
        assert_eq!(app.service.project().await, None);
        app.service.evaluate().await;
        assert_eq!(app.service.trim_feed().await, 0, "nothing is old");
        let rows = whole(&app).await;
        app.service.advance(6 * DAY);
        app.service.create_user("bob", None, PASSWORD).await;
        assert_eq!(app.service.trim_feed().await, 0, "sealed and read by all, and not a week old");
        app.service.advance(2 * DAY);
        app.service.tamper("UPDATE event_head SET pos = 0").await;
        assert_eq!(app.service.trim_feed().await, 0, "the history of events has not read it");
        app.service.tamper("UPDATE event_head SET pos = (SELECT pos FROM feed_head)").await;
        app.service.tamper("UPDATE alert_head SET pos = 0").await;
        assert_eq!(app.service.trim_feed().await, 0, "the evaluator of alerts has not read it");
        app.service.evaluate().await;
        // A node that has not read them keeps them.
        app.service.tamper("UPDATE nodes SET applied = 2").await;
        assert_eq!(app.service.trim_feed().await, 1);
        app.later(0).await;
        app.service.beat().await;
        app.service.seal().await;
        let trimmed = app.service.trim_feed().await;
        assert_eq!(trimmed, rows.unsigned_abs() - 1, "all of the first week but what went before");
        assert_eq!(app.service.number("SELECT COUNT(*) AS n FROM audit").await, whole(&app).await);
        // Who reads the feed does not take it for another database.
        let token = app.login("ada").await.mint(json!({})).await;
        token.client.check("").await.expect(StatusCode::NO_CONTENT);
        app.later(10).await;
        let cached = app.service.cached();
        assert!(cached > 0);
        app.later(10).await;
        assert_eq!(app.service.cached(), cached);
    }

    async fn a_new_master_key_signs_the_end_again(app: TestApp) {
        app.service.beat().await;
        live(&app, "ada").await;
        app.service.seal().await;
        let old = app.service.keys().remove(0);
        app.service.advance(HOUR);
        app.service.beat().await;
        app.service.create_user("bob", None, PASSWORD).await;
        app.service.seal().await;
        let new = app.service.add_key().await.unwrap();
        assert_eq!(app.service.refresh_keys().await, None);
        assert!(app.service.promote_key(&new).await.is_empty());
        assert_eq!(app.service.refresh_keys().await, None);
        app.service.reseal().await.unwrap();
        app.service.end_what_hangs(&old).await;
        assert_eq!(app.service.hanging(&old).await, "1 sealed value", "the last checkpoint");
        app.service.seal().await;
        assert_eq!(app.service.seal().await, 0);
        app.service.retire_key(&old).await.unwrap();
        assert_eq!(app.service.refresh_keys().await, None);
        let rows = whole(&app).await;
        assert_eq!(app.another_node().await.verify_audit(None).await, (rows, vec![]), "one of before cannot be verified");
        let names = "SELECT key_id AS t FROM audit_checkpoints ORDER BY n";
        assert_eq!(app.service.texts(names).await, [old, new]);
    }
}

/// By hand: how long a million rows take. `cargo test -p hoody-service --test it a_million_rows -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn a_million_rows() {
    let app = TestApp::sqlite().await;
    app.service.create_user("ada", None, PASSWORD).await;
    app.service
        .tamper(
            "INSERT INTO feed SELECT i, 0, 1772442942118 + i, 'auth.token.created', account_id, 'session', \
             substr(resource_id, 1, 12), 'auth_token', resource_id, '', '{\"alias\":\"token ' || i || '\"}', NULL, NULL \
             FROM feed, (WITH RECURSIVE c(i) AS (VALUES (2) UNION ALL SELECT i + 1 FROM c WHERE i < 1000000) SELECT i FROM c) \
             WHERE pos = 1",
        )
        .await;
    app.service.tamper("UPDATE feed_head SET pos = 1000000").await;
    let began = Instant::now();
    assert_eq!(app.service.seal().await, 1_000_000);
    eprintln!("sealed in {:?}", began.elapsed());
    let began = Instant::now();
    assert_eq!(app.service.verify_audit(None).await, (1_000_000, vec![]));
    eprintln!("verified in {:?}", began.elapsed());
}
