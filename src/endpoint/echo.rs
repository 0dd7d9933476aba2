//! `GET /services/oauth2/echo`: a ready-made callback that turns the parameters of the redirect into
//! JSON. Nothing is redeemed.
//!
//! Only the names that a redirect of ours can carry are repeated (threat HTTP-17), so that the
//! endpoint reflects nothing else. Headers that a client carried over are not looked at.

use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use vestibule_protocol::form::Parameters;
use vestibule_protocol::format::Format;

use super::answer::private;
use super::arrival::Arrival;
use crate::refusal::{Failure, Refusal};

/// Names that a redirect may carry.
const NAMES: [&str; 6] = [
    "code",
    "sfdc_community_url",
    "sfdc_community_id",
    "state",
    "error",
    "error_description",
];

/// Longest query, in bytes: a 4,096-byte `state`, percent-encoded, and the rest.
const QUERY_BYTES_MAX: usize = 16 * 1024;

/// Answers.
pub(super) fn answer(arrival: &Arrival) -> Result<Response, Failure> {
    let members = members(arrival)?;
    let mut response = private(
        StatusCode::OK,
        Format::Json,
        Value::Object(members).to_string(),
    );
    response.headers_mut().insert(
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("no-referrer"),
    );
    Ok(response)
}

fn members(arrival: &Arrival) -> Result<Map<String, Value>, Refusal> {
    let query = arrival.query.as_deref().unwrap_or_default();
    if query.len() > QUERY_BYTES_MAX {
        return Err(Refusal::BodyTooLarge);
    }
    // Nothing is decided by these values, so of two the first is repeated.
    let parameters = Parameters::parse_first(query)?;
    let known = NAMES
        .iter()
        .filter_map(|name| Some((*name, parameters.get(name)?)));
    Ok(known
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect())
}
