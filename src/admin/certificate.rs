//! The X.509 certificates with whose keys a first-party app signs its assertions and attestations. They are a
//! policy of the client, `clientAssertionCertificate`.

use super::client::{self, CERTIFICATES_KEY, SealedClient, check_date};
use super::{Admin, AdminFailure, AdminRefusal};
use crate::audit::ObjectKind;
use crate::changes::Invalid;
use crate::client::{CERTIFICATES_MAX, Policies};
use crate::jose::Certificate;
use crate::store;

/// Registers a certificate, in PEM.
///
/// # Refusals
/// There is no such client. The certificate cannot be used, has expired, or is registered already, or the client
/// has as many as it may have.
pub async fn add(
    admin: &Admin<'_>,
    client: &str,
    pem: String,
) -> Result<SealedClient, AdminFailure> {
    let certificate =
        Certificate::parse(&pem).map_err(|reason| Invalid::new(CERTIFICATES_KEY, reason))?;
    check_date(&certificate, admin.at)?;
    let fingerprint = certificate.fingerprint().to_owned();
    write(
        admin,
        client,
        (pem, fingerprint),
        |before, (pem, fingerprint)| {
            let known = parsed(before);
            if known.iter().any(|known| known.fingerprint() == fingerprint) {
                let reason = format!("{fingerprint} is registered already");
                return Err(AdminRefusal::invalid(CERTIFICATES_KEY, reason));
            }
            if known.len() >= CERTIFICATES_MAX {
                let reason = format!("an app has at most {CERTIFICATES_MAX}; remove one first");
                return Err(AdminRefusal::invalid(CERTIFICATES_KEY, reason));
            }
            let mut certificates = before.policies.client_assertion_certificate.clone();
            certificates.push(pem.clone());
            Ok(certificates)
        },
    )
    .await
}

/// Removes the certificate with a SHA-256 fingerprint, in lower-case hexadecimal digits.
///
/// # Refusals
/// There is no such client, or it has no such certificate.
pub async fn remove(
    admin: &Admin<'_>,
    client: &str,
    fingerprint: String,
) -> Result<SealedClient, AdminFailure> {
    write(admin, client, fingerprint, |before, fingerprint| {
        let all = &before.policies.client_assertion_certificate;
        let is_this = |pem: &String| {
            Certificate::parse(pem).is_ok_and(|known| known.fingerprint() == fingerprint)
        };
        let left: Vec<String> = all.iter().filter(|pem| !is_this(pem)).cloned().collect();
        if left.len() == all.len() {
            return Err(AdminRefusal::Missing {
                kind: ObjectKind::Certificate,
                name: fingerprint.clone(),
                known: parsed(before)
                    .iter()
                    .map(|known| known.fingerprint().to_owned())
                    .collect(),
            });
        }
        Ok(left)
    })
    .await
}

/// Replaces the certificates of a client by those that `next` makes of them.
async fn write<I>(
    admin: &Admin<'_>,
    client: &str,
    input: I,
    next: fn(&SealedClient, &I) -> Result<Vec<String>, AdminRefusal>,
) -> Result<SealedClient, AdminFailure>
where
    I: Send + Sync + 'static,
{
    let input = (client.to_owned(), input, admin.at);
    admin
        .change(
            "client.update",
            ObjectKind::Client,
            (input, next),
            |tx, ((name, input, at), next)| {
                Box::pin(async move {
                    let before = client::named(store::client::list(tx).await?, name)?;
                    let policies = Policies {
                        client_assertion_certificate: next(&before, input)?,
                        ..before.policies.clone()
                    };
                    policies.validate()?;
                    client::write_policies(tx, &before, policies, *at).await
                })
            },
        )
        .await
}

/// The certificates of a client. All of them can be read: they were checked when they were registered.
pub fn parsed(client: &SealedClient) -> Vec<Certificate> {
    let certificates = client.policies.client_assertion_certificate.iter();
    certificates
        .filter_map(|pem| Certificate::parse(pem).ok())
        .collect()
}
