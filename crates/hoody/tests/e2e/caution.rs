//! The client where something is in the way: an environment with nothing in it, an output that takes nothing.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{HOODY, Place, Ran, finish};

#[tokio::test]
async fn a_job_needs_two_variables_and_nothing_else() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    let (_, token) = ada.mint(json!({ "permission_template": "full_access" })).await;
    let token = token.credential.unwrap();
    let bare = |arguments: &[&str], home: Option<&str>| {
        let mut command = Command::new(HOODY);
        command.args(arguments).env_clear().env("HOODY_BASE_URL", &server.base);
        home.map(|home| command.env("HOME", home));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let gone = tempfile::tempdir().unwrap();
    for home in [None, Some(""), Some("/dev/null"), Some("/none/at/all")] {
        let mut check = bare(&["auth", "check"], home);
        check.env("HOODY_TOKEN", &token).current_dir(gone.path());
        // Of no concern to it.
        check.env("XDG_CONFIG_HOME", "/none").env("LC_ALL", not_text());
        finish(check, "").await.ended(0);
        finish(bare(&["ip", "get"], home), "").await.ended(0);
        finish(bare(&["auth", "check"], home), "").await.ended(1);
    }
    let mut realm = bare(&["auth", "check"], None);
    realm.env("HOODY_TOKEN", &token).env("HOODY_REALM", not_text());
    finish(realm, "").await.ended(1).saying(&["HOODY_REALM is not text"]);
}

fn not_text() -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(vec![b'x', 0xff])
}

#[tokio::test]
async fn no_token_is_made_that_nobody_can_see() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    let session = ada.credential.clone().unwrap();
    let before = ada.get("/api/v1/auth/tokens").await.body["data"].as_array().unwrap().len();
    let shell = async |line: &str| -> Ran {
        let mut command = place.command("/bin/sh");
        command.args(["-c", line]).env("HOODY", HOODY);
        command.env("HOODY_BASE_URL", &server.base).env("HOODY_TOKEN", &session);
        finish(command, "").await
    };
    for line in [
        "$HOODY auth create --alias lost >&-",
        "$HOODY auth create --alias lost -o json >/dev/full",
        // The reader has gone by the time that the command begins.
        "mkfifo pipe; exec 3<>pipe 4>pipe 3<&-; $HOODY auth create --alias lost >&4",
        "ulimit -f 0; trap '' XFSZ; $HOODY auth create --alias lost >file",
    ] {
        let ran = shell(line).await;
        ran.ended(1).saying(&["nothing was done", "standard output"]);
        let now = ada.get("/api/v1/auth/tokens").await.body["data"].as_array().unwrap().len();
        assert_eq!(now, before, "{line}: {ran:?}");
    }
    assert!(
        shell("$HOODY auth create --alias kept >file; cat file").await.ended(0).stdout.starts_with("hdy_")
    );
    let lost = shell("$HOODY admin invitations create >/dev/full").await;
    lost.ended(1).saying(&["nothing was done", "standard output"]);
    assert!(shell("$HOODY admin invitations list").await.ended(0).stderr.contains("No invitations"));
    shell("$HOODY completions bash >/dev/full").await.ended(1).saying(&["cannot be written"]);
    shell("$HOODY admin users list >/dev/full").await.ended(1).saying(&["cannot be written"]);
}
