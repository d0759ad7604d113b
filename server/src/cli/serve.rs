//! `pepay serve`.

use std::path::Path;

use super::{CliError, load_config};
use crate::{
    clock::Clock,
    config::{load_gas_key, load_secrets},
    log::LogStream,
    serve::{self, ServeError},
};

/// Runs the server until a signal ends it, or a part of it breaks.
pub(super) async fn serve(path: &Path) -> Result<(), CliError> {
    let config = load_config(path, LogStream::Stdout)?;
    let secrets = load_secrets(&config, std::env::vars_os())?;
    let gas_key = load_gas_key(&config, std::env::vars_os())?;
    let signal = stop_signal().map_err(ServeError::Signals)?;
    let mut running = serve::start(config, secrets, gas_key, Clock::system()).await?;

    let broken = tokio::select! {
        name = signal => {
            tracing::info!(signal = name, "stopping");
            None
        }
        error = running.broken() => Some(error),
    };
    running.stop().await;
    tracing::info!("stopped");
    broken.map_or(Ok(()), |error| Err(error.into()))
}

/// Waits for a signal that asks the process to end.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    })
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the other systems can fail here")]
fn stop_signal() -> std::io::Result<impl Future<Output = &'static str>> {
    Ok(async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    })
}
