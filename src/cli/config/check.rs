//! `vestibule config check`: everything that is wrong with a config and the files that it names, all at once.
//!
//! Nothing is changed, and only `--connect` opens the database. What would keep the server from starting is a
//! problem; a file that other users of the machine can read or change is a warning, which `serve` also logs.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use crate::admin::installation::{KeyCheck, database_file, database_warning, location_problem};
use crate::app::{email_gateway, sms_gateway};
use crate::cli::exit::Exit;
use crate::cli::loose_files::loose_files;
use crate::cli::output;
use crate::cli::place::{MASTER_KEY, Place, open, other_key, read_keyring};
use crate::cli::serve::lacks_relay;
use crate::config::Config;

/// Checks the config, and with `connects` also the database.
pub async fn check(place: &Place, connects: bool) -> Result<(), Exit> {
    let config = place.load_config()?;
    let mut problems = problems(place, &config);
    if connects && problems.is_empty() {
        problems.extend(check_database(&config).await.err().map(|exit| exit.message));
    }
    if !problems.is_empty() {
        return Err(Exit::refused(problems.join("\n")));
    }
    let mut warnings = loose_files(&config);
    warnings.extend(database_warning(&config));
    for warning in &warnings {
        output::report(format_args!("warning: {warning}\n"));
    }
    if !place.has_config() {
        output::report(
            "note: no config file is named: these are the defaults of `vestibule dev`\n",
        );
    } else if let Some(note) = lacks_relay(&config) {
        output::report(format_args!("note: {note}\n"));
    }
    place.print(
        &json!({"valid": true, "warnings": warnings}),
        "the config is valid",
    )
}

/// What would keep the server from starting, without a look into the database.
fn problems(place: &Place, config: &Config) -> Vec<String> {
    // `vestibule dev` creates the key of its data directory itself; any other must exist.
    let own_key = place.data_dir().map(|directory| directory.join(MASTER_KEY));
    let is_made_later = !place.has_config()
        && config.keys.master_key_file == own_key
        && own_key.is_some_and(|path| !path.exists());
    let key = match is_made_later {
        true => None,
        false => read_keyring(config).err().map(|exit| exit.message),
    };
    let mut problems: Vec<String> = key.into_iter().collect();
    for (name, path) in named_files(config) {
        if let Err(error) = std::fs::File::open(&path) {
            problems.push(format!("{name} = {}: {error}", path.display()));
        }
    }
    if !problems.is_empty() {
        // The checks below read the same files and would report them again.
        return problems;
    }
    problems.extend(check_tls_pair(config).err());
    problems.extend(location_problem(config, place.has_config()));
    problems.extend(
        email_gateway(&config.smtp)
            .err()
            .map(|problem| problem.to_string()),
    );
    match config.outbound.forward_proxy() {
        Ok(proxy) => {
            let gateway = sms_gateway(&config.sms, proxy.as_ref());
            problems.extend(gateway.err().map(|problem| problem.to_string()));
        }
        Err(problem) => problems.push(problem.to_string()),
    }
    problems
}

/// Every file that the config names, but the master key and the database.
fn named_files(config: &Config) -> Vec<(&'static str, PathBuf)> {
    let files = [
        ("[database] ca_file", &config.database.ca_file),
        (
            "[database] certificate_file",
            &config.database.certificate_file,
        ),
        ("[database] key_file", &config.database.key_file),
        (
            "[listen] tls_certificate_file",
            &config.listen.tls_certificate_file,
        ),
        ("[listen] tls_key_file", &config.listen.tls_key_file),
        (
            "[outbound] proxy_password_file",
            &config.outbound.proxy_password_file,
        ),
        (
            "[sms] twilio_auth_token_file",
            &config.sms.twilio_auth_token_file,
        ),
        ("[sms] webhook_secret_file", &config.sms.webhook_secret_file),
        ("[smtp] password_file", &config.smtp.password_file),
        ("[smtp] ca_file", &config.smtp.ca_file),
    ];
    let files = files.into_iter();
    files
        .filter_map(|(name, path)| Some((name, path.clone()?)))
        .collect()
}

/// Whether the certificate of the public listener belongs to its key.
fn check_tls_pair(config: &Config) -> Result<(), String> {
    let listen = &config.listen;
    let (Some(certificate), Some(key)) = (&listen.tls_certificate_file, &listen.tls_key_file)
    else {
        return Ok(());
    };
    let wrong = |name: &str, path: &Path, reason: &dyn std::fmt::Display| {
        format!("[listen] {name} = {}: {reason}", path.display())
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(|found| found.collect());
    let chain = chain.map_err(|error| wrong("tls_certificate_file", certificate, &error))?;
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| wrong("tls_key_file", key, &error))?;
    let server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, secret);
    match server {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let reason = format!(
                "it is not the key of the certificate in {}",
                certificate.display()
            );
            Err(wrong("tls_key_file", key, &reason))
        }
        Err(error) => Err(wrong("tls_certificate_file", certificate, &error)),
    }
}

/// Opens the database and looks for an installation under the master key.
async fn check_database(config: &Config) -> Result<(), Exit> {
    if let Some(path) = database_file(config)?
        && !path.exists()
    {
        return Err(Exit::refused(format!(
            "there is no database at {}: run `vestibule migrate up`",
            path.display()
        )));
    }
    let installation = open(config)?;
    let waiting = installation.waiting_migrations().await?;
    if waiting > 0 {
        return Err(Exit::refused(format!(
            "the database lacks {waiting} migration(s): run `vestibule migrate up`"
        )));
    }
    match installation.check_key().await? {
        KeyCheck::SameKey => Ok(()),
        KeyCheck::Empty => Err(Exit::refused(
            "the database contains no installation: run `vestibule migrate up`",
        )),
        KeyCheck::OtherKey => Err(Exit::refused(other_key(config))),
    }
}
