//! The verifiers of captchas, by the words of the setting `recaptchaProvider`.

use vestibule_protocol::words;

words! {
    /// Who verifies a captcha.
    pub enum CaptchaProvider {
        /// The assessments API of reCAPTCHA Enterprise.
        GoogleEnterprise = "google_enterprise",
        /// siteverify of reCAPTCHA v2: success alone decides.
        GoogleV2 = "google_v2",
        /// siteverify of reCAPTCHA v3: success and a score.
        GoogleV3 = "google_v3",
        /// hCaptcha's siteverify; its enterprise plan adds a score.
        Hcaptcha = "hcaptcha",
        /// Fixed tokens instead of a verifier; in `vestibule dev` only.
        Test = "test",
        /// Turnstile's siteverify; success alone decides.
        Turnstile = "turnstile",
    }
}
