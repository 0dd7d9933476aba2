//! Telemetry: the log. One line per fault, with the request's id. It contains no secrets, because the types of
//! secrets do not print.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogConfig, LogFormat};

/// Starts the log on standard error.
///
/// # Errors
/// The filter does not parse, or a log was already started.
pub fn start(log: &LogConfig) -> Result<(), String> {
    let mut filter =
        EnvFilter::try_new(&log.level).map_err(|error| format!("[log] level: {error}"))?;
    for directive in CAPPED {
        filter = filter.add_directive(directive.parse().expect("a constant directive parses"));
    }
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Pretty => {
            let is_terminal = std::io::stderr().is_terminal();
            builder.with_target(false).with_ansi(is_terminal).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| error.to_string())
}

/// Libraries whose lowest levels are never logged, whatever the configured level. This one logs the bound values of
/// every statement: addresses, password hashes, pending registrations.
const CAPPED: [&str; 1] = ["tokio_postgres=info"];
