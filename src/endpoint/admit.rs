//! Admission of a request to a headless API: what the API requires of this caller, whether the request is valid, and the
//! captcha last, because its verifier is remote.

use vestibule_protocol::headless::{CaptchaProof, InvalidParams};

use super::arrival::Arrival;
use crate::admission::{self, Caller, CaptchaSent};
use crate::app::{Admitted, Visit};
use crate::refusal::{Failure, Refusal};
use crate::settings::Api;

/// Admits a caller with its request.
///
/// # Refusals
/// Those of [`admission::check`], then `ParametersInvalid`, then those of [`crate::app::App::admit`].
pub(super) async fn admit<T>(
    arrival: &Arrival,
    api: Api,
    caller: &Caller,
    captcha: CaptchaSent<'_>,
    request: Result<T, InvalidParams>,
) -> Result<(Visit, Admitted, T), Failure> {
    let visit = arrival.visit();
    let required = visit.site.site.settings.api(api);
    let checked = admission::check(&required, caller, captcha);
    // A body that cannot be read at all may hold a captcha that cannot be seen.
    let is_captcha_missing =
        |refusal: &Refusal| matches!(refusal, Refusal::RecaptchaMissing | Refusal::ProofMissing);
    if let (Err(refusal), Err(invalid)) = (&checked, &request)
        && is_captcha_missing(refusal)
        && invalid.field.is_empty()
    {
        return Err(Refusal::from(invalid.clone()).into());
    }
    let caller = checked?;
    let request = request.map_err(Refusal::from)?;
    let admitted = arrival.app.admit(&visit, caller).await?;
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
