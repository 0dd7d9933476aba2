//! `POST /services/oauth2/token`.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::basic::{BasicCredentials, parse_client};
use vestibule_protocol::error::Shape;
use vestibule_protocol::form::{FormError, Parameters};
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::AuthRequestType;
use vestibule_protocol::token::{GrantType, TokenAnswer, TokenRequest};

use super::answer::private;
use super::arrival::Arrival;
use super::{attempt, attestation, visitor};
use crate::grant::{self, ClientHeaders, GuestHeaders};
use crate::refusal::{Failure, Refusal};

/// Answers, in the format that was asked for; so do the errors, from where it is known.
pub(super) async fn answer(arrival: &mut Arrival) -> Response {
    let parameters = attempt!(
        arrival,
        Shape::OAuth,
        Format::Json,
        parameters(arrival).await
    );
    let format = arrival.format(parameters.get("format"));
    let format = attempt!(arrival, Shape::OAuth, Format::Json, format);
    let answer = attempt!(
        arrival,
        Shape::OAuth,
        format,
        exchange(arrival, parameters).await
    );
    private(StatusCode::OK, format, answer.render(format))
}

async fn parameters(arrival: &mut Arrival) -> Result<Parameters, Failure> {
    let body = arrival.body().await?;
    Ok(Parameters::parse(arrival.query.as_deref(), &body).map_err(malformed)?)
}

async fn exchange(arrival: &Arrival, parameters: Parameters) -> Result<TokenAnswer, Failure> {
    let request = TokenRequest::parse(parameters);
    let headers = client_headers(arrival)?;
    let guest = guest_headers(arrival, &request)?;
    grant::exchange(&arrival.app, &arrival.visit(), request, headers, guest).await
}

/// What a client that redeems a guest's code says of the guest. To the other grants it means nothing.
fn guest_headers(arrival: &Arrival, request: &TokenRequest) -> Result<GuestHeaders, Refusal> {
    if request.grant() != GrantType::AuthorizationCode {
        return Ok(GuestHeaders::default());
    }
    let is_sent = arrival.header("auth-request-type")?.is_some();
    let request_type = visitor::request_type(arrival)?;
    Ok(GuestHeaders {
        is_guest: is_sent.then_some(request_type == Some(AuthRequestType::Guest)),
        hint: visitor::hint(arrival, None)?,
    })
}

/// What the client shows of itself in headers: Basic credentials, or an attestation.
///
/// # Refusals
/// `ClientSecretWrongInHeader`, `ClientAttestationInvalid`.
pub(super) fn client_headers(arrival: &Arrival) -> Result<ClientHeaders, Refusal> {
    Ok(ClientHeaders {
        basic: client_credentials(arrival)?,
        attestation: attestation::presented(arrival)?,
    })
}

/// The client's Basic header, form-encoded inside (RFC 6749 section 2.3.1).
///
/// # Refusals
/// `ClientSecretWrongInHeader` when it cannot be read.
fn client_credentials(arrival: &Arrival) -> Result<Option<BasicCredentials>, Refusal> {
    match arrival.header("authorization")? {
        None => Ok(None),
        Some(header) => parse_client(header).map_err(|_| Refusal::ClientSecretWrongInHeader),
    }
}

/// A form that cannot be read.
pub(super) fn malformed(error: FormError) -> Refusal {
    let reason = match error {
        FormError::ControlCharacter(name) => format!("control character in parameter: {name}"),
        FormError::Duplicate(name) => format!("duplicate parameter: {name}"),
        FormError::NotUtf8 => String::from("the form is not UTF-8"),
        FormError::TooMany => String::from("too many parameters"),
    };
    Refusal::FormMalformed { reason }
}
