//! What the command line does where something is in the way: a disk without room, a clock that is wrong, an
//! output that nobody reads, input that is not there or not what it should be.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::*;

/// A standard output that takes nothing.
struct Refusing(ErrorKind);

impl io::Write for Refusing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Desk {
    fn file(&self) -> PathBuf {
        self.home.path().join(".hoody/config.json")
    }

    /// Puts values into the stored session.
    fn set(&self, values: &[(&str, Value)]) {
        let mut config = self.config();
        for (key, value) in values {
            config[*key] = value.clone();
        }
        fs::write(self.file(), config.to_string()).unwrap();
    }

    /// A session whose end has come, by what is stored of it.
    async fn with_old_session(address: &str) -> Self {
        let desk = Self::at(address);
        assert_eq!(desk.run(&LOGIN).await.code, 0);
        desk.set(&[("expiresAt", json!("2001-01-01T00:00:00.000Z"))]);
        desk
    }

    /// As on a full disk: no file can be made in the place of the next one.
    fn fill(&self) {
        fs::create_dir(self.home.path().join(".hoody/config.json.new")).unwrap();
    }

    fn empty(&self) {
        fs::remove_dir(self.home.path().join(".hoody/config.json.new")).unwrap();
    }
}

#[tokio::test]
async fn a_refresh_ahead_of_the_end_that_fails_ends_nothing_while_the_session_works() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::with_old_session(&address).await;
    for (status, code) in [(429, "RATE_LIMIT_EXCEEDED"), (503, ""), (503, "OUTCOME_UNKNOWN"), (500, "")] {
        *stage.refuses_refresh.lock().unwrap() = Some((StatusCode::from_u16(status).unwrap(), code));
        let run = desk.run(&["projects", "list"]).await;
        assert!(run.code == 0 && run.err.contains("Going on with the session as it is"), "{status}: {run:?}");
    }
    // Over in truth: the failure is what is said, and the session is kept for later.
    desk.set(&[("token", json!("stale"))]);
    let run = desk.run(&["projects", "list"]).await;
    assert!(run.code == 1 && run.err.contains("error: the session could not be refreshed"), "{run:?}");
    assert_eq!(desk.config()["refreshToken"], "refresh-0");
    *stage.refuses_refresh.lock().unwrap() = None;
    assert_eq!(desk.run(&["projects", "list"]).await.code, 0);
    assert_eq!(desk.config()["refreshToken"], "refresh-1");
}

#[tokio::test]
async fn a_refresh_is_not_asked_for_without_room_for_its_answer() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::with_old_session(&address).await;
    desk.fill();
    let run = desk.run(&["projects", "list"]).await;
    assert!(run.code == 0 && run.err.contains("cannot save the configuration"), "{run:?}");
    assert_eq!(desk.run(&["auth", "refresh"]).await.code, 3);
    desk.set(&[("token", json!("stale"))]);
    let run = desk.run(&["projects", "list"]).await;
    assert!(run.code == 3 && run.err.contains("cannot save the configuration"), "{run:?}");
    assert_eq!(stage.refreshes.load(Ordering::SeqCst), 0, "the pair is not used up");
    desk.empty();
    assert_eq!(desk.run(&["projects", "list"]).await.code, 0);
    assert_eq!((stage.refreshes.load(Ordering::SeqCst), &desk.config()["token"]), (1, &json!("access-1")));
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_begun() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    // A file where the directory should be.
    fs::write(desk.home.path().join(".hoody"), "").unwrap();
    let verify = ["auth", "2fa", "verify", "--temp-token", "temp.to.ken", "--code", "123456"];
    let refresh = ["auth", "refresh", "--refresh-token", "refresh-0"];
    for line in [&LOGIN[..], &verify, &refresh] {
        let run = desk.run(line).await;
        assert!(run.code == 3 && run.err.contains("cannot save"), "{line:?}: {run:?}");
    }
    assert_eq!(stage.seen(), []);
    for line in [&LOGIN[..], &verify, &refresh] {
        let run = desk.run(&[line, &["--no-save", "-o", "json"]].concat()).await;
        assert!(run.code == 0 && run.out.contains("\"token\""), "{line:?}: {run:?}");
    }
}

#[tokio::test]
async fn nothing_of_the_file_is_asked_for_where_nothing_of_it_is_needed() {
    let (_, address) = Stage::open().await;
    let nothing_there = |home: &'static str| Desk::at(&address).with("HOME", home);
    // No home at all, one that is a file, and a configuration that is a directory.
    let odd = Desk::at(&address);
    fs::create_dir_all(odd.file()).unwrap();
    for desk in [nothing_there(""), nothing_there("/dev/null"), odd] {
        let run = desk.run(&["ip", "get"]).await;
        assert_eq!(run.code, 0, "{run:?}");
        let run = desk.run(&["projects", "list", "--token", "hdy_good"]).await;
        assert_eq!(run.code, 0, "{run:?}");
        let run = desk.run(&["auth", "login", "-u", "ada", "-p", "correct horse", "--no-save"]).await;
        assert_eq!(run.code, 0, "{run:?}");
        // Here something of it is.
        let run = desk.run(&["projects", "list"]).await;
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.err.contains("cannot read") || run.err.contains("not signed in"), "{run:?}");
        let run = desk.run(&["config", "set", "quiet", "true"]).await;
        assert_eq!(run.code != 0, !run.err.is_empty(), "{run:?}");
        assert!(run.code != 0, "{run:?}");
        let run = desk.run(&["projects", "list", "--token", "hdy_good", "--profile", "work"]).await;
        assert_ne!(run.code, 0, "{run:?}");
    }
    let run = nothing_there("").run(&LOGIN).await;
    assert!(run.code == 3 && run.err.contains("HOME") && run.err.contains("--config"), "{run:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_can_be_corrected() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address);
    assert_eq!(desk.run(&LOGIN).await.code, 0);
    desk.set(&[("realm", json!(5)), ("headers", json!({"x": 1}))]);
    let run = desk.run(&["projects", "list"]).await;
    assert!(run.code == 1 && run.err.contains("realm (from file) must be text"), "{run:?}");
    assert_eq!(desk.run(&["config", "set", "realm", REALM]).await.code, 0);
    assert_eq!(desk.run(&["config", "unset", "headers"]).await.code, 0);
    assert_eq!(desk.run(&["projects", "list"]).await.code, 0);
}

#[tokio::test]
async fn a_token_that_cannot_be_one_is_not_sent() {
    let (stage, address) = Stage::open().await;
    for bad in [
        "\"hdy_good\"",
        "'hdy_good'",
        "Bearer hdy_good",
        "hdy_good\\n",
        "hdy_\u{200b}good",
        "hdy_\ngood",
        " ",
    ] {
        let desk = Desk::at(&address).with("HOODY_TOKEN", bad);
        let run = desk.run(&["projects", "list"]).await;
        assert!(
            run.code == 1 && run.err.contains("HOODY_TOKEN does not look like a token"),
            "{bad:?}: {run:?}"
        );
        let flag = Desk::at(&address);
        let run = flag.run(&["projects", "list", "--token", bad]).await;
        assert!(run.code == 1 && run.err.contains("--token does not look like a token"), "{bad:?}: {run:?}");
        let file = flag.home.path().join("token");
        fs::write(&file, bad).unwrap();
        let run = flag.run(&["login", "--token-file", file.to_str().unwrap()]).await;
        // A file's first line alone is the token.
        assert!(
            run.code == 1 && !run.err.contains("INVALID_TOKEN") || bad.contains('\n'),
            "{bad:?}: {run:?}"
        );
        assert!(!run.err.contains("good"), "{run:?}");
        // Not needed, not looked at.
        assert_eq!(desk.run(&["config", "path"]).await.code, 0);
    }
    assert!(stage.seen().iter().all(|(route, _)| route == "GET /api/v1/users/auth/me"), "{:?}", stage.seen());
    for good in ["hdy_good\r", "hdy_good\r\n", " hdy_good \n", "\u{feff}hdy_good"] {
        assert_eq!(Desk::at(&address).with("HOODY_TOKEN", good).run(&["projects", "list"]).await.code, 0);
        assert_eq!(Desk::at(&address).run(&["projects", "list", "--token", good]).await.code, 0, "{good:?}");
    }
}

#[tokio::test]
async fn a_secret_is_read_by_one_rule_wherever_it_is_from() {
    let (_, address) = Stage::open().await;
    for text in ["correct horse", "correct horse\n", "correct horse\r\n", "\u{feff}correct horse\r\n"] {
        let desk = Desk::at(&address);
        let file = desk.home.path().join("password");
        fs::write(&file, text).unwrap();
        let run = desk.run(&["login", "-u", "ada", "--password-file", file.to_str().unwrap()]).await;
        assert_eq!(run.code, 0, "{text:?}: {run:?}");
        assert_eq!(desk.run(&["login", "-u", "ada", "--password", text]).await.code, 0, "{text:?}");
        let desk = Desk::at(&address).with("HOODY_PASSWORD", text);
        assert_eq!(desk.run(&["login", "-u", "ada"]).await.code, 0, "{text:?}");
    }
    // Blanks are part of a password.
    let desk = Desk::at(&address).with("HOODY_PASSWORD", " correct horse");
    assert_eq!(desk.run(&["login", "-u", "ada"]).await.code, 1);
}

#[tokio::test]
async fn what_is_shown_once_and_could_not_be_is_taken_back_or_told_of() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    for kind in [ErrorKind::BrokenPipe, ErrorKind::StorageFull] {
        for line in [&["auth", "create"][..], &["auth", "create", "-o", "json"], &["auth", "copy", TOKEN_ID]]
        {
            let run = desk.run_into(line, &|| Box::new(Refusing(kind))).await;
            assert!(run.code == 1 && run.err.contains("was deleted again"), "{line:?}: {run:?}");
            assert!(run.err.contains(TOKEN_ID) && !run.err.contains("hdy_made"), "{run:?}");
            assert_eq!(stage.seen().last().unwrap().0, format!("DELETE /api/v1/auth/tokens/{TOKEN_ID}"));
        }
        let create = ["webhooks", "create", "--url", "https://example.com/"];
        let run = desk.run_into(&create, &|| Box::new(Refusing(kind))).await;
        assert!(run.code == 1 && run.err.contains("was deleted again"), "{run:?}");
        assert_eq!(stage.seen().last().unwrap().0, format!("DELETE /api/v1/webhooks/{TOKEN_ID}"));
        let run = desk.run_into(&["webhooks", "rotate-secret", TOKEN_ID], &|| Box::new(Refusing(kind))).await;
        assert!(
            run.code == 1 && run.err.contains("has a new secret") && run.err.contains(TOKEN_ID),
            "{run:?}"
        );
        let regenerate = ["auth", "2fa", "regenerate", "--password", "x", "--code", "123456", "--yes"];
        let run = desk.run_into(&regenerate, &|| Box::new(Refusing(kind))).await;
        assert!(run.code == 1 && run.err.contains("the old ones open nothing any more"), "{run:?}");
        let no_save = [&LOGIN[..], &["--no-save", "--print-token"]].concat();
        let run = desk.run_into(&no_save, &|| Box::new(Refusing(kind))).await;
        assert!(run.code == 1 && run.err.contains("could not be shown"), "{run:?}");
    }
    // What is there to be read again may be lost: a reader that goes away is no error.
    let run = desk.run_into(&["auth", "list"], &|| Box::new(Refusing(ErrorKind::BrokenPipe))).await;
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let run =
        desk.run_into(&["auth", "delete", TOKEN_ID], &|| Box::new(Refusing(ErrorKind::StorageFull))).await;
    assert!(run.code == 1 && run.err.contains("the command was carried out"), "{run:?}");
}

#[tokio::test]
async fn an_outcome_that_is_unknown_says_to_look_first() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let run = desk.run(&["projects", "create", "--alias", "lost"]).await;
    assert!(
        run.code == 1 && run.err.contains("OUTCOME_UNKNOWN") && run.err.contains("look before"),
        "{run:?}"
    );
    let asked = stage.seen().iter().filter(|(route, _)| route == "POST /api/v1/projects").count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_lifetime_is_reckoned_by_the_servers_clock() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    assert_eq!(desk.run(&["auth", "update", "ci", "--expires-in", "2h"]).await.code, 0);
    let seen = stage.seen();
    let sent = seen.iter().find(|(note, _)| note.starts_with("expires_at")).unwrap();
    // The server of these tests says that it is 15:00.
    assert_eq!(sent.1, "\"2025-11-09T17:00:00.000Z\"");
}

#[tokio::test]
async fn a_servers_words_make_no_lines_and_no_commands() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let run = desk.run(&["projects", "create", "--alias", "hostile"]).await;
    assert!(run.err.contains(r"no\u{1b}[2J\u{a}hint: run this\u{202e}"), "{run:?}");
    assert!(!run.err.contains(|c: char| hoody_core::names::changes_display(c) && c != '\n'), "{run:?}");
    assert!(!run.err.contains("\nhint: run this"), "{run:?}");
}

#[tokio::test]
async fn an_address_says_what_is_wrong_with_it_and_no_secret() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address);
    assert_eq!(desk.run(&["ip", "get", "--base-url", &format!("{address}/api/v1/")]).await.code, 0);
    for extra in ["?token=canary", "#canary"] {
        let run = desk.run(&["ip", "get", "--base-url", &format!("{address}/{extra}")]).await;
        assert!(run.code == 1 && run.err.contains("no query") && !run.err.contains("canary"), "{run:?}");
    }
    let with_user = address.replace("http://", "http://ada:canary@");
    let run = desk.run(&["ip", "get", "--base-url", &with_user]).await;
    assert!(run.code == 1 && run.err.contains("no password") && !run.err.contains("canary"), "{run:?}");
}
