//! Captcha: whether the caller is a person, as reCAPTCHA and similar services judge it.
//!
//! Owns what a site requires of a captcha token ([`CaptchaCheck`]), which verifiers there are ([`CaptchaProvider`])
//! and how their responses are judged. [`verifier`] makes the call. `admission` decides when a token is required, and
//! the store that none is accepted twice: a flow spends what [`Verified`] names in its last write.
//!
//! Follows Headless Forgot Password Flow (`recaptcha`, `recaptchaevent`, `recaptcha_response`), and the verifiers'
//! pages: reCAPTCHA "Verifying the user's response" and "Create an assessment", hCaptcha "Verify the user response
//! server side", Turnstile "Validate the token".

mod answer;
mod fixed;
pub mod verifier;

use std::net::IpAddr;

use serde_json::json;
use vestibule_protocol::headless::CaptchaProof;
use vestibule_protocol::secret::Secret;

pub use crate::captcha_provider::CaptchaProvider;
use crate::moment::Moment;
use crate::refusal::Refusal;

impl CaptchaProvider {
    /// Whether its answers say which action the user took.
    fn reports_action(self) -> bool {
        match self {
            CaptchaProvider::GoogleEnterprise | CaptchaProvider::GoogleV3 => true,
            CaptchaProvider::Test | CaptchaProvider::Turnstile => true,
            CaptchaProvider::GoogleV2 | CaptchaProvider::Hcaptcha => false,
        }
    }

    /// The maximum age of a solved challenge. It is the verifiers' limit, enforced here as well.
    fn age_seconds_max(self) -> i64 {
        match self {
            CaptchaProvider::Turnstile => 300,
            _ => 120,
        }
    }
}

/// A captcha token or event, and what the site requires of it.
#[derive(Debug)]
pub struct CaptchaCheck<'a> {
    /// Who verifies.
    pub provider: CaptchaProvider,
    /// The secret key of siteverify, or the API key of the assessments API.
    pub secret: &'a Secret,
    /// The lowest accepted score, between 0.5 and 1; used when responses contain a score.
    pub score_threshold: f64,
    /// Where the challenge may be solved: host names, and for apps their package names or bundle ids. Empty:
    /// anywhere.
    pub hostnames: &'a [String],
    /// Enterprise: the Google project. An event of another project is refused.
    pub project_id: Option<&'a str>,
    /// Enterprise: the site key. An event with another key is refused.
    pub site_key: Option<&'a str>,
    /// The action that the user must have taken. If unset, the action that the event expects is used.
    pub expected_action: Option<&'a str>,
    /// The captcha response of the caller.
    pub proof: &'a CaptchaProof,
    /// The address of the caller, for the verifier's judgement.
    pub ip: IpAddr,
}

impl CaptchaCheck<'_> {
    /// The action that the site expects; without one, the action that the caller expects.
    fn wanted_action(&self) -> Option<&str> {
        self.expected_action.or(match self.proof {
            CaptchaProof::Event(event) => event.expected_action.as_deref(),
            CaptchaProof::Token(_) => None,
        })
    }

    /// Refuses an event for another key or project than those of the site, before the verifier is called.
    ///
    /// # Refusals
    /// `RecaptchaInvalid`.
    fn check_event(&self) -> Result<(), Refusal> {
        let CaptchaProof::Event(event) = self.proof else {
            return Ok(());
        };
        let is = |setting: Option<&str>, sent: &str| setting.is_none_or(|own| own == sent);
        if is(self.site_key, &event.site_key) && is(self.project_id, &event.project_id) {
            return Ok(());
        }
        Err(Refusal::RecaptchaInvalid { response: None })
    }
}

/// A token that the verifier has accepted. The last write of the flow spends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// SHA-256 of the token, which may be spent once in the installation; none for a fixed token of the provider
    /// `test`.
    pub token_hash: Option<[u8; 32]>,
    /// Until when the token must be stored as spent.
    pub expires_at: Moment,
}

/// The refusal of a token that was spent before, in the verifier's form.
pub fn spent_before() -> Refusal {
    let response = json!({"success": false, "error-codes": ["timeout-or-duplicate"]});
    Refusal::RecaptchaInvalid {
        response: Some(response),
    }
}
