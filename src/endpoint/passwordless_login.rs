//! `POST /services/auth/headless/init/passwordless/login`.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::InitPasswordlessLogin;

use super::admit::{admit, captcha_of};
use super::answer::private;
use super::arrival::Arrival;
use super::content::Content;
use super::{bearer, rate_limits};
use crate::admission::Surface;
use crate::flow;
use crate::flow::addressee;
use crate::refusal::Failure;
use crate::settings::Api;

/// Answers.
pub(super) async fn answer(arrival: &Arrival, content: Content) -> Result<Response, Failure> {
    let caller = bearer::caller(arrival).await?;
    let request = InitPasswordlessLogin::parse(&content.body);
    let target = request
        .as_ref()
        .ok()
        .and_then(|request| request.user.text());
    let target = target.map(addressee::compared);
    let charge = rate_limits::charge_init(arrival, &caller, target.as_deref())?;
    let captcha = captcha_of(&request, &content.body, |request| request.captcha.clone());
    let captcha = captcha.as_ref().into();
    let (visit, admitted, request) = admit(
        arrival,
        (Api::PasswordlessLogin, Surface::Init),
        &caller,
        captcha,
        request,
    )
    .await?;
    let outcome = flow::passwordless_login::init(&arrival.app, &visit, admitted, &request).await;
    let answer = charge.settle_unproved(outcome)?;
    Ok(private(StatusCode::OK, Format::Json, answer.to_json()))
}
