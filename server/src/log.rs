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
    let writer = move || -> OneLine<Box<dyn io::Write>> {
        OneLine(match stream {
            LogStream::Stdout => Box::new(io::stdout()),
            LogStream::Stderr => Box::new(io::stderr()),
        })
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
