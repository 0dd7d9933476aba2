//! `vestibule config init|check|print`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::place::{Exit, Place};
use crate::config::TEMPLATE;

/// Writes, checks or prints the config.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Write a commented config file with the defaults
    Init {
        /// The file to write; it must not exist. Without one, print it
        file: Option<PathBuf>,
    },
    /// Check the config and every file that it names, and change nothing
    Check,
    /// Print the config as it is in effect, without secrets
    Print,
}

/// Runs it.
pub fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    match arguments.action {
        Action::Init { file: None } => {
            place.print(&json!({ "config": TEMPLATE }), TEMPLATE.trim_end())
        }
        Action::Init { file: Some(file) } => init(place, &file),
        Action::Check => check(place),
        Action::Print => print(place),
    }
}

fn init(place: &Place, file: &std::path::Path) -> Result<(), Exit> {
    let mut options = std::fs::OpenOptions::new();
    let mut written = options
        .write(true)
        .create_new(true)
        .open(file)
        .map_err(|error| Exit::refused(format!("{}: {error}", file.display())))?;
    std::io::Write::write_all(&mut written, TEMPLATE.as_bytes())
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

fn check(place: &Place) -> Result<(), Exit> {
    let config = place.load_config()?;
    if config
        .keys
        .master_key_file
        .as_ref()
        .is_some_and(|path| path.exists())
        || place.data_dir().is_none()
    {
        super::place::read_keyring(&config)?;
    }
    let files = [
        (
            "[listen] tls_certificate_file",
            &config.listen.tls_certificate_file,
        ),
        ("[listen] tls_key_file", &config.listen.tls_key_file),
        ("[smtp] password_file", &config.smtp.password_file),
        ("[smtp] ca_file", &config.smtp.ca_file),
    ];
    for (key, path) in files {
        if let Some(path) = path {
            std::fs::File::open(path)
                .map_err(|error| Exit::refused(format!("{key} = {}: {error}", path.display())))?;
        }
    }
    super::assembly::check_relay(&config.smtp)?;
    place.print(&json!({"valid": true}), "the config is valid")
}

fn print(place: &Place) -> Result<(), Exit> {
    let config = place.load_config()?.shown();
    let json = serde_json::to_value(&config)
        .map_err(|error| Exit::broken(format!("printing the config: {error}")))?;
    let text = toml::to_string_pretty(&config)
        .map_err(|error| Exit::broken(format!("printing the config: {error}")))?;
    place.print(&json, text.trim_end())
}
