//! Logs to stderr, metrics to whoever listens on `--metrics-listen`.

pub mod lines;
mod log_limit;
mod process;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use self::log_limit::LogLimit;
use crate::activity::Activity;
use crate::clock::Clock;
use crate::grants::Grants;
use crate::tasks::{Need, Tasks};
use crate::web::tls::Tls;

/// The promise is 0.1 s at p99, 1 s at worst.
const PROPAGATION_BUCKETS: [f64; 9] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0];

/// Checks what `--log` gives.
///
/// # Errors
/// A sentence.
pub fn check_filter(filter: &str) -> Result<String, String> {
    let read: Result<Targets, _> = filter.parse();
    read.map(|_| filter.to_owned())
        .map_err(|error| format!("must be a filter such as info or hoody=debug: {error}"))
}

/// Sends what is logged to stderr, as lines for people or as JSON; panics too.
pub fn init_logs(filter: &str, is_json: bool) -> anyhow::Result<()> {
    // The driver repeats every notice of the server, and tells of each refused connection; whoever wants that says so.
    let quiet = format!("sqlx=warn,sqlx_core::pool=off,{filter}");
    let filter: Targets = quiet.parse().with_context(|| format!("log: {filter:?} is no filter"))?;
    let lines = lines::start().context("logs cannot be set up")?;
    let layer = tracing_subscriber::fmt::layer().with_writer(lines).log_internal_errors(false);
    let registry = tracing_subscriber::registry();
    let result = if is_json {
        let layer = layer.json().flatten_event(true).map_event_format(LogLimit::new);
        registry.with(layer).with(filter).try_init()
    } else {
        let layer = layer.with_ansi(std::io::stderr().is_terminal()).with_target(false);
        registry.with(layer.map_event_format(LogLimit::new)).with(filter).try_init()
    };
    result.map_err(|error| anyhow::anyhow!("logs cannot be set up: {error}"))?;
    // The default one writes to stderr itself, and waits for whoever reads it.
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        let place = panic.location().map(ToString::to_string);
        tracing::error!(thread, place, "panic: {}", panic.payload_as_str().unwrap_or("no message"));
    }));
    Ok(())
}

/// What a gauge says now.
fn gauge(name: &'static str, value: usize) {
    metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
}

/// Starts counting. Without it, every metric is a no-op.
pub fn init_metrics() -> anyhow::Result<PrometheusHandle> {
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
    metrics::describe_gauge!("hoody_audit_vouched", "0 while the audit log is not the one that was signed");
    metrics::describe_counter!("hoody_audit_sealed_total", "Rows of the audit log sealed by this node");
    metrics::describe_counter!("hoody_keys_resealed_total", "Sealed values moved to the master key in force");
    metrics::describe_gauge!(
        "hoody_keys_sealed_under_older_keys",
        "Sealed values under older master keys, on the node that moves them"
    );
    metrics::describe_counter!("hoody_task_panics_total", "Panics of background tasks and connections");
    metrics::describe_gauge!("hoody_task_up", "1 while the background task runs");
    metrics::describe_counter!("hoody_log_lines_lost_total", "Lines of the log that could not be written");
    process::describe();
    metrics::describe_gauge!("hoody_feed_fresh", "1 while the cache may answer");
    metrics::describe_gauge!("hoody_tls_certificate_expiry", "When the certificate ends, in Unix seconds");
    metrics::describe_counter!("hoody_tls_handshakes_failed_total", "Connections that did not agree on TLS");
    metrics::describe_counter!("hoody_connections_refused_total", "Connections beyond an address's share");
    metrics::describe_counter!("hoody_connections_cut_total", "Connections ended here, by reason");
    metrics::describe_counter!(
        "hoody_streams_cut_total",
        "HTTP/2 streams ended because nobody read the answer"
    );
    metrics::describe_counter!(
        "hoody_requests_held_back_total",
        "Requests that waited until answers were read"
    );
    Ok(handle)
}

/// What is measured when somebody asks.
#[derive(Debug, Clone)]
pub struct Measured {
    pub grants: Arc<Grants>,
    pub clock: Clock,
    pub activity: Activity,
    pub tls: Option<Arc<Tls>>,
}

/// Serves `/metrics` on an address of its own for as long as the process lives.
///
/// # Errors
/// When nothing can listen there.
pub async fn serve_metrics(
    address: SocketAddr,
    handle: PrometheusHandle,
    tasks: &Tasks,
    measured: Measured,
) -> anyhow::Result<()> {
    let bind = async { tokio::net::TcpListener::bind(address).await?.into_std() };
    let listener = bind.await.with_context(|| format!("metrics-listen: {address} cannot be listened on"))?;
    let render = move || {
        let (handle, measured) = (handle.clone(), measured.clone());
        async move {
            process::measure();
            gauge("hoody_grants_cached", measured.grants.cached());
            metrics::gauge!("hoody_grants_cached_bytes")
                .set(f64::from(u32::try_from(measured.grants.bytes() / 1024).unwrap_or(u32::MAX)) * 1024.0);
            let is_fresh = measured.grants.is_fresh(measured.clock.boot_millis());
            let waiting = measured.activity.queue.as_ref().map_or(0, crate::activity::Queue::waiting);
            gauge("hoody_activity_waiting", waiting);
            metrics::gauge!("hoody_feed_fresh").set(f64::from(u8::from(is_fresh)));
            if let Some(tls) = &measured.tls {
                metrics::gauge!("hoody_tls_certificate_expiry").set(tls.pair().ends_in_seconds());
            }
            handle.run_upkeep();
            handle.render()
        }
    };
    let router = Router::new().route("/metrics", axum::routing::get(render));
    let listener = Arc::new(listener);
    tasks.supervise("metrics", Need::Useful, move || {
        let (listener, router) = (Arc::clone(&listener), router.clone());
        async move {
            loop {
                let served = async {
                    let listener = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
                    axum::serve(listener, router.clone()).await
                };
                if let Err(error) = served.await {
                    tracing::warn!(%error, "metrics cannot be served; once more soon");
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    });
    Ok(())
}
