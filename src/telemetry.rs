//! Telemetry: where the log lines go. One line per fault, with the request's id; nothing secret,
//! because secrets are of a type that does not print.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::LogConfig;

/// Starts the log on standard error.
///
/// # Errors
/// The filter does not parse, or a log was started before.
pub fn start(log: &LogConfig) -> Result<(), String> {
    let filter = EnvFilter::try_new(&log.level)
        .map_err(|error| format!("[log] level {:?}: {error}", log.level))?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.format.as_str() {
        "pretty" => builder.with_target(false).try_init(),
        _ => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| error.to_string())
}
