//! The two bodies of a password reset, distinguished by their members, and their responses.
//!
//! Follows Headless Forgot Password Flow.

use std::fmt;

use serde_json::{Map, Value};

use super::members::{BodyMembers, invalid};
use super::{CaptchaProof, InvalidParams, TEMPLATE_LENGTH_MAX, UserReference};
use crate::secret::Secret;
use crate::strict_json;

/// The body of `POST /services/auth/headless/forgot_password`.
///
/// ```
/// use vestibule_protocol::headless::{ForgotPassword, ForgotPasswordPhase};
/// let first = ForgotPassword::parse(br#"{"username": "jedwards@myapp.com", "otp": null}"#)?;
/// assert!(matches!(first.phase, ForgotPasswordPhase::Ask { .. }));
/// let second = ForgotPassword::parse(
///     br#"{"username": "jedwards@myapp.com", "otp": "123abc", "newpassword": "N3w-password"}"#)?;
/// assert!(matches!(second.phase, ForgotPasswordPhase::Choose { .. }));
/// # Ok::<(), vestibule_protocol::headless::InvalidParams>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct ForgotPassword {
    /// The user.
    pub user: UserReference,
    /// The phase of the reset.
    pub phase: ForgotPasswordPhase,
}

/// The phase that a body belongs to.
#[derive(Clone, PartialEq)]
pub enum ForgotPasswordPhase {
    /// The first phase: a request for a one-time password.
    Ask {
        /// Developer name of a mail template.
        email_template: Option<String>,
        /// `recaptcha` or `recaptchaevent`.
        captcha: Option<CaptchaProof>,
    },
    /// The second phase: a new password, with the one-time password. A captcha may be present and is ignored.
    Choose {
        /// The one-time password.
        otp: Secret,
        /// The new password, unchanged.
        new_password: Secret,
    },
}

impl fmt::Debug for ForgotPassword {
    /// Omits personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            ForgotPasswordPhase::Ask { .. } => "ask",
            ForgotPasswordPhase::Choose { .. } => "choose",
        };
        f.debug_struct("ForgotPassword")
            .field("phase", &phase)
            .finish_non_exhaustive()
    }
}

impl ForgotPassword {
    /// Parses the body, whatever its `Content-Type`. A member that is `null` is absent: serialisers write the
    /// members of the second phase as `null` in the first. Only documented names are accepted, any of them in
    /// either phase.
    ///
    /// # Refusals
    /// [`InvalidParams`]: not one JSON object; an unknown member; neither `username` nor
    /// `login_hint`; one of `otp` and `newpassword` without the other, or empty; a wrong type; too
    /// long; a control character outside the new password.
    pub fn parse(body: &[u8]) -> Result<ForgotPassword, InvalidParams> {
        let mut body = BodyMembers::of_body(body, &BODY_MEMBERS)?;
        body.refuse_unknown(&BODY_MEMBERS)?;
        let user = UserReference::read(&mut body)?;
        let otp = body.one_time_password("otp")?;
        let new_password = body.secret("newpassword")?;
        user.check_present()?;
        let phase = match (otp, new_password) {
            (None, None) => ForgotPasswordPhase::Ask {
                email_template: body.optional("emailtemplate", TEMPLATE_LENGTH_MAX)?,
                captcha: body.captcha()?,
            },
            (Some(otp), Some(new_password)) => ForgotPasswordPhase::Choose { otp, new_password },
            (Some(_), None) => return Err(invalid("newpassword", "missing")),
            (None, Some(_)) => return Err(invalid("otp", "missing")),
        };
        Ok(ForgotPassword { user, phase })
    }
}

impl ForgotPassword {
    /// Whether a body is meant for the second phase, valid or not: it contains a one-time password or a new
    /// password.
    pub fn is_second_phase(body: &[u8]) -> bool {
        let holds = |members: &Map<String, Value>, name| {
            members.get(name).is_some_and(|value| !value.is_null())
        };
        strict_json::parse_object(body)
            .is_ok_and(|members| holds(&members, "otp") || holds(&members, "newpassword"))
    }
}

/// The members of the body.
const BODY_MEMBERS: [&str; 8] = [
    "customdata",
    "emailtemplate",
    "login_hint",
    "newpassword",
    "otp",
    "recaptcha",
    "recaptchaevent",
    "username",
];

/// The successful response of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgotPasswordAnswer {
    /// The first phase: a one-time password was sent, if the user exists.
    OtpSent,
    /// The second phase: the password was changed.
    Success,
}

impl ForgotPasswordAnswer {
    /// The JSON body.
    pub fn to_json(self) -> String {
        String::from(match self {
            ForgotPasswordAnswer::OtpSent => r#"{"status":"success","status_code":"otp_sent"}"#,
            ForgotPasswordAnswer::Success => r#"{"status":"success","status_code":"success"}"#,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: Value) -> Result<ForgotPassword, InvalidParams> {
        ForgotPassword::parse(body.to_string().as_bytes())
    }

    #[test]
    fn the_phase_is_recognised_by_the_code_and_the_password() {
        let named = |otp: Value, new_password: Value| json!({"username": "a@b.example", "otp": otp, "newpassword": new_password});
        let phase =
            |body| parse(body).map(|body| matches!(body.phase, ForgotPasswordPhase::Ask { .. }));
        assert_eq!(phase(named(Value::Null, Value::Null)), Ok(true));
        assert_eq!(phase(named(json!("123abc"), json!("N3w-pass"))), Ok(false));
        for (otp, new_password, field) in [
            (json!("123abc"), Value::Null, "newpassword"),
            (Value::Null, json!("N3w-pass"), "otp"),
            (json!(""), json!(""), "otp"),
            (json!("123abc"), json!(""), "newpassword"),
            (json!(123_456), json!("N3w-pass"), "otp"),
        ] {
            assert_eq!(phase(named(otp, new_password)).unwrap_err().field, field);
        }
    }

    #[test]
    fn only_documented_names_are_taken_any_of_them_in_either_phase() {
        assert_eq!(
            parse(json!({"username": "a@b.example", "newPassword": "x"}))
                .unwrap_err()
                .field,
            "newPassword"
        );
        assert_eq!(
            parse(json!({"username": "a@b.example", "userId": "005"}))
                .unwrap_err()
                .field,
            "userId"
        );
        let second = json!({"username": "a@b.example", "otp": "123456", "newpassword": "N3w-pass",
            "recaptcha": "left over", "recaptchaevent": null, "emailtemplate": null});
        assert!(parse(second).is_ok());
        assert_eq!(parse(json!({"otp": null})).unwrap_err().field, "username");
    }
}
