//! May this caller knock: the question of every headless endpoint.

use vestibule_protocol::headless::{CaptchaProof, InvalidParams};
use vestibule_protocol::secret::Secret;

use super::{App, Visit};
use crate::admission::{self, CaptchaRule, Presented, Requirement, Trust};
use crate::captcha::{CaptchaCheck, Provider, Verified};
use crate::refusal::{Failure, Fault, Refusal};

/// A caller with what it shows.
#[derive(Debug)]
pub struct Knock<'k> {
    /// What the API asks for.
    pub requirement: Requirement,
    /// The access token that came along.
    pub presented: &'k Presented,
    /// The captcha that came along.
    pub captcha: Option<&'k CaptchaProof>,
}

/// A caller who was let in.
#[derive(Debug)]
pub struct Admitted {
    /// How far it is trusted.
    pub trust: Trust,
    /// The captcha that it passed, to be spent by the flow's own write.
    pub captcha: Option<Verified>,
}

impl App {
    /// Lets a caller in, or not: first what it shows, then whether its request can be read, and the
    /// captcha's verifier last, because that is a call to somebody else.
    ///
    /// # Refusals
    /// Those of [`admission::check`], `ParametersInvalid` for a request that cannot be read,
    /// `RecaptchaInvalid`.
    ///
    /// # Faults
    /// The verifier cannot be asked: nobody is let in then.
    pub async fn admit<R>(
        &self,
        visit: &Visit,
        knock: &Knock<'_>,
        request: Result<R, InvalidParams>,
    ) -> Result<(Admitted, R), Failure> {
        let trust = admission::check(knock.requirement, knock.presented, knock.captcha.is_some())?;
        let request = request.map_err(Refusal::from)?;
        let captcha = match (knock.requirement.captcha, knock.captcha) {
            (CaptchaRule::Required, Some(proof)) => Some(self.verify(visit, proof).await?),
            _ => None,
        };
        Ok((Admitted { trust, captcha }, request))
    }

    /// Lets a client in that has attested what it is: that stands in place of a token, and makes it
    /// nobody who may know of an account. The captcha is asked for where the site asks for one.
    ///
    /// # Refusals
    /// `RecaptchaMissing`, `RecaptchaInvalid`.
    ///
    /// # Faults
    /// The verifier cannot be asked: nobody is let in then.
    pub async fn admit_attested(
        &self,
        visit: &Visit,
        is_captcha_required: bool,
        captcha: Option<&CaptchaProof>,
    ) -> Result<Admitted, Failure> {
        let captcha = match (is_captcha_required, captcha) {
            (false, _) => None,
            (true, Some(proof)) => Some(self.verify(visit, proof).await?),
            (true, None) => return Err(Refusal::RecaptchaMissing.into()),
        };
        Ok(Admitted {
            trust: Trust::Stranger,
            captcha,
        })
    }

    /// Whether somebody may be told what is wrong with an account: a trusted caller, and everybody
    /// at a site that discloses it.
    pub fn may_know(&self, visit: &Visit, trust: Trust) -> bool {
        trust == Trust::Bearer || visit.site.site.settings.disclose_account_state
    }

    async fn verify(&self, visit: &Visit, proof: &CaptchaProof) -> Result<Verified, Failure> {
        let settings = &visit.site.site.settings;
        let provider = Provider::parse(&settings.recaptcha_provider).ok_or_else(|| {
            Fault::described("verifying a captcha", "the site names no verifier".into())
        })?;
        let none = Secret::from(String::new());
        let check = CaptchaCheck {
            provider,
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
