//! What a client authenticates itself with in headers, at the endpoints that authenticate clients: Basic
//! credentials (RFC 6749 section 2.3.1), or a client attestation.

use vestibule_protocol::basic::{BasicCredentials, parse_client};

use super::arrival::Arrival;
use super::attestation;
use crate::grant::ClientHeaders;
use crate::refusal::{Reason, Refusal};

/// Parses the headers by which a client authenticates itself.
///
/// # Refusals
/// `ClientSecretWrongInHeader`, `ClientAttestationInvalid`, `FormMalformed` for a header that was sent
/// twice with two values.
pub(super) fn parse(arrival: &Arrival) -> Result<ClientHeaders, Refusal> {
    Ok(ClientHeaders {
        basic: basic(arrival)?,
        attestation: attestation::presented(arrival)?,
    })
}

/// The client's Basic header, form-encoded inside.
fn basic(arrival: &Arrival) -> Result<Option<BasicCredentials>, Refusal> {
    match arrival.header("authorization")? {
        None => Ok(None),
        Some(header) => parse_client(header).map_err(|_| Refusal::ClientSecretWrongInHeader {
            because: Reason::BasicHeaderMalformed,
        }),
    }
}
