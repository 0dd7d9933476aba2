//! `POST /services/auth/headless/init/registration`.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::InitRegistration;

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
    // `Content-Type` is not read: real clients send none.
    let request = InitRegistration::parse(&content.body);
    let target = request.as_ref().ok();
    let target = target.map(|request| request.userdata.username.as_str());
    let target = target.map(addressee::compared);
    let charge = rate_limits::charge_init(arrival, &caller, target.as_deref())?;
    let captcha = captcha_of(&request, &content.body, |request| request.captcha.clone());
    let captcha = captcha.as_ref().into();
    let (visit, admitted, request) = admit(
        arrival,
        (Api::Registration, Surface::Init),
        &caller,
        captcha,
        request,
    )
    .await?;
    let outcome = flow::registration::init(&arrival.app, &visit, admitted, &request).await;
    let answer = charge.settle_unproved(outcome)?;
    Ok(private(StatusCode::OK, Format::Json, answer.to_json()))
}
