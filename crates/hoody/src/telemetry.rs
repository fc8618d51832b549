//! Logs to stderr, metrics to whoever listens on `--metrics-listen`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::http::Shared;

/// The promise is 0.1 s at p99, 1 s at worst.
const PROPAGATION_BUCKETS: [f64; 9] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0];

/// Sends what is logged to stderr, as lines for people or as JSON.
pub(crate) fn init_logs(filter: &str, is_json: bool) -> anyhow::Result<()> {
    // The drivers repeat every notice of the server; whoever wants them says so.
    let quiet = format!("sqlx=warn,{filter}");
    let filter = EnvFilter::try_new(quiet).with_context(|| format!("log: {filter:?} is no filter"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let result = if is_json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
    result.map_err(|error| anyhow::anyhow!("logs cannot be set up: {error}"))
}

/// Starts counting. Without it, every metric is a no-op.
pub(crate) fn init_metrics() -> anyhow::Result<PrometheusHandle> {
    let propagation = Matcher::Full("hoody_revocation_propagation_seconds".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(propagation, &PROPAGATION_BUCKETS)?;
    let handle = builder.install_recorder().context("metrics cannot be set up")?;
    metrics::describe_histogram!(
        "hoody_revocation_propagation_seconds",
        metrics::Unit::Seconds,
        "From a change to its being in force on this node"
    );
    metrics::describe_counter!("hoody_http_requests_total", "Requests by status class");
    metrics::describe_counter!("hoody_denials_total", "Refused credentials by the rule that they broke");
    metrics::describe_counter!("hoody_activity_rows_total", "Rows of the request log that were stored");
    metrics::describe_counter!(
        "hoody_activity_waits_total",
        "Requests that waited for room in the request log"
    );
    metrics::describe_counter!(
        "hoody_activity_lost_total",
        "Rows of the request log that could not be stored"
    );
    metrics::describe_counter!("hoody_grants_cold_reads_total", "Credentials looked up in the database");
    metrics::describe_counter!("hoody_jobs_total", "Attempts to do jobs by kind and outcome");
    metrics::describe_gauge!("hoody_grants_cached", "Grants in the cache");
    metrics::describe_counter!("hoody_audit_sealed_total", "Rows of the audit log sealed by this node");
    metrics::describe_counter!("hoody_keys_resealed_total", "Sealed values moved to the master key in force");
    metrics::describe_gauge!(
        "hoody_keys_sealed_under_older_keys",
        "Sealed values under older master keys, on the node that moves them"
    );
    metrics::describe_gauge!("hoody_feed_fresh", "1 while the cache may answer");
    metrics::describe_gauge!("hoody_tls_certificate_expiry", "When the certificate ends, in Unix seconds");
    metrics::describe_counter!("hoody_tls_handshakes_failed_total", "Connections that did not agree on TLS");
    metrics::describe_counter!("hoody_connections_refused_total", "Connections beyond an address's share");
    metrics::describe_counter!("hoody_connections_cut_total", "Connections ended here, by reason");
    Ok(handle)
}

/// Serves `/metrics` on an address of its own for as long as the process lives.
pub(crate) async fn serve_metrics(
    address: SocketAddr,
    handle: PrometheusHandle,
    app: Shared,
) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("metrics-listen: {address} cannot be listened on"))?;
    let render = move || {
        let (handle, app) = (handle.clone(), Shared::clone(&app));
        async move {
            metrics::gauge!("hoody_grants_cached")
                .set(f64::from(u32::try_from(app.grants.len()).unwrap_or(u32::MAX)));
            metrics::gauge!("hoody_grants_cached_bytes")
                .set(f64::from(u32::try_from(app.grants.bytes() / 1024).unwrap_or(u32::MAX)) * 1024.0);
            let is_fresh = app.grants.is_fresh(app.clock.boot_millis());
            let waiting = app.activity.queue.as_ref().map_or(0, crate::activity::Queue::len);
            metrics::gauge!("hoody_activity_waiting")
                .set(f64::from(u32::try_from(waiting).unwrap_or(u32::MAX)));
            metrics::gauge!("hoody_feed_fresh").set(f64::from(u8::from(is_fresh)));
            if let Some(tls) = &app.tls {
                metrics::gauge!("hoody_tls_certificate_expiry").set(tls.pair().ends_in_seconds());
            }
            handle.run_upkeep();
            handle.render()
        }
    };
    let router = Router::new().route("/metrics", axum::routing::get(render));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}
