//! Admission of a request to a headless API: what the API requires of this caller, whether the request is valid, and the
//! captcha last, because its verifier is remote.

use vestibule_protocol::headless::{CaptchaProof, InvalidParams};

use super::arrival::Arrival;
use super::rate_limits;
use crate::admission::{self, Caller, CaptchaSent, Surface};
use crate::app::{Admitted, Visit};
use crate::refusal::{Failure, Refusal};
use crate::settings::Api;

/// Admits a caller with its request, and then charges it to the site.
///
/// # Refusals
/// Those of [`admission::check`], then `ParametersInvalid`, then those of [`crate::app::App::admit`], then
/// `RateLimited`.
pub(super) async fn admit<T>(
    arrival: &Arrival,
    (api, surface): (Api, Surface),
    caller: &Caller,
    captcha: CaptchaSent<'_>,
    request: Result<T, InvalidParams>,
) -> Result<(Visit, Admitted, T), Failure> {
    let visit = arrival.visit();
    let required = visit.site.site.settings.api(api);
    let outcome = admission::check(&required, caller, captcha);
    // A body that cannot be read at all may hold a captcha that cannot be seen.
    let is_captcha_missing =
        |refusal: &Refusal| matches!(refusal, Refusal::RecaptchaMissing | Refusal::ProofMissing);
    if let (Err(refusal), Err(invalid)) = (&outcome, &request)
        && is_captcha_missing(refusal)
        && invalid.field.is_empty()
    {
        return Err(Refusal::from(invalid.clone()).into());
    }
    let checked = outcome?;
    let request = request.map_err(Refusal::from)?;
    let admitted = arrival.app.admit(&visit, checked).await?;
    rate_limits::charge_site(arrival, surface, caller)?;
    Ok((visit, admitted, request))
}

/// The captcha of a request. One that cannot be parsed is looked through for a captcha alone, because the missing captcha
/// is the first error.
pub(super) fn captcha_of<T>(
    request: &Result<T, InvalidParams>,
    body: &[u8],
    captcha: impl Fn(&T) -> Option<CaptchaProof>,
) -> Option<CaptchaProof> {
    match request {
        Ok(request) => captcha(request),
        Err(_) => CaptchaProof::of_body(body),
    }
}
