//! What the command line owes to whoever types: a question before much is gone, errors that help, and
//! every spelling that it promises.

use super::*;

const OTHER_ID: &str = "65a1b2c3d4e5f60718293a4c";
const BAD_ID: &str = "65a1b2c3d4e5f60718293abd";

fn parsed(line: &[&str]) -> Result<(ClientCommand, ClientFlags), clap::Error> {
    let words: Vec<_> = ["hoody"].iter().chain(line).map(OsString::from).collect();
    parse_all(&words)
}

#[tokio::test]
async fn what_is_not_named_by_its_id_is_deleted_only_with_a_yes() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    for line in [
        &["events", "bulk-delete"][..],
        &["events", "bulk-delete", "--resource-type", "project"],
        &["events", "cleanup", "--retention-days", "30"],
    ] {
        let before = stage.seen().len();
        let run = desk.run(line).await;
        assert!(run.code == 6 && run.err.contains("--yes"), "{line:?}: {run:?}");
        assert_eq!(stage.seen().len(), before, "{line:?} asked the server");
        let run = desk.run(&[line, &["--yes"]].concat()).await;
        assert_eq!((run.code, run.out.as_str()), (0, "Deleted 2 events.\n"), "{line:?}: {run:?}");
    }
    // An id says what is meant.
    assert_eq!(desk.run(&["events", "delete", TOKEN_ID]).await.code, 0);
}

#[tokio::test]
async fn one_alert_that_fails_does_not_keep_the_others() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    for (verb, done) in [("acknowledge", "Acknowledged"), ("dismiss", "Dismissed")] {
        let run = desk.run(&["alerts", verb, BAD_ID, TOKEN_ID, OTHER_ID]).await;
        assert_eq!(run.code, 1, "{run:?}");
        assert_eq!(run.out, format!("{done} alert {TOKEN_ID}.\n{done} alert {OTHER_ID}.\n"));
        assert!(run.err.contains(BAD_ID) && run.err.contains("ALERT_NOT_FOUND"), "{run:?}");
        assert!(!run.err.contains(TOKEN_ID) && !run.err.contains(OTHER_ID), "{run:?}");
        assert_eq!(desk.run(&["alerts", verb, TOKEN_ID]).await.code, 0);
    }
    // What no id would mend ends it at once.
    let asked = stage.seen().len();
    let run =
        Desk::at(&address).with("HOODY_TOKEN", "hdy_bad").run(&["alerts", "ack", BAD_ID, TOKEN_ID]).await;
    assert!(run.code == 1 && run.err.contains("INVALID_TOKEN"), "{run:?}");
    assert_eq!(stage.seen().len(), asked + 1);
}

#[test]
fn the_end_of_a_mute_is_an_instant_or_never() {
    for good in ["never", "2026-04-01", "2026-04-01T12:00:00Z"] {
        assert!(parsed(&["alerts", "set", "refusal_burst", "--muted-until", good]).is_ok(), "{good}");
    }
    for bad in ["none", "tomorrow", ""] {
        let error =
            parsed(&["alerts", "set", "refusal_burst", "--muted-until", bad]).unwrap_err().to_string();
        for word in ["--muted-until", "2026-04-01", "`never`"] {
            assert!(error.contains(word), "{bad}: {error}");
        }
    }
}

#[tokio::test]
async fn a_webhook_gets_everything_again() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let both = ["507f1f77bcf86cd799439012", "507f1f77bcf86cd799439013"];
    for (flags, sent) in [
        (&["--realm-id", "all"][..], json!({"realm_ids": []})),
        (&["--realm-id", ""], json!({"realm_ids": []})),
        (&["--realm-id", both[0], "--realm-id", both[1]], json!({"realm_ids": both})),
        (&["--realm-id", &both.join(",")], json!({"realm_ids": both})),
        (&["--event-type", "all"], json!({"event_types": []})),
        (&["--event-type", ""], json!({"event_types": []})),
        (
            &["--event-type", "auth.token.*,user.banned"],
            json!({"event_types": ["auth.token.*", "user.banned"]}),
        ),
        (&["--enabled", "true"], json!({"is_enabled": true})),
    ] {
        let run = desk.run(&[&["webhooks", "update", TOKEN_ID], flags].concat()).await;
        assert_eq!(run.code, 0, "{flags:?}: {run:?}");
        assert_eq!(stage.seen().last().unwrap().0, sent.to_string(), "{flags:?}");
    }
    // Beside others it would not mean all.
    let asked = stage.seen().len();
    for flags in [["--event-type", "all,user.banned"], ["--realm-id", "all,507f1f77bcf86cd799439012"]] {
        let run = desk.run(&[&["webhooks", "update", TOKEN_ID], &flags[..]].concat()).await;
        assert!(run.code == 1 && run.err.contains(flags[0]) && run.err.contains("`all`"), "{run:?}");
    }
    assert_eq!(stage.seen().len(), asked);
    assert!(parsed(&["webhooks", "update", TOKEN_ID, "--realm-id", "x"]).is_err());
}

#[tokio::test]
async fn errors_only_takes_a_word_or_none() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    for (flags, sent) in [
        (&["--errors-only"][..], "errors_only=true"),
        (&["--errors-only", "-o", "json"], "errors_only=true"),
        (&["--errors-only", "true"], "errors_only=true"),
        (&["--errors-only=true"], "errors_only=true"),
        (&["--errors-only", "false"], ""),
        (&["--errors-only=false"], ""),
        (&[], ""),
    ] {
        let run = desk.run(&[&["activity", "logs"], flags].concat()).await;
        assert_eq!(run.code, 0, "{flags:?}: {run:?}");
        assert_eq!(stage.seen().last().unwrap().0, sent, "{flags:?}");
    }
}

#[tokio::test]
async fn a_stream_has_the_forms_of_the_contract() {
    let (_stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let tail = async |format: &str| desk.run(&["events", "tail", "--count", "2", "-o", format]).await;
    for format in ["ndjson", "raw", "json"] {
        let run = tail(format).await;
        assert_eq!(run.code, 0, "{format}: {run:?}");
        let types: Vec<_> =
            run.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
        assert_eq!((types.len(), &types[0]["event_type"]), (2, &json!("user.banned")), "{format}: {run:?}");
    }
    let run = tail("pretty").await;
    assert!(run.code == 0 && run.out.starts_with("{\n  \"id\""), "{run:?}");
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(&run.out).into_iter().collect();
    assert_eq!(values.unwrap().len(), 2);
    let run = tail("yaml").await;
    assert!(run.out.starts_with("---\nid:") && run.out.matches("---\n").count() == 2, "{run:?}");
    assert_eq!(tail("table").await.out.lines().count(), 2);
    assert!(parsed(&["events", "tail", "-o", "xml"]).is_err());
}

/// One text of 64 in base64url begins with a hyphen.
#[test]
fn a_cursor_or_a_challenge_may_look_like_a_flag() {
    for text in ["--Tjn_Cx78", "-x"] {
        for line in [
            &["events", "tail", "--after", text, "--count", "1"][..],
            &["auth", "login", "--response-mode", "intent", "--code-challenge", text],
            &["auth", "email", "verify", "--response-mode", "intent", "--code-challenge", text],
        ] {
            let error = parsed(line).err().map(|error| error.to_string());
            assert_eq!(error, None, "{line:?}");
        }
    }
}

#[tokio::test]
async fn the_forms_of_streams_also_show_what_ends() {
    let (_stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let run = desk.run(&["auth", "list", "-o", "ndjson"]).await;
    assert_eq!(run.out.lines().count(), 1, "{run:?}");
    assert_eq!(serde_json::from_str::<Value>(&run.out).unwrap()["id"], TOKEN_ID);
    let json = desk.run(&["auth", "list", "-o", "json"]).await.out;
    assert_eq!(desk.run(&["auth", "list", "-o", "pretty"]).await.out, json);
    // The secret is in the data, not beside it.
    let run = desk.run(&["auth", "create", "--permission", "projects.read", "-o", "ndjson"]).await;
    assert_eq!(serde_json::from_str::<Value>(&run.out).unwrap()["token"], "hdy_made");
}

#[tokio::test]
async fn a_wrong_address_is_said_once_and_where_it_comes_from() {
    let desk = Desk::at("http://127.0.0.1:9");
    let run = desk.run(&["ip", "get", "--base-url", "nonsense"]).await;
    assert_eq!(run.code, 1);
    assert_eq!(run.err.matches("not an address").count(), 1, "{run:?}");
    assert!(run.err.contains("\"nonsense\"") && run.err.contains("HOODY_BASE_URL"), "{run:?}");
}
