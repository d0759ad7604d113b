//! Where log lines go and what they look like.

use std::io;

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    fmt::{self, format::FmtSpan},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    alarm,
    config::{LogConfig, LogFormat},
};

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
    let writer = move || -> OneLine<Box<dyn io::Write>> {
        OneLine(match stream {
            LogStream::Stdout => Box::new(io::stdout()),
            LogStream::Stderr => Box::new(io::stderr()),
        })
    };
    let lines = fmt::layer().with_writer(writer).with_ansi(false).with_span_events(FmtSpan::NONE);
    let lines = match config.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    let lines = lines.with_filter(filter).with_filter(filter_fn(is_discreet));
    let _already_started = tracing_subscriber::registry().with(lines).with(alarm::layer()).try_init();
}

/// Libraries that write down at their finest levels what they carry: frames of sockets, bodies that do not fit.
const INDISCREET: [&str; 3] = ["tungstenite", "tokio_tungstenite", "axum::rejection"];

/// Whether a record is fit for the log, whatever the filter asks for.
fn is_discreet(record: &Metadata<'_>) -> bool {
    let is_coarse = *record.level() <= Level::INFO;
    is_coarse || !INDISCREET.iter().any(|library| record.target().starts_with(library))
}

/// Writes each record as one line: text that came from elsewhere cannot make up records of its own.
struct OneLine<W>(W);

impl<W: io::Write> io::Write for OneLine<W> {
    /// Takes a whole record, which is how they come.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let (text, end) = match record {
            [text @ .., b'\n'] => (text, &b"\n"[..]),
            text => (text, &b""[..]),
        };
        if !text.iter().any(u8::is_ascii_control) {
            self.0.write_all(record)?;
            return Ok(record.len());
        }
        let mut line = Vec::with_capacity(record.len() + 16);
        for &byte in text {
            if byte.is_ascii_control() { line.extend(byte.escape_ascii()) } else { line.push(byte) }
        }
        line.extend_from_slice(end);
        self.0.write_all(&line)?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::testing::{Log, ask_every_subscriber};

    #[test]
    fn what_libraries_carry_is_not_logged_at_any_level() {
        ask_every_subscriber();
        let log = Log::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_max_level(Level::TRACE);
        let lines = lines.with_writer(move || writer.clone()).finish().with(filter_fn(is_discreet));
        tracing::subscriber::with_default(lines, || {
            tracing::trace!(target: "tungstenite::protocol", "received message canary");
            tracing::debug!(target: "tokio_tungstenite", "canary");
            tracing::trace!(target: "axum::rejection", body = "canary", "rejecting request");
            tracing::warn!(target: "tungstenite::protocol", "a warning");
            tracing::trace!(target: "hyper::proto", "a trace");
        });
        assert_eq!((log.lines_with("canary"), log.lines_with("a warning"), log.lines_with("a trace")), (0, 1, 1));
    }

    #[test]
    fn a_record_is_one_line_whatever_is_in_it() {
        let write = |record: &str| {
            let mut out = OneLine(Vec::new());
            out.write_all(record.as_bytes()).unwrap();
            String::from_utf8(out.0).unwrap()
        };
        assert_eq!(write("INFO paid ä\n"), "INFO paid ä\n");
        assert_eq!(write("error=x\nINFO paid\r\u{1b}[2K\tz\n"), "error=x\\nINFO paid\\r\\x1b[2K\\tz\n");
    }
}
