//! `POST /services/auth/headless/init/passwordless/login`.

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::{CaptchaProof, InitPasswordlessLogin};

use super::answer::private;
use super::arrival::Arrival;
use super::content::Content;
use super::{bearer, rate_limits};
use crate::admission;
use crate::flow;
use crate::flow::addressee;
use crate::refusal::{Failure, Refusal};
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
    rate_limits::charge_init(arrival, &caller, target.as_deref())?;
    let captcha = match &request {
        Ok(request) => request.captcha.clone(),
        Err(_) => CaptchaProof::of_body(&content.body),
    };
    let (app, visit) = (&arrival.app, arrival.visit());
    let required = visit.site.site.settings.api(Api::PasswordlessLogin);
    let caller = admission::check(&required, &caller, captcha.as_ref().into())?;
    let request = request.map_err(Refusal::from)?;
    let admitted = app.admit(&visit, caller).await?;
    let answer = flow::passwordless_login::init(app, &visit, admitted, &request).await?;
    Ok(private(StatusCode::OK, Format::Json, answer.to_json()))
}
