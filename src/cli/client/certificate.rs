//! `vestibule client certificate add|list|remove`: the X.509 certificates that a first-party app signs its
//! assertions and attestations with.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::admin::client::{self, SealedClient};
use crate::admin::{Admin, certificate};
use crate::cli::exit::Exit;
use crate::cli::place::Place;
use crate::jose::{CERTIFICATE_BYTES_MAX, Certificate};
use crate::moment::Moment;

#[derive(Subcommand)]
pub enum Action {
    /// Register a certificate; a running server accepts it within a second
    Add {
        /// Consumer key or name
        client: String,
        /// The certificate in PEM, at most 4 KB: RSA of 2048 to 4096 bits, P-256 or Ed25519
        #[arg(long, value_name = "PEM")]
        file: PathBuf,
    },
    /// List the certificates of an app, with their fingerprints and dates
    List {
        /// Consumer key or name
        client: String,
    },
    /// Remove a certificate; what it signed is refused within a second
    Remove {
        /// Consumer key or name
        client: String,
        /// The certificate in PEM
        #[arg(long, value_name = "PEM", required_unless_present = "fingerprint")]
        file: Option<PathBuf>,
        /// Its SHA-256 fingerprint, as `list` shows it
        #[arg(long, value_name = "HEX", conflicts_with = "file")]
        fingerprint: Option<String>,
    },
}

/// Runs it.
pub(super) async fn run(place: &Place, admin: &Admin<'_>, action: Action) -> Result<(), Exit> {
    let client = match action {
        Action::Add { client, file } => {
            let (pem, _) = read(&file)?;
            certificate::add(admin, &client, pem).await?
        }
        Action::List { client } => client::load(admin, &client).await?,
        Action::Remove {
            client,
            file,
            fingerprint,
        } => {
            let fingerprint = match &file {
                Some(file) => read(file)?.1.fingerprint().to_owned(),
                None => fingerprint.unwrap_or_default(),
            };
            let fingerprint = fingerprint.replace(':', "").to_ascii_lowercase();
            certificate::remove(admin, &client, fingerprint).await?
        }
    };
    print(place, &client, admin.at)
}

/// A certificate file.
fn read(file: &Path) -> Result<(String, Certificate), Exit> {
    let refused = |reason: &str| Exit::refused(format!("{}: {reason}", file.display()));
    let length = std::fs::metadata(file)
        .map_err(|error| refused(&error.to_string()))?
        .len();
    if length > CERTIFICATE_BYTES_MAX as u64 {
        return Err(refused("it is longer than 4 KB"));
    }
    let bytes = std::fs::read(file).map_err(|error| refused(&error.to_string()))?;
    let pem = String::from_utf8(bytes).map_err(|_| refused("it is not PEM"))?;
    let certificate = Certificate::parse(&pem).map_err(refused)?;
    Ok((pem, certificate))
}

fn print(place: &Place, client: &SealedClient, at: Moment) -> Result<(), Exit> {
    let certificates = certificate::parsed(client);
    let rows: Vec<Value> = certificates.iter().map(|one| row(one, at)).collect();
    let lines: Vec<String> = certificates.iter().map(|one| line(one, at)).collect();
    let text = if lines.is_empty() {
        format!("{} has no certificate", client.name)
    } else {
        lines.join("\n")
    };
    let json = json!({"client_id": client.id, "name": client.name, "certificates": rows});
    place.print(&json, text)
}

fn row(certificate: &Certificate, at: Moment) -> Value {
    json!({
        "fingerprint": certificate.fingerprint(),
        "algorithm": certificate.key().algorithm().as_str(),
        "not_before": certificate.not_before().iso_seconds(),
        "not_after": certificate.not_after().iso_seconds(),
        "is_valid": certificate.is_valid_at(at),
    })
}

fn line(certificate: &Certificate, at: Moment) -> String {
    let validity = if certificate.is_valid_at(at) {
        ""
    } else {
        "  NOT VALID NOW"
    };
    format!(
        "{}  {}  {} to {}{validity}",
        certificate.fingerprint(),
        certificate.key().algorithm().as_str(),
        certificate.not_before().iso_seconds(),
        certificate.not_after().iso_seconds(),
    )
}
