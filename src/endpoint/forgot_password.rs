//! `POST /services/auth/headless/forgot_password`, both phases.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::error::Shape;
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::{
    CaptchaProof, ForgotPassword, ForgotPasswordAnswer, ForgotPasswordPhase,
};

use super::answer::private;
use super::arrival::Arrival;
use super::{attempt, bearer, limited};
use crate::flow;
use crate::flow::addressee;
use crate::refusal::Failure;

/// Answers.
pub(super) async fn answer(arrival: &mut Arrival) -> Response {
    let answer = attempt!(
        arrival,
        Shape::Headless,
        Format::Json,
        either(arrival).await
    );
    private(StatusCode::OK, Format::Json, answer.to_json())
}

async fn either(arrival: &mut Arrival) -> Result<ForgotPasswordAnswer, Failure> {
    let body = arrival.body().await?;
    let presented = bearer::presented(arrival).await?;
    let request = ForgotPassword::parse(&body);
    let captcha = match &request {
        Ok(request) => match &request.phase {
            ForgotPasswordPhase::Ask { captcha, .. } => captcha.clone(),
            ForgotPasswordPhase::Choose { .. } => None,
        },
        Err(_) => CaptchaProof::of_body(&body),
    };
    let target = request.as_ref().ok().and_then(|request| {
        let username = request.username.as_deref();
        username.or(request.login_hint.as_deref())
    });
    let is_second = request
        .as_ref()
        .is_ok_and(|request| matches!(request.phase, ForgotPasswordPhase::Choose { .. }));
    let target = target.map(addressee::compared);
    let presenting = match is_second {
        true => Some(limited::resetting(arrival, &presented, target.as_deref())?),
        false => {
            limited::init(arrival, &presented, target.as_deref())?;
            None
        }
    };
    let (app, visit) = (&arrival.app, arrival.visit());
    let answer = flow::forgot_password::forgot_password(
        app,
        &visit,
        &presented,
        captcha.as_ref(),
        ForgotPassword::is_second_phase(&body),
        request,
    )
    .await?;
    if let Some(presenting) = presenting {
        presenting.succeeded();
    }
    Ok(answer)
}
