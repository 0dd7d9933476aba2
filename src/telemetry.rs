//! Telemetry: where the log lines go. One line per fault, with the request's id; nothing secret,
//! because secrets are of a type that does not print.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogConfig, LogFormat};

/// Starts the log on standard error.
///
/// # Errors
/// The filter does not parse, or a log was started before.
pub fn start(log: &LogConfig) -> Result<(), String> {
    let mut filter =
        EnvFilter::try_new(&log.level).map_err(|error| format!("[log] level: {error}"))?;
    for directive in CAPPED {
        filter = filter.add_directive(directive.parse().expect("a directive of ours parses"));
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

/// Libraries that tell too much at their lowest levels, whatever level is asked for. This one writes
/// the bound values of every statement: addresses, password hashes, registrations that wait.
const CAPPED: [&str; 1] = ["tokio_postgres=info"];
