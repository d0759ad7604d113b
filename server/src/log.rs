//! Where log lines go and what they look like.

use std::io;

use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

use crate::config::{LogConfig, LogFormat};

/// Which stream log lines go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStream {
    /// For the server, which prints nothing else.
    Stdout,
    /// For commands, whose answer is on standard output.
    Stderr,
}

/// Starts logging for the whole process; the first call wins.
pub fn start(config: &LogConfig, stream: LogStream) {
    // The filter was checked with the other settings.
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let writer = move || -> Box<dyn io::Write> {
        match stream {
            LogStream::Stdout => Box::new(io::stdout()),
            LogStream::Stderr => Box::new(io::stderr()),
        }
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(false)
        .with_span_events(FmtSpan::NONE);
    let _already_started = match config.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    };
}
