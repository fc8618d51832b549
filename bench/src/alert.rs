//! From a refused request to its alert at a webhook's door.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::plan::directory;
use crate::contest::{self, hoody};
use crate::report::{Report, median};

/// How many tokens are deleted and used once more.
const TIMES: usize = 40;
const LIMIT: Duration = Duration::from_secs(10);

pub fn run(runtime: &Runtime, report: &mut Report) {
    let directory = directory();
    let server = hoody(directory.path(), &["--webhook-allow", "127.0.0.0/8"]).expect("hoody starts");
    let mut took = runtime.block_on(alerts(&server.base));
    took.sort_by(f64::total_cmp);
    report.section("From a refused request to its alert");
    report.text(&format!(
        "SQLite. A token is deleted and used once more; the time from that request, which is refused, to the alert at an \
         endpoint's door, over {TIMES} tokens: median **{:.0} ms**, p90 {:.0} ms, longest {:.0} ms.\n",
        median(took.iter().copied()),
        took[TIMES * 9 / 10],
        took[TIMES - 1]
    ));
}

async fn alerts(base: &str) -> Vec<f64> {
    let (url, mut came) = endpoint().await;
    let client = reqwest::Client::new();
    let session = contest::sign_in(base).await;
    let hook = json!({ "url": url, "event_types": ["alert.raised"] });
    let made = client.post(format!("{base}/api/v1/webhooks")).bearer_auth(&session).json(&hook).send().await;
    assert!(made.is_ok_and(|made| made.status().as_u16() == 201), "the endpoint is made");
    let tokens = format!("{base}/api/v1/auth/tokens");
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let made = client.post(&tokens).bearer_auth(&session).json(&json!({})).send().await.expect("a token");
        let made: Value = made.json().await.expect("json");
        let text = |field: &str| made["data"][field].as_str().expect("a token").to_owned();
        let (id, token) = (text("id"), text("token"));
        let check = || client.get(format!("{base}/api/v1/auth/check")).bearer_auth(&token).send();
        assert_eq!(check().await.expect("an answer").status().as_u16(), 204);
        client.delete(format!("{tokens}/{id}")).bearer_auth(&session).send().await.expect("it is deleted");
        let asked = Instant::now();
        assert_eq!(check().await.expect("an answer").status().as_u16(), 401);
        loop {
            let (at, told) =
                tokio::time::timeout(LIMIT, came.recv()).await.expect("an alert").expect("an alert");
            // Others are told of too: an address that is new, say.
            if told["data"]["payload"]["subject_id"] == id.as_str()
                && told["data"]["payload"]["kind"] == "dead_token_used"
            {
                took.push((at - asked).as_secs_f64() * 1e3);
                break;
            }
        }
    }
    took
}

/// What comes to an endpoint, with the instant.
async fn endpoint() -> (String, mpsc::UnboundedReceiver<(Instant, Value)>) {
    let (send, came) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/hooks", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let send = send.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let send = send.clone();
                    async move {
                        let body = request.into_body().collect().await.map(|body| body.to_bytes());
                        let at = Instant::now();
                        if let Ok(told) = serde_json::from_slice(&body.unwrap_or_default()) {
                            let _ = send.send((at, told));
                        }
                        let mut response = http::Response::new(Empty::<Bytes>::new());
                        *response.status_mut() = http::StatusCode::NO_CONTENT;
                        Ok::<_, Infallible>(response)
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                let _ = connection.await;
            });
        }
    });
    (url, came)
}
