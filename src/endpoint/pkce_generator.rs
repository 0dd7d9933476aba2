//! `GET /services/oauth2/pkce/generator`: a code verifier and its challenge, for a client that is being tried out.
//!
//! An app makes its own verifier: one that came over the network protects the code less (RFC 7636 section 7.1).

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::json;
use vestibule_protocol::format::Format;
use vestibule_protocol::pkce::encode_challenge;

use super::answer::private;
use super::arrival::Arrival;
use crate::sealing::sha256;

/// Random bytes of a verifier, as RFC 7636 section 4.1 recommends.
const VERIFIER_BYTES: usize = 32;

/// Answers.
pub(super) fn answer(arrival: &Arrival) -> Response {
    let verifier = URL_SAFE_NO_PAD.encode(arrival.app.entropy.bytes::<VERIFIER_BYTES>());
    let challenge = encode_challenge(&sha256(verifier.as_bytes()));
    let body = json!({"code_verifier": verifier, "code_challenge": challenge});
    private(StatusCode::OK, Format::Json, body.to_string())
}
