//! What the client asks of a person at a terminal, answered as a person does: a question is waited for,
//! then something is typed.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use reqwest::StatusCode;
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use serde_json::{Value, json};

use crate::browser::protect;
use crate::support::{Guarded, PASSWORD, PATIENCE, Place, Server, eventually, http};

/// A command at a terminal of its own. What it prints on standard output is kept apart, as a pipe would.
struct Terminal {
    child: Guarded,
    keyboard: File,
    screen: Arc<Mutex<String>>,
    /// How much of the screen has been read.
    read: usize,
}

impl Terminal {
    fn start(command: Command) -> Self {
        Self::with(command, |command, _| command)
    }

    /// The same with standard output on the terminal, too.
    fn start_whole(command: Command) -> Self {
        Self::with(command, |command, line| command.stdout(line))
    }

    fn with(mut command: Command, more: fn(&mut Command, Stdio) -> &mut Command) -> Self {
        let keyboard = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::pty::grantpt(&keyboard).unwrap();
        rustix::pty::unlockpt(&keyboard).unwrap();
        let name = rustix::pty::ptsname(&keyboard, Vec::new()).unwrap();
        let line = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        more(&mut command, Stdio::from(line.try_clone().unwrap()));
        command.stdin(Stdio::from(line.try_clone().unwrap())).stderr(Stdio::from(line));
        let child = Guarded(Some(command.spawn().unwrap()));
        // The command holds the line's other end: with it alone the screen ends when the command does.
        drop(command);
        let keyboard = File::from(keyboard);
        let screen = Arc::new(Mutex::new(String::new()));
        let (to, mut from) = (Arc::clone(&screen), keyboard.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        Self { child, keyboard, screen, read: 0 }
    }

    /// `hoody` with these arguments, at this server.
    fn hoody(place: &Place, server: &Server, arguments: &[&str]) -> Self {
        let mut command = place.hoody(arguments);
        command.env("HOODY_BASE_URL", &server.base);
        Self::start(command)
    }

    fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// Waits until this is on the screen, after all that was waited for before.
    async fn shows(&mut self, text: &str) {
        let found = eventually(text, PATIENCE, async || {
            let screen = self.screen();
            screen[self.read..].find(text).map(|at| self.read + at + text.len())
        });
        self.read = found.await;
    }

    /// Types what is not shown, once the command has stopped the echo: what is typed before that is thrown away.
    async fn types_hidden(&mut self, text: &str) {
        eventually("the echo is off", PATIENCE, async || {
            let modes = rustix::termios::tcgetattr(&self.keyboard).unwrap().local_modes;
            (!modes.contains(rustix::termios::LocalModes::ECHO)).then_some(())
        })
        .await;
        self.types(text);
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    /// Waits for its end: the exit code, and what it printed on standard output.
    async fn ended(mut self) -> (i32, String, String) {
        let child = &mut self.child.0;
        eventually("the command ends", PATIENCE, async || child.as_mut()?.try_wait().unwrap()).await;
        let output = self.child.0.take().unwrap().wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), self.screen())
    }
}

/// Cancels, colours, moves, retitles, turns around, hides.
const HOSTILE: &str =
    "a\u{1b}]0;x\u{7}\u{1b}[2J\u{9b}31m\u{7f}\u{8}\u{202e}\u{2066}\u{200b}\u{feff}\u{ad}\u{e0041}z";

/// What a terminal obeys, and what makes a text read as another. A terminal's own line ends are none.
fn is_hostile(c: char) -> bool {
    c != '\r' && c != '\n' && (c.is_control() || HOSTILE.contains(c) && !c.is_ascii())
}

/// Text of others, at a terminal and through a pipe: in the vault, the request log and the server's errors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_others_wrote_steers_the_terminal() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    let (_, token) = ada.mint(json!({ "vault_access": true, "permission_template": "full_access" })).await;
    let token = token.credential.unwrap();
    let hoody = |arguments: &[&str]| {
        let mut command = place.hoody(arguments);
        // Its own colours are none of others.
        command.env("HOODY_BASE_URL", &server.base).env("HOODY_TOKEN", &token).env("NO_COLOR", "1");
        command
    };
    let meta = json!({ "by": HOSTILE }).to_string();
    let set = ["vault", "set", "k", "--value", HOSTILE, "--metadata", &meta];
    crate::support::finish(hoody(&set), "").await.ended(0);
    let agent = "x\u{202e}\u{9b}y";
    let ask = http().build().unwrap();
    let asked = ask.get(format!("{}/api/v1/projects", server.base)).bearer_auth(&token);
    let header = reqwest::header::HeaderValue::from_bytes(agent.as_bytes()).unwrap();
    asked.header("user-agent", header).send().await.unwrap();

    for format in ["table", "wide", "raw", "json", "pretty", "yaml", "ndjson"] {
        for arguments in [
            &["vault", "get", "k"][..],
            &["vault", "list"],
            &["activity", "logs"],
            &["vault", "get", "\u{202e}"],
            &["auth", "get", HOSTILE],
        ] {
            let command = hoody(&[arguments, &["-o", format]].concat());
            let (_, _, screen) = Terminal::start_whole(command).ended().await;
            assert!(!screen.contains(is_hostile), "{arguments:?} {format}: {screen:?}");
        }
        let piped = crate::support::finish(hoody(&["vault", "get", "k", "-o", format]), "").await;
        let value = match format {
            "table" | "wide" => piped.ended(0).stdout.strip_suffix('\n').unwrap().to_owned(),
            "raw" => piped.ended(0).stdout.clone(),
            "yaml" => continue,
            _ => serde_json::from_str::<Value>(&piped.ended(0).stdout).unwrap()["value"]
                .as_str()
                .unwrap()
                .to_owned(),
        };
        assert_eq!(value, HOSTILE, "{format}: through a pipe it is exact");
    }
    let (_, _, screen) = Terminal::start_whole(hoody(&["vault", "get", "k"])).ended().await;
    assert!(screen.contains(r"a\u{1b}]0;x\u{7}") && screen.contains("exact bytes"), "{screen}");
}

const HOW: &str = "How do you want to sign in to";
const WHICH: &str = "1 to 3: ";

fn stored(place: &Place) -> Value {
    let Ok(text) = std::fs::read_to_string(place.path(".hoody/config.json")) else { return Value::Null };
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn login_asks_how_and_takes_a_name_and_a_password() {
    let place = Place::sqlite();
    let (server, _) = place.serve_ada().await;
    let mut login = Terminal::hoody(&place, &server, &["login"]);
    login.shows(HOW).await;
    login.shows("2  with a name and a password").await;
    login.shows(WHICH).await;
    login.types("2");
    login.shows("Username or e-mail: ").await;
    login.types("ada");
    login.shows("Password").await;
    login.types_hidden(PASSWORD).await;
    let (code, out, screen) = login.ended().await;
    assert_eq!((code, out.as_str()), (0, format!("Signed in to {} as ada.\n", server.base).as_str()));
    assert!(!screen.contains(PASSWORD), "{screen}");
    let session = stored(&place)["token"].as_str().unwrap().to_owned();
    server.client().with(&session).check().await.expect(StatusCode::NO_CONTENT);

    // Signed in once, the next time is asked again: it may be in another way.
    let mut login = Terminal::hoody(&place, &server, &["login"]);
    login.shows(WHICH).await;
}

#[tokio::test]
async fn login_asks_how_and_takes_a_token() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    let (_, token) = ada.mint(json!({ "permissions": { "projects": { "read": true } } })).await;
    let token = token.credential.unwrap();
    let mut login = Terminal::hoody(&place, &server, &["login"]);
    login.shows("3  with an hdy_ token").await;
    login.shows(WHICH).await;
    login.types(" 3 ");
    login.shows("Token").await;
    login.types_hidden(&token).await;
    let (code, out, screen) = login.ended().await;
    assert_eq!((code, out.as_str()), (0, format!("Using a token of ada at {}.\n", server.base).as_str()));
    assert!(!screen.contains(&token), "{screen}");
    assert_eq!(stored(&place)["token"], token);

    let mut login = Terminal::hoody(&place, &server, &["login"]);
    login.shows(WHICH).await;
    login.types("3");
    login.shows("Token").await;
    login.types_hidden("hdy_nobody").await;
    let (code, _, screen) = login.ended().await;
    assert!(code == 1 && screen.contains("INVALID_TOKEN"), "{code} {screen}");
    assert_eq!(stored(&place)["token"], token, "what is stored is not replaced by what does not work");
}

#[tokio::test]
async fn login_asks_how_and_waits_for_a_browser() {
    let place = Place::sqlite();
    let (server, _) = place.serve_ada().await;
    let mut login = Terminal::hoody(&place, &server, &["login"]);
    login.shows("1  with a browser, here or on any machine").await;
    login.shows(WHICH).await;
    login.types("1");
    login.shows("with the code ").await;
    let code = login.screen()[login.read..][..9].to_owned();
    approve(&server, &code).await;
    let (code, out, _) = login.ended().await;
    assert_eq!((code, out.as_str()), (0, format!("Signed in to {} as ada.\n", server.base).as_str()));
    let session = stored(&place)["token"].as_str().unwrap().to_owned();
    server.client().with(&session).check().await.expect(StatusCode::NO_CONTENT);
}

/// What the page of the device flow does for `ada`.
async fn approve(server: &Server, code: &str) {
    let http = http().build().unwrap();
    let post = async |path: &str, body: Value, cookie: &str| {
        let request = http.post(format!("{}/api/v1/auth/device/{path}", server.base)).json(&body);
        request.header("cookie", cookie).send().await.unwrap()
    };
    let page = post("verify_code", json!({ "user_code": code }), "").await;
    let cookie = page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page: Value = serde_json::from_str(&page.text().await.unwrap()).unwrap();
    let ticket = &page["data"]["device_verify_ticket"];
    let body = json!({ "ticket": ticket, "username": "ada", "password": PASSWORD });
    let answer = post("login", body, &cookie).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn login_asks_again_what_it_does_not_know_and_takes_silence_for_no() {
    let place = Place::sqlite();
    let (server, _) = place.serve_ada().await;
    for (answers, code) in [(&["0", "4", "password"][..], 7), (&[""], 7)] {
        let mut login = Terminal::hoody(&place, &server, &["login"]);
        for answer in answers {
            login.shows(WHICH).await;
            login.types(answer);
        }
        let (ended, out, screen) = login.ended().await;
        assert_eq!((ended, out.as_str()), (code, ""), "{screen}");
    }
    assert_eq!(stored(&place), Value::Null);
}

#[tokio::test]
async fn login_asks_nothing_that_was_said_and_nobody_who_is_not_there() {
    let place = Place::sqlite();
    let (server, _) = place.serve_ada().await;
    let asks = async |arguments: &[&str], variables: &[(&str, &str)], question: &str| {
        let mut command = place.hoody(arguments);
        command.env("HOODY_BASE_URL", &server.base).envs(variables.iter().copied());
        let mut login = Terminal::start(command);
        login.shows(question).await;
        assert!(!login.screen().contains(HOW), "{arguments:?} {}", login.screen());
    };
    asks(&["login", "--username", "ada"], &[], "Password").await;
    asks(&["login", "--email", "ada@example.com"], &[], "Password").await;
    asks(&["login"], &[("HOODY_USERNAME", "ada")], "Password").await;
    asks(&["login", "--web", "--no-browser"], &[], "with the code").await;
    // The command for scripts is as it was.
    asks(&["auth", "login"], &[], "Username or e-mail: ").await;

    for arguments in [&["login"][..], &["login", "--non-interactive"]] {
        let mut command = place.hoody(arguments);
        command.env("HOODY_BASE_URL", &server.base);
        crate::support::finish(command, "2\nada\n").await.ended(6).saying(&["--username or --email"]);
    }
    let (code, _, screen) = Terminal::hoody(&place, &server, &["login", "--non-interactive"]).ended().await;
    assert!(code == 6 && screen.contains("--username or --email"), "{code} {screen}");
}

#[tokio::test]
async fn login_asks_for_the_second_factor_three_times_at_most() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    let backup_code = protect(&ada).await.remove(0);
    let to_code = async || {
        let mut login = Terminal::hoody(&place, &server, &["login", "--username", "ada"]);
        login.shows("Password").await;
        login.types_hidden(PASSWORD).await;
        login
    };
    let mut login = to_code().await;
    login.shows("Code of the app").await;
    login.types_hidden("AAAAA-AAAAA").await;
    login.shows("try again").await;
    login.shows("Code of the app").await;
    login.types_hidden(&backup_code).await;
    let (code, out, screen) = login.ended().await;
    assert_eq!((code, out.as_str()), (0, format!("Signed in to {} as ada.\n", server.base).as_str()));
    assert!(!screen.contains(&backup_code), "{screen}");

    let mut login = to_code().await;
    for tried in 1..=3 {
        login.shows("Code of the app").await;
        login.types_hidden("AAAAA-AAAAA").await;
        if tried < 3 {
            login.shows("try again").await;
        }
    }
    let (code, _, screen) = login.ended().await;
    assert!(code == 1 && screen.contains("INVALID_BACKUP_CODE"), "{code} {screen}");
}
