//! The settings of a site, every one under its documented name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vestibule_protocol::headless::is_never_applied;
use vestibule_protocol::purpose::Purpose;

use super::{AccountRule, DefaultTemplate, HandlerChoice, SprayAction, Strategy};
use crate::captcha_provider::CaptchaProvider;
use crate::changes::{self, Invalid, words_or_list};

/// A site's settings. Names are those of `NetworkAuthApiSettings` where it has one.
///
/// Source: Configure Experience Cloud Settings for Headless Registration; NetworkAuthApiSettings;
/// SecuritySettings for `enableOauthCorsPolicy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
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
    /// "Registration Handler": `builtin`, or the name of a handler.
    pub registration_handler: HandlerChoice,
    /// "Run As": a username or a record id.
    pub registration_execution_user: Option<String>,
    /// Where the built-in handler puts members of `customdata`: member → `firstName`, `phone`,
    /// `locale`, `timezone` or `attributes.NAME`. Members that are not listed become attributes of
    /// the same name.
    pub registration_field_mapping: BTreeMap<String, FieldTarget>,
    /// Which account a new user belongs to.
    pub registration_account: AccountRule,
    /// "Use only allowlisted email templates".
    pub is_email_template_allowlisting_enabled: bool,
    /// The allowlist, shared by the flows.
    #[serde(deserialize_with = "words_or_list")]
    pub email_tmpls_allowlist: Vec<String>,
    /// "One-Time Password for Headless Registration": the site's default template.
    pub registration_email_template: DefaultTemplate,
    /// Profiles whose users are members of the site: names or record ids.
    #[serde(deserialize_with = "words_or_list")]
    pub member_profiles: Vec<String>,
    /// The locale of users that have none.
    pub default_locale: String,
    /// The time zone of users that have none.
    pub default_timezone: String,
    /// The name by which messages call the site; its own name where there is none.
    pub display_name: Option<String>,

    /// "Allow passwordless login via the Headless Passwordless Login API".
    pub is_pwdless_login_allowed: bool,
    /// "Require authentication to access this API", for passwordless login.
    pub does_pwdless_login_require_auth: bool,
    /// "Require reCAPTCHA to access this API", for passwordless login.
    pub is_recaptcha_required_pwdless_login: bool,
    /// The site's default template for the code of a passwordless login.
    pub passwordless_login_email_template: DefaultTemplate,

    /// "Allow password reset via the Headless Forgot Password API".
    pub is_forgot_pwd_allowed: bool,
    /// "Require authentication to access this API", for the password reset.
    pub does_forgot_password_require_auth: bool,
    /// "Require reCAPTCHA to access this API", for the password reset.
    pub is_recaptcha_required_forgot_pwd: bool,
    /// "Maximum number of password reset attempts" per code, 1 to 10.
    pub max_password_reset_attempts: i64,
    /// "Use only allowlisted email templates", for the password reset.
    pub is_forgot_pwd_email_template_allowlisting_enabled: bool,
    /// The site's default template for the code of a password reset.
    pub forgot_password_email_template: DefaultTemplate,

    /// "Headless User Discovery": `builtin`, or the name of a handler; none where users are found by
    /// their usernames only.
    pub headless_discovery_handler: Option<HandlerChoice>,
    /// "Run As" of that handler: a username or a record id.
    pub headless_discovery_execution_user: Option<String>,
    /// How the built-in discovery reads a `login_hint`, in order: `username`, `verifiedEmail`,
    /// `verifiedPhone`, `identifier:KIND`, `attribute:NAME`.
    #[serde(deserialize_with = "words_or_list")]
    pub headless_discovery_strategies: Vec<Strategy>,
    /// Whether the response contains the `customErrorMessage` of a discovery that failed.
    pub is_headless_discovery_message_shown: bool,
    /// "Use the headless user discovery handler for this flow", for username and password.
    pub is_user_disambiguation_allowed_username_pwd: bool,
    /// "Use the headless user discovery handler for this flow", for the password reset.
    pub is_user_disambiguation_allowed_forgot_pwd: bool,
    /// The country code of phone numbers in a `login_hint` that have none, such as `+1`.
    pub default_phone_country_code: Option<String>,
    /// The handler that sends one-time passwords by text message: a handler's name; none, or `builtin`, for the
    /// server's gateway.
    pub custom_otp_delivery_handler_id: Option<HandlerChoice>,

    /// "Allow off-platform apps to access the OAuth 2.0 authorization challenge endpoint".
    pub is_first_party_apps_allowed: bool,
    /// "Require reCAPTCHA to access the OAuth 2.0 authorization challenge endpoint for username-password
    /// login authorization flows", under its documented name.
    pub does_password_login_require_auth: bool,

    /// Who verifies captchas: `google_v2`, `google_v3`, `google_enterprise`, `hcaptcha`, `turnstile`
    /// or, in `vestibule dev`, `test`.
    pub recaptcha_provider: CaptchaProvider,
    /// "Secret Key", shared by the flows. Stored sealed under the master key.
    pub recaptcha_secret_key: Option<String>,
    /// "Score Threshold", 0.5 to 1; for verifiers that give a score.
    pub recaptcha_score_threshold: f64,
    /// Host names on which captchas may have been solved; empty for any.
    #[serde(deserialize_with = "words_or_list")]
    pub recaptcha_hostnames: Vec<String>,
    /// reCAPTCHA Enterprise: the project.
    pub recaptcha_project_id: Option<String>,
    /// reCAPTCHA Enterprise: the site key.
    pub recaptcha_site_key: Option<String>,
    /// The action that a verifier must name; it counts instead of the one that a caller expects.
    pub recaptcha_expected_action: Option<String>,

    /// Origins whose pages may read answers: `https://app.example.com` or `https://*.example.com`.
    #[serde(deserialize_with = "words_or_list")]
    pub cors_allowed_origins: Vec<String>,
    /// Request headers that pages may send in addition to those that the endpoints read.
    #[serde(deserialize_with = "words_or_list")]
    pub cors_allowed_headers: Vec<String>,
    /// "Enable Cross-Origin Resource Sharing (CORS) for OAuth endpoints".
    pub enable_oauth_cors_policy: bool,

    /// Whether untrusted callers also get the documented errors that disclose that an account exists.
    #[serde(rename = "disclose_account_state")]
    pub disclose_account_state: bool,
    /// Failed one-time passwords of one hour above which the site is considered under a spray of codes.
    pub otp_spray_threshold_per_hour: i64,
    /// What happens then.
    pub otp_spray_action: SprayAction,
    /// Failed passwords of one hour above which the site is considered under a password spray.
    pub password_spray_threshold_per_hour: i64,
    /// What happens then.
    pub password_spray_action: SprayAction,
    /// Members that this version does not know, which a newer one has saved: they have no effect and are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            o_auth_cd_crdt_flow_enable: true,
            is_headless_user_registration_allowed: false,
            does_registration_require_auth: false,
            is_recaptcha_required_rgstr: false,
            registration_user_default_profile: None,
            registration_handler: HandlerChoice::BuiltIn,
            registration_execution_user: None,
            registration_field_mapping: BTreeMap::new(),
            registration_account: AccountRule::default(),
            is_email_template_allowlisting_enabled: false,
            email_tmpls_allowlist: Vec::new(),
            registration_email_template: DefaultTemplate::built_in(Purpose::Registration),
            member_profiles: Vec::new(),
            default_locale: String::from("en_US"),
            default_timezone: String::from("UTC"),
            display_name: None,
            is_pwdless_login_allowed: false,
            does_pwdless_login_require_auth: false,
            is_recaptcha_required_pwdless_login: false,
            passwordless_login_email_template: DefaultTemplate::built_in(
                Purpose::PasswordlessLogin,
            ),
            is_forgot_pwd_allowed: false,
            does_forgot_password_require_auth: false,
            is_recaptcha_required_forgot_pwd: false,
            max_password_reset_attempts: 5,
            is_forgot_pwd_email_template_allowlisting_enabled: false,
            forgot_password_email_template: DefaultTemplate::built_in(Purpose::ForgotPassword),
            headless_discovery_handler: None,
            headless_discovery_execution_user: None,
            headless_discovery_strategies: Vec::new(),
            is_headless_discovery_message_shown: false,
            is_user_disambiguation_allowed_username_pwd: false,
            is_user_disambiguation_allowed_forgot_pwd: false,
            default_phone_country_code: None,
            custom_otp_delivery_handler_id: None,
            is_first_party_apps_allowed: false,
            does_password_login_require_auth: false,
            recaptcha_provider: CaptchaProvider::GoogleV3,
            recaptcha_secret_key: None,
            recaptcha_score_threshold: 0.5,
            recaptcha_hostnames: Vec::new(),
            recaptcha_project_id: None,
            recaptcha_site_key: None,
            recaptcha_expected_action: None,
            cors_allowed_origins: Vec::new(),
            cors_allowed_headers: Vec::new(),
            enable_oauth_cors_policy: false,
            disclose_account_state: false,
            otp_spray_threshold_per_hour: 1_000,
            otp_spray_action: SprayAction::Refuse,
            password_spray_threshold_per_hour: 1_000,
            password_spray_action: SprayAction::Alert,
            unknown: Map::new(),
        }
    }
}

/// Where a member of `customdata` goes. An attribute cannot have a name that looks like a right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FieldTarget {
    /// An attribute of the user: `attributes.NAME`.
    Attribute(String),
    /// The given name: `firstName`.
    FirstName,
    /// The locale: `locale`.
    Locale,
    /// The phone number: `phone`.
    Phone,
    /// The time zone: `timezone`.
    Timezone,
}

impl TryFrom<String> for FieldTarget {
    type Error = String;

    fn try_from(text: String) -> Result<FieldTarget, String> {
        match text.as_str() {
            "firstName" => Ok(FieldTarget::FirstName),
            "locale" => Ok(FieldTarget::Locale),
            "phone" => Ok(FieldTarget::Phone),
            "timezone" => Ok(FieldTarget::Timezone),
            _ => text
                .strip_prefix("attributes.")
                .filter(|name| !name.is_empty() && !is_never_applied(name))
                .map(|name| FieldTarget::Attribute(name.to_owned()))
                .ok_or_else(|| {
                    format!(
                        "{text:?}: a member goes to firstName, phone, locale, timezone or attributes.NAME"
                    )
                }),
        }
    }
}

impl From<FieldTarget> for String {
    fn from(target: FieldTarget) -> String {
        match target {
            FieldTarget::Attribute(name) => format!("attributes.{name}"),
            FieldTarget::FirstName => String::from("firstName"),
            FieldTarget::Locale => String::from("locale"),
            FieldTarget::Phone => String::from("phone"),
            FieldTarget::Timezone => String::from("timezone"),
        }
    }
}

impl Settings {
    /// Whether users of a profile are members of the site. A site that lists no member profiles admits all.
    pub fn admits(&self, profile_id: &str) -> bool {
        self.member_profiles.is_empty() || self.member_profiles.iter().any(|id| id == profile_id)
    }

    /// The site's default template of a flow.
    pub fn email_template(&self, flow: Purpose) -> &DefaultTemplate {
        match flow {
            Purpose::ForgotPassword => &self.forgot_password_email_template,
            Purpose::PasswordlessLogin => &self.passwordless_login_email_template,
            Purpose::Registration => &self.registration_email_template,
        }
    }

    /// Whether requests of a flow may only name templates of the allowlist.
    pub(super) fn is_template_restricted(&self, flow: Purpose) -> bool {
        match flow {
            Purpose::ForgotPassword => self.is_forgot_pwd_email_template_allowlisting_enabled,
            Purpose::PasswordlessLogin | Purpose::Registration => {
                self.is_email_template_allowlisting_enabled
            }
        }
    }

    /// The settings with some of them changed, checked as a whole.
    ///
    /// # Errors
    /// The first setting that is unknown or wrong; nothing is changed then.
    pub fn updated(&self, changes: &Map<String, Value>) -> Result<Settings, Invalid> {
        let settings: Settings = changes::apply(self, changes)?;
        settings.validate()?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_admits_the_profiles_that_it_lists_or_all_if_it_lists_none() {
        for (members, profile_id, is_admitted) in [
            (&[][..], "00e1", true),
            (&["00e1"], "00e1", true),
            (&["00e1", "00e2"], "00e2", true),
            (&["00e1"], "00e2", false),
            (&["00e1"], "", false),
        ] {
            let settings = Settings {
                member_profiles: members.iter().map(|id| String::from(*id)).collect(),
                ..Settings::default()
            };
            assert_eq!(
                settings.admits(profile_id),
                is_admitted,
                "{members:?} {profile_id}"
            );
        }
    }

    #[test]
    fn a_target_of_a_member_keeps_its_text_and_takes_no_name_that_looks_like_a_right() {
        for text in [
            "firstName",
            "locale",
            "phone",
            "timezone",
            "attributes.company",
        ] {
            let target = FieldTarget::try_from(text.to_owned()).unwrap();
            assert_eq!(String::from(target), text);
        }
        for text in [
            "",
            "company",
            "attributes.",
            "attributes.Profile_Id",
            "FirstName",
        ] {
            assert!(FieldTarget::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
