//! `POST /services/auth/headless/init/registration`.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::{CaptchaProof, InitRegistration};

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
    // `Content-Type` is not read: real clients send none.
    let request = InitRegistration::parse(&content.body);
    let target = request.as_ref().ok();
    let target = target.map(|request| request.userdata.username.as_str());
    let target = target.map(addressee::compared);
    limited::init(arrival, &presented, target.as_deref())?;
    let captcha = match &request {
        Ok(request) => request.captcha.clone(),
        Err(_) => CaptchaProof::of_body(&content.body),
    };
    let (app, visit) = (&arrival.app, arrival.visit());
    let answer =
        flow::registration::init(app, &visit, &presented, captcha.as_ref(), request).await?;
    Ok(private(StatusCode::OK, Format::Json, answer.to_json()))
}
