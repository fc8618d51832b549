//! The audit log beside a running server: whole under load and after a crash, and an exit code that tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Place, Ran, WHOLE_MACHINE, eventually, finish, on_both};

const SOON: Duration = Duration::from_secs(20);

async fn verify(place: &Place) -> (Ran, Value) {
    let ran = place.run(&["audit", "verify", "-o", "json"]).await;
    let report = serde_json::from_str(&ran.stdout).unwrap_or_default();
    (ran, report)
}

async fn count(place: &Place, sql: &'static str) -> i64 {
    place.rows::<(i64,)>(sql).await[0].0
}

/// The log as it is exported, a row each.
async fn export(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let ran = place.run(&[&["audit", "export"], arguments].concat()).await;
    ran.ended(0).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

on_both! {
    async fn the_log_is_whole_under_load_and_after_kills(place: Place) {
        let _whole = WHOLE_MACHINE.lock().await;
        let (mut server, ada) = place.serve_ada().await;
        let acknowledged = Arc::new(AtomicI64::new(0));
        for round in 0..3_i64 {
            let is_over = Arc::new(AtomicBool::new(false));
            let writers: Vec<_> = (0..3).map(|writer| {
                let (client, is_over) = (ada.at(&server.base), Arc::clone(&is_over));
                let acknowledged = Arc::clone(&acknowledged);
                tokio::spawn(async move {
                    for number in 0.. {
                        let body = json!({ "alias": format!("{round}-{writer}-{number}") });
                        let Ok(reply) = client.try_send(Method::POST, "/api/v1/auth/tokens", Some(body)).await else { return };
                        if is_over.load(Ordering::SeqCst) || reply.status == StatusCode::CONFLICT {
                            return;
                        }
                        if reply.status == StatusCode::CREATED {
                            acknowledged.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                })
            }).collect();
            let wanted = acknowledged.load(Ordering::SeqCst) + 40;
            eventually("tokens are made", SOON, async || (acknowledged.load(Ordering::SeqCst) >= wanted).then_some(())).await;
            let (ran, report) = verify(&place).await;
            ran.ended(0);
            assert_eq!(report["problems"], json!([]));
            server.kill().await;
            is_over.store(true, Ordering::SeqCst);
            for writer in writers {
                writer.await.unwrap();
            }
            // Before anybody mends anything, and after.
            verify(&place).await.0.ended(0);
            server = place.serve().await;
            eventually("everything is sealed", SOON, async || {
                let head = count(&place, "SELECT pos FROM feed_head").await;
                (count(&place, "SELECT MAX(pos) FROM audit").await == head).then_some(())
            })
            .await;
            let (ran, report) = verify(&place).await;
            ran.ended(0);
            assert_eq!((&report["problems"], &report["unsealed"]), (&json!([]), &json!(0)));
            let told = count(&place, "SELECT COUNT(*) FROM audit WHERE event_type = 'auth.token.created'").await;
            let known = acknowledged.load(Ordering::SeqCst);
            assert!(told >= known, "{known} were acknowledged, {told} are in the log");
            eprintln!("round {round}: {known} acknowledged, {told} in the log, {} rows", report["rows"]);
        }
        server.stop().await;
    }

    /// Whoever can write the database empties the log, changes what the feed says, and lets the server seal it
    /// anew. What the server keeps beside the database does not agree.
    async fn a_log_that_was_emptied_and_sealed_anew_is_found(place: Place) {
        let (server, ada) = place.serve_ada().await;
        ada.mint(json!({ "alias": "ci" })).await;
        eventually("it is sealed", SOON, async || {
            (verify(&place).await.1["unsealed"] == 0).then_some(())
        })
        .await;
        server.stop().await;
        let kept = place.data_dir().join("audit-checkpoint.json");
        let honest = std::fs::read(&kept).unwrap();
        place.execute("DELETE FROM audit").await;
        place.execute("DELETE FROM audit_checkpoints").await;
        place.execute("UPDATE feed SET payload = '{\"alias\":\"forged\"}' WHERE event_type = 'auth.token.created'").await;
        verify(&place).await.0.ended(1).saying(&["the database went back"]);
        let server = place.serve().await;
        server.says("the audit log is not sealed: it does not go on from its").await;
        verify(&place).await.0.ended(1).saying(&["the database went back"]);
        let ready = server.client().get("/readyz").await;
        assert!(ready.text.contains("the audit log is not sealed"), "{}", ready.text);
        assert_eq!(std::fs::read(&kept).unwrap(), honest, "it stays until somebody has looked");
        assert_eq!(count(&place, "SELECT COUNT(*) FROM audit").await, 0, "nothing is signed");
        // The operator accepts it.
        std::fs::remove_file(&kept).unwrap();
        server.says("the audit log is sealed again").await;
        server.stop().await;
        verify(&place).await.0.ended(0);
        assert_ne!(std::fs::read(&kept).unwrap(), honest);
    }

    async fn verify_ends_with_1_when_something_is_wrong_and_export_shows_all(place: Place) {
        let (server, ada) = place.serve_ada().await;
        ada.mint(json!({ "alias": "ci" })).await;
        eventually("it is sealed", SOON, async || {
            (verify(&place).await.1["unsealed"] == 0).then_some(())
        })
        .await;
        let handed_out = place.run(&["audit", "checkpoint"]).await;
        std::fs::write(place.path("monday.json"), &handed_out.ended(0).stdout).unwrap();
        let given = ["admin", "audit", "verify", "--checkpoint", "monday.json"];
        let whole = place.run(&given).await;
        assert!(whole.ended(0).stdout.contains("whole"), "{whole:?}");

        let rows = export(&place, &[]).await;
        assert_eq!(rows.iter().map(|row| row["row"].as_i64().unwrap()).collect::<Vec<_>>(), (1..=i64::try_from(rows.len()).unwrap()).collect::<Vec<_>>());
        let minted = rows.iter().find(|row| row["event_type"] == "auth.token.created").unwrap();
        assert_eq!((&minted["payload"]["alias"], &minted["actor_type"]), (&json!("ci"), &json!("session")));
        assert_eq!(export(&place, &["--since", "1h", "-o", "ndjson"]).await, rows);
        assert_eq!(export(&place, &["--until", "2026-01-01", "-o", "raw"]).await, Vec::<Value>::new());
        place.run(&["audit", "export", "--since", "yesterday"]).await.ended(2).saying(&["--since", "yesterday"]);
        place.run(&["audit", "export", "--since", "1h", "--until", "2h"]).await.ended(2).saying(&["--since", "--until"]);
        place.run(&["audit", "export", "-o", "yaml"]).await.ended(2);
        let pretty = place.run(&["audit", "export", "-o", "pretty"]).await;
        assert!(pretty.ended(0).stdout.contains("\n  \"row\": 1"), "{pretty:?}");

        // The chain can be followed without hoody.
        let log = place.run(&["audit", "export"]).await.stdout;
        let follow = async |log: &str| {
            let mut python = place.command("python3");
            python.args([concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides/audit.py"), "monday.json"]);
            finish(python, log).await
        };
        assert_eq!(follow(&log).await.ended(0).stdout, format!("whole: {} rows\n", rows.len()));
        follow(&log.replacen("\"ci\"", "\"no\"", 1)).await.ended(1).saying(&["is not as it was sealed"]);
        let cut = log.lines().next().unwrap().to_owned() + "\n";
        follow(&cut).await.ended(1).saying(&["1 rows are there"]);

        let changed = handed_out.stdout.replace("\"rows\": ", "\"rows\": 1");
        std::fs::write(place.path("changed.json"), changed).unwrap();
        place.run(&["audit", "verify", "--checkpoint", "changed.json"]).await.ended(1).saying(&["was changed"]);
        std::fs::write(place.path("none.json"), "{}").unwrap();
        place.run(&["audit", "verify", "--checkpoint", "none.json"]).await.ended(1).saying(&["none.json"]);
        place.run(&["audit", "verify", "--checkpoint", "nowhere.json"]).await.ended(1).saying(&["nowhere.json"]);
        place.run(&["audit", "verify", "--what"]).await.ended(2);

        place.execute("UPDATE audit SET payload = '{\"alias\":\"another\"}' WHERE n = 3").await;
        let (ran, report) = verify(&place).await;
        ran.ended(1).saying(&["row 3", "was changed", "not as it was sealed"]);
        assert_eq!(report["problems"][0]["row"], 3);
        server.stop().await;
    }
}
