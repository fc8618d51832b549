//! Snapshots: taken, listed, restored, renamed, expired, deleted.

use hoody_core::time::DAY;
use http::StatusCode;
use serde_json::{Value, json};

use crate::engine::Fault;
use crate::stage::{Stage, on_both_stages};

async fn taken(stage: &Stage, id: &str, body: Value) -> String {
    let made = stage.ada.post(&format!("/api/v1/containers/{id}/snapshots"), body).await;
    made.expect(StatusCode::CREATED);
    assert_eq!(made.data()["snapshot"]["stateful"], false);
    made.data()["snapshot"]["name"].as_str().unwrap().to_owned()
}

on_both_stages! {
    async fn a_container_goes_back_to_what_it_was(stage: Stage) {
        let id = stage.running("web").await;
        let path = format!("/api/v1/containers/{id}/snapshots");
        let name = taken(&stage, &id, json!({ "alias": "task-7" })).await;
        let listed = stage.ada.get(&path).await;
        assert_eq!((&listed.data()["snapshot_count"], &listed.data()["max_snapshots"]), (&json!(1), &json!(50)));
        let shown = &listed.data()["snapshots"][0];
        assert_eq!((&shown["alias"], &shown["size"], &shown["expires_at"]), (&json!("task-7"), &json!(2_100_000), &Value::Null));
        let before = stage.engine.container(&format!("hoody-{id}")).unwrap().id;

        let restored = stage.ada.put(&format!("{path}/{name}"), json!({})).await;
        restored.expect(StatusCode::OK);
        assert_eq!((&restored.data()["success"], &restored.data()["snapshot"]["name"]), (&json!(true), &json!(name)));
        let after = stage.engine.container(&format!("hoody-{id}")).unwrap();
        assert_ne!(after.id, before);
        assert!(after.body["Image"].as_str().unwrap().starts_with("sha256:"));
        assert_eq!(after.body["Labels"]["hoody.snapshot"], "", "not the image's");
        assert_eq!(stage.engine.containers().len(), 1, "the one before is gone");
        assert_eq!(stage.show(&id).await["last_used_snapshot"], json!(name));

        let renamed = stage.ada.patch(&format!("{path}/{name}/alias"), json!({ "alias": null })).await;
        renamed.expect(StatusCode::OK);
        assert_eq!(renamed.data()["snapshot"]["alias"], Value::Null);
        stage.ada.patch(&format!("{path}/{name}/alias"), json!({})).await.refused(400, "MISSING_REQUIRED_FIELD");
        let deleted = stage.ada.delete(&format!("{path}/{name}")).await;
        assert_eq!(deleted.data()["snapshot_name"], json!(name), "{}", deleted.text);
        assert_eq!(stage.engine.snapshots(), [""; 0]);
        for refused in [stage.ada.delete(&format!("{path}/{name}")).await, stage.ada.put(&format!("{path}/{name}"), json!({})).await] {
            refused.refused(404, "SNAPSHOT_NOT_FOUND");
        }
    }

    async fn a_restore_that_fails_leaves_the_container_as_it_was(stage: Stage) {
        let id = stage.running("web").await;
        let name = taken(&stage, &id, json!({})).await;
        let before = stage.engine.container(&format!("hoody-{id}")).unwrap().id;
        let mut containers = stage.engine.snapshots();
        // The image is gone behind our back.
        let image = containers.pop().unwrap();
        stage.engine.lose_image(&image);
        let restored = stage.ada.put(&format!("/api/v1/containers/{id}/snapshots/{name}"), json!({})).await;
        restored.expect(StatusCode::OK);
        assert_eq!(restored.data()["success"], false, "{}", restored.text);
        let shown = stage.show(&id).await;
        assert_eq!((&shown["status"], &shown["status_reason"]), (&json!("running"), &json!("IMAGE_NOT_FOUND")));
        assert_eq!(stage.engine.container(&format!("hoody-{id}")).unwrap().id, before);
        assert_eq!(stage.engine.containers().len(), 1);
    }

    async fn what_fails_leaves_no_row_and_images_of_nobody_go(stage: Stage) {
        let id = stage.running("web").await;
        let path = format!("/api/v1/containers/{id}/snapshots");
        stage.engine.fail("POST /commit", Fault::Refused, 1);
        stage.ada.post(&path, json!({})).await.refused(409, "OPERATION_STATE_CONFLICT");
        stage.engine.fail("POST /commit", Fault::Cut, 1);
        stage.ada.post(&path, json!({})).await.refused(503, "RUNTIME_UNAVAILABLE");
        assert_eq!(stage.engine.snapshots().len(), 1, "the engine wrote it and could not say so");
        assert_eq!(stage.ada.get(&path).await.data()["snapshots"], json!([]));
        stage.reconcile().await;
        assert_eq!(stage.engine.snapshots(), [""; 0]);
        for bad in [json!({ "expiry": 0 }), json!({ "alias": "x".repeat(101) })] {
            stage.ada.post(&path, bad).await.refused(400, "VALIDATION_ERROR");
        }
    }

    async fn a_snapshot_goes_when_its_time_is_over(stage: Stage) {
        let id = stage.running("web").await;
        let kept = taken(&stage, &id, json!({})).await;
        taken(&stage, &id, json!({ "expiry": 1 })).await;
        stage.app.service.advance(DAY - 1);
        stage.reconcile().await;
        assert_eq!(stage.engine.snapshots().len(), 2);
        stage.app.service.advance(1);
        stage.reconcile().await;
        let left = stage.engine.snapshots();
        assert_eq!(left.len(), 1);
        assert!(left[0].ends_with(&kept));
    }

    async fn they_go_with_their_container(stage: Stage) {
        let id = stage.running("web").await;
        taken(&stage, &id, json!({})).await;
        stage.ada.delete(&format!("/api/v1/containers/{id}")).await.expect(StatusCode::OK);
        assert_eq!((stage.engine.snapshots().len(), stage.engine.containers().len()), (0, 0));
    }
}
