//! `GET|POST /services/oauth2/revoke` (RFC 7009). GET is for older SDKs.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, PRAGMA};
use vestibule_protocol::revocation::TokenQuestion;

use super::arrival::Arrival;
use super::client_headers;
use super::content::Content;
use crate::grant;
use crate::refusal::Failure;

/// Answers 200 without a body, whether there was such a token or not.
pub(super) async fn answer(arrival: &Arrival, content: Content) -> Result<Response, Failure> {
    let question = TokenQuestion::parse(content.parameters);
    let headers = client_headers::parse(arrival)?;
    grant::revoke(&arrival.app, &arrival.visit(), question, headers).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}
