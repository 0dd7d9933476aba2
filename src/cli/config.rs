//! `vestibule config init|check|print`.

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::exit::Exit;
use super::output;
use super::place::{MASTER_KEY, Place, read_keyring};
use super::serve::lacks_relay;
use crate::app::{email_gateway, sms_gateway};
use crate::config::template;

/// The actions of the noun.
#[derive(Subcommand)]
pub enum Action {
    /// Write a commented config file with the defaults
    Init {
        /// The file to write, which must not exist; without a file, print the config
        file: Option<PathBuf>,
    },
    /// Check the config and every file that it names; nothing is changed
    Check,
    /// Print the config that is in effect, without secrets
    Print,
}

/// Runs it.
pub fn run(place: &Place, action: Action) -> Result<(), Exit> {
    match action {
        Action::Init { file: None } => {
            let config = template();
            place.print(&json!({ "config": config }), config.trim_end())
        }
        Action::Init { file: Some(file) } => init(place, &file),
        Action::Check => check(place),
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

fn check(place: &Place) -> Result<(), Exit> {
    let config = place.load_config()?;
    // `vestibule dev` creates the key of its data directory itself; any other must exist.
    let own_key = place.data_dir().map(|directory| directory.join(MASTER_KEY));
    let is_made_later = !place.has_config()
        && config.keys.master_key_file == own_key
        && own_key.is_some_and(|path| !path.exists());
    if !is_made_later {
        read_keyring(&config)?;
    }
    let files = [
        (
            "[listen] tls_certificate_file",
            &config.listen.tls_certificate_file,
        ),
        ("[listen] tls_key_file", &config.listen.tls_key_file),
        (
            "[sms] twilio_auth_token_file",
            &config.sms.twilio_auth_token_file,
        ),
        ("[sms] webhook_secret_file", &config.sms.webhook_secret_file),
        ("[smtp] password_file", &config.smtp.password_file),
        ("[smtp] ca_file", &config.smtp.ca_file),
    ];
    for (key, path) in files {
        if let Some(path) = path {
            std::fs::File::open(path)
                .map_err(|error| Exit::refused(format!("{key} = {}: {error}", path.display())))?;
        }
    }
    email_gateway(&config.smtp)?;
    sms_gateway(&config.sms)?;
    if !place.has_config() {
        output::report(
            "note: no config file is named: these are the defaults of `vestibule dev`\n",
        );
    } else if let Some(note) = lacks_relay(&config) {
        output::report(format_args!("note: {note}\n"));
    }
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
