//! The end of an admission: the verifier of captchas is asked, and the caller is admitted.

use vestibule_protocol::headless::CaptchaProof;
use vestibule_protocol::secret::Secret;

use super::{App, Visit};
use crate::admission::{CheckedCaller, Trust};
use crate::captcha::{CaptchaCheck, Verified};
use crate::refusal::Failure;

/// A caller that may use an API.
#[derive(Debug)]
pub struct Admitted {
    /// How far it is trusted.
    pub trust: Trust,
    /// The captcha that was verified; the flow spends it in its own write.
    pub captcha: Option<Verified>,
}

impl App {
    /// Admits a caller: verifies its captcha, if one is required. Endpoints parse the request before they call
    /// this, because the verifier is a remote service.
    ///
    /// # Refusals
    /// `RecaptchaInvalid`.
    ///
    /// # Faults
    /// The verifier did not answer: the caller is not admitted.
    pub async fn admit(
        &self,
        visit: &Visit,
        caller: CheckedCaller<'_>,
    ) -> Result<Admitted, Failure> {
        let captcha = match caller.captcha {
            Some(proof) => Some(self.verify(visit, proof).await?),
            None => None,
        };
        Ok(Admitted {
            trust: caller.trust,
            captcha,
        })
    }

    /// Whether the state of an account is disclosed to a caller: to a trusted one, and to every caller of a
    /// site that discloses it.
    pub fn may_know(&self, visit: &Visit, trust: Trust) -> bool {
        trust == Trust::Backend || visit.site.site.settings.disclose_account_state
    }

    async fn verify(&self, visit: &Visit, proof: &CaptchaProof) -> Result<Verified, Failure> {
        let settings = &visit.site.site.settings;
        let none = Secret::from(String::new());
        let check = CaptchaCheck {
            provider: settings.recaptcha_provider,
            secret: visit.site.recaptcha_secret.as_ref().unwrap_or(&none),
            score_threshold: settings.recaptcha_score_threshold,
            hostnames: &settings.recaptcha_hostnames,
            project_id: settings.recaptcha_project_id.as_deref(),
            site_key: settings.recaptcha_site_key.as_deref(),
            expected_action: settings.recaptcha_expected_action.as_deref(),
            proof,
            ip: visit.ip,
        };
        self.admission.captcha.verify(&check, visit.at).await
    }
}
