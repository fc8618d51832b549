//! What cannot be logged stops nothing: a reader that is gone, one that does not read, a disk that is full.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{PASSWORD, PATIENCE, Place, Server, eventually, on_both};

const SOON: Duration = Duration::from_secs(20);

/// What becomes of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Gone,
    /// The pipe is full before long.
    Silent,
    /// `/dev/full`: every write fails.
    FullDisk,
}

/// The server, and the end of its log that somebody may read.
async fn serve(place: &Place, reader: Reader) -> (Server, Option<std::io::PipeReader>) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut command = place.hoody(&["serve", "--listen", &address, "--log", "hoody=debug"]);
    let (end, to) = match reader {
        Reader::FullDisk => (None, Stdio::from(std::fs::File::create("/dev/full").unwrap())),
        Reader::Gone | Reader::Silent => {
            let (end, to) = std::io::pipe().unwrap();
            (Some(end), Stdio::from(to))
        }
    };
    command.stderr(to);
    let server = Server::unheard(command, &address);
    // Without this copy of the pipe the server has the only one.
    let client = server.client();
    eventually("it is ready", PATIENCE, async || {
        client.try_get("/readyz").await.ok().filter(|ready| ready.status == StatusCode::OK)
    })
    .await;
    (server, end.filter(|_| reader != Reader::Gone))
}

async fn nothing_is_lost_but_the_log(place: Place, reader: Reader) {
    let (mut server, _end) = serve(&place, reader).await;
    let create = ["admin", "users", "create", "ada", "--email", "ada@example.com", "--password-stdin"];
    place.run_with(&create, PASSWORD).await.ended(0);
    let ada = server.client().login("ada", PASSWORD).await;
    let (_, token) = ada.mint(json!({ "alias": "used" })).await;
    // Each is a line at debug: more than a pipe holds.
    for _ in 0..1_000 {
        ada.get("/api/v1/projects").await.expect(StatusCode::OK);
    }
    // The feed's task has something to say, and every request too.
    place.execute("ALTER TABLE feed_head RENAME TO feed_head_away").await;
    let (anybody, is_ready) = (server.client(), StatusCode::OK);
    eventually("it is not ready", SOON, async || {
        (anybody.get("/readyz").await.status != is_ready).then_some(())
    })
    .await;
    // Logged as an error, and answered.
    let refused = ada.post("/api/v1/auth/tokens", json!({})).await;
    assert!(refused.status.is_server_error(), "{}", refused.text);
    place.execute("ALTER TABLE feed_head_away RENAME TO feed_head").await;
    let ready = eventually("it is ready again", SOON, async || {
        Some(anybody.get("/readyz").await).filter(|ready| ready.status == is_ready)
    })
    .await;
    assert_eq!(ready.body["tasks"], true);

    // The end: what runs is finished, and what is only in memory is written.
    let body = r#"{"value":"a long one"}"#;
    let mut slow = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let session = ada.credential.as_deref().unwrap();
    let head = format!(
        "PUT /api/v1/vault/keys/slow HTTP/1.1\r\nHost: api.localhost\r\nAuthorization: Bearer {session}\r\n\
         Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    // It asks for the body: the request runs.
    let mut asked = [0; 25];
    slow.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(&body.as_bytes()[..5]).unwrap();
    token.check().await.expect(StatusCode::NO_CONTENT);
    server.signal(Signal::TERM);
    eventually("it accepts nothing more", SOON, async || {
        TcpStream::connect(("127.0.0.1", server.port())).is_err().then_some(())
    })
    .await;
    slow.write_all(&body.as_bytes()[5..]).unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
    let ended = server.ended(PATIENCE).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let unused: Vec<(i64,)> =
        place.rows("SELECT COUNT(*) FROM tokens WHERE alias = 'used' AND last_used_at IS NULL").await;
    assert_eq!(unused[0].0, 0, "the last use was written");
}

on_both! {
    async fn a_reader_of_the_log_that_is_gone_takes_nothing_with_it(place: Place) {
        nothing_is_lost_but_the_log(place, Reader::Gone).await;
    }

    async fn a_reader_of_the_log_that_does_not_read_holds_nothing_up(place: Place) {
        nothing_is_lost_but_the_log(place, Reader::Silent).await;
    }

    async fn a_full_disk_under_the_log_costs_the_log_alone(place: Place) {
        nothing_is_lost_but_the_log(place, Reader::FullDisk).await;
    }
}

#[tokio::test]
async fn the_client_ends_as_it_would_when_nobody_reads_what_it_says() {
    let place = Place::sqlite();
    let (server, ada) = place.serve_ada().await;
    for arguments in
        [&["projects", "list", "--verbose"][..], &["projects", "get", "000000000000000000000000"]]
    {
        let run = |full: bool| {
            let mut command = place.hoody(arguments);
            command.env("HOODY_BASE_URL", &server.base);
            command.env("HOODY_TOKEN", ada.credential.as_deref().unwrap());
            if full {
                command.stderr(Stdio::from(std::fs::File::create("/dev/full").unwrap()));
            }
            command.stdout(Stdio::null()).status().unwrap().code()
        };
        assert_eq!(run(true), run(false), "{arguments:?}");
    }
}

/// What a test that runs for an hour compares with what it began with.
#[tokio::test]
async fn metrics_tell_what_the_process_holds() {
    let place = Place::sqlite();
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let command = place.hoody(&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", &metrics]);
    let server = Server::start(command).await;
    let scraped = server.client().at(&format!("http://{metrics}")).get("/metrics").await;
    let value = |name: &str| -> f64 {
        let line = scraped.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name}: {}", scraped.text)).parse().unwrap()
    };
    assert!(value("hoody_tasks_alive") > 10.0);
    assert!(value("process_open_fds") > 5.0 && value("process_open_fds") < value("process_max_fds"));
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_threads") > 2.0);
    for task in ["feed", "nodes", "keys", "audit", "activity", "metrics", "mail"] {
        assert_eq!(value(&format!("hoody_task_up{{task=\"{task}\"}}")), 1.0, "{task}");
        assert_eq!(value(&format!("hoody_task_panics_total{{task=\"{task}\"}}")), 0.0, "{task}");
    }
    server.stop().await;
}
