//! The running server: one listener, one task for each duty, and a shutdown that waits for them.
//!
//! A duty that ends early brings the whole server down: running half of it would look well from
//! outside while money goes unseen.

use std::{
    fs::{File, TryLockError},
    io,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use domain::signature::ServerSecret;
use futures_util::FutureExt;
use tokio::{net::TcpListener, sync::mpsc, time::timeout};

use crate::{
    alarm,
    app::App,
    chains,
    clock::Clock,
    config::Config,
    connections, events, http, invoicing, merchants, metrics, nodes, rates,
    store::{StoreError, WriterTask},
    sweeping::{self, GasKey},
    tls, webhooks,
};

/// The server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{key}: cannot listen on {address}")]
    Bind {
        key: &'static str,
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("storage.database_url: another server runs on this database ({} is locked)", .0.display())]
    InUse(PathBuf),
    #[error("storage.database_url: the file cannot be created")]
    Create(#[source] io::Error),
    #[error("{} cannot be locked", path.display())]
    Lock {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the database")]
    Store(#[from] StoreError),
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    #[error("the {0} task broke; the log says why")]
    Broken(&'static str),
}

/// A server that runs until it is stopped.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    pub app: App,
    writer: WriterTask,
    broken: mpsc::Receiver<&'static str>,
    /// Keeps a second server off a database file for as long as this one runs.
    _lock: Option<File>,
}

/// Starts everything and returns once requests are answered. `secrets` holds the current one first; with a gas-only key
/// sweeps are sent where the configuration says so.
///
/// # Errors
///
/// If the address or the database is taken, or the database cannot be opened safely.
pub async fn start(
    config: Config,
    secrets: Vec<ServerSecret>,
    gas_key: Option<GasKey>,
    clock: Clock,
) -> Result<Running, ServeError> {
    tls::install();
    let lock = config.storage.file().map(|database| lock_file(&database)).transpose()?;
    config.storage.create_file().map_err(ServeError::Create)?;
    let (listener, address) = bind("server.listen", config.server.listen).await?;
    let metrics_listener = match config.operator.metrics_listen {
        Some(listen) => Some(bind("operator.metrics_listen", listen).await?),
        None => None,
    };
    let public_url = config.server.public_url.as_ref().map_or_else(|| format!("http://{address}"), ToString::to_string);
    let (app, writer) = App::open(config, secrets, clock, &public_url).await?;
    chains::tell_of_gaps(&app).await?;

    let (broke, broken) = mpsc::channel(1);
    let duties = Duties { app: app.clone(), broke };
    // Whatever this node begins is by somebody that is known.
    nodes::join(&app).await?;
    duties.start("node", nodes::run(app.clone()));
    duties.start("word between nodes", carry_hints(app.clone()));
    duties.start("event follower", events::run_follower(app.clone()));
    duties.start("event sequencer", events::run_sequencer(app.clone()));
    duties.start("open streams", events::run_access_checks(app.clone()));
    duties.start("retention", events::run_retention(app.clone()));
    duties.start("expiry", invoicing::run_expiry(app.clone()));
    duties.start("prices", rates::run(app.clone()));
    duties.start("late prices", invoicing::run_late_prices(app.clone()));
    duties.start("webhooks", webhooks::run(app.clone()));
    duties.start("merchants' settings", merchants::run(app.clone()));
    for network in &app.config.networks {
        // A watcher may give up its network, and says so itself; the others go on.
        duties.start("chain watcher", chains::run(app.clone(), network.clone()));
    }
    duties.start("alarms", alarm::run(app.clone()));
    if let Some((listener, address)) = metrics_listener {
        duties.start("metrics", connections::accept(app.clone(), listener, metrics::router(app.clone())));
        tracing::info!(%address, "metrics");
    }
    if let Some(key) = gas_key.map(Arc::new) {
        for network in app.config.evm_networks() {
            let Some(limits) = network.sweep_by_key.clone() else { continue };
            duties.start("sweeps", sweeping::run(app.clone(), network.clone(), limits, Arc::clone(&key)));
        }
    }
    duties.start("HTTP", connections::accept(app.clone(), listener, http::router(app.clone())));

    tracing::info!(%address, node.id = %app.node, "listening");
    Ok(Running { address, app, writer, broken, _lock: lock })
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Bind { key, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn carry_hints(app: App) {
    tokio::select! {
        () = app.shutdown.cancelled() => {}
        () = app.store.carry_hints() => {}
    }
}

impl Running {
    /// Waits until a part of the server breaks, which it should not.
    pub async fn broken(&mut self) -> ServeError {
        match self.broken.recv().await {
            Some(name) => ServeError::Broken(name),
            // All duties ended as they should, so a shutdown is under way.
            None => std::future::pending().await,
        }
    }

    /// Stops accepting requests, lets what runs come to its end, and returns when everything is
    /// written, or when `server.shutdown_grace_seconds` are over.
    pub async fn stop(self) {
        let Self { app, writer, _lock, .. } = self;
        let grace = Duration::from_secs(app.config.server.shutdown_grace_seconds);
        app.shutdown.cancel();
        app.tasks.close();
        let everything_ends = async move {
            app.tasks.wait().await;
            nodes::leave(&app).await;
            app.store.close_readers().await;
            // The writer ends with the last handle to the store.
            drop(app);
            // A panic in the writer was logged when it happened.
            let _panicked = writer.await;
        };
        if timeout(grace, everything_ends).await.is_err() {
            tracing::warn!(grace_seconds = grace.as_secs(), "stopped although something was still running");
        }
    }
}

/// Starts duties and hears of their end.
struct Duties {
    app: App,
    broke: mpsc::Sender<&'static str>,
}

impl Duties {
    /// Starts a duty that lasts until shutdown.
    fn start(&self, name: &'static str, duty: impl Future<Output = ()> + Send + 'static) {
        let (broke, shutdown) = (self.broke.clone(), self.app.shutdown.clone());
        self.app.spawn(async move {
            let panicked = AssertUnwindSafe(duty).catch_unwind().await.is_err();
            if panicked || !shutdown.is_cancelled() {
                tell(&broke, name, panicked);
            }
        });
    }
}

fn tell(broke: &mpsc::Sender<&'static str>, name: &'static str, panicked: bool) {
    tracing::error!(task = name, panicked, "a task broke");
    // One broken duty is enough to end the server; further ones are in the log.
    let _is_told = broke.try_send(name);
}

fn lock_file(database: &Path) -> Result<File, ServeError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |source| ServeError::Lock { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServeError::InUse(path)),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
