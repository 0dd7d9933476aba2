//! `POST /services/auth/headless/forgot_password`, both phases.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::{ForgotPassword, ForgotPasswordPhase};

use super::admit::{admit, captcha_of};
use super::answer::private;
use super::arrival::Arrival;
use super::content::Content;
use super::{bearer, rate_limits};
use crate::admission::{CaptchaSent, Surface};
use crate::flow;
use crate::flow::addressee;
use crate::refusal::Failure;
use crate::settings::Api;

/// Answers.
pub(super) async fn answer(arrival: &Arrival, content: Content) -> Result<Response, Failure> {
    let caller = bearer::caller(arrival).await?;
    let request = ForgotPassword::parse(&content.body);
    let is_second = ForgotPassword::is_second_phase(&content.body);
    let captcha = captcha_of(&request, &content.body, |request| match &request.phase {
        ForgotPasswordPhase::Ask { captcha, .. } => captcha.clone(),
        ForgotPasswordPhase::Choose { .. } => None,
    });
    let target = request
        .as_ref()
        .ok()
        .and_then(|request| request.user.text());
    let target = target.map(addressee::compared);
    // A second phase that cannot be parsed compares no code, so it is limited like a first one.
    let is_reset = is_second && request.is_ok();
    let (surface, charge) = if is_reset {
        let charge = rate_limits::charge_reset(arrival, &caller, target.as_deref())?;
        (Surface::Reset, charge)
    } else {
        let charge = rate_limits::charge_init(arrival, &caller, target.as_deref())?;
        (Surface::Init, charge)
    };
    let captcha = if is_second {
        CaptchaSent::OneTimePassword
    } else {
        captcha.as_ref().into()
    };
    let (visit, admitted, request) = admit(
        arrival,
        (Api::ForgotPassword, surface),
        &caller,
        captcha,
        request,
    )
    .await?;
    let outcome =
        flow::forgot_password::forgot_password(&arrival.app, &visit, admitted, &request).await;
    let answer = if is_reset {
        charge.settle(outcome)?
    } else {
        charge.settle_unproved(outcome)?
    };
    Ok(private(StatusCode::OK, Format::Json, answer.to_json()))
}
