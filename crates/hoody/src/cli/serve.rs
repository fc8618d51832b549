//! `hoody serve`: the service, from its settings to its orderly end.

use std::io::IsTerminal as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use hoody_cli::DEFAULT_BASE_URL;
use hoody_console::{Console, Plain};
use hoody_core::host::Domain;
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::admin::permissions;
use super::gate_sockets::GateSockets;
use super::output;
use crate::config::{Config, ServerFlags, host_of};
use hoody_engine::clock::Clock;
use hoody_engine::db::unmark;
use hoody_engine::engine;
use hoody_engine::tasks::{self, Need};
use hoody_engine::telemetry;
use hoody_engine::web::layers::Edge;
use hoody_engine::web::server::{self, Limits};
use hoody_engine::web::tls;
use hoody_service::audit;
use hoody_service::nouns::Nouns;
use hoody_service::rotation;
use hoody_service::signup;
use hoody_service::users::first::{self, Made, PasswordPlace};

/// How long the last writes may take, after the last requests.
const LAST_WRITES: std::time::Duration = std::time::Duration::from_millis(1_500);

/// Runs the service
///
/// With no flag and no file it works: data in ./hoody-data, keys made, the first account made.
#[derive(Debug, Args)]
#[command(
    after_help = "EXAMPLES:\n  hoody serve\n  hoody serve --listen 0.0.0.0:8080 --trusted-proxies 10.0.0.0/8\n  \
    hoody serve --listen 0.0.0.0:443 --tls-cert fullchain.pem --tls-key privkey.pem\n  \
    HOODY_DATABASE_URL=postgres://hoody@db/hoody hoody serve --check-config"
)]
pub(crate) struct ServeArgs {
    /// Check the settings and exit
    #[arg(long)]
    check_config: bool,
    /// Show each setting and where it came from, and exit
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    pub(crate) server: ServerFlags,
}

/// Runs until SIGTERM or SIGINT.
pub(crate) async fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let config = Config::of_process(&args.server)?;
    if args.check_config || args.print_config {
        return show(&config, args);
    }
    telemetry::init_logs(&config.log, config.is_log_json)?;
    // Heard, so that a limit on the size of files is an error like a full disk, and not the end.
    let _too_large = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
    keep_files_private();
    let _lock = lock_data_dir(&config.data_dir)?;
    let metrics =
        config.metrics_listen.map(|address| telemetry::init_metrics().map(|handle| (address, handle)));
    let metrics = metrics.transpose()?;
    // Of a clock of its own: the service's is not asked before it knows the database's time.
    let now = Clock::system().now();
    let public_host = host_of(&config.settings.engine.public_url).unwrap_or_default();
    let load = |source| tls::Tls::load(source, now).map(|tls| tls.with_strict_transport(&public_host));
    let tls = config.tls.map(load).transpose()?.map(Arc::new);
    // Bound before the first account is made: a port that is taken must not cost its password. And before
    // the rest, so that links name the port.
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listen: {} cannot be listened on", config.listen))?;
    let local = listener.local_addr()?;
    let gates = GateSockets::bind(&config.gate).await?;
    let public_url = at_port(config.settings.engine.public_url.clone(), local.port());
    let mut settings = config.settings;
    settings.engine = engine::Settings { tls: tls.clone(), public_url, ..settings.engine };
    settings.gate_url = gates.url(tls.is_some())?;
    let engine = settings.engine.database.engine();
    let nouns = Nouns::open(settings, Clock::system())
        .await
        .with_context(|| format!("the {engine} database cannot be used"))?;
    let marked =
        nouns.engine.mark().await.with_context(|| format!("the {engine} database cannot be used"))?;
    if let Some((address, handle)) = metrics {
        telemetry::serve_metrics(address, handle, &nouns.engine.tasks, measured(&nouns)).await?;
    }
    // Heard from here on: who reads the lines below may also stop it.
    let stop = stop_signal()?;
    let made = first::ensure(&nouns.users, config.first_account).await?;
    if let Some(file) = &config.permissions {
        permissions::add_at_start(&nouns, file).await?;
    }
    // Others know of it before it answers.
    nouns.engine.nodes.beat().await.context("the database cannot be written")?;
    // After that: a key that came into force before this node was listed is found missing here.
    rotation::watch::confirm(&nouns.rotation).await?;
    nouns.start();
    if let Some(tls) = &tls {
        warn_of_names(tls, &public_host, &nouns.engine.access.domain);
        watch_certificates(&nouns, tls)?;
    }
    let shown = (made.as_ref(), config.console.is_some());
    announce(&nouns, local, &nouns.engine.access.public_url, shown);
    gates.announce();
    let mut lost = None;
    let stopping = tokio::sync::watch::Sender::new(false);
    let proxies = gates.serve(&nouns, tls.as_ref(), config.gate.client_ca.as_deref(), &stopping)?;
    let stop = async {
        tokio::select! {
            () = stop => {}
            name = nouns.engine.tasks.lost() => lost = Some(name),
        }
        nouns.events.stop_streams();
        stopping.send_replace(true);
    };
    let limits = Limits::of_process();
    let has_gate = config.gate.http.is_none();
    let limits = if has_gate { limits } else { limits.without_quarter() };
    let served = server::serve(listener, edge(&nouns, has_gate, config.console), tls, limits, Box::pin(stop));
    let (is_orderly, ()) = tokio::join!(tasks::survives(served), proxies);
    write_last(&nouns, &marked).await;
    if let Some(name) = lost {
        bail!("the background task {name} panicked again and again: the log says why");
    }
    if !is_orderly {
        bail!("accepting connections panicked: the log says why");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Prints the settings, and checks them.
fn show(config: &Config, args: &ServeArgs) -> anyhow::Result<()> {
    if args.print_config {
        let rows = config.shown.iter();
        output::settings(rows.map(|(name, value, source)| (*name, value.clone(), source.describe(name))));
    }
    config.tls.as_ref().map_or(Ok(()), tls::Source::check)?;
    if args.check_config {
        config.check()?;
        output::note("ok");
    }
    Ok(())
}

/// Reads the certificates again when they change, or at a hang-up. Only with TLS: without it a hang-up of the terminal
/// ends the process, as it always does.
fn watch_certificates(nouns: &Nouns, tls: &Arc<tls::Tls>) -> anyhow::Result<()> {
    let hangups = Arc::new(tokio::sync::Mutex::new(signal(SignalKind::hangup())?));
    let (tls, clock) = (Arc::clone(tls), nouns.engine.clock.clone());
    let watch = move || tls::watch(Arc::clone(&tls), clock.clone(), Arc::clone(&hangups));
    nouns.engine.tasks.supervise("tls", Need::Useful, watch);
    Ok(())
}

/// Every route, those of the console too unless it is off.
fn edge(nouns: &Nouns, has_gate: bool, console: Option<Plain>) -> Edge {
    match console {
        Some(plain) => nouns.edge_with(has_gate, hoody_console::routes(Console::new(nouns, plain))),
        None => nouns.edge(has_gate),
    }
}

/// What the metrics tell of.
fn measured(nouns: &Nouns) -> telemetry::Measured {
    telemetry::Measured {
        grants: Arc::clone(&nouns.engine.grants),
        clock: nouns.engine.clock.clone(),
        activity: nouns.engine.activity.clone(),
        tls: nouns.engine.tls.clone(),
    }
}

/// Writes what is only in memory, each part whatever becomes of the others. A database that does not answer must
/// not keep the process from ending in time.
async fn write_last(nouns: &Nouns, marked: &[PathBuf]) {
    let last_writes = async {
        tasks::survives(nouns.engine.flush_usage()).await;
        tasks::survives(nouns.engine.activity.flush()).await;
        tasks::survives(audit::seal_last(&nouns.audit)).await;
        tasks::survives(nouns.engine.nodes.leave()).await;
        nouns.close().await;
        marked.iter().for_each(|file| unmark(file));
    };
    if tokio::time::timeout(LAST_WRITES, last_writes).await.is_err() {
        tracing::warn!("the database did not let go in time");
    }
}

/// Port 0 is whichever is free: what is shown names the one that it was.
fn at_port(url: String, port: u16) -> String {
    match url.strip_suffix(":0") {
        Some(host) => format!("{host}:{port}"),
        None => url,
    }
}

/// A certificate for other names than clients use helps nobody.
fn warn_of_names(tls: &tls::Tls, public_host: &str, domain: &Domain) {
    let realm = format!("000000000000000000000000.{domain}");
    for (host, shown) in [(public_host, public_host.to_owned()), (&realm, format!("*.{domain}"))] {
        if !tls.pair().covers(host) {
            tracing::warn!("the TLS certificate does not cover {shown}: clients that call it so will refuse");
        }
    }
}

/// One line that says where it listens, and the first command to try.
fn announce(
    nouns: &Nouns,
    local: std::net::SocketAddr,
    public_url: &str,
    (made, has_console): (Option<&Made>, bool),
) {
    if let Some(warning) = nouns.engine.exposure_warning {
        tracing::warn!("{warning}");
    }
    if let (Some(directory), true) = (nouns.mail.directory(), nouns.signup.mode() != signup::Mode::Closed) {
        let directory = directory.display();
        tracing::warn!(
            "signing up is possible, and mails are put into {directory}: --smtp-url has them sent"
        );
    }
    let scheme = if nouns.engine.tls.is_some() { "https" } else { "http" };
    output::note(&format!("hoody listens on {scheme}://{local} ({public_url})"));
    let self_signed =
        nouns.engine.tls.as_ref().and_then(|tls| Some((tls.pair(), tls.self_signed()?.display())));
    if let Some((pair, file)) = &self_signed {
        output::note(&format!("Its certificate is self-signed, in {file}; SHA-256 {}", pair.fingerprint));
    }
    let Some(made) = made else { return };
    match &made.place {
        PasswordPlace::Given => {}
        PasswordPlace::Terminal if std::io::stderr().is_terminal() => output::note(&format!(
            "The first account is {:?}, its password {} — it is not shown again.",
            made.username, *made.password
        )),
        PasswordPlace::Terminal => {}
        PasswordPlace::File(path) => {
            output::note(&format!(
                "The first account is {:?}, its password is in {}",
                made.username,
                path.display()
            ));
        }
    }
    let base = match (&self_signed, scheme) {
        (Some((_, file)), _) => {
            format!("HOODY_CA_FILE={file} HOODY_BASE_URL=https://{} ", to_itself(local))
        }
        // Its certificate is for names, not for addresses.
        (None, "https") => format!("HOODY_BASE_URL={public_url} "),
        // What the client asks unless told otherwise.
        _ if format!("http://{}", to_itself(local)) == DEFAULT_BASE_URL => String::new(),
        _ => format!("HOODY_BASE_URL=http://{} ", to_itself(local)),
    };
    let password = match &made.place {
        PasswordPlace::File(path) => format!(" --password-file {}", path.display()),
        PasswordPlace::Given | PasswordPlace::Terminal => String::new(),
    };
    if has_console {
        let public_url = &nouns.engine.access.public_url;
        output::note(&format!("Console: {public_url}/console"));
    }
    output::note(&format!("Try: {base}hoody auth login --username {}{password}", made.username));
}

/// An address that reaches a listener from its own machine.
fn to_itself(local: std::net::SocketAddr) -> std::net::SocketAddr {
    if local.ip().is_unspecified() {
        return (std::net::Ipv4Addr::LOCALHOST, local.port()).into();
    }
    local
}

fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing what runs");
    })
}

/// Whatever this process makes, the database with its side files included, is its owner's alone.
pub(crate) fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Makes the data directory (0700) and takes its lock, which goes with the process.
pub(crate) fn lock_data_dir(directory: &Path) -> anyhow::Result<std::fs::File> {
    make_data_dir(directory)?;
    let path = directory.join("lock");
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.with_context(|| format!("{} cannot be opened", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("another hoody serves from {}: give this one its own --data-dir", directory.display());
    }
    Ok(file)
}

/// Makes the data directory (0700) if it is not there.
pub(crate) fn make_data_dir(directory: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.with_context(|| format!("the data directory {} cannot be made", directory.display()))
}
