//! The settings of a site that concern registration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vestibule_protocol::headless::is_never_applied;

use super::spray::validate_threshold;
use super::{AccountRule, SprayAction, template_name};
use crate::changes::{self, Invalid, one_or_many};

/// A site's settings. Names are those of `NetworkAuthApiSettings` where it has one.
///
/// Source: Configure Experience Cloud Settings for Headless Registration; NetworkAuthApiSettings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// "Allow Authorization Code and Credentials Flows".
    pub o_auth_cd_crdt_flow_enable: bool,
    /// "Allow self-registration via the Headless Registration API".
    pub is_headless_user_registration_allowed: bool,
    /// "Require authentication to access this API".
    pub does_registration_require_auth: bool,
    /// "Require reCAPTCHA to access this API".
    pub is_recaptcha_required_rgstr: bool,
    /// "Default Profile": a name or a record id.
    pub registration_user_default_profile: Option<String>,
    /// "Registration Handler": `builtin`.
    pub registration_handler: String,
    /// "Run As": a username or a record id.
    pub registration_execution_user: Option<String>,
    /// Where the built-in handler puts members of `customdata`: member → `firstName`, `phone`,
    /// `locale`, `timezone` or `attributes.NAME`. Members that are not listed become attributes of
    /// the same name.
    pub registration_field_mapping: BTreeMap<String, String>,
    /// Which account a new user belongs to.
    pub registration_account: AccountRule,
    /// "Use only allowlisted email templates".
    pub is_email_template_allowlisting_enabled: bool,
    /// The allowlist, shared by the flows.
    #[serde(deserialize_with = "one_or_many")]
    pub email_tmpls_allowlist: Vec<String>,
    /// "One-Time Password for Headless Registration": the site's default template.
    pub registration_email_template: String,
    /// Profiles whose users are members of the site: names or record ids.
    #[serde(deserialize_with = "one_or_many")]
    pub member_profiles: Vec<String>,
    /// The locale of users that bring none.
    pub default_locale: String,
    /// The time zone of users that bring none.
    pub default_timezone: String,
    /// The name by which messages call the site; its own name where there is none.
    pub display_name: Option<String>,
    /// Wrong one-time passwords of the site in one hour of the clock before it is a spray.
    pub otp_spray_threshold_per_hour: i64,
    /// What happens then.
    pub otp_spray_action: SprayAction,
    /// Wrong passwords of the site in one hour of the clock before it is a spray.
    pub password_spray_threshold_per_hour: i64,
    /// What happens then.
    pub password_spray_action: SprayAction,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            o_auth_cd_crdt_flow_enable: true,
            is_headless_user_registration_allowed: false,
            does_registration_require_auth: false,
            is_recaptcha_required_rgstr: false,
            registration_user_default_profile: None,
            registration_handler: String::from("builtin"),
            registration_execution_user: None,
            registration_field_mapping: BTreeMap::new(),
            registration_account: AccountRule::default(),
            is_email_template_allowlisting_enabled: false,
            email_tmpls_allowlist: Vec::new(),
            registration_email_template: template_name::REGISTRATION_OTP.to_owned(),
            member_profiles: Vec::new(),
            default_locale: String::from("en_US"),
            default_timezone: String::from("UTC"),
            display_name: None,
            otp_spray_threshold_per_hour: 1_000,
            otp_spray_action: SprayAction::Refuse,
            password_spray_threshold_per_hour: 1_000,
            password_spray_action: SprayAction::Alert,
        }
    }
}

/// Where a member of `customdata` goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldTarget {
    /// An attribute of the user.
    Attribute(String),
    /// The given name.
    FirstName,
    /// The locale.
    Locale,
    /// The phone number.
    Phone,
    /// The time zone.
    Timezone,
}

impl FieldTarget {
    /// Reads the right side of a mapping. An attribute cannot bear a name that looks like a right.
    pub fn parse(text: &str) -> Option<FieldTarget> {
        match text {
            "firstName" => Some(FieldTarget::FirstName),
            "locale" => Some(FieldTarget::Locale),
            "phone" => Some(FieldTarget::Phone),
            "timezone" => Some(FieldTarget::Timezone),
            _ => text
                .strip_prefix("attributes.")
                .filter(|name| !name.is_empty() && !is_never_applied(name))
                .map(|name| FieldTarget::Attribute(name.to_owned())),
        }
    }
}

impl Settings {
    /// The settings with some of them changed, checked as a whole.
    ///
    /// # Errors
    /// The first setting that is unknown or wrong; nothing is changed then.
    pub fn updated(&self, changes: &Map<String, Value>) -> Result<Settings, Invalid> {
        let settings: Settings = changes::apply(self, changes)?;
        settings.validate()?;
        Ok(settings)
    }

    /// Checks what one setting or two settings together rule out. That the profiles and users that
    /// are named exist is checked where they can be looked up.
    ///
    /// # Errors
    /// The first setting that is wrong.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.is_recaptcha_required_rgstr {
            let reason = "this version cannot verify reCAPTCHA tokens yet: require authentication";
            return Err(Invalid::new("isRecaptchaRequiredRgstr", reason));
        }
        if self.is_headless_user_registration_allowed {
            if !self.does_registration_require_auth && !self.is_recaptcha_required_rgstr {
                let reason = "require authentication or reCAPTCHA (or both) to access this API";
                return Err(Invalid::new("doesRegistrationRequireAuth", reason));
            }
            if self.registration_user_default_profile.is_none() {
                let reason = "select the profile that new users get";
                return Err(Invalid::new("registrationUserDefaultProfile", reason));
            }
            if self.registration_execution_user.is_none() {
                let reason = "select the user that the registration handler runs as";
                return Err(Invalid::new("registrationExecutionUser", reason));
            }
        }
        if self.registration_handler != "builtin" {
            let reason = format!(
                "there is no handler {:?}; there is \"builtin\"",
                self.registration_handler
            );
            return Err(Invalid::new("registrationHandler", reason));
        }
        for (member, target) in &self.registration_field_mapping {
            if FieldTarget::parse(target).is_none() {
                let reason = format!(
                    "{member} → {target:?}: a member goes to firstName, phone, locale, timezone or attributes.NAME"
                );
                return Err(Invalid::new("registrationFieldMapping", reason));
            }
        }
        self.registration_account
            .validate()
            .map_err(|reason| Invalid::new("registrationAccount", reason))?;
        self.validate_templates()?;
        let is_printable =
            |name: &str| !name.trim().is_empty() && !name.chars().any(char::is_control);
        if let Some(name) = &self.display_name
            && !(is_printable(name) && name.chars().count() <= 80)
        {
            return Err(Invalid::new("displayName", "1 to 80 printable characters"));
        }
        let otp = self.otp_spray_threshold_per_hour;
        validate_threshold("otpSprayThresholdPerHour", otp)?;
        let password = self.password_spray_threshold_per_hour;
        validate_threshold("passwordSprayThresholdPerHour", password)?;
        if jiff::tz::TimeZone::get(&self.default_timezone).is_err() {
            let reason = format!("there is no time zone {:?}", self.default_timezone);
            return Err(Invalid::new("defaultTimezone", reason));
        }
        Ok(())
    }

    fn validate_templates(&self) -> Result<(), Invalid> {
        let unknown = |name: &str| {
            let known = template_name::ALL.join(", ");
            format!("there is no template {name:?}; there are {known}")
        };
        for name in &self.email_tmpls_allowlist {
            if !template_name::ALL.contains(&name.as_str()) {
                return Err(Invalid::new("emailTmplsAllowlist", unknown(name)));
            }
        }
        let default = self.registration_email_template.as_str();
        let reason = match default {
            template_name::REGISTRATION_OTP => return Ok(()),
            _ if template_name::ALL.contains(&default) => {
                format!("{default:?} is the template of another flow")
            }
            _ => unknown(default),
        };
        Err(Invalid::new("registrationEmailTemplate", reason))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            (
                json!({"registrationHandler": "MyApexClass"}),
                "registrationHandler",
            ),
            (
                json!({"registrationFieldMapping": {"a": "profileId"}}),
                "registrationFieldMapping",
            ),
            (
                json!({"registrationFieldMapping": {"a": "attributes.Profile_Id"}}),
                "registrationFieldMapping",
            ),
            (
                json!({"registrationEmailTemplate": template_name::LOGIN_OTP}),
                "registrationEmailTemplate",
            ),
            (
                json!({"registrationAccount": {"rule": "shared"}}),
                "registrationAccount",
            ),
            (
                json!({"emailTmplsAllowlist": ["unfiled$public/Nope"]}),
                "emailTmplsAllowlist",
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
            (json!({"defaultTimezone": "Mars/Base"}), "defaultTimezone"),
            (json!({"displayName": "a\r\nb"}), "displayName"),
            (
                json!({"isRecaptchaRequiredRgstr": true}),
                "isRecaptchaRequiredRgstr",
            ),
        ] {
            assert_eq!(
                Settings::default().updated(&map(change)).unwrap_err().key,
                key
            );
        }
    }
}
