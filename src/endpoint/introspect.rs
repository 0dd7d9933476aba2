//! `POST /services/oauth2/introspect` (RFC 7662).

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::format::Format;
use vestibule_protocol::revocation::TokenQuestion;

use super::answer::private;
use super::arrival::Arrival;
use super::client_headers;
use super::content::Content;
use crate::grant;
use crate::refusal::{Failure, Refusal};

/// Answers in JSON.
pub(super) async fn answer(arrival: &Arrival, content: Content) -> Result<Response, Failure> {
    // The token stays valid, so it must not be sent in a URL, which is logged.
    if content.parameters.came_in_query("token") {
        return Err(Refusal::CredentialsMisplaced.into());
    }
    let question = TokenQuestion::parse(content.parameters);
    let headers = client_headers::parse(arrival)?;
    let found = grant::introspect(&arrival.app, &arrival.visit(), question, headers).await?;
    Ok(private(StatusCode::OK, Format::Json, found.to_json()))
}
