//! `POST /services/oauth2/token`.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::headless::AuthRequestType;
use vestibule_protocol::token::TokenRequest;

use super::answer::private;
use super::arrival::Arrival;
use super::content::Content;
use super::{client_headers, visitor};
use crate::grant::{self, GuestHeaders};
use crate::refusal::{Failure, Refusal};

/// Answers.
pub(super) async fn answer(arrival: &Arrival, content: Content) -> Result<Response, Failure> {
    let request = TokenRequest::parse(content.parameters);
    let headers = client_headers::parse(arrival)?;
    let guest = guest_headers(arrival, &request)?;
    let answer = grant::exchange(&arrival.app, &arrival.visit(), request, headers, guest).await?;
    let body = answer.render(content.format);
    Ok(private(StatusCode::OK, content.format, body))
}

/// What a client that redeems a guest's code sends about the guest. Other grants do not read it.
fn guest_headers(arrival: &Arrival, request: &TokenRequest) -> Result<GuestHeaders, Refusal> {
    if !grant::reads_guest_headers(request) {
        return Ok(GuestHeaders::default());
    }
    let is_sent = arrival.header("auth-request-type")?.is_some();
    let request_type = visitor::request_type(arrival)?;
    Ok(GuestHeaders {
        is_guest: is_sent.then_some(request_type == Some(AuthRequestType::Guest)),
        hint: visitor::hint(arrival, None)?,
    })
}
