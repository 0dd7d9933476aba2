//! What handler commands read: scripts and secrets from files, and the engine from the config.

use std::path::Path;

use crate::admin::handler::{SEVERAL_CONTRACTS, ScriptSource};
use crate::admin::{AdminFailure, AdminRefusal};
use crate::cli::exit::Exit;
use crate::cli::place::Place;
use crate::handler::script::ScriptEngine;

/// Reads a file.
pub fn read_text(path: &Path) -> Result<String, Exit> {
    std::fs::read_to_string(path)
        .map_err(|error| Exit::refused(format!("{}: {error}", path.display())))
}

/// Reads a script. Messages call it by its file.
pub fn read_script(path: &Path) -> Result<ScriptSource, Exit> {
    Ok(ScriptSource {
        label: path.display().to_string(),
        text: read_text(path)?,
    })
}

/// The engine of scripts, with the limits of the config.
pub fn engine(place: &Place) -> Result<ScriptEngine, Exit> {
    let config = place.load_config()?;
    Ok(ScriptEngine::new(config.handlers.script_limits())?)
}

/// The exit of a command that takes `--contract`: a contract that only the command line can name is missing there.
pub fn exit_of(failure: AdminFailure) -> Exit {
    match failure {
        AdminFailure::Refused(AdminRefusal::Invalid(invalid))
            if invalid.reason == SEVERAL_CONTRACTS =>
        {
            Exit::misused(format!("{SEVERAL_CONTRACTS} with --contract"))
        }
        failure => Exit::from(failure),
    }
}
