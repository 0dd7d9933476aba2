//! The authorization challenge endpoint: a step of a login without a browser, and the response when another step is
//! needed.
//!
//! Two endpoints use these types with different names for the same members: the endpoint of the OAuth 2.0 for
//! First-Party Applications flows as documented, and the endpoint of draft-ietf-oauth-first-party-apps. A body is a
//! form or one JSON object, recognised by its first character. This file owns the members, their types and lengths,
//! and which step they mean; authenticating the client and deciding whether a step succeeds are left to the server.

use std::fmt;

use serde_json::{Map, Value, json};

use super::members::{BodyMembers, invalid};
use super::{
    CaptchaProof, InitPasswordlessLogin, InitRegistration, InvalidParams, TEMPLATE_LENGTH_MAX,
    UserReference, VerificationMethod,
};
use crate::authorization::ECHOED_BYTES_MAX;
use crate::form::{FormError, Parameters};
use crate::purpose::Purpose;
use crate::secret::Secret;
use crate::strict_json;

/// A step of a login at the authorization challenge endpoint.
///
/// ```
/// use vestibule_protocol::headless::{ChallengeRequest, ChallengeStep};
/// let form = ChallengeRequest::parse(None, b"client_id=3MVG9&username=a@b.example&password=x", None)?;
/// assert!(matches!(form.step, ChallengeStep::Login { .. }));
/// let json = br#"{"client_id": "3MVG9", "auth_session": "s", "otp": "123456"}"#;
/// assert!(matches!(ChallengeRequest::parse(None, json, None)?.step, ChallengeStep::Code { .. }));
/// # Ok::<(), vestibule_protocol::headless::InvalidParams>(())
/// ```
///
/// Source: OAuth 2.0 for First-Party Applications; draft-ietf-oauth-first-party-apps section 5.1.
#[derive(Clone)]
pub struct ChallengeRequest {
    /// The client's id.
    pub client_id: Option<String>,
    /// The client attestation JWT, when it is sent in the body.
    pub client_assertion: Option<Secret>,
    /// Its type, when it was named.
    pub client_assertion_type: Option<String>,
    /// `code`, or nothing.
    pub response_type: Option<String>,
    /// Requested scopes, space-separated.
    pub scope: Option<String>,
    /// Returned in the token response.
    pub state: Option<String>,
    /// Returned in the id_token.
    pub nonce: Option<String>,
    /// S256 challenge.
    pub code_challenge: Option<String>,
    /// The visitor who logs in.
    pub uvid_hint: Option<Secret>,
    /// The login that this step continues.
    pub auth_session: Option<Secret>,
    /// The step that is requested.
    pub step: ChallengeStep,
    /// Whether a secret was in the query string, where secrets are not allowed.
    pub secret_came_in_query: bool,
}

/// The step, recognised by the members that are present.
#[derive(Clone)]
pub enum ChallengeStep {
    /// A one-time password: `otp`, with `newpassword` for a reset.
    Code {
        /// The one-time password.
        otp: Secret,
        /// The new password, unchanged.
        new_password: Option<Secret>,
    },
    /// A login with a password.
    Login {
        /// The user.
        user: UserReference,
        /// The password, unchanged.
        password: Secret,
        /// `recaptcha` or `recaptchaevent`.
        captcha: Option<CaptchaProof>,
    },
    /// A request for a one-time password to log in with.
    Passwordless(InitPasswordlessLogin),
    /// A registration.
    Registration(Box<InitRegistration>),
    /// The start of a password reset: `challenge_type=password_reset`.
    Reset {
        /// The user.
        user: UserReference,
        /// Developer name of a mail template.
        email_template: Option<String>,
        /// `recaptcha` or `recaptchaevent`.
        captcha: Option<CaptchaProof>,
    },
}

impl fmt::Debug for ChallengeRequest {
    /// Omits personal data and secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChallengeRequest")
            .field("client_id", &self.client_id)
            .field("step", &self.step.name())
            .finish_non_exhaustive()
    }
}

impl ChallengeRequest {
    /// Parses a form (with the query of the URL) or one JSON object (without it). A body that begins with a brace
    /// is JSON, whatever its `Content-Type`. In a form, `userdata`, `customdata` and `recaptchaevent` are the text
    /// of a JSON object. `default_method` is the channel of the code when the request does not name one.
    ///
    /// [`InvalidParams`]: a body that cannot be parsed, a parameter sent twice with two values, no user named, a
    /// member that the step requires is missing, a wrong type, too long, a control character.
    /// named, a member that the step lacks, a wrong type, too long, a control character.
    pub fn parse(
        query: Option<&str>,
        body: &[u8],
        default_method: Option<VerificationMethod>,
    ) -> Result<ChallengeRequest, InvalidParams> {
        let is_json = body.trim_ascii_start().first() == Some(&b'{');
        let (mut members, secret_came_in_query) = match is_json {
            true => (BodyMembers::of_body(body, &MEMBERS)?, false),
            false => of_form(query, body)?,
        };
        let body = &mut members;
        Ok(ChallengeRequest {
            client_id: body.optional("client_id", ECHOED_BYTES_MAX)?,
            client_assertion: body.secret("client_assertion")?,
            client_assertion_type: body.optional("client_assertion_type", ECHOED_BYTES_MAX)?,
            response_type: body.optional("response_type", ECHOED_BYTES_MAX)?,
            scope: body.optional("scope", ECHOED_BYTES_MAX)?,
            state: body.optional("state", ECHOED_BYTES_MAX)?,
            nonce: body.optional("nonce", ECHOED_BYTES_MAX)?,
            code_challenge: body.optional("code_challenge", ECHOED_BYTES_MAX)?,
            uvid_hint: body.secret("uvid_hint")?,
            auth_session: body.secret("auth_session")?,
            step: ChallengeStep::read(body, default_method)?,
            secret_came_in_query,
        })
    }
}

impl ChallengeStep {
    fn read(
        body: &mut BodyMembers,
        default_method: Option<VerificationMethod>,
    ) -> Result<ChallengeStep, InvalidParams> {
        let is_reset = match body
            .optional("challenge_type", ECHOED_BYTES_MAX)?
            .as_deref()
        {
            None => false,
            Some(PASSWORD_RESET) => true,
            Some(_) => return Err(invalid("challenge_type", "unknown")),
        };
        let new_password = body.secret("newpassword")?;
        if let Some(otp) = body.secret("otp")? {
            return Ok(ChallengeStep::Code { otp, new_password });
        }
        if new_password.is_some() {
            return Err(invalid("otp", "missing"));
        }
        if body.has("userdata") {
            let registration = InitRegistration::read(body)?;
            return Ok(ChallengeStep::Registration(Box::new(registration)));
        }
        if is_reset {
            return Ok(ChallengeStep::Reset {
                user: ChallengeStep::read_user(body)?,
                email_template: body.optional("emailtemplate", TEMPLATE_LENGTH_MAX)?,
                captcha: body.captcha()?,
            });
        }
        match body.secret("password")? {
            Some(password) => Ok(ChallengeStep::Login {
                user: ChallengeStep::read_user(body)?,
                password,
                captcha: body.captcha()?,
            }),
            None => {
                InitPasswordlessLogin::read(body, default_method).map(ChallengeStep::Passwordless)
            }
        }
    }

    fn read_user(body: &mut BodyMembers) -> Result<UserReference, InvalidParams> {
        let user = UserReference::read(body)?;
        user.check_present()?;
        Ok(user)
    }

    /// The name of the step, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            ChallengeStep::Code { .. } => "code",
            ChallengeStep::Login { .. } => "login",
            ChallengeStep::Passwordless(_) => "passwordless",
            ChallengeStep::Registration(_) => "registration",
            ChallengeStep::Reset { .. } => "reset",
        }
    }

    /// The user that the step names, as sent; `None` for a one-time password.
    pub fn named(&self) -> Option<&str> {
        match self {
            ChallengeStep::Code { .. } => None,
            ChallengeStep::Login { user, .. } | ChallengeStep::Reset { user, .. } => user.text(),
            ChallengeStep::Passwordless(login) => login.user.text(),
            ChallengeStep::Registration(registration) => Some(&registration.userdata.username),
        }
    }
}

/// The parameters of a form as members, and whether a secret was in the query.
fn of_form(query: Option<&str>, body: &[u8]) -> Result<(BodyMembers, bool), InvalidParams> {
    let parameters = Parameters::parse(query, body).map_err(|error| match error {
        FormError::ControlCharacter(name) => InvalidParams {
            field: name,
            reason: "control character",
        },
        FormError::Duplicate(name) => InvalidParams {
            field: name,
            reason: "comes twice",
        },
        FormError::NotUtf8 => invalid("", "not UTF-8"),
        FormError::TooMany => invalid("", "too many parameters"),
    })?;
    let came_in_query = SECRETS.iter().any(|name| parameters.came_in_query(name));
    let mut members = Map::new();
    for (name, text) in parameters.iter() {
        let value = match OBJECTS.contains(&name) {
            true => strict_json::parse(text.as_bytes()).unwrap_or_else(|_| Value::from(text)),
            false => Value::from(text),
        };
        members.insert(name.to_owned(), value);
    }
    Ok((BodyMembers::of_map(members, &MEMBERS)?, came_in_query))
}

/// The member names of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerWords {
    /// Those of OAuth 2.0 for First-Party Applications: `authorization_required` and `error_code`.
    Documented,
    /// Those of draft-ietf-oauth-first-party-apps: `insufficient_authorization`.
    Standard,
}

/// The response to a valid step. All except the first have status 403.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeAnswer {
    /// The login is complete: the authorization code.
    Code(Secret),
    /// A one-time password was sent, or the response pretends so.
    CodeSent {
        /// Its purpose.
        purpose: Purpose,
        /// The channel on which it is sent.
        method: VerificationMethod,
        /// To be sent with the next step.
        auth_session: Secret,
    },
    /// The credential is wrong.
    Failed {
        /// The purpose of the one-time password that is still expected, if any.
        awaits: Option<Purpose>,
        /// To be sent with the next step; none when no attempt is left.
        auth_session: Option<Secret>,
    },
    /// The new password was set; the user may log in with it.
    PasswordChanged {
        /// To be sent with the next step.
        auth_session: Secret,
    },
    /// The one-time password was right, but the new password violates the policy.
    PasswordRefused {
        /// To be sent with the next step; none when no attempt is left.
        auth_session: Option<Secret>,
    },
}

impl ChallengeAnswer {
    /// The HTTP status.
    pub fn http_status(&self) -> u16 {
        match self {
            ChallengeAnswer::Code(_) => 200,
            _ => 403,
        }
    }

    /// Renders the JSON body.
    pub fn to_json(&self, words: AnswerWords) -> String {
        match (self, words) {
            (ChallengeAnswer::Code(code), _) => json!({"authorization_code": code.expose()}),
            (_, AnswerWords::Documented) => self.documented(),
            (_, AnswerWords::Standard) => self.standard(),
        }
        .to_string()
    }

    fn documented(&self) -> Value {
        let mut answer =
            json!({"error": "authorization_required", "error_code": self.error_code()});
        self.write_session(&mut answer);
        if let ChallengeAnswer::CodeSent {
            purpose, method, ..
        } = self
        {
            let (status, _) = purpose.challenge_words();
            let kind = method.as_str().to_ascii_uppercase();
            answer[status] = json!({"state": "otp_sent", "type": kind});
        }
        answer
    }

    fn standard(&self) -> Value {
        let mut answer = json!({
            "error": "insufficient_authorization",
            "error_description": self.description(),
            "error_code": self.error_code(),
        });
        self.write_session(&mut answer);
        if let ChallengeAnswer::CodeSent { method, .. } = self {
            answer["verificationmethod"] = json!(method.as_str());
        }
        match self.awaited() {
            Some(Purpose::ForgotPassword) => {
                answer["otp_required"] = json!(true);
                answer["new_password_required"] = json!(true);
            }
            Some(_) => answer["otp_required"] = json!(true),
            None => answer["password_required"] = json!(true),
        }
        answer
    }

    fn error_code(&self) -> &'static str {
        match self {
            ChallengeAnswer::Code(_) => "",
            ChallengeAnswer::CodeSent { purpose, .. } => purpose.challenge_words().1,
            ChallengeAnswer::Failed { .. } => "invalid_credentials",
            ChallengeAnswer::PasswordChanged { .. } => "password_changed",
            ChallengeAnswer::PasswordRefused { .. } => "password_policy_check_failure",
        }
    }

    fn description(&self) -> &'static str {
        match self {
            ChallengeAnswer::Code(_) => "",
            ChallengeAnswer::CodeSent { .. } => "a one-time password was sent",
            ChallengeAnswer::Failed { .. } => "authentication failure",
            ChallengeAnswer::PasswordChanged { .. } => "the password was changed; log in with it",
            ChallengeAnswer::PasswordRefused { .. } => "password does not follow policy",
        }
    }

    /// The purpose of the one-time password that is expected after this response.
    fn awaited(&self) -> Option<Purpose> {
        match self {
            ChallengeAnswer::CodeSent { purpose, .. } => Some(*purpose),
            ChallengeAnswer::Failed { awaits, .. } => *awaits,
            ChallengeAnswer::PasswordRefused { .. } => Some(Purpose::ForgotPassword),
            ChallengeAnswer::Code(_) | ChallengeAnswer::PasswordChanged { .. } => None,
        }
    }

    fn write_session(&self, answer: &mut Value) {
        let session = match self {
            ChallengeAnswer::Code(_) => None,
            ChallengeAnswer::CodeSent { auth_session, .. }
            | ChallengeAnswer::PasswordChanged { auth_session } => Some(auth_session),
            ChallengeAnswer::Failed { auth_session, .. }
            | ChallengeAnswer::PasswordRefused { auth_session } => auth_session.as_ref(),
        };
        if let Some(session) = session {
            answer["auth_session"] = json!(session.expose());
        }
    }
}

/// The value of `challenge_type` that starts a reset.
const PASSWORD_RESET: &str = "password_reset";

/// Parameters that must not be in a URL.
const SECRETS: [&str; 7] = [
    "auth_session",
    "client_assertion",
    "client_secret",
    "newpassword",
    "otp",
    "password",
    "uvid_hint",
];

/// The parameters of a form that are the text of an object.
const OBJECTS: [&str; 2] = ["recaptchaevent", "userdata"];

/// The members that are read.
const MEMBERS: [&str; 22] = [
    "auth_session",
    "challenge_type",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "code_challenge",
    "customdata",
    "emailtemplate",
    "login_hint",
    "newpassword",
    "nonce",
    "otp",
    "password",
    "recaptcha",
    "recaptchaevent",
    "response_type",
    "scope",
    "state",
    "userdata",
    "username",
    "uvid_hint",
    "verificationmethod",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn step(body: &str) -> Result<&'static str, InvalidParams> {
        ChallengeRequest::parse(None, body.as_bytes(), None).map(|request| request.step.name())
    }

    #[test]
    fn a_step_is_recognised_by_its_members_in_a_form_and_in_json() {
        let userdata = r#"{"username":"a@b.example","email":"a@b.example","lastName":"B"}"#;
        for (form, json, expected) in [
            (
                "username=a@b.example&password=x".to_owned(),
                json!({"username": "a@b.example", "password": "x"}),
                "login",
            ),
            (
                "login_hint=ORDER-1&password=x&customdata={\"a\":1}".to_owned(),
                json!({"login_hint": "ORDER-1", "password": "x", "customdata": {"a": 1}}),
                "login",
            ),
            (
                "username=a@b.example&verificationmethod=sms".to_owned(),
                json!({"username": "a@b.example", "verificationmethod": "sms"}),
                "passwordless",
            ),
            (
                "auth_session=s&otp=123456".to_owned(),
                json!({"auth_session": "s", "otp": "123456"}),
                "code",
            ),
            (
                "auth_session=s&otp=1&newpassword=n".to_owned(),
                json!({"auth_session": "s", "otp": "1", "newpassword": "n"}),
                "code",
            ),
            (
                format!("userdata={userdata}&password=x"),
                json!({"userdata": {"username": "a@b.example", "email": "a@b.example",
                    "lastName": "B"}, "password": "x"}),
                "registration",
            ),
            (
                "challenge_type=password_reset&username=a@b.example".to_owned(),
                json!({"challenge_type": "password_reset", "username": "a@b.example"}),
                "reset",
            ),
        ] {
            assert_eq!(step(&form), Ok(expected), "{form}");
            assert_eq!(step(&json.to_string()), Ok(expected), "{json}");
        }
    }

    #[test]
    fn what_a_step_lacks_is_named() {
        for (body, field) in [
            ("", "verificationmethod"),
            ("username=a", "verificationmethod"),
            ("verificationmethod=email", "username"),
            ("password=x", "username"),
            ("newpassword=x&username=a", "otp"),
            ("challenge_type=password_reset", "username"),
            ("challenge_type=dance&username=a", "challenge_type"),
            ("userdata=x&password=x", "userdata"),
            ("username=a&username=b&password=x", "username"),
            ("verificationMethod=sms&username=a", "verificationMethod"),
            ("{\"username\":7,\"password\":\"x\"}", "username"),
            ("{\"otp\":\"\",\"auth_session\":\"s\"}", "otp"),
        ] {
            assert_eq!(step(body).unwrap_err().field, field, "{body}");
        }
        let email = Some(VerificationMethod::Email);
        assert!(ChallengeRequest::parse(None, b"username=a", email).is_ok());
    }

    #[test]
    fn a_secret_in_the_query_is_reported() {
        let parse = |query| ChallengeRequest::parse(Some(query), b"username=a&password=x", None);
        assert!(!parse("client_id=c").unwrap().secret_came_in_query);
        assert!(parse("password=x").unwrap().secret_came_in_query);
        assert!(parse("otp=1").unwrap().secret_came_in_query);
    }

    #[test]
    fn each_answer_has_the_names_of_its_endpoint() {
        let session = Secret::from("s".to_owned());
        let sent = ChallengeAnswer::CodeSent {
            purpose: Purpose::PasswordlessLogin,
            method: VerificationMethod::Email,
            auth_session: session.clone(),
        };
        assert_eq!(
            sent.to_json(AnswerWords::Documented),
            r#"{"error":"authorization_required","error_code":"login_initialized","auth_session":"s","login_status":{"state":"otp_sent","type":"EMAIL"}}"#
        );
        assert_eq!(
            sent.to_json(AnswerWords::Standard),
            r#"{"error":"insufficient_authorization","error_description":"a one-time password was sent","error_code":"login_initialized","auth_session":"s","verificationmethod":"email","otp_required":true}"#
        );
        let failed = ChallengeAnswer::Failed {
            awaits: None,
            auth_session: Some(session),
        };
        assert_eq!(
            failed.to_json(AnswerWords::Documented),
            r#"{"error":"authorization_required","error_code":"invalid_credentials","auth_session":"s"}"#
        );
        assert_eq!((sent.http_status(), failed.http_status()), (403, 403));
    }
}
