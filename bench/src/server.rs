//! The bare server: what the HTTP library costs when nothing is asked of it.

use std::convert::Infallible;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

/// Answers every request with 204 for ever.
pub async fn bare(address: &str) {
    let listener = tokio::net::TcpListener::bind(address).await.expect("an address");
    eprintln!("bare listens on http://{}", listener.local_addr().expect("an address"));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let service = service_fn(async |_: http::Request<Incoming>| {
                let mut response = http::Response::new(Empty::<Bytes>::new());
                *response.status_mut() = http::StatusCode::NO_CONTENT;
                Ok::<_, Infallible>(response)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(std::time::Duration::from_secs(15))
                .max_buf_size(64 * 1024)
                .serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
        });
    }
}
