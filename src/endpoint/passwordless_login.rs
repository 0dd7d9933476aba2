//! `POST /services/auth/headless/init/passwordless/login`.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::{CaptchaProof, InitPasswordlessLogin};

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
    let request = InitPasswordlessLogin::parse(&content.body);
    let target = request.as_ref().ok().and_then(|request| {
        let username = request.username.as_deref();
        username.or(request.login_hint.as_deref())
    });
    let target = target.map(addressee::compared);
    limited::init(arrival, &presented, target.as_deref())?;
    let captcha = match &request {
        Ok(request) => request.captcha.clone(),
        Err(_) => CaptchaProof::of_body(&content.body),
    };
    let (app, visit) = (&arrival.app, arrival.visit());
    let answer =
        flow::passwordless_login::init(app, &visit, &presented, captcha.as_ref(), request).await?;
    Ok(private(StatusCode::OK, Format::Json, answer.to_json()))
}
