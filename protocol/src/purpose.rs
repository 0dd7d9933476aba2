//! What a one-time password is for, and what follows from that alone.
//!
//! A new flow with a one-time password starts with a variant here; the compiler then asks for the rest
//! (`CONTRIBUTING.md` lists it).

use crate::words;

words! {
    /// What a one-time password is for. A code is compared only within its own purpose. The word is that of the
    /// database, of metrics and of logs.
    pub enum Purpose {
        /// A new password: Headless Forgot Password.
        ForgotPassword = "forgot_password",
        /// A login without a password: Headless Passwordless Login.
        PasswordlessLogin = "passwordless_login",
        /// A verified address or number during registration: Headless Registration.
        Registration = "registration",
    }
}

impl Purpose {
    /// The scope that the access token of a trusted caller must have to ask for a code.
    pub fn scope(self) -> &'static str {
        match self {
            Purpose::ForgotPassword => "forgot_password",
            Purpose::PasswordlessLogin => "pwdless_login_api",
            Purpose::Registration => "user_registration_api",
        }
    }

    /// The word of the command line and of template files.
    pub fn hyphenated(self) -> &'static str {
        match self {
            Purpose::ForgotPassword => "forgot-password",
            Purpose::PasswordlessLogin => "passwordless-login",
            Purpose::Registration => "registration",
        }
    }

    /// Reads the word of the command line and of template files.
    pub fn parse_hyphenated(word: &str) -> Option<Purpose> {
        Purpose::ALL
            .into_iter()
            .find(|purpose| purpose.hyphenated() == word)
    }

    /// Developer name of the built-in template of the mails with the code.
    pub fn built_in_template(self) -> &'static str {
        match self {
            Purpose::ForgotPassword => "vestibule$public/PasswordResetOtp",
            Purpose::PasswordlessLogin => "vestibule$public/LoginOtp",
            Purpose::Registration => "vestibule$public/RegistrationOtp",
        }
    }

    /// The purpose of a built-in template, by its developer name, or by the documented name of the registration mail.
    ///
    /// Source: Configure Experience Cloud Settings for Headless Registration.
    pub fn of_built_in_template(name: &str) -> Option<Purpose> {
        if name == DOCUMENTED_REGISTRATION_TEMPLATE {
            return Some(Purpose::Registration);
        }
        Purpose::ALL
            .into_iter()
            .find(|purpose| purpose.built_in_template() == name)
    }

    /// The documented name of the setting that names the site's default template.
    pub fn template_setting(self) -> &'static str {
        match self {
            Purpose::ForgotPassword => "forgotPasswordEmailTemplate",
            Purpose::PasswordlessLogin => "passwordlessLoginEmailTemplate",
            Purpose::Registration => "registrationEmailTemplate",
        }
    }

    /// The member of an authorization challenge answer that says how the code was sent, and the `error_code` of that
    /// answer.
    ///
    /// Source: OAuth 2.0 for First-Party Applications, the authorization challenge endpoint.
    pub(crate) fn challenge_words(self) -> (&'static str, &'static str) {
        match self {
            Purpose::ForgotPassword => ("password_reset_status", "password_reset_initialized"),
            Purpose::PasswordlessLogin => ("login_status", "login_initialized"),
            Purpose::Registration => ("registration_status", "registration_initialized"),
        }
    }
}
/// The documented name of the registration mail.
const DOCUMENTED_REGISTRATION_TEMPLATE: &str =
    "Experience Cloud: One-Time Password Email for Headless Registration Verification";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_template_has_its_developer_name_and_registration_also_the_documented_one() {
        for purpose in Purpose::ALL {
            let name = purpose.built_in_template();
            assert_eq!(Purpose::of_built_in_template(name), Some(purpose));
        }
        let name =
            "Experience Cloud: One-Time Password Email for Headless Registration Verification";
        assert_eq!(
            Purpose::of_built_in_template(name),
            Some(Purpose::Registration)
        );
        assert_eq!(
            Purpose::of_built_in_template("unfiled$public/Welcome"),
            None
        );
    }
}
