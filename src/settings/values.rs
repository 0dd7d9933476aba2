//! The settings of a site, every one under its documented name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vestibule_protocol::headless::is_never_applied;

use super::{AccountRule, DefaultTemplate, SprayAction, TemplateFlow};
use crate::changes::{self, Invalid, one_or_many};

/// A site's settings. Names are those of `NetworkAuthApiSettings` where it has one.
///
/// Source: Configure Experience Cloud Settings for Headless Registration; NetworkAuthApiSettings;
/// SecuritySettings for `enableOauthCorsPolicy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// "Registration Handler": `builtin`, or the name of a handler.
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
    pub registration_email_template: DefaultTemplate,
    /// Profiles whose users are members of the site: names or record ids.
    #[serde(deserialize_with = "one_or_many")]
    pub member_profiles: Vec<String>,
    /// The locale of users that bring none.
    pub default_locale: String,
    /// The time zone of users that bring none.
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
    pub headless_discovery_handler: Option<String>,
    /// "Run As" of that handler: a username or a record id.
    pub headless_discovery_execution_user: Option<String>,
    /// How the built-in discovery reads a `login_hint`, in order: `username`, `verifiedEmail`,
    /// `verifiedPhone`, `identifier:KIND`, `attribute:NAME`.
    #[serde(deserialize_with = "one_or_many")]
    pub headless_discovery_strategies: Vec<String>,
    /// Whether the app is told the `customErrorMessage` of a discovery that failed.
    pub is_headless_discovery_message_shown: bool,
    /// "Use the headless user discovery handler for this flow", for username and password.
    pub is_user_disambiguation_allowed_username_pwd: bool,
    /// "Use the headless user discovery handler for this flow", for the password reset.
    pub is_user_disambiguation_allowed_forgot_pwd: bool,
    /// The country code of phone numbers in a `login_hint` that have none, such as `+1`.
    pub default_phone_country_code: Option<String>,
    /// The handler that sends one-time passwords by text message: a handler's name.
    pub custom_otp_delivery_handler_id: Option<String>,

    /// "Allow off-platform apps to access the OAuth 2.0 authorization challenge endpoint".
    pub is_first_party_apps_allowed: bool,
    /// "Require reCAPTCHA to access the OAuth 2.0 authorization challenge endpoint for username-password
    /// login authorization flows", under its documented name.
    pub does_password_login_require_auth: bool,

    /// Who verifies captchas: `google_v2`, `google_v3`, `google_enterprise`, `hcaptcha`, `turnstile`
    /// or, in `vestibule dev`, `test`.
    pub recaptcha_provider: String,
    /// "Secret Key", shared by the flows. It rests sealed under the master key.
    pub recaptcha_secret_key: Option<String>,
    /// "Score Threshold", 0.5 to 1; for verifiers that give a score.
    pub recaptcha_score_threshold: f64,
    /// Host names on which captchas may have been solved; empty for any.
    #[serde(deserialize_with = "one_or_many")]
    pub recaptcha_hostnames: Vec<String>,
    /// reCAPTCHA Enterprise: the project.
    pub recaptcha_project_id: Option<String>,
    /// reCAPTCHA Enterprise: the site key.
    pub recaptcha_site_key: Option<String>,
    /// The action that a verifier must name; wins over what a caller expects.
    pub recaptcha_expected_action: Option<String>,

    /// Origins whose pages may read answers: `https://app.example.com` or `https://*.example.com`.
    #[serde(deserialize_with = "one_or_many")]
    pub cors_allowed_origins: Vec<String>,
    /// "Enable Cross-Origin Resource Sharing (CORS) for OAuth endpoints".
    pub enable_oauth_cors_policy: bool,

    /// Whether strangers get the documented errors that tell of an account, too.
    #[serde(rename = "disclose_account_state")]
    pub disclose_account_state: bool,
    /// Failed one-time passwords of one hour at which the site takes itself for sprayed.
    pub otp_spray_threshold_per_hour: i64,
    /// What happens then.
    pub otp_spray_action: SprayAction,
    /// Failed passwords of one hour at which the site takes itself for sprayed.
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
            registration_email_template: DefaultTemplate::built_in(TemplateFlow::Registration),
            member_profiles: Vec::new(),
            default_locale: String::from("en_US"),
            default_timezone: String::from("UTC"),
            display_name: None,
            is_pwdless_login_allowed: false,
            does_pwdless_login_require_auth: false,
            is_recaptcha_required_pwdless_login: false,
            passwordless_login_email_template: DefaultTemplate::built_in(
                TemplateFlow::PasswordlessLogin,
            ),
            is_forgot_pwd_allowed: false,
            does_forgot_password_require_auth: false,
            is_recaptcha_required_forgot_pwd: false,
            max_password_reset_attempts: 5,
            is_forgot_pwd_email_template_allowlisting_enabled: false,
            forgot_password_email_template: DefaultTemplate::built_in(TemplateFlow::ForgotPassword),
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
            recaptcha_provider: String::from("google_v3"),
            recaptcha_secret_key: None,
            recaptcha_score_threshold: 0.5,
            recaptcha_hostnames: Vec::new(),
            recaptcha_project_id: None,
            recaptcha_site_key: None,
            recaptcha_expected_action: None,
            cors_allowed_origins: Vec::new(),
            enable_oauth_cors_policy: false,
            disclose_account_state: false,
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
}
