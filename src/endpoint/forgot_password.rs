//! `POST /services/auth/headless/forgot_password`, both phases.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::{CaptchaProof, ForgotPassword, ForgotPasswordPhase};

use super::answer::private;
use super::arrival::Arrival;
use super::content::Content;
use super::{bearer, limited};
use crate::flow;
use crate::flow::addressee;
use crate::refusal::Failure;

/// Answers.
pub(super) async fn answer(arrival: &Arrival, content: Content) -> Result<Response, Failure> {
    let presented = bearer::presented(arrival).await?;
    let request = ForgotPassword::parse(&content.body);
    let is_second = ForgotPassword::is_second_phase(&content.body);
    let captcha = match &request {
        Ok(request) => match &request.phase {
            ForgotPasswordPhase::Ask { captcha, .. } => captcha.clone(),
            ForgotPasswordPhase::Choose { .. } => None,
        },
        Err(_) => CaptchaProof::of_body(&content.body),
    };
    let target = request.as_ref().ok().and_then(|request| {
        let username = request.username.as_deref();
        username.or(request.login_hint.as_deref())
    });
    let target = target.map(addressee::compared);
    // A second phase that cannot be parsed compares no code, so it is limited like a first one.
    let presenting = if is_second && request.is_ok() {
        Some(limited::resetting(arrival, &presented, target.as_deref())?)
    } else {
        limited::init(arrival, &presented, target.as_deref())?;
        None
    };
    let (app, visit) = (&arrival.app, arrival.visit());
    let answer = flow::forgot_password::forgot_password(
        app,
        &visit,
        &presented,
        captcha.as_ref(),
        is_second,
        request,
    )
    .await?;
    if let Some(presenting) = presenting {
        presenting.succeeded();
    }
    Ok(private(StatusCode::OK, Format::Json, answer.to_json()))
}
