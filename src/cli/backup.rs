//! `vestibule backup FILE`: a consistent copy of an SQLite database while it serves.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::place::{Exit, Place};

/// Copies the SQLite database as of one instant, while the server goes on. The master key is not in
/// it: keep that elsewhere. To restore, stop the server and put the file in the database's place.
#[derive(Args)]
pub struct Arguments {
    /// The file to write; it must not exist
    file: PathBuf,
}

/// Runs it.
pub async fn run(place: &Place, arguments: &Arguments) -> Result<(), Exit> {
    let file = &arguments.file;
    if file.exists() {
        return Err(Exit::refused(format!("{} exists already", file.display())));
    }
    let installation = place.open().await?;
    if let Err(fault) = installation.store.backup(file) {
        // A half-written copy would look like a backup.
        let _ = std::fs::remove_file(file);
        return Err(Exit::from(fault));
    }
    let bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    place.print(
        &json!({"file": file, "bytes": bytes}),
        format!("{} written, {bytes} bytes", file.display()),
    )
}
