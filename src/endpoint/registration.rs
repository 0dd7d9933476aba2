//! `POST /services/auth/headless/init/registration`.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::error::Shape;
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::{CaptchaProof, InitAnswer, InitRegistration};

use super::answer::private;
use super::arrival::Arrival;
use super::{attempt, bearer, limited};
use crate::flow;
use crate::flow::addressee;
use crate::refusal::Failure;

/// Answers.
pub(super) async fn answer(arrival: &mut Arrival) -> Response {
    let answer = attempt!(arrival, Shape::Merged, Format::Json, init(arrival).await);
    private(StatusCode::OK, Format::Json, answer.to_json())
}

async fn init(arrival: &mut Arrival) -> Result<InitAnswer, Failure> {
    let body = arrival.body().await?;
    let presented = bearer::presented(arrival).await?;
    // The endpoint parses by what it is, not by the header: real clients send none.
    let request = InitRegistration::parse(&body);
    let target = request.as_ref().ok();
    let target = target.map(|request| request.userdata.username.as_str());
    let target = target.map(addressee::compared);
    limited::init(arrival, &presented, target.as_deref())?;
    let captcha = match &request {
        Ok(request) => request.captcha.clone(),
        Err(_) => CaptchaProof::of_body(&body),
    };
    let (app, visit) = (&arrival.app, arrival.visit());
    flow::registration::init(app, &visit, &presented, captcha.as_ref(), request).await
}
