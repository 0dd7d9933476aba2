//! What each headless API of a site requires of its callers, as one table: [`Settings::api`].
//!
//! The table serves the validation of settings, the admission of callers and the flows. Which token and
//! which captcha satisfy a requirement is decided by `admission`.
//!
//! Source: Configure Experience Cloud Settings for Headless Registration, for Headless Passwordless
//! Login and for Headless Forgot Password; NetworkAuthApiSettings.

use vestibule_protocol::purpose::Purpose;

use super::Settings;
use crate::refusal::Refusal;

/// A headless API of a site. Each has switches of its own in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Headless Forgot Password API, both phases.
    ForgotPassword,
    /// Login by username and password at the authorization challenge endpoint.
    PasswordLogin,
    /// Headless Passwordless Login API.
    PasswordlessLogin,
    /// Headless Registration API.
    Registration,
}

/// What an API requires of its callers at one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRequirements {
    /// Which API.
    pub api: Api,
    /// Whether the site offers the API.
    pub is_allowed: bool,
    /// The access token that the API accepts; `None` where the client is authenticated in another way.
    pub token: Option<TokenRequirement>,
    /// "Require reCAPTCHA to access this API".
    pub is_captcha_required: bool,
    /// Whether `login_hint` names a user: "Use the headless user discovery handler for this flow". A
    /// passwordless login reads it wherever the site has a discovery handler. For passwords, this holds at
    /// the authorization endpoint as well.
    pub reads_login_hint: bool,
}

/// The access token of an integration user that an API accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRequirement {
    /// "Require authentication to access this API".
    pub is_required: bool,
    /// The scope that the token must have.
    pub scope: &'static str,
    /// The documented name of the setting behind `is_required`.
    pub setting: &'static str,
}

impl Api {
    /// All APIs, in the order in which their settings are checked.
    pub const ALL: [Api; 4] = [
        Api::Registration,
        Api::PasswordlessLogin,
        Api::ForgotPassword,
        Api::PasswordLogin,
    ];
}

impl Settings {
    /// What an API requires at this site.
    pub fn api(&self, api: Api) -> ApiRequirements {
        let has_discovery = self.headless_discovery_handler.is_some();
        match api {
            Api::ForgotPassword => ApiRequirements {
                api,
                is_allowed: self.is_forgot_pwd_allowed,
                token: Some(TokenRequirement {
                    is_required: self.does_forgot_password_require_auth,
                    scope: Purpose::ForgotPassword.scope(),
                    setting: "doesForgotPasswordRequireAuth",
                }),
                is_captcha_required: self.is_recaptcha_required_forgot_pwd,
                reads_login_hint: has_discovery && self.is_user_disambiguation_allowed_forgot_pwd,
            },
            Api::PasswordLogin => ApiRequirements {
                api,
                is_allowed: self.is_first_party_apps_allowed,
                token: None,
                is_captcha_required: self.does_password_login_require_auth,
                reads_login_hint: has_discovery && self.is_user_disambiguation_allowed_username_pwd,
            },
            Api::PasswordlessLogin => ApiRequirements {
                api,
                is_allowed: self.is_pwdless_login_allowed,
                token: Some(TokenRequirement {
                    is_required: self.does_pwdless_login_require_auth,
                    scope: Purpose::PasswordlessLogin.scope(),
                    setting: "doesPwdlessLoginRequireAuth",
                }),
                is_captcha_required: self.is_recaptcha_required_pwdless_login,
                reads_login_hint: has_discovery,
            },
            Api::Registration => ApiRequirements {
                api,
                is_allowed: self.is_headless_user_registration_allowed,
                token: Some(TokenRequirement {
                    is_required: self.does_registration_require_auth,
                    scope: Purpose::Registration.scope(),
                    setting: "doesRegistrationRequireAuth",
                }),
                is_captcha_required: self.is_recaptcha_required_rgstr,
                reads_login_hint: false,
            },
        }
    }
}

impl ApiRequirements {
    /// Refuses an API that the site does not offer.
    ///
    /// # Refusals
    /// `ForgotPasswordDisabled`, `FirstPartySiteDisabled`, `PasswordlessLoginDisabled`,
    /// `RegistrationDisabled`.
    pub fn check_allowed(&self) -> Result<(), Refusal> {
        if self.is_allowed {
            return Ok(());
        }
        Err(match self.api {
            Api::ForgotPassword => Refusal::ForgotPasswordDisabled,
            Api::PasswordLogin => Refusal::FirstPartySiteDisabled,
            Api::PasswordlessLogin => Refusal::PasswordlessLoginDisabled,
            Api::Registration => Refusal::RegistrationDisabled,
        })
    }

    /// Whether an access token must be sent.
    pub fn is_token_required(&self) -> bool {
        self.token.is_some_and(|token| token.is_required)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::HandlerChoice;

    #[test]
    fn each_api_reads_its_own_switches() {
        for (api, is_allowed, is_token_required, is_captcha_required) in [
            (
                Api::Registration,
                "isHeadlessUserRegistrationAllowed",
                Some("doesRegistrationRequireAuth"),
                "isRecaptchaRequiredRgstr",
            ),
            (
                Api::PasswordlessLogin,
                "isPwdlessLoginAllowed",
                Some("doesPwdlessLoginRequireAuth"),
                "isRecaptchaRequiredPwdlessLogin",
            ),
            (
                Api::ForgotPassword,
                "isForgotPwdAllowed",
                Some("doesForgotPasswordRequireAuth"),
                "isRecaptchaRequiredForgotPwd",
            ),
            (
                Api::PasswordLogin,
                "isFirstPartyAppsAllowed",
                None,
                "doesPasswordLoginRequireAuth",
            ),
        ] {
            let with =
                |key: &str| -> Settings { serde_json::from_value(json!({ key: true })).unwrap() };
            let found = |settings: Settings| {
                Api::ALL.map(|api| {
                    let required = settings.api(api);
                    (
                        required.is_allowed,
                        required.is_token_required(),
                        required.is_captcha_required,
                    )
                })
            };
            let only = |switches| {
                Api::ALL.map(|other| {
                    if other == api {
                        switches
                    } else {
                        Default::default()
                    }
                })
            };
            assert_eq!(
                found(with(is_allowed)),
                only((true, false, false)),
                "{api:?}"
            );
            assert_eq!(
                found(with(is_captcha_required)),
                only((false, false, true)),
                "{api:?}"
            );
            let token = Settings::default().api(api).token;
            assert_eq!(token.map(|token| token.setting), is_token_required);
            if let Some(key) = is_token_required {
                assert_eq!(found(with(key)), only((false, true, false)), "{api:?}");
            }
        }
    }

    #[test]
    fn disc_a_login_hint_is_read_only_where_discovery_is_on_for_the_flow() {
        let hints = |settings: &Settings| Api::ALL.map(|api| settings.api(api).reads_login_hint);
        let mut settings = Settings {
            is_user_disambiguation_allowed_forgot_pwd: true,
            is_user_disambiguation_allowed_username_pwd: true,
            ..Settings::default()
        };
        assert_eq!(hints(&settings), [false; 4]);
        settings.headless_discovery_handler = Some(HandlerChoice::BuiltIn);
        assert_eq!(hints(&settings), [false, true, true, true]);
        settings.is_user_disambiguation_allowed_forgot_pwd = false;
        settings.is_user_disambiguation_allowed_username_pwd = false;
        assert_eq!(hints(&settings), [false, true, false, false]);
    }
}
