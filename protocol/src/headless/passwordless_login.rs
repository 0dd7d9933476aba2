//! The body that starts a passwordless login, and the response.
//!
//! Follows Headless Passwordless Login Flow, "Your App Headlessly Sends the User Information".

use std::fmt;

use serde_json::json;

use super::members::{BodyMembers, invalid};
use super::{CaptchaProof, InvalidParams, TEMPLATE_LENGTH_MAX, UserReference, VerificationMethod};

/// The body of `POST /services/auth/headless/init/passwordless/login`.
///
/// ```
/// use vestibule_protocol::headless::{InitPasswordlessLogin, VerificationMethod};
/// let login = InitPasswordlessLogin::parse(
///     br#"{"verificationmethod": "sms", "username": "jedwards@myapp.com"}"#)?;
/// assert_eq!(login.verification_method, VerificationMethod::Sms);
/// assert_eq!(login.user.username.as_deref(), Some("jedwards@myapp.com"));
/// # Ok::<(), vestibule_protocol::headless::InvalidParams>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct InitPasswordlessLogin {
    /// The channel of the one-time password; required here.
    pub verification_method: VerificationMethod,
    /// The user.
    pub user: UserReference,
    /// Developer name of a mail template.
    pub email_template: Option<String>,
    /// `recaptcha` or `recaptchaevent`.
    pub captcha: Option<CaptchaProof>,
}

impl fmt::Debug for InitPasswordlessLogin {
    /// Omits personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InitPasswordlessLogin")
            .field("verification_method", &self.verification_method)
            .field("email_template", &self.email_template)
            .finish_non_exhaustive()
    }
}

impl InitPasswordlessLogin {
    /// Parses the body, whatever its `Content-Type`, by the rules of
    /// [`InitRegistration::parse`](super::InitRegistration::parse). One of `username` and `login_hint` is required;
    /// which of them depends on the site and is decided by the server.
    ///
    /// # Refusals
    /// [`InvalidParams`]: not one JSON object; no `verificationmethod`, or another than `email` and
    /// `sms`; neither `username` nor `login_hint`; a wrong type; too long; a control character.
    pub fn parse(body: &[u8]) -> Result<InitPasswordlessLogin, InvalidParams> {
        InitPasswordlessLogin::read(&mut BodyMembers::of_body(body, &BODY_MEMBERS)?, None)
    }

    /// Removes and returns the members; `default` is the channel when none is named.
    pub(super) fn read(
        body: &mut BodyMembers,
        default_method: Option<VerificationMethod>,
    ) -> Result<InitPasswordlessLogin, InvalidParams> {
        let verification_method = body
            .verification_method()?
            .or(default_method)
            .ok_or_else(|| invalid("verificationmethod", "missing"))?;
        let login = InitPasswordlessLogin {
            verification_method,
            user: UserReference::read(body)?,
            email_template: body.optional("emailtemplate", TEMPLATE_LENGTH_MAX)?,
            captcha: body.captcha()?,
        };
        login.user.check_present()?;
        Ok(login)
    }
}

/// The members of the body that are read.
const BODY_MEMBERS: [&str; 7] = [
    "customdata",
    "emailtemplate",
    "login_hint",
    "recaptcha",
    "recaptchaevent",
    "username",
    "verificationmethod",
];

/// The response to a passwordless login that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordlessAnswer {
    /// An address that the caller may know: the stored one for a trusted caller, otherwise the one that the caller
    /// sent.
    pub email: Option<String>,
    /// Identifies the pending request; contains no colon.
    pub identifier: String,
}

impl PasswordlessAnswer {
    /// Renders the JSON body.
    pub fn to_json(&self) -> String {
        match &self.email {
            Some(email) => {
                json!({"status": "success", "email": email, "identifier": self.identifier})
            }
            None => json!({"status": "success", "identifier": self.identifier}),
        }
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn parse(body: Value) -> Result<InitPasswordlessLogin, InvalidParams> {
        InitPasswordlessLogin::parse(body.to_string().as_bytes())
    }

    #[test]
    fn the_method_and_a_user_are_required() {
        for (body, field) in [
            (json!({"username": "a@b.example"}), "verificationmethod"),
            (
                json!({"username": "a@b.example", "verificationmethod": null}),
                "verificationmethod",
            ),
            (
                json!({"username": "a@b.example", "verificationmethod": "fax"}),
                "verificationmethod",
            ),
            (json!({"verificationmethod": "email"}), "username"),
            (
                json!({"verificationmethod": "email", "username": 7}),
                "username",
            ),
            (
                json!({"verificationMethod": "email", "username": "a@b.example"}),
                "verificationMethod",
            ),
        ] {
            assert_eq!(parse(body).unwrap_err().field, field);
        }
    }

    #[test]
    fn custom_data_is_an_object_or_its_text() {
        for customdata in [json!({"a": 1}), json!("{\"a\":1}")] {
            let body = json!({"verificationmethod": "email", "login_hint": "ORDER-1",
                "customdata": customdata, "somethingElse": true});
            let login = parse(body).unwrap();
            assert_eq!(login.user.customdata.unwrap()["a"], 1);
            assert_eq!(login.user.login_hint.as_deref(), Some("ORDER-1"));
        }
    }

    #[test]
    fn an_answer_without_an_address_has_two_members() {
        let answer = PasswordlessAnswer {
            email: None,
            identifier: "0RX1".into(),
        };
        assert_eq!(
            answer.to_json(),
            r#"{"status":"success","identifier":"0RX1"}"#
        );
    }
}
