//! Captcha: whether a person is there, as reCAPTCHA and its like can tell.
//!
//! Owns what a site asks of a proof ([`CaptchaCheck`]), which verifiers there are ([`Provider`]) and how
//! their answers are judged. [`verifier`] makes the call. When a proof is wanted at all is `admission`'s
//! to say, and that no token passes twice is the store's: a flow spends what [`Verified`] names in its
//! own write.
//!
//! Follows Headless Forgot Password Flow (`recaptcha`, `recaptchaevent`, `recaptcha_response`), and the
//! verifiers' own pages: reCAPTCHA "Verifying the user's response" and "Create an assessment", hCaptcha
//! "Verify the user response server side", Turnstile "Validate the token".

mod answer;
mod fixed;
pub mod verifier;

use std::net::IpAddr;

use serde_json::json;
use vestibule_protocol::headless::CaptchaProof;
use vestibule_protocol::secret::Secret;

use crate::moment::Moment;
use crate::refusal::Refusal;

/// Who verifies: the setting `recaptchaProvider`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// `google_enterprise`: the assessments API.
    GoogleEnterprise,
    /// `google_v2`: success alone decides.
    GoogleV2,
    /// `google_v3`: success and a score.
    GoogleV3,
    /// `hcaptcha`: siteverify; its enterprise plan adds a score.
    Hcaptcha,
    /// `test`: nobody, by fixed tokens; in `vestibule dev` only.
    Test,
    /// `turnstile`: siteverify; success alone decides.
    Turnstile,
}

impl Provider {
    /// All of them.
    pub const ALL: [Provider; 6] = [
        Provider::GoogleEnterprise,
        Provider::GoogleV2,
        Provider::GoogleV3,
        Provider::Hcaptcha,
        Provider::Test,
        Provider::Turnstile,
    ];

    /// Reads the setting's value.
    pub fn parse(text: &str) -> Option<Provider> {
        Provider::ALL
            .into_iter()
            .find(|provider| provider.as_str() == text)
    }

    /// The setting's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Provider::GoogleEnterprise => "google_enterprise",
            Provider::GoogleV2 => "google_v2",
            Provider::GoogleV3 => "google_v3",
            Provider::Hcaptcha => "hcaptcha",
            Provider::Test => "test",
            Provider::Turnstile => "turnstile",
        }
    }

    /// Whether its answers say which action the user took.
    fn tells_action(self) -> bool {
        match self {
            Provider::GoogleEnterprise | Provider::GoogleV3 => true,
            Provider::Test | Provider::Turnstile => true,
            Provider::GoogleV2 | Provider::Hcaptcha => false,
        }
    }

    /// How old a solved challenge may be. It is the verifiers' own limit, kept here as well.
    fn age_seconds_max(self) -> i64 {
        match self {
            Provider::Turnstile => 300,
            _ => 120,
        }
    }
}

/// A proof, and what the site asks of it.
#[derive(Debug)]
pub struct CaptchaCheck<'a> {
    /// Who verifies.
    pub provider: Provider,
    /// The secret key of siteverify, or the API key of the assessments API.
    pub secret: &'a Secret,
    /// The lowest score that passes, between 0.5 and 1; of interest where answers hold a score.
    pub score_threshold: f64,
    /// Where the challenge may be solved: host names, and for apps their package names or bundle
    /// ids. Empty: anywhere.
    pub hostnames: &'a [String],
    /// Enterprise: the Google project. A body that names another is refused.
    pub project_id: Option<&'a str>,
    /// Enterprise: the site key. A body that names another is refused.
    pub site_key: Option<&'a str>,
    /// The action that the user must have taken. Without one, what an event itself expects counts.
    pub expected_action: Option<&'a str>,
    /// What the caller sent.
    pub proof: &'a CaptchaProof,
    /// Where the caller is, for the verifier's own judgement.
    pub ip: IpAddr,
}

impl CaptchaCheck<'_> {
    /// The server's word about the action wins over the caller's.
    fn wanted_action(&self) -> Option<&str> {
        self.expected_action.or(match self.proof {
            CaptchaProof::Event(event) => event.expected_action.as_deref(),
            CaptchaProof::Token(_) => None,
        })
    }

    /// Refuses an event that was made for another key or project than the site's, before anybody is
    /// asked.
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

/// A proof that was believed. It is worth nothing until the flow's own write has spent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// SHA-256 of the token, which may be spent once in the installation; none for a fixed token of
    /// the provider `test`.
    pub token_hash: Option<[u8; 32]>,
    /// Until when it must be remembered as spent.
    pub expires_at: Moment,
}

/// The refusal of a token that was spent before, in the words that the verifier has for it.
pub fn spent_before() -> Refusal {
    let response = json!({"success": false, "error-codes": ["timeout-or-duplicate"]});
    Refusal::RecaptchaInvalid {
        response: Some(response),
    }
}
