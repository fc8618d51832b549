//! Mail through a real SMTP server: delivered, kept while the server is away, sent once it is back, and
//! only through TLS where the way is not this machine's own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Place, Server, eventually, on_both};

const SIGN_UP: &str = "/api/v1/auth/signup";
const VERIFY: &str = "/api/v1/auth/verify-email";
const FORGOT: &str = "/api/v1/auth/forgot-password";
const RESET: &str = "/api/v1/auth/reset-password";
const ADA: &str = "ada@example.com";
// A mail that was under way when its process was killed is tried again when its claim, a minute, is over.
const SOON: Duration = Duration::from_secs(90);

/// The SMTP server of `smtp.py`, until it is dropped.
struct Smtp {
    process: Child,
    port: u16,
    directory: PathBuf,
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Smtp {
    /// Starts it, with its mails in `directory`.
    fn start(directory: PathBuf, options: &[&str]) -> Self {
        let python = python().expect("is_there was asked");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/smtp.py");
        let mut command = Command::new(python);
        command.arg(script).arg(&directory).args(options).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(' ').next().and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("the SMTP server does not start: {line:?}"));
        Self { process, port, directory }
    }

    /// The first mail that contains all of these, once it is there.
    async fn mail(&self, words: &[&str]) -> String {
        eventually(&format!("a mail with {words:?}"), SOON, async || self.find(words)).await
    }

    fn find(&self, words: &[&str]) -> Option<String> {
        let paths = std::fs::read_dir(&self.directory).ok()?.map(|entry| entry.unwrap().path());
        let mut mails = paths.filter(|path| path.extension().is_some_and(|kind| kind == "eml"));
        mails.find_map(|path| {
            let mail = std::fs::read_to_string(path).unwrap();
            words.iter().all(|word| mail.contains(word)).then_some(mail)
        })
    }

    fn count(&self) -> usize {
        std::fs::read_dir(&self.directory).map_or(0, Iterator::count)
    }
}

/// The Python that has aiosmtpd; `./test` sets it up. In CI its absence is a failure.
fn python() -> Option<String> {
    let python = std::env::var("HOODY_TEST_PYTHON").ok();
    if python.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI must run the tests of mail: use ./test");
        eprintln!("skipped: HOODY_TEST_PYTHON names no Python with aiosmtpd (./test sets one up)");
    }
    python
}

fn token_of(mail: &str) -> String {
    mail.split_once("?token=").expect("a link").1.chars().take(64).collect()
}

/// A server whose mails go to `url`.
async fn serve(place: &Place, url: &str, environment: &[(&str, &str)]) -> Server {
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--sign-up",
        "open",
        "--smtp-url",
        url,
        "--mail-from",
        "Hoody <auth@example.com>",
        "--public-url",
        "https://auth.example.com",
    ];
    let mut command = place.hoody(&arguments);
    command.envs(environment.iter().copied());
    Server::start(command).await
}

async fn sign_up(client: &Client, email: &str) {
    client.post(SIGN_UP, json!({ "email": email, "password": PASSWORD })).await.expect(StatusCode::OK);
}

/// The mails as the operator lists them, and the text of that list.
async fn list(place: &Place) -> (Vec<Value>, String) {
    let ran = place.run(&["admin", "mail", "list", "-o", "json"]).await;
    let mails = serde_json::from_str(&ran.ended(0).stdout).unwrap();
    (mails, ran.text())
}

on_both! {
    async fn mails_wait_while_the_smtp_server_is_away_also_through_kill_9(place: Place) {
        if python().is_none() {
            return;
        }
        let smtp = Smtp::start(place.path("received"), &[]);
        let port = smtp.port.to_string();
        let url = format!("smtp://127.0.0.1:{port}");
        let mut said = String::new();
        let server = serve(&place, &url, &[]).await;
        let client = server.client();

        sign_up(&client, ADA).await;
        let mail = smtp.mail(&["Subject: Confirm your e-mail address"]).await;
        for word in [
            "From: Hoody <auth@example.com>",
            "To: ada@example.com",
            "to=ada@example.com",
            "Auto-Submitted: auto-generated",
            "Message-ID: <",
            "https://auth.example.com/verify-email?token=",
        ] {
            assert!(mail.contains(word), "{word} is not in {mail}");
        }
        let first = token_of(&mail);
        client.post(VERIFY, json!({ "token": first, "password": PASSWORD })).await.expect(StatusCode::OK);

        // Away: the request is answered as ever, and the operator sees why nothing arrives.
        drop(smtp);
        client.post(FORGOT, json!({ "email": ADA })).await.expect(StatusCode::OK);
        let waiting = eventually("the mail waits", SOON, async || {
            let (mails, _) = list(&place).await;
            mails.into_iter().find(|mail| mail["state"] == "waiting" && mail["last_error"].is_string())
        })
        .await;
        assert!(waiting["username"].as_str().unwrap().starts_with("ada-"), "{waiting}");
        assert!(waiting["last_error"].as_str().unwrap().starts_with("SMTP: "), "{waiting}");
        let table = place.run(&["admin", "mail", "list"]).await;
        assert!(table.ended(0).stdout.contains("waiting") && !table.text().contains("token"), "{table:?}");

        let smtp = Smtp::start(place.path("received"), &["--port", &port]);
        let id = waiting["id"].as_str().unwrap();
        place.run(&["admin", "mail", "retry", id]).await.ended(0).saying(&["is sent again"]);
        let second = token_of(&smtp.mail(&["Subject: Set a new password"]).await);
        eventually("it is done", SOON, async || {
            let (mails, _) = list(&place).await;
            mails.iter().all(|mail| mail["state"] == "done").then_some(())
        })
        .await;
        place.run(&["admin", "mail", "retry", id]).await.ended(1).saying(&["there is no mail"]);

        // Killed between the answer and the mail: the next process sends it.
        drop(smtp);
        client.post(SIGN_UP, json!({ "email": "bob@example.com", "password": PASSWORD })).await.expect(StatusCode::OK);
        said.push_str(&server.said());
        server.kill().await;
        let smtp = Smtp::start(place.path("received"), &["--port", &port]);
        let server = serve(&place, &url, &[]).await;
        let third = token_of(&smtp.mail(&["To: bob@example.com", "Confirm your e-mail address"]).await);
        server.client().post(VERIFY, json!({ "token": third, "password": PASSWORD })).await.expect(StatusCode::OK);
        let body = json!({ "token": second, "password": "another horse entirely" });
        server.client().post(RESET, body).await.expect(StatusCode::OK);

        said.push_str(&server.said());
        said.push_str(&list(&place).await.1);
        for token in [first, second, third] {
            assert!(!said.contains(&token), "a token of a mail was logged or listed");
        }
        server.stop().await;
    }
}

/// A certificate of its own for `name`: the files of certificate and key.
fn certificate(place: &Place, name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let (cert, key) = (place.path("cert.pem"), place.path("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (cert.display().to_string(), key.display().to_string())
}

/// This machine's address that others would use, if it has one.
fn own_address() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: it only asks which way it would go.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then(|| address.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smtps_asks_for_a_certificate_that_the_machine_trusts_and_signs_in() {
    if python().is_none() {
        return;
    }
    let place = Place::sqlite();
    let (cert, key) = certificate(&place, "127.0.0.1");
    let options =
        ["--cert", &cert, "--key", &key, "--implicit", "--user", "hoody", "--password", "canary-smtp"];
    let smtp = Smtp::start(place.path("received"), &options);
    let url = format!("smtps://127.0.0.1:{}", smtp.port);
    std::fs::write(place.path("credentials"), "hoody\ncanary-smtp\n").unwrap();
    let file = place.path("credentials").display().to_string();

    // Nobody vouches for the certificate: nothing is sent.
    let server = serve(&place, &url, &[("HOODY_SMTP_CREDENTIALS_FILE", &file)]).await;
    sign_up(&server.client(), ADA).await;
    eventually("the mail waits", SOON, async || {
        let (mails, _) = list(&place).await;
        mails.iter().any(|mail| mail["last_error"].is_string()).then_some(())
    })
    .await;
    assert_eq!(smtp.count(), 0);
    server.stop().await;

    // A wrong password is a setting of ours: it is tried again.
    let wrong =
        [("SSL_CERT_FILE", cert.as_str()), ("HOODY_SMTP_USERNAME", "hoody"), ("HOODY_SMTP_PASSWORD", "no")];
    let server = serve(&place, &url, &wrong).await;
    sign_up(&server.client(), "bob@example.com").await;
    eventually("the mail waits", SOON, async || {
        let (mails, _) = list(&place).await;
        let refused = |mail: &Value| mail["last_error"].as_str().is_some_and(|error| error.contains("535"));
        assert!(mails.iter().all(|mail| mail["state"] == "waiting"), "{mails:?}");
        mails.iter().any(refused).then_some(())
    })
    .await;
    assert_eq!(smtp.count(), 0);
    server.stop().await;

    let right = [("SSL_CERT_FILE", cert.as_str()), ("HOODY_SMTP_CREDENTIALS_FILE", file.as_str())];
    let server = serve(&place, &url, &right).await;
    let mail = smtp.mail(&["To: ada@example.com"]).await;
    assert!(mail.contains("X-Received: tls=True"), "{mail}");
    smtp.mail(&["To: bob@example.com"]).await;
    let (_, listed) = list(&place).await;
    assert!(!server.said().contains("canary-smtp") && !listed.contains("canary-smtp"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_loopback_nothing_is_sent_without_starttls() {
    if python().is_none() {
        return;
    }
    let Some(address) = own_address() else {
        eprintln!("skipped: this machine has no address but loopback");
        return;
    };
    let place = Place::sqlite();
    let (cert, key) = certificate(&place, &address);
    let trusted = [("SSL_CERT_FILE", cert.as_str())];
    let plain = Smtp::start(place.path("plain"), &["--host", &address]);
    let server = serve(&place, &format!("smtp://{address}:{}", plain.port), &trusted).await;
    sign_up(&server.client(), ADA).await;
    eventually("the mail waits", SOON, async || {
        let (mails, _) = list(&place).await;
        mails.iter().any(|mail| mail["last_error"].is_string()).then_some(())
    })
    .await;
    assert_eq!(plain.count(), 0);
    server.stop().await;

    let options = ["--host", &address, "--cert", &cert, "--key", &key, "--starttls"];
    let smtp = Smtp::start(place.path("received"), &options);
    let server = serve(&place, &format!("smtp://{address}:{}", smtp.port), &trusted).await;
    let mail = smtp.mail(&["To: ada@example.com"]).await;
    assert!(mail.contains("X-Received: tls=True"), "{mail}");
    server.stop().await;
}

#[tokio::test]
async fn settings_of_mail_that_cannot_be_are_refused_and_no_password_is_shown() {
    let place = Place::sqlite();
    let check = async |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = place.hoody(&[&["serve", "--print-config"], arguments].concat());
        command.envs(environment.iter().copied());
        crate::support::finish(command, "").await
    };
    let from = ["--mail-from", "auth@example.com"];
    let url = ["--smtp-url", "smtp://mail.example.com"];
    check(&["--smtp-url", "smtp://u:canary@mail.example.com"], &[])
        .await
        .ended(2)
        .saying(&["smtp-url", "HOODY_SMTP_USERNAME"]);
    check(&url, &[]).await.ended(2).saying(&["mail-from"]);
    check(&["--sign-up", "anybody"], &[]).await.ended(2).saying(&["sign-up", "open, invitation or closed"]);
    check(&["--mail-from", "nobody"], &[]).await.ended(2).saying(&["mail-from"]);
    let both = [&url[..], &from[..]].concat();
    check(&both, &[("HOODY_SMTP_USERNAME", "hoody")]).await.ended(1).saying(&["HOODY_SMTP_PASSWORD"]);
    let credentials = [("HOODY_SMTP_USERNAME", "hoody"), ("HOODY_SMTP_PASSWORD", "canary")];
    let shown = check(&both, &credentials).await;
    shown.ended(0);
    assert!(
        shown.stdout.contains("smtp://mail.example.com") && !shown.text().contains("canary"),
        "{shown:?}"
    );
}
