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
    let target = request.as_ref().ok().and_then(second_phase_username);
    let presenting = match &target {
        Some(username) => Some(limited::resetting(arrival, &presented, username)?),
        None => {
            limited::init(arrival, &presented)?;
            None
        }
    };
    let (app, visit) = (&arrival.app, arrival.visit());
    let answer =
        flow::forgot_password::forgot_password(app, &visit, &presented, captcha.as_ref(), request)
            .await?;
    if let Some(presenting) = presenting {
        presenting.succeeded();
    }
    Ok(answer)
}

/// The compared form of the name that a second phase is about.
fn second_phase_username(request: &ForgotPassword) -> Option<String> {
    match request.phase {
        ForgotPasswordPhase::Ask { .. } => None,
        ForgotPasswordPhase::Choose { .. } => {
            let named = request
                .username
                .as_deref()
                .or(request.login_hint.as_deref());
            named.map(addressee::compared)
        }
    }
}
