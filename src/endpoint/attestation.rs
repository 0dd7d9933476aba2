//! Client attestation at the endpoints: its headers, and the challenges that its proofs sign
//! (draft-ietf-oauth-attestation-based-client-auth sections 6 and 8).

use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde_json::json;
use vestibule_protocol::format::Format;
use vestibule_protocol::secret::Secret;

use super::answer::private;
use super::arrival::Arrival;
use crate::client::{Possession, PresentedAttestation};
use crate::refusal::{Failure, Reason, Refusal};

/// The attestation.
const ATTESTATION: &str = "oauth-client-attestation";
/// The proof of possession of its key.
const POP: &str = "oauth-client-attestation-pop";
/// The same in the combined mode (RFC 9449).
const DPOP: &str = "dpop";
/// A challenge for the next proof.
const CHALLENGE: HeaderName = HeaderName::from_static("oauth-client-attestation-challenge");

/// The attestation and its proof of possession in the headers. A `DPoP` header counts only beside an
/// attestation that has no other proof: tokens are not bound to it.
///
/// # Refusals
/// `ClientAttestationInvalid` for an attestation without a proof, a proof without one, or either sent
/// twice.
pub(super) fn presented(arrival: &Arrival) -> Result<Option<PresentedAttestation>, Refusal> {
    let attestation = only(arrival, ATTESTATION)?;
    let possession = match (only(arrival, POP)?, only(arrival, DPOP)?) {
        (Some(pop), _) => Some(Possession::Pop(pop)),
        (None, Some(proof)) if attestation.is_some() => Some(Possession::Dpop {
            proof,
            method: arrival.method.as_str().to_owned(),
            url: format!("{}{}", arrival.site.site.base_url, arrival.path),
        }),
        (None, _) => None,
    };
    match (attestation, possession) {
        (None, None) => Ok(None),
        (Some(attestation), Some(possession)) => Ok(Some(PresentedAttestation {
            attestation,
            possession,
        })),
        _ => Err(incomplete()),
    }
}

/// A header that must be sent at most once, even with the same value.
fn only(arrival: &Arrival, name: &'static str) -> Result<Option<Secret>, Refusal> {
    let mut values = arrival.headers.get_all(name).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().ok(),
        (Some(_), Some(_)) => None,
    };
    let text = value.ok_or_else(incomplete)?;
    Ok(Some(Secret::from(text.trim().to_owned())))
}

fn incomplete() -> Refusal {
    Refusal::ClientAttestationInvalid {
        because: Reason::ClientAttestationIncomplete,
        problem: None,
    }
}

/// Whether a request has a header of an attestation.
pub(super) fn is_named(arrival: &Arrival) -> bool {
    [ATTESTATION, POP]
        .iter()
        .any(|name| arrival.headers.contains_key(*name))
}

/// Adds a challenge for the next proof to an answer.
pub(super) fn renew(arrival: &Arrival, response: &mut Response) {
    let challenge = arrival.app.attestation_challenge(&arrival.visit());
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(CHALLENGE, challenge);
    }
}

/// `POST /services/oauth2/attestation_challenge`.
///
/// # Refusals
/// `FirstPartySiteDisabled`.
pub(super) fn challenge(arrival: &Arrival) -> Result<Response, Failure> {
    if !arrival.site.site.settings.is_first_party_apps_allowed {
        return Err(Refusal::FirstPartySiteDisabled.into());
    }
    let challenge = arrival.app.attestation_challenge(&arrival.visit());
    let body = json!({"attestation_challenge": challenge}).to_string();
    Ok(private(StatusCode::OK, Format::Json, body))
}
