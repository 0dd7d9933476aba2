//! What settings rule out, one alone or several together.

use vestibule_protocol::purpose::Purpose;

use super::origin::check_origin;
use super::spray::validate_threshold;
use super::template_choice::is_language;
use super::{Api, DefaultTemplate, HandlerChoice, Settings};
use crate::captcha_provider::CaptchaProvider;
use crate::changes::{Invalid, check_range};

/// Most strategies of a site; each costs a look-up.
const STRATEGIES_MAX: usize = 10;

impl Settings {
    /// Checks what one setting or two settings together rule out. That the profiles, users and
    /// templates that are named exist is checked where they can be looked up.
    ///
    /// # Errors
    /// Every setting that is wrong, under the name of the first.
    pub fn validate(&self) -> Result<(), Invalid> {
        let checks = [
            self.validate_apis(),
            self.validate_registration(),
            self.validate_discovery(),
            self.validate_captcha(),
            self.check_template_languages(),
            check_range(
                "maxPasswordResetAttempts",
                self.max_password_reset_attempts,
                1,
                10,
            ),
            self.validate_thresholds(),
            self.validate_origins(),
            self.validate_place(),
        ];
        Invalid::all(checks.into_iter().filter_map(Result::err))
    }

    fn validate_thresholds(&self) -> Result<(), Invalid> {
        for (key, value) in [
            (
                "otpSprayThresholdPerHour",
                self.otp_spray_threshold_per_hour,
            ),
            (
                "passwordSprayThresholdPerHour",
                self.password_spray_threshold_per_hour,
            ),
        ] {
            validate_threshold(key, value)?;
        }
        Ok(())
    }

    fn validate_origins(&self) -> Result<(), Invalid> {
        let found = self.cors_allowed_origins.iter().map(|entry| {
            check_origin(entry).map_err(|reason| Invalid::new("corsAllowedOrigins", reason))
        });
        let headers = self.cors_allowed_headers.iter().filter_map(|name| {
            let reason = format!("{name:?} is not the name of a header");
            let is_name = name.parse::<http::HeaderName>().is_ok();
            (!is_name).then(|| Invalid::new("corsAllowedHeaders", reason))
        });
        Invalid::all(found.filter_map(Result::err).chain(headers))
    }

    /// Every API that the site offers must require authentication or reCAPTCHA. An API without a token
    /// requirement authenticates its clients in another way.
    fn validate_apis(&self) -> Result<(), Invalid> {
        let found = Api::ALL.into_iter().filter_map(|api| {
            let required = self.api(api);
            let token = required.token?;
            let reason = "require authentication or reCAPTCHA (or both) to access this API";
            let is_open =
                required.is_allowed && !token.is_required && !required.is_captcha_required;
            is_open.then(|| Invalid::new(token.setting, reason))
        });
        Invalid::all(found)
    }

    /// Checks the settings of user discovery. That a handler and a user exist is checked where they
    /// can be looked up.
    fn validate_discovery(&self) -> Result<(), Invalid> {
        if self.headless_discovery_strategies.len() > STRATEGIES_MAX {
            let reason = format!("at most {STRATEGIES_MAX}, because each costs a look-up");
            return Err(Invalid::new("headlessDiscoveryStrategies", reason));
        }
        if let Some(code) = &self.default_phone_country_code
            && !is_country_code(code)
        {
            let reason = format!("{code:?} is not a country code such as \"+49\"");
            return Err(Invalid::new("defaultPhoneCountryCode", reason));
        }
        match &self.headless_discovery_handler {
            None => self.validate_without_discovery(),
            Some(HandlerChoice::BuiltIn) if self.headless_discovery_strategies.is_empty() => {
                let reason =
                    "name at least one strategy for the built-in discovery, such as verifiedEmail";
                Err(Invalid::new("headlessDiscoveryStrategies", reason))
            }
            Some(HandlerChoice::BuiltIn) => Ok(()),
            Some(HandlerChoice::Named(_)) if self.headless_discovery_execution_user.is_none() => {
                let reason = "select the user that the discovery handler runs as";
                Err(Invalid::new("headlessDiscoveryExecutionUser", reason))
            }
            Some(HandlerChoice::Named(_)) => Ok(()),
        }
    }

    fn validate_without_discovery(&self) -> Result<(), Invalid> {
        for (key, is_on) in [
            (
                "isUserDisambiguationAllowedUsernamePwd",
                self.is_user_disambiguation_allowed_username_pwd,
            ),
            (
                "isUserDisambiguationAllowedForgotPwd",
                self.is_user_disambiguation_allowed_forgot_pwd,
            ),
        ] {
            if is_on {
                let reason = "select a headlessDiscoveryHandler first, or \"builtin\"";
                return Err(Invalid::new(key, reason));
            }
        }
        Ok(())
    }

    /// Checks what can be checked of the templates without a look at those that there are.
    fn check_template_languages(&self) -> Result<(), Invalid> {
        for flow in Purpose::ALL {
            let DefaultTemplate::ByLanguage(names) = self.email_template(flow) else {
                continue;
            };
            let wrong = names.keys().find(|language| !is_language(language));
            if let Some(language) = wrong {
                let reason = format!("{language:?} is no language: write de or en");
                return Err(Invalid::new(flow.template_setting(), reason));
            }
        }
        Ok(())
    }

    fn validate_registration(&self) -> Result<(), Invalid> {
        let mut found = Vec::new();
        if self.is_headless_user_registration_allowed {
            if self.registration_user_default_profile.is_none() {
                let reason = "select the profile that new users get";
                found.push(Invalid::new("registrationUserDefaultProfile", reason));
            }
            if self.registration_execution_user.is_none() {
                let reason = "select the user that the registration handler runs as";
                found.push(Invalid::new("registrationExecutionUser", reason));
            }
        }
        if let Err(reason) = self.registration_account.validate() {
            found.push(Invalid::new("registrationAccount", reason));
        }
        Invalid::all(found)
    }

    /// A site that asks for captchas must be able to have them verified.
    fn validate_captcha(&self) -> Result<(), Invalid> {
        let provider = self.recaptcha_provider;
        if !(0.5..=1.0).contains(&self.recaptcha_score_threshold) {
            let reason = format!(
                "{} is not between 0.5 and 1",
                self.recaptcha_score_threshold
            );
            return Err(Invalid::new("recaptchaScoreThreshold", reason));
        }
        let mut apis = Api::ALL.map(|api| self.api(api)).into_iter();
        let is_required = apis.any(|required| required.is_captcha_required);
        if !is_required {
            return Ok(());
        }
        if provider != CaptchaProvider::Test && self.recaptcha_secret_key.is_none() {
            let reason = "a site that requires reCAPTCHA needs the secret key of its verifier";
            return Err(Invalid::new("recaptchaSecretKey", reason));
        }
        if provider == CaptchaProvider::GoogleEnterprise {
            for (key, value) in [
                ("recaptchaProjectId", &self.recaptcha_project_id),
                ("recaptchaSiteKey", &self.recaptcha_site_key),
            ] {
                if value.as_deref().is_none_or(str::is_empty) {
                    return Err(Invalid::new(key, "reCAPTCHA Enterprise needs it"));
                }
            }
        }
        Ok(())
    }

    fn validate_place(&self) -> Result<(), Invalid> {
        let is_printable =
            |name: &str| !name.trim().is_empty() && !name.chars().any(char::is_control);
        if let Some(name) = &self.display_name
            && !(is_printable(name) && name.chars().count() <= 80)
        {
            return Err(Invalid::new("displayName", "1 to 80 printable characters"));
        }
        if jiff::tz::TimeZone::get(&self.default_timezone).is_err() {
            let reason = format!("there is no time zone {:?}", self.default_timezone);
            return Err(Invalid::new("defaultTimezone", reason));
        }
        Ok(())
    }
}

/// Whether a text is a country code such as `+49`.
fn is_country_code(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        matches!(digits.len(), 1..=3)
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn allowed() -> Map<String, Value> {
        map(json!({
            "isHeadlessUserRegistrationAllowed": true,
            "doesRegistrationRequireAuth": true,
            "registrationUserDefaultProfile": "Customer",
            "registrationExecutionUser": "integration@example.com",
        }))
    }

    #[test]
    fn registration_needs_authentication_or_recaptcha_a_profile_and_a_run_as_user() {
        let mut settings = allowed();
        assert!(Settings::default().updated(&settings).is_ok());
        for (key, value) in [
            ("doesRegistrationRequireAuth", json!(false)),
            ("registrationUserDefaultProfile", Value::Null),
            ("registrationExecutionUser", Value::Null),
        ] {
            settings.insert(key.to_owned(), value);
            assert_eq!(Settings::default().updated(&settings).unwrap_err().key, key);
            settings = allowed();
        }
    }

    #[test]
    fn everything_that_is_wrong_is_reported_at_once() {
        let change = json!({"isHeadlessUserRegistrationAllowed": true, "isForgotPwdAllowed": true,
            "displayName": ""});
        let wrong = Settings::default()
            .updated(&map(change))
            .unwrap_err()
            .to_string();
        let keys: Vec<&str> = wrong
            .lines()
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(
            keys,
            [
                "doesRegistrationRequireAuth",
                "doesForgotPasswordRequireAuth",
                "registrationUserDefaultProfile",
                "registrationExecutionUser",
                "displayName"
            ]
        );
    }

    #[test]
    fn a_wrong_setting_is_named() {
        for (change, key) in [
            (
                json!({"isHeadlessUserRegistrationAlowed": true}),
                "isHeadlessUserRegistrationAlowed",
            ),
            (
                json!({"doesRegistrationRequireAuth": "yes"}),
                "doesRegistrationRequireAuth",
            ),
            (json!({"registrationHandler": ""}), "registrationHandler"),
            (
                json!({"registrationFieldMapping": {"a": "profileId"}}),
                "registrationFieldMapping",
            ),
            (
                json!({"registrationFieldMapping": {"a": "attributes.Profile_Id"}}),
                "registrationFieldMapping",
            ),
            (
                json!({"registrationEmailTemplate": 7}),
                "registrationEmailTemplate",
            ),
            (
                json!({"forgotPasswordEmailTemplate": {"German": "f/N"}}),
                "forgotPasswordEmailTemplate",
            ),
            (
                json!({"registrationAccount": {"rule": "shared"}}),
                "registrationAccount",
            ),
            (json!({"defaultTimezone": "Mars/Base"}), "defaultTimezone"),
            (json!({"displayName": "a\r\nb"}), "displayName"),
            (
                json!({"corsAllowedOrigins": ["https://a.example", "*"]}),
                "corsAllowedOrigins",
            ),
            (
                json!({"isRecaptchaRequiredRgstr": true}),
                "recaptchaSecretKey",
            ),
            (
                json!({"doesPasswordLoginRequireAuth": true}),
                "recaptchaSecretKey",
            ),
            (json!({"recaptchaProvider": "me"}), "recaptchaProvider"),
            (
                json!({"recaptchaScoreThreshold": 0.49}),
                "recaptchaScoreThreshold",
            ),
            (
                json!({"recaptchaScoreThreshold": 1.01}),
                "recaptchaScoreThreshold",
            ),
            (
                json!({"recaptchaProvider": "google_enterprise", "recaptchaSecretKey": "k",
                    "isRecaptchaRequiredForgotPwd": true}),
                "recaptchaProjectId",
            ),
            (
                json!({"isPwdlessLoginAllowed": true}),
                "doesPwdlessLoginRequireAuth",
            ),
            (
                json!({"isForgotPwdAllowed": true}),
                "doesForgotPasswordRequireAuth",
            ),
            (
                json!({"maxPasswordResetAttempts": 0}),
                "maxPasswordResetAttempts",
            ),
            (
                json!({"otpSprayThresholdPerHour": 9}),
                "otpSprayThresholdPerHour",
            ),
            (json!({"otpSprayAction": "ignore"}), "otpSprayAction"),
            (
                json!({"passwordSprayThresholdPerHour": 1_000_001}),
                "passwordSprayThresholdPerHour",
            ),
        ] {
            assert_eq!(
                Settings::default().updated(&map(change)).unwrap_err().key,
                key
            );
        }
    }
}
