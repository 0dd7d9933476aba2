//! `vestibule backup FILE`: a consistent copy of an SQLite database while it serves.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::place::Place;

/// Copy the SQLite database as of one instant, while the server runs. The copy does not contain the master
/// key: keep that elsewhere. To restore it, stop the server and run `vestibule restore --from FILE`.
#[derive(Args)]
pub struct Arguments {
    /// The file to write; it must not exist
    file: PathBuf,
}

/// Runs it.
pub async fn run(place: &Place, arguments: &Arguments) -> Result<(), Exit> {
    let file = &arguments.file;
    let installation = place.open().await?;
    make_private(file)?;
    if let Err(fault) = installation.store.backup(file) {
        // A half-written copy would look like a backup. It is ours to remove: it was made above.
        let _ = std::fs::remove_file(file);
        return Err(Exit::from(fault));
    }
    let bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    place.print(
        &json!({"file": file, "bytes": bytes}),
        format!("{} written, {bytes} bytes", file.display()),
    )
}

/// Makes the empty file, which only its owner can read: it will contain the data of all users. An existing file
/// is not touched.
pub(super) fn make_private(file: &Path) -> Result<(), Exit> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(|_| ()).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            Exit::refused(format!("{} exists already", file.display()))
        } else {
            Exit::broken(format!("{}: {error}", file.display()))
        }
    })
}
