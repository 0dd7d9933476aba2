//! `POST /services/oauth2/v1/authorization_challenge`, in the documented words, and `POST
//! /services/oauth2/authorization_challenge`, in those of draft-ietf-oauth-first-party-apps. A POST to
//! authorize with a client assertion and no `Auth-Request-Type` is a request to the first.

use axum::response::Response;
use http::Method;
use vestibule_protocol::form::Parameters;
use vestibule_protocol::format::Format;
use vestibule_protocol::headless::{
    AnswerWords, ChallengeAnswer, ChallengeRequest, ChallengeStep, VerificationMethod,
};
use vestibule_protocol::strict_json;

use super::answer::private;
use super::arrival::{Arrival, status};
use super::content::Content;
use super::{attestation, rate_limits, visitor};
use crate::admission::Surface;
use crate::flow::{addressee, first_party};
use crate::refusal::{Failure, Refusal};

/// Answers in the words of an endpoint.
///
/// # Refusals
/// As of [`first_party::authenticate`] and [`first_party::answer`].
pub(super) async fn answer(
    arrival: &Arrival,
    content: &Content,
    words: AnswerWords,
) -> Result<Response, Failure> {
    let answer = take(arrival, words, &content.body).await?;
    let code = status(answer.http_status());
    Ok(private(code, Format::Json, answer.to_json(words)))
}

/// Whether a request to the authorization endpoint is meant for this endpoint.
pub(super) fn is_meant(arrival: &Arrival, body: &[u8]) -> bool {
    let is_typed = arrival.headers.contains_key("auth-request-type");
    if arrival.method != Method::POST || is_typed {
        return false;
    }
    match body.trim_ascii_start().first() == Some(&b'{') {
        true => strict_json::parse_object(body)
            .is_ok_and(|members| members.contains_key("client_assertion")),
        false => Parameters::parse(None, body)
            .is_ok_and(|parameters| parameters.get("client_assertion").is_some()),
    }
}

async fn take(
    arrival: &Arrival,
    words: AnswerWords,
    body: &[u8],
) -> Result<ChallengeAnswer, Failure> {
    // The draft's own example of a code begins with a username and nothing else.
    let default_method = match words {
        AnswerWords::Documented => None,
        AnswerWords::Standard => Some(VerificationMethod::Email),
    };
    let request = ChallengeRequest::parse(arrival.query.as_deref(), body, default_method);
    let request = request.map_err(Refusal::from)?;
    if matches!(request.step, ChallengeStep::Reset { .. }) && words == AnswerWords::Documented {
        return Err(Refusal::ParametersInvalid {
            field: String::from("challenge_type"),
            reason: String::from("is not offered here"),
        }
        .into());
    }
    let (app, visit) = (&arrival.app, arrival.visit());
    let attestation = attestation::presented(arrival)?;
    let caller = first_party::authenticate(app, &visit, words, &request, attestation.as_ref());
    let caller = match caller {
        Ok(caller) => caller,
        Err(refusal) => {
            rate_limits::charge_failed_client(arrival)?;
            return Err(refusal.into());
        }
    };
    let target = request.step.named().map(addressee::compared);
    let backend = (words == AnswerWords::Documented).then_some(caller.client.id.as_str());
    let surface = surface(&request.step);
    // Owned, because the client is passed on to the flow.
    let backend = backend.map(str::to_owned);
    let charge = rate_limits::charge_step(arrival, surface, backend.as_deref(), target.as_deref())?;
    let hint = visitor::hint(arrival, request.uvid_hint.as_ref())?;
    let answer = first_party::answer(app, &visit, caller, request, hint).await;
    if matches!(
        answer,
        Ok(ChallengeAnswer::Code(_) | ChallengeAnswer::PasswordChanged { .. })
    ) {
        charge.settle(answer)
    } else {
        charge.settle_unproved(answer)
    }
}

fn surface(step: &ChallengeStep) -> Surface {
    match step {
        ChallengeStep::Code {
            new_password: Some(_),
            ..
        } => Surface::Reset,
        ChallengeStep::Code { .. } => Surface::Redeem,
        ChallengeStep::Login { .. } => Surface::Login,
        ChallengeStep::Passwordless(_)
        | ChallengeStep::Registration(_)
        | ChallengeStep::Reset { .. } => Surface::Init,
    }
}
