//! An engine that is slow, breaks off, refuses, talks rubbish or is gone, and a hoody that is killed between any two
//! of its calls: nothing is left over, and no row says for long what is not so.

use hoody_core::time::SECOND;
use http::StatusCode;
use serde_json::json;

use crate::engine::Fault;
use crate::stage::{Stage, on_both_stages};
use crate::support::TestApp;

/// The calls of a container that is made.
const CALLS_OF_CREATE: usize = 5;

on_both_stages! {
    async fn a_call_that_fails_twice_is_tried_again(stage: Stage) {
        for (n, (call, fault)) in [
            ("POST /containers/create", Fault::Refused),
            ("POST /containers/create", Fault::Cut),
            ("POST /containers/create", Fault::Rubbish),
            ("DELETE /containers", Fault::Refused),
            ("POST /containers/hoody-", Fault::Refused),
            ("GET /containers/hoody-", Fault::Rubbish),
            ("GET /containers/hoody-", Fault::Slow(300)),
        ].into_iter().enumerate() {
            stage.engine.fail(call, fault, 2);
            let id = stage.create(json!({ "name": format!("web-{n}") })).await;
            stage.until(&id, "running").await;
            stage.engine.heal();
            assert_eq!(stage.engine.container(&format!("hoody-{id}")).unwrap().state, "running", "{call} {fault:?}");
        }
        assert_eq!(stage.engine.containers().len(), 7, "each is there once");
    }

    async fn what_the_engine_refuses_again_and_again_fails_and_leaves_nothing(stage: Stage) {
        stage.engine.fail("POST /containers/hoody-", Fault::Refused, usize::MAX);
        let id = stage.create(json!({ "name": "web" })).await;
        stage.until(&id, "failed").await;
        assert_eq!(stage.show(&id).await["status_reason"], "ENGINE_REFUSED");
        assert_eq!(stage.engine.containers(), []);
        stage.engine.heal();
        stage.ada.delete(&format!("/api/v1/containers/{id}")).await.expect(StatusCode::OK);
        stage.ada.get(&format!("/api/v1/containers/{id}")).await.refused(404, "CONTAINER_NOT_FOUND");
    }

    async fn an_engine_without_limits_makes_nothing(stage: Stage) {
        stage.engine.lose_limits();
        let id = stage.create(json!({ "name": "web" })).await;
        stage.until(&id, "failed").await;
        assert_eq!(stage.show(&id).await["status_reason"], "ENGINE_WITHOUT_LIMITS");
        assert_eq!(stage.engine.containers(), []);
    }

    async fn an_engine_that_is_gone_keeps_nobody_from_reading_and_deleting(stage: Stage) {
        let mut stage = stage;
        let id = stage.running("web").await;
        stage.engine.go_down();
        stage.reconcile().await;
        let refused = stage.ask(json!({ "name": "two" })).await;
        refused.refused(503, "RUNTIME_UNAVAILABLE");
        assert_eq!(refused.headers["retry-after"], "5");
        stage.ada.post(&format!("/api/v1/containers/{id}/stop"), json!({})).await.refused(503, "RUNTIME_UNAVAILABLE");
        let ran = stage.at_terminal(&stage.ada, &id).post("/execute", json!({ "command": "echo a" })).await;
        ran.refused(503, "RUNTIME_UNAVAILABLE");
        let shown = stage.show(&id).await;
        assert_eq!((&shown["status"], &shown["warnings"]), (&json!("running"), &json!(["ENGINE_UNAVAILABLE"])));
        stage.ada.delete(&format!("/api/v1/containers/{id}")).await.expect(StatusCode::OK);
        assert_eq!(stage.show(&id).await["status"], "deleting");
        let listed = stage.ada.get("/api/v1/containers").await;
        assert_eq!(listed.data()["containers"], json!([]), "unless asked for");
        let listed = stage.ada.get("/api/v1/containers?include_deleting=true").await;
        assert_eq!(listed.data()["containers"].as_array().unwrap().len(), 1);
        stage.engine.come_back();
        for _ in 0..400 {
            if stage.engine.containers().is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        assert_eq!(stage.engine.containers(), []);
    }

    async fn an_engine_that_stays_away_lets_a_new_container_fail(stage: Stage) {
        stage.engine.fail("POST /containers/create", Fault::Cut, usize::MAX);
        stage.engine.fail("GET /containers/hoody-", Fault::Cut, usize::MAX);
        let id = stage.create(json!({ "name": "web" })).await;
        stage.engine.until_called(4).await;
        assert_eq!(stage.show(&id).await["status"], "creating");
        stage.app.service.advance(121 * SECOND);
        stage.until(&id, "failed").await;
        assert_eq!(stage.show(&id).await["status_reason"], "ENGINE_UNAVAILABLE");
    }

    async fn a_container_removed_behind_our_back_is_told_and_one_of_nobody_is_removed(stage: Stage) {
        let id = stage.running("web").await;
        let name = format!("hoody-{id}");
        let instance = stage.containers.instance();
        stage.engine.put("somebody-elses", &json!({}));
        let ours = json!({ "hoody.instance": instance, "hoody.server": "local", "hoody.container": "000000000000000000000001" });
        stage.engine.put("hoody-000000000000000000000001", &ours);
        stage.engine.lose(&name);
        stage.reconcile().await;
        let shown = stage.show(&id).await;
        assert_eq!((&shown["status"], &shown["status_reason"]), (&json!("failed"), &json!("CONTAINER_VANISHED")));
        assert_eq!(stage.engine.containers(), [("somebody-elses".to_owned(), "running".to_owned())]);
        let ran = stage.at_terminal(&stage.ada, &id).post("/execute", json!({ "command": "echo a" })).await;
        ran.refused(409, "OPERATION_STATE_CONFLICT");
    }

    async fn a_container_that_ends_by_itself_starts_again_where_it_should(stage: Stage) {
        let (on, off) = (stage.running("starts").await, stage.running("stays").await);
        stage.ada.patch(&format!("/api/v1/containers/{off}"), json!({ "autostart": false })).await.expect(StatusCode::OK);
        for id in [&on, &off] {
            stage.engine.set_state(&format!("hoody-{id}"), "exited");
        }
        stage.reconcile().await;
        assert_eq!(stage.show(&off).await["status"], "stopped");
        stage.until(&on, "running").await;
        // A state of another year says nothing.
        stage.engine.set_state(&format!("hoody-{on}"), "hibernating");
        stage.reconcile().await;
        assert_eq!(stage.show(&on).await["status"], "running");
    }
}

/// Kills the worker at each call that it makes for a new container; the next one finishes what was begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_call_leaves_one_row_and_one_container() {
    let mut stage = Stage::of(TestApp::sqlite().await, true).await;
    for n in 1..=CALLS_OF_CREATE {
        for fault in [Fault::Never, Fault::Slow(50)] {
            let before = stage.engine.count();
            stage.engine.fail("", Fault::Slow(0), n - 1);
            stage.engine.fail("", fault, 1);
            let id = stage.create(json!({ "name": format!("web-{n}-{}", fault == Fault::Never) })).await;
            stage.engine.until_called(before + n).await;
            stage.kill_worker();
            stage.engine.heal();
            stage.start_worker();
            stage.until(&id, "running").await;
            stage.reconcile().await;
            assert_eq!(stage.show(&id).await["status"], "running");
            let names: Vec<_> = stage.engine.containers().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, [format!("hoody-{id}")], "after call {n} {fault:?}");
            stage.ada.delete(&format!("/api/v1/containers/{id}")).await.expect(StatusCode::OK);
            assert_eq!(stage.engine.containers(), [], "after call {n} {fault:?}");
        }
    }
}

/// What is done to a container that has a snapshot, with its calls: `{c}` is the container's path.
const ACTS: [(&str, &str, &[&str]); 4] = [
    ("POST", "/stop", &["POST {c}/stop", "GET {c}/json"]),
    ("POST", "/restart", &["POST {c}/stop", "GET {c}/json", "POST {c}/start"]),
    (
        "PUT",
        "/snapshots/{s}",
        &["GET {c}/json", "DELETE {c}-old", "POST {c}/rename", "POST /containers/create", "POST {c}/start"],
    ),
    ("DELETE", "", &["DELETE {c}", "DELETE {c}-old", "DELETE /images"]),
];

/// Kills the worker at each call that it makes for a container that is there, before the engine does it and after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_call_of_any_act_leaves_what_was_asked_for() {
    let mut stage = Stage::of(TestApp::sqlite().await, true).await;
    for (method, act, calls) in ACTS {
        for call in calls {
            for fault in [Fault::Never, Fault::Cut] {
                let here = format!("{method} {act}: {call} {fault:?}");
                let id = stage.running("web").await;
                let made = stage.ada.post(&format!("/api/v1/containers/{id}/snapshots"), json!({})).await;
                let snapshot = made.data()["snapshot"]["name"].as_str().unwrap().to_owned();
                let call = call.replace("{c}", &format!("/containers/hoody-{id}"));
                let path = format!("/api/v1/containers/{id}{}", act.replace("{s}", &snapshot));
                let before = stage.engine.count_of(&call);
                stage.engine.fail(&call, fault, 1);
                let ada = stage.ada.clone();
                let asked = ada.send(method.parse().unwrap(), &path, Vec::new());
                let killed = async {
                    stage.engine.until_asked(&call, before + 1).await;
                    stage.kill_worker();
                    stage.engine.heal();
                    stage.start_worker();
                };
                let (answer, ()) = tokio::join!(asked, killed);
                answer.expect(StatusCode::OK);
                stage.reconcile().await;
                let left = stage.engine.containers();
                let running = [(format!("hoody-{id}"), "running".to_owned())];
                match act {
                    "" => assert_eq!((left.len(), stage.engine.snapshots().len()), (0, 0), "{here}"),
                    "/stop" => {
                        assert_eq!(left, [(format!("hoody-{id}"), "exited".to_owned())], "{here}");
                        assert_eq!(stage.show(&id).await["status"], "stopped", "{here}");
                    }
                    _ => {
                        assert_eq!(left, running, "{here}");
                        assert_eq!(stage.show(&id).await["status"], "running", "{here}");
                    }
                }
                if act.starts_with("/snapshots") {
                    let image = stage.engine.container(&running[0].0).unwrap().body["Image"].clone();
                    assert!(image.as_str().unwrap().starts_with("sha256:"), "{here}: {image}");
                }
                let gone = stage.ada.delete(&format!("/api/v1/containers/{id}")).await;
                assert_eq!(gone.status == StatusCode::OK, !act.is_empty(), "{here}");
                assert_eq!(stage.engine.containers(), [], "{here}");
            }
        }
    }
}

/// An engine that takes calls and never answers keeps nobody from reading, and what it has is told with a warning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_hangs_is_told_as_one_that_is_gone() {
    let stage = Stage::of(TestApp::sqlite().await, true).await;
    let id = stage.running("web").await;
    stage.engine.fail("", Fault::Never, usize::MAX);
    stage.reconcile().await;
    assert_eq!(stage.show(&id).await["warnings"], json!(["ENGINE_UNAVAILABLE"]));
    stage.ask(json!({ "name": "two" })).await.refused(503, "RUNTIME_UNAVAILABLE");
    stage.engine.heal();
    stage.reconcile().await;
    assert_eq!(stage.show(&id).await["warnings"], json!([]));
}
