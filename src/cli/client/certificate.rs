//! `vestibule client certificate add|list|remove`: the X.509 certificates that a first-party app signs its
//! assertions and attestations with. They are a policy of the client, `clientAssertionCertificate`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{find, write};
use crate::changes::Invalid;
use crate::cli::place::{Exit, Installation, Place};
use crate::client::CERTIFICATES_MAX;
use crate::jose::{CERTIFICATE_BYTES_MAX, Certificate};
use crate::moment::Moment;
use crate::store::client::SealedClient;

/// The policy that they are.
const KEY: &str = "clientAssertionCertificate";

#[derive(Subcommand)]
pub(super) enum Action {
    /// Register a certificate; a running server takes it within a second
    Add {
        /// Consumer key or name
        client: String,
        /// The certificate in PEM, at most 4 KB: RSA of 2048 to 4096 bits, P-256 or Ed25519
        #[arg(long, value_name = "PEM")]
        file: PathBuf,
    },
    /// The certificates of an app, with their fingerprints and dates
    List {
        /// Consumer key or name
        client: String,
    },
    /// Remove a certificate; what it signed is worth nothing within a second
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
pub(super) async fn run(
    place: &Place,
    installation: &Installation,
    action: Action,
) -> Result<(), Exit> {
    let client = match action {
        Action::Add { client, file } => add(installation, &client, &file).await?,
        Action::List { client } => find(installation, &client).await?,
        Action::Remove {
            client,
            file,
            fingerprint,
        } => {
            let fingerprint = match (&file, fingerprint) {
                (Some(file), _) => read(file)?.1.fingerprint().to_owned(),
                (None, fingerprint) => fingerprint
                    .unwrap_or_default()
                    .replace(':', "")
                    .to_ascii_lowercase(),
            };
            remove(installation, &client, &fingerprint).await?
        }
    };
    list(place, &client, installation.clock.now())
}

async fn add(installation: &Installation, name: &str, file: &Path) -> Result<SealedClient, Exit> {
    let (pem, certificate) = read(file)?;
    check_date(&certificate, installation.clock.now())?;
    let client = find(installation, name).await?;
    let known = parsed(&client);
    if known
        .iter()
        .any(|(_, known)| known.fingerprint() == certificate.fingerprint())
    {
        return Err(Exit::refused(format!(
            "{KEY}: {} is registered already",
            certificate.fingerprint()
        )));
    }
    if known.len() >= CERTIFICATES_MAX {
        return Err(Exit::refused(format!(
            "{KEY}: an app has at most {CERTIFICATES_MAX}; remove one first"
        )));
    }
    let mut certificates: Vec<Value> = pems(&client);
    certificates.push(Value::from(pem));
    save(installation, name, certificates).await
}

async fn remove(
    installation: &Installation,
    name: &str,
    fingerprint: &str,
) -> Result<SealedClient, Exit> {
    let client = find(installation, name).await?;
    let known = parsed(&client);
    let left: Vec<Value> = known
        .iter()
        .filter(|(_, certificate)| certificate.fingerprint() != fingerprint)
        .map(|(pem, _)| Value::from(pem.as_str()))
        .collect();
    if left.len() == known.len() {
        return Err(Exit::missing(format!(
            "{KEY}: {} has no certificate {fingerprint:?}; `vestibule client certificate list` shows them",
            client.name
        )));
    }
    save(installation, name, left).await
}

async fn save(
    installation: &Installation,
    name: &str,
    certificates: Vec<Value>,
) -> Result<SealedClient, Exit> {
    let mut changes = Map::new();
    changes.insert(KEY.to_owned(), Value::Array(certificates));
    write(installation, name, changes).await
}

fn pems(client: &SealedClient) -> Vec<Value> {
    let certificates = &client.policies.client_assertion_certificate;
    certificates
        .iter()
        .map(|pem| Value::from(pem.as_str()))
        .collect()
}

/// What can be read of a client's certificates, which is all of them: they were checked when they came.
fn parsed(client: &SealedClient) -> Vec<(String, Certificate)> {
    let certificates = client.policies.client_assertion_certificate.iter();
    certificates
        .filter_map(|pem| Some((pem.clone(), Certificate::parse(pem).ok()?)))
        .collect()
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

/// Refuses a certificate that could prove nothing: one that is over.
fn check_date(certificate: &Certificate, at: Moment) -> Result<(), Invalid> {
    match certificate.not_after() < at {
        true => Err(Invalid::new(
            KEY,
            format!("it ended at {}", certificate.not_after().iso_seconds()),
        )),
        false => Ok(()),
    }
}

/// The same for the value of the policy; what cannot be read is told when it is saved.
pub(super) fn check_dates(value: &Value, at: Moment) -> Result<(), Invalid> {
    let pems = match value {
        Value::Array(pems) => pems.as_slice(),
        one => std::slice::from_ref(one),
    };
    let certificates = pems
        .iter()
        .filter_map(Value::as_str)
        .map(Certificate::parse);
    for certificate in certificates.flatten() {
        check_date(&certificate, at)?;
    }
    Ok(())
}

fn list(place: &Place, client: &SealedClient, at: Moment) -> Result<(), Exit> {
    let known = parsed(client);
    let rows: Vec<Value> = known
        .iter()
        .map(|(_, certificate)| {
            json!({
                "fingerprint": certificate.fingerprint(),
                "algorithm": certificate.key().algorithm().as_str(),
                "not_before": certificate.not_before().iso_seconds(),
                "not_after": certificate.not_after().iso_seconds(),
                "is_valid": certificate.is_valid_at(at),
            })
        })
        .collect();
    let lines: Vec<String> = known
        .iter()
        .map(|(_, certificate)| {
            format!(
                "{}  {}  {} to {}{}",
                certificate.fingerprint(),
                certificate.key().algorithm().as_str(),
                certificate.not_before().iso_seconds(),
                certificate.not_after().iso_seconds(),
                match certificate.is_valid_at(at) {
                    true => "",
                    false => "  NOT VALID NOW",
                }
            )
        })
        .collect();
    let text = match lines.is_empty() {
        true => format!("{} has no certificate", client.name),
        false => lines.join("\n"),
    };
    let json = json!({"client_id": client.id, "name": client.name, "certificates": rows});
    place.print(&json, text)
}
