//! `GET|POST /services/oauth2/authorize`, for `response_type=code_credentials`.
//!
//! A headless request is always answered in JSON or with the redirect, never with a page.

use axum::response::Response;
use http::Method;
use vestibule_protocol::authorization::{
    AuthorizationAnswer, AuthorizationRequest, redirect_location,
};
use vestibule_protocol::form::Parameters;
use vestibule_protocol::headless::{AnswerWords, AuthRequestType, VerificationMethod};
use vestibule_protocol::uvid::Uvid;

use super::answer::redirect;
use super::arrival::Arrival;
use super::content::Content;
use super::{authorization_challenge, rate_limits, visitor};
use crate::admission::Surface;
use crate::app::Visit;
use crate::client::AccessTokenFormat;
use crate::flow::authorization::{self, Checked};
use crate::flow::user_credentials::{self, PasswordCredentials};
use crate::flow::username_password::Credentials;
use crate::flow::{addressee, guest, passwordless_login, registration, username_password};
use crate::refusal::{Failure, Refusal};
use crate::settings::Api;
use crate::verification::Attempt;

/// Answers.
pub(super) async fn answer(arrival: &Arrival, content: Content) -> Result<Response, Failure> {
    if authorization_challenge::is_meant(arrival, &content.body) {
        let words = AnswerWords::Documented;
        return authorization_challenge::answer(arrival, &content, words).await;
    }
    let parameters = Parameters::parse(arrival.query.as_deref(), &content.body);
    let parameters = parameters.map_err(Refusal::from)?;
    let request =
        AuthorizationRequest::parse(parameters).map_err(|too_long| Refusal::FormMalformed {
            reason: format!("parameter too long: {}", too_long.parameter),
        })?;
    if request.credentials_in_query {
        return Err(Refusal::CredentialsMisplaced.into());
    }
    let visit = arrival.visit();
    let is_guest = visitor::request_type(arrival) == Ok(Some(AuthRequestType::Guest));
    let mut checked = match is_guest {
        true => authorization::check_guest(&arrival.app, &visit, &request)?,
        false => authorization::check(&arrival.app, &visit, &request)?,
    };
    let request_type = visitor::request_type(arrival)?;
    if is_guest {
        admit_guest(arrival, &checked, &request)?;
    }
    checked.uvid = uvid(arrival, &visit, &checked, &request, is_guest).await?;
    let answer = log_in(arrival, &visit, &checked, request, request_type).await?;
    Ok(redirect(&redirect_location(
        &checked.redirect_uri,
        &answer,
    ))?)
}

/// Admits a guest: one without credentials, within the rate limits.
fn admit_guest(
    arrival: &Arrival,
    checked: &Checked,
    request: &AuthorizationRequest,
) -> Result<(), Refusal> {
    let is_in_body = user_credentials::are_in_body(request);
    if is_in_body || arrival.header("authorization")?.is_some() {
        return Err(Refusal::GuestHasCredentials);
    }
    rate_limits::charge_guest(arrival, &checked.client.id)
}

/// The visitor that the request names. The opaque token of a user cannot contain one, so for a client with
/// opaque tokens the hint is not read.
async fn uvid(
    arrival: &Arrival,
    visit: &Visit,
    checked: &Checked,
    request: &AuthorizationRequest,
    is_guest: bool,
) -> Result<Option<Uvid>, Failure> {
    let client = &checked.client;
    if !is_guest && client.policies.access_token_format == AccessTokenFormat::Opaque {
        return Ok(None);
    }
    match visitor::hint(arrival, request.uvid_hint.as_ref())? {
        Some(hint) => Ok(Some(arrival.app.visitor(visit, &client.id, hint).await?)),
        None => Ok(None),
    }
}

/// Calls the flow that the request type names.
async fn log_in(
    arrival: &Arrival,
    visit: &Visit,
    checked: &Checked,
    request: AuthorizationRequest,
    request_type: Option<AuthRequestType>,
) -> Result<AuthorizationAnswer, Failure> {
    let app = &arrival.app;
    let client_id = Some(checked.client.id.as_str());
    match request_type {
        Some(AuthRequestType::NamedUser) => {
            let header = arrival.header("authorization")?;
            let is_post = arrival.method == Method::POST;
            let sent = PasswordCredentials::parse(&checked.client, is_post, header, request)?;
            let required = visit.site.site.settings.api(Api::PasswordLogin);
            let named = sent.named(required.reads_login_hint)?;
            let target = addressee::compared(named.text());
            let charge =
                rate_limits::charge_credentials(arrival, Surface::Login, client_id, Some(&target))?;
            let password = sent.password.clone();
            let credentials = Credentials { named, password };
            let answer = username_password::log_in(app, visit, checked, credentials).await;
            charge.settle(answer)
        }
        Some(AuthRequestType::PasswordlessLogin) => {
            let attempt = attempt(arrival, &request)?;
            // Unlike a registration's, this channel must always be named.
            if attempt.channel.is_none() {
                return Err(Refusal::ChannelMismatch.into());
            }
            let charge =
                rate_limits::charge_credentials(arrival, Surface::Redeem, client_id, None)?;
            let answer = passwordless_login::complete(app, visit, checked, attempt).await;
            charge.settle(answer)
        }
        Some(AuthRequestType::UserRegistration) => {
            let attempt = attempt(arrival, &request)?;
            let charge =
                rate_limits::charge_credentials(arrival, Surface::Redeem, client_id, None)?;
            let answer = registration::complete(app, visit, checked, attempt).await;
            charge.settle(answer)
        }
        Some(AuthRequestType::Guest) => guest::log_in(app, visit, checked).await,
        None => Err(Refusal::AuthRequestTypeUnknown.into()),
    }
}

/// The one-time password of a request, with its request identifier and the channel that the request names.
fn attempt(arrival: &Arrival, request: &AuthorizationRequest) -> Result<Attempt, Refusal> {
    let header = arrival.header("authorization")?;
    let credentials = user_credentials::one_time_password(header, request)?;
    let channel = match arrival.header("auth-verification-type")? {
        None => None,
        Some(word) => {
            Some(VerificationMethod::parse_any_case(word).ok_or(Refusal::ChannelMismatch)?)
        }
    };
    Ok(Attempt::new(&credentials.left, &credentials.right, channel))
}
