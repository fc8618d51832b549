//! `hoody serve`: the service, from its settings to its orderly end.

use std::io::IsTerminal as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use rustix::fs::{FlockOperation, flock};
use tokio::signal::unix::{SignalKind, signal};

use super::output;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, ServerFlags, environment};
use crate::http::layers::Edge;
use crate::http::server;
use crate::telemetry;
use crate::users::first::{self, Made, PasswordPlace};
use crate::{keys, nodes};

/// How long the last writes may take, after the last requests.
const LAST_WRITES: std::time::Duration = std::time::Duration::from_millis(1_500);

/// Runs the service
///
/// With no flag and no file it works: data in ./hoody-data, keys made, the first account made.
#[derive(Debug, Args)]
#[command(
    after_help = "EXAMPLES:\n  hoody serve\n  hoody serve --listen 0.0.0.0:8080 --trusted-proxies 10.0.0.0/8\n  \
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
    let config = Config::load(&args.server, &environment)?;
    if args.check_config || args.print_config {
        if args.print_config {
            let rows = config.shown.iter();
            output::settings(rows.map(|(name, value, source)| (*name, value.clone(), source.describe(name))));
        }
        return Ok(());
    }
    telemetry::init_logs(&config.log, config.is_log_json)?;
    keep_files_private();
    let _lock = lock_data_dir(&config.data_dir)?;
    let metrics =
        config.metrics_listen.map(|address| telemetry::init_metrics().map(|handle| (address, handle)));
    let metrics = metrics.transpose()?;
    // Bound before the first account is made: a port that is taken must not cost its password. And before
    // all else, so that links name the port.
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listen: {} cannot be listened on", config.listen))?;
    let local = listener.local_addr()?;
    let mut settings = config.settings;
    settings.public_url = at_port(settings.public_url, local.port());
    let engine = settings.database.engine();
    let app = App::open(settings, Clock::system())
        .await
        .with_context(|| format!("the {engine} database cannot be used"))?;
    if let Some((address, handle)) = metrics {
        telemetry::serve_metrics(address, handle, Arc::clone(&app)).await?;
    }
    // Heard from here on: who reads the lines below may also stop it.
    let stop = stop_signal()?;
    let made = first::ensure(&app, config.first_account).await?;
    // Others know of it before it answers.
    nodes::beat(&app).await.context("the database cannot be written")?;
    // After that: a key that came into force before this node was listed is found missing here.
    keys::watch::confirm(&app).await?;
    app.start();
    announce(&app, local, &app.public_url, made.as_ref());
    server::serve(listener, Edge::new(Arc::clone(&app)), stop).await;
    // A database that does not answer must not keep the process from ending in time.
    let last_writes = async {
        app.flush_usage().await;
        nodes::leave(&app).await;
        app.close().await;
    };
    if tokio::time::timeout(LAST_WRITES, last_writes).await.is_err() {
        tracing::warn!("the database did not let go in time");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Port 0 is whichever is free: what is shown names the one that it was.
fn at_port(url: String, port: u16) -> String {
    match url.strip_suffix(":0") {
        Some(host) => format!("{host}:{port}"),
        None => url,
    }
}

/// One line that says where it listens, and the first command to try.
fn announce(app: &App, local: std::net::SocketAddr, public_url: &str, made: Option<&Made>) {
    if let Some(warning) = app.exposure_warning {
        tracing::warn!("{warning}");
    }
    output::note(&format!("hoody listens on http://{local} ({public_url})"));
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
    let base = if local.ip().is_loopback() && local.port() == 8080 {
        String::new()
    } else {
        format!("HOODY_BASE_URL=http://{local} ")
    };
    let password = match &made.place {
        PasswordPlace::File(path) => format!(" --password-file {}", path.display()),
        PasswordPlace::Given | PasswordPlace::Terminal => String::new(),
    };
    output::note(&format!("Try: {base}hoody auth login --username {}{password}", made.username));
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
