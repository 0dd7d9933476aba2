//! `vestibule config init|check|print`.

mod check;

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::exit::Exit;
use super::place::Place;
use crate::config::template;

/// The actions of the noun.
#[derive(Subcommand)]
pub enum Action {
    /// Write a commented config file with the defaults
    Init {
        /// The file to write, which must not exist; without a file, print the config
        file: Option<PathBuf>,
    },
    /// Check the config and every file that it names, and report all problems; nothing is changed
    Check {
        /// Also connect to the database, and check its schema and master key
        #[arg(long)]
        connect: bool,
    },
    /// Print the config that is in effect, without secrets
    Print,
}

/// Runs it.
pub async fn run(place: &Place, action: Action) -> Result<(), Exit> {
    match action {
        Action::Init { file: None } => {
            let config = template();
            place.print(&json!({ "config": config }), config.trim_end())
        }
        Action::Init { file: Some(file) } => init(place, &file),
        Action::Check { connect } => check::check(place, connect).await,
        Action::Print => print(place),
    }
}

fn init(place: &Place, file: &std::path::Path) -> Result<(), Exit> {
    let mut options = std::fs::OpenOptions::new();
    let mut written =
        options
            .write(true)
            .create_new(true)
            .open(file)
            .map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => Exit::refused(format!(
                    "{} already exists and was not changed",
                    file.display()
                )),
                _ => Exit::refused(format!("{}: {error}", file.display())),
            })?;
    std::io::Write::write_all(&mut written, template().as_bytes())
        .map_err(|error| Exit::broken(format!("{}: {error}", file.display())))?;
    place.print(
        &json!({ "file": file }),
        format!(
            "{0} written. Next: set [keys] and [smtp], then\n  vestibule config check --config {0}\n  \
             vestibule migrate up --config {0}",
            file.display()
        ),
    )
}

fn print(place: &Place) -> Result<(), Exit> {
    let config = place.load_config()?.shown();
    let json = serde_json::to_value(&config)
        .map_err(|error| Exit::broken(format!("printing the config: {error}")))?;
    let text = toml::to_string_pretty(&config)
        .map_err(|error| Exit::broken(format!("printing the config: {error}")))?;
    place.print(&json, text.trim_end())
}
