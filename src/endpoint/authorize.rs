//! `GET|POST /services/oauth2/authorize`, for `response_type=code_credentials`.
//!
//! A headless request is always answered in JSON or with the redirect, never with a page.

use axum::response::Response;
use vestibule_protocol::authorization::{AuthorizationRequest, redirect_location};
use vestibule_protocol::basic::{BasicCredentials, parse_user};
use vestibule_protocol::error::Shape;
use vestibule_protocol::form::Parameters;
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::{AuthRequestType, VerificationMethod};

use super::answer::redirect;
use super::arrival::Arrival;
use super::{attempt, limited, token};
use crate::admission::Surface;
use crate::flow::{authorization, registration};
use crate::refusal::{Failure, Refusal};

/// Answers.
pub(super) async fn answer(arrival: &mut Arrival) -> Response {
    attempt!(
        arrival,
        Shape::OAuth,
        Format::Json,
        authorize(arrival).await
    )
}

async fn authorize(arrival: &mut Arrival) -> Result<Response, Failure> {
    let body = arrival.body().await?;
    let parameters =
        Parameters::parse(arrival.query.as_deref(), &body).map_err(token::malformed)?;
    let request =
        AuthorizationRequest::parse(parameters).map_err(|too_long| Refusal::FormMalformed {
            reason: format!("parameter too long: {}", too_long.parameter),
        })?;
    if request.credentials_in_query {
        return Err(Refusal::CredentialsMisplaced.into());
    }
    let visit = arrival.visit();
    let checked = authorization::check(&arrival.app, &visit, &request)?;
    let request_type = arrival
        .header("auth-request-type")?
        .and_then(AuthRequestType::parse);
    let answer = match request_type {
        Some(AuthRequestType::UserRegistration) => {
            let proof = proof(arrival, &request)?;
            let client = Some(checked.client.id.as_str());
            let presenting = limited::presenting(arrival, Surface::Redeem, client, None)?;
            let answer = registration::complete(&arrival.app, &visit, &checked, proof).await?;
            presenting.succeeded();
            answer
        }
        _ => return Err(Refusal::AuthRequestTypeUnknown.into()),
    };
    Ok(redirect(&redirect_location(
        &checked.redirect_uri,
        &answer,
    ))?)
}

/// The request identifier and the one-time password of the Basic header, and the channel that the
/// request names.
fn proof(
    arrival: &Arrival,
    request: &AuthorizationRequest,
) -> Result<registration::Proof, Refusal> {
    let BasicCredentials { left, right } = user_credentials(arrival)?;
    if request.username.is_some() || request.password.is_some() {
        return Err(Refusal::CredentialsMisplaced);
    }
    let channel = match arrival.header("auth-verification-type")? {
        None => None,
        Some(word) => Some(VerificationMethod::parse_header(word).ok_or(Refusal::ChannelMismatch)?),
    };
    Ok(registration::Proof::new(&left, &right, channel))
}

fn user_credentials(arrival: &Arrival) -> Result<BasicCredentials, Refusal> {
    let header = arrival
        .header("authorization")?
        .ok_or(Refusal::CredentialsMissing)?;
    parse_user(header)
        .map_err(|_| Refusal::CredentialsMalformed)?
        .ok_or(Refusal::CredentialsMissing)
}
